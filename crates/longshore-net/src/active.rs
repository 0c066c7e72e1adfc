//! Active data connections: the server connects to the address that PORT or EPRT named.
//!
//! Not inside: whether that address is permitted (the caller has checked it), and the time limit
//! (dropping the future ends the attempt and closes the socket).

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{bind, getpeername, getsockname, sockopt};
use tokio::io::Interest;

use crate::data::DataSocket;
use crate::listen::{normalise, stream_socket};
use crate::reactor::Registered;

/// Connects from the address of the control connection to `to`.
///
/// The source port is L-1, where L is the local port of the control connection (RFC 959 §3.2 and
/// §8), if this process can have it: firewalls of clients know port 20 beside 21. Else, and if the
/// same pair of ports is still in TIME_WAIT from a transfer before, any port is taken.
///
/// A link-local IPv6 address without a scope gets the scope of the control connection, since EPRT
/// has no place for one.
///
/// Cancel-safe: a dropped future closes its socket.
///
/// # Errors
///
/// `ConnectionRefused` (nobody listens there, or we reached ourselves), `HostUnreachable`,
/// `NetworkUnreachable`, `TimedOut` (the kernel's own limit), `InvalidInput` (the two addresses are
/// of different families), and others of `socket`, `bind` and `connect`.
pub async fn connect(control_local: SocketAddr, to: SocketAddr) -> io::Result<DataSocket> {
    let control_local = normalise(control_local);
    let to = with_scope_of(control_local, normalise(to));
    if control_local.is_ipv4() != to.is_ipv4() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("cannot connect to {to} from {control_local}: different address families"),
        ));
    }
    if let Some(socket) = bound_beside(control_local)? {
        match finish(socket, to).await {
            Err(error) if pair_is_taken(&error) => {}
            result => return result,
        }
    }
    let socket = stream_socket(control_local.ip())?;
    bind(&socket, &with_port(control_local, 0))?;
    finish(socket, to).await
}

/// A socket bound to port L-1, or `None` if this process cannot have that port.
fn bound_beside(control_local: SocketAddr) -> io::Result<Option<OwnedFd>> {
    let Some(port) = control_local.port().checked_sub(1).filter(|port| *port > 0) else {
        return Ok(None);
    };
    let socket = stream_socket(control_local.ip())?;
    Ok(bind(&socket, &with_port(control_local, port)).is_ok().then_some(socket))
}

fn pair_is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}

async fn finish(socket: OwnedFd, to: SocketAddr) -> io::Result<DataSocket> {
    sockopt::set_tcp_nodelay(&socket, true)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) => {
            let local = reached(&socket, to)?;
            Ok(DataSocket::new(socket, to, local))
        }
        // An interrupted attempt goes on like one that takes time.
        Err(Errno::INPROGRESS | Errno::INTR) => {
            let socket = Arc::new(socket);
            let registered = Registered::new(Arc::clone(&socket), Interest::READABLE | Interest::WRITABLE)?;
            registered
                .perform(Interest::WRITABLE, || {
                    sockopt::socket_error(&socket)??;
                    match getpeername(&socket) {
                        // Woken too early: the attempt still runs.
                        Err(Errno::NOTCONN) => Err(Errno::AGAIN),
                        other => other.map(drop),
                    }
                })
                .await?;
            let local = reached(&socket, to)?;
            Ok(DataSocket::with_registration(registered, socket, to, local))
        }
        Err(errno) => Err(errno.into()),
    }
}

/// Our address on a fresh connection to `to`.
fn reached(socket: &OwnedFd, to: SocketAddr) -> io::Result<SocketAddr> {
    let local = normalise(SocketAddr::try_from(getsockname(socket)?)?);
    if local == to {
        // Nobody listens there, but the source port is the same, so that TCP has connected the
        // socket to itself: a transfer would wait for its own bytes.
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(local)
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

fn with_scope_of(control_local: SocketAddr, mut to: SocketAddr) -> SocketAddr {
    if let (SocketAddr::V6(local), SocketAddr::V6(target)) = (control_local, &mut to)
        && target.ip().is_unicast_link_local()
        && target.scope_id() == 0
    {
        target.set_scope_id(local.scope_id());
    }
    to
}
