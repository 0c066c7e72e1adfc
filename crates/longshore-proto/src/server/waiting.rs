//! The lines that were read and whose turn has not come.
//!
//! Not inside: what a line means for the session. The bounds are in [`limits`](crate::limits); a queue that has
//! reached them takes no more lines, and nothing is lost, for the driver then stops reading.

use std::collections::VecDeque;

use crate::command::{self, Parsed};
use crate::limits::{URGENT_EXTRA_FACTOR, WAITING_LIMIT_BYTES, WAITING_LIMIT_COMMANDS};
use crate::line::Line;

/// Commands that were read and have not begun.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: VecDeque<Item>,
    bytes: usize,
    /// Urgent data came while the queue was full: read on, an ABOR is likely close.
    urgent: bool,
}

#[derive(Debug)]
struct Item {
    line: Received,
    bytes: usize,
    /// An ABOR was read behind it: a transfer then does not begin.
    aborted: bool,
}

/// A line as far as it can be understood without knowing the state.
#[derive(Debug)]
pub(super) enum Received {
    Command(Parsed),
    Unknown { word: Vec<u8> },
    TooLong,
    Nul,
}

impl Received {
    /// Reads a line. What a reply may quote of an unknown word is bounded.
    pub(super) fn read(line: &Line<'_>) -> Received {
        match line {
            Line::TooLong => Received::TooLong,
            Line::Nul => Received::Nul,
            Line::Command(line) => match command::parse(line) {
                Some(parsed) => Received::Command(parsed),
                None => {
                    let word = command::split(line).0;
                    Received::Unknown { word: word[..word.len().min(32)].to_vec() }
                }
            },
        }
    }
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether the bounds are reached.
    pub(super) fn is_full(&self) -> bool {
        let factor = if self.urgent { URGENT_EXTRA_FACTOR } else { 1 };
        self.queue.len() >= WAITING_LIMIT_COMMANDS * factor || self.bytes >= WAITING_LIMIT_BYTES * factor
    }

    /// Lets the queue grow further until it has run empty once.
    pub(super) fn stretch(&mut self) {
        self.urgent = true;
    }

    pub(super) fn push(&mut self, line: Received, bytes: usize) {
        self.bytes += bytes;
        self.queue.push_back(Item { line, bytes, aborted: false });
    }

    /// The next line, and whether an ABOR was read behind it.
    pub(super) fn pop(&mut self) -> Option<(Received, bool)> {
        let Some(item) = self.queue.pop_front() else {
            // A session that waits keeps no queue.
            *self = Waiting::default();
            return None;
        };
        self.bytes -= item.bytes;
        Some((item.line, item.aborted))
    }

    /// ABOR was read: transfers among what waits do not begin. Whether there are any.
    pub(super) fn abort(&mut self) -> bool {
        let mut found = false;
        for item in &mut self.queue {
            item.aborted = true;
            found |= matches!(&item.line, Received::Command(parsed) if parsed.verb.row().transfer.is_some());
        }
        found
    }

    pub(super) fn clear(&mut self) {
        *self = Waiting::default();
    }
}
