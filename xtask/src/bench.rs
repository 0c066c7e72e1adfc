//! `cargo xtask bench`: the benchmarks, built in release mode with what they measure.
//!
//! Not inside: the benchmarks themselves; that is the package in `bench/`. They are no step of `cargo xtask test`: no test
//! depends on how fast a machine is.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process::{cargo, run as run_command, target};

/// Builds the server and the benchmarks, and runs the one that the arguments name, or the comparison with peers.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let packages = ["--package", "longshore", "--package", "longshore-bench"];
    run_command(cargo(root).args(["build", "--locked", "--release"]).args(packages))?;
    let program = target(root).join("release").join("longshore-bench");
    run_command(Command::new(program).args(arguments).current_dir(root))
}
