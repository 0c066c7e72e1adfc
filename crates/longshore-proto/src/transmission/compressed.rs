//! MODE C (RFC 959 section 3.4.3): strings of data, of one byte repeated, of the filler repeated, and escapes whose
//! descriptor is for the string behind them.
//!
//! The escape with the end of the file stands before the last string; an empty file is `00 40 C0`, a filler string of
//! none. Received, an escape with the end of the file is also taken when the connection ends directly behind it, several
//! escapes before one string add up, and strings of none are taken in each form that can tell them.
//!
//! Not inside: what a record is (the structure), which byte the filler is (the representation).

use super::block::Descriptor;
use super::contents::Sink;
use super::error::{Fault, Problem};
use super::marker::Marker;
use super::receiver::Stop;
use crate::limits::MARKER_LIMIT_BYTES;

const ESCAPE: u8 = 0;
/// A byte with this bit tells a string of something repeated.
const REPEATED: u8 = 0b1000_0000;
const FILLER: u8 = 0b1100_0000;
/// The longest string of data, in bytes.
const STRING_LIMIT: usize = 127;
/// The longest string of something repeated, in bytes.
const RUN_LIMIT: usize = 63;
// A marker is one string.
const _: () = assert!(STRING_LIMIT <= MARKER_LIMIT_BYTES);
/// A run of this length costs less than it saves, whatever stands around it; fillers need one byte less.
const RUN_MINIMUM: usize = 3;

/// Writes compressed mode. The last string is held back, for its escape would have to stand before it.
///
/// Data without runs grow by one byte in 127, that is by 0.8 %.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    filler: u8,
    string: Vec<u8>,
    run_byte: u8,
    /// At most [`RUN_LIMIT`]. The run stands behind the string.
    run_length: usize,
}

impl Encoder {
    pub(super) fn new(filler: u8) -> Encoder {
        Encoder { filler, string: Vec::with_capacity(STRING_LIMIT), run_byte: 0, run_length: 0 }
    }

    pub(super) fn data(&mut self, data: &[u8], output: &mut Vec<u8>) {
        let mut rest = data;
        if self.run_length > 0 {
            let length = leading(self.run_byte, data);
            self.run(self.run_byte, length, output);
            rest = &data[length..];
        }
        // What is left begins with another byte than the run has. Runs that do not pay stay where they are, so that most
        // data are copied and not looked at byte by byte again.
        let (mut copied, mut position) = (0, 0);
        while position < rest.len() {
            let pair = rest[position..].windows(2).position(|pair| pair[0] == pair[1]);
            let start = pair.map_or(rest.len() - 1, |distance| position + distance);
            let byte = rest[start];
            let length = leading(byte, &rest[start..]);
            position = start + length;
            // The last run may go on in what comes next.
            if position == rest.len() || self.pays(byte, length) {
                self.string(&rest[copied..start], output);
                self.run(byte, length, output);
                copied = position;
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

    pub(super) fn marker(&mut self, marker: &Marker, output: &mut Vec<u8>) {
        self.settle_run(output);
        self.write_string(output);
        output.extend_from_slice(&[ESCAPE, Descriptor::MARKER.byte()]);
        // One of ours: twenty digits at most, and so one string.
        self.string.extend_from_slice(marker.as_bytes());
        self.write_string(output);
    }

    /// Writes what is held back as one string behind an escape.
    fn end(&mut self, descriptor: Descriptor, output: &mut Vec<u8>) {
        if !self.run_pays() {
            self.settle_run(output);
        }
        let escape = [ESCAPE, descriptor.byte()];
        if self.run_length > 0 {
            self.write_string(output);
            output.extend_from_slice(&escape);
            self.settle_run(output);
        } else if self.string.is_empty() {
            output.extend_from_slice(&escape);
            output.push(FILLER);
        } else {
            output.extend_from_slice(&escape);
            self.write_string(output);
        }
    }

    /// Adds what is not worth repeating.
    fn string(&mut self, data: &[u8], output: &mut Vec<u8>) {
        if !data.is_empty() {
            self.settle_run(output);
            self.append(data, output);
        }
    }

    fn append(&mut self, data: &[u8], output: &mut Vec<u8>) {
        let mut rest = data;
        while !rest.is_empty() {
            if self.string.len() == STRING_LIMIT {
                self.write_string(output);
            }
            let (head, tail) = rest.split_at(rest.len().min(STRING_LIMIT - self.string.len()));
            self.string.extend_from_slice(head);
            rest = tail;
        }
    }

    /// Adds one byte as often as is told.
    fn run(&mut self, byte: u8, length: usize, output: &mut Vec<u8>) {
        let mut left = length;
        while left > 0 {
            if self.run_byte != byte || self.run_length == RUN_LIMIT {
                self.settle_run(output);
                self.run_byte = byte;
            }
            let more = left.min(RUN_LIMIT - self.run_length);
            self.run_length += more;
            left -= more;
        }
    }

    fn pays(&self, byte: u8, length: usize) -> bool {
        length >= RUN_MINIMUM || (length == RUN_MINIMUM - 1 && byte == self.filler)
    }

    fn run_pays(&self) -> bool {
        self.pays(self.run_byte, self.run_length)
    }

    /// Writes the run, or makes it part of the string where that is shorter.
    fn settle_run(&mut self, output: &mut Vec<u8>) {
        if self.run_pays() {
            self.write_string(output);
            let count = self.run_length as u8;
            if self.run_byte == self.filler {
                output.push(FILLER | count);
            } else {
                output.extend_from_slice(&[REPEATED | count, self.run_byte]);
            }
        } else {
            let run = [self.run_byte; RUN_MINIMUM];
            self.append(&run[..self.run_length], output);
        }
        self.run_length = 0;
    }

    fn write_string(&mut self, output: &mut Vec<u8>) {
        if !self.string.is_empty() {
            output.push(self.string.len() as u8);
            output.extend_from_slice(&self.string);
            self.string.clear();
        }
    }
}

/// How often `byte` stands at the beginning of `data`.
fn leading(byte: u8, data: &[u8]) -> usize {
    data.iter().position(|&other| other != byte).unwrap_or(data.len())
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The first byte of a string or an escape comes.
    Start,
    /// The descriptor of an escape comes.
    Descriptor,
    /// The data of a string come.
    String { left: usize },
    /// The byte that is repeated comes.
    Repeated { count: usize },
    /// A byte is written as often as is told.
    Run { byte: u8, left: usize },
}

/// Reads compressed mode.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    filler: u8,
    state: State,
    /// What escapes said of the string that comes.
    descriptor: Descriptor,
    /// Whether that string has been given out as a marker.
    marker_is_out: bool,
    marker: Marker,
    suspect_strings: u64,
}

impl Decoder {
    pub(super) fn new(filler: u8) -> Decoder {
        Decoder {
            filler,
            state: State::Start,
            descriptor: Descriptor::NONE,
            marker_is_out: false,
            marker: Marker::arriving(),
            suspect_strings: 0,
        }
    }

    /// Strings so far in which the sender suspects errors.
    pub(super) fn suspect_strings(&self) -> u64 {
        self.suspect_strings
    }

    /// Reads until the input is used up, the sink is full, a marker has come or the file has ended.
    pub(super) fn decode(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<(usize, Stop), Fault> {
        let mut position = 0;
        loop {
            if sink.is_full() {
                return Ok((position, Stop::Full));
            }
            let rest = &input[position..];
            match self.state {
                State::String { left: 0 } | State::Run { left: 0, .. } => {
                    if let Some(stop) =
                        self.end_of_string(sink).map_err(|problem| Fault::at(position, problem))?
                    {
                        return Ok((position, stop));
                    }
                }
                State::Run { byte, left } => {
                    let run = [byte; RUN_LIMIT];
                    let taken = self.take(&run[..left], sink).map_err(|fault| fault.behind(position))?;
                    self.state = State::Run { byte, left: left - taken };
                }
                State::String { left } => {
                    if rest.is_empty() {
                        break;
                    }
                    let data = &rest[..rest.len().min(left)];
                    let taken = self.take(data, sink).map_err(|fault| fault.behind(position))?;
                    self.state = State::String { left: left - taken };
                    position += taken;
                }
                State::Start => {
                    let Some(&next) = rest.first() else { break };
                    self.begin(next);
                    position += 1;
                }
                State::Descriptor => {
                    let Some(&next) = rest.first() else { break };
                    let descriptor =
                        Descriptor::from_byte(next).map_err(|problem| Fault::at(position, problem))?;
                    self.descriptor = self.descriptor | descriptor;
                    self.state = State::Start;
                    position += 1;
                }
                State::Repeated { count } => {
                    let Some(&byte) = rest.first() else { break };
                    self.state = State::Run { byte, left: count };
                    position += 1;
                }
            }
        }
        Ok((position, Stop::Input))
    }

    /// Ends the file where the connection has ended: directly behind an escape that says so.
    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), Problem> {
        let is_complete = matches!(self.state, State::Start)
            && self.descriptor.has(Descriptor::END_OF_FILE)
            && !self.descriptor.has(Descriptor::MARKER);
        if !is_complete {
            return Err(Problem::Cut);
        }
        if self.descriptor.has(Descriptor::END_OF_RECORD) {
            sink.end_of_record();
        }
        sink.end_of_file()
    }

    fn begin(&mut self, first: u8) {
        let count = usize::from(first & RUN_LIMIT as u8);
        self.state = if first == ESCAPE {
            State::Descriptor
        } else if first & REPEATED == 0 {
            State::String { left: usize::from(first) }
        } else if first & FILLER == FILLER {
            State::Run { byte: self.filler, left: count }
        } else {
            State::Repeated { count }
        };
    }

    /// Takes bytes of a string and says how many.
    fn take(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<usize, Fault> {
        if !self.descriptor.has(Descriptor::MARKER) {
            return sink.data_within(data);
        }
        self.marker.extend(data);
        Ok(data.len())
    }

    /// Does what the descriptor says of the string that has come.
    fn end_of_string(&mut self, sink: &mut Sink<'_>) -> Result<Option<Stop>, Problem> {
        if self.descriptor.has(Descriptor::MARKER) && !self.marker_is_out {
            self.marker_is_out = true;
            let marker = std::mem::replace(&mut self.marker, Marker::arriving());
            if sink.can_restart() {
                return Ok(Some(Stop::Marker(marker)));
            }
        }
        self.marker_is_out = false;
        let descriptor = std::mem::take(&mut self.descriptor);
        if descriptor.has(Descriptor::SUSPECT) {
            self.suspect_strings += 1;
        }
        if descriptor.has(Descriptor::END_OF_RECORD) {
            sink.end_of_record();
        }
        if descriptor.has(Descriptor::END_OF_FILE) {
            sink.end_of_file()?;
            return Ok(Some(Stop::End));
        }
        self.state = State::Start;
        Ok(None)
    }
}
