//! From the file to the wire.
//!
//! Not inside: reading a file, writing to a connection, how often a marker is set.

use memchr::memchr;

use super::deflate::Level;
use super::marker::Marker;
use super::page::Paginator;
use super::{Form, Mode, Representation, Structure, block, compressed, deflate, stream};
use crate::{ascii, ebcdic};

/// Text is converted in pieces of this many bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// Puts one file onto a data connection.
pub struct Sender {
    text: Text,
    /// What ends a record in the converted text; `None` where records do not end before the file does.
    record_end: Option<u8>,
    is_one_record: bool,
    /// Converted text is what goes onto the wire.
    is_plain: bool,
    pages: Option<Paginator>,
    mode: Encoder,
    offset_bytes: u64,
    last_byte: u8,
    /// Converted text, on its way from the representation to the structure.
    converted: Vec<u8>,
}

/// What the representation makes of octets.
enum Text {
    AsItIs,
    Lines(ascii::Encoder),
    Ebcdic,
}

impl Text {
    fn encode(&mut self, input: &[u8], output: &mut Vec<u8>) {
        match self {
            Text::AsItIs => output.extend_from_slice(input),
            Text::Lines(encoder) => encoder.encode(input, output),
            Text::Ebcdic => ebcdic::encode(input, output),
        }
    }
}

enum Encoder {
    Stream(stream::Encoder),
    Block(block::Encoder),
    Compressed(compressed::Encoder),
    Deflate(Box<deflate::Encoder>),
}

impl Encoder {
    fn data(&mut self, data: &[u8], output: &mut Vec<u8>) {
        match self {
            Encoder::Stream(encoder) => encoder.data(data, output),
            Encoder::Block(encoder) => encoder.data(data, output),
            Encoder::Compressed(encoder) => encoder.data(data, output),
            Encoder::Deflate(encoder) => encoder.data(data, output),
        }
    }

    fn end_of_record(&mut self, output: &mut Vec<u8>) {
        match self {
            Encoder::Stream(encoder) => encoder.end_of_record(output),
            Encoder::Block(encoder) => encoder.end_of_record(output),
            Encoder::Compressed(encoder) => encoder.end_of_record(output),
            Encoder::Deflate(encoder) => encoder.end_of_record(output),
        }
    }

    fn end_of_file(&mut self, ends_record: bool, output: &mut Vec<u8>) {
        match self {
            Encoder::Stream(encoder) => encoder.end_of_file(ends_record, output),
            Encoder::Block(encoder) => encoder.end_of_file(ends_record, output),
            Encoder::Compressed(encoder) => encoder.end_of_file(ends_record, output),
            Encoder::Deflate(encoder) => encoder.end_of_file(ends_record, output),
        }
    }

    /// The output is about to go.
    fn settle(&mut self, output: &mut Vec<u8>) {
        match self {
            Encoder::Stream(_) | Encoder::Compressed(_) => {}
            Encoder::Block(encoder) => encoder.settle(),
            Encoder::Deflate(encoder) => encoder.settle(output),
        }
    }
}

impl Sender {
    /// A sender for a file from its octet `offset_bytes` on: zero, or where a transfer begins again. Pages are counted from
    /// what is sent, so a paged file ([`Structure::Page`]) can only be sent from its beginning.
    pub fn new(form: Form, offset_bytes: u64) -> Sender {
        let has_records = form.structure == Structure::Record;
        let text = match form.representation {
            Representation::Ascii if !has_records => Text::Lines(ascii::Encoder::new()),
            Representation::Ascii | Representation::Image => Text::AsItIs,
            Representation::Ebcdic => Text::Ebcdic,
        };
        let record_end = match form.representation {
            _ if !has_records => None,
            Representation::Ascii => Some(b'\n'),
            Representation::Ebcdic => Some(ebcdic::NEW_LINE),
            Representation::Image => None,
        };
        let mode = match form.mode {
            Mode::Stream => Encoder::Stream(stream::Encoder::new(has_records)),
            Mode::Block => Encoder::Block(block::Encoder::default()),
            Mode::Compressed => Encoder::Compressed(compressed::Encoder::new(form.representation.filler())),
            Mode::Deflate => Encoder::Deflate(Box::new(deflate::Encoder::new(has_records))),
        };
        Sender {
            text,
            record_end,
            is_one_record: has_records && record_end.is_none(),
            is_plain: form.mode == Mode::Stream && form.structure == Structure::File,
            pages: (form.structure == Structure::Page).then(Paginator::new),
            mode,
            offset_bytes,
            last_byte: 0,
            converted: Vec::new(),
        }
    }

    /// Another level for MODE Z; it means nothing to other modes.
    #[must_use]
    pub fn with_level(mut self, level: Level) -> Sender {
        if let Encoder::Deflate(encoder) = &mut self.mode {
            encoder.set_level(level);
        }
        self
    }

    /// Takes octets of the file and appends what goes onto the wire to `output`.
    ///
    /// At most three bytes for each octet, when each is a line of its own, and what was held back before: less than 512
    /// bytes, or what deflate keeps. Nothing may come at all; what is held back comes later.
    pub fn send(&mut self, input: &[u8], output: &mut Vec<u8>) {
        let Some(&last) = input.last() else { return };
        if let Text::AsItIs = self.text {
            self.structure(input, output);
        } else if self.is_plain {
            self.text.encode(input, output);
        } else {
            let mut converted = std::mem::take(&mut self.converted);
            for piece in input.chunks(PIECE_BYTES) {
                self.text.encode(piece, &mut converted);
                self.structure(&converted, output);
                converted.clear();
            }
            self.converted = converted;
        }
        self.mode.settle(output);
        self.offset_bytes += input.len() as u64;
        self.last_byte = last;
    }

    /// Sets a restart marker here, [`Marker::at`] the offset in the file, and returns that offset in octets. `None`, with
    /// nothing sent, where a transfer could not begin again: in forms without markers, and directly behind a CR that may
    /// be part of a line end.
    pub fn mark(&mut self, output: &mut Vec<u8>) -> Option<u64> {
        if self.pages.is_some() || (matches!(self.text, Text::Lines(_)) && self.last_byte == b'\r') {
            return None;
        }
        let marker = Marker::at(self.offset_bytes);
        match &mut self.mode {
            Encoder::Block(encoder) => encoder.marker(&marker, output),
            Encoder::Compressed(encoder) => encoder.marker(&marker, output),
            Encoder::Stream(_) | Encoder::Deflate(_) => return None,
        }
        Some(self.offset_bytes)
    }

    /// Ends the file: appends what was held back, and the end where the form states one. Then nothing more may be sent.
    pub fn finish(mut self, output: &mut Vec<u8>) {
        let mode = &mut self.mode;
        if let Some(pages) = &mut self.pages {
            pages.finish(|bytes| mode.data(bytes, output));
        }
        mode.end_of_file(self.is_one_record, output);
    }

    /// Octets of the file that have been taken, with those before the place where sending began.
    pub fn offset_bytes(&self) -> u64 {
        self.offset_bytes
    }

    /// Divides converted text into what the structure knows and gives it to the mode.
    fn structure(&mut self, data: &[u8], output: &mut Vec<u8>) {
        let mode = &mut self.mode;
        if let Some(pages) = &mut self.pages {
            pages.encode(data, |bytes| mode.data(bytes, output));
            return;
        }
        let mut rest = data;
        if let Some(end) = self.record_end {
            while let Some(position) = memchr(end, rest) {
                mode.data(&rest[..position], output);
                mode.end_of_record(output);
                rest = &rest[position + 1..];
            }
        }
        mode.data(rest, output);
    }
}
