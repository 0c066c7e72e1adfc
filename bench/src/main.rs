//! Benchmarks: `cargo xtask bench` builds what they measure in release mode and runs them.
//!
//! `small-files [--files 2000] [--bytes 4096] [--rounds 3] [--rtt-ms 50] [--mbit 1000] [--no-lftp]`: many small files over
//! distance and on the loopback, by our client through one control and one data connection, and by lftp with ten.
//!
//! Not inside: tests. Nothing here fails because something was slow.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks through its streams"
)]

mod small_files;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let outcome = match arguments.next().as_deref() {
        Some("small-files") => small_files::Request::read(arguments).and_then(small_files::run),
        Some(other) => Err(format!("{other:?} is no benchmark; there is small-files")),
        None => Err("which benchmark? there is small-files".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}
