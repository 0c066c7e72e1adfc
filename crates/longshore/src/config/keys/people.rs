//! The keys of `[anonymous]` and `[[account]]`: mostly the same.

use super::tls::{ACCOUNT_DATA_PEER, ACCOUNT_DATA_SESSION, ACCOUNT_UPLOAD_END, REQUIRE_TLS};
use super::{BYTES, COUNT, FLAG, Key, Section, optional, preset, required};

const PERMISSIONS: &str = "a list of some of \"read\", \"list\", \"write\", \"overwrite\", \"append\", \"delete\", \
                           \"rename\", \"make-directory\", \"remove-directory\", \"set-times\", \"set-modes\", or \
                           \"all\"";
const NETWORKS: &str = r#"a list of networks or addresses, such as ["192.0.2.0/24", "::1"]"#;
const FILE_COUNT: &str = "a whole number from 1 to 1000000000000";

/// Those of one section, and those that both have.
macro_rules! keys {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            SESSIONS,
            UPLOAD,
            DOWNLOAD,
            SESSION_UPLOAD,
            SESSION_DOWNLOAD,
            FILE_LIMIT,
            QUOTA_BYTES,
            QUOTA_FILES,
            UMASK,
            FILE_MODE,
            DIRECTORY_MODE,
            DISABLED,
            REQUIRE_TLS,
            ACCOUNT_DATA_SESSION,
            ACCOUNT_DATA_PEER,
            ACCOUNT_UPLOAD_END,
        ]
    };
}

pub(crate) const ANONYMOUS: Section = Section {
    name: "anonymous",
    repeated: false,
    example: true,
    about: "Anybody, as anonymous or ftp with any password. Without this section nobody.",
    keys: keys![root(r#""/srv/pub""#), DIRECTORY, permissions(r#"["read", "list"]"#),],
    nested: Some(&RULES),
};

pub(crate) const ACCOUNT: Section = Section {
    name: "account",
    repeated: true,
    example: true,
    about: "One account; the section may come as often as there are accounts.",
    keys: keys![
        required(
            "name",
            r#""camera""#,
            "a name of 1 to 255 bytes without control characters, not anonymous and not ftp",
            "As it is given with USER.",
        ),
        optional(
            "password",
            r#""$argon2id$v=19$m=19456,t=2,p=1$...""#,
            "a hash as `longshore hash-password` prints it, or one that begins with $5$, $6$ or $y$",
            "The hash of the password, never the password itself; needed where no certificates are.",
        ),
        optional(
            "certificates",
            r#"["CN=camera,O=Example"]"#,
            r#"a list of subjects as RFC 4514 writes them, such as "CN=camera,O=Example", or fingerprints, such as "sha256:AB:CD:...""#,
            "Certificates of clients that let in without a password.",
        ),
        root(r#""/srv/drop/{user}""#),
        DIRECTORY,
        permissions(r#"["all"]"#),
        optional(
            "networks",
            r#"["192.0.2.0/24", "2001:db8::/32"]"#,
            NETWORKS,
            "From where the account may log in; without it from everywhere.",
        ),
        optional(
            "hours",
            r#"["Mon-Fri 08:00-18:00"]"#,
            r#"a list of hours, such as ["Mon-Fri 08:00-18:00", "Sat"]"#,
            "When the account may log in, in UTC; without it at any time.",
        ),
    ],
    nested: Some(&RULES),
};

/// Within both.
pub(crate) const RULES: Section = Section {
    name: "rules",
    repeated: true,
    example: true,
    about: "What may be done more or less in some places; every rule that matches applies, in order.",
    keys: &[
        required(
            "path",
            r#""/incoming/**""#,
            r#"a pattern of absolute paths, such as "/incoming/**" or "/**/*.tmp""#,
            "Where: * is anything within a name, ** any number of directories.",
        ),
        optional("grant", r#"["write"]"#, PERMISSIONS, "What is allowed there in addition."),
        optional("revoke", r#"["read"]"#, PERMISSIONS, "What is not allowed there."),
    ],
    nested: None,
};

const fn root(example: &'static str) -> Key {
    required(
        "root",
        example,
        "the absolute path of a directory; {user} stands for the account's name",
        "The directory that is served; nothing outside it can be reached.",
    )
}

const fn permissions(value: &'static str) -> Key {
    preset("permissions", value, PERMISSIONS, "What may be done there.")
}

const DIRECTORY: Key = preset(
    "directory",
    r#""/""#,
    "an absolute path within the root, such as \"/incoming\"",
    "Where a session begins.",
);
const SESSIONS: Key = optional("sessions", "3", COUNT, "Sessions of this account at once.");
const UPLOAD: Key =
    optional("upload_bytes_per_second", r#""5 MB""#, BYTES, "For all uploads of this account together.");
const DOWNLOAD: Key =
    optional("download_bytes_per_second", r#""5 MB""#, BYTES, "For all downloads and listings together.");
const SESSION_UPLOAD: Key = optional(
    "session_upload_bytes_per_second",
    r#""1 MB""#,
    BYTES,
    "For the uploads of each session, in place of limits.session_upload_bytes_per_second.",
);
const SESSION_DOWNLOAD: Key = optional(
    "session_download_bytes_per_second",
    r#""1 MB""#,
    BYTES,
    "For the downloads of each session, in place of limits.session_download_bytes_per_second.",
);
const FILE_LIMIT: Key =
    optional("file_limit_bytes", r#""2 GiB""#, BYTES, "The largest file that an upload may leave.");
const QUOTA_BYTES: Key = optional(
    "quota_bytes",
    r#""100 GiB""#,
    BYTES,
    "Bytes of all files beneath the root, whoever put them there.",
);
const QUOTA_FILES: Key =
    optional("quota_files", "100000", FILE_COUNT, "Files beneath the root, whoever put them there.");
const UMASK: Key = optional(
    "umask",
    r#""027""#,
    r#"octal digits as text from "0" to "777", such as "027""#,
    "What new files (0666) and directories (0777) are made without.",
);
const FILE_MODE: Key = optional(
    "file_mode",
    r#""0640""#,
    r#"octal digits as text from "0" to "3777", such as "0640""#,
    "The mode of new files, whatever umask says.",
);
const DIRECTORY_MODE: Key = optional(
    "directory_mode",
    r#""2750""#,
    r#"octal digits as text from "0" to "3777", such as "2750""#,
    "The mode of new directories, whatever umask says.",
);
const DISABLED: Key = preset("disabled", "false", FLAG, "Nobody logs in, whatever the password.");
