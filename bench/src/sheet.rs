//! The figures of a comparison, and what they say: medians, the best peer, the limit, and whether a goal is reached.
//!
//! Not inside: how they are measured or shown.

use std::collections::BTreeMap;

use crate::peers::Peer;
use crate::rows::{EQUAL, Figure, Goal, Measured, OF_LIMIT, Row};
use crate::table::median;

/// One measurement.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cell {
    pub(crate) figure: f64,
    /// Processor time for one piece of work, or for a GiB where the figure is in bytes; in microseconds.
    pub(crate) server_microseconds: Option<f64>,
    pub(crate) generator_microseconds: Option<f64>,
    /// The time that half of the pieces, and 99 of 100, did not exceed; in microseconds.
    pub(crate) half_microseconds: Option<f64>,
    pub(crate) most_microseconds: Option<f64>,
    /// Pieces that failed and were tried again.
    pub(crate) failed: u64,
    /// Version and cipher of TLS.
    pub(crate) agreed: Option<String>,
}

/// A server's measurements of one row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    pub(crate) cells: Vec<Cell>,
    /// Why there are not more, or none: the reason of the last one that failed.
    pub(crate) failure: Option<String>,
    /// Rounds that failed.
    pub(crate) failed_rounds: usize,
}

impl Series {
    pub(crate) fn figures(&self) -> Vec<f64> {
        self.cells.iter().map(|cell| cell.figure).collect()
    }

    /// The median of something that some cells have.
    pub(crate) fn median_of(&self, part: impl Fn(&Cell) -> Option<f64>) -> Option<f64> {
        median(&self.cells.iter().filter_map(part).collect::<Vec<_>>())
    }
}

/// All measurements.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sheet {
    series: BTreeMap<(&'static str, Peer), Series>,
    /// What a client of others needed for a row of our client.
    rivals: BTreeMap<&'static str, (String, f64)>,
}

/// What a row comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) ours: f64,
    pub(crate) best_peer: Option<(String, f64)>,
    pub(crate) limit: Option<f64>,
    /// What should be reached; `None` for a row that is only shown.
    pub(crate) goal: Option<f64>,
    pub(crate) is_reached: Option<bool>,
}

impl Sheet {
    pub(crate) fn add(&mut self, row: &Row, peer: Peer, cell: Result<Cell, String>) {
        let series = self.series.entry((row.id, peer)).or_default();
        match cell {
            Ok(cell) => series.cells.push(cell),
            Err(why) => {
                series.failure = Some(why);
                series.failed_rounds += 1;
            }
        }
    }

    pub(crate) fn add_rival(&mut self, row: &Row, name: String, figure: f64) {
        self.rivals.insert(row.id, (name, figure));
    }

    /// What was measured of a server in a row, also where the row shows something of another one.
    pub(crate) fn series(&self, row: &Row, peer: Peer) -> Option<Series> {
        let Measured::Of(source) = row.measured else { return self.series.get(&(row.id, peer)).cloned() };
        let source = self.series.get(&(source, peer))?;
        let cells = source.cells.iter().filter_map(|cell| {
            let figure = match row.figure {
                Figure::ServerMicroseconds => cell.server_microseconds?,
                _ => cell.figure,
            };
            Some(Cell { figure, ..Cell::default() })
        });
        let cells: Vec<Cell> = cells.collect();
        let unknown =
            || cells.is_empty().then(|| "the system keeps no account of its processor time".to_owned());
        let failure = source.failure.clone().or_else(unknown);
        Some(Series { failure, failed_rounds: source.failed_rounds, cells })
    }

    pub(crate) fn median(&self, row: &Row, peer: Peer) -> Option<f64> {
        median(&self.series(row, peer)?.figures())
    }

    /// What a row comes to; `None` where longshore was not measured.
    pub(crate) fn verdict(&self, row: &Row) -> Option<Verdict> {
        let ours = self.median(row, Peer::Longshore)?;
        let peers = Peer::ALL.into_iter().filter(|peer| peer.is_foreign());
        let best_peer = peers
            .filter_map(|peer| Some((peer.name().to_owned(), self.median(row, peer)?)))
            .chain(self.rivals.get(row.id).cloned())
            .reduce(|best, other| {
                let is_better = if row.figure.is_more_better() { other.1 > best.1 } else { other.1 < best.1 };
                if is_better { other } else { best }
            });
        let limit = self.median(row, Peer::Limit);
        let goal = match row.goal {
            Goal::Factor(factor) => {
                let by_peer = best_peer.as_ref().map(|(_, figure)| factor * figure);
                let by_limit = limit.map(|limit| OF_LIMIT * limit);
                by_peer.into_iter().chain(by_limit).min_by(f64::total_cmp)
            }
            Goal::AtMost(figure) => Some(figure),
            Goal::NoMoreThan(peer) => self.median(row, peer),
            Goal::Shown => None,
        };
        let is_reached = goal.map(|goal| match row.figure.is_more_better() {
            true => ours >= goal * (1.0 - EQUAL),
            false => ours <= goal * (1.0 + EQUAL),
        });
        Some(Verdict { ours, best_peer, limit, goal, is_reached })
    }
}

impl Verdict {
    /// How many times as good as the best peer.
    pub(crate) fn to_best_peer(&self, row: &Row) -> Option<f64> {
        self.best_peer.as_ref().map(|(_, figure)| ratio(row, self.ours, *figure))
    }

    /// How much of the practical limit.
    pub(crate) fn to_limit(&self, row: &Row) -> Option<f64> {
        self.limit.map(|limit| ratio(row, self.ours, limit))
    }
}

/// Above 1 where the first is better.
pub(crate) fn ratio(row: &Row, one: f64, other: f64) -> f64 {
    if row.figure.is_more_better() { one / other } else { other / one }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::ROWS;

    fn row(id: &str) -> &'static Row {
        ROWS.iter().find(|row| row.id == id).unwrap()
    }

    fn sheet(row: &Row, figures: &[(Peer, f64)]) -> Sheet {
        let mut sheet = Sheet::default();
        for &(peer, figure) in figures {
            sheet.add(row, peer, Ok(Cell { figure, server_microseconds: Some(figure), ..Cell::default() }));
        }
        sheet
    }

    #[track_caller]
    fn check(id: &str, figures: &[(Peer, f64)], goal: Option<f64>, is_reached: Option<bool>) {
        let row = row(id);
        let source = match row.measured {
            Measured::Of(id) => self::row(id),
            _ => row,
        };
        let verdict = sheet(source, figures).verdict(row).unwrap();
        assert_eq!((verdict.goal, verdict.is_reached), (goal, is_reached), "{verdict:?}");
    }

    #[test]
    fn a_goal_is_the_smaller_of_best_peer_and_limit() {
        use Peer::{Limit, Longshore, Proftpd, Vsftpd};
        check("retr", &[(Longshore, 99.0), (Vsftpd, 80.0), (Proftpd, 100.0)], Some(100.0), Some(true));
        check("retr", &[(Longshore, 96.0), (Vsftpd, 80.0), (Proftpd, 100.0)], Some(100.0), Some(false));
        check("retr", &[(Longshore, 97.0), (Vsftpd, 200.0), (Limit, 100.0)], Some(95.0), Some(true));
        check("list", &[(Longshore, 97.0), (Vsftpd, 50.0)], Some(100.0), Some(true));
        check("retr", &[(Longshore, 97.0)], None, None);
    }

    #[test]
    fn less_is_better_where_it_is_a_cost() {
        use Peer::{Longshore, PureFtpd, Vsftpd};
        check("memory", &[(Longshore, 3.6), (Vsftpd, 400.0)], Some(3.5), Some(true));
        check("memory", &[(Longshore, 3.7), (Vsftpd, 400.0)], Some(3.5), Some(false));
        let figures = [(Longshore, 50.0), (PureFtpd, 53.0), (Vsftpd, 20.0)];
        check("retr-small-16-cpu", &figures, Some(53.0), Some(true));
        let verdict = sheet(row("retr-small-16"), &figures).verdict(row("retr-small-16-cpu")).unwrap();
        assert_eq!(verdict.best_peer, Some(("vsftpd".to_owned(), 20.0)));
        assert_eq!(verdict.to_best_peer(row("retr-small-16-cpu")), Some(0.4));
    }

    #[test]
    fn a_failure_is_kept_with_what_came_before_it() {
        let row = row("retr");
        let mut sheet = sheet(row, &[(Peer::Longshore, 1.0)]);
        sheet.add(row, Peer::Longshore, Err("why".to_owned()));
        let series = sheet.series(row, Peer::Longshore).unwrap();
        assert_eq!((series.cells.len(), series.failure.as_deref()), (1, Some("why")));
        assert_eq!(sheet.verdict(self::row("list")), None);
    }

    #[test]
    fn a_rival_is_a_peer() {
        let row = row("distance");
        let mut sheet = sheet(row, &[(Peer::Longshore, 1.5)]);
        sheet.add_rival(row, "lftp".to_owned(), 30.0);
        let verdict = sheet.verdict(row).unwrap();
        assert_eq!(verdict.to_best_peer(row), Some(20.0));
        assert_eq!(verdict.is_reached, Some(true));
    }
}
