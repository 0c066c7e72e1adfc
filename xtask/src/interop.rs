//! `cargo xtask interop`: the foreign clients against the server, and the tables of what they could do.
//!
//! Not inside: the clients, what is asked of them and how the tables are made; that is the package in `interop/`,
//! whose tests write one line per client, operation and way of connecting.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::process::{cargo, run as run_command};
use crate::suite::REQUIRE_PEERS;

/// Where the tests leave their results.
const RESULTS: &str = "target/interop/results.tsv";
/// What the results are held against.
const DOCUMENT: &str = "docs/interop.md";
/// More than there are processors: most of a test is waiting for other programs, or for answers that come late.
const THREADS: &str = "--test-threads=4";

/// Whether the document is written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Only compare.
    Check,
    /// Write what was seen into it.
    Fix,
}

/// Builds what the tests start, runs them, prints the tables even when one failed.
pub(crate) fn run(root: &Path, mode: Mode) -> Result<()> {
    run_command(cargo(root).args(["build", "--locked", "--package", "longshore"]))?;
    let results = root.join(RESULTS);
    if results.exists() {
        fs::remove_file(&results)?;
    }
    let mut tests = cargo(root);
    tests
        .args(["test", "--locked", "--package", "longshore-interop", "--no-fail-fast", "--", THREADS])
        .env(REQUIRE_PEERS, "1");
    let outcome = run_command(&mut tests);
    println!();
    let mut table = cargo(root);
    table.args([
        "run",
        "--locked",
        "--quiet",
        "--package",
        "longshore-interop",
        "--bin",
        "interop-table",
        "--",
    ]);
    table.args([RESULTS, DOCUMENT]);
    if mode == Mode::Fix && outcome.is_ok() {
        table.arg("--fix");
    }
    let compared = run_command(&mut table);
    outcome.and(compared)
}
