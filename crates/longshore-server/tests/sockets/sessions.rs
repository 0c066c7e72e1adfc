//! Coming in and going out: passwords, time-outs, and how many sessions there may be.

use std::sync::Arc;
use std::time::Duration;

use longshore_server::accounts::{Answer, Attempt, Authenticator, Permissions, Rejection};
use longshore_server::storage::memory::Memory;
use longshore_server::{Config, EventKind};

use crate::common::backends::Gate;
use crate::common::{
    Client, ELSEWHERE, HERE, HERE_V6, PASSWORD, SHORT, Server, Setup, Situation, USER, account,
};

#[test]
fn everybody_hears_the_same_refusal() {
    let server = Setup::of(Memory::new()).on_one_thread().start();
    let mut client = server.client();
    let mut refusals = Vec::new();
    for (user, password) in [(USER, "wrong"), ("nobody", "x")] {
        client.command(format!("USER {user}"), Situation::PasswordWanted);
        client.send(format!("PASS {password}"));
        refusals.push(client.expect(Situation::LoginRejected));
        client.command("PWD", Situation::LoginNeeded);
    }
    assert_eq!(refusals[0], refusals[1]);
    // After the third, there is no fourth.
    client.command(format!("USER {USER}"), 331);
    client.send("PASS ");
    client.expect(Situation::LoginAttempts);
    client.expect_end();
    let reasons = server.events().wait_for(3, |event| match &event.kind {
        EventKind::LoginRefused { user, reason, situation } => Some((user.clone(), *reason, *situation)),
        _ => None,
    });
    let rejected = Situation::LoginRejected;
    assert_eq!(
        reasons,
        [
            (USER.into(), Some(Rejection::WrongPassword), rejected),
            ("nobody".into(), Some(Rejection::NoSuchAccount), rejected),
            (USER.into(), Some(Rejection::WrongPassword), Situation::LoginAttempts),
        ]
    );
}

#[test]
fn the_order_of_a_login() {
    let server = Server::of(Memory::new());
    let mut client = server.client();
    for line in ["FEAT", "SYST", "HELP", "NOOP", "CLNT x", "OPTS UTF8 ON"] {
        assert!(client.command(line, client_code(line)).code < 300);
    }
    for line in ["PWD", "LIST", "STOR x", "PASV", "RNTO x", "TYPE I", "STAT x", "ACCT x", "SITE HELP"] {
        client.command(line, Situation::LoginNeeded);
    }
    client.command("USER anna", 331);
    client.command("NOOP", 200);
    client.command(format!("PASS {PASSWORD}"), Situation::PassWithoutUser);
    client.log_in(USER, PASSWORD);
    client.command(format!("PASS {PASSWORD}"), Situation::PassWithoutUser);
    // USER begins anew: nobody is logged in until its PASS.
    client.command("USER anonymous", 331);
    client.command("PASS x", 230);
    client.command("MKD x", 550);
    client.command("USER anna", 331);
    client.command("PWD", Situation::LoginNeeded);
    client.command("REIN", Situation::LoginNeeded);
    client.log_in(USER, PASSWORD);
    client.command("REIN", Situation::Reset);
    client.command("PWD", Situation::LoginNeeded);
    client.log_in(USER, PASSWORD);
    client.command("MKD x", 257);
    client.quit();
}

fn client_code(line: &str) -> u16 {
    match line {
        "FEAT" => 211,
        "SYST" => 215,
        "HELP" => 214,
        _ => 200,
    }
}

#[test]
fn time_outs_are_told() {
    let server = Setup::of(Memory::new())
        .with(|config| {
            config.policy.login_timeout = SHORT;
            config.policy.idle_timeout = SHORT;
        })
        .start();
    let (mut silent, mut idle) = (server.client(), server.anna());
    silent.expect(Situation::LoginTimeout);
    silent.expect_end();
    idle.expect(Situation::Idle);
    idle.expect_end();
    // What one does before the login is no reason to wait longer for it.
    let mut busy = server.client();
    loop {
        busy.send("NOOP");
        match busy.reply() {
            reply if reply.is(Situation::Noop) => {}
            reply => {
                assert!(reply.is(Situation::LoginTimeout), "{reply:?}");
                break;
            }
        }
    }
}

/// An observer sees every session that was sent away; each one that ends makes room.
#[test]
fn all_sessions_are_in_use() {
    let server = Setup::of(Memory::new()).with(|config| config.limits.sessions = 3).start();
    let mut sessions = [server.anna(), server.anna_at(HERE_V6), server.client()];
    for at in [HERE, HERE_V6] {
        let mut client = Client::connect(server.address(at));
        let text = client.expect(Situation::Full).text();
        assert!(text.contains(" 3 "), "{text}");
        client.expect_end();
    }
    for session in &mut sessions {
        session.command("NOOP", 200);
    }
    let told = server.events().wait_for(2, |event| match event.kind {
        EventKind::SentAway { situation } => Some(situation),
        _ => None,
    });
    assert_eq!(told, [Situation::Full; 2]);
    let [first, ..] = sessions;
    first.quit();
    // The place is free a moment after the goodbye.
    let limit = std::time::Instant::now() + crate::common::PATIENCE;
    loop {
        let mut client = Client::connect(server.address(HERE));
        if client.reply().code == 220 {
            break;
        }
        assert!(std::time::Instant::now() < limit, "the place is never given back");
    }
}

/// Sessions from this machine itself are not counted by address.
#[test]
fn sessions_of_one_address() {
    let own = ELSEWHERE;
    let server = Setup::of(Memory::new())
        .with(|config| {
            config.limits.sessions_per_address = 2;
            config.limits.exempt = vec![HERE.into()];
        })
        .listening(own)
        .start();
    let at_home: Vec<Client> = (0..5).map(|_| server.client()).collect();
    let (first, _second) = (server.client_at(own), server.client_at(own));
    let mut third = Client::connect(server.address(own));
    let text = third.expect(Situation::FullForAddress).text();
    assert!(text.contains(" 2 ") && text.contains(&own.to_string()), "{text}");
    third.expect_end();
    drop((at_home, server.client()));
    first.quit();
    let limit = std::time::Instant::now() + crate::common::PATIENCE;
    while Client::connect(server.address(own)).reply().code != 220 {
        assert!(std::time::Instant::now() < limit, "the place is never given back");
    }
}

#[test]
fn passwords_in_clear_from_beyond_this_machine() {
    let own = ELSEWHERE;
    let only_here = |config: &mut Config| config.is_home = |address| address == HERE;
    let server = Setup::of(Memory::new()).listening(own).with(only_here).start();
    let mut client = server.client_at(own);
    // Refused before a password is asked for, and for every name alike.
    for user in [USER, "nobody"] {
        client.command(format!("USER {user}"), Situation::ClearRefused);
        client.command(format!("PASS {PASSWORD}"), Situation::PassWithoutUser);
    }
    client.log_in("anonymous", "x@y");
    client.command("PWD", 257);
    server.anna().quit();
    let server = Setup::of(Memory::new())
        .listening(own)
        .with(only_here)
        .with(|config| config.clear_passwords = true)
        .start();
    server.anna_at(own).quit();
}

/// Every session that comes gets a number of its own, and every one that ends says why.
#[test]
fn many_sessions_come_and_go() {
    let server = Server::of(Memory::new());
    for _ in 0..20 {
        let clients: Vec<Client> = (0..10).map(|_| server.client()).collect();
        for client in clients {
            client.quit();
        }
    }
    server.events().sessions_ended(200);
    let mut numbers = server.events().wait_for(200, |event| {
        matches!(event.kind, EventKind::Connected)
            .then(|| event.session.as_ref().map_or(0, |name| name.number))
    });
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(1..=200), "{numbers:?}");
}

/// A refusal is held back, and the session that waits for it costs the others nothing.
#[test]
fn a_refusal_that_is_held_back_beyond_the_login_time_out() {
    let server = Setup::of(Memory::new())
        .with(|config| config.policy.login_timeout = Duration::from_millis(900))
        .on_one_thread()
        .start();
    let mut other = server.anna();
    let mut client = server.client();
    client.command("USER anna", 331);
    client.send("PASS wrong");
    for _ in 0..100 {
        other.command("NOOP", 200);
    }
    client.expect(Situation::LoginRejected);
}

/// Knows everybody, in different ways.
struct Odd(Arc<Gate>);

impl Authenticator for Odd {
    fn authenticate(&self, attempt: Attempt) -> Answer {
        let user = String::from_utf8(attempt.user).expect("the test's own names");
        let verdict = Ok(account(&user, Permissions::ALL));
        match user.as_str() {
            "pending" => Answer::Pending(Box::pin(async move {
                tokio::task::yield_now().await;
                verdict
            })),
            "blocking" => {
                let gate = self.0.clone();
                Answer::Blocking(Box::new(move || {
                    gate.wait();
                    verdict
                }))
            }
            "panic in job" => Answer::Blocking(Box::new(|| panic!("the accounts panic in a job"))),
            _ => panic!("the accounts panic"),
        }
    }
}

#[test]
fn accounts_that_take_long_or_panic() {
    let gate = Gate::new();
    let accounts = Arc::new(Odd(gate.clone()));
    let server = Setup::of(Memory::new()).with(|config| config.accounts = accounts).on_one_thread().start();
    let mut slow = server.client();
    slow.command("USER blocking", 331);
    slow.send("PASS x");
    gate.wait_for_jobs(1);
    // Others come in meanwhile, and those who cannot are told.
    let mut client = server.client();
    client.command("USER pending", 331);
    client.command("PASS x", 230);
    let mut failing = server.client();
    failing.command("USER panic in job", 331);
    failing.command("PASS x", Situation::LoginRejected);
    let mut panicking = server.client();
    panicking.command("USER nobody", 331);
    panicking.command("PASS x", Situation::Fault);
    panicking.expect_end();
    // Whoever gives up while it is checked leaves nothing behind.
    let mut leaving = server.client();
    leaving.command("USER blocking", 331);
    leaving.send("PASS x");
    gate.wait_for_jobs(2);
    leaving.reset();
    gate.open();
    slow.expect(230);
    slow.command("MKD x", 257);
    client.command("NOOP", 200);
}
