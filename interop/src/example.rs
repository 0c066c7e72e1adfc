//! A worked configuration of `examples/`, tried as its README says.
//!
//! The folder is copied, the commands of the README are run in the copy one block after the other, and each must show
//! what the README promises. What has to be different on the machine of a test is one table: [`Words`]. Not inside:
//! what else must be true after each block; that is in `tests/`.

use std::collections::VecDeque;
use std::fs;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::folder::Folder;
use crate::ports::PortBlock;
use crate::readme::{Block, blocks, missing};
use crate::results::profile_folder;
use crate::shell::{Ended, Shell, read};
use crate::wait::{poll, wait_for};

/// How long something may take that takes milliseconds.
const BOUND: Duration = Duration::from_secs(60);

/// So many lines of each file are shown when a test fails.
const LAST_LINES: usize = 30;

/// The name that every README gives the server.
const HOST: &str = "ftp.example.com";

/// A copy of an example, and the shell in which its README is followed.
#[derive(Debug)]
pub struct Example {
    shell: Shell,
    blocks: VecDeque<Block>,
    words: Words,
    copy: PathBuf,
    environment: Vec<(String, String)>,
    shells: usize,
    // Dropped after the shells are dead: ports and folder are free only then.
    folder: Folder,
    ports: Option<PortBlock>,
}

/// A shell beside that of the README: another machine, or another window.
#[derive(Debug)]
pub struct Beside {
    shell: Shell,
    words: Words,
}

/// What stands in an example, and what takes its place in a test.
#[derive(Clone, Debug, Default)]
struct Words {
    pairs: Vec<(String, String)>,
}

impl Words {
    /// Folders of the system become folders of the test, and users become one that every machine has; without
    /// root, nobody else's files can be made, and all belongs to whoever runs the test.
    fn of_machine(folder: &Path) -> Words {
        let mut words = Words::default();
        for path in ["/srv/", "/etc/longshore", "/var/log/longshore"] {
            words.put(path, format!("{}{path}", folder.display()));
        }
        if rustix::process::geteuid().is_root() {
            words.put("user = \"ftp\"", "user = \"nobody\"");
            words.put("-o ftp -g ftp", "-o 65534 -g 65534");
            words.put("-o root -g ftp", "-o root -g 65534");
        } else {
            words.put("user = \"ftp\"", "");
            words.put("-o ftp -g ftp", "");
            words.put("-o root -g ftp", "");
        }
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
            words.put(", \"[::]:21\"", "");
        }
        words
    }

    /// Addresses become those of the loopback, ports free ones. `configuration` is where the range is read.
    fn and_of_network(mut self, ports: &PortBlock, configuration: &str) -> Words {
        let block = ports.argument();
        let (first, last) = block.split_once('-').expect("a range");
        let first: u16 = first.parse().expect("a port");
        self.put(HOST, format!("127.0.0.1:{first}"));
        self.put("\"0.0.0.0:21\"", format!("\"127.0.0.1:{first}\""));
        self.put("\"[::]:21\"", format!("\"[::1]:{first}\""));
        let range = configuration.lines().find_map(|line| line.strip_prefix("passive_ports = "));
        let range = range.expect("every example names its passive ports").trim_matches('"');
        self.put(range, format!("{}-{last}", first + 1));
        // Networks of clients, and the clients in them; 127.0.1.1 and so on are somewhere else.
        self.put("192.168.20.0/24", "127.0.0.0/24");
        self.put("192.168.20.31", "127.0.0.1");
        self.put("198.51.100.0/24", "127.0.0.0/24");
        self.put("198.51.100.7", "127.0.0.1");
        // Whatever day it is when the test runs.
        self.put("Mon-Sat 04:00-22:00", "Mon-Sun");
        self
    }

    fn put(&mut self, word: &str, instead: impl Into<String>) {
        self.pairs.push((word.to_owned(), instead.into()));
    }

    fn apply(&self, text: &str) -> String {
        self.pairs.iter().fold(text.to_owned(), |text, (word, instead)| text.replace(word, instead))
    }
}

impl Example {
    /// Copies an example and begins to follow its README, on ports and addresses of its own.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn open(name: &str) -> Example {
        Example::open_with(name, &[])
    }

    /// The same with more variables in the environment of every command.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn open_with(name: &str, environment: &[(&str, &str)]) -> Example {
        let ports = PortBlock::take();
        Example::begin(name, &[], Some(ports), environment)
    }

    /// The same on another machine, by the words of `launcher`: there, addresses and ports stay as they are.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn open_on(launcher: &[String], name: &str) -> Example {
        Example::begin(name, launcher, None, &[])
    }

    #[track_caller]
    fn begin(
        name: &str,
        launcher: &[String],
        ports: Option<PortBlock>,
        environment: &[(&str, &str)],
    ) -> Example {
        let folder = Folder::new("example");
        let mut words = Words::of_machine(folder.path());
        if let Some(ports) = &ports {
            words = words.and_of_network(
                ports,
                &fs::read_to_string(original(name, "longshore.toml")).expect("a file"),
            );
        }
        for path in ["srv", "etc", "var/log", "bin", "home"] {
            fs::create_dir_all(folder.path().join(path)).expect("a folder within our own");
        }
        // Nobody vouches for the certificate of a test.
        fs::write(folder.path().join("home/.lftprc"), "set ssl:verify-certificate no\n")
            .expect("a file within our own");
        let copy = folder.path().join("here");
        copy_files(&original(name, ""), &copy, &words);
        symlink(program(), folder.path().join("bin/longshore")).expect("a link within our own folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut variables = vec![
            ("PATH".to_owned(), format!("{}:{path}", folder.path().join("bin").display())),
            ("HOME".to_owned(), folder.path().join("home").display().to_string()),
            ("STATE_DIRECTORY".to_owned(), folder.path().join("var/lib").display().to_string()),
            ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
            ("no_proxy".to_owned(), "*".to_owned()),
        ];
        variables.extend(environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        let blocks =
            blocks(&fs::read_to_string(original(name, "README.md")).expect("every example has a README"));
        let shell = Shell::start(launcher, &copy, &folder.path().join("shown/0"), &variables);
        Example {
            shell,
            blocks: blocks.into(),
            words,
            copy,
            environment: variables,
            shells: 0,
            folder,
            ports,
        }
    }

    /// Runs the README's next block, which must hold `sign`, and returns what it printed.
    ///
    /// # Panics
    /// When it fails, or does not show what the README promises.
    #[track_caller]
    pub fn run(&mut self, sign: &str) -> String {
        let block = self.next(sign);
        let ended = self.shell.run(&self.words.apply(&block.commands), true);
        assert!(ended.succeeded, "line {} of the README fails:\n{}", block.line, ended.output);
        self.shows(&block, &ended);
        ended.output
    }

    /// Runs the README's next block, whose last command the server refuses.
    ///
    /// # Panics
    /// When it succeeds, or does not show what the README promises.
    #[track_caller]
    pub fn refuse(&mut self, sign: &str) -> String {
        let block = self.next(sign);
        let ended = self.shell.run(&self.words.apply(&block.commands), false);
        assert!(!ended.succeeded, "line {} of the README should be refused:\n{}", block.line, ended.output);
        self.shows(&block, &ended);
        ended.output
    }

    /// Runs the README's next block, which looks at a log, again and again until it shows what is promised: a line of
    /// the log may come a moment after the reply.
    ///
    /// # Panics
    /// When it never does.
    #[track_caller]
    pub fn look(&mut self, sign: &str) -> String {
        let block = self.next(sign);
        let shown: Vec<String> = block.shown.iter().map(|line| self.words.apply(line)).collect();
        assert!(!shown.is_empty(), "line {} of the README promises nothing", block.line);
        let commands = self.words.apply(&block.commands);
        let mut last = String::new();
        let found = poll(BOUND, || {
            last = self.shell.run(&commands, false).output;
            missing(&shown, &last).is_none().then(|| last.clone())
        });
        let wanted = missing(&shown, &last).unwrap_or_default();
        found.unwrap_or_else(|| panic!("line {}: {wanted:?} never came:\n{last}", block.line))
    }

    /// Runs the README's next block, which starts the server in the background, and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn serve(&mut self, sign: &str) {
        let block = self.next(sign);
        let ended = self.shell.run(&self.words.apply(&block.commands), true);
        assert!(ended.succeeded, "line {} of the README fails:\n{}", block.line, ended.output);
        wait_for("the server's announcement", BOUND, || {
            read(&ended.file).contains("listening").then_some(())
        });
        self.shows(&block, &Ended { output: read(&ended.file), ..ended });
    }

    #[track_caller]
    fn next(&mut self, sign: &str) -> Block {
        let block = self.blocks.pop_front().unwrap_or_else(|| panic!("the README ends before {sign:?}"));
        let Block { line, commands, .. } = &block;
        assert!(
            commands.contains(sign),
            "line {line} of the README is not the block of {sign:?}:\n{commands}"
        );
        block
    }

    #[track_caller]
    fn shows(&self, block: &Block, ended: &Ended) {
        let shown: Vec<String> = block.shown.iter().map(|line| self.words.apply(line)).collect();
        if let Some(missing) = missing(&shown, &ended.output) {
            panic!("line {} of the README promises {missing:?}, shown is:\n{}", block.line, ended.output);
        }
    }

    /// Runs commands that are not the README's, in the words of the README, and returns what they printed.
    ///
    /// # Panics
    /// When they fail.
    #[track_caller]
    pub fn also(&mut self, commands: &str) -> String {
        let ended = self.shell.run(&self.words.apply(commands), true);
        assert!(ended.succeeded, "failed: {commands}\n{}", ended.output);
        ended.output
    }

    /// Runs commands that are not the README's and that the server refuses; returns what they printed.
    ///
    /// # Panics
    /// When they succeed.
    #[track_caller]
    pub fn not(&mut self, commands: &str) -> String {
        let ended = self.shell.run(&self.words.apply(commands), false);
        assert!(!ended.succeeded, "should be refused: {commands}\n{}", ended.output);
        ended.output
    }

    /// Another shell beside this one, by the words of `launcher`.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn beside(&mut self, launcher: &[String]) -> Beside {
        self.shells += 1;
        let outputs = self.folder.path().join(format!("shown/{}", self.shells));
        let shell = Shell::start(launcher, &self.copy, &outputs, &self.environment);
        Beside { shell, words: self.words.clone() }
    }

    /// Runs the README's next block in another shell.
    ///
    /// # Panics
    /// When it fails, or does not show what the README promises.
    #[track_caller]
    pub fn run_beside(&mut self, other: &mut Beside, sign: &str) -> String {
        std::mem::swap(&mut self.shell, &mut other.shell);
        let output = self.run(sign);
        std::mem::swap(&mut self.shell, &mut other.shell);
        output
    }

    /// Runs the README's next block, whose last command fails, in another shell.
    ///
    /// # Panics
    /// When it succeeds, or does not show what the README promises.
    #[track_caller]
    pub fn refuse_beside(&mut self, other: &mut Beside, sign: &str) -> String {
        std::mem::swap(&mut self.shell, &mut other.shell);
        let output = self.refuse(sign);
        std::mem::swap(&mut self.shell, &mut other.shell);
        output
    }

    /// Puts a program in the way of one that the README calls and that must not be called in a test.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn put_program(&self, name: &str, script: &str) {
        let path = self.folder.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file within our own folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
    }

    /// Where a path of the README lies in the test.
    pub fn path(&self, path: &str) -> PathBuf {
        self.copy.join(self.words.apply(path))
    }

    /// The contents of a file by its path in the README.
    pub fn read(&self, path: &str) -> String {
        read(&self.path(path))
    }

    /// Waits until a file, by its path in the README, has a line that holds all these texts.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn wait_for_line(&self, path: &str, texts: &[&str]) -> String {
        wait_for(&format!("a line of {path} with {texts:?}"), BOUND, || {
            let text = self.read(path);
            let mut lines = text.lines().map(str::to_owned);
            lines.find(|line| texts.iter().all(|text| line.contains(text)))
        })
    }

    /// Where the server of the README listens.
    pub fn address(&self) -> SocketAddr {
        self.words.apply(HOST).parse().expect("the name stands for an address in a test")
    }

    /// Ends the server by SIGTERM; the README must be at its end.
    ///
    /// # Panics
    /// When it does not end with success, or blocks of the README were not run.
    #[track_caller]
    pub fn end(&mut self) {
        if let Some(block) = self.blocks.front() {
            panic!("line {} of the README was not run: {}", block.line, block.commands);
        }
        self.also("kill \"$server\"; wait \"$server\"");
    }
}

impl Beside {
    /// Runs commands, in the words of the README, and returns what they printed.
    ///
    /// # Panics
    /// When they fail.
    #[track_caller]
    pub fn run(&mut self, commands: &str) -> String {
        let ended = self.shell.run(&self.words.apply(commands), true);
        assert!(ended.succeeded, "failed: {commands}\n{}", ended.output);
        ended.output
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let places = [self.folder.path().join("shown"), self.path("/var/log/longshore")];
        for file in places.iter().flat_map(|place| files_below(place)) {
            let text = read(&file);
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
            eprintln!("---- {}, {} lines:\n{}", file.display(), lines.len(), last.join("\n"));
        }
        if let Some(ports) = &self.ports {
            eprintln!("---- ports {}", ports.argument());
        }
    }
}

/// A file of an example as it stands in the repository.
pub(crate) fn original(name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name).join(file)
}

/// A file of an example, as it stands in the repository.
///
/// # Panics
/// When it is not there.
#[track_caller]
pub fn shipped(name: &str, file: &str) -> String {
    let path = original(name, file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The program under test.
fn program() -> PathBuf {
    let built = || profile_folder().join("longshore");
    let path = std::env::var_os("LONGSHORE_BINARY").map_or_else(built, PathBuf::from);
    assert!(path.is_file(), "{} is not there; `cargo build --package longshore` makes it", path.display());
    path
}

fn copy_files(from: &Path, to: &Path, words: &Words) {
    fs::create_dir_all(to).expect("a folder within our own");
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).expect("it lies below"));
        let text = fs::read_to_string(&file).expect("examples are text");
        fs::write(target, words.apply(&text)).expect("a file within our own folder");
    }
}

/// The files of a folder and of the folders in it.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    let mut files: Vec<PathBuf> = entries.flat_map(|entry| below(entry.path())).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_changed_in_their_order() {
        let mut words = Words::default();
        words.put("/srv/", "/there/srv/");
        words.put("ftp.example.com", "127.0.0.1:2000");
        let text = "root = \"/srv/a\"; curl ftp://ftp.example.com/srv";
        assert_eq!(words.apply(text), "root = \"/there/srv/a\"; curl ftp://127.0.0.1:2000/srv");
    }
}
