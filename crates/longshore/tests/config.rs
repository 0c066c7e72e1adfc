//! A server by a configuration file, from the outside.

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::{Client, Directory, Server};

fn longshore(arguments: &[&str], input: &str) -> (String, String, bool) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("longshore runs");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.success())
}

/// A file with two accounts of the password "pass word", each in a directory of its own, and a public directory.
fn write_configuration(directory: &Directory) -> String {
    let (hash, complaint, hashed) = longshore(&["hash-password"], "pass word\n");
    assert!(hashed && hash.starts_with("$argon2id$"), "{complaint}");
    let root = directory.path().display();
    for name in ["anna", "away", "pub"] {
        std::fs::create_dir(directory.path().join(name)).expect("a directory");
    }
    std::fs::write(directory.path().join("pub/readme"), "hello").expect("a file");
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\npassive_ports = \"32600-32699\"\n\n\
         [anonymous]\nroot = \"{root}/pub\"\n\n\
         [[account]]\nname = \"anna\"\npassword = \"{hash}\"\nroot = \"{root}/{{user}}\"\n\
         permissions = [\"read\", \"list\", \"write\"]\n\n\
         [[account]]\nname = \"away\"\npassword = \"{hash}\"\nroot = \"{root}/{{user}}\"\n\
         networks = [\"192.0.2.0/24\"]\n",
        hash = hash.trim()
    );
    let file = directory.path().join("longshore.toml");
    std::fs::write(&file, text).expect("a configuration");
    file.display().to_string()
}

fn log_in(server: &Server, user: &str, password: &str, code: u16) -> Client {
    let mut client = server.connect();
    client.say(&format!("USER {user}"), 331);
    client.say(&format!("PASS {password}"), code);
    client
}

#[test]
fn accounts_see_their_own_directories_and_do_what_they_may() {
    let directory = Directory::new("config");
    let file = write_configuration(&directory);
    let (said, complaint, succeeded) = longshore(&["check", &file], "");
    assert!(succeeded && said.contains("no mistakes, 2 accounts"), "{said}{complaint}");
    let server = Server::start_with(&["--config", &file]);
    assert!(server.announcement.contains(&format!("serves by {file}")), "{}", server.announcement);

    let mut anna = log_in(&server, "anna", "pass word", 230);
    anna.say("TYPE I", 200);
    assert!(anna.upload("file", b"of anna"));
    // Neither overwriting nor removing is among her permissions.
    assert!(!anna.upload("file", b"another"));
    anna.say("DELE file", 550);
    anna.say("SIZE file", 213);
    assert_eq!(std::fs::read(directory.path().join("anna/file")).expect("it is there"), b"of anna");

    let mut anonymous = log_in(&server, "anonymous", "x", 230);
    anonymous.say("TYPE I", 200);
    assert!(anonymous.say("SIZE readme", 213).contains(" 5"));
    anonymous.say("CWD ../anna", 550);
    anonymous.say("MKD x", 550);

    let mut refused = log_in(&server, "away", "pass word", 530);
    refused.say("USER anna", 331);
    refused.say("PASS wrong", 530);
    drop(refused);
    let (log, ended_well) = server.interrupt();
    assert!(ended_well, "{log}");
    assert!(log.contains("login refused for away: the account may not come in from this address"), "{log}");
    assert!(log.contains("login refused for anna: wrong password"), "{log}");
    assert!(!log.contains("pass word"), "{log}");
}

#[test]
fn a_file_with_mistakes_is_not_served_and_all_of_them_are_told() {
    let directory = Directory::new("mistakes");
    let file = directory.path().join("bad.toml").display().to_string();
    std::fs::write(&file, "[server]\nlisten = 5\n[limits]\nsesions = 3\n").expect("a file");
    for arguments in [&["check", &file][..], &["serve", "--config", &file]] {
        let (_, complaint, succeeded) = longshore(arguments, "");
        assert!(!succeeded);
        assert!(complaint.contains(&format!("{file}:2: server.listen is 5; expected a list")), "{complaint}");
        assert!(
            complaint.contains(&format!("{file}:4: [limits] has no key sesions; did you mean sessions?")),
            "{complaint}"
        );
        assert!(complaint.contains("hint: 2 to mend"), "{complaint}");
    }
}

#[test]
fn check_looks_at_what_the_file_names() {
    let directory = Directory::new("check");
    let file = directory.path().join("file.toml").display().to_string();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let text = format!(
        "[server]\nlisten = [\"{address}\"]\npassive_ports = \"1024-65535\"\npublic_address = \"10.0.0.1\"\n\
         [anonymous]\nroot = \"/no/such/directory\"\n"
    );
    std::fs::write(&file, text).expect("a file");
    let (said, complaint, succeeded) = longshore(&["check", &file], "");
    assert!(!succeeded);
    for words in [&*format!("cannot listen on {address}"), "/no/such/directory cannot be served"] {
        assert!(complaint.contains(words), "{words:?} is not in:\n{complaint}");
    }
    for words in
        ["overlap with those of outgoing connections", "10.0.0.1 cannot be reached from the internet"]
    {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
}

#[test]
fn the_printed_default_can_be_served_once_somebody_may_come_in() {
    let (text, _, succeeded) = longshore(&["config"], "");
    assert!(succeeded);
    let directory = Directory::new("default");
    let root = directory.path().display().to_string();
    let file = directory.path().join("file.toml").display().to_string();
    std::fs::write(&file, &text).expect("a file");
    let (_, complaint, succeeded) = longshore(&["check", &file], "");
    assert!(!succeeded && complaint.contains("nobody could log in"), "{complaint}");
    std::fs::write(&file, format!("{text}\n[anonymous]\nroot = \"{root}\"\n")).expect("a file");
    let server =
        Server::start_with(&["--config", &file, "--listen", "127.0.0.1:0", "--passive-ports", "32700-32749"]);
    log_in(&server, "anonymous", "x", 230);
}
