//! The program under test, as a user starts it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::folder::Folder;
use crate::ports::PortBlock;
use crate::results::profile_folder;
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
    addresses: Vec<(Family, SocketAddr)>,
    served: PathBuf,
    clients: PathBuf,
    is_stopped: bool,
    // Dropped after the child is dead: ports and folder are free only then.
    _folder: Folder,
    _ports: PortBlock,
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
        let binary = binary();
        let folder = Folder::new("interop");
        let (served, clients) = (folder.path().join("served"), folder.path().join("clients"));
        for path in [&served, &clients] {
            std::fs::create_dir(path).expect("a folder within our own");
        }
        let ports = PortBlock::take();
        let mut command = match launcher {
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
        for family in Family::here() {
            command.args(["--listen", family.listen_argument()]);
        }
        command.args(arguments).env("LONGSHORE_PASSWORD", PASSWORD).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
        let log = Log::default();
        log.follow(child.stdout.take().expect("stdout is a pipe"), "");
        log.follow(child.stderr.take().expect("stderr is a pipe"), "stderr: ");
        let mut server = Server {
            child,
            log,
            addresses: Vec::new(),
            served,
            clients,
            is_stopped: false,
            _folder: folder,
            _ports: ports,
        };
        server.addresses = server.read_banner(&command);
        server
    }

    /// The listeners that the banner names; it ends with an empty line.
    fn read_banner(&mut self, command: &Command) -> Vec<(Family, SocketAddr)> {
        let families = Family::here();
        wait_for("the server's banner", BOUND, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{command:?} ended with {status} before its banner did");
            }
            let lines = self.log.lines();
            let banner: Vec<&String> = lines.iter().filter(|line| !line.starts_with("stderr: ")).collect();
            let urls: Vec<SocketAddr> = banner.iter().flat_map(|line| addresses_in(line)).collect();
            let found: Option<Vec<_>> = families
                .iter()
                .map(|&family| urls.iter().find(|url| family.holds(url)).map(|&url| (family, url)))
                .collect();
            found.filter(|_| banner.iter().any(|line| line.is_empty()))
        })
    }

    /// The address of a family's listener.
    ///
    /// # Panics
    /// When the server does not listen there.
    pub fn address(&self, family: Family) -> SocketAddr {
        let found = self.addresses.iter().find(|(own, _)| *own == family);
        found.unwrap_or_else(|| panic!("no listener for {family}")).1
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

/// `ftp://127.0.0.1:40123/` and `ftp://[::1]:40123/` in a line, also with a user before the address.
fn addresses_in(line: &str) -> Vec<SocketAddr> {
    let rests = line.split("ftp://").skip(1);
    rests
        .filter_map(|rest| {
            let end = rest
                .find(|character: char| character == '/' || character.is_whitespace())
                .unwrap_or(rest.len());
            let authority = &rest[..end];
            authority.rsplit_once('@').map_or(authority, |(_, address)| address).parse().ok()
        })
        .collect()
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
    fn check(line: &str, expected: &[&str]) {
        let expected: Vec<SocketAddr> =
            expected.iter().map(|text| text.parse().expect("an address")).collect();
        assert_eq!(addresses_in(line), expected);
    }

    #[test]
    fn addresses_are_read_from_urls() {
        check("  ftp://127.0.0.1:40123/", &["127.0.0.1:40123"]);
        check("open ftp://[::1]:40123/ now", &["[::1]:40123"]);
        check("curl ftp://user@127.0.0.1:21/x and ftp://[::1]:22", &["127.0.0.1:21", "[::1]:22"]);
        check("ftp://example/", &[]);
        check("nothing", &[]);
    }
}
