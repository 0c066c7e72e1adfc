//! Protected data connections: refused before the mark (521) or after it (522), and cut (426).
//!
//! Not inside: PROT itself ([`protecting`](crate::protecting)).

use longshore_proto::command::{Mode, Representation, Structure};
use longshore_proto::server::{Channel, Event, Policy, Protection, Route, TlsNeed, TlsOffer};

use crate::common::{Kind, Scene, Work};
use crate::protecting::{AUTH, LOGIN, PRIVATE, check, explicit, policy, scene};

const TRANSFERS: &[&str] = &["RETR a", "LIST", "NLST", "MLSD", "STOR x", "STOU x", "APPE x"];
const ARRANGED: &[(&str, &str)] = &[("send", "PASV"), ("expect", "227")];
const ACTIVE: &[(&str, &str)] = &[("send", "PORT 192,0,2,7,20,1"), ("expect", "200")];

fn is_upload(line: &str) -> bool {
    ["STOR", "STOU", "APPE"].contains(&&line[..4])
}

/// Inside TLS, with data connections that must be protected.
fn strict() -> Policy {
    policy(TlsOffer::Explicit, TlsNeed::Data, false)
}

/// Behind a login, with protected data connections.
fn private() -> Scene {
    let mut scene = scene(explicit());
    scene.play(&[AUTH, LOGIN, PRIVATE].concat());
    scene
}

#[test]
fn what_prot_said_goes_with_the_transfer() {
    let prot: &[_] = &[("send", "PROT C"), ("expect", "200")];
    for (change, protection) in [(&[] as &[_], Protection::Private), (prot, Protection::Clear)] {
        for (arrange, route) in [
            (ARRANGED, Route::Passive { port: 30000 }),
            (ACTIVE, Route::Active { to: "192.0.2.7:5121".parse().expect("an address") }),
        ] {
            for line in TRANSFERS {
                let mut scene = private();
                scene.play(change);
                scene.play(arrange);
                scene.play(&[("hold", "establish"), ("hold", "move"), ("send", line), ("expect", "150")]);
                let Some(Work::Establish(channel)) = scene.world.work(Kind::Establish).cloned() else {
                    panic!("{}\n\nnobody connects", scene.world.log());
                };
                let direction = channel.direction;
                assert_eq!(channel, Channel { route, direction, protection }, "{line}");
                scene.play(&[("answer", "establish")]);
                let job = scene.world.job.clone().expect("it moves");
                assert_eq!((job.protection, job.direction), (protection, direction), "{line}");
                assert_eq!((job.structure, job.mode), (Structure::File, Mode::Stream));
                assert_eq!(job.representation, Representation::Ascii);
                // A PROT that comes meanwhile is for the next one.
                scene.play(&[("send", "PROT C"), ("nothing", ""), ("answer", "move"), ("expect", "226")]);
                scene.play(&[("expect", "200 tls.prot-clear")]);
                scene.end();
            }
        }
    }
    // It counts when the command begins, not when the data connection was arranged.
    let mut scene = private();
    scene.play(&[ARRANGED, prot, &[("hold", "move"), ("send", "RETR a"), ("expect", "150")]].concat());
    assert_eq!(scene.world.job.as_ref().map(|job| job.protection), Some(Protection::Clear));
    scene.end();
}

#[test]
fn a_level_that_is_too_low_is_refused_before_the_mark() {
    for line in TRANSFERS {
        for arrange in [ARRANGED, ACTIVE] {
            let needs = format!(
                "521 data.protection-needed {} needs a protected data connection here (require = data); send PBSZ 0 and PROT P first",
                &line[..4]
            );
            let refused: &[_] =
                &[("hold", "storage"), ("send", line), ("expect", &needs), ("release", "storage")];
            // The bytes of a refused upload may be under way, so that what was arranged for them is closed.
            let next = if is_upload(line) { "425 data.connection-closed-by-refusal" } else { "150" };
            let next: &[_] = &[("send", "RETR a"), ("expect", next)];
            let done: &[_] = if is_upload(line) { &[] } else { &[("expect", "226")] };
            let none: &[_] = &[("size", "/x none")];
            let steps = [AUTH, LOGIN, arrange, refused, PRIVATE, next, done, none];
            check(strict(), &steps.concat());
        }
    }
    // Standing or not: what the client has sent ahead is nobody's file.
    let mut scene = scene(strict());
    scene.play(
        &[AUTH, LOGIN, ARRANGED, &[("client", "stands"), ("send", "STOR x"), ("expect", "521")]].concat(),
    );
    assert_eq!(scene.world.port, None);
    assert_eq!(scene.world.events.len(), 1, "a transfer that never began is none: {:?}", scene.world.events);
    scene.play(&[PRIVATE, ARRANGED, &[("send", "STOR x"), ("expect", "125"), ("expect", "226")]].concat());
    scene.end();
}

#[test]
fn what_else_is_wrong_is_told_first() {
    let begin = [AUTH, LOGIN].concat();
    let check = |steps: &[(&str, &str)]| check(strict(), &[&begin, steps].concat());
    check(&[("send", "RETR a"), ("expect", "503 sequence.nothing-arranged")]);
    check(&[("send", "PASV"), ("expect", "227"), ("wait", "60000"), ("send", "LIST"), ("expect", "425")]);
    let broken: &[_] = &[("send", "REST 5"), ("expect", "350"), ("send", "CWD d"), ("expect", "250")];
    let told: &[_] = &[("send", "RETR a"), ("expect", "503 sequence.rest-not-followed")];
    check(&[ARRANGED, broken, told].concat());
    // The refusal takes the REST with it.
    let rest: &[_] = &[("send", "TYPE I"), ("expect", "200"), ("send", "REST 5"), ("expect", "350")];
    let refused: &[_] = &[("send", "RETR a"), ("expect", "521")];
    let whole: &[_] = &[("send", "RETR a"), ("expect", "150"), ("expect", "226 transfer.sent 100")];
    check(&[ARRANGED, rest, refused, PRIVATE, whole].concat());
    check(&[ARRANGED, refused, &[("send", "ABOR"), ("expect", "226 abort.done")]].concat());
}

#[test]
fn rest_survives_prot() {
    let image: &[_] = &[("send", "TYPE I"), ("expect", "200"), ("send", "PBSZ 0"), ("expect", "200")];
    for prot in ["PROT P", "PROT C", "PROT S", "PROT X"] {
        let steps: &[_] = &[
            ("send", "REST 40"),
            ("expect", "350"),
            ("send", prot),
            ("expect", ""),
            ("send", "PASV"),
            ("expect", "227"),
            ("send", "RETR a"),
            ("expect", "150"),
            ("expect", "226 transfer.sent 60"),
        ];
        check(explicit(), &[AUTH, LOGIN, image, steps].concat());
    }
    // The others of its company come between.
    for other in ["PBSZ 0", "CCC", "AUTH TLS"] {
        let steps: &[_] = &[
            ("send", "REST 40"),
            ("expect", "350"),
            ("send", other),
            ("expect", ""),
            ("send", "PASV"),
            ("expect", "227"),
            ("send", "RETR a"),
            ("expect", "503 sequence.rest-not-followed"),
        ];
        check(explicit(), &[AUTH, LOGIN, image, steps].concat());
    }
}

/// What the client does, what it is told, and whether that takes the whole time for connecting.
const FAILURES: &[(&str, &str, bool)] = &[
    ("stays silent", "522 data.tls-silent The data connection came, but no TLS on it within 30 s", true),
    ("speaks clear", "522 data.not-tls The data connection began in clear, and PROT P is in force", false),
    ("breaks TLS", "522 data.tls-failed TLS on the data connection failed: the client broke it off", false),
    (
        "comes anew",
        "522 data.tls-not-resumed TLS on the data connection must resume the control connection's session (data_session = require), but it began a new session",
        false,
    ),
];

#[test]
fn others_who_prove_nothing_are_no_firewall() {
    let mut scene = private();
    scene.play(ARRANGED);
    scene.play(&[("client", "sends others"), ("send", "RETR a"), ("expect", "150"), ("wait", "30000")]);
    scene.play(&[(
        "expect",
        "425 data.only-unproved Only connections from other addresses than 192.0.2.7 came to port",
    )]);
}

#[test]
fn tls_that_does_not_come_about_is_told_after_the_mark() {
    for (client, expected, waits) in FAILURES {
        for line in TRANSFERS {
            for arrange in [ARRANGED, ACTIVE] {
                let mut scene = private();
                scene.play(arrange);
                scene.play(&[("client", client), ("send", line), ("expect", "150")]);
                if *waits {
                    scene.play(&[("wait", "29999"), ("nothing", ""), ("wait", "1")]);
                }
                // The part of an upload is given up, and nothing is stored.
                scene.play(&[
                    ("expect", expected),
                    ("went", "inside TLS"),
                    ("size", "/x none"),
                    ("open", ""),
                ]);
                assert_eq!(scene.world.port, None);
                assert!(scene.world.under_way().is_empty());
                let ended = scene.world.events.last();
                assert!(matches!(ended, Some(Event::TransferEnded { bytes: 0, .. })), "{ended:?}");
                // It is used up, whichever way it went.
                let next: &[_] = &[("client", "follows"), ("send", "RETR a"), ("expect", "503")];
                scene.play(
                    &[next, ARRANGED, &[("send", "RETR a"), ("expect", "150"), ("expect", "226")]].concat(),
                );
                scene.end();
            }
        }
    }
    // The answer waits for the part to be given up.
    let mut scene = private();
    scene.play(&[ARRANGED, &[("client", "comes anew"), ("hold", "abandon"), ("send", "STOR x")]].concat());
    scene.play(&[("expect", "150"), ("nothing", ""), ("answer", "abandon"), ("expect", "522")]);
    scene.end();
    // In clear none of this matters.
    for (client, ..) in FAILURES {
        let steps: &[(&str, &str)] =
            &[("client", client), ("send", "RETR a"), ("expect", "150"), ("expect", "226")];
        check(explicit(), &[AUTH, LOGIN, ARRANGED, steps].concat());
    }
}

#[test]
fn nobody_connects_to_a_protected_one() {
    let away: &[_] = &[("client", "stays away"), ("send", "RETR a"), ("expect", "150"), ("wait", "30000")];
    let strangers: &[_] =
        &[("client", "strangers 2"), ("send", "RETR a"), ("expect", "150"), ("wait", "30000")];
    let begin = [AUTH, LOGIN, PRIVATE].concat();
    check(explicit(), &[&begin, ARRANGED, away, &[("expect", "425 data.no-connection")]].concat());
    check(explicit(), &[&begin, ARRANGED, strangers, &[("expect", "425 data.only-strangers")]].concat());
    check(explicit(), &[&begin, ACTIVE, away, &[("expect", "425 data.no-answer")]].concat());
}

#[test]
fn what_ends_a_transfer_while_its_tls_begins() {
    for line in ["RETR a", "LIST", "STOR x"] {
        for arrange in [ARRANGED, ACTIVE] {
            let begun = [arrange, &[("client", "stays silent"), ("send", line), ("expect", "150")]].concat();
            let mut scene = private();
            scene.play(&begun);
            scene.play(&[("send", "NOOP"), ("expect", "200"), ("send", "ABOR")]);
            scene.play(&[
                ("expect", "426 transfer.aborted Stopped by ABOR after 0 bytes"),
                ("expect", "226 abort.done"),
                ("size", "/x none"),
            ]);
            scene.end();

            let mut scene = private();
            scene.play(&begun);
            scene.play(&[("shutdown", ""), ("expect", "426 transfer.shutdown"), ("expect", "421")]);
            scene.play(&[("closed", ""), ("size", "/x none")]);
            scene.end();

            // Whoever drains waits for its end.
            let mut scene = private();
            scene.play(&begun);
            scene.play(&[("drain", ""), ("wait", "29999"), ("nothing", ""), ("wait", "1")]);
            scene.play(&[("expect", "522 data.tls-silent"), ("expect", "421"), ("closed", "")]);
            scene.end();

            let mut scene = private();
            scene.play(&begun);
            scene.play(&[("reset", ""), ("expect", "426 transfer.control-lost"), ("closed", "")]);
            scene.end();

            // A client that only says no more may still bring its upload to an end, for a while.
            let mut scene = private();
            scene.play(&begun);
            scene.play(&[("end", "")]);
            if is_upload(line) {
                scene.play(&[("nothing", ""), ("wait", "4999"), ("nothing", ""), ("wait", "1")]);
            }
            scene.play(&[("expect", "426 transfer.control-lost"), ("closed", ""), ("size", "/x none")]);
            scene.end();
        }
    }
}

#[test]
fn a_handshake_that_ends_in_the_last_moment() {
    // The deadline and the end of the handshake cross: what came about counts.
    let begun: &[_] = &[("hold", "establish"), ("send", "RETR a"), ("expect", "150"), ("wait", "30000")];
    let mut scene = private();
    scene.play(&[ARRANGED, begun].concat());
    assert!(scene.world.is_cancelled(Kind::Establish));
    scene.play(&[("answer", "establish established"), ("expect", "226 transfer.sent")]);
    scene.end();
    let mut scene = private();
    scene.play(&[ARRANGED, begun].concat());
    scene.play(&[("answer", "establish handshake cancelled"), ("expect", "522 data.tls-silent")]);
    scene.end();
    // Its failure and an ABOR cross.
    let begun: &[_] =
        &[("hold", "establish"), ("client", "breaks TLS"), ("send", "STOR x"), ("expect", "150")];
    let mut scene = private();
    scene.play(&[ARRANGED, begun, &[("send", "ABOR"), ("answer", "establish")]].concat());
    scene.play(&[("expect", "426 transfer.aborted"), ("expect", "226"), ("size", "/x none")]);
    scene.end();
}

/// A transfer that is cut, what it is told, and in which TYPE.
const CUTS: &[(&str, &str, &str, &str)] = &[
    (
        "RETR a",
        "TYPE I",
        "breaks TLS 7",
        "426 transfer.tls-broken TLS on the data connection ended early after 7 bytes were sent; to go on send REST",
    ),
    ("RETR a", "TYPE A", "breaks TLS 7", "426 transfer.tls-broken-anew"),
    // A client that ends without a word while it receives has ended too early, no more.
    ("RETR a", "TYPE I", "without close_notify 7", "426 transfer.tls-broken TLS"),
    ("MLSD", "TYPE I", "without close_notify 7", "426 transfer.tls-broken-anew"),
    ("LIST", "TYPE I", "breaks TLS 7", "426 transfer.tls-broken-anew"),
    ("NLST", "TYPE A", "breaks TLS 7", "426 transfer.tls-broken-anew"),
    ("MLSD", "TYPE I", "breaks TLS 7", "426 transfer.tls-broken-anew"),
    (
        "STOR x",
        "TYPE I",
        "breaks TLS 7",
        "426 transfer.upload-tls-broken-kept TLS on the data connection broke after 7 bytes; 7 bytes of /x are kept",
    ),
    ("STOR x", "TYPE A", "breaks TLS 7", "426 transfer.upload-tls-broken TLS"),
    ("STOR a", "TYPE I", "breaks TLS 7", "426 transfer.upload-tls-broken TLS"),
    ("APPE x", "TYPE I", "breaks TLS 7", "426 transfer.upload-tls-broken-kept"),
    ("STOU x", "TYPE I", "breaks TLS 7", "426 transfer.upload-tls-broken TLS"),
    (
        "STOR x",
        "TYPE I",
        "without close_notify 7",
        "426 transfer.upload-no-close-notify-kept The data connection ended after 7 bytes without TLS close_notify",
    ),
    ("STOR x", "TYPE A", "without close_notify 7", "426 transfer.upload-no-close-notify The"),
    ("APPE x", "TYPE I", "without close_notify 7", "426 transfer.upload-no-close-notify-kept"),
    ("STOU x", "TYPE I", "without close_notify 7", "426 transfer.upload-no-close-notify The"),
    ("STOR x", "TYPE I", "breaks TLS 0", "426 transfer.upload-tls-broken TLS"),
];

#[test]
fn protected_transfers_that_are_cut() {
    for (line, representation, transfer, expected) in CUTS {
        for arrange in [ARRANGED, ACTIVE] {
            let mut scene = private();
            scene.play(&[("send", representation), ("expect", "200")]);
            scene.play(arrange);
            scene.play(&[("transfer", transfer), ("send", line), ("expect", "150"), ("expect", expected)]);
            // What was there stays as it was.
            scene.play(&[("size", "/a 100"), ("size", "/x none"), ("send", "NOOP"), ("expect", "200")]);
            scene.end();
        }
    }
}

#[test]
fn tls_where_it_is_not_wanted() {
    for line in ["STOR x", "STOU x", "APPE x", "STOR a"] {
        for representation in ["TYPE I", "TYPE A"] {
            let begin: &[_] = &[("send", representation), ("expect", "200")];
            let told = "426 transfer.upload-tls-unexpected The client began TLS on a data connection that is in clear by PROT C, and nothing is stored";
            let steps: &[_] = &[
                ("transfer", "unexpected TLS 0"),
                ("send", line),
                ("expect", "150"),
                ("expect", told),
                ("size", "/x none"),
                ("size", "/a 100"),
            ];
            check(explicit(), &[AUTH, LOGIN, begin, ARRANGED, steps].concat());
            check(explicit(), &[LOGIN, begin, ARRANGED, steps].concat());
        }
    }
}
