//! Who may come in, and what they may do there.
//!
//! Not inside: the protocol of logging in, sockets, and the files themselves. An [`Authenticator`] turns a name and
//! a password into an [`Account`] or a [`Rejection`]; the peer hears the same refusal for every rejection, the log
//! hears the reason.

mod hash;
mod hours;
pub mod limits;
mod memory;
mod network;
mod permissions;

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

use longshore_path::VirtualPath;

pub use hash::{HashError, HashKind, PasswordHash};
pub use hours::{Hours, HoursError, WeekMinute, Weekday};
pub use memory::{MemoryAccounts, is_anonymous};
pub use network::{Network, NetworkError};
pub use permissions::{Permission, Permissions};

/// Somebody who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name, for logs, greetings, and as the owner of parts of uploads.
    pub name: String,
    /// Which tree of files it sees; whoever serves it knows the trees by these names.
    pub tree: TreeName,
    /// Where a session begins.
    pub directory: VirtualPath,
    /// What it may do.
    pub permissions: Permissions,
}

/// Names one tree of files among those that are served.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TreeName(pub String);

/// One attempt to come in.
#[derive(Clone)]
pub struct Attempt {
    /// The name as the peer gave it: any bytes.
    pub user: Vec<u8>,
    /// The password as the peer gave it: any bytes.
    pub password: Vec<u8>,
    /// Where the attempt comes from.
    pub peer: IpAddr,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = longshore_path::display(&self.user).to_string();
        f.debug_struct("Attempt").field("user", &user).field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Why an attempt failed: for the log, never for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// No account has this name.
    NoSuchAccount,
    /// The account is there and the password is another.
    WrongPassword,
    /// Anonymous sessions are not offered.
    NoAnonymous,
    /// The accounts could not be asked.
    Unavailable,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rejection::NoSuchAccount => "no such account",
            Rejection::WrongPassword => "wrong password",
            Rejection::NoAnonymous => "anonymous sessions are not offered",
            Rejection::Unavailable => "the accounts could not be asked",
        })
    }
}

impl std::error::Error for Rejection {}

/// What became of an attempt.
pub type Verdict = Result<Account, Rejection>;

/// A verdict, or the way to it.
pub enum Answer {
    /// It stands.
    Ready(Verdict),
    /// Calling this gives it and may take a while (a password hash): run it on a pool.
    Blocking(Box<dyn FnOnce() -> Verdict + Send>),
    /// Awaiting this gives it, without blocking the thread that polls.
    Pending(Pin<Box<dyn Future<Output = Verdict> + Send>>),
}

/// Knows the accounts.
pub trait Authenticator: Send + Sync + 'static {
    /// Checks one attempt. An unknown name must cost as much as a known one.
    fn authenticate(&self, attempt: Attempt) -> Answer;
}
