//! The commented default configuration, printed by `longshore config` from the table of keys.

use std::fmt::Write;

use super::keys::{Key, Presence, SECTIONS, Section};

/// The file that changes nothing: every key with its meaning and default; what has no default is behind `#`.
pub(crate) fn template() -> String {
    let mut text = String::from(
        "# The configuration of longshore. `longshore check FILE` tells all mistakes of a file at once;\n\
         # `longshore serve --config FILE` serves it. A key that is left out has the value shown here.\n",
    );
    for section in SECTIONS {
        write_section(&mut text, section);
    }
    text
}

fn write_section(text: &mut String, section: &Section) {
    let (open, close) = if section.repeated { ("[[", "]]") } else { ("[", "]") };
    let behind = if section.example { "#" } else { "" };
    // Writing to a String does not fail.
    let _ = writeln!(text, "\n# {}\n{behind}{open}{}{close}", section.about, section.name);
    for key in section.keys {
        write_key(text, section, key);
    }
}

fn write_key(text: &mut String, section: &Section, key: &Key) {
    let optional = if key.presence == Presence::Optional { " Optional." } else { "" };
    let behind = if section.example || key.presence != Presence::Default { "#" } else { "" };
    let _ = writeln!(text, "\n# {}{optional}\n{behind}{} = {}", key.about, key.name, key.value);
}
