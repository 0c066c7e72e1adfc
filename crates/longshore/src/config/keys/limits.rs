//! The keys of `[limits]`.

use super::{BYTES, COUNT, Key, Section, optional, preset};

const SECONDS: &str = "a number of seconds from 1 to 86400";

pub(crate) const LIMITS: Section = Section {
    name: "limits",
    repeated: false,
    example: false,
    about: "How many, how fast and how long.",
    keys: KEYS,
    nested: None,
};

const KEYS: &[Key] = &[
    preset("sessions", "10000", COUNT, "Sessions at once; further clients are told 421."),
    preset(
        "sessions_per_address",
        "32",
        COUNT,
        "The same for one address. What is counted by address counts IPv6 by networks of 64 bits.",
    ),
    preset(
        "connections_per_second_per_address",
        "20",
        COUNT,
        "New connections of one address per second; further ones are told 421.",
    ),
    preset(
        "failed_logins_per_address",
        "10",
        COUNT,
        "Logins of one address that may fail within the window below; the next one bans it.",
    ),
    preset("failed_login_window_seconds", "600", SECONDS, "How long a failed login counts."),
    preset("ban_seconds", "600", SECONDS, "How long a banned address stays so."),
    preset(
        "exempt_networks",
        r#"["127.0.0.0/8", "::1/128"]"#,
        r#"a list of networks or addresses, such as ["192.0.2.0/24", "::1"], or [] for none"#,
        "Where none of the limits by address count.",
    ),
    optional("upload_bytes_per_second", r#""50 MB""#, BYTES, "For all uploads of the server together."),
    optional("download_bytes_per_second", r#""50 MB""#, BYTES, "For all downloads and listings together."),
    optional("session_upload_bytes_per_second", r#""5 MB""#, BYTES, "For the uploads of each session."),
    optional("session_download_bytes_per_second", r#""5 MB""#, BYTES, "For the downloads of each session."),
    preset("login_timeout_seconds", "60", SECONDS, "From the connection to a finished login."),
    preset("idle_timeout_seconds", "300", SECONDS, "Without a command or data; NOOP counts."),
    preset("connect_timeout_seconds", "30", SECONDS, "From the mark until the data connection must stand."),
    preset("stall_timeout_seconds", "120", SECONDS, "Without a byte of a transfer moving."),
    preset(
        "drain_grace_seconds",
        "30",
        "a number of seconds from 0 to 86400",
        "How long transfers may go on when the server is told to end.",
    ),
];
