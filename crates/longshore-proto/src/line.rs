//! Lines of a control connection, cut out of the bytes as they arrive (RFC 959 section 5.3, RFC 854).
//!
//! Not inside: what a line means ([`command`](crate::command)), when the next one may be taken (the session
//! says so), and how many bytes may wait (the driver stops reading).
//!
//! Rules, whatever way the input is split:
//! - LF ends a line, and nothing can keep it from doing so: no Telnet sequence reaches beyond it, so a peer
//!   and the server never disagree about the number of commands. A CR directly before it belongs to the end.
//! - CR NUL is a CR. Any other NUL makes the whole line [`Line::Nul`]. Any other CR stays in the line.
//! - Telnet: IAC IAC is the byte 0xFF; IAC with WILL, WONT, DO or DONT goes together with its option; IAC SB
//!   goes with everything up to IAC SE or the end of the line; IAC with another command (0xF0-0xFA, among
//!   them IP and DM of an ABOR sent as urgent data) goes. A sequence that the line's end cuts short goes too.
//!   0xFF before any other byte, or last in the line, stays: it is a letter of a name in Latin-1.

use std::fmt;

use memchr::{memchr, memchr3};

use crate::limits::LINE_BUFFER_KEPT_BYTES;

const LINE_FEED: u8 = b'\n';
const CARRIAGE_RETURN: u8 = b'\r';
const NUL: u8 = 0;
/// Telnet's "interpret as command".
const IAC: u8 = 0xFF;
const SUBNEGOTIATION_END: u8 = 0xF0;
const SUBNEGOTIATION_BEGIN: u8 = 0xFA;
const WILL: u8 = 0xFB;
const DONT: u8 = 0xFE;

/// One line of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The line without its end and without Telnet; it may be empty or hold any byte but NUL and LF.
    Command(&'a [u8]),
    /// The line was longer than the limit. It has been eaten to its end.
    TooLong,
    /// The line held a NUL byte (other than in CR NUL). It has been eaten to its end.
    Nul,
}

/// The receive buffer of a control connection.
///
/// Bytes go in by [`extend`](Buffer::extend), lines come out by [`next_line`](Buffer::next_line). Each byte
/// is searched once and moved at most once on average, however the input is split. A line beyond the limit is
/// not stored: no more than the limit and what one call to `extend` brings is held of it.
pub struct Buffer {
    bytes: Vec<u8>,
    /// Where the first line not yet given out begins.
    start: usize,
    /// There is no LF in `bytes[start..searched]`.
    searched: usize,
    limit_bytes: usize,
    overlong: Overlong,
}

/// What is known of a line of which the beginning has been thrown away. While it is not `No`, that line comes
/// before everything in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overlong {
    No,
    /// Its end has not come yet; the buffer is empty.
    Eating,
    /// Its end has come and is to be reported.
    Ended,
}

impl Buffer {
    /// An empty buffer for lines of up to `limit_bytes` as they arrive, not counting CR LF or LF at the end.
    pub fn new(limit_bytes: usize) -> Buffer {
        Buffer { bytes: Vec::new(), start: 0, searched: 0, limit_bytes, overlong: Overlong::No }
    }

    /// Takes bytes of the peer.
    pub fn extend(&mut self, input: &[u8]) {
        let mut input = input;
        if self.overlong == Overlong::Eating {
            match memchr(LINE_FEED, input) {
                Some(end) => {
                    self.overlong = Overlong::Ended;
                    input = &input[end + 1..];
                }
                None => return,
            }
        }
        // Moving the rest forward only when it is no longer than what was given out before it keeps the whole
        // work linear.
        if self.start >= self.bytes.len() - self.start {
            self.move_to_front();
        }
        self.bytes.extend_from_slice(input);
    }

    /// The next complete line; `None` when its end has not arrived yet. The call that finds no more lines
    /// also gives memory back.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        match self.overlong {
            Overlong::Eating => return None,
            Overlong::Ended => {
                self.overlong = Overlong::No;
                return Some(Line::TooLong);
            }
            Overlong::No => {}
        }
        let Some(distance) = memchr(LINE_FEED, &self.bytes[self.searched..]) else {
            self.searched = self.bytes.len();
            let partial = &self.bytes[self.start..];
            if length_without_carriage_return(partial) > self.limit_bytes {
                self.overlong = Overlong::Eating;
                self.start = self.bytes.len();
            }
            self.shrink();
            return None;
        };
        let (start, end) = (self.start, self.searched + distance);
        self.start = end + 1;
        self.searched = self.start;
        let received = &mut self.bytes[start..end];
        let length = length_without_carriage_return(received);
        if length > self.limit_bytes {
            return Some(Line::TooLong);
        }
        if memchr3(IAC, NUL, CARRIAGE_RETURN, &received[..length]).is_none() {
            return Some(Line::Command(&received[..length]));
        }
        Some(match decode(received) {
            Some(length) => Line::Command(&received[..length]),
            None => Line::Nul,
        })
    }

    /// Whether nothing at all is waiting, not even a part of a line. TLS may begin only then: whatever was
    /// sent in clear behind the command that starts it must not be taken for something said under its
    /// protection.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.overlong == Overlong::No
    }

    /// Bytes held and not yet given out. What was eaten of a line beyond the limit does not count.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Gives back all memory where nothing waits, else what is beyond 1 KiB and beyond twice the bytes that wait. For a
    /// driver that is about to wait without having taken every line; [`next_line`](Buffer::next_line) does it by itself
    /// at the end.
    pub fn shrink(&mut self) {
        self.move_to_front();
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        } else if self.bytes.capacity() > LINE_BUFFER_KEPT_BYTES.max(2 * self.bytes.len()) {
            // A vector that has just grown has at most twice what it holds. Shrinking that again would mean a copy for
            // each arrival.
            self.bytes.shrink_to(LINE_BUFFER_KEPT_BYTES);
        }
    }

    fn move_to_front(&mut self) {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
    }
}

/// Without the bytes: there may be a password among them.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len())
            .field("limit_bytes", &self.limit_bytes)
            .field("overlong", &self.overlong)
            .finish_non_exhaustive()
    }
}

fn length_without_carriage_return(line: &[u8]) -> usize {
    line.len() - usize::from(line.last() == Some(&CARRIAGE_RETURN))
}

/// Takes Telnet and the NUL of CR NUL out of a line without its LF, in place; the length that remains,
/// without a CR that belonged to the end. `None` when there is a NUL.
fn decode(line: &mut [u8]) -> Option<usize> {
    let mut read = 0;
    let mut written = 0;
    // Whether the last byte written is a CR that a NUL or the end of the line would complete.
    let mut open_carriage_return = false;
    while let Some(&byte) = line.get(read) {
        let following = line.get(read + 1).copied();
        let kept = match (byte, following) {
            (IAC, Some(IAC)) => {
                read += 2;
                Some(IAC)
            }
            (IAC, Some(SUBNEGOTIATION_BEGIN)) => {
                read = subnegotiation_end(line, read + 2);
                None
            }
            (IAC, Some(WILL..=DONT)) => {
                read += 3;
                None
            }
            (IAC, Some(SUBNEGOTIATION_END..)) => {
                read += 2;
                None
            }
            (NUL, _) if open_carriage_return => {
                read += 1;
                open_carriage_return = false;
                None
            }
            (NUL, _) => return None,
            _ => {
                read += 1;
                Some(byte)
            }
        };
        if let Some(byte) = kept {
            line[written] = byte;
            written += 1;
            open_carriage_return = byte == CARRIAGE_RETURN;
        }
    }
    Some(written - usize::from(open_carriage_return))
}

/// The position behind the IAC SE that ends a subnegotiation whose contents begin at `position`, or the end
/// of the line.
fn subnegotiation_end(line: &[u8], position: usize) -> usize {
    let mut position = position;
    while let Some(distance) = line.get(position..).and_then(|rest| memchr(IAC, rest)) {
        // Also past a doubled IAC, which is contents.
        position += distance + 2;
        if line.get(position - 1) == Some(&SUBNEGOTIATION_END) {
            return position;
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT_BYTES: usize = 16;

    /// A line that owns its bytes, to compare many.
    #[derive(Debug, PartialEq, Eq, Clone)]
    enum Owned {
        Command(Vec<u8>),
        TooLong,
        Nul,
    }

    fn command(bytes: impl AsRef<[u8]>) -> Owned {
        Owned::Command(bytes.as_ref().to_vec())
    }

    fn take_all(buffer: &mut Buffer, lines: &mut Vec<Owned>) {
        while let Some(line) = buffer.next_line() {
            lines.push(match line {
                Line::Command(bytes) => command(bytes),
                Line::TooLong => Owned::TooLong,
                Line::Nul => Owned::Nul,
            });
        }
    }

    fn lines_of(pieces: &[&[u8]]) -> (Vec<Owned>, bool) {
        let mut buffer = Buffer::new(LIMIT_BYTES);
        let mut lines = Vec::new();
        for piece in pieces {
            buffer.extend(piece);
            take_all(&mut buffer, &mut lines);
        }
        (lines, buffer.is_empty())
    }

    /// The whole, two pieces cut at every byte, and single bytes give the same lines.
    #[track_caller]
    fn check(input: impl AsRef<[u8]>, expected: &[Owned]) {
        let input = input.as_ref();
        let (lines, is_empty) = lines_of(&[input]);
        assert_eq!(lines, expected, "whole");
        assert_eq!(is_empty, input.is_empty() || input.ends_with(b"\n"));
        for cut in 0..=input.len() {
            let (head, tail) = input.split_at(cut);
            assert_eq!(lines_of(&[head, tail]).0, expected, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(lines_of(&bytes), (expected.to_vec(), is_empty), "byte by byte");
    }

    #[test]
    fn line_ends() {
        check("", &[]);
        check("NOOP", &[]);
        check("NOOP\r", &[]);
        check("NOOP\r\n", &[command("NOOP")]);
        check("NOOP\n", &[command("NOOP")]);
        check("\r\n", &[command("")]);
        check("\n\n", &[command(""), command("")]);
        check("A\r\nB\nC\r\nD", &[command("A"), command("B"), command("C")]);
        check("A\n\rB\r\n", &[command("A"), command("\rB")]);
        check("A\r\r\n", &[command("A\r")]);
        check("A\rB\r\n", &[command("A\rB")]);
        check(" A \r\n", &[command(" A ")]);
        check(b"STOR \xE9\r\n", &[command(b"STOR \xE9")]);
    }

    #[test]
    fn nul_is_reported_unless_it_completes_a_carriage_return() {
        check("A\0B\r\n", &[Owned::Nul]);
        check("\0\n", &[Owned::Nul]);
        check("A\0\r\nB\r\n", &[Owned::Nul, command("B")]);
        check("A\r\0B\r\n", &[command("A\rB")]);
        check("A\r\0\n", &[command("A\r")]);
        check("A\r\0\r\n", &[command("A\r")]);
        check("A\r\0\0\r\n", &[Owned::Nul]);
        check("A\r\r\0\r\n", &[command("A\r\r")]);
        check("A\r\n\0B\r\n", &[command("A"), Owned::Nul]);
    }

    #[test]
    fn telnet_commands_vanish() {
        // Interrupt process, then the data mark of a Synch, before ABOR.
        check(b"\xFF\xF4\xFF\xF2ABOR\r\n", &[command("ABOR")]);
        check(b"\xF2ABOR\r\n", &[command(b"\xF2ABOR")]);
        check(b"AB\xFF\xF1OR\r\n", &[command("ABOR")]);
        check(b"A\xFF\xF0B\n", &[command("AB")]);
        check(b"A\xFF\xF9B\n", &[command("AB")]);
        for verb in 0xFB..=0xFE {
            check([b'A', 0xFF, verb, 6, b'B', b'\n'], &[command("AB")]);
            check([b'A', 0xFF, verb, 0, b'B', b'\n'], &[command("AB")]);
            check([b'A', 0xFF, verb, 0xFF, b'B', b'\n'], &[command("AB")]);
        }
        check(b"\xFF\xF4\xFF\xF2\r\n", &[command("")]);
        // What stands between a CR and the end does not part them, nor a CR from its NUL.
        check(b"A\r\xFF\xF1\n", &[command("A")]);
        check(b"A\r\xFF\xF1\0B\n", &[command("A\rB")]);
    }

    #[test]
    fn telnet_never_swallows_a_line_end() {
        check(b"A\xFF\xFB\nB\n", &[command("A"), command("B")]);
        check(b"A\xFF\xFE\r\nB\n", &[command("A"), command("B")]);
        check(b"A\xFF\xFA\x1F\nB\n", &[command("A"), command("B")]);
        check(b"A\xFF\xFA\x1F\xFF\nB\n", &[command("A"), command("B")]);
    }

    #[test]
    fn subnegotiations_vanish() {
        check(b"A\xFF\xFA\x18\x00vt\xFF\xF0B\r\n", &[command("AB")]);
        check(b"A\xFF\xFA\xFF\xFF\xF0x\xFF\xF0B\r\n", &[command("AB")]);
        check(b"A\xFF\xFA\xFF\xF0\r\n", &[command("A")]);
        check(b"A\xFF\xFA\r\n", &[command("A")]);
    }

    #[test]
    fn the_byte_255_in_names() {
        check(b"A\xFF\xFFB\r\n", &[command(b"A\xFFB")]);
        check(b"\xFF\xFF\xFF\xFF\r\n", &[command(b"\xFF\xFF")]);
        check(b"\xFF\xFF\xF4\r\n", &[command(b"\xFF\xF4")]);
        check(b"A\xFFB\r\n", &[command(b"A\xFFB")]);
        check(b"A\xFF\xEFB\r\n", &[command(b"A\xFF\xEFB")]);
        check(b"A\xFF\r\n", &[command(b"A\xFF")]);
        check(b"A\xFF\n", &[command(b"A\xFF")]);
        check(b"A\xFF\xFF\xFF\r\n", &[command(b"A\xFF\xFF")]);
        check(b"A\xFF\r\0B\r\n", &[command(b"A\xFF\rB")]);
        check(b"A\xFF\0B\r\n", &[Owned::Nul]);
    }

    #[test]
    fn the_limit() {
        let exact = "x".repeat(LIMIT_BYTES);
        let over = "x".repeat(LIMIT_BYTES + 1);
        check(format!("{exact}\r\n"), &[command(&exact)]);
        check(format!("{exact}\n"), &[command(&exact)]);
        check(format!("{over}\r\n"), &[Owned::TooLong]);
        check(format!("{over}\n"), &[Owned::TooLong]);
        check(format!("{exact}\r\r\n"), &[Owned::TooLong]);
        check(format!("{exact}\rx\n"), &[Owned::TooLong]);
        check(format!("A\n{over}\r\nB\n"), &[command("A"), Owned::TooLong, command("B")]);
        check(format!("{over}{over}\n{over}\n"), &[Owned::TooLong, Owned::TooLong]);
        check(&over, &[]);
        check(format!("{over}\0\n"), &[Owned::TooLong]);
        // What arrives counts, not what Telnet leaves of it.
        check([&[0xFF; LIMIT_BYTES][..], b"\n"].concat(), &[command([0xFF; LIMIT_BYTES / 2])]);
        check([&[0xFF; LIMIT_BYTES + 2][..], b"\n"].concat(), &[Owned::TooLong]);
    }

    #[test]
    fn an_overlong_line_is_not_stored_and_keeps_the_buffer_from_being_empty() {
        let mut buffer = Buffer::new(LIMIT_BYTES);
        for _ in 0..1000 {
            buffer.extend(&[b'x'; 100]);
            assert_eq!(buffer.next_line(), None);
            assert_eq!((buffer.len(), buffer.is_empty()), (0, false));
            assert!(buffer.bytes.capacity() <= LINE_BUFFER_KEPT_BYTES);
        }
        buffer.extend(b"\nA");
        assert_eq!(buffer.len(), 1);
        assert_eq!(buffer.next_line(), Some(Line::TooLong));
        assert_eq!(buffer.next_line(), None);
        buffer.extend(b"\r\n");
        assert_eq!(buffer.next_line(), Some(Line::Command(b"A")));
        assert!(buffer.is_empty());
        assert_eq!(buffer.next_line(), None);
        assert_eq!(buffer.bytes.capacity(), 0, "a session that waits keeps no buffer, however small");
    }

    #[test]
    fn a_reported_end_is_waiting_until_it_is_taken() {
        let mut buffer = Buffer::new(LIMIT_BYTES);
        buffer.extend(&[b'x'; 100]);
        assert_eq!(buffer.next_line(), None);
        buffer.extend(b"xx\n");
        assert_eq!((buffer.len(), buffer.is_empty()), (0, false));
        assert_eq!(buffer.next_line(), Some(Line::TooLong));
        assert!(buffer.is_empty());
    }

    #[test]
    fn ten_thousand_commands_are_cut_in_order_and_memory_is_given_back() {
        let mut buffer = Buffer::new(4096);
        let input: Vec<u8> = (0..10_000).flat_map(|n| format!("RETR {n}\r\n").into_bytes()).collect();
        let mut next = 0;
        for piece in input.chunks(65_536) {
            buffer.extend(piece);
            while let Some(line) = buffer.next_line() {
                assert_eq!(line, Line::Command(format!("RETR {next}").as_bytes()));
                next += 1;
            }
        }
        assert_eq!(next, 10_000);
        assert!(buffer.is_empty());
        assert_eq!(buffer.bytes.capacity(), 0);
    }

    #[test]
    fn lines_taken_one_by_one_between_arrivals_stay_in_order() {
        let mut buffer = Buffer::new(4096);
        for n in 0..10_000 {
            buffer.extend(format!("RETR {n}\r\nNO").as_bytes());
            buffer.extend(b"OP\r\n");
            // One of the two lines is taken, so that the buffer grows all the time.
            let expected = if n % 2 == 0 { format!("RETR {}", n / 2) } else { "NOOP".to_owned() };
            assert_eq!(buffer.next_line(), Some(Line::Command(expected.as_bytes())));
        }
        let mut lines = Vec::new();
        take_all(&mut buffer, &mut lines);
        assert_eq!(lines.len(), 10_000);
        assert_eq!(lines.last(), Some(&command("NOOP")));
    }

    #[test]
    fn debug_tells_nothing_of_the_contents() {
        let mut buffer = Buffer::new(4096);
        buffer.extend(b"PASS secret\r\n");
        let text = format!("{buffer:?}");
        assert_eq!(text, "Buffer { len: 13, limit_bytes: 4096, overlong: No, .. }");
    }

    #[test]
    fn shrink_keeps_what_waits() {
        let mut buffer = Buffer::new(4096);
        buffer.extend(&b"NOOP\r\n".repeat(10_000));
        for _ in 0..9_990 {
            assert_eq!(buffer.next_line(), Some(Line::Command(b"NOOP")));
        }
        buffer.shrink();
        assert!(buffer.bytes.capacity() <= LINE_BUFFER_KEPT_BYTES);
        let mut lines = Vec::new();
        take_all(&mut buffer, &mut lines);
        assert_eq!(lines, vec![command("NOOP"); 10]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            input in prop::collection::vec(
                prop::sample::select(&b"AB \r\r\n\n\0\xFF\xFF\xFF\xF0\xF2\xF4\xFA\xFB\xFE\x06\xEF"[..]),
                0..120,
            ),
            cuts in prop::collection::vec(0usize..120, 0..12),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.sort_unstable();
            cuts.push(input.len());
            let mut begin = 0;
            let mut pieces: Vec<&[u8]> = Vec::new();
            for cut in cuts {
                pieces.push(&input[begin..cut]);
                begin = cut;
            }
            let (whole, is_empty) = lines_of(&[&input]);
            prop_assert_eq!(lines_of(&pieces), (whole.clone(), is_empty));
            // One line for each LF, and none can hold what was to be taken out.
            prop_assert_eq!(whole.len(), input.iter().filter(|&&byte| byte == b'\n').count());
            for line in whole {
                if let Owned::Command(bytes) = line {
                    prop_assert!(bytes.len() <= LIMIT_BYTES);
                    prop_assert!(!bytes.contains(&0) && !bytes.contains(&b'\n'));
                }
            }
        }

        #[test]
        fn taking_lines_late_gives_the_same_lines(
            pieces in prop::collection::vec(prop::collection::vec(
                prop::sample::select(&b"ABCDE\r\n\n\xFF\xF4"[..]), 0..40), 0..12),
            take in prop::collection::vec(0usize..4, 12),
        ) {
            let whole = lines_of(&[&pieces.concat()]).0;
            let mut buffer = Buffer::new(LIMIT_BYTES);
            let mut lines = Vec::new();
            for (piece, count) in pieces.iter().zip(take) {
                buffer.extend(piece);
                for _ in 0..count {
                    if let Some(line) = buffer.next_line() {
                        lines.push(match line {
                            Line::Command(bytes) => command(bytes),
                            Line::TooLong => Owned::TooLong,
                            Line::Nul => Owned::Nul,
                        });
                    }
                }
            }
            take_all(&mut buffer, &mut lines);
            prop_assert_eq!(lines, whole);
        }
    }
}
