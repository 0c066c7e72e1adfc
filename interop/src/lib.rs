//! Foreign clients against the real program: what the tests in `tests/` share.
//!
//! The server is started as a user starts it, and seen only from outside: through clients, the folder that it
//! serves, and what it prints. Not inside: anything of longshore's libraries; no test here may know them.
//!
//! A [`Server`] is one running program with a folder, listeners and passive ports of its own. A [`Case`] is one
//! client's way of connecting to it. Every foreign program runs within a time bound and is killed behind it.

#![expect(clippy::print_stderr, reason = "what a failed test shows is the log of its server")]

mod case;
mod clients;
mod content;
mod control;
mod folder;
mod ports;
mod results;
mod run;
mod server;
mod wait;

pub use case::{Case, each_way};
pub use clients::{Client, Family, Mode, Way, Who, is_peer_here};
pub use content::{assert_same_bytes, odd_names, pattern, sizes};
pub use control::{Control, Reply};
pub use folder::Folder;
pub use results::recorded;
pub use run::{Finished, Running, run};
pub use server::{PASSWORD, Server, USER};
pub use wait::wait_for;
