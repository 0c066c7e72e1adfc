//! Foreign clients against the real program: what the tests in `tests/` share.
//!
//! The server is started as a user starts it, and seen only from outside: through clients, the folder that it
//! serves, and what it prints. Not inside: anything of longshore's libraries; no test here may know them.
//!
//! A [`Server`] is one running program with a folder, listeners and passive ports of its own. A [`Case`] is one
//! client's way of connecting to it. Every foreign program runs within a time bound and is killed behind it.
//!
//! Every [`Client`] is asked for every [`Operation`], on every [`Way`] of connecting that it knows; what it cannot do
//! stands with the reason in one table, `gaps`. The results become the tables of docs/interop.md.

#![expect(clippy::print_stderr, reason = "what a failed test shows is the log of its server")]

mod case;
mod certificate;
mod clients;
mod content;
mod control;
mod drivers;
mod example;
mod folder;
mod gaps;
mod namespaces;
mod operations;
mod ports;
mod readme;
mod replay;
mod results;
mod run;
mod secure;
mod server;
mod shell;
mod steps;
mod suite;
pub mod table;
mod tls;
mod wait;
mod wan;
mod way;

pub use case::{Case, each_way};
pub use clients::{Client, Who, is_peer_here};
pub use content::{MODIFIED, assert_same_bytes, date, dated, odd_names, pattern, sizes};
pub use control::{Control, Reply};
pub use example::{Beside, Example, shipped};
pub use folder::Folder;
pub use namespaces::Namespaces;
pub use operations::Operation;
pub use replay::play;
pub use results::recorded;
pub use run::{Finished, Running, run};
pub use secure::{Error, Secure, SecureData};
pub use server::{PASSWORD, Server, Setup, USER};
pub use steps::{Refusal, Step};
pub use suite::check;
pub use tls::{Policy, SecureClient, Security, Version, cells as secure_cells, check_secure};
pub use wait::wait_for;
pub use wan::{End, Failure, Link, Wan};
pub use way::{Family, Mode, Way};
