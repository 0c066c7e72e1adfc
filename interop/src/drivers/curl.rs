//! curl: one process for all steps, with the options of each step for itself.

use std::process::Command;

use super::{Job, no_such_step};
use crate::case::Case;
use crate::clients::Who;
use crate::content::MODIFIED_STAMP;
use crate::steps::Step;
use crate::tls::Security;
use crate::way::Mode;

/// curl without its configuration file, quiet but for errors.
pub(crate) fn curl(case: &Case<'_>, who: Who) -> Command {
    let mut command = Command::new("curl");
    command.arg("-q").args(options(case, who));
    command
}

fn options(case: &Case<'_>, who: Who) -> Vec<String> {
    let mut words = vec!["--silent", "--show-error", "--noproxy", "*", "--connect-timeout", "20"];
    match case.way.mode {
        Mode::Epsv => {}
        Mode::Pasv => words.push("--disable-epsv"),
        Mode::Eprt => words.extend(["--ftp-port", "-"]),
        Mode::Port => words.extend(["--ftp-port", "-", "--disable-eprt"]),
    }
    let login = ["--user".to_owned(), format!("{}:{}", who.user(), who.password())];
    let words = words.into_iter().map(str::to_owned).chain(login);
    words.chain(case.security.iter().flat_map(protection)).collect()
}

fn protection(security: &Security) -> Vec<String> {
    let number = security.version.number();
    let authority = security.authority.display().to_string();
    let mut words = vec!["--ssl-reqd".to_owned(), "--cacert".to_owned(), authority];
    words.extend([format!("--tlsv{number}"), "--tls-max".to_owned(), number.to_owned()]);
    if !security.resumes {
        words.push("--no-sessionid".to_owned());
    }
    words
}

pub(super) fn jobs(case: &Case<'_>, who: Who, steps: &[Step<'_>]) -> Vec<Job> {
    let mut command = Command::new("curl");
    command.args(["-q", "--fail-early"]).current_dir(case.outside(""));
    for (index, &step) in steps.iter().enumerate() {
        if index > 0 {
            command.arg("--next");
        }
        command.args(options(case, who)).args(words(case, step));
    }
    vec![Job::new(command)]
}

fn words(case: &Case<'_>, step: Step<'_>) -> Vec<String> {
    let local = |name: &str| case.outside(name).to_string_lossy().into_owned();
    let upload = |options: &[&str], from: &str, to: &str| {
        let mut words: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
        words.extend(["--upload-file".to_owned(), local(from), case.url(to)]);
        words
    };
    let download = |options: &[&str], from: &str, to: &str| {
        let mut words: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
        words.extend(["--output".to_owned(), local(to), case.url(from)]);
        words
    };
    // Commands before a request that transfers nothing.
    let quote = |commands: &[String]| {
        let quotes = commands.iter().flat_map(|command| ["--quote".to_owned(), command.clone()]);
        quotes.chain(["--head".to_owned(), case.url("")]).collect()
    };
    let remote = |name: &str| case.remote(name);
    match step {
        Step::Put(from, to) => upload(&[], from, to),
        Step::PutText(from, to) => upload(&["--use-ascii"], from, to),
        // A command behind a dash is sent after the transfer.
        Step::PutDated(from, to) => {
            upload(&["--quote", &format!("-MFMT {MODIFIED_STAMP} {}", remote(to))], from, to)
        }
        Step::Append(from, to) => upload(&["--append"], from, to),
        Step::ResumePut(from, to) => upload(&["--continue-at", "-"], from, to),
        Step::Get(from, to) => download(&[], from, to),
        Step::GetText(from, to) => download(&["--use-ascii"], from, to),
        Step::GetDated(from, to) => download(&["--remote-time"], from, to),
        Step::ResumeGet(from, to) => download(&["--continue-at", "-"], from, to),
        // It ends the data connection when it has enough, and reads the answer to that.
        Step::StopGet(name) => download(&["--range", "0-65535"], name, "stopped"),
        Step::List(folder) => vec!["--list-only".to_owned(), case.url(format!("{folder}/"))],
        Step::MakeFolder(folder) => quote(&[format!("MKD {}", remote(folder))]),
        Step::RemoveFolder(folder) => quote(&[format!("RMD {}", remote(folder))]),
        Step::Rename(from, to) => quote(&[format!("RNFR {}", remote(from)), format!("RNTO {}", remote(to))]),
        Step::Delete(name) => quote(&[format!("DELE {}", remote(name))]),
        Step::MirrorUp(..) | Step::MirrorDown(..) => no_such_step(case, step),
    }
}
