//! What can be wrong with the bytes of a peer.
//!
//! Not inside: replies. Who maps these knows that RFC 959 has 551 for a page type that is unknown.

use crate::limits::{MARKER_LIMIT_BYTES, PAGE_HOLES_LIMIT_BYTES};

/// A transmission that cannot be taken: what is wrong and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}, at byte {offset_bytes} of the transmission")]
pub struct Error {
    /// What is wrong.
    pub problem: Problem,
    /// How many bytes of this file's transmission had come before. In MODE Z these are compressed, and some more than before
    /// the place itself, for they are read ahead.
    pub offset_bytes: u64,
}

/// What is wrong with a transmission. Texts go into a line of a log or a reply and tell what the peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The connection ended before the file did.
    #[error("the data connection ended before the end of the file")]
    Cut,
    /// A descriptor with bits that RFC 959 section 3.4.2 does not define.
    #[error("a descriptor of {0:#04x}; known are the bits 128, 64, 32 and 16")]
    Descriptor(u8),
    /// STRU R in MODE S: what follows 0xFF is no code of RFC 959 section 3.4.1.
    #[error("0xff before {0:#04x}; in STRU R it stands before 1, 2, 3 or another 0xff")]
    Escape(u8),
    /// A restart marker of more than [`MARKER_LIMIT_BYTES`].
    #[error("a restart marker of {0} bytes; the limit is {MARKER_LIMIT_BYTES}")]
    MarkerLength(u16),
    /// A page header that is shorter than RFC 959 section 3.1.2.3 allows.
    #[error("a page header of {0} bytes; it has at least 4")]
    PageHeader(u8),
    /// A page type that is none of 0 to 3.
    #[error("page type {0}; known are 0 to 3")]
    PageType(u8),
    /// A last page that holds data.
    #[error("a last page of {0} bytes; it has none")]
    LastPage(u8),
    /// A page that is longer than the first, which tells how long pages are.
    #[error("a page of {found} bytes in a file of pages of {expected}")]
    PageLength {
        /// The length of this page.
        found: u8,
        /// The length of the first.
        expected: u8,
    },
    /// A page that belongs before one that has come already.
    #[error("page {found} comes behind its place; {expected} or one soon after it was next")]
    PageOrder {
        /// The index of this page.
        found: u8,
        /// The one that would have come without a hole.
        expected: u8,
    },
    /// There are empty pages or holes, and nothing tells how long they are.
    #[error("pages are missing or empty, and no whole page tells how long they are")]
    PageSize,
    /// More zeros would be written for holes than [`PAGE_HOLES_LIMIT_BYTES`].
    #[error("holes of more than {PAGE_HOLES_LIMIT_BYTES} bytes in all")]
    PageHoles,
    /// Data behind the last page, or behind the end that STRU R states within MODE Z.
    #[error("data behind the end of the file")]
    BehindEnd,
    /// Not a zlib stream, or one that needs a dictionary, or a damaged one (RFC 1950, RFC 1951).
    #[error("not a zlib stream of MODE Z, or a damaged one")]
    Zlib,
    /// The check value of a zlib stream is wrong (RFC 1950 section 2.3).
    #[error("the zlib stream's check value does not fit its data")]
    Checksum,
    /// A zlib stream grows beyond its [`ExpansionLimit`](super::ExpansionLimit).
    #[error("a zlib stream that expands to more than the limit")]
    Expansion,
}

/// A problem at a place of the piece that is being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) problem: Problem,
    /// Bytes of the piece before it.
    pub(super) position: usize,
}

impl Fault {
    pub(super) fn at(position: usize, problem: Problem) -> Fault {
        Fault { problem, position }
    }

    /// The same, in a piece that has `before` more bytes in front.
    pub(super) fn behind(self, before: usize) -> Fault {
        Fault { position: self.position + before, ..self }
    }
}
