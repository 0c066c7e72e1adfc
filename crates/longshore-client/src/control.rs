//! The control connection: lines in, commands out, in clear or under TLS.
//!
//! Not inside: what any of it means.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use longshore_net::urgent;
use longshore_proto::limits::REPLY_LINE_LIMIT_BYTES;
use longshore_proto::line;
use longshore_tls::ClientSession;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::limits::REPLIES_READ_BYTES;
use crate::link::Channel;

/// Telnet's IAC IP, then IAC DM, which marks the end of the Synch (RFC 854, RFC 959 section 4.1.3).
const SYNCH: [u8; 4] = [0xFF, 0xF4, 0xFF, 0xF2];

/// The control connection.
pub(crate) struct Control {
    /// `None` while TLS is being begun, and when that failed.
    channel: Option<Channel>,
    pub(crate) lines: line::Buffer,
    unsent: Vec<u8>,
    sent: usize,
    /// What TLS holds back may have to be sent.
    unflushed: bool,
    /// Writing failed: the server may have said why before.
    write_failed: bool,
    room: Box<[u8]>,
}

/// What came on the control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Bytes; the line buffer has them.
    Bytes,
    /// The server will send nothing more.
    End,
    /// The connection is broken.
    Reset,
}

impl Control {
    pub(crate) fn new(socket: TcpStream) -> Control {
        Control {
            channel: Some(Channel::Clear(socket)),
            lines: line::Buffer::new(REPLY_LINE_LIMIT_BYTES),
            unsent: Vec::new(),
            sent: 0,
            unflushed: false,
            write_failed: false,
            room: vec![0; REPLIES_READ_BYTES].into(),
        }
    }

    /// Puts a command behind those that wait to be sent.
    pub(crate) fn send(&mut self, command: &[u8]) {
        self.unsent.extend_from_slice(command);
    }

    /// Sends Telnet's Synch: as urgent data where nothing waits before it, else in its place among the commands, which
    /// servers that look at the connection take as well.
    pub(crate) fn send_synch(&mut self) {
        if let Some(Channel::Clear(socket)) = &self.channel
            && self.sent == self.unsent.len()
            && urgent::send_urgent(socket, &SYNCH).is_ok()
        {
            return;
        }
        self.unsent.extend_from_slice(&SYNCH);
    }

    /// Whether something was to be sent that is still with us.
    pub(crate) fn is_unsent(&self) -> bool {
        self.sent < self.unsent.len() || self.unflushed
    }

    /// Begins TLS; nothing waits to be sent.
    ///
    /// # Errors
    /// Why it did not come about.
    pub(crate) async fn protect(&mut self, tls: &ClientSession) -> Result<(), String> {
        match self.channel.take() {
            Some(Channel::Clear(socket)) => {
                let stream = tls.connect(socket).await.map_err(|error| error.to_string())?;
                self.channel = Some(Channel::Tls(Box::new(stream)));
                Ok(())
            }
            other => {
                self.channel = other;
                Err("the control connection is protected already".to_owned())
            }
        }
    }

    /// Sends what waits and says when something has come. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Arrival {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Arrival> {
        let Some(channel) = &mut self.channel else { return Poll::Ready(Arrival::Reset) };
        if !self.write_failed {
            self.write_failed =
                poll_write(channel, &self.unsent, &mut self.sent, &mut self.unflushed, context).is_err();
        }
        if self.write_failed || self.sent == self.unsent.len() {
            self.unsent.clear();
            self.sent = 0;
        }
        let mut room = ReadBuf::new(&mut self.room);
        match Pin::new(channel).poll_read(context, &mut room) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) if room.filled().is_empty() => Poll::Ready(Arrival::End),
            Poll::Ready(Ok(())) => {
                self.lines.extend(room.filled());
                Poll::Ready(Arrival::Bytes)
            }
            // Many servers end without close_notify, and what they said stands by itself.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Arrival::End)
            }
            Poll::Ready(Err(_)) => Poll::Ready(Arrival::Reset),
        }
    }
}

/// Writes as much as goes.
fn poll_write(
    channel: &mut Channel,
    unsent: &[u8],
    sent: &mut usize,
    unflushed: &mut bool,
    context: &mut Context<'_>,
) -> io::Result<()> {
    while *sent < unsent.len() {
        match Pin::new(&mut *channel).poll_write(context, &unsent[*sent..])? {
            Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(count) => {
                *sent += count;
                *unflushed = true;
            }
            Poll::Pending => break,
        }
    }
    if *unflushed && Pin::new(channel).poll_flush(context)?.is_ready() {
        *unflushed = false;
    }
    Ok(())
}
