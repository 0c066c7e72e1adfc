//! The program: the command line, what is printed, and how the libraries are put together.
//!
//! Not inside: protocol, files, sockets. `stdout` is the log of a server, with the announcement before it where people
//! read both; `stderr` is for what went wrong with the command itself, and for people where programs read the log.

mod announce;
mod check;
mod cli;
mod config;
mod life;
mod limits;
mod log;
mod manager;
mod password;
mod ports;
mod privileges;
mod serve;
mod source;
mod state;
mod stores;
mod tls;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let result = match cli.command {
        cli::Command::Serve(arguments) => serve::serve(arguments),
        cli::Command::Check(arguments) => check::check(&arguments.file),
        cli::Command::Config => {
            log::print(&config::template());
            Ok(())
        }
        cli::Command::HashPassword => password::hash(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::complain(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Why a command could not be carried out, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What is wrong, naming the thing.
    pub(crate) what: String,
    /// What would help.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Failure {
        Failure { what: what.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }
}
