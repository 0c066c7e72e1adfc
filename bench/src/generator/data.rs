//! Data connections of the generator: what a server sends is taken, what it stores comes from a prepared buffer.
//!
//! Not inside: the commands around them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use rustix::net::{RecvFlags, recv};

use super::tls::Session;
use crate::bulk::{BULK_BYTES, Buffers, Bulk};

/// What is taken or sent by one call, in bytes.
const CALL_BYTES: usize = 1024 * 1024;

/// How what a server sends is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Copied to our memory, as a client does that wants it.
    Read,
    /// Discarded in the kernel: the server is as fast as it can be.
    Discarded,
    /// Read, and its lines counted.
    Lines,
}

/// The memory of one connection of the generator.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    records: Buffers,
}

/// What came over a data connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) bytes: u64,
    /// Counted only by [`Taken::Lines`].
    pub(super) lines: u64,
}

impl Buffer {
    pub(super) fn new() -> Buffer {
        Buffer { bytes: longshore_interop::pattern(CALL_BYTES, 1), records: Buffers::new() }
    }

    /// Takes all that comes.
    pub(super) fn take(
        &mut self,
        mut socket: TcpStream,
        session: Option<&Session>,
        taken: Taken,
    ) -> io::Result<Came> {
        let mut came = Came::default();
        if let Some(session) = session {
            let end = session.data().map_err(io::Error::other)?;
            let mut bulk = Bulk::new(socket, end, &mut self.records);
            let mut take = |record: &[u8]| {
                came.bytes += record.len() as u64;
                came.lines += if taken == Taken::Lines { line_ends(record) } else { 0 };
                Ok(())
            };
            while bulk.receive(&mut take)? {}
            // The server has ended its direction and waits for nothing: whether this reaches it is no matter.
            let _ = bulk.finish();
            return Ok(came);
        }
        loop {
            let count = match taken {
                Taken::Discarded => {
                    let received = rustix::io::retry_on_intr(|| {
                        recv(&socket, &mut self.bytes[..], RecvFlags::TRUNC).map(|(_, count)| count)
                    });
                    received?
                }
                Taken::Read | Taken::Lines => unbroken(|| socket.read(&mut self.bytes[..BULK_BYTES]))?,
            };
            if count == 0 {
                return Ok(came);
            }
            came.bytes += count as u64;
            if taken == Taken::Lines {
                came.lines += line_ends(&self.bytes[..count]);
            }
        }
    }

    /// Sends so many bytes, and the end behind them.
    pub(super) fn give(
        &mut self,
        mut socket: TcpStream,
        session: Option<&Session>,
        bytes: u64,
    ) -> io::Result<()> {
        let mut left = bytes;
        let mut next = || {
            let count = left.min(CALL_BYTES as u64);
            left -= count;
            (count > 0).then_some(count as usize)
        };
        match session {
            Some(session) => {
                let end = session.data().map_err(io::Error::other)?;
                let mut bulk = Bulk::new(socket, end, &mut self.records);
                while let Some(count) = next() {
                    bulk.send(&self.bytes[..count])?;
                }
                bulk.finish()?;
                bulk.drain();
            }
            None => {
                while let Some(count) = next() {
                    socket.write_all(&self.bytes[..count])?;
                }
                socket.shutdown(Shutdown::Write)?;
            }
        }
        Ok(())
    }
}

/// Tries again what a signal broke off.
fn unbroken<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_is_given_is_taken_to_the_last_byte() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for taken in [Taken::Read, Taken::Discarded, Taken::Lines] {
            for bytes in [0, 1, 4096, 3 * CALL_BYTES as u64 + 17] {
                let sender = TcpStream::connect(address).unwrap();
                let (receiver, _) = listener.accept().unwrap();
                let giving = std::thread::spawn(move || Buffer::new().give(sender, None, bytes));
                let came = Buffer::new().take(receiver, None, taken).unwrap();
                giving.join().unwrap().unwrap();
                assert_eq!(came.bytes, bytes, "{taken:?}");
                let is_counted = taken == Taken::Lines && bytes >= 4096;
                assert_eq!(came.lines > 0, is_counted, "{taken:?} of {bytes}");
            }
        }
    }

    #[test]
    fn ends_of_lines_are_counted() {
        assert_eq!([&b""[..], b"a", b"a\r\n", b"\n\n"].map(line_ends), [0, 0, 1, 2]);
    }
}
