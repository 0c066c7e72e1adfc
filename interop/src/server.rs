//! The program under test, as a user starts it.

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::certificate::Certificate;
use crate::folder::Folder;
use crate::ports::PortBlock;
use crate::results::profile_folder;
use crate::tls::{Policy, Security, Version};
use crate::wait::{poll, wait_for};
use crate::way::Family;

/// The account that may write.
pub const USER: &str = "skipper";
/// Its password; the characters are ones that URLs and scripts leave alone.
pub const PASSWORD: &str = "kite-and-harbour-71";

/// What every server of the tests is started with, before listeners and ports: the one place for another option.
const ARGUMENTS: &[&str] = &["--user", USER];

/// What somebody gives who does not know it.
pub(crate) const WRONG_PASSWORD: &str = "not-the-password";

/// From the start to the end of the banner, and from SIGINT to the exit.
const BOUND: Duration = Duration::from_secs(30);

/// A server that runs, with a folder that it serves and one for its clients.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: Log,
    listeners: Vec<Listener>,
    certificate: Option<Certificate>,
    served: PathBuf,
    clients: PathBuf,
    is_stopped: bool,
    // Dropped after the child is dead: ports and folder are free only then.
    _folder: Folder,
    _ports: PortBlock,
}

/// What a server is started with, beyond what every one is.
#[derive(Clone, Debug, Default)]
pub struct Setup<'a> {
    /// The words of a launcher, as `strace -f`.
    pub launcher: &'a [&'a str],
    /// More arguments.
    pub arguments: &'a [&'a str],
    /// Under which policy it offers TLS, with a certificate made for it. Without one it makes its own and keeps it in
    /// a folder that goes with it.
    pub policy: Option<Policy>,
    /// Where it listens; without any, on every family of this machine.
    pub hosts: &'a [IpAddr],
}

/// Where a server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listener {
    is_implicit: bool,
    address: SocketAddr,
}

/// What the server printed, on both streams, line by line.
#[derive(Clone, Debug, Default)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    fn follow(&self, stream: impl Read + Send + 'static, prefix: &'static str) {
        let lines = Arc::clone(&self.lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                let line = format!("{prefix}{}", String::from_utf8_lossy(&line).trim_end_matches('\r'));
                lines.lock().expect("no thread panics with the log in hand").push(line);
            }
        });
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no thread panics with the log in hand").clone()
    }
}

impl Server {
    /// Starts a server on every family of this machine.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start() -> Server {
        Server::start_with(&[], &[])
    }

    /// Starts a server with more arguments, by the words of `launcher` (as `strace -f`), if there are any.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start_with(launcher: &[&str], arguments: &[&str]) -> Server {
        Server::set_up(&Setup { launcher, arguments, ..Setup::default() })
    }

    /// Starts a server.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn set_up(setup: &Setup<'_>) -> Server {
        let binary = binary();
        let folder = Folder::new("interop");
        let (served, clients) = (folder.path().join("served"), folder.path().join("clients"));
        for path in [&served, &clients] {
            std::fs::create_dir(path).expect("a folder within our own");
        }
        let ports = PortBlock::take();
        let mut command = match setup.launcher {
            [] => Command::new(&binary),
            [program, rest @ ..] => {
                let mut command = Command::new(program);
                command.args(rest).arg(&binary);
                command
            }
        };
        command.arg("serve").arg(&served).args(ARGUMENTS).args(["--log-format", "text"]);
        // What a test leaves running when it stops the server is not waited for.
        command.env("LONGSHORE_LIMITS_DRAIN_GRACE_SECONDS", "0");
        command.env("LONGSHORE_SERVER_STATE_DIRECTORY", folder.path().join("state"));
        command.args(["--passive-ports", &ports.argument()]);
        let certificate = setup.policy.map(|_| Certificate::make(folder.path()));
        if let (Some(certificate), Some(policy)) = (&certificate, setup.policy) {
            command.arg("--certificate").arg(&certificate.chain).arg("--key").arg(&certificate.key);
            command.envs(policy.environment().iter().copied());
        }
        let hosts = match setup.hosts {
            [] => Family::here().into_iter().map(Family::loopback).collect(),
            hosts => hosts.to_vec(),
        };
        let is_implicit = setup.policy == Some(Policy::Implicit);
        for &host in &hosts {
            let option = if is_implicit { "--listen-implicit" } else { "--listen" };
            command.args([option, &SocketAddr::new(host, 0).to_string()]);
        }
        command.args(setup.arguments).env("LONGSHORE_PASSWORD", PASSWORD).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
        let log = Log::default();
        log.follow(child.stdout.take().expect("stdout is a pipe"), "");
        log.follow(child.stderr.take().expect("stderr is a pipe"), "stderr: ");
        let mut server = Server {
            child,
            log,
            listeners: Vec::new(),
            certificate,
            served,
            clients,
            is_stopped: false,
            _folder: folder,
            _ports: ports,
        };
        server.listeners = server.read_banner(&command, &hosts);
        server
    }

    /// The listeners that the banner names; it ends with an empty line.
    fn read_banner(&mut self, command: &Command, hosts: &[IpAddr]) -> Vec<Listener> {
        wait_for("the server's banner", BOUND, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{command:?} ended with {status} before its banner did");
            }
            let lines = self.log.lines();
            let banner: Vec<&String> = lines.iter().filter(|line| !line.starts_with("stderr: ")).collect();
            let found: Vec<Listener> = banner.iter().flat_map(|line| listeners_in(line)).collect();
            let is_named = |host: &IpAddr| found.iter().any(|listener| listener.address.ip() == *host);
            let is_whole = hosts.iter().all(is_named) && banner.iter().any(|line| line.is_empty());
            is_whole.then_some(found)
        })
    }

    /// The address of a family's listener.
    ///
    /// # Panics
    /// When the server does not listen there.
    pub fn address(&self, family: Family) -> SocketAddr {
        let is_it = |listener: &&Listener| listener.address.is_ipv6() == (family == Family::Ipv6);
        self.listeners.iter().find(is_it).unwrap_or_else(|| panic!("no listener for {family}")).address
    }

    /// How a client has to protect its connections to a server with a policy.
    ///
    /// # Panics
    /// When the server has no certificate of ours.
    pub fn security(&self, version: Version, resumes: bool) -> Security {
        let certificate = self.certificate.as_ref().expect("a server with a policy has a certificate");
        let is_implicit = self.listeners.iter().any(|listener| listener.is_implicit);
        Security { version, is_implicit, resumes, authority: certificate.authority.clone() }
    }

    /// What the server has said so far, line by line.
    pub fn lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// The lines of the banner that begin with this program: commands that a user may paste.
    pub fn pasted(&self, program: &str) -> Vec<String> {
        let lines = self.log.lines().into_iter().map(|line| line.trim().to_owned());
        lines.filter(|line| line.split(' ').next() == Some(program)).collect()
    }

    /// The folder that is served.
    pub fn served(&self) -> &Path {
        &self.served
    }

    /// A folder for what the clients have.
    pub fn clients(&self) -> &Path {
        &self.clients
    }

    /// The process, or that of the launcher.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line about a transfer of `name`, which says that the server is done with it.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn wait_for_line_about(&self, name: &str) -> String {
        let look = || self.log.lines().into_iter().find(|line| line.contains(name));
        wait_for(&format!("a line of the server about {name}"), BOUND, look)
    }

    /// How many logins the server has told of, once it has told of so many downloads from a folder: the lines of a
    /// session stand in order, but a moment behind what they tell of.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub(crate) fn logins_behind(&self, downloads: usize, folder: &str) -> usize {
        wait_for("the server's lines about downloads", BOUND, || {
            let lines = self.log.lines();
            let sent = lines.iter().filter(|line| line.contains(" sent (") && line.contains(folder)).count();
            (sent >= downloads).then(|| lines.iter().filter(|line| line.ends_with(" logged in")).count())
        })
    }

    /// Ends it as Ctrl-C does.
    ///
    /// # Panics
    /// When it does not end in time, or not with success.
    #[track_caller]
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("our own child can be signalled");
        let ended = poll(BOUND, || self.child.try_wait().expect("our own child can be waited for"));
        let Some(status) = ended else { panic!("the server still runs {} s after SIGINT", BOUND.as_secs()) };
        assert!(status.success(), "the server ended with {status} after SIGINT");
        self.is_stopped = true;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.is_stopped {
            // Fails when it is dead already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let lines = self.log.lines();
        if !std::thread::panicking() {
            for password in [PASSWORD, WRONG_PASSWORD] {
                assert!(!lines.iter().any(|line| line.contains(password)), "a password is in the log");
            }
        } else {
            eprintln!("---- what the server said:\n{}\n----", lines.join("\n"));
        }
    }
}

/// `ftp://127.0.0.1:40123/` and `ftps://[::1]:40123/` in a line, also with a user before the address.
fn listeners_in(line: &str) -> Vec<Listener> {
    let of = |scheme: &'static str, is_implicit| {
        line.split(scheme).skip(1).filter_map(move |rest| {
            let end = rest
                .find(|character: char| character == '/' || character.is_whitespace())
                .unwrap_or(rest.len());
            let authority = &rest[..end];
            let address =
                authority.rsplit_once('@').map_or(authority, |(_, address)| address).parse().ok()?;
            Some(Listener { is_implicit, address })
        })
    };
    of("ftp://", false).chain(of("ftps://", true)).collect()
}

/// The program: the one that the environment names, or the one built beside the tests.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("LONGSHORE_BINARY") {
        return path.into();
    }
    let path = profile_folder().join("longshore");
    assert!(path.is_file(), "{} is not there; `cargo build --package longshore` makes it", path.display());
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &[(&str, bool)]) {
        let listener = |&(text, is_implicit): &(&str, bool)| Listener {
            is_implicit,
            address: text.parse().expect("an address"),
        };
        assert_eq!(listeners_in(line), expected.iter().map(listener).collect::<Vec<_>>());
    }

    #[test]
    fn listeners_are_read_from_urls() {
        check("  ftp://127.0.0.1:40123/", &[("127.0.0.1:40123", false)]);
        check("open ftp://[::1]:40123/ now", &[("[::1]:40123", false)]);
        check("  listening  ftps://127.0.0.1:990/", &[("127.0.0.1:990", true)]);
        let two = "curl ftp://user@127.0.0.1:21/x and ftps://[::1]:22";
        check(two, &[("127.0.0.1:21", false), ("[::1]:22", true)]);
        check("ftp://example/", &[]);
        check("nothing", &[]);
    }
}
