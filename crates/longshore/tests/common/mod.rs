//! The program as a child process, and a client of raw lines. No foreign peers in here: those are in `interop/`.
//!
//! Whatever a server of the tests says, on both streams and in its log files, is searched for every password that the
//! tests of this process have sent: see [`Server`]'s `Drop`.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How long any single answer may take before the test has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The account of every server started here.
pub const USER: &str = "writer";
pub const PASSWORD: &str = "s3cret";
/// What anonymous sessions say.
pub const GUEST: &str = "guest@example.net";

/// The variable that says where a server keeps what it makes: of tests each in a directory of its own.
pub const STATE: &str = "LONGSHORE_SERVER_STATE_DIRECTORY";

/// Every password that was sent.
static PASSWORDS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Fails where a text holds a password of the tests.
#[track_caller]
pub fn check_no_password(what: &str, text: &str) {
    let passwords = PASSWORDS.lock().unwrap_or_else(PoisonError::into_inner);
    for password in passwords.iter().map(String::as_str).chain([PASSWORD]) {
        assert!(!text.contains(password), "the password {password:?} is in {what}:\n{text}");
    }
}

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

    /// A file in it, as arguments and configuration files name it.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("directories of tests are ASCII").to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if std::fs::remove_dir_all(&self.0).is_err() {
            // A test has closed something in it to everybody, itself included.
            let _ = Command::new("chmod").args(["-R", "u+rwX"]).arg(&self.0).status();
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Runs the program to its end: what it printed on both streams, and whether it succeeded.
pub fn run(arguments: &[&str], input: &str) -> (String, String, bool) {
    run_with_input(arguments, &[], input)
}

/// The same with environment variables.
pub fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> (String, String, bool) {
    run_with_input(arguments, variables, "")
}

fn run_with_input(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> (String, String, bool) {
    let state = Directory::new("state");
    let mut child = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(arguments)
        .env(STATE, state.path())
        .env_remove("LONGSHORE_PASSWORD")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("longshore runs");
    // It may end without reading.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.success())
}

/// The hash of [`PASSWORD`], for configuration files.
pub fn hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let (hash, complaint, hashed) = run(&["hash-password"], PASSWORD);
        assert!(hashed, "{complaint}");
        hash.trim().to_owned()
    })
}

/// An account of a configuration file with [`PASSWORD`].
pub fn account(name: &str, root: &Path) -> String {
    format!(
        "[[account]]\nname = {name:?}\npassword = {:?}\nroot = {:?}\n",
        hash(),
        root.display().to_string()
    )
}

/// A running `longshore serve`. When it is dropped, all that it has said is searched for passwords.
pub struct Server {
    child: Child,
    output: Output,
    /// All that it said on standard output, as far as it was read.
    said: String,
    errors: PathBuf,
    logs: Vec<PathBuf>,
    _state: Directory,
    pub address: SocketAddr,
    pub announcement: String,
}

/// Standard output: left alone, or read line by line as it comes.
enum Output {
    Unread(BufReader<ChildStdout>),
    Followed(Receiver<String>),
    Ended,
}

/// `longshore serve` with a password for --user, and the log that people read.
pub fn serve(arguments: &[&str]) -> Command {
    let mut command = serve_as_it_comes(arguments);
    command.args(["--log-format", "text"]);
    command
}

/// The same with the log that programs read.
pub fn serve_json(arguments: &[&str]) -> Command {
    let mut command = serve_as_it_comes(arguments);
    command.args(["--log-format", "json"]);
    command
}

fn serve_as_it_comes(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command.arg("serve").args(arguments).env("LONGSHORE_PASSWORD", PASSWORD).stdin(Stdio::null());
    command
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
        let program = env!("CARGO_BIN_EXE_longshore");
        let mut command = Command::new(launcher[0]);
        command
            .args(&launcher[1..])
            .args([program, "serve", "--log-format", "text"])
            .args(own)
            .args(arguments);
        command.env("LONGSHORE_PASSWORD", PASSWORD).stdin(Stdio::null());
        Server::launch(command)
    }

    pub fn start_with(arguments: &[&str]) -> Server {
        Server::launch(serve(arguments))
    }

    /// Starts a command that becomes a server, and waits until it listens.
    pub fn launch(mut command: Command) -> Server {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let errors = std::env::temp_dir().join(format!("longshore-stderr-{}-{count}", std::process::id()));
        let state = Directory::new("state");
        if !command.get_envs().any(|(name, _)| name == STATE) {
            command.env(STATE, state.path());
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).expect("a file for what it complains about"))
            .spawn()
            .expect("longshore starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut server = Server {
            child,
            output: Output::Unread(stdout),
            said: String::new(),
            errors,
            logs: Vec::new(),
            _state: state,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            announcement: String::new(),
        };
        server.read_announcement();
        server
    }

    /// Three parts that end with an empty line, or the event in JSON; with the latter people read standard error.
    fn read_announcement(&mut self) {
        let Output::Unread(stdout) = &mut self.output else { panic!("nothing was read yet") };
        let mut blank = 0;
        while blank < 3 {
            let before = self.said.len();
            let read = stdout.read_line(&mut self.said).expect("the announcement");
            let line = &self.said[before..];
            if read == 0 {
                let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
                panic!("the server ended at once:\n{}{errors}", self.said);
            }
            if line.starts_with('{') {
                if !line.contains("\"event\":\"started\"") {
                    continue;
                }
                let addresses = line.split_once("\"addresses\":[\"").expect("addresses").1;
                self.address = addresses.split('"').next().and_then(|text| text.parse().ok()).expect("one");
                self.announcement = std::fs::read_to_string(&self.errors).expect("it is there");
                return;
            }
            blank += usize::from(line.trim().is_empty());
        }
        self.announcement = self.said.clone();
        self.address = self
            .announcement
            .split_once("ftp://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .and_then(|(address, _)| address.parse().ok())
            .expect("an address in the announcement");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// This file is searched for passwords too.
    pub fn also_logs_to(&mut self, file: &Path) {
        self.logs.push(file.to_owned());
    }

    /// What it complained about so far.
    pub fn complaints(&self) -> String {
        std::fs::read_to_string(&self.errors).expect("it is there")
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is gone");
    }

    pub fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &process]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Reads its standard output from now on, so that [`Server::wait_for`] need not wait for ever.
    fn follow(&mut self) -> &Receiver<String> {
        if let Output::Unread(_) = self.output {
            let Output::Unread(mut stdout) = std::mem::replace(&mut self.output, Output::Ended) else {
                unreachable!("it was a moment ago")
            };
            let (tell, told) = channel();
            std::thread::spawn(move || {
                let mut line = Vec::new();
                while stdout.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                    // The test may have ended.
                    let _ = tell.send(String::from_utf8_lossy(&line).into_owned());
                    line.clear();
                }
            });
            self.output = Output::Followed(told);
        }
        let Output::Followed(lines) = &self.output else { panic!("its output has ended") };
        lines
    }

    /// The next line of its log, if it goes on.
    pub fn next_line(&mut self) -> Option<String> {
        let line = self.follow().recv_timeout(PATIENCE).ok()?;
        self.said.push_str(&line);
        Some(line)
    }

    /// The next line of its log that holds these words.
    #[track_caller]
    pub fn wait_for(&mut self, words: &str) -> String {
        loop {
            let line = self.next_line();
            let line = line.unwrap_or_else(|| panic!("{words:?} is in no line of:\n{}", self.said));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Whether the next line that holds either holds the first.
    #[track_caller]
    pub fn wait_for_either(&mut self, first: &str, second: &str) -> bool {
        loop {
            let line = self.next_line().unwrap_or_else(|| panic!("neither is in a line of:\n{}", self.said));
            if line.contains(first) || line.contains(second) {
                return line.contains(first);
            }
        }
    }

    /// What is left of its log, once it has ended.
    fn read_rest(&mut self) -> String {
        if matches!(self.output, Output::Ended) {
            return String::new();
        }
        let rest: String = self.follow().iter().collect();
        self.output = Output::Ended;
        self.said.push_str(&rest);
        rest
    }

    /// Waits for the end; whether it was a good one.
    pub fn ends_well(&mut self) -> bool {
        self.exit_code() == Some(0)
    }

    /// Waits for the end; `None` where there is none in time, or a signal brought it.
    pub fn exit_code(&mut self) -> Option<i32> {
        let limit = std::time::Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().expect("it is our child") {
                Some(ended) => return ended.code(),
                None if std::time::Instant::now() > limit => return None,
                None => std::thread::yield_now(),
            }
        }
    }

    /// SIGINT, while nobody reads the log; whether it ended well.
    pub fn interrupt_unread(mut self) -> bool {
        self.signal("INT");
        self.ends_well()
    }

    /// SIGINT; what it logged since the last look, and whether it ended well.
    pub fn interrupt(mut self) -> (String, bool) {
        self.signal("INT");
        let log = self.read_rest();
        let ended = self.child.wait().expect("it ends");
        (log, ended.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.read_rest();
        let complaints = std::fs::read_to_string(&self.errors).unwrap_or_default();
        let _ = std::fs::remove_file(&self.errors);
        if std::thread::panicking() {
            return;
        }
        check_no_password("the output", &self.said);
        check_no_password("the complaints", &complaints);
        for file in &self.logs {
            let bytes = std::fs::read(file).unwrap_or_default();
            check_no_password(&file.display().to_string(), &String::from_utf8_lossy(&bytes));
        }
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
        self.log_in(USER, PASSWORD, 230);
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

    pub fn log_in(&mut self, user: &str, password: &str, code: u16) {
        self.say(&format!("USER {user}"), 331);
        self.say(&format!("PASS {password}"), code);
    }

    pub fn send(&mut self, command: &str) -> bool {
        if let Some(password) = command.strip_prefix("PASS ") {
            assert!(password.len() >= 6, "{password:?} may stand in a log by chance: choose a longer one");
            PASSWORDS.lock().unwrap_or_else(PoisonError::into_inner).insert(password.to_owned());
        }
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
