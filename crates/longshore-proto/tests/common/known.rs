//! What the judge knows of each line, each operation, and the running transfer.
//!
//! Not inside: what is right; that is `judge`.

use longshore_proto::command::AuthMechanism;
use longshore_proto::server::End;
use longshore_proto::verbs::Verb;

/// A kind of operation: at most one of a family is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tls,
    Login,
    Storage,
    Commit,
    Abandon,
    Reserve,
    Probe,
    Establish,
    Move,
}

impl Kind {
    pub fn family(self) -> usize {
        match self {
            Kind::Login => 0,
            Kind::Storage | Kind::Commit | Kind::Abandon => 1,
            Kind::Reserve | Kind::Probe | Kind::Establish | Kind::Move => 2,
            Kind::Tls => 3,
        }
    }
}

/// What a line asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Verb(Verb),
    Unknown,
    Empty,
    TooLong,
    Nul,
}

#[derive(Debug)]
pub struct Waiting {
    pub asked: Asked,
    /// What AUTH named.
    pub mechanism: Option<AuthMechanism>,
    pub bytes: usize,
    /// An ABOR was read behind it before its mark, or the input ended before it began.
    pub aborted: bool,
    /// Something came of it.
    pub begun: bool,
    pub marked: bool,
    /// The operation of this transfer that stores or sends came to its good end.
    pub completed: bool,
}

impl Waiting {
    pub fn verb(&self) -> Option<Verb> {
        match self.asked {
            Asked::Verb(verb) => Some(verb),
            Asked::Unknown | Asked::Empty | Asked::TooLong | Asked::Nul => None,
        }
    }
}

/// What the running transfer has open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum File {
    #[default]
    Nothing,
    Open,
}

/// How far the data connection of the running transfer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Data {
    #[default]
    Nothing,
    Probed {
        standing: bool,
    },
    Established,
    Finished(End),
}
