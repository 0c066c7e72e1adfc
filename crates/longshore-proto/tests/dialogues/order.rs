//! Who waits for whom, and how much may wait.

use longshore_proto::limits::{WAITING_LIMIT_BYTES, WAITING_LIMIT_COMMANDS};
use longshore_proto::line::Line;
use longshore_proto::reply::Situation;
use longshore_proto::server::{Input, Moment, Output, Policy, Takes};

use crate::common::{Kind, Scene, World, check_logged_in, logged_in};

const RUNNING: &[(&str, &str)] =
    &[("send", "PASV"), ("expect", "227"), ("transfer", "goes on 50"), ("send", "RETR a"), ("expect", "150")];

#[track_caller]
fn check_running(steps: &[(&str, &str)]) {
    check_logged_in(&[RUNNING, steps].concat());
}

fn running() -> Scene {
    let mut scene = logged_in(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
    scene.play(RUNNING);
    scene
}

#[test]
fn noop_and_stat_are_answered_while_data_flows() {
    check_running(&[
        ("send", "NOOP"),
        ("expect", "200 noop.done"),
        ("send", "STAT"),
        ("expect", "211 status.session"),
        ("line", "RETR /a: 50 bytes moved so far"),
        ("bytes", "NOOP\\r\\nstat\\r\\nNOOP\\r\\n"),
        ("expect", "200"),
        ("expect", "211"),
        ("expect", "200"),
        ("answer", "move complete 100"),
        ("expect", "226"),
    ]);
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("client", "stays away"),
        ("send", "STOR x"),
        ("expect", "150"),
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "STOR /x: 0 bytes moved so far"),
        ("client", "follows"),
        ("release", "move"),
        ("expect", "226"),
    ]);
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("hold", "commit"),
        ("send", "STOR x"),
        ("expect", "150"),
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "STOR /x: 10 bytes moved so far"),
        ("send", "NOOP"),
        ("expect", "200"),
        ("answer", "commit"),
        ("expect", "226"),
    ]);
}

#[test]
fn they_wait_before_the_mark_and_behind_others() {
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("hold", "storage"),
        ("bytes", "RETR a\\r\\nNOOP\\r\\nSTAT\\r\\n"),
        ("nothing", ""),
        ("answer", "storage"),
        ("expect", "150"),
        ("expect", "226"),
        ("expect", "200 noop.done"),
        ("expect", "211"),
    ]);
    for other in ["PWD", "STAT a", "QUITX", "TYPE I", "NOOPX", ""] {
        check_running(&[
            ("bytes", &format!("NOOP\\r\\n{other}\\r\\nNOOP\\r\\nSTAT\\r\\n")),
            ("expect", "200"),
            ("nothing", ""),
            ("answer", "move complete 100"),
            ("expect", "226"),
            ("expect", ""),
            ("expect", "200 noop.done"),
            ("expect", "211 status.session"),
        ]);
    }
    // Other commands never overtake.
    for other in ["QUIT", "REIN", "USER x", "AUTH TLS", "HOST x", "FEAT", "HELP", "SYST"] {
        let mut scene = running();
        scene.play(&[("send", other), ("nothing", ""), ("answer", "move complete 100"), ("expect", "226")]);
        scene.play(&[("expect", "")]);
        scene.end();
    }
    // Nor behind an operation that is no transfer.
    check_logged_in(&[
        ("hold", "storage"),
        ("send", "MKD x"),
        ("send", "NOOP"),
        ("nothing", ""),
        ("answer", "storage"),
        ("expect", "257"),
        ("expect", "200 noop.done"),
    ]);
}

#[test]
fn commands_may_be_sent_ahead() {
    check_logged_in(&[
        (
            "bytes",
            "TYPE I\\r\\nPASV\\r\\nRETR a\\r\\nEPSV\\r\\nSTOR x\\r\\nSIZE x\\r\\nXYZZY\\r\\nQUIT\\r\\nNOOP\\r\\n",
        ),
        ("expect", "200"),
        ("expect", "227"),
        ("expect", "150"),
        ("expect", "226"),
        ("expect", "229"),
        ("expect", "150"),
        ("expect", "226"),
        ("expect", "213 file.size 10"),
        ("expect", "500"),
        ("expect", "221"),
        ("closed", ""),
    ]);
    // A path is resolved when its turn comes.
    check_logged_in(&[
        ("file", "/d/x 5"),
        ("hold", "storage"),
        ("bytes", "TYPE I\\r\\nCWD d\\r\\nSIZE x\\r\\n"),
        ("expect", "200"),
        ("answer", "storage"),
        ("expect", "250"),
        ("answer", "storage"),
        ("expect", "213 file.size 5"),
    ]);
}

#[test]
fn ten_thousand_commands_sent_at_once() {
    let mut scene = running();
    let pwd = b"PWD\r\n".repeat(10_000);
    scene.world.send(&pwd);
    assert_eq!(scene.world.session.takes(), Takes::Nothing);
    assert_eq!(scene.world.judge.unanswered(), 1 + WAITING_LIMIT_COMMANDS);
    scene.play(&[("nothing", ""), ("answer", "move complete 100"), ("expect", "226")]);
    scene.play(&vec![("expect", "257 directory.current"); 10_000]);
    scene.play(&[("nothing", "")]);
    scene.end();
}

#[test]
fn what_waits_is_bounded_by_its_bytes() {
    let mut scene = running();
    let line = format!("CWD {}", "/".repeat(1000));
    let fit = WAITING_LIMIT_BYTES.div_ceil(line.len());
    for _ in 0..fit + 10 {
        scene.world.send_line(&line);
    }
    assert_eq!(scene.world.session.takes(), Takes::Nothing);
    assert_eq!(scene.world.judge.unanswered(), 1 + fit);
    scene.play(&[("answer", "move complete 100"), ("expect", "226")]);
    scene.play(&vec![("expect", "250"); fit + 10]);
    scene.end();
}

#[test]
fn an_abort_announced_by_urgent_data_is_still_read() {
    let mut scene = running();
    scene.world.send(&b"PWD\r\n".repeat(WAITING_LIMIT_COMMANDS + 10));
    scene.world.send(b"\xFF\xF4\xFF\xF2ABOR\r\n");
    scene.play(&[("nothing", "")]);
    scene.world.urgent();
    scene.play(&[("expect", "426 transfer.aborted")]);
    scene.play(&vec![("expect", "257"); WAITING_LIMIT_COMMANDS + 10]);
    scene.play(&[("expect", "226 abort.done")]);
    scene.end();
    // The extra is bounded too.
    let mut scene = running();
    scene.world.send(&b"PWD\r\n".repeat(3 * WAITING_LIMIT_COMMANDS));
    scene.world.urgent();
    assert_eq!(scene.world.judge.unanswered(), 1 + 2 * WAITING_LIMIT_COMMANDS);
    assert_eq!(scene.world.session.takes(), Takes::Nothing);
    scene.play(&[("answer", "move complete 100"), ("expect", "226")]);
    scene.play(&vec![("expect", "257"); 3 * WAITING_LIMIT_COMMANDS]);
    // Once all was answered the usual bound holds again.
    scene.world.client = crate::common::Client::StaysAway { strangers: 0 };
    scene.play(&[("send", "PASV"), ("expect", "227"), ("send", "RETR a"), ("expect", "150")]);
    scene.world.send(&b"PWD\r\n".repeat(3 * WAITING_LIMIT_COMMANDS));
    assert_eq!(scene.world.judge.unanswered(), 1 + WAITING_LIMIT_COMMANDS);
    scene.world.reset();
    scene.skip();
    scene.end();
}

#[test]
fn what_waits_does_not_begin_while_it_is_held_back() {
    // What comes in is kept in order and answered when it may be.
    check_logged_in(&[
        ("back", "held"),
        ("bytes", "MKD x\\r\\nXYZZY\\r\\nPASV\\r\\nRETR a\\r\\nNOOP\\r\\nSTAT\\r\\n"),
        ("nothing", ""),
        ("size", "/x none"),
        ("wait", "1000"),
        ("nothing", ""),
        ("back", "free"),
        ("expect", "257 directory.made"),
        ("expect", "500 command.unknown"),
        ("expect", "227"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 100"),
        ("expect", "200 noop.done"),
        ("expect", "211"),
        ("size", "/x directory"),
    ]);
    // What runs goes on to its answer, and the lightest still overtake it.
    check_running(&[
        ("back", "held"),
        ("send", "NOOP"),
        ("expect", "200 noop.done"),
        ("bytes", "PWD\\r\\nNOOP\\r\\n"),
        ("nothing", ""),
        ("answer", "move complete 100"),
        ("expect", "226 transfer.sent 100"),
        ("nothing", ""),
        ("back", "free"),
        ("expect", "257"),
        ("expect", "200"),
    ]);
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("hold", "storage"),
        ("bytes", "STOR x\\r\\nPWD\\r\\n"),
        ("back", "held"),
        ("answer", "storage"),
        ("expect", "150"),
        ("expect", "226 transfer.stored"),
        ("nothing", ""),
        ("back", "free"),
        ("expect", "257"),
    ]);
    // QUIT waits as well.
    check_logged_in(&[
        ("back", "held"),
        ("bytes", "PWD\\r\\nQUIT\\r\\nPWD\\r\\n"),
        ("nothing", ""),
        ("open", ""),
        ("back", "free"),
        ("expect", "257"),
        ("expect", "221"),
        ("closed", ""),
    ]);
}

#[test]
fn an_abort_acts_while_commands_are_held_back() {
    check_running(&[
        ("back", "held"),
        ("bytes", "PASV\\r\\nSTOR x\\r\\nMKD y\\r\\nABOR\\r\\nPASV\\r\\nRETR a\\r\\n"),
        ("expect", "426 transfer.aborted Stopped by ABOR after 50 bytes"),
        ("nothing", ""),
        ("transfer", "complete 10"),
        ("back", "free"),
        ("expect", "227"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "257 directory.made"),
        ("expect", "226 abort.done"),
        ("expect", "227"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 100"),
        ("size", "/x none"),
        ("size", "/y directory"),
    ]);
}

#[test]
fn what_is_held_back_is_bounded() {
    let mut scene = logged_in(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
    scene.play(&[("back", "held")]);
    scene.world.send(&b"PWD\r\n".repeat(WAITING_LIMIT_COMMANDS + 10));
    assert_eq!(scene.world.session.takes(), Takes::Nothing);
    assert_eq!(scene.world.judge.unanswered(), WAITING_LIMIT_COMMANDS);
    scene.play(&[("nothing", ""), ("back", "free")]);
    scene.play(&vec![("expect", "257"); WAITING_LIMIT_COMMANDS + 10]);
    scene.end();
}

/// A driver may stop between any two answers.
#[test]
fn commands_begin_one_by_one() {
    let mut session = World::over_ipv4().session;
    let now = Moment(std::time::Duration::from_secs(1000));
    for _ in 0..3 {
        session.handle(now, Input::Line(Line::Command(b"NOOP")));
    }
    for _ in 0..3 {
        session.hold(true);
        assert!(session.next().is_none());
        session.hold(false);
        let Some(Output::Reply(reply)) = session.next() else { panic!("an answer is due") };
        assert_eq!(reply.situation, Situation::Noop);
    }
    assert!(session.next().is_none());
}

#[test]
fn only_one_operation_at_a_time() {
    let mut scene = logged_in(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
    scene.play(&[("hold", "storage"), ("bytes", "MKD x\\r\\nMKD y\\r\\nPASV\\r\\n")]);
    assert_eq!(scene.world.under_way(), [Kind::Storage]);
    scene.play(&[("answer", "storage"), ("expect", "257")]);
    assert_eq!(scene.world.under_way(), [Kind::Storage]);
    scene.play(&[("answer", "storage"), ("expect", "257"), ("expect", "227")]);
    scene.end();
}

#[test]
fn late_answers_are_nobodys() {
    let mut scene = logged_in(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
    scene.play(&[("hold", "storage"), ("hold", "login"), ("send", "MKD x")]);
    scene.world.answer_late(longshore_proto::server::OperationId(1));
    scene.play(&[("nothing", ""), ("answer", "storage"), ("expect", "257")]);
    scene.play(&[("send", "USER longshore"), ("expect", "331"), ("send", "PASS wrong")]);
    scene.world.answer_late(longshore_proto::server::OperationId(1));
    scene.play(&[("nothing", ""), ("answer", "login"), ("wait", "1000"), ("expect", "530")]);
    let refused = scene.world.events.last().expect("a refusal is told");
    let user = b"longshore".to_vec();
    let situation = Situation::LoginRejected;
    assert_eq!(*refused, longshore_proto::server::Event::LoginRefused { user, situation });
    // One that rejects somebody else is not the answer to this login.
    scene.play(&[("send", "USER longshore"), ("expect", "331"), ("send", "PASS secret")]);
    scene.world.answer_late(longshore_proto::server::OperationId(1));
    scene.play(&[("nothing", ""), ("answer", "login"), ("expect", "230")]);
    scene.end();
}

/// Within a transfer, too: whatever comes by the name of another operation is passed over at each of its steps.
#[test]
fn late_answers_within_a_transfer_are_nobodys() {
    let mut scene = logged_in(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
    let late = |scene: &mut Scene, kind| {
        let asked = scene.world.under_way();
        assert_eq!(asked, [kind]);
        for id in scene.world.answered() {
            scene.world.answer_late(id);
        }
        scene.play(&[("nothing", "")]);
        assert_eq!(scene.world.under_way(), [kind], "what is awaited is awaited still");
    };
    for hold in ["reserve", "storage", "probe", "establish", "move", "commit", "abandon"] {
        scene.play(&[("hold", hold)]);
    }
    for (end, last, answer) in [("complete 7", Kind::Commit, "226"), ("reset 7", Kind::Abandon, "426")] {
        scene.play(&[("transfer", end), ("send", "PASV")]);
        late(&mut scene, Kind::Reserve);
        scene.play(&[("answer", "reserve"), ("expect", "227"), ("send", "STOR x")]);
        late(&mut scene, Kind::Storage);
        scene.play(&[("answer", "storage")]);
        late(&mut scene, Kind::Probe);
        scene.play(&[("answer", "probe"), ("expect", "150")]);
        late(&mut scene, Kind::Establish);
        scene.play(&[("answer", "establish")]);
        late(&mut scene, Kind::Move);
        scene.play(&[("answer", "move")]);
        late(&mut scene, last);
        scene
            .play(&[("answer", if last == Kind::Commit { "commit" } else { "abandon" }), ("expect", answer)]);
    }
    scene.end();
}
