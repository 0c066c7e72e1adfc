//! Every key of the configuration file, once: what it means, what it may hold, and its default.
//!
//! `longshore config` prints these tables, the reader refuses what is not in them, and the messages about bad values
//! quote them. Not inside: what becomes of the values ([`model`](super::model), [`people`](super::people)).

mod limits;
mod log;
mod people;
mod server;
mod tls;

pub(crate) use limits::LIMITS;
pub(crate) use log::LOG;
pub(crate) use people::{ACCOUNT, ANONYMOUS};
pub(crate) use server::SERVER;
pub(crate) use tls::{CERTIFICATE, LISTENER, TLS};

/// A table of the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// As it stands between brackets; `[[account]]` may come several times.
    pub(crate) name: &'static str,
    pub(crate) repeated: bool,
    /// Whether the printed default leaves the whole section out, as an example behind `#`.
    pub(crate) example: bool,
    pub(crate) about: &'static str,
    pub(crate) keys: &'static [Key],
    /// Tables that each table of it may hold, `[[account.rules]]`.
    pub(crate) nested: Option<&'static Section>,
}

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// A value in TOML: the default, or an example where there is none.
    pub(crate) value: &'static str,
    pub(crate) presence: Presence,
    /// What a value must be; completes "expected".
    pub(crate) expected: &'static str,
    pub(crate) about: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// `value` is the default.
    Default,
    /// Without the key there is none of it; `value` is an example.
    Optional,
    /// The section makes no sense without it; `value` is an example.
    Required,
}

impl Section {
    /// Whether environment variables may set its keys.
    pub(crate) fn in_environment(&self) -> bool {
        [&SERVER, &TLS, &LIMITS, &LOG].iter().any(|section| section.name == self.name)
    }

    /// How its head is written, within the section of that name if any.
    pub(crate) fn head(&self, within: Option<&str>) -> String {
        let name = within.map_or(self.name.to_owned(), |within| format!("{within}.{}", self.name));
        if self.repeated { format!("[[{name}]]") } else { format!("[{name}]") }
    }
}

impl Key {
    /// Whether its value must not be repeated in a message.
    pub(crate) fn secret(&self) -> bool {
        self.name == "password"
    }
}

/// A key with a default.
const fn preset(name: &'static str, value: &'static str, expected: &'static str, about: &'static str) -> Key {
    Key { name, value, presence: Presence::Default, expected, about }
}

/// A key without which there is none of it.
const fn optional(
    name: &'static str,
    example: &'static str,
    expected: &'static str,
    about: &'static str,
) -> Key {
    Key { name, value: example, presence: Presence::Optional, expected, about }
}

/// A key that its section needs.
const fn required(
    name: &'static str,
    example: &'static str,
    expected: &'static str,
    about: &'static str,
) -> Key {
    Key { name, value: example, presence: Presence::Required, expected, about }
}

const COUNT: &str = "a whole number from 1 to 1000000";
const FLAG: &str = "true or false";
const BYTES: &str =
    "a whole number of bytes, at least 1, or text with a unit: \"500 kB\" is 500000, \"10 MiB\" is 10485760";

/// All sections, in the order in which they are printed.
pub(crate) const SECTIONS: &[&Section] =
    &[&SERVER, &TLS, &LIMITS, &LOG, &LISTENER, &CERTIFICATE, &ANONYMOUS, &ACCOUNT];
