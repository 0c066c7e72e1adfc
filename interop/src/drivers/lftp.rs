//! lftp: one script for all steps.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::process::Command;

use super::{Job, no_such_step};
use crate::case::Case;
use crate::clients::Who;
use crate::steps::Step;
use crate::tls::Security;
use crate::way::Mode;

/// lftp without its configuration files; `script` runs logged in, and the first command that fails ends it.
pub(crate) fn lftp(case: &Case<'_>, who: Who, script: &OsStr) -> Command {
    let (server, way) = (case.server, case.way);
    let (scheme, address) = (case.scheme(), case.address());
    let (user, password) = (who.user(), who.password());
    let mut text = OsString::from(format!(
        "set cmd:fail-exit yes\nset net:max-retries 1\nset net:timeout 20\nset net:reconnect-interval-base 1\n\
         {}set ftp:auto-passive-mode no\nset xfer:log no\nset xfer:clobber yes\n\
         set cmd:interactive no\nset ftp:passive-mode {}\nset ftp:prefer-epsv {}\n\
         open -u {user},{password} {scheme}://{address}\n",
        protection(case.security.as_ref()),
        on(way.mode.is_passive()),
        on(way.mode == Mode::Epsv),
    ));
    text.push(script);
    let mut command = Command::new("lftp");
    command.args(["--norc", "-c"]).arg(text);
    command.env("HOME", server.clients()).env("LFTP_HOME", server.clients()).env("LC_ALL", "C.UTF-8");
    command.env_remove("ftp_proxy").current_dir(server.clients());
    command
}

fn on(condition: bool) -> &'static str {
    if condition { "yes" } else { "no" }
}

fn protection(security: Option<&Security>) -> String {
    let Some(security) = security else { return "set ftp:ssl-allow no\n".to_owned() };
    let authority = security.authority.display();
    format!(
        "set ftp:ssl-force yes\nset ftp:ssl-protect-data yes\nset ftp:ssl-copy-sid {}\n\
         set ssl:ca-file \"{authority}\"\nset ssl:priority NORMAL:-VERS-ALL:+VERS-TLS{}\n",
        on(security.resumes),
        security.version.number(),
    )
}

/// A name as lftp's command line takes it: within double quotes a backslash frees quote and backslash.
pub(crate) fn lftp_quoted(name: &[u8]) -> OsString {
    let mut quoted = vec![b'"'];
    for &byte in name {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}

/// A slow transfer that lftp stops itself; what follows runs on the same connection or a new one.
fn stopped(case: &Case<'_>, name: &str) -> OsString {
    let mut script = OsString::from("set net:limit-rate 256k\nget ");
    script.push(lftp_quoted(name.as_bytes()));
    let part = case.outside("stopped").display().to_string();
    script.push(format!(
        " -o stopped &\n! while ! test -s {part} ; do :; done\nkill all\nset net:limit-rate 0\n"
    ));
    script
}

pub(super) fn jobs(case: &Case<'_>, who: Who, steps: &[Step<'_>]) -> Vec<Job> {
    let mut script = OsString::new();
    for &step in steps {
        if let Step::StopGet(name) = step {
            script.push(stopped(case, name));
            continue;
        }
        let (command, names): (&str, &[&str]) = match step {
            Step::Put(from, to) | Step::PutDated(from, to) => ("put", &[from, "-o", to]),
            Step::PutText(from, to) => ("put -a", &[from, "-o", to]),
            Step::ResumePut(from, to) => ("put -c", &[from, "-o", to]),
            Step::Get(from, to) | Step::GetDated(from, to) => ("get", &[from, "-o", to]),
            Step::GetText(from, to) => ("get -a", &[from, "-o", to]),
            Step::ResumeGet(from, to) => ("get -c", &[from, "-o", to]),
            Step::List(folder) => ("nlist", &[folder]),
            Step::MakeFolder(folder) => ("mkdir", &[folder]),
            Step::RemoveFolder(folder) => ("rmdir", &[folder]),
            Step::Rename(from, to) => ("mv", &[from, to]),
            Step::Delete(name) => ("rm", &[name]),
            Step::MirrorUp(from, to) => ("mirror -R", &[from, to]),
            Step::MirrorDown(from, to) => ("mirror", &[from, to]),
            Step::Append(..) | Step::StopGet(_) => no_such_step(case, step),
        };
        script.push(command);
        for &name in names {
            script.push(" ");
            // A path with ./ keeps a leading dash from being an option, and a tilde from being a home.
            match name {
                "-o" => script.push(name),
                _ => script.push(lftp_quoted(format!("./{name}").as_bytes())),
            }
        }
        script.push("\n");
    }
    vec![Job::new(case.lftp(who, script))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_freed() {
        assert_eq!(lftp_quoted(b"a\"b\\c d"), OsString::from("\"a\\\"b\\\\c d\""));
    }
}
