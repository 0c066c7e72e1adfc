//! What whoever watches a server learns. The one source for logs, metrics and admin pages.
//!
//! Not inside: how any of it is written down. A password is in no event.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use longshore_accounts::Rejection;
use longshore_path::VirtualPath;
use longshore_proto::command::Representation;
use longshore_proto::reply::Situation;
use longshore_proto::server::{Ending, Protection};
use longshore_proto::verbs::{Direction, Verb};

/// Something happened, in a session or to the server as a whole.
#[derive(Clone, Debug)]
pub struct Event {
    /// In which session; `None` for the server itself.
    pub session: Option<SessionName>,
    /// What.
    pub kind: EventKind,
}

impl Event {
    /// Who is logged in in the session it happened in.
    pub fn account(&self) -> Option<&str> {
        self.session.as_ref()?.account.as_deref()
    }
}

/// Tells one session from the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionName {
    /// Numbers the sessions of a server from 1.
    pub number: u64,
    /// The client's address.
    pub peer: SocketAddr,
    /// Who is logged in.
    pub account: Option<Arc<str>>,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A client connected and was greeted.
    Connected,
    /// The server listens.
    Started {
        /// Where.
        addresses: Vec<SocketAddr>,
    },
    /// Another configuration holds from now on.
    Reloaded,
    /// Another configuration was wanted and cannot be served; the old one still holds.
    ReloadRefused {
        /// What is wrong with it, perhaps over several lines.
        why: String,
    },
    /// The server takes no new sessions and lets transfers finish.
    Draining {
        /// Sessions that are still there.
        sessions: usize,
        /// How long transfers may take.
        grace: Duration,
    },
    /// The server has ended.
    Stopped {
        /// Transfers that were stopped because they did not finish in time.
        cut: usize,
        /// See [`Control::unproved`](crate::Control::unproved).
        unproved: u64,
    },
    /// A client connected and was sent away with this.
    SentAway {
        /// The 421.
        situation: Situation,
    },
    /// TLS protects the control connection from now on.
    Secured {
        /// `TLS 1.2` or `TLS 1.3`.
        version: &'static str,
        /// The cipher suite's name in the registry of TLS.
        cipher_suite: String,
        /// The name that the client connected to.
        server_name: Option<String>,
        /// The subject of the client's certificate.
        certificate: Option<String>,
    },
    /// TLS did not come about on the control connection, or broke there.
    TlsFailed {
        /// By whom and why, and what helps.
        why: String,
    },
    /// A protected data connection did not resume the session of its control connection, which
    /// [`DataSession::Require`](longshore_accounts::DataSession::Require) would have refused. Told once for each session;
    /// [`Control::unproved`](crate::Control::unproved) counts them all.
    DataNotProved {
        /// Why it did not.
        why: String,
    },
    /// A protected upload ended without close_notify and was taken for whole.
    NoCloseNotify {
        /// Its file.
        path: VirtualPath,
    },
    /// Somebody came in.
    LoggedIn,
    /// Somebody did not.
    LoginRefused {
        /// The name that was tried.
        user: Vec<u8>,
        /// The true reason; `None` where the reply says it all.
        reason: Option<Rejection>,
        /// What the peer was told.
        situation: Situation,
    },
    /// Too many logins failed: nobody may come from this address for a while.
    Banned {
        /// The address of the last login that failed; of IPv6 the network of 64 bits around it is banned.
        address: IpAddr,
        /// For how long.
        duration: Duration,
    },
    /// A line of the dialogue, where it is traced.
    Dialogue {
        /// Who said it.
        speaker: Speaker,
        /// The line without its end; what may be a password is left out.
        line: Vec<u8>,
    },
    /// The client told its name (CLNT).
    ClientNamed {
        /// As it said.
        name: Vec<u8>,
    },
    /// A transfer command was answered for good.
    Transfer {
        /// The command.
        verb: Verb,
        /// Which way.
        direction: Direction,
        /// The file or directory.
        path: VirtualPath,
        /// TYPE, which changes the bytes of text.
        representation: Representation,
        /// PROT: whether TLS protected it.
        protection: Protection,
        /// The octet it began at.
        offset: u64,
        /// Bytes moved over the data connection.
        bytes: u64,
        /// From the opening of the file to the answer.
        duration: Duration,
        /// The final answer.
        situation: Situation,
        /// What the system said, where storage failed.
        cause: Option<String>,
    },
    /// A file or directory was changed.
    Changed {
        /// The command.
        verb: Verb,
        /// What it was done to.
        path: VirtualPath,
        /// The new name of a renaming.
        to: Option<VirtualPath>,
    },
    /// Storage failed in a way an operator should know of.
    StorageFailed {
        /// What the system said.
        cause: String,
    },
    /// The system or the configuration left no way to a data connection.
    NetworkFailed {
        /// What the system said, or which ports are in use.
        cause: String,
    },
    /// A session ended.
    Ended {
        /// Why.
        why: Ending,
    },
    /// A fault of this program ended a session.
    Fault {
        /// What the panic said.
        message: String,
    },
}

/// Who said a line of the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// A command.
    Client,
    /// A line of a reply.
    Server,
}

/// Is told what happens. Called from the sessions' tasks: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn observe(&self, event: &Event);
}

/// Tells nobody.
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _event: &Event) {}
}

impl<F: Fn(&Event) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &Event) {
        self(event);
    }
}
