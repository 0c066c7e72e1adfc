//! The passive port pool: which port a PASV or EPSV names, and whose connection arrives there.
//!
//! `pool` chooses ports, `listener` accepts connections and sorts them by peer address, and
//! `reservation` is what a session holds. Not inside: replies, time limits (a reservation lives
//! until it is dropped), the proof of a peer by anything but its address.
//!
//! One listener may serve reservations of several peer addresses at once, each of which gets its
//! own connection. The order of locks is pool, then listener; neither is held across a wait.

mod listener;
mod pool;
mod reservation;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

pub use pool::PassivePool;
pub use reservation::{Reservation, Take};

use crate::listen::normalise_ip;

/// Whose connection a reservation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerRule {
    /// Only this address. IPv4-mapped addresses are compared in their IPv4 form; scopes of IPv6
    /// addresses do not count.
    Exactly(IpAddr),
    /// Whoever comes first (transfers between two servers). Nobody else shares the port then.
    Anyone,
}

impl PeerRule {
    /// The key under which a listener keeps the reservation.
    fn key(self) -> PeerKey {
        match self {
            Self::Exactly(address) => Some(normalise_ip(address)),
            Self::Anyone => None,
        }
    }
}

/// A peer's address in its plain form, or `None` for anyone.
type PeerKey = Option<IpAddr>;

/// A local address without its port. IPv6 link-local addresses need their scope to be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LocalAddress(SocketAddr);

impl LocalAddress {
    fn of(address: SocketAddr) -> Self {
        let mut plain = crate::listen::normalise(address);
        plain.set_port(0);
        if let SocketAddr::V6(address) = &mut plain {
            address.set_flowinfo(0);
        }
        Self(plain)
    }

    fn with_port(self, port: u16) -> SocketAddr {
        let mut address = self.0;
        address.set_port(port);
        address
    }
}

/// Why a pool could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The range ends before it begins.
    #[error(
        "the passive port range {}-{} is empty; write the smaller port first",
        ports.start(), ports.end()
    )]
    Empty {
        /// The range asked for.
        ports: RangeInclusive<u16>,
    },
    /// Port 0 would let the kernel choose any port, past every firewall rule for the range.
    #[error("the passive port range 0-{} contains port 0; begin with 1024 or more", ports.end())]
    Zero {
        /// The range asked for.
        ports: RangeInclusive<u16>,
    },
}

/// Why no passive port could be reserved.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// Every port of the range is busy, and none of ours can be shared with this peer.
    #[error(
        "no passive port of {}-{} is free on {local}: {reserved} reserved by transfers that this one \
         cannot share with, {busy} used by other sockets of this machine; widen the range or end \
         other transfers", ports.start(), ports.end()
    )]
    Exhausted {
        /// The range of the pool.
        ports: RangeInclusive<u16>,
        /// The local address asked for.
        local: IpAddr,
        /// Ports on which this pool listens at that address.
        reserved: usize,
        /// Ports that could not be bound.
        busy: usize,
    },
    /// No interface of this machine has the local address (any more).
    #[error(
        "no passive port can be opened on {local}: this machine does not have that address (any more); \
         reconnect to an address that it has"
    )]
    NotHere {
        /// The local address asked for.
        local: IpAddr,
    },
    /// Anything else, such as no descriptor left.
    #[error("no passive port can be opened on {local}: {source}")]
    System {
        /// The local address asked for.
        local: IpAddr,
        /// What the kernel said.
        source: io::Error,
    },
}
