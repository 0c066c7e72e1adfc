//! AUTH, PBSZ, PROT, CCC and REIN: what protects a session, and what it says of that.
//!
//! Not inside: logins ([`protected_logins`](crate::protected_logins)), transfers
//! ([`protected_data`](crate::protected_data)), and the ends that come while TLS begins
//! ([`protecting_ends`](crate::protecting_ends)).

use std::sync::Arc;
use std::time::Duration;

use longshore_proto::line::Line;
use longshore_proto::reply::Situation;
use longshore_proto::server::{
    Input, Moment, OperationId, Output, Policy, Session, TlsEvent, TlsNeed, TlsOffer, TlsPolicy,
};

use crate::common::{Kind, Scene, World};

pub(crate) const OFFERS: [TlsOffer; 4] =
    [TlsOffer::NoCertificate, TlsOffer::Off, TlsOffer::Explicit, TlsOffer::Implicit];

pub(crate) fn policy(offer: TlsOffer, need: TlsNeed, allow_ccc: bool) -> Policy {
    Policy { tls: TlsPolicy { offer, need, allow_ccc }, ..Policy::default() }
}

pub(crate) fn explicit() -> Policy {
    policy(TlsOffer::Explicit, TlsNeed::Nothing, false)
}

/// Where CCC is allowed.
pub(crate) fn lenient() -> Policy {
    policy(TlsOffer::Explicit, TlsNeed::Nothing, true)
}

pub(crate) fn implicit() -> Policy {
    policy(TlsOffer::Implicit, TlsNeed::Nothing, false)
}

/// A scene behind the greeting, with a file `/a` of 100 bytes and a directory `/d`.
pub(crate) fn scene(policy: Policy) -> Scene {
    let mut scene = Scene::new(World::new(policy, World::connection("192.0.2.1:2121", "192.0.2.7:40000")));
    scene.play(&[("expect", "220 session.greeting"), ("file", "/a 100"), ("directory", "/d")]);
    scene
}

#[track_caller]
pub(crate) fn check(policy: Policy, steps: &[(&str, &str)]) {
    let mut scene = scene(policy);
    scene.play(steps);
    scene.end();
}

pub(crate) const AUTH: &[(&str, &str)] =
    &[("send", "AUTH TLS"), ("expect", "234 tls.begins"), ("went", "in clear")];
pub(crate) const LOGIN: &[(&str, &str)] =
    &[("send", "USER longshore"), ("expect", "331"), ("send", "PASS secret"), ("expect", "230")];
pub(crate) const PRIVATE: &[(&str, &str)] =
    &[("send", "PBSZ 0"), ("expect", "200"), ("send", "PROT P"), ("expect", "200 tls.prot-private")];
pub(crate) const CCC: &[(&str, &str)] = &[("send", "CCC"), ("expect", "200 tls.ccc"), ("went", "inside TLS")];

/// What STAT says of TLS, behind a login.
const STATUS: &str = "control connection TLSv1.3 TLS13_AES_256_GCM_SHA384, data connections";

fn status(data: &str) -> String {
    format!("{STATUS} {data}")
}

#[test]
fn auth_where_it_is_offered_and_where_it_is_not() {
    let answers = [
        "431 tls.no-certificate The server has no certificate",
        "534 tls.not-offered TLS is switched off here",
        "234 tls.begins TLS begins with the next byte",
        // On an implicit listener TLS stands already.
        "503 sequence.auth-inside-tls TLS protects this connection already",
    ];
    for need in [TlsNeed::Nothing, TlsNeed::Login, TlsNeed::Data] {
        for (offer, answer) in OFFERS.into_iter().zip(answers) {
            let policy = policy(offer, need, false);
            check(policy, &[("send", "AUTH TLS"), ("expect", answer), ("send", "NOOP"), ("expect", "200")]);
        }
    }
    check(explicit(), &[AUTH, &[("send", "AUTH TLS"), ("expect", "503 sequence.auth-inside-tls")]].concat());
    // A refused AUTH changes nothing.
    for offer in [TlsOffer::NoCertificate, TlsOffer::Off] {
        let policy = policy(offer, TlsNeed::Nothing, false);
        let steps = [LOGIN, &[("send", "AUTH TLS"), ("expect", ""), ("send", "PWD"), ("expect", "257")]];
        check(policy, &steps.concat());
    }
    let again: &[_] = &[("send", "AUTH TLS"), ("expect", "503"), ("send", "PWD"), ("expect", "257")];
    check(explicit(), &[AUTH, LOGIN, again].concat());
}

#[test]
fn the_mechanisms() {
    let private = status("protected by TLS");
    let clear = status("in clear");
    let words = [
        ("TLS", &clear),
        ("TLS-C", &clear),
        ("SSL", &private),
        ("TLS-P", &private),
        ("tls", &clear),
        ("Tls-c", &clear),
        ("ssl", &private),
        ("tLS-p", &private),
        (" TLS ", &clear),
    ];
    for (word, line) in words {
        let auth = format!("AUTH {word}");
        let steps: &[(&str, &str)] = &[("send", &auth), ("expect", "234 tls.begins"), ("went", "in clear")];
        let told: &[_] = &[("send", "STAT"), ("expect", "211"), ("went", "inside TLS"), ("line", line)];
        check(explicit(), &[steps, LOGIN, told].concat());
        // With the private ones PBSZ 0 counts as said.
        let expected = if line == &private { "200 tls.prot-clear" } else { "503 sequence.prot-without-pbsz" };
        check(explicit(), &[steps, &[("send", "PROT C"), ("expect", expected)]].concat());
    }
    for offer in OFFERS {
        for word in ["TLS-X", "KERBEROS_V4", "GSSAPI", "TLSv1.3", "TLS SSL", "\u{e9}"] {
            let line = format!("AUTH {word}");
            let expected = "504 command.parameter-not-offered this mechanism is not offered; use AUTH TLS";
            let policy = policy(offer, TlsNeed::Nothing, false);
            check(policy, &[("send", &line), ("expect", expected), ("open", "")]);
        }
        for line in ["AUTH", "AUTH  "] {
            let policy = policy(offer, TlsNeed::Nothing, false);
            check(policy, &[("send", line), ("expect", "501 command.bad-argument")]);
        }
    }
}

#[test]
fn bytes_behind_auth_end_the_session() {
    let said = ("expect", "421 tls.bytes-behind-auth More came behind AUTH");
    let closed = ("closed", "");
    // In the line buffer: a whole line, a part of one, one byte.
    for behind in ["NOOP\\r\\n", "USER x", "\\x16", "\\r\\n", "\\r"] {
        let bytes = format!("AUTH TLS\\r\\n{behind}");
        check(explicit(), &[("bytes", &bytes), said, ("went", "in clear"), closed]);
        check(explicit(), &[LOGIN, &[("bytes", &bytes), said, closed]].concat());
    }
    // Where AUTH is refused they are nobody's danger.
    for (offer, code) in
        [(TlsOffer::NoCertificate, "431"), (TlsOffer::Off, "534"), (TlsOffer::Implicit, "503")]
    {
        let policy = policy(offer, TlsNeed::Nothing, false);
        check(policy, &[("bytes", "AUTH TLS\\r\\nNOOP\\r\\n"), ("expect", code), ("expect", "200")]);
    }
    let steps: &[_] = &[("bytes", "AUTH XYZZY\\r\\nNOOP\\r\\n"), ("expect", "504"), ("expect", "200")];
    check(explicit(), steps);
    // Waiting behind it, while another command ran.
    let running: &[_] = &[("hold", "storage"), ("send", "MKD x"), ("send", "AUTH TLS")];
    let behind: &[_] = &[("send", "NOOP"), ("answer", "storage"), ("expect", "257"), said, closed];
    check(explicit(), &[LOGIN, running, behind].concat());
    let behind: &[_] = &[("bytes", "NO"), ("answer", "storage"), ("expect", "257"), said, closed];
    check(explicit(), &[LOGIN, running, behind].concat());
    let behind: &[_] = &[("send", "QUIT"), ("answer", "storage"), ("expect", "257"), said, closed];
    check(explicit(), &[LOGIN, running, behind].concat());
    // With nothing behind it AUTH may itself wait.
    let alone: &[_] = &[("answer", "storage"), ("expect", "257"), ("expect", "234"), ("went", "in clear")];
    check(explicit(), &[LOGIN, running, alone].concat());
    let held: &[_] = &[("back", "held"), ("send", "AUTH TLS"), ("send", "NOOP"), ("back", "free"), said];
    check(explicit(), held);
}

#[test]
fn an_auth_that_comes_in_pieces_is_one() {
    let auth = "AUTH TLS\\r\\n";
    for cut in (1..auth.len() - 1).filter(|&cut| !auth[..cut].ends_with('\\')) {
        let (head, tail) = auth.split_at(cut);
        check(explicit(), &[("bytes", head), ("nothing", ""), ("bytes", tail), ("expect", "234")]);
    }
    check(explicit(), &[("bytes", "AUTH TLS\\n"), ("expect", "234 tls.begins")]);
}

#[test]
fn nothing_is_taken_while_tls_begins() {
    let mut scene = scene(explicit());
    scene.play(&[("hold", "tls"), ("send", "AUTH TLS"), ("expect", "234")]);
    // What comes now is TLS; the driver of these tests keeps it until it can be read.
    scene.play(&[("bytes", "FEAT\\r\\nUSER x\\r\\n"), ("nothing", ""), ("urgent", ""), ("nothing", "")]);
    assert_eq!(scene.world.under_way(), [Kind::Tls]);
    scene.play(&[
        ("answer", "tls"),
        ("expect", "211"),
        ("went", "inside TLS"),
        ("expect", "331"),
        ("went", "inside TLS"),
    ]);
    scene.end();
}

/// Nobody hands a line in meanwhile. If somebody does, it has come in clear and must never count as one inside TLS.
#[test]
fn a_line_that_is_handed_in_while_tls_begins_is_dropped() {
    let connection = World::connection("192.0.2.1:21", "192.0.2.7:40000");
    let now = Moment(Duration::from_secs(1));
    let mut session = Session::new(Arc::new(explicit()), connection, now);
    let outputs = |session: &mut Session| std::iter::from_fn(|| session.next()).collect::<Vec<_>>();
    outputs(&mut session);
    session.handle(now, Input::Line(Line::Command(b"AUTH TLS")));
    let [Output::StartTls(id, Some(_))] = outputs(&mut session)[..] else { panic!("TLS begins") };
    session.handle(now, Input::Line(Line::Command(b"NOOP")));
    // Nor does it hear what came of another handshake.
    session.handle(now, Input::Tls(OperationId(id.0 + 1), TlsEvent::Failed));
    assert!(!session.is_closed());
    let event = TlsEvent::Up { description: "TLSv1.3".to_owned(), certificate: false };
    session.handle(now, Input::Tls(id, event));
    assert!(outputs(&mut session).is_empty(), "it is answered");
    session.handle(now, Input::Line(Line::Command(b"NOOP")));
    let [Output::Reply(ref reply)] = outputs(&mut session)[..] else { panic!("it is answered") };
    assert_eq!(reply.situation, Situation::Noop);
}

#[test]
fn auth_after_a_login_forgets_what_was_before() {
    let mut scene = scene(explicit());
    scene.play(LOGIN);
    scene.play(&[
        ("send", "CWD d"),
        ("expect", "250"),
        ("send", "TYPE I"),
        ("expect", "200"),
        ("send", "OPTS MLST size;"),
        ("expect", "200"),
        ("send", "EPSV ALL"),
        ("expect", "200"),
        ("send", "EPSV"),
        ("expect", "229"),
        ("send", "REST 5"),
        ("expect", "350"),
    ]);
    scene.play(AUTH);
    assert_eq!(scene.world.port, None, "the passive port is closed");
    scene.play(&[("send", "PWD"), ("expect", "530 login.needed"), ("went", "inside TLS")]);
    scene.play(LOGIN);
    let line = status("in clear");
    scene.play(&[
        ("send", "PWD"),
        ("expect", "257 directory.current \"/\""),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "TYPE A, STRU F, MODE S"),
        ("line", &line),
        ("line", "no data connection is arranged"),
        ("send", "FEAT"),
        ("expect", "211"),
        ("line", "MLST type*;size*;modify*;perm*;unique*;UNIX.mode*;UNIX.owner*;UNIX.group*;"),
        // EPSV ALL is forgotten, and the REST before is neither followed nor broken.
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 100"),
    ]);
    scene.end();
    // A name and the path of a renaming are forgotten, too.
    let user: &[_] = &[("send", "USER longshore"), ("expect", "331")];
    check(explicit(), &[user, AUTH, &[("send", "PASS secret"), ("expect", "503")]].concat());
    let rename: &[_] = &[("send", "RNFR a"), ("expect", "350")];
    check(explicit(), &[LOGIN, rename, AUTH, LOGIN, &[("send", "RNTO b"), ("expect", "503")]].concat());
    // Logins that failed are not.
    let wrong: &[_] = &[("send", "USER x"), ("expect", "331"), ("send", "PASS wrong")];
    let first: &[_] = &[("wait", "1000"), ("expect", "530")];
    let second: &[_] = &[("wait", "1999"), ("nothing", ""), ("wait", "1"), ("expect", "530 login.rejected")];
    check(explicit(), &[wrong, first, AUTH, wrong, second].concat());
}

#[test]
fn pbsz_comes_before_prot_and_both_inside_tls() {
    let in_clear = ("expect", "503 sequence.pbsz-in-clear PBSZ is said inside TLS; send AUTH TLS first");
    let too_early = ("expect", "503 sequence.prot-without-pbsz");
    for offer in [TlsOffer::NoCertificate, TlsOffer::Off, TlsOffer::Explicit] {
        let policy = policy(offer, TlsNeed::Nothing, false);
        let prot: &[_] = &[("send", "PROT P"), too_early, ("send", "PROT C"), too_early];
        check(policy, &[&[("send", "PBSZ 0"), in_clear], prot].concat());
    }
    let steps: &[_] = &[
        ("send", "PROT P"),
        too_early,
        ("send", "PROT S"),
        too_early,
        ("send", "PBSZ 0"),
        ("expect", "200 tls.pbsz PBSZ=0"),
        ("send", "PROT P"),
        ("expect", "200 tls.prot-private Data connections are protected by TLS"),
        ("send", "prot c"),
        ("expect", "200 tls.prot-clear Data connections are in clear"),
        ("send", "PROT S"),
        ("expect", "536 tls.prot-level TLS has no such level; send PROT P"),
        ("send", "PROT e"),
        ("expect", "536 tls.prot-level"),
        ("send", "PROT X"),
        ("expect", "504 command.parameter-not-offered this level is not offered; use PROT P or PROT C"),
        ("send", "PROT PP"),
        ("expect", "504"),
        ("send", "PROT"),
        ("expect", "501"),
    ];
    check(explicit(), &[AUTH, steps].concat());
    check(explicit(), &[AUTH, LOGIN, steps].concat());
    // What was said in clear is forgotten with the rest.
    check(lenient(), &[AUTH, PRIVATE, CCC, AUTH, &[("send", "PROT P"), too_early]].concat());
}

#[test]
fn the_size_of_pbsz_is_a_number_of_32_bits() {
    for size in ["0", "1", "16384", "4294967295", " 0 "] {
        let line = format!("PBSZ {size}");
        check(explicit(), &[AUTH, &[("send", &line), ("expect", "200 tls.pbsz PBSZ=0")]].concat());
    }
    for size in ["", "-1", "+1", "x", "0x10", "1 2", "4294967296", "99999999999999999999"] {
        let line = format!("PBSZ {size}");
        let bad: &[(&str, &str)] = &[("send", &line), ("expect", "501 command.bad-argument")];
        check(explicit(), bad);
        let after: &[_] = &[("send", "PROT P"), ("expect", "503 sequence.prot-without-pbsz")];
        check(explicit(), &[AUTH, bad, after].concat());
    }
}

#[test]
fn data_connections_in_clear_may_be_refused() {
    let refused: &[_] = &[
        ("send", "PROT C"),
        ("expect", "534 tls.prot-clear-refused Data connections must be protected here"),
        ("send", "PROT S"),
        ("expect", "536"),
    ];
    let explicit = |need| policy(TlsOffer::Explicit, need, false);
    check(explicit(TlsNeed::Data), &[AUTH, PRIVATE, refused].concat());
    check(explicit(TlsNeed::Login), &[AUTH, PRIVATE, &[("send", "PROT C"), ("expect", "200")]].concat());
    let implicit = || policy(TlsOffer::Implicit, TlsNeed::Data, false);
    check(implicit(), refused);
    // The refusal leaves the level as it is.
    let told = status("protected by TLS");
    let stat: &[_] = &[("send", "STAT"), ("expect", "211"), ("line", &told)];
    check(implicit(), &[LOGIN, refused, stat].concat());
}

#[test]
fn ccc_ends_the_protection_where_it_is_allowed() {
    let in_clear = &[("send", "CCC"), ("expect", "533 tls.ccc-in-clear")];
    for offer in [TlsOffer::NoCertificate, TlsOffer::Off, TlsOffer::Explicit] {
        for allow_ccc in [false, true] {
            check(policy(offer, TlsNeed::Nothing, allow_ccc), in_clear);
        }
    }
    let refused: &[_] = &[("send", "CCC"), ("expect", "534 tls.ccc-refused"), ("went", "inside TLS")];
    let goes_on: &[_] = &[("send", "NOOP"), ("expect", "200"), ("went", "inside TLS")];
    check(explicit(), &[AUTH, refused, goes_on].concat());
    check(implicit(), &[refused, goes_on].concat());
    for (policy, begin) in
        [(lenient(), AUTH), (policy(TlsOffer::Implicit, TlsNeed::Nothing, true), &[] as &[_])]
    {
        let clear: &[_] = &[("send", "PWD"), ("expect", "257"), ("went", "in clear")];
        let told = ("line", "control connection in clear, data connections protected by TLS");
        let stat: &[_] = &[("send", "STAT"), ("expect", "211"), told];
        let private: &[_] = if begin.is_empty() { &[] } else { PRIVATE };
        // Who is logged in stays so, and PROT holds and may still be changed.
        let prot: &[_] =
            &[("send", "PROT C"), ("expect", "200"), ("send", "PROT P"), ("expect", "200 tls.prot-private")];
        let pbsz: &[_] = &[("send", "PBSZ 0"), ("expect", "503 sequence.pbsz-in-clear")];
        let again: &[_] = &[("send", "PWD"), ("expect", "530 login.needed"), ("went", "inside TLS")];
        let steps = [begin, LOGIN, private, CCC, clear, stat, prot, in_clear, pbsz, AUTH, again, LOGIN];
        check(policy, &steps.concat());
    }
    // The answers before and behind it stand where they belong.
    let mut scene = scene(lenient());
    scene.play(AUTH);
    scene.play(&[
        ("bytes", "NOOP\\r\\nCCC\\r\\nNOOP\\r\\nAUTH TLS\\r\\n"),
        ("expect", "200 noop"),
        ("went", "inside TLS"),
        ("expect", "200 tls.ccc"),
        ("went", "inside TLS"),
        ("expect", "200 noop"),
        ("went", "in clear"),
        ("expect", "234"),
        ("went", "in clear"),
    ]);
    scene.end();
}

#[test]
fn ccc_does_not_end_what_must_be_protected() {
    // Behind CCC nobody logs in in clear where that is refused, and data stays protected.
    let need = |need| policy(TlsOffer::Explicit, need, true);
    let user: &[_] = &[("send", "USER longshore"), ("expect", "530 login.tls-needed"), ("went", "in clear")];
    check(need(TlsNeed::Login), &[AUTH, LOGIN, CCC, user, AUTH, LOGIN].concat());
    let prot: &[_] = &[("send", "PROT C"), ("expect", "534 tls.prot-clear-refused")];
    check(need(TlsNeed::Data), &[AUTH, PRIVATE, LOGIN, CCC, prot, user].concat());
}

#[test]
fn reinitialising_an_explicit_session() {
    let reset: &[_] = &[("send", "REIN"), ("expect", "220 session.reset")];
    let in_clear: &[_] =
        &[("send", "PBSZ 0"), ("expect", "503 sequence.pbsz-in-clear"), ("went", "in clear")];
    check(explicit(), &[LOGIN, reset, in_clear].concat());
    // It would take TLS away.
    let refused: &[_] = &[
        ("send", "REIN"),
        ("expect", "502 tls.rein-refused REIN would take TLS away"),
        ("went", "inside TLS"),
        ("send", "PWD"),
        ("expect", "257"),
        ("went", "inside TLS"),
    ];
    check(explicit(), &[AUTH, LOGIN, refused].concat());
    let protected: &[_] = &[("send", "REIN"), ("expect", "220 session.reset"), ("went", "inside TLS")];
    let user: &[_] = &[("send", "PWD"), ("expect", "530 login.needed"), ("went", "in clear")];
    let prot: &[_] = &[("send", "PROT P"), ("expect", "503 sequence.prot-without-pbsz")];
    let steps = [AUTH, PRIVATE, LOGIN, protected, user, prot, in_clear, AUTH, LOGIN];
    check(lenient(), &steps.concat());
    // Behind CCC it is in clear already.
    let clear: &[_] = &[("went", "in clear"), ("send", "PROT P"), ("expect", "503")];
    check(lenient(), &[AUTH, PRIVATE, LOGIN, CCC, reset, clear].concat());
    // A passive port goes with it.
    let mut scene = scene(lenient());
    scene.play(&[AUTH, LOGIN, &[("send", "PASV"), ("expect", "227")], reset].concat());
    assert_eq!(scene.world.port, None);
    scene.end();
}

#[test]
fn reinitialising_an_implicit_session() {
    for allow_ccc in [false, true] {
        let private = status("protected by TLS");
        let stat: &[_] = &[("send", "STAT"), ("expect", "211"), ("line", &private)];
        let changed: &[_] = &[("send", "PROT C"), ("expect", "200")];
        let reset: &[_] = &[("send", "REIN"), ("expect", "220 session.reset"), ("went", "inside TLS")];
        let user: &[_] = &[("send", "PWD"), ("expect", "530 login.needed"), ("went", "inside TLS")];
        let policy = policy(TlsOffer::Implicit, TlsNeed::Nothing, allow_ccc);
        check(policy, &[LOGIN, stat, changed, reset, user, LOGIN, stat].concat());
    }
    let lenient = policy(TlsOffer::Implicit, TlsNeed::Nothing, true);
    let reset: &[_] = &[("send", "REIN"), ("expect", "220 session.reset"), ("went", "in clear")];
    check(lenient, &[LOGIN, CCC, reset, AUTH, LOGIN].concat());
}

#[test]
fn an_implicit_listener_greets_inside_tls() {
    let connection = World::connection("192.0.2.1:990", "192.0.2.7:40000");
    let mut scene = Scene::new(World::holding(implicit(), connection, &[Kind::Tls]));
    scene.play(&[("nothing", ""), ("bytes", "FEAT\\r\\n"), ("nothing", ""), ("open", "")]);
    scene.play(&[("answer", "tls"), ("expect", "220 session.greeting"), ("went", "inside TLS")]);
    scene.play(&[("expect", "211"), ("went", "inside TLS")]);
    scene.play(&[("send", "AUTH TLS"), ("expect", "503 sequence.auth-inside-tls")]);
    // PBSZ 0 and PROT P count as said.
    scene.play(LOGIN);
    let line = status("protected by TLS");
    scene.play(&[("send", "STAT"), ("expect", "211"), ("line", &line)]);
    scene.play(&[
        ("send", "PROT C"),
        ("expect", "200 tls.prot-clear"),
        ("send", "PBSZ 0"),
        ("expect", "200"),
    ]);
    scene.end();
}

/// The lines of a multi-line answer.
fn lines(policy: Policy, before: &[(&str, &str)], command: &str) -> Vec<String> {
    let mut scene = scene(policy);
    scene.play(before);
    scene.play(&[("send", command), ("expect", "21")]);
    let reply = &scene.world.said.last().expect("an answer").reply;
    let lines = reply.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    scene.end();
    lines
}

#[test]
fn features_and_help_list_what_is_offered() {
    for offer in OFFERS {
        for allow_ccc in [false, true] {
            let tls = matches!(offer, TlsOffer::Explicit | TlsOffer::Implicit);
            let policy = || policy(offer, TlsNeed::Nothing, allow_ccc);
            let features = lines(policy(), &[], "FEAT");
            let help: Vec<String> = lines(policy(), &[], "HELP")
                .iter()
                .flat_map(|line| line.split(' '))
                .map(str::to_owned)
                .collect();
            for (feature, verb, listed) in [
                ("AUTH TLS", "AUTH", tls),
                ("PBSZ", "PBSZ", tls),
                ("PROT", "PROT", tls),
                ("CCC", "CCC", tls && allow_ccc),
            ] {
                let what = format!("{verb}, {offer:?}, CCC allowed: {allow_ccc}");
                assert_eq!(features.iter().any(|line| line == feature), listed, "FEAT: {what}");
                assert_eq!(help.iter().any(|name| name == verb), listed, "HELP: {what}");
                let line = format!("HELP {verb}");
                check(
                    policy(),
                    &[("send", &line), ("expect", if listed { "214" } else { "501 help.unknown" })],
                );
            }
            assert!(features.is_sorted(), "{features:?}");
        }
    }
    // Inside TLS as outside.
    assert_eq!(lines(lenient(), AUTH, "FEAT"), lines(lenient(), &[], "FEAT"));
}

#[test]
fn the_state_of_the_session_tells_of_tls() {
    let clear = ("line", "control connection in clear, data connections in clear");
    let stat: &[_] = &[("send", "STAT"), ("expect", "211")];
    check(explicit(), &[LOGIN, stat, &[clear]].concat());
    let (half, whole) = (status("in clear"), status("protected by TLS"));
    let steps = [AUTH, LOGIN, stat, &[("line", half.as_str())], PRIVATE, stat, &[("line", whole.as_str())]];
    check(explicit(), &steps.concat());
    // Also while data flows.
    let moving: &[_] = &[
        ("send", "PASV"),
        ("expect", "227"),
        ("transfer", "goes on 50"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("send", "STAT"),
        ("expect", "211"),
        ("line", &whole),
        ("line", "RETR /a: 50 bytes moved so far"),
        ("answer", "move complete 100"),
        ("expect", "226"),
    ];
    check(explicit(), &[AUTH, LOGIN, PRIVATE, moving].concat());
}
