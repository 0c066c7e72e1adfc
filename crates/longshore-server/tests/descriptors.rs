//! Descriptors: when every session has ended, there are as many as before the first. In a program of its own, since
//! another test would open and close some meanwhile.

mod common;

use common::ground::Scratch;
use common::tls::{REQUIRE, VERSIONS, client};
use common::{Data, ELSEWHERE, MORE_THAN_BUFFERS_BYTES, PATIENCE, Server, Setup, Situation, octets};

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("this is Linux").count()
}

/// Everything that opens a descriptor, ended in every way there is.
fn use_the_server(server: &Server) {
    let mut client = server.anna();
    client.store("STOR file", &octets(100_000, 1));
    client.fetch("RETR file");
    client.fetch("LIST");
    client.command("STAT /", 212);
    let unused = client.passive();
    drop(Data::connect_from(ELSEWHERE, unused));
    let _surplus = [Data::connect(unused), Data::connect(unused)];
    client.quit();

    let mut client = server.anna();
    let mut data = client.data();
    client.command("STOR cut", 125);
    data.write(b"half");
    client.wait_until_moved(4);
    data.reset();
    client.expect(426);
    let mut data = client.data();
    client.command("RETR big", 125);
    data.read(1000);
    client.send_abort_urgently();
    client.expect(426);
    client.expect(226);
    client.reset();

    let mut client = server.anna();
    client.passive();
    client.command("STOR never", 150);
    client.reset();

    // A queue so full that the server watches for urgent data only.
    let mut client = server.anna();
    let data = client.data();
    client.command("RETR big", 125);
    client.send_raw("NOOP\r\nPWD\r\n".repeat(5_000));
    client.expect(200);
    data.reset();
    client.expect(426);
    client.reset();
    VERSIONS.into_iter().for_each(|version| use_tls(server, version));
}

/// As [`use_the_server`], inside TLS and on the way there.
fn use_tls(server: &Server, version: common::tls::Version) {
    let mut session = server.secured(version);
    session.store("STOR file", &octets(100_000, 1));
    session.fetch("RETR file");
    // Strangers, one of whom comes before the client.
    let to = session.passive();
    let silent = [Data::connect(to), Data::connect(to)];
    let mut data = Data::connect(to).protected(session.data_tls.as_ref());
    session.command("RETR big", 125);
    data.read(1000);
    session.command("ABOR", 426);
    session.expect(226);
    drop((silent, data));
    let mut data = Data::connect(session.passive()).protected(Some(&client(version)));
    session.command("RETR big", 125);
    let _ = data.wire().handshake();
    session.expect(Situation::DataNotResumed);
    session.quit();

    let mut session = server.secured(version);
    let mut data = session.data();
    session.command("STOR cut", 125);
    data.write(b"half");
    session.wait_until_moved(4);
    data.reset();
    session.expect(426);
    drop(session);

    let mut beginning = server.client();
    beginning.command("AUTH TLS", 234);
    beginning.send("no hello");
    beginning.reset();
}

#[test]
fn all_descriptors_are_given_back() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("big"), octets(MORE_THAN_BUFFERS_BYTES, 1))
        .expect("a file is written");
    let server = Setup::of(scratch.local()).tls(REQUIRE).start();
    // The first session may open what stays open for the next.
    server.anna().quit();
    server.secured(VERSIONS[1]).quit();
    server.events().sessions_ended(2);
    let limit = std::time::Instant::now() + PATIENCE;
    let mut before = open_descriptors();
    // The end of a session is told a moment before its socket is closed.
    while before != open_descriptors() {
        before = open_descriptors();
    }
    for _ in 0..5 {
        use_the_server(&server);
    }
    server.events().sessions_ended(2 + 5 * (4 + 2 * 3));
    let mut now = open_descriptors();
    while now > before {
        assert!(std::time::Instant::now() < limit, "{now} descriptors are open, before there were {before}");
        now = open_descriptors();
    }
}
