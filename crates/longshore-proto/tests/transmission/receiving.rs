//! Receiving bytes of a data connection in pieces, and all that came of it, for whoever compares two ways of cutting them.
//! What holds for every single call is asserted on the way.
//!
//! Not inside: which bytes, and what must come of them.

use std::fmt;

use longshore_proto::limits::RECEIVE_LIMIT_BYTES;
use longshore_proto::transmission::{
    Ending, Error, Form, Marker, Mode, Receiver, Representation, Step, Structure,
};

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
