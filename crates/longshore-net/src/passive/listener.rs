//! One passive port at one address: accepting, and sorting connections by peer.
//!
//! Not inside: which port it is and when it closes; see [`super::pool`].

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, acceptfrom_with, bind, listen, sockopt};
use tokio::io::Interest;

use super::PeerKey;
use crate::data::DataSocket;
use crate::limits;
use crate::listen::{normalise, stream_socket};
use crate::reactor::Registered;

/// A listening socket and the reservations that it serves: one for anyone, or any number for
/// different peers.
#[derive(Debug)]
pub(super) struct Listener {
    // Declared first: the reactor lets go of the descriptor before it is closed.
    registered: OnceLock<Registered>,
    descriptor: Arc<OwnedFd>,
    address: SocketAddr,
    seats: Mutex<Seats>,
}

/// What came of trying to open a port.
#[derive(Debug)]
pub(super) enum Opening {
    Open(Listener),
    /// Another socket holds the port, or this process may not have it.
    Busy,
}

/// Whom a reservation leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Others,
    /// Nobody, and its peer may still be about to connect.
    Nobody,
    /// Nobody, and its peer has had the one connection that it asked for.
    NobodyAndThrough,
}

/// How a round of accepting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// Nothing is pending any more.
    Drained,
    /// More may be pending.
    Stopped,
}

#[derive(Debug, Default)]
pub(super) struct Seats {
    by_peer: BTreeMap<PeerKey, Seat>,
    /// Connections closed because they were for nobody here, over the life of the listener.
    strangers: u32,
    /// Reservations that have ended.
    served: u32,
}

/// The place of one reservation at a listener.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// The connection that has arrived and waits to be taken.
    mailbox: Option<DataSocket>,
    /// Those that arrived after it, where several may.
    behind: VecDeque<DataSocket>,
    /// How many may wait at once: one, unless somebody tells them apart later.
    several: Option<usize>,
    /// Whether the reservation has got its connection.
    served: bool,
    /// The task that waits for it.
    waker: Option<Waker>,
    /// [`Seats::strangers`] when the reservation was made.
    strangers_before: u32,
    surplus: u32,
}

/// Tasks to wake when no lock is held any more: a waker is foreign code.
pub(super) type Wakers = Vec<Waker>;

impl Listener {
    /// Listens on `address`. `spare` keeps the socket of an attempt that found the port busy, for
    /// the next attempt.
    pub(super) fn open(address: SocketAddr, spare: &mut Option<OwnedFd>) -> rustix::io::Result<Opening> {
        let busy = |errno| matches!(errno, Errno::ADDRINUSE | Errno::ACCESS | Errno::PERM);
        let socket = match spare.take() {
            Some(socket) => socket,
            None => {
                let socket = stream_socket(address.ip())?;
                // Accepted sockets inherit it.
                sockopt::set_tcp_nodelay(&socket, true)?;
                socket
            }
        };
        match bind(&socket, &address) {
            Ok(()) => {}
            Err(errno) if busy(errno) => {
                *spare = Some(socket);
                return Ok(Opening::Busy);
            }
            Err(errno) => return Err(errno),
        }
        match listen(&socket, limits::PASSIVE_BACKLOG) {
            Ok(()) => {}
            // With SO_REUSEADDR two sockets may be bound to a port as long as none listens. This
            // socket is bound now and of no use for another port.
            Err(errno) if busy(errno) => return Ok(Opening::Busy),
            Err(errno) => return Err(errno),
        }
        Ok(Opening::Open(Self {
            registered: OnceLock::new(),
            descriptor: Arc::new(socket),
            address,
            seats: Mutex::default(),
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Seats> {
        // Nothing in here panics half-way through a change.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a reservation of `key` may join those that are here.
    pub(super) fn admits(&self, key: PeerKey) -> bool {
        let seats = self.lock();
        seats.by_peer.is_empty()
            || (key.is_some() && !seats.by_peer.contains_key(&key) && !seats.by_peer.contains_key(&None))
    }

    /// Adds a reservation that [`Listener::admits`] permits.
    ///
    /// Connections that are pending already cannot be meant for it, since its port was not told to
    /// anybody yet: they are sorted among the others first.
    pub(super) fn join(&self, key: PeerKey) -> rustix::io::Result<()> {
        let mut wakers = Wakers::new();
        let mut seats = self.lock();
        let result = if seats.by_peer.is_empty() {
            Ok(())
        } else {
            // One round reaches everything that was pending; see the relations in `limits`.
            self.accept_round(&mut seats, None, &mut wakers).map(drop)
        };
        if result.is_ok() {
            let strangers_before = seats.strangers;
            seats.by_peer.insert(key, Seat { strangers_before, ..Seat::default() });
        }
        drop(seats);
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// Removes a reservation and its mailbox.
    pub(super) fn leave(&self, key: PeerKey) -> Left {
        let mut seats = self.lock();
        let seat = seats.by_peer.remove(&key);
        let last = seats.by_peer.is_empty();
        seats.served = seats.served.saturating_add(1);
        drop(seats);
        match (last, seat.is_some_and(|seat| seat.is_through())) {
            (false, _) => Left::Others,
            (true, true) => Left::NobodyAndThrough,
            (true, false) => Left::Nobody,
        }
    }

    /// How many reservations it has served.
    pub(super) fn served(&self) -> u32 {
        self.lock().served
    }

    /// Closes the connections that came while nobody waited for any; whether all are gone now.
    pub(super) fn discard_pending(&self) -> bool {
        for _ in 0..limits::ACCEPT_ROUND {
            match accept_with(&self.descriptor, SocketFlags::CLOEXEC) {
                Ok(stranger) => drop(stranger),
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(_) => return false,
            }
        }
        false
    }

    /// Accepts what is pending and puts each connection into the mailbox of its reservation, or
    /// closes it. Stops early when `only` is alone here and has got its connection: the rest is
    /// refused when the listener closes.
    ///
    /// Errors are those after which trying again at once is of no use (no descriptor, no memory).
    pub(super) fn accept_round(
        &self,
        seats: &mut Seats,
        only: Option<PeerKey>,
        wakers: &mut Wakers,
    ) -> rustix::io::Result<Round> {
        for _ in 0..limits::ACCEPT_ROUND {
            match acceptfrom_with(&self.descriptor, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((descriptor, peer)) => {
                    // A connection without an address was reset before it was accepted.
                    if let Some(peer) = peer.and_then(|peer| SocketAddr::try_from(peer).ok()) {
                        seats.sort(DataSocket::new(descriptor, normalise(peer), self.address), wakers);
                    }
                }
                Err(Errno::AGAIN) => return Ok(Round::Drained),
                // The connection failed while it was pending; Linux passes its errors on here.
                Err(
                    Errno::INTR
                    | Errno::CONNABORTED
                    | Errno::PROTO
                    | Errno::NETDOWN
                    | Errno::NETUNREACH
                    | Errno::NOPROTOOPT
                    | Errno::HOSTDOWN
                    | Errno::NONET
                    | Errno::HOSTUNREACH
                    | Errno::OPNOTSUPP
                    | Errno::TIMEDOUT,
                ) => continue,
                Err(errno) => return Err(errno),
            }
            if let Some(key) = only
                && seats.by_peer.len() == 1
                && seats.by_peer.get(&key).is_some_and(|seat| seat.mailbox.is_some())
            {
                break;
            }
        }
        Ok(Round::Stopped)
    }

    /// The registration with the reactor, made when the first reservation has to wait.
    pub(super) fn registered(&self) -> io::Result<&Registered> {
        if let Some(registered) = self.registered.get() {
            return Ok(registered);
        }
        // The lock keeps a second task from registering the same descriptor, which would fail.
        let _seats = self.lock();
        if self.registered.get().is_none() {
            let registered = Registered::new(Arc::clone(&self.descriptor), Interest::READABLE)?;
            let first = self.registered.set(registered).is_ok();
            debug_assert!(first, "the lock is held");
        }
        Ok(self.registered.get().expect("set above"))
    }
}

impl Seats {
    pub(super) fn seat(&mut self, key: PeerKey) -> &mut Seat {
        self.by_peer.get_mut(&key).expect("a reservation keeps its seat until it is dropped")
    }

    pub(super) fn strangers(&mut self, key: PeerKey) -> u32 {
        self.strangers.wrapping_sub(self.seat(key).strangers_before)
    }

    /// Gives a fresh connection to whom it belongs, or closes it.
    fn sort(&mut self, socket: DataSocket, wakers: &mut Wakers) {
        let named = Some(socket.peer().ip());
        let key = if self.by_peer.contains_key(&named) { named } else { None };
        match self.by_peer.get_mut(&key) {
            Some(seat) => seat.offer(socket, wakers),
            None => self.strangers = self.strangers.wrapping_add(1),
        }
    }
}

impl Seat {
    /// Takes the first connection; a later one only in place of one that is dead by now.
    fn offer(&mut self, socket: DataSocket, wakers: &mut Wakers) {
        if let Some(most) = self.several
            && self.mailbox.is_some()
            && self.behind.len() + 1 < most
        {
            self.behind.push_back(socket);
            return;
        }
        let served = self.served && self.several.is_none();
        if served || self.mailbox.as_ref().is_some_and(|earlier| !earlier.is_dead()) {
            self.surplus = self.surplus.saturating_add(1);
            return;
        }
        self.mailbox = Some(socket);
        wakers.extend(self.waker.take());
    }

    pub(super) fn has_connection(&self) -> bool {
        self.mailbox.is_some()
    }

    /// Whether the one connection that was promised has come and was taken, and no other has.
    fn is_through(&self) -> bool {
        let single = self.several.is_none() && self.surplus == 0;
        single && self.served && self.mailbox.is_none()
    }

    pub(super) fn is_served(&self) -> bool {
        self.served && self.several.is_none()
    }

    /// So many may wait at once, and all of them can be taken.
    pub(super) fn admit_several(&mut self, most: usize) {
        self.several = Some(most);
    }

    /// Another connection will be taken.
    pub(super) fn serve_again(&mut self) {
        self.served = false;
    }

    pub(super) fn surplus(&self) -> u32 {
        self.surplus
    }

    /// Hands over the connection that has arrived.
    pub(super) fn collect(&mut self) -> Option<DataSocket> {
        let socket = self.mailbox.take()?;
        self.mailbox = self.behind.pop_front();
        self.served = true;
        self.waker = None;
        Some(socket)
    }

    /// Closes the connection that has arrived if it is dead, so that the wait goes on.
    pub(super) fn discard_dead(&mut self) {
        while self.mailbox.as_ref().is_some_and(DataSocket::is_dead) {
            self.mailbox = self.behind.pop_front();
        }
    }

    /// Asks to be woken when a connection arrives through another reservation's round.
    pub(super) fn wake_me(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }
}
