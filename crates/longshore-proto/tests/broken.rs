//! Sessions that are broken on purpose, each of which the judge must notice: a judge that objects to nothing proves
//! nothing.
//!
//! Not inside: anything about the session as it is.

mod common;

use common::{Ended, Kind, Tamper, World};
use longshore_proto::reply::{Reply, Situation};
use longshore_proto::server::{DataOp, Input, LoginOutcome, OperationId, Output, StorageOp};
use longshore_proto::verbs::Direction;

fn world(logged_in: bool) -> World {
    let mut world = World::over_ipv4();
    world.files.add_file(b"/a", 100);
    world.files.add_directory(b"/d");
    if logged_in {
        world.send(b"USER longshore\r\nPASS secret\r\n");
    }
    world
}

/// What the judge objects to when these lines are sent; behind `hold ` to a transfer that goes on.
fn objections(lines: &str, tamper: Option<Tamper>) -> String {
    let mut world = world(true);
    world.tolerant = true;
    world.tamper = tamper;
    let lines = match lines.strip_prefix("hold ") {
        Some(lines) => {
            world.transfer = Ended::GoesOn(5);
            lines
        }
        None => lines,
    };
    world.send(lines.as_bytes());
    world.judge.violations.join("\n")
}

/// The judge has nothing against the session as it is, and this against one whose outputs are changed on their way.
#[track_caller]
fn broken(lines: &str, complaint: &str, tamper: impl FnMut(Output) -> Vec<Output> + 'static) {
    assert_eq!(objections(lines, None), "", "nothing is broken yet");
    let objections = objections(lines, Some(Box::new(tamper)));
    assert!(objections.contains(complaint), "{complaint:?} is not among\n{objections}");
}

fn is(output: &Output, situation: Situation) -> bool {
    matches!(output, Output::Reply(reply) if reply.situation == situation)
}

/// Each reply of one situation becomes these.
fn instead(from: Situation, to: &'static [Situation]) -> impl FnMut(Output) -> Vec<Output> {
    move |output| {
        if is(&output, from) {
            return to.iter().map(|situation| Output::Reply(full(*situation))).collect();
        }
        vec![output]
    }
}

/// A reply with every figure that a text may want.
fn full(situation: Situation) -> Reply {
    ["path", "name", "verb", "seconds", "system"]
        .into_iter()
        .fold(Reply::new(situation).with("bytes", 5_u64), |reply, name| reply.with(name, "x"))
}

#[test]
fn a_reply_that_is_missing_is_noticed() {
    broken("PWD\r\n", "1 commands wait for nothing", instead(Situation::CurrentDirectory, &[]));
    broken("PWD\r\nSYST\r\n", "system.type answers Verb(Pwd)", instead(Situation::CurrentDirectory, &[]));
    broken("PASV\r\nRETR a\r\n", "commands wait for nothing", instead(Situation::Sent, &[]));
    broken("PASV\r\nRETR a\r\n", "Establish before the mark", instead(Situation::MarkOpening, &[]));
    broken("QUIT\r\n", "closed without", instead(Situation::Goodbye, &[]));
    broken("hold PASV\r\nRETR a\r\nNOOP\r\n", "NOOP was not answered at once", instead(Situation::Noop, &[]));
    broken(
        "hold PASV\r\nRETR a\r\nSTAT\r\n",
        "STAT was not answered at once",
        instead(Situation::Status, &[]),
    );
}

#[test]
fn a_reply_too_many_is_noticed() {
    broken(
        "SYST\r\n",
        "system.type answers nothing",
        instead(Situation::System, &[Situation::System, Situation::System]),
    );
    let twice = &[Situation::MarkOpening, Situation::MarkOpening];
    broken("PASV\r\nRETR a\r\n", "transfer.opening for", instead(Situation::MarkOpening, twice));
    let mark_and_more = &[Situation::MarkOpening, Situation::Sent];
    broken(
        "PASV\r\nRETR a\r\n",
        "transfer.sent although completed: false",
        instead(Situation::MarkOpening, mark_and_more),
    );
}

#[test]
fn a_wrong_reply_is_noticed() {
    broken("SYST\r\n", "noop.done answers Verb(Syst)", instead(Situation::System, &[Situation::Noop]));
    broken("XYZZY\r\n", "noop.done answers Unknown", instead(Situation::Unknown, &[Situation::Noop]));
    broken(
        "PASV\r\nRETR a\r\n",
        "transfer.begins, and the data connection stands: false",
        instead(Situation::MarkOpening, &[Situation::MarkStanding]),
    );
    broken(
        "RETR a\r\n",
        "data.expired does not follow",
        instead(Situation::NothingArranged, &[Situation::ArrangementExpired]),
    );
    broken(
        "hold PASV\r\nRETR a\r\nABOR\r\n",
        "transfer.sent although completed: false",
        instead(Situation::TransferAborted, &[Situation::Sent]),
    );
    broken(
        "PASV\r\nRETR a\r\n",
        "transfer.aborted although completed: true",
        instead(Situation::Sent, &[Situation::TransferAborted]),
    );
    broken(
        "hold PASV\r\nRETR a\r\nPASV\r\nRETR a\r\nABOR\r\n",
        "transfer.opening for",
        instead(Situation::NotBegun, &[Situation::MarkOpening]),
    );
}

#[test]
fn replies_out_of_order_are_noticed() {
    let mut kept = None;
    broken("SYST\r\nPWD\r\n", "directory.current answers Verb(Syst)", move |output| {
        if is(&output, Situation::System) {
            kept = Some(output);
            return vec![];
        }
        let later = if is(&output, Situation::CurrentDirectory) { kept.take() } else { None };
        [Some(output), later].into_iter().flatten().collect()
    });
}

#[test]
fn an_upload_answered_before_it_is_stored_is_noticed() {
    broken("PASV\r\nSTOR x\r\n", "transfer.stored although completed: false", |output| match output {
        Output::Storage(_, StorageOp::Commit) => vec![Output::Reply(full(Situation::Stored)), output],
        output => vec![output],
    });
}

#[test]
fn a_mark_before_the_file_is_open_is_noticed() {
    broken("PASV\r\nRETR a\r\n", "open: false", |output| match output {
        Output::Storage(_, StorageOp::OpenRetrieve { .. }) => {
            vec![Output::Reply(full(Situation::MarkOpening)), output]
        }
        output => vec![output],
    });
}

#[test]
fn two_operations_at_once_are_noticed() {
    broken("MKD x\r\n", "was under way", |output| match output {
        Output::Storage(id, op) => {
            vec![Output::Storage(id, op.clone()), Output::Storage(OperationId(id.0 + 100), op)]
        }
        output => vec![output],
    });
    broken("MKD x\r\n", "id #1 after #1", |output| match output {
        Output::Storage(_, op) => vec![Output::Storage(OperationId(1), op)],
        output => vec![output],
    });
}

#[test]
fn an_end_that_is_none_is_noticed() {
    broken("PWD\r\n", "a 421 without Close", instead(Situation::CurrentDirectory, &[Situation::Idle]));
    broken("QUIT\r\n", "after Close came", |output| match output {
        Output::Close => vec![Output::Close, Output::Reply(full(Situation::Noop))],
        output => vec![output],
    });
    broken("PWD\r\n", "closed without", |output| {
        if is(&output, Situation::CurrentDirectory) { vec![output, Output::Close] } else { vec![output] }
    });
}

#[test]
fn what_begins_although_it_is_held_back_is_noticed() {
    for (line, complaint) in
        [("PWD\r\n", "directory.current answers what is held back"), ("MKD x\r\n", "that is held back")]
    {
        let mut world = world(true);
        world.tolerant = true;
        // Only the judge is told.
        world.judge.hold(true);
        world.send(line.as_bytes());
        let objections = world.judge.violations.join("\n");
        assert!(objections.contains(complaint), "{complaint:?} is not among\n{objections}");
    }
}

#[test]
fn an_end_of_input_that_leaves_something_unanswered_is_noticed() {
    let mut world = world(true);
    world.tolerant = true;
    world.tamper =
        Some(Box::new(|output| if is(&output, Situation::System) { vec![] } else { vec![output] }));
    world.hold_back(true);
    world.send(b"PWD\r\nSYST\r\n");
    world.end_of_input();
    world.hold_back(false);
    let objections = world.judge.violations.join("\n");
    assert!(objections.contains("the end of input left 1 commands unanswered"), "{objections}");
}

#[test]
fn a_drain_that_is_not_kept_is_noticed() {
    // What the session is told, and what the judge is.
    type Ending = fn(&mut World);
    let cases: &[(&str, Ending, &str)] = &[
        ("", |world| world.judge.drain(), "goes on although the server drains"),
        ("", drain_unseen, "session.shutdown, and nobody wants to end"),
        ("SYST\r\n", World::drain, "the drain left 1 commands unanswered"),
        ("PASV\r\nRETR a\r\n", World::drain, "session.shutdown in the middle of a transfer"),
    ];
    for (lines, end, complaint) in cases {
        let mut world = world(true);
        world.tolerant = true;
        world.transfer = Ended::Complete(5);
        // The first answer that counts is kept back, the drain is not.
        world.tamper = Some(Box::new(|output| {
            let kept = is(&output, Situation::System) || is(&output, Situation::Sent);
            if kept { vec![] } else { vec![output] }
        }));
        world.send(lines.as_bytes());
        world.judge.violations.clear();
        end(&mut world);
        world.settle();
        let objections = world.judge.violations.join("\n");
        assert!(objections.contains(complaint), "{complaint:?} is not among\n{objections}");
    }
}

fn drain_unseen(world: &mut World) {
    world.session.handle(world.now, Input::Drain);
}

#[test]
fn a_ban_that_is_not_kept_is_noticed() {
    let mut world = world(false);
    world.tolerant = true;
    world.held = vec![Kind::Login];
    world.tamper = Some(Box::new(|output| match output {
        Output::Reply(reply) if reply.situation == Situation::Banned => {
            vec![Output::Reply(full(Situation::Idle))]
        }
        Output::Close => vec![],
        output => vec![output],
    }));
    world.send(b"USER x\r\nPASS y\r\n");
    world.answer_login(LoginOutcome::Banned { seconds: 60 });
    let objections = world.judge.violations.join("\n");
    for complaint in ["session.idle to an address that is banned: true", "a 421 without Close"] {
        assert!(objections.contains(complaint), "{complaint:?} is not among\n{objections}");
    }
}

#[test]
fn a_data_connection_left_open_is_noticed() {
    let keep = |output| match output {
        Output::Data(_, DataOp::Release) => vec![],
        output => vec![output],
    };
    broken("PASV\r\nSTOR /\r\n", "a refused upload left the data connection open", keep);
    broken("PASV\r\nABOR\r\n", "abort.done leaves a passive port open", keep);
}

#[test]
fn a_transfer_of_the_wrong_file_is_noticed() {
    broken("TYPE I\r\nREST 5\r\nPASV\r\nRETR a\r\n", "instead of from 5", |output| match output {
        Output::Data(id, DataOp::Move(mut job)) => {
            assert_eq!(job.direction, Direction::Send);
            job.offset = 0;
            vec![Output::Data(id, DataOp::Move(job))]
        }
        output => vec![output],
    });
}
