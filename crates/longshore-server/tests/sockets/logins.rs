//! Logins that fail, whatever the reason: the peer cannot tell one from another, and the observer is told which it was.

use longshore_server::EventKind;
use longshore_server::accounts::{
    Account, Entry, HashedAccounts, Hours, Network, PasswordHash, Permissions, Rejection, Secret, TlsNeed,
};
use longshore_server::storage::memory::Memory;
use std::sync::Arc;

use crate::common::{Client, PASSWORD, Server, Setup, Situation, account};

/// An hour of the week that is not now, whenever the test runs: the day before yesterday.
fn not_now() -> Hours {
    let seconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    // 1970-01-01 was a Thursday.
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    days[((seconds / 86_400 + 5) % 7) as usize].parse().expect("a day of the week")
}

fn entry(name: &str) -> Entry {
    let text = PasswordHash::new_argon2id(PASSWORD.as_bytes()).expect("random bytes");
    let hash = PasswordHash::parse(&text).expect("it was just made");
    Entry::new(account(name, Permissions::ALL), Secret::Hash(hash))
}

fn server() -> Server {
    let mut crowded = entry("crowded");
    crowded.account.limits.sessions = Some(0);
    let mut shielded = entry("shielded");
    shielded.account.tls.need = Some(TlsNeed::Login);
    let elsewhere: Network = "192.0.2.0/24".parse().expect("a network");
    let entries = vec![
        entry("anna"),
        crowded,
        shielded,
        Entry { secret: Secret::Disabled, ..entry("disabled") },
        Entry { networks: vec![elsewhere], ..entry("away") },
        Entry { hours: vec![not_now()], ..entry("early") },
        Entry { account: Account::new("homeless", "no such tree"), ..entry("homeless") },
    ];
    let accounts = HashedAccounts::new(entries).expect("they are sound");
    Setup::of(Memory::new()).with(|config| config.accounts = Arc::new(accounts)).start()
}

#[test]
fn every_reason_sounds_the_same_and_is_told_to_the_observer() {
    let server = server();
    let cases = [
        ("nobody", PASSWORD, Rejection::NoSuchAccount),
        ("anna", "wrong", Rejection::WrongPassword),
        ("anonymous", "me@example.org", Rejection::NoAnonymous),
        ("disabled", PASSWORD, Rejection::Disabled),
        ("away", PASSWORD, Rejection::NotFromHere),
        ("early", PASSWORD, Rejection::NotAtThisHour),
        ("crowded", PASSWORD, Rejection::TooManySessions),
        ("shielded", PASSWORD, Rejection::InClear),
        ("homeless", PASSWORD, Rejection::Unavailable),
    ];
    for reason in Rejection::ALL {
        assert!(cases.iter().any(|(_, _, expected)| *expected == reason), "{reason:?} is not tried");
    }
    let mut clients: Vec<Client> = cases.iter().map(|_| server.client()).collect();
    for (client, (user, password, _)) in clients.iter_mut().zip(&cases) {
        client.send(format!("USER {user}"));
        client.send(format!("PASS {password}"));
    }
    let mut heard: Vec<(String, String)> = clients
        .iter_mut()
        .map(|client| {
            (client.expect(Situation::PasswordWanted).text(), client.expect(Situation::LoginRejected).text())
        })
        .collect();
    heard.dedup();
    assert_eq!(heard.len(), 1, "the peer can tell one reason from another: {heard:?}");
    let mut told = server.events().wait_for(cases.len(), |event| match &event.kind {
        EventKind::LoginRefused { user, reason, .. } => {
            Some((String::from_utf8_lossy(user).into_owned(), *reason))
        }
        _ => None,
    });
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let mut expected: Vec<(String, Option<Rejection>)> =
        cases.iter().map(|(user, _, reason)| ((*user).to_owned(), Some(*reason))).collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(told, expected);
}

#[test]
fn an_account_has_only_so_many_sessions() {
    let mut one = entry("anna");
    one.account.limits.sessions = Some(2);
    let accounts = HashedAccounts::new(vec![one]).expect("they are sound");
    let server = Setup::of(Memory::new()).with(|config| config.accounts = Arc::new(accounts)).start();
    let (first, second) = (server.anna(), server.anna());
    let mut third = server.client();
    third.command("USER anna", 331);
    third.command(format!("PASS {PASSWORD}"), Situation::LoginRejected);
    // A place is free when a session ends, and also when it logs in anew.
    first.quit();
    server.events().sessions_ended(1);
    third.log_in("anna", PASSWORD);
    third.command("USER nobody", 331);
    let fourth = server.anna();
    drop((second, third, fourth));
}
