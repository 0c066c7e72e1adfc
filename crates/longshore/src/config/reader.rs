//! Reading a configuration file and the environment so that every mistake is found at once, each with its line or
//! variable.
//!
//! Not inside: which keys there are ([`keys`](super::keys)) and what they mean ([`model`](super::model)). The file is
//! walked rather than deserialised, because a deserialiser stops at the first mistake.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment::{Environment, value, variable};
use super::keys::{Key, Presence, SECTIONS, Section};

/// What is wrong with a configuration: the file in the order of its lines, then the environment.
#[derive(Debug)]
pub(crate) struct Problems {
    file: String,
    found: Vec<Problem>,
}

#[derive(Debug)]
struct Problem {
    place: Place,
    what: String,
}

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// In the file as a whole.
    File,
    /// In this line, from 1.
    Line(usize),
    /// In this environment variable.
    Variable(String),
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
            match &problem.place {
                Place::File => write!(f, "{}: {}{end}", self.file, problem.what)?,
                Place::Line(line) => write!(f, "{}:{line}: {}{end}", self.file, problem.what)?,
                Place::Variable(name) => write!(f, "{name}: {}{end}", problem.what)?,
            }
        }
        Ok(())
    }
}

/// The tables of a file.
pub(crate) type Root<'t> = Spanned<DeTable<'t>>;

/// A configuration that is being read.
pub(crate) struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    environment: &'t Environment,
    found: Vec<Problem>,
}

/// One table, whose keys are known.
pub(crate) struct View<'v, 't> {
    section: &'static Section,
    /// As messages call it: `account`, `account.rules`.
    name: String,
    /// Not there where only the environment may speak of it.
    table: Option<&'v DeTable<'t>>,
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
    pub(crate) fn parse(
        file: &'t str,
        text: &'t str,
        environment: &'t Environment,
    ) -> (Root<'t>, Reader<'t>) {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader { file, text, environment, found: Vec::new() };
        for error in errors {
            let place = error.span().unwrap_or(0..0);
            reader.note(place, format!("this is not TOML: {}", error.message().trim()));
        }
        (root, reader)
    }

    /// Notes what is in the file or the environment and in no table of keys, and gives all that was noted.
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
            self.unknown_keys(section, section.name, value);
        }
        for (name, section) in self.environment.unknown() {
            let names: Vec<String> = section.keys.iter().map(|key| variable(section, key)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let what = format!("[{}] has no such key{}", section.name, meant(name, &names));
            self.found.push(Problem { place: Place::Variable(name.to_owned()), what });
        }
        self.found.sort_by(|a, b| a.place.cmp(&b.place));
        Problems { file: self.file.to_owned(), found: self.found }
    }

    fn unknown_keys(&mut self, section: &Section, shown: &str, value: &Spanned<DeValue<'_>>) {
        for (table, _) in tables(section, value).into_iter().flatten() {
            for (name, value) in table {
                let given = name.get_ref().as_ref();
                if let Some(nested) = section.nested.filter(|nested| nested.name == given) {
                    self.unknown_keys(nested, &format!("{shown}.{given}"), value);
                } else if !section.keys.iter().any(|key| key.name == given) {
                    let keys = section.keys.iter().map(|key| key.name);
                    let names: Vec<&str> = keys.chain(section.nested.map(|nested| nested.name)).collect();
                    self.note(name.span(), format!("[{shown}] has no key {given}{}", meant(given, &names)));
                }
            }
        }
    }

    /// A section that the environment may speak of too, whether it is in the file or not.
    pub(crate) fn view<'v, 'r>(&mut self, root: &'v Root<'r>, section: &'static Section) -> View<'v, 'r> {
        let nowhere = View { section, name: section.name.to_owned(), table: None, span: 0..0 };
        self.views(root, section).pop().unwrap_or(nowhere)
    }

    /// The tables of a section: none, one, or several where the section may be repeated.
    pub(crate) fn views<'v, 'r>(
        &mut self,
        root: &'v Root<'r>,
        section: &'static Section,
    ) -> Vec<View<'v, 'r>> {
        self.views_within(root.get_ref(), section, None)
    }

    /// The tables that a table holds.
    pub(crate) fn nested<'v, 'r>(&mut self, view: &View<'v, 'r>) -> Vec<View<'v, 'r>> {
        let (Some(table), Some(section)) = (view.table, view.section.nested) else { return Vec::new() };
        self.views_within(table, section, Some(&view.name))
    }

    fn views_within<'v, 'r>(
        &mut self,
        holder: &'v DeTable<'r>,
        section: &'static Section,
        within: Option<&str>,
    ) -> Vec<View<'v, 'r>> {
        let Some(value) = holder.get(section.name) else { return Vec::new() };
        let name = within.map_or(section.name.to_owned(), |within| format!("{within}.{}", section.name));
        let Some(found) = tables(section, value) else {
            self.note(value.span(), format!("{name} is written as a section {}", section.head(within)));
            return Vec::new();
        };
        let view = |(table, span)| View { section, name: name.clone(), table: Some(table), span };
        found.into_iter().map(view).collect()
    }

    /// The value of a key, or `None` when it is not there or not right, which has been noted then. What the
    /// environment says wins.
    pub(crate) fn get<T>(
        &mut self,
        view: &View<'_, '_>,
        name: &'static str,
        convert: impl Fn(&Spanned<DeValue<'_>>) -> Converted<T>,
    ) -> Option<T> {
        let key = view.key(name);
        let from_file = match view.table.and_then(|table| table.get(name)) {
            Some(given) => match convert(given) {
                Ok(converted) => Some(converted),
                Err(wrong) => {
                    let what = explanation(view, key, self.text, &wrong);
                    self.note(wrong.span, what);
                    None
                }
            },
            None => {
                if key.presence == Presence::Required {
                    let what = format!("[{}] needs the key {name}: {}", view.name, key.expected);
                    self.note(view.span.clone(), what);
                }
                None
            }
        };
        if !view.section.in_environment() {
            return from_file;
        }
        let Some((variable, text)) = self.environment.get(view.section, key) else { return from_file };
        let what = match text.map(|text| (text, convert(&value(text)))) {
            Some((_, Ok(converted))) => return Some(converted),
            Some((text, Err(wrong))) => explanation(view, key, text, &wrong),
            None => format!("{}.{name} is not UTF-8; expected {}", view.name, key.expected),
        };
        self.found.push(Problem { place: Place::Variable(variable.to_owned()), what });
        None
    }

    pub(crate) fn note(&mut self, place: Range<usize>, what: String) {
        let before = self.text.as_bytes().get(..place.start).unwrap_or_default();
        let place = if place.is_empty() && place.start == 0 {
            Place::File
        } else {
            Place::Line(before.iter().filter(|&&b| b == b'\n').count() + 1)
        };
        self.found.push(Problem { place, what });
    }
}

/// What is wrong with a value that stands in this text.
fn explanation(view: &View<'_, '_>, key: &Key, text: &str, wrong: &Wrong) -> String {
    // What stands where a hash should may be the password itself.
    let found = if key.secret() { "not shown" } else { text.get(wrong.span.clone()).unwrap_or("").trim() };
    let reason = wrong.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{}.{} is {found}{reason}; expected {}", view.name, key.name, key.expected)
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
        self.table.and_then(|table| table.get(name)).map_or(self.span.clone(), |value| value.span())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(name))
    }

    /// As messages call it.
    pub(crate) fn head(&self) -> String {
        format!("[{}]", self.name)
    }

    /// Where the table begins.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

/// The tables of a section, each with its place; `None` where it is written otherwise.
fn tables<'v, 't>(
    section: &Section,
    value: &'v Spanned<DeValue<'t>>,
) -> Option<Vec<(&'v DeTable<'t>, Range<usize>)>> {
    let table =
        |value: &'v Spanned<DeValue<'t>>| value.get_ref().as_table().map(|table| (table, value.span()));
    if !section.repeated {
        return table(value).map(|found| vec![found]);
    }
    value.get_ref().as_array()?.iter().map(table).collect()
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
