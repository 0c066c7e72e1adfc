//! Replies as a client reads them.
//!
//! Not inside: what a reply means for a request.

use longshore_proto::client::{
    Features, Parser, Reply, ReplyError, parse_directory, parse_modified, parse_size,
};
use longshore_proto::limits::{REPLY_LIMIT_BYTES, REPLY_LIMIT_LINES, REPLY_LINE_LIMIT_BYTES};
use longshore_proto::line::Buffer;
use longshore_proto::time::write_time_val;

use super::cuts::Cuts;

/// All that was read.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    replies: Vec<Reply>,
    error: Option<ReplyError>,
    /// What silence would make of the last lines.
    settled: Option<Reply>,
}

/// The first byte says how the rest is cut. However it is cut, the replies are the same; each is within the bounds, and
/// written anew it is read as it was.
pub fn reply(data: &[u8]) {
    let Some((&seed, input)) = data.split_first() else { return };
    let mut cuts = Cuts::new(seed);
    let whole = read(REPLY_LINE_LIMIT_BYTES, input, |rest| (rest, &[]));
    assert_eq!(read(REPLY_LINE_LIMIT_BYTES, input, |rest| cuts.split(rest)), whole);
    for reply in whole.replies.iter().chain(&whole.settled) {
        bounds(reply);
        values(reply);
    }
    let again: Vec<u8> = whole.replies.iter().flat_map(written).collect();
    // Some bytes are written as two.
    let again = read(2 * REPLY_LINE_LIMIT_BYTES, &again, |rest| (rest, &[]));
    assert_eq!((again.replies, again.error, again.settled), (whole.replies, None, None));
}

fn read<'a>(
    limit_bytes: usize,
    input: &'a [u8],
    mut split: impl FnMut(&'a [u8]) -> (&'a [u8], &'a [u8]),
) -> Read {
    let mut buffer = Buffer::new(limit_bytes);
    let mut parser = Parser::default();
    let mut replies = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let (piece, behind) = split(rest);
        rest = behind;
        buffer.extend(piece);
        while let Some(line) = buffer.next_line() {
            match parser.read(line) {
                Ok(reply) => {
                    assert!(reply.is_none() || !parser.is_open(), "a reply ends and goes on");
                    assert!(parser.is_open() || !parser.is_doubtful(), "doubtful without a reply");
                    replies.extend(reply);
                }
                Err(error) => {
                    assert!(
                        !parser.is_open() && parser.settle().is_none(),
                        "behind an error all is forgotten"
                    );
                    assert!(!error.to_string().bytes().any(|byte| byte.is_ascii_control()), "{error:?}");
                    return Read { replies, error: Some(error), settled: None };
                }
            }
        }
    }
    let doubtful = parser.is_doubtful();
    let settled = parser.settle();
    assert_eq!(settled.is_some(), doubtful);
    assert!(!(doubtful && parser.is_open()));
    Read { replies, error: None, settled }
}

fn bounds(reply: &Reply) {
    assert!((100..600).contains(&reply.code));
    assert!((1..=REPLY_LIMIT_LINES).contains(&reply.lines.len()));
    let bytes: usize = reply.lines.iter().map(Vec::len).sum();
    assert!(bytes <= REPLY_LIMIT_BYTES);
    let breaks = |byte: &u8| matches!(byte, b'\n' | 0);
    assert!(!reply.lines.iter().flatten().any(breaks));
    assert_eq!(reply.is_refusal(), reply.code >= 400);
}

/// What machines read within a reply is what a server would have written.
fn values(reply: &Reply) {
    let with_text = |text: &[u8]| Reply { code: reply.code, lines: vec![b"first".to_vec(), text.to_vec()] };
    if let Some(path) = parse_directory(reply) {
        assert!(!path.is_empty());
        let quoted: Vec<u8> = path
            .iter()
            .flat_map(|&byte| std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }))
            .collect();
        let text = [b"\"".to_vec(), quoted, b"\" \"is\" it".to_vec()].concat();
        assert_eq!(parse_directory(&with_text(&text)), Some(path));
    }
    if let Some(size) = parse_size(reply) {
        assert_eq!(parse_size(&with_text(size.to_string().as_bytes())), Some(size));
    }
    if let Some(time) = parse_modified(reply) {
        let mut text = Vec::new();
        write_time_val(&mut text, time);
        let again = parse_modified(&with_text(&text)).expect("it was just written");
        assert_eq!(again.seconds, time.seconds);
    }
    let features = Features::parse(reply);
    assert!(features.lines().count() <= reply.lines.len().saturating_sub(2));
    for line in features.lines() {
        assert!(!line.is_empty() && line.trim_ascii() == line);
        if let Ok(text) = std::str::from_utf8(line) {
            let name = text.split(' ').next().unwrap_or_default();
            // A tab before a name is not the name's.
            assert!(features.has(name.trim_start_matches('\t')), "{text:?}");
        }
    }
}

/// As a server that puts the code before each line writes it.
fn written(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, text) in reply.lines.iter().enumerate() {
        let sign = if index + 1 == reply.lines.len() { ' ' } else { '-' };
        out.extend_from_slice(format!("{}{sign}", reply.code).as_bytes());
        for &byte in text {
            match byte {
                0xFF => out.extend_from_slice(b"\xFF\xFF"),
                b'\r' => out.extend_from_slice(b"\r\0"),
                byte => out.push(byte),
            }
        }
        out.extend_from_slice(b"\r\n");
    }
    out
}
