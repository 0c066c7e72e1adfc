//! Sessions that keep data connections and are broken on purpose, each of which the judge must notice.
//!
//! Not inside: what else can be broken; that is `broken` and `broken_tls`.

mod common;

use common::{Tamper, World};
use longshore_proto::reply::{Reply, Situation};
use longshore_proto::server::{DataOp, End, Output, Policy, Protection, TlsOffer, TlsPolicy};
use longshore_proto::transmission::Mode;

fn world() -> World {
    let tls = TlsPolicy { offer: TlsOffer::Explicit, ..TlsPolicy::default() };
    let policy = Policy { tls, ..Policy::default() };
    let mut world = World::new(policy, World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
    world.files.add_file(b"/a", 100);
    world.files.add_directory(b"/d");
    world.send(b"AUTH TLS\r\n");
    world.send(b"USER longshore\r\nPASS secret\r\nPBSZ 0\r\nTYPE I\r\nMODE B\r\nPASV\r\n");
    world
}

/// What the judge objects to when these lines are sent behind `MODE B` and `PASV`; each in a piece of its own, so that
/// one that is not understood any more does not hide the next.
fn objections(lines: &[&str], tamper: Option<Tamper>) -> String {
    let mut world = world();
    world.tolerant = true;
    world.tamper = tamper;
    for line in lines {
        match *line {
            "reset" => world.transfer = common::Ended::Early(7, End::Reset),
            "wait" => world.advance(std::time::Duration::from_secs(60)),
            "end" => world.end_of_input(),
            line => world.send_line(line),
        }
    }
    world.judge.violations.join("\n")
}

#[track_caller]
fn broken(lines: &[&str], complaint: &str, tamper: impl FnMut(Output) -> Vec<Output> + 'static) {
    assert_eq!(objections(lines, None), "", "nothing is broken yet");
    let objections = objections(lines, Some(Box::new(tamper)));
    assert!(objections.contains(complaint), "{complaint:?} is not among\n{objections}");
}

fn is(output: &Output, situation: Situation) -> bool {
    matches!(output, Output::Reply(reply) if reply.situation == situation)
}

/// The same reply as another situation.
fn instead(from: Situation, to: Situation) -> impl FnMut(Output) -> Vec<Output> {
    move |output| match output {
        Output::Reply(reply) if reply.situation == from => {
            vec![Output::Reply(Reply { situation: to, ..reply }.with("path", "x").with("bytes", 5_u64))]
        }
        output => vec![output],
    }
}

/// Nothing is let go.
fn clings(output: Output) -> Vec<Output> {
    match output {
        Output::Data(_, DataOp::Release) => vec![],
        output => vec![output],
    }
}

#[test]
fn a_wrong_word_about_what_stays_is_noticed() {
    broken(
        &["RETR a"],
        "transfer.sent, and the data connection stays: true",
        instead(Situation::SentKept, Situation::Sent),
    );
    broken(
        &["STOR x"],
        "transfer.stored, and the data connection stays: true",
        instead(Situation::StoredKept, Situation::Stored),
    );
    broken(
        &["MODE S", "RETR a"],
        "transfer.sent-kept, and the data connection stays: false",
        instead(Situation::Sent, Situation::SentKept),
    );
    broken(
        &["RETR a", "STOR x"],
        "transfer.opening, and the data connection stands: true",
        instead(Situation::MarkStanding, Situation::MarkOpening),
    );
}

#[test]
fn a_connection_that_is_kept_too_long_is_noticed() {
    for (lines, complaint) in [
        (&["RETR a", "STOR d"][..], "a refused upload left the data connection open"),
        (&["RETR a", "a\0b"], "a refused upload left the data connection open"),
        (&["RETR a", "MODE S"], "parameter.mode-set leaves"),
        (&["RETR a", "PROT P"], "tls.prot-private leaves"),
        (&["RETR a", "PORT 192,0,2,7,20,1"], "data.active leaves a passive port open"),
        (&["RETR a", "ABOR"], "abort.done leaves a passive port open"),
        (&["RETR a", "USER longshore"], "outlives its login"),
        (&["RETR a", "QUIT"], "closed, and a data connection is left open"),
        (&["RETR a", "end"], "closed, and a data connection is left open"),
    ] {
        broken(lines, complaint, clings);
    }
}

/// A session that goes on with what a refused upload should have closed: the next file's bytes may be the refused one's.
#[test]
fn a_transfer_behind_a_refused_upload_is_noticed() {
    broken(
        &["RETR a", "STOR d", "STOR x"],
        "transfer.begins does not follow",
        instead(Situation::ClosedByRefusal, Situation::MarkStanding),
    );
    broken(
        &["RETR a", "STOR d", "RETR a"],
        "data.connection-cut does not follow",
        instead(Situation::ClosedByRefusal, Situation::ConnectionCut),
    );
    broken(
        &["reset", "STOR x", "STOR y"],
        "data.connection-closed-by-refusal does not follow",
        instead(Situation::ConnectionCut, Situation::ClosedByRefusal),
    );
    broken(
        &["RETR a", "wait", "RETR a"],
        "sequence.nothing-arranged does not follow",
        instead(Situation::ArrangementExpired, Situation::NothingArranged),
    );
}

#[test]
fn a_connection_of_another_kind_is_noticed() {
    let as_private = |output| match output {
        Output::Data(id, DataOp::Establish(mut channel)) => {
            channel.protection = Protection::Private;
            vec![Output::Data(id, DataOp::Establish(channel))]
        }
        output => vec![output],
    };
    broken(&["RETR a", "RETR a"], "on a connection that was kept of", as_private);
    let in_mode = |output| match output {
        Output::Data(id, DataOp::Move(mut job)) => {
            job.mode = Mode::Compressed;
            vec![Output::Data(id, DataOp::Move(job))]
        }
        output => vec![output],
    };
    broken(&["RETR a"], "instead of (false, File, Block)", in_mode);
}

#[test]
fn a_marker_out_of_place_is_noticed() {
    broken(&["RETR a"], "a restart marker is told of to", |output| {
        let ends = is(&output, Situation::SentKept);
        let marker = Reply::new(Situation::RestartMarker).with("theirs", "5").with("ours", 5_u64);
        let marker = ends.then_some(Output::Reply(marker));
        marker.into_iter().chain([output]).collect()
    });
}
