//! The program from the outside: how it starts, what it prints, how it refuses, how it ends.

mod common;

use std::process::{Command, Stdio};

use common::{Directory, GUEST, PASSWORD, Server, USER, run};

#[track_caller]
fn check_refused(arguments: &[&str], expected: &[&str]) {
    let (_, complaint, succeeded) = run(arguments, "");
    assert!(!succeeded, "{arguments:?}");
    for words in expected {
        assert!(complaint.contains(words), "{words:?} is not in:\n{complaint}");
    }
}

#[test]
fn what_cannot_be_served_is_named_with_a_remedy() {
    check_refused(&["serve", "/no/such/directory"], &["/no/such/directory", "hint: name a directory"]);
    check_refused(&["serve", "/dev/null"], &["/dev/null is not a directory", "hint:"]);
    check_refused(&["serve", ".", "--user", "x"], &["no password", "\"x\"", "LONGSHORE_PASSWORD"]);
    check_refused(&["serve", ".", "--user", "anonymous"], &["--user anonymous", "everybody", "hint:"]);
    check_refused(&["serve", ".", "--listen", "nowhere"], &["nowhere", "192.0.2.1:21"]);
    check_refused(&["serve", ".", "--listen", "192.0.2.1:0"], &["192.0.2.1", "ip address"]);
    check_refused(&["serve", ".", "--passive-ports", "9-1"], &["9-1", "30000-30999"]);
    check_refused(&["serve", ".", "--durability", "some"], &["some", "none", "data", "full"]);
    check_refused(&["serve", ".", "--reed-only"], &["--reed-only", "--read-only"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    check_refused(&["serve", ".", "--listen", &address], &[&address, "in use"]);
}

#[test]
fn a_login_and_a_transfer_leave_one_line_each_and_no_password() {
    let directory = Directory::new("log");
    let server = Server::start(directory.path(), &["--passive-ports", "32000-32099"]);
    assert!(!server.announcement.contains(PASSWORD), "{}", server.announcement);
    let mut client = server.connect();
    client.login();
    assert!(client.upload("a", b"four"));
    client.say("USER nobody", 331);
    client.say("PASS hunter2", 530);
    client.say("QUIT", 221);
    let (log, ended_well) = server.interrupt();
    assert!(ended_well, "{log}");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(" #1 ")).collect();
    let [login, stored, refused] = lines.as_slice() else { panic!("three lines are expected:\n{log}") };
    assert!(login.ends_with(&format!("{USER}@127.0.0.1 logged in")), "{log}");
    assert!(stored.contains("stored (4 B, ") && stored.ends_with(") /a"), "{log}");
    assert!(
        refused.ends_with("login refused for nobody from 127.0.0.1: no-such-account (no such account)"),
        "{log}"
    );
}

#[test]
fn without_a_name_the_password_is_made_and_printed_once() {
    let directory = Directory::new("made");
    let mut child = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(["serve", "--listen", "127.0.0.1:0", "--passive-ports", "32100-32199", "--log-format", "text"])
        .current_dir(directory.path())
        .env(common::STATE, directory.file("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("longshore starts");
    let mut stdout = std::io::BufReader::new(child.stdout.take().expect("it is piped"));
    let mut text = String::new();
    while !text.contains("lftp ") {
        assert_ne!(std::io::BufRead::read_line(&mut stdout, &mut text).expect("a line"), 0, "{text}");
    }
    let word = |before: &str, after: char| {
        let (_, rest) = text.split_once(before).expect("it is announced");
        rest.split(after).next().expect("a word").to_owned()
    };
    let address = word("ftp://", '/').parse().expect("an address");
    let password = word("password ", ' ');
    assert_eq!(word("open -u longshore,", ' '), password, "the line to paste has the same password");
    let mut client = common::Client::connect(address);
    client.log_in("longshore", &password, 230);
    client.say("MKD x", 257);
    child.kill().expect("it can be killed");
    child.wait().expect("it is gone");
    assert!(directory.path().join("x").is_dir());
}

#[test]
fn read_only_lets_nobody_write() {
    let directory = Directory::new("readonly");
    std::fs::write(directory.path().join("a"), "x").expect("a file");
    let server = Server::start(directory.path(), &["--read-only", "--passive-ports", "32200-32299"]);
    let mut client = server.connect();
    for (user, password) in [(USER, PASSWORD), ("anonymous", GUEST)] {
        client.log_in(user, password, 230);
        client.say("DELE a", 550);
        client.say("MKD b", 550);
        assert!(!client.upload("a", b"y"));
    }
    assert_eq!(std::fs::read(directory.path().join("a")).expect("still there"), b"x");
}

#[test]
fn the_limit_of_sessions_is_said_and_one_that_ends_makes_room() {
    let directory = Directory::new("limit");
    let server = Server::start(directory.path(), &["--max-sessions", "2", "--passive-ports", "32300-32399"]);
    let (mut first, _second) = (server.connect(), server.connect());
    let third = std::net::TcpStream::connect(server.address).expect("it listens");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut &third, &mut said).expect("it is told why");
    assert!(said.starts_with("421 ") && said.contains("2 sessions"), "{said}");
    first.say("QUIT", 221);
    assert_eq!(first.try_reply(), None);
    // The seat is given back right after the connection was closed; until then the answer is 421 again.
    let mut tries = 0;
    while common::Client::try_connect(server.address).is_none_or(|mut client| !client.send("NOOP")) {
        tries += 1;
        assert!(tries < 1000, "the seat is never given back");
    }
}

#[test]
fn a_log_that_nobody_reads_holds_up_neither_sessions_nor_the_end() {
    let directory = Directory::new("unread");
    let server = Server::start(directory.path(), &["--passive-ports", "32800-32899"]);
    let mut client = server.connect();
    // More lines than a pipe holds.
    for _ in 0..2500 {
        client.log_in("anonymous", GUEST, 230);
    }
    client.say("QUIT", 221);
    assert!(server.interrupt_unread());
}
