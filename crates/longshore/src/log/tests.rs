//! The same events in each form, and names that try to forge.

use std::time::Duration;

use jiff::Timestamp;
use longshore_accounts::Rejection;
use longshore_path::VirtualPath;
use longshore_server::reply::Situation;
use longshore_server::verbs::{Direction, Verb};
use longshore_server::{
    Ending, Event, EventKind, Observer, Protection, Representation, SessionName, Speaker, Trace,
};

use super::{Log, Opened, json, text, xferlog};
use crate::cli::LogFormat;
use crate::config;

fn now() -> Timestamp {
    "2026-03-07T13:05:06.789Z".parse().expect("a time")
}

fn event(account: Option<&str>, kind: EventKind) -> Event {
    let peer = "192.0.2.1:5000".parse().expect("an address");
    Event { session: Some(SessionName { number: 7, peer, account: account.map(Into::into) }), kind }
}

fn of_server(kind: EventKind) -> Event {
    Event { session: None, kind }
}

fn path(bytes: &[u8]) -> VirtualPath {
    VirtualPath::new(bytes).expect("a path")
}

fn transfer(verb: Verb, direction: Direction, name: &[u8], bytes: u64, situation: Situation) -> EventKind {
    EventKind::Transfer {
        verb,
        direction,
        path: path(name),
        representation: Representation::Image,
        protection: Protection::Clear,
        offset: 0,
        bytes,
        duration: Duration::from_millis(1200),
        situation,
        cause: None,
    }
}

fn refused(user: &[u8], reason: Option<Rejection>, situation: Situation) -> EventKind {
    EventKind::LoginRefused { user: user.to_vec(), reason, situation }
}

#[track_caller]
fn check_text(event: Event, expected: &[&str]) {
    assert_eq!(text::lines(&event, false), expected);
}

#[track_caller]
fn check_json(event: Event, expected: &str) {
    let line = json::object(now(), &event).expect("it has an object");
    let rest =
        line.strip_prefix(r#"{"time":"2026-03-07T13:05:06.789Z","event":"#).expect("the same beginning");
    assert_eq!(rest.strip_suffix('}'), Some(expected));
    serde_json::from_str::<serde_json::Value>(&line).expect("it is JSON");
}

#[track_caller]
fn check_xferlog(event: Event, expected: Option<&[u8]>) {
    let line = xferlog::line(now(), &event);
    let rest = line
        .as_deref()
        .map(|line| line.strip_prefix(b"Sat Mar  7 13:05:06 2026 1 192.0.2.1 ").expect("the same beginning"));
    assert_eq!(rest.map(String::from_utf8_lossy), expected.map(String::from_utf8_lossy));
}

#[test]
fn lines_for_people() {
    let alice = |kind| event(Some("alice"), kind);
    check_text(alice(EventKind::LoggedIn), &["#7 alice@192.0.2.1 logged in"]);
    check_text(
        alice(transfer(Verb::Retr, Direction::Send, b"/a b", 2048, Situation::Sent)),
        &["#7 alice@192.0.2.1 sent (2.0 KiB, 1200 ms) /a b"],
    );
    check_text(
        alice(transfer(Verb::Stor, Direction::Receive, b"/a b", 5, Situation::UploadReset)),
        &["#7 alice@192.0.2.1 did not store (5 B, 1200 ms) /a b: transfer.upload-reset (426)"],
    );
    check_text(
        alice(transfer(Verb::Stor, Direction::Receive, b"/a b", 0, Situation::TargetNoPermission)),
        &["#7 alice@192.0.2.1 did not store /a b: target.no-permission (553)"],
    );
    check_text(
        event(Some("a b"), EventKind::Dialogue { speaker: Speaker::Client, line: b"RETR \xFFx".to_vec() }),
        &[r"#7 a\x20b@192.0.2.1 > RETR \xFFx"],
    );
    check_text(event(None, EventKind::Connected), &[]);
    check_text(
        of_server(EventKind::ReloadRefused { why: "a:1: x\nb\x1B: y".to_owned() }),
        &["reload refused, the configuration before still holds:", "  a:1: x", r"  b\x1B: y"],
    );
    check_text(
        of_server(EventKind::Draining { sessions: 2, grace: Duration::from_secs(30) }),
        &["draining: 2 sessions, transfers have 30 s"],
    );
    let address = "192.0.2.1".parse().expect("an address");
    check_text(
        event(None, EventKind::Banned { address, duration: Duration::from_secs(600) }),
        &["#7 192.0.2.1 banned 192.0.2.1 for 600 s after too many failed logins"],
    );
}

#[test]
fn what_the_announcement_says_is_not_said_twice() {
    let started = of_server(EventKind::Started { addresses: vec!["127.0.0.1:21".parse().expect("one")] });
    assert!(text::lines(&started, true).is_empty());
    let version = env!("CARGO_PKG_VERSION");
    check_text(started, &[&format!("longshore {version} listens on 127.0.0.1:21")]);
}

#[test]
fn a_refused_login_names_its_address_where_no_name_reaches() {
    check_text(
        event(None, refused(b"bob", Some(Rejection::WrongPassword), Situation::LoginRejected)),
        &["#7 192.0.2.1 login refused for bob from 192.0.2.1: wrong-password (wrong password)"],
    );
    check_text(
        event(None, refused(b"x from 198.51.100.9: y (z)\n", None, Situation::ClearRefused)),
        &[
            r"#7 192.0.2.1 login refused for x\x20from\x20198.51.100.9:\x20y\x20(z)\x0A from 192.0.2.1: login.clear-refused (answered with 530)",
        ],
    );
    check_json(
        event(
            None,
            refused(b"\",\"peer\":\"198.51.100.9", Some(Rejection::Disabled), Situation::LoginRejected),
        ),
        r#""login-refused","session":7,"peer":"192.0.2.1","peer_port":5000,"user":"\",\"peer\":\"198.51.100.9","reason":"disabled","situation":"login.rejected","code":530"#,
    );
}

#[test]
fn objects_for_programs() {
    let alice = |kind| event(Some("alice"), kind);
    let head = r#","session":7,"peer":"192.0.2.1","peer_port":5000"#;
    check_json(event(None, EventKind::Connected), &format!(r#""connected"{head}"#));
    check_json(
        alice(transfer(Verb::Retr, Direction::Send, b"/a\xFF\\\"", 2048, Situation::Sent)),
        &format!(
            r#""transfer"{head},"account":"alice","verb":"RETR","direction":"send","path":"/a\\xFF\\\\\"","type":"image","offset":0,"bytes":2048,"seconds":1.2,"situation":"transfer.sent","code":226,"protected":false"#
        ),
    );
    let (from, to) = (path(b"/a"), Some(path(b"/b")));
    check_json(
        alice(EventKind::Changed { verb: Verb::Rnto, path: from, to }),
        &format!(r#""changed"{head},"account":"alice","verb":"RNTO","path":"/a","to":"/b""#),
    );
    check_json(
        alice(EventKind::Ended { why: Ending::Said(Situation::Shutdown) }),
        &format!(
            r#""ended"{head},"account":"alice","why":"said","situation":"{}","code":421"#,
            Situation::Shutdown.id()
        ),
    );
    check_json(
        of_server(EventKind::Draining { sessions: 2, grace: Duration::from_secs(30) }),
        r#""draining","sessions":2,"grace_seconds":30"#,
    );
    check_json(
        of_server(EventKind::ReloadRefused { why: "a\nb".to_owned() }),
        r#""reload-refused","why":"a\nb""#,
    );
}

#[test]
fn transfers_as_wu_ftpd_wrote_them() {
    check_xferlog(
        event(Some("alice"), transfer(Verb::Retr, Direction::Send, b"/a b\xC2\x85c\xFF", 9, Situation::Sent)),
        Some(b"9 /a_b_c\xFF b _ o r alice ftp 0 * c"),
    );
    check_xferlog(
        event(Some("anonymous"), transfer(Verb::Stor, Direction::Receive, b"/in", 5, Situation::UploadReset)),
        Some(b"5 /in b _ i a anonymous ftp 0 * i"),
    );
    check_xferlog(
        event(Some("a b"), transfer(Verb::Appe, Direction::Receive, b"/in", 5, Situation::Stored)),
        Some(b"5 /in b _ i r a_b ftp 0 * c"),
    );
    check_xferlog(event(Some("x"), transfer(Verb::Mlsd, Direction::Send, b"/", 5, Situation::Sent)), None);
    check_xferlog(event(Some("x"), EventKind::LoggedIn), None);
}

#[test]
fn no_line_is_lost_while_files_are_opened_anew() {
    const EVENTS: usize = 2000;
    let base = std::env::temp_dir().join(format!("longshore-exchange-{}", std::process::id()));
    let (file, xferlog) = (base.with_extension("log"), base.with_extension("xferlog"));
    let settings = config::Log {
        format: LogFormat::Json,
        file: Some(file.clone()),
        xferlog: Some(xferlog.clone()),
        trace: Trace::default(),
    };
    let open = || Opened::open(&settings).expect("they can be made");
    let log = Log::start(open());
    std::thread::scope(|scope| {
        let telling = scope.spawn(|| {
            for _ in 0..EVENTS {
                log.observe(&event(
                    Some("x"),
                    transfer(Verb::Retr, Direction::Send, b"/a", 1, Situation::Sent),
                ));
            }
        });
        while !telling.is_finished() {
            log.exchange(open());
        }
    });
    log.finish();
    for file in [&file, &xferlog] {
        let lines = std::fs::read_to_string(file).expect("it was made").lines().count();
        std::fs::remove_file(file).expect("it is ours");
        assert_eq!(lines, EVENTS, "{}", file.display());
    }
}
