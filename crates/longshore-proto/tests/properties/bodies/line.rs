//! Lines as the control connection brings them, against their rules written down once more, slowly.
//!
//! Not inside: what a line means.

use longshore_proto::line::{Buffer, Line};

use super::cuts::Cuts;

/// A line that owns its bytes, to compare many.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Command(Vec<u8>),
    TooLong,
    Nul,
}

/// The first byte is the limit of a line, the second how the rest is cut. However it is cut, it comes to what the rules
/// say, and no more is held than they allow.
pub fn line(data: &[u8]) {
    let [limit, seed, input @ ..] = data else { return };
    let limit_bytes = 1 + usize::from(*limit);
    let mut cuts = Cuts::new(*seed);
    let expected: Vec<Owned> = input
        .split_inclusive(|&byte| byte == b'\n')
        .filter_map(|line| line.strip_suffix(b"\n"))
        .map(|line| by_the_rules(line, limit_bytes))
        .collect();
    assert_eq!(lines_of(input, limit_bytes, |rest| (rest, &[])), expected, "in one piece");
    assert_eq!(lines_of(input, limit_bytes, |rest| rest.split_at(1)), expected, "byte by byte");
    assert_eq!(lines_of(input, limit_bytes, |rest| cuts.split(rest)), expected, "in pieces");
}

fn lines_of<'a>(
    input: &'a [u8],
    limit_bytes: usize,
    mut split: impl FnMut(&'a [u8]) -> (&'a [u8], &'a [u8]),
) -> Vec<Owned> {
    let mut buffer = Buffer::new(limit_bytes);
    let mut lines = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let (piece, behind) = split(rest);
        let before = buffer.len();
        buffer.extend(piece);
        assert!(buffer.len() <= before + piece.len());
        while let Some(line) = buffer.next_line() {
            lines.push(match line {
                Line::Command(bytes) => Owned::Command(bytes.to_vec()),
                Line::TooLong => Owned::TooLong,
                Line::Nul => Owned::Nul,
            });
        }
        // A CR that may belong to the end does not count.
        assert!(buffer.len() <= limit_bytes + 1, "{} bytes of an unfinished line are held", buffer.len());
        let read = &input[..input.len() - behind.len()];
        assert_eq!(buffer.is_empty(), read.is_empty() || read.ends_with(b"\n"));
        rest = behind;
    }
    lines
}

/// What a line without its LF comes to: first its length as it arrived, then Telnet, then the CR of the end, then NUL.
fn by_the_rules(line: &[u8], limit_bytes: usize) -> Owned {
    if line.strip_suffix(b"\r").unwrap_or(line).len() > limit_bytes {
        return Owned::TooLong;
    }
    let text = without_telnet(line);
    let text = text.strip_suffix(b"\r").unwrap_or(&text);
    let mut command = Vec::new();
    for &byte in text {
        match (byte, command.last()) {
            (0, Some(&(b'\r', false))) => *command.last_mut().expect("just looked at") = (b'\r', true),
            (0, _) => return Owned::Nul,
            (byte, _) => command.push((byte, false)),
        }
    }
    Owned::Command(command.into_iter().map(|(byte, _)| byte).collect())
}

fn without_telnet(line: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = line;
    loop {
        rest = match rest {
            [] => return text,
            [0xFF, 0xFF, behind @ ..] => {
                text.push(0xFF);
                behind
            }
            [0xFF, 0xFA, inner @ ..] => behind_subnegotiation(inner),
            [0xFF, 0xFB..=0xFE, _, behind @ ..] => behind,
            [0xFF, 0xFB..=0xFE] => &[],
            [0xFF, 0xF0..=0xFF, behind @ ..] => behind,
            [byte, behind @ ..] => {
                text.push(*byte);
                behind
            }
        };
    }
}

fn behind_subnegotiation(mut inner: &[u8]) -> &[u8] {
    loop {
        inner = match inner {
            [] => return inner,
            [0xFF, 0xF0, behind @ ..] => return behind,
            [0xFF, _, behind @ ..] => behind,
            [_, behind @ ..] => behind,
        };
    }
}
