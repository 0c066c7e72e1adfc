//! Settings by environment variables: `LONGSHORE_LIMITS_SESSIONS` is the key `sessions` of `[limits]`.
//!
//! Not inside: what the values mean, and variables of other names, such as `LONGSHORE_PASSWORD`. The variables are
//! those of the start: a reload reads the same ones.

use std::collections::BTreeMap;
use std::ffi::OsString;

use toml::Spanned;
use toml::de::DeValue;

use super::keys::{Key, SECTIONS, Section};

/// The variables that set keys, or look as if they did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// Without a text where it is not UTF-8.
    variables: BTreeMap<String, Option<String>>,
}

impl Environment {
    /// Those of this process.
    pub(crate) fn of_process() -> Environment {
        Environment::of(std::env::vars_os())
    }

    pub(crate) fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let ours = variables.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            sections()
                .any(|section| name.starts_with(&prefix(section)))
                .then(|| (name, value.into_string().ok()))
        });
        Environment { variables: ours.collect() }
    }

    /// The variable of a key: its name, and its text where it has one.
    pub(super) fn get(&self, section: &Section, key: &Key) -> Option<(&str, Option<&str>)> {
        let (name, value) = self.variables.get_key_value(&variable(section, key))?;
        Some((name, value.as_deref()))
    }

    /// Those that belong to no key: the name, the section that is meant, and the key that is not there.
    pub(super) fn unknown(&self) -> impl Iterator<Item = (&str, &'static Section)> {
        self.variables.keys().filter_map(|name| {
            let section = sections().find(|section| name.starts_with(&prefix(section)))?;
            let known = section.keys.iter().any(|key| *name == variable(section, key));
            (!known).then_some((name.as_str(), section))
        })
    }
}

fn sections() -> impl Iterator<Item = &'static Section> {
    SECTIONS.iter().copied().filter(|section| section.in_environment())
}

fn prefix(section: &Section) -> String {
    format!("LONGSHORE_{}_", section.name.to_ascii_uppercase())
}

/// The name of the variable that sets a key.
pub(super) fn variable(section: &Section, key: &Key) -> String {
    format!("{}{}", prefix(section), key.name.to_ascii_uppercase())
}

/// A value in TOML; what is not TOML is a text, so that paths and names need no quotes.
pub(super) fn value(text: &str) -> Spanned<DeValue<'_>> {
    DeValue::parse(text).unwrap_or_else(|_| Spanned::new(0..text.len(), DeValue::String(text.into())))
}
