//! How a server is changed while it runs, and how it ends.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use common::{Client, Directory, GUEST, PASSWORD, Server, USER, account, serve};

/// A server of one directory whose transfers have so long at the end.
fn start(directory: &Directory, grace_seconds: &str, passive_ports: &str) -> Server {
    let root = directory.path().to_str().expect("directories of tests are ASCII");
    let mut command =
        serve(&[root, "--user", USER, "--listen", "127.0.0.1:0", "--passive-ports", passive_ports]);
    command.env("LONGSHORE_LIMITS_DRAIN_GRACE_SECONDS", grace_seconds);
    Server::launch(command)
}

/// A session that is logged in, and one in the middle of an upload.
fn idle_and_busy(server: &Server) -> (Client, Client, TcpStream) {
    let (mut idle, mut busy) = (server.connect(), server.connect());
    idle.login();
    busy.login();
    let mut data = busy.passive().expect("a data connection");
    data.write_all(b"the first half").expect("it takes data");
    busy.say("STOR a", 125);
    (idle, busy, data)
}

#[test]
fn a_transfer_may_finish_while_nobody_else_is_served() {
    let directory = Directory::new("drain");
    let mut server = start(&directory, "3600", "28000-28019");
    let (mut idle, mut busy, mut data) = idle_and_busy(&server);
    server.signal("TERM");
    server.wait_for("draining: 2 sessions, transfers have 3600 s");
    idle.expect(421);
    assert_eq!(idle.try_reply(), None);
    let mut late = String::new();
    let mut stranger = TcpStream::connect(server.address).expect("it still listens");
    stranger.read_to_string(&mut late).expect("it is told why");
    assert!(late.starts_with("421 "), "{late}");
    data.write_all(b", and the other").expect("it still takes data");
    drop(data);
    busy.expect(226);
    busy.expect(421);
    assert!(server.ends_well());
    let stored = std::fs::read(directory.path().join("a")).expect("it was stored");
    assert_eq!(stored, b"the first half, and the other");
}

#[test]
fn a_transfer_that_takes_too_long_is_cut_and_answered() {
    for (grace, passive_ports) in [("0", "28020-28039"), ("1", "28040-28059")] {
        let directory = Directory::new("cut");
        let mut server = start(&directory, grace, passive_ports);
        let (mut idle, mut busy, data) = idle_and_busy(&server);
        server.signal("TERM");
        idle.expect(421);
        busy.expect(426);
        busy.expect(421);
        server.wait_for("stopped: ");
        assert!(server.ends_well());
        drop(data);
        assert!(!directory.path().join("a").exists());
    }
}

#[test]
fn a_second_signal_ends_it_at_once_and_in_order() {
    let directory = Directory::new("twice");
    let mut server = start(&directory, "3600", "28060-28079");
    let (mut idle, mut busy, _data) = idle_and_busy(&server);
    server.signal("INT");
    server.wait_for("draining: ");
    idle.expect(421);
    server.signal("INT");
    busy.expect(426);
    busy.expect(421);
    assert!(server.ends_well());
}

/// A client that asks and never reads would have the end in order wait for it.
#[test]
fn a_third_signal_ends_it_on_the_spot() {
    let directory = Directory::new("third");
    let mut server = start(&directory, "3600", "28200-28219");
    let (_idle, mut busy, _data) = idle_and_busy(&server);
    let mut deaf = TcpStream::connect(server.address).expect("it listens");
    deaf.write_all(&b"HELP\r\n".repeat(30_000)).expect("so little always goes");
    server.signal("TERM");
    server.wait_for("draining: ");
    server.signal("TERM");
    busy.expect(426);
    server.signal("INT");
    assert_eq!(server.exit_code(), Some(130), "as shells report an interrupt");
}

#[test]
#[allow(clippy::print_stderr, reason = "whoever reads the results must know")]
fn without_a_file_it_ends_with_its_terminal() {
    const TERMINAL: &str = "import os, pty, signal, subprocess, sys\n\
        master, terminal = pty.openpty()\n\
        server = subprocess.Popen(sys.argv[1:], stdin=terminal, stdout=subprocess.PIPE)\n\
        while b'lftp' not in server.stdout.readline(): pass\n\
        server.send_signal(signal.SIGHUP)\n\
        sys.exit(server.wait(60))";
    let directory = Directory::new("terminal");
    let root = directory.path().to_str().expect("directories of tests are ASCII");
    let longshore = serve(&[root, "--user", USER, "--listen", "127.0.0.1:0"]);
    let mut python = Command::new("python3");
    python.args(["-c", TERMINAL]).arg(longshore.get_program()).args(longshore.get_args());
    python.env(common::STATE, directory.file("state"));
    match python.env("LONGSHORE_PASSWORD", PASSWORD).status() {
        Ok(status) => assert!(status.success(), "{status}"),
        Err(_) => eprintln!("not run: there is no python3"),
    }
}

/// A configuration file that changes.
struct File {
    directory: Directory,
    path: String,
}

impl File {
    fn new(name: &str, text: impl Fn(&Directory) -> String) -> File {
        let directory = Directory::new(name);
        for root in ["anna", "bert", "pub"] {
            std::fs::create_dir(directory.path().join(root)).expect("a directory");
        }
        let path = directory.file("longshore.toml");
        let file = File { path, directory };
        file.write(&text(&file.directory));
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.path, text).expect("a configuration");
    }

    /// An account of this name in a directory of this name.
    fn account(&self, name: &str) -> String {
        account(name, &self.directory.path().join(name))
    }
}

fn anna_and_guests(directory: &Directory) -> String {
    let anonymous = format!("[anonymous]\nroot = {:?}\n", directory.file("pub"));
    account("anna", &directory.path().join("anna")) + &anonymous
}

const SERVER: &str = "[server]\nlisten = [\"127.0.0.1:0\"]\npassive_ports = \"28080-28099\"\n";

#[test]
fn a_reload_changes_all_but_those_who_are_there() {
    let file = File::new("reload", |directory| format!("{SERVER}{}", anna_and_guests(directory)));
    let mut server = Server::start_with(&["--config", &file.path, "--max-sessions", "5"]);
    let mut anna = server.connect();
    anna.log_in("anna", PASSWORD, 230);
    anna.say("TYPE I", 200);
    let mut data = anna.passive().expect("a data connection");
    anna.say("STOR begun-before", 125);

    // Anna is gone, Bert is new and may come once, guests must stay out. What was typed still wins.
    let bert = file.account("bert");
    file.write(&format!(
        "[server]\nlisten = [\"127.0.0.1:1\"]\npassive_ports = \"28100-28119\"\n[limits]\nsessions = 1\n\
         {bert}sessions = 1\n"
    ));
    server.signal("HUP");
    server.wait_for("reloaded: ");
    server.wait_for("server.listen or a [listener] has changed and takes a restart");
    data.write_all(b"whole").expect("it still takes data");
    drop(data);
    anna.expect(226);
    assert!(anna.upload("begun-after", b"whole"));
    server.connect().log_in("anna", PASSWORD, 530);
    server.connect().log_in("anonymous", GUEST, 530);
    let mut bert = server.connect();
    bert.log_in("bert", PASSWORD, 230);
    server.connect().log_in("bert", PASSWORD, 530);
    bert.say("TYPE I", 200);
    assert!(bert.say("EPSV", 229).contains("|||281"), "the passive ports are the new ones");
    let (log, ended_well) = server.interrupt();
    assert!(ended_well, "{log}");
    assert_eq!(std::fs::read(file.directory.path().join("anna/begun-after")).expect("stored"), b"whole");
}

#[test]
fn a_bad_file_changes_nothing_and_the_log_says_why() {
    let file = File::new("refused", |directory| {
        format!("{}{}", SERVER.replace("28080-28099", "28120-28139"), anna_and_guests(directory))
    });
    let good = std::fs::read_to_string(&file.path).expect("it was written");
    let mut server = Server::start_with(&["--config", &file.path]);
    let refused = |server: &mut Server, expected: &[&str]| {
        server.signal("HUP");
        server.wait_for("reload refused, the configuration before still holds:");
        for words in expected {
            server.wait_for(words);
        }
        let mut anna = server.connect();
        anna.log_in("anna", PASSWORD, 230);
        anna.say("TYPE I", 200);
        assert!(anna.upload("file", b"as before"));
    };
    file.write("[server]\nlisten = 5\n[limits]\nsesions = 3\n");
    refused(&mut server, &[":2: server.listen is 5; expected a list", ":4: [limits] has no key sesions"]);
    file.write(&good.replace("/pub", "/gone").replace("/anna", "/lost"));
    refused(&mut server, &["/gone cannot be served", "/lost cannot be served"]);
    file.write(&format!("{good}[log]\nfile = \"/no/such/directory/log\"\n"));
    refused(&mut server, &["the log file /no/such/directory/log cannot be opened"]);
    std::fs::remove_file(&file.path).expect("it is there");
    refused(&mut server, &["longshore.toml cannot be read"]);
    std::fs::remove_dir(file.directory.path().join("pub")).expect("it is empty");
    file.write(&good);
    refused(&mut server, &["pub cannot be served"]);
    std::fs::create_dir(file.directory.path().join("pub")).expect("a directory again");
    server.signal("HUP");
    server.wait_for("reloaded: ");
    let mut guest = server.connect();
    guest.log_in("anonymous", GUEST, 230);
    guest.say("CWD /", 250);
}
