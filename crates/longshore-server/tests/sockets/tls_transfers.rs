//! Transfers inside TLS as clients do them every day: each verb, each way to a data connection, both versions.

use std::io::Write;
use std::net::{IpAddr, TcpListener};

use longshore_server::accounts::TlsRules;
use longshore_server::storage::memory::Memory;
use longshore_server::tls::limits::CONTROL_TICKETS;
use longshore_server::{EventKind, Protection, Representation};

use crate::common::ground::{Bystander, Scratch};
use crate::common::tls::{REQUIRE, TLS13, VERSIONS, client};
use crate::common::wire::Wire;
use crate::common::{
    Client, Data, HERE, HERE_V6, MORE_THAN_BUFFERS_BYTES, Server, Setup, Situation, check_octets, octets,
};

/// One session for each version and each way in which TLS begins, under the strictest rules.
fn with_each_session(setup: impl Fn() -> Setup, test: impl Fn(&Server, &mut Client)) {
    let server = setup().tls(REQUIRE).implicit().start();
    for version in VERSIONS {
        for mut client in [server.secured(version), server.implicitly_secured(version)] {
            test(&server, &mut client);
            client.quit();
        }
    }
    assert_eq!(server.control().unproved(), 0);
}

fn listen(at: IpAddr) -> (TcpListener, u16) {
    let listener = TcpListener::bind((at, 0)).expect("any port will do");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

/// A transfer for which the server connects to the client.
#[track_caller]
fn active(client: &mut Client, old: bool, line: &str) -> Data {
    let at = client.local().ip();
    let (listener, port) = listen(at);
    let [high, low] = port.to_be_bytes();
    client.command(
        match (old, at) {
            (true, _) => format!("PORT 127,0,0,1,{high},{low}"),
            (false, IpAddr::V4(_)) => format!("EPRT |1|{at}|{port}|"),
            (false, IpAddr::V6(_)) => format!("EPRT |2|{at}|{port}|"),
        },
        Situation::Active,
    );
    client.command(line, 150);
    Data::accept(&listener).protected(client.data_tls.as_ref())
}

#[test]
fn every_verb() {
    with_each_session(
        || Setup::of(Memory::new()),
        |_, client| {
            let (first, second) = (octets(70_000, 1), octets(30_000, 2));
            client.store("STOR file", &first);
            client.store("APPE file", &second);
            check_octets(&client.fetch("RETR file"), &[first.clone(), second].concat());
            let mut data = client.data();
            let mark = client.command("STOU", 125).text();
            let unique = mark.strip_prefix("FILE: ").expect("the name stands in the mark").to_owned();
            data.write(&first);
            data.finish();
            client.expect(Situation::Stored);
            check_octets(&client.fetch(format!("RETR {unique}")), &first);
            let mut expected = ["file".to_owned(), unique.clone()];
            expected.sort();
            assert_eq!(client.names("NLST"), expected);
            for verb in ["LIST", "MLSD"] {
                let listing = String::from_utf8(client.fetch(verb)).expect("plain names");
                assert!(listing.contains("file\r\n") && listing.contains(&unique), "{listing}");
            }
            assert_eq!(client.fetch("LIST nothing-*"), b"");
            client.command("DELE file", 250);
            client.command(format!("DELE {unique}"), 250);
            assert_eq!(client.names("NLST"), [""; 0]);
        },
    );
}

#[test]
fn every_size_both_ways() {
    const SIZES: [usize; 6] = [0, 1, 446, 16 * 1024, 16 * 1024 + 1, 5 * 1024 * 1024];
    let scratch = Scratch::new();
    for local in [false, true] {
        with_each_session(
            || if local { Setup::of(scratch.local()) } else { Setup::of(Memory::new()) },
            |_, client| {
                for size in SIZES {
                    let contents = octets(size, size as u64);
                    let reply = client.store("STOR file", &contents).text();
                    assert!(reply.starts_with(&format!("{size} bytes received")), "{reply}");
                    check_octets(&client.fetch("RETR file"), &contents);
                }
            },
        );
    }
}

#[test]
fn text_is_converted() {
    with_each_session(
        || Setup::of(Memory::new()),
        |_, client| {
            client.command("TYPE A", 200);
            client.store("STOR text", b"one\r\ntwo\r\n");
            assert_eq!(client.fetch("RETR text"), b"one\r\ntwo\r\n");
            client.command("TYPE I", 200);
            assert_eq!(client.fetch("RETR text"), b"one\ntwo\n");
        },
    );
}

#[test]
fn every_way_to_a_data_connection_in_both_families() {
    let server = Setup::of(Memory::new()).tls(REQUIRE).start();
    let contents = octets(100_000, 1);
    for version in VERSIONS {
        for at in [HERE, HERE_V6] {
            let mut client = server.secured_at(server.address(at), &client(version));
            for old in [false, true] {
                if old && at == HERE_V6 {
                    continue;
                }
                // Connected before the command and after it.
                for standing in [true, false] {
                    for line in ["STOR file", "RETR file"] {
                        let to = if old { client.old_passive() } else { client.extended_passive() };
                        let own = client.data_tls.clone();
                        let connect = || Data::connect(to).protected(own.as_ref());
                        let before = standing.then(connect);
                        client.command(line, if standing { 125 } else { 150 });
                        transfer(&mut client, before.unwrap_or_else(connect), line, &contents);
                    }
                }
                for line in ["STOR file", "RETR file"] {
                    let data = active(&mut client, old, line);
                    transfer(&mut client, data, line, &contents);
                }
            }
            client.quit();
        }
    }
    assert_eq!(server.control().unproved(), 0);
}

#[track_caller]
fn transfer(client: &mut Client, mut data: Data, line: &str, contents: &[u8]) {
    if line.starts_with("STOR") {
        data.write(contents);
        data.finish();
        client.expect(Situation::Stored);
    } else {
        check_octets(&data.read_all(), contents);
        client.expect(Situation::Sent);
    }
}

/// More than the control connection has brought tickets; this client uses each once. Uploads alone bring none at first,
/// so they are tried by themselves.
#[test]
fn many_transfers_in_one_session() {
    const TRANSFERS: usize = 20;
    const { assert!(TRANSFERS > 2 * CONTROL_TICKETS) };
    let server = Setup::of(Memory::new()).tls(REQUIRE).start();
    for version in VERSIONS {
        for uploads in [|_| true, |_| false, |number: usize| number.is_multiple_of(2)] {
            let mut client = server.secured(version);
            client.store("STOR file", &octets(1000, 1));
            for number in 0..TRANSFERS {
                if uploads(number) {
                    client.store("STOR file", &octets(1000, number as u64));
                } else {
                    client.fetch("RETR file");
                }
            }
            client.quit();
        }
    }
    assert_eq!(server.control().unproved(), 0);
}

/// As small as records can be, and each of another size.
#[test]
fn small_records() {
    with_each_session(
        || Setup::of(Memory::new()),
        |_, client| {
            let contents = octets(20_000, 6);
            let mut data = client.data();
            client.command("STOR file", 125);
            let (mut rest, mut count) = (&contents[..], 0);
            while !rest.is_empty() {
                let piece;
                (piece, rest) = rest.split_at(rest.len().min(1 + count % 20));
                data.write(piece);
                count += 1;
            }
            data.finish();
            client.expect(Situation::Stored);
            check_octets(&client.fetch("RETR file"), &contents);
        },
    );
}

/// A client may change its keys at any time, and ask that we change ours (RFC 8446 section 4.6.3).
#[test]
fn keys_that_change() {
    fn change(wire: &mut Wire) -> std::io::Result<()> {
        wire.tls.as_mut().expect("TLS").refresh_traffic_keys().expect("TLS 1.3 can");
        let update = wire.take_unsent();
        wire.socket.write_all(&update)
    }
    let server = Setup::of(big()).tls(REQUIRE).start();
    let mut client = server.secured(TLS13);
    let contents = octets(400_000, 5);
    let mut data = client.data();
    client.command("STOR file", 125);
    for piece in contents.chunks(50_000) {
        data.write(piece);
        change(data.wire()).expect("the server reads");
        change(client.wire()).expect("the server reads");
        client.command("NOOP", 200);
    }
    data.finish();
    client.expect(Situation::Stored);
    check_octets(&client.fetch("RETR file"), &contents);
    let mut data = client.data();
    client.command("RETR big", 125);
    let mut found = data.read(100_000);
    for _ in 0..100 {
        change(data.wire()).expect("there is room");
    }
    found.extend(data.read_all());
    check_octets(&found, &octets(MORE_THAN_BUFFERS_BYTES, 1));
    client.expect(Situation::Sent);
    // Who does nothing else only wants the server to work.
    while change(client.wire()).is_ok() {}
    server.events().wait_for(1, |event| match &event.kind {
        EventKind::TlsFailed { why } => why.contains("KeyUpdate").then_some(()),
        _ => None,
    });
    server.secured(TLS13).quit();
}

/// One that comes with the same session of TLS 1.2 again and again, from both sides at once: the sessions of several
/// clients do not get into each other's way.
#[test]
fn several_sessions_at_once() {
    let server = Setup::of(Memory::new()).tls(REQUIRE).ports(16).start();
    std::thread::scope(|scope| {
        for number in 0..6 {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.secured(VERSIONS[number % 2]);
                for round in 0..10 {
                    let contents = octets(40_000 + 7 * round, (number * 100 + round) as u64);
                    client.store(format!("STOR {number}"), &contents);
                    check_octets(&client.fetch(format!("RETR {number}")), &contents);
                }
                client.quit();
            });
        }
    });
    assert_eq!(server.control().unproved(), 0);
}

#[test]
fn transfers_go_on_where_they_were_cut() {
    with_each_session(
        || Setup::of(Memory::new()),
        |_, client| {
            let whole = octets(500_000, 4);
            let mut data = client.data();
            client.command("STOR file", 125);
            data.write(&whole[..200_000]);
            client.wait_until_moved(200_000);
            data.reset();
            let text = client.expect(Situation::UploadResetKept).text();
            assert!(text.contains(" 200000 bytes"), "{text}");
            assert_eq!(client.command("SIZE file", 213).text(), "200000");
            client.command("REST 200000", 350);
            client.store("STOR file", &whole[200_000..]);
            check_octets(&client.fetch("RETR file"), &whole);
            client.command("REST 499999", 350);
            check_octets(&client.fetch("RETR file"), &whole[499_999..]);
            client.command("REST 500000", 350);
            check_octets(&client.fetch("RETR file"), b"");
            client.command("DELE file", 250);
        },
    );
}

fn big() -> Memory {
    let memory = Memory::new();
    memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
    memory
}

#[test]
fn commands_during_a_download() {
    with_each_session(
        || Setup::of(big()),
        |server, client| {
            let bystander = Bystander::begin(server);
            let mut data = client.data();
            client.command("RETR big", 125);
            data.read(100_000);
            client.wait_until_moved(100_000);
            client.command("NOOP", 200);
            client.send("ABOR");
            client.expect(Situation::TransferAborted);
            client.expect(Situation::Aborted);
            data.expect_reset();
            // While the handshake on the data connection is waited for.
            let mut data = client.data();
            client.command("RETR big", 125);
            client.command("NOOP", 200);
            client.send("ABOR");
            client.expect(Situation::TransferAborted);
            client.expect(Situation::Aborted);
            data.expect_end();
            bystander.finish();
        },
    );
}

#[test]
fn commands_during_an_upload() {
    with_each_session(
        || Setup::of(Memory::new()),
        |_, client| {
            let mut data = client.data();
            client.command("STOR file", 125);
            data.write(&octets(100_000, 1));
            client.wait_until_moved(100_000);
            client.command("NOOP", 200);
            client.send("ABOR");
            client.expect(Situation::TransferAborted);
            client.expect(Situation::Aborted);
            data.expect_end();
            assert_eq!(client.command("SIZE file", 213).text(), "100000");
            client.command("APPE file", Situation::NothingArranged);
            client.store("APPE file", b"the rest");
            assert_eq!(client.command("SIZE file", 213).text(), "100008");
            client.command("DELE file", 250);
        },
    );
}

/// What runs is finished and answered, then the session ends inside TLS.
#[test]
fn quit_during_transfers() {
    let server = Setup::of(big()).tls(REQUIRE).start();
    for version in VERSIONS {
        let mut client = server.secured(version);
        let mut data = client.data();
        client.command("RETR big", 125);
        data.read(100_000);
        client.send("QUIT");
        check_octets(&data.read_all(), &octets(MORE_THAN_BUFFERS_BYTES, 1)[100_000..]);
        client.expect(Situation::Sent);
        client.expect(Situation::Goodbye);
        client.expect_end();
        let mut client = server.secured(version);
        let mut data = client.data();
        client.command("STOR file", 125);
        data.write(b"half of it, ");
        client.send("QUIT");
        data.write(b"and the rest");
        data.finish();
        client.expect(Situation::Stored);
        client.expect(Situation::Goodbye);
        client.expect_end();
        assert_eq!(server.secured(version).fetch("RETR file"), b"half of it, and the rest");
    }
}

/// Protected and clear data connections may follow each other in one session, and the events say which was which.
#[test]
fn clear_data_connections_inside_tls() {
    let server = Setup::of(Memory::new()).tls(TlsRules::default()).start();
    for version in VERSIONS {
        let config = client(version);
        let mut client = server.secured_with(&config);
        let contents = octets(300_000, 3);
        client.store("STOR file", &contents);
        client.command("PROT C", Situation::ProtClear);
        client.data_tls = None;
        check_octets(&client.fetch("RETR file"), &contents);
        client.store("STOR file", b"in clear");
        client.command("PROT P", Situation::ProtPrivate);
        client.data_tls = Some(config);
        assert_eq!(client.fetch("RETR file"), b"in clear");
        client.quit();
    }
    let told = server.events().wait_for(8, |event| match event.kind {
        EventKind::Transfer { protection, representation, .. } => Some((protection, representation)),
        _ => None,
    });
    let expected = [Protection::Private, Protection::Clear, Protection::Clear, Protection::Private];
    assert!(told.iter().all(|(_, representation)| *representation == Representation::Image));
    assert_eq!(told.iter().map(|(protection, _)| *protection).collect::<Vec<_>>(), expected.repeat(2));
}
