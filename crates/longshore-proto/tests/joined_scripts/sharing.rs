//! Several transfers on one data connection, and what is sent ahead.

use longshore_proto::client::*;

use crate::play::*;

#[test]
fn downloads_share_a_connection_and_wait_for_their_marks() {
    in_blocks(
        false,
        vec![get("a"), get("b"), get("c"), Request::Noop],
        "
        > RETR a
        > RETR b
        > RETR c
        < 125 a
        * 2 receive 0 on 1 from 0
        < 250 a
        < 550 No b.
        < 125 c
        ! moved 2 10
        = 0 RETR 10
        = 1 no RETR 550
        * 3 receive 2 on 1 from 0
        ! moved 3 20
        < 250 c
        = 2 RETR 20
        > NOOP
        < 200 ok
        = 3 done 200
        ",
    );
}

/// The server may be done with a file whose bytes wait behind those of the one before.
#[test]
fn a_final_reply_that_comes_before_its_bytes_are_read() {
    in_blocks(
        false,
        vec![get("a"), get("b")],
        "
        > RETR a
        > RETR b
        < 125 a
        * 2 receive 0 on 1 from 0
        < 250 a
        < 125 b
        < 250 b
        ! moved 2 10
        = 0 RETR 10
        * 3 receive 1 on 1 from 0
        ! moved 3 20
        = 1 RETR 20
        ",
    );
}

#[test]
fn a_refused_upload_takes_what_was_sent_behind_it() {
    in_blocks(
        true,
        vec![put("a"), put("b"), put("c"), get("d")],
        "
        > STOR a
        * 2 send 0 on 1 from 0
        > STOR b
        > STOR c
        > RETR d
        ! moved 2 5
        * 3 send 1 on 1 from 0
        < 125 a
        < 250 a
        = 0 STOR 5
        ! moved 3 6
        * 4 send 2 on 1 from 0
        < 553 b
        * 4 cancel
        * 1 reset
        = 1 no STOR 553
        < 425 c
        < 425 d
        * again 3
        ! stopped 4 2
        * again 2
        > EPSV
        < 229 (|||50002|)
        * 5 connect 192.0.2.1:50002
        ! connected 5
        > STOR c
        * 6 send 2 on 5 from 0
        ! moved 6 7
        < 125 c
        < 250 c
        = 2 STOR 7
        > RETR d
        < 125 d
        * 7 receive 3 on 5 from 0
        ! moved 7 1
        < 250 d
        = 3 RETR 1
        ",
    );
}

#[test]
fn without_the_servers_promise_uploads_wait_for_their_marks() {
    in_blocks(
        false,
        vec![put("a"), put("b"), put("c")],
        "
        > STOR a
        > STOR b
        > STOR c
        < 553 a
        = 0 no STOR 553
        * 1 reset
        < 125 b
        < 426 b
        * again 1
        < 250 c
        * again 2
        > EPSV
        ! end
        = 1 lost NotDone
        = 2 lost NotDone
        * close
        ",
    );
}

#[test]
fn a_cut_is_reported_and_those_behind_go_on() {
    in_blocks(
        false,
        vec![get("a"), get("b")],
        "
        > RETR a
        > RETR b
        < 125 a
        * 2 receive 0 on 1 from 0
        ! reset 2 3
        * 1 reset
        < 426 a
        = 0 cut 3 426
        < 425 b
        * again 1
        > EPSV
        < 229 (|||50002|)
        * 3 connect 192.0.2.1:50002
        ! connected 3
        > RETR b
        < 125 b
        * 4 receive 1 on 3 from 0
        ! moved 4 9
        < 250 b
        = 1 RETR 9
        ",
    );
    // A 226 ends the connection, too: 503 behind it.
    in_blocks(
        false,
        vec![get("a"), get("b")],
        "
        > RETR a
        > RETR b
        < 125 a
        * 2 receive 0 on 1 from 0
        < 226 a
        < 503 b
        * again 1
        ! moved 2 3
        = 0 RETR 3
        * 1 close
        > EPSV
        < 500 no
        > PASV
        < 500 no
        = 1 no PASV 500
        ",
    );
    // What goes out for the next one by then goes nowhere.
    in_blocks(
        true,
        vec![put("a"), put("b")],
        "
        > STOR a
        * 2 send 0 on 1 from 0
        > STOR b
        ! moved 2 3
        * 3 send 1 on 1 from 0
        < 125 a
        < 226 a
        * 3 cancel
        * 1 reset
        = 0 STOR 3
        ! stopped 3 1
        < 503 b
        * again 1
        > EPSV
        ! end
        = 1 lost NotDone
        * close
        ",
    );
    // The first on a new connection has nobody else to blame.
    in_blocks(
        false,
        vec![get("a")],
        "
        > RETR a
        < 425 a
        = 0 no RETR 425
        * 1 close
    ",
    );
}

/// The data connection goes while REST is on its way: REST is said again, directly before its transfer.
#[test]
fn restarts_on_a_connection_that_is_kept() {
    let resume = |path: &str| Request::Retrieve { path: path.into(), offset: 7, form: FileForm::default() };
    in_blocks(
        false,
        vec![resume("a"), get("b")],
        "
        > REST 7
        ! closed 1
        < 350 ok
        > EPSV
        < 229 (|||50002|)
        * 2 connect 192.0.2.1:50002
        ! connected 2
        > REST 7
        < 350 ok
        > RETR a
        > RETR b
        < 125 a
        * 3 receive 0 on 2 from 7
        ! moved 3 1
        < 250 a
        = 0 RETR 1
        < 125 b
        * 4 receive 1 on 2 from 0
        ! moved 4 1
        < 250 b
        = 1 RETR 1
        ",
    );
}

/// Nothing is known of the settings behind a raw command, nor of the data connection.
#[test]
fn what_was_set_is_set_anew_behind_a_raw_command() {
    in_blocks(
        false,
        vec![get("a"), Request::Raw(b"SITE RESET".to_vec()), get("b")],
        "
        > RETR a
        < 125 a
        * 2 receive 0 on 1 from 0
        ! moved 2 1
        < 250 a
        = 0 RETR 1
        * 1 close
        > SITE RESET
        < 200 ok
        = 1 done 200
        > TYPE I
        > STRU F
        > MODE B
        > EPSV
        < 200 I
        < 200 F
        < 200 B
        ! end
        = 2 lost NotDone
        * close
        ",
    );
}

/// What stood behind a cut is left to the caller where it wants that.
#[test]
fn asking_again_after_a_cut_is_a_choice() {
    in_blocks_with(
        Options { ask_again_after_cut: false, ..blocks(false) },
        vec![get("a"), get("b")],
        "TYPE I",
        "
        > RETR a
        > RETR b
        < 125 a
        * 2 receive 0 on 1 from 0
        ! reset 2 3
        * 1 reset
        < 426 a
        = 0 cut 3 426
        < 425 b
        = 1 no RETR 425
        ",
    );
}

/// MLSD may be asked for in another way, so nothing goes ahead behind it until it is known.
#[test]
fn nothing_goes_ahead_behind_an_mlsd_that_may_not_be_known() {
    in_blocks_with(
        blocks(false),
        vec![list(ListForm::Facts), list(ListForm::Names)],
        "TYPE A",
        "
        > MLSD
        < 500 MLSD?
        > LIST
        > NLST
        < 125 list
        * 2 receive 0 on 1 from 0
        ! moved 2 1
        < 250 list
        = 0 LIST 1
        < 125 names
        * 3 receive 1 on 1 from 0
        ! moved 3 1
        < 250 names
        = 1 NLST 1
        ",
    );
}
