//! `cargo xtask tidy`: what no compiler checks. The map names what exists, the sources are in order, the
//! documents that a reader expects are there.

mod documents;
mod marked;
mod modules;
mod sources;
mod system_calls;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// Whether the generated tables may be written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Only compare.
    Check,
    /// Write the tables of ARCHITECTURE.md and those of system calls anew, then check the rest.
    Fix,
}

/// One file of the repository.
struct SourceFile {
    /// From the root, with slashes.
    name: String,
    text: String,
}

impl SourceFile {
    fn is_rust(&self) -> bool {
        self.name.ends_with(".rs")
    }

    /// Whether this is the code of a library or program, not of a test.
    fn is_production(&self) -> bool {
        let inner: Vec<&str> = self.name.split('/').skip(2).collect();
        let in_tests = inner.first() != Some(&"src")
            || inner.iter().any(|part| matches!(*part, "tests" | "tests.rs"))
            || inner.last().is_some_and(|name| name.ends_with("_tests.rs"));
        self.name.starts_with("crates/") && self.is_rust() && !in_tests
    }

    /// The text before the tests that stand at its end.
    fn production(&self) -> &str {
        self.text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(&self.text)
    }
}

/// Runs every check and names all that is wrong, not only the first.
pub(crate) fn check(root: &Path, mode: Mode) -> Result<()> {
    let files = text_files(root)?;
    let mut complaints = Vec::new();
    let mut warnings = Vec::new();
    complaints.extend(tables::check(root, &files, mode)?);
    complaints.extend(system_calls::check(root, &files, mode)?);
    sources::check(root, &files, &mut complaints, &mut warnings);
    complaints.extend(modules::check(&files));
    complaints.extend(documents::check(root, &files)?);
    for warning in &warnings {
        println!("tidy: warning: {warning}");
    }
    println!("tidy: {} files, {} complaints, {} warnings", files.len(), complaints.len(), warnings.len());
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(format!("not tidy:\n  {}", complaints.join("\n  ")).into())
    }
}

/// Folders that git ignores, and its own.
const NOT_OF_THE_REPOSITORY: &[&str] = &[".git", "target", "fuzz/artifacts", "fuzz/corpus"];

/// Every file of text that belongs to the repository, sorted by name.
fn text_files(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let name = folder.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !NOT_OF_THE_REPOSITORY.iter().any(|folder| name == Path::new(folder)) {
                    folders.push(name);
                }
            } else if kind.is_file()
                && let Ok(text) = fs::read_to_string(entry.path())
            {
                let name =
                    name.to_str().ok_or_else(|| format!("{} is not UTF-8", name.display()))?.to_owned();
                files.push(SourceFile { name, text });
            }
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_not_production() {
        let is_production =
            |name: &str| SourceFile { name: name.to_owned(), text: String::new() }.is_production();
        assert!(is_production("crates/longshore-proto/src/reply.rs"));
        assert!(is_production("crates/longshore-proto/src/server/transfer.rs"));
        assert!(!is_production("crates/longshore-proto/src/server/tests.rs"));
        assert!(!is_production("crates/longshore-proto/src/tests/pair.rs"));
        assert!(!is_production("crates/longshore-proto/tests/dialogue.rs"));
        assert!(!is_production("xtask/src/main.rs"));
        assert!(!is_production("crates/longshore-proto/Cargo.toml"));
        let file =
            SourceFile { name: String::new(), text: "a\n\n#[cfg(test)]\nmod tests {\nb\n}\n".to_owned() };
        assert_eq!(file.production(), "a\n");
    }
}
