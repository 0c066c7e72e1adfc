//! The comparison: rounds in which every row is measured on every server in turn, then the report.
//!
//! Not inside: how a server is started, what a row is, how the report looks.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::generator::{Authority, Outcome, Target, hold, run as generate};
use crate::ground::{Ground, PASSWORD, USER};
use crate::peers::install::Places;
use crate::peers::{Durability, Peer, Peers, Running, end_orphans};
use crate::report::{self, Run};
use crate::rows::{Figure, Measured, Row, Traffic, all};
use crate::sheet::{Cell, Sheet};
use crate::small_files::{self, Request};
use crate::table::percentile;

/// Threads that open sessions to be held.
const OPENING_THREADS: usize = 4;

/// Rounds that may fail before a server is not asked for the row again.
const PATIENCE: usize = 2;

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    rows: Vec<&'static str>,
    peers: Vec<Peer>,
    rounds: usize,
    duration: Duration,
    /// Whether docs/benchmarks.md is written.
    writes: bool,
}

impl Options {
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            rows: all().map(|row| row.id).collect(),
            peers: Peer::ALL.to_vec(),
            rounds: 3,
            duration: Duration::from_millis(1000),
            writes: true,
        };
        let mut is_forced = false;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => {
                    (options.rounds, options.duration, options.writes) =
                        (1, Duration::from_millis(300), false);
                    continue;
                }
                "--write" => {
                    is_forced = true;
                    continue;
                }
                _ => {}
            }
            let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
            match argument.as_str() {
                "--rows" => {
                    options.rows = listed(&value, |name| all().map(|row| row.id).find(|id| *id == name))
                        .map_err(|name| unknown("row", &name, all().map(|row| row.id.to_owned())))?;
                    options.writes = false;
                }
                "--servers" => {
                    options.peers =
                        listed(&value, |name| Peer::ALL.into_iter().find(|peer| peer.key() == name))
                            .map_err(|name| {
                                unknown("server", &name, Peer::ALL.iter().map(|peer| peer.key()))
                            })?;
                    options.writes = false;
                }
                "--rounds" => options.rounds = number(&argument, &value, 1, 100)? as usize,
                "--milliseconds" => {
                    options.duration = Duration::from_millis(number(&argument, &value, 1, 60_000)?);
                }
                _ => {
                    return Err(format!(
                        "{argument} is not known; the first lines of bench/src/main.rs say what is"
                    ));
                }
            }
        }
        options.writes |= is_forced;
        Ok(options)
    }

    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        all().filter(|row| self.rows.contains(&row.id))
    }
}

fn number(argument: &str, value: &str, least: u64, most: u64) -> Result<u64, String> {
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("{argument} takes a number from {least} to {most}, not {value:?}"))
}

/// The things that a list with commas names, or the first name that is none.
fn listed<T>(value: &str, find: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    value.split(',').map(|name| find(name.trim()).ok_or_else(|| name.trim().to_owned())).collect()
}

fn unknown(what: &str, name: &str, known: impl Iterator<Item = String>) -> String {
    format!("{name:?} is no {what}; there are {}", known.collect::<Vec<_>>().join(", "))
}

/// Measures, prints the tables, and writes docs/benchmarks.md and its chart where that was asked for.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let begin = Instant::now();
    let target = target()?;
    let folder = target.join("bench");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let _alone = lock(&folder)?;
    end_orphans();
    let places = Places { peers: target.join("peers"), longshore: target.join("release").join("longshore") };
    let ground = Ground::lay(&folder)?;
    let peers = Peers::bring(&ground, &places, &options.peers);
    for (peer, version) in peers.versions() {
        eprintln!("{}: {}", peer.name(), version.unwrap_or_else(|why| why));
    }
    let authority = Authority::load(&ground.certificate)?;
    let bench = Bench { options, ground: &ground, peers: &peers, authority: &authority };
    let mut sheet = Sheet::default();
    for round in 0..options.rounds {
        bench.traffic(round, &mut sheet);
    }
    bench.held(&mut sheet);
    bench.our_client(&mut sheet);
    ground.clear_uploads()?;
    let run = Run {
        versions: peers
            .versions()
            .map(|(peer, version)| (peer, version.map(str::to_owned).map_err(str::to_owned)))
            .collect(),
        rows: options.rows().collect(),
        sheet,
        rounds: options.rounds,
        duration: options.duration,
        took: begin.elapsed(),
    };
    println!("{}", report::text(&run));
    if options.writes {
        report::write(Path::new("docs"), &run)?;
    }
    Ok(())
}

/// Where cargo builds: this program lies in `release` of it.
fn target() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| format!("our own program: {error}"))?;
    let target = program.parent().and_then(Path::parent).map(Path::to_path_buf);
    target.ok_or_else(|| format!("{} lies in no folder that cargo builds in", program.display()))
}

/// Two comparisons at once would measure each other.
fn lock(folder: &Path) -> Result<File, String> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(error) => Err(format!("{}: {error}; does another comparison run?", path.display())),
    }
}

struct Bench<'a> {
    options: &'a Options,
    ground: &'a Ground,
    peers: &'a Peers,
    authority: &'a Authority,
}

impl Bench<'_> {
    /// One round of what the generator measures. Each begins with another server, so that none is always the first.
    fn traffic(&self, round: usize, sheet: &mut Sheet) {
        for row in self.options.rows() {
            let Measured::Traffic(traffic) = row.measured else { continue };
            let count = self.options.peers.len();
            for index in 0..count {
                let peer = self.options.peers[(index + round) % count];
                let failed = sheet.series(row, peer).map_or(0, |series| series.failed_rounds);
                if row.excludes(peer).is_some() || failed >= PATIENCE {
                    continue;
                }
                let cell = self.cell(row, &traffic, peer);
                say(row, peer, round, &cell);
                sheet.add(row, peer, cell);
            }
        }
    }

    fn target<'a>(&'a self, server: &Running, secured: bool) -> Target<'a> {
        Target {
            address: server.address,
            user: USER,
            password: PASSWORD,
            authority: secured.then_some(self.authority),
        }
    }

    fn cell(&self, row: &Row, traffic: &Traffic, peer: Peer) -> Result<Cell, String> {
        let server = self.peers.start(peer, traffic.durability)?;
        let uploads = self.ground.upload_folder()?;
        let task = traffic.task(self.options.duration, &self.ground.served, &uploads);
        let outcome = generate(self.target(&server, traffic.secured), &task, &|| server.processor_time())?;
        Ok(cell(row.figure, &outcome))
    }

    /// Memory of sessions that are held; once, for it hardly varies.
    fn held(&self, sheet: &mut Sheet) {
        for row in self.options.rows() {
            let Measured::Held { sessions, secured } = row.measured else { continue };
            for &peer in self.options.peers.iter().filter(|peer| row.excludes(**peer).is_none()) {
                let measure = || {
                    let server = self.peers.start(peer, Durability::None)?;
                    let before = server.memory_bytes()?;
                    let target = self.target(&server, secured);
                    let held = hold(target, sessions, OPENING_THREADS)?;
                    let grown = server.memory_bytes()?.saturating_sub(before);
                    let agreed = held.first().and_then(|control| control.agreed());
                    Ok(Cell { figure: grown as f64 / 1024.0 / sessions as f64, agreed, ..Cell::default() })
                };
                let cell = measure();
                say(row, peer, 0, &cell);
                sheet.add(row, peer, cell);
            }
        }
    }

    /// What only our client can do, with our server.
    fn our_client(&self, sheet: &mut Sheet) {
        if !self.options.peers.contains(&Peer::Longshore) {
            return;
        }
        let wanted = |is_it: fn(&Measured) -> bool| self.options.rows().any(|row| is_it(&row.measured));
        if wanted(|measured| matches!(measured, Measured::Distance { .. })) {
            self.distance(sheet);
        }
        for row in self.options.rows().filter(|row| matches!(row.measured, Measured::Pipelined)) {
            let rows = small_files::loopback(&Request::usual(self.options.rounds, false));
            match rows {
                Ok(rows) => {
                    let down = rows.iter().filter(|row| row.name == "longshore, down");
                    for figure in down.flat_map(|row| row.figures.clone()) {
                        sheet.add(row, Peer::Longshore, Ok(Cell { figure, ..Cell::default() }));
                    }
                }
                Err(why) => sheet.add(row, Peer::Longshore, Err(why)),
            }
        }
    }

    fn distance(&self, sheet: &mut Sheet) {
        // lftp takes a minute for what takes us a second: it is asked once.
        let has_lftp = longshore_interop::is_peer_here("lftp");
        let mut rounds = vec![has_lftp];
        rounds.resize(self.options.rounds, false);
        for with_lftp in rounds {
            let figures = small_files::distance(&Request::usual(1, with_lftp));
            for row in self.options.rows() {
                let Measured::Distance { secured } = row.measured else { continue };
                let rows = match &figures {
                    Ok(rows) => rows,
                    Err(why) => {
                        sheet.add(row, Peer::Longshore, Err(why.clone()));
                        continue;
                    }
                };
                let slower = |begin: &str, end: &str| {
                    let is_it =
                        |row: &&crate::table::Row| row.name.starts_with(begin) && row.name.ends_with(end);
                    rows.iter().filter(is_it).filter_map(crate::table::Row::median).max_by(f64::total_cmp)
                };
                let ours = if secured {
                    slower("longshore", "TLS")
                } else {
                    slower("longshore, down", "down")
                        .into_iter()
                        .chain(slower("longshore, up", "up"))
                        .max_by(f64::total_cmp)
                };
                if let Some(figure) = ours {
                    sheet.add(row, Peer::Longshore, Ok(Cell { figure, ..Cell::default() }));
                }
                if let Some(figure) = slower("lftp", "").filter(|_| !secured) {
                    sheet.add_rival(row, "lftp with 10 connections".to_owned(), figure);
                }
            }
        }
    }
}

/// What is kept of a measurement.
fn cell(figure: Figure, outcome: &Outcome) -> Cell {
    let seconds = outcome.elapsed.as_secs_f64();
    let in_bytes = figure == Figure::MegabytesPerSecond;
    let pieces = if in_bytes { outcome.bytes as f64 / f64::from(1 << 30) } else { outcome.operations as f64 };
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let at = |percent| percentile(&outcome.times, percent).filter(|_| !in_bytes).map(micros);
    Cell {
        figure: if in_bytes { outcome.bytes as f64 / 1e6 } else { outcome.operations as f64 } / seconds,
        server_microseconds: outcome.server.map(|time| micros(time) / pieces),
        generator_microseconds: Some(micros(outcome.generator) / pieces),
        half_microseconds: at(50),
        most_microseconds: at(99),
        failed: outcome.failed,
        agreed: outcome.agreed.clone(),
    }
}

fn say(row: &Row, peer: Peer, round: usize, cell: &Result<Cell, String>) {
    match cell {
        Ok(cell) => {
            let figure = crate::table::shown(cell.figure);
            eprintln!("round {}, {}, {}: {figure} {}", round + 1, row.id, peer.name(), row.figure.unit());
        }
        Err(why) => eprintln!("round {}, {}, {}: not measured: {why}", round + 1, row.id, peer.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Options, String> {
        Options::read(words.iter().map(|&word| word.to_owned()))
    }

    #[test]
    fn only_a_whole_comparison_is_written_unless_it_is_asked_for() {
        assert!(read(&[]).unwrap().writes);
        assert!(read(&["--rounds", "5"]).unwrap().writes);
        for words in [&["--quick"][..], &["--rows", "retr"], &["--servers", "vsftpd,limit"]] {
            assert!(!read(words).unwrap().writes, "{words:?}");
            assert!(read(&[words, &["--write"]].concat()).unwrap().writes, "{words:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_named_with_what_is() {
        #[track_caller]
        fn check(words: &[&str], parts: &[&str]) {
            let error = read(words).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{part:?} is not in {error:?}");
            }
        }
        check(&["--rows", "retr,nothing"], &["\"nothing\" is no row", "retr-small-16"]);
        check(&["--servers", "x"], &["\"x\" is no server", "pure-ftpd"]);
        check(&["--rounds", "0"], &["--rounds", "1 to 100", "\"0\""]);
        check(&["--rounds"], &["--rounds needs a value"]);
        check(&["--what", "x"], &["--what is not known"]);
    }

    #[test]
    fn costs_are_counted_by_the_piece_or_by_the_gibibyte() {
        let outcome = Outcome {
            operations: 4,
            bytes: 2 << 30,
            elapsed: Duration::from_secs(2),
            server: Some(Duration::from_millis(8)),
            generator: Duration::from_millis(4),
            times: [1, 2, 3, 4].map(Duration::from_millis).to_vec(),
            failed: 0,
            agreed: None,
        };
        let bytes = cell(Figure::MegabytesPerSecond, &outcome);
        assert_eq!(bytes.figure.round(), 1074.0);
        assert_eq!((bytes.server_microseconds, bytes.generator_microseconds), (Some(4000.0), Some(2000.0)));
        assert_eq!(bytes.half_microseconds, None);
        let files = cell(Figure::FilesPerSecond, &outcome);
        assert_eq!((files.figure, files.server_microseconds), (2.0, Some(2000.0)));
        assert_eq!((files.half_microseconds, files.most_microseconds), (Some(2000.0), Some(4000.0)));
    }
}
