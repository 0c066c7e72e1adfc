//! wget: a process for each step.

use std::fs;
use std::process::Command;

use super::{Job, no_such_step};
use crate::case::Case;
use crate::clients::Who;
use crate::steps::Step;

/// Where wget leaves the list that it read.
const LISTING: &str = ".listing";

pub(super) fn jobs(case: &Case<'_>, who: Who, steps: &[Step<'_>]) -> Vec<Job> {
    // Several files whose names do not change are fetched by one pattern, over one session.
    let names: Option<Vec<&str>> = steps
        .iter()
        .map(|&step| match step {
            Step::Get(from, to) if from == to => Some(from),
            _ => None,
        })
        .collect();
    if let Some(names) = names.filter(|names| names.len() > 1) {
        let first = names[0];
        let common = names.iter().fold(first, |common, name| {
            let same = common.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count();
            &first[..same]
        });
        let mut command = wget(case, who);
        command.arg(format!("{}*", case.url(common)));
        return vec![Job::new(command)];
    }
    steps.iter().map(|&step| Job::new(job(case, who, step))).collect()
}

fn job(case: &Case<'_>, who: Who, step: Step<'_>) -> Command {
    let mut command = wget(case, who);
    match step {
        Step::Get(from, to) => command.args(["-O", to]).arg(case.url(from)),
        Step::GetText(from, to) => command.args(["-O", to]).arg(format!("{};type=a", case.url(from))),
        // Only with -N does wget ask for times, and -N gives the file no other name.
        Step::GetDated(from, to) if from == to => command.arg("-N").arg(case.url(from)),
        Step::ResumeGet(from, to) => command.args(["-c", "-O", to]).arg(case.url(from)),
        Step::List(folder) => {
            command.args(["--no-remove-listing", "-O", "/dev/null"]).arg(case.url(format!("{folder}/")))
        }
        Step::MirrorDown(from, to) => {
            let depth = case.remote(from).matches('/').count().to_string();
            command.args(["-r", "-N", "-l", "inf", "-nH", "--cut-dirs", &depth, "-P", to]);
            command.arg(case.url(format!("{from}/")))
        }
        _ => no_such_step(case, step),
    };
    command
}

fn wget(case: &Case<'_>, who: Who) -> Command {
    let mut command = Command::new("wget");
    command.args(["--no-config", "--no-proxy", "-nv", "--tries=1", "--timeout=20"]);
    command.args(["--restrict-file-names=nocontrol", "--user", who.user(), "--password", who.password()]);
    if !case.way.mode.is_passive() {
        command.arg("--no-passive-ftp");
    }
    command.env("HOME", case.server.clients()).env("LC_ALL", "C.UTF-8").current_dir(case.outside(""));
    command
}

/// The names of what LIST said, as wget keeps it.
pub(super) fn listed(case: &Case<'_>) -> Vec<Vec<u8>> {
    let path = case.outside(LISTING);
    let text = fs::read(&path).expect("wget left the list in this file");
    fs::remove_file(path).expect("it is there");
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| name(line.strip_suffix(b"\r").unwrap_or(line))).collect()
}

/// The name in a line of LIST: behind mode, links, owner, group, size, month, day and time, and one space.
fn name(line: &[u8]) -> Vec<u8> {
    let mut rest = line;
    for _ in 0..8 {
        let word = rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len());
        rest = &rest[word..];
        let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
        rest = &rest[end..];
    }
    rest.strip_prefix(b" ").unwrap_or(rest).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_spaces() {
        let line = b"-rw-r--r--   1 0        0              10 Nov 21 12:34  two  words ";
        assert_eq!(name(line), b" two  words ");
        assert_eq!(name(b"short"), b"");
    }
}
