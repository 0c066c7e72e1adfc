//! The lists of mutations as they are written, and what one of them makes of the sources.
//!
//! ```text
//! # a remark
//! mutation a-name-of-its-own
//! what What would go wrong for a user.
//! test dialogues transfers::the_test_that_notices
//! file src/server/transfer.rs
//! old
//! |the lines as they are, which stand there exactly once
//! new
//! |the lines as the slip would have them
//! ```
//!
//! `test` names a target of the crate (`lib` for the tests within it) and a test of it; there may be several. `old` and
//! `new` may come again, in the same or in another `file`. A last line of a lone `|` on both sides, or on the old one
//! alone, takes the end of the line before with it.
//!
//! Not inside: making and running them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use super::LISTS_FOLDER;
use crate::Result;

/// A slip, and who must notice it.
#[derive(Debug, Default)]
pub(super) struct Mutation {
    pub(super) name: String,
    /// What would go wrong for a user.
    pub(super) what: String,
    pub(super) tests: Vec<Test>,
    edits: Vec<Edit>,
    /// The list in which it stands, and the line.
    pub(super) list: String,
}

#[derive(Debug)]
struct Edit {
    /// From the folder of the crate.
    file: String,
    old: Vec<String>,
    /// Missing until it was read.
    new: Option<Vec<String>>,
}

/// A test by the target that it is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    /// `lib`, or the name of a file or folder in `tests`.
    pub(super) target: String,
    /// With the modules that it is in.
    pub(super) name: String,
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.target, self.name)
    }
}

#[cfg(test)]
impl Test {
    /// The name without its modules.
    pub(super) fn function(&self) -> &str {
        self.name.rsplit("::").next().unwrap_or(&self.name)
    }

    /// Where it must stand, from the folder of the crate. Tests within the library are not looked for.
    pub(super) fn file(&self) -> String {
        match self.name.split_once("::") {
            Some((module, _)) => format!("tests/{}/{module}.rs", self.target),
            None => format!("tests/{}.rs", self.target),
        }
    }
}

impl Mutation {
    /// The files that it changes, as they are then. `source` reads a file of the crate.
    ///
    /// # Errors
    /// A file cannot be read, or what is to be changed does not stand there exactly once.
    pub(super) fn changed(
        &self,
        source: impl Fn(&str) -> Result<String>,
    ) -> Result<BTreeMap<String, String>> {
        let mut changed: BTreeMap<String, String> = BTreeMap::new();
        for edit in &self.edits {
            let text = match changed.get(&edit.file) {
                Some(text) => text.clone(),
                None => source(&edit.file).map_err(|error| format!("{}: {error}", edit.file))?,
            };
            let old = edit.old.join("\n");
            let new = edit.new.iter().flatten().map(String::as_str).collect::<Vec<_>>().join("\n");
            let count = text.matches(&old).count();
            if count != 1 {
                let first = edit.old.first().map(|line| line.trim()).unwrap_or_default();
                return Err(format!(
                    "{}: what is to be changed stands there {count} times, not once: `{first}` …",
                    edit.file
                )
                .into());
            }
            changed.insert(edit.file.clone(), text.replacen(&old, &new, 1));
        }
        Ok(changed)
    }
}

/// All lists, in the order of their names.
///
/// # Errors
/// A list is not written as it should be; the error names its line.
pub(super) fn read(root: &Path) -> Result<Vec<Mutation>> {
    let folder = root.join(LISTS_FOLDER);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        all.extend(parse(&name, &fs::read_to_string(&file)?)?);
    }
    let mut names = BTreeSet::new();
    match all.iter().find(|mutation| !names.insert(mutation.name.clone())) {
        Some(twice) => {
            Err(format!("{}: there is another {}; give it a name of its own", twice.list, twice.name).into())
        }
        None => Ok(all),
    }
}

fn parse(list: &str, text: &str) -> Result<Vec<Mutation>> {
    let mut all: Vec<Mutation> = Vec::new();
    let mut file = String::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{list}:{}", number + 1);
        let wrong = |why: &str| -> Result<Vec<Mutation>> { Err(format!("{place}: {why}: `{line}`").into()) };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        if key == "mutation" {
            let name = value.to_owned();
            all.push(Mutation { name, list: place, ..Mutation::default() });
            continue;
        }
        let Some(mutation) = all.last_mut() else { return wrong("a list begins with `mutation <name>`") };
        if let Some(text) = line.strip_prefix('|') {
            match mutation.edits.last_mut() {
                Some(Edit { new: Some(new), .. }) => new.push(text.to_owned()),
                Some(Edit { old, .. }) => old.push(text.to_owned()),
                None => return wrong("lines of the source come behind `old` or `new`"),
            }
            continue;
        }
        match (key, value.is_empty()) {
            ("what", false) => mutation.what = value.to_owned(),
            ("test", false) => match value.split_once(' ') {
                Some((target, name)) => {
                    mutation.tests.push(Test { target: target.to_owned(), name: name.to_owned() });
                }
                None => return wrong("a test is named by its target and its name"),
            },
            ("file", false) => file = value.to_owned(),
            ("old", true) => {
                mutation.edits.push(Edit { file: file.clone(), old: Vec::new(), new: None });
            }
            ("new", true) => match mutation.edits.last_mut() {
                Some(edit) if edit.new.is_none() => edit.new = Some(Vec::new()),
                _ => return wrong("`new` comes behind `old`"),
            },
            _ => {
                return wrong(
                    "known are mutation, what, test, file, old, new, and lines that begin with `|`",
                );
            }
        }
    }
    for mutation in &all {
        let lacks = if mutation.what.is_empty() {
            "what"
        } else if mutation.tests.is_empty() {
            "test"
        } else if mutation.edits.is_empty() {
            "old"
        } else if mutation.edits.iter().any(|edit| edit.old.is_empty() || edit.new.is_none()) {
            "lines behind old, and new"
        } else {
            continue;
        };
        return Err(format!("{}: {} lacks {lacks}", mutation.list, mutation.name).into());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str =
        "# a remark\n\nmutation one\nwhat Wrong.\ntest t m::f\nfile a.rs\nold\n|x\nnew\n|y\n|z\n";

    #[test]
    fn a_list_is_read() {
        let all = parse("list", SOUND).expect("it is sound");
        assert_eq!(all.len(), 1);
        assert_eq!(
            (all[0].name.as_str(), all[0].what.as_str(), all[0].list.as_str()),
            ("one", "Wrong.", "list:3")
        );
        assert_eq!(all[0].tests[0].to_string(), "t m::f");
        assert_eq!((all[0].tests[0].function(), all[0].tests[0].file()), ("f", "tests/t/m.rs".to_owned()));
        let changed = all[0].changed(|_| Ok("w\nx\n".to_owned())).expect("it applies");
        assert_eq!(changed["a.rs"], "w\ny\nz\n");
        for (text, why) in [("w\n", "0 times"), ("x\nx\n", "2 times")] {
            let error = all[0].changed(|_| Ok(text.to_owned())).expect_err("it does not apply").to_string();
            assert!(error.contains(why) && error.starts_with("a.rs"), "{error}");
        }
    }

    #[test]
    fn several_changes_of_one_file_follow_each_other() {
        let text = format!("{SOUND}old\n|z\nnew\n|v\n");
        let all = parse("list", &text).expect("it is sound");
        assert_eq!(all[0].changed(|_| Ok("x".to_owned())).expect("it applies")["a.rs"], "y\nv");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, why) in [
            ("what x\n", "list:1: a list begins"),
            ("mutation a\n|x\n", "list:2: lines of the source"),
            ("mutation a\ntest t\n", "list:2: a test is named"),
            ("mutation a\nnew\n", "list:2: `new` comes behind"),
            ("mutation a\nolder x\n", "list:2: known are"),
            ("mutation a\nwhat x\n", "list:1: a lacks test"),
            ("mutation a\nwhat x\ntest t f\nfile f\nold\n|x\n", "list:1: a lacks lines"),
        ] {
            let error = parse("list", text).expect_err("it is wrong").to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }
}
