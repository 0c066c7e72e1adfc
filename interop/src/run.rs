//! Foreign programs within a time bound: none outlives its test, and what it said is shown when it fails.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::wait::poll;

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    line: String,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

/// A program that has ended, and what it said.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error.
    pub stderr: Vec<u8>,
    line: String,
}

/// Runs a command to its end.
///
/// # Panics
/// When it does not start, or has not ended after `bound`; it is killed then.
#[track_caller]
pub fn run(command: &mut Command, bound: Duration) -> Finished {
    Running::start(command).finish(bound)
}

impl Running {
    /// Starts a command in a process group of its own, without input.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(command: &mut Command) -> Running {
        Running::start_with_input(command, None)
    }

    /// Starts a command that finds these bytes on its standard input.
    #[track_caller]
    pub(crate) fn start_with_input(command: &mut Command, input: Option<Vec<u8>>) -> Running {
        let line = format!("{command:?}");
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{line} did not start: {error}"));
        if let Some(input) = input {
            let mut stdin = child.stdin.take().expect("stdin is a pipe");
            // A thread, for the command may wait for us to read before it reads; and it may end before it has read all.
            std::thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let stdout = child.stdout.take().map(read_all);
        let stderr = child.stderr.take().map(read_all);
        Running { child, line, stdout, stderr }
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it has not ended after `bound`; it is killed then.
    #[track_caller]
    pub fn finish(mut self, bound: Duration) -> Finished {
        let ended = poll(bound, || self.child.try_wait().expect("our own child can be waited for"));
        let Some(status) = ended else {
            let killed = self.kill();
            panic!("not ended after {} s and killed: {killed}", bound.as_secs());
        };
        self.collect(status)
    }

    /// Kills it with all that it started, without a chance to say goodbye.
    pub fn kill(mut self) -> Finished {
        let status = self.end();
        self.collect(status)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn end(&mut self) -> ExitStatus {
        let group = Pid::from_child(&self.child);
        // Fails when all of the group are gone, which is what is wanted.
        let _ = kill_process_group(group, Signal::KILL);
        self.child.wait().expect("our own child can be waited for")
    }

    fn collect(&mut self, status: ExitStatus) -> Finished {
        let join = |reader: Option<JoinHandle<Vec<u8>>>| reader.and_then(|reader| reader.join().ok());
        let stdout = join(self.stdout.take()).unwrap_or_default();
        let stderr = join(self.stderr.take()).unwrap_or_default();
        Finished { status, stdout, stderr, line: std::mem::take(&mut self.line) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_running() {
            self.end();
        }
    }
}

fn read_all(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A stream that breaks off still leaves what came before.
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

impl Finished {
    /// The same, if the program said that all went well.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn succeeded(self) -> Finished {
        assert!(self.status.success(), "failed: {self}");
        self
    }

    /// The same, if the program said that something went wrong, in its own words.
    ///
    /// # Panics
    /// When it succeeded, or was killed by a signal.
    #[track_caller]
    pub fn failed(self) -> Finished {
        assert!(self.status.signal().is_none() && !self.status.success(), "should have failed: {self}");
        self
    }

    /// Standard output as lines of bytes, without their ends.
    pub fn lines(&self) -> Vec<&[u8]> {
        let lines =
            self.stdout.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut lines: Vec<&[u8]> = lines.collect();
        lines.pop_if(|last| last.is_empty());
        lines
    }

    /// Whether its standard output or error holds this text.
    pub fn says(&self, text: &str) -> bool {
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        holds(&self.stdout) || holds(&self.stderr)
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ended with {}", self.line, self.status)?;
        for (name, bytes) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let shown = &bytes[..bytes.len().min(8192)];
            writeln!(f, "---- its {name}, {} bytes:\n{}", bytes.len(), String::from_utf8_lossy(shown))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_and_status_are_kept() {
        let finished = run(&mut shell("echo out; echo err >&2; exit 3"), Duration::from_secs(20)).failed();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!(finished.lines(), [b"out"]);
        assert!(finished.says("err") && finished.to_string().contains("err"));
    }

    #[test]
    #[should_panic(expected = "not ended after 0 s and killed")]
    fn a_program_that_hangs_is_killed_with_its_children() {
        // The child holds the pipes open: only killing the whole group lets the readers end.
        run(&mut shell("sleep 600 & wait"), Duration::ZERO);
    }
}
