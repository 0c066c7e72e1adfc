//! One thing after the other: what most sessions are.

use longshore_proto::client::*;
use longshore_proto::command::Mode;

use crate::play::*;

#[test]
fn an_ordinary_session() {
    let requests =
        vec![login(), get("a"), get("b"), list(ListForm::Names), Request::CurrentDirectory, Request::Quit];
    play(
        Options::default(),
        requests,
        "
        ask 0
        < 220 (vsFTPd 3.0.5)
        * greeted
        > USER alice
        < 331 Password, please.
        > PASS
        < 230 In.
        = 0 in
        ask 1
        > TYPE I
        < 200 Binary.
        > EPSV
        < 229 Entering Extended Passive Mode (|||50001|)
        * 1 connect 192.0.2.1:50001
        ! connected 1
        > RETR a
        * 2 receive 1 on 1 from 0
        < 150 Opening.
        ! moved 2 100
        < 226 Done.
        * 1 close
        = 1 RETR 100
        ask 2
        > EPSV
        < 229 Entering Extended Passive Mode (|||50002|)
        * 3 connect 192.0.2.1:50002
        ! connected 3
        > RETR b
        * 4 receive 2 on 3 from 0
        < 150 Opening.
        < 226 Done.
        ! moved 4 7
        * 3 close
        = 2 RETR 7
        ask 3
        > TYPE A
        < 200 ASCII.
        > EPSV
        < 229 Entering Extended Passive Mode (|||50003|)
        * 5 connect 192.0.2.1:50003
        ! connected 5
        > NLST
        * 6 receive 3 on 5 from 0
        < 150 Here it comes.
        ! moved 6 12
        < 226 Sent.
        * 5 close
        = 3 NLST 12
        ask 4
        > PWD
        < 257 \"/home\"
        = 4 directory /home
        ask 5
        > QUIT
        < 221 Bye.
        = 5 closed
        * close
        ",
    );
}

/// ProFTPD without EPSV, IIS with its 125, and a 227 that names an address inside a NAT.
#[test]
fn passive_fallbacks() {
    play(
        Options::default(),
        vec![get("a"), get("b")],
        "
        < 220 ready
        * greeted
        ask 0
        > TYPE I
        < 200 I
        > EPSV
        < 500 EPSV not understood
        > PASV
        < 227 Entering Passive Mode (10,0,0,5,195,80).
        * 1 connect 192.0.2.1:50000
        ! connected 1
        > RETR a
        * 2 receive 0 on 1 from 0
        < 125 Data connection already open
        < 226 Done.
        ! moved 2 1
        * 1 close
        = 0 RETR 1
        ask 1
        > PASV
        < 227 Passive 10,0,0,5,195,81
        * 3 connect 192.0.2.1:50001
        ! refused 3
        = 1 no connection
        ",
    );
    // The port of EPSV is closed to us, that of PASV is not; a 227 to EPSV is understood.
    play(
        Options { trust_passive_address: true, ..Options::default() },
        vec![get("a"), get("b")],
        "
        < 220 ready
        * greeted
        ask 0
        > TYPE I
        < 200 I
        > EPSV
        < 227 Passive (192,0,2,9,195,80)
        * 1 connect 192.0.2.9:50000
        wait 30
        * 1 cancel
        ! cancelled 1
        > PASV
        < 227 Passive (192,0,2,9,195,81)
        * 2 connect 192.0.2.9:50001
        ! connected 2
        > RETR a
        * 3 receive 0 on 2 from 0
        < 550 No such file.
        * 3 cancel
        ! stopped 3 0
        * 2 close
        = 0 no RETR 550
        ask 1
        > PASV
        < 421 Timeout.
        = 1 lost NotDone
        * close
        ",
    );
}

#[test]
fn active_mode() {
    let options = Options { route: RouteChoice::Active { address: None }, ..Options::default() };
    play(
        options,
        vec![put("a"), put("b")],
        "
        < 220 ready
        * greeted
        ask 0
        > TYPE I
        < 200 I
        * 1 listen 198.51.100.7
        ! listening 1
        > EPRT |1|198.51.100.7|40000|
        < 502 EPRT?
        > PORT 198,51,100,7,156,64
        < 200 PORT.
        > STOR a
        < 150 Go.
        * 2 send 0 on 1 from 0
        ! moved 2 5
        < 226 Stored.
        * 1 close
        = 0 STOR 5
        ask 1
        * 3 listen 198.51.100.7
        ! listening 3
        > PORT 198,51,100,7,156,64
        < 500 Illegal PORT command.
        * 3 close
        = 1 no PORT 500
        ",
    );
}

#[test]
fn tls_protects_what_follows() {
    let options = Options::default();
    play(
        options,
        vec![Request::StartTls, login(), get("a")],
        "
        < 220 ready
        * greeted
        ask 0
        > AUTH TLS
        < 234 Go.
        * tls 1
        ! up 1
        > PBSZ 0
        < 200 0
        > PROT P
        < 200 P
        = 0 protected true
        ask 1
        > USER alice
        < 232 In, by certificate.
        = 1 in
        ask 2
        > TYPE I
        < 200 I
        > EPSV
        < 229 (|||50001|)
        * 2 connect 192.0.2.1:50001
        ! connected 2
        > RETR a
        * 3 receive 2 on 2 from 0 private
        < 150 Go.
        ! moved 3 1
        < 226 Done.
        * 2 close
        = 2 RETR 1
        ",
    );
    // What was refused before the login is asked for again, and no transfer goes in clear.
    play(
        Options::default(),
        vec![Request::StartTls, get("a")],
        "
        < 220 ready
        * greeted
        ask 0
        > AUTH TLS
        < 234 Go.
        * tls 1
        ! up 1
        > PBSZ 0
        < 530 Log in first.
        = 0 protected false
        ask 1
        > PBSZ 0
        < 200 0
        > PROT P
        < 534 No.
        = 1 no PROT 534
        ",
    );
    play(
        Options::default(),
        vec![Request::StartTls, Request::Noop],
        "
        < 220 ready
        * greeted
        ask 0
        ask 1
        > AUTH TLS
        < 234 Go.
        * tls 1
        ! behind 1
        = 0 lost Unknown
        = 1 lost NotDone
        * close
        ",
    );
}

#[test]
fn single_commands_go_ahead_and_are_answered_in_order() {
    let ahead = Ahead { commands: 3, ..Ahead::default() };
    let names = |name: &str| name.as_bytes().to_vec();
    play(
        Options { ahead, ..Options::default() },
        vec![
            Request::MakeDirectory(names("d")),
            Request::RemoveFile(names("f")),
            Request::Modified(names("g")),
            Request::Size(names("h")),
            Request::Rename { from: names("a"), to: names("b") },
            Request::ChangeDirectory(names("x\ny")),
            Request::Raw(names("SITE HELP")),
            Request::Raw(names("RETR x")),
            Request::SetModified(names("f"), longshore_proto::time::UnixTime { seconds: 0, nanoseconds: 0 }),
        ],
        "
        ask 0
        ask 1
        ask 2
        ask 3
        ask 4
        ask 5
        ask 6
        ask 7
        ask 8
        < 220 ready
        * greeted
        > MKD d
        > DELE f
        > MDTM g
        < 250 made
        = 0 directory d
        < 550 no f
        = 1 no DELE 550
        < 213 19700101000001
        = 2 modified 1
        > TYPE I
        < 200 I
        > SIZE h
        < 213 x
        = 3 unreadable SIZE
        > RNFR a
        < 350 ok
        > RNTO b
        < 250 ok
        = 4 done 250
        = 5 unsendable
        > SITE HELP
        < 214 help
        = 6 done 214
        = 7 unsendable
        > MFMT 19700101000000 f
        < 500 MFMT?
        = 8 no MFMT 500
        ",
    );
}

/// RNTO follows a 350 and nothing else: a server may remember an older RNFR, and would rename another file.
#[test]
fn rnto_follows_a_350_only() {
    let rename = || Request::Rename { from: b"a".to_vec(), to: b"b".to_vec() };
    for (answer, result) in
        [("550 none", "no RNFR 550"), ("250 done", "no RNFR 250"), ("502 unknown", "no RNFR 502")]
    {
        let script = format!(
            "
            < 220 ready
            * greeted
            ask 0
            ask 1
            > RNFR a
            < {answer}
            = 0 {result}
            > RNFR a
            < 350 and now
            > RNTO b
            < 250 renamed
            = 1 done 250
            "
        );
        play(Options::default(), vec![rename(), rename()], &script);
    }
}

#[test]
fn restarts() {
    let resume = |path: &str| Request::Retrieve { path: path.into(), offset: 7, form: FileForm::default() };
    play(
        Options::default(),
        vec![resume("a"), get("b")],
        "
        < 220 ready
        * greeted
        ask 0
        ask 1
        > TYPE I
        < 200 I
        > EPSV
        < 229 (|||50001|)
        * 1 connect 192.0.2.1:50001
        ! connected 1
        > REST 7
        abort 0
        < 350 ok
        = 0 aborted 0
        * 1 close
        > EPSV
        < 229 (|||50002|)
        * 2 connect 192.0.2.1:50002
        ! connected 2
        > REST 0
        < 350 ok
        > RETR b
        * 3 receive 1 on 2 from 0
        < 150 b
        ! moved 3 1
        < 226 b
        * 2 close
        = 1 RETR 1
        ",
    );
    play(
        Options::default(),
        vec![resume("a")],
        "
        < 220 ready
        * greeted
        ask 0
        > TYPE I
        < 200 I
        > EPSV
        < 229 (|||50001|)
        * 1 connect 192.0.2.1:50001
        ! connected 1
        > REST 7
        < 502 no
        = 0 no REST 502
        ",
    );
}

#[test]
fn lists_of_servers_that_know_less() {
    play(
        Options::default(),
        vec![list(ListForm::Facts), list(ListForm::Facts)],
        "
        < 220 ready
        * greeted
        ask 0
        > TYPE A
        < 200 A
        > EPSV
        < 229 (|||50001|)
        * 1 connect 192.0.2.1:50001
        ! connected 1
        > MLSD
        * 2 receive 0 on 1 from 0
        < 500 MLSD?
        * 2 cancel
        ! stopped 2 0
        * 1 close
        > EPSV
        < 229 (|||50002|)
        * 3 connect 192.0.2.1:50002
        ! connected 3
        > LIST
        * 4 receive 0 on 3 from 0
        < 450 No files found.
        * 4 cancel
        ! stopped 4 0
        * 3 close
        = 0 LIST 0
        ask 1
        > EPSV
        ! end
        = 1 lost NotDone
        * close
        ",
    );
}

#[test]
fn modes_are_chosen_by_what_the_server_has() {
    let options = || Options { mode: ModeChoice::Prefer(Mode::Block), ..Options::default() };
    play(
        options(),
        vec![Request::Features, get("a")],
        "
        ask 0
        ask 1
        < 220 ready
        * greeted
        > FEAT
        < 211-Features
        <  MODE B
        <  SIZE
        < 211 End
        = 0 features 2
        > TYPE I
        < 200 I
        > MODE B
        < 504 no
        > EPSV
        ! end
        = 1 lost NotDone
        * close
        ",
    );
    play(
        options(),
        vec![get("a")],
        "
        ask 0
        < 220 ready
        * greeted
        > FEAT
        < 500 FEAT?
        > TYPE I
        < 504 no
        = 0 no TYPE 504
        ",
    );
}

#[test]
fn ipv6_has_no_pasv() {
    let address = |text: &str| text.parse().expect("an address");
    let connection = Connection { local: address("[2001:db8::7]:50000"), peer: address("[2001:db8::1]:21") };
    play_on(
        connection,
        Options::default(),
        vec![get("a")],
        "
        < 220 ready
        * greeted
        ask 0
        > TYPE I
        < 200 I
        > EPSV
        < 522 (1)
        = 0 no EPSV 522
        ",
    );
}
