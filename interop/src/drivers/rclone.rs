//! rclone: a process for each step, on a remote that its environment describes.

use std::process::Command;
use std::sync::OnceLock;

use super::{Job, no_such_step};
use crate::case::Case;
use crate::clients::Who;
use crate::steps::Step;
use crate::tls::Version;

pub(super) fn jobs(case: &Case<'_>, who: Who, steps: &[Step<'_>]) -> Vec<Job> {
    // Several files whose names do not change go by one run, one after the other.
    let names = |pick: fn(Step<'_>) -> Option<(&str, &str)>| -> Option<Vec<u8>> {
        let names = steps.iter().map(|&step| pick(step).filter(|(from, to)| from == to));
        let names: Option<Vec<&str>> = names.map(|names| names.map(|(name, _)| name)).collect();
        names.filter(|names| names.len() > 1).map(|names| names.join("\n").into_bytes())
    };
    let puts = names(|step| if let Step::Put(from, to) = step { Some((from, to)) } else { None });
    let gets = names(|step| if let Step::Get(from, to) = step { Some((from, to)) } else { None });
    let here = ".".to_owned();
    let (list, [from, to]) = match (puts, gets) {
        (Some(names), _) => (names, [here, remote(case, "")]),
        (None, Some(names)) => (names, [remote(case, ""), here]),
        (None, None) => return steps.iter().map(|&step| Job::new(job(case, who, step))).collect(),
    };
    let mut command = rclone(case, who);
    command.args(["copy", "--transfers", "1", "--checkers", "1", "--files-from", "-", &from, &to]);
    vec![Job { input: Some(list), ..Job::new(command) }]
}

fn job(case: &Case<'_>, who: Who, step: Step<'_>) -> Command {
    let mut command = rclone(case, who);
    let there = |name: &str| remote(case, name);
    let here = |name: &str| format!("./{name}");
    match step {
        Step::Put(from, to) | Step::PutDated(from, to) => command.args(["copyto", &here(from), &there(to)]),
        Step::Get(from, to) | Step::GetDated(from, to) => command.args(["copyto", &there(from), &here(to)]),
        Step::StopGet(name) => command.args(["cat", "--head", "65536", &there(name)]),
        Step::List(folder) => command.args(["lsf", &there(folder)]),
        Step::MakeFolder(folder) => command.args(["mkdir", &there(folder)]),
        Step::RemoveFolder(folder) => command.args(["rmdir", &there(folder)]),
        Step::Rename(from, to) => command.args(["moveto", &there(from), &there(to)]),
        Step::Delete(name) => command.args(["deletefile", &there(name)]),
        Step::MirrorUp(from, to) => command.args(["sync", &here(from), &there(to)]),
        Step::MirrorDown(from, to) => command.args(["sync", &there(from), &here(to)]),
        _ => no_such_step(case, step),
    };
    command
}

fn remote(case: &Case<'_>, name: &str) -> String {
    format!(":ftp:{}", case.remote(name))
}

/// rclone without its configuration file, which tries once.
fn rclone(case: &Case<'_>, who: Who) -> Command {
    let address = case.address();
    let host = if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() };
    let mut command = Command::new("rclone");
    command.args(["--retries", "1", "--low-level-retries", "1", "--timeout", "20s", "--contimeout", "20s"]);
    // A space at the end of a name stays one; by itself rclone puts another sign in its place.
    command.args(["--ftp-encoding", "Slash,Del,Ctl,Dot"]);
    command.env("RCLONE_CONFIG", case.server.clients().join("no rclone.conf"));
    command.env("RCLONE_FTP_HOST", host).env("RCLONE_FTP_PORT", address.port().to_string());
    command.env("RCLONE_FTP_USER", who.user()).env("RCLONE_FTP_PASS", obscured(who));
    command.env("RCLONE_FTP_DISABLE_EPSV", (case.way.mode == crate::way::Mode::Pasv).to_string());
    if let Some(security) = &case.security {
        let option = if security.is_implicit { "RCLONE_FTP_TLS" } else { "RCLONE_FTP_EXPLICIT_TLS" };
        command.env(option, "true").env("SSL_CERT_FILE", &security.authority);
        command.env("RCLONE_FTP_DISABLE_TLS13", (security.version == Version::Tls12).to_string());
    }
    command.env("HOME", case.server.clients()).env("LC_ALL", "C.UTF-8").current_dir(case.outside(""));
    command
}

/// The password in the form that rclone takes.
fn obscured(who: Who) -> &'static str {
    static PASSWORDS: [OnceLock<String>; 3] = [const { OnceLock::new() }; 3];
    PASSWORDS[who as usize].get_or_init(|| {
        let output = Command::new("rclone").args(["obscure", who.password()]).output();
        let output = output.expect("rclone is here and starts");
        String::from_utf8(output.stdout).expect("rclone answers in ASCII").trim().to_owned()
    })
}
