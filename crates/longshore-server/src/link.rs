//! A data connection that stands, in clear or protected by TLS, and the ways in which it ends.
//!
//! Not inside: how it came about ([`data`](crate::data)), and what its bytes are ([`transfer`](crate::transfer)).

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use longshore_net::DataSocket;
use longshore_proto::server::End;
use longshore_proto::verbs::Direction;
use longshore_tls::{Socket, TlsError, TlsStream};

use crate::limits::{KEPT_READ_BYTES, LINGER};

/// A data connection.
pub(crate) struct Link {
    channel: Channel,
    /// What was read and belongs to the next transfer.
    unread: Vec<u8>,
}

enum Channel {
    Clear(DataSocket),
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
    /// One in clear.
    pub(crate) fn in_clear(socket: DataSocket) -> Link {
        Link { channel: Channel::Clear(socket), unread: Vec::new() }
    }

    /// A protected one: its handshake is complete, and its client is whom the rules take it for.
    pub(crate) fn protected(stream: TlsStream<Wire>) -> Link {
        Link { channel: Channel::Tls(Box::new(stream)), unread: Vec::new() }
    }

    /// Gives back the memory of the transfer that is over: the next one may be long in coming.
    pub(crate) fn rest(&mut self) {
        if let Channel::Tls(stream) = &mut self.channel {
            stream.release();
        }
    }

    /// Leaves bytes that were read to the next transfer.
    pub(crate) fn unread(&mut self, bytes: Vec<u8>) {
        self.unread = bytes;
    }

    /// What the transfer before has read of this one.
    pub(crate) fn take_unread(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unread)
    }

    /// Closes one that was kept and is not wanted any more. The client may be sending, or wait to be told why: what it
    /// sends is read away for a while.
    pub(crate) fn let_go(self) {
        match self.channel {
            Channel::Clear(socket) => {
                socket.discard_in_background();
            }
            Channel::Tls(mut stream) => {
                tokio::spawn(async move {
                    // Whoever does not read it has not waited for it.
                    let _ = tokio::time::timeout(LINGER, stream.finish()).await;
                    stream.into_socket().0.discard_in_background();
                });
            }
        }
    }

    /// Whether the client has ended it, or broken it, and nothing of what it sent before is left.
    pub(crate) fn is_dead(&mut self) -> bool {
        if !self.unread.is_empty() {
            return false;
        }
        let stream = match &mut self.channel {
            Channel::Clear(socket) => return socket.is_dead(),
            Channel::Tls(stream) => stream,
        };
        // Only TLS itself knows whether what has come is close_notify; what is no end is left to the next transfer.
        let mut come = Vec::with_capacity(KEPT_READ_BYTES);
        let mut context = Context::from_waker(Waker::noop());
        let read = pin!(stream.read(&mut come)).poll(&mut context);
        self.unread = come;
        match read {
            Poll::Pending => {
                self.unread = Vec::new();
                false
            }
            Poll::Ready(read) => !matches!(read, Ok(1..)),
        }
    }

    /// Reads once into the spare capacity of `buffer`; 0 is the end of what the client sends. Cancel-safe.
    pub(crate) async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Broken> {
        Ok(match &mut self.channel {
            Channel::Clear(socket) => socket.read(buffer).await?,
            Channel::Tls(stream) => stream.read(buffer).await?,
        })
    }

    /// Takes some of `bytes` and says how many. In clear they have gone to the kernel, and a dropped future has written
    /// nothing; in TLS they go with [`flush`](Link::flush), and before that only the end of the connection may follow.
    /// Where it `closes` at once behind them, they may wait for that.
    pub(crate) async fn write(&mut self, bytes: &[u8], closes: bool) -> Result<usize, Broken> {
        Ok(match &mut self.channel {
            Channel::Clear(socket) if closes => socket.write_last(bytes).await?,
            Channel::Clear(socket) => socket.write(bytes).await?,
            Channel::Tls(stream) => stream.write(bytes).await?,
        })
    }

    /// Has one more piece of what was taken go to the kernel; whether that was not all yet.
    pub(crate) async fn flush(&mut self) -> Result<bool, Broken> {
        Ok(match &mut self.channel {
            Channel::Clear(_) => false,
            Channel::Tls(stream) => stream.flush_some().await?,
        })
    }

    /// The socket, for copies inside the kernel.
    pub(crate) fn clear(&mut self) -> Option<&mut DataSocket> {
        match &mut self.channel {
            Channel::Clear(socket) => Some(socket),
            Channel::Tls(_) => None,
        }
    }

    /// Ends our direction so that the client knows it has everything. Cancel-safe as far as the end is concerned: it
    /// may be asked for again.
    pub(crate) async fn finish(&mut self) -> Result<(), Broken> {
        match &mut self.channel {
            Channel::Clear(socket) => socket.shutdown().await?,
            Channel::Tls(stream) => stream.finish().await?,
        }
        Ok(())
    }

    /// Closes it. In order when all is through; else by a reset, so that no client takes a part for the whole. A client
    /// whose upload we could not store is heard out for a while, so that it comes to read why.
    pub(crate) fn close(self, end: End, direction: Direction) {
        match (end, direction, self.channel) {
            (End::Complete, Direction::Send, Channel::Clear(socket)) => {
                socket.drain_in_background();
            }
            // Our direction is ended, and the client's close_notify has yet to come: it must not meet a reset, which
            // would take from the client what it has not read.
            (End::Complete, Direction::Send, Channel::Tls(stream)) => {
                stream.into_socket().0.discard_in_background();
            }
            (End::Complete, Direction::Receive, Channel::Clear(socket)) => drop(socket),
            // Its close_notify has come; its FIN may be under way, or wait for ours.
            (End::Complete, Direction::Receive, Channel::Tls(stream)) => {
                stream.into_socket().0.discard_in_background();
            }
            (End::Storage(_), Direction::Receive, channel) => {
                channel.into_socket().discard_in_background();
            }
            (_, _, channel) => channel.into_socket().abort(),
        }
    }
}

impl Channel {
    fn into_socket(self) -> DataSocket {
        match self {
            Channel::Clear(socket) => socket,
            Channel::Tls(stream) => stream.into_socket().0,
        }
    }
}
