//! What a dialogue knows of a server, from when on, and until when.

use longshore_proto::client::*;
use longshore_proto::command::{Mode, Secret};

use crate::play::*;

fn preferring_blocks() -> Options {
    Options { mode: ModeChoice::Prefer(Mode::Block), ..Options::default() }
}

/// A server may offer more to those whom it knows.
#[test]
fn what_was_offered_before_the_login_is_asked_again() {
    play(
        preferring_blocks(),
        vec![Request::Features, login(), get("a")],
        "
        ask 0
        ask 1
        ask 2
        < 220 ready
        * greeted
        > FEAT
        < 211-Features
        <  SIZE
        < 211 End
        = 0 features 1
        > USER alice
        < 230 in
        = 1 in
        > FEAT
        < 211-Features
        <  MODE B
        < 211 End
        > TYPE I
        < 200 I
        > MODE B
        ! end
        = 2 lost NotDone
        * close
        ",
    );
}

/// Whatever came in clear, somebody else may have said.
#[test]
fn what_was_learnt_in_clear_is_forgotten() {
    play(
        preferring_blocks(),
        vec![Request::Features, Request::StartTls, get("a")],
        "
        ask 0
        ask 1
        ask 2
        < 220 ready
        * greeted
        > FEAT
        < 211-Features
        <  MODE B
        < 211 End
        = 0 features 1
        > AUTH TLS
        < 234 Go.
        * tls 1
        ! up 1
        > PBSZ 0
        < 200 0
        > PROT P
        < 200 P
        = 1 protected true
        > FEAT
        ! end
        = 2 lost NotDone
        * close
        ",
    );
}

/// A password that cannot be sent is noticed before the user's name is.
#[test]
fn a_login_that_cannot_be_sent_is_not_begun() {
    for (password, account) in [("a\nb", None), ("x", Some(Secret(b"a\r\nDELE b".to_vec())))] {
        let password = Secret(password.as_bytes().to_vec());
        let login = Request::Login { user: b"alice".to_vec(), password, account };
        play(
            Options::default(),
            vec![login, Request::Noop],
            "
            < 220 ready
            * greeted
            ask 0
            = 0 unsendable
            ask 1
            > NOOP
            < 200 ok
            = 1 done 200
            ",
        );
    }
}
