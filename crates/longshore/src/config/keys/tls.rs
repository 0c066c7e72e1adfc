//! The keys of `[tls]`, `[[certificate]]` and `[[listener]]`, and the rules about TLS that accounts have too.

use super::{FLAG, Key, Section, optional, preset, required};

const FILE: &str = "the absolute path of a file in PEM";
const NEED: &str = r#""nothing", "login" or "data""#;
const DATA_SESSION: &str = r#""prefer", "require" or "off""#;
const DATA_PEER: &str = r#""address" or "address-or-proof""#;
const UPLOAD_END: &str = r#""accept" or "refuse""#;

pub(crate) const TLS: Section = Section {
    name: "tls",
    repeated: false,
    example: false,
    about: "Encryption (FTPS). Certificates are read again when their files change.",
    keys: TLS_KEYS,
    nested: None,
};

const TLS_KEYS: &[Key] = &[
    preset(
        "offer",
        "true",
        FLAG,
        "Without a certificate below, one is made at the first start and kept in server.state_directory.",
    ),
    optional(
        "certificate",
        r#""/etc/longshore/chain.pem""#,
        FILE,
        "The certificate of this server, behind it those that vouch for it.",
    ),
    optional(
        "key",
        r#""/etc/longshore/key.pem""#,
        FILE,
        "Its private key, where the file above does not hold it too.",
    ),
    preset("minimum_version", r#""1.2""#, r#""1.2" or "1.3""#, "The oldest version of TLS that is spoken."),
    preset(
        "require",
        r#""nothing""#,
        NEED,
        "What must be protected: nothing, the login with all commands, or the data connections too.",
    ),
    preset(
        "data_session",
        r#""prefer""#,
        DATA_SESSION,
        "Whether protected data connections must resume the TLS session of their control connection.",
    ),
    preset(
        "data_peer",
        r#""address""#,
        DATA_PEER,
        "Where data connections come from: the client's address, or anywhere if they resume its session.",
    ),
    preset(
        "upload_end_without_close_notify",
        r#""accept""#,
        UPLOAD_END,
        "Whether a protected upload is whole whose connection ends without TLS saying so.",
    ),
    preset(
        "allow_ccc",
        "false",
        FLAG,
        "Let clients end the protection of commands after the login, for NAT devices that must read them.",
    ),
    preset(
        "client_certificates",
        r#""off""#,
        r#""off", "request" or "require""#,
        "Whether clients are asked for certificates, and whether there is no TLS without one.",
    ),
    optional(
        "client_authorities",
        r#""/etc/longshore/clients.pem""#,
        FILE,
        "The certificates of the authorities that vouch for clients; needed to ask them.",
    ),
];

pub(crate) const LISTENER: Section = Section {
    name: "listener",
    repeated: true,
    example: true,
    about: "An address with rules of its own, beside server.listen or instead of it. Not reloaded.",
    keys: &[
        required(
            "address",
            r#""0.0.0.0:990""#,
            r#"an address with a port, such as "0.0.0.0:990" or "[::]:990""#,
            "Address and port for control connections.",
        ),
        preset(
            "tls",
            r#""explicit""#,
            r#""explicit", "implicit" or "off""#,
            "Whether TLS begins when the client asks (AUTH TLS), at once as on port 990, or never.",
        ),
        REQUIRE,
        OWN_DATA_SESSION,
        OWN_DATA_PEER,
        OWN_UPLOAD_END,
    ],
    nested: None,
};

pub(crate) const CERTIFICATE: Section = Section {
    name: "certificate",
    repeated: true,
    example: true,
    about: "A further certificate, for clients that name a host. The first of all is for everybody else.",
    keys: &[
        required("file", r#""/etc/longshore/other.pem""#, FILE, "As tls.certificate."),
        optional("key", r#""/etc/longshore/other-key.pem""#, FILE, "As tls.key."),
        optional(
            "names",
            r#"["ftp.example.org"]"#,
            r#"a list of names of hosts that the certificate is for, such as ["ftp.example.org"]"#,
            "The hosts that get it, if not all that stand in it.",
        ),
    ],
    nested: None,
};

const REQUIRE: Key = optional("require", r#""login""#, NEED, "In place of tls.require.");
const OWN_DATA_SESSION: Key =
    optional("data_session", r#""require""#, DATA_SESSION, "In place of tls.data_session.");
const OWN_DATA_PEER: Key =
    optional("data_peer", r#""address-or-proof""#, DATA_PEER, "In place of tls.data_peer.");
const OWN_UPLOAD_END: Key = optional(
    "upload_end_without_close_notify",
    r#""refuse""#,
    UPLOAD_END,
    "In place of tls.upload_end_without_close_notify.",
);

/// Of accounts.
pub(super) const REQUIRE_TLS: Key =
    optional("require_tls", r#""data""#, NEED, "As tls.require, for more than that or the listener asks.");
pub(super) const ACCOUNT_DATA_SESSION: Key = optional(
    "data_session",
    r#""require""#,
    DATA_SESSION,
    "In place of tls.data_session and of what the listener says.",
);
pub(super) const ACCOUNT_DATA_PEER: Key = optional(
    "data_peer",
    r#""address-or-proof""#,
    DATA_PEER,
    "In place of tls.data_peer and of what the listener says.",
);
pub(super) const ACCOUNT_UPLOAD_END: Key = optional(
    "upload_end_without_close_notify",
    r#""refuse""#,
    UPLOAD_END,
    "In place of tls.upload_end_without_close_notify and of what the listener says.",
);
