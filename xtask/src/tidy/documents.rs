//! The documents that a reader expects to find, and the paths that they name.

use std::path::{Path, PathBuf};
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

/// What a path in backticks begins with when it means one of this repository.
const FOLDERS: &[&str] = &["crates/", "xtask/", "interop/", "fuzz/", "examples/", "docs/", ".ci/"];

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
    for document in files.iter().filter(|file| is_document(&file.name)) {
        complaints.extend(lost_paths(document, |path| root.join(path).exists()));
    }
    Ok(complaints)
}

/// Whether it is Markdown for readers: at the root, in `docs/` or in `examples/`.
fn is_document(name: &str) -> bool {
    name.ends_with(".md")
        && (!name.contains('/') || name.starts_with("docs/") || name.starts_with("examples/"))
}

/// A complaint for each path in the document that leads nowhere.
fn lost_paths(document: &SourceFile, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let folder = Path::new(&document.name).parent().unwrap_or(Path::new(""));
    let mut complaints = Vec::new();
    for (line, named) in named(&document.text) {
        let (text, path) = match &named {
            Named::Path(path) => (path, PathBuf::from(path)),
            Named::Link(target) => (target, folder.join(target)),
        };
        if !exists(&path) {
            complaints.push(format!("{}:{line}: `{text}` does not exist", document.name));
        }
    }
    complaints
}

/// Something in a document that must exist.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    /// Between backticks, from the root.
    Path(String),
    /// The target of a link without its anchor, from the document's folder.
    Link(String),
}

/// Every path that a text of Markdown names, with the line, counted from 1, on which it begins. Blocks of code are
/// left out: what stands there is typed somewhere else.
fn named(text: &str) -> Vec<(usize, Named)> {
    let mut found = Vec::new();
    let mut in_block = false;
    // A span of code that has begun, and the line on which it did; it may end on another one.
    let mut span: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        if fence || in_block || line.trim().is_empty() {
            span = None;
            continue;
        }
        let mut prose = String::new();
        for (index, piece) in line.split('`').enumerate() {
            if index > 0 {
                span = match span.take() {
                    None => Some((number, String::new())),
                    Some((begins, code)) => {
                        found.extend(path_in(&code).map(|path| (begins, Named::Path(path))));
                        None
                    }
                };
            }
            match &mut span {
                Some((_, code)) => code.push_str(piece),
                None => prose.push_str(piece),
            }
        }
        if let Some((_, code)) = &mut span {
            code.push(' ');
        }
        found.extend(link_targets(&prose).map(|target| (number, Named::Link(target))));
    }
    found
}

/// The path with which a span of code begins, where that is one of the repository; arguments may follow it.
fn path_in(code: &str) -> Option<String> {
    let first = code.split_whitespace().next()?;
    FOLDERS.iter().any(|folder| first.starts_with(folder)).then(|| first.to_owned())
}

/// The targets of `[text](target)` and `[name]: target` that lead to files.
fn link_targets(line: &str) -> impl Iterator<Item = String> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let defined = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
    inline.chain(defined).filter_map(|target| {
        // A title may follow.
        let target = target.split_whitespace().next()?.trim_start_matches('<').trim_end_matches('>');
        let file = target.split('#').next()?;
        let elsewhere = target.contains("://") || target.starts_with("mailto:");
        (!elsewhere && !file.is_empty()).then(|| file.to_owned())
    })
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

    #[track_caller]
    fn check_named(text: &str, paths: &[(usize, &str)], links: &[(usize, &str)]) {
        let (mut found_paths, mut found_links) = (Vec::new(), Vec::new());
        for (line, named) in named(text) {
            match named {
                Named::Path(path) => found_paths.push((line, path)),
                Named::Link(target) => found_links.push((line, target)),
            }
        }
        let own = |expected: &[(usize, &str)]| -> Vec<(usize, String)> {
            expected.iter().map(|&(line, text)| (line, text.to_owned())).collect()
        };
        assert_eq!((found_paths, found_links), (own(paths), own(links)), "{text:?}");
    }

    #[test]
    fn paths_in_backticks_are_found() {
        check_named("See `crates/a/src/lib.rs`.\n", &[(1, "crates/a/src/lib.rs")], &[]);
        check_named("a\n| `docs/a.md`, `.ci/run` |\n", &[(2, "docs/a.md"), (2, ".ci/run")], &[]);
        check_named("`examples/`, `interop/tests`\n", &[(1, "examples/"), (1, "interop/tests")], &[]);
        check_named("`xtask/src/main.rs test`\n", &[(1, "xtask/src/main.rs")], &[]);
        // A span over two lines does not turn code and prose around.
        check_named("`serve\nDIR` and `docs/a.md` and `x`\n", &[(2, "docs/a.md")], &[]);
        // A lone backtick ends with its paragraph.
        check_named("a ` b\n\n`docs/a.md`\n", &[(3, "docs/a.md")], &[]);
    }

    #[test]
    fn what_is_no_path_of_the_repository_is_left_alone() {
        check_named("crates/a and `codes.rs` and `/usr/share/doc` and `src/main.rs`\n", &[], &[]);
        check_named("`cargo run -p crates/a` and `longshore-proto/src/lib.rs`\n", &[], &[]);
        check_named("```\n`crates/a` [a](b.md)\n```\n`docs/b`\n", &[(4, "docs/b")], &[]);
    }

    #[test]
    fn targets_of_links_are_found() {
        check_named("[a](b.md), ![c](docs/d.png \"title\")\n", &[], &[(1, "b.md"), (1, "docs/d.png")]);
        check_named("[`a`](b.md#part)\n", &[], &[(1, "b.md")]);
        check_named("a\n[b]: <c.md>\n", &[], &[(2, "c.md")]);
        check_named("[a](#part) [b](https://example.org/c) [d](mailto:e@example.org)\n", &[], &[]);
        check_named("`[a](b.md)`\n", &[], &[]);
    }

    #[test]
    fn a_lost_path_is_told_with_file_and_line() {
        let document = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
        let exists = |path: &Path| [Path::new("docs/b.md"), Path::new("crates/a")].contains(&path);
        let lost = |name: &str, text: &str| lost_paths(&document(name, text), exists);
        assert_eq!(lost("a.md", "`crates/a`\n[b](docs/b.md)\n"), Vec::<String>::new());
        assert_eq!(lost("a.md", "a\n`crates/c`\n"), ["a.md:2: `crates/c` does not exist"]);
        // A link is seen from the document, a path in backticks from the root.
        assert_eq!(lost("docs/a.md", "`docs/b.md` [b](b.md)\n"), Vec::<String>::new());
        assert_eq!(lost("docs/a.md", "[b](docs/b.md)\n"), ["docs/a.md:1: `docs/b.md` does not exist"]);
    }

    #[test]
    fn documents_are_those_for_readers() {
        assert!(is_document("README.md"));
        assert!(is_document("docs/serve.md"));
        assert!(is_document("examples/embed/README.md"));
        assert!(!is_document("crates/a/README.md"));
        assert!(!is_document("docs/serve.rs"));
    }
}
