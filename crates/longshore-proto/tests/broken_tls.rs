//! Sessions that are broken on purpose in what they protect, each of which the judge must notice.
//!
//! Not inside: what else can be broken; that is `broken`.

mod common;

use common::{Handshake, Kind, Tamper, World};
use longshore_proto::line::Line;
use longshore_proto::reply::{Reply, Situation};
use longshore_proto::server::{
    Credential, DataOp, Ending, Event, LoginRequest, Output, Policy, Protection, TlsNeed, TlsOffer, TlsPolicy,
};

const STRICT: TlsPolicy = TlsPolicy { offer: TlsOffer::Explicit, need: TlsNeed::Nothing, allow_ccc: false };
const LENIENT: TlsPolicy = TlsPolicy { allow_ccc: true, ..STRICT };
const LOGIN: TlsPolicy = TlsPolicy { need: TlsNeed::Login, ..STRICT };
const DATA: TlsPolicy = TlsPolicy { need: TlsNeed::Data, ..STRICT };
const IMPLICIT: TlsPolicy = TlsPolicy { offer: TlsOffer::Implicit, ..STRICT };

const ENTER: &[&str] = &["AUTH TLS", "USER longshore\r\nPASS secret"];

fn world(tls: TlsPolicy) -> World {
    let policy = Policy { tls, ..Policy::default() };
    let mut world = World::new(policy, World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
    world.files.add_file(b"/a", 100);
    world.tolerant = true;
    world
}

/// What the judge objects to when these are sent one after the other.
fn objections(tls: TlsPolicy, lines: &[&str], tamper: Option<Tamper>) -> String {
    let mut world = world(tls);
    world.tamper = tamper;
    for lines in lines {
        world.send_line(lines);
    }
    world.judge.violations.join("\n")
}

/// The judge has nothing against the session as it is, and this against one whose outputs are changed on their way.
#[track_caller]
fn broken(
    tls: TlsPolicy,
    lines: &[&str],
    complaint: &str,
    tamper: impl FnMut(Output) -> Vec<Output> + 'static,
) {
    assert_eq!(objections(tls, lines, None), "", "nothing is broken yet");
    let objections = objections(tls, lines, Some(Box::new(tamper)));
    assert!(objections.contains(complaint), "{complaint:?} is not among\n{objections}");
}

/// Each reply of one situation becomes these outputs.
fn instead(from: Situation, to: fn() -> Vec<Output>) -> impl FnMut(Output) -> Vec<Output> {
    move |output| match output {
        Output::Reply(reply) | Output::StopTls(reply) if reply.situation == from => to(),
        output => vec![output],
    }
}

fn reply(situation: Situation) -> Output {
    Output::Reply(full(situation))
}

/// A reply with every figure that a text may want.
fn full(situation: Situation) -> Reply {
    ["path", "account", "verb", "seconds", "detail"]
        .into_iter()
        .fold(Reply::new(situation).with("bytes", 5_u64), |reply, name| reply.with(name, "x"))
}

#[test]
fn what_is_said_while_tls_begins_is_noticed() {
    broken(STRICT, &["AUTH TLS"], "noop.done while Guard", |output| match output {
        Output::StartTls(..) => vec![output, reply(Situation::Noop)],
        output => vec![output],
    });
    // The 234 comes with the beginning, not before it and not behind it.
    broken(STRICT, &["AUTH TLS"], "tls.begins while Guard", |output| match output {
        Output::StartTls(id, _) => vec![reply(Situation::TlsBegins), Output::StartTls(id, None)],
        output => vec![output],
    });
    broken(STRICT, &["AUTH TLS"], "TLS begins with None, alone: true", |output| match output {
        Output::StartTls(id, _) => vec![Output::StartTls(id, None)],
        output => vec![output],
    });
    broken(STRICT, &["AUTH TLS"], "TLS begins with Some(Reply { situation: Noop", |output| match output {
        Output::StartTls(id, _) => vec![Output::StartTls(id, Some(full(Situation::Noop)))],
        output => vec![output],
    });
}

#[test]
fn what_is_said_behind_a_failed_handshake_is_noticed() {
    let mut world = world(STRICT);
    world.handshake = Handshake::Fails;
    world.tamper = Some(Box::new(|output| match output {
        Output::Close => vec![reply(Situation::Idle), Output::Close],
        Output::Event(Event::Ended { .. }) => vec![Output::Event(Event::Ended { why: Ending::Closed })],
        output => vec![output],
    }));
    world.send_line("AUTH TLS");
    let objections = world.judge.violations.join("\n");
    for complaint in ["session.idle while Guard", "ended for Closed, and TLS failed: true"] {
        assert!(objections.contains(complaint), "{complaint:?} is not among\n{objections}");
    }
}

#[test]
fn a_tls_that_failed_and_did_not_is_noticed() {
    broken(
        STRICT,
        &["AUTH TLS", "QUIT"],
        "ended for TlsFailed, and TLS failed: false",
        |output| match output {
            Output::Event(Event::Ended { .. }) => {
                vec![Output::Event(Event::Ended { why: Ending::TlsFailed })]
            }
            output => vec![output],
        },
    );
    // While it begins nobody may be left without one of the reasons.
    broken(STRICT, &["AUTH TLS"], "closed without a 421", |output| match output {
        Output::StartTls(..) => vec![output, Output::Close],
        output => vec![output],
    });
}

#[test]
fn a_line_that_is_taken_while_tls_begins_is_noticed() {
    let mut world = world(STRICT);
    world.held = vec![Kind::Tls];
    world.send_line("AUTH TLS");
    world.hand_in_line(Line::Command(b"NOOP"));
    let objections = world.judge.violations.join("\n");
    assert!(objections.contains("was taken while TLS begins"), "{objections}");
}

#[test]
fn tls_that_begins_with_something_behind_it_is_noticed() {
    let mut world = world(STRICT);
    world.tamper = Some(Box::new(|output| match output {
        // As if nobody had looked at what waits.
        Output::Reply(reply) if reply.situation == Situation::BytesBehindAuth => {
            let id = longshore_proto::server::OperationId(100);
            vec![Output::StartTls(id, Some(full(Situation::TlsBegins)))]
        }
        output => vec![output],
    }));
    world.hold_back(true);
    world.send(b"AUTH TLS\r\nNOOP\r\n");
    world.hold_back(false);
    let objections = world.judge.violations.join("\n");
    assert!(objections.contains("alone: false"), "{objections}");
}

#[test]
fn a_login_that_outlives_auth_is_noticed() {
    let lines = &["USER longshore\r\nPASS secret", "AUTH TLS"];
    broken(STRICT, lines, "TLS begins while somebody is logged in", |output| match output {
        Output::Logout => vec![],
        output => vec![output],
    });
}

#[test]
fn an_end_of_tls_that_is_not_allowed_is_noticed() {
    let ccc = || vec![Output::StopTls(full(Situation::ControlClear))];
    let rein = || vec![Output::StopTls(full(Situation::Reset))];
    broken(STRICT, &["AUTH TLS", "CCC"], "tls.ccc ends TLS", instead(Situation::CccRefused, ccc));
    broken(STRICT, &["CCC"], "tls.ccc ends TLS", instead(Situation::CccInClear, ccc));
    let mut lines = ENTER.to_vec();
    lines.push("REIN");
    broken(STRICT, &lines, "session.reset ends TLS", instead(Situation::ReinRefused, rein));
    // An implicit listener knows nothing else, whatever is allowed.
    let implicit = TlsPolicy { allow_ccc: true, ..IMPLICIT };
    broken(implicit, &[ENTER[1], "REIN"], "session.reset ends TLS", instead(Situation::Reset, rein));
    // Nor does any other answer end it.
    let noop = || vec![Output::StopTls(full(Situation::Noop))];
    broken(LENIENT, &["AUTH TLS", "NOOP"], "noop.done ends TLS", instead(Situation::Noop, noop));
}

#[test]
fn an_end_of_tls_that_does_not_come_is_noticed() {
    let ccc = || vec![reply(Situation::ControlClear)];
    let rein = || vec![reply(Situation::Reset)];
    broken(LENIENT, &["AUTH TLS", "CCC"], "tls.ccc while Guard", instead(Situation::ControlClear, ccc));
    let mut lines = ENTER.to_vec();
    lines.push("REIN");
    broken(LENIENT, &lines, "session.reset while Guard", instead(Situation::Reset, rein));
}

#[test]
fn what_is_said_in_the_wrong_place_is_noticed() {
    use Situation::*;
    // The rules, what is sent, and which answer becomes which other.
    let cases: &[(TlsPolicy, &[&str], Situation, Situation)] = &[
        (LOGIN, &["USER x"], TlsNeeded, PasswordWanted),
        (STRICT, &["PBSZ 0"], PbszInClear, BufferSizeSet),
        (STRICT, &["AUTH TLS", "PROT P"], ProtWithoutPbsz, ProtPrivate),
        (DATA, &["AUTH TLS", "PBSZ 0", "PROT C"], ProtClearRefused, ProtClear),
        (STRICT, &["AUTH TLS", "AUTH TLS"], AuthInsideTls, TlsNoCertificate),
        (STRICT, &["AUTH TLS", "CCC"], CccRefused, CccInClear),
        (STRICT, &["AUTH TLS", "USER x"], PasswordWanted, LoggedInByCertificate),
        (STRICT, &["AUTH TLS", "USER x"], PasswordWanted, TlsNeeded),
    ];
    for (tls, lines, from, to) in cases {
        let to = *to;
        let from = *from;
        broken(*tls, lines, &format!("{} while Guard", to.id()), move |output| match output {
            Output::Reply(reply) if reply.situation == from => vec![self::reply(to)],
            output => vec![output],
        });
    }
    let welcome = || vec![reply(LoggedInByCertificate)];
    let lines = &["AUTH TLS", "USER x"];
    broken(STRICT, lines, "login.by-certificate and nobody is logged in", instead(PasswordWanted, welcome));
}

#[test]
fn a_greeting_in_clear_is_noticed() {
    let policy = Policy { tls: IMPLICIT, ..Policy::default() };
    let connection = World::connection("192.0.2.1:990", "192.0.2.7:40000");
    let mut world = World::holding(policy, connection, &[Kind::Tls]);
    world.tolerant = true;
    world.judge.output(&reply(Situation::Greeting));
    let objections = world.judge.violations.join("\n");
    assert!(objections.contains("session.greeting while Guard"), "{objections}");
}

#[test]
fn a_credential_that_cannot_be_is_noticed() {
    let with = |credential: fn() -> Credential| {
        move |output| match output {
            Output::Login(id, LoginRequest { user, .. }) => {
                vec![Output::Login(id, LoginRequest { user, credential: credential() })]
            }
            output => vec![output],
        }
    };
    let password = || Credential::Password(longshore_proto::command::Secret(b"secret".to_vec()));
    broken(STRICT, ENTER, "Certificate for Some(Pass) while", with(|| Credential::Certificate));
    let mut world = world(STRICT);
    world.handshake = Handshake::Succeeds { certificate: true };
    world.tamper = Some(Box::new(with(password)));
    world.send_line("AUTH TLS");
    world.send_line("USER longshore");
    let objections = world.judge.violations.join("\n");
    assert!(objections.contains("for Some(User) while Guard"), "{objections}");
}

/// A transfer with this in force.
fn transfer(prot: &'static str) -> Vec<&'static str> {
    let mut lines = ENTER.to_vec();
    lines.extend(["PBSZ 0", prot, "PASV", "RETR a"]);
    lines
}

fn other(protection: Protection) -> Protection {
    match protection {
        Protection::Clear => Protection::Private,
        Protection::Private => Protection::Clear,
    }
}

#[test]
fn a_data_connection_of_the_wrong_protection_is_noticed() {
    for (prot, complaint) in [("PROT P", "instead of Private"), ("PROT C", "instead of Clear")] {
        broken(STRICT, &transfer(prot), complaint, |output| match output {
            Output::Data(id, DataOp::Establish(mut channel)) => {
                channel.protection = other(channel.protection);
                vec![Output::Data(id, DataOp::Establish(channel))]
            }
            output => vec![output],
        });
        broken(STRICT, &transfer(prot), complaint, |output| match output {
            Output::Data(id, DataOp::Move(mut job)) => {
                job.protection = other(job.protection);
                vec![Output::Data(id, DataOp::Move(job))]
            }
            output => vec![output],
        });
    }
    // What PROT said in between is for the next transfer.
    let mut lines = transfer("PROT P");
    lines.extend(["PASV", "PROT C", "RETR a"]);
    let mut before = None;
    broken(STRICT, &lines, "instead of Clear", move |output| match output {
        Output::Data(id, DataOp::Move(mut job)) => {
            job.protection = *before.get_or_insert(job.protection);
            vec![Output::Data(id, DataOp::Move(job))]
        }
        output => vec![output],
    });
}

#[test]
fn a_transfer_in_clear_that_must_be_protected_is_noticed() {
    let mut lines = ENTER.to_vec();
    lines.extend(["PASV", "RETR a"]);
    let mark = || vec![reply(Situation::MarkOpening)];
    broken(DATA, &lines, "transfer.opening while Guard", instead(Situation::ProtectionNeeded, mark));
    // A refusal that nothing asks for.
    let refused = || vec![reply(Situation::ProtectionNeeded)];
    broken(STRICT, &lines, "data.protection-needed while Guard", instead(Situation::MarkOpening, refused));
    // A 522 without a mark, and a 521 behind one.
    let late = || vec![reply(Situation::DataTlsFailed)];
    broken(DATA, &lines, "data.tls-failed without a mark", instead(Situation::ProtectionNeeded, late));
    let lines = transfer("PROT P");
    let late = || vec![reply(Situation::ProtectionNeeded)];
    broken(DATA, &lines, "data.protection-needed after the mark", instead(Situation::Sent, late));
}
