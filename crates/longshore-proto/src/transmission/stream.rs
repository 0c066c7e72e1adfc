//! MODE S (RFC 959 section 3.4.1): data as they are; with STRU R, 0xFF escapes.
//!
//! The end of the connection is the end of the file. With STRU R an escape states it: what follows that escape does not
//! belong to the file, and a connection that ends without it was cut.
//!
//! Not inside: what ends the connection, and whether it ended in order.

use memchr::{memchr, memchr_iter};

use super::contents::Sink;
use super::error::{Fault, Problem};
use super::receiver::Stop;

/// Stands before a code, and twice for itself.
const ESCAPE: u8 = 0xFF;
const END_OF_RECORD: u8 = 1;
const END_OF_FILE: u8 = 2;
const BOTH_ENDS: u8 = END_OF_RECORD | END_OF_FILE;

/// Writes stream mode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoder {
    has_records: bool,
}

impl Encoder {
    pub(super) fn new(has_records: bool) -> Encoder {
        Encoder { has_records }
    }

    /// Whether data go out as they are.
    pub(super) fn is_plain(&self) -> bool {
        !self.has_records
    }

    pub(super) fn data(&self, data: &[u8], output: &mut Vec<u8>) {
        if !self.has_records {
            output.extend_from_slice(data);
            return;
        }
        let mut copied = 0;
        for position in memchr_iter(ESCAPE, data) {
            output.extend_from_slice(&data[copied..=position]);
            copied = position;
        }
        output.extend_from_slice(&data[copied..]);
    }

    pub(super) fn end_of_record(&self, output: &mut Vec<u8>) {
        if self.has_records {
            output.extend_from_slice(&[ESCAPE, END_OF_RECORD]);
        }
    }

    /// Ends the file, and a record with it if one `ends_record`.
    pub(super) fn end_of_file(&self, ends_record: bool, output: &mut Vec<u8>) {
        if self.has_records {
            output.extend_from_slice(&[ESCAPE, if ends_record { BOTH_ENDS } else { END_OF_FILE }]);
        }
    }
}

/// Reads stream mode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoder {
    has_records: bool,
    /// An escape came last.
    is_escaped: bool,
}

impl Decoder {
    pub(super) fn new(has_records: bool) -> Decoder {
        Decoder { has_records, is_escaped: false }
    }

    /// Reads until the input is used up, the sink is full or the end of the file was stated.
    pub(super) fn decode(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<(usize, Stop), Fault> {
        if !self.has_records {
            let taken = sink.data(input)?;
            if sink.has_last_page() {
                sink.end_of_file().map_err(|problem| Fault::at(taken, problem))?;
                return Ok((taken, Stop::End));
            }
            return Ok((taken, if taken < input.len() { Stop::Full } else { Stop::Input }));
        }
        let mut position = 0;
        while let Some(&next) = input.get(position) {
            if sink.is_full() {
                return Ok((position, Stop::Full));
            }
            if self.is_escaped {
                match next {
                    ESCAPE => {
                        sink.data(&[ESCAPE])?;
                    }
                    END_OF_RECORD => sink.end_of_record(),
                    END_OF_FILE | BOTH_ENDS => {
                        if next == BOTH_ENDS {
                            sink.end_of_record();
                        }
                        sink.end_of_file().map_err(|problem| Fault::at(position, problem))?;
                        return Ok((position + 1, Stop::End));
                    }
                    unknown => return Err(Fault::at(position, Problem::Escape(unknown))),
                }
                self.is_escaped = false;
                position += 1;
                continue;
            }
            let rest = &input[position..];
            let data = memchr(ESCAPE, rest).map_or(rest, |end| &rest[..end]);
            let taken = sink.data(data)?;
            position += taken;
            if taken == data.len() && position < input.len() {
                self.is_escaped = true;
                position += 1;
            }
        }
        Ok((position, Stop::Input))
    }

    /// Ends the file where the connection has ended. Records have an end of their own, which has not come.
    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), Problem> {
        if self.has_records { Err(Problem::Cut) } else { sink.end_of_file() }
    }

    /// Ends the file where the zlib stream around it has ended, which nobody can cut unnoticed.
    pub(super) fn finish_inflated(&mut self, sink: &mut Sink<'_>) -> Result<(), Problem> {
        if self.is_escaped { Err(Problem::Cut) } else { sink.end_of_file() }
    }
}
