//! What holds for every input of the codecs, as functions of bytes that panic where it does not hold. The unit tests call
//! them, and fuzz targets can.
//!
//! The first byte selects the form, the second how the rest is cut into pieces.
//!
//! Not inside: examples of what the codecs make of certain bytes.

use std::fmt;

use super::{Ending, Error, Form, Marker, Mode, Problem, Receiver, Representation, Sender, Step, Structure};
use crate::limits::RECEIVE_LIMIT_BYTES;

/// What follows a file on a connection that stays open; in block mode it would be a header.
const BEHIND: &[u8] = b"\x80\0\x01behind";

/// Every form, in a fixed order.
pub fn forms() -> impl Iterator<Item = Form> {
    Mode::ALL.into_iter().flat_map(|mode| {
        Structure::ALL.into_iter().flat_map(move |structure| {
            Representation::ALL.into_iter().map(move |representation| Form {
                representation,
                structure,
                mode,
            })
        })
    })
}

/// The form that a byte selects.
fn form(selector: u8) -> Form {
    let forms: Vec<Form> = forms().collect();
    forms[usize::from(selector) % forms.len()]
}

/// Lengths of pieces, from nothing to 64 KiB, always the same for one seed.
struct Cuts(u32);

impl Cuts {
    fn new(seed: u8) -> Cuts {
        Cuts(u32::from(seed))
    }

    fn next(&mut self) -> u32 {
        // Numerical Recipes' generator; its low bits are poor, so they are left out.
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 16
    }

    /// Cuts the first piece off.
    fn split<'a>(&mut self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let length = match self.next() % 6 {
            0 => 0,
            1 => 1,
            2 | 3 => self.next() % 8,
            4 => self.next() % 700,
            _ => self.next(),
        };
        bytes.split_at(bytes.len().min(length as usize))
    }
}

/// All that came of bytes on the wire.
#[derive(PartialEq, Eq)]
pub struct Outcome {
    /// Octets of the file.
    pub file: Vec<u8>,
    /// Markers, with the offset at which each came.
    pub markers: Vec<(Marker, u64)>,
    /// Bytes that belong to the file.
    pub taken_bytes: usize,
    /// How it ended; the end of the wire is the end of the connection.
    pub result: Result<Ending, Error>,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { file, markers, taken_bytes, result } = self;
        write!(formatter, "{result:?} after {taken_bytes} bytes, {markers:?}, {}", file.escape_ascii())
    }
}

/// Receives `wire` in pieces that `pieces` cuts off.
pub fn receive<'a>(
    form: Form,
    wire: &'a [u8],
    mut pieces: impl FnMut(&'a [u8]) -> (&'a [u8], &'a [u8]),
) -> Outcome {
    let mut receiver = Receiver::new(form, 0);
    let mut outcome =
        Outcome { file: Vec::new(), markers: Vec::new(), taken_bytes: 0, result: Ok(Ending::Stated) };
    let mut rest = wire;
    loop {
        let (piece, _) = pieces(rest);
        let before = outcome.file.len();
        let received = receiver.receive(piece, &mut outcome.file);
        assert!(outcome.file.len() - before <= RECEIVE_LIMIT_BYTES, "one call puts out too much");
        let received = match received {
            Ok(received) => received,
            Err(error) => {
                assert_eq!(receiver.receive(piece, &mut outcome.file), Err(error));
                assert_eq!(receiver.finish(&mut outcome.file), Err(error));
                outcome.result = Err(error);
                return outcome;
            }
        };
        outcome.taken_bytes += received.taken_bytes;
        rest = &rest[received.taken_bytes..];
        assert_eq!(receiver.wire_bytes(), outcome.taken_bytes as u64);
        assert_eq!(receiver.offset_bytes(), outcome.file.len() as u64);
        match received.step {
            Step::More => {
                assert_eq!(received.taken_bytes, piece.len(), "more is asked for while there is some");
                if rest.is_empty() {
                    outcome.result = receiver.finish(&mut outcome.file);
                    return outcome;
                }
            }
            Step::Full => assert!(outcome.file.len() > before, "full of nothing"),
            Step::Marker(marker) => outcome.markers.push((marker, outcome.file.len() as u64)),
            Step::End => {
                assert_eq!(receiver.finish(&mut outcome.file), Ok(Ending::Stated));
                return outcome;
            }
        }
    }
}

/// A file comes back as it was sent, with its markers where they were set, whatever way both ends cut it; what follows it is
/// left; and a part of it is never taken for the whole where the form can tell.
pub fn round_trip(data: &[u8]) {
    let [selector, seed, contents @ ..] = data else { return };
    let form = form(*selector);
    let mut cuts = Cuts::new(*seed);
    let mut file = contents.to_vec();
    if form.representation == Representation::Ascii && form.structure != Structure::Record {
        // A CR in front of an LF does not survive without records: both kinds of line end are one on the wire.
        file.retain(|&byte| byte != b'\r');
    }

    let mut wire = Vec::new();
    let mut marks = Vec::new();
    let mut sender = Sender::new(form, 0);
    let mut rest = &file[..];
    while !rest.is_empty() {
        let (piece, behind) = cuts.split(rest);
        let before = wire.len();
        sender.send(piece, &mut wire);
        let growth = wire.len() - before;
        assert!(
            form.mode == Mode::Deflate || growth <= 3 * piece.len() + 512,
            "{form:?}: {growth} bytes of {}",
            piece.len()
        );
        rest = behind;
        if cuts.next().is_multiple_of(4) {
            marks.extend(sender.mark(&mut wire).map(|offset| (Marker::at(offset), offset)));
        }
    }
    assert_eq!(sender.offset_bytes(), file.len() as u64);
    sender.finish(&mut wire);
    assert!(form.has_markers() || marks.is_empty());

    let length = wire.len();
    if form.states_its_end() {
        wire.extend_from_slice(BEHIND);
    }
    let outcome = receive(form, &wire, |rest| cuts.split(rest));
    let ending = if form.states_its_end() { Ending::Stated } else { Ending::Connection };
    assert_eq!(outcome.result, Ok(ending), "{form:?}");
    assert_eq!(outcome.taken_bytes, length, "{form:?}");
    assert!(outcome.file == file, "{form:?}: {outcome:?} instead of {}", file.escape_ascii());
    assert_eq!(outcome.markers, marks, "{form:?}");

    for _ in 0..4 {
        check_part(form, &file, &wire[..cuts.next() as usize % length.max(1)]);
    }
}

/// A part of a file's transmission is cut, except where the end of the connection may be the end of the file.
fn check_part(form: Form, file: &[u8], part: &[u8]) {
    let outcome = receive(form, part, |rest| (rest, &[]));
    match outcome.result {
        Err(error) => {
            assert!(file.starts_with(&outcome.file), "{form:?}: {outcome:?}");
            assert_eq!(error, Error { problem: Problem::Cut, offset_bytes: part.len() as u64 }, "{form:?}");
        }
        Ok(ending) => {
            let may_end = match form.mode {
                Mode::Stream => form.structure == Structure::File,
                Mode::Compressed => part.ends_with(&[0, 0x40]) || part.ends_with(&[0, 0xC0]),
                Mode::Block | Mode::Deflate => false,
            };
            assert!(may_end && ending == Ending::Connection, "{form:?} takes a part for the whole");
        }
    }
}

/// Any bytes are taken or refused, never with a panic or without a bound, and never in a way that depends on how they are
/// cut.
pub fn any_bytes(data: &[u8]) {
    let [selector, seed, wire @ ..] = data else { return };
    let form = form(*selector);
    let mut cuts = Cuts::new(*seed);
    let whole = receive(form, wire, |rest| (rest, &[]));
    let pieces = receive(form, wire, |rest| cuts.split(rest));
    assert_eq!(comparable(form, whole), comparable(form, pieces), "{form:?}");
}

/// What does not depend on how the wire was cut: not how much an erroneous piece had in front of the error, and not where
/// exactly something is wrong in MODE Z, for the inflater reads ahead.
pub fn comparable(form: Form, mut outcome: Outcome) -> Outcome {
    if let Err(error) = &mut outcome.result {
        outcome.taken_bytes = 0;
        if form.mode == Mode::Deflate {
            error.offset_bytes = 0;
        }
    }
    outcome
}

/// A damaged transmission: as [`any_bytes`], from a file that was sent in order and then changed at one place.
pub fn damaged(data: &[u8]) {
    let [selector, seed, place, change, contents @ ..] = data else { return };
    let form = form(*selector);
    let mut input = vec![*selector, *seed];
    let mut sender = Sender::new(form, 0);
    sender.send(contents, &mut input);
    sender.finish(&mut input);
    let length = input.len() - 2;
    if length > 0 {
        input[2 + usize::from(*place) % length] ^= change;
    }
    any_bytes(&input);
}
