//! The keys of `[server]`.

use super::{FLAG, Key, Section, optional, preset};

pub(crate) const SERVER: Section = Section {
    name: "server",
    repeated: false,
    example: false,
    about: "Where the server listens and how it treats files.",
    keys: KEYS,
    nested: None,
};

const KEYS: &[Key] = &[
    preset(
        "listen",
        r#"["127.0.0.1:2121", "[::1]:2121"]"#,
        r#"a list of addresses with ports, such as ["0.0.0.0:21", "[::]:21"]"#,
        "Addresses and ports for control connections. Not reloaded.",
    ),
    preset(
        "passive_ports",
        r#""30000-30999""#,
        r#"a range of ports from 1 to 65535, lowest first, such as "30000-30999""#,
        "Ports for data connections that clients make. Below 32768, from where Linux takes ports itself.",
    ),
    optional(
        "public_address",
        r#""203.0.113.7""#,
        r#"an IPv4 address, such as "203.0.113.7""#,
        "The IPv4 address that clients reach this server by, where it stands behind NAT.",
    ),
    preset(
        "allow_clear_passwords",
        "false",
        FLAG,
        "Take passwords in clear from other machines too: whoever can listen on the network learns them.",
    ),
    preset(
        "durability",
        r#""data""#,
        r#""none", "data" or "full""#,
        "What must have reached the disk before an upload is answered with 226.",
    ),
    preset(
        "mode_z_level",
        "0",
        "0, or a whole number from 1 (fast) to 9 (small)",
        "How hard MODE Z compresses; 0 does not offer it. lftp compresses everything once it sees it.",
    ),
    optional(
        "state_directory",
        r#""/var/lib/longshore""#,
        "the absolute path of a directory",
        "For what the server makes itself and keeps; a service manager or the user has a default.",
    ),
    optional(
        "user",
        r#""ftp""#,
        "the name of a user of this machine other than root",
        "Once the addresses are bound, root becomes this user for good. Not reloaded.",
    ),
    optional(
        "group",
        r#""ftp""#,
        "the name of a group of this machine, together with server.user",
        "The group of that user, where it is not the user's own. Not reloaded.",
    ),
];
