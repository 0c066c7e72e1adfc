//! The form of sources: a header in each module, bounded length, no marks of unfinished work, clean white space,
//! no path of one machine.

use std::path::Path;

use super::SourceFile;

/// More lines than this in one file of a crate fail.
const LINES_LIMIT: usize = 700;
/// More lines than this deserve a look for a seam.
const LINES_WARNING: usize = 600;

/// Signs of work that is not done, each in two parts, so that this file does not hold them.
const UNFINISHED: &[(&str, &str)] =
    &[("to", "do!("), ("unimpl", "emented!("), ("db", "g!("), ("FIX", "ME"), ("TO", "DO")];

/// Folders of a person's machine, without their slashes.
const MACHINE_FOLDERS: &[&str] = &["root", "home", "Users", "tmp"];

/// Checks every file that people write.
pub(super) fn check(
    root: &Path,
    files: &[SourceFile],
    complaints: &mut Vec<String>,
    warnings: &mut Vec<String>,
) {
    let checkout = root.to_string_lossy();
    for file in files.iter().filter(|file| is_written_by_people(&file.name)) {
        let name = &file.name;
        complaints.extend(lines(file).into_iter().map(|(line, what)| format!("{name}:{line}: {what}")));
        if file.text.contains(&*checkout) {
            complaints.push(format!("{name}: names the folder of this checkout, {checkout}"));
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            complaints.push(format!("{name}: its last line has no end"));
        }
        if file.is_rust() && !has_header(&file.text) {
            complaints.push(format!("{name}: no `//!` says what it is and what is not inside"));
        }
        let length = file.text.lines().count();
        if name.starts_with("crates/") && name.contains("/src/") && length > LINES_LIMIT {
            complaints.push(format!("{name}: {length} lines, more than {LINES_LIMIT}"));
        } else if file.is_rust() && length > LINES_WARNING {
            warnings.push(format!("{name}: {length} lines, is there a seam?"));
        }
    }
}

fn is_written_by_people(name: &str) -> bool {
    let endings = [".rs", ".md", ".toml", ".py", ".sh"];
    (endings.iter().any(|ending| name.ends_with(ending)) || name == ".ci/run") && name != "Cargo.lock"
}

/// Whether the first thing in the file is its `//!`; attributes of the crate may stand before it.
fn has_header(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#!["));
    first.is_some_and(|line| line.starts_with("//!") && line.len() > 4)
}

/// What is wrong with which line, counted from 1.
fn lines(file: &SourceFile) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let mut complain = |what: String| found.push((index + 1, what));
        if line.ends_with([' ', '\t']) {
            complain("white space at the end of the line".to_owned());
        }
        if file.is_rust() && line.contains('\t') {
            complain("a tab; four spaces make a level".to_owned());
        }
        if file.is_rust() {
            for (one, two) in UNFINISHED {
                let mark = format!("{one}{two}");
                if line.contains(&mark) {
                    complain(format!("`{mark}` is work that is not done"));
                }
            }
        }
        if let Some(folder) = machine_folder(line) {
            complain(format!("`{folder}` is a folder of one machine"));
        }
    }
    found
}

/// An absolute path into somebody's folders: a name follows the folder, and no name goes before it.
fn machine_folder(line: &str) -> Option<String> {
    MACHINE_FOLDERS.iter().map(|folder| format!("/{folder}/")).find(|folder| {
        line.match_indices(folder.as_str()).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + folder.len()..].chars().next();
            before.is_none_or(|character| !character.is_alphanumeric() && !"._-~}*".contains(character))
                && after.is_some_and(|character| character.is_alphanumeric() || character == '.')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_lines(name: &str, text: &str, expected: &[(usize, &str)]) {
        let found = lines(&SourceFile { name: name.to_owned(), text: text.to_owned() });
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((line, what), (expected_line, part)) in found.iter().zip(expected) {
            assert_eq!(line, expected_line, "{what}");
            assert!(what.contains(part), "{what:?} lacks {part:?}");
        }
    }

    #[test]
    fn white_space_and_marks_are_found() {
        check_lines("a.rs", "fn a() {\n    b();\n}\n", &[]);
        check_lines("a.rs", "fn a() { \n\tb();\n}\n", &[(1, "end of the line"), (2, "tab")]);
        check_lines("a.toml", "\ta = 1\n", &[]);
        let mark = format!("    {}{}();\n", "to", "do!");
        check_lines("a.rs", &mark, &[(1, "not done")]);
        check_lines("a.md", &mark, &[]);
    }

    #[test]
    fn folders_of_a_machine_are_found() {
        let path = |folder: &str, rest: &str| format!("see /{folder}/{rest}\n");
        check_lines("a.md", &path("home", "somebody/x"), &[(1, "one machine")]);
        check_lines("a.rs", &path("root", ".cargo"), &[(1, "one machine")]);
        check_lines("a.rs", &path("tmp", "x"), &[(1, "one machine")]);
        check_lines("a.rs", &path("srv", "files"), &[]);
        check_lines("a.rs", "crates/home/src/lib.rs\n", &[]);
    }

    #[test]
    fn headers_are_seen() {
        assert!(has_header("//! What it is.\n"));
        assert!(has_header("#![expect(x)]\n\n//! What it is.\n"));
        assert!(!has_header("//!\nuse x;\n"));
        assert!(!has_header("use x;\n//! late\n"));
        assert!(!has_header("// What it is.\n"));
        assert!(!has_header(""));
    }
}
