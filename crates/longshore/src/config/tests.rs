//! The file against the code: the printed default changes nothing, each key wrong once names its line.

use super::keys::{Presence, SECTIONS};
use super::model::Settings;
use super::template;

/// What `longshore hash-password` printed for "secret".
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$MTIzNDU2Nzg5MDEyMzQ1Ng$gN/dOtPX/wTPlgzQFWThBN5zcK2KgxyDCJZE5AvDvc0";

fn account(rest: &str) -> String {
    format!("[[account]]\nname = \"camera\"\npassword = \"{HASH}\"\nroot = \"/srv/{{user}}\"\n{rest}")
}

#[track_caller]
fn check_refused(text: &str, expected: &[&str]) {
    let problems = Settings::read("file.toml", text).expect_err("mistakes are found").to_string();
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{problems}");
    for (line, words) in lines.iter().zip(expected) {
        assert!(line.contains(words), "{words:?} is not in {line:?}");
    }
}

#[test]
fn the_default_that_is_printed_is_the_default_that_holds() {
    let read = Settings::read("default", &template()).expect("it reads well");
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
    let read = Settings::read("examples", &text).expect("all of it reads well");
    assert_eq!(read.accounts.len(), 1);
    assert_eq!(read.accounts[0].tenancy.root, std::path::Path::new("/srv/drop/camera"));
    assert_eq!((read.accounts[0].networks.len(), read.accounts[0].hours.len()), (2, 1));
    assert!(read.anonymous.is_some() && read.public_address.is_some());
}

/// Every key of the table with a value that no key takes, at a line that is known.
#[test]
fn each_key_wrong_once_names_its_line_and_what_was_expected() {
    for section in SECTIONS {
        for key in section.keys {
            let brackets = if section.repeated { ("[[", "]]") } else { ("[", "]") };
            let mut text = format!("# one\n{}{}{}\n", brackets.0, section.name, brackets.1);
            for other in section.keys {
                if other.name != key.name && other.presence == Presence::Required {
                    text.push_str(&format!("{} = {}\n", other.name, other.value));
                }
            }
            let text = text.replace("$argon2id$v=19$m=19456,t=2,p=1$...", HASH);
            let line = text.lines().count() + 1;
            let text = format!("{text}{} = [-1.5]\n", key.name);
            let expected = format!("file.toml:{line}: {}.{} is ", section.name, key.name);
            let problems = Settings::read("file.toml", &text).expect_err("it is wrong").to_string();
            assert!(problems.starts_with(&expected) && problems.ends_with(key.expected), "{problems}");
        }
    }
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
        &["file.toml:1: [account] needs the key password", "file.toml:1: [account] needs the key root"],
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

#[test]
fn what_is_not_toml_has_a_line_too() {
    check_refused(
        "[server]\ndurability = \"data\nx",
        &["file.toml:2: this is not TOML", "file.toml:3: this is not TOML"],
    );
}
