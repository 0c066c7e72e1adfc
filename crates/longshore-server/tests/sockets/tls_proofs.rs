//! Whether protected data connections resume the session of their control connection, and what is made of those that do
//! not: by the rules of the server, the listener, the account.

use std::io::{Read, Write};
use std::sync::Arc;

use longshore_server::accounts::{DataSession, MemoryAccounts, Permissions, TlsNeed, TlsRules, UploadEnd};
use longshore_server::{EventKind, ListenerOptions, ListenerTls, Tls};

use super::tls_strangers::{
    Begins, LINES, Trick, check_stranger, client_of, contents, setup, stranger, transfer,
};
use crate::common::client::{Expected, Reply};
use crate::common::tls::{REQUIRE, VERSIONS, client, tls};
use crate::common::{Client, Data, HERE, PASSWORD, Situation, USER, account, check_octets};

/// Clients that cannot resume are served by address where the rules say so, and everybody who watches can see how many
/// there are.
#[test]
fn connections_that_do_not_resume() {
    for data_session in [None, Some(DataSession::Prefer), Some(DataSession::Off)] {
        let rules = TlsRules { data_session, ..TlsRules::default() };
        let mut server = setup().tls(rules).start();
        for version in VERSIONS {
            let mut client = server.secured(version);
            for line in LINES {
                let data = Data::connect(client.passive()).protected(Some(&client_of(version)));
                client.command(line, 125);
                // One that fetches again does resume.
                transfer(&mut client, data, line);
            }
            client.quit();
        }
        let counted = if data_session == Some(DataSession::Off) { 0 } else { 4 };
        assert_eq!(server.control().unproved(), counted);
        server.shut_down();
        server.wait_for_end();
        let stopped = server.events().wait_for(1, |event| match event.kind {
            EventKind::Stopped { unproved, .. } => Some(unproved),
            _ => None,
        });
        assert_eq!(stopped, [counted]);
        // Once for each session.
        let told = server.events().of_sessions().into_iter().filter_map(|event| match event.kind {
            EventKind::DataNotProved { why } => Some(why),
            _ => None,
        });
        let told: Vec<_> = told.collect();
        assert_eq!(told.len() as u64, counted / 2);
        assert!(told.iter().all(|why| why.contains("offered no TLS session")), "{told:?}");
    }
}

/// Those that do not are refused where they must, and their bytes are nobody's file.
#[test]
fn connections_that_must_resume() {
    let server = setup().tls(REQUIRE).start();
    for version in VERSIONS {
        let mut client = server.secured(version);
        for line in ["STOR new", "APPE new", "APPE file", "STOR file", "STOU", "RETR file", "LIST"] {
            let mut data = Data::connect(client.passive()).protected(Some(&client_of(version)));
            client.command(line, 125);
            data.wire().handshake().expect("it is complete before it is judged");
            // The server may have closed by now.
            let _ = data.wire().write_all(b"bytes of somebody");
            let _ = data.wire().close_notify();
            let text = client.expect(Situation::DataNotResumed).text();
            assert!(text.contains("offered no TLS session"), "{text}");
            assert!(!matches!(data.wire().read(&mut [0; 1]), Ok(1..)), "an octet of a file");
            client.command("SIZE new", Situation::NotFound);
        }
        assert_eq!(client.names("NLST"), ["file"]);
        check_octets(&client.fetch("RETR file"), &contents());
        client.quit();
    }
    assert_eq!(server.control().unproved(), 0);
}

/// A client that began TLS anew proves itself by what it began last.
#[test]
fn sessions_of_before_are_no_proof() {
    let server = setup().offering(Tls { allow_ccc: true, ..tls(REQUIRE) }).start();
    for version in VERSIONS {
        for command in ["CCC", "REIN"] {
            let before = client(version);
            let mut client = server.secured_with(&before);
            client.command(command, Begun);
            client.leave_tls(true);
            let own = client_of(version);
            client.secure(&own);
            client.log_in(USER, PASSWORD);
            client.protect_data(&own);
            client.command("TYPE I", 200);
            for line in LINES {
                let to = client.passive();
                let stranger = stranger(Trick::Handshake(Arc::new(before.clone())), HERE, to);
                client.command(line, Begins);
                let text = client.expect(Situation::DataNotResumed).text();
                assert!(text.contains("not of its control connection"), "{text}");
                check_stranger(stranger);
                let data = client.data();
                client.command(line, 125);
                transfer(&mut client, data, line);
            }
            client.quit();
        }
    }
}

/// Where the server connects there are no strangers, and the same proof is asked for.
#[test]
fn active_connections_prove_themselves() {
    let listener = std::net::TcpListener::bind((HERE, 0)).expect("any port will do");
    let [high, low] = listener.local_addr().expect("it is bound").port().to_be_bytes();
    for data_session in [DataSession::Require, DataSession::Prefer] {
        let rules = TlsRules { data_session: Some(data_session), ..TlsRules::default() };
        let server = setup().tls(rules).start();
        for version in VERSIONS {
            let own = client(version);
            let mut client = server.secured_with(&own);
            for line in LINES {
                for config in [&own, &client_of(version)] {
                    client.command(format!("PORT 127,0,0,1,{high},{low}"), 200);
                    client.command(line, 150);
                    let mut data = Data::accept(&listener).protected(Some(config));
                    if data_session == DataSession::Prefer || std::ptr::eq(config, &own) {
                        transfer(&mut client, data, line);
                    } else {
                        let _ = data.wire().handshake();
                        client.expect(Situation::DataNotResumed);
                        assert!(!matches!(data.wire().read(&mut [0; 1]), Ok(1..)), "an octet of a file");
                    }
                }
            }
            client.quit();
        }
        let unproved = if data_session == DataSession::Prefer { 4 } else { 0 };
        assert_eq!(server.control().unproved(), unproved);
    }
}

/// What an account says holds before what its listener says, and that before what the server says.
#[test]
fn accounts_and_listeners_have_rules_of_their_own() {
    let rules = |data_session| TlsRules { data_session: Some(data_session), ..TlsRules::default() };
    let mut strict = account("strict", Permissions::ALL);
    strict.tls = TlsRules { upload_end: Some(UploadEnd::Refuse), ..rules(DataSession::Require) };
    let mut lax = account("lax", Permissions::ALL);
    lax.tls = TlsRules { need: Some(TlsNeed::Nothing), ..rules(DataSession::Off) };
    let accounts = MemoryAccounts::new()
        .with_account(account(USER, Permissions::ALL), PASSWORD)
        .with_account(strict, PASSWORD)
        .with_account(lax, PASSWORD);
    let of = |data_session| ListenerOptions { tls: ListenerTls::Explicit, rules: rules(data_session) };
    let server = setup()
        .with(|config| config.accounts = Arc::new(accounts))
        .offering(tls(rules(DataSession::Prefer)))
        .listening_with(HERE, of(DataSession::Require))
        .listening_with(HERE, of(DataSession::Off))
        .start();
    let (served, required, off) = (server.address(HERE), server.added(0), server.added(1));
    let mut unproved = 0;
    // Where, who, whether one without proof is served, whether it is counted.
    for (at, user, fits, counts) in [
        (served, USER, true, true),
        (served, "strict", false, false),
        (served, "lax", true, false),
        (required, USER, false, false),
        (required, "lax", true, false),
        (off, USER, true, false),
        (off, "strict", false, false),
    ] {
        let config = client(VERSIONS[1]);
        let mut client = Client::connect(at);
        client.expect(220);
        client.secure(&config);
        // The rules of one who was here before are not his.
        client.log_in("lax", PASSWORD);
        client.log_in("strict", PASSWORD);
        client.log_in(user, PASSWORD);
        client.command("TYPE I", 200);
        client.protect_data(&config);
        let mut data = Data::connect(client.passive()).protected(Some(&client_of(VERSIONS[1])));
        client.command("RETR file", 125);
        if fits {
            check_octets(&data.read_all(), &contents());
            client.expect(Situation::Sent);
        } else {
            let _ = data.wire().handshake();
            client.expect(Situation::DataNotResumed);
        }
        unproved += u64::from(counts);
        assert_eq!(server.control().unproved(), unproved, "{user} at {at}");
        let mut data = client.data();
        client.command("STOR cut", 125);
        data.write(b"some");
        data.end_output();
        if user == "strict" {
            client.expect(Situation::UploadNoCloseNotifyKept);
        } else {
            client.expect(Situation::Stored);
            client.command("DELE cut", 250);
        }
        client.quit();
    }
}

/// CCC or REIN.
#[derive(Debug)]
struct Begun;

impl Expected for Begun {
    fn fits(&self, reply: &Reply) -> bool {
        [200, 220].contains(&reply.code)
    }
}
