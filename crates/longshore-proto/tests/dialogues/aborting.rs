//! ABOR in every step of a transfer, and with others behind it.

use longshore_proto::server::Policy;

use crate::common::check_logged_in;
use crate::keeping::kept_in;

const PASSIVE: &[(&str, &str)] = &[("send", "PASV"), ("expect", "227")];

#[track_caller]
fn check(steps: &[(&str, &str)]) {
    check_logged_in(&[PASSIVE, steps].concat());
}

#[test]
fn idle() {
    check_logged_in(&[
        ("send", "ABOR"),
        ("expect", "226 abort.idle ABOR is done, there was nothing to stop"),
        ("send", "ABOR"),
        ("expect", "226 abort.idle"),
    ]);
    // What was arranged is closed.
    check(&[
        ("send", "ABOR"),
        ("expect", "226 abort.done"),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
        ("send", "ABOR"),
        ("expect", "226 abort.idle"),
        ("send", "PORT 192,0,2,7,20,1"),
        ("expect", "200"),
        ("send", "ABOR"),
        ("expect", "226 abort.done"),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
    ]);
}

#[test]
fn before_the_mark() {
    for (held, command) in [
        ("storage", "RETR a"),
        ("probe", "RETR a"),
        ("storage", "STOR x"),
        ("probe", "STOR x"),
        ("storage", "LIST *"),
    ] {
        check(&[
            ("hold", held),
            ("send", command),
            ("send", "ABOR"),
            ("nothing", ""),
            ("answer", held),
            ("expect", "450 transfer.not-begun Not begun: aborted"),
            ("expect", "226 abort.done"),
            ("size", "/x none"),
            ("send", "RETR a"),
            ("expect", "503 sequence.nothing-arranged"),
        ]);
    }
    check(&[
        ("hold", "storage"),
        ("send", "RETR none"),
        ("send", "ABOR"),
        ("answer", "storage"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "226"),
    ]);
}

#[test]
fn while_waiting_for_the_data_connection() {
    for command in ["RETR a", "LIST", "STOR x", "STOU"] {
        for client in ["stays away", "strangers 1"] {
            check(&[
                ("client", client),
                ("send", command),
                ("expect", "150"),
                ("send", "ABOR"),
                ("expect", "426 transfer.aborted Stopped by ABOR after 0 bytes"),
                ("expect", "226 abort.done"),
                ("size", "/x none"),
                ("send", "RETR a"),
                ("expect", "503 sequence.nothing-arranged"),
            ]);
        }
    }
    // The client's connection and its ABOR cross: the connection is cut.
    check(&[
        ("hold", "establish"),
        ("send", "STOR x"),
        ("expect", "150"),
        ("send", "ABOR"),
        ("nothing", ""),
        ("answer", "establish established"),
        ("expect", "426 transfer.aborted"),
        ("expect", "226"),
        ("size", "/x none"),
    ]);
    check(&[
        ("hold", "establish"),
        ("send", "STOR x"),
        ("expect", "150"),
        ("send", "ABOR"),
        ("wait", "30000"),
        ("nothing", ""),
        ("answer", "establish cancelled"),
        ("expect", "426 transfer.aborted"),
        ("expect", "226"),
    ]);
}

#[test]
fn while_data_moves() {
    for command in ["RETR a", "LIST", "STOR x", "APPE a"] {
        check(&[
            ("transfer", "goes on 50"),
            ("send", command),
            ("expect", "150"),
            ("send", "ABOR"),
            ("expect", "426 transfer.aborted Stopped by ABOR after 50 bytes"),
            ("expect", "226 abort.done"),
            ("size", "/x none"),
            ("size", "/a 100"),
            ("open", ""),
        ]);
    }
    // Its last byte may have gone already.
    check(&[
        ("hold", "move"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("send", "ABOR"),
        ("nothing", ""),
        ("answer", "move complete 100"),
        ("expect", "226 transfer.sent 100"),
        ("expect", "226 abort.done"),
    ]);
    check(&[
        ("hold", "move"),
        ("send", "STOR x"),
        ("expect", "150"),
        ("send", "ABOR"),
        ("answer", "move complete 10"),
        ("expect", "226 transfer.stored 10"),
        ("expect", "226 abort.done"),
        ("size", "/x 10"),
    ]);
}

#[test]
fn while_it_is_stored() {
    check(&[
        ("hold", "commit"),
        ("send", "STOR x"),
        ("expect", "150"),
        ("send", "ABOR"),
        ("wait", "1000"),
        ("nothing", ""),
        ("answer", "commit"),
        ("expect", "226 transfer.stored"),
        ("expect", "226 abort.done"),
        ("size", "/x 10"),
    ]);
    check(&[
        ("hold", "commit"),
        ("send", "STOR x"),
        ("expect", "150"),
        ("send", "ABOR"),
        ("answer", "commit fails NoSpace"),
        ("expect", "452"),
        ("expect", "226 abort.done"),
    ]);
    check(&[
        ("transfer", "reset 5"),
        ("hold", "abandon"),
        ("send", "STOR x"),
        ("expect", "150"),
        ("send", "ABOR"),
        ("answer", "abandon"),
        ("expect", "426 transfer.upload-reset"),
        ("expect", "226 abort.done"),
    ]);
}

#[test]
fn transfers_behind_it_do_not_begin_and_others_run_in_turn() {
    check(&[
        ("transfer", "goes on 50"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("bytes", "MKD new\\r\\nPASV\\r\\nSTOR x\\r\\nLIST\\r\\nRETR none\\r\\nNOOP\\r\\nABOR\\r\\n"),
        ("expect", "426 transfer.aborted"),
        ("expect", "257 directory.made"),
        ("expect", "227"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "200 noop.done"),
        ("expect", "226 abort.done"),
        ("size", "/x none"),
        // The port that was arranged behind the transfer is closed as well.
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
        ("send", "ABOR"),
        ("expect", "226 abort.idle"),
    ]);
    // What comes behind the ABOR begins.
    check(&[
        ("transfer", "goes on 50"),
        ("bytes", "RETR a\\r\\nABOR\\r\\nPASV\\r\\nRETR a\\r\\n"),
        ("expect", "150"),
        ("expect", "426"),
        ("expect", "226 abort.done"),
        ("expect", "227"),
        ("expect", "150"),
        ("send", "ABOR"),
        ("expect", "426"),
        ("expect", "226"),
    ]);
    // Behind something else than a transfer.
    check(&[
        ("hold", "storage"),
        ("bytes", "CWD d\\r\\nRETR /a\\r\\nABOR\\r\\n"),
        ("nothing", ""),
        ("answer", "storage"),
        ("expect", "250"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "226 abort.done"),
    ]);
}

#[test]
fn only_what_waits_is_stopped() {
    // Nothing runs that ABOR could stop, but a transfer that waits is refused.
    check(&[
        ("hold", "storage"),
        ("bytes", "CWD d\\r\\nRETR /a\\r\\nREIN\\r\\nABOR\\r\\n"),
        ("answer", "storage"),
        ("expect", "250"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "220 session.reset"),
        ("expect", "530 login.needed"),
        // The next ABOR does not boast of it.
        ("bytes", "USER longshore\\r\\nPASS secret\\r\\nABOR\\r\\n"),
        ("expect", "331"),
        ("expect", "230"),
        ("expect", "226 abort.idle"),
    ]);
    check_logged_in(&[
        ("hold", "storage"),
        ("bytes", "CWD d\\r\\nRETR /a\\r\\nABOR\\r\\nABOR\\r\\n"),
        ("answer", "storage"),
        ("expect", "250"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "226 abort.done ABOR is done; the data connection is closed"),
        ("expect", "226 abort.idle"),
    ]);
    // Other commands are not stopped.
    check_logged_in(&[
        ("hold", "storage"),
        ("bytes", "CWD d\\r\\nPWD\\r\\nABOR\\r\\n"),
        ("answer", "storage"),
        ("expect", "250"),
        ("expect", "257"),
        ("expect", "226 abort.idle"),
    ]);
}

#[test]
fn more_than_one() {
    check(&[
        ("hold", "move"),
        ("transfer", "goes on 5"),
        ("bytes", "RETR a\\r\\nABOR\\r\\nABOR\\r\\n"),
        ("expect", "150"),
        ("nothing", ""),
        ("answer", "move"),
        ("expect", "426"),
        ("expect", "226 abort.done"),
        ("expect", "226 abort.idle"),
    ]);
}

/// The client's time was over before its ABOR came, and that is what it is told.
#[test]
fn behind_the_connect_deadline() {
    check(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("client", "stays away"),
        ("hold", "establish"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("wait", "30000"),
        ("nothing", ""),
        ("send", "ABOR"),
        ("nothing", ""),
        ("answer", "establish"),
        ("expect", "425 data.no-connection"),
        ("expect", "226 abort.done"),
    ]);
}

#[test]
fn with_telnet_and_urgent_data() {
    check(&[
        ("transfer", "goes on 5"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("urgent", ""),
        ("bytes", "\\xFF\\xF4\\xFF\\xF2ABOR\\r\\n"),
        ("expect", "426"),
        ("expect", "226"),
        // Urgent data alone is nothing to act on.
        ("urgent", ""),
        ("nothing", ""),
        ("send", "NOOP"),
        ("expect", "200"),
    ]);
}

#[test]
fn a_restart_is_served_even_by_a_transfer_that_did_not_begin() {
    check(&[
        ("send", "TYPE I"),
        ("expect", "200"),
        ("send", "REST 5"),
        ("expect", "350"),
        ("hold", "storage"),
        ("bytes", "SIZE a\\r\\nRETR a\\r\\nABOR\\r\\n"),
        ("answer", "storage"),
        ("release", "storage"),
        ("expect", "213"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "226"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 100"),
    ]);
}

/// Stopped before it was taken up for the transfer, it must not serve the next one, which has an arrangement of its own.
#[test]
fn a_connection_that_was_stopped_before_its_turn_is_closed() {
    for arrange in ["PASV", "PORT 192,0,2,7,20,1"] {
        let mut scene = kept_in(Policy::default(), "MODE B", arrange);
        scene.play(&[
            ("hold", "establish"),
            ("send", "STOR x"),
            ("expect", "125"),
            ("send", "ABOR"),
            ("answer", "establish cancelled"),
            ("expect", "426 transfer.aborted"),
            ("expect", "226 abort.done"),
            ("stays", "no"),
        ]);
        scene.end();
    }
}
