//! One connection: names, protocols, certificates of clients, leaving TLS, and peers that do not keep to it.

mod common;

use std::io::Read;
use std::sync::Arc;

use common::{Authority, Folder, Pair, VERSIONS, client, client_of, server, server_with};
use longshore_tls::{
    Authorities, CertificateFiles, CertificateSet, Certificates, ClientCertificates, Direction, Policy,
    Resumption, ServerTls, Stage, TlsConnection, TlsError, Version,
};
use rustls::SupportedProtocolVersion;
use rustls::crypto::aws_lc_rs;

fn control(server: &ServerTls) -> TlsConnection {
    server.accept_control().expect("a configuration").1
}

/// Hands over bytes, in steps of one size, and gives what the server says to them.
fn receive(bytes: &[u8], step: usize) -> (Result<Stage, TlsError>, Vec<u8>) {
    let mut connection = control(&server());
    let (mut plain, mut wire) = (Vec::new(), Vec::new());
    let mut result = Ok(Stage::Handshake);
    for piece in bytes.chunks(step) {
        result = connection.receive(piece, &mut plain, &mut wire);
        if result.is_err() {
            break;
        }
    }
    assert_eq!(plain, b"");
    (result, wire)
}

#[track_caller]
fn check_refused(bytes: &[u8], alert: Option<u8>, expected: &str) {
    for step in [1, 3, usize::MAX] {
        let (result, wire) = receive(bytes, step);
        let error = result.expect_err("it is no ClientHello");
        assert_eq!(error.to_string(), expected);
        assert_eq!(wire.get(6).copied(), alert, "{wire:?}");
    }
}

#[test]
fn what_is_no_client_hello_is_refused() {
    let shown = |text: &str| {
        format!("the client does not speak TLS: it sent {text:?} where a ClientHello was expected")
    };
    // In single bytes only the first one is seen before it is clear.
    let (result, _) = receive(b"USER anonymous\r\n", usize::MAX);
    assert_eq!(result.expect_err("clear text").to_string(), shown("USER anonymous\\r\\n"));
    check_refused(b"U", None, &shown("U"));
    check_refused(&[0x80], None, &shown("\\x80"));
    // A record of a handshake, with rubbish in it.
    check_refused(
        &[&[22, 3, 1, 0, 8, 1, 0, 0, 4][..], &[0xff; 4]].concat(),
        Some(50),
        "the client broke TLS: received corrupt message of type MissingData(\"Random\")",
    );
    // Longer than any record may be.
    let (result, wire) = receive(&[22, 3, 1, 0xff, 0xff, 1], usize::MAX);
    assert!(matches!(result, Err(TlsError::Protocol(_))), "{result:?}");
    assert_eq!(wire.first(), Some(&21), "an alert");
    // A client that says goodbye at once.
    let (result, _) = receive(&[21, 3, 1, 0, 2, 2, 90], usize::MAX);
    assert_eq!(
        result.expect_err("an alert").to_string(),
        "the client ended TLS with the alert user_canceled: it gave up before the handshake was through"
    );
}

#[test]
fn after_an_error_it_is_over() {
    let mut connection = control(&server());
    let (mut plain, mut wire) = (Vec::new(), Vec::new());
    connection.receive(b"USER", &mut plain, &mut wire).expect_err("clear text");
    assert_eq!(connection.stage(), Stage::Failed);
    assert!(matches!(connection.receive(b"x", &mut plain, &mut wire), Err(TlsError::Over)));
    assert!(matches!(connection.send(b"x", &mut wire), Err(TlsError::Over)));
    assert!(matches!(connection.close_notify(&mut wire), Err(TlsError::Over)));
    assert_eq!((plain, wire), (Vec::new(), Vec::new()));
    // Nothing may be said before the handshake either.
    let mut connection = control(&server());
    assert!(matches!(connection.send(b"220", &mut Vec::new()), Err(TlsError::Over)));
}

/// A message of the handshake that never ends must not fill the memory.
#[test]
fn an_endless_message_is_refused() {
    let mut connection = control(&server());
    let (mut plain, mut wire) = (Vec::new(), Vec::new());
    // A ClientHello that says to be 65,535 bytes long, in records of 256, of which none is the last.
    let mut first = vec![22, 3, 1, 1, 0, 1, 0, 0xff, 0xff];
    first.resize(5 + 256, 0);
    let mut record = vec![22, 3, 1, 1, 0];
    record.resize(5 + 256, 0);
    connection.receive(&first, &mut plain, &mut wire).expect("so far so good");
    let mut total = first.len();
    loop {
        total += record.len();
        match connection.receive(&record, &mut plain, &mut wire) {
            Ok(_) => assert!(total < 100 * 1024, "it takes more than any message may have"),
            Err(error) => break assert!(matches!(error, TlsError::Protocol(_)), "{error}"),
        }
    }
}

#[test]
fn a_changed_record_ends_the_connection() {
    let server = server();
    for version in VERSIONS {
        let mut pair = Pair::new(control(&server), &client(version)).connect();
        std::io::Write::write_all(&mut pair.client.writer(), b"DELE a\r\n").expect("room");
        let mut sent = Vec::new();
        pair.client.write_tls(&mut sent).expect("a buffer");
        *sent.last_mut().expect("a record") ^= 1;
        let error = pair.server.receive(&sent, &mut pair.received, &mut pair.wire).expect_err("changed");
        assert!(matches!(error, TlsError::Protocol(_)), "{error}");
        assert_eq!(pair.received, b"");
        assert_eq!(
            pair.wire.first(),
            Some(if version.version == rustls::ProtocolVersion::TLSv1_2 { &21 } else { &23 })
        );
        let mut wire = &pair.wire[..];
        pair.client.read_tls(&mut wire).expect("a buffer");
        let heard = pair.client.process_new_packets().expect_err("an alert");
        assert_eq!(heard, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
    }
}

#[test]
fn versions_are_as_the_policy_says() {
    let [tls12, tls13] = VERSIONS;
    let strict = server_with(&Policy { minimum_version: Version::Tls13, ..Policy::default() });
    let pair = Pair::new(control(&strict), &client(tls13)).connect();
    assert_eq!(pair.server.facts().map(|facts| facts.version), Some(Version::Tls13));
    let error = Pair::new(control(&strict), &client(tls12)).pump().expect_err("too old");
    assert_eq!(
        error.to_string(),
        "the client and this server have nothing in common: it offers only versions of TLS that are off here; update it, \
         or allow TLS 1.2"
    );
    let pair = Pair::new(control(&server()), &client(tls12)).connect();
    let facts = pair.server.facts().expect("it is complete");
    assert_eq!(facts.version, Version::Tls12);
    assert!(facts.cipher_suite.starts_with("TLS_ECDHE_"), "{}", facts.cipher_suite);
}

#[test]
fn each_name_gets_its_certificate() {
    let folder = Folder::new();
    let mut files = Vec::new();
    for (index, names) in [&["one.example", "*.wild.example"][..], &["two.example"]].iter().enumerate() {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let made = longshore_tls::self_signed(&names, common::now()).expect("names");
        let chain = folder.write(&format!("{index}.crt"), &made.certificate_pem);
        files.push(CertificateFiles::new(chain, folder.write(&format!("{index}.key"), &made.key_pem)));
    }
    let set = CertificateSet::load(&files, common::now()).expect("two pairs");
    assert_eq!(set.warnings(), []);
    let fingerprints: Vec<String> = set.infos().map(|info| info.fingerprint.clone()).collect();
    let server = ServerTls::new(Arc::new(Certificates::new(set)), &Policy::default()).expect("a policy");
    for version in VERSIONS {
        for (name, expected) in [
            ("one.example", 0),
            ("two.example", 1),
            ("TWO.example", 1),
            ("a.wild.example", 0),
            ("other.example", 0),
            ("127.0.0.1", 0),
        ] {
            let pair = Pair::named(control(&server), &client(version), name).connect();
            let shown = &pair.client.peer_certificates().expect("one was shown")[0];
            let file = std::fs::read_to_string(&files[expected].chain).expect("ours");
            assert_eq!(common::pem("CERTIFICATE", shown), file, "{name}");
            let facts = pair.server.facts().expect("complete");
            let expected_name = (name != "127.0.0.1").then(|| name.to_lowercase());
            assert_eq!(facts.server_name, expected_name);
        }
    }
    assert_ne!(fingerprints[0], fingerprints[1]);
}

#[track_caller]
fn check_protocol(
    version: &'static SupportedProtocolVersion,
    offered: &[&str],
    expected: Result<Option<&str>, ()>,
) {
    let mut config = client(version);
    config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
    let mut pair = Pair::new(control(&server()), &config);
    match (pair.pump(), expected) {
        (Ok(()), Ok(expected)) => {
            assert_eq!(pair.server.facts().expect("complete").protocol.as_deref(), expected);
        }
        (Err(TlsError::Incompatible(why)), Err(())) => assert!(why.contains("ALPN"), "{why}"),
        (result, expected) => panic!("{offered:?}: {result:?}, not {expected:?}"),
    }
}

#[test]
fn protocols_are_agreed_on() {
    for version in VERSIONS {
        check_protocol(version, &[], Ok(None));
        check_protocol(version, &["ftp"], Ok(Some("ftp")));
        // FileZilla offers both; the plain one promises nothing that only FileZilla's server keeps.
        check_protocol(version, &["x-filezilla-ftp", "ftp"], Ok(Some("ftp")));
        check_protocol(version, &["x-filezilla-ftp"], Ok(Some("x-filezilla-ftp")));
        check_protocol(version, &["h2", "http/1.1"], Err(()));
        check_protocol(version, &["ftp-data"], Err(()));
    }
}

#[test]
fn data_connections_have_a_protocol_of_their_own() {
    let server = server();
    for version in VERSIONS {
        let mut config = client(version);
        config.alpn_protocols = vec![b"x-filezilla-ftp".to_vec(), b"ftp".to_vec()];
        let (session, connection) = server.accept_control().expect("a configuration");
        let _control = Pair::new(connection, &config).connect();
        for (offered, expected) in [("ftp-data", Some("ftp-data")), ("ftp", Some("ftp")), ("", None)] {
            config.alpn_protocols = [offered]
                .iter()
                .filter(|name| !name.is_empty())
                .map(|name| name.as_bytes().to_vec())
                .collect();
            let acceptor = session.data_acceptor(Direction::Upload).expect("a configuration");
            let pair = Pair::new(acceptor.into_connection(), &config).connect();
            assert_eq!(pair.server.facts().expect("complete").protocol.as_deref(), expected);
            assert_eq!(pair.server.resumption(), Some(&Resumption::Resumed));
        }
    }
}

#[test]
fn certificates_of_clients() {
    let folder = Folder::new();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let authorities = Authorities::load(&folder.write("ca.crt", &ours.pem)).expect("an authority");
    let provider = aws_lc_rs::default_provider;
    for version in VERSIONS {
        let with = |authority: &Authority| client_of(provider(), version, Some(authority.client("alice")));
        let request = ClientCertificates::Request(authorities.clone());
        let require = ClientCertificates::Require(authorities.clone());
        for (policy, config, expected) in [
            (ClientCertificates::Off, with(&ours), Ok(None)),
            (request.clone(), client(version), Ok(None)),
            (request.clone(), with(&ours), Ok(Some("CN=alice,O=Example\\, Inc."))),
            (request, with(&theirs), Err("the client's certificate is not accepted: UnknownIssuer")),
            (require.clone(), with(&ours), Ok(Some("CN=alice,O=Example\\, Inc."))),
            (
                require,
                client(version),
                Err("the client's certificate is not accepted: it sent none, and one is required"),
            ),
        ] {
            let server = server_with(&Policy { client_certificates: policy, ..Policy::default() });
            let (session, connection) = server.accept_control().expect("a configuration");
            let mut pair = Pair::new(connection, &config);
            match (pair.pump(), expected) {
                (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
                (Ok(()), Ok(expected)) => {
                    let shown =
                        |pair: &Pair| pair.server.facts().expect("complete").client_certificate.clone();
                    let control = shown(&pair);
                    assert_eq!(control.as_ref().map(|shown| &shown.subject[..]), expected);
                    // A data connection has the certificate of the session that it resumes.
                    let acceptor = session.data_acceptor(Direction::Download).expect("a configuration");
                    let data = Pair::new(acceptor.into_connection(), &config).connect();
                    assert_eq!(data.server.resumption(), Some(&Resumption::Resumed));
                    assert_eq!(shown(&data), control);
                }
                (result, expected) => panic!("{result:?}, not {expected:?}"),
            }
        }
    }
}

#[test]
fn close_notify_ends_one_direction() {
    let server = server();
    for version in VERSIONS {
        let mut pair = Pair::new(control(&server), &client(version)).connect();
        pair.client.send_close_notify();
        pair.pump().expect("an orderly end");
        assert_eq!(pair.server.stage(), Stage::Ended);
        // The answer to what came before the end is still heard.
        assert_eq!(pair.answer(b"221 Bye\r\n"), b"221 Bye\r\n");
        pair.server.close_notify(&mut pair.wire).expect("open");
        pair.pump().expect("an orderly end");
        assert_eq!(pair.client.reader().read(&mut [0; 8]).expect("clean"), 0);
        assert!(matches!(pair.server.send(b"x", &mut pair.wire), Err(TlsError::Over)));
        pair.server.close_notify(&mut pair.wire).expect("twice is once");
        assert_eq!(pair.wire, b"");
    }
}

/// An empty upload: the client's last message of the handshake and its end come in one read.
#[test]
fn an_end_right_behind_the_handshake_is_an_end() {
    for version in VERSIONS {
        let config = client(version);
        let (session, connection) = server().accept_control().expect("a configuration");
        drop(Pair::new(connection, &config).connect());
        let acceptor = session.data_acceptor(Direction::Upload).expect("a configuration");
        let mut pair = Pair::new(acceptor.into_connection(), &config);
        let mut hello = Vec::new();
        pair.client.write_tls(&mut hello).expect("a buffer takes everything");
        pair.server.receive(&hello, &mut pair.received, &mut pair.wire).expect("a hello");
        assert!(pair.deliver());
        assert!(!pair.client.is_handshaking(), "it resumes");
        pair.client.send_close_notify();
        pair.pump().expect("both sides agree");
        assert_eq!(pair.server.stage(), Stage::Ended);
        assert_eq!(pair.server.resumption(), Some(&Resumption::Resumed), "{:?}", pair.server.facts());
        assert!(pair.received.is_empty());
    }
}

/// CCC: both say close_notify, or only we do, and what follows in clear is not lost, wherever the network cuts.
#[test]
fn leaving_tls_loses_nothing() {
    let server = server();
    for version in VERSIONS {
        for polite in [true, false] {
            for step in [1, 2, 7, usize::MAX] {
                let mut pair = Pair::new(control(&server), &client(version)).connect();
                assert_eq!(pair.say(b"CCC\r\n"), b"CCC\r\n");
                assert_eq!(pair.answer(b"200 In clear\r\n"), b"200 In clear\r\n");
                pair.server.leave(&mut pair.wire).expect("open");
                pair.deliver();
                assert_eq!(pair.client.reader().read(&mut [0; 8]).expect("clean"), 0);
                let mut sent = Vec::new();
                if polite {
                    pair.client.send_close_notify();
                    pair.client.write_tls(&mut sent).expect("a buffer");
                }
                sent.extend_from_slice(b"PWD\r\nNOOP\r\n");
                let mut stage = Stage::Open;
                let (mut plain, mut wire) = (Vec::new(), Vec::new());
                for piece in sent.chunks(step) {
                    stage = pair.server.receive(piece, &mut plain, &mut wire).expect("an orderly end");
                }
                assert_eq!(stage, Stage::Ended);
                assert_eq!((plain, wire), (Vec::new(), Vec::new()));
                assert_eq!(pair.server.into_clear(), b"PWD\r\nNOOP\r\n");
            }
        }
    }
}

/// The client may be ahead of us: its end and its next command come before we have left.
#[test]
fn a_client_that_leaves_first_is_understood() {
    let server = server();
    for version in VERSIONS {
        let mut pair = Pair::new(control(&server), &client(version)).connect();
        std::io::Write::write_all(&mut pair.client.writer(), b"CCC\r\n").expect("room");
        pair.client.send_close_notify();
        let mut sent = Vec::new();
        while pair.client.wants_write() {
            pair.client.write_tls(&mut sent).expect("a buffer");
        }
        sent.extend_from_slice(b"PWD\r\n");
        let stage = pair.server.receive(&sent, &mut pair.received, &mut pair.wire).expect("an orderly end");
        assert_eq!((stage, &pair.received[..]), (Stage::Ended, &b"CCC\r\n"[..]));
        pair.server.send(b"200 In clear\r\n", &mut pair.wire).expect("our direction is open");
        pair.server.leave(&mut pair.wire).expect("open");
        pair.deliver();
        let mut heard = Vec::new();
        pair.client.reader().read_to_end(&mut heard).expect("clean");
        assert_eq!(heard, b"200 In clear\r\n");
        assert_eq!(pair.server.into_clear(), b"PWD\r\n");
    }
}

/// Bytes behind the end are kept for whoever leaves TLS, but not without a bound.
#[test]
fn what_follows_the_end_does_not_pile_up() {
    let mut pair = Pair::new(control(&server()), &client(VERSIONS[1])).connect();
    pair.client.send_close_notify();
    pair.pump().expect("an orderly end");
    let mut total = 0;
    let error = loop {
        total += 1000;
        assert!(total < 100_000, "all of it is kept");
        if let Err(error) = pair.server.receive(&[b'x'; 1000], &mut pair.received, &mut pair.wire) {
            break error;
        }
    };
    assert_eq!(error.to_string(), "the client broke TLS: it goes on behind its end");
}

/// Nothing in clear is taken for the client's while TLS is on.
#[test]
fn clear_text_inside_tls_is_an_error() {
    let server = server();
    for version in VERSIONS {
        let mut pair = Pair::new(control(&server), &client(version)).connect();
        let error = pair.server.receive(b"DELE everything\r\n", &mut pair.received, &mut pair.wire);
        assert!(matches!(error, Err(TlsError::Protocol(_))), "{error:?}");
        assert_eq!(pair.received, b"");
    }
}

#[test]
fn keys_may_be_changed_at_any_time() {
    let mut pair = Pair::new(control(&server()), &client(&rustls::version::TLS13)).connect();
    for _ in 0..5 {
        pair.client.refresh_traffic_keys().expect("complete");
        assert_eq!(pair.say(b"NOOP\r\n"), b"NOOP\r\n");
        assert_eq!(pair.answer(b"200 Fine\r\n"), b"200 Fine\r\n");
    }
}

/// Commands that are pipelined and replies that cross them, in any sizes.
#[test]
fn both_directions_carry_any_sizes() {
    let server = server();
    for version in VERSIONS {
        let mut pair = Pair::new(control(&server), &client(version)).connect();
        for length in [1, 100, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 60_000] {
            let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
            pair.step = if length > 1000 { 4099 } else { 1 };
            assert!(pair.say(&bytes) == bytes);
            assert!(pair.answer(&bytes[..length.min(16_000)]) == bytes[..length.min(16_000)]);
        }
    }
}

/// A bit that falls over anywhere in what a client sends: the connection fails or does not notice, but nothing is let
/// through that the client did not say.
#[test]
fn whatever_is_changed_on_the_way_is_no_reason_to_panic() {
    let server = server();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % bound as u64) as usize
    };
    let (mut failed, mut unharmed) = (0, 0);
    for round in 0..400 {
        let mut pair = Pair::new(control(&server), &client(VERSIONS[round % 2]));
        let (target, step) = (next(1200), 1 + next(300));
        let mut position = 0;
        let mut said = false;
        let result = loop {
            let mut sent = Vec::new();
            while pair.client.wants_write() {
                pair.client.write_tls(&mut sent).expect("a buffer");
            }
            if (position..position + sent.len()).contains(&target) {
                sent[target - position] ^= 1 << next(8);
            }
            position += sent.len();
            let mut result = Ok(pair.server.stage());
            for piece in sent.chunks(step) {
                result = pair.server.receive(piece, &mut pair.received, &mut pair.wire);
                if result.is_err() {
                    break;
                }
                if pair.server.stage() == Stage::Open {
                    pair.server.send(b"200\r\n", &mut pair.wire).expect("open");
                }
            }
            let answered = pair.deliver();
            if result.is_err() || (sent.is_empty() && !answered) {
                break result;
            }
            if !pair.client.is_handshaking() && !said {
                said = true;
                std::io::Write::write_all(&mut pair.client.writer(), &[b'x'; 800]).expect("room");
            }
        };
        assert!(pair.received.iter().all(|&byte| byte == b'x') && pair.received.len() <= 800);
        match result {
            Err(_) => {
                assert_eq!(pair.server.stage(), Stage::Failed);
                failed += 1;
            }
            Ok(_) => unharmed += 1,
        }
    }
    assert!(failed > 100 && unharmed > 0, "{failed} failed, {unharmed} were unharmed");
}

/// The server keeps these over waits and hands them to other threads.
#[test]
fn connections_can_be_sent_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<TlsConnection>();
    check::<ServerTls>();
    check::<longshore_tls::ControlSession>();
    check::<longshore_tls::TlsStream<tokio::net::TcpStream>>();
    fn check_future(_: impl Fn(longshore_tls::DataAcceptor, tokio::net::TcpStream) -> Sent) {}
    type Sent = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
    check_future(|acceptor, socket| {
        Box::pin(async move {
            let Ok(mut stream) = acceptor.accept(socket).await else { return };
            let _ = stream.read(&mut Vec::with_capacity(1)).await;
            let _ = stream.write_all(b"x").await;
            let _ = stream.finish().await;
            let _ = stream.drain(1).await;
        })
    });
}
