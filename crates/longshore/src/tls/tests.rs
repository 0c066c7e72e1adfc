//! Certificates out of files: the one that is made and kept, those that are named, and what becomes of both when files
//! change. No sockets in here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use longshore_accounts::TlsNeed;
use longshore_server::tls::{CertificateFiles, self_signed};
use longshore_server::{ListenerTls, TlsOffer};

use super::own::Own;
use super::{InForce, Origin, Prepared, Surroundings, check};
use crate::Failure;
use crate::config::{self, Clients, Listener, Settings};

const DAY: Duration = Duration::from_secs(86_400);

/// A directory of the test's own.
struct Ground(PathBuf);

impl Ground {
    fn new(name: &str) -> Ground {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("longshore-tls-{name}-{}-{count}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        Ground(directory)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Settings whose certificate the server makes itself and keeps in here.
    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.server.state_directory = Some(self.file("state"));
        settings
    }

    /// Puts a new pair there, each file replaced as a whole, key last.
    fn pair(&self, now: SystemTime) -> CertificateFiles {
        let made = self_signed(&["ftp.example".to_owned()], now).expect("a certificate");
        let files = self.files();
        for (file, text) in [(&files.chain, made.certificate_pem), (&files.key, made.key_pem)] {
            self.put(file, &text);
        }
        files
    }

    fn files(&self) -> CertificateFiles {
        CertificateFiles::new(self.file("chain.pem"), self.file("key.pem"))
    }

    fn put(&self, file: &PathBuf, text: &str) {
        let new = self.file("new");
        fs::write(&new, text).expect("a file");
        fs::set_permissions(&new, PermissionsExt::from_mode(0o600)).expect("it is ours");
        fs::rename(new, file).expect("it is ours");
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn surroundings(settings: &Settings) -> Surroundings {
    let endpoint = Listener::new(([192, 0, 2, 1], 21).into(), ListenerTls::Explicit);
    Surroundings::new(settings, &[endpoint], None)
}

fn take(settings: &Settings, now: SystemTime) -> Result<Own, Failure> {
    surroundings(settings).place.take(now)
}

fn fingerprint(own: &Own) -> String {
    own.set.infos().next().expect("there is one").fingerprint.clone()
}

fn prepare(
    settings: &Settings,
    before: Option<&InForce>,
    now: SystemTime,
) -> Result<Option<Prepared>, Failure> {
    Prepared::read(&settings.tls, &surroundings(settings), before, now)
}

/// What holds, and what was said.
fn begin(settings: &Settings, now: SystemTime) -> (InForce, Vec<String>) {
    let mut notes = Vec::new();
    let prepared = prepare(settings, None, now).expect("it reads well").expect("TLS is offered");
    assert!(matches!(prepared.offer(), TlsOffer::On(_)));
    (prepared.commit(&mut notes), notes)
}

fn served(in_force: &InForce) -> String {
    in_force.infos().first().expect("there is one").fingerprint.clone()
}

#[track_caller]
fn check_one(notes: &[String], words: &[&str]) {
    let [note] = notes else { panic!("one note is expected: {notes:#?}") };
    for words in words {
        assert!(note.contains(words), "{words:?} is not in {note:?}");
    }
}

#[test]
fn a_certificate_is_made_once_and_kept() {
    let ground = Ground::new("kept");
    let (settings, now) = (ground.settings(), SystemTime::now());
    let first = take(&settings, now).expect("one is made");
    assert_eq!((&first.notes[..], &first.file), (&[][..], &Some(ground.file("state/self-signed.pem"))));
    let mode =
        |name: &str| fs::metadata(ground.file(name)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode("state/self-signed.pem"), mode("state/certificate.pem")), (0o600, 0o644));
    let public = fs::read_to_string(first.public.as_ref().expect("a copy")).expect("it is there");
    assert!(public.starts_with("-----BEGIN CERTIFICATE-----\n") && !public.contains("PRIVATE"), "{public}");
    // 795 days later, too.
    for later in [now, now + 700 * DAY] {
        let again = take(&settings, later).expect("it is there");
        assert_eq!((fingerprint(&again), again.notes.len()), (fingerprint(&first), 0));
    }
    fs::remove_file(ground.file("state/certificate.pem")).expect("it is there");
    take(&settings, now).expect("it is there");
    assert_eq!(fs::read_to_string(ground.file("state/certificate.pem")).ok(), Some(public));
    assert_eq!(fs::read_dir(ground.file("state")).expect("a directory").count(), 2, "nothing else is left");
}

#[test]
fn one_that_ends_soon_or_is_damaged_is_made_anew_and_said_so() {
    let ground = Ground::new("renewed");
    let (settings, now) = (ground.settings(), SystemTime::now());
    let first = take(&settings, now).expect("one is made");
    let late = now + 796 * DAY;
    let second = take(&settings, late).expect("another is made");
    assert_ne!(fingerprint(&first), fingerprint(&second));
    assert!(
        second.notes[0].contains("is valid until") && second.notes[1].contains("a new certificate was made")
    );
    let public = fs::read_to_string(second.public.as_ref().expect("a copy")).expect("it is there");
    fs::write(ground.file("state/self-signed.pem"), &public).expect("it is ours");
    let third = take(&settings, late).expect("another is made");
    assert_ne!(fingerprint(&second), fingerprint(&third));
    assert!(third.notes[0].contains("no private key in it"), "{:?}", third.notes);
}

#[test]
fn one_that_is_there_and_cannot_be_read_is_never_replaced() {
    let ground = Ground::new("unreadable");
    let settings = ground.settings();
    let file = ground.file("state/self-signed.pem");
    fs::create_dir_all(&file).expect("a directory where the file should be");
    let failure = prepare(&settings, None, SystemTime::now()).expect_err("it is refused");
    assert!(failure.what.starts_with(&format!("{}: ", file.display())), "{}", failure.what);
    assert!(failure.what.contains("cannot be read") && file.is_dir(), "{}", failure.what);
    let checked = check(&settings, |_, _| true, SystemTime::now());
    check_one(&checked.wrong, &["self-signed.pem", "cannot be read"]);
    // A pipe is not waited for, and a link may lead to what is somebody else's.
    fs::remove_dir(&file).expect("it is ours");
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RWXU).expect("a pipe");
    let failure = prepare(&settings, None, SystemTime::now()).expect_err("it is refused");
    assert!(failure.what.contains("no regular file"), "{}", failure.what);
    fs::remove_file(&file).expect("it is ours");
    std::os::unix::fs::symlink(ground.pair(SystemTime::now()).chain, &file).expect("a link");
    let failure = prepare(&settings, None, SystemTime::now()).expect_err("it is refused");
    assert!(failure.what.contains("it is a link"), "{}", failure.what);
}

#[test]
fn a_certificate_of_our_own_that_was_exchanged_is_shown_to_clients() {
    let ground = Ground::new("published");
    let (settings, now) = (ground.settings(), SystemTime::now());
    let (mut in_force, _) = begin(&settings, now);
    let made = self_signed(&["ftp.example".to_owned()], now).expect("a certificate");
    ground.put(&ground.file("state/self-signed.pem"), &format!("{}{}", made.key_pem, made.certificate_pem));
    check_one(&in_force.look(now).notes, &["certificate exchanged: CN=ftp.example"]);
    let public = fs::read_to_string(ground.file("state/certificate.pem")).expect("it is there");
    assert_eq!(public.trim(), made.certificate_pem.trim());
}

#[test]
fn one_in_memory_is_made_anew_by_a_reload_once_it_is_due() {
    let ground = Ground::new("due");
    fs::write(ground.file("state"), "a file where the directory should be").expect("a file");
    let (settings, now) = (ground.settings(), SystemTime::now());
    let (mut in_force, _) = begin(&settings, now);
    let first = served(&in_force);
    check_one(
        &in_force.look(now + 811 * DAY).notes,
        &["days more: restart or reload longshore, which makes another"],
    );
    for (later, same) in [(700 * DAY, true), (811 * DAY, false)] {
        let prepared = prepare(&settings, Some(&in_force), now + later).expect("it reads well");
        let after = prepared.expect("TLS is offered").commit(&mut Vec::new());
        assert_eq!(served(&after) == first, same, "{later:?}");
    }
}

#[test]
fn what_can_be_kept_no_more_goes_on_at_a_reload() {
    let ground = Ground::new("gone");
    let (settings, now) = (ground.settings(), SystemTime::now());
    let (in_force, _) = begin(&settings, now);
    let first = served(&in_force);
    fs::remove_dir_all(ground.file("state")).expect("it is ours");
    fs::write(ground.file("state"), "a file where the directory should be").expect("a file");
    let prepared = prepare(&settings, Some(&in_force), now).expect("it reads well").expect("TLS is offered");
    let mut notes = Vec::new();
    assert_eq!(served(&prepared.commit(&mut notes)), first);
    assert!(notes.last().is_some_and(|note| note.contains("goes on being used")), "{notes:?}");
}

#[test]
fn two_that_start_at_once_keep_the_same() {
    let ground = Ground::new("race");
    let (settings, now) = (ground.settings(), SystemTime::now());
    let start = || take(&settings, now).map(|own| fingerprint(&own)).map_err(|failure| failure.what);
    let barrier = std::sync::Barrier::new(8);
    let all: Vec<_> = std::thread::scope(|scope| {
        let at_once = || {
            barrier.wait();
            start()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(at_once)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
    });
    let kept = start();
    assert!(kept.is_ok() && all.iter().all(|one| *one == kept), "{all:?}");
}

#[test]
fn where_nothing_can_be_kept_it_is_served_all_the_same() {
    let ground = Ground::new("memory");
    fs::write(ground.file("state"), "a file where the directory should be").expect("a file");
    let (settings, now) = (ground.settings(), SystemTime::now());
    let (in_force, notes) = begin(&settings, now);
    assert_eq!(in_force.origin(), &Origin::InMemory);
    check_one(&notes, &["another fingerprint, after each start", "cannot be kept in", "state"]);
    check_one(
        &check(&settings, |_, _| true, now).warnings,
        &["another one after each start", "cannot be written to"],
    );
    // A reload is no start.
    let prepared = prepare(&settings, Some(&in_force), now).expect("it reads well").expect("TLS is offered");
    assert_eq!(served(&prepared.commit(&mut Vec::new())), served(&in_force));
}

#[test]
fn what_is_wrong_with_each_certificate_is_told() {
    let ground = Ground::new("wrong");
    let now = SystemTime::now();
    let good = ground.pair(now);
    let mut settings = ground.settings();
    let missing = CertificateFiles::new("/no/such/chain.pem", &good.key);
    let swapped = CertificateFiles::new(&good.key, &good.chain);
    settings.tls.certificates = vec![good.clone(), missing, swapped];
    settings.tls.clients = Clients::Request;
    settings.tls.authorities = Some(good.key.clone());
    let told = [
        "/no/such/chain.pem: cannot be read",
        "key.pem: no certificate in it; it holds a private key",
        "key.pem: no certificate in it",
    ];
    let failure = prepare(&settings, None, now).expect_err("it is refused");
    let checked = check(&settings, |_, _| true, now);
    for lines in
        [failure.what.lines().collect::<Vec<_>>(), checked.wrong.iter().map(String::as_str).collect()]
    {
        assert_eq!(lines.len(), told.len(), "{lines:#?}");
        assert!(lines.iter().zip(told).all(|(line, words)| line.contains(words)), "{lines:#?}");
    }
    settings.tls.offer = false;
    assert!(prepare(&settings, None, now).expect("nothing is read").is_none());
    assert!(check(&settings, |_, _| true, now).wrong.is_empty());
}

#[test]
fn what_works_and_should_be_known_is_told() {
    let ground = Ground::new("warned");
    let now = SystemTime::now();
    let mut settings = ground.settings();
    settings.tls.certificates = vec![ground.pair(now)];
    let warnings = |now| check(&settings, |_, _| true, now).warnings;
    assert_eq!(warnings(now), [""; 0]);
    assert_eq!(warnings(now + 809 * DAY), [""; 0]);
    check_one(
        &warnings(now + 811 * DAY),
        &["chain.pem: the certificate is valid until", "days more: renew it"],
    );
    check_one(&warnings(now + 900 * DAY), &["was valid until", "clients will refuse it"]);
    check_one(&warnings(now - 9 * DAY), &["is valid from", "check this machine's clock"]);
    let checked = check(&settings, |file, _| !file.ends_with("key.pem"), now);
    check_one(&checked.warnings, &["key.pem can be read at the start only"]);
    assert_eq!(begin(&settings, now + 811 * DAY).1, warnings(now + 811 * DAY));
}

#[test]
fn a_new_pair_is_used_as_soon_as_it_fits() {
    let ground = Ground::new("exchanged");
    let now = SystemTime::now();
    let mut settings = ground.settings();
    settings.tls.certificates = vec![ground.pair(now)];
    let (mut in_force, notes) = begin(&settings, now);
    assert_eq!(notes, [""; 0]);
    let first = served(&in_force);
    assert!(in_force.look(now).notes.is_empty());

    // The certificate a moment before its key.
    let made = self_signed(&["ftp.example".to_owned()], now).expect("a certificate");
    ground.put(&ground.files().chain, &made.certificate_pem);
    assert!(in_force.look(now).notes.is_empty());
    assert_eq!(served(&in_force), first);
    ground.put(&ground.files().key, &made.key_pem);
    let looked = in_force.look(now);
    let second = served(&in_force);
    assert_ne!(first, second);
    check_one(
        &looked.notes,
        &["certificate exchanged: CN=ftp.example in ", "chain.pem, valid until 20", ", SHA-256 ", &second],
    );
    assert!(looked.offer.is_none(), "sessions begin with what they have");

    // One that is no good is said once, and nothing changes.
    ground.put(&ground.files().key, "torn");
    assert!(in_force.look(now).notes.is_empty() && in_force.look(now).notes.is_empty());
    check_one(&in_force.look(now).notes, &["key.pem: no private key in it", "goes on being used"]);
    assert!(in_force.look(now).notes.is_empty());
    assert_eq!(served(&in_force), second);
    ground.put(&ground.files().key, &made.key_pem);
    check_one(&in_force.look(now).notes, &["in order again"]);
    // The same once more, as some programs write it.
    ground.put(&ground.files().key, &made.key_pem);
    assert!(in_force.look(now).notes.is_empty());
}

#[test]
fn a_certificate_that_ends_soon_is_told_once_a_day() {
    let ground = Ground::new("daily");
    let now = SystemTime::now();
    let mut settings = ground.settings();
    settings.tls.certificates = vec![ground.pair(now)];
    let begin_at = now + 805 * DAY;
    let (mut in_force, notes) = begin(&settings, begin_at);
    assert_eq!(notes, [""; 0]);
    let mut told = 0;
    for hour in 0..24 * 12 {
        let notes = in_force.look(begin_at + hour * DAY / 24).notes;
        told += notes.len();
        assert!(notes.iter().all(|note| note.contains("the certificate is valid until")), "{notes:?}");
    }
    // From the sixth day on.
    assert!((6..=7).contains(&told), "{told}");
}

#[test]
fn authorities_are_exchanged_with_what_is_offered() {
    let ground = Ground::new("authorities");
    let now = SystemTime::now();
    let mut settings = ground.settings();
    let files = ground.pair(now);
    settings.tls.clients = Clients::Require;
    let authorities = ground.file("clients.pem");
    let another = self_signed(&["an authority".to_owned()], now).expect("a certificate").certificate_pem;
    ground.put(&authorities, &another);
    settings.tls.authorities = Some(authorities.clone());
    settings.tls.certificates = vec![files];
    let (mut in_force, _) = begin(&settings, now);
    assert!(in_force.look(now).offer.is_none());
    let both = format!("{another}{}", fs::read_to_string(ground.files().chain).expect("it is there"));
    ground.put(&authorities, &both);
    let looked = in_force.look(now);
    check_one(&looked.notes, &["authorities for clients exchanged: ", "clients.pem"]);
    assert!(matches!(looked.offer, Some(TlsOffer::On(_))));
    fs::remove_file(&authorities).expect("it is there");
    let notes: Vec<String> = (0..5).flat_map(|_| in_force.look(now).notes).collect();
    check_one(&notes, &["clients.pem: cannot be read", "go on being trusted"]);
}

#[test]
fn a_reload_changes_nothing_before_all_of_it_is_good() {
    let ground = Ground::new("reload");
    let now = SystemTime::now();
    let mut settings = ground.settings();
    settings.tls.certificates = vec![ground.pair(now)];
    let (in_force, _) = begin(&settings, now);
    let first = served(&in_force);
    ground.pair(now);
    settings.tls = config::Tls { allow_ccc: true, ..settings.tls };
    settings.tls.rules.need = Some(TlsNeed::Data);
    let prepared = prepare(&settings, Some(&in_force), now).expect("it reads well").expect("TLS is offered");
    let TlsOffer::On(offered) = prepared.offer() else { panic!("it is offered") };
    assert!(offered.allow_ccc && offered.rules.need == Some(TlsNeed::Data));
    assert_eq!(served(&in_force), first, "others may still fail");
    let after = prepared.commit(&mut Vec::new());
    assert_ne!(served(&after), first);
    // Who has begun with the configuration before gets the new certificate too.
    assert_eq!(served(&in_force), served(&after));
    ground.put(&ground.files().key, "torn");
    prepare(&settings, Some(&after), now).expect_err("it is refused");
}
