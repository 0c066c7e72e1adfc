//! The commented default configuration, printed by `longshore config` from the table of keys.

use std::fmt::Write;

use super::keys::{Key, Presence, SECTIONS, Section};

/// The file that changes nothing: every key with its meaning and default; what has no default is behind `#`.
pub(crate) fn template() -> String {
    let mut text = String::from(
        "# The configuration of longshore. `longshore check FILE` tells all mistakes of a file at once;\n\
         # `longshore serve --config FILE` serves it. A key that is left out has the value shown here. Keys of the\n\
         # first four sections can be set by the environment too: LONGSHORE_LIMITS_SESSIONS=50.\n",
    );
    for section in SECTIONS {
        write_section(&mut text, section, None);
    }
    text
}

fn write_section(text: &mut String, section: &Section, within: Option<&Section>) {
    let behind = if section.example { "#" } else { "" };
    let head = section.head(within.map(|within| within.name));
    // Writing to a String does not fail.
    let _ = writeln!(text, "\n# {}\n{behind}{head}", section.about);
    for key in section.keys {
        write_key(text, section, key);
    }
    if let Some(nested) = section.nested {
        write_section(text, nested, Some(section));
    }
}

fn write_key(text: &mut String, section: &Section, key: &Key) {
    let optional = if key.presence == Presence::Optional { " Optional." } else { "" };
    let behind = if section.example || key.presence != Presence::Default { "#" } else { "" };
    let _ = writeln!(text, "\n# {}{optional}\n{behind}{} = {}", key.about, key.name, key.value);
}
