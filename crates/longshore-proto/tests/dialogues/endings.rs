//! QUIT, the end of input, resets, shutdown, and time-outs.

use longshore_proto::reply::Situation;
use longshore_proto::server::{Ending, Event, Policy};

use crate::common::{Scene, World, check, check_logged_in, logged_in};

fn scene() -> Scene {
    logged_in(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"))
}

#[track_caller]
fn ends(steps: &[(&str, &str)], why: Ending) {
    let mut scene = scene();
    scene.play(steps);
    scene.play(&[("closed", "")]);
    assert_eq!(scene.world.events.last(), Some(&Event::Ended { why }), "{}", scene.world.log());
    scene.end();
}

const RUNNING: &[(&str, &str)] =
    &[("send", "PASV"), ("expect", "227"), ("transfer", "goes on 50"), ("send", "RETR a"), ("expect", "150")];
const RECEIVING: &[(&str, &str)] =
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
    // A download is aborted, and what waits is not begun.
    let steps: &[_] = &[("send", "MKD y"), ("end", ""), ("expect", "426"), ("size", "/y none")];
    ends(&[RUNNING, steps].concat(), Ending::Closed);
    ends(
        &[
            ("send", "PASV"),
            ("expect", "227"),
            ("client", "stays away"),
            ("send", "RETR a"),
            ("expect", "150"),
            ("end", ""),
            ("expect", "426"),
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
    // A login or a port is not.
    check(&[
        ("send", "USER longshore"),
        ("expect", "331"),
        ("hold", "login"),
        ("send", "PASS secret"),
        ("end", ""),
        ("closed", ""),
    ]);
    check(&[("send", "USER x"), ("expect", "331"), ("send", "PASS wrong"), ("end", ""), ("closed", "")]);
    ends(&[("hold", "reserve"), ("send", "PASV"), ("end", "")], Ending::Closed);
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
    let late: &[_] =
        &[("end", ""), ("wait", "4999"), ("open", ""), ("wait", "1"), ("expect", "426"), ("size", "/x none")];
    ends(&[RECEIVING, late].concat(), Ending::Closed);
    let cut: &[_] = &[("end", ""), ("wait", "1000"), ("reset", ""), ("expect", "426"), ("size", "/x none")];
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
            ("expect", "426"),
        ],
        Ending::Closed,
    );
}

#[test]
fn a_reset_stops_everything() {
    ends(&[("reset", "")], Ending::Reset);
    ends(&[RUNNING, &[("reset", ""), ("expect", "426")]].concat(), Ending::Reset);
    ends(&[RECEIVING, &[("reset", ""), ("expect", "426"), ("size", "/x none")]].concat(), Ending::Reset);
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
fn shutdown_in_every_stage() {
    let said = Ending::Said(Situation::Shutdown);
    let last = ("expect", "421 session.shutdown");
    ends(&[("shutdown", ""), last], said);
    ends(
        &[
            RUNNING,
            &[
                ("shutdown", ""),
                ("expect", "426 transfer.shutdown The server is shutting down, stopped after 50 bytes"),
                last,
            ],
        ]
        .concat(),
        said,
    );
    ends(
        &[
            RECEIVING,
            &[
                ("send", "MKD y"),
                ("shutdown", ""),
                ("expect", "426 transfer.shutdown"),
                last,
                ("size", "/x none"),
                ("size", "/y none"),
            ],
        ]
        .concat(),
        said,
    );
    let arranged: &[_] = &[("send", "PASV"), ("expect", "227")];
    ends(
        &[
            arranged,
            &[
                ("hold", "storage"),
                ("send", "RETR a"),
                ("shutdown", ""),
                ("answer", "storage"),
                ("expect", "450"),
                last,
            ],
        ]
        .concat(),
        said,
    );
    ends(
        &[
            arranged,
            &[
                ("hold", "probe"),
                ("send", "STOR x"),
                ("shutdown", ""),
                ("answer", "probe"),
                ("expect", "450"),
                last,
            ],
        ]
        .concat(),
        said,
    );
    ends(
        &[
            arranged,
            &[
                ("client", "stays away"),
                ("send", "RETR a"),
                ("expect", "150"),
                ("shutdown", ""),
                ("expect", "426 transfer.shutdown"),
                last,
            ],
        ]
        .concat(),
        said,
    );
    ends(
        &[
            arranged,
            &[
                ("hold", "commit"),
                ("send", "STOR x"),
                ("expect", "150"),
                ("shutdown", ""),
                ("nothing", ""),
                ("answer", "commit"),
                ("expect", "226"),
                last,
            ],
        ]
        .concat(),
        said,
    );
    ends(&[arranged, &[("hold", "reserve"), ("send", "EPSV"), ("shutdown", ""), last]].concat(), said);
    // What storage does is waited for, so that the client learns what became of it.
    ends(
        &[
            ("hold", "storage"),
            ("bytes", "MKD y\\r\\nMKD z\\r\\n"),
            ("shutdown", ""),
            ("nothing", ""),
            ("answer", "storage"),
            ("expect", "257"),
            last,
            ("size", "/y directory"),
            ("size", "/z none"),
        ],
        said,
    );
    check(&[
        ("send", "USER longshore"),
        ("expect", "331"),
        ("hold", "login"),
        ("send", "PASS secret"),
        ("shutdown", ""),
        last,
        ("closed", ""),
    ]);
    check(&[
        ("send", "USER x"),
        ("expect", "331"),
        ("send", "PASS wrong"),
        ("shutdown", ""),
        last,
        ("closed", ""),
    ]);
    check(&[("shutdown", ""), last, ("closed", "")]);
    // Who is gone is not told.
    ends(&[RECEIVING, &[("end", ""), ("shutdown", ""), ("expect", "426")]].concat(), Ending::Closed);
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
