//! `kill -9` in the middle of many uploads: no partial file under a final name, and every file that was answered
//! with 226 is whole.

mod common;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use common::{Directory, Server};

const ROUNDS: usize = 20;
const UPLOADS: usize = 200;

/// What the upload of this name holds: from nothing to 300 KiB, different for each.
fn contents(round: usize, number: usize) -> Vec<u8> {
    let length = (number * 7919 + round * 104_729) % (300 * 1024);
    let mut state = (round * UPLOADS + number) as u64 + 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // xorshift64: enough to tell any two files and any two places in one file apart.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn no_upload_is_half_there_after_a_crash() {
    let (mut answered_in_all, mut cut_in_all) = (0, 0);
    for round in 0..ROUNDS {
        let directory = Directory::new("crash");
        let mut server = Server::start(directory.path(), &["--passive-ports", "31000-31999"]);
        // From a kill before the first 226 to one near the last.
        let enough = 1 + round * UPLOADS / (ROUNDS + 2);
        let answered_count = AtomicUsize::new(0);
        let (tell, told) = mpsc::channel();
        let answered: HashSet<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..UPLOADS)
                .map(|number| {
                    let address = server.address;
                    let (answered_count, tell) = (&answered_count, tell.clone());
                    scope.spawn(move || {
                        let stored = upload(address, round, number);
                        if stored && answered_count.fetch_add(1, Ordering::SeqCst) + 1 >= enough {
                            let _ = tell.send(());
                        }
                        stored.then_some(number)
                    })
                })
                .collect();
            told.recv().expect("enough uploads succeed");
            server.kill();
            threads.into_iter().filter_map(|thread| thread.join().expect("no client panics")).collect()
        });
        let mut found = HashSet::new();
        for entry in std::fs::read_dir(directory.path()).expect("the directory") {
            let name = entry.expect("an entry").file_name().into_string().expect("ASCII names");
            let Some(number) = name.strip_prefix("file-") else {
                assert!(name.starts_with('.'), "round {round}: {name} is neither an upload nor hidden");
                continue;
            };
            let number: usize = number.parse().expect("a number");
            let stored = std::fs::read(directory.path().join(&name)).expect("it can be read");
            assert!(stored == contents(round, number), "round {round}: {name} is there and not whole");
            found.insert(number);
        }
        let missing: Vec<_> = answered.difference(&found).collect();
        assert!(missing.is_empty(), "round {round}: answered with 226 and not there: {missing:?}");
        answered_in_all += answered.len();
        cut_in_all += UPLOADS - answered.len();
    }
    assert!(cut_in_all > ROUNDS, "the kills came too late to show anything: {answered_in_all} answered");
}

/// A client that expects the server to vanish at any moment.
fn upload(address: std::net::SocketAddr, round: usize, number: usize) -> bool {
    let Some(mut client) = common::Client::try_connect(address) else { return false };
    let login = [format!("USER {}", common::USER), format!("PASS {}", common::PASSWORD), "TYPE I".to_owned()];
    for command in login {
        if !client.send(&command) || client.try_reply().is_none() {
            return false;
        }
    }
    client.upload(&format!("file-{number}"), &contents(round, number))
}
