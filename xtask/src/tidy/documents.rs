//! The documents that a reader expects to find.

use std::path::Path;
use std::{fs, io};

use super::SourceFile;
use crate::Result;

/// What lies at the root, for whoever looks there first.
const AT_THE_ROOT: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "clippy.toml",
    "deny.toml",
    "rustfmt.toml",
    ".ci/run",
];

/// Checks the documents at the root and those of the examples.
pub(super) fn check(root: &Path, files: &[SourceFile]) -> Result<Vec<String>> {
    let is_there = |name: &str| files.iter().any(|file| file.name == name);
    let mut complaints: Vec<String> =
        AT_THE_ROOT.iter().filter(|name| !is_there(name)).map(|name| format!("{name} is missing")).collect();
    if let Some(changelog) = files.iter().find(|file| file.name == "CHANGELOG.md")
        && !has_unreleased(&changelog.text)
    {
        complaints.push("CHANGELOG.md: no section `## Unreleased`".to_owned());
    }
    for example in folders(&root.join("examples"))? {
        let readme = format!("examples/{example}/README.md");
        if !is_there(&readme) {
            complaints.push(format!("{readme} is missing"));
        }
    }
    Ok(complaints)
}

fn has_unreleased(changelog: &str) -> bool {
    changelog.lines().any(|line| matches!(line.trim_end(), "## Unreleased" | "## [Unreleased]"))
}

/// The names of the folders in a folder; none where there is no such folder.
fn folders(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unreleased_section_is_a_heading() {
        assert!(has_unreleased("# Changes\n\n## Unreleased\n"));
        assert!(has_unreleased("## [Unreleased]\n"));
        assert!(!has_unreleased("### Unreleased\n"));
        assert!(!has_unreleased("Unreleased\n"));
    }
}
