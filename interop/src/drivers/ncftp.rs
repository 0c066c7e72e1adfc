//! ncftp: its programs for transfers and lists, a process for each, and its shell for the rest.

use std::path::Path;
use std::process::Command;

use super::{Job, no_such_step};
use crate::case::Case;
use crate::clients::Who;
use crate::steps::Step;

pub(super) fn jobs(case: &Case<'_>, who: Who, steps: &[Step<'_>]) -> Vec<Job> {
    let same = |pick: fn(Step<'_>) -> Option<(&str, &str)>| -> Option<Vec<String>> {
        let names = steps.iter().map(|&step| pick(step).filter(|(from, to)| from == to));
        names.map(|names| names.map(|(name, _)| name.to_owned())).collect()
    };
    // Several files whose names do not change go into one run.
    let puts = same(|step| if let Step::Put(from, to) = step { Some((from, to)) } else { None });
    let gets = same(|step| if let Step::Get(from, to) = step { Some((from, to)) } else { None });
    if let Some(names) = puts {
        let mut command = program(case, who, "ncftpput");
        command.arg(host(case)).arg(case.remote("")).args(names);
        return vec![Job::new(command)];
    }
    if let Some(names) = gets {
        let mut command = program(case, who, "ncftpget");
        command.arg(host(case)).arg(".").args(names.iter().map(|name| case.remote(name)));
        return vec![Job::new(command)];
    }
    steps.iter().map(|&step| job(case, who, step)).collect()
}

fn job(case: &Case<'_>, who: Who, step: Step<'_>) -> Job {
    // -C copies one file to a name that is given whole.
    let put = |options: &[&str], from: &str, to: &str| {
        let mut command = program(case, who, "ncftpput");
        command.args(options).args(["-C", &host(case), from, &case.remote(to)]);
        Job::new(command)
    };
    let get = |options: &[&str], from: &str, to: &str| {
        let mut command = program(case, who, "ncftpget");
        command.args(options).args(["-C", &host(case), &case.remote(from), to]);
        Job::new(command)
    };
    match step {
        // It sets the time of what it sent by MFMT.
        Step::Put(from, to) | Step::PutDated(from, to) => put(&[], from, to),
        Step::PutText(from, to) => put(&["-a"], from, to),
        Step::Append(from, to) => put(&["-A"], from, to),
        Step::Get(from, to) | Step::GetDated(from, to) => get(&[], from, to),
        Step::GetText(from, to) => get(&["-a"], from, to),
        Step::ResumeGet(from, to) => get(&["-z"], from, to),
        Step::List(folder) => {
            let mut command = program(case, who, "ncftpls");
            command.args(["-1", "-a"]).arg(case.url(format!("{folder}/")));
            Job::new(command)
        }
        Step::MirrorUp(from, to) => {
            // A tree goes into a folder that is there, under its own name.
            assert_eq!(Path::new(from).file_name(), Path::new(to).file_name());
            let mut command = program(case, who, "ncftpput");
            command.args(["-R", &host(case), &case.remote(""), from]);
            Job::new(command)
        }
        Step::MirrorDown(from, to) => {
            assert_eq!(Path::new(from).file_name(), Path::new(to).file_name());
            let mut command = program(case, who, "ncftpget");
            command.args(["-R", "-T", &host(case), ".", &case.remote(from)]);
            Job::new(command)
        }
        Step::MakeFolder(folder) => shell(case, who, "mkdir", &[folder]),
        Step::RemoveFolder(folder) => shell(case, who, "rmdir", &[folder]),
        Step::Rename(from, to) => shell(case, who, "rename", &[from, to]),
        Step::Delete(name) => shell(case, who, "rm", &[name]),
        Step::ResumePut(..) | Step::StopGet(_) => no_such_step(case, step),
    }
}

fn host(case: &Case<'_>) -> String {
    case.server.address(case.way.family).ip().to_string()
}

/// One of ncftp's programs, which tries once and keeps its notes in the client's folder.
fn program(case: &Case<'_>, who: Who, name: &str) -> Command {
    let mut command = Command::new(name);
    command.args(["-u", who.user(), "-p", who.password(), "-r", "1", "-t", "20"]);
    command.arg("-P").arg(case.server.address(case.way.family).port().to_string());
    command.arg(if case.way.mode.is_passive() { "-F" } else { "-E" });
    if name != "ncftpls" {
        command.arg("-V");
    }
    surroundings(case, &mut command);
    command
}

fn surroundings(case: &Case<'_>, command: &mut Command) {
    command.env("HOME", case.server.clients()).env("TERM", "dumb").env("LC_ALL", "C.UTF-8");
    command.current_dir(case.outside(""));
}

/// A command of the shell, which ends with success whatever came of it, but repeats what the server said against it.
fn shell(case: &Case<'_>, who: Who, what: &str, names: &[&str]) -> Job {
    let mut command = Command::new("ncftp");
    command.args(["-u", who.user(), "-p", who.password()]);
    command.arg("-P").arg(case.server.address(case.way.family).port().to_string()).arg(host(case));
    surroundings(case, &mut command);
    let names: String = names.iter().map(|name| format!(" {}", quoted(&case.remote(name)))).collect();
    let passive = if case.way.mode.is_passive() { "on" } else { "off" };
    let input = format!("set passive {passive}\n{what}{names}\nquit\n").into_bytes();
    let complains = |finished: &crate::run::Finished| {
        ["server said:", "failed", "no such", "Login incorrect"].iter().any(|text| finished.says(text))
    };
    Job { command, input: Some(input), complains }
}

/// Within single quotes every sign means itself; a name with such a quote stands in double ones.
fn quoted(name: &str) -> String {
    if name.contains('\'') { format!("\"{name}\"") } else { format!("'{name}'") }
}
