//! The FTP server as a library: give it listeners, accounts and trees of files, and await it.
//!
//! Not inside: the command line, configuration files, standard output, HTTP. What happens is told through
//! [`Observer`]; what is said and when is decided in `longshore-proto`; this crate carries it out.
//!
//! [`Server`] is the whole, [`Control`] exchanges its configuration and ends it; each session is one task, whose `driver` hands what happens to a
//! [`Session`](longshore_proto::server::Session) and carries out what it asks for; `convert` turns files and
//! accounts into the session's words; `data` holds its data connection; `transfer` moves the bytes.
//!
//! See `examples/embed` for a server of an in-memory tree in a few lines.

pub mod limits;

mod bandwidth;
mod config;
mod convert;
mod data;
mod defence;
mod driver;
mod events;
mod link;
mod listener;
mod seats;
mod secure;
mod server;
mod trace;
mod transfer;
mod unsent;
mod work;

pub use config::{Config, Deflate, Limits, Rates, Tls, TlsOffer, Trees};
pub use events::{Event, EventKind, Observer, SessionName, Silent, Speaker};
pub use listener::{ListenerOptions, ListenerTls, Listeners};
pub use server::{Control, ServeError, Server, run};
pub use trace::Trace;

pub use longshore_accounts as accounts;
pub use longshore_net::ListenError;
pub use longshore_path as path;
pub use longshore_proto::transmission::{ExpansionLimit, Level};
pub use longshore_proto::{
    command::Representation,
    reply,
    server::Ending,
    server::{Policy, Protection},
    verbs,
};
pub use longshore_storage as storage;
pub use longshore_tls as tls;
