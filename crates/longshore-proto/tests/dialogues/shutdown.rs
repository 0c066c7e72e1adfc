//! A server that ends: a drain waits for what was read, a shutdown stops it.
//!
//! Not inside: what clients and time-outs end; those are `endings`.

use longshore_proto::reply::Situation;
use longshore_proto::server::Ending;

use crate::common::check;
use crate::endings::{RECEIVING, RUNNING, ends, scene};

const SAID: Ending = Ending::Said(Situation::Shutdown);
const DRAIN: (&str, &str) = ("drain", "");
const LAST: (&str, &str) = ("expect", "421 session.shutdown The server is shutting down");

const ARRANGED: &[(&str, &str)] = &[("send", "PASV"), ("expect", "227")];
#[test]
fn whoever_does_nothing_is_told_at_once() {
    ends(&[DRAIN, LAST], SAID);
    check(&[DRAIN, LAST, ("closed", "")]);
    check(&[("send", "USER x"), ("expect", "331"), DRAIN, LAST, ("closed", "")]);
    // A passive port that nobody uses yet holds nothing up, and what is said of the end stands alone.
    ends(&[ARRANGED, &[DRAIN, LAST]].concat(), SAID);
    ends(&[DRAIN, LAST, ("send", "NOOP"), DRAIN, ("shutdown", ""), ("end", ""), ("nothing", "")], SAID);
}

#[test]
fn a_transfer_runs_to_its_end() {
    let download: &[_] = &[
        DRAIN,
        ("nothing", ""),
        ("open", ""),
        ("wait", "3600000"),
        ("open", ""),
        ("answer", "move complete 100"),
        ("expect", "226 transfer.sent"),
        LAST,
    ];
    ends(&[RUNNING, download].concat(), SAID);
    let upload: &[_] = &[
        DRAIN,
        ("nothing", ""),
        ("hold", "commit"),
        ("answer", "move complete 60"),
        ("nothing", ""),
        ("open", ""),
        ("answer", "commit"),
        ("expect", "226 transfer.stored"),
        LAST,
        ("size", "/x 60"),
    ];
    ends(&[RECEIVING, upload].concat(), SAID);
    // It need not end well.
    let cut: &[_] = &[DRAIN, ("transfer", "reset 70"), ("release", "move"), ("expect", "426"), LAST];
    ends(&[RECEIVING, cut, &[("size", "/x none")]].concat(), SAID);
    let full: &[_] = &[DRAIN, ("transfer", "fills 70"), ("release", "move"), ("expect", "452"), LAST];
    ends(&[RECEIVING, full].concat(), SAID);
}

#[test]
fn a_transfer_that_was_read_even_begins() {
    for held in ["storage", "probe", "establish", "move", "commit"] {
        let mut scene = scene();
        scene.play(&[("send", "PASV"), ("expect", "227"), ("hold", held), ("send", "STOR x")]);
        scene.play(&[DRAIN, ("open", ""), ("release", held), ("expect", "150"), ("expect", "226"), LAST]);
        scene.play(&[("closed", ""), ("size", "/x 10")]);
        scene.end();
    }
    // Refused, or with nobody at the other end, it is over as well.
    let refused: &[_] =
        &[("hold", "storage"), ("send", "RETR none"), DRAIN, ("answer", "storage"), ("expect", "550"), LAST];
    ends(&[ARRANGED, refused].concat(), SAID);
    let alone: &[_] = &[
        ("client", "stays away"),
        ("send", "RETR a"),
        ("expect", "150"),
        DRAIN,
        ("wait", "29999"),
        ("nothing", ""),
        ("wait", "1"),
        ("expect", "425 data.no-connection"),
        LAST,
    ];
    ends(&[ARRANGED, alone].concat(), SAID);
}

#[test]
fn what_waits_is_answered_too() {
    let steps: &[_] = &[
        ("bytes", "MKD y\\r\\nXYZZY\\r\\nPASV\\r\\nSTOR x\\r\\nPWD\\r\\n"),
        DRAIN,
        ("nothing", ""),
        ("transfer", "complete 20"),
        ("answer", "move complete 100"),
        ("expect", "226 transfer.sent"),
        ("expect", "257 directory.made"),
        ("expect", "500 command.unknown"),
        ("expect", "227"),
        ("expect", "150"),
        ("expect", "226 transfer.stored"),
        ("expect", "257 directory.current"),
        LAST,
        ("size", "/x 20"),
    ];
    ends(&[RUNNING, steps].concat(), SAID);
    // So is what comes while something still runs.
    let steps: &[_] = &[
        DRAIN,
        ("send", "SYST"),
        ("send", "PWD"),
        ("answer", "move complete 100"),
        ("expect", "226"),
        ("expect", "215"),
        ("expect", "257"),
        LAST,
    ];
    ends(&[RUNNING, steps].concat(), SAID);
    let steps: &[_] = &[
        ("hold", "storage"),
        ("send", "MKD y"),
        DRAIN,
        ("nothing", ""),
        ("send", "MKD z"),
        ("answer", "storage"),
        ("expect", "257"),
        ("open", ""),
        ("answer", "storage"),
        ("expect", "257"),
        LAST,
        ("send", "MKD w"),
        ("size", "/y directory"),
        ("size", "/z directory"),
        ("size", "/w none"),
    ];
    ends(steps, SAID);
    // A port is still given, though nobody will use it.
    ends(
        &[("hold", "reserve"), ("send", "PASV"), DRAIN, ("answer", "reserve"), ("expect", "227"), LAST],
        SAID,
    );
}

#[test]
fn light_commands_and_aborts_act_as_ever() {
    let steps: &[_] = &[
        DRAIN,
        ("send", "NOOP"),
        ("expect", "200"),
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "RETR /a: 50 bytes moved so far"),
        ("open", ""),
        ("answer", "move complete 100"),
        ("expect", "226"),
        LAST,
    ];
    ends(&[RUNNING, steps].concat(), SAID);
    let steps: &[_] =
        &[DRAIN, ("send", "ABOR"), ("expect", "426 transfer.aborted"), ("expect", "226 abort.done"), LAST];
    ends(&[RUNNING, steps].concat(), SAID);
    let steps: &[_] = &[
        ("bytes", "PASV\\r\\nRETR a\\r\\n"),
        DRAIN,
        ("bytes", "ABOR\\r\\n"),
        ("expect", "426 transfer.aborted"),
        ("expect", "227"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "226 abort.done"),
        LAST,
        ("size", "/x none"),
    ];
    ends(&[RECEIVING, steps].concat(), SAID);
}

#[test]
fn a_login_is_carried_to_its_end() {
    let asked: &[(&str, &str)] =
        &[("send", "USER longshore"), ("expect", "331"), ("hold", "login"), ("send", "PASS secret")];
    let closed = ("closed", "");
    let steps: &[_] =
        &[DRAIN, ("nothing", ""), ("open", ""), ("answer", "login"), ("expect", "230"), LAST, closed];
    check(&[asked, steps].concat());
    let steps: &[_] = &[
        ("send", "PWD"),
        DRAIN,
        ("nothing", ""),
        ("answer", "login"),
        ("expect", "230"),
        ("expect", "257"),
        LAST,
        closed,
    ];
    check(&[asked, steps].concat());
    // One that takes too long is given up as ever, and a ban is told.
    let steps: &[_] = &[DRAIN, ("wait", "60000"), ("expect", "421 session.login-timeout"), closed];
    check(&[asked, steps].concat());
    let steps: &[_] = &[DRAIN, ("answer", "login banned 60"), ("expect", "421 session.banned"), closed];
    check(&[asked, steps].concat());
}

#[test]
fn a_refusal_is_held_back_as_long_as_ever() {
    let refused: &[(&str, &str)] = &[("send", "USER x"), ("expect", "331"), ("send", "PASS wrong")];
    let waits: &[(&str, &str)] = &[DRAIN, ("wait", "999"), ("nothing", ""), ("open", ""), ("wait", "1")];
    check(&[refused, waits, &[("expect", "530 login.rejected"), LAST, ("closed", "")]].concat());
    let behind: &[_] = &[("expect", "530 login.rejected"), ("expect", "215"), LAST, ("closed", "")];
    check(&[refused, &[("send", "SYST")], waits, behind].concat());
    // Who guesses three times in one breath hears of the third guess, not of the drain.
    let again: &[(&str, &str)] = &[("bytes", "USER x\\r\\nPASS wrong\\r\\nUSER x\\r\\nPASS wrong\\r\\n")];
    let rest: &[_] = &[
        ("expect", "530"),
        ("expect", "331"),
        ("wait", "2000"),
        ("expect", "530"),
        ("expect", "331"),
        ("wait", "3000"),
        ("expect", "421 login.too-many-attempts"),
        ("closed", ""),
    ];
    check(&[refused, again, waits, rest].concat());
}

#[test]
fn what_is_held_back_is_answered_when_it_no_longer_is() {
    let steps: &[_] = &[
        ("back", "held"),
        ("bytes", "MKD y\\r\\nSYST\\r\\n"),
        DRAIN,
        ("nothing", ""),
        ("open", ""),
        ("send", "PWD"),
        ("back", "free"),
        ("expect", "257 directory.made"),
        ("expect", "215"),
        ("expect", "257 directory.current"),
        LAST,
        ("size", "/y directory"),
    ];
    ends(steps, SAID);
    // With nothing that waits there is nothing to hold back.
    ends(&[("back", "held"), DRAIN, LAST], SAID);
    let steps: &[_] = &[("back", "held"), DRAIN, ("answer", "move complete 100"), ("expect", "226"), LAST];
    ends(&[RUNNING, steps].concat(), SAID);
}

#[test]
fn shutdown_in_every_stage() {
    ends(&[("shutdown", ""), LAST], SAID);
    ends(
        &[
            RUNNING,
            &[
                ("shutdown", ""),
                ("expect", "426 transfer.shutdown The server is shutting down, stopped after 50 bytes"),
                LAST,
            ],
        ]
        .concat(),
        SAID,
    );
    ends(
        &[
            RECEIVING,
            &[
                ("send", "MKD y"),
                ("shutdown", ""),
                ("expect", "426 transfer.shutdown"),
                LAST,
                ("size", "/x none"),
                ("size", "/y none"),
            ],
        ]
        .concat(),
        SAID,
    );
    ends(
        &[
            ARRANGED,
            &[
                ("hold", "storage"),
                ("send", "RETR a"),
                ("shutdown", ""),
                ("answer", "storage"),
                ("expect", "450"),
                LAST,
            ],
        ]
        .concat(),
        SAID,
    );
    ends(
        &[
            ARRANGED,
            &[
                ("hold", "probe"),
                ("send", "STOR x"),
                ("shutdown", ""),
                ("answer", "probe"),
                ("expect", "450"),
                LAST,
            ],
        ]
        .concat(),
        SAID,
    );
    ends(
        &[
            ARRANGED,
            &[
                ("client", "stays away"),
                ("send", "RETR a"),
                ("expect", "150"),
                ("shutdown", ""),
                ("expect", "426 transfer.shutdown"),
                LAST,
            ],
        ]
        .concat(),
        SAID,
    );
    ends(
        &[
            ARRANGED,
            &[
                ("hold", "commit"),
                ("send", "STOR x"),
                ("expect", "150"),
                ("shutdown", ""),
                ("nothing", ""),
                ("answer", "commit"),
                ("expect", "226"),
                LAST,
            ],
        ]
        .concat(),
        SAID,
    );
    ends(&[ARRANGED, &[("hold", "reserve"), ("send", "EPSV"), ("shutdown", ""), LAST]].concat(), SAID);
    // What storage does is waited for, so that the client learns what became of it.
    ends(
        &[
            ("hold", "storage"),
            ("bytes", "MKD y\\r\\nMKD z\\r\\n"),
            ("shutdown", ""),
            ("nothing", ""),
            ("answer", "storage"),
            ("expect", "257"),
            LAST,
            ("size", "/y directory"),
            ("size", "/z none"),
        ],
        SAID,
    );
    check(&[
        ("send", "USER longshore"),
        ("expect", "331"),
        ("hold", "login"),
        ("send", "PASS secret"),
        ("shutdown", ""),
        LAST,
        ("closed", ""),
    ]);
    check(&[
        ("send", "USER x"),
        ("expect", "331"),
        ("send", "PASS wrong"),
        ("shutdown", ""),
        LAST,
        ("closed", ""),
    ]);
    check(&[("shutdown", ""), LAST, ("closed", "")]);
    // Who is gone is not told.
    ends(
        &[RECEIVING, &[("end", ""), ("shutdown", ""), ("expect", "426 transfer.shutdown")]].concat(),
        Ending::Closed,
    );
}

#[test]
fn a_shutdown_stops_what_the_drain_waited_for() {
    let stopped: &[_] = &[
        ("send", "MKD y"),
        DRAIN,
        ("nothing", ""),
        ("shutdown", ""),
        ("expect", "426 transfer.shutdown The server is shutting down, stopped after 50 bytes"),
        LAST,
        ("size", "/x none"),
        ("size", "/y none"),
    ];
    ends(&[RUNNING, stopped].concat(), SAID);
    ends(&[RECEIVING, stopped].concat(), SAID);
    // What storage does is waited for, a login and a refusal are not.
    let steps: &[_] = &[
        ("hold", "storage"),
        ("bytes", "MKD y\\r\\nMKD z\\r\\n"),
        DRAIN,
        ("shutdown", ""),
        ("open", ""),
        ("answer", "storage"),
        ("expect", "257"),
        LAST,
        ("size", "/z none"),
    ];
    ends(steps, SAID);
    ends(&[("back", "held"), ("send", "MKD y"), DRAIN, ("shutdown", ""), LAST, ("size", "/y none")], SAID);
    for (hold, password) in [("login", "secret"), ("move", "wrong")] {
        check(&[
            ("hold", hold),
            ("send", "USER x"),
            ("expect", "331"),
            ("send", &format!("PASS {password}")),
            DRAIN,
            ("nothing", ""),
            ("shutdown", ""),
            LAST,
            ("closed", ""),
        ]);
    }
}

#[test]
fn who_says_quit_hears_goodbye() {
    let steps: &[_] = &[
        DRAIN,
        ("bytes", "MKD y\\r\\nQUIT\\r\\nMKD z\\r\\n"),
        ("nothing", ""),
        ("answer", "move complete 100"),
        ("expect", "226"),
        ("expect", "257"),
        ("expect", "221 session.goodbye"),
        ("size", "/z none"),
    ];
    ends(&[RUNNING, steps].concat(), Ending::Quit);
    let steps: &[_] = &[
        ("send", "QUIT"),
        DRAIN,
        ("nothing", ""),
        ("answer", "move complete 100"),
        ("expect", "226"),
        ("expect", "221"),
    ];
    ends(&[RUNNING, steps].concat(), Ending::Quit);
}

#[test]
fn who_leaves_is_treated_as_ever() {
    // Behind a download, which is stopped, and behind an upload, which may end.
    let steps: &[_] = &[
        ("send", "MKD y"),
        DRAIN,
        ("end", ""),
        ("expect", "426 transfer.control-lost"),
        ("expect", "257"),
        ("size", "/y directory"),
    ];
    ends(&[RUNNING, steps].concat(), Ending::Closed);
    let steps: &[_] = &[
        DRAIN,
        ("end", ""),
        ("wait", "4999"),
        ("open", ""),
        ("answer", "move complete 60"),
        ("expect", "226 transfer.stored"),
        ("size", "/x 60"),
    ];
    ends(&[RECEIVING, steps].concat(), Ending::Closed);
    let lost = ("expect", "426 transfer.control-lost");
    ends(
        &[RECEIVING, &[("send", "MKD y"), DRAIN, ("reset", ""), lost, ("size", "/y none")]].concat(),
        Ending::Reset,
    );
    // Who had left before is not told.
    ends(&[RECEIVING, &[("end", ""), DRAIN, ("wait", "5000"), lost]].concat(), Ending::Closed);
}
