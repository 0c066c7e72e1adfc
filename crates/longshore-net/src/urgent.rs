//! Urgent data on a control connection, and reading a stream that has urgent data in line.
//!
//! A client that wants to be heard at once sends Telnet IP and Synch with TCP urgent data before
//! ABOR (RFC 959 §4.1.3, RFC 854 "Synch"). Not inside: what Telnet bytes mean.
//!
//! The order for a server that has stopped reading: [`wait_urgent`], then [`read_control`] while
//! [`is_urgent`] says so. The condition ends when the marked byte is read; until then a second
//! [`wait_urgent`] would return at once.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::reactor::Registered;

/// What ended a [`wait_urgent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Urgent data has arrived and its marked byte is not read yet.
    Urgent,
    /// The connection is gone in both directions (a reset). An orderly end of the peer's direction
    /// alone does not end the wait: its bytes before the end are still to be read.
    Closed,
}

/// Waits until urgent data is pending, without reading.
///
/// The kernel tells of urgent data when the marked byte has arrived. A receive buffer that is full
/// to the last byte keeps it out, so a server that stops reading must not stop for longer than its
/// own work takes.
///
/// tokio watches a [`TcpStream`] for reading and writing only, so the wait registers a duplicate of
/// the descriptor and costs one more descriptor while it lasts. Cancel-safe.
///
/// # Errors
///
/// No descriptor left, or out of memory.
pub async fn wait_urgent(stream: &TcpStream) -> io::Result<Urgency> {
    if is_urgent(stream)? {
        return Ok(Urgency::Urgent);
    }
    let duplicate = Arc::new(stream.as_fd().try_clone_to_owned()?);
    let registered = Registered::new(duplicate, Interest::PRIORITY)?;
    loop {
        let mut guard = registered.ready(Interest::PRIORITY).await?;
        if is_urgent(stream)? {
            return Ok(Urgency::Urgent);
        }
        if guard.ready().is_read_closed() {
            return Ok(Urgency::Closed);
        }
        // Somebody has read past the mark in the meantime.
        guard.clear_ready();
    }
}

/// Whether urgent data has arrived whose marked byte is not read yet.
///
/// # Errors
///
/// Those of `poll`: out of memory.
pub fn is_urgent(stream: &TcpStream) -> io::Result<bool> {
    let mut watched = [PollFd::new(stream, PollFlags::PRI)];
    rustix::io::retry_on_intr(|| poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })))?;
    Ok(watched[0].revents().contains(PollFlags::PRI))
}

/// Sends `bytes` as one, with the last of them marked as urgent data.
///
/// # Errors
///
/// `WouldBlock` if the connection takes none of them now; `WriteZero` if it took a part of them,
/// which is then on its way without a mark; else those of `send`.
pub fn send_urgent(stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    let flags = SendFlags::OOB | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let count = rustix::io::retry_on_intr(|| send(stream, bytes, flags))?;
    if count < bytes.len() { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
}

/// Reads once into the spare capacity of `buffer`, which it never grows, and says how many bytes
/// were appended; 0 is the end of what the peer sends.
///
/// A control connection must be read through this function and not through tokio's `AsyncRead`:
/// the kernel ends a read right before a marked byte, and `AsyncRead` takes a read that did not
/// fill the buffer as proof that nothing is left. It would then wait for more although the rest,
/// with the ABOR in it, has long arrived.
///
/// Cancel-safe: a dropped future has read nothing.
///
/// # Errors
///
/// `InvalidInput` if `buffer` has no spare capacity; else those of `recv`, such as
/// `ConnectionReset`.
pub async fn read_control(stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    if buffer.capacity() == buffer.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the buffer has no spare capacity"));
    }
    stream
        .async_io(Interest::READABLE, || {
            let (length, _) =
                rustix::io::retry_on_intr(|| recv(stream, spare_capacity(buffer), RecvFlags::empty()))?;
            Ok(length)
        })
        .await
}
