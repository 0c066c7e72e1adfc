//! STRU P: a file as numbered pages (RFC 959 section 3.1.2.3 and appendix I).
//!
//! A page has a header of four logical bytes or more: its own length, the index of the page, the length of the data, the
//! type. Logical bytes have eight bits here, so an index counts to 255 only, and nothing states how long the pages of a
//! file are. What is made of that:
//!
//! - Sent are simple pages of [`PAGE_BYTES`], without holes, the last one as long as the file needs, then a last page.
//!   Indices start at 0 and begin anew behind 255, so a file of any size comes back exactly.
//! - Received, an index is the next page with that number, counted on from the page before. Up to 127 pages may be
//!   missing in between; an index further ahead is one from behind, and an error. The longest page is the first, unless
//!   the first are empty. Where pages are missing or shorter, zeros are written: a sender may leave out empty pages and
//!   trailing zeros (appendix I). At the end it may not: where a file ends, only its last page tells.
//! - Simple and access controlled pages are data, and the access word is ignored, as are further header fields.
//!   Descriptor pages are passed over. Other types are an error.
//!
//! Not inside: what is in a page (the representation), and how the bytes of pages travel (the mode).

use super::contents::Text;
use super::error::{Fault, Problem};
use crate::limits::PAGE_HOLES_LIMIT_BYTES;

/// Data of the pages that are sent, in bytes: the most that a length of eight bits can tell.
pub const PAGE_BYTES: usize = 255;
/// Fields that each header has.
const HEADER_BYTES: usize = 4;
/// Indices that are ahead; the other half is behind, as with the numbers of RFC 1982.
const INDICES_AHEAD: u8 = 128;
/// What holes are filled from.
const ZEROS: [u8; 4096] = [0; 4096];

const LAST_PAGE: u8 = 0;
const SIMPLE_PAGE: u8 = 1;
const DESCRIPTOR_PAGE: u8 = 2;
const ACCESS_CONTROLLED_PAGE: u8 = 3;

fn header(index: u8, data_length: u8, page_type: u8) -> [u8; HEADER_BYTES] {
    [HEADER_BYTES as u8, index, data_length, page_type]
}

/// Cuts what is sent into pages.
#[derive(Clone, Debug)]
pub(super) struct Paginator {
    index: u8,
    /// The page that is not full yet.
    waiting: Vec<u8>,
}

impl Paginator {
    pub(super) fn new() -> Paginator {
        Paginator { index: 0, waiting: Vec::with_capacity(PAGE_BYTES) }
    }

    /// Cuts `data` into pages, and gives each header and each page to `emit`.
    pub(super) fn encode(&mut self, data: &[u8], mut emit: impl FnMut(&[u8])) {
        let mut data = data;
        if !self.waiting.is_empty() {
            let (head, rest) = data.split_at(data.len().min(PAGE_BYTES - self.waiting.len()));
            self.waiting.extend_from_slice(head);
            data = rest;
            if self.waiting.len() == PAGE_BYTES {
                self.emit_waiting(&mut emit);
            }
        }
        let mut pages = data.chunks_exact(PAGE_BYTES);
        for page in &mut pages {
            emit(&header(self.next_index(), PAGE_BYTES as u8, SIMPLE_PAGE));
            emit(page);
        }
        self.waiting.extend_from_slice(pages.remainder());
    }

    /// Ends the file: what waits, then the last page.
    pub(super) fn finish(&mut self, mut emit: impl FnMut(&[u8])) {
        if !self.waiting.is_empty() {
            self.emit_waiting(&mut emit);
        }
        emit(&header(self.next_index(), 0, LAST_PAGE));
    }

    fn emit_waiting(&mut self, emit: &mut impl FnMut(&[u8])) {
        emit(&header(self.next_index(), self.waiting.len() as u8, SIMPLE_PAGE));
        emit(&self.waiting);
        self.waiting.clear();
    }

    fn next_index(&mut self) -> u8 {
        let index = self.index;
        self.index = index.wrapping_add(1);
        index
    }
}

/// Puts pages together as they arrive.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    header: [u8; HEADER_BYTES],
    header_length: usize,
    /// Header fields still to come that mean nothing here.
    extra_left: u8,
    data_left: u8,
    /// Whether the data that come are a descriptor's.
    is_descriptor: bool,
    /// Zeros to be written before the data that come.
    zeros_left: u64,
    zeros_written: u64,
    next_index: u8,
    /// How long pages are; known from the first that holds anything.
    page_length: Option<u8>,
    /// What the page before lacks to its full length.
    missing: u8,
    /// Pages before the one that told how long they are.
    pages_before: u64,
    /// Whether more than that one page has come since.
    is_confirmed: bool,
    is_ended: bool,
}

impl Pages {
    pub(super) fn new() -> Pages {
        Pages {
            header: [0; HEADER_BYTES],
            header_length: 0,
            extra_left: 0,
            data_left: 0,
            is_descriptor: false,
            zeros_left: 0,
            zeros_written: 0,
            next_index: 0,
            page_length: None,
            missing: 0,
            pages_before: 0,
            is_confirmed: false,
            is_ended: false,
        }
    }

    /// Whether the last page has come.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Takes bytes of pages and appends what belongs into the file, until `output` is full or the last page has come.
    /// Says how many bytes it took.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        text: &mut Text,
        output: &mut Vec<u8>,
        full_length: usize,
    ) -> Result<usize, Fault> {
        let mut position = 0;
        while !self.is_ended {
            let room = full_length.saturating_sub(output.len());
            if self.zeros_left > 0 {
                let count = room.min(ZEROS.len()).min(usize::try_from(self.zeros_left).unwrap_or(usize::MAX));
                if count == 0 {
                    break;
                }
                text.decode(&ZEROS[..count], output);
                self.zeros_left -= count as u64;
                continue;
            }
            let Some(&next) = input.get(position) else { break };
            let available = input.len() - position;
            if self.extra_left > 0 {
                let count = available.min(usize::from(self.extra_left));
                self.extra_left -= count as u8;
                position += count;
            } else if self.data_left > 0 {
                let room = if self.is_descriptor { usize::MAX } else { room };
                let count = available.min(usize::from(self.data_left)).min(room);
                if count == 0 {
                    break;
                }
                if !self.is_descriptor {
                    text.decode(&input[position..position + count], output);
                }
                self.data_left -= count as u8;
                position += count;
            } else {
                self.header[self.header_length] = next;
                self.header_length += 1;
                if self.header_length == HEADER_BYTES {
                    self.header_length = 0;
                    self.begin().map_err(|problem| Fault::at(position, problem))?;
                }
                position += 1;
            }
        }
        Ok(position)
    }

    /// Looks at a header that has come whole.
    fn begin(&mut self) -> Result<(), Problem> {
        let [header_length, index, data_length, page_type] = self.header;
        if usize::from(header_length) < HEADER_BYTES {
            return Err(Problem::PageHeader(header_length));
        }
        match page_type {
            LAST_PAGE if data_length > 0 => return Err(Problem::LastPage(data_length)),
            LAST_PAGE => return self.end(),
            SIMPLE_PAGE | ACCESS_CONTROLLED_PAGE => self.place(index, data_length)?,
            DESCRIPTOR_PAGE => {}
            unknown => return Err(Problem::PageType(unknown)),
        }
        self.is_descriptor = page_type == DESCRIPTOR_PAGE;
        self.extra_left = header_length - HEADER_BYTES as u8;
        self.data_left = data_length;
        Ok(())
    }

    /// Finds out what lies between the page before and this one.
    fn place(&mut self, index: u8, data_length: u8) -> Result<(), Problem> {
        let skipped = index.wrapping_sub(self.next_index);
        if skipped >= INDICES_AHEAD {
            return Err(Problem::PageOrder { found: index, expected: self.next_index });
        }
        let zeros = match self.page_length {
            Some(expected) if data_length > expected => {
                return Err(Problem::PageLength { found: data_length, expected });
            }
            Some(length) => {
                self.is_confirmed = true;
                let zeros = u64::from(self.missing) + u64::from(skipped) * u64::from(length);
                self.missing = length - data_length;
                zeros
            }
            None if data_length == 0 => {
                self.pages_before += u64::from(skipped) + 1;
                0
            }
            None => {
                self.page_length = Some(data_length);
                self.pages_before += u64::from(skipped);
                self.pages_before.saturating_mul(u64::from(data_length))
            }
        };
        self.zeros_written = self.zeros_written.saturating_add(zeros);
        if self.zeros_written > PAGE_HOLES_LIMIT_BYTES {
            return Err(Problem::PageHoles);
        }
        self.zeros_left = zeros;
        self.next_index = index.wrapping_add(1);
        Ok(())
    }

    /// The last page. What came before it must have told how long pages are, if that matters.
    fn end(&mut self) -> Result<(), Problem> {
        if self.pages_before > 0 && !self.is_confirmed {
            return Err(Problem::PageSize);
        }
        self.is_ended = true;
        Ok(())
    }
}
