//! How a client reaches the server: families, and the commands that arrange data connections.
//!
//! Not inside: which client knows which way; that is in `clients`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 127.0.0.1.
    Ipv4,
    /// ::1.
    Ipv6,
}

/// The command that arranges data connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// RFC 959, the client connects.
    Pasv,
    /// RFC 2428, the client connects.
    Epsv,
    /// RFC 959, the server connects.
    Port,
    /// RFC 2428, the server connects.
    Eprt,
}

/// One way for a client to reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The family of both connections.
    pub family: Family,
    /// How data connections are arranged.
    pub mode: Mode,
}

impl Family {
    /// Both.
    pub const ALL: [Family; 2] = [Family::Ipv4, Family::Ipv6];

    /// Those that this machine's loopback has.
    pub fn here() -> Vec<Family> {
        let ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        if ipv6 { Family::ALL.to_vec() } else { vec![Family::Ipv4] }
    }

    pub(crate) fn loopback(self) -> IpAddr {
        match self {
            Family::Ipv4 => Ipv4Addr::LOCALHOST.into(),
            Family::Ipv6 => Ipv6Addr::LOCALHOST.into(),
        }
    }
}

impl Mode {
    /// Those that a family has: PASV and PORT can say no address of IPv6.
    pub fn of(family: Family) -> &'static [Mode] {
        match family {
            Family::Ipv4 => &[Mode::Pasv, Mode::Epsv, Mode::Port, Mode::Eprt],
            Family::Ipv6 => &[Mode::Epsv, Mode::Eprt],
        }
    }

    pub(crate) fn is_passive(self) -> bool {
        matches!(self, Mode::Pasv | Mode::Epsv)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Ipv4 => "IPv4",
            Family::Ipv6 => "IPv6",
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Pasv => "PASV",
            Mode::Epsv => "EPSV",
            Mode::Port => "PORT",
            Mode::Eprt => "EPRT",
        })
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.mode)
    }
}
