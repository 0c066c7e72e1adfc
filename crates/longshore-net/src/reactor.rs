//! The only place where a descriptor is registered with tokio's reactor.
//!
//! Not inside: system calls on the descriptor; they come as closures.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// A descriptor that the reactor of the current runtime watches until this value is dropped.
#[derive(Debug)]
pub(crate) struct Registered(AsyncFd<Arc<OwnedFd>>);

impl Registered {
    /// Registers `descriptor` for `interest`.
    ///
    /// # Errors
    ///
    /// Those of `epoll_ctl`: out of memory or of watches.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O enabled.
    #[expect(
        deprecated,
        reason = "the constructor is deprecated because a foreign AsRawFd could change its \
                  descriptor; an OwnedFd cannot, and its successor is an unsafe function, which \
                  this crate forbids"
    )]
    pub(crate) fn new(descriptor: Arc<OwnedFd>, interest: Interest) -> io::Result<Self> {
        AsyncFd::with_interest(descriptor, interest).map(Self)
    }

    /// Runs `operation` when the descriptor is ready, again and again until it does not say
    /// `WouldBlock`. Readiness is cleared only when it says so.
    ///
    /// Cancel-safe: `operation` runs last, and its result is returned without another wait.
    pub(crate) async fn perform<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> rustix::io::Result<R>,
    ) -> io::Result<R> {
        self.0.async_io(interest, |_| Ok(rustix::io::retry_on_intr(&mut operation)?)).await
    }

    /// Waits for readiness; the guard decides whether it is used up.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, Arc<OwnedFd>>> {
        self.0.ready(interest).await
    }

    /// Waits for read readiness, or until `other` is ready, asking `other` first each time.
    ///
    /// Any number of tasks may wait at once; `other` gets the context of each poll.
    pub(crate) async fn readable_unless<R>(
        &self,
        mut other: impl FnMut(&mut Context<'_>) -> Poll<R>,
    ) -> Result<io::Result<AsyncFdReadyGuard<'_, Arc<OwnedFd>>>, R> {
        let mut readable = std::pin::pin!(self.0.readable());
        std::future::poll_fn(|context| {
            if let Poll::Ready(result) = other(context) {
                return Poll::Ready(Err(result));
            }
            readable.as_mut().poll(context).map(Ok)
        })
        .await
    }
}
