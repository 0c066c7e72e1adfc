//! The tables of ARCHITECTURE.md: every crate, verb, situation and limit, and the file where each is decided.

use std::fs;
use std::path::Path;

use longshore_proto::reply::Situation;
use longshore_proto::verbs::{Legal, VERBS};

use super::marked::{Cell, Row, Table, compare, rewrite};
use super::{Mode, SourceFile};
use crate::Result;
use crate::borders::{members, value_in_section};

const DOCUMENT: &str = "ARCHITECTURE.md";
/// Where the rows of verbs and the mapping from failures to situations stand.
const VERBS_FILE: &str = "crates/longshore-proto/src/verbs.rs";
/// Where a line becomes a command, which decides nothing about it.
const COMMAND_FILE: &str = "crates/longshore-proto/src/command.rs";
/// Where situations are defined.
const REPLY_FILE: &str = "crates/longshore-proto/src/reply.rs";

/// Compares the tables with the code, or writes them anew.
pub(super) fn check(root: &Path, files: &[SourceFile], mode: Mode) -> Result<Vec<String>> {
    let Some(file) = files.iter().find(|file| file.name == DOCUMENT) else {
        return Ok(vec![format!("{DOCUMENT} is missing")]);
    };
    let mut complaints = Vec::new();
    let tables = [
        crates(root)?,
        verbs(files, &mut complaints),
        situations(files, &mut complaints),
        limits(files, &mut complaints),
    ];
    complaints.extend(hold(root, file, &tables, mode)?);
    Ok(complaints)
}

/// Compares the tables of a document with what they should be, or writes them anew.
pub(super) fn hold(root: &Path, file: &SourceFile, tables: &[Table], mode: Mode) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    let mut document = file.text.clone();
    for table in tables {
        match mode {
            Mode::Check => complaints.extend(compare(&document, table)),
            Mode::Fix => match rewrite(&document, table) {
                Ok(written) => document = written,
                Err(complaint) => complaints.push(complaint),
            },
        }
    }
    if document != file.text {
        fs::write(root.join(&file.name), document)?;
        println!("tidy: the tables of {} are written anew", file.name);
    } else if mode == Mode::Check && !complaints.is_empty() {
        complaints.push("(`cargo xtask tidy --fix` writes the tables anew)".to_owned());
    }
    Ok(complaints)
}

pub(super) fn code(text: &str) -> String {
    format!("`{text}`")
}

fn crates(root: &Path) -> Result<Table> {
    let mut rows = Vec::new();
    for (name, folder) in members(root)?.into_iter().filter(|(_, folder)| folder.starts_with("crates/")) {
        let manifest = fs::read_to_string(root.join(&folder).join("Cargo.toml"))?;
        let note = value_in_section(&manifest, "package", "description").unwrap_or_default();
        rows.push(Row { cells: vec![Cell::Exactly(code(&name)), Cell::Exactly(code(&folder))], note });
    }
    Ok(Table { name: "crates", columns: &["crate", "folder"], notes: Some("what lives there"), rows })
}

fn verbs(files: &[SourceFile], complaints: &mut Vec<String>) -> Table {
    let mut rows = Vec::new();
    for verb in VERBS {
        let variant = format!("{:?}", verb.verb);
        let mut places: Vec<String> = if verb.legal == Legal::NotOffered {
            vec![VERBS_FILE.to_owned()]
        } else {
            let of_command = mentioned_in(files, &format!("Command::{variant}"));
            of_command.into_iter().chain(mentioned_in(files, &format!("Verb::{variant}"))).collect()
        };
        places.retain(|place| {
            verb.legal == Legal::NotOffered || ![COMMAND_FILE, VERBS_FILE].contains(&place.as_str())
        });
        if places.is_empty() {
            complaints.push(format!("table verbs: no file decides {}", verb.name()));
            places.push("nowhere".to_owned());
        }
        let places = places.iter().map(|place| code(place)).collect();
        let cells = vec![
            Cell::Exactly(code(verb.name())),
            Cell::OneOf(places),
            Cell::Exactly(code(verb.syntax)),
            Cell::Exactly(verb.help.to_owned()),
        ];
        rows.push(Row { cells, note: String::new() });
    }
    Table { name: "verbs", columns: &["verb", "decided in", "form", "what it does"], notes: None, rows }
}

fn situations(files: &[SourceFile], complaints: &mut Vec<String>) -> Table {
    let mut rows = Vec::new();
    for situation in Situation::ALL {
        let variant = format!("{situation:?}");
        let mut places = mentioned_in(files, &format!("Situation::{variant}"));
        places.retain(|place| ![REPLY_FILE, VERBS_FILE].contains(&place.as_str()));
        if places.is_empty() && maps_failure_to(files, &variant) {
            places.push(VERBS_FILE.to_owned());
        }
        if places.is_empty() {
            complaints.push(format!("table situations: nothing ever says {}", situation.id()));
        }
        let places: Vec<String> = places.iter().map(|place| code(place)).collect();
        let cells = vec![
            Cell::Exactly(code(situation.id())),
            Cell::Exactly(situation.code().to_string()),
            Cell::Exactly(places.join(", ")),
        ];
        rows.push(Row { cells, note: String::new() });
    }
    Table { name: "situations", columns: &["situation", "code", "said by"], notes: None, rows }
}

fn limits(files: &[SourceFile], complaints: &mut Vec<String>) -> Table {
    let mut rows = Vec::new();
    for file in files.iter().filter(|file| file.is_production() && file.name.ends_with("/src/limits.rs")) {
        for limit in constants(file.production()) {
            if limit.meaning.is_empty() {
                complaints.push(format!("{}: {} has no doc comment", file.name, limit.name));
            }
            let cells = vec![
                Cell::Exactly(code(&limit.name)),
                Cell::Exactly(code(&limit.value)),
                Cell::Exactly(code(&file.name)),
                Cell::Exactly(limit.meaning),
            ];
            rows.push(Row { cells, note: String::new() });
        }
    }
    Table { name: "limits", columns: &["limit", "value", "file", "meaning"], notes: None, rows }
}

/// The files of production code that say `name` as a whole word.
fn mentioned_in(files: &[SourceFile], name: &str) -> Vec<String> {
    let files = files.iter().filter(|file| file.is_production() && has_word(file.production(), name));
    files.map(|file| file.name.clone()).collect()
}

fn has_word(text: &str, word: &str) -> bool {
    let continues = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[at + word.len()..].starts_with(continues) && !text[..at].ends_with(continues))
}

/// Whether the mapping from storage's failures, above the table of verbs, leads to this situation.
fn maps_failure_to(files: &[SourceFile], variant: &str) -> bool {
    let file = files.iter().find(|file| file.name == VERBS_FILE);
    file.is_some_and(|file| has_word(file.text.split("\nverbs! {").next().unwrap_or_default(), variant))
}

/// A public constant with its value as it is written and the first sentence of its doc comment.
#[derive(Debug, PartialEq, Eq)]
struct Limit {
    name: String,
    value: String,
    meaning: String,
}

fn constants(source: &str) -> Vec<Limit> {
    let mut limits = Vec::new();
    let mut meaning = String::new();
    let mut lines = source.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if let Some(comment) = line.strip_prefix("///") {
            meaning.push_str(comment);
            continue;
        }
        if let Some(rest) = line.strip_prefix("pub const ").or(line.strip_prefix("pub(crate) const ")) {
            let mut statement = rest.to_owned();
            while !statement.ends_with(';') {
                let Some(more) = lines.next() else { break };
                statement.push(' ');
                statement.push_str(more);
            }
            let statement = statement.trim_end_matches(';');
            if let (Some((name, _)), Some((_, value))) =
                (statement.split_once(':'), statement.split_once(" = "))
            {
                let sentence = meaning.trim().split_inclusive(". ").next().unwrap_or_default();
                limits.push(Limit {
                    name: name.trim().to_owned(),
                    value: value.trim().to_owned(),
                    meaning: sentence.trim().trim_end_matches('.').to_owned(),
                });
            }
        }
        if !line.starts_with("#[") {
            meaning.clear();
        }
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_constants(source: &str, expected: &[(&str, &str, &str)]) {
        let found = constants(source);
        let found: Vec<_> = found
            .iter()
            .map(|limit| (limit.name.as_str(), limit.value.as_str(), limit.meaning.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn constants_are_read_with_their_values() {
        check_constants(
            "/// How long. Much more.\npub const A_BYTES: usize = 64 * 1024;\n",
            &[("A_BYTES", "64 * 1024", "How long")],
        );
        check_constants(
            "/// One\n/// line.\npub(crate) const B: Duration =\n    Duration::from_secs(5);\n",
            &[("B", "Duration::from_secs(5)", "One line")],
        );
        check_constants("/// Not a limit.\nconst C: u8 = 1;\npub const D: u8 = 2;\n", &[("D", "2", "")]);
        check_constants("const _: () = assert!(A > B);\npub fn e() {}\n", &[]);
    }

    #[test]
    fn a_word_is_whole() {
        assert!(has_word("Situation::Size => x", "Situation::Size"));
        assert!(!has_word("Situation::SizeAscii", "Situation::Size"));
        assert!(!has_word("MySituation::Size", "Situation::Size"));
        assert!(has_word("Situation::SizeAscii | Situation::Size", "Situation::Size"));
        assert!(has_word("reply::Situation::Size", "Situation::Size"));
    }

    #[test]
    fn only_production_code_decides() {
        let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
        let files = [
            file(
                "crates/a/src/x.rs",
                "Command::Retr(path) => y,\n#[cfg(test)]\nmod tests {\nCommand::Stor\n}\n",
            ),
            file("crates/a/tests/x.rs", "Command::Retr"),
            file("docs/x.md", "Command::Retr"),
        ];
        assert_eq!(mentioned_in(&files, "Command::Retr"), ["crates/a/src/x.rs"]);
        assert_eq!(mentioned_in(&files, "Command::Stor"), Vec::<String>::new());
    }
}
