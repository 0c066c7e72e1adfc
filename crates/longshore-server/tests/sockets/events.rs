//! What an observer is told: each transfer once, with the bytes that moved, and never a password.

use longshore_server::accounts::Permissions;
use longshore_server::storage::memory::Memory;
use longshore_server::verbs::{Direction, Verb};
use longshore_server::{Event, EventKind};

use crate::common::ground::with_each_store;
use crate::common::{HERE, PASSWORD, Server, Setup, Situation, USER, account, octets};

/// Verb, direction, path, offset, bytes and situation of a transfer.
type Told = (Verb, Direction, String, u64, u64, Situation);

fn transfers(event: &Event) -> Option<Told> {
    match &event.kind {
        EventKind::Transfer { verb, direction, path, offset, bytes, situation, .. } => {
            assert_eq!(event.account(), Some(USER));
            Some((*verb, *direction, path.to_string(), *offset, *bytes, *situation))
        }
        _ => None,
    }
}

#[test]
fn every_transfer_is_told_once() {
    with_each_store(|server| {
        use Direction::{Receive, Send};
        let mut client = server.anna();
        client.store("STOR file", &octets(200_000, 1));
        client.fetch("RETR file");
        client.command("REST 150000", 350);
        client.fetch("RETR file");
        client.store("APPE file", b"four");
        client.command("REST 200000", 350);
        client.store("STOR file", b"12345");
        client.store("STOU file", b"");
        let listed = client.fetch("LIST").len() as u64;
        client.command("TYPE A", 200);
        client.store("STOR text", b"a\r\nb\r\n");
        client.fetch("RETR text");
        client.command("TYPE I", 200);
        // Refused after it had been begun, refused at once, stopped.
        client.passive();
        client.command("RETR missing", 550);
        let mut data = client.data();
        client.command("STOR cut", 125);
        data.write(b"half");
        client.wait_until_moved(4);
        data.reset();
        client.expect(426);
        client.command("RETR file", Situation::NothingArranged);
        let _waiting = client.passive();
        client.command("RETR file", 150);
        client.send("ABOR");
        client.expect(426);
        client.expect(226);
        client.quit();
        server.events().sessions_ended(1);
        let told: Vec<Told> = server.events().of_sessions().iter().filter_map(transfers).collect();
        let expected: &[(Verb, Direction, &str, u64, u64, Situation)] = &[
            (Verb::Stor, Receive, "/file", 0, 200_000, Situation::Stored),
            (Verb::Retr, Send, "/file", 0, 200_000, Situation::Sent),
            (Verb::Retr, Send, "/file", 150_000, 50_000, Situation::Sent),
            (Verb::Appe, Receive, "/file", 0, 4, Situation::Stored),
            (Verb::Stor, Receive, "/file", 200_000, 5, Situation::Stored),
            (Verb::Stou, Receive, &told[5].2, 0, 0, Situation::Stored),
            (Verb::List, Send, "/", 0, listed, Situation::Sent),
            (Verb::Stor, Receive, "/text", 0, 6, Situation::Stored),
            (Verb::Retr, Send, "/text", 0, 6, Situation::Sent),
            (Verb::Retr, Send, "/missing", 0, 0, Situation::NotFound),
            (Verb::Stor, Receive, "/cut", 0, 4, Situation::UploadResetKept),
            (Verb::Retr, Send, "/file", 0, 0, Situation::TransferAborted),
        ];
        let expected: Vec<Told> = expected
            .iter()
            .map(|&(verb, direction, path, offset, bytes, situation)| {
                (verb, direction, path.to_owned(), offset, bytes, situation)
            })
            .collect();
        assert_eq!(told, expected);
        assert!(told[5].2.starts_with("/file-"), "the name that was chosen: {}", told[5].2);
    });
}

#[test]
fn a_session_from_its_beginning_to_its_end() {
    let server = Server::of(Memory::new());
    let mut client = server.anna();
    let peer = client.local();
    client.command("CLNT tester 1.0", 200);
    client.command("MKD dir", 257);
    client.command("MKD dir", 550);
    client.store("STOR file", b"x");
    client.command("RNFR file", 350);
    client.command("RNTO dir/new", 250);
    client.command("MFMT 20200101000000 dir/new", 213);
    client.command("DELE dir/new", 250);
    client.command("RMD dir", 250);
    client.quit();
    server.events().sessions_ended(1);
    let told = server.events().of_sessions();
    assert!(told.iter().flat_map(|event| &event.session).all(|name| name.peer == peer && name.number == 1));
    let kinds: Vec<String> = told
        .iter()
        .map(|event| match &event.kind {
            EventKind::Changed { verb, path, to } => {
                format!(
                    "{} {path}{}",
                    verb.name(),
                    to.as_ref().map(|to| format!(" {to}")).unwrap_or_default()
                )
            }
            EventKind::Transfer { verb, .. } => verb.name().to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "Connected",
            "LoggedIn",
            &format!("ClientNamed {{ name: {:?} }}", b"tester 1.0"),
            "MKD /dir",
            "STOR",
            "RNTO /file /dir/new",
            "MFMT /dir/new",
            "DELE /dir/new",
            "RMD /dir",
            "Ended { why: Quit }",
        ]
    );
    assert_eq!(told[0].account(), None);
    assert!(told[1..].iter().all(|event| event.account() == Some(USER)));
}

/// Passwords that were right, wrong, in the wrong place, or typed where the name belongs.
#[test]
fn no_event_shows_a_password() {
    let server = Setup::of(Memory::new())
        .with(|config| {
            let accounts =
                crate::common::accounts().with_account(account("bert", Permissions::ALL), "hunter2hunter2");
            config.accounts = std::sync::Arc::new(accounts);
        })
        .start();
    let mut client = server.anna_at(HERE);
    client.command("USER bert", 331);
    client.command("PASS hunter2hunter2", 230);
    client.command("PASS hunter3hunter3", 503);
    client.command("USER anna", 331);
    client.command("PASS hunter4hunter4", 530);
    client.command("USER anonymous", 331);
    client.command("PASS hunter5@hunter5", 230);
    client.quit();
    server.events().sessions_ended(1);
    let told = format!("{:?}", server.events().of_sessions());
    for secret in [PASSWORD, "hunter2", "hunter3", "hunter4", "hunter5"] {
        let as_numbers: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
        assert!(!told.contains(secret) && !told.contains(&as_numbers.join(", ")), "{secret}");
    }
}

#[test]
fn a_client_that_is_sent_away_is_told_of() {
    let server = Setup::of(Memory::new()).with(|config| config.limits.sessions = 0).start();
    let mut client = crate::common::Client::connect(server.address(HERE));
    client.expect(Situation::Full);
    client.expect_end();
    let told = server.events().wait_for(1, |event| match event.kind {
        EventKind::SentAway { situation } => Some(situation),
        _ => None,
    });
    assert_eq!(told, [Situation::Full]);
}
