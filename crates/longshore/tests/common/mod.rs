//! The program as a child process, and a client of raw lines. No foreign peers in here: those are in `interop/`.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long any single answer may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The account of every server started here.
pub const USER: &str = "writer";
pub const PASSWORD: &str = "s3cret";

/// A directory of the test's own, removed with it.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new(name: &str) -> Directory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("longshore-{name}-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Directory(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running `longshore serve`.
pub struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub address: SocketAddr,
    pub announcement: String,
}

impl Server {
    pub fn start(directory: &Path, arguments: &[&str]) -> Server {
        let directory = directory.to_str().expect("directories of tests are ASCII");
        Server::start_with(&[&[directory, "--user", USER, "--listen", "127.0.0.1:0"], arguments].concat())
    }

    /// As [`Server::start`], by a program that runs what follows it.
    pub fn start_through(launcher: &[&str], directory: &Path, arguments: &[&str]) -> Server {
        let directory = directory.to_str().expect("directories of tests are ASCII");
        let own = [directory, "--user", USER, "--listen", "127.0.0.1:0"];
        Server::launch(launcher, &[&own, arguments].concat())
    }

    pub fn start_with(arguments: &[&str]) -> Server {
        Server::launch(&[], arguments)
    }

    fn launch(launcher: &[&str], arguments: &[&str]) -> Server {
        let program = [launcher, &[env!("CARGO_BIN_EXE_longshore")]].concat();
        let mut child = Command::new(program[0])
            .args(&program[1..])
            .arg("serve")
            .args(arguments)
            .env("LONGSHORE_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("longshore starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut announcement = String::new();
        let mut blank = 0;
        while blank < 3 {
            let before = announcement.len();
            let read = stdout.read_line(&mut announcement).expect("the announcement");
            assert_ne!(read, 0, "the server ended at once:\n{announcement}");
            blank += usize::from(announcement[before..].trim().is_empty());
        }
        let address = announcement
            .split_once("ftp://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .and_then(|(address, _)| address.parse().ok())
            .expect("an address in the announcement");
        Server { child, stdout, address, announcement }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is gone");
    }

    /// SIGINT, while nobody reads the log; whether it ended well.
    pub fn interrupt_unread(mut self) -> bool {
        let status =
            Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
        let limit = std::time::Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().expect("it is our child") {
                Some(ended) => return ended.success(),
                None if std::time::Instant::now() > limit => return false,
                None => std::thread::yield_now(),
            }
        }
    }

    /// SIGINT; what it logged, and whether it ended well.
    pub fn interrupt(mut self) -> (String, bool) {
        let status =
            Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
        let mut log = String::new();
        self.stdout.read_to_string(&mut log).expect("the log");
        let ended = self.child.wait().expect("it ends");
        (log, ended.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One control connection.
pub struct Client {
    control: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let mut client = Client { control: BufReader::new(stream) };
        client.expect(220);
        client
    }

    /// As [`Client::connect`], for a server that may vanish.
    pub fn try_connect(address: SocketAddr) -> Option<Client> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut client = Client { control: BufReader::new(stream) };
        client.try_reply().map(|_| client)
    }

    pub fn login(&mut self) {
        self.say(&format!("USER {USER}"), 331);
        self.say(&format!("PASS {PASSWORD}"), 230);
        self.say("TYPE I", 200);
    }

    /// The next reply, or `None` when the connection is gone.
    pub fn try_reply(&mut self) -> Option<String> {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            match self.control.read_line(&mut reply) {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
            let line = &reply[start..];
            if line.len() > 3
                && line.as_bytes()[3] == b' '
                && line.as_bytes()[..3].iter().all(u8::is_ascii_digit)
            {
                return Some(reply);
            }
        }
    }

    pub fn send(&mut self, command: &str) -> bool {
        self.control.get_mut().write_all(format!("{command}\r\n").as_bytes()).is_ok()
    }

    pub fn expect(&mut self, code: u16) -> String {
        let reply = self.try_reply().expect("a reply");
        assert!(reply.starts_with(&code.to_string()), "{code} was expected: {reply}");
        reply
    }

    pub fn say(&mut self, command: &str, code: u16) -> String {
        assert!(self.send(command));
        self.expect(code)
    }

    /// A data connection that stands.
    pub fn passive(&mut self) -> Option<TcpStream> {
        if !self.send("EPSV") {
            return None;
        }
        let reply = self.try_reply()?;
        let port = reply.split('|').nth(3)?.parse().ok()?;
        let host = self.control.get_ref().peer_addr().ok()?.ip();
        TcpStream::connect((host, port)).ok()
    }

    /// The names of the current directory.
    pub fn names(&mut self) -> Vec<String> {
        let mut data = self.passive().expect("a data connection");
        assert!(self.send("NLST"));
        let mark = self.try_reply().expect("a mark");
        assert!(mark.starts_with('1'), "{mark}");
        let mut list = String::new();
        data.read_to_string(&mut list).expect("names of ASCII");
        self.expect(226);
        list.lines().map(str::to_owned).collect()
    }

    /// Whether the upload was answered with 226; `false` when the server vanished.
    pub fn upload(&mut self, name: &str, contents: &[u8]) -> bool {
        let Some(mut data) = self.passive() else { return false };
        if !self.send(&format!("STOR {name}")) {
            return false;
        }
        match self.try_reply() {
            Some(mark) if mark.starts_with('1') => {}
            _ => return false,
        }
        if data.write_all(contents).is_err() {
            return false;
        }
        drop(data);
        self.try_reply().is_some_and(|reply| reply.starts_with("226"))
    }
}
