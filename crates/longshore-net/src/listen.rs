//! Control listeners, what a fresh control connection needs, and addresses in their plain form.
//!
//! Not inside: accepting and counting sessions, reading (see [`crate::urgent::read_control`]).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use tokio::net::{TcpListener, TcpStream};

use crate::limits;

/// Why a control listener could not be opened. Each text names the address, the cause and a remedy.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another socket already listens there (`EADDRINUSE`).
    #[error(
        "cannot listen on {address}: port {} is in use; stop the program that holds it \
         (`ss -ltnp` names it) or choose another port", address.port()
    )]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The kernel does not let this process have the port (`EACCES`, `EPERM`).
    #[error(
        "cannot listen on {address}: this user may not open port {}; choose a port of 1024 or more, \
         or grant CAP_NET_BIND_SERVICE", address.port()
    )]
    Permission {
        /// The address asked for.
        address: SocketAddr,
    },
    /// No interface of this machine has the address (`EADDRNOTAVAIL`).
    #[error(
        "cannot listen on {address}: this machine does not have the address {}; choose one that \
         `ip address` shows, or {} for all", address.ip(), all_addresses(*address)
    )]
    NotHere {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The kernel does not speak this family, usually because IPv6 is switched off
    /// (`EAFNOSUPPORT`).
    #[error(
        "cannot listen on {address}: this machine has no {} support; choose an address of the other \
         family", family_name(*address)
    )]
    NoFamily {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else, such as no descriptor left.
    #[error("cannot listen on {address}: {source}")]
    System {
        /// The address asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ListenError {
    fn new(address: SocketAddr, errno: Errno) -> Self {
        match errno {
            Errno::ADDRINUSE => Self::InUse { address },
            Errno::ACCESS | Errno::PERM => Self::Permission { address },
            Errno::ADDRNOTAVAIL => Self::NotHere { address },
            Errno::AFNOSUPPORT => Self::NoFamily { address },
            other => Self::System { address, source: other.into() },
        }
    }
}

fn all_addresses(address: SocketAddr) -> &'static str {
    if address.is_ipv4() { "0.0.0.0" } else { "[::]" }
}

fn family_name(address: SocketAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

/// Opens a listener for control connections. Port 0 lets the kernel choose.
///
/// An IPv6 listener takes IPv6 only (`IPV6_V6ONLY`), so that `0.0.0.0` and `[::]` may stand side by
/// side and no peer appears under two addresses. `SO_REUSEADDR` lets a restarted server listen
/// while connections of the one before are in TIME_WAIT. The backlog is
/// [`limits::CONTROL_BACKLOG`].
///
/// # Errors
///
/// [`ListenError`], which names address, cause and remedy.
///
/// # Panics
///
/// Outside a tokio runtime with I/O enabled.
pub fn control_listener(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let open = || -> rustix::io::Result<OwnedFd> {
        let socket = stream_socket(address.ip())?;
        bind(&socket, &address)?;
        listen(&socket, limits::CONTROL_BACKLOG)?;
        Ok(socket)
    };
    let socket = open().map_err(|errno| ListenError::new(address, errno))?;
    TcpListener::from_std(socket.into()).map_err(|source| ListenError::System { address, source })
}

/// Makes a control listener of a socket that somebody else has bound and listens on.
///
/// # Errors
///
/// [`ListenError`] when it cannot be used, and when nobody listens on it.
///
/// # Panics
///
/// Outside a tokio runtime with I/O enabled.
pub fn adopt_listener(socket: std::net::TcpListener) -> Result<TcpListener, ListenError> {
    let address = socket.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
    let failed = |source| ListenError::System { address, source };
    if !sockopt::socket_acceptconn(&socket).map_err(|errno| failed(errno.into()))? {
        return Err(failed(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is bound, but nobody listens on it",
        )));
    }
    socket.set_nonblocking(true).map_err(failed)?;
    TcpListener::from_std(socket).map_err(failed)
}

/// A non-blocking stream socket of the family of `local`, with `SO_REUSEADDR` and for IPv6
/// `IPV6_V6ONLY`, closed on exec.
pub(crate) fn stream_socket(local: IpAddr) -> rustix::io::Result<OwnedFd> {
    let family = if local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if local.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

/// Sets up a fresh control connection.
///
/// - `TCP_NODELAY`: a reply must not wait for the acknowledgement of the one before.
/// - `SO_OOBINLINE`: else the byte that an urgent segment marks is taken out of the stream, and it
///   is one that the command line needs.
/// - Keep-alive after [`limits::KEEP_ALIVE_IDLE`], because an idle control connection of a long
///   transfer says nothing itself, and middle boxes forget it.
///
/// # Errors
///
/// Those of `setsockopt`; in practice that the peer has reset the connection.
pub fn prepare_control(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_tcp_nodelay(stream, true)?;
    sockopt::set_socket_oobinline(stream, true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, limits::KEEP_ALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, limits::KEEP_ALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, limits::KEEP_ALIVE_PROBES)?;
    Ok(())
}

/// Ends our direction of a control connection (FIN behind the last reply); the client may still
/// send.
///
/// # Errors
///
/// `NotConnected` if the client has reset the connection.
pub fn end_output(stream: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::shutdown(stream, rustix::net::Shutdown::Write)?)
}

/// The plain form of an address: an IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2)
/// becomes the IPv4 address that it means. To be applied before any comparison.
#[must_use]
pub fn normalise_ip(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// As [`normalise_ip`], for an address with a port. Other IPv6 addresses keep their scope.
#[must_use]
pub fn normalise(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(plain) if address.is_ipv6() => SocketAddr::from((plain, address.port())),
        _ => address,
    }
}
