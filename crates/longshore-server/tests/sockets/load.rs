//! Many clients that do many things at once: whatever stands under a name is exactly what one upload sent.

use std::sync::atomic::{AtomicU64, Ordering};

use longshore_server::storage::memory::Memory;

use crate::common::ground::Scratch;
use crate::common::{Client, Random, Server, Setup, octets};

const CLIENTS: u64 = 16;
const OPERATIONS: u64 = 30;
const NAMES: u64 = 6;

/// Octets that say of themselves what they must be: a seed, their number, and what follows from the two.
fn letter(seed: u64, random: &mut Random) -> Vec<u8> {
    let length = match random.below(4) {
        0 => random.below(100),
        1 => random.below(70_000),
        2 => 64 * 1024 - 16,
        _ => random.below(700_000),
    };
    let mut letter = [seed.to_le_bytes(), length.to_le_bytes()].concat();
    letter.extend(octets(length as usize, seed));
    letter
}

#[track_caller]
fn check_letter(found: &[u8], what: &str) {
    let number =
        |at: usize| found.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let (Some(seed), Some(length)) = (number(0), number(8)) else {
        panic!("{what}: {} octets are no upload", found.len());
    };
    assert_eq!(found.len() as u64, length + 16, "{what}: not all of upload {seed}");
    assert!(found[16..] == octets(length as usize, seed), "{what}: not what upload {seed} sent");
}

/// One reply that must be one of these.
#[track_caller]
fn expect_any(client: &mut Client, codes: &[u16]) -> u16 {
    let reply = client.reply();
    assert!(codes.contains(&reply.code), "{reply:?} instead of {codes:?}");
    reply.code
}

fn one_client(server: &Server, number: u64, fetched: &AtomicU64) {
    let mut random = Random(number);
    let mut client = server.anna();
    for operation in 0..OPERATIONS {
        let name = format!("file-{}", random.below(NAMES));
        let seed = number * 1000 + operation;
        match random.below(10) {
            0..=2 => {
                client.store(format!("STOR {name}"), &letter(seed, &mut random));
            }
            3..=5 => {
                let mut data = client.data();
                client.send(format!("RETR {name}"));
                if expect_any(&mut client, &[125, 550]) == 125 {
                    check_letter(&data.read_all(), &name);
                    expect_any(&mut client, &[226]);
                    fetched.fetch_add(1, Ordering::Relaxed);
                }
            }
            // An upload that is cut: nothing of it may be seen.
            6 => {
                let mut data = client.data();
                client.command(format!("STOR {name}"), 125);
                data.write(&letter(seed, &mut random)[..10]);
                match random.below(3) {
                    0 => {
                        data.reset();
                        expect_any(&mut client, &[426]);
                    }
                    1 => {
                        client.send("ABOR");
                        expect_any(&mut client, &[426]);
                        expect_any(&mut client, &[226]);
                    }
                    _ => {
                        client.reset();
                        data.reset();
                        client = server.anna();
                    }
                }
            }
            7 => {
                client.send(format!("DELE {name}"));
                expect_any(&mut client, &[250, 550]);
            }
            8 => {
                client.send(format!("RNFR {name}"));
                if expect_any(&mut client, &[350, 550]) == 350 {
                    client.send(format!("RNTO file-{}", random.below(NAMES)));
                    expect_any(&mut client, &[250, 553]);
                }
            }
            _ => {
                client.names("NLST");
            }
        }
    }
    client.quit();
}

#[track_caller]
fn check(server: &Server) {
    let fetched = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let fetched = &fetched;
            scope.spawn(move || one_client(server, number, fetched));
        }
    });
    assert!(fetched.into_inner() > CLIENTS, "else nothing was tried");
    let mut client = server.anna();
    for name in client.names("NLST") {
        check_letter(&client.fetch(format!("RETR {name}")), &name);
    }
}

#[test]
fn memory() {
    check(&Setup::of(Memory::new()).ports(2 * CLIENTS as u16).start());
}

#[test]
fn local_directory() {
    let scratch = Scratch::new();
    check(&Setup::of(scratch.local()).ports(2 * CLIENTS as u16).start());
}
