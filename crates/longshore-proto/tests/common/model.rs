//! What the next transfer must be told, worked out from the replies alone.
//!
//! Not inside: anything read off the table of verbs; the lists here were written from the rules, so that a slip in
//! the table shows.

use longshore_proto::reply::{Reply, Situation, Value};
use longshore_proto::verbs::Verb;

/// What is arranged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arranged {
    #[default]
    Nothing,
    Passive,
    Active,
    Expired,
    ClosedByRefusal,
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
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub arranged: Arranged,
    pub restart: Restart,
    /// The final answer to the command before.
    pub previous: Option<Situation>,
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
            Situation::RestNotFollowed => self.restart == Restart::Broken,
            Situation::RestartInText => matches!(self.restart, Restart::At(_)),
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
                    (Arranged::Passive, 125 | 150) | (Arranged::Active, 150)
                );
                let restarts = verb.is_some_and(takes_restart);
                stands && !(restarts && self.restart == Restart::Broken)
            }
            _ => true,
        };
        (!fits).then(|| format!("{} does not follow from {self:?}", situation.id()))
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
    }

    /// A passive port that nobody used was closed when its time was over.
    pub fn expire(&mut self) {
        if self.arranged == Arranged::Passive {
            self.arranged = Arranged::Expired;
        }
    }

    /// A command, or a line that is none, was answered for good.
    pub fn end(&mut self, verb: Option<Verb>, marked: bool, reply: &Reply) {
        let situation = reply.situation;
        self.previous = Some(situation);
        match situation {
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
            _ if verb.is_some_and(is_upload)
                && !marked
                && matches!(self.arranged, Arranged::Passive | Arranged::Active) =>
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
