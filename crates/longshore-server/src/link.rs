//! A data connection that stands, in clear or protected by TLS, and the ways in which it ends.
//!
//! Not inside: how it came about ([`data`](crate::data)), and what its bytes are ([`transfer`](crate::transfer)).

use std::io;

use longshore_net::DataSocket;
use longshore_proto::server::End;
use longshore_proto::verbs::Direction;
use longshore_tls::{Socket, TlsError, TlsStream};

/// A data connection.
pub(crate) enum Link {
    /// In clear.
    Clear(DataSocket),
    /// Protected; its handshake is complete, and its client is whom the rules take it for.
    Tls(Box<TlsStream<Wire>>),
}

/// The socket below TLS.
pub(crate) struct Wire(pub(crate) DataSocket);

impl Socket for Wire {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        self.0.read(buffer).await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

/// Why a data connection is of no use any more.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) end: End,
    pub(crate) cause: String,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken { end: End::Reset, cause: error.to_string() }
    }
}

impl From<TlsError> for Broken {
    fn from(error: TlsError) -> Broken {
        let end = match &error {
            TlsError::Io(_) => End::Reset,
            TlsError::EndWithoutCloseNotify => End::NoCloseNotify,
            _ => End::TlsBroken,
        };
        Broken { end, cause: error.to_string() }
    }
}

impl Link {
    /// Reads once into the spare capacity of `buffer`; 0 is the end of what the client sends. Cancel-safe.
    pub(crate) async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Broken> {
        Ok(match self {
            Link::Clear(socket) => socket.read(buffer).await?,
            Link::Tls(stream) => stream.read(buffer).await?,
        })
    }

    /// Writes some of `bytes` and says how many; what is counted has gone to the kernel, all of it. A dropped future
    /// may have written more: then only the end of the connection may follow.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        match self {
            Link::Clear(socket) => Ok(socket.write(bytes).await?),
            Link::Tls(stream) => {
                let count = stream.write(bytes).await?;
                stream.flush().await?;
                Ok(count)
            }
        }
    }

    /// The socket, for copies inside the kernel.
    pub(crate) fn clear(&mut self) -> Option<&mut DataSocket> {
        match self {
            Link::Clear(socket) => Some(socket),
            Link::Tls(_) => None,
        }
    }

    /// Ends our direction so that the client knows it has everything. Cancel-safe as far as the end is concerned: it
    /// may be asked for again.
    pub(crate) async fn finish(&mut self) -> Result<(), Broken> {
        match self {
            Link::Clear(socket) => socket.shutdown().await?,
            Link::Tls(stream) => stream.finish().await?,
        }
        Ok(())
    }

    /// Closes it. In order when all is through; else by a reset, so that no client takes a part for the whole. A client
    /// whose upload we could not store is heard out for a while, so that it comes to read why.
    pub(crate) fn close(self, end: End, direction: Direction) {
        match (end, direction, self) {
            (End::Complete, Direction::Send, Link::Clear(socket)) => {
                socket.drain_in_background();
            }
            // Our direction is ended, and the client's close_notify has yet to come: it must not meet a reset, which
            // would take from the client what it has not read.
            (End::Complete, Direction::Send, Link::Tls(stream)) => {
                stream.into_socket().0.discard_in_background();
            }
            (End::Complete, Direction::Receive, Link::Clear(socket)) => drop(socket),
            // Its close_notify has come; its FIN may be under way, or wait for ours.
            (End::Complete, Direction::Receive, Link::Tls(stream)) => {
                stream.into_socket().0.discard_in_background();
            }
            (End::Storage(_), Direction::Receive, link) => {
                link.into_socket().discard_in_background();
            }
            (_, _, link) => link.into_socket().abort(),
        }
    }

    fn into_socket(self) -> DataSocket {
        match self {
            Link::Clear(socket) => socket,
            Link::Tls(stream) => stream.into_socket().0,
        }
    }
}
