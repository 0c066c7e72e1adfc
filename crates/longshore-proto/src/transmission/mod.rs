//! How a file becomes bytes on a data connection, and back: TYPE, STRU and MODE together (RFC 959 sections 3.1 to 3.5,
//! RFC 1123 section 4.1.2, MODE Z of draft-preston-ftpext-deflate-04).
//!
//! ```text
//!   octets of the file ── representation and structure ── data, ends of records, end of file, markers ── mode ── wire
//! ```
//!
//! A [`Sender`] goes from left to right, a [`Receiver`] from right to left, for each of the 36 combinations of a [`Form`].
//! Both are values that take bytes in pieces of any size; how the input is cut never changes what comes out of a
//! receiver, or what the other end makes of a sender's bytes.
//!
//! | | STRU F | STRU R | STRU P |
//! |---|---|---|---|
//! | I, L 8 | octets as they are | sent as one record; records received are put one behind the other, for a Unix file has none | pages of the octets |
//! | A | lines end in CR LF (see [`crate::ascii`]) | each line is a record, without its LF | pages of the text |
//! | E | code page 1047 (see [`crate::ebcdic`]), lines end in NL | each line is a record, without its LF | pages of the text |
//!
//! - A file whose last line has no LF ends without an end of record, so that what comes back is what was sent. The RFC
//!   wants every end of record explicit; a peer that sends them all gets, and gives, an LF at the end of each line.
//! - A CR before the LF of a line is part of the record: records come back exactly, from files of either kind of line.
//! - An end of record in a file that should have none (STRU F with MODE B, as z/OS sends data sets in EBCDIC) ends a line
//!   of text and means nothing to octets.
//! - The format of TYPE A and E (N, T, C) changes no byte. Vertical format controls, and the first character of a line in
//!   ASA's form, are for a process that prints (RFC 959 section 3.1.1.5); who stores a file keeps them as they came. A host
//!   that makes no difference between N and T takes both (RFC 1123 section 4.1.2.2).
//! - Restart markers exist in block and compressed mode. Pages are sent without any.
//!
//! Not inside: which combinations a server offers, which reply an [`Error`] becomes, sockets and files.

mod block;
mod compressed;
mod contents;
mod deflate;
mod error;
mod marker;
mod page;
mod receiver;
mod sender;
mod stream;

pub use block::{BLOCK_HEADER_BYTES, Descriptor, block_header};
pub use deflate::{ExpansionLimit, Level};
pub use error::{Error, Problem};
pub use marker::Marker;
pub use page::PAGE_BYTES;
pub use receiver::{Ending, Received, Receiver, Step};
pub use sender::Sender;

use crate::ebcdic;

/// What TYPE makes of the octets of a file (RFC 959 section 3.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Representation {
    /// `A`, with any format.
    #[default]
    Ascii,
    /// `E`, with any format.
    Ebcdic,
    /// `I` and `L 8`.
    Image,
}

impl Representation {
    /// Every representation, for tables and tests.
    pub const ALL: [Representation; 3] =
        [Representation::Ascii, Representation::Ebcdic, Representation::Image];

    /// Whether lines and letters have another form on the way.
    pub const fn is_text(self) -> bool {
        !matches!(self, Representation::Image)
    }

    /// As TYPE names it, in the format N.
    pub const fn name(self) -> &'static str {
        match self {
            Representation::Ascii => "A",
            Representation::Ebcdic => "E",
            Representation::Image => "I",
        }
    }

    /// What compressed mode calls the filler byte (RFC 959 section 3.4.3).
    fn filler(self) -> u8 {
        match self {
            Representation::Ascii => b' ',
            Representation::Ebcdic => ebcdic::SPACE,
            Representation::Image => 0,
        }
    }
}

/// STRU (RFC 959 section 3.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Structure {
    /// `F`.
    #[default]
    File,
    /// `R`.
    Record,
    /// `P`.
    Page,
}

impl Structure {
    /// Every structure, for tables and tests.
    pub const ALL: [Structure; 3] = [Structure::File, Structure::Record, Structure::Page];

    /// As STRU names it.
    pub const fn name(self) -> &'static str {
        match self {
            Structure::File => "F",
            Structure::Record => "R",
            Structure::Page => "P",
        }
    }
}

/// MODE (RFC 959 section 3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `S`.
    #[default]
    Stream,
    /// `B`.
    Block,
    /// `C`.
    Compressed,
    /// `Z`: what stream mode sends, as one zlib stream for each file.
    Deflate,
}

impl Mode {
    /// Every mode, for tables and tests.
    pub const ALL: [Mode; 4] = [Mode::Stream, Mode::Block, Mode::Compressed, Mode::Deflate];

    /// As MODE names it.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Stream => "S",
            Mode::Block => "B",
            Mode::Compressed => "C",
            Mode::Deflate => "Z",
        }
    }

    /// Whether the connection stays open behind a file for the next one, which nobody has to ask for (RFC 959 section
    /// 3.3). A file in MODE Z has an end of its own, too, but there staying open is agreed on elsewhere.
    pub const fn keeps_connection(self) -> bool {
        matches!(self, Mode::Block | Mode::Compressed)
    }

    /// Whether [`Sender::mark`] and [`Step::Marker`] exist in some structure (RFC 959 section 3.5).
    pub const fn has_markers(self) -> bool {
        matches!(self, Mode::Block | Mode::Compressed)
    }
}

/// All that decides how a file looks on a data connection. Every combination is legal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// TYPE.
    pub representation: Representation,
    /// STRU.
    pub structure: Structure,
    /// MODE.
    pub mode: Mode,
}

impl Form {
    /// Whether the wire carries the octets of the file and nothing else, so that the kernel may copy them.
    pub fn is_identity(self) -> bool {
        self.representation == Representation::Image
            && self.structure == Structure::File
            && self.mode == Mode::Stream
    }

    /// Whether the wire carries the octets of the file with block headers in front and nothing else, so that the kernel
    /// may copy what lies between them. The value is the descriptor of the block that has to come last and may be empty;
    /// each other block has [`Descriptor::NONE`].
    pub fn last_block(self) -> Option<Descriptor> {
        match (self.mode, self.representation, self.structure) {
            (Mode::Block, Representation::Image, Structure::File) => Some(Descriptor::END_OF_FILE),
            (Mode::Block, Representation::Image, Structure::Record) => {
                Some(Descriptor::END_OF_RECORD | Descriptor::END_OF_FILE)
            }
            _ => None,
        }
    }

    /// Whether bytes on the wire tell where a file ends. Elsewhere only the end of the connection does, and a connection
    /// that was cut in order looks the same.
    pub fn states_its_end(self) -> bool {
        self.mode != Mode::Stream || self.structure != Structure::File
    }

    /// See [`Mode::keeps_connection`].
    pub fn keeps_connection(self) -> bool {
        self.mode.keeps_connection()
    }

    /// Whether [`Sender::mark`] and [`Step::Marker`] exist (RFC 959 section 3.5).
    pub fn has_markers(self) -> bool {
        self.mode.has_markers() && self.structure != Structure::Page
    }
}
