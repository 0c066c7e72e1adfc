//! The commands that the banner shows, pasted as they stand.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use longshore_interop::{PASSWORD, Server, is_peer_here, run};

const BOUND: Duration = Duration::from_secs(90);

#[test]
fn the_curl_lines_list_the_folder() {
    if !is_peer_here("curl") {
        return;
    }
    let server = Server::start();
    fs::write(server.served().join("a file"), "x").expect("the served folder takes files");
    let lines = server.pasted("curl");
    assert!(!lines.is_empty(), "the banner shows how to use curl");
    for line in lines {
        let finished = run(Command::new("sh").args(["-c", &line]), BOUND).succeeded();
        assert!(finished.says("a file"), "{finished}");
    }
    server.stop();
}

#[test]
fn the_lftp_lines_open_a_session_that_may_write() {
    if !is_peer_here("lftp") || !is_peer_here("python3") {
        return;
    }
    let server = Server::start();
    let local = server.clients().join("sent");
    fs::write(&local, "by hand").expect("the client's folder takes files");
    let lines = server.pasted("lftp");
    assert!(!lines.is_empty(), "the banner shows how to use lftp");
    let put = format!("put {} && exit", local.display());
    for line in lines {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join("terminal.py");
        let mut command = Command::new("python3");
        command.arg("-B").arg(script).args([&line, "assword:", PASSWORD, "> ", &put]);
        command.env("HOME", server.clients()).env("LFTP_HOME", server.clients()).env("TERM", "dumb");
        let finished = run(&mut command, BOUND).succeeded();
        assert!(!finished.says("Fatal"), "{finished}");
        let sent = server.served().join("sent");
        assert_eq!(fs::read(&sent).ok().as_deref(), Some(&b"by hand"[..]), "{finished}");
        fs::remove_file(sent).expect("it is there");
    }
    server.stop();
}
