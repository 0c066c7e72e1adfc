//! Thousands of connections that say nothing. In a program of its own, since it needs the descriptors of all others.

mod common;

use std::time::Duration;

use common::{Client, HERE, Setup, Situation, check_octets, octets};
use longshore_server::storage::memory::Memory;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as there are descriptors for, on both sides, but no more than this.
const MOST: u64 = 8000;
/// Where there are not even descriptors for so many, nothing is learnt.
const LEAST: u64 = 200;
/// Descriptors for everything else.
const OTHERS: u64 = 400;
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// How many descriptors this process may have, which is as many as it can be allowed.
fn descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let allowed = if raised.is_ok() { limit.maximum } else { limit.current };
    allowed.unwrap_or(u64::MAX)
}

#[test]
fn silent_connections_keep_nobody_out() {
    let count = MOST.min(descriptors().saturating_sub(OTHERS) / 2);
    assert!(count >= LEAST, "raise the limit of descriptors (ulimit -n) above {}", 2 * LEAST + OTHERS);
    let server = Setup::of(Memory::new())
        .on_one_thread()
        .with(|config| {
            config.limits.sessions = count as usize + 8;
            config.policy.login_timeout = LOGIN_TIMEOUT;
        })
        .start();
    let address = server.address(HERE);
    let mut silent: Vec<Client> = (0..count)
        .map(|_| {
            let mut client = Client::connect(address);
            client.expect(220);
            client
        })
        .collect();
    let work = || {
        let mut client = server.anna();
        let file = octets(100_000, 1);
        client.store("STOR file", &file);
        check_octets(&client.fetch("RETR file"), &file);
        assert_eq!(client.names("NLST"), ["file"]);
        client.quit();
    };
    work();
    for client in &mut silent {
        client.expect_silence();
    }
    server.advance(LOGIN_TIMEOUT);
    for client in &mut silent {
        client.expect(Situation::LoginTimeout);
        client.expect_end();
    }
    work();
}
