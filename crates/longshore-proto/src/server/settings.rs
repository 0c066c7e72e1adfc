//! What a client has set for the commands to come: TYPE, STRU, MODE, OPTS MLST, EPSV ALL, REST, RNFR, USER.
//!
//! Not inside: the data connection that is arranged ([`arrangement`](super::arrangement)) and who is logged in
//! ([`login`](super::login)).

use longshore_path::VirtualPath;

use crate::command::{Level, Mode, Representation, Structure};
use crate::listing::Facts;
use crate::verbs::Verb;

/// What a client has set, and how it goes back to the beginning with REIN.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) representation: Representation,
    pub(super) structure: Structure,
    pub(super) mode: Mode,
    /// What OPTS MODE Z asked for.
    pub(super) level: Option<Level>,
    /// Whether OPTS MODE Z KEEP 1 was said: data connections stay open in MODE Z, too.
    pub(super) keeps_deflate: bool,
    pub(super) facts: Facts,
    pub(super) epsv_all: bool,
    pub(super) restart: Restart,
    /// What RNFR named, for exactly the next command.
    pub(super) rename_from: Option<VirtualPath>,
}

impl Settings {
    /// Whether a data connection stays open behind a file that is whole.
    pub(super) fn keeps_connection(&self) -> bool {
        self.mode.keeps_connection() || (self.mode == Mode::Deflate && self.keeps_deflate)
    }
}

/// REST, until its transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Restart {
    /// Begin at the beginning.
    #[default]
    None,
    /// Begin at this octet.
    At(u64),
    /// Something came between, so the client may mean another file: the next transfer is refused once.
    Broken(u64),
}

impl Restart {
    /// What is left of it when something comes between.
    pub(super) fn broken(self) -> Restart {
        match self {
            Restart::At(offset) => Restart::Broken(offset),
            other => other,
        }
    }
}

/// What USER or RNFR left for the command directly after it.
#[derive(Debug)]
pub(super) enum Pair {
    None,
    User(Vec<u8>),
    RenameFrom(VirtualPath),
}

impl Pair {
    pub(super) fn begun_by(&self) -> Option<Verb> {
        match self {
            Pair::None => None,
            Pair::User(_) => Some(Verb::User),
            Pair::RenameFrom(_) => Some(Verb::Rnfr),
        }
    }
}
