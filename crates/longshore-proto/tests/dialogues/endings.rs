//! QUIT, the end of input, resets, and time-outs.

use std::sync::Arc;
use std::time::Duration;

use longshore_proto::line::Line;
use longshore_proto::reply::Situation;
use longshore_proto::server::{Ending, Event, Input, Moment, Policy, Session};

use crate::common::{Scene, World, check, check_logged_in, logged_in};

pub(crate) fn scene() -> Scene {
    logged_in(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"))
}

#[track_caller]
pub(crate) fn ends(steps: &[(&str, &str)], why: Ending) {
    let mut scene = scene();
    scene.play(steps);
    scene.play(&[("closed", "")]);
    assert_eq!(scene.world.events.last(), Some(&Event::Ended { why }), "{}", scene.world.log());
    scene.end();
}

pub(crate) const RUNNING: &[(&str, &str)] =
    &[("send", "PASV"), ("expect", "227"), ("transfer", "goes on 50"), ("send", "RETR a"), ("expect", "150")];
pub(crate) const RECEIVING: &[(&str, &str)] =
    &[("send", "PASV"), ("expect", "227"), ("transfer", "goes on 50"), ("send", "STOR x"), ("expect", "150")];

#[test]
fn quit_waits_for_all_before_it() {
    ends(&[("send", "QUIT"), ("expect", "221 session.goodbye")], Ending::Quit);
    let steps: &[_] = &[
        ("bytes", "MKD y\\r\\nQUIT\\r\\nMKD z\\r\\n"),
        ("nothing", ""),
        ("open", ""),
        ("answer", "move complete 100"),
        ("expect", "226"),
        ("expect", "257"),
        ("expect", "221"),
        ("size", "/y directory"),
        ("size", "/z none"),
    ];
    ends(&[RUNNING, steps].concat(), Ending::Quit);
}

#[test]
fn after_quit_the_end_of_input_changes_nothing() {
    let steps: &[_] = &[
        ("bytes", "PASV\\r\\nSTOR y\\r\\nQUIT\\r\\n"),
        ("end", ""),
        ("open", ""),
        ("nothing", ""),
        ("wait", "20000"),
        ("transfer", "complete 10"),
        ("answer", "move complete 100"),
        ("expect", "226"),
        ("expect", "227"),
        ("expect", "150"),
        ("expect", "226"),
        ("expect", "221"),
        ("size", "/y 10"),
    ];
    ends(&[RUNNING, steps].concat(), Ending::Quit);
}

#[test]
fn end_of_input_without_quit() {
    ends(&[("end", "")], Ending::Closed);
    check(&[("end", ""), ("closed", "")]);
    // A download is stopped.
    let lost = ("expect", "426 transfer.control-lost The control connection was lost after 50 bytes");
    ends(&[RUNNING, &[("end", ""), lost]].concat(), Ending::Closed);
    ends(
        &[
            ("send", "PASV"),
            ("expect", "227"),
            ("client", "stays away"),
            ("send", "RETR a"),
            ("expect", "150"),
            ("end", ""),
            ("expect", "426 transfer.control-lost The control connection was lost after 0 bytes"),
        ],
        Ending::Closed,
    );
    ends(
        &[
            ("send", "PASV"),
            ("expect", "227"),
            ("hold", "storage"),
            ("send", "RETR a"),
            ("end", ""),
            ("open", ""),
            ("answer", "storage"),
            ("expect", "450"),
        ],
        Ending::Closed,
    );
    // What storage was told to do is waited for.
    ends(
        &[
            ("hold", "storage"),
            ("send", "MKD y"),
            ("end", ""),
            ("open", ""),
            ("answer", "storage"),
            ("expect", "257"),
        ],
        Ending::Closed,
    );
    // So are a login, a refusal that is held back, and a port.
    check(&[
        ("send", "USER longshore"),
        ("expect", "331"),
        ("hold", "login"),
        ("send", "PASS secret"),
        ("end", ""),
        ("open", ""),
        ("answer", "login"),
        ("expect", "230"),
        ("closed", ""),
    ]);
    check(&[
        ("send", "USER x"),
        ("expect", "331"),
        ("send", "PASS wrong"),
        ("end", ""),
        ("wait", "999"),
        ("nothing", ""),
        ("open", ""),
        ("wait", "1"),
        ("expect", "530 login.rejected"),
        ("closed", ""),
    ]);
    ends(
        &[
            ("hold", "reserve"),
            ("send", "PASV"),
            ("end", ""),
            ("open", ""),
            ("answer", "reserve"),
            ("expect", "227"),
        ],
        Ending::Closed,
    );
}

#[test]
fn what_was_asked_before_the_end_of_input_is_answered() {
    // In turn; transfers are not begun any more, and an upload among them closes its data connection.
    let waiting: &[_] = &[
        ("bytes", "MKD y\\r\\nXYZZY\\r\\nPASV\\r\\nSTOR x\\r\\nRETR a\\r\\nABOR\\r\\nSYST\\r\\n"),
        ("nothing", ""),
        ("end", ""),
    ];
    let answered: &[_] = &[
        ("expect", "257 directory.made"),
        ("expect", "500 command.unknown"),
        ("expect", "227"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "226 abort.done"),
        ("expect", "215"),
        ("closed", ""),
        ("size", "/y directory"),
        ("size", "/x none"),
    ];
    let held: &[_] = &[("hold", "storage"), ("send", "CWD d"), ("send", "CWD /")];
    let released: &[_] = &[("open", ""), ("release", "storage"), ("expect", "250"), ("expect", "250")];
    ends(&[held, waiting, released, answered].concat(), Ending::Closed);
    // A session that is held back answers when it no longer is.
    let held: &[_] = &[("back", "held")];
    let released: &[_] = &[("open", ""), ("nothing", ""), ("back", "free")];
    ends(&[held, waiting, released, answered].concat(), Ending::Closed);
    // Behind a download, which is stopped, and behind an upload, which may end.
    let steps: &[_] = &[
        ("bytes", "MKD y\\r\\nPASV\\r\\nRETR a\\r\\nPWD\\r\\n"),
        ("end", ""),
        ("expect", "426 transfer.control-lost"),
        ("expect", "257 directory.made"),
        ("expect", "227"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "257 directory.current"),
        ("size", "/y directory"),
    ];
    ends(&[RUNNING, steps].concat(), Ending::Closed);
    let steps: &[_] = &[
        ("bytes", "MKD y\\r\\nPASV\\r\\nRETR a\\r\\n"),
        ("end", ""),
        ("wait", "4000"),
        ("nothing", ""),
        ("answer", "move complete 60"),
        ("expect", "226 transfer.stored"),
        ("expect", "257 directory.made"),
        ("expect", "227"),
        ("expect", "450 transfer.not-begun"),
        ("size", "/x 60"),
        ("size", "/y directory"),
    ];
    ends(&[RECEIVING, steps].concat(), Ending::Closed);
    // What waited behind the upload may take longer than the upload was given.
    let steps: &[_] = &[
        ("hold", "storage"),
        ("send", "MKD y"),
        ("end", ""),
        ("answer", "move complete 60"),
        ("expect", "226 transfer.stored"),
        ("wait", "60000"),
        ("open", ""),
        ("answer", "storage"),
        ("expect", "257"),
    ];
    ends(&[RECEIVING, steps].concat(), Ending::Closed);
    // A login is carried to its end.
    check(&[
        ("hold", "login"),
        ("bytes", "USER longshore\\r\\nPASS secret\\r\\nPWD\\r\\n"),
        ("expect", "331"),
        ("end", ""),
        ("open", ""),
        ("answer", "login"),
        ("expect", "230"),
        ("expect", "257 directory.current"),
        ("closed", ""),
    ]);
    check(&[
        ("bytes", "USER x\\r\\nPASS wrong\\r\\nNOOP\\r\\n"),
        ("expect", "331"),
        ("end", ""),
        ("wait", "999"),
        ("nothing", ""),
        ("wait", "1"),
        ("expect", "530 login.rejected"),
        ("expect", "200"),
        ("closed", ""),
    ]);
    // A reset behind the end, or a shutdown, drops what waits.
    let steps: &[_] = &[
        ("hold", "storage"),
        ("bytes", "MKD y\\r\\nMKD z\\r\\n"),
        ("end", ""),
        ("reset", ""),
        ("open", ""),
        ("answer", "storage"),
        ("expect", "257"),
        ("closed", ""),
        ("size", "/y directory"),
        ("size", "/z none"),
    ];
    ends(steps, Ending::Closed);
    let steps: Vec<_> =
        steps.iter().map(|step| if step.0 == "reset" { ("shutdown", "") } else { *step }).collect();
    ends(&steps, Ending::Closed);
}

#[test]
fn an_upload_may_end_within_five_seconds_of_the_control_connection() {
    let complete: &[_] = &[
        ("end", ""),
        ("open", ""),
        ("wait", "4999"),
        ("answer", "move complete 60"),
        ("expect", "226 transfer.stored"),
        ("size", "/x 60"),
    ];
    ends(&[RECEIVING, complete].concat(), Ending::Closed);
    let late: &[_] = &[
        ("end", ""),
        ("wait", "4999"),
        ("open", ""),
        ("wait", "1"),
        ("expect", "426 transfer.control-lost"),
        ("size", "/x none"),
    ];
    ends(&[RECEIVING, late].concat(), Ending::Closed);
    let cut: &[_] = &[
        ("end", ""),
        ("wait", "1000"),
        ("reset", ""),
        ("expect", "426 transfer.control-lost"),
        ("size", "/x none"),
    ];
    ends(&[RECEIVING, cut].concat(), Ending::Closed);
    // Storing it may take longer than that.
    let slow: &[_] = &[
        ("hold", "commit"),
        ("end", ""),
        ("answer", "move complete 60"),
        ("wait", "60000"),
        ("open", ""),
        ("answer", "commit"),
        ("expect", "226"),
        ("size", "/x 60"),
    ];
    ends(&[RECEIVING, slow].concat(), Ending::Closed);
}

#[test]
fn an_upload_may_even_begin_after_the_control_connection_ended() {
    // A camera sends its picture and closes both connections while the server still opens the file.
    for held in ["storage", "probe", "establish"] {
        let mut scene = scene();
        scene.play(&[
            ("send", "PASV"),
            ("expect", "227"),
            ("client", "stands"),
            ("hold", held),
            ("send", "STOR x"),
        ]);
        scene.skip();
        scene.play(&[("end", ""), ("open", ""), ("wait", "4000"), ("answer", held)]);
        scene.skip();
        scene.play(&[("closed", ""), ("size", "/x 10")]);
        scene.end();
        // And if it takes longer, it is given up.
        let mut scene = self::scene();
        scene.play(&[("send", "PASV"), ("expect", "227"), ("hold", held), ("send", "STOR x")]);
        scene.skip();
        scene.play(&[("end", ""), ("wait", "5000"), ("open", ""), ("answer", held)]);
        scene.skip();
        scene.play(&[("closed", ""), ("size", "/x none")]);
        scene.end();
    }
    ends(
        &[
            ("send", "PASV"),
            ("expect", "227"),
            ("client", "stays away"),
            ("send", "STOR x"),
            ("expect", "150"),
            ("end", ""),
            ("wait", "4999"),
            ("open", ""),
            ("wait", "1"),
            ("expect", "426 transfer.control-lost"),
        ],
        Ending::Closed,
    );
}

#[test]
fn a_reset_stops_everything() {
    ends(&[("reset", "")], Ending::Reset);
    let lost = ("expect", "426 transfer.control-lost The control connection was lost after 50 bytes");
    ends(&[RUNNING, &[("reset", ""), lost]].concat(), Ending::Reset);
    ends(&[RECEIVING, &[("reset", ""), lost, ("size", "/x none")]].concat(), Ending::Reset);
    // What waits is dropped, and nobody waits for a login or a port.
    let steps: &[_] = &[("send", "MKD y"), ("reset", ""), lost, ("size", "/y none")];
    ends(&[RUNNING, steps].concat(), Ending::Reset);
    ends(&[("back", "held"), ("send", "MKD y"), ("reset", ""), ("size", "/y none")], Ending::Reset);
    ends(&[("hold", "reserve"), ("send", "PASV"), ("reset", "")], Ending::Reset);
    check(&[
        ("send", "USER longshore"),
        ("expect", "331"),
        ("hold", "login"),
        ("send", "PASS secret"),
        ("reset", ""),
        ("closed", ""),
    ]);
    check(&[("send", "USER x"), ("expect", "331"), ("send", "PASS wrong"), ("reset", ""), ("closed", "")]);
    // Whoever said QUIT has said all: it is finished, heard or not.
    let quit: &[_] = &[
        ("bytes", "MKD y\\r\\nQUIT\\r\\n"),
        ("reset", ""),
        ("open", ""),
        ("answer", "move complete 100"),
        ("expect", "226"),
        ("expect", "257"),
        ("expect", "221"),
    ];
    ends(&[RUNNING, quit].concat(), Ending::Quit);
    // A commit that has begun is waited for.
    ends(
        &[
            ("send", "PASV"),
            ("expect", "227"),
            ("hold", "commit"),
            ("send", "STOR x"),
            ("expect", "150"),
            ("reset", ""),
            ("open", ""),
            ("answer", "commit"),
            ("expect", "226"),
            ("size", "/x 10"),
        ],
        Ending::Reset,
    );
}

#[test]
fn the_idle_time_out() {
    let idle = Ending::Said(Situation::Idle);
    ends(
        &[
            ("wait", "299999"),
            ("open", ""),
            ("wait", "1"),
            ("expect", "421 session.idle Nothing happened for 300 s"),
        ],
        idle,
    );
    ends(
        &[
            ("wait", "299999"),
            ("send", "NOOP"),
            ("expect", "200"),
            ("wait", "299999"),
            ("open", ""),
            ("wait", "1"),
            ("expect", "421 session.idle"),
        ],
        idle,
    );
    // It does not run while data flows, and begins anew when the transfer ends.
    let steps: &[_] = &[
        ("wait", "3600000"),
        ("open", ""),
        ("answer", "move complete 100"),
        ("expect", "226"),
        ("wait", "299999"),
        ("open", ""),
        ("wait", "1"),
        ("expect", "421 session.idle"),
    ];
    ends(&[RUNNING, steps].concat(), idle);
    // Nor while storage works.
    ends(
        &[
            ("hold", "storage"),
            ("send", "MKD y"),
            ("wait", "400000"),
            ("answer", "storage"),
            ("expect", "257"),
            ("wait", "299999"),
            ("open", ""),
            ("wait", "1"),
            ("expect", "421"),
        ],
        idle,
    );
    // It ends the session with a port arranged as well.
    ends(
        &[
            ("send", "PORT 192,0,2,7,20,1"),
            ("expect", "200"),
            ("wait", "300000"),
            ("expect", "421 session.idle"),
        ],
        idle,
    );
}

/// A clock that was set back shortens nobody's time.
#[test]
fn time_never_goes_back() {
    let at = |seconds| Moment(Duration::from_secs(seconds));
    let connection = World::connection("192.0.2.1:21", "192.0.2.7:40000");
    let mut session = Session::new(Arc::new(Policy::default()), connection, at(1000));
    assert_eq!(session.deadline(), Some(at(1060)));
    session.handle(at(10), Input::Line(Line::Command(b"NOOP")));
    session.handle(at(20), Input::Timeout);
    assert_eq!(session.deadline(), Some(at(1060)));
}

#[test]
fn the_login_time_out() {
    check(&[
        ("wait", "59999"),
        ("open", ""),
        ("wait", "1"),
        ("expect", "421 session.login-timeout No login within 60 s"),
        ("closed", ""),
    ]);
    // NOOP and USER do not prolong it.
    check(&[
        ("wait", "50000"),
        ("send", "NOOP"),
        ("expect", "200"),
        ("send", "USER x"),
        ("expect", "331"),
        ("wait", "9999"),
        ("open", ""),
        ("wait", "1"),
        ("expect", "421 session.login-timeout"),
        ("closed", ""),
    ]);
    // A login that is being checked is given up.
    check(&[
        ("send", "USER longshore"),
        ("expect", "331"),
        ("hold", "login"),
        ("send", "PASS secret"),
        ("wait", "60000"),
        ("expect", "421 session.login-timeout"),
        ("closed", ""),
    ]);
    // A refusal that is held back is still said.
    check(&[
        ("send", "USER x"),
        ("expect", "331"),
        ("wait", "59500"),
        ("send", "PASS wrong"),
        ("wait", "999"),
        ("nothing", ""),
        ("wait", "1"),
        ("expect", "530 login.rejected"),
        ("expect", "421 session.login-timeout"),
        ("closed", ""),
    ]);
    check_logged_in(&[("wait", "60000"), ("open", "")]);
}

#[test]
fn nothing_is_said_after_the_end() {
    let mut scene = scene();
    scene.play(&[("send", "QUIT"), ("expect", "221"), ("closed", "")]);
    scene.play(&[
        ("send", "NOOP"),
        ("end", ""),
        ("reset", ""),
        ("shutdown", ""),
        ("urgent", ""),
        ("wait", "1000000"),
        ("nothing", ""),
    ]);
    scene.end();
}
