//! The keys of `[log]`.

use super::{Key, Section, optional, preset};

const FILE: &str = "the absolute path of a file";

pub(crate) const LOG: Section = Section {
    name: "log",
    repeated: false,
    example: false,
    about: "What is written down, how and where. Files are opened anew at a reload.",
    keys: KEYS,
    nested: None,
};

const KEYS: &[Key] = &[
    preset(
        "format",
        r#""auto""#,
        r#""auto", "text" or "json""#,
        "Lines for people, or one JSON object per line; auto is text on a terminal and JSON elsewhere.",
    ),
    optional("file", r#""/var/log/longshore.log""#, FILE, "Where the log goes, if not to standard output."),
    optional(
        "xferlog",
        r#""/var/log/xferlog""#,
        FILE,
        "One line per upload and download as wu-ftpd wrote it, beside the log.",
    ),
    preset(
        "trace_networks",
        "[]",
        r#"a list of networks or addresses, such as ["192.0.2.0/24", "::1"], or [] for none"#,
        "Whose dialogues are logged line by line, without passwords: clients from here.",
    ),
    preset(
        "trace_accounts",
        "[]",
        r#"a list of names of accounts, such as ["camera"], or [] for none"#,
        "The same: whoever uses these accounts.",
    ),
];
