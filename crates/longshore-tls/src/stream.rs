//! A TLS connection over a socket, made for transfers: large reads, large writes, and an end that the peer can trust.
//!
//! Not inside: control connections, whose loop moves the bytes of a [`TlsConnection`] itself, and time limits: every
//! wait is ended by dropping its future.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;

use crate::connection::{Facts, Stage, TlsConnection, Wire};
use crate::error::TlsError;
use crate::limits::{
    COALESCE_BYTES, FIRST_READ_BYTES, HANDSHAKE_READ_BYTES, LARGE_READ_BYTES, READ_BYTES, WRITE_BYTES,
};
use crate::policy::Version;
use crate::session::Resumption;

/// What TLS needs of a socket. A dropped future has read or written nothing.
pub trait Socket: Send {
    /// Reads once into the spare capacity of `buffer`, which is never empty and never grows; 0 is the end.
    fn read(&mut self, buffer: &mut Vec<u8>) -> impl Future<Output = io::Result<usize>> + Send;

    /// Writes once and says how many bytes were taken.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>> + Send;

    /// Ends our direction.
    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

impl Socket for TcpStream {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let stream = &*self;
        stream
            .async_io(Interest::READABLE, || {
                let read = || recv(stream, spare_capacity(buffer), RecvFlags::empty());
                Ok(rustix::io::retry_on_intr(read)?.0)
            })
            .await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.async_io(Interest::WRITABLE, || self.try_write(bytes)).await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_shutdown(context)).await
    }
}

/// How [`TlsStream::drain`] came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// The peer has ended its direction.
    ToTheEnd,
    /// It has sent more than was asked for.
    TooMuch,
}

/// A TLS connection over a socket.
///
/// Dropping it closes the socket without close_notify, which tells the peer that what it has may be cut.
pub struct TlsStream<S> {
    connection: TlsConnection,
    socket: S,
    wire: Wire,
    /// The size of the next read.
    read_bytes: usize,
    /// What went wrong behind the bytes that were given out last.
    behind: Option<TlsError>,
}

impl<S: Socket> TlsStream<S> {
    /// A connection whose handshake has not begun, or has been done without a socket.
    pub fn new(connection: TlsConnection, socket: S) -> TlsStream<S> {
        TlsStream { connection, socket, wire: Wire::default(), read_bytes: FIRST_READ_BYTES, behind: None }
    }

    /// Does the handshake, or the rest of it.
    ///
    /// Cancel-safe: a dropped future may be followed by another.
    ///
    /// # Errors
    /// [`TlsError`]; the peer has been sent an alert, as far as its socket takes it at once.
    pub async fn handshake(&mut self) -> Result<&Facts, TlsError> {
        loop {
            let mut nothing = Vec::new();
            let taken = self.connection.take(&mut nothing, &mut self.wire);
            self.told(taken).await?;
            if self.connection.stage() != Stage::Handshake {
                break;
            }
            self.flush().await?;
            self.fill(HANDSHAKE_READ_BYTES).await?;
        }
        // Tickets of TLS 1.3 can go out with the first data; the client waits for what TLS 1.2 says last.
        if self.version() != Some(Version::Tls13) {
            self.flush().await?;
        }
        self.connection.release();
        self.connection.facts().ok_or(TlsError::Over)
    }

    /// What the handshake has agreed on, once it is complete.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.connection.facts()
    }

    /// Whether this data connection belongs to its control session.
    #[must_use]
    pub fn resumption(&self) -> Option<&Resumption> {
        self.connection.resumption()
    }

    /// Reads into the spare capacity of `buffer`, which never grows, and says how many bytes were appended; 0 is the
    /// peer's close_notify: what came is whole.
    ///
    /// Cancel-safe: a dropped future has lost nothing.
    ///
    /// # Errors
    /// [`TlsError::EndWithoutCloseNotify`] for an orderly end of the connection that TLS knows nothing of;
    /// [`TlsError::Io`] for a reset; [`TlsError::Alert`]; `InvalidInput` if `buffer` has no spare capacity.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<usize, TlsError> {
        if buffer.capacity() == buffer.len() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "the buffer has no spare capacity");
            return Err(error.into());
        }
        let before = buffer.len();
        loop {
            let taken = match self.behind.take() {
                Some(error) => Err(error),
                None => self.connection.take(buffer, &mut self.wire),
            };
            if buffer.len() > before {
                // An error behind it comes with the next call.
                self.behind = taken.err();
                return Ok(buffer.len() - before);
            }
            self.told(taken).await?;
            match self.connection.stage() {
                Stage::Ended => return Ok(0),
                Stage::Open => {}
                Stage::Handshake | Stage::Failed => return Err(TlsError::Over),
            }
            // Answers of TLS itself, such as a change of keys, are small and seldom.
            self.flush().await?;
            if self.fill(self.read_bytes).await? >= self.read_bytes / 2 {
                self.read_bytes = if self.read_bytes < READ_BYTES { READ_BYTES } else { LARGE_READ_BYTES };
            }
        }
    }

    /// Takes bytes to be sent, at least one unless there is none, and says how many. They are encrypted and go to the
    /// socket with this call, a later one, or [`TlsStream::flush`].
    ///
    /// Cancel-safe: a dropped future has taken nothing.
    ///
    /// # Errors
    /// [`TlsError`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, TlsError> {
        if self.wire.unsent().len() > COALESCE_BYTES {
            self.flush().await?;
        }
        let count = bytes.len().min(WRITE_BYTES);
        self.connection.encrypt(&bytes[..count], &mut self.wire)?;
        Ok(count)
    }

    /// Takes all of `bytes` and sends them.
    ///
    /// A dropped future has sent some prefix, and nobody knows which.
    ///
    /// # Errors
    /// [`TlsError`].
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), TlsError> {
        while !bytes.is_empty() {
            let count = self.write(bytes).await?;
            bytes = &bytes[count..];
        }
        self.flush().await
    }

    /// Sends some of what was taken, by one write; whether something is left. Cancel-safe.
    ///
    /// # Errors
    /// [`TlsError::Io`].
    pub async fn flush_some(&mut self) -> Result<bool, TlsError> {
        if !self.wire.unsent().is_empty() {
            let count = self.socket.write(self.wire.unsent()).await?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            self.wire.sent(count);
        }
        Ok(!self.wire.unsent().is_empty())
    }

    /// Sends what was taken. Cancel-safe.
    ///
    /// # Errors
    /// [`TlsError::Io`].
    pub async fn flush(&mut self) -> Result<(), TlsError> {
        while self.flush_some().await? {}
        Ok(())
    }

    /// Sends what was taken, then close_notify, and ends our direction. The peer knows then that it has everything;
    /// reading and [`TlsStream::drain`] stay possible. Memory of writing is given back.
    ///
    /// # Errors
    /// [`TlsError`].
    pub async fn finish(&mut self) -> Result<(), TlsError> {
        self.connection.queue_close_notify(&mut self.wire)?;
        self.flush().await?;
        self.wire.release();
        self.socket.shutdown().await?;
        Ok(())
    }

    /// Sends close_notify but leaves the socket open, for an upload whose end has come.
    ///
    /// # Errors
    /// [`TlsError`].
    pub async fn close_notify(&mut self) -> Result<(), TlsError> {
        self.connection.queue_close_notify(&mut self.wire)?;
        self.flush().await
    }

    /// Reads away what the peer still sends, at most `limit_bytes`, so that closing does not reset the connection
    /// under what it has not read yet.
    ///
    /// # Errors
    /// [`TlsError::Io`].
    pub async fn drain(&mut self, limit_bytes: usize) -> Result<Drained, TlsError> {
        let mut buffer = Vec::with_capacity(FIRST_READ_BYTES);
        let mut drained = 0;
        while drained <= limit_bytes {
            buffer.clear();
            match self.socket.read(&mut buffer).await? {
                0 => return Ok(Drained::ToTheEnd),
                count => drained += count,
            }
        }
        Ok(Drained::TooMuch)
    }

    /// Gives back the memory that a transfer needed; what has come and what is unsent is kept.
    pub fn release(&mut self) {
        self.connection.release();
        self.wire.release();
        self.read_bytes = FIRST_READ_BYTES;
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// The socket alone, for ways to close it that only it knows. What was not flushed is lost.
    #[must_use]
    pub fn into_socket(self) -> S {
        self.socket
    }

    fn version(&self) -> Option<Version> {
        self.facts().map(|facts| facts.version)
    }

    /// Reads once from the socket.
    async fn fill(&mut self, most: usize) -> Result<usize, TlsError> {
        let incoming = self.connection.incoming(most)?;
        let within_record = !incoming.is_empty();
        match self.socket.read(incoming).await? {
            0 if self.connection.stage() == Stage::Handshake => Err(TlsError::ClosedInHandshake),
            // Nobody ends there on purpose: this one was cut, whatever is made of an end without close_notify.
            0 if within_record => Err(TlsError::Protocol("the connection ended within a record".into())),
            0 => Err(TlsError::EndWithoutCloseNotify),
            count => Ok(count),
        }
    }

    /// Hands on `result`; before an error the peer is told by the alert, if its socket takes it without waiting.
    async fn told<T>(&mut self, result: Result<T, TlsError>) -> Result<T, TlsError> {
        if result.is_err() && !self.wire.unsent().is_empty() {
            let socket = &mut self.socket;
            let wire = &mut self.wire;
            let mut write = pin!(socket.write(wire.unsent()));
            // Whoever does not read its alert is not waited for.
            std::future::poll_fn(|context| {
                let _ = write.as_mut().poll(context);
                Poll::Ready(())
            })
            .await;
        }
        result
    }
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("connection", &self.connection).finish_non_exhaustive()
    }
}
