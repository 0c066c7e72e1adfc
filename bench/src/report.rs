//! What a comparison says: tables for the terminal and for docs/benchmarks.md, and the chart beside it.
//!
//! Not inside: measuring.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::chart;
use crate::ground::explained;
use crate::peers::Peer;
use crate::rows::{EQUAL, Figure, ROWS, Row};
use crate::sheet::{Series, Sheet, Verdict};
use crate::table::{range, shown};

/// What opens and ends the part of docs/benchmarks.md that is written by each comparison.
const OPEN: &str = "<!-- figures -->";
const END: &str = "<!-- /figures -->";

/// A comparison that is done.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) versions: Vec<(Peer, Result<String, String>)>,
    pub(crate) rows: Vec<&'static Row>,
    pub(crate) sheet: Sheet,
    pub(crate) rounds: usize,
    pub(crate) duration: Duration,
    pub(crate) took: Duration,
}

/// The tables, in Markdown.
pub(crate) fn text(run: &Run) -> String {
    let mut text = String::new();
    facts(&mut text, run);
    main_table(&mut text, run);
    costs(&mut text, run);
    missing(&mut text, run);
    details(&mut text, run);
    text
}

/// Writes the tables into `benchmarks.md` of a folder, and the chart beside it.
pub(crate) fn write(folder: &Path, run: &Run) -> Result<(), String> {
    let path = folder.join("benchmarks.md");
    let present = explained(&path, fs::read_to_string(&path))?;
    let written = replaced(&present, &text(run)).ok_or_else(|| {
        format!("{} lacks the lines {OPEN} and {END}, between which the figures go", path.display())
    })?;
    explained(&path, fs::write(&path, written))?;
    let path = folder.join("benchmarks.svg");
    explained(&path, fs::write(&path, chart::draw(&bars(run))))
}

/// The document with new figures; `None` where there is no place for them.
fn replaced(present: &str, figures: &str) -> Option<String> {
    let (before, rest) = present.split_once(OPEN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{OPEN}\n\n{}\n\n{END}{after}", figures.trim()))
}

/// What the chart shows: each server of each row beside the best peer of that row.
fn bars(run: &Run) -> Vec<chart::Group> {
    let group = |row: &&'static Row| {
        let verdict = run.sheet.verdict(row)?;
        let (_, best) = verdict.best_peer.as_ref()?;
        let bar = |peer: Peer| {
            let figure = run.sheet.median(row, peer)?;
            let ratio = crate::sheet::ratio(row, figure, *best);
            Some(chart::Bar { peer, ratio, label: format!("{} {}", shown(figure), row.figure.unit()) })
        };
        Some(chart::Group {
            name: row.name.to_owned(),
            bars: Peer::ALL.into_iter().filter_map(bar).collect(),
        })
    };
    run.rows.iter().filter_map(group).collect()
}

fn facts(text: &mut String, run: &Run) {
    let now = said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]));
    let kernel = said(Command::new("uname").arg("-sr"));
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(2).unwrap_or("unknown").to_owned();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let rounds = format!("{} rounds of {:.1} s", run.rounds, run.duration.as_secs_f64());
    let took = run.took.as_secs() / 60;
    let _ = writeln!(
        text,
        "{now}, {processors} processors ({model}), {kernel}, loopback, files in the page cache; {rounds}, {took} minutes in \
         all, load of the last 15 minutes at the end {load}.\n"
    );
    text.push_str("| server | version |\n|---|---|\n");
    for (peer, version) in &run.versions {
        let version = version.as_deref().unwrap_or_else(|why| why);
        let _ = writeln!(text, "| {} | {version} |", peer.name());
    }
    text.push('\n');
}

fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

fn main_table(text: &mut String, run: &Run) {
    let peers: Vec<Peer> = Peer::ALL.into_iter().filter(|peer| has_peer(run, *peer)).collect();
    text.push_str("| work |");
    for peer in &peers {
        let _ = write!(text, " {} |", peer.name());
    }
    text.push_str(" to best peer | to limit | goal | reached |\n|---|");
    text.push_str(&"---|".repeat(peers.len() + 4));
    text.push('\n');
    for row in &run.rows {
        let _ = write!(text, "| {}, {} |", row.name, row.figure.unit());
        for &peer in &peers {
            let _ = write!(text, " {} |", cell(run, row, peer));
        }
        let _ = writeln!(text, " {} |", verdict(row, run.sheet.verdict(row).as_ref()));
    }
    let counted: Vec<_> =
        run.rows.iter().filter(|row| ROWS.iter().any(|counted| counted.id == row.id)).collect();
    let verdicts: Vec<Verdict> = counted.iter().filter_map(|row| run.sheet.verdict(row)).collect();
    let reached = verdicts.iter().filter(|verdict| verdict.is_reached == Some(true)).count();
    let behind = counted.iter().filter(|row| {
        let to_best = run.sheet.verdict(row).and_then(|verdict| verdict.to_best_peer(row));
        to_best.is_some_and(|ratio| ratio < 0.9)
    });
    let _ = writeln!(
        text,
        "\nGoals reached: {reached} of {}. Below 0.9 of the best peer: {}.\n",
        counted.len(),
        behind.count()
    );
}

/// What large files cost the servers: the lowest is a goal, too.
fn costs(text: &mut String, run: &Run) {
    let rows: Vec<_> = run.rows.iter().filter(|row| row.figure == Figure::MegabytesPerSecond).collect();
    let peers: Vec<Peer> = Peer::ALL.into_iter().filter(|peer| has_peer(run, *peer)).collect();
    if rows.is_empty() {
        return;
    }
    text.push_str("| server CPU, ms/GiB |");
    for peer in &peers {
        let _ = write!(text, " {} |", peer.name());
    }
    text.push_str(" lowest of servers |\n|---|");
    text.push_str(&"---|".repeat(peers.len() + 1));
    text.push('\n');
    for row in rows {
        let cost = |peer: Peer| {
            let micros = run.sheet.series(row, peer)?.median_of(|cell| cell.server_microseconds)?;
            Some(micros / 1000.0)
        };
        let _ = write!(text, "| {} |", row.name);
        for &peer in &peers {
            let _ = write!(text, " {} |", cost(peer).map_or_else(String::new, shown));
        }
        let foreign = peers.iter().filter(|peer| peer.is_foreign());
        let least = foreign.filter_map(|&peer| cost(peer)).min_by(f64::total_cmp);
        let is_lowest = cost(Peer::Longshore).zip(least).map(|(ours, least)| ours <= least * (1.0 + EQUAL));
        let _ = writeln!(text, " {} |", yes_or_no(is_lowest));
    }
    text.push('\n');
}

fn yes_or_no(is_so: Option<bool>) -> &'static str {
    match is_so {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    }
}

fn has_peer(run: &Run, peer: Peer) -> bool {
    run.versions.iter().any(|(other, _)| *other == peer)
}

/// Median; *none* where the server has no such thing, *n/m* where it was not measured: the reason is below.
fn cell(run: &Run, row: &Row, peer: Peer) -> String {
    if row.excludes(peer).is_some() {
        return "–".to_owned();
    }
    run.sheet.median(row, peer).map_or_else(|| "not measured".to_owned(), shown)
}

/// The last four columns.
fn verdict(row: &Row, verdict: Option<&Verdict>) -> String {
    let Some(verdict) = verdict else { return "| | |".to_owned() };
    let ratio = |ratio: Option<f64>| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    let best = match &verdict.best_peer {
        Some((name, _)) => format!("{} ({name})", ratio(verdict.to_best_peer(row))),
        None => String::new(),
    };
    let sign = if row.figure.is_more_better() { "≥" } else { "≤" };
    let goal = verdict.goal.map_or_else(String::new, |goal| format!("{sign} {}", shown(goal)));
    let reached = yes_or_no(verdict.is_reached);
    format!("{best} | {} | {goal} | {reached}", ratio(verdict.to_limit(row)))
}

/// What is not in the table, and why; what several rows lack for one reason stands once.
fn missing(text: &mut String, run: &Run) {
    let mut reasons: Vec<(Peer, String, Vec<&str>)> = Vec::new();
    for row in &run.rows {
        for (peer, version) in &run.versions {
            let why = match (row.excludes(*peer), version, run.sheet.series(row, *peer)) {
                // A row that has no rival has nobody who could be missing.
                (Some(_), ..) if row.is_ours_alone() => continue,
                (Some(why), ..) => format!("none, for {why}"),
                (None, Err(why), _) => format!("not measured: {why}"),
                (None, Ok(_), Some(Series { failure: Some(why), cells, .. })) if cells.is_empty() => {
                    format!("not measured: {why}")
                }
                (None, Ok(_), Some(Series { failure: Some(why), failed_rounds, .. })) => {
                    format!("{failed_rounds} of {} rounds failed: {why}", run.rounds)
                }
                (None, Ok(_), Some(_)) => continue,
                (None, Ok(_), None) => "not measured".to_owned(),
            };
            match reasons.iter_mut().find(|(other, reason, _)| other == peer && *reason == why) {
                Some((_, _, rows)) => rows.push(row.id),
                None => reasons.push((*peer, why, vec![row.id])),
            }
        }
    }
    for (peer, why, rows) in &reasons {
        let _ = writeln!(text, "- {} ({}): {why}.", peer.name(), rows.join(", "));
    }
    if !reasons.is_empty() {
        text.push('\n');
    }
}

/// Every server of every row: spread, costs, times.
fn details(text: &mut String, run: &Run) {
    text.push_str(
        "| work | server | median | range | server CPU | generator CPU | half within | 99 % within | notes |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for row in run.rows.iter().filter(|row| !matches!(row.measured, crate::rows::Measured::Of(_))) {
        for peer in Peer::ALL {
            let Some(series) = run.sheet.series(row, peer) else { continue };
            let Some((least, most)) = range(&series.figures()) else { continue };
            let median = series.median_of(|cell| Some(cell.figure)).map_or_else(String::new, shown);
            let per = if row.figure == Figure::MegabytesPerSecond { "ms/GiB" } else { "µs" };
            let scale = if per == "µs" { 1.0 } else { 1000.0 };
            let cost = |part: Option<f64>| {
                part.map_or_else(String::new, |part| format!("{} {per}", shown(part / scale)))
            };
            let time =
                |part: Option<f64>| part.map_or_else(String::new, |part| format!("{} µs", shown(part)));
            let mut notes = series.cells.iter().find_map(|cell| cell.agreed.clone()).unwrap_or_default();
            let failed: u64 = series.cells.iter().map(|cell| cell.failed).sum();
            if failed > 0 {
                let _ = write!(notes, " {failed} failed and tried again");
            }
            let _ = writeln!(
                text,
                "| {} | {} | {median} {} | {} to {} | {} | {} | {} | {} | {} |",
                row.id,
                peer.name(),
                row.figure.unit(),
                shown(least),
                shown(most),
                cost(series.median_of(|cell| cell.server_microseconds)),
                cost(series.median_of(|cell| cell.generator_microseconds)),
                time(series.median_of(|cell| cell.half_microseconds)),
                time(series.median_of(|cell| cell.most_microseconds)),
                notes.trim(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::all;
    use crate::sheet::Cell;

    fn run() -> Run {
        let rows: Vec<&'static Row> =
            ["retr", "mlsd", "memory"].map(|id| all().find(|row| row.id == id).unwrap()).to_vec();
        let mut sheet = Sheet::default();
        for (peer, figures) in
            [(Peer::Longshore, [1500.0, 1600.0, 1400.0]), (Peer::Vsftpd, [1000.0, 1200.0, 1100.0])]
        {
            for figure in figures {
                let cell = Cell { figure, server_microseconds: Some(250_000.0), ..Cell::default() };
                sheet.add(rows[0], peer, Ok(cell));
            }
        }
        sheet.add(rows[2], Peer::Longshore, Ok(Cell { figure: 7.0, ..Cell::default() }));
        sheet.add(rows[2], Peer::Vsftpd, Err("it fell over".to_owned()));
        Run {
            versions: vec![
                (Peer::Longshore, Ok("1".to_owned())),
                (Peer::Vsftpd, Ok("3".to_owned())),
                (Peer::Unftp, Err("nobody has it".to_owned())),
            ],
            rows,
            sheet,
            rounds: 3,
            duration: Duration::from_secs(1),
            took: Duration::from_secs(60),
        }
    }

    #[test]
    fn rows_show_medians_ratios_goals_and_what_is_missing() {
        let text = text(&run());
        for line in [
            "| RETR 1 GiB, 1 connection, MB/s | 1500 | 1100 | not measured | 1.36 (vsftpd) |  | ≥ 1100 | yes |",
            "| memory per idle session, 1,000 held, KiB | 7.00 | not measured | not measured |  |  | ≤ 3.50 | **no** |",
            "| RETR 1 GiB, 1 connection | 250 | 250 |  | yes |",
            "Goals reached: 1 of 3. Below 0.9 of the best peer: 0.",
            "- unFTP (retr, mlsd, memory): not measured: nobody has it.",
            "- vsftpd (mlsd): none, for it has no MLSD.",
            "- vsftpd (memory): not measured: it fell over.",
            "| retr | vsftpd | 1100 MB/s | 1000 to 1200 | 250 ms/GiB |  |  |  |  |",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
        }
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let present = format!("# Head\n\n{OPEN}\nold\n{END}\n\ntail\n");
        let written = replaced(&present, "new\n").unwrap();
        assert_eq!(written, format!("# Head\n\n{OPEN}\n\nnew\n\n{END}\n\ntail\n"));
        assert_eq!(replaced(&written, "new"), Some(written.clone()));
        assert_eq!(replaced("no marks", "new"), None);
        assert_eq!(replaced(OPEN, "new"), None);
    }

    #[test]
    fn the_chart_has_a_bar_for_each_figure_beside_a_peer() {
        let groups = bars(&run());
        assert_eq!(groups.len(), 1);
        let ratios: Vec<(Peer, f64)> = groups[0].bars.iter().map(|bar| (bar.peer, bar.ratio)).collect();
        assert_eq!(ratios, [(Peer::Longshore, 1500.0 / 1100.0), (Peer::Vsftpd, 1.0)]);
        assert_eq!(groups[0].bars[0].label, "1500 MB/s");
    }
}
