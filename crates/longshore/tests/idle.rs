//! Thousands of sessions that do nothing cost little, and each still answers.
//!
//! The figures (time to listen, memory per session) are printed, not asserted: `cargo test -p longshore --test idle
//! -- --nocapture` shows them.

mod common;

use std::time::Instant;

use common::{Client, Directory, Server};

const SESSIONS: usize = 5000;

#[test]
#[allow(clippy::print_stdout, reason = "figures for whoever asks for them")]
fn five_thousand_idle_sessions() {
    let directory = Directory::new("idle");
    let began = Instant::now();
    let server = Server::start(directory.path(), &["--passive-ports", "32500-32599"]);
    let listening_after = began.elapsed();
    let before = proportional_set_kib(server.id());
    let mut clients: Vec<Client> = (0..SESSIONS)
        .map(|_| {
            let mut client = server.connect();
            client.log_in("anonymous", common::GUEST, 230);
            client
        })
        .collect();
    let after = proportional_set_kib(server.id());
    for client in &mut clients {
        client.say("NOOP", 200);
    }
    println!(
        "listening {} ms after the start; {SESSIONS} sessions hold {} KiB, {:.2} KiB each",
        listening_after.as_millis(),
        after - before,
        (after - before) as f64 / SESSIONS as f64
    );
}

fn proportional_set_kib(process: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).expect("the kernel tells");
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).expect("the proportional set size");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB")
}
