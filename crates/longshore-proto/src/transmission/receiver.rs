//! From the wire to the file.
//!
//! Not inside: reading from a connection, writing to a file, replies.

use super::contents::{Contents, SINK_MARGIN_BYTES};
use super::deflate::ExpansionLimit;
use super::error::{Error, Fault, Problem};
use super::marker::Marker;
use super::{Form, Mode, Structure, block, compressed, deflate, stream};
use crate::limits::RECEIVE_LIMIT_BYTES;

/// Why a mode stopped reading.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// All input was taken.
    Input,
    /// The sink is full.
    Full,
    /// A marker has come.
    Marker(Marker),
    /// The end of the file was stated, and the sink has been told.
    End,
}

/// What one call to [`Receiver::receive`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes of the input that belong to this file and have been taken. The rest is to be given again, unless this is
    /// [`Step::End`]: then it belongs to what comes next on the connection.
    pub taken_bytes: usize,
    /// What to do now.
    pub step: Step,
}

/// How it goes on after [`Receiver::receive`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// All input was taken: more is needed, or [`Receiver::finish`] when there is none.
    More,
    /// The output has grown as far as it does in one call. Call again with the rest of the input, even if that is empty.
    Full,
    /// The sender has set a marker here, behind all octets put out so far ([`Receiver::offset_bytes`]). A marker that comes
    /// where a transfer could not begin again is left out. Call again with the rest of the input, even if that is empty.
    Marker(Marker),
    /// The file is complete. Nothing more is taken.
    End,
}

/// How a complete file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Bytes on the wire said so.
    Stated,
    /// The connection ended where the file may: nothing tells this from a connection that was cut there in order.
    Connection,
}

/// Takes one file from a data connection.
pub struct Receiver {
    contents: Contents,
    mode: Decoder,
    wire_bytes: u64,
    offset_bytes: u64,
    /// Once there is a result it does not change.
    result: Option<Result<Ending, Error>>,
}

enum Decoder {
    Stream(stream::Decoder),
    Block(block::Decoder),
    Compressed(compressed::Decoder),
    Deflate(Box<deflate::Decoder>),
}

impl Receiver {
    /// A receiver for a file of which `offset_bytes` octets are there already: zero, or where a transfer begins again. A paged
    /// file ([`Structure::Page`]) can only be received from its beginning.
    pub fn new(form: Form, offset_bytes: u64) -> Receiver {
        let has_records = form.structure == Structure::Record;
        let mode = match form.mode {
            Mode::Stream => Decoder::Stream(stream::Decoder::new(has_records)),
            Mode::Block => Decoder::Block(block::Decoder::new()),
            Mode::Compressed => Decoder::Compressed(compressed::Decoder::new(form.representation.filler())),
            Mode::Deflate => Decoder::Deflate(Box::new(deflate::Decoder::new(has_records))),
        };
        Receiver { contents: Contents::new(form), mode, wire_bytes: 0, offset_bytes, result: None }
    }

    /// Another limit for MODE Z; it means nothing to other modes.
    #[must_use]
    pub fn with_expansion_limit(mut self, limit: ExpansionLimit) -> Receiver {
        if let Decoder::Deflate(decoder) = &mut self.mode {
            decoder.set_limit(limit);
        }
        self
    }

    /// Takes bytes from the connection and appends octets of the file to `output`: at most [`RECEIVE_LIMIT_BYTES`] in one
    /// call.
    ///
    /// # Errors
    /// The transmission cannot be taken. The octets put out so far are what came before; every later call says the same.
    pub fn receive(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Received, Error> {
        match self.result {
            Some(Ok(_)) => return Ok(Received { taken_bytes: 0, step: Step::End }),
            Some(Err(error)) => return Err(error),
            None => {}
        }
        let start = output.len();
        let mut sink = self.contents.sink(output, start + RECEIVE_LIMIT_BYTES - SINK_MARGIN_BYTES);
        let outcome = match &mut self.mode {
            Decoder::Stream(decoder) => decoder.decode(input, &mut sink),
            Decoder::Block(decoder) => decoder.decode(input, &mut sink),
            Decoder::Compressed(decoder) => decoder.decode(input, &mut sink),
            Decoder::Deflate(decoder) => decoder.decode(input, &mut sink),
        };
        self.offset_bytes += (output.len() - start) as u64;
        let (taken_bytes, stop) = outcome.map_err(|fault| self.fail(fault))?;
        self.wire_bytes += taken_bytes as u64;
        let step = match stop {
            Stop::Input => Step::More,
            Stop::Full => Step::Full,
            Stop::Marker(marker) => Step::Marker(marker),
            Stop::End => {
                self.result = Some(Ok(Ending::Stated));
                Step::End
            }
        };
        Ok(Received { taken_bytes, step })
    }

    /// Ends the file where the connection has ended in order, and appends what was held back to `output`, at most one
    /// byte. To be called when all that came has been taken.
    ///
    /// # Errors
    /// The file is not complete ([`Problem::Cut`]), or had failed before.
    pub fn finish(&mut self, output: &mut Vec<u8>) -> Result<Ending, Error> {
        if let Some(result) = self.result {
            return result;
        }
        let start = output.len();
        let mut sink = self.contents.sink(output, usize::MAX);
        let outcome = match &mut self.mode {
            Decoder::Stream(decoder) => decoder.finish(&mut sink),
            Decoder::Compressed(decoder) => decoder.finish(&mut sink),
            Decoder::Block(_) | Decoder::Deflate(_) => Err(Problem::Cut),
        };
        self.offset_bytes += (output.len() - start) as u64;
        match outcome {
            Ok(()) => {
                self.result = Some(Ok(Ending::Connection));
                Ok(Ending::Connection)
            }
            Err(problem) => Err(self.fail(Fault::at(0, problem))),
        }
    }

    /// Octets of the file so far, with those that were there at the beginning.
    pub fn offset_bytes(&self) -> u64 {
        self.offset_bytes
    }

    /// Bytes of the connection that have been taken.
    pub fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }

    /// Blocks, or strings of compressed mode, in which the sender suspects errors (RFC 959 section 3.4.2). Their data are in
    /// the file as they came.
    pub fn suspect_blocks(&self) -> u64 {
        match &self.mode {
            Decoder::Block(decoder) => decoder.suspect_blocks(),
            Decoder::Compressed(decoder) => decoder.suspect_strings(),
            Decoder::Stream(_) | Decoder::Deflate(_) => 0,
        }
    }

    fn fail(&mut self, fault: Fault) -> Error {
        let error = Error { problem: fault.problem, offset_bytes: self.wire_bytes + fault.position as u64 };
        self.result = Some(Err(error));
        error
    }
}
