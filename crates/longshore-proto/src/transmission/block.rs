//! MODE B (RFC 959 section 3.4.2): blocks with a descriptor and a count in front.
//!
//! Any combination of descriptor bits is taken. A block's data come first, then the marker if it is one, then the end of
//! the record, then that of the file. The end may stand on the last data or in an empty block of its own.
//!
//! Not inside: what a record is (the structure), and what suspected errors are good for.

use std::ops::BitOr;

use super::contents::Sink;
use super::error::{Fault, Problem};
use super::marker::Marker;
use super::receiver::Stop;
use crate::limits::MARKER_LIMIT_BYTES;

/// Bytes of the header of a block.
pub const BLOCK_HEADER_BYTES: usize = 3;
/// Bytes of the longest block.
const COUNT_LIMIT: usize = u16::MAX as usize;

/// What holds for a block, or for a string of compressed mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor(u8);

impl Descriptor {
    /// Data, and more to come.
    pub const NONE: Descriptor = Descriptor(0);
    /// The data end a record.
    pub const END_OF_RECORD: Descriptor = Descriptor(128);
    /// The data end the file.
    pub const END_OF_FILE: Descriptor = Descriptor(64);
    /// The sender suspects errors in the data.
    pub const SUSPECT: Descriptor = Descriptor(32);
    /// The data are a restart marker.
    pub const MARKER: Descriptor = Descriptor(16);

    /// A descriptor as it was received.
    ///
    /// # Errors
    /// Bits that the RFC does not define.
    pub fn from_byte(byte: u8) -> Result<Descriptor, Problem> {
        if byte & 0x0F == 0 { Ok(Descriptor(byte)) } else { Err(Problem::Descriptor(byte)) }
    }

    /// The descriptor as it is sent.
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Whether all bits of the other descriptor are set.
    pub const fn has(self, other: Descriptor) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Descriptor {
    type Output = Descriptor;

    fn bitor(self, other: Descriptor) -> Descriptor {
        Descriptor(self.0 | other.0)
    }
}

/// The header of a block of `count` bytes, which are to follow it.
pub const fn block_header(descriptor: Descriptor, count: u16) -> [u8; BLOCK_HEADER_BYTES] {
    let [high, low] = count.to_be_bytes();
    [descriptor.byte(), high, low]
}

/// Writes block mode. Within one call data are put together into blocks as long as they may be.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoder {
    /// Where in the output the block stands that may still grow.
    open: Option<usize>,
}

impl Encoder {
    pub(super) fn data(&mut self, data: &[u8], output: &mut Vec<u8>) {
        let mut rest = data;
        while !rest.is_empty() {
            let start = *self.open.get_or_insert_with(|| {
                output.extend_from_slice(&block_header(Descriptor::NONE, 0));
                output.len() - BLOCK_HEADER_BYTES
            });
            let count = output.len() - start - BLOCK_HEADER_BYTES;
            let (head, tail) = rest.split_at(rest.len().min(COUNT_LIMIT - count));
            output.extend_from_slice(head);
            rest = tail;
            let count = (count + head.len()) as u16;
            output[start..start + BLOCK_HEADER_BYTES].copy_from_slice(&block_header(Descriptor::NONE, count));
            if usize::from(count) == COUNT_LIMIT && !rest.is_empty() {
                self.settle();
            }
        }
    }

    pub(super) fn end_of_record(&mut self, output: &mut Vec<u8>) {
        self.end(Descriptor::END_OF_RECORD, output);
    }

    /// Ends the file, and a record with it if one `ends_record`.
    pub(super) fn end_of_file(&mut self, ends_record: bool, output: &mut Vec<u8>) {
        let record = if ends_record { Descriptor::END_OF_RECORD } else { Descriptor::NONE };
        self.end(Descriptor::END_OF_FILE | record, output);
    }

    fn end(&mut self, descriptor: Descriptor, output: &mut Vec<u8>) {
        match self.open.take() {
            Some(start) => output[start] = descriptor.byte(),
            None => output.extend_from_slice(&block_header(descriptor, 0)),
        }
    }

    pub(super) fn marker(&mut self, marker: &Marker, output: &mut Vec<u8>) {
        self.settle();
        let bytes = marker.as_bytes();
        output.extend_from_slice(&block_header(Descriptor::MARKER, bytes.len() as u16));
        output.extend_from_slice(bytes);
    }

    /// The output is about to go: no block in it can grow.
    pub(super) fn settle(&mut self) {
        self.open = None;
    }
}

#[derive(Clone, Debug)]
enum State {
    Header {
        bytes: [u8; BLOCK_HEADER_BYTES],
        length: usize,
    },
    Data {
        left: usize,
        descriptor: Descriptor,
    },
    Marker {
        marker: Marker,
        left: usize,
        descriptor: Descriptor,
    },
    /// Everything of a block has come; what its descriptor says is to be done.
    Behind(Descriptor),
}

impl State {
    const START: State = State::Header { bytes: [0; BLOCK_HEADER_BYTES], length: 0 };
}

/// Reads block mode.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    state: State,
    suspect_blocks: u64,
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder { state: State::START, suspect_blocks: 0 }
    }

    /// Blocks so far in which the sender suspects errors.
    pub(super) fn suspect_blocks(&self) -> u64 {
        self.suspect_blocks
    }

    /// Reads until the input is used up, the sink is full, a marker has come or the file has ended.
    pub(super) fn decode(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<(usize, Stop), Fault> {
        let mut position = 0;
        loop {
            if sink.is_full() {
                return Ok((position, Stop::Full));
            }
            let rest = &input[position..];
            match &mut self.state {
                State::Header { bytes, length } => {
                    let Some(&next) = rest.first() else { break };
                    if *length == 0 {
                        Descriptor::from_byte(next).map_err(|problem| Fault::at(position, problem))?;
                    }
                    bytes[*length] = next;
                    *length += 1;
                    if *length == BLOCK_HEADER_BYTES {
                        let [descriptor, high, low] = *bytes;
                        self.begin(Descriptor(descriptor), u16::from_be_bytes([high, low]))
                            .map_err(|problem| Fault::at(position, problem))?;
                    }
                    position += 1;
                }
                State::Data { left: 0, descriptor } => self.state = State::Behind(*descriptor),
                State::Data { left, .. } => {
                    if rest.is_empty() {
                        break;
                    }
                    let data = &rest[..rest.len().min(*left)];
                    let taken = sink.data_within(data).map_err(|fault| fault.behind(position))?;
                    *left -= taken;
                    position += taken;
                }
                State::Marker { marker, left: 0, descriptor } => {
                    let marker = std::mem::replace(marker, Marker::arriving());
                    self.state = State::Behind(*descriptor);
                    if sink.can_restart() {
                        return Ok((position, Stop::Marker(marker)));
                    }
                }
                State::Marker { marker, left, .. } => {
                    if rest.is_empty() {
                        break;
                    }
                    let text = &rest[..rest.len().min(*left)];
                    marker.extend(text);
                    *left -= text.len();
                    position += text.len();
                }
                State::Behind(descriptor) => {
                    if descriptor.has(Descriptor::END_OF_RECORD) {
                        sink.end_of_record();
                    }
                    if descriptor.has(Descriptor::END_OF_FILE) {
                        sink.end_of_file().map_err(|problem| Fault::at(position, problem))?;
                        return Ok((position, Stop::End));
                    }
                    self.state = State::START;
                }
            }
        }
        Ok((position, Stop::Input))
    }

    fn begin(&mut self, descriptor: Descriptor, count: u16) -> Result<(), Problem> {
        if descriptor.has(Descriptor::SUSPECT) {
            self.suspect_blocks += 1;
        }
        let left = usize::from(count);
        self.state = if !descriptor.has(Descriptor::MARKER) {
            State::Data { left, descriptor }
        } else if left <= MARKER_LIMIT_BYTES {
            State::Marker { marker: Marker::arriving(), left, descriptor }
        } else {
            return Err(Problem::MarkerLength(count));
        };
        Ok(())
    }
}
