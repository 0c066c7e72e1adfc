//! Benchmarks: `cargo xtask bench` builds what they measure in release mode and runs them.
//!
//! Without a name: longshore beside vsftpd, ProFTPD, Pure-FTPd, pyftpdlib, unFTP and the practical limit, by one generator.
//! `[--rows retr,stor,…] [--servers longshore,vsftpd,…] [--rounds 3] [--milliseconds 1000] [--quick] [--write]`: a whole
//! comparison writes docs/benchmarks.md and its chart; a part of it, or `--quick`, does so only with `--write`.
//!
//! `small-files [--files 2000] [--bytes 4096] [--rounds 3] [--rtt-ms 50] [--mbit 1000] [--no-lftp]`: many small files over
//! distance and on the loopback, by our client through one control and one data connection, and by lftp with ten.
//!
//! `system-calls [--record]`: how many system calls one download, upload, login or listing costs, held against
//! `bench/system-calls.txt`; `cargo xtask system-calls` builds what it needs. The one of these that fails, for it counts.
//!
//! `limit …` is the do-nothing server, as the comparison starts it.
//!
//! Not inside: tests. Nothing here fails because something was slow.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks through its streams"
)]

mod bulk;
mod chart;
mod compare;
mod generator;
mod ground;
mod limit;
mod peers;
mod report;
mod rows;
mod secure;
mod sheet;
mod small_files;
mod system_calls;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let outcome = match arguments.next_if(|first| !first.starts_with("--")).as_deref() {
        None => compare::Options::read(arguments).and_then(|options| compare::run(&options)),
        Some("small-files") => small_files::Request::read(arguments).and_then(small_files::run),
        Some("system-calls") => system_calls::run(&arguments.collect::<Vec<_>>()),
        Some("limit") => limit::run(&arguments.collect::<Vec<_>>()),
        Some(other) => Err(format!(
            "{other:?} is no benchmark; there are small-files, system-calls, and the comparison without a name"
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}
