//! What is written down, in which form, and what becomes of it when it cannot be written.

mod common;

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Client, Directory, GUEST, PASSWORD, Server, USER, account, serve, serve_json};
use serde_json::Value;

/// Names whose owners would like to be somebody else.
const FORGED: [&str; 6] = [
    "x from 198.51.100.9: wrong-password (wrong password)",
    "x from 198.51.100.9: wrong-password (",
    "x\",\"peer\":\"198.51.100.9\",\"peer_port\":1,\"user\":\"x\",\"reason\":\"wrong-password\"",
    "#1 198.51.100.9 login refused for x from 198.51.100.9: wrong-password (wrong password)",
    "\\\" from 198.51.100.9",
    // Spaces, though not the usual one.
    "x\u{A0}from\u{3000}198.51.100.9:\u{2003}wrong-password\u{A0}(",
];

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn every_event_is_one_object() {
    let directory = Directory::new("json");
    let root = directory.path().to_str().expect("directories of tests are ASCII");
    let arguments = [root, "--user", USER, "--listen", "127.0.0.1:0", "--passive-ports", "28300-28319"];
    let server = Server::launch(serve_json(&arguments));
    assert!(server.announcement.contains("open -u writer "), "people are told on standard error");
    let mut client = server.connect();
    client.log_in("nobody", "hunter2", 530);
    client.login();
    assert!(client.upload("a \"b\"", b"four"));
    client.say("RNFR a \"b\"", 350);
    client.say("RNTO c", 250);
    client.say("QUIT", 221);
    let (log, ended_well) = server.interrupt();
    assert!(ended_well, "{log}");
    let events: Vec<Value> = log.lines().map(json).collect();
    let names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    let of_session =
        ["connected", "login-refused", "logged-in", "transfer", "changed", "ended", "draining", "stopped"];
    let mut sorted = names.clone();
    // The last words of a session and the first ones of the end have no order.
    sorted.retain(|name| *name != "ended");
    assert_eq!(sorted, of_session.iter().copied().filter(|name| *name != "ended").collect::<Vec<_>>());
    assert!(names.contains(&"ended"), "{log}");
    let transfer = &events[names.iter().position(|name| *name == "transfer").expect("one")];
    assert_eq!((&transfer["session"], &transfer["account"]), (&1.into(), &USER.into()));
    assert_eq!((&transfer["path"], &transfer["bytes"]), (&"/a \"b\"".into(), &4.into()));
    assert_eq!((&transfer["verb"], &transfer["code"]), (&"STOR".into(), &226.into()));
    let time = transfer["time"].as_str().expect("a text");
    assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
}

/// A configuration of one account, with what `[log]` says.
fn write_configuration(directory: &Directory, passive_ports: &str, log: &str) -> String {
    let file = directory.file("longshore.toml");
    let served = directory.path().join("served");
    std::fs::create_dir_all(&served).expect("a directory");
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\npassive_ports = {passive_ports:?}\n[limits]\n\
         failed_logins_per_address = 1000\n[log]\n{log}\n{}",
        account("anna", &served)
    );
    std::fs::write(&file, text).expect("a configuration");
    file
}

fn read(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn files_are_made_appended_to_and_opened_anew() {
    let directory = Directory::new("files");
    let (log, xferlog) = (directory.file("log"), directory.file("xferlog"));
    std::fs::write(&xferlog, "before\n").expect("a file");
    let settings = format!("file = {log:?}\nxferlog = {xferlog:?}\n");
    let file = write_configuration(&directory, "28320-28339", &settings);
    let mut server = Server::start_with(&["--config", &file]);
    [&log, &xferlog].into_iter().for_each(|log| server.also_logs_to(Path::new(log)));
    let mut anna = server.connect();
    anna.log_in("anna", PASSWORD, 230);
    anna.say("TYPE I", 200);
    assert!(anna.upload("a b", b"four"));
    for name in [&log, &xferlog] {
        std::fs::rename(name, format!("{name}.1")).expect("it is there");
    }
    server.signal("HUP");
    // The new ones are there when the old ones are done with.
    while !Path::new(&log).exists() || !read(&format!("{log}.1")).contains("reloaded: ") {
        assert!(server.connect().send("NOOP"));
    }
    assert!(anna.upload("c", b"five!"));
    anna.say("QUIT", 221);
    server.signal("TERM");
    assert!(server.ends_well());
    let (old, new) = (read(&format!("{log}.1")), read(&log));
    assert!(old.contains(" listens on 127.0.0.1:") && old.contains(") /a b\n"), "{old}");
    assert!(!new.contains("/a b") && new.contains(") /c\n") && new.contains("stopped: "), "{new}");
    assert_eq!(Path::new(&log).metadata().expect("it is there").mode() & 0o777, 0o640);
    let (old, new) = (read(&format!("{xferlog}.1")), read(&xferlog));
    let [before, first] = old.lines().collect::<Vec<_>>()[..] else { panic!("two lines:\n{old}") };
    assert_eq!(before, "before");
    assert!(first.ends_with(" 1 127.0.0.1 4 /a_b b _ i r anna ftp 0 * c"), "{first}");
    assert!(new.lines().count() == 1 && new.ends_with(" 127.0.0.1 5 /c b _ i r anna ftp 0 * c\n"), "{new}");
}

#[test]
fn a_log_that_cannot_be_written_stops_nobody_and_is_confessed() {
    let directory = Directory::new("full");
    let file = write_configuration(&directory, "28340-28359", "file = \"/dev/full\"");
    let mut server = Server::start_with(&["--config", &file]);
    let mut anna = server.connect();
    anna.log_in("anna", PASSWORD, 230);
    anna.say("TYPE I", 200);
    assert!(anna.upload("a", b"four"));
    write_configuration(&directory, "28340-28359", "");
    server.signal("HUP");
    let confession = server.wait_for("lines of the log before were lost: No space left on device");
    let count: u32 = confession.split(' ').nth(1).and_then(|count| count.parse().ok()).expect("a number");
    // The certificate, started, logged in, stored, reloaded.
    assert_eq!(count, 5, "{confession}");
    assert!(anna.upload("b", b"four"));
    server.wait_for(") /b");
}

/// A small disk of its own, where that may be had.
struct Disk(String);

impl Disk {
    fn new(path: String) -> Option<Disk> {
        std::fs::create_dir(&path).expect("a directory");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "none", &path])
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then_some(Disk(path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "whoever reads the results must know")]
fn when_a_disk_has_room_again_the_log_goes_on_and_says_what_is_missing() {
    let directory = Directory::new("disk");
    let Some(disk) = Disk::new(directory.file("disk")) else {
        eprintln!("not run: only root can mount a small disk");
        return;
    };
    let (log, filler) = (format!("{}/log", disk.0), format!("{}/filler", disk.0));
    let settings = format!("file = {log:?}\nformat = \"json\"");
    let file = write_configuration(&directory, "28360-28379", &settings);
    // The file decides: no flag.
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command.args(["serve", "--config", &file]).stdin(Stdio::null());
    command.env("LONGSHORE_LOG_FORMAT", "text");
    let mut server = Server::launch(command);
    server.also_logs_to(Path::new(&log));
    let mut anna = server.connect();
    anna.log_in("anna", PASSWORD, 230);
    anna.say("TYPE I", 200);
    let fill = std::fs::write(&filler, vec![0; 65536]);
    assert!(fill.is_err(), "the disk is larger than it should be");
    let full = read(&log).len();
    // Enough to need another page, which is not there.
    for number in 0..150 {
        assert!(anna.upload(&format!("file-{number}"), b"x"));
    }
    std::fs::remove_file(&filler).expect("it is there");
    let mut number = 0;
    while !read(&log).contains(" lines of this log were lost: No space left on device") {
        number += 1;
        assert!(number < 1000, "it is never said:\n{}", read(&log));
        assert!(anna.upload("again", b"x"));
    }
    let text = read(&log);
    assert!(text.len() > full);
    let torn = text.lines().filter(|line| !line.contains("Z ") && !line.is_empty()).count();
    assert!(torn <= 1, "at most one line is there in part:\n{text}");
    drop(server);
}

#[test]
fn a_dialogue_is_traced_while_it_runs_and_without_passwords() {
    let directory = Directory::new("trace");
    let file = write_configuration(&directory, "28380-28399", "");
    let mut server = Server::start_with(&["--config", &file]);
    let mut anna = server.connect();
    anna.log_in("anna", PASSWORD, 230);
    write_configuration(&directory, "28380-28399", "trace_accounts = [\"anna\"]");
    server.signal("HUP");
    server.wait_for("reloaded: ");
    // The trace is set right after that is said: until then there is only the login that follows.
    let mut tries = 0;
    while {
        anna.say("SYST", 215);
        server.connect().log_in("anna", PASSWORD, 230);
        !server.wait_for_either("> SYST", "logged in")
    } {
        tries += 1;
        assert!(tries < 1000, "it is never traced");
    }
    server.wait_for("anna@127.0.0.1 < 215 ");
    anna.say("USER anna", 331);
    anna.say(&format!("PASS {PASSWORD}"), 230);
    server.wait_for("> PASS ***");
    anna.send(PASSWORD);
    anna.expect(500);
    server.wait_for("> *** (no command)");
    write_configuration(&directory, "28380-28399", "");
    server.signal("HUP");
    server.wait_for("reloaded: ");
}

/// The expressions that docs/log.md gives, by format.
fn failregex(format: &str) -> String {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/log.md");
    let document = read(document);
    let (_, filter) = document.split_once(&format!("filter.d/longshore-{format}.conf")).expect("a filter");
    let line = filter.lines().find_map(|line| line.strip_prefix("failregex = ")).expect("an expression");
    line.replace("<HOST>", "(?P<host>[0-9A-Fa-f.:]+)")
}

/// The addresses that an expression finds in a log, one line for each.
fn found(expression: &str, log: &str) -> Option<Vec<String>> {
    const SEARCH: &str = "import re, sys\n\
        log = sys.stdin.buffer.read().decode().split('\\n')\n\
        lines = (re.sub(r'^\\d\\d:\\d\\d:\\d\\dZ', '', line) for line in log)\n\
        found = (re.search(sys.argv[1], line) for line in lines)\n\
        print('\\n'.join(match['host'] for match in found if match))";
    let python = Command::new("python3")
        .args(["-c", SEARCH, expression])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut python = python.ok()?;
    python.stdin.take().expect("it is piped").write_all(log.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success());
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

#[test]
#[allow(clippy::print_stderr, reason = "whoever reads the results must know")]
fn the_expressions_for_fail2ban_find_the_address_and_nothing_that_a_name_claims() {
    for (format, passive_ports) in [("text", "28400-28409"), ("json", "28410-28419")] {
        let directory = Directory::new("fail2ban");
        let file = write_configuration(&directory, passive_ports, "");
        let arguments = ["--config", &*file];
        let server =
            Server::launch(if format == "text" { serve(&arguments) } else { serve_json(&arguments) });
        let mut anna = server.connect();
        anna.log_in("anna", PASSWORD, 230);
        anna.say("TYPE I", 200);
        // As the name of a file and of a client too.
        for name in FORGED {
            assert!(anna.upload(&name.replace('/', "_"), b"x"));
        }
        // A refusal takes a while, by intent.
        let address = server.address;
        std::thread::scope(|scope| {
            for name in FORGED.iter().chain(&["bob", "anonymous"]) {
                scope.spawn(move || Client::connect(address).log_in(name, GUEST, 530));
            }
            anna.log_in("someone else", "hunter2", 530);
        });
        let (log, ended_well) = server.interrupt();
        assert!(ended_well, "{log}");
        let Some(hosts) = found(&failregex(format), &log) else {
            eprintln!("not run: there is no python3");
            return;
        };
        assert_eq!(hosts, vec!["127.0.0.1"; FORGED.len() + 3], "{log}");
    }
}
