//! A control connection of the generator: lines out, replies in.
//!
//! Not inside: data connections.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::tls::{Authority, Session};
use crate::secure::{LINES_BYTES, Secure};

/// No server may be silent for longer; it bounds every read and write.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a server is, and how it is talked to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    /// With TLS on control and data connections; `None` in clear.
    pub(crate) authority: Option<&'a Authority>,
}

/// A control connection.
#[derive(Debug)]
pub(crate) struct Control {
    stream: Stream,
    /// What came and is not read yet lies in `buffer[start..end]`.
    buffer: Box<[u8; LINES_BYTES]>,
    start: usize,
    end: usize,
    peer: SocketAddr,
    pub(super) session: Option<Session>,
}

#[derive(Debug)]
enum Stream {
    Clear(TcpStream),
    Secure(Box<Secure>),
    /// While the handshake has the socket.
    Nothing,
}

/// A socket without delay and with a bound on every wait.
pub(super) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

impl Control {
    /// Connects, by TLS where the target says so, and logs in. `resumes`: data connections resume its TLS session.
    pub(crate) fn log_in(target: Target<'_>, resumes: bool) -> Result<Control, String> {
        let socket = connect(target.address).map_err(|error| format!("connecting: {error}"))?;
        let mut control = Control {
            stream: Stream::Clear(socket),
            buffer: Box::new([0; LINES_BYTES]),
            start: 0,
            end: 0,
            peer: target.address,
            session: None,
        };
        control.expect("the greeting", &[220])?;
        if let Some(authority) = target.authority {
            control.command(b"AUTH TLS\r\n", &[234])?;
            control.secure(authority.session(resumes))?;
        }
        control.command(format!("USER {}\r\n", target.user).as_bytes(), &[331])?;
        control.command(format!("PASS {}\r\n", target.password).as_bytes(), &[230])?;
        Ok(control)
    }

    /// What a client sets once before its transfers.
    pub(crate) fn prepare(&mut self) -> Result<(), String> {
        if self.session.is_some() {
            self.command(b"PBSZ 0\r\n", &[200])?;
            self.command(b"PROT P\r\n", &[200])?;
        }
        self.command(b"TYPE I\r\n", &[200])?;
        Ok(())
    }

    fn secure(&mut self, session: Session) -> Result<(), String> {
        let explain = |error: &dyn std::fmt::Display| format!("TLS on the control connection: {error}");
        let Stream::Clear(socket) = std::mem::replace(&mut self.stream, Stream::Nothing) else {
            return Err("TLS stands already".to_owned());
        };
        let connection = session.control().map_err(|error| explain(&error))?;
        let secure = Secure::establish(socket, connection.into());
        self.stream = Stream::Secure(Box::new(secure.map_err(|error| explain(&error))?));
        self.session = Some(session);
        Ok(())
    }

    /// Version and cipher of TLS; `None` in clear.
    pub(crate) fn agreed(&self) -> Option<String> {
        match &self.stream {
            Stream::Secure(secure) => Some(secure.agreed()),
            Stream::Clear(_) | Stream::Nothing => None,
        }
    }

    /// Sends a line and reads the reply to it, which has to be one of these.
    pub(crate) fn command(&mut self, line: &[u8], codes: &[u16]) -> Result<u16, String> {
        self.send(line)?;
        let code = self.reply().map_err(|error| format!("after {}: {error}", shown(line)))?;
        match codes.contains(&code) {
            true => Ok(code),
            false => Err(format!("{} was answered with {code}, not {codes:?}", shown(line))),
        }
    }

    pub(crate) fn send(&mut self, line: &[u8]) -> Result<(), String> {
        let sent = match &mut self.stream {
            Stream::Clear(socket) => socket.write_all(line),
            Stream::Secure(secure) => secure.write_all(line),
            Stream::Nothing => Err(io::ErrorKind::NotConnected.into()),
        };
        sent.map_err(|error| format!("{}: {error}", shown(line)))
    }

    /// Reads a reply, which has to be one of these.
    pub(crate) fn expect(&mut self, what: &str, codes: &[u16]) -> Result<u16, String> {
        let code = self.reply().map_err(|error| format!("{what}: {error}"))?;
        match codes.contains(&code) {
            true => Ok(code),
            false => Err(format!("{what} is {code}, not {codes:?}")),
        }
    }

    /// Waits until the server has closed, without another word.
    pub(crate) fn expect_end(&mut self) -> Result<(), String> {
        match self.reply() {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(format!("the end: {error}")),
            Ok(code) => Err(format!("the end: another reply came, {code}")),
        }
    }

    /// Asks for a passive port of the server. `None` where it has none at the moment.
    pub(crate) fn passive(&mut self) -> Result<Option<SocketAddr>, String> {
        self.send(b"EPSV\r\n")?;
        let (mut code, mut port) = (0, None);
        self.lines(|line| {
            if let Some(last) = code_of(line) {
                (code, port) = (last, port_in(line));
                return true;
            }
            false
        })
        .map_err(|error| format!("after EPSV: {error}"))?;
        match (code, port) {
            (229, Some(port)) => Ok(Some(SocketAddr::new(self.peer.ip(), port))),
            (425, _) => Ok(None),
            _ => Err(format!("EPSV was answered with {code}")),
        }
    }

    fn reply(&mut self) -> io::Result<u16> {
        let mut code = 0;
        self.lines(|line| {
            code = code_of(line).unwrap_or(0);
            code != 0
        })?;
        Ok(code)
    }

    /// Gives line by line, until `is_last` says that it was the last.
    fn lines(&mut self, mut is_last: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        loop {
            while let Some(length) = self.buffer[self.start..self.end].iter().position(|&byte| byte == b'\n')
            {
                let line = &self.buffer[self.start..self.start + length];
                self.start += length + 1;
                if is_last(line) {
                    return Ok(());
                }
            }
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            let space = &mut self.buffer[self.end..];
            if space.is_empty() {
                return Err(io::Error::other("a line of a reply is too long"));
            }
            let read = match &mut self.stream {
                Stream::Clear(socket) => socket.read(space),
                Stream::Secure(secure) => secure.next(|chunk| {
                    let count = chunk.len().min(space.len());
                    space[..count].copy_from_slice(&chunk[..count]);
                    (count, count)
                }),
                Stream::Nothing => Ok(0),
            };
            let count = match read {
                // A socket with a bound on its waits is not woken for good by a debugger that comes or goes.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.end += count;
        }
    }
}

/// The code of a reply's last line; `None` for the lines before it.
fn code_of(line: &[u8]) -> Option<u16> {
    let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = line else { return None };
    let is_last = !matches!(rest.first(), Some(byte) if *byte != b' ' && *byte != b'\r');
    is_last.then(|| [a, b, c].iter().fold(0, |code, digit| code * 10 + u16::from(**digit - b'0')))
}

/// The port in `229 … (|||port|)`.
fn port_in(line: &[u8]) -> Option<u16> {
    let start = line.windows(4).position(|window| window == b"(|||")? + 4;
    let length = line[start..].iter().position(|&byte| byte == b'|')?;
    std::str::from_utf8(&line[start..start + length]).ok()?.parse().ok()
}

fn shown(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    match line.starts_with("PASS ") {
        true => "PASS".to_owned(),
        false => line.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_line_of_a_reply_has_a_code() {
        #[track_caller]
        fn check(line: &str, code: Option<u16>) {
            assert_eq!(code_of(line.as_bytes()), code, "{line}");
        }
        check("220 ready\r", Some(220));
        check("226\r", Some(226));
        check("226", Some(226));
        check("220-welcome\r", None);
        check(" 220 within\r", None);
        check("22", None);
    }

    #[test]
    fn ports_are_read_from_229() {
        assert_eq!(port_in(b"229 Extended Passive mode OK (|||30566|)\r"), Some(30566));
        assert_eq!(port_in(b"229 no port"), None);
        assert_eq!(port_in(b"229 (|||99999|)"), None);
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(shown(b"PASS secret\r\n"), "PASS");
        assert_eq!(shown(b"RETR a\r\n"), "RETR a");
    }
}
