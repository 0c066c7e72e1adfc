//! A shell that is given one block of commands after the other, as somebody who reads a README would.
//!
//! Not inside: where the blocks come from ([`readme`](crate::readme)).

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// How long one block may take.
const BOUND: Duration = Duration::from_secs(120);

/// A shell that runs, with all that it started in the background. All of it is killed at the end.
#[derive(Debug)]
pub(crate) struct Shell {
    child: Child,
    commands: ChildStdin,
    /// The status of each block that has ended.
    statuses: Receiver<String>,
    /// For what the blocks print: `1.out`, `2.out` and so on.
    outputs: PathBuf,
    blocks: usize,
}

/// How a block ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What it printed, on both streams.
    pub(crate) output: String,
    pub(crate) succeeded: bool,
    /// Where more of it appears, if something was started in the background.
    pub(crate) file: PathBuf,
}

impl Shell {
    /// Starts one in `folder`, by the words of `launcher` (as `ip netns exec NAME`), if there are any. It and
    /// whatever it starts have this environment beside our own.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub(crate) fn start(
        launcher: &[String],
        folder: &Path,
        outputs: &Path,
        environment: &[(String, String)],
    ) -> Shell {
        fs::create_dir_all(outputs).expect("a folder within our own");
        let bash = ["bash", "--norc", "-euo", "pipefail", "-s"];
        let words: Vec<&str> = launcher.iter().map(String::as_str).chain(bash).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(folder).process_group(0);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let errors = fs::File::create(outputs.join("shell.err")).expect("a file within our own folder");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{words:?} did not start: {error}"));
        let commands = child.stdin.take().expect("stdin is a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let (sender, statuses) = channel();
        std::thread::spawn(move || {
            // Nobody listens any more when the test is over.
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Shell { child, commands, statuses, outputs: outputs.to_owned(), blocks: 0 }
    }

    /// Runs a block to its end. With `errexit` the first command that fails ends it, and the shell with it.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub(crate) fn run(&mut self, block: &str, errexit: bool) -> Ended {
        self.blocks += 1;
        let file = self.outputs.join(format!("{}.out", self.blocks));
        let target = file.to_str().expect("folders of tests have plain names");
        // The shell itself reads its commands from standard input, which is nobody else's.
        let inside = format!("{{\n{block}\n}} </dev/null >'{target}' 2>&1");
        let script = if errexit {
            format!("{inside}\necho 0\n")
        } else {
            format!("if {inside}\nthen echo 0\nelse echo $?\nfi\n")
        };
        // Fails when the shell is gone already, which is seen from its status.
        let _ = self.commands.write_all(script.as_bytes());
        let status = match self.statuses.recv_timeout(BOUND) {
            Ok(status) => Some(status),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                panic!("not ended after {} s: {block}\n{}", BOUND.as_secs(), read(&file))
            }
        };
        let succeeded = status.as_deref() == Some("0");
        let mut output = read(&file);
        if !succeeded {
            output += &read(&self.outputs.join("shell.err"));
        }
        Ended { output, succeeded, file }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Fails when all of the group are gone, which is what is wanted.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// What a file holds by now; nothing where it is not there yet.
pub(crate) fn read(file: &Path) -> String {
    fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Folder;

    fn shell(folder: &Folder) -> Shell {
        let environment = [("COLOUR".to_owned(), "green".to_owned())];
        Shell::start(&[], folder.path(), &folder.path().join("outputs"), &environment)
    }

    #[test]
    fn blocks_share_variables_and_have_outputs_of_their_own() {
        let folder = Folder::new("shell");
        let mut shell = shell(&folder);
        let first = shell.run("word=one\necho $word\necho error >&2", true);
        assert!(first.succeeded && first.output == "one\nerror\n", "{first:?}");
        let second = shell.run("echo $word $COLOUR; cat; pwd", true);
        let expected = format!("one green\n{}\n", folder.path().display());
        assert!(second.succeeded && second.output == expected, "{second:?}");
    }

    #[test]
    fn a_command_that_fails_ends_a_block() {
        let folder = Folder::new("shell");
        let mut first = shell(&folder);
        assert!(!first.run("false\necho on", true).succeeded);
        assert!(!first.run("echo on", true).succeeded, "the shell has ended");
        drop(first);
        let mut second = shell(&folder);
        let refused = second.run("echo before\n(exit 7)", false);
        assert!(!refused.succeeded && refused.output == "before\n", "{refused:?}");
        assert!(second.run("true", false).succeeded);
        assert!(!second.run("echo $missing", true).succeeded, "a variable that is not set is an error");
    }
}
