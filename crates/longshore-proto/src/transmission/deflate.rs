//! MODE Z: what stream mode would send, as one zlib stream for each file (draft-preston-ftpext-deflate-04, RFC 1950).
//!
//! The end of the zlib stream is the end of the file; what follows it does not belong to it.
//!
//! Not inside: OPTS MODE Z, and what is worth compressing.

use std::ops::Range;

use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_PARSE_ZLIB_HEADER};
use miniz_oxide::inflate::core::{DecompressorOxide, TINFL_LZ_DICT_SIZE, decompress};
use miniz_oxide::{DataFormat, MZFlush, MZStatus};

use super::contents::Sink;
use super::error::{Fault, Problem};
use super::receiver::Stop;
use super::stream;
use crate::limits::{DEFLATE_LEVEL, EXPANSION_FREE_BYTES, EXPANSION_RATIO};

/// Room that the compressor is given at a time, and data that are gathered for it, in bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// How hard deflate tries: 1 is fast, 9 is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(u8);

impl Level {
    /// A level from 1 to 9; `None` for any other number.
    pub fn new(level: u8) -> Option<Level> {
        (1..=9).contains(&level).then_some(Level(level))
    }

    /// The number, from 1 to 9.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Level {
    fn default() -> Level {
        Level(DEFLATE_LEVEL)
    }
}

/// How far what is received may expand: up to `free_bytes` without looking, beyond that `ratio` times what came.
///
/// A stream that expands further is an error as soon as it does. Deflate itself can reach 1032 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpansionLimit {
    /// Bytes that one file may always expand to.
    pub free_bytes: u64,
    /// Bytes beyond, for each byte that was received.
    pub ratio: u64,
}

impl ExpansionLimit {
    /// No limit: what stands behind has its own, or the peer is trusted.
    pub const NONE: ExpansionLimit = ExpansionLimit { free_bytes: u64::MAX, ratio: 0 };

    fn allows(self, expanded: u64, received: u64) -> bool {
        expanded <= self.free_bytes.saturating_add(self.ratio.saturating_mul(received))
    }
}

impl Default for ExpansionLimit {
    fn default() -> ExpansionLimit {
        ExpansionLimit { free_bytes: EXPANSION_FREE_BYTES, ratio: EXPANSION_RATIO }
    }
}

/// Writes MODE Z.
pub(super) struct Encoder {
    stream: stream::Encoder,
    compressor: Box<CompressorOxide>,
    /// What waits to be compressed in one go, fewer than twice [`PIECE_BYTES`].
    waiting: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(has_records: bool) -> Encoder {
        let mut compressor = Box::<CompressorOxide>::default();
        compressor.set_format_and_level(DataFormat::Zlib, Level::default().get());
        Encoder { stream: stream::Encoder::new(has_records), compressor, waiting: Vec::new() }
    }

    /// Takes effect for a stream that has not begun.
    pub(super) fn set_level(&mut self, level: Level) {
        self.compressor.set_format_and_level(DataFormat::Zlib, level.get());
    }

    pub(super) fn data(&mut self, data: &[u8], output: &mut Vec<u8>) {
        if self.stream.is_plain() && data.len() >= PIECE_BYTES {
            self.settle(output);
            self.compress(data, MZFlush::None, output);
            return;
        }
        for piece in data.chunks(PIECE_BYTES / 2) {
            self.stream.data(piece, &mut self.waiting);
            self.settle_if_long(output);
        }
    }

    pub(super) fn end_of_record(&mut self, output: &mut Vec<u8>) {
        self.stream.end_of_record(&mut self.waiting);
        self.settle_if_long(output);
    }

    /// Ends the file, and a record with it if one `ends_record`.
    pub(super) fn end_of_file(&mut self, ends_record: bool, output: &mut Vec<u8>) {
        self.stream.end_of_file(ends_record, &mut self.waiting);
        self.settle(output);
        self.compress(&[], MZFlush::Finish, output);
    }

    fn settle_if_long(&mut self, output: &mut Vec<u8>) {
        if self.waiting.len() >= PIECE_BYTES {
            self.settle(output);
        }
    }

    /// Gives the compressor all that waits.
    pub(super) fn settle(&mut self, output: &mut Vec<u8>) {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.compress(&waiting, MZFlush::None, output);
        waiting.clear();
        self.waiting = waiting;
    }

    fn compress(&mut self, data: &[u8], flush: MZFlush, output: &mut Vec<u8>) {
        let mut rest = data;
        while !rest.is_empty() || flush == MZFlush::Finish {
            let start = output.len();
            output.resize(start + PIECE_BYTES, 0);
            let result = deflate(&mut self.compressor, rest, &mut output[start..], flush);
            output.truncate(start + result.bytes_written);
            rest = &rest[result.bytes_consumed..];
            let status = result.status.expect("a compressor with room and something to do goes on");
            if status == MZStatus::StreamEnd {
                break;
            }
        }
    }
}

/// Reads MODE Z.
pub(super) struct Decoder {
    stream: stream::Decoder,
    inflater: Box<DecompressorOxide>,
    /// What was inflated last, which the stream refers back to; written round and round.
    window: Box<[u8]>,
    /// Where in the window the next byte goes.
    window_position: usize,
    /// What of the window has not been given out.
    waiting: Range<usize>,
    limit: ExpansionLimit,
    received_bytes: u64,
    expanded_bytes: u64,
    /// What was found wrong behind what waits.
    failure: Option<Problem>,
    /// The zlib stream has ended.
    is_finished: bool,
    /// The data within have stated their end.
    is_ended: bool,
}

impl Decoder {
    pub(super) fn new(has_records: bool) -> Decoder {
        Decoder {
            stream: stream::Decoder::new(has_records),
            inflater: Box::default(),
            window: vec![0; TINFL_LZ_DICT_SIZE].into_boxed_slice(),
            window_position: 0,
            waiting: 0..0,
            limit: ExpansionLimit::default(),
            received_bytes: 0,
            expanded_bytes: 0,
            failure: None,
            is_finished: false,
            is_ended: false,
        }
    }

    pub(super) fn set_limit(&mut self, limit: ExpansionLimit) {
        self.limit = limit;
    }

    /// Reads until the input is used up, the sink is full or the zlib stream has ended.
    pub(super) fn decode(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<(usize, Stop), Fault> {
        let mut position = 0;
        loop {
            let fault = |problem| Fault::at(position, problem);
            while !self.waiting.is_empty() {
                if self.is_ended {
                    return Err(fault(Problem::BehindEnd));
                }
                let inflated = &self.window[self.waiting.clone()];
                let (taken, stop) =
                    self.stream.decode(inflated, sink).map_err(|inner| fault(inner.problem))?;
                self.waiting.start += taken;
                match stop {
                    Stop::Full => return Ok((position, Stop::Full)),
                    Stop::End => self.is_ended = true,
                    Stop::Input | Stop::Marker(_) => {}
                }
            }
            if let Some(problem) = self.failure {
                return Err(fault(problem));
            }
            if self.is_finished {
                if !self.is_ended {
                    self.stream.finish_inflated(sink).map_err(fault)?;
                }
                return Ok((position, Stop::End));
            }
            let (status, taken) = self.inflate(&input[position..]);
            position += taken;
            match status {
                TINFLStatus::Done => self.is_finished = true,
                TINFLStatus::NeedsMoreInput if self.waiting.is_empty() && position == input.len() => {
                    return Ok((position, Stop::Input));
                }
                TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput => {}
                TINFLStatus::Adler32Mismatch => self.failure = Some(Problem::Checksum),
                _ => self.failure = Some(Problem::Zlib),
            }
            // Looked at once for each window, so that it does not matter how the input is cut.
            let is_due = self.is_finished || self.window_position == TINFL_LZ_DICT_SIZE;
            if is_due && !self.limit.allows(self.expanded_bytes, self.received_bytes) {
                return Err(Fault::at(position, Problem::Expansion));
            }
        }
    }

    /// Inflates into the window as far as it goes, and says how much input that took.
    fn inflate(&mut self, input: &[u8]) -> (TINFLStatus, usize) {
        let start = self.window_position % TINFL_LZ_DICT_SIZE;
        let flags = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_HAS_MORE_INPUT;
        let (status, taken, written) = decompress(&mut self.inflater, input, &mut self.window, start, flags);
        self.window_position = start + written;
        self.waiting = start..start + written;
        self.received_bytes += taken as u64;
        self.expanded_bytes += written as u64;
        (status, taken)
    }
}
