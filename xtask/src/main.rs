//! The project's own automation: `cargo xtask <command>`.
//!
//! `test` is the whole check in one command; every other command is one of its steps, to be run alone.
//! Not inside: anything that a user of longshore needs, and the tests themselves, which live in their crates.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks through its streams"
)]

mod bench;
mod borders;
mod fuzz;
mod interop;
mod licences;
mod mutations;
mod peers;
mod process;
mod suite;
mod system_calls;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Errors end in a message for a person; no caller tells them apart.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [--no-install]   everything: peers, format, lints, docs, borders, licences, tidy, tests, system
                        calls, mutations, foreign clients
  peers [--no-install]  the foreign programs that the tests need; installs what is missing where it may
  borders               no crate depends on what its border forbids
  licences              every dependency has a licence that deny.toml allows
  tidy [--fix]          ARCHITECTURE.md names what exists, sources are in order; --fix writes the tables anew
  mutations [name…]     slips made on purpose in the protocol crate, each of which a test must notice
  interop [--fix]       foreign clients against the server: prints the tables of results, which docs/interop.md
                        must have; --fix writes them into it
  system-calls [--record]
                        how many system calls a transfer, login and listing cost, by strace, held against
                        bench/system-calls.txt; --record writes new bounds into it
  bench [options]       longshore beside vsftpd, ProFTPD, Pure-FTPd, pyftpdlib, unFTP and the practical limit; writes
                        docs/benchmarks.md; options are in bench/src/main.rs
  bench small-files [options]
                        many small files over distance and on the loopback, beside lftp; options are in the same place
  fuzz [target] [--seconds n]
                        the fuzz targets on nightly, each for 60 seconds or n; installs cargo-fuzz if it is missing";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = workspace_root();
    let outcome = match arguments[..] {
        ["test"] => suite::run(&root, peers::Install::WhereAllowed),
        ["test", "--no-install"] => suite::run(&root, peers::Install::Never),
        ["peers"] => peers::ensure(&root, peers::Install::WhereAllowed),
        ["peers", "--no-install"] => peers::ensure(&root, peers::Install::Never),
        ["borders"] => borders::check(&root),
        ["licences"] => licences::check(&root),
        ["tidy"] => tidy::check(&root, tidy::Mode::Check),
        ["tidy", "--fix"] => tidy::check(&root, tidy::Mode::Fix),
        ["mutations", ref names @ ..] => mutations::run(&root, names),
        ["interop"] => interop::run(&root, interop::Mode::Check),
        ["fuzz", ref words @ ..] => {
            fuzz::Options::parse(words).and_then(|options| fuzz::run(&root, &options))
        }
        ["system-calls", ref arguments @ ..] => system_calls::run(&root, arguments),
        ["interop", "--fix"] => interop::run(&root, interop::Mode::Fix),
        ["bench", ref arguments @ ..] => bench::run(&root, arguments),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("unknown command `{}`\n\n{USAGE}", arguments.join(" ")).into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace: the parent of this package's folder.
fn workspace_root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().expect("this package lies in a folder of the workspace").to_path_buf()
}
