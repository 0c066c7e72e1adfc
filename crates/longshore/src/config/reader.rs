//! Reading a configuration file so that every mistake is found at once, each with its line.
//!
//! Not inside: which keys there are ([`keys`](super::keys)) and what they mean ([`model`](super::model)). The file is
//! walked rather than deserialised, because a deserialiser stops at the first mistake.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Key, Presence, SECTIONS, Section};

/// What is wrong with a file, in the order of its lines.
#[derive(Debug)]
pub(crate) struct Problems {
    file: String,
    found: Vec<Problem>,
}

#[derive(Debug)]
struct Problem {
    /// Where, as a line from 1; 0 for the file as a whole.
    line: usize,
    what: String,
}

impl Problems {
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.found.iter().enumerate() {
            let end = if index + 1 < self.found.len() { "\n" } else { "" };
            match problem.line {
                0 => write!(f, "{}: {}{end}", self.file, problem.what)?,
                line => write!(f, "{}:{line}: {}{end}", self.file, problem.what)?,
            }
        }
        Ok(())
    }
}

/// The tables of a file.
pub(crate) type Root<'t> = Spanned<DeTable<'t>>;

/// A file that is being read.
pub(crate) struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    found: Vec<Problem>,
}

/// One table of the file, whose keys are known.
pub(crate) struct View<'v, 't> {
    section: &'static Section,
    table: &'v DeTable<'t>,
    /// Where the table begins.
    span: Range<usize>,
}

/// What a conversion makes of a value: the value, or the place of what is wrong with it and why.
pub(crate) type Converted<T> = Result<T, Wrong>;

/// Why a value does not do.
pub(crate) struct Wrong {
    span: Range<usize>,
    /// More than "that is not what is expected", where there is more to say.
    reason: Option<String>,
}

impl Wrong {
    pub(crate) fn at(value: &Spanned<DeValue<'_>>) -> Wrong {
        Wrong { span: value.span(), reason: None }
    }

    pub(crate) fn because(value: &Spanned<DeValue<'_>>, reason: impl ToString) -> Wrong {
        Wrong { span: value.span(), reason: Some(reason.to_string()) }
    }
}

impl<'t> Reader<'t> {
    /// Reads the text. What is not TOML is noted, and the rest is read all the same.
    pub(crate) fn parse(file: &'t str, text: &'t str) -> (Root<'t>, Reader<'t>) {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader { file, text, found: Vec::new() };
        for error in errors {
            let place = error.span().unwrap_or(0..0);
            reader.note(place, format!("this is not TOML: {}", error.message().trim()));
        }
        (root, reader)
    }

    /// Notes what is in the file and in no table of keys, and gives all that was noted.
    pub(crate) fn finish(mut self, root: &Root<'_>) -> Problems {
        for (name, value) in root.get_ref() {
            let Some(section) = SECTIONS.iter().find(|section| section.name == name.get_ref().as_ref())
            else {
                let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
                self.note(
                    name.span(),
                    format!("there is no section [{}]{}", name.get_ref(), meant(name.get_ref(), &names)),
                );
                continue;
            };
            for table in tables(section, value).into_iter().flatten() {
                self.unknown_keys(section, table);
            }
        }
        self.found.sort_by_key(|problem| problem.line);
        Problems { file: self.file.to_owned(), found: self.found }
    }

    fn unknown_keys(&mut self, section: &Section, table: &DeTable<'_>) {
        for name in table.keys() {
            if !section.keys.iter().any(|key| key.name == name.get_ref().as_ref()) {
                let names: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
                let what = format!(
                    "[{}] has no key {}{}",
                    section.name,
                    name.get_ref(),
                    meant(name.get_ref(), &names)
                );
                self.note(name.span(), what);
            }
        }
    }

    /// The tables of a section: none, one, or several where the section may be repeated.
    pub(crate) fn views<'v, 'r>(
        &mut self,
        root: &'v Root<'r>,
        section: &'static Section,
    ) -> Vec<View<'v, 'r>> {
        let Some(value) = root.get_ref().get(section.name) else { return Vec::new() };
        match tables(section, value) {
            Some(found) => {
                found.into_iter().map(|table| View { section, table, span: value.span() }).collect()
            }
            None => {
                let form = if section.repeated {
                    format!("[[{}]]", section.name)
                } else {
                    format!("[{}]", section.name)
                };
                self.note(value.span(), format!("{} is written as a section {form}", section.name));
                Vec::new()
            }
        }
    }

    /// The value of a key, or `None` when it is not there or not right, which has been noted then.
    pub(crate) fn get<T>(
        &mut self,
        view: &View<'_, '_>,
        name: &'static str,
        convert: impl FnOnce(&Spanned<DeValue<'_>>) -> Converted<T>,
    ) -> Option<T> {
        let key = view.key(name);
        let Some(value) = view.table.get(name) else {
            if key.presence == Presence::Required {
                let what = format!("[{}] needs the key {name}: {}", view.section.name, key.expected);
                self.note(view.span.clone(), what);
            }
            return None;
        };
        match convert(value) {
            Ok(converted) => Some(converted),
            Err(Wrong { span, reason }) => {
                // What stands where a hash should may be the password itself.
                let found =
                    if key.secret() { "not shown" } else { self.text.get(span.clone()).unwrap_or("").trim() };
                let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                let what =
                    format!("{}.{name} is {found}{reason}; expected {}", view.section.name, key.expected);
                self.note(span, what);
                None
            }
        }
    }

    pub(crate) fn note(&mut self, place: Range<usize>, what: String) {
        let before = self.text.as_bytes().get(..place.start).unwrap_or_default();
        let line = if place.is_empty() && place.start == 0 {
            0
        } else {
            before.iter().filter(|&&b| b == b'\n').count() + 1
        };
        self.found.push(Problem { line, what });
    }
}

impl View<'_, '_> {
    fn key(&self, name: &str) -> &'static Key {
        self.section
            .keys
            .iter()
            .find(|key| key.name == name)
            .expect("keys are asked for by the names of the table")
    }

    /// Where a value stands, or the section where it does not.
    pub(crate) fn place(&self, name: &str) -> Range<usize> {
        self.table.get(name).map_or(self.span.clone(), |value| value.span())
    }
}

fn tables<'v, 't>(section: &Section, value: &'v Spanned<DeValue<'t>>) -> Option<Vec<&'v DeTable<'t>>> {
    if !section.repeated {
        return value.get_ref().as_table().map(|table| vec![table]);
    }
    value.get_ref().as_array()?.iter().map(|item| item.get_ref().as_table()).collect()
}

/// "; did you mean …" for a name that is nearly one of those there are.
fn meant(given: &str, names: &[&str]) -> String {
    let nearest = names.iter().map(|name| (distance(given, name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= 2.max(given.len() / 3) => format!("; did you mean {name}?"),
        _ => format!("; there are {}", names.join(", ")),
    }
}

/// How many letters must be added, removed or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
