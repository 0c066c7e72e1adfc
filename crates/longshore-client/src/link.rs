//! A data connection that stands, in clear or under TLS, and the ways in which it ends.
//!
//! Not inside: how it came about ([`data`](crate::data)), and what its bytes are ([`transfer`](crate::transfer)).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use longshore_tls::{ClientSession, ClientStream, ClientTlsError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::limits::{DATA_LINGER, DATA_LINGER_BYTES, DATA_LINGERS_AT_ONCE, DATA_READ_BYTES};

/// A connection in clear or under TLS.
#[derive(Debug)]
pub(crate) enum Channel {
    Clear(TcpStream),
    Tls(Box<ClientStream>),
}

impl Channel {
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Channel::Clear(socket) => socket,
            Channel::Tls(stream) => stream.socket(),
        }
    }
}

impl AsyncRead for Channel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Channel::Clear(socket) => Pin::new(socket).poll_read(context, buffer),
            Channel::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Channel::Clear(socket) => Pin::new(socket).poll_write(context, bytes),
            Channel::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Channel::Clear(socket) => Pin::new(socket).poll_flush(context),
            Channel::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Channel::Clear(socket) => Pin::new(socket).poll_shutdown(context),
            Channel::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// Closings in order that go on in the background.
static LINGERS: Semaphore = Semaphore::const_new(DATA_LINGERS_AT_ONCE);

/// A data connection.
///
/// Dropped, it is reset, unless our direction was ended in order before: whoever drops it half-way, be it with the whole
/// client, leaves no part that looks like a file.
#[derive(Debug)]
pub(crate) struct Link {
    /// `None` only while it changes hands.
    channel: Option<Channel>,
    /// What was read; from `start` on it is not taken yet.
    buffer: Vec<u8>,
    start: usize,
    /// The server will send nothing more.
    ended: bool,
    /// Our direction is ended, or may be by closing.
    in_order: bool,
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(channel) = &self.channel
            && !self.in_order
        {
            // It fails only for one that is reset already.
            let _ = channel.socket().set_zero_linger();
        }
    }
}

impl Link {
    pub(crate) fn new(socket: TcpStream) -> Link {
        Link::over(Channel::Clear(socket))
    }

    fn over(channel: Channel) -> Link {
        Link { channel: Some(channel), buffer: Vec::new(), start: 0, ended: false, in_order: false }
    }

    fn channel(&mut self) -> &mut Channel {
        self.channel.as_mut().expect("it is taken only by what consumes the link")
    }

    pub(crate) fn is_protected(&self) -> bool {
        matches!(self.channel, Some(Channel::Tls(_)))
    }

    /// Does the handshake.
    pub(crate) async fn protect(mut self, tls: &ClientSession) -> Result<Link, ClientTlsError> {
        if self.is_protected() {
            return Ok(self);
        }
        if !self.buffer.is_empty() {
            let why = io::Error::new(io::ErrorKind::InvalidData, "the server sent bytes in clear before it");
            return Err(ClientTlsError::Handshake(why));
        }
        let Some(Channel::Clear(socket)) = self.channel.take() else { return Ok(self) };
        let stream = tls.connect(socket).await?;
        Ok(Link::over(Channel::Tls(Box::new(stream))))
    }

    /// What was read and is not taken.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    pub(crate) fn take(&mut self, count: usize) {
        self.start += count;
        if self.start >= self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
    }

    /// Reads once, when everything that was read before is taken; 0 is the end. Cancel-safe.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        self.buffer.reserve(DATA_READ_BYTES);
        let channel = self.channel.as_mut().expect("it is taken only by what consumes the link");
        let count = channel.read_buf(&mut self.buffer).await?;
        self.ended = count == 0;
        Ok(count)
    }

    /// Waits, between transfers, for the server to end it with nothing before the end. Bytes that come meanwhile are the
    /// next transfer's; then there is nothing to wait for.
    pub(crate) fn poll_dead(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.unread().is_empty() {
            return Poll::Pending;
        }
        if self.ended {
            return Poll::Ready(());
        }
        // The next transfer may be long in coming.
        self.buffer = Vec::new();
        let mut room = [0; 1024];
        let mut room = ReadBuf::new(&mut room);
        let read = ready!(Pin::new(self.channel()).poll_read(context, &mut room));
        self.buffer.extend_from_slice(room.filled());
        if read.is_err() || room.filled().is_empty() {
            self.ended = true;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Writes some. Cancel-safe as far as it goes: what was written is not known then, and only the end may follow.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.channel().write(bytes).await
    }

    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.channel().flush().await
    }

    /// Ends our direction, so that the server knows it has everything, or that we have.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        self.channel().shutdown().await?;
        self.in_order = true;
        Ok(())
    }

    /// Closes it in order. The server may not have read everything yet, and a reset, which our kernel answers unread bytes
    /// of its with, would take it from it: so they are read away for a while.
    pub(crate) fn let_go(mut self) {
        self.in_order = true;
        if self.ended && !self.is_protected() {
            return;
        }
        // Where too many linger already, closing has to do.
        let Ok(permit) = LINGERS.try_acquire() else { return };
        tokio::spawn(async move {
            // Nobody waits for it.
            let _ = tokio::time::timeout(DATA_LINGER, self.linger()).await;
            drop(permit);
        });
    }

    async fn linger(&mut self) -> io::Result<()> {
        self.channel().shutdown().await?;
        let mut room = [0; 4096];
        let mut read = 0;
        while read < DATA_LINGER_BYTES {
            match self.channel().read(&mut room).await? {
                0 => break,
                count => read += count,
            }
        }
        Ok(())
    }

    /// Closes it by a reset, and under TLS without close_notify: nobody takes what was sent for a whole file.
    pub(crate) fn reset(mut self) {
        self.in_order = false;
    }
}
