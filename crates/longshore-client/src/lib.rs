//! The FTP client as a library: one control connection at a time, with everything pipelined that may be.
//!
//! [`connect`] gives a [`Client`], which asks, and a [`Connection`], which carries out. Requests are queued when they are
//! asked for; in block and compressed mode, with [`Ahead`] commands, files follow each other on one data connection
//! without waiting for the network in between.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use longshore_client::{Ahead, Memory, Mode, ModeChoice, Options, Setup};
//!
//! let options = Options {
//!     mode: ModeChoice::Prefer(Mode::Block),
//!     ahead: Ahead { commands: 256, ..Ahead::default() },
//!     ..Options::default()
//! };
//! let address = "192.0.2.1:21".parse()?;
//! let (client, connection) = longshore_client::connect(address, Setup { options, ..Setup::default() }).await?;
//! tokio::spawn(connection.run());
//! client.login("alice", "wonderland").await?;
//! let files: Vec<_> =
//!     ["a", "b", "c"].into_iter().map(|name| client.retrieve(name, Memory::default())).collect();
//! for file in files {
//!     println!("{} octets", file.await?.bytes);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Not inside: the dialogue with the server, which is [`longshore_proto::client`]; TLS, which is [`longshore_tls`]; files
//! of a disk, retries over new connections, and several connections at once.
#![forbid(unsafe_code)]

mod client;
mod connection;
mod control;
mod data;
pub mod limits;
mod link;
mod place;
mod transfer;

pub use client::{
    Client, ConnectError, Error, Moved, Pending, Protected, Readable, Setup, Transfer, TransferError, connect,
};
pub use connection::{Connection, Observer};
pub use place::{Content, Memory, Sink, Source, Step};

pub use longshore_proto::client::{
    Ahead, Answer, ConnectFailure, End, Event, Fate, Features, FileForm, ListForm, Loss, ModeChoice, Options,
    Refusal, Reply, RouteChoice, StoreStart,
};
pub use longshore_proto::command::{Mode, Representation, Structure};
pub use longshore_proto::time::UnixTime;
pub use longshore_tls::{Authorities, ClientSession, ClientTls, ClientTlsError, Trust, Version};
