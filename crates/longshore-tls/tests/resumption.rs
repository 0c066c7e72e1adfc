//! The proof that a data connection belongs to its control session, and all that must not pass for it.

mod common;

use std::sync::Arc;

use common::{NAME, Pair, VERSIONS, client, client_of, server, set};
use longshore_tls::limits::{CONTROL_TICKETS, DATA_TICKETS};
use longshore_tls::{
    Certificates, ControlSession, Direction, Fresh, Policy, Resumption, ServerTls, TlsError,
};
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup, aws_lc_rs};
use rustls::{ClientConfig, HandshakeKind, NamedGroup};

/// A client that has come in.
fn control(server: &ServerTls, config: &ClientConfig) -> (ControlSession, Pair) {
    let (session, connection) = server.accept_control().expect("a configuration");
    (session, Pair::new(connection, config).connect())
}

fn data(session: &ControlSession, config: &ClientConfig, direction: Direction) -> Pair {
    let acceptor = session.data_acceptor(direction).expect("a configuration");
    Pair::new(acceptor.into_connection(), config).connect()
}

#[track_caller]
fn check(pair: &Pair, expected: &Resumption) {
    assert_eq!(pair.server.resumption(), Some(expected));
    let resumed = pair.client.handshake_kind() == Some(HandshakeKind::Resumed);
    assert_eq!(resumed, *expected == Resumption::Resumed, "both sides think alike");
}

#[test]
fn a_client_that_resumes_is_proved() {
    let server = server();
    for version in VERSIONS {
        let config = client(version);
        let (session, control) = control(&server, &config);
        assert_eq!(control.server.resumption(), None, "nothing to prove on a control connection");
        for _ in 0..3 {
            for direction in [Direction::Download, Direction::Upload] {
                let mut pair = data(&session, &config, direction);
                check(&pair, &Resumption::Resumed);
                assert_eq!(pair.say(b"octets"), b"octets");
                assert_eq!(pair.answer(b"more"), b"more");
            }
        }
    }
}

#[test]
fn the_handshake_may_come_in_single_bytes() {
    let server = server();
    for version in VERSIONS {
        let config = client(version);
        let (session, connection) = server.accept_control().expect("a configuration");
        let mut pair = Pair::new(connection, &config);
        pair.step = 1;
        let mut pair = pair.connect();
        assert_eq!(pair.say(b"NOOP\r\n"), b"NOOP\r\n");
        let acceptor = session.data_acceptor(Direction::Download).expect("a configuration");
        let mut pair = Pair::new(acceptor.into_connection(), &config);
        pair.step = 1;
        check(&pair.connect(), &Resumption::Resumed);
    }
}

#[test]
fn a_client_without_a_session_is_fresh() {
    let server = server();
    for version in VERSIONS {
        let (session, _control) = control(&server, &client(version));
        let pair = data(&session, &client(version), Direction::Download);
        check(&pair, &Resumption::Fresh(Fresh::NothingOffered));
    }
}

#[test]
fn another_control_session_proves_nothing() {
    let server = server();
    for version in VERSIONS {
        let (mine, theirs) = (client(version), client(version));
        let (my_session, _my_control) = control(&server, &mine);
        let (their_session, _their_control) = control(&server, &theirs);
        check(&data(&their_session, &mine, Direction::Download), &Resumption::Fresh(Fresh::Unknown));
        check(&data(&my_session, &mine, Direction::Download), &Resumption::Resumed);
        check(&data(&their_session, &theirs, Direction::Upload), &Resumption::Resumed);
    }
}

/// A stranger connects to the data port twice: what his first, full handshake leaves must not prove his second.
#[test]
fn a_full_handshake_on_the_data_port_proves_nothing_later() {
    let server = server();
    for version in VERSIONS {
        let (owner, stranger) = (client(version), client(version));
        let (session, _control) = control(&server, &owner);
        let first = data(&session, &stranger, Direction::Download);
        check(&first, &Resumption::Fresh(Fresh::NothingOffered));
        assert_eq!(first.client.tls13_tickets_received(), 0);
        for direction in [Direction::Download, Direction::Upload] {
            let again = data(&session, &stranger, direction);
            assert!(matches!(again.server.resumption(), Some(Resumption::Fresh(_))));
            assert_eq!(again.client.handshake_kind(), Some(HandshakeKind::Full));
        }
        check(&data(&session, &owner, Direction::Download), &Resumption::Resumed);
    }
}

#[test]
fn a_control_connection_resumes_nothing() {
    let server = server();
    for version in VERSIONS {
        let config = client(version);
        let (_session, _control) = control(&server, &config);
        let (_session, again) = control(&server, &config);
        assert_eq!(again.client.handshake_kind(), Some(HandshakeKind::Full));
    }
}

/// A group that no server knows, put in front: the server asks for another by HelloRetryRequest.
#[derive(Debug)]
struct Unheard;

impl SupportedKxGroup for Unheard {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        let inner = aws_lc_rs::kx_group::X25519.start()?;
        Ok(Box::new(UnheardExchange(inner.pub_key().to_vec())))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

struct UnheardExchange(Vec<u8>);

impl ActiveKeyExchange for UnheardExchange {
    fn complete(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, rustls::Error> {
        Err(rustls::Error::General("nobody chooses this group".into()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.0
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

fn retrying() -> ClientConfig {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![&Unheard, aws_lc_rs::kx_group::X25519];
    client_of(provider, &rustls::version::TLS13, None)
}

#[test]
fn a_hello_retry_request_hides_nothing_and_proves_nothing() {
    let server = server();
    let config = retrying();
    let (session, control) = control(&server, &config);
    assert_eq!(control.client.handshake_kind(), Some(HandshakeKind::FullWithHelloRetryRequest));
    // rustls remembers the group that the server wanted, so the retry has to be provoked again.
    let stranger = retrying();
    let first = data(&session, &stranger, Direction::Download);
    check(&first, &Resumption::Fresh(Fresh::NothingOffered));
    assert_eq!(first.client.handshake_kind(), Some(HandshakeKind::FullWithHelloRetryRequest));
    assert_eq!(first.client.tls13_tickets_received(), 0);
    check(&data(&session, &stranger, Direction::Download), &Resumption::Fresh(Fresh::NothingOffered));
    check(&data(&session, &config, Direction::Download), &Resumption::Resumed);
}

/// The hello of a resumption is followed by a retry: `Resumed` is known only after the second one.
#[test]
fn a_resumption_after_a_hello_retry_request_is_proved() {
    /// Forgets which group the server wants, remembers everything else.
    #[derive(Debug)]
    struct Forgetful(rustls::client::ClientSessionMemoryCache);
    impl rustls::client::ClientSessionStore for Forgetful {
        fn set_kx_hint(&self, _: rustls::pki_types::ServerName<'static>, _: NamedGroup) {}
        fn kx_hint(&self, _: &rustls::pki_types::ServerName<'_>) -> Option<NamedGroup> {
            None
        }
        fn set_tls12_session(
            &self,
            name: rustls::pki_types::ServerName<'static>,
            value: rustls::client::Tls12ClientSessionValue,
        ) {
            self.0.set_tls12_session(name, value);
        }
        fn tls12_session(
            &self,
            name: &rustls::pki_types::ServerName<'_>,
        ) -> Option<rustls::client::Tls12ClientSessionValue> {
            self.0.tls12_session(name)
        }
        fn remove_tls12_session(&self, name: &rustls::pki_types::ServerName<'static>) {
            self.0.remove_tls12_session(name);
        }
        fn insert_tls13_ticket(
            &self,
            name: rustls::pki_types::ServerName<'static>,
            value: rustls::client::Tls13ClientSessionValue,
        ) {
            self.0.insert_tls13_ticket(name, value);
        }
        fn take_tls13_ticket(
            &self,
            name: &rustls::pki_types::ServerName<'static>,
        ) -> Option<rustls::client::Tls13ClientSessionValue> {
            self.0.take_tls13_ticket(name)
        }
    }
    let mut config = retrying();
    let cache = Forgetful(rustls::client::ClientSessionMemoryCache::new(64));
    config.resumption = rustls::client::Resumption::store(Arc::new(cache));
    let (session, _control) = control(&server(), &config);
    let acceptor = session.data_acceptor(Direction::Download).expect("a configuration");
    let mut pair = Pair::new(acceptor.into_connection(), &config);
    let mut hello = Vec::new();
    pair.client.write_tls(&mut hello).expect("a buffer");
    pair.server.receive(&hello, &mut pair.received, &mut pair.wire).expect("it may be retried");
    assert_eq!(pair.wire[5], 2, "a ServerHello, as which a HelloRetryRequest is disguised");
    assert_eq!(pair.server.resumption(), None);
    let pair = pair.connect();
    check(&pair, &Resumption::Resumed);
    assert_eq!(pair.client.tls13_tickets_received() as usize, DATA_TICKETS);
}

#[test]
fn other_names_and_suites_are_told_as_the_reason() {
    let server = server();
    for version in VERSIONS {
        // The session is stored under one name by rustls; a client without SNI on one channel is what is played here.
        let mut config = client(version);
        let (session, _control) = control(&server, &config);
        config.enable_sni = false;
        let pair = data(&session, &config, Direction::Download);
        let expected = Fresh::ServerName { control: Some(NAME.into()), data: None };
        assert!(expected.to_string().contains("\"ftp.example\" on its control connection and none on"));
        check(&pair, &Resumption::Fresh(expected));
    }
}

#[test]
fn clients_that_use_a_ticket_once_get_new_ones() {
    let config = client(&rustls::version::TLS13);
    let (session, control) = control(&server(), &config);
    assert_eq!(control.client.tls13_tickets_received() as usize, CONTROL_TICKETS);
    // More uploads in a row than there were tickets: after the second the client has shown what it needs.
    let mut tickets = Vec::new();
    for _ in 0..4 * CONTROL_TICKETS {
        let pair = data(&session, &config, Direction::Upload);
        check(&pair, &Resumption::Resumed);
        tickets.push(pair.client.tls13_tickets_received() as usize);
    }
    assert_eq!(tickets[..2], [0, 0], "no ticket on an upload before it is known to be needed");
    assert!(tickets[2..].iter().all(|&count| count == DATA_TICKETS), "{tickets:?}");
}

#[test]
fn uploads_bring_no_tickets_after_downloads() {
    let config = client(&rustls::version::TLS13);
    let (session, _control) = control(&server(), &config);
    let download = data(&session, &config, Direction::Download);
    assert_eq!(download.client.tls13_tickets_received() as usize, DATA_TICKETS);
    let upload = data(&session, &config, Direction::Upload);
    check(&upload, &Resumption::Resumed);
    assert_eq!(upload.client.tls13_tickets_received(), 0);
}

/// With the certificates of the day before, or a TLS 1.2 session could not be resumed with another kind of key.
#[test]
fn certificates_are_exchanged_while_a_session_goes_on() {
    let certificates = Arc::new(Certificates::new(set(&[NAME])));
    let server = ServerTls::new(certificates.clone(), &Policy::default()).expect("a policy");
    for version in VERSIONS {
        let config = client(version);
        let (session, mut before) = control(&server, &config);
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("an RSA key");
        let params = rcgen::CertificateParams::new([NAME.to_owned()]).expect("a name");
        let rsa = params.self_signed(&key).expect("a certificate");
        let pem = common::pem("CERTIFICATE", rsa.der());
        let key = common::pem("PRIVATE KEY", &key.serialize_der());
        let rsa_set = longshore_tls::CertificateSet::from_pem(pem.as_bytes(), key.as_bytes(), common::now());
        certificates.exchange(rsa_set.expect("a pair"));

        assert_eq!(before.say(b"NOOP\r\n"), b"NOOP\r\n");
        check(&data(&session, &config, Direction::Download), &Resumption::Resumed);
        let (_, after) = control(&server, &client(version));
        let shown = |pair: &Pair| pair.client.peer_certificates().expect("it was shown one")[0].clone();
        assert_eq!(shown(&after), *rsa.der());
        assert_ne!(shown(&before), *rsa.der());
        certificates.exchange(set(&[NAME]));
    }
}

#[test]
fn a_dropped_handshake_leaves_nothing_behind() {
    let server = server();
    for version in VERSIONS {
        let config = client(version);
        let (session, _control) = control(&server, &config);
        let acceptor = session.data_acceptor(Direction::Download).expect("a configuration");
        let mut half = Pair::new(acceptor.into_connection(), &config);
        let mut hello = Vec::new();
        half.client.write_tls(&mut hello).expect("a buffer");
        half.server.receive(&hello, &mut half.received, &mut half.wire).expect("a good hello");
        assert_eq!(half.server.resumption(), None, "nothing is proved before the client's Finished");
        drop(half);
        check(&data(&session, &config, Direction::Download), &Resumption::Resumed);
    }
}

/// Whoever has seen a session's name on the wire but not its keys gets nowhere.
#[test]
fn a_name_without_the_keys_proves_nothing() {
    let server = server();
    for version in VERSIONS {
        let config = client(version);
        let (session, _control) = control(&server, &config);
        let acceptor = session.data_acceptor(Direction::Upload).expect("a configuration");
        let mut seen = Pair::new(acceptor.into_connection(), &config);
        let mut hello = Vec::new();
        seen.client.write_tls(&mut hello).expect("a buffer");
        // Sent once more as it is, from elsewhere; the stranger cannot finish what he began.
        let acceptor = session.data_acceptor(Direction::Upload).expect("a configuration");
        let mut replayed = acceptor.into_connection();
        let (mut plain, mut wire) = (Vec::new(), Vec::new());
        replayed.receive(&hello, &mut plain, &mut wire).expect("the hello is genuine");
        assert_eq!(replayed.resumption(), None);
        // A Finished that is none: the record cannot be decrypted.
        let record = [&[0x14, 3, 3, 0, 1, 1, 0x16, 3, 3, 0, 40][..], &[7; 40]].concat();
        let error = replayed.receive(&record, &mut plain, &mut wire).expect_err("nobody knows the keys");
        assert!(matches!(error, TlsError::Protocol(_)), "{error}");
        assert_eq!(replayed.resumption(), None);
    }
}
