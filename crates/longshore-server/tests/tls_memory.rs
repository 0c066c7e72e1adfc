//! What protected sessions hold that wait, and what those hold that do not come about. In a program of its own, with one
//! test: the memory of other tests would be counted too.
//!
//! The figures are printed, and held against their bounds: `cargo test -p longshore-server --test tls_memory --
//! --nocapture` shows them.

#![expect(clippy::print_stdout, reason = "a measurement is there to be read")]

mod common;

use std::io::{Read, Write};

use common::tls::{REQUIRE, VERSIONS, client};
use common::wire::Wire;
use common::{Client, Server, Setup, Situation, check_octets, not_run, octets};
use longshore_server::storage::memory::Memory;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The bound of one session that waits, in KiB.
const IDLE_LIMIT_KIB: u64 = 24;
/// What a connection may hold whose handshake has begun and does not go on, in KiB, beside what it has sent.
const BEGUN_LIMIT_KIB: u64 = 24;

const SESSIONS: usize = 2_000;
const FLOOD: usize = 500;
/// Pairs of sessions, one of each version, whose clients go on afterwards, too.
const KEPT: usize = 20;

/// The memory of this process, without what it shares with others.
fn proportional_set_kib() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("the kernel tells");
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).expect("the proportional set size");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB")
}

/// One that has logged in and fetched a file, and now does nothing.
fn idle(server: &Server, number: usize) -> Client {
    let mut client = server.secured(VERSIONS[number % 2]);
    check_octets(&client.fetch("RETR file"), &octets(20_000, 1));
    // What is told must not be taken for what is held.
    server.events().forget();
    client
}

/// What each of so many holds when the first ones are there already.
fn measure<T>(what: &str, limit_kib: u64, count: usize, mut make: impl FnMut(usize) -> T) -> Vec<T> {
    // What the first ones need is needed once.
    let mut all: Vec<T> = (0..count / 20).map(&mut make).collect();
    let before = proportional_set_kib();
    all.extend((0..count).map(&mut make));
    let held = proportional_set_kib().saturating_sub(before);
    println!("{what}: {:.1} KiB each of {count}", held as f64 / count as f64);
    assert!(held <= limit_kib * count as u64, "{what}: {held} KiB are more than {limit_kib} for each");
    all
}

/// AUTH, and bytes of a handshake that does not go on.
fn begun(server: &Server, bytes: &[u8]) -> Wire {
    let mut client = server.client();
    client.command("AUTH TLS", Situation::TlsBegins);
    let mut wire = client.into_wire();
    wire.socket.write_all(bytes).expect("the server reads");
    server.events().forget();
    wire
}

/// Descriptors for both ends of every connection; whether there may be so many.
fn raise_descriptor_limit() -> bool {
    let limit = getrlimit(Resource::Nofile);
    let wanted = (2 * (SESSIONS + 3 * FLOOD) * 21 / 20 + 200) as u64;
    let allowed = limit.maximum.is_none_or(|maximum| maximum >= wanted);
    if allowed && limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum })
            .expect("it is allowed");
    }
    allowed
}

#[test]
fn sessions_hold_little() {
    if !raise_descriptor_limit() {
        return not_run("not enough descriptors are allowed");
    }
    let memory = Memory::new();
    memory.insert("/file", octets(20_000, 1));
    let server = Setup::of(memory).tls(REQUIRE).on_one_thread().start();
    // The first of all needs what is needed once.
    let first = idle(&server, 0);

    // Nothing is given back before the end, or the next round would use it again.
    let mut all = Vec::new();
    let hello = {
        let mut wire = Wire::clear(first.stream().try_clone().expect("a descriptor is free"));
        wire.protect(&client(VERSIONS[1]));
        wire.take_unsent()
    };
    let long = [&[22, 3, 1, 64, 0][..], &[1, 0, 255, 255][..], &[7; 16_000]].concat();
    for (what, bytes) in [
        ("a part of a hello", &hello[..hello.len() / 2]),
        ("a hello and nothing more", &hello),
        ("a long record that is not whole", &long),
    ] {
        let limit = BEGUN_LIMIT_KIB + bytes.len() as u64 / 1024;
        let mut waiting = measure(what, limit, FLOOD, |_| begun(&server, bytes));
        // Others are served meanwhile.
        let mut other = idle(&server, 1);
        other.store("STOR other", &octets(100_000, 2));
        other.quit();
        // None of them was told anything in clear.
        for wire in &mut waiting {
            wire.socket.set_nonblocking(true).expect("a socket of ours");
            let mut said = [0; 1];
            assert!(wire.socket.read(&mut said).is_err() || said == [22]);
        }
        all.push(waiting);
    }

    let mut kept = Vec::new();
    let sockets = measure("idle sessions", IDLE_LIMIT_KIB, SESSIONS, |number| {
        let client = idle(&server, number);
        // The client's own side is not what is measured.
        if number % (SESSIONS / KEPT) < 2 && number > 1 {
            kept.push(client);
            None
        } else {
            Some(client.into_wire().socket)
        }
    });
    for client in &mut kept {
        client.command("NOOP", 200);
        check_octets(&client.fetch("RETR file"), &octets(20_000, 1));
    }
    assert_eq!(server.control().unproved(), 0);
    drop((all, sockets, kept, first));
}
