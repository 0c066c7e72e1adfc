//! TLS of control connections over blocking sockets: both ends of the comparison use it, the generator as client and the
//! do-nothing server as server.
//!
//! Not inside: data connections, which are [`crate::bulk`]; certificates and policies, which are with the two ends.

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;

use rustls::Connection;

/// What is read by one call, in bytes.
pub(crate) const LINES_BYTES: usize = 4096;

/// A protected connection.
#[derive(Debug)]
pub(crate) struct Secure {
    socket: TcpStream,
    connection: Connection,
    /// What came and is not decrypted yet lies in `raw[start..end]`.
    raw: Vec<u8>,
    start: usize,
    end: usize,
}

impl Secure {
    /// Takes the socket and shakes hands.
    pub(crate) fn establish(socket: TcpStream, connection: Connection) -> io::Result<Secure> {
        let mut secure = Secure { socket, connection, raw: vec![0; LINES_BYTES], start: 0, end: 0 };
        while secure.connection.is_handshaking() {
            secure.flush()?;
            if secure.connection.is_handshaking() && !secure.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        secure.flush()?;
        Ok(secure)
    }

    /// Version and cipher as they were agreed.
    pub(crate) fn agreed(&self) -> String {
        let version = self.connection.protocol_version().and_then(|version| version.as_str());
        let suite = self.connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        format!("{} {}", version.unwrap_or("?"), suite.unwrap_or("?"))
    }

    /// Decrypts what is there, after reading more where nothing is. `false` at the end of what comes.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            self.end = loop {
                match self.socket.read(&mut self.raw) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read?,
                }
            };
            self.start = 0;
        }
        let mut raw = &self.raw[self.start..self.end];
        let is_end = raw.is_empty();
        self.start += self.connection.read_tls(&mut raw)?;
        self.connection.process_new_packets().map_err(io::Error::other)?;
        Ok(!is_end)
    }

    /// Gives what came next to `take`, which says how much of it is used up; nothing at the end. An end without
    /// close_notify is an end, too.
    pub(crate) fn next<T>(&mut self, take: impl FnOnce(&[u8]) -> (usize, T)) -> io::Result<T> {
        loop {
            let mut reader = self.connection.reader();
            match reader.fill_buf() {
                Ok(chunk) => {
                    let (used, value) = take(chunk);
                    reader.consume(used);
                    return Ok(value);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(take(&[]).1),
                Err(error) => return Err(error),
            }
            self.fill()?;
            if self.connection.wants_write() {
                self.flush()?;
            }
        }
    }

    pub(crate) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = self.connection.writer().write(bytes)?;
            bytes = &bytes[taken..];
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}
