//! Limits of bandwidth over real sockets. How evenly and how exactly they are kept is tested in virtual time where they
//! are made (`src/bandwidth.rs`); here it is that they reach every transfer, both ways, and that nothing else is slowed
//! down.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use longshore_server::accounts::{MemoryAccounts, Permissions};
use longshore_server::storage::memory::Memory;

use crate::common::{Client, PASSWORD, Server, Setup, USER, account, check_octets, octets};

fn limited(bytes_per_second: u64) -> Setup {
    let mut anna = account(USER, Permissions::ALL);
    anna.limits.upload_bytes_per_second = Some(bytes_per_second);
    anna.limits.download_bytes_per_second = Some(bytes_per_second);
    let accounts = MemoryAccounts::new().with_account(anna, PASSWORD);
    let memory = Memory::new();
    memory.insert("/file", octets(4_000_000, 3));
    Setup::of(memory).with(|config| config.accounts = Arc::new(accounts)).ports(48)
}

/// Twenty sessions of one account that move as much as they may, until each has moved some megabytes: what they have
/// moved then, and the time that it took.
fn move_together(server: &Server, upload: bool) -> (Vec<u64>, Duration) {
    let mut clients: Vec<Client> = (0..20).map(|_| server.anna()).collect();
    let begin = Instant::now();
    let pumps: Vec<_> = clients
        .iter_mut()
        .enumerate()
        .map(|(number, client)| {
            let mut data = client.data();
            if upload {
                client.command(format!("STOR {number}"), 125);
                std::thread::spawn(move || data.write_until_cut())
            } else {
                client.command("RETR file", 125);
                std::thread::spawn(move || data.read_until_cut())
            }
        })
        .collect();
    // What was moved before all were there belongs to nobody's share.
    let before: Vec<u64> = clients.iter_mut().map(Client::moved).collect();
    clients[0].wait_until_moved(before[0] + 1_000_000);
    let moved = clients.iter_mut().zip(before).map(|(client, before)| client.moved() - before).collect();
    let time = begin.elapsed();
    for client in &mut clients {
        client.command("ABOR", 426);
        client.expect(226);
    }
    for pump in pumps {
        pump.join().expect("its connection is cut");
    }
    (moved, time)
}

#[test]
#[allow(clippy::print_stdout, reason = "a figure for whoever asks for it")]
fn twenty_sessions_share_the_limit_of_their_account() {
    const PACE: u64 = 6_000_000;
    for upload in [false, true] {
        let server = limited(PACE).start();
        let (moved, time) = move_together(&server, upload);
        let total: u64 = moved.iter().sum();
        let allowed = PACE as f64 * time.as_secs_f64();
        println!("{:.1} % of the limit, upload: {upload}", total as f64 / allowed * 100.0);
        // Never more; less only where the machine itself has no time, which no limit can help.
        assert!(total as f64 <= allowed * 1.05, "{total} bytes where {allowed} were allowed");
        let mean = total as f64 / moved.len() as f64;
        for each in &moved {
            let wrong = (*each as f64 - mean).abs() / mean;
            assert!(wrong < 0.05, "{each} bytes where each should have {mean}: {moved:?}");
        }
    }
}

/// A transfer under every kind of limit arrives whole, and the narrowest limit holds.
#[test]
fn session_account_and_server_are_limited() {
    let pace = NonZeroU64::new(1_000_000);
    for which in 0..4 {
        let server = limited(if which == 0 { 1_000_000 } else { 1 << 40 })
            .with(|config| match which {
                1 => (config.limits.rates.upload, config.limits.rates.download) = (pace, pace),
                2 => {
                    config.limits.rates.session_upload = pace;
                    config.limits.rates.session_download = pace;
                }
                _ => {}
            })
            .start();
        let mut client = server.anna();
        let contents = octets(500_000, 7);
        let begin = Instant::now();
        client.store("STOR new", &contents);
        check_octets(&client.fetch("RETR new"), &contents);
        // Never faster than allowed: 1,000,000 bytes there and back. Without a limit it takes no time to speak of, but
        // that is nothing to assert on a busy machine.
        if which < 3 {
            assert!(begin.elapsed() >= Duration::from_millis(850), "{which}: {:?}", begin.elapsed());
        }
        client.quit();
    }
}

/// Whoever waits for bandwidth is no stalled client, and can be stopped.
#[test]
fn a_slow_limit_is_no_stall_and_obeys_abor() {
    let server =
        limited(2_000).with(|config| config.policy.stall_timeout = Duration::from_millis(300)).start();
    let mut client = server.anna();
    let mut data = client.data();
    client.command("RETR file", 125);
    data.read(3_000);
    client.command("ABOR", 426);
    client.expect(226);
    data.expect_reset();
    client.quit();
}
