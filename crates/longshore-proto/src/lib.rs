//! FTP as values and state machines (RFC 959, 1123, 2389, 2428, 2577, 3659, 4217).
//!
//! Not inside: sockets, files, clocks, TLS, threads, async, configuration files. Time comes in as a
//! [`Moment`](server::Moment); files, accounts and connections are asked for by [`Output`](server::Output) and
//! answered by [`Input`](server::Input). What a peer sends is never trusted and never causes a panic.
//!
//! Where to look: a line becomes a [`command::Command`] by the one table [`verbs::VERBS`]; the
//! [`server::Session`] decides what happens; every answer is a [`reply::Situation`] with one code and one text. What TYPE,
//! STRU and MODE make of a file is in [`transmission`].

pub mod address;
pub mod ascii;
pub mod client;
pub mod command;
pub mod ebcdic;
pub mod limits;
pub mod line;
pub mod listing;
pub mod reply;
pub mod server;
pub mod time;
pub mod transmission;
pub mod verbs;
