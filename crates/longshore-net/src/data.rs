//! A data connection: reading, writing, zero copy, and the ways to end it.
//!
//! Not inside: whose connection it is (see [`crate::passive`]), what its bytes mean, TLS, and time
//! limits: every wait here is without limit and is ended by dropping its future.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, sockopt};
use tokio::io::Interest;
use tokio::sync::Semaphore;

use crate::reactor::Registered;
use crate::{limits, patience};

/// Drains running in this process.
static DRAINS: Semaphore = Semaphore::const_new(limits::DRAINS_AT_ONCE);

/// A connected data connection over a plain non-blocking descriptor with `TCP_NODELAY`.
///
/// It is registered with the reactor when a call would block for the first time, not before; from
/// then on it belongs to that runtime. Dropping it closes it in order, unless the peer has sent
/// bytes that nobody read: then the kernel resets the connection and the peer may lose what it has
/// not read yet. [`DataSocket::drain_in_background`] prevents that, [`DataSocket::abort`] enforces
/// it.
///
/// Writing with [`DataSocket::send_file`] to a peer that is gone raises `SIGPIPE`, which Rust
/// programs ignore from the start.
#[derive(Debug)]
pub struct DataSocket {
    // Declared first: the reactor lets go of the descriptor before it is closed.
    registered: Option<Registered>,
    descriptor: Arc<OwnedFd>,
    peer: SocketAddr,
    local: SocketAddr,
}

/// How [`DataSocket::drain_in_background`] ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Nothing was unread; the connection is closed.
    AtOnce,
    /// Our direction is ended, and a background task reads away what the peer sends.
    Draining,
    /// There was something unread, but [`limits::DRAINS_AT_ONCE`] drains run already; the
    /// connection is closed, and the peer may see a reset.
    TooMany,
}

impl DataSocket {
    /// Wraps a connected, non-blocking descriptor whose `TCP_NODELAY` is set.
    pub(crate) fn new(descriptor: OwnedFd, peer: SocketAddr, local: SocketAddr) -> Self {
        Self { registered: None, descriptor: Arc::new(descriptor), peer, local }
    }

    /// As [`DataSocket::new`] for a descriptor that had to wait for its connection.
    pub(crate) fn with_registration(
        registered: Registered,
        descriptor: Arc<OwnedFd>,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Self {
        Self { registered: Some(registered), descriptor, peer, local }
    }

    /// The peer's address, in its plain form.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Our address, in its plain form.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether the connection has ended before it carried a byte: the peer sent FIN with nothing
    /// before it, or the connection failed. Bytes that wait to be read make it alive, whatever
    /// follows them.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        let mut byte = [0; 1];
        match rustix::io::retry_on_intr(|| recv(&self.descriptor, &mut byte, RecvFlags::PEEK)) {
            Ok((_, 0)) => true,
            Ok(_) | Err(Errno::AGAIN) => false,
            Err(_) => true,
        }
    }

    /// Whether bytes of the peer wait to be read. `false` too when the kernel does not tell.
    #[must_use]
    pub fn unread(&self) -> bool {
        rustix::io::ioctl_fionread(&self.descriptor).is_ok_and(|bytes| bytes > 0)
    }

    /// Reads once into the spare capacity of `buffer`, which it never grows, and says how many
    /// bytes were appended; 0 is the end of what the peer sends.
    ///
    /// Cancel-safe: a dropped future has read nothing.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `buffer` has no spare capacity (a read of nothing would look like the
    /// end); else those of `recv`, such as `ConnectionReset`.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        if buffer.capacity() == buffer.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the buffer has no spare capacity"));
        }
        self.perform(Interest::READABLE, |descriptor| {
            recv(descriptor, spare_capacity(buffer), RecvFlags::empty()).map(|(length, _)| length)
        })
        .await
    }

    /// Writes once and says how many bytes the kernel took: at least one, unless `bytes` is empty.
    ///
    /// Cancel-safe: a dropped future has written nothing.
    ///
    /// # Errors
    ///
    /// Those of `send`, such as `ConnectionReset` and `BrokenPipe`.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.perform(Interest::WRITABLE, |descriptor| send(descriptor, bytes, SendFlags::NOSIGNAL)).await
    }

    /// As [`DataSocket::write`], for bytes after which the connection is closed at once: the end goes
    /// out with them, so that the peer is woken once and not twice.
    ///
    /// # Errors
    ///
    /// As [`DataSocket::write`].
    pub async fn write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::NOSIGNAL | SendFlags::MORE;
        self.perform(Interest::WRITABLE, |descriptor| send(descriptor, bytes, flags)).await
    }

    /// Writes all of `bytes`.
    ///
    /// A dropped future has written some prefix of `bytes`, and nobody knows which: what may follow
    /// is only the end of the connection. Whoever must go on uses [`DataSocket::write`].
    ///
    /// # Errors
    ///
    /// As [`DataSocket::write`].
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = self.write(rest).await?;
            rest = rest.get(written..).expect("send takes no more than it is given");
        }
        Ok(())
    }

    /// Sends up to `count` bytes (at least 1) of `file` from `offset` on without copying them
    /// through this process, moves `offset` past what was sent, and says how much that was; 0 is
    /// the end of the file. One successful system call; the rest is up to the caller.
    ///
    /// Waiting for the peer costs nothing, but pages of the file that are not in memory are read
    /// while the thread waits: keep `count` near 256 KiB to 1 MiB and read ahead where the disk is
    /// slow.
    ///
    /// Cancel-safe: a dropped future has sent nothing and left `offset` as it was.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `count` is 0, or if the kernel cannot send this kind of file (the caller
    /// reads and writes instead); else those of `sendfile`, of the file as well as of the
    /// connection.
    pub async fn send_file(
        &mut self,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> io::Result<usize> {
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "sending 0 bytes looks like the end"));
        }
        self.perform(Interest::WRITABLE, |descriptor| {
            rustix::fs::sendfile(descriptor, file, Some(&mut *offset), count)
        })
        .await
    }

    /// Holds back segments that are not full (`TCP_CORK`), or lets them go at once. To be set
    /// around a header and a [`DataSocket::send_file`], and taken back at the end.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt`.
    pub fn set_cork(&self, cork: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_cork(&self.descriptor, cork)?)
    }

    /// Ends our direction (FIN behind everything written). Reading stays possible.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer has reset the connection.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.descriptor, Shutdown::Write)?)
    }

    /// Closes the connection at the end of a download.
    ///
    /// If the peer has sent bytes, closing would reset the connection, and a reset makes the peer's
    /// kernel throw away what the peer has not read yet: a whole download would arrive cut. So our
    /// direction is ended, and a task reads the peer's bytes away until it ends its direction too,
    /// for at most [`limits::DRAIN_TIME`] and [`limits::DRAIN_BYTES`]. Without unread bytes the
    /// connection is closed at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its clock enabled.
    pub fn drain_in_background(self) -> Closing {
        if !self.unread() {
            return Closing::AtOnce;
        }
        self.discard_in_background()
    }

    /// Closes the connection of an upload that we cannot store, while the peer may still be
    /// writing: what it writes is read away as in [`DataSocket::drain_in_background`], so that it
    /// comes to read the reply that says why instead of failing at its next write.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its clock enabled.
    pub fn discard_in_background(mut self) -> Closing {
        let Ok(permit) = DRAINS.try_acquire() else {
            return Closing::TooMany;
        };
        tokio::spawn(async move {
            // The only caller is gone; an error here has the same end as success.
            let _ = tokio::time::timeout(limits::DRAIN_TIME, self.drain()).await;
            drop(self);
            drop(permit);
        });
        Closing::Draining
    }

    async fn drain(&mut self) -> io::Result<()> {
        self.shutdown().await?;
        let mut buffer = Vec::with_capacity(limits::DRAIN_BUFFER_BYTES);
        let mut drained = 0;
        while drained < limits::DRAIN_BYTES {
            buffer.clear();
            match self.read(&mut buffer).await? {
                0 => break,
                length => drained += length,
            }
        }
        Ok(())
    }

    /// Closes with a reset (`SO_LINGER` 0), throwing away what the peer has not got yet.
    ///
    /// For transfers that ended early: in stream mode the end of the connection is the end of the
    /// file (RFC 959 §3.4.1), so an orderly end would pass a cut file off as whole.
    pub fn abort(self) {
        // It fails only for a connection that is reset already.
        let _ = sockopt::set_socket_linger(&self.descriptor, Some(std::time::Duration::ZERO));
    }

    /// The descriptor, for system calls that this type does not offer. It must stay non-blocking.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Runs `operation` at once, and if it would block, again when the peer is ready: waited for on this thread where it
    /// may wait ([`patience`]), then each time that the reactor says so.
    async fn perform<R>(
        &mut self,
        interest: Interest,
        mut operation: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<R>,
    ) -> io::Result<R> {
        let descriptor = self.descriptor.as_fd();
        if let Some(patience) = patience::patience() {
            // The reactor is not to be woken for what is waited for here.
            self.registered = None;
            let mut until = None;
            loop {
                match rustix::io::retry_on_intr(|| operation(descriptor)) {
                    Err(Errno::AGAIN) => {}
                    result => return Ok(result?),
                }
                let until = *until.get_or_insert_with(|| Instant::now() + patience);
                if !patience::wait_for(descriptor, interest, until)? {
                    break;
                }
            }
        }
        let registered = match &mut self.registered {
            Some(registered) => registered,
            unregistered => {
                // A peer that is always ready must not keep other tasks of this thread waiting.
                tokio::task::coop::consume_budget().await;
                match rustix::io::retry_on_intr(|| operation(descriptor)) {
                    Err(Errno::AGAIN) => {}
                    result => return Ok(result?),
                }
                let both = Interest::READABLE | Interest::WRITABLE;
                unregistered.insert(Registered::new(Arc::clone(&self.descriptor), both)?)
            }
        };
        registered.perform(interest, || operation(descriptor)).await
    }
}

impl AsFd for DataSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
