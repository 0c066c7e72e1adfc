//! Whoever does not keep to TLS, or is between a client and the server: what was said in clear is never taken for
//! protected, nothing is stored that nobody sent, and others notice nothing.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use longshore_server::accounts::TlsRules;
use longshore_server::storage::memory::Memory;
use longshore_server::tls::limits::INCOMING_LIMIT_BYTES;
use longshore_server::{Ending, EventKind};

use crate::common::ground::Bystander;
use crate::common::tls::{REQUIRE, TLS13, VERSIONS, client};
use crate::common::wire::Wire;
use crate::common::{Client, Data, HERE, PASSWORD, Server, Setup, Situation, USER, octets};

fn tree() -> Memory {
    let memory = Memory::new();
    memory.insert("/file", "contents");
    memory
}

fn server() -> Server {
    Setup::of(tree()).tls(TlsRules::default()).implicit().start()
}

/// All that still comes, to whichever end.
fn rest(mut from: impl Read) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

/// What a client that is about to begin TLS sends first.
fn hello() -> Vec<u8> {
    let socket = std::net::TcpListener::bind((HERE, 0)).expect("any port will do");
    let at = socket.local_addr().expect("it is bound");
    let mut wire = Wire::clear(std::net::TcpStream::connect(at).expect("it listens"));
    wire.protect(&client(TLS13));
    wire.take_unsent()
}

/// Bytes instead of a ClientHello, which end the connection without a word in clear.
fn no_hellos() -> Vec<Vec<u8>> {
    let hello = hello();
    let with = |at: usize, byte: u8| {
        let mut changed = hello.clone();
        changed[at] = byte;
        changed
    };
    vec![
        b"USER anna\r\nPASS correct horse\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: ftp.example\r\n\r\n".to_vec(),
        b"\r\n".to_vec(),
        vec![0; 100],
        vec![0xFF; 10_000],
        octets(100_000, 1),
        // A record that holds data, one of an unknown type, one that is too long, one that is empty.
        [&[23, 3, 3, 0, 100][..], &[0; 100]].concat(),
        [&[99, 3, 3, 0, 100][..], &[0; 100]].concat(),
        [&[22, 3, 3, 0xFF, 0xFF][..], &[1; 70_000]].concat(),
        [22, 3, 3, 0, 0].repeat(100),
        // A hello of SSL 2, and a ServerHello.
        [&[0x80, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16][..], &[7; 37]].concat(),
        with(5, 2),
        // Lengths within the hello that do not fit.
        with(8, hello[8].wrapping_add(1)),
        with(43, 200),
    ]
}

#[test]
fn garbage_instead_of_a_hello() {
    let server = server();
    let bystander = Bystander::begin(&server);
    let (before, at) = (server.control().sessions(), server.added(0));
    for (number, bytes) in no_hellos().into_iter().enumerate() {
        for implicit in [false, true] {
            let mut client = if implicit { Client::connect(at) } else { server.client() };
            if !implicit {
                client.command("AUTH TLS", Situation::TlsBegins);
            }
            let mut wire = client.into_wire();
            // It may have been closed before all was sent.
            let _ = wire.socket.write_all(&bytes);
            let _ = wire.socket.shutdown(std::net::Shutdown::Write);
            let said = rest(&wire.socket);
            // Nothing, or an alert.
            let is_alert = said.len() == 7 && said[0] == 21;
            assert!(said.is_empty() || is_alert, "{number}, implicit: {implicit}: {said:?}");
        }
    }
    let count = 2 * no_hellos().len();
    server.events().wait_for(count, |event| match event.kind {
        EventKind::Ended { why: Ending::TlsFailed } => Some(()),
        _ => None,
    });
    let why = server.events().wait_for(count, |event| match &event.kind {
        EventKind::TlsFailed { why } => Some(why.clone()),
        _ => None,
    });
    assert!(why[0].contains("\"USER anna"), "{}", why[0]);
    assert!(!why.iter().any(|why| why.contains("correct horse")), "a password is in no event");
    bystander.finish();
    assert!(server.control().sessions() <= before);
}

/// A hello that never ends: neither its record nor the message, which says that it is 16 MiB long.
#[test]
fn a_handshake_without_end() {
    let server = server();
    let bystander = Bystander::begin(&server);
    let record = |payload: &[u8]| {
        let [high, low] = (payload.len() as u16).to_be_bytes();
        [&[22, 3, 1, high, low], payload].concat()
    };
    let first = record(&[&[1, 0xFF, 0xFF, 0xFF][..], &[3; 16_000]].concat());
    for implicit in [false, true] {
        let mut client = if implicit { Client::connect(server.added(0)) } else { server.client() };
        if !implicit {
            client.command("AUTH TLS", Situation::TlsBegins);
        }
        let mut wire = client.into_wire();
        wire.socket.write_all(&first).expect("the server reads");
        let more = record(&[3; 16_000]);
        // A few times what the server takes; it may have closed before.
        for _ in 0..4 * INCOMING_LIMIT_BYTES / more.len() {
            let _ = wire.socket.write_all(&more);
        }
        assert!(rest(&wire.socket).len() <= 7, "nothing, or an alert");
    }
    server.events().wait_for(2, |event| matches!(event.kind, EventKind::TlsFailed { .. }).then_some(()));
    bystander.finish();
}

/// The hello comes a byte at a time, as over a bad network.
#[test]
fn a_hello_in_pieces() {
    let server = server();
    for version in VERSIONS {
        let mut client = Client::connect(server.added(0));
        let wire = client.wire();
        wire.protect(&crate::common::tls::client(version));
        for byte in wire.take_unsent() {
            wire.socket.write_all(&[byte]).expect("the server reads");
        }
        wire.handshake().expect("both sides agree");
        client.expect(220);
        client.log_in(USER, PASSWORD);
        client.quit();
    }
}

/// Time is all that such a client can have.
#[test]
fn handshakes_that_do_not_go_on() {
    let server = Setup::of(tree()).tls(TlsRules::default()).implicit().on_one_thread().start();
    let hello = hello();
    let mut waiting = Vec::new();
    for bytes in [&[][..], &hello[..1], &hello[..5], &hello[..hello.len() - 1], &hello] {
        for implicit in [false, true] {
            let mut client = if implicit { Client::connect(server.added(0)) } else { server.client() };
            if !implicit {
                client.command("AUTH TLS", Situation::TlsBegins);
            }
            let wire = client.into_wire();
            (&wire.socket).write_all(bytes).expect("the server reads");
            waiting.push((wire, bytes.len() == hello.len()));
        }
    }
    // Known to have been read when the answer to another session comes that asked later.
    server.client().command("NOOP", 200);
    server.client().command("NOOP", 200);
    server.advance(Duration::from_secs(31));
    for (wire, answered) in waiting {
        let said = rest(&wire.socket);
        assert_eq!(said.is_empty(), !answered, "{} bytes", said.len());
        assert!(said.first().is_none_or(|&first| first == 22), "nothing in clear");
    }
    server.events().wait_for(10, |event| match event.kind {
        EventKind::Ended { why: Ending::TlsFailed } => Some(()),
        _ => None,
    });
}

#[test]
fn bytes_behind_auth() {
    let server = server();
    let hello = hello();
    for behind in [
        &b"USER anna\r\nPASS correct horse\r\nMKD injected\r\n"[..],
        b"MKD injected\r\n",
        b"USER an",
        b"U",
        b"\r\n",
        b"\0",
        &hello,
        &hello[..1],
    ] {
        for before in ["", "NOOP\r\n", "USER anna\r\n"] {
            let mut client = server.client();
            client.send_raw([before.as_bytes(), b"AUTH TLS\r\n", behind].concat());
            match before {
                "" => {}
                "NOOP\r\n" => drop(client.expect(200)),
                _ => drop(client.expect(331)),
            }
            client.expect(Situation::BytesBehindAuth);
            client.expect_end();
        }
    }
    // Logged in, so that all of it might have been carried out.
    let mut client = server.anna();
    client.send_raw("AUTH TLS\r\nMKD injected\r\nDELE file\r\n");
    client.expect(Situation::BytesBehindAuth);
    client.expect_end();
    assert_eq!(server.anna().names("NLST"), ["file"]);
}

/// An injected line may come in a segment of its own: it is no hello then.
#[test]
fn commands_between_auth_and_the_hello() {
    let server = server();
    for config in VERSIONS.map(client) {
        let mut client = server.anna();
        client.command("AUTH TLS", Situation::TlsBegins);
        client.send_raw("MKD injected\r\n");
        client.wire().protect(&config);
        client.wire().handshake().expect_err("the server does not go on");
        let mut client = server.anna();
        client.command("AUTH TLS", Situation::TlsBegins);
        // Right behind the handshake, in clear: it cannot be a record.
        client.begin_tls(&config);
        client.wire().socket.write_all(b"USER anna\r\nPASS correct horse\r\n").expect("the server reads");
        client.wire().read(&mut [0; 1]).expect_err("the server ends it by an alert");
    }
    assert_eq!(server.anna().names("NLST"), ["file"]);
}

#[test]
fn auth_behind_a_transfer() {
    let server = server();
    for config in VERSIONS.map(client) {
        for behind in ["", "NOOP\r\n"] {
            let mut client = server.anna();
            let mut data = client.data();
            client.command("STOR new", 125);
            client.send_raw(format!("AUTH TLS\r\n{behind}"));
            data.write(b"x");
            data.finish();
            client.expect(Situation::Stored);
            if behind.is_empty() {
                client.expect(Situation::TlsBegins);
                client.begin_tls(&config);
                client.log_in(USER, PASSWORD);
                client.quit();
            } else {
                client.expect(Situation::BytesBehindAuth);
                client.expect_end();
            }
        }
    }
}

/// Whatever was said in clear, somebody else may have said.
#[test]
fn what_was_said_in_clear_is_forgotten() {
    let server = server();
    for config in VERSIONS.map(client) {
        let mut client = server.anna();
        client.command("MKD sub", 257);
        client.command("CWD sub", 250);
        client.command("RNFR /file", 350);
        client.command("REST 3", 350);
        let to = client.passive();
        let mut early = Data::connect(to);
        client.secure(&config);
        early.expect_end();
        for line in ["PWD", "RETR file", "RNTO other", "MKD x"] {
            assert!([530, 503].contains(&client.command(line, Any).code), "{line}");
        }
        client.command(format!("PASS {PASSWORD}"), Situation::PassWithoutUser);
        client.log_in(USER, PASSWORD);
        assert!(client.command("PWD", 257).text().starts_with("\"/\""));
        client.command("RETR file", Situation::NothingArranged);
        client.command("PROT P", Situation::ProtWithoutPbsz);
        client.protect_data(&config);
        client.command("TYPE I", 200);
        assert_eq!(client.fetch("RETR file"), b"contents");
        client.command("RMD sub", 250);
        // A name that was given in clear is none inside TLS.
        let mut client = server.client();
        client.command(format!("USER {USER}"), 331);
        client.secure(&config);
        client.command(format!("PASS {PASSWORD}"), Situation::PassWithoutUser);
    }
}

/// Any answer will do.
#[derive(Debug)]
struct Any;

impl crate::common::client::Expected for Any {
    fn fits(&self, _: &crate::common::client::Reply) -> bool {
        true
    }
}

/// A record that was changed on the way ends the session; what came before it was the client's, and is done.
#[test]
fn a_broken_record_on_the_control_connection() {
    let server = server();
    let bystander = Bystander::begin(&server);
    for version in VERSIONS {
        // In one piece, and when the first command was answered; or a Synch of Telnet, which has no place here.
        for way in ["at once", "later", "urgent"] {
            let mut client = server.secured(version);
            let wire = client.wire();
            let records = ["MKD good\r\n", "MKD changed\r\n"].map(|line| {
                let tls = wire.tls.as_mut().expect("TLS");
                tls.writer().write_all(line.as_bytes()).expect("room");
                wire.take_unsent()
            });
            let [good, mut changed] = records;
            changed[10] ^= 0x20;
            if way == "at once" {
                wire.socket.write_all(&[good, changed].concat()).expect("the server reads");
                while wire.read(&mut [0; 100]).is_ok() {}
            } else {
                wire.socket.write_all(&good).expect("the server reads");
                client.expect(257);
                if way == "urgent" {
                    client.send_urgent(b"\xF2");
                }
                // It may have ended the session by then.
                let _ = client.wire().socket.write_all(&changed);
                let error = client.wire().read(&mut [0; 1]).expect_err("the session is over");
                assert!(way == "urgent" || error.to_string().contains("BadRecordMac"), "{error}");
            }
            server.anna().command("RMD good", 250);
        }
    }
    server.events().wait_for(6, |event| matches!(event.kind, EventKind::TlsFailed { .. }).then_some(()));
    bystander.finish();
    assert_eq!(server.anna().names("NLST"), ["bystander", "file"]);
}

/// That an upload has left nothing behind, no part either.
#[track_caller]
fn check_nothing(client: &mut Client, name: &str) {
    client.command(format!("SIZE {name}"), Situation::NotFound);
}

#[test]
fn data_in_clear_where_it_must_be_protected() {
    let server = Setup::of(tree()).tls(REQUIRE).on_one_thread().start();
    for version in VERSIONS {
        let mut client = server.secured(version);
        for line in ["STOR new", "APPE new", "STOU", "RETR file", "LIST"] {
            let mut data = Data::connect(client.passive());
            data.write(b"the contents of some file in clear");
            client.command(line, 125);
            client.expect(Situation::DataNotTls);
            assert_eq!(rest(&data.wire().socket), b"", "not a byte comes back");
            check_nothing(&mut client, "new");
        }
        // A file that begins as a record does.
        let mut data = Data::connect(client.passive());
        data.write(&[&[22, 3, 1, 0, 40][..], &[9; 1000]].concat());
        client.command("STOR new", 125);
        client.expect(Situation::DataTlsFailed);
        check_nothing(&mut client, "new");
        // Somebody who waits for a file in clear says nothing.
        for (line, silent) in [("RETR file", true), ("RETR file", false), ("STOR new", true)] {
            let mut data = Data::connect(client.passive());
            client.command(line, 125);
            if silent {
                client.command("NOOP", 200);
                server.advance(Duration::from_secs(31));
                client.expect(Situation::DataTlsSilent);
            } else {
                client.command("ABOR", Situation::TransferAborted);
                client.expect(Situation::Aborted);
            }
            data.expect_end();
            check_nothing(&mut client, "new");
        }
        assert_eq!(client.names("NLST"), ["file"]);
        client.quit();
    }
}

/// A client in clear connects from the address and port that it was told, and the server protects what it was asked to.
#[test]
fn an_active_connection_in_clear_where_it_must_be_protected() {
    let server = server();
    let listener = std::net::TcpListener::bind((HERE, 0)).expect("any port will do");
    let [high, low] = listener.local_addr().expect("it is bound").port().to_be_bytes();
    for version in VERSIONS {
        let mut client = server.secured(version);
        for line in ["STOR new", "RETR file"] {
            client.command(format!("PORT 127,0,0,1,{high},{low}"), 200);
            client.command(line, 150);
            let mut data = Data::accept(&listener);
            data.write(b"the contents of some file in clear");
            client.expect(Situation::DataNotTls);
            assert_eq!(rest(&data.wire().socket), b"");
            check_nothing(&mut client, "new");
        }
    }
}

/// A client that forgot PROT P: its hello is not stored as the file, and no part of it is kept.
#[test]
fn tls_where_data_is_in_clear() {
    let memory = tree();
    let server = Setup::of(memory.clone()).tls(TlsRules::default()).on_one_thread().start();
    for version in VERSIONS {
        let config = client(version);
        let mut client = server.secured_with(&config);
        client.command("PROT C", Situation::ProtClear);
        for line in ["STOR new", "APPE new", "STOR file", "APPE file", "STOU"] {
            for gives_up in [true, false] {
                let mut data = Data::connect(client.passive()).protected(Some(&config));
                client.command(line, 125);
                let hello = data.wire().take_unsent();
                data.wire().socket.write_all(&hello).expect("the server reads");
                client.wait_until_moved(hello.len() as u64);
                if gives_up {
                    drop(data);
                } else {
                    server.advance(Duration::from_secs(121));
                }
                client.expect(Situation::UploadTlsUnexpected);
                check_nothing(&mut client, "new");
                assert_eq!(memory.contents("/file").as_deref(), Some(&b"contents"[..]));
            }
        }
        // What it fetches is no TLS for it.
        let mut data = Data::connect(client.passive()).protected(Some(&config));
        client.command("RETR file", 125);
        data.wire().read(&mut [0; 1]).expect_err("no handshake comes of it");
        drop(data);
        client.expect(Situation::Sent);
        client.data_tls = None;
        assert_eq!(client.names("NLST"), ["file"]);
        client.quit();
    }
}

/// Files that only look like the beginning of TLS are files.
#[test]
fn files_that_look_like_tls() {
    let server = server();
    let hello = hello();
    let mut in_clear = server.anna();
    in_clear.store("STOR hello", &hello);
    assert_eq!(in_clear.fetch("RETR hello"), hello);
    for version in VERSIONS {
        let config = client(version);
        let mut client = server.secured_with(&config);
        client.store("STOR hello", &hello);
        assert_eq!(client.fetch("RETR hello"), hello);
        client.command("PROT C", 200);
        client.data_tls = None;
        let long = [&hello[..], &octets(100_000, 1)].concat();
        for contents in [&long[..], &hello[..hello.len() - 1], &hello[..6], &hello[..3], &[]] {
            client.store("STOR capture", contents);
            assert_eq!(client.fetch("RETR capture"), contents);
        }
        client.quit();
    }
}

/// Connections that are not served cost no handshake: those of a full server say so, or nothing where TLS is expected.
#[test]
fn a_server_that_is_full() {
    let server = Setup::of(tree())
        .tls(TlsRules::default())
        .implicit()
        .with(|config| config.limits.sessions = 1)
        .start();
    let served = server.secured(TLS13);
    let implicit: SocketAddr = server.added(0);
    let mut turned_away = Client::connect(implicit);
    turned_away.expect_end();
    Client::connect(server.address(HERE)).expect(Situation::Full);
    served.quit();
    server.events().sessions_ended(1);
}
