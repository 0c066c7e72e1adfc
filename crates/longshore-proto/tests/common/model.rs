//! What the next transfer must be told, worked out from the replies alone.
//!
//! Not inside: anything read off the table of verbs; the lists here were written from the rules, so that a slip in
//! the table shows.

use longshore_proto::command::{Mode, Structure};
use longshore_proto::reply::{Reply, Situation, Value};
use longshore_proto::server::End;
use longshore_proto::verbs::Verb;

use super::known::Data;

/// What is arranged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arranged {
    #[default]
    Nothing,
    Passive,
    Active,
    /// The data connection of the transfer before stays.
    Kept,
    Expired,
    ClosedByRefusal,
    /// A data connection that was to stay was cut.
    Cut,
}

/// What REST left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    #[default]
    None,
    At(u64),
    Broken,
}

/// What a client that only reads replies knows.
#[derive(Clone, Debug)]
pub struct Model {
    pub arranged: Arranged,
    pub restart: Restart,
    /// Whether TYPE is one of text.
    pub is_text: bool,
    pub structure: Structure,
    pub mode: Mode,
    /// OPTS MODE Z KEEP 1 was said.
    keeps_deflate: bool,
    /// The transfer that runs has said its mark.
    begun: bool,
    /// The final answer to the command before.
    pub previous: Option<Situation>,
}

impl Default for Model {
    fn default() -> Model {
        Model {
            arranged: Arranged::Nothing,
            restart: Restart::None,
            is_text: true,
            structure: Structure::File,
            mode: Mode::Stream,
            keeps_deflate: false,
            begun: false,
            previous: None,
        }
    }
}

/// After which commands a REST still holds.
const REST_SURVIVES: &[Verb] = &[
    Verb::Pasv,
    Verb::Epsv,
    Verb::Port,
    Verb::Eprt,
    Verb::Type,
    Verb::Mode,
    Verb::Stru,
    Verb::Prot,
    Verb::Allo,
    Verb::Opts,
    Verb::Size,
    Verb::Mdtm,
    Verb::Feat,
    Verb::Stat,
    Verb::Noop,
    // Asked for by Net::FTP in between.
    Verb::Help,
];

pub fn is_upload(verb: Verb) -> bool {
    matches!(verb, Verb::Stor | Verb::Stou | Verb::Appe)
}

pub fn is_transfer(verb: Verb) -> bool {
    is_upload(verb) || matches!(verb, Verb::Retr | Verb::List | Verb::Nlst | Verb::Mlsd)
}

fn takes_restart(verb: Verb) -> bool {
    matches!(verb, Verb::Retr | Verb::Stor | Verb::Appe)
}

impl Model {
    /// Whether the answer fits what was said before.
    pub fn objection(&self, verb: Option<Verb>, situation: Situation) -> Option<String> {
        let arranged = self.arranged;
        let fits = match situation {
            Situation::NothingArranged => arranged == Arranged::Nothing,
            Situation::ArrangementExpired => arranged == Arranged::Expired,
            Situation::ClosedByRefusal => arranged == Arranged::ClosedByRefusal,
            Situation::ConnectionCut => arranged == Arranged::Cut,
            Situation::RestNotFollowed => self.restart == Restart::Broken,
            Situation::RestartInPages => {
                matches!(self.restart, Restart::At(_)) && self.structure == Structure::Page
            }
            Situation::RestartInText => {
                matches!(self.restart, Restart::At(_))
                    && self.structure != Structure::Page
                    && self.counts_text()
            }
            Situation::PassWithoutUser => self.previous != Some(Situation::PasswordWanted),
            Situation::RntoWithoutRnfr => self.previous != Some(Situation::RenamePending),
            Situation::LoggedIn
            | Situation::LoginRejected
            | Situation::LoginRejectedInClear
            | Situation::LoginAttempts => self.previous == Some(Situation::PasswordWanted),
            Situation::Renamed => self.previous == Some(Situation::RenamePending),
            Situation::MarkStanding
            | Situation::MarkStandingUnique
            | Situation::MarkOpening
            | Situation::MarkOpeningUnique => {
                let stands = matches!(
                    (arranged, situation.code()),
                    (Arranged::Passive, 125 | 150) | (Arranged::Active, 150) | (Arranged::Kept, 125)
                );
                let restarts = verb.is_some_and(takes_restart);
                let impossible = match self.restart {
                    Restart::None => false,
                    Restart::At(_) => self.structure == Structure::Page || self.counts_text(),
                    Restart::Broken => true,
                };
                stands && !(restarts && impossible)
            }
            _ => true,
        };
        (!fits).then(|| format!("{} does not follow from {self:?}", situation.id()))
    }

    /// Whether an offset would count octets of a text, which no end sees.
    fn counts_text(&self) -> bool {
        self.is_text && !matches!(self.mode, Mode::Block | Mode::Compressed)
    }

    /// Whether a data connection stays open behind a file.
    pub fn keeps_connection(&self) -> bool {
        match self.mode {
            Mode::Stream => false,
            Mode::Block | Mode::Compressed => true,
            Mode::Deflate => self.keeps_deflate,
        }
    }

    /// The octet at which a transfer begins.
    pub fn offset(&self, verb: Verb) -> u64 {
        match self.restart {
            Restart::At(offset) if takes_restart(verb) => offset,
            _ => 0,
        }
    }

    /// A mark was said.
    pub fn begin(&mut self) {
        self.arranged = Arranged::Nothing;
        self.begun = true;
    }

    /// A transfer is answered for good: what becomes of its data connection.
    pub fn end_connection(&mut self, data: Data, upload: bool, complete: bool) {
        let keeps = self.keeps_connection();
        self.arranged = match data {
            // No mark was said.
            _ if !self.begun => self.arranged,
            Data::Finished { kept: true, .. } if complete => Arranged::Kept,
            Data::Finished { kept: true, .. } => Arranged::ClosedByRefusal,
            Data::Finished { end: End::Complete, .. } => Arranged::Nothing,
            _ if !keeps => Arranged::Nothing,
            Data::Finished { end: End::Storage(_), .. } if upload => Arranged::ClosedByRefusal,
            _ => Arranged::Cut,
        };
        self.begun = false;
    }

    /// The client has closed what stood.
    pub fn lose_kept(&mut self) {
        self.arranged = Arranged::Cut;
    }

    /// What stands does not fit any more.
    pub fn close_kept(&mut self) {
        if self.arranged == Arranged::Kept {
            self.arranged = Arranged::Nothing;
        }
    }

    /// A passive port or a connection that nobody used was closed when its time was over.
    pub fn expire(&mut self) {
        if matches!(self.arranged, Arranged::Passive | Arranged::Kept) {
            self.arranged = Arranged::Expired;
        }
    }

    /// A command, or a line that is none, was answered for good.
    pub fn end(&mut self, verb: Option<Verb>, marked: bool, reply: &Reply) {
        let unreadable = matches!(reply.situation, Situation::LineTooLong | Situation::LineNul);
        let situation = reply.situation;
        self.previous = Some(situation);
        if matches!(situation, Situation::Reset | Situation::TlsBegins) {
            (self.is_text, self.structure, self.mode) = (true, Structure::File, Mode::Stream);
            self.keeps_deflate = false;
        }
        match situation {
            Situation::TypeSet => self.is_text = value(reply) != "I",
            Situation::StructureSet => {
                let structure = Structure::ALL.into_iter().find(|one| one.name() == value(reply));
                self.structure = structure.expect("STRU answers with its name");
            }
            Situation::ModeSet => {
                let mode = Mode::ALL.into_iter().find(|one| one.name() == value(reply));
                let mode = mode.expect("MODE answers with its name");
                if mode != self.mode {
                    self.close_kept();
                }
                self.mode = mode;
            }
            Situation::DeflateStays => self.keeps_deflate = true,
            Situation::DeflateCloses => {
                self.keeps_deflate = false;
                if self.mode == Mode::Deflate {
                    self.close_kept();
                }
            }
            Situation::Passive | Situation::ExtendedPassive => self.arranged = Arranged::Passive,
            Situation::Active => self.arranged = Arranged::Active,
            Situation::NoPort
            | Situation::NoResources
            | Situation::Aborted
            | Situation::NothingToAbort
            | Situation::Reset
            | Situation::TlsBegins => {
                self.arranged = Arranged::Nothing;
            }
            _ if (unreadable || verb.is_some_and(is_upload))
                && !marked
                && matches!(self.arranged, Arranged::Passive | Arranged::Active | Arranged::Kept) =>
            {
                self.arranged = Arranged::ClosedByRefusal;
            }
            _ => {}
        }
        match verb {
            _ if matches!(situation, Situation::Reset | Situation::TlsBegins) => self.restart = Restart::None,
            Some(verb) if takes_restart(verb) => self.restart = Restart::None,
            Some(verb) if REST_SURVIVES.contains(&verb) => {}
            _ if situation == Situation::RestartAccepted => {
                let offset =
                    reply.arguments.iter().find(|(name, _)| *name == "offset").map(|(_, value)| value);
                self.restart = match offset {
                    Some(Value::Number(0)) => Restart::None,
                    Some(Value::Number(offset)) => Restart::At(*offset),
                    other => panic!("REST answers with its offset, not {other:?}"),
                };
            }
            _ if matches!(self.restart, Restart::At(_)) => self.restart = Restart::Broken,
            _ => {}
        }
    }
}

/// What TYPE, STRU and MODE answer with.
fn value(reply: &Reply) -> String {
    match reply.arguments.iter().find(|(name, _)| *name == "value").map(|(_, value)| value) {
        Some(Value::Text(text)) => text.clone().into_owned(),
        other => panic!("a setting is answered with its value, not {other:?}"),
    }
}
