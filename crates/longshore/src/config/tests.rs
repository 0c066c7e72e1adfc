//! The file and the environment against the code: the printed default changes nothing, each key wrong once names its
//! line or variable.

use std::time::Duration;

use longshore_accounts::{AccountLimits, Mode, Permission, Permissions};
use longshore_path::VirtualPath;

use super::environment::Environment;
use super::keys::{ACCOUNT, LIMITS, Presence, SECTIONS, Section};
use super::model::Settings;
use super::reader::Problems;
use super::template;

/// What `longshore hash-password` printed for "secret".
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$MTIzNDU2Nzg5MDEyMzQ1Ng$gN/dOtPX/wTPlgzQFWThBN5zcK2KgxyDCJZE5AvDvc0";

pub(super) fn read(text: &str) -> Result<Settings, Problems> {
    Settings::read("file.toml", text, &Environment::default())
}

pub(super) fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::of(variables.iter().map(|(name, value)| (name.into(), value.into())))
}

pub(super) fn account(rest: &str) -> String {
    format!("[[account]]\nname = \"camera\"\npassword = \"{HASH}\"\nroot = \"/srv/{{user}}\"\n{rest}")
}

#[track_caller]
pub(super) fn check_refused(text: &str, expected: &[&str]) {
    check_problems(read(text), expected);
}

#[track_caller]
pub(super) fn check_problems(read: Result<Settings, Problems>, expected: &[&str]) {
    let problems = read.expect_err("mistakes are found").to_string();
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{problems}");
    for (line, words) in lines.iter().zip(expected) {
        assert!(line.contains(words), "{words:?} is not in {line:?}");
    }
}

#[test]
fn the_default_that_is_printed_is_the_default_that_holds() {
    let read = read(&template()).expect("it reads well");
    assert_eq!(format!("{read:?}"), format!("{:?}", Settings::default()));
}

#[test]
fn every_example_in_the_default_is_a_valid_one() {
    let text: String = template()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let text = text.replace("$argon2id$v=19$m=19456,t=2,p=1$...", HASH);
    let read = read(&text).expect("all of it reads well");
    assert_eq!(read.accounts.len(), 1);
    assert_eq!(read.accounts[0].tenancy.root, std::path::Path::new("/srv/drop/camera"));
    assert_eq!((read.accounts[0].networks.len(), read.accounts[0].hours.len()), (2, 1));
    assert_eq!(read.accounts[0].tenancy.rules.iter().len(), 1);
    assert!(read.anonymous.is_some() && read.server.public_address.is_some());
    assert_eq!((read.server.listen.len(), read.tls.certificates.len()), (3, 2));
    assert_eq!(read.accounts[0].certificates.len(), 1);
}

/// Every key of the table with a value that no key takes, at a line that is known.
#[test]
fn each_key_wrong_once_names_its_line_and_what_was_expected() {
    for section in SECTIONS {
        check_each_wrong(section, None);
        if let Some(nested) = section.nested {
            check_each_wrong(nested, Some(section));
        }
    }
}

fn check_each_wrong(section: &Section, within: Option<&Section>) {
    let needed = |section: &Section, but: &str| {
        let needed = section.keys.iter().filter(|key| key.presence == Presence::Required && key.name != but);
        let lines: String = needed.map(|key| format!("{} = {}\n", key.name, key.value)).collect();
        lines.replace("$argon2id$v=19$m=19456,t=2,p=1$...", HASH)
    };
    let holder =
        within.map(|within| format!("{}\n{}", within.head(None), needed(within, ""))).unwrap_or_default();
    let shown = within.map_or(section.name.to_owned(), |within| format!("{}.{}", within.name, section.name));
    for key in section.keys {
        let head = section.head(within.map(|within| within.name));
        let text = format!("# one\n{holder}{head}\n{}", needed(section, key.name));
        let line = text.lines().count() + 1;
        let text = format!("{text}{} = [-1.5]\n", key.name);
        let problems = read(&text).expect_err("it is wrong").to_string();
        let told = format!("file.toml:{line}: {shown}.{} is ", key.name);
        let found = problems.lines().find(|line| line.starts_with(&told));
        assert!(found.is_some_and(|found| found.ends_with(key.expected)), "{problems}");
    }
}

#[test]
fn each_variable_wrong_once_is_named_with_what_was_expected() {
    for section in SECTIONS.iter().filter(|section| section.in_environment()) {
        for key in section.keys {
            let name = format!("LONGSHORE_{}_{}", section.name, key.name).to_ascii_uppercase();
            let read = Settings::read("", "", &environment(&[(&name, "[-1.5]")]));
            let problems = read.expect_err("it is wrong").to_string();
            let told = format!("{name}: {}.{} is ", section.name, key.name);
            assert!(problems.starts_with(&told) && problems.ends_with(key.expected), "{problems}");
        }
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "[limits]\nsessions = 5\nban_seconds = 7\n[server]\nlisten = [\"127.0.0.1:1\"]\n";
    let variables = environment(&[
        ("LONGSHORE_LIMITS_SESSIONS", "50"),
        ("LONGSHORE_SERVER_LISTEN", r#"["0.0.0.0:21", "[::]:21"]"#),
        ("LONGSHORE_SERVER_PASSIVE_PORTS", "20000-20099"),
        ("LONGSHORE_SERVER_PUBLIC_ADDRESS", "192.0.2.1"),
        ("LONGSHORE_LIMITS_UPLOAD_BYTES_PER_SECOND", "10 MiB"),
        ("LONGSHORE_LIMITS_DRAIN_GRACE_SECONDS", "0"),
        ("LONGSHORE_LOG_FILE", "/var/log/a b"),
        ("LONGSHORE_LOG_FORMAT", "\"json\""),
        // Neither ours nor of a section.
        ("LONGSHORE_PASSWORD", "[x"),
        ("LONGSHORE_ACCOUNT_NAME", "x"),
        ("PATH", "/bin"),
    ]);
    let read = Settings::read("file.toml", file, &variables).expect("it reads well");
    assert_eq!((read.limits.sessions, read.limits.ban), (50, Duration::from_secs(7)));
    assert_eq!(read.server.listen.len(), 2);
    assert_eq!(read.server.passive_ports, 20000..=20099);
    assert_eq!(read.server.public_address, Some([192, 0, 2, 1].into()));
    assert_eq!(read.limits.rates.upload.map(u64::from), Some(10 << 20));
    assert_eq!(read.limits.drain_grace, Duration::ZERO);
    assert_eq!(read.log.file.as_deref(), Some(std::path::Path::new("/var/log/a b")));
    assert_eq!(read.log.format, crate::cli::LogFormat::Json);
}

#[test]
fn mistakes_of_the_environment_are_told_beside_those_of_the_file() {
    use std::os::unix::ffi::OsStringExt;
    let not_utf8 = std::ffi::OsString::from_vec(b"/\xFF".to_vec());
    let variables = [
        ("LONGSHORE_LIMITS_SESIONS".into(), "5".into()),
        ("LONGSHORE_LIMITS_SESSIONS".into(), "many".into()),
        ("LONGSHORE_LOG_FILE".into(), not_utf8),
    ];
    check_problems(
        Settings::read("file.toml", "[limits]\nsessions = 0\n", &Environment::of(variables)),
        &[
            "file.toml:2: limits.sessions is 0; expected",
            "LONGSHORE_LIMITS_SESIONS: [limits] has no such key; did you mean LONGSHORE_LIMITS_SESSIONS?",
            "LONGSHORE_LIMITS_SESSIONS: limits.sessions is many; expected a whole number from 1 to 1000000",
            "LONGSHORE_LOG_FILE: log.file is not UTF-8; expected the absolute path",
        ],
    );
}

#[test]
fn what_an_account_may_have_and_do_where() {
    let text = account(
        "sessions = 3\nupload_bytes_per_second = 1000\ndownload_bytes_per_second = \"2 kB\"\n\
         session_upload_bytes_per_second = \"3 kB\"\nsession_download_bytes_per_second = \"4 kB\"\n\
         file_limit_bytes = \"1 GiB\"\nquota_bytes = \"2 GiB\"\nquota_files = 77\numask = \"027\"\n\
         directory_mode = \"2770\"\ndisabled = true\npermissions = [\"read\", \"list\", \"set-modes\"]\n\
         [[account.rules]]\npath = \"/in/**\"\ngrant = [\"write\"]\nrevoke = [\"read\"]\n\
         [[account.rules]]\npath = \"/in/readme\"\ngrant = [\"read\"]\n",
    );
    let tenancy = read(&text).expect("it reads well").accounts.remove(0).tenancy;
    let expected = AccountLimits {
        sessions: Some(3),
        upload_bytes_per_second: Some(1000),
        download_bytes_per_second: Some(2000),
        session_upload_bytes_per_second: Some(3000),
        session_download_bytes_per_second: Some(4000),
        file_bytes: Some(1 << 30),
        quota_bytes: Some(2 << 30),
        quota_files: Some(77),
    };
    assert_eq!(tenancy.limits, expected);
    assert_eq!(tenancy.file_mode, Mode::new(0o640));
    assert_eq!(tenancy.directory_mode, Mode::new(0o2770), "said itself, it wins over umask");
    assert!(tenancy.disabled && tenancy.permissions.allows(Permission::SetModes));
    let account = tenancy.account("camera", "tree".to_owned());
    let at = |path: &str| account.permissions_at(&VirtualPath::new(path).expect("a path"));
    assert!(at("/out").allows(Permission::Read) && !at("/out").allows(Permission::Write));
    assert!(at("/in/a").allows(Permission::Write) && !at("/in/a").allows(Permission::Read));
    assert!(at("/in/readme").allows(Permission::Read));
    assert!(tenancy.permissions_anywhere().allows(Permission::Write));
    let plain = read(&self::account("")).expect("it reads well").accounts.remove(0).tenancy;
    assert_eq!((plain.file_mode, plain.permissions), (None, Permissions::ALL));
}

#[test]
fn rules_that_make_no_sense() {
    let rule = |rest: &str| account(&format!("[[account.rules]]\npath = \"/a\"\n{rest}"));
    check_refused(&rule(""), &["file.toml:5: [account.rules] needs the key grant, revoke, or both"]);
    check_refused(
        &rule("grant = [\"read\"]\ngrand = [\"read\"]\n"),
        &["file.toml:8: [account.rules] has no key grand; did you mean grant?"],
    );
    check_refused(
        &rule("grant = [\"read\"]\n").replace("\"/a\"", "\"/a/../b\""),
        &["file.toml:6: account.rules.path is \"/a/../b\" (. and .. never match"],
    );
    check_refused(
        &account("[[account.rules]]\ngrant = [\"read\"]\n"),
        &["file.toml:5: [account.rules] needs the key path"],
    );
    check_refused(&account("rules = 5\n"), &["account.rules is written as a section [[account.rules]]"]);
    check_refused(&account("rule = 5\n"), &["[account] has no key rule; did you mean rules?"]);
    let many: String = (0..65).map(|_| "[[account.rules]]\npath = \"/a\"\ngrant = [\"read\"]\n").collect();
    check_refused(&account(&many), &["65 path rules are more than the 64"]);
}

#[test]
fn what_belongs_together() {
    check_refused("[server]\ngroup = \"ftp\"\n", &["file.toml:2: server.group needs server.user"]);
    check_refused(
        "[server]\nuser = \"root\"\n",
        &["file.toml:2: server.user is \"root\"; expected the name"],
    );
    check_refused(
        "[log]\nfile = \"/a\"\nxferlog = \"/a\"\n",
        &["file.toml:3: log.xferlog and log.file are the same file"],
    );
    let none = read("[limits]\nexempt_networks = []\ndrain_grace_seconds = 0\n").expect("it reads well");
    assert!(none.limits.exempt.is_empty() && none.limits.drain_grace.is_zero());
}

#[test]
fn all_mistakes_are_told_at_once() {
    check_refused(
        "[server]\nlisten = [\"0.0.0.0:21\", \"nowhere\"]\ndurabilty = \"data\"\n\n[limit]\n[limits]\nsessions = 0\n",
        &[
            "file.toml:2: server.listen is \"nowhere\"; expected a list of addresses",
            "file.toml:3: [server] has no key durabilty; did you mean durability?",
            "file.toml:5: there is no section [limit]; did you mean limits?",
            "file.toml:7: limits.sessions is 0; expected a whole number from 1 to 1000000",
        ],
    );
}

#[test]
fn accounts_that_make_no_sense() {
    check_refused(
        "[[account]]\nname = \"a\"\n",
        &[
            "file.toml:1: [account] needs the key password, certificates, or both",
            "file.toml:1: [account] needs the key root",
        ],
    );
    check_refused(
        &format!("{}{}", account(""), account("")),
        &["file.toml:6: there are two accounts with the name \"camera\""],
    );
    check_refused(
        &account("networks = [\"192.0.2.1/24\"]\n"),
        &["file.toml:5: account.networks is \"192.0.2.1/24\" ("],
    );
    check_refused(
        &account("hours = [\"Mon-Xyz\"]\n"),
        &["account.hours is \"Mon-Xyz\" (\"Xyz\" is no day of the week"],
    );
    check_refused(
        &account("permissions = [\"fly\"]\n"),
        &["account.permissions is \"fly\"; expected a list of some of"],
    );
    check_refused(
        &account("").replace("\"camera\"", "\"ftp\""),
        &["account.name is \"ftp\"; expected a name"],
    );
    check_refused(&account("").replace("\"camera\"", "\"../x\""), &["account.root is"]);
    // Somebody wrote the password itself: it goes into no message.
    check_refused(&account("").replace(HASH, "hunter2"), &["account.password is not shown ("]);
    check_refused("[account]\nname = \"a\"\n", &["account is written as a section [[account]]"]);
    check_refused("server = 5\n", &["file.toml:1: server is written as a section [server]"]);
}

/// The one table of limits for operators names each of them, with its default.
#[test]
fn the_page_of_limits_is_complete() {
    let page = include_str!("../../../../docs/limits.md");
    let row = |name: &str| {
        page.lines().filter(|line| line.starts_with(&format!("| `{name}` |"))).collect::<Vec<_>>()
    };
    for key in LIMITS.keys {
        let default = if key.presence == Presence::Default {
            format!("| `{}` |", key.value)
        } else {
            "| none |".to_owned()
        };
        let rows = row(key.name);
        assert!(rows.iter().any(|row| row.contains(&default)), "{}: {default} is not in {rows:?}", key.name);
    }
    let limit = |name: &str| {
        name == "sessions" || ["_per_second", "_bytes", "_files"].iter().any(|end| name.ends_with(end))
    };
    for key in ACCOUNT.keys.iter().filter(|key| limit(key.name)) {
        assert!(!row(key.name).is_empty(), "{} has no row", key.name);
    }
}

#[test]
fn what_is_not_toml_has_a_line_too() {
    check_refused(
        "[server]\ndurability = \"data\nx",
        &["file.toml:2: this is not TOML", "file.toml:3: this is not TOML"],
    );
}
