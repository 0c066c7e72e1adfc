//! Addresses that guess passwords or connect too often.

use std::sync::Arc;
use std::time::Duration;

use longshore_server::EventKind;
use longshore_server::accounts::Permissions;
use longshore_server::storage::memory::Memory;

use crate::common::{Client, ELSEWHERE, HERE, PASSWORD, Server, Setup, Situation, USER, account};

/// Nobody is exempt, and clients wait in virtual time.
fn server() -> Server {
    Setup::of(Memory::new())
        .with(|config| {
            config.limits.exempt = vec![];
            config.limits.failed_logins_per_address = 4;
            config.limits.ban = Duration::from_secs(600);
        })
        .listening(ELSEWHERE)
        .on_one_thread()
        .start()
}

/// A refusal; the clock moves on until it comes.
fn fail(server: &Server, client: &mut Client, seconds: u64) {
    client.command("USER anna", 331);
    client.send("PASS wrong");
    // The password has been looked at when nothing else is left to wait for.
    server.advance(Duration::from_millis(1));
    for _ in 0..seconds {
        client.expect_silence();
        server.advance(Duration::from_secs(1));
    }
}

#[test]
fn failures_lead_to_longer_delays_and_to_a_ban() {
    let server = server();
    let mut first = server.client();
    fail(&server, &mut first, 1);
    first.expect(Situation::LoginRejected);
    // Another session of the same address does not begin anew.
    let mut second = server.client();
    for (seconds, situation) in
        [(2, Situation::LoginRejected), (3, Situation::LoginRejected), (4, Situation::LoginAttempts)]
    {
        fail(&server, &mut second, seconds);
        second.expect(situation);
    }
    second.expect_end();
    // One more is one too many; it sounds as those before.
    fail(&server, &mut first, 5);
    first.expect(Situation::LoginRejected);
    let banned = server.events().wait_for(1, |event| match event.kind {
        EventKind::Banned { address, duration } => Some((address, duration)),
        _ => None,
    });
    assert_eq!(banned, [(HERE, Duration::from_secs(600))]);
    // From now on nobody looks at passwords from there, right or wrong, and nobody new is served.
    first.command(format!("USER {USER}"), 331);
    let text = first.command(format!("PASS {PASSWORD}"), Situation::Banned).text();
    assert!(text.contains("127.0.0.1") && text.contains(" s, "), "{text}");
    first.expect_end();
    let mut late = Client::connect(server.address(HERE));
    late.expect(Situation::Banned);
    late.expect_end();
    // Other addresses are, and so is this one when the time is over.
    let mut other = Client::connect_from(ELSEWHERE, server.address(ELSEWHERE));
    other.expect(220);
    server.advance(Duration::from_secs(601));
    server.client().log_in(USER, PASSWORD);
}

/// The time that a refusal takes does not tell whether the password was right.
#[test]
fn a_right_password_is_refused_as_late_as_a_wrong_one() {
    let mut full = account("full", Permissions::ALL);
    full.limits.sessions = Some(0);
    let accounts = crate::common::accounts().with_account(full, PASSWORD);
    let server = Setup::of(Memory::new())
        .with(|config| {
            config.limits.exempt = vec![];
            config.accounts = Arc::new(accounts);
        })
        .on_one_thread()
        .start();
    for seconds in 1..=2 {
        let mut client = server.client();
        fail(&server, &mut client, seconds);
        client.expect(Situation::LoginRejected);
    }
    let mut client = server.client();
    client.command("USER full", 331);
    client.send(format!("PASS {PASSWORD}"));
    server.advance(Duration::from_millis(1));
    for _ in 0..3 {
        client.expect_silence();
        server.advance(Duration::from_secs(1));
    }
    client.expect(Situation::LoginRejected);
    // It was no guess, so it counts towards nothing: the next guess is the third, not the fourth.
    let mut client = server.client();
    fail(&server, &mut client, 3);
    client.expect(Situation::LoginRejected);
}

/// What somebody who watches does wrong is not the end of the server.
#[test]
fn an_observer_that_panics() {
    let trees = longshore_server::Trees::one("files", Memory::new());
    let mut config = longshore_server::Config::new(crate::common::accounts(), trees);
    config.limits.sessions = 0;
    config.observer = Arc::new(|event: &longshore_server::Event| {
        assert!(!matches!(event.kind, EventKind::SentAway { .. }), "an observer's own fault");
    });
    let server = longshore_server::Server::new(config).expect("it is sound");
    let control = server.control();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let mut listeners = longshore_server::Listeners::new();
        let address = listeners.listen((HERE, 0).into()).expect("any port will do");
        let serving = tokio::spawn(server.run(listeners, std::future::pending()));
        let told = tokio::task::spawn_blocking(move || {
            for _ in 0..3 {
                Client::connect(address).expect(Situation::Full);
            }
        });
        told.await.expect("each is told");
        control.end();
        serving.await.expect("it ends in order");
    });
}

#[test]
fn whoever_is_logged_in_is_not_touched_by_a_ban() {
    let server = server();
    let mut anna = server.anna();
    let mut guesser = server.client();
    for seconds in 1..=2 {
        fail(&server, &mut guesser, seconds);
        guesser.expect(Situation::LoginRejected);
    }
    let mut guesser = server.client();
    for seconds in 3..=5 {
        fail(&server, &mut guesser, seconds);
        guesser.reply();
    }
    Client::connect(server.address(HERE)).expect(Situation::Banned);
    anna.store("STOR file", b"still here");
    assert_eq!(anna.fetch("RETR file"), b"still here");
}

#[test]
fn connections_that_come_too_fast_are_sent_away() {
    let server = Setup::of(Memory::new())
        .with(|config| {
            config.limits.exempt = vec![];
            config.limits.connections_per_second_per_address = 3;
        })
        .on_one_thread()
        .start();
    let _three = [server.client(), server.client(), server.client()];
    let mut fourth = Client::connect(server.address(HERE));
    let reply = fourth.expect(Situation::TooFast);
    assert!(reply.text().contains("3 times a second"), "{}", reply.text());
    fourth.expect_end();
    server.advance(Duration::from_secs(1));
    server.client();
}

/// Descriptors bound the sessions before they run out.
#[test]
fn the_limit_of_sessions_leaves_descriptors_for_data() {
    let server = Setup::of(Memory::new()).with(|config| config.limits.sessions = 1_000_000).start();
    let limit = server.control().session_limit();
    assert!(limit < 1_000_000, "{limit}");
    assert_eq!(server.control().sessions(), 0);
    let client = server.client();
    assert_eq!(server.control().sessions(), 1);
    client.quit();
}
