//! Quotas are kept to the byte: by twenty sessions at once, over `kill -9`, and when others take files away.

mod common;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Client, Directory, Server};

const QUOTA_BYTES: u64 = 10_000_000;
const QUOTA_FILES: u64 = 60;
const SESSIONS: usize = 20;

/// What really lies beneath a directory: bytes and files, hidden ones too.
fn on_disk(directory: &Path) -> (u64, u64) {
    let (mut bytes, mut files) = (0, 0);
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        let metadata = entry.metadata().expect("it is there");
        if metadata.is_dir() {
            let (more_bytes, more_files) = on_disk(&entry.path());
            (bytes, files) = (bytes + more_bytes, files + more_files);
        } else {
            (bytes, files) = (bytes + metadata.len(), files + 1);
        }
    }
    (bytes, files)
}

fn configuration(directory: &Directory, limits: &str) -> String {
    let root = directory.path().join("root");
    std::fs::create_dir_all(&root).expect("a directory");
    let file = directory.path().join("longshore.toml");
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\npassive_ports = \"32300-32399\"\ndurability = \"none\"\n\
         [anonymous]\nroot = {root:?}\npermissions = [\"all\"]\n{limits}\n"
    );
    std::fs::write(&file, text).expect("a configuration");
    file.display().to_string()
}

fn start(file: &str) -> Server {
    Server::start_with(&["--config", file])
}

fn log_in(server: &Server) -> Client {
    let mut client = server.connect();
    client.say("USER anonymous", 331);
    client.say("PASS someone@example.org", 230);
    client.say("TYPE I", 200);
    client
}

/// The code of the final answer; 0 when the server vanished.
fn store(client: &mut Client, name: &str, bytes: usize) -> u16 {
    let Some(mut data) = client.passive() else { return 0 };
    if !client.send(&format!("STOR {name}")) {
        return 0;
    }
    let code = |reply: Option<String>| reply.and_then(|reply| reply[..3].parse().ok()).unwrap_or(0);
    match code(client.try_reply()) {
        125 | 150 => {}
        other => return other,
    }
    // A server that has heard enough says so, and may end the connection while we still write.
    let _ = data.write_all(&vec![b'x'; bytes]);
    drop(data);
    code(client.try_reply())
}

/// Bytes and files as SITE QUOTA tells them.
fn told(client: &mut Client) -> (u64, u64) {
    let reply = client.say("SITE QUOTA", 200);
    let number = |unit: &str| {
        let line = reply.lines().find(|line| line.contains(&format!(" {unit} used"))).expect("a line of it");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    };
    (number("bytes"), number("files"))
}

/// The same from STAT.
fn status(client: &mut Client) -> (u64, u64) {
    let reply = client.say("STAT", 211);
    let numbers: Vec<u64> = reply
        .lines()
        .filter_map(|line| line.trim().strip_prefix("quota: "))
        .filter_map(|line| line.split(' ').next()?.parse().ok())
        .collect();
    (numbers[0], numbers[1])
}

#[test]
fn twenty_sessions_fill_it_to_the_byte_and_a_crash_changes_nothing() {
    let directory = Directory::new("quota");
    let file =
        configuration(&directory, &format!("quota_bytes = {QUOTA_BYTES}\nquota_files = {QUOTA_FILES}"));
    let root = directory.path().join("root");
    let mut server = start(&file);
    for round in 0..4 {
        // Odd sizes, so that the last room is never filled by chance.
        let refused = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for session in 0..SESSIONS {
                let (mut client, refused) = (log_in(&server), &refused);
                scope.spawn(move || {
                    for number in 0..6 {
                        let bytes = 90_001 + 50_021 * session + 7_001 * number;
                        match store(&mut client, &format!("{round}-{session}-{number}"), bytes) {
                            226 | 0 => {}
                            552 => refused.store(true, Ordering::Relaxed),
                            other => panic!("{other} for an upload"),
                        }
                    }
                });
            }
            if round % 2 == 1 {
                // In the middle of it all.
                let mut watcher = log_in(&server);
                while told(&mut watcher).1 < 10 {
                    std::thread::yield_now();
                }
                server.kill();
            }
        });
        if round % 2 == 1 {
            server = start(&file);
        } else {
            assert!(refused.load(Ordering::Relaxed), "the quota was never reached");
        }
        let mut client = log_in(&server);
        let (bytes, files) = told(&mut client);
        assert_eq!((bytes, files), status(&mut client));
        assert_eq!((bytes, files), on_disk(&root), "what is told is what is there (round {round})");
        assert!(bytes <= QUOTA_BYTES && files <= QUOTA_FILES, "{bytes} bytes in {files} files");
        // Room is made as a client makes it.
        for name in client.names() {
            client.say(&format!("DELE {name}"), 250);
        }
        let left = told(&mut client);
        assert_eq!(left, on_disk(&root));
        client.say("QUIT", 221);
    }
}

#[test]
fn the_last_byte_fits_and_no_more() {
    let directory = Directory::new("quota-edge");
    let file = configuration(&directory, "quota_bytes = 1000\nquota_files = 3\nfile_limit_bytes = 900");
    let root = directory.path().join("root");
    let server = start(&file);
    let mut client = log_in(&server);
    assert_eq!(store(&mut client, "a", 901), 552, "larger than a file may be");
    assert_eq!(on_disk(&root), (0, 0), "what can never be finished is not kept");
    assert_eq!(store(&mut client, "a", 900), 226);
    assert_eq!(store(&mut client, "b", 101), 552);
    assert_eq!(store(&mut client, "b", 100), 226);
    assert_eq!(told(&mut client), (1000, 2));
    // The file that is replaced makes the room for the one that replaces it.
    assert_eq!(store(&mut client, "a", 900), 226);
    assert_eq!(store(&mut client, "c", 1), 552);
    assert!(client.say("ALLO 1", 552).contains("0 bytes"));
    client.say("DELE a", 250);
    assert_eq!(store(&mut client, "c", 1), 226);
    assert_eq!(store(&mut client, "d", 1), 226);
    assert_eq!(store(&mut client, "e", 1), 552, "three files are there");
    assert_eq!(told(&mut client), on_disk(&root));
    // Somebody takes the files away, as consumers of drop-boxes do.
    for name in ["b", "c"] {
        std::fs::remove_file(root.join(name)).expect("it was stored");
    }
    // It is counted anew before a refusal, but not each time.
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        match store(&mut client, "e", 900) {
            226 => break,
            code => assert_eq!(code, 552),
        }
        assert!(std::time::Instant::now() < limit, "the room is never seen");
    }
    assert_eq!(told(&mut client), on_disk(&root));
}
