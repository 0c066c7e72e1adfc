//! A whole server around a [`Session`](longshore_proto::server::Session), without sockets, disks or clocks: a
//! driver that carries out every output in memory, a client that connects (or does not), and a judge who watches
//! the invariants at each step.
//!
//! Not inside: any test.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test program uses its own part of the world"
)]

mod files;
mod guard;
mod judge;
mod known;
mod model;
mod script;
mod world;

pub use files::{Files, Node};
pub use judge::Judge;
pub use known::Kind;
pub use script::{Scene, check, check_logged_in, logged_in};
pub use world::{Client, Ended, Handshake, Said, Tamper, Work, World};
