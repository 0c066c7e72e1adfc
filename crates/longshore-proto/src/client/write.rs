//! Commands as they go over the wire.
//!
//! Not inside: which command is sent when. No argument can end the line or begin another: names with CR, LF or NUL are
//! refused before anything is sent, and 0xFF, which is Telnet's IAC, is doubled (RFC 959 section 5.3, RFC 854).

use std::fmt;
use std::net::SocketAddr;

use crate::address;
use crate::limits::LINE_LIMIT_BYTES;

/// One command with its line end; passwords are not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandLine {
    bytes: Vec<u8>,
    secret: bool,
}

impl CommandLine {
    /// What is to be sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Without the line end and without a password, for logs. Control characters of names cannot be in it, other bytes
    /// stand as they are.
    pub fn shown(&self) -> &[u8] {
        if self.secret {
            let verb = self.bytes.split(|&byte| byte == b' ').next();
            return verb.unwrap_or(b"");
        }
        self.bytes.strip_suffix(b"\r\n").unwrap_or(&self.bytes)
    }
}

impl fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CommandLine").field(&String::from_utf8_lossy(self.shown())).finish()
    }
}

/// Why a command cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// A CR, LF or NUL.
    #[error(
        "it holds a line end or a NUL byte, which no FTP command can carry; rename the file, or choose another name"
    )]
    LineEnd,
    /// Nothing where something is needed.
    #[error("it is empty; give a name")]
    Empty,
    /// Beyond the bound.
    #[error(
        "the command would be longer than {LINE_LIMIT_BYTES} bytes, which servers refuse; change into the directory first"
    )]
    TooLong,
    /// A raw command that has effects which only its own request keeps track of.
    #[error("this command moves data or begins a login or TLS; use the request that is made for it")]
    NotRaw,
}

/// A command of one word, or with an argument.
pub(super) fn command(verb: &str, argument: Option<&[u8]>) -> Result<CommandLine, Unsendable> {
    let mut bytes = Vec::with_capacity(verb.len() + argument.map_or(0, |argument| argument.len() + 1) + 2);
    bytes.extend_from_slice(verb.as_bytes());
    if let Some(argument) = argument {
        bytes.push(b' ');
        push_escaped(&mut bytes, argument)?;
    }
    finish(bytes)
}

/// A line as its author wrote it.
pub(super) fn raw(line: &[u8]) -> Result<CommandLine, Unsendable> {
    if line.trim_ascii().is_empty() {
        return Err(Unsendable::Empty);
    }
    let mut bytes = Vec::with_capacity(line.len() + 2);
    push_escaped(&mut bytes, line)?;
    finish(bytes)
}

/// PASS and ACCT.
pub(super) fn secret(verb: &str, argument: &[u8]) -> Result<CommandLine, Unsendable> {
    Ok(CommandLine { secret: true, ..command(verb, Some(argument))? })
}

/// The argument of EPRT (RFC 2428 section 2).
pub(super) fn eprt(address: SocketAddr) -> Vec<u8> {
    let protocol = if address.is_ipv4() { 1 } else { 2 };
    format!("|{protocol}|{}|{}|", address.ip(), address.port()).into_bytes()
}

/// The argument of PORT; `None` for IPv6.
pub(super) fn port(address: SocketAddr) -> Option<Vec<u8>> {
    let SocketAddr::V4(address) = address else { return None };
    let mut bytes = Vec::with_capacity(24);
    address::write_pasv(&mut bytes, *address.ip(), address.port());
    Some(bytes.trim_ascii().strip_prefix(b"(")?.strip_suffix(b")")?.to_vec())
}

fn push_escaped(bytes: &mut Vec<u8>, argument: &[u8]) -> Result<(), Unsendable> {
    for &byte in argument {
        match byte {
            b'\r' | b'\n' | 0 => return Err(Unsendable::LineEnd),
            0xFF => bytes.extend_from_slice(b"\xFF\xFF"),
            byte => bytes.push(byte),
        }
    }
    Ok(())
}

fn finish(mut bytes: Vec<u8>) -> Result<CommandLine, Unsendable> {
    if bytes.len() > LINE_LIMIT_BYTES {
        return Err(Unsendable::TooLong);
    }
    bytes.extend_from_slice(b"\r\n");
    Ok(CommandLine { bytes, secret: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        #[track_caller]
        fn check(argument: Option<&[u8]>, expected: Result<&[u8], Unsendable>) {
            assert_eq!(command("CWD", argument).map(|line| line.bytes), expected.map(<[u8]>::to_vec));
        }
        check(None, Ok(b"CWD\r\n"));
        check(Some(b" a b "), Ok(b"CWD  a b \r\n"));
        check(Some(b"\xFF\xF4"), Ok(b"CWD \xFF\xFF\xF4\r\n"));
        check(Some(b"a\rb"), Err(Unsendable::LineEnd));
        check(Some(b"a\nDELE b"), Err(Unsendable::LineEnd));
        check(Some(b"a\0"), Err(Unsendable::LineEnd));
        let longest = [b'a'; LINE_LIMIT_BYTES - 4];
        assert!(command("CWD", Some(&longest)).is_ok());
        assert_eq!(command("CWD", Some(&[b'a'; LINE_LIMIT_BYTES - 3])), Err(Unsendable::TooLong));
        assert_eq!(raw(b" "), Err(Unsendable::Empty));
    }

    #[test]
    fn passwords_are_not_shown() {
        let line = secret("PASS", b"wonderland").expect("fine");
        assert_eq!(line.bytes(), b"PASS wonderland\r\n");
        assert_eq!(format!("{line:?}"), "CommandLine(\"PASS\")");
    }

    #[test]
    fn addresses() {
        assert_eq!(eprt("192.0.2.1:2000".parse().unwrap()), b"|1|192.0.2.1|2000|");
        assert_eq!(eprt("[2001:db8::1]:2000".parse().unwrap()), b"|2|2001:db8::1|2000|");
        assert_eq!(port("192.0.2.1:2000".parse().unwrap()), Some(b"192,0,2,1,7,208".to_vec()));
        assert_eq!(port("[::1]:2000".parse().unwrap()), None);
    }
}
