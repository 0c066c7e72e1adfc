//! The client against a real server over real sockets, and against servers that misbehave.
//!
//! Not inside: what the dialogue decides, which is tested without sockets where it is.

mod common;
mod pipelined;
mod protected;
mod scripted;
mod transfers;
