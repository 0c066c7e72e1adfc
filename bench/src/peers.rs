//! The servers that are compared: longshore, five peers and the do-nothing server, with equal settings.
//!
//! Each is started for one cell of the table and stopped behind it, so that no two disturb each other and every one may
//! use all passive ports. The peers are unpacked or built below `target/peers`; nothing is installed on the machine.
//! Those that must be root see accounts of their own through a mount namespace.
//!
//! Not inside: what they are asked to do.

pub(crate) mod install;
mod process;
mod settings;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};

use crate::ground::Ground;
pub(crate) use process::{Running, end_orphans};
pub(crate) use settings::Durability;

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Longshore,
    Vsftpd,
    Proftpd,
    PureFtpd,
    Pyftpdlib,
    Unftp,
    /// The practical limit.
    Limit,
}

impl Peer {
    pub(crate) const ALL: [Peer; 7] = [
        Peer::Longshore,
        Peer::Vsftpd,
        Peer::Proftpd,
        Peer::PureFtpd,
        Peer::Pyftpdlib,
        Peer::Unftp,
        Peer::Limit,
    ];

    /// As it calls itself.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Longshore => "longshore",
            Peer::Vsftpd => "vsftpd",
            Peer::Proftpd => "ProFTPD",
            Peer::PureFtpd => "Pure-FTPd",
            Peer::Pyftpdlib => "pyftpdlib",
            Peer::Unftp => "unFTP",
            Peer::Limit => "limit",
        }
    }

    /// As it is named on the command line and below `target/peers`.
    pub(crate) fn key(self) -> String {
        self.name().to_lowercase()
    }

    /// Whether it is neither ours nor the limit.
    pub(crate) fn is_foreign(self) -> bool {
        !matches!(self, Peer::Longshore | Peer::Limit)
    }

    /// Whether every session is a process, or two.
    pub(crate) fn forks(self) -> bool {
        matches!(self, Peer::Vsftpd | Peer::Proftpd | Peer::PureFtpd)
    }
}

/// The servers that can be started, and why the others cannot.
#[derive(Debug)]
pub(crate) struct Peers {
    ground: Ground,
    here: BTreeMap<Peer, Result<install::Installed, String>>,
}

impl Peers {
    /// Brings those that are asked for.
    pub(crate) fn bring(ground: &Ground, places: &install::Places, wanted: &[Peer]) -> Peers {
        let here = wanted.iter().map(|&peer| (peer, install::ensure(peer, places))).collect();
        Peers { ground: ground.clone(), here }
    }

    /// Their versions, or why they are not measured.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (Peer, Result<&str, &str>)> {
        self.here.iter().map(|(peer, here)| match here {
            Ok(installed) => (*peer, Ok(installed.version.as_str())),
            Err(why) => (*peer, Err(why.as_str())),
        })
    }

    /// Starts one, and waits until it greets.
    pub(crate) fn start(&self, peer: Peer, durability: Durability) -> Result<Running, String> {
        let installed = self.here.get(&peer).ok_or("not asked for")?.as_ref().map_err(Clone::clone)?;
        let address = free_address()?;
        let command = settings::command(peer, installed, &self.ground, address, durability)?;
        let errors = self.ground.settings.join(format!("{}.errors", peer.key()));
        Running::start(peer.name(), command, address, &errors)
    }
}

/// An address of this machine where nobody listens.
fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map_err(|error| format!("no free port: {error}"))
}
