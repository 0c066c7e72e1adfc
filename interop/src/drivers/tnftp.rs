//! tnftp: one script on standard input for all steps. It ends with success whatever came of them, but shows every
//! reply.

use std::fs;
use std::process::Command;

use super::{Job, last_component, no_such_step};
use crate::case::Case;
use crate::clients::Who;
use crate::run::Finished;
use crate::steps::Step;
use crate::way::Mode;

/// The local file that takes a list of names.
const LISTING: &str = "listing of tnftp";

pub(super) fn jobs(case: &Case<'_>, who: Who, steps: &[Step<'_>]) -> Vec<Job> {
    let address = case.server.address(case.way.family);
    let mut command = Command::new("tnftp");
    // Neither log in by .netrc nor ask; show replies.
    command.args(["-n", "-i", "-v", if case.way.mode.is_passive() { "-p" } else { "-A" }]);
    command.env("HOME", case.server.clients()).env("LC_ALL", "C.UTF-8").current_dir(case.outside(""));
    let mut script = format!(
        "open {} {}\nuser {} {}\nepsv4 {}\nglob off\nbinary\n",
        address.ip(),
        address.port(),
        who.user(),
        who.password(),
        if matches!(case.way.mode, Mode::Epsv | Mode::Eprt) { "on" } else { "off" },
    );
    for &step in steps {
        script += &lines(case, step);
    }
    script += "quit\n";
    vec![Job { command, input: Some(script.into_bytes()), complains }]
}

fn lines(case: &Case<'_>, step: Step<'_>) -> String {
    let remote = |name: &str| quoted(&case.remote(name));
    let put = |from: &str, to: &str| format!("put {} {}\n", quoted(from), remote(to));
    let get = |from: &str, to: &str| format!("get {} {}\n", remote(from), quoted(to));
    match step {
        Step::Put(from, to) => put(from, to),
        Step::PutText(from, to) => format!("ascii\n{}binary\n", put(from, to)),
        Step::Append(from, to) => format!("append {} {}\n", quoted(from), remote(to)),
        // Whoever types this has asked for the size before.
        Step::ResumePut(from, to) => {
            let size = case.control().size(&case.remote(to)).expect("SIZE tells what is there");
            format!("restart {size}\n{}", put(from, to))
        }
        Step::Get(from, to) => get(from, to),
        Step::GetText(from, to) => format!("ascii\n{}binary\n", get(from, to)),
        Step::GetDated(from, to) => get(from, to),
        Step::ResumeGet(from, to) => format!("reget {} {}\n", remote(from), quoted(to)),
        Step::List(folder) => format!("nlist {} {}\n", remote(folder), quoted(LISTING)),
        Step::MakeFolder(folder) => format!("mkdir {}\n", remote(folder)),
        Step::RemoveFolder(folder) => format!("rmdir {}\n", remote(folder)),
        Step::Rename(from, to) => format!("rename {} {}\n", remote(from), remote(to)),
        Step::Delete(name) => format!("delete {}\n", remote(name)),
        Step::PutDated(..) | Step::MirrorUp(..) | Step::MirrorDown(..) | Step::StopGet(_) => {
            no_such_step(case, step)
        }
    }
}

/// A backslash frees the next character, but not within quotes.
fn quoted(name: &str) -> String {
    let mut quoted = String::new();
    for character in name.chars() {
        if character.is_ascii() && !character.is_ascii_alphanumeric() && !"/._-".contains(character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

/// Whether a reply of the server or a line of its own reports a failure.
fn complains(finished: &Finished) -> bool {
    let is_refusal = |line: &[u8]| {
        let code = line.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit));
        code.is_some_and(|code| matches!(code[0], b'4' | b'5')) && matches!(line.get(3), Some(b' ' | b'-'))
    };
    finished.lines().into_iter().any(is_refusal) || finished.says("tnftp: ") || finished.says("Not connected")
}

pub(super) fn listed(case: &Case<'_>) -> Vec<Vec<u8>> {
    let path = case.outside(LISTING);
    let text = fs::read(&path).expect("tnftp wrote the list into this file");
    fs::remove_file(path).expect("it is there");
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| last_component(line.strip_suffix(b"\r").unwrap_or(line))).collect()
}
