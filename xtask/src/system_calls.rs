//! `cargo xtask system-calls`: how many system calls one download, upload, login and listing costs, counted by strace.
//!
//! The program is the one that the tests are of: which calls it makes is not the compiler's to say.
//!
//! Not inside: counting and comparing; that is the package in `bench/`, and `bench/system-calls.txt` has the bounds.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process::{cargo, run as run_command, target};

/// Builds what is counted and what counts, and runs it with these arguments.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let packages = ["--package", "longshore", "--package", "longshore-bench"];
    run_command(cargo(root).args(["build", "--locked"]).args(packages))?;
    let program = target(root).join("debug").join("longshore-bench");
    run_command(Command::new(program).arg("system-calls").args(arguments).current_dir(root))
}
