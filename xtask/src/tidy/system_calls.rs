//! The tables of docs/benchmarks.md that say how many system calls everything may cost: `bench/system-calls.txt`, for readers.
//!
//! Not inside: whether the bounds hold; `cargo xtask system-calls` counts.

use std::path::Path;

use super::marked::{Cell, Row, Table};
use super::tables::{code, hold};
use super::{Mode, SourceFile};
use crate::Result;

const BOUNDS: &str = "bench/system-calls.txt";
const DOCUMENT: &str = "docs/benchmarks.md";
/// The scenarios, and the name of the table of each.
const TABLES: &[(&str, &str)] = &[
    ("retr", "system-calls-retr"),
    ("stor", "system-calls-stor"),
    ("login", "system-calls-login"),
    ("list", "system-calls-list"),
    ("pipelined", "system-calls-pipelined"),
    ("*", "system-calls-every"),
];

/// Compares the tables with the file, or writes them anew.
pub(super) fn check(root: &Path, files: &[SourceFile], mode: Mode) -> Result<Vec<String>> {
    let find = |name: &str| files.iter().find(|file| file.name == name);
    let (Some(bounds), Some(document)) = (find(BOUNDS), find(DOCUMENT)) else {
        return Ok(vec![format!("{BOUNDS} or {DOCUMENT} is missing")]);
    };
    let (tables, mut complaints) = tables(&bounds.text);
    complaints.extend(hold(root, document, &tables, mode)?);
    Ok(complaints)
}

fn tables(text: &str) -> (Vec<Table>, Vec<String>) {
    let mut complaints = Vec::new();
    let mut tables: Vec<Table> = TABLES
        .iter()
        .map(|&(_, name)| Table { name, columns: &["call", "at most", "why"], notes: None, rows: Vec::new() })
        .collect();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let cells: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
        let place = TABLES.iter().position(|(scenario, _)| cells.first() == Some(scenario));
        let (Some(place), [_, call, most, why]) = (place, &cells[..]) else {
            complaints.push(format!("{BOUNDS}:{}: no scenario with a table, or too few cells", index + 1));
            continue;
        };
        let cells = vec![
            Cell::Exactly(code(call)),
            Cell::Exactly((*most).to_owned()),
            Cell::Exactly((*why).to_owned()),
        ];
        tables[place].rows.push(Row { cells, note: String::new() });
    }
    (tables, complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_row_of_its_scenario() {
        let (tables, complaints) = tables(
            "# x\n\nretr | openat2 | 1 | the file\n* | brk | 0.1 | a | b\nwhat | x | 1 | y\nretr | z\n",
        );
        let count = |name: &str| tables.iter().find(|table| table.name == name).map(|table| table.rows.len());
        assert_eq!(count("system-calls-retr"), Some(1));
        assert_eq!(count("system-calls-every"), Some(1));
        assert_eq!(count("system-calls-list"), Some(0));
        let wrong = |line| format!("{BOUNDS}:{line}: no scenario with a table, or too few cells");
        assert_eq!(complaints, [wrong(5), wrong(6)]);
    }
}
