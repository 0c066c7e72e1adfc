//! How each client is asked to do a step: command lines, scripts on standard input, signs of failure.
//!
//! Not inside: what is asked, and what has to come of it; that is in `suite` and in `tests/`.

mod curl;
mod lftp;
mod library;
mod ncftp;
mod rclone;
mod tnftp;
mod wget;

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

pub(crate) use curl::curl;
pub(crate) use lftp::{lftp, lftp_quoted};
pub(crate) use library::ftplib;

use crate::case::Case;
use crate::clients::{Client, Who};
use crate::run::Finished;
use crate::steps::{Answer, Refusal, Step};

/// One run of a client's program.
pub(crate) struct Job {
    pub(crate) command: Command,
    /// What it finds on its standard input.
    pub(crate) input: Option<Vec<u8>>,
    /// Whether it failed although it ended with success.
    pub(crate) complains: fn(&Finished) -> bool,
}

impl Job {
    fn new(command: Command) -> Job {
        Job { command, input: None, complains: |_| false }
    }
}

/// The runs that these steps take, in order: as few as the client lets one have.
pub(crate) fn jobs(case: &Case<'_>, who: Who, steps: &[Step<'_>]) -> Vec<Job> {
    match case.client {
        Client::Curl => curl::jobs(case, who, steps),
        Client::Lftp => lftp::jobs(case, who, steps),
        Client::Ncftp => ncftp::jobs(case, who, steps),
        Client::Tnftp => tnftp::jobs(case, who, steps),
        Client::Wget => wget::jobs(case, who, steps),
        Client::Rclone => rclone::jobs(case, who, steps),
        Client::Ftplib
        | Client::NetFtp
        | Client::CommonsNet
        | Client::BasicFtp
        | Client::Openssl
        | Client::Rustls => library::jobs(case, who, steps),
    }
}

/// The names that the client said in answer to [`Step::List`].
pub(crate) fn listed(case: &Case<'_>, answer: &Answer) -> Vec<Vec<u8>> {
    match case.client {
        Client::Tnftp => tnftp::listed(case),
        Client::Wget => wget::listed(case),
        Client::Rclone => {
            answer.lines().map(|line| line.strip_suffix(b"/").unwrap_or(line).to_vec()).collect()
        }
        _ => answer.lines().map(last_component).collect(),
    }
}

/// Whether the client tells its user of this refusal: by an exit code of its own, or in words.
pub(crate) fn tells(client: Client, refusal: Refusal, finished: &Finished) -> bool {
    let code = |code: i32| finished.status.code() == Some(code);
    match (client, refusal) {
        // Its words are lost in active mode: curl 7.88 reports the socket that it did not use.
        (Client::Curl, Refusal::Login) => code(67),
        (Client::Curl, Refusal::Missing) => code(78),
        (Client::Curl, Refusal::NoPermission) => code(25),
        (Client::Curl, Refusal::NotEmpty) => code(21),
        // The words of a reply behind a mark are shown by none of the two.
        (Client::Curl | Client::Rclone, Refusal::NotResumed) => true,
        (Client::Wget, Refusal::Login) => code(6),
        (Client::Wget, _) => code(8) && finished.says("No such file"),
        (Client::Ncftp, Refusal::Login) => finished.says("was not accepted for login"),
        // Its library calls every 550 so.
        (Client::Rclone, Refusal::Missing | Refusal::NotEmpty) => finished.says("directory not found"),
        // It repeats the text of the reply without the code.
        (Client::Ncftp, Refusal::Missing) => finished.says("does not exist"),
        (Client::Ncftp, Refusal::NoPermission) => finished.says("No permission"),
        (Client::Ncftp, Refusal::NotEmpty) => finished.says("not empty"),
        // It takes the end of the data connection for one of the network's, and tries until it may no more.
        (Client::Lftp, Refusal::NotResumed) => finished.says("522") || finished.says("max-retries exceeded"),
        (_, Refusal::NotResumed) => finished.says("522"),
        (_, Refusal::Login) => finished.says("530"),
        (_, Refusal::Missing | Refusal::NotEmpty) => finished.says("550"),
        (Client::Lftp, Refusal::NoPermission) => finished.says("No permission"),
        (_, Refusal::NoPermission) => finished.says("553"),
    }
}

fn last_component(path: &[u8]) -> Vec<u8> {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default().to_vec()
}

/// Panics for a step that `gaps` says the client cannot do: the suite does not ask for it.
#[track_caller]
fn no_such_step(case: &Case<'_>, step: Step<'_>) -> ! {
    panic!("{} has no {step:?}, and `gaps` has to say so", case.client)
}

/// A URL of a path of bytes; a trailing slash makes it a directory.
pub(crate) fn url(scheme: &str, address: SocketAddr, path: &[u8]) -> String {
    let mut url = format!("{scheme}://{address}");
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            url.push(byte.into());
        } else {
            url += &format!("%{byte:02X}");
        }
    }
    url
}

/// The bytes of a path's last component.
pub(crate) fn name_bytes(name: &(impl AsRef<OsStr> + ?Sized)) -> &[u8] {
    name.as_ref().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_last_components() {
        let address = "[::1]:2121".parse().expect("an address");
        assert_eq!(url("ftp", address, b"/a b/#\xE9%"), "ftp://[::1]:2121/a%20b/%23%E9%25");
        assert_eq!(last_component(b"a/b c"), b"b c");
        assert_eq!(last_component(b"a"), b"a");
    }
}
