//! A copy of the protocol crate below `target`, in which one mutation after the other is made, built and tested.
//!
//! Files are written only where they differ, so that cargo builds no more than it must. The copy has a workspace of its
//! own, with the versions of the lock file.
//!
//! Not inside: what is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::CRATE_FOLDER;
use super::list::{Mutation, Test};
use crate::Result;
use crate::process::cargo;

/// The folders that are copied: the crate, and what it is made of.
const FOLDERS: [&str; 2] = ["crates/longshore-path", CRATE_FOLDER];
/// For one test. A slip may make the session turn round and round.
const TEST_LIMIT: Duration = Duration::from_secs(60);

/// What came of a mutation.
pub(super) enum Outcome {
    /// This test has failed.
    Caught(Test),
    /// All of its tests have passed.
    Survived,
}

pub(super) struct Workbench {
    /// The root of the copy.
    tree: PathBuf,
    /// Where cargo builds it.
    target: PathBuf,
}

/// What one run of a test came to.
enum Verdict {
    Passed,
    Failed,
    /// It was not there, or did not end.
    Nothing(String),
}

impl Workbench {
    /// Makes the copy, or brings it up to date.
    pub(super) fn open(root: &Path) -> Result<Workbench> {
        let folder = root.join("target/mutations");
        let workbench = Workbench { tree: folder.join("tree"), target: folder.join("target") };
        for folder in FOLDERS {
            mirror(&root.join(folder), &workbench.tree.join(folder))?;
        }
        let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
        let members = FOLDERS.map(|folder| format!("{folder:?}")).join(", ");
        let lines = manifest.lines().filter(|line| !line.starts_with("default-members")).map(|line| {
            if line.starts_with("members = ") { format!("members = [{members}]") } else { line.to_owned() }
        });
        let manifest = lines.collect::<Vec<_>>().join("\n");
        write_if_new(&workbench.tree.join("Cargo.toml"), manifest.as_bytes())?;
        // Cargo takes from it what this workspace does not need, so it is never as it was.
        fs::copy(root.join("Cargo.lock"), workbench.tree.join("Cargo.lock"))?;
        Ok(workbench)
    }

    /// Whether these tests exist and pass while nothing is changed: one that fails anyhow notices nothing.
    ///
    /// # Errors
    /// One does not.
    pub(super) fn check_unchanged(&self, tests: &BTreeSet<&Test>) -> Result<()> {
        let programs = self.build(tests)?;
        for test in tests {
            match self.verdict(&programs, test)? {
                Verdict::Passed => {}
                Verdict::Failed => return Err(format!("{test} fails without any mutation").into()),
                Verdict::Nothing(why) => return Err(format!("{test}: {why}").into()),
            }
        }
        Ok(())
    }

    /// Makes a mutation, runs its tests until one fails, and takes it back.
    ///
    /// # Errors
    /// It does not apply, does not compile, or one of its tests says neither yes nor no.
    pub(super) fn outcome(&self, mutation: &Mutation) -> Result<Outcome> {
        let folder = self.tree.join(CRATE_FOLDER);
        let changed = mutation.changed(|file| Ok(fs::read_to_string(folder.join(file))?))?;
        let mut originals = Vec::new();
        for (file, text) in &changed {
            let path = folder.join(file);
            originals.push((path.clone(), fs::read(&path)?));
            fs::write(&path, text)?;
        }
        let outcome = self.outcome_as_it_is(mutation);
        for (path, text) in originals {
            fs::write(path, text)?;
        }
        outcome
    }

    fn outcome_as_it_is(&self, mutation: &Mutation) -> Result<Outcome> {
        let programs = self.build(&mutation.tests.iter().collect())?;
        for test in &mutation.tests {
            match self.verdict(&programs, test)? {
                Verdict::Passed => {}
                Verdict::Failed => return Ok(Outcome::Caught(test.clone())),
                Verdict::Nothing(why) => return Err(format!("{test}: {why}").into()),
            }
        }
        Ok(Outcome::Survived)
    }

    /// Builds the targets of these tests; the program of each, by its name.
    fn build(&self, tests: &BTreeSet<&Test>) -> Result<BTreeMap<String, PathBuf>> {
        let targets: BTreeSet<&str> = tests.iter().map(|test| test.target.as_str()).collect();
        let mut command = cargo(&self.tree);
        command.args(["test", "--no-run", "--package", "longshore-proto"]);
        command.arg("--message-format=json-render-diagnostics");
        for target in &targets {
            match *target {
                "lib" => command.arg("--lib"),
                target => command.args(["--test", target]),
            };
        }
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_INCREMENTAL", "1");
        let output = command.output().map_err(|error| format!("cargo did not start: {error}"))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!("it does not compile, and so no test can notice it:\n{errors}").into());
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let programs: Vec<&str> = messages.lines().filter_map(executable).collect();
        let program = |target: &str| -> Result<(String, PathBuf)> {
            let prefix = if target == "lib" { "longshore_proto-" } else { target };
            let found = programs.iter().find(|program| {
                let name = program.rsplit('/').next().unwrap_or_default();
                name.strip_prefix(prefix).is_some_and(|rest| prefix.ends_with('-') || rest.starts_with('-'))
            });
            let found = found.ok_or_else(|| format!("cargo has built no tests of the name {target}"))?;
            Ok((target.to_owned(), PathBuf::from(found)))
        };
        targets.into_iter().map(program).collect()
    }

    fn verdict(&self, programs: &BTreeMap<String, PathBuf>, test: &Test) -> Result<Verdict> {
        let mut child = Command::new(&programs[&test.target])
            .args(["--exact", &test.name, "--test-threads=1"])
            .current_dir(self.tree.join(CRATE_FOLDER))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut stdout = child.stdout.take().expect("it was asked for");
        let (send, told) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            // Whatever was read until then says enough.
            let _ = stdout.read_to_end(&mut text);
            let _ = send.send(String::from_utf8_lossy(&text).into_owned());
        });
        let text = told.recv_timeout(TEST_LIMIT);
        if text.is_err() {
            child.kill()?;
        }
        child.wait()?;
        reader.join().expect("the reader never panics");
        let Ok(text) = text else {
            let seconds = TEST_LIMIT.as_secs();
            return Ok(Verdict::Nothing(format!("it did not end within {seconds} s; name another test")));
        };
        let says = |verdict: &str| text.contains(&format!("test {} ... {verdict}\n", test.name));
        Ok(if says("FAILED") {
            Verdict::Failed
        } else if says("ok") {
            Verdict::Passed
        } else {
            Verdict::Nothing("there is no such test, or it ended without a word".to_owned())
        })
    }
}

/// The program of a message of cargo's that tells of one.
fn executable(message: &str) -> Option<&str> {
    message.split_once("\"executable\":\"")?.1.split('"').next()
}

/// Makes a folder like another one.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            mirror(&entry.path(), &copy)?;
        } else {
            write_if_new(&copy, &fs::read(entry.path())?)?;
        }
        names.insert(entry.file_name());
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if names.contains(&entry.file_name()) {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// A file that is as it should be keeps its time, and is not built again.
fn write_if_new(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    Ok(fs::write(path, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_the_messages_of_cargo() {
        let message = r#"{"reason":"compiler-artifact","profile":{"test":true},"executable":"/a/dialogues-0f","fresh":false}"#;
        assert_eq!(executable(message), Some("/a/dialogues-0f"));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
    }
}
