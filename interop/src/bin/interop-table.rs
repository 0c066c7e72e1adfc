//! Shows what the tests saw as tables, and holds the document against it: `interop-table RESULTS DOCUMENT [--fix]`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks through its streams"
)]

use std::fs;
use std::process::ExitCode;

use longshore_interop::table::{Seen, marked, rewritten};
use longshore_interop::{Client, Family};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        [results, document] => run(results, document, false),
        [results, document, "--fix"] => run(results, document, true),
        _ => Err("usage: interop-table RESULTS DOCUMENT [--fix]".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("interop: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(results: &str, document: &str, is_fixed: bool) -> Result<(), String> {
    let text = fs::read_to_string(results).map_err(|error| format!("{results}: {error}"))?;
    let families = Family::here();
    if families != Family::ALL {
        println!("no IPv6 here: what the tables say of it was not seen by this run\n");
    }
    let report = Seen::read(&text, families)?.report();
    for part in &report.parts {
        println!("{}", part.text);
    }
    println!("the clients of this machine:");
    for client in Client::ALL.iter().chain(&[Client::Openssl, Client::Rustls]) {
        println!("  {client:<16} {}", client.version().unwrap_or_else(|| "says no version".to_owned()));
    }
    if !report.complaints.is_empty() {
        return Err(format!("the table has holes:\n  {}", report.complaints.join("\n  ")));
    }
    let old = fs::read_to_string(document).map_err(|error| format!("{document}: {error}"))?;
    let mut new = old.clone();
    for part in &report.parts {
        if marked(&old, part.mark)? != part.text {
            new = rewritten(&new, part)?;
        }
    }
    if new == old {
        return Ok(());
    }
    if !is_fixed {
        return Err(format!(
            "{document} says something else than was seen; `cargo xtask interop --fix` writes it anew"
        ));
    }
    fs::write(document, new).map_err(|error| format!("{document}: {error}"))
}
