//! Replies put together from the lines of a server (RFC 959 section 4.2).
//!
//! Not inside: cutting lines out of bytes ([`line::Buffer`](crate::line::Buffer), which also takes Telnet out and does
//! without a CR), and what a reply means for a request.
//!
//! Rules:
//! - A reply is three digits and a space, or three digits alone. Three digits and a hyphen begin one of several lines,
//!   which ends with the same digits and a space.
//! - Within it every other line is text, also one that begins with another code, with the same code and a hyphen (which
//!   is taken off), or with a space.
//! - Some servers end it with another code. That is seen only by their silence: [`Parser::is_doubtful`] says that the
//!   last line looked like such an end, and [`Parser::settle`] takes it for one.
//! - Before a reply, empty lines and lines without a code are passed over, up to a bound. Spaces before a code are, too.

use std::fmt;

use crate::limits::{REPLY_LIMIT_BYTES, REPLY_LIMIT_LINES, REPLY_LIMIT_STRAY_LINES, REPLY_LINE_LIMIT_BYTES};
use crate::line::Line;

/// Bytes of a line that an error shows.
const SHOWN_BYTES: usize = 80;

/// What a server said.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits, 100 to 599.
    pub code: u16,
    /// The text of each line without code and line end, at least one. Bytes of the server as they came.
    pub lines: Vec<Vec<u8>>,
}

/// As text, since it nearly always is.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        write!(f, "Reply({} {lines:?})", self.code)
    }
}

/// The first digit of a reply (RFC 959 section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 1yz, a mark: another reply follows.
    Mark,
    /// 2yz: done.
    Completion,
    /// 3yz: another command is needed.
    Intermediate,
    /// 4yz: not done, and may be tried again.
    Transient,
    /// 5yz: not done.
    Permanent,
}

impl Reply {
    /// What its first digit says.
    pub fn class(&self) -> Class {
        match self.code / 100 {
            1 => Class::Mark,
            2 => Class::Completion,
            3 => Class::Intermediate,
            4 => Class::Transient,
            _ => Class::Permanent,
        }
    }

    /// The text of the last line, where a reply of one line has all of it.
    pub fn text(&self) -> &[u8] {
        self.lines.last().map_or(b"", Vec::as_slice)
    }

    /// Whether it is a 4yz or 5yz.
    pub fn is_refusal(&self) -> bool {
        matches!(self.class(), Class::Transient | Class::Permanent)
    }
}

/// What a server sent that is no reply. The control connection is of no use after it: nobody knows which answer
/// belongs to which command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line beyond the bound.
    #[error(
        "a line of a reply was longer than {REPLY_LINE_LIMIT_BYTES} bytes; this is no FTP server, or a hostile one"
    )]
    LineTooLong,
    /// A NUL byte.
    #[error("a reply held a NUL byte; this is no FTP server, or a hostile one")]
    Nul,
    /// Another protocol's greeting.
    #[error("the server speaks {0}, not FTP; check the port, or use a client for {0}")]
    Foreign(&'static str),
    /// Too many lines without a code.
    #[error(
        "more than {REPLY_LIMIT_STRAY_LINES} lines came that are no reply, the last was {0:?}; check the port"
    )]
    NotAReply(String),
    /// A reply of too many lines.
    #[error("a reply had more than {REPLY_LIMIT_LINES} lines; the server may be faulty or hostile")]
    TooManyLines,
    /// A reply of too many bytes.
    #[error("a reply had more than {REPLY_LIMIT_BYTES} bytes; the server may be faulty or hostile")]
    TooManyBytes,
}

/// Puts replies together. It holds one unfinished reply at most, within the bounds of [`limits`](crate::limits).
#[derive(Debug, Default)]
pub struct Parser {
    open: Option<Open>,
    /// Lines without a code since the last reply.
    stray: usize,
    /// A reply has been read, so this is an FTP server.
    known: bool,
}

/// A reply whose end has not come.
#[derive(Debug)]
struct Open {
    code: u16,
    lines: Vec<Vec<u8>>,
    bytes: usize,
    /// The last line looked like the end of a reply with another code.
    doubtful: bool,
}

impl Parser {
    /// Takes a line; the reply that it completes, if it does.
    ///
    /// # Errors
    /// Every [`ReplyError`]; the parser is as at its beginning afterwards.
    pub fn read(&mut self, line: Line<'_>) -> Result<Option<Reply>, ReplyError> {
        let result = match line {
            Line::Command(line) => self.read_text(line),
            Line::TooLong => Err(ReplyError::LineTooLong),
            Line::Nul => Err(ReplyError::Nul),
        };
        if result.is_err() {
            *self = Parser::default();
        }
        result
    }

    /// Whether a part of a reply has been read.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the last line may have been the end of the reply that it stood in, were it not for its code.
    pub fn is_doubtful(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.doubtful)
    }

    /// Takes the last line for the end of the reply. Its code is that of the first line.
    pub fn settle(&mut self) -> Option<Reply> {
        let Open { code, lines, .. } = self.open.take_if(|open| open.doubtful)?;
        Some(Reply { code, lines })
    }

    fn read_text(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let Some(open) = &mut self.open else { return self.begin(line) };
        let head = Head::of(line);
        let is_same = matches!(head, Some(Head { code, .. }) if code == open.code);
        let text = match head {
            Some(head) if is_same => head.text,
            _ => line,
        };
        open.bytes += text.len();
        if open.lines.len() >= REPLY_LIMIT_LINES {
            return Err(ReplyError::TooManyLines);
        }
        if open.bytes > REPLY_LIMIT_BYTES {
            return Err(ReplyError::TooManyBytes);
        }
        open.lines.push(text.to_vec());
        open.doubtful = matches!(head, Some(Head { more: false, .. }));
        if !(is_same && open.doubtful) {
            return Ok(None);
        }
        let Open { code, lines, .. } = self.open.take().expect("just looked at");
        Ok(Some(Reply { code, lines }))
    }

    fn begin(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let line = line.trim_ascii_start();
        let Some(Head { code, more, text }) = Head::of(line) else {
            if let (false, Some(protocol)) = (self.known, foreign_protocol(line)) {
                return Err(ReplyError::Foreign(protocol));
            }
            self.stray += 1;
            if self.stray > REPLY_LIMIT_STRAY_LINES {
                let shown = &line[..line.len().min(SHOWN_BYTES)];
                return Err(ReplyError::NotAReply(String::from_utf8_lossy(shown).into_owned()));
            }
            return Ok(None);
        };
        self.stray = 0;
        self.known = true;
        let lines = vec![text.to_vec()];
        if more {
            self.open = Some(Open { code, bytes: text.len(), lines, doubtful: false });
            return Ok(None);
        }
        Ok(Some(Reply { code, lines }))
    }
}

/// A line that begins with a code.
#[derive(Clone, Copy)]
struct Head<'a> {
    code: u16,
    /// Whether a hyphen says that more lines follow.
    more: bool,
    text: &'a [u8],
}

impl Head<'_> {
    fn of(line: &[u8]) -> Option<Head<'_>> {
        let (&digits, rest) = line.split_first_chunk::<3>()?;
        if !matches!(digits[0], b'1'..=b'5') || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        match rest {
            [] => Some(Head { code, more: false, text: rest }),
            [b' ' | b'\t', text @ ..] => Some(Head { code, more: false, text }),
            [b'-', text @ ..] => Some(Head { code, more: true, text }),
            _ => None,
        }
    }
}

/// What else listens where an FTP server was looked for, and how it greets.
fn foreign_protocol(line: &[u8]) -> Option<&'static str> {
    const GREETINGS: &[(&[u8], &str)] = &[
        (b"SSH-", "SSH (SFTP)"),
        (b"HTTP/", "HTTP"),
        (b"+OK", "POP3"),
        (b"* OK", "IMAP"),
        (b"\x15\x03", "TLS"),
        (b"RFB ", "VNC"),
    ];
    GREETINGS.iter().find(|(greeting, _)| line.starts_with(greeting)).map(|&(_, protocol)| protocol)
}

#[cfg(test)]
mod tests;
