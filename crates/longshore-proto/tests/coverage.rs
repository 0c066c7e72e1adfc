//! Every answer that the table of commands allows is given at least once, by the session itself.
//!
//! The reverse, that the session gives no other, is asserted whenever it answers.
//! Not inside: whether an answer is the right one; that is `dialogues`.

mod common;

use std::collections::BTreeSet;

use common::{Kind, Scene, Work, World, logged_in};
use longshore_proto::reply::Situation;
use longshore_proto::server::{DataEvent, End, Policy, StorageOutcome, TlsNeed, TlsOffer, TlsPolicy};
use longshore_proto::verbs::{Argument, Direction, Failure, Failures, Legal, VERBS, Verb};

type Pairs = BTreeSet<(Option<Verb>, Situation)>;

/// The end of a session may come at any command, and does not ask which: once each must do.
const AT_ANY_COMMAND: &[Situation] = &[Situation::Idle, Situation::LoginTimeout, Situation::Shutdown];

/// Said by the server around a session that never began, or whose own code failed; the session cannot say them.
const NOT_BY_A_SESSION: &[Situation] = &[
    Situation::Full,
    Situation::FullForAddress,
    Situation::TooFast,
    Situation::NoDescriptors,
    Situation::Fault,
];

/// What stands in every world: `/a` of 100 bytes, `/d`, `/d/x`.
fn scene() -> Scene {
    let mut scene = logged_in(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
    scene.play(&[("file", "/d/x 5")]);
    scene
}

fn collect(mut scene: Scene, pairs: &mut Pairs) {
    pairs.extend(scene.world.judge.pairs.iter().copied());
    scene.skip();
    scene.end();
}

/// Plays steps behind a login.
fn play(steps: &[(&str, &str)], pairs: &mut Pairs) {
    let mut scene = scene();
    scene.play(steps);
    collect(scene, pairs);
}

/// A line of each command that is sound as far as it goes.
fn line(verb: Verb) -> String {
    let argument = match verb {
        Verb::User => "longshore",
        Verb::Type => "I",
        Verb::Stru => "F",
        Verb::Mode => "S",
        Verb::Port => "192,0,2,7,20,1",
        Verb::Eprt => "|1|192.0.2.7|5000|",
        Verb::Allo | Verb::Rest => "5",
        Verb::Retr
        | Verb::Appe
        | Verb::Rnfr
        | Verb::Dele
        | Verb::Size
        | Verb::Mdtm
        | Verb::Mlst
        | Verb::Stat => "a",
        Verb::Cwd | Verb::Mlsd => "d",
        Verb::Stor | Verb::Stou | Verb::Mkd | Verb::Rmd | Verb::Rnto => "new",
        Verb::Mfmt => "20261120130405 a",
        Verb::Opts => "UTF8 ON",
        Verb::Site => "CHMOD 644 a",
        Verb::Auth => "TLS",
        Verb::Pbsz => "0",
        Verb::Prot => "P",
        _ => "",
    };
    format!("{} {argument}", verb.name()).trim_end().to_owned()
}

/// What must come before a command for it to be legal.
fn before(verb: Verb) -> &'static [(&'static str, &'static str)] {
    match verb {
        Verb::Rnto => &[("send", "RNFR a")],
        Verb::Size => &[("send", "TYPE I")],
        _ if verb.row().transfer.is_some() => &[("send", "PASV")],
        _ => &[],
    }
}

/// Each command: plain, before the login, with a bad argument, with nothing before it.
fn plain(pairs: &mut Pairs) {
    for row in VERBS {
        let line = line(row.verb);
        play(&[before(row.verb), &[("send", &line)]].concat(), pairs);
        play(&[("send", &line)], pairs);
        let mut scene = Scene::new(World::over_ipv4());
        scene.play(&[("send", &line)]);
        collect(scene, pairs);
        if row.argument == Argument::Checked {
            for bad in ["", " x y"] {
                play(&[before(row.verb), &[("send", &format!("{}{bad}", row.name()))]].concat(), pairs);
            }
        }
    }
}

/// Each command that asks storage, with each way in which storage refuses.
fn refused_by_storage(pairs: &mut Pairs) {
    for row in VERBS.iter().filter(|row| row.failures != Failures::None && row.legal != Legal::NotOffered) {
        fails(before(row.verb), &line(row.verb), pairs);
    }
    fails(&[], "SITE QUOTA", pairs);
}

/// A line to which storage says no, in each way.
fn fails(before: &[(&str, &str)], line: &str, pairs: &mut Pairs) {
    for &failure in Failure::ALL {
        let mut scene = scene();
        scene.play(before);
        scene.play(&[("hold", "storage"), ("send", line)]);
        scene.world.answer_storage(Kind::Storage, StorageOutcome::Failed(failure));
        collect(scene, pairs);
    }
}

/// Each transfer in each state of the arrangement, with each end, stopped in each step.
fn transfers(pairs: &mut Pairs) {
    const ARRANGED: &[&[(&str, &str)]] = &[
        &[("send", "PASV"), ("client", "stands")],
        &[("send", "PASV"), ("client", "follows")],
        &[("send", "PASV"), ("client", "stays away")],
        &[("send", "PASV"), ("client", "strangers 2")],
        &[("send", "PORT 192,0,2,7,20,1"), ("client", "follows")],
        &[("send", "PORT 192,0,2,7,20,1"), ("client", "refuses")],
        &[("send", "PORT 192,0,2,7,20,1"), ("client", "is unreachable")],
        &[("send", "PORT 192,0,2,7,20,1"), ("client", "stays away")],
        &[],
        &[("send", "PASV"), ("wait", "60000")],
        &[("send", "PASV"), ("send", "STOR d")],
    ];
    for row in VERBS.iter().filter(|row| row.transfer.is_some()) {
        let line = line(row.verb);
        let send: &[_] = &[("send", line.as_str())];
        for arranged in ARRANGED {
            play(&[arranged, send, &[("wait", "30000")]].concat(), pairs);
        }
        for restart in [
            &[("send", "REST 5"), ("send", "PASV")][..],
            &[("send", "REST 5"), ("send", "CWD /"), ("send", "PASV")],
        ] {
            play(&[restart, send].concat(), pairs);
        }
        for held in ["storage", "probe", "establish", "move", "commit"] {
            if held == "commit" && row.transfer == Some(Direction::Send) {
                continue;
            }
            for stop in [("send", "ABOR"), ("shutdown", ""), ("end", ""), ("reset", "")] {
                play(
                    &[before(row.verb), &[("hold", held)], send, &[stop, ("release", held)]].concat(),
                    pairs,
                );
            }
        }
        for failure in Failure::ALL {
            ended(row.verb, End::Storage(*failure), pairs);
            if row.transfer == Some(Direction::Receive) {
                let fails = format!("commit fails {failure:?}");
                play(&[before(row.verb), &[("hold", "commit")], send, &[("answer", &fails)]].concat(), pairs);
            }
        }
        for end in [End::Complete, End::Reset, End::Stalled] {
            ended(row.verb, end, pairs);
            // Octet by octet, a cut transfer can be taken up again.
            let mut scene = scene();
            scene.play(&[("send", "TYPE I"), ("send", "PASV"), ("hold", "move"), ("send", &line)]);
            finish(&mut scene, end);
            collect(scene, pairs);
        }
    }
    ended(Verb::Retr, End::Shrank, pairs);
    for row in VERBS.iter().filter(|row| row.transfer.is_some()) {
        kept_connections(&line(row.verb), row.transfer == Some(Direction::Receive), pairs);
    }
    // A part of a file that was there before APPE is not kept beside it.
    for end in ["reset 7", "stalls 7"] {
        play(&[("send", "TYPE I"), ("send", "PASV"), ("transfer", end), ("send", "APPE new")], pairs);
    }
}

/// A transfer in block mode: its connection stays, is cut, and what can be wrong with what comes on it.
fn kept_connections(line: &str, upload: bool, pairs: &mut Pairs) {
    let begin: &[_] = &[("send", "MODE B"), ("send", "TYPE I"), ("send", "PASV")];
    let send: &[_] = &[("send", line)];
    play(&[begin, send, send].concat(), pairs);
    play(&[begin, &[("transfer", "reset 7")], send, send].concat(), pairs);
    play(&[begin, &[("send", "STRU P"), ("send", "REST 5")], send].concat(), pairs);
    if !upload {
        return;
    }
    for end in ["cut 0", "cut 7", "malformed 7", "unknown page 7"] {
        play(&[begin, &[("transfer", end)], send].concat(), pairs);
        let unique = line.replace("STOR a", "STOR new").replace("APPE a", "APPE new");
        play(&[begin, &[("transfer", end), ("send", &unique)]].concat(), pairs);
    }
    play(
        &[begin, &[("transfer", "goes on 7")], send, &[("marker", "m 7"), ("transfer", "complete 7")]]
            .concat(),
        pairs,
    );
}

/// A transfer whose bytes come to this end.
fn ended(verb: Verb, end: End, pairs: &mut Pairs) {
    let mut scene = scene();
    scene.play(before(verb));
    scene.play(&[("hold", "move"), ("send", &line(verb))]);
    finish(&mut scene, end);
    collect(scene, pairs);
}

/// The bytes have moved, seven of them.
fn finish(scene: &mut Scene, end: End) {
    let Some(Work::Move(job)) = scene.world.work(Kind::Move) else { return };
    let kept = World::may_keep(end, job);
    scene.world.answer_data(Kind::Move, DataEvent::Finished { bytes: 7, end, kept });
}

/// What has its own conditions.
fn particular(pairs: &mut Pairs) {
    let scripts: &[&[(&str, &str)]] = &[
        &[("send", "USER x"), ("send", "PASS secret")],
        &[
            ("send", "USER x"),
            ("send", "PASS wrong"),
            ("wait", "1000"),
            ("send", "USER x"),
            ("send", "PASS wrong"),
            ("wait", "2000"),
            ("send", "USER x"),
            ("send", "PASS wrong"),
            ("wait", "3000"),
        ],
        &[("hold", "login"), ("send", "USER x"), ("send", "PASS secret"), ("answer", "login banned 60")],
        &[("send", "USER x"), ("wait", "60000")],
        &[("wait", "300000")],
        &[("shutdown", "")],
        &[("send", "RMD d"), ("send", "DELE d/x"), ("send", "RMD d")],
        &[("send", "TYPE E T"), ("send", "STRU R"), ("send", "MODE B")],
        &[("send", "TYPE L 7"), ("send", "MODE Z")],
        &[
            ("send", "EPSV ALL"),
            ("send", "PASV"),
            ("send", "PORT 192,0,2,7,20,1"),
            ("send", "EPRT |1|192.0.2.7|5000|"),
        ],
        &[("send", "PORT 192,0,2,8,20,1"), ("send", "EPRT |1|192.0.2.8|5000|")],
        &[("send", "PORT 192,0,2,7,0,1"), ("send", "EPRT |1|192.0.2.7|5|")],
        &[("send", "EPRT |2|::1|5000|"), ("send", "EPSV 2")],
        &[("ports", "none"), ("send", "PASV"), ("send", "EPSV")],
        &[("ports", "without sockets"), ("send", "PASV"), ("send", "EPSV")],
        &[("send", "")],
        &[
            ("send", "ALLO 2000000"),
            ("hold", "storage"),
            ("send", "ALLO 5"),
            ("answer", "storage fails Unsupported"),
        ],
        &[("send", "PASV"), ("send", "ABOR"), ("send", "ABOR")],
        &[("send", "STAT"), ("send", "STAT d"), ("send", "STAT a")],
        &[("send", "TYPE I"), ("send", "SIZE a"), ("send", "TYPE A"), ("send", "SIZE a")],
        &[("send", "OPTS MLST size;"), ("send", "OPTS XYZZY")],
        &[("send", "HELP"), ("send", "HELP RETR"), ("send", "HELP XYZZY")],
        &[("send", "SITE HELP"), ("send", "SITE QUOTA"), ("send", "SITE XYZZY")],
        &[("send", "XYZZY"), ("bytes", "a\\0b\\r\\n")],
        &[("send", "QUIT")],
    ];
    for script in scripts {
        play(script, pairs);
    }
    let mut scene = scene();
    scene.world.files.crowded = true;
    scene.play(&[("send", "STAT d"), ("send", &"x".repeat(5000))]);
    collect(scene, pairs);
    let mut scene =
        logged_in(Policy::default(), World::connection("[2001:db8::1]:21", "[2001:db8::7]:40000"));
    scene.play(&[("send", "PASV")]);
    collect(scene, pairs);
    let policy = Policy { clear_passwords: false, ..Policy::default() };
    let mut scene = logged_in(policy, World::connection("192.0.2.1:21", "192.0.2.7:40000"));
    scene.play(&[("send", "USER longshore")]);
    collect(scene, pairs);
    let policy = Policy { deflate: true, ..Policy::default() };
    let mut scene = logged_in(policy, World::connection("192.0.2.1:21", "192.0.2.7:40000"));
    scene.play(&[
        ("send", "OPTS MODE Z LEVEL 9"),
        ("send", "OPTS MODE Z KEEP 1"),
        ("send", "OPTS MODE Z KEEP 0"),
    ]);
    collect(scene, pairs);
    for first in ["GET / HTTP/1.1", &"x".repeat(5000)] {
        let mut scene = Scene::new(World::over_ipv4());
        scene.play(&[("send", first)]);
        collect(scene, pairs);
    }
}

/// A world with TLS, in which nothing was said yet.
fn tls_scene(offer: TlsOffer, need: TlsNeed) -> Scene {
    let tls = TlsPolicy { offer, need, allow_ccc: false };
    let policy = Policy { tls, ..Policy::default() };
    let mut scene = Scene::new(World::new(policy, World::connection("192.0.2.1:2121", "192.0.2.7:40000")));
    scene.play(&[("file", "/a 100"), ("directory", "/d"), ("file", "/d/x 5")]);
    scene
}

const LOGIN: &[(&str, &str)] = &[("send", "USER longshore"), ("send", "PASS secret")];
const PROTECT: &[(&str, &str)] = &[("send", "AUTH TLS"), ("send", "PBSZ 0"), ("send", "PROT P")];

/// What belongs to the control connection and TLS.
fn protected_control(pairs: &mut Pairs) {
    use TlsNeed::{Data, Login, Nothing};
    use TlsOffer::{Explicit, NoCertificate, Off};
    let wrong: &[_] = &[("send", "USER x"), ("send", "PASS wrong"), ("wait", "1000")];
    let certificate: &[_] =
        &[("handshake", "with certificate"), ("send", "AUTH TLS"), ("send", "USER longshore")];
    let banned: &[_] = &[
        ("handshake", "with certificate"),
        ("hold", "login"),
        ("send", "AUTH TLS"),
        ("send", "USER x"),
        ("answer", "login banned 5"),
    ];
    let behind: &[_] = &[("bytes", "AUTH TLS\\r\\nNOOP\\r\\n")];
    type Script<'a> = &'a [(&'a str, &'a str)];
    let scripts: &[(TlsOffer, TlsNeed, Script<'_>)] = &[
        (
            NoCertificate,
            Nothing,
            &[("send", "AUTH TLS"), ("send", "CCC"), ("send", "PBSZ 0"), ("send", "PROT P")],
        ),
        (Off, Nothing, &[("send", "AUTH TLS")]),
        (Explicit, Nothing, &[("send", "AUTH XYZZY"), ("send", "AUTH TLS"), ("send", "AUTH TLS")]),
        (Explicit, Nothing, behind),
        (Explicit, Nothing, wrong),
        (Explicit, Nothing, certificate),
        (Explicit, Nothing, banned),
        (Explicit, Login, &[("send", "USER x")]),
        (
            Explicit,
            Nothing,
            &[PROTECT, &[("send", "PROT C"), ("send", "PROT S"), ("send", "PROT X")]].concat(),
        ),
        (Explicit, Data, &[PROTECT, &[("send", "PROT C"), ("send", "CCC")]].concat()),
        (Explicit, Nothing, &[PROTECT, LOGIN, &[("send", "REIN")]].concat()),
    ];
    for (offer, need, script) in scripts {
        let mut scene = tls_scene(*offer, *need);
        scene.play(script);
        collect(scene, pairs);
    }
    let tls = TlsPolicy { offer: Explicit, need: Nothing, allow_ccc: true };
    let policy = Policy { tls, ..Policy::default() };
    let mut scene = Scene::new(World::new(policy, World::connection("192.0.2.1:21", "192.0.2.7:40000")));
    scene.play(&[("send", "AUTH TLS"), ("send", "CCC")]);
    collect(scene, pairs);
}

/// Each transfer whose protection is too low, does not come about, or breaks.
fn protected_transfers(pairs: &mut Pairs) {
    for row in VERBS.iter().filter(|row| row.transfer.is_some()) {
        let line = line(row.verb);
        let send: &[_] = &[("send", "PASV"), ("send", &line), ("wait", "30000")];
        let mut scene = tls_scene(TlsOffer::Explicit, TlsNeed::Data);
        scene.play(&[&[("send", "AUTH TLS")], LOGIN, send].concat());
        collect(scene, pairs);
        for client in ["stays silent", "speaks clear", "breaks TLS", "comes anew", "sends others"] {
            let mut scene = tls_scene(TlsOffer::Explicit, TlsNeed::Nothing);
            scene.play(&[PROTECT, LOGIN, &[("client", client)], send].concat());
            collect(scene, pairs);
        }
        // Octet by octet, a cut transfer can be taken up again, unless a file of that name stands there.
        for representation in ["TYPE A", "TYPE I"] {
            for transfer in ["breaks TLS 7", "without close_notify 7", "unexpected TLS 7"] {
                for protect in [PROTECT, &[]] {
                    let cut: &[_] = &[("send", representation), ("transfer", transfer)];
                    let mut scene = tls_scene(TlsOffer::Explicit, TlsNeed::Nothing);
                    scene.play(&[protect, LOGIN, cut, send].concat());
                    if row.verb == Verb::Appe {
                        scene.play(&[("send", "PASV"), ("send", "APPE new")]);
                    }
                    collect(scene, pairs);
                }
            }
        }
    }
}

fn all() -> Pairs {
    let mut pairs = Pairs::new();
    plain(&mut pairs);
    refused_by_storage(&mut pairs);
    transfers(&mut pairs);
    particular(&mut pairs);
    protected_control(&mut pairs);
    protected_transfers(&mut pairs);
    pairs
}

#[test]
fn every_answer_that_a_command_may_have_is_given() {
    let pairs = all();
    let allowed: Pairs = VERBS
        .iter()
        .flat_map(|row| Situation::ALL.iter().map(move |situation| (row, *situation)))
        .filter(|(row, situation)| row.may_answer(*situation))
        .map(|(row, situation)| (Some(row.verb), situation))
        .collect();
    let general = |situation| AT_ANY_COMMAND.contains(&situation) || NOT_BY_A_SESSION.contains(&situation);
    let missing: Vec<String> = allowed
        .difference(&pairs)
        .filter(|(_, situation)| !general(*situation))
        .map(|(verb, situation)| format!("{} {}", verb.map_or("", Verb::name), situation.id()))
        .collect();
    assert!(missing.is_empty(), "{} answers are never given:\n{}", missing.len(), missing.join("\n"));
    let strange: Vec<_> =
        pairs.iter().filter(|(verb, _)| verb.is_some()).filter(|pair| !allowed.contains(pair)).collect();
    assert!(strange.is_empty(), "not in the table: {strange:?}");
}

#[test]
fn every_situation_arises() {
    let pairs = all();
    for &situation in Situation::ALL {
        let arises = pairs.iter().any(|(_, said)| *said == situation);
        assert_ne!(arises, NOT_BY_A_SESSION.contains(&situation), "{}", situation.id());
    }
}
