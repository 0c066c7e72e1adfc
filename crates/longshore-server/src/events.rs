//! What whoever watches a server learns. The one source for logs, metrics and admin pages.
//!
//! Not inside: how any of it is written down. A password is in no event.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use longshore_accounts::Rejection;
use longshore_path::VirtualPath;
use longshore_proto::reply::Situation;
use longshore_proto::server::Ending;
use longshore_proto::verbs::{Direction, Verb};

/// Something happened in a session.
#[derive(Clone, Debug)]
pub struct Event {
    /// Numbers the sessions of a server from 1.
    pub session: u64,
    /// The client's address.
    pub peer: SocketAddr,
    /// Who is logged in.
    pub account: Option<Arc<str>>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A client connected and was greeted.
    Connected,
    /// A client connected and was sent away with this.
    SentAway {
        /// The 421.
        situation: Situation,
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
