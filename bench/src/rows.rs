//! The rows of the comparison: what is done, what is shown of it, and what longshore should reach.
//!
//! Not inside: figures.

use std::path::Path;
use std::time::Duration;

use crate::generator::{Files, Taken, Task, Work};
use crate::ground::{BIG, MANY, PARTS, SMALL};
use crate::peers::{Durability, Peer};

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// As the command line names it.
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) measured: Measured,
    pub(crate) figure: Figure,
    pub(crate) goal: Goal,
}

/// How a row comes by its figures.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measured {
    /// By the generator, in every round.
    Traffic(Traffic),
    /// By another row, of which this one shows something else.
    Of(&'static str),
    /// By so many sessions that say nothing, once.
    Held { sessions: usize, secured: bool },
    /// By our client over a link of 50 ms.
    Distance { secured: bool },
    /// By our client on the loopback, all asked for ahead over one kept data connection.
    Pipelined,
}

/// Work of the generator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) work: Work,
    pub(crate) connections: usize,
    pub(crate) secured: bool,
    pub(crate) durability: Durability,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    MegabytesPerSecond,
    FilesPerSecond,
    LoginsPerSecond,
    ListingsPerSecond,
    /// The server's processor time for one piece of work.
    ServerMicroseconds,
    KibibytesPerSession,
    Seconds,
}

impl Figure {
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Figure::MegabytesPerSecond => "MB/s",
            Figure::FilesPerSecond => "files/s",
            Figure::LoginsPerSecond => "logins/s",
            Figure::ListingsPerSecond => "listings/s",
            Figure::ServerMicroseconds => "µs",
            Figure::KibibytesPerSession => "KiB",
            Figure::Seconds => "s",
        }
    }

    pub(crate) fn is_more_better(self) -> bool {
        match self {
            Figure::MegabytesPerSecond
            | Figure::FilesPerSecond
            | Figure::LoginsPerSecond
            | Figure::ListingsPerSecond => true,
            Figure::ServerMicroseconds | Figure::KibibytesPerSession | Figure::Seconds => false,
        }
    }
}

/// What longshore should reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// The smaller of this times the best peer and [`OF_LIMIT`] of the limit.
    Factor(f64),
    /// No more than this.
    AtMost(f64),
    /// No more than this peer.
    NoMoreThan(Peer),
    /// A row without a rival.
    Shown,
}

/// What of the practical limit is enough.
pub(crate) const OF_LIMIT: f64 = 0.95;
/// What counts as equal: three of a hundred.
pub(crate) const EQUAL: f64 = 0.03;

/// Connections that ask for small files at once, where it is many.
const MANY_CONNECTIONS: usize = 16;

const fn traffic(work: Work, connections: usize) -> Traffic {
    Traffic { work, connections, secured: false, durability: Durability::None }
}

const fn secured(work: Work, connections: usize) -> Traffic {
    Traffic { secured: true, ..traffic(work, connections) }
}

const fn retrieve(files: Files, taken: Taken) -> Work {
    Work::Retrieve { files, taken }
}

const fn list(verb: &'static str) -> Work {
    Work::List { verb, directory: "many", entries: MANY.count as u64 }
}

const fn row(id: &'static str, name: &'static str, figure: Figure, goal: Goal, measured: Measured) -> Row {
    Row { id, name, measured, figure, goal }
}

use Figure::{
    FilesPerSecond, KibibytesPerSession, ListingsPerSecond, LoginsPerSecond, MegabytesPerSecond, Seconds,
    ServerMicroseconds,
};
use Goal::{AtMost, Factor, NoMoreThan, Shown};
use Measured::{Distance, Held, Of, Pipelined, Traffic as By};

/// All of them, as they stand in the table.
pub(crate) const ROWS: &[Row] = &[
    row(
        "retr",
        "RETR 1 GiB, 1 connection",
        MegabytesPerSecond,
        Factor(1.0),
        By(traffic(retrieve(BIG, Taken::Read), 1)),
    ),
    row(
        "retr-discard",
        "the same, reader discards in the kernel",
        MegabytesPerSecond,
        Factor(1.0),
        By(traffic(retrieve(BIG, Taken::Discarded), 1)),
    ),
    row(
        "retr-4-discard",
        "RETR 256 MiB, 4 connections, reader discards",
        MegabytesPerSecond,
        Factor(1.0),
        By(traffic(retrieve(PARTS, Taken::Discarded), 4)),
    ),
    row(
        "stor",
        "STOR 1 GiB, 1 connection",
        MegabytesPerSecond,
        Factor(1.0),
        By(traffic(Work::Store { bytes: BIG.bytes }, 1)),
    ),
    row(
        "stor-4",
        "STOR 256 MiB, 4 connections",
        MegabytesPerSecond,
        Factor(1.0),
        By(traffic(Work::Store { bytes: PARTS.bytes }, 4)),
    ),
    row(
        "retr-small",
        "RETR 4 KiB files, 1 connection",
        FilesPerSecond,
        Factor(1.2),
        By(traffic(retrieve(SMALL, Taken::Discarded), 1)),
    ),
    row(
        "retr-small-16",
        "RETR 4 KiB files, 16 connections",
        FilesPerSecond,
        Factor(1.2),
        By(traffic(retrieve(SMALL, Taken::Discarded), MANY_CONNECTIONS)),
    ),
    row(
        "retr-small-16-cpu",
        "its server CPU per file",
        ServerMicroseconds,
        NoMoreThan(Peer::PureFtpd),
        Of("retr-small-16"),
    ),
    row(
        "stor-small-4",
        "STOR 4 KiB files, 4 connections",
        FilesPerSecond,
        Factor(1.2),
        By(traffic(Work::Store { bytes: SMALL.bytes }, 4)),
    ),
    row(
        "login",
        "connect, login, QUIT, 4 at a time",
        LoginsPerSecond,
        Factor(1.0),
        By(traffic(Work::Login, 4)),
    ),
    row("list", "LIST of 100,000 entries", ListingsPerSecond, Factor(2.0), By(traffic(list("LIST"), 1))),
    row("mlsd", "MLSD of 100,000 entries", ListingsPerSecond, Factor(2.0), By(traffic(list("MLSD"), 1))),
    row(
        "tls-retr",
        "TLS RETR 1 GiB, 1 connection",
        MegabytesPerSecond,
        Factor(1.2),
        By(secured(retrieve(BIG, Taken::Discarded), 1)),
    ),
    row(
        "tls-stor",
        "TLS STOR 1 GiB, 1 connection",
        MegabytesPerSecond,
        Factor(1.2),
        By(secured(Work::Store { bytes: BIG.bytes }, 1)),
    ),
    row(
        "tls-retr-small-4",
        "TLS RETR 4 KiB files, 4 connections",
        FilesPerSecond,
        Factor(1.2),
        By(secured(retrieve(SMALL, Taken::Discarded), 4)),
    ),
    row(
        "tls-login",
        "TLS connect, login, QUIT, 4 at a time",
        LoginsPerSecond,
        Factor(1.2),
        By(secured(Work::Login, 4)),
    ),
    row(
        "memory",
        "memory per idle session, 1,000 held",
        KibibytesPerSession,
        AtMost(3.5),
        Held { sessions: 1000, secured: false },
    ),
    row(
        "distance",
        "2,000 x 4 KiB files over 50 ms, the slower way",
        Seconds,
        AtMost(2.0),
        Distance { secured: false },
    ),
];

/// Rows beside those that the goals are counted by.
pub(crate) const MORE_ROWS: &[Row] = &[
    row(
        "memory-10k",
        "memory per idle session, 10,000 held",
        KibibytesPerSession,
        AtMost(3.5),
        Held { sessions: 10_000, secured: false },
    ),
    row(
        "memory-19k",
        "memory per idle session, 19,000 held",
        KibibytesPerSession,
        AtMost(3.5),
        Held { sessions: 19_000, secured: false },
    ),
    row(
        "tls-memory",
        "memory per idle TLS session, 1,000 held",
        KibibytesPerSession,
        AtMost(24.0),
        Held { sessions: 1000, secured: true },
    ),
    row(
        "tls-memory-10k",
        "memory per idle TLS session, 10,000 held",
        KibibytesPerSession,
        AtMost(24.0),
        Held { sessions: 10_000, secured: true },
    ),
    row(
        "tls-distance",
        "2,000 x 4 KiB files over 50 ms in TLS, the slower way",
        Seconds,
        AtMost(2.5),
        Distance { secured: true },
    ),
    row(
        "stor-small-4-data",
        "STOR 4 KiB files, 4 connections, durability data",
        FilesPerSecond,
        Shown,
        By(Traffic { durability: Durability::Data, ..traffic(Work::Store { bytes: SMALL.bytes }, 4) }),
    ),
    row(
        "pipelined",
        "RETR 4 KiB files, pipelined in block mode by our client",
        FilesPerSecond,
        Shown,
        Pipelined,
    ),
];

/// Every row, those of the goals first.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain(MORE_ROWS)
}

impl Row {
    /// Whether no other server could have a part in it.
    pub(crate) fn is_ours_alone(&self) -> bool {
        Peer::ALL.iter().all(|&peer| peer == Peer::Longshore || self.excludes(peer).is_some())
    }

    /// Why a server has no part in this row; `None` when it has.
    pub(crate) fn excludes(&self, peer: Peer) -> Option<&'static str> {
        match (self.measured, peer) {
            (Measured::Distance { .. } | Measured::Pipelined, peer) if peer != Peer::Longshore => {
                Some("a row of our client with our server")
            }
            (By(Traffic { durability: Durability::Data, .. }), peer) if peer != Peer::Longshore => {
                Some("it does not sync uploads")
            }
            (By(Traffic { work: Work::List { verb: "MLSD", .. }, .. }), Peer::Vsftpd) => {
                Some("it has no MLSD")
            }
            (By(Traffic { work: Work::List { .. }, .. }), Peer::Limit) => {
                Some("the do-nothing server lists nothing")
            }
            (Measured::Held { .. }, Peer::Limit) => Some("it has a thread for each session"),
            (Measured::Held { sessions, .. }, peer) if sessions > 1000 && peer.forks() => {
                Some("it has a process for each session")
            }
            _ => None,
        }
    }
}

impl Traffic {
    /// As the generator takes it.
    pub(crate) fn task<'a>(&self, duration: Duration, served: &'a Path, store_into: &'a str) -> Task<'a> {
        Task {
            work: self.work,
            connections: self.connections,
            duration,
            most_per_connection: u64::MAX,
            store_into,
            served,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_names_of_their_own_and_name_what_is_there() {
        for (index, row) in all().enumerate() {
            assert!(
                all().skip(index + 1).all(|other| other.id != row.id && other.name != row.name),
                "{}",
                row.id
            );
            if let Measured::Of(id) = row.measured {
                assert!(all().any(|other| other.id == id), "{id}");
            }
        }
        assert_eq!(ROWS.len(), 18);
    }

    #[test]
    fn longshore_has_a_part_in_every_row_and_a_peer_in_each_with_a_factor() {
        for row in all() {
            assert_eq!(row.excludes(Peer::Longshore), None, "{}", row.id);
            let has_peer = Peer::ALL.iter().any(|&peer| peer.is_foreign() && row.excludes(peer).is_none());
            assert!(has_peer || !matches!(row.goal, Factor(_)), "{}", row.id);
        }
    }
}
