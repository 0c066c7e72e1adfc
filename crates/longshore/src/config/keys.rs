//! Every key of the configuration file, once: what it means, what it may hold, and its default.
//!
//! `longshore config` prints this table, the reader refuses what is not in it, and the messages about bad values
//! quote it. Not inside: what becomes of the values ([`model`](super::model)).

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

impl Key {
    /// Whether its value must not be repeated in a message.
    pub(crate) fn secret(&self) -> bool {
        self.name == "password"
    }
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

use Presence::{Default, Optional, Required};

const SECONDS: &str = "a number of seconds from 1 to 86400";
const COUNT: &str = "a whole number from 1 to 1000000";
const PERMISSIONS: &str = "a list of some of \"read\", \"list\", \"write\", \"overwrite\", \"append\", \"delete\", \
                           \"rename\", \"make-directory\", \"remove-directory\", \"set-times\", or \"all\"";
const ROOT: &str = "the absolute path of a directory; {user} stands for the account's name";
const DIRECTORY: &str = "an absolute path within the root, such as \"/incoming\"";

const fn root(example: &'static str) -> Key {
    let about = "The directory that is served; nothing outside it can be reached.";
    Key { name: "root", value: example, presence: Required, expected: ROOT, about }
}

const START: Key = Key {
    name: "directory",
    value: r#""/""#,
    presence: Default,
    expected: DIRECTORY,
    about: "Where a session begins.",
};

const fn permissions(default: &'static str) -> Key {
    let about = "What may be done there.";
    Key { name: "permissions", value: default, presence: Default, expected: PERMISSIONS, about }
}

pub(crate) const SERVER: Section = Section {
    name: "server",
    repeated: false,
    example: false,
    about: "Where the server listens and how it treats files.",
    keys: &[
        Key {
            name: "listen",
            value: r#"["127.0.0.1:2121", "[::1]:2121"]"#,
            presence: Default,
            expected: r#"a list of addresses with ports, such as ["0.0.0.0:21", "[::]:21"]"#,
            about: "Addresses and ports for control connections.",
        },
        Key {
            name: "passive_ports",
            value: r#""30000-30999""#,
            presence: Default,
            expected: r#"a range of ports from 1 to 65535, lowest first, such as "30000-30999""#,
            about: "Ports for data connections that clients make. Below 32768, from where Linux takes ports itself.",
        },
        Key {
            name: "public_address",
            value: r#""203.0.113.7""#,
            presence: Optional,
            expected: r#"an IPv4 address, such as "203.0.113.7""#,
            about: "The IPv4 address that clients reach this server by, where it stands behind NAT.",
        },
        Key {
            name: "allow_clear_passwords",
            value: "false",
            presence: Default,
            expected: "true or false",
            about: "Take passwords in clear from other machines too: whoever can listen on the network learns them.",
        },
        Key {
            name: "durability",
            value: r#""data""#,
            presence: Default,
            expected: r#""none", "data" or "full""#,
            about: "What must have reached the disk before an upload is answered with 226.",
        },
    ],
};

pub(crate) const LIMITS: Section = Section {
    name: "limits",
    repeated: false,
    example: false,
    about: "How many, and how long.",
    keys: &[
        Key {
            name: "sessions",
            value: "10000",
            presence: Default,
            expected: COUNT,
            about: "Sessions at once; further clients are told 421.",
        },
        Key {
            name: "sessions_per_address",
            value: "32",
            presence: Default,
            expected: COUNT,
            about: "The same for one address; this machine's own are not counted.",
        },
        Key {
            name: "login_timeout_seconds",
            value: "60",
            presence: Default,
            expected: SECONDS,
            about: "From the connection to a finished login.",
        },
        Key {
            name: "idle_timeout_seconds",
            value: "300",
            presence: Default,
            expected: SECONDS,
            about: "Without a command or data; NOOP counts.",
        },
        Key {
            name: "connect_timeout_seconds",
            value: "30",
            presence: Default,
            expected: SECONDS,
            about: "From the mark until the data connection must stand.",
        },
        Key {
            name: "stall_timeout_seconds",
            value: "120",
            presence: Default,
            expected: SECONDS,
            about: "Without a byte of a transfer moving.",
        },
    ],
};

pub(crate) const ANONYMOUS: Section = Section {
    name: "anonymous",
    repeated: false,
    example: true,
    about: "Anybody, as anonymous or ftp with any password. Without this section nobody.",
    keys: &[root(r#""/srv/pub""#), START, permissions(r#"["read", "list"]"#)],
};

pub(crate) const ACCOUNT: Section = Section {
    name: "account",
    repeated: true,
    example: true,
    about: "One account; the section may come as often as there are accounts.",
    keys: &[
        Key {
            name: "name",
            value: r#""camera""#,
            presence: Required,
            expected: "a name of 1 to 255 bytes without control characters, not anonymous and not ftp",
            about: "As it is given with USER.",
        },
        Key {
            name: "password",
            value: r#""$argon2id$v=19$m=19456,t=2,p=1$...""#,
            presence: Required,
            expected: "a hash as `longshore hash-password` prints it, or one that begins with $5$, $6$ or $y$",
            about: "The hash of the password, never the password itself.",
        },
        root(r#""/srv/drop/{user}""#),
        START,
        permissions(r#"["all"]"#),
        Key {
            name: "networks",
            value: r#"["192.0.2.0/24", "2001:db8::/32"]"#,
            presence: Optional,
            expected: r#"a list of networks or addresses, such as ["192.0.2.0/24", "::1"]"#,
            about: "From where the account may log in; without it from everywhere.",
        },
        Key {
            name: "hours",
            value: r#"["Mon-Fri 08:00-18:00"]"#,
            presence: Optional,
            expected: r#"a list of hours, such as ["Mon-Fri 08:00-18:00", "Sat"]"#,
            about: "When the account may log in, in UTC; without it at any time.",
        },
    ],
};

/// All sections, in the order in which they are printed.
pub(crate) const SECTIONS: &[&Section] = &[&SERVER, &LIMITS, &ANONYMOUS, &ACCOUNT];
