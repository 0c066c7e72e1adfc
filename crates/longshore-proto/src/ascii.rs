//! TYPE A on a data connection: lines end in CR LF on the wire and in LF in files (RFC 959 section 3.1.1.1).
//!
//! Streaming: any split of the input gives the same output. Not inside: EBCDIC, page and record structure,
//! and any thought about character sets; every byte but CR, LF and NUL passes as it is.

use memchr::{memchr, memchr_iter};

const LINE_FEED: u8 = b'\n';
const CARRIAGE_RETURN: u8 = b'\r';
const NUL: u8 = 0;

/// From the file to the wire: an LF without a CR before it becomes CR LF. A CR LF stays as it is, so that a
/// file with either kind of line end arrives with the right one; other CRs stay too.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    after_carriage_return: bool,
}

impl Encoder {
    /// An encoder at the beginning of a file.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// Appends the wire form of `input` to `output`: at most twice as many bytes. Nothing is held back, so
    /// there is nothing to finish.
    pub fn encode(&mut self, input: &[u8], output: &mut Vec<u8>) {
        let Some(&last) = input.last() else { return };
        output.reserve(input.len());
        let mut copied = 0;
        for position in memchr_iter(LINE_FEED, input) {
            let has_carriage_return = match position.checked_sub(1) {
                Some(before) => input[before] == CARRIAGE_RETURN,
                None => self.after_carriage_return,
            };
            if !has_carriage_return {
                output.extend_from_slice(&input[copied..position]);
                output.push(CARRIAGE_RETURN);
                copied = position;
            }
        }
        output.extend_from_slice(&input[copied..]);
        self.after_carriage_return = last == CARRIAGE_RETURN;
    }
}

/// From the wire to the file: CR LF becomes LF and CR NUL becomes CR (RFC 854's way to send a CR alone).
/// Other CRs, and LFs alone, stay.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// A CR that came last and waits for what follows it.
    holds_carriage_return: bool,
}

impl Decoder {
    /// A decoder at the beginning of a transfer.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Appends the file form of `input` to `output`: at most one byte more than `input` has.
    pub fn decode(&mut self, input: &[u8], output: &mut Vec<u8>) {
        let Some(&first) = input.first() else { return };
        output.reserve(input.len() + 1);
        let mut rest = input;
        if self.holds_carriage_return {
            self.holds_carriage_return = false;
            if first != LINE_FEED {
                output.push(CARRIAGE_RETURN);
            }
            if first == NUL {
                rest = &rest[1..];
            }
        }
        while let Some(position) = memchr(CARRIAGE_RETURN, rest) {
            let (before, behind) = (&rest[..position], &rest[position + 1..]);
            output.extend_from_slice(before);
            rest = match behind.first() {
                // The LF is copied with what comes next.
                Some(&LINE_FEED) => behind,
                Some(&NUL) => {
                    output.push(CARRIAGE_RETURN);
                    &behind[1..]
                }
                Some(_) => {
                    output.push(CARRIAGE_RETURN);
                    behind
                }
                None => {
                    self.holds_carriage_return = true;
                    return;
                }
            };
        }
        output.extend_from_slice(rest);
    }

    /// Ends the stream: a CR that came last is kept. The decoder is then as new.
    pub fn finish(&mut self, output: &mut Vec<u8>) {
        if std::mem::take(&mut self.holds_carriage_return) {
            output.push(CARRIAGE_RETURN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(pieces: &[&[u8]]) -> Vec<u8> {
        let mut encoder = Encoder::new();
        let mut output = Vec::new();
        for piece in pieces {
            encoder.encode(piece, &mut output);
        }
        output
    }

    fn decode(pieces: &[&[u8]]) -> Vec<u8> {
        let mut decoder = Decoder::new();
        let mut output = Vec::new();
        for piece in pieces {
            decoder.decode(piece, &mut output);
        }
        decoder.finish(&mut output);
        output
    }

    #[track_caller]
    fn check(convert: fn(&[&[u8]]) -> Vec<u8>, input: &[u8], expected: &[u8]) {
        assert_eq!(convert(&[input]).escape_ascii().to_string(), expected.escape_ascii().to_string());
        for cut in 0..=input.len() {
            let (head, tail) = input.split_at(cut);
            assert_eq!(convert(&[head, tail]), expected, "cut at {cut}");
            assert_eq!(convert(&[head, b"", tail]), expected, "nothing arrives at {cut}");
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(convert(&bytes), expected, "byte by byte");
    }

    #[test]
    fn encoding() {
        check(encode, b"", b"");
        check(encode, b"no line end", b"no line end");
        check(encode, b"\n", b"\r\n");
        check(encode, b"a\nb\n", b"a\r\nb\r\n");
        check(encode, b"a\r\nb\r\n", b"a\r\nb\r\n");
        check(encode, b"a\n\nb", b"a\r\n\r\nb");
        check(encode, b"a\r\n\nb", b"a\r\n\r\nb");
        check(encode, b"a\rb", b"a\rb");
        check(encode, b"a\r", b"a\r");
        check(encode, b"\r\r\n", b"\r\r\n");
        check(encode, b"a\r\0\n\xFF\n", b"a\r\0\r\n\xFF\r\n");
    }

    #[test]
    fn decoding() {
        check(decode, b"", b"");
        check(decode, b"no line end", b"no line end");
        check(decode, b"\r\n", b"\n");
        check(decode, b"a\r\nb\r\n", b"a\nb\n");
        check(decode, b"a\nb", b"a\nb");
        check(decode, b"a\r\0b", b"a\rb");
        check(decode, b"a\r\0", b"a\r");
        check(decode, b"a\r\0\0", b"a\r\0");
        check(decode, b"a\r\0\n", b"a\r\n");
        check(decode, b"a\rb", b"a\rb");
        check(decode, b"a\r", b"a\r");
        check(decode, b"\r", b"\r");
        check(decode, b"\r\r\n", b"\r\n");
        check(decode, b"\r\r", b"\r\r");
        check(decode, b"\r\r\0\r\n", b"\r\r\n");
        check(decode, b"\0\xFF\r\n\r\n", b"\0\xFF\n\n");
    }

    #[test]
    fn a_finished_decoder_is_as_new() {
        let mut decoder = Decoder::new();
        let mut output = Vec::new();
        decoder.decode(b"a\r", &mut output);
        decoder.finish(&mut output);
        decoder.finish(&mut output);
        decoder.decode(b"\nb", &mut output);
        assert_eq!(output, b"a\r\nb");
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_output(
            pieces in prop::collection::vec(
                prop::collection::vec(prop::sample::select(&b"ab\r\r\n\n\0\xFF"[..]), 0..12), 0..8),
        ) {
            let whole = pieces.concat();
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(encode(&pieces), encode(&[&whole]));
            prop_assert_eq!(decode(&pieces), decode(&[&whole]));
        }

        #[test]
        fn text_without_carriage_returns_survives_the_round_trip(
            text in prop::collection::vec(prop::sample::select(&b"ab\n\n\0\xFF"[..]), 0..60),
        ) {
            prop_assert_eq!(decode(&[&encode(&[&text])]), text);
        }
    }
}
