//! What a session keeps on the heap while it waits, counted byte by byte, and held against ARCHITECTURE.md. In a program of
//! its own, with one test: what others allocate would be counted too.
//!
//! The figures are printed: `cargo test -p longshore-server --test idle_memory -- --nocapture` shows them.
//!
//! Not inside: what the allocator adds, and pages that nobody gives back; `cargo xtask bench` measures those.

#![expect(clippy::print_stdout, reason = "a measurement is there to be read")]

mod common;

use std::alloc::System;
use std::time::Instant;

use common::tls::{REQUIRE, VERSIONS};
use common::{Client, PATIENCE, Server, Setup, check_octets, octets};
use longshore_server::storage::memory::Memory;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// As many descriptors as any process may have are enough for both ends of so many.
const SESSIONS: usize = 200;
/// The first ones pay for what all share.
const FIRST: usize = 20;
/// Less than this cannot be all of it: the runtime alone needs half of it for a task and its socket.
const LEAST_BYTES: usize = 1024;

const ARCHITECTURE: &str = include_str!("../../../ARCHITECTURE.md");

fn held_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// The figure of this row in ARCHITECTURE.md.
fn limit_bytes(row: &str) -> usize {
    let line = ARCHITECTURE.lines().find(|line| line.starts_with(&format!("| {row} |")));
    let line = line.unwrap_or_else(|| panic!("ARCHITECTURE.md has no row {row:?}"));
    let figure = line.split('|').nth(2).expect("a second column").trim().replace(',', "");
    figure.parse().unwrap_or_else(|_| panic!("{figure:?} in the row {row:?} is no number"))
}

/// Makes sessions that wait, and counts what each adds. Of a client only its socket stays, which is not on the heap.
fn check(server: &Server, row: &str, make: impl Fn() -> Client) {
    let mut neighbour = server.anna();
    let mut sockets = Vec::with_capacity(FIRST + SESSIONS);
    let mut add = |count: usize| {
        for _ in 0..count {
            let mut client = make();
            // Whatever it did before has been answered and is over.
            client.command("NOOP", 200);
            sockets.push(client.into_wire().socket);
        }
    };
    add(FIRST);
    server.events().forget();
    let before = held_bytes();
    add(SESSIONS);
    let limit = limit_bytes(row);
    let end = Instant::now() + PATIENCE;
    let each = loop {
        // What is told must not be taken for what is held. Data connections may still be closing: they are over in the end.
        neighbour.command("NOOP", 200);
        server.events().forget();
        let each = held_bytes().saturating_sub(before) / SESSIONS;
        if each <= limit || Instant::now() > end {
            break each;
        }
    };
    println!("{row}: {each} bytes each of {SESSIONS}");
    assert!(each <= limit, "{row}: {each} bytes each; ARCHITECTURE.md says {limit}");
    assert!(each >= LEAST_BYTES, "{row}: {each} bytes cannot be all");
    assert!(
        each + each / 8 >= limit,
        "{row}: {each} bytes each; ARCHITECTURE.md says {limit}, which tells little"
    );
}

#[test]
fn what_a_session_keeps_is_what_the_architecture_says() {
    let memory = Memory::new();
    memory.insert("/file", octets(20_000, 1));
    let server = Setup::of(memory).tls(REQUIRE).on_one_thread().start();
    check(&server, "all of it, logged in, in clear", || server.anna());
    check(&server, "all of it, behind transfers, in clear", || {
        let mut client = server.anna();
        check_octets(&client.fetch("RETR file"), &octets(20_000, 1));
        client.store("STOR other", &octets(100_000, 2));
        client.fetch("LIST");
        client
    });
    for (version, row) in VERSIONS.iter().zip(["all of it, in TLS 1.2", "all of it, in TLS 1.3"]) {
        check(&server, row, || {
            let mut client = server.secured(version);
            check_octets(&client.fetch("RETR file"), &octets(20_000, 1));
            client
        });
    }
}
