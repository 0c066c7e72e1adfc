//! Who may come in, and what they may do there.
//!
//! Not inside: the protocol of logging in, sockets, and the files themselves. An [`Authenticator`] turns a name and
//! a password into an [`Account`] or a [`Rejection`]; the peer hears the same refusal for every rejection, the log
//! hears the reason.

mod account;
mod cache;
mod hash;
mod hashed;
mod hours;
pub mod limits;
mod memory;
mod network;
mod permissions;
mod rules;
mod tls;

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

pub use account::{Account, AccountLimits, Mode, ModeError, TreeName};
pub use cache::{CredentialDigest, NoKey, VerifiedCache};
pub use hash::{HashError, HashKind, PasswordHash};
pub use hashed::{BuildError, Entry, HashedAccounts, Secret};
pub use hours::{Hours, HoursError, WeekMinute, Weekday};
pub use memory::{MemoryAccounts, is_anonymous};
pub use network::{Network, NetworkError};
pub use permissions::{Permission, Permissions};
pub use rules::{PathPattern, PathRule, PathRules, PatternError, TooManyRules};
pub use tls::{CertificateRule, DataPeer, DataSession, ShownCertificate, TlsNeed, TlsRules, UploadEnd};

/// One attempt to come in. Fields will be added: begin with [`Attempt::new`] and set what differs.
#[derive(Clone)]
pub struct Attempt {
    /// The name as the peer gave it: any bytes.
    pub user: Vec<u8>,
    /// The password as the peer gave it: any bytes.
    pub password: Vec<u8>,
    /// Where the attempt comes from.
    pub peer: IpAddr,
    /// Whether the password came through TLS.
    pub secure: bool,
    /// What time it is where the hours of accounts are meant. `None` when nobody knows: accounts that may come in
    /// at some hours only are then refused.
    pub week_minute: Option<WeekMinute>,
}

impl Attempt {
    /// An attempt in clear, at a time that nobody knows.
    pub fn new(user: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>, peer: IpAddr) -> Attempt {
        Attempt { user: user.into(), password: password.into(), peer, secure: false, week_minute: None }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = longshore_path::display(&self.user).to_string();
        f.debug_struct("Attempt")
            .field("user", &user)
            .field("peer", &self.peer)
            .field("secure", &self.secure)
            .field("week_minute", &self.week_minute)
            .finish_non_exhaustive()
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
    /// The account is disabled. Its password was not looked at.
    Disabled,
    /// The password was right; the account may not come in from this address.
    NotFromHere,
    /// The password was right; the account may not come in at this hour.
    NotAtThisHour,
    /// The password was right; the account has as many sessions as it may have.
    TooManySessions,
    /// The password was right and came in clear; the account may only come in through TLS.
    InClear,
    /// The accounts could not be asked, or the files of the account are not there.
    Unavailable,
}

impl Rejection {
    /// All of them.
    pub const ALL: [Rejection; 9] = [
        Rejection::NoSuchAccount,
        Rejection::WrongPassword,
        Rejection::NoAnonymous,
        Rejection::Disabled,
        Rejection::NotFromHere,
        Rejection::NotAtThisHour,
        Rejection::TooManySessions,
        Rejection::InClear,
        Rejection::Unavailable,
    ];

    /// The stable name of the reason, for logs that programs read: lower case, words joined by hyphens.
    pub const fn id(self) -> &'static str {
        match self {
            Rejection::NoSuchAccount => "no-such-account",
            Rejection::WrongPassword => "wrong-password",
            Rejection::NoAnonymous => "no-anonymous",
            Rejection::Disabled => "disabled",
            Rejection::NotFromHere => "network",
            Rejection::NotAtThisHour => "hours",
            Rejection::TooManySessions => "sessions",
            Rejection::InClear => "in-clear",
            Rejection::Unavailable => "unavailable",
        }
    }

    /// Whether it may be the mark of somebody who guesses: the password was not the right one.
    pub const fn is_guess(self) -> bool {
        match self {
            Rejection::NoSuchAccount
            | Rejection::WrongPassword
            | Rejection::NoAnonymous
            | Rejection::Disabled => true,
            Rejection::NotFromHere
            | Rejection::NotAtThisHour
            | Rejection::TooManySessions
            | Rejection::InClear
            | Rejection::Unavailable => false,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rejection::NoSuchAccount => "no such account",
            Rejection::WrongPassword => "wrong password",
            Rejection::NoAnonymous => "anonymous sessions are not offered",
            Rejection::Disabled => "the account is disabled",
            Rejection::NotFromHere => "the account may not come in from this address",
            Rejection::NotAtThisHour => "the account may not come in at this hour",
            Rejection::TooManySessions => "the account has as many sessions as it may have",
            Rejection::InClear => "the account may only come in through TLS",
            Rejection::Unavailable => "the accounts or its files could not be had",
        })
    }
}

impl std::error::Error for Rejection {}

/// What became of an attempt.
pub type Verdict = Result<Account, Rejection>;

/// A verdict, or the way to it.
#[allow(clippy::large_enum_variant, reason = "one per login, taken apart as soon as it is there")]
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

    /// Lets somebody in by a certificate instead of a password: `attempt` has none. `None` when it does not, and the
    /// password is asked for as if there were no certificate.
    fn by_certificate(&self, attempt: &Attempt, shown: &ShownCertificate) -> Option<Account> {
        let _ = (attempt, shown);
        None
    }
}
