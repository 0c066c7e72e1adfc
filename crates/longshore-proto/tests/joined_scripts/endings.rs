//! Beginnings, ends, silence and ABOR.

use longshore_proto::client::*;

use crate::play::*;

#[test]
fn an_idle_connection_that_the_server_closes() {
    in_blocks(
        false,
        vec![get("a"), Request::Noop, get("b"), get("c")],
        "
        > RETR a
        < 125 a
        * 2 receive 0 on 1 from 0
        ! moved 2 1
        < 250 a
        = 0 RETR 1
        > NOOP
        > RETR b
        > RETR c
        < 200 noop
        = 1 done 200
        < 425 b
        * again 2
        * 1 reset
        < 425 c
        * again 3
        > EPSV
        ! end
        = 2 lost NotDone
        = 3 lost NotDone
        * close
        ",
    );
}

#[test]
fn abor_has_two_answers_or_one() {
    let script = |answers: &str, end: &str| {
        format!(
            "
            > RETR a
            > RETR b
            < 125 a
            * 2 receive 0 on 1 from 0
            abort 0
            > ABOR
            * 2 cancel
            * 1 reset
            ! stopped 2 7
            {answers}
            > EPSV
            < 229 (|||50002|)
            * 3 connect 192.0.2.1:50002
            ! connected 3
            > RETR b
            < 125 b
            * 4 receive 1 on 3 from 0
            ! moved 4 9
            {end}
            "
        )
    };
    let kept = "
        < 250 b
        = 1 RETR 9
    ";
    let requests = || vec![get("a"), get("b")];
    let two = "
        < 426 a
        = 0 aborted 7
        < 450 b
        * again 1
        < 226 abor
    ";
    in_blocks(false, requests(), &script(two, kept));
    let one = "
        < 225 abor
        = 0 aborted 7
        * again 1
    ";
    in_blocks(false, requests(), &script(one, kept));
    let none = "
        < 226 a or abor
        = 0 aborted 7
        < 450 b
        * again 1
        wait 10
    ";
    in_blocks(false, requests(), &script(none, kept));
    // A completion of the next transfer is not the answer that an ABOR was given up for.
    let closed = "
        < 226 b
        = 1 RETR 9
        * 3 close
    ";
    in_blocks(false, requests(), &script(none, closed));
    // Bytes of an upload that nobody wants do not go out ahead.
    in_blocks(
        true,
        vec![put("a"), put("b")],
        "
        > STOR a
        * 2 send 0 on 1 from 0
        > STOR b
        abort 1
        ! moved 2 3
        < 125 a
        < 250 a
        = 0 STOR 3
        > ABOR
        * 1 reset
        < 125 b
        < 426 b
        = 1 aborted 0
        < 226 abor
        ",
    );
    // What has not begun is not sent; what stands behind another waits for its turn to be stopped.
    in_blocks(
        false,
        vec![get("a"), get("b"), Request::Noop],
        "
        > RETR a
        > RETR b
        abort 1
        abort 2
        < 125 a
        * 2 receive 0 on 1 from 0
        ! moved 2 1
        < 250 a
        = 0 RETR 1
        > ABOR
        * 1 reset
        < 125 b
        < 426 b
        = 1 aborted 0
        = 2 aborted 0
        < 226 abor
        ",
    );
}

/// An ABOR may come too late for its transfer and stop the next one, which is asked for again; but what APPE has put
/// behind a file already must not be put there twice.
#[test]
fn a_part_that_was_appended_is_not_appended_again() {
    let store = |start| Request::Store { path: b"b".to_vec(), start, form: FileForm::default() };
    let cut = "
        = 1 cut 4 426
        < 226 abor
    ";
    let again = "
        * again 1
        < 226 abor
        > EPSV
        ! end
        = 1 lost NotDone
        * close
    ";
    for (start, command, bytes, end) in [
        (StoreStart::Append, "APPE", 4, cut),
        (StoreStart::Append, "APPE", 0, again),
        (StoreStart::Replace, "STOR", 4, again),
    ] {
        let script = format!(
            "
            > STOR a
            * 2 send 0 on 1 from 0
            > {command} b
            ! moved 2 5
            * 3 send 1 on 1 from 0
            abort 0
            > ABOR
            * 3 cancel
            * 1 reset
            ! stopped 3 {bytes}
            < 125 a
            < 250 a
            = 0 aborted 5
            < 125 b
            < 426 b
            {end}
            "
        );
        in_blocks(true, vec![put("a"), store(start)], &script);
    }
}

/// While bytes move, whoever moves them sees to the time; behind them the reply is awaited.
#[test]
fn silence_while_bytes_move_is_no_loss() {
    in_blocks(
        false,
        vec![get("a")],
        "
        > RETR a
        < 125 a
        * 2 receive 0 on 1 from 0
        wait 100
        ! moved 2 3
        wait 59
        wait 1
        * 1 close
        = 0 lost Unknown
        * close
        ",
    );
}

#[test]
fn greetings() {
    let noop = || vec![Request::Noop];
    play(
        Options::default(),
        noop(),
        "
        ask 0
        < 120 in a minute
        < 220-welcome
        < 421 is the number of our house
        < 220 ready
        * greeted
        > NOOP
        < 200 ok
        = 0 done 200
    ",
    );
    play(
        Options::default(),
        noop(),
        "
        ask 0
        < 530 you are banned
        = 0 lost NotDone
        * close
    ",
    );
    play(
        Options::default(),
        noop(),
        "
        ask 0
        < SSH-2.0-x
        = 0 lost NotDone
        * close
    ",
    );
    play(
        Options::default(),
        noop(),
        "
        ask 0
        wait 59
        wait 1
        = 0 lost NotDone
        * close
    ",
    );
    // A reply that ends with another code has ended when nothing more comes.
    play(
        Options::default(),
        noop(),
        "
        ask 0
        < 220-welcome
        < 230 ready
        wait 2
        wait 1
        * greeted
        > NOOP
        wait 59
        wait 1
        = 0 lost Unknown
        * close
    ",
    );
    let implicit = Options { implicit_tls: true, ..Options::default() };
    play(
        implicit.clone(),
        noop(),
        "
        ask 0
        * tls 1
        ! up 1
        < 220 ready
        * greeted
        > NOOP
        ! end
        = 0 lost Unknown
        * close
    ",
    );
    play(
        implicit,
        noop(),
        "
        ask 0
        * tls 1
        wait 30
        = 0 lost NotDone
        * close
    ",
    );
}

#[test]
fn replies_that_nothing_asked_for() {
    let limit = longshore_proto::limits::UNASKED_REPLIES_LIMIT;
    let unasked = "< 226 again\n* unasked 226\n".repeat(limit);
    let script = format!(
        "
        < 220 ready
        * greeted
        {unasked}
        ask 0
        > NOOP
        < 200 ok
        = 0 done 200
        < 226 once more
        * close
        "
    );
    play(Options::default(), vec![Request::Noop], &script);
}

#[test]
fn requests_after_the_end() {
    play(
        Options::default(),
        vec![Request::Quit, Request::Noop],
        "
        < 220 ready
        * greeted
        ask 0
        > QUIT
        ! end
        = 0 closed
        * close
        ask 1
        = 1 lost NotDone
        ",
    );
}

/// The server may not have seen the connection yet, which is gone: it would wait for another one.
#[test]
fn our_side_fails_and_the_server_is_told() {
    let script = |answers: &str| {
        format!(
            "
            > RETR a
            > RETR b
            < 150 a
            * 2 receive 0 on 1 from 0
            ! fails 2 7
            > ABOR
            * 1 reset
            {answers}
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
            "
        )
    };
    let requests = || vec![get("a"), get("b")];
    let two = "
        < 426 a
        = 0 cut 7 426
        < 450 b
        * again 1
        < 226 abor
    ";
    in_blocks(false, requests(), &script(two));
    let one = "
        < 225 abor
        = 0 cut 7 0
        * again 1
    ";
    in_blocks(false, requests(), &script(one));
    // The server was through with it.
    let late = "
        < 250 a
        = 0 cut 7 250
        < 450 b
        * again 1
        < 226 abor
    ";
    in_blocks(false, requests(), &script(late));
    // Where its answer has come, there is nothing to stop.
    in_blocks(
        false,
        vec![get("a"), Request::Noop],
        "
        > RETR a
        < 150 a
        * 2 receive 0 on 1 from 0
        < 250 a
        ! fails 2 7
        = 0 cut 7 250
        * 1 close
        > NOOP
        < 200 noop
        = 1 done 200
        ",
    );
}
