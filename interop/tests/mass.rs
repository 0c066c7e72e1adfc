//! Many uploads of odd sizes under TLS, many in each session: each file is whole, and none is answered with a 4yz reply.
//!
//! A tail is lost where a client closes its socket while something of the server is unread in it or still under way: its
//! kernel then resets the connection. On one machine that hardly shows, so a part of them goes over a wide-area link.

use std::time::Duration;

use longshore_interop::{
    Case, Client, End, Family, Link, Mode, Policy, Server, Setup, Step, Version, Wan, Way, assert_same_bytes,
    is_peer_here, pattern, recorded,
};

/// A record of TLS holds at most so much, in bytes (RFC 8446 section 5.1).
const RECORD_BYTES: usize = 16 * 1024;
/// No file is longer, in bytes.
const LIMIT_BYTES: usize = 100 * 1024;

/// Sizes up to [`LIMIT_BYTES`], half of them within forty bytes of the end of a record. They are the same in every run.
fn sizes(count: usize) -> Vec<usize> {
    let random = pattern(count * 8, 77);
    let (words, _) = random.as_chunks::<4>();
    let number = |at: usize| u32::from_le_bytes(words[at]) as usize;
    let size = |file: usize| {
        let (kind, value) = (number(2 * file), number(2 * file + 1));
        match kind % 2 {
            0 => value % (LIMIT_BYTES + 1),
            _ => ((1 + value % 6) * RECORD_BYTES + kind / 2 % 81 - 40).min(LIMIT_BYTES),
        }
    };
    (0..count).map(size).collect()
}

/// Gives the client files of these sizes; their names.
fn prepare(case: &Case<'_>, sizes: &[usize]) -> Vec<String> {
    let names: Vec<String> = (0..sizes.len()).map(|number| format!("file-{number}")).collect();
    for (seed, (name, &size)) in names.iter().zip(sizes).enumerate() {
        case.prepare(name, pattern(size, seed as u32));
    }
    names
}

/// Sends all of them, many in each session.
#[track_caller]
fn send(case: &Case<'_>, names: &[String], more: &[&str]) {
    if case.client == Client::Curl {
        // All of them as one pattern: an argument for each would be too much for the system.
        let files = case.outside(format!("file-[0-{}]", names.len() - 1)).display().to_string();
        let words = ["--fail-early", "--upload-file", &files, &case.url("")];
        case.run_curl(more.iter().copied().chain(words)).succeeded();
    } else {
        let puts: Vec<Step<'_>> = names.iter().map(|name| Step::Put(name, name)).collect();
        case.does(&puts);
    }
}

#[track_caller]
fn assert_whole(case: &Case<'_>, sizes: &[usize], names: &[String]) {
    for (seed, (name, &size)) in names.iter().zip(sizes).enumerate() {
        assert_same_bytes(name, &case.stored(name), &pattern(size, seed as u32));
    }
    assert_eq!(case.names("").len(), names.len(), "nothing but the files");
    let failed: Vec<String> = case.server.lines().into_iter().filter(|line| is_failure(line)).collect();
    assert!(failed.is_empty(), "refused or cut:\n{}", failed.join("\n"));
}

/// Whether a line of the server's log tells of an upload that failed, or of a 4yz reply.
fn is_failure(line: &str) -> bool {
    let is_code = |text: &str| {
        let code = text.as_bytes();
        code.len() >= 4 && code[0] == b'4' && code[..3].iter().all(u8::is_ascii_digit) && code[3] == b')'
    };
    line.contains("did not store") || line.split('(').skip(1).any(is_code)
}

fn case(server: &Server, client: Client, version: Version) -> Case<'_> {
    let way = Way { family: Family::Ipv4, mode: Mode::Epsv };
    Case::secured(server, client, way, Some(server.security(version, true)))
}

#[track_caller]
fn a_thousand(client: Client) {
    if !client.is_here() || !is_peer_here("openssl") {
        return;
    }
    recorded(client.name(), "1,000 uploads of odd sizes under TLS 1.3", "IPv4 EPSV", || {
        let sizes = sizes(1000);
        let server = Server::set_up(&Setup { policy: Some(Policy::Explicit), ..Setup::default() });
        let case = case(&server, client, Version::Tls13);
        let names = prepare(&case, &sizes);
        // With one session curl (7.88) waits up to a second wherever an answer is there before it looks for it.
        send(&case, &names, &["--parallel", "--parallel-max", "8"]);
        assert_whole(&case, &sizes, &names);
        server.stop();
    });
}

#[track_caller]
fn a_hundred_far_away(client: Client, version: Version) {
    if !client.is_here() || !is_peer_here("openssl") {
        return;
    }
    let link = Link { round_trip: Duration::from_millis(20), rate_bits_per_second: 1e8, ..Link::default() };
    let Some(wan) = Wan::make(link) else { return };
    let sizes = sizes(100);
    let hosts = [End::A.address().into()];
    let setup = Setup { policy: Some(Policy::Explicit), hosts: &hosts, ..Setup::default() };
    let server = wan.at(End::A, || Server::set_up(&setup));
    let case = case(&server, client, version);
    let names = prepare(&case, &sizes);
    wan.at(End::B, || send(&case, &names, &[]));
    assert_whole(&case, &sizes, &names);
    server.stop();
}

#[test]
fn curl_sends_a_thousand() {
    a_thousand(Client::Curl);
}

#[test]
fn lftp_sends_a_thousand() {
    a_thousand(Client::Lftp);
}

#[test]
fn curl_sends_a_hundred_far_away_12() {
    a_hundred_far_away(Client::Curl, Version::Tls12);
}

#[test]
fn curl_sends_a_hundred_far_away_13() {
    a_hundred_far_away(Client::Curl, Version::Tls13);
}

#[test]
fn lftp_sends_a_hundred_far_away_12() {
    a_hundred_far_away(Client::Lftp, Version::Tls12);
}

#[test]
fn lftp_sends_a_hundred_far_away_13() {
    a_hundred_far_away(Client::Lftp, Version::Tls13);
}
