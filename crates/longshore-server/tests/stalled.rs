//! Clients that read at full speed and then stop: each download ends with the reply that says so, the memory of the
//! server does not grow by what they do not read, and others go on. In a program of its own, since another test would use
//! memory meanwhile.

mod common;

use common::ground::Scratch;
use common::tls::TLS13;
use common::{Client, Data, MORE_THAN_BUFFERS_BYTES, SHORT, Server, Setup, Situation, check_octets, octets};
use longshore_server::accounts::TlsRules;

const STALLED: usize = 24;
/// What each of them may cost at most: the buffer of a download, as much again for the records of TLS, and those that the
/// client of this test keeps.
const SESSION_LIMIT_BYTES: usize = 1280 * 1024;

/// Memory of this process, which is also that of the clients.
fn resident_bytes() -> usize {
    let figures = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
    let pages: usize =
        figures.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * rustix::param::page_size()
}

/// Reads a part of the file as fast as it comes, then no more.
fn stall(server: &Server, protected: bool) -> (Client, Data) {
    let mut client = if protected { server.secured(TLS13) } else { server.anna() };
    let mut data = client.data();
    client.command("RETR big", 125);
    for _ in 0..100 {
        data.read(10_000);
    }
    (client, data)
}

#[test]
fn downloads_whose_readers_stop() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("big"), octets(MORE_THAN_BUFFERS_BYTES, 1)).expect("it is written");
    let server = Setup::of(scratch.local())
        .ports(4 * STALLED as u16)
        .tls(TlsRules::default())
        .with(|config| config.policy.stall_timeout = SHORT)
        .start();
    for protected in [false, true] {
        // What the first one needs stays for all that follow.
        let (mut client, mut data) = stall(&server, protected);
        client.expect(Situation::Stalled);
        data.read_until_cut();
        let before = resident_bytes();
        let stalled: Vec<_> = (0..STALLED).map(|_| stall(&server, protected)).collect();
        let mut other = server.anna();
        let file = octets(200_000, 2);
        other.store("STOR small", &file);
        check_octets(&other.fetch("RETR small"), &file);
        other.fetch("LIST");
        other.quit();
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < STALLED * SESSION_LIMIT_BYTES, "{grown} bytes more for {STALLED} that do not read");
        for (mut client, mut data) in stalled {
            client.expect(Situation::Stalled);
            data.read_until_cut();
            client.command("NOOP", 200);
            client.quit();
        }
    }
}
