//! Threads that may wait in the kernel for a peer, instead of being woken by the reactor.
//!
//! A thread of the runtime must never wait. One that was taken from a pool for a while may: where a peer is fast, most
//! waits are shorter than the way through the reactor, the scheduler and another thread would be.
//!
//! Not inside: whose threads those are and for how long; that is the caller's.

use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::io::Interest;

thread_local! {
    static PATIENCE: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Runs `work` on this thread, which may be blocked meanwhile: each call of a [`DataSocket`](crate::DataSocket) that
/// would block waits here for its peer, for `patience` at most, before it goes to the reactor.
///
/// It holds for this thread and until `work` returns, so a future is patient exactly while it is polled in here.
pub fn with_patience<T>(patience: Duration, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Duration>);
    impl Drop for Restore {
        fn drop(&mut self) {
            PATIENCE.set(self.0);
        }
    }
    let _restore = Restore(PATIENCE.replace(Some(patience)));
    work()
}

/// Whether this thread may be blocked for a while: it runs within [`with_patience`].
#[must_use]
pub fn is_patient() -> bool {
    PATIENCE.get().is_some()
}

/// How long one wait may take here.
pub(crate) fn patience() -> Option<Duration> {
    PATIENCE.get()
}

/// Waits until `descriptor` is ready, or has failed; whether that came before `until`.
pub(crate) fn wait_for(
    descriptor: BorrowedFd<'_>,
    interest: Interest,
    until: Instant,
) -> rustix::io::Result<bool> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, interest.is_readable());
    flags.set(PollFlags::OUT, interest.is_writable());
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // It is too short to be too long for the kernel.
        let timeout = Timespec::try_from(left).unwrap_or_default();
        match poll(&mut [PollFd::from_borrowed_fd(descriptor, flags)], Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
