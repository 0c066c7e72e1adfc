//! Who comes in, why not, and what each answer costs: counted in verifications, never in time.

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::hash::spy;
use crate::limits::{PASSWORD_LIMIT_BYTES, VERIFIED_FOR};

/// Cheap hashes of `wonderland`, of three kinds and costs.
const ARGON2ID: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQxMjM0NTY3OA$bPCZtrSvhJhxpTUqNulLpuBaN2p/Bstej/0uib3cYgI";
const SHA512_CRYPT: &str = "$6$rounds=1000$saltstring$JnP.5CpjHyOb3MZlgSdxSS8QLMJqDUPOwt1VtO2ocUeIwc4T/p4qlJzWZwRxoGqcZowugIQeRV32oS5b9oiNF.";
const YESCRYPT: &str = "$y$j/5$saltsalt$N3o8jbSBB6.9IlH8r6jRrsvAomxKjKwL7xLHCqXdqgB";
/// Of `looking-glass`.
const OTHER: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQxMjM0NTY3OA$793MyT5sefLh2mqIAyyhHxiKpJ09ZVuTRqU0Xvwem2k";

const ARGON2ID_COST: &str = "argon2id m=8,t=1,p=1";
const SHA512_CRYPT_COST: &str = "sha512crypt rounds=1000";
const YESCRYPT_COST: &str = "yescrypt N=4,r=8,p=1";

const PASSWORD: &[u8] = b"wonderland";
const HERE: &str = "192.0.2.7";

fn hash(text: &str) -> Secret {
    Secret::Hash(PasswordHash::parse(text).expect("a hash"))
}

fn entry(name: &str, secret: Secret) -> Entry {
    Entry::new(Account::new(name, "files"), secret)
}

fn build(entries: Vec<Entry>) -> HashedAccounts {
    HashedAccounts::new(entries).expect("accounts")
}

fn attempt(user: &str, password: &[u8]) -> Attempt {
    Attempt::new(user, password, HERE.parse().expect("an address"))
}

/// How an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Ready,
    Blocking,
}

/// The verdict, the way to it, and what was computed on it.
fn run(accounts: &HashedAccounts, attempt: Attempt) -> (Result<String, Rejection>, Way, Vec<String>) {
    spy::take();
    let (verdict, way) = match accounts.authenticate(attempt) {
        Answer::Ready(verdict) => (verdict, Way::Ready),
        Answer::Blocking(job) => {
            assert_eq!(spy::take(), [""; 0], "nothing is computed before the job runs");
            (job(), Way::Blocking)
        }
        Answer::Pending(_) => panic!("nothing is awaited"),
    };
    (verdict.map(|account| account.name), way, spy::take())
}

#[track_caller]
fn check(
    accounts: &HashedAccounts,
    attempt: Attempt,
    expected: Result<&str, Rejection>,
    way: Way,
    computed: &[&str],
) {
    let shown = format!("{attempt:?}");
    let (verdict, went, cost) = run(accounts, attempt);
    assert_eq!(verdict.as_deref().map_err(|why| *why), expected, "{shown}");
    assert_eq!((went, cost), (way, computed.iter().map(|cost| (*cost).to_owned()).collect()), "{shown}");
}

#[test]
fn names_and_passwords() {
    let accounts = build(vec![
        entry("alice", hash(ARGON2ID)),
        entry("bob", hash(SHA512_CRYPT)),
        entry("한글", hash(YESCRYPT)),
    ]);
    assert_eq!(accounts.len(), 3);
    let good = |user, cost| check(&accounts, attempt(user, PASSWORD), Ok(user), Way::Blocking, &[cost]);
    good("alice", ARGON2ID_COST);
    good("bob", SHA512_CRYPT_COST);
    good("한글", YESCRYPT_COST);
    let wrong = |user, password: &[u8], cost| {
        check(&accounts, attempt(user, password), Err(Rejection::WrongPassword), Way::Blocking, &[cost]);
    };
    wrong("alice", b"wonderlan", ARGON2ID_COST);
    wrong("alice", b"", ARGON2ID_COST);
    wrong("bob", b"Wonderland", SHA512_CRYPT_COST);
    wrong("한글", b"wonderland\n", YESCRYPT_COST);
    for user in ["Alice", "alice ", "", "carol"] {
        let (verdict, way, cost) = run(&accounts, attempt(user, PASSWORD));
        assert_eq!(verdict, Err(Rejection::NoSuchAccount), "{user:?}");
        assert_eq!((way, cost.len()), (Way::Blocking, 1), "one hash, as for a name that is known");
    }
    let mut bytes = attempt("", PASSWORD);
    bytes.user = b"\xFF\xFE".to_vec();
    assert_eq!(run(&accounts, bytes).0, Err(Rejection::NoSuchAccount));
}

/// An account `alice` that may come in from one network, on weekdays by day.
fn restricted(secret: Secret) -> Entry {
    Entry {
        networks: vec![
            "192.0.2.0/24".parse().expect("a network"),
            "2001:db8::1".parse().expect("an address"),
        ],
        hours: vec!["Mon-Fri 08:00-18:00".parse().expect("hours"), "Sun".parse().expect("a day")],
        ..entry("alice", secret)
    }
}

fn from(peer: &str, now: Option<(crate::Weekday, u16)>, password: &[u8]) -> Attempt {
    Attempt {
        peer: peer.parse().expect("an address"),
        week_minute: now.map(|(day, minute)| WeekMinute::new(day, minute).expect("a minute")),
        ..attempt("alice", password)
    }
}

#[test]
fn the_password_is_looked_at_before_anything_else() {
    use crate::Weekday::{Monday, Saturday, Sunday};
    let noon = Some((Monday, 720));
    let refused = |peer, now, password: &[u8], why| {
        let accounts = build(vec![restricted(hash(ARGON2ID))]);
        let attempt = || from(peer, now, password);
        // Twice: a refusal is not remembered and costs the same again.
        check(&accounts, attempt(), Err(why), Way::Blocking, &[ARGON2ID_COST]);
        check(&accounts, attempt(), Err(why), Way::Blocking, &[ARGON2ID_COST]);
    };
    refused("192.0.3.1", noon, b"wrong", Rejection::WrongPassword);
    refused(HERE, Some((Saturday, 720)), b"wrong", Rejection::WrongPassword);
    refused(HERE, noon, b"wrong", Rejection::WrongPassword);
    refused("192.0.3.1", noon, PASSWORD, Rejection::NotFromHere);
    refused("2001:db8::2", noon, PASSWORD, Rejection::NotFromHere);
    refused("192.0.3.1", Some((Saturday, 720)), PASSWORD, Rejection::NotFromHere);
    refused(HERE, Some((Saturday, 720)), PASSWORD, Rejection::NotAtThisHour);
    refused(HERE, Some((Monday, 1080)), PASSWORD, Rejection::NotAtThisHour);
    refused(HERE, None, PASSWORD, Rejection::NotAtThisHour);
    let accepted = |peer, now| {
        let accounts = build(vec![restricted(hash(ARGON2ID))]);
        check(&accounts, from(peer, now, PASSWORD), Ok("alice"), Way::Blocking, &[ARGON2ID_COST]);
    };
    accepted(HERE, noon);
    accepted("::ffff:192.0.2.7", noon);
    accepted("2001:db8::1", Some((Sunday, 0)));
    accepted(HERE, Some((Monday, 1079)));
}

#[test]
fn disabled_accounts_cost_what_others_cost() {
    let accounts = build(vec![entry("alice", hash(ARGON2ID)), entry("bob", Secret::Disabled)]);
    for password in [PASSWORD, b""] {
        check(&accounts, attempt("bob", password), Err(Rejection::Disabled), Way::Blocking, &[ARGON2ID_COST]);
    }
}

#[test]
fn anonymous_accounts() {
    let accounts = build(vec![entry("alice", hash(ARGON2ID)), entry("anonymous", Secret::Anonymous)]);
    for user in ["anonymous", "ftp", "FTP", "Anonymous"] {
        check(&accounts, attempt(user, b"me@example.org"), Ok("anonymous"), Way::Ready, &[]);
        let long = [b'x'; PASSWORD_LIMIT_BYTES + 1];
        check(&accounts, attempt(user, &long), Ok("anonymous"), Way::Ready, &[]);
    }
    let none = build(vec![entry("alice", hash(ARGON2ID))]);
    check(&none, attempt("ftp", b""), Err(Rejection::NoAnonymous), Way::Blocking, &[ARGON2ID_COST]);
    // An account that has the very name goes before.
    let accounts = build(vec![entry("ftp", hash(SHA512_CRYPT)), entry("anonymous", Secret::Anonymous)]);
    check(&accounts, attempt("ftp", b""), Err(Rejection::WrongPassword), Way::Blocking, &[SHA512_CRYPT_COST]);
    check(&accounts, attempt("FTP", b""), Ok("anonymous"), Way::Ready, &[]);
    // Another name without a password is that name only.
    let accounts = build(vec![entry("alice", hash(ARGON2ID)), entry("camera", Secret::Anonymous)]);
    check(&accounts, attempt("camera", b""), Ok("camera"), Way::Ready, &[]);
    check(&accounts, attempt("Camera", b""), Err(Rejection::NoSuchAccount), Way::Blocking, &[ARGON2ID_COST]);
    check(&accounts, attempt("ftp", b""), Err(Rejection::NoAnonymous), Way::Blocking, &[ARGON2ID_COST]);
}

#[test]
fn anonymous_accounts_that_are_refused_cost_what_others_cost() {
    let inside = Entry {
        networks: vec!["198.51.100.0/24".parse().expect("a network")],
        ..entry("anonymous", Secret::Anonymous)
    };
    let accounts = build(vec![entry("alice", hash(ARGON2ID)), inside.clone()]);
    check(&accounts, attempt("ftp", b""), Err(Rejection::NotFromHere), Way::Blocking, &[ARGON2ID_COST]);
    // Where no account has a password, there is no cost to be like.
    let alone = build(vec![inside]);
    check(&alone, attempt("ftp", b""), Err(Rejection::NotFromHere), Way::Ready, &[]);
    check(&alone, attempt("alice", b""), Err(Rejection::NoSuchAccount), Way::Ready, &[]);
}

#[test]
fn long_passwords_cost_nothing_for_any_name() {
    let accounts = build(vec![entry("alice", hash(ARGON2ID)), entry("bob", Secret::Disabled)]);
    let long = [b'x'; PASSWORD_LIMIT_BYTES + 1];
    check(&accounts, attempt("alice", &long), Err(Rejection::WrongPassword), Way::Blocking, &[]);
    check(&accounts, attempt("bob", &long), Err(Rejection::Disabled), Way::Blocking, &[]);
    check(&accounts, attempt("carol", &long), Err(Rejection::NoSuchAccount), Way::Blocking, &[]);
}

fn mixed() -> Vec<Entry> {
    let kinds = [ARGON2ID, SHA512_CRYPT, YESCRYPT];
    (0..30).map(|number| entry(&format!("user{number}"), hash(kinds[number % 3]))).collect()
}

fn cost_of(accounts: &HashedAccounts, user: &str) -> String {
    let (verdict, _, cost) = run(accounts, attempt(user, b"guess"));
    assert!(verdict.is_err());
    cost.concat()
}

#[test]
fn unknown_names_cost_the_same_each_time() {
    let accounts = build(mixed());
    // As after a reload or a restart, with the same accounts in another order.
    let again = build(mixed().into_iter().rev().collect());
    let mut costs = HashMap::new();
    for number in 0..300 {
        let user = format!("nobody{number}");
        let cost = cost_of(&accounts, &user);
        assert_eq!(cost_of(&accounts, &user), cost);
        assert_eq!(cost_of(&again, &user), cost);
        *costs.entry(cost).or_insert(0) += 1;
    }
    // A third of the accounts has each cost, and so have the unknown names, about.
    for cost in [ARGON2ID_COST, SHA512_CRYPT_COST, YESCRYPT_COST] {
        assert!((60..=140).contains(&costs[cost]), "{costs:?}");
    }
}

#[test]
fn which_cost_an_unknown_name_has_depends_on_the_hashes() {
    // Who knows the program but not the hashes must not be able to tell which cost belongs to an unknown name.
    let accounts = build(mixed());
    let mut others = mixed();
    others[0].secret = hash(YESCRYPT);
    let others = build(others);
    let moved = (0..300)
        .map(|number| format!("nobody{number}"))
        .filter(|user| cost_of(&accounts, user) != cost_of(&others, user))
        .count();
    assert!(moved > 100, "{moved} of 300");
}

/// A clock that the test moves.
#[derive(Clone)]
struct Clock(Arc<Mutex<Instant>>);

impl Clock {
    fn new() -> Clock {
        Clock(Arc::new(Mutex::new(Instant::now())))
    }

    fn now(&self) -> Instant {
        *self.0.lock().expect("no test panics while it holds this")
    }

    fn pass(&self, time: Duration) {
        *self.0.lock().expect("no test panics while it holds this") += time;
    }
}

fn build_with(clock: &Clock, entries: Vec<Entry>) -> HashedAccounts {
    let clock = clock.clone();
    HashedAccounts::with_clock(entries, move || clock.now()).expect("accounts")
}

#[test]
fn who_came_in_comes_in_again_without_a_hash() {
    let clock = Clock::new();
    let accounts = build_with(&clock, vec![entry("alice", hash(ARGON2ID)), entry("bob", hash(ARGON2ID))]);
    let good = || attempt("alice", PASSWORD);
    check(&accounts, good(), Ok("alice"), Way::Blocking, &[ARGON2ID_COST]);
    check(&accounts, good(), Ok("alice"), Way::Ready, &[]);
    clock.pass(VERIFIED_FOR - Duration::from_nanos(1));
    check(&accounts, good(), Ok("alice"), Way::Ready, &[]);
    clock.pass(Duration::from_nanos(1));
    check(&accounts, good(), Ok("alice"), Way::Blocking, &[ARGON2ID_COST]);
    check(&accounts, good(), Ok("alice"), Way::Ready, &[]);
    // Nothing else that is like it.
    let wrong = Err(Rejection::WrongPassword);
    check(&accounts, attempt("alice", b"wonderlanD"), wrong, Way::Blocking, &[ARGON2ID_COST]);
    check(&accounts, attempt("alice", b""), wrong, Way::Blocking, &[ARGON2ID_COST]);
    check(&accounts, attempt("bob", PASSWORD), Ok("bob"), Way::Blocking, &[ARGON2ID_COST]);
    let elsewhere = Attempt { peer: "192.0.2.8".parse().expect("an address"), ..good() };
    check(&accounts, elsewhere, Ok("alice"), Way::Blocking, &[ARGON2ID_COST]);
}

#[test]
fn refusals_are_not_remembered() {
    let accounts = build(vec![entry("alice", hash(ARGON2ID)), entry("bob", Secret::Disabled)]);
    for _ in 0..3 {
        check(
            &accounts,
            attempt("alice", b"x"),
            Err(Rejection::WrongPassword),
            Way::Blocking,
            &[ARGON2ID_COST],
        );
        check(&accounts, attempt("bob", b"x"), Err(Rejection::Disabled), Way::Blocking, &[ARGON2ID_COST]);
        check(
            &accounts,
            attempt("carol", b"x"),
            Err(Rejection::NoSuchAccount),
            Way::Blocking,
            &[ARGON2ID_COST],
        );
    }
    // The right password of the account whose hash was computed for another name stays a wrong one there.
    check(
        &accounts,
        attempt("carol", PASSWORD),
        Err(Rejection::NoSuchAccount),
        Way::Blocking,
        &[ARGON2ID_COST],
    );
    check(&accounts, attempt("bob", PASSWORD), Err(Rejection::Disabled), Way::Blocking, &[ARGON2ID_COST]);
    assert_eq!(format!("{:?}", accounts.inner.cache), "VerifiedCache { verified: 0, .. }");
}

#[test]
fn other_rules_hold_for_who_is_remembered() {
    use crate::Weekday::Monday;
    let accounts = build(vec![restricted(hash(ARGON2ID))]);
    let at = |minute| from(HERE, Some((Monday, minute)), PASSWORD);
    check(&accounts, at(1079), Ok("alice"), Way::Blocking, &[ARGON2ID_COST]);
    check(&accounts, at(1079), Ok("alice"), Way::Ready, &[]);
    // And a refusal costs a hash even then: a quick one would say that the password was right.
    check(&accounts, at(1080), Err(Rejection::NotAtThisHour), Way::Blocking, &[ARGON2ID_COST]);
    check(&accounts, at(1079), Ok("alice"), Way::Ready, &[]);
}

#[test]
fn after_a_reload_nobody_is_remembered() {
    let clock = Clock::new();
    let accounts = build_with(&clock, vec![entry("alice", hash(ARGON2ID))]);
    check(&accounts, attempt("alice", PASSWORD), Ok("alice"), Way::Blocking, &[ARGON2ID_COST]);
    check(&accounts, attempt("alice", PASSWORD), Ok("alice"), Way::Ready, &[]);
    // The same hash: right, but computed anew.
    let same = build_with(&clock, vec![entry("alice", hash(ARGON2ID))]);
    check(&same, attempt("alice", PASSWORD), Ok("alice"), Way::Blocking, &[ARGON2ID_COST]);
    // The hash of another password: the old one is wrong at once.
    let other = PasswordHash::parse(OTHER).expect("a hash");
    let changed = build_with(&clock, vec![entry("alice", Secret::Hash(other))]);
    let wrong = Err(Rejection::WrongPassword);
    check(&changed, attempt("alice", PASSWORD), wrong, Way::Blocking, &[ARGON2ID_COST]);
    check(&changed, attempt("alice", b"looking-glass"), Ok("alice"), Way::Blocking, &[ARGON2ID_COST]);
    check(&changed, attempt("alice", PASSWORD), wrong, Way::Blocking, &[ARGON2ID_COST]);
    // Gone or disabled: at once too.
    let gone = build_with(&clock, vec![entry("alice", Secret::Disabled)]);
    check(&gone, attempt("alice", PASSWORD), Err(Rejection::Disabled), Way::Ready, &[]);
    // A job of the old accounts that ends after the reload is remembered by nobody who is asked any more.
    let Answer::Blocking(late) = accounts.authenticate(attempt("alice", b"looking-glass")) else {
        panic!("that password was never right there")
    };
    assert_eq!(late().map(|account| account.name), wrong.map(str::to_owned));
}

#[test]
fn sessions_that_queue_pay_once() {
    let accounts = build(vec![entry("alice", hash(ARGON2ID))]);
    let jobs: Vec<_> = (0..4)
        .map(|_| match accounts.authenticate(attempt("alice", PASSWORD)) {
            Answer::Blocking(job) => job,
            _ => panic!("nobody is remembered yet"),
        })
        .collect();
    spy::take();
    for job in jobs {
        assert_eq!(job().map(|account| account.name), Ok("alice".to_owned()));
    }
    assert_eq!(spy::take(), [ARGON2ID_COST]);
}

#[test]
fn what_cannot_be_served() {
    #[track_caller]
    fn refused(entries: Vec<Entry>, expected: &str) {
        let error = HashedAccounts::new(entries).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
    let anybody = |name| entry(name, Secret::Anonymous);
    refused(
        vec![anybody("alice"), entry("bob", Secret::Disabled), entry("alice", Secret::Disabled)],
        "there are two accounts with the name \"alice\"",
    );
    refused(
        vec![anybody("")],
        "\"\" cannot be the name of an account: it is empty or has a control character",
    );
    assert!(
        matches!(HashedAccounts::new(vec![anybody("a\nb")]), Err(BuildError::Name(name)) if name == "a\nb")
    );
    refused(
        vec![anybody("anonymous"), anybody("FTP")],
        "\"anonymous\" and \"FTP\" would both be the anonymous account; keep one",
    );
    let mut stalled = anybody("alice");
    stalled.account.limits.download_bytes_per_second = Some(0);
    refused(vec![stalled], "\"alice\" has a limit of 0 bytes per second: no transfer would ever end");
    let mut slow = anybody("alice");
    slow.account.limits.upload_bytes_per_second = Some(1);
    assert!(HashedAccounts::new(vec![slow, anybody("Alice"), anybody("ftp")]).is_ok());
    let nobody = build(Vec::new());
    assert!(nobody.is_empty());
    check(&nobody, attempt("alice", PASSWORD), Err(Rejection::NoSuchAccount), Way::Ready, &[]);
}

#[test]
fn nothing_that_is_shown_is_a_secret() {
    let alice = restricted(hash(ARGON2ID));
    let shown = format!("{alice:?} {:?}", build(vec![alice.clone()]));
    assert!(
        shown.contains("argon2id m=8,t=1,p=1") && shown.contains("HashedAccounts { accounts: 1, .. }"),
        "{shown}"
    );
    let output = ARGON2ID.rsplit('$').next().expect("an output");
    assert!(!shown.contains(output) && !shown.contains("c29tZXNhbHQx"), "{shown}");
}

#[test]
fn a_certificate_lets_in_whom_it_is_written_down_for() {
    let by = |subject: &str| vec![CertificateRule::Subject(subject.to_owned())];
    let accounts = HashedAccounts::new(vec![
        Entry { certificates: by("CN=alice"), ..entry("alice", Secret::Certificate) },
        Entry { certificates: by("CN=bob"), ..entry("bob", Secret::Disabled) },
        Entry {
            certificates: by("CN=carol"),
            networks: vec!["192.0.2.0/24".parse().expect("a network")],
            ..entry("carol", Secret::Certificate)
        },
        entry("dave", Secret::Certificate),
    ])
    .expect("these can be served");
    let by_certificate = |user: &str, subject: &str, peer: [u8; 4]| {
        let shown = ShownCertificate { subject: subject.to_owned(), fingerprint: "AA".to_owned() };
        accounts.by_certificate(&Attempt::new(user, "", peer.into()), &shown).map(|account| account.name)
    };
    let (here, there) = ([192, 0, 2, 1], [198, 51, 100, 1]);
    assert_eq!(by_certificate("alice", "CN=alice", here).as_deref(), Some("alice"));
    assert_eq!(by_certificate("alice", "CN=bob", here), None, "somebody else's");
    assert_eq!(by_certificate("bob", "CN=bob", here), None, "disabled");
    assert_eq!(by_certificate("carol", "CN=carol", here).as_deref(), Some("carol"));
    assert_eq!(by_certificate("carol", "CN=carol", there), None, "not from there");
    assert_eq!(by_certificate("dave", "CN=dave", here), None, "nothing is written down");
    assert_eq!(by_certificate("nobody", "CN=alice", here), None);
    // And no password does.
    let Answer::Ready(verdict) = accounts.authenticate(Attempt::new("alice", "", here.into())) else {
        panic!("there is no hash to compute")
    };
    assert_eq!(verdict, Err(Rejection::WrongPassword));
}
