//! What holds for every input of the codecs. The first byte selects one of the nine forms of the mode and one of three
//! properties (0 to 26; beyond, it begins anew), the second how the rest is cut into pieces.
//!
//! Not inside: examples of what the codecs make of certain bytes, which are in `tests/transmission`.

use longshore_proto::transmission::Representation;
use longshore_proto::transmission::{Ending, Error, Form, Marker, Mode, Problem, Sender, Structure};

use super::cuts::Cuts;
use super::receiving::{comparable, forms, receive};

/// What follows a file on a connection that stays open; in block mode it would be a header.
const BEHIND: &[u8] = b"\x80\0\x01behind";

/// MODE S: text, records, pages.
pub fn stream(data: &[u8]) {
    codec(Mode::Stream, data);
}

/// MODE B.
pub fn block(data: &[u8]) {
    codec(Mode::Block, data);
}

/// MODE C.
pub fn compressed(data: &[u8]) {
    codec(Mode::Compressed, data);
}

/// MODE Z.
pub fn deflate(data: &[u8]) {
    codec(Mode::Deflate, data);
}

fn codec(mode: Mode, data: &[u8]) {
    let [selector, seed, rest @ ..] = data else { return };
    let forms: Vec<Form> = forms().filter(|form| form.mode == mode).collect();
    let form = forms[usize::from(*selector) % forms.len()];
    match usize::from(*selector) / forms.len() % 3 {
        0 => round_trip(form, *seed, rest),
        1 => any_bytes(form, *seed, rest),
        _ => damaged(form, *seed, rest),
    }
}

/// A file comes back as it was sent, with its markers where they were set, whatever way both ends cut it; what follows it is
/// left; and a part of it is never taken for the whole where the form can tell.
fn round_trip(form: Form, seed: u8, contents: &[u8]) {
    let mut cuts = Cuts::new(seed);
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
fn any_bytes(form: Form, seed: u8, wire: &[u8]) {
    let mut cuts = Cuts::new(seed);
    let whole = receive(form, wire, |rest| (rest, &[]));
    let pieces = receive(form, wire, |rest| cuts.split(rest));
    assert_eq!(comparable(form, whole), comparable(form, pieces), "{form:?}");
}

/// A damaged transmission: as [`any_bytes`], from a file that was sent in order and then changed at one place.
fn damaged(form: Form, seed: u8, data: &[u8]) {
    let [place, change, contents @ ..] = data else { return };
    let mut wire = Vec::new();
    let mut sender = Sender::new(form, 0);
    sender.send(contents, &mut wire);
    sender.finish(&mut wire);
    let length = wire.len();
    if length > 0 {
        wire[usize::from(*place) % length] ^= change;
    }
    any_bytes(form, seed, &wire);
}
