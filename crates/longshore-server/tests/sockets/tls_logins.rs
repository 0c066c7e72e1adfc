//! TLS on the control connection: how it begins and ends, who must have it, certificates of both sides.

use std::io::Write;
use std::sync::Arc;

use longshore_server::accounts::{
    CertificateRule, Entry, HashedAccounts, MemoryAccounts, PasswordHash, Permissions, Rejection, Secret,
    TlsNeed, TlsRules,
};
use longshore_server::storage::memory::Memory;
use longshore_server::tls::{
    Authorities, CertificateFiles, CertificateSet, Certificates, ClientCertificates, Policy, ServerTls,
    Version as Minimum,
};
use longshore_server::{Event, EventKind, ListenerOptions, ListenerTls, Tls, TlsOffer};

use crate::common::ground::Scratch;
use crate::common::tls::{
    Authority, NAME, REQUIRE, TLS13, VERSIONS, client, client_with, implicit, pair, tls, tls_by,
};
use crate::common::{
    Client, Data, ELSEWHERE, HERE, PASSWORD, Server, Setup, Situation, USER, account, octets,
};

fn setup() -> Setup {
    let memory = Memory::new();
    memory.insert("/file", "contents");
    Setup::of(memory)
}

fn need(need: TlsNeed) -> TlsRules {
    TlsRules { need: Some(need), ..TlsRules::default() }
}

/// Why TLS did not come about, as often as it did not.
#[track_caller]
fn failures(server: &Server, count: usize) -> Vec<String> {
    server.events().wait_for(count, |event| match &event.kind {
        EventKind::TlsFailed { why } => Some(why.clone()),
        _ => None,
    })
}

#[test]
fn every_name_of_tls() {
    let server = setup().tls(REQUIRE).start();
    for version in VERSIONS {
        for mechanism in ["TLS", "TLS-C", "TLS-P", "SSL", "tls"] {
            let config = client(version);
            let mut client = server.client();
            client.command(format!("AUTH {mechanism}"), Situation::TlsBegins);
            client.begin_tls(&config);
            client.command("AUTH TLS", Situation::AuthInsideTls);
            client.log_in(USER, PASSWORD);
            client.command("TYPE I", 200);
            // The old names begin as after PBSZ 0 and PROT P.
            if ["TLS-P", "SSL"].contains(&mechanism) {
                client.data_tls = Some(config);
            } else {
                client.command("PROT P", Situation::ProtWithoutPbsz);
                assert_eq!(client.fetch("RETR file"), b"contents");
                client.protect_data(&config);
            }
            assert_eq!(client.fetch("RETR file"), b"contents");
            client.quit();
        }
    }
    assert_eq!(server.client().command("AUTH KERBEROS_V4", 504).code, 504);
}

#[test]
fn what_is_told_of_a_session() {
    let server = setup().tls(TlsRules::default()).start();
    for (version, name) in VERSIONS.into_iter().zip(["TLS 1.2", "TLS 1.3"]) {
        let mut client = server.secured(version);
        let status = client.command("STAT", Situation::Status).lines().join("\n");
        assert!(status.contains(name) && status.contains("protected by TLS"), "{status}");
        client.quit();
    }
    let told = server.events().wait_for(2, |event| match &event.kind {
        EventKind::Secured { version, cipher_suite, server_name, certificate } => {
            Some((*version, cipher_suite.starts_with("TLS"), server_name.clone(), certificate.clone()))
        }
        _ => None,
    });
    assert_eq!(told, ["TLS 1.2", "TLS 1.3"].map(|version| (version, true, Some(NAME.to_owned()), None)));
}

#[test]
fn tls_that_is_not_offered() {
    let server = setup().start();
    let mut client = server.client();
    client.command("AUTH TLS", Situation::TlsNoCertificate);
    client.log_in(USER, PASSWORD);
    let server = setup().with(|config| config.tls = TlsOffer::Off).start();
    server.client().command("AUTH TLS", Situation::TlsNotOffered);
    let off = ListenerOptions { tls: ListenerTls::Off, rules: TlsRules::default() };
    let server = setup().tls(TlsRules::default()).listening_with(HERE, off).start();
    let mut client = Client::connect(server.added(0));
    client.expect(220);
    client.command("AUTH TLS", Situation::TlsNotOffered);
    client.log_in(USER, PASSWORD);
    let mut client = server.client();
    client.secure(&client_of_any_version());
    client.log_in(USER, PASSWORD);
}

fn client_of_any_version() -> rustls::ClientConfig {
    client(TLS13)
}

/// Nothing is said in clear, neither to whom it serves nor when it ends.
#[test]
fn an_implicit_listener_greets_inside_tls() {
    let mut server = setup().tls(REQUIRE).implicit().start();
    for version in VERSIONS {
        let mut client = server.implicitly_secured(version);
        client.command("AUTH TLS", Situation::AuthInsideTls);
        assert_eq!(client.fetch("RETR file"), b"contents");
        // Here REIN leads back to the beginning, which is inside TLS, and protects data again.
        client.command("PROT C", Situation::ProtClear);
        client.command("REIN", Situation::Reset);
        client.log_in(USER, PASSWORD);
        client.command("TYPE I", 200);
        assert_eq!(client.fetch("RETR file"), b"contents");
        client.quit();
    }
    let mut silent = Client::connect(server.added(0));
    let mut idle = server.implicitly_secured(TLS13);
    server.shut_down();
    idle.expect(Situation::Shutdown);
    idle.expect_end();
    silent.expect_end();
}

/// A reload that takes TLS away leaves nobody on a listener for TLS to whom something is said in clear.
#[test]
fn an_implicit_listener_without_tls_says_nothing() {
    let server = setup().tls(REQUIRE).implicit().start();
    server.reload(setup());
    let mut client = Client::connect(server.added(0));
    client.expect_end();
    let sent_away = |event: &Event| match event.kind {
        EventKind::SentAway { situation } => Some(situation),
        _ => None,
    };
    assert_eq!(server.events().wait_for(1, sent_away), [Situation::TlsNoCertificate]);
}

#[test]
fn ccc_and_rein_where_the_protection_must_stay() {
    let server = setup().tls(TlsRules::default()).start();
    server.anna().command("CCC", Situation::CccInClear);
    for version in VERSIONS {
        let mut client = server.secured(version);
        client.command("CCC", Situation::CccRefused);
        client.command("REIN", Situation::ReinRefused);
        assert_eq!(client.fetch("RETR file"), b"contents");
        for level in ["S", "E"] {
            client.command(format!("PROT {level}"), Situation::ProtLevel);
        }
        client.quit();
    }
}

/// The client ends its direction of TLS as well, or just goes on; in one piece with its next command, or by itself.
#[test]
fn ccc_where_it_is_allowed() {
    let server = setup().offering(Tls { allow_ccc: true, ..tls(REQUIRE) }).start();
    for version in VERSIONS {
        for close_notify in [true, false] {
            let config = client(version);
            let mut client = server.secured_with(&config);
            client.command("CCC", Situation::ControlClear);
            client.leave_tls(close_notify);
            client.command("PWD", 257);
            client.command("CCC", Situation::CccInClear);
            // Data connections still resume what the control connection was.
            assert_eq!(client.fetch("RETR file"), b"contents");
            // And back: another session of TLS, and everything from the beginning.
            client.data_tls = None;
            client.secure(&config);
            client.command("PWD", 530);
            client.log_in(USER, PASSWORD);
            client.protect_data(&config);
            client.command("TYPE I", 200);
            assert_eq!(client.fetch("RETR file"), b"contents");
            client.command("CCC", Situation::ControlClear);
            client.leave_tls(close_notify);
            client.quit();
        }
    }
    assert_eq!(server.control().unproved(), 0);
}

#[test]
fn close_notify_and_the_next_command_come_in_one_piece() {
    let server = setup().offering(Tls { allow_ccc: true, ..tls(REQUIRE) }).start();
    for version in VERSIONS {
        let mut client = server.secured(version);
        client.command("CCC", Situation::ControlClear);
        let wire = client.wire();
        wire.tls.as_mut().expect("TLS").send_close_notify();
        let bytes = [wire.take_unsent(), b"PWD\r\nNOOP\r\nPA".to_vec()].concat();
        wire.socket.write_all(&bytes).expect("the server reads");
        client.leave_tls(false);
        client.expect(257);
        client.expect(200);
        client.send_raw("SV\r\n");
        client.expect(Situation::Passive);
        client.quit();
    }
}

#[test]
fn rein_goes_back_to_clear_where_ccc_may() {
    let server = setup().offering(Tls { allow_ccc: true, ..tls(REQUIRE) }).start();
    for version in VERSIONS {
        let config = client(version);
        let mut client = server.secured_with(&config);
        client.command("REIN", Situation::Reset);
        client.leave_tls(true);
        client.data_tls = None;
        client.command("PROT P", Situation::ProtWithoutPbsz);
        client.log_in(USER, PASSWORD);
        assert_eq!(client.fetch("NLST"), b"file\r\n");
        client.secure(&config);
        client.log_in(USER, PASSWORD);
        client.protect_data(&config);
        assert_eq!(client.fetch("NLST"), b"file\r\n");
        client.quit();
    }
}

#[test]
fn nobody_logs_in_in_clear_where_tls_is_needed() {
    for rules in [need(TlsNeed::Login), need(TlsNeed::Data)] {
        let server = setup().tls(rules).start();
        for user in [USER, "anonymous", "nobody"] {
            let mut client = server.client();
            // Before a password is asked for.
            client.command(format!("USER {user}"), Situation::TlsNeeded);
            client.command(format!("PASS {PASSWORD}"), Situation::PassWithoutUser);
            client.secure(&client_of_any_version());
            client.command(format!("USER {user}"), 331);
        }
    }
    // Beyond this machine no password is taken in clear anyway; the text says what helps.
    let server = setup().tls(TlsRules::default()).with(|config| config.is_home = |_| false).start();
    let mut client = server.client();
    client.command(format!("USER {USER}"), Situation::TlsNeeded);
    client.command("USER anonymous", 331);
    client.command("PASS me@", 230);
    client.secure(&client_of_any_version());
    client.log_in(USER, PASSWORD);
}

#[test]
fn data_connections_that_must_be_protected() {
    let server = setup().tls(need(TlsNeed::Data)).implicit().start();
    for version in VERSIONS {
        let config = client(version);
        let mut client = server.client();
        client.secure(&config);
        client.log_in(USER, PASSWORD);
        for line in ["RETR file", "STOR new", "LIST", "MLSD"] {
            client.passive();
            client.command(line, Situation::ProtectionNeeded);
        }
        client.command("PBSZ 0", 200);
        client.command("PROT C", Situation::ProtClearRefused);
        client.protect_data(&config);
        client.command("PROT C", Situation::ProtClearRefused);
        assert_eq!(client.fetch("NLST"), b"file\r\n");
        let mut client = server.implicitly_secured(version);
        client.command("PROT C", Situation::ProtClearRefused);
        assert_eq!(client.fetch("RETR file"), b"contents");
    }
}

/// A server of accounts that ask for more than the others, or for less.
fn strict_accounts() -> Setup {
    let strict = |name: &str, wanted: TlsNeed| {
        let mut strict = account(name, Permissions::ALL);
        strict.tls = TlsRules { need: Some(wanted), ..TlsRules::default() };
        strict
    };
    let accounts = MemoryAccounts::new()
        .with_account(account(USER, Permissions::ALL), PASSWORD)
        .with_account(strict("login", TlsNeed::Login), PASSWORD)
        .with_account(strict("data", TlsNeed::Data), PASSWORD)
        .with_account(strict("nothing", TlsNeed::Nothing), PASSWORD);
    setup().with(|config| config.accounts = Arc::new(accounts))
}

#[test]
fn an_account_may_ask_for_more() {
    let server = strict_accounts().tls(TlsRules::default()).start();
    for user in ["login", "data"] {
        let mut client = server.client();
        client.command(format!("USER {user}"), 331);
        client.command(format!("PASS {PASSWORD}"), Situation::LoginRejectedInClear);
    }
    let reasons = server.events().wait_for(2, |event| match event.kind {
        EventKind::LoginRefused { reason, .. } => reason,
        _ => None,
    });
    assert_eq!(reasons, [Rejection::InClear; 2]);
    let config = client_of_any_version();
    let mut client = server.client();
    client.secure(&config);
    client.log_in("data", PASSWORD);
    client.passive();
    client.command("RETR file", Situation::ProtectionNeeded);
    client.command("PBSZ 0", 200);
    client.command("PROT C", Situation::ProtClearRefused);
    // What was asked of one account is not asked of the next.
    client.log_in(USER, PASSWORD);
    client.command("PROT C", Situation::ProtClear);
    assert_eq!(client.fetch("NLST"), b"file\r\n");
    client.log_in("data", PASSWORD);
    client.passive();
    client.command("NLST", Situation::ProtectionNeeded);
    client.protect_data(&config);
    assert_eq!(client.fetch("NLST"), b"file\r\n");
}

#[test]
fn a_listener_may_ask_for_other_things_and_an_account_not_for_less() {
    let of = |wanted| ListenerOptions { tls: ListenerTls::Explicit, rules: need(wanted) };
    let server = strict_accounts()
        .tls(need(TlsNeed::Login))
        .listening_with(HERE, of(TlsNeed::Data))
        .listening_with(HERE, of(TlsNeed::Nothing))
        .listening_with(HERE, ListenerOptions { rules: need(TlsNeed::Data), ..implicit() })
        .start();
    let config = client_of_any_version();
    server.client().command("USER nothing", Situation::TlsNeeded);
    let mut client = Client::connect(server.added(0));
    client.expect(220);
    client.command("USER nothing", Situation::TlsNeeded);
    client.secure(&config);
    client.log_in("nothing", PASSWORD);
    client.passive();
    client.command("NLST", Situation::ProtectionNeeded);
    let mut client = Client::connect(server.added(1));
    client.expect(220);
    client.log_in("nothing", PASSWORD);
    assert_eq!(client.fetch("NLST"), b"file\r\n");
    client.command("USER login", 331);
    client.command(format!("PASS {PASSWORD}"), Situation::LoginRejectedInClear);
    let mut client = Client::connect(server.added(2));
    client.begin_tls(&config);
    client.expect(220);
    client.log_in("nothing", PASSWORD);
    client.command("PROT C", Situation::ProtClearRefused);
}

fn entry(name: &str, rules: Vec<CertificateRule>) -> Entry {
    let text = PasswordHash::new_argon2id(PASSWORD.as_bytes()).expect("random bytes");
    let hash = PasswordHash::parse(&text).expect("it was just made");
    Entry { certificates: rules, ..Entry::new(account(name, Permissions::ALL), Secret::Hash(hash)) }
}

fn certified(policy: impl Fn(Authorities) -> ClientCertificates, authority: &Authority) -> Server {
    let entries = vec![
        entry(USER, vec![CertificateRule::Subject("CN=anna".to_owned())]),
        Entry {
            secret: Secret::Certificate,
            ..entry("robot", vec![CertificateRule::Subject("CN=robot".to_owned())])
        },
    ];
    let accounts = HashedAccounts::new(entries).expect("they are sound");
    let authorities = Authorities::load(&authority.file()).expect("an authority");
    let policy = Policy { client_certificates: policy(authorities), ..Policy::default() };
    setup().with(|config| config.accounts = Arc::new(accounts)).offering(tls_by(&policy)).start()
}

#[test]
fn certificates_of_clients_let_in() {
    let authority = Authority::new();
    let server = certified(ClientCertificates::Request, &authority);
    for version in VERSIONS {
        let config = client_with(version, Some(authority.client("anna")));
        let mut anna = server.client();
        anna.secure(&config);
        anna.command(format!("USER {USER}"), Situation::LoggedInByCertificate);
        anna.protect_data(&config);
        assert_eq!(anna.fetch("NLST"), b"file\r\n");
        // Another name than the certificate's: the password is asked for.
        anna.command("USER robot", Situation::PasswordWanted);
        anna.command(format!("USER {USER}"), Situation::LoggedInByCertificate);
        anna.quit();
        let mut other = server.client();
        other.secure(&client_with(version, Some(authority.client("bert"))));
        other.command(format!("USER {USER}"), Situation::PasswordWanted);
        other.command(format!("PASS {PASSWORD}"), 230);
        let mut without = server.client();
        without.secure(&client(version));
        without.command(format!("USER {USER}"), Situation::PasswordWanted);
        without.command(format!("PASS {PASSWORD}"), 230);
        let mut robot = server.client();
        robot.secure(&client_with(version, Some(authority.client("robot"))));
        robot.command("USER robot", Situation::LoggedInByCertificate);
    }
    let shown = server.events().wait_for(8, |event| match &event.kind {
        EventKind::Secured { certificate, .. } => Some(certificate.clone()),
        _ => None,
    });
    let each = [Some("CN=anna"), Some("CN=bert"), None, Some("CN=robot")];
    assert_eq!(shown, [each, each].concat().iter().map(|name| name.map(str::to_owned)).collect::<Vec<_>>());
}

/// A client that TLS does not come about with, and how the server sees it.
#[track_caller]
fn refused(server: &Server, config: &rustls::ClientConfig) {
    let mut client = server.client();
    client.command("AUTH TLS", 234);
    let wire = client.wire();
    wire.protect(config);
    // TLS 1.3 lets a client believe in its success before the server has looked at its certificate.
    let _ = wire.handshake();
    let mut rest = Vec::new();
    std::io::Read::read_to_end(wire, &mut rest).expect_err("the server says no");
    assert_eq!(rest, b"");
}

#[test]
fn certificates_of_clients_that_are_required_or_not_trusted() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let requests = certified(ClientCertificates::Request, &authority);
    let requires = certified(ClientCertificates::Require, &authority);
    for version in VERSIONS {
        refused(&requires, &client(version));
        for server in [&requests, &requires] {
            refused(server, &client_with(version, Some(stranger.client("anna"))));
            let mut client = server.client();
            client.secure(&client_with(version, Some(authority.client("anna"))));
            client.command(format!("USER {USER}"), Situation::LoggedInByCertificate);
        }
    }
    assert!(failures(&requires, 4).iter().all(|why| why.starts_with("the client's certificate")));
    assert!(failures(&requests, 2).iter().all(|why| why.starts_with("the client's certificate")));
}

#[test]
fn the_certificate_is_chosen_by_the_name() {
    let scratch = Scratch::new();
    let names = ["one.example", "two.example"];
    let files = names.map(|name| {
        use std::os::unix::fs::PermissionsExt;
        let made = pair(name);
        let at = |end: &str| scratch.path().join(format!("{name}.{end}"));
        std::fs::write(at("pem"), made.certificate_pem).expect("the directory is ours");
        std::fs::write(at("key"), made.key_pem).expect("the directory is ours");
        std::fs::set_permissions(at("key"), std::fs::Permissions::from_mode(0o600)).expect("ours");
        CertificateFiles::new(at("pem"), at("key"))
    });
    let set = CertificateSet::load(&files, std::time::SystemTime::now()).expect("two pairs");
    let server_tls = ServerTls::new(Arc::new(Certificates::new(set)), &Policy::default()).expect("a policy");
    let server = setup()
        .offering(Tls { server: Arc::new(server_tls), rules: REQUIRE, allow_ccc: false })
        .implicit()
        .start();
    for version in VERSIONS {
        let shown = names.map(|name| {
            let mut client = Client::connect(server.added(0));
            client.wire().protect_as(&crate::common::tls::client(version), name);
            client.wire().handshake().expect("both sides agree");
            client.expect(220);
            let tls = client.wire().tls.as_ref().expect("TLS");
            tls.peer_certificates().expect("it was shown one")[0].clone()
        });
        assert_ne!(shown[0], shown[1]);
        for (name, certificate) in names.iter().zip(shown) {
            let found = certificate.windows(name.len()).any(|window| window == name.as_bytes());
            assert!(found, "{name} is not in the certificate");
        }
    }
}

#[test]
fn protocols_by_alpn() {
    let server = setup().tls(REQUIRE).implicit().start();
    let offering = |version, protocols: &[&str]| {
        let mut config = client(version);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    };
    for version in VERSIONS {
        for (offered, chosen) in [
            (&["ftp"][..], Some("ftp")),
            (&["h2", "ftp"], Some("ftp")),
            (&["x-filezilla-ftp", "ftp"], Some("ftp")),
            (&[], None),
        ] {
            let config = offering(version, offered);
            let mut client = Client::connect(server.added(0));
            client.begin_tls(&config);
            client.expect(220);
            let agreed = client.wire().tls.as_ref().expect("TLS").alpn_protocol();
            assert_eq!(agreed, chosen.map(str::as_bytes), "{offered:?}");
            client.log_in(USER, PASSWORD);
            client.data_tls = Some(config);
            assert_eq!(client.fetch("NLST"), b"file\r\n");
        }
        refused(&server, &offering(version, &["h2"]));
        // One that says what it is for.
        let config = offering(version, &["ftp"]);
        let mut client = server.secured_with(&config);
        let mut data_config = config.clone();
        data_config.alpn_protocols = vec![b"ftp-data".to_vec()];
        client.data_tls = Some(data_config);
        assert_eq!(client.fetch("RETR file"), b"contents");
        client.quit();
    }
    assert!(failures(&server, 2).iter().all(|why| why.contains("none of the protocols")));
}

#[test]
fn an_old_version_is_refused_where_it_may_not_be() {
    let policy = Policy { minimum_version: Minimum::Tls13, ..Policy::default() };
    let server = setup().offering(tls_by(&policy)).start();
    refused(&server, &client(VERSIONS[0]));
    assert!(failures(&server, 1)[0].contains("versions of TLS"));
    server.secured(TLS13).quit();
}

/// The configuration of before holds for whoever is in; others find the new one.
#[test]
fn sessions_outlive_the_tls_they_began_with() {
    let server = setup().tls(REQUIRE).start();
    let mut sessions = VERSIONS.map(|version| server.secured(version));
    server.reload(setup().tls(REQUIRE));
    for client in &mut sessions {
        assert_eq!(client.fetch("RETR file"), b"contents");
    }
    server.reload(setup());
    for mut client in sessions {
        assert_eq!(client.fetch("RETR file"), b"contents");
        client.store("STOR new", &octets(100_000, 1));
        client.quit();
    }
    server.client().command("AUTH TLS", Situation::TlsNoCertificate);
    server.reload(setup().tls(REQUIRE));
    server.secured(TLS13).quit();
}

/// The end of a connection, with close_notify or without, is an end, and what was said before it is done.
#[test]
fn clients_that_leave() {
    let server = setup().tls(REQUIRE).start();
    for (number, version) in VERSIONS.into_iter().enumerate() {
        for close_notify in [true, false] {
            let mut client = server.secured(version);
            client.send("MKD before");
            if close_notify {
                client.wire().close_notify().expect("the server reads");
            }
            client.end_output();
            client.expect(257);
            client.expect_end();
            server.secured(version).command("RMD before", 250);
        }
        let mut client = server.secured(version);
        let mut data = client.data();
        client.command("STOR camera", 125);
        data.write(b"all of it");
        data.finish();
        drop(client);
        assert_eq!(server.events().transfer(number + 1), (Situation::Stored, 9));
        server.secured(version).command("DELE camera", 250);
    }
    let endings = server.events().wait_for(4, |event| match event.kind {
        EventKind::Ended { why: longshore_server::Ending::Closed } => Some(()),
        _ => None,
    });
    assert_eq!(endings.len(), 4);
}

/// Somebody from another address gets nowhere near a passive port, TLS or not.
#[test]
fn connections_from_elsewhere_are_strangers() {
    let server = setup().tls(TlsRules::default()).start();
    for version in VERSIONS {
        let config = client(version);
        let mut client = server.secured_with(&config);
        let to = client.passive();
        let mut stranger = Data::connect_from(ELSEWHERE, to).protected(Some(&config));
        client.command("RETR file", 150);
        stranger.expect_end();
        let mut data = Data::connect(to).protected(Some(&config));
        assert_eq!(data.read_all(), b"contents");
        client.expect(Situation::Sent);
    }
}
