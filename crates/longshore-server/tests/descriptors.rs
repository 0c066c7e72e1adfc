//! Descriptors: when every session has ended, there are as many as before the first. In a program of its own, since
//! another test would open and close some meanwhile.

mod common;

use common::ground::Scratch;
use common::{Data, ELSEWHERE, MORE_THAN_BUFFERS_BYTES, PATIENCE, Server, octets};

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
}

#[test]
fn all_descriptors_are_given_back() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("big"), octets(MORE_THAN_BUFFERS_BYTES, 1))
        .expect("a file is written");
    let server = Server::of(scratch.local());
    // The first session may open what stays open for the next.
    server.anna().quit();
    server.events().sessions_ended(1);
    let limit = std::time::Instant::now() + PATIENCE;
    let mut before = open_descriptors();
    // The end of a session is told a moment before its socket is closed.
    while before != open_descriptors() {
        before = open_descriptors();
    }
    for _ in 0..5 {
        use_the_server(&server);
    }
    server.events().sessions_ended(1 + 5 * 4);
    let mut now = open_descriptors();
    while now > before {
        assert!(std::time::Instant::now() < limit, "{now} descriptors are open, before there were {before}");
        now = open_descriptors();
    }
}
