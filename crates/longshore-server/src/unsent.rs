//! Replies on their way to a client that may not read them.
//!
//! Not inside: how many may wait before no further command is taken, and how long ([`driver`](crate::driver)).

use std::io;
use std::task::{Context, Poll};

use tokio::net::TcpStream;
use tokio::time::Instant;

/// Replies that have not gone out.
#[derive(Default)]
pub(crate) struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
    blocked_since: Option<Instant>,
}

impl Unsent {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(crate) fn clear(&mut self) {
        *self = Unsent::default();
    }

    /// Where the next reply is written, behind those that wait.
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Since when no byte has gone out, if any waits.
    pub(crate) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Writes as much as goes. `Ok` whether or not anything is left; then the context is woken when more goes.
    pub(crate) fn poll_flush(&mut self, stream: &TcpStream, context: &mut Context<'_>) -> io::Result<()> {
        while self.len() > 0 {
            match stream.try_write(&self.bytes[self.sent..]) {
                Ok(count) => {
                    self.sent += count;
                    self.blocked_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.forget_sent();
                    self.blocked_since.get_or_insert_with(Instant::now);
                    match stream.poll_write_ready(context) {
                        Poll::Pending => return Ok(()),
                        Poll::Ready(ready) => ready?,
                    }
                }
                Err(error) => return Err(error),
            }
        }
        // An idle session keeps no buffer.
        self.clear();
        Ok(())
    }

    /// A client that always leaves something unread must not let what it has read pile up.
    fn forget_sent(&mut self) {
        if self.sent > self.len() {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    const REPLY: &[u8] = &[b'x'; 10_000];
    /// More than the kernel ever takes at once.
    const WAITING_BYTES: usize = 1_000_000;

    /// A client that never catches up, through more than the kernel holds.
    #[tokio::test]
    async fn what_was_sent_does_not_pile_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("any port will do");
        let socket = TcpSocket::new_v4().expect("a descriptor is free");
        socket.set_recv_buffer_size(4096).expect("a socket of ours");
        let mut client = socket.connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (server, _) = listener.accept().await.expect("it has connected");

        let mut unsent = Unsent::default();
        let (mut written, mut read) = (0, 0);
        while written < 64 * 1024 * 1024 {
            while unsent.len() < WAITING_BYTES {
                unsent.end().extend_from_slice(REPLY);
                written += REPLY.len();
            }
            poll_fn(|context| Poll::Ready(unsent.poll_flush(&server, context)))
                .await
                .expect("it is connected");
            if unsent.len() > 0 {
                assert!(unsent.blocked_since().is_some());
                let mut bytes = [0; 50_000];
                read += client.read(&mut bytes).await.expect("there is something to read");
            }
            assert!(
                unsent.bytes.len() <= 3 * WAITING_BYTES,
                "{} bytes are held for {}",
                unsent.bytes.len(),
                unsent.len()
            );
        }
        assert!(read > 0, "the client was never behind");
        // Nothing waits, nothing is held.
        let mut bytes = [0; 50_000];
        while unsent.len() > 0 {
            poll_fn(|context| Poll::Ready(unsent.poll_flush(&server, context)))
                .await
                .expect("it is connected");
            read += client.read(&mut bytes).await.expect("there is something to read");
        }
        assert_eq!(unsent.bytes.capacity(), 0);
        assert_eq!(unsent.blocked_since(), None);
        while read < written {
            read += client.read(&mut bytes).await.expect("all of it comes");
        }
        assert_eq!(read, written);
    }
}
