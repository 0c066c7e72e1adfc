//! One client, one operation, one way of connecting.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::clients::{Client, Who};
use crate::control::Control;
use crate::drivers;
use crate::results::attempt;
use crate::run::{Finished, Running, run};
use crate::secure::{Error, Secure};
use crate::server::{PASSWORD, Server, USER};
use crate::steps::{Answer, Refusal, Step};
use crate::tls::Security;
use crate::wait::wait_for;
use crate::way::Way;

/// How long one run of a client may take; a run takes milliseconds, so only a hang is ever cut.
const BOUND: Duration = Duration::from_secs(90);

/// A client's way to a server, with folders of its own on both sides.
#[derive(Debug)]
pub struct Case<'a> {
    /// The server, which other ways of the same test use as well.
    pub server: &'a Server,
    /// Who connects.
    pub client: Client,
    /// How to connect.
    pub way: Way,
    /// How connections are protected; `None` is in clear.
    pub security: Option<Security>,
    folder: String,
}

/// Tries something on every way of the client, on one server, and writes down what worked.
///
/// # Panics
/// When it failed on any way; the others are tried nevertheless.
#[track_caller]
pub fn each_way(client: Client, what: &str, test: impl Fn(&Case<'_>)) {
    on_ways(client, what, &client.ways(), test);
}

/// As [`each_way`], on these ways alone.
#[track_caller]
pub(crate) fn on_ways(client: Client, what: &str, ways: &[Way], test: impl Fn(&Case<'_>)) {
    if ways.is_empty() || !client.is_here() {
        return;
    }
    let server = Server::start();
    let mut failed = Vec::new();
    for &way in ways {
        let case = Case::new(&server, client, way);
        if attempt(client.name(), what, &way.to_string(), || test(&case)).is_err() {
            failed.push(way.to_string());
        }
    }
    assert!(failed.is_empty(), "{client}, {what}: failed on {}", failed.join(", "));
    server.stop();
}

impl<'a> Case<'a> {
    /// Makes the folders.
    ///
    /// # Panics
    /// When they exist already.
    #[track_caller]
    pub fn new(server: &'a Server, client: Client, way: Way) -> Case<'a> {
        Case::secured(server, client, way, None)
    }

    /// As [`Case::new`], with connections that are protected.
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn secured(server: &'a Server, client: Client, way: Way, security: Option<Security>) -> Case<'a> {
        let folder = way.to_string().to_lowercase().replace(' ', "-");
        for side in [server.served(), server.clients()] {
            fs::create_dir(side.join(&folder)).expect("a folder for each way");
        }
        Case { server, client, way, security, folder }
    }

    /// Where the server keeps a file of this case.
    pub fn inside(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.server.served().join(&self.folder).join(name.as_ref())
    }

    /// Where the client keeps a file of this case.
    pub fn outside(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.server.clients().join(&self.folder).join(name.as_ref())
    }

    /// The path of a file of this case as the server's clients say it.
    pub fn remote(&self, name: &str) -> String {
        format!("/{}/{name}", self.folder)
    }

    /// Where the server listens for this case.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address(self.way.family)
    }

    /// How a URL begins.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.security.as_ref().is_some_and(|security| security.is_implicit) { "ftps" } else { "ftp" }
    }

    /// A URL for curl; an empty name is the folder of this case.
    pub fn url(&self, name: impl AsRef<OsStr>) -> String {
        let mut path = self.remote("").into_bytes();
        path.extend_from_slice(drivers::name_bytes(&name));
        drivers::url(self.scheme(), self.address(), &path)
    }

    /// Lets the client do these steps, up to the first that is refused.
    #[track_caller]
    fn ask(&self, who: Who, steps: &[Step<'_>]) -> Answer {
        let mut answer = Answer { runs: Vec::new(), is_refused: false };
        for mut job in drivers::jobs(self, who, steps) {
            let finished = Running::start_with_input(&mut job.command, job.input).finish(BOUND);
            answer.is_refused = !finished.status.success() || (job.complains)(&finished);
            answer.runs.push(finished);
            if answer.is_refused {
                break;
            }
        }
        answer
    }

    /// Lets the client do these steps as the account.
    ///
    /// # Panics
    /// When it did not, or hangs.
    #[track_caller]
    pub fn does(&self, steps: &[Step<'_>]) {
        self.does_as(Who::Account, steps);
    }

    /// As [`Case::does`], logged in as somebody.
    ///
    /// # Panics
    /// When it did not, or hangs.
    #[track_caller]
    pub fn does_as(&self, who: Who, steps: &[Step<'_>]) {
        let answer = self.ask(who, steps);
        assert!(!answer.is_refused, "failed: {answer}");
    }

    /// Lets the client do a step that the server refuses, which the client must tell its user.
    ///
    /// # Panics
    /// When it succeeded, or tells of something else.
    #[track_caller]
    pub fn is_refused(&self, who: Who, step: Step<'_>, refusal: Refusal) {
        let answer = self.ask(who, &[step]);
        assert!(answer.is_refused, "should have been refused: {answer}");
        let is_told = answer.runs.iter().any(|run| drivers::tells(self.client, refusal, run));
        assert!(is_told, "does not tell of {refusal:?}: {answer}");
    }

    /// The names that the client lists in these folders, sorted.
    ///
    /// # Panics
    /// When it could not.
    #[track_caller]
    pub fn lists(&self, folders: &[&str]) -> Vec<String> {
        let steps: Vec<Step<'_>> = folders.iter().map(|folder| Step::List(folder)).collect();
        let answer = self.ask(Who::Account, &steps);
        assert!(!answer.is_refused, "failed: {answer}");
        let names = drivers::listed(self, &answer).into_iter();
        let mut names: Vec<String> = names.map(|name| String::from_utf8_lossy(&name).into_owned()).collect();
        names.sort();
        names
    }

    /// A curl that connects this way; options and URLs are the caller's.
    pub fn curl(&self, who: Who) -> Command {
        drivers::curl(self, who)
    }

    /// Runs a curl with these arguments as the account.
    #[track_caller]
    pub fn run_curl<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Finished {
        run(self.curl(Who::Account).args(arguments), BOUND)
    }

    /// An lftp that connects this way; it begins in this case's folders on both sides.
    pub fn lftp(&self, who: Who, script: impl AsRef<OsStr>) -> Command {
        let mut text = OsString::from(format!("cd \"{}\"\nlcd ", self.remote("")));
        text.push(drivers::lftp_quoted(drivers::name_bytes(&self.outside(""))));
        text.push("\n");
        text.push(script.as_ref());
        drivers::lftp(self, who, &text)
    }

    /// Runs a script of lftp as the account.
    #[track_caller]
    pub fn run_lftp(&self, script: impl AsRef<OsStr>) -> Finished {
        run(&mut self.lftp(Who::Account, script), BOUND)
    }

    /// A script of `scripts/` that connects this way; it begins in this case's folders on both sides.
    pub fn ftplib<S: AsRef<OsStr>>(
        &self,
        who: Who,
        script: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = drivers::ftplib(self.server, self.way, who, script);
        command.arg(self.remote("")).args(arguments).current_dir(self.outside(""));
        command
    }

    /// Runs a script of `scripts/` to its end.
    #[track_caller]
    pub fn run_ftplib<S: AsRef<OsStr>>(
        &self,
        who: Who,
        script: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Finished {
        run(&mut self.ftplib(who, script, arguments), BOUND)
    }

    /// A raw control connection of the account.
    #[track_caller]
    pub fn control(&self) -> Control {
        Control::login(self.address(), USER, PASSWORD)
    }

    /// A control connection of the account that is protected as the client's.
    ///
    /// # Panics
    /// When the case is in clear, or the server refuses.
    #[track_caller]
    pub fn secure(&self) -> Secure {
        let security = self.security.as_ref().expect("the connections of this case are protected");
        // Ours always resumes, whatever the client does.
        let security = Security { resumes: true, ..security.clone() };
        Secure::login(self.address(), &security, USER, PASSWORD).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until the server keeps a part of an upload in this case's folder, under whatever name.
    #[track_caller]
    pub fn wait_for_a_part(&self) {
        wait_for("a part of the upload", BOUND, || {
            let sizes = self.names("").into_iter().filter_map(|name| fs::metadata(self.inside(name)).ok());
            sizes.map(|metadata| metadata.len()).find(|&size| size >= 1 << 18)
        });
    }

    /// Lets an upload of these bytes break off in the middle with a reset, and shows that its part is hidden: no
    /// such file is there, yet SIZE tells where to go on. Gives the size of the part.
    #[track_caller]
    pub fn leave_a_part(&self, name: &str, bytes: &[u8]) -> usize {
        let path = self.remote(name);
        let half = &bytes[..bytes.len() / 2];
        let (reply, size) = if self.security.is_some() {
            let mut control = self.secure();
            let mut begin = || -> Result<(u16, Option<u64>), Error> {
                let mut data = control.begin(&format!("STOR {path}"))?;
                data.write(half)?;
                self.wait_for_a_part();
                Control::reset(data.into_socket());
                Ok((control.reply()?.code, control.size(&path)?))
            };
            begin().unwrap_or_else(|error| panic!("the upload to {path}: {error}"))
        } else {
            let mut control = self.control();
            let data = control.begin_upload(&path, half);
            self.wait_for_a_part();
            Control::reset(data);
            (control.reply().code, control.size(&path))
        };
        assert_eq!(reply, 426, "the answer to an upload that was reset");
        assert!(!self.inside(name).exists(), "a part stands under the final name");
        let part = size.expect("SIZE tells what is there");
        assert!(part > 0 && part < bytes.len() as u64, "{part} bytes are there");
        part as usize
    }

    /// What the server keeps under a name.
    #[track_caller]
    pub fn stored(&self, name: impl AsRef<OsStr>) -> Vec<u8> {
        let path = self.inside(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// What the client has under a name.
    #[track_caller]
    pub fn received(&self, name: impl AsRef<OsStr>) -> Vec<u8> {
        let path = self.outside(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Puts a file into the served folder, behind the server's back.
    #[track_caller]
    pub fn place(&self, name: impl AsRef<OsStr>, bytes: impl AsRef<[u8]>) {
        fs::write(self.inside(name), bytes).expect("the served folder takes files");
    }

    /// Gives the client a file to send, and its path.
    #[track_caller]
    pub fn prepare(&self, name: impl AsRef<OsStr>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.outside(name);
        fs::write(&path, bytes).expect("the client's folder takes files");
        path
    }

    /// The names in a folder below the served one, sorted.
    #[track_caller]
    pub fn names(&self, folder: &str) -> Vec<OsString> {
        let entries = fs::read_dir(self.inside(folder)).expect("the folder is there");
        let mut names: Vec<OsString> =
            entries.map(|entry| entry.expect("the folder can be read").file_name()).collect();
        names.sort();
        names
    }
}
