//! USER, PASS, ACCT, REIN, and what may be said before a login.

use longshore_proto::reply::Situation;
use longshore_proto::server::{Ending, Event, Policy};
use longshore_proto::verbs::{Legal, VERBS, Verb};

use crate::common::{Scene, World, check, check_logged_in, logged_in};

#[test]
fn a_login() {
    check(&[
        ("send", "USER longshore"),
        ("expect", "331 login.password-wanted"),
        ("send", "PASS secret"),
        ("expect", "230 login.accepted Logged in as longshore"),
        ("send", "PWD"),
        ("expect", "257 directory.current \"/\" is"),
        ("send", "QUIT"),
        ("expect", "221"),
        ("closed", ""),
    ]);
}

#[test]
fn pass_comes_directly_after_user() {
    check(&[("send", "PASS secret"), ("expect", "503 sequence.pass-without-user")]);
    for between in ["NOOP", "PASV", "XYZZY", "STAT", "USER"] {
        check(&[
            ("send", "USER x"),
            ("expect", "331"),
            ("send", between),
            ("expect", ""),
            ("send", "PASS secret"),
            ("expect", "503 sequence.pass-without-user"),
        ]);
    }
    check(&[
        ("send", "USER x"),
        ("expect", "331"),
        ("bytes", "a\\0b\\r\\n"),
        ("expect", "501 line.nul"),
        ("send", "PASS secret"),
        ("expect", "503"),
    ]);
    check_logged_in(&[("send", "PASS x"), ("expect", "503 sequence.pass-without-user")]);
}

#[test]
fn a_password_is_wanted_for_every_name() {
    let long = "u".repeat(255);
    for name in ["anonymous", "nobody-has-this-name", "root", "a b", "\u{e9}", &long] {
        check(&[
            ("send", &format!("USER {name}")),
            ("expect", "331 login.password-wanted Send the password with PASS"),
        ]);
    }
    check(&[("send", "USER"), ("expect", "501 command.bad-argument")]);
    check(&[("send", &format!("USER {long}u")), ("expect", "501 command.bad-argument")]);
    check(&[
        ("send", "USER a"),
        ("expect", "331"),
        ("send", "USER longshore"),
        ("expect", "331"),
        ("send", "PASS secret"),
        ("expect", "230 login.accepted Logged in as longshore"),
    ]);
}

#[test]
fn refusals_wait_longer_each_time_and_the_third_is_the_last() {
    check(&[
        ("send", "USER x"),
        ("expect", "331"),
        ("send", "PASS wrong"),
        ("wait", "999"),
        ("nothing", ""),
        ("wait", "1"),
        ("expect", "530 login.rejected"),
        ("send", "USER longshore"),
        ("expect", "331"),
        ("send", "PASS wrong"),
        ("wait", "1999"),
        ("nothing", ""),
        ("wait", "1"),
        ("expect", "530 login.rejected"),
        ("send", "USER longshore"),
        ("expect", "331"),
        ("send", "PASS wrong"),
        ("wait", "2999"),
        ("nothing", ""),
        ("open", ""),
        ("wait", "1"),
        ("expect", "421 login.too-many-attempts 3 logins failed"),
        ("closed", ""),
    ]);
}

#[test]
fn a_login_between_forgives_nothing() {
    let user: &[(&str, &str)] = &[("send", "USER x"), ("expect", "331")];
    let enter: &[(&str, &str)] = &[("send", "PASS secret"), ("expect", "230")];
    let first: &[(&str, &str)] =
        &[("send", "PASS wrong"), ("wait", "1000"), ("expect", "530 login.rejected")];
    let second: &[(&str, &str)] = &[
        ("send", "PASS wrong"),
        ("wait", "1999"),
        ("nothing", ""),
        ("wait", "1"),
        ("expect", "530 login.rejected"),
    ];
    let third: &[(&str, &str)] = &[
        ("send", "PASS wrong"),
        ("wait", "3000"),
        ("expect", "421 login.too-many-attempts 3 logins failed"),
        ("closed", ""),
    ];
    check(&[user, first, user, enter, user, second, user, enter, user, third].concat());
    check(
        &[user, first, user, second, user, enter, &[("send", "REIN"), ("expect", "220")], user, third]
            .concat(),
    );
}

#[test]
fn refusals_of_other_sessions_from_the_same_address_count() {
    // What the server remembers of the address, and how many milliseconds the first refusal waits.
    for (earlier, milliseconds) in
        [("0", 1000), ("1", 2000), ("4", 5000), ("9", 10_000), ("10", 10_000), ("4294967295", 10_000)]
    {
        check(&[
            ("hold", "login"),
            ("send", "USER x"),
            ("expect", "331"),
            ("send", "PASS wrong"),
            ("answer", &format!("login rejected {earlier}")),
            ("wait", &(milliseconds - 1).to_string()),
            ("nothing", ""),
            ("wait", "1"),
            ("expect", "530 login.rejected"),
            ("open", ""),
        ]);
    }
    // The session's own count holds where the server's is lower, and three attempts are three.
    let asked: &[(&str, &str)] =
        &[("hold", "login"), ("send", "USER x"), ("expect", "331"), ("send", "PASS wrong")];
    let second: &[_] = &[
        ("answer", "login rejected 0"),
        ("wait", "1999"),
        ("nothing", ""),
        ("wait", "1"),
        ("expect", "530 login.rejected"),
    ];
    let third: &[_] = &[
        ("answer", "login rejected 8"),
        ("wait", "8999"),
        ("nothing", ""),
        ("wait", "1"),
        ("expect", "421 login.too-many-attempts 3 logins failed"),
        ("closed", ""),
    ];
    let first: &[_] = &[("answer", "login rejected 0"), ("wait", "1000"), ("expect", "530 login.rejected")];
    check(&[asked, first, asked, second, asked, third].concat());
}

#[test]
fn a_banned_address_is_told_and_left() {
    let mut scene = Scene::new(World::over_ipv4());
    scene.play(&[
        ("expect", "220"),
        ("hold", "login"),
        ("bytes", "USER x\\r\\nPASS secret\\r\\nNOOP\\r\\n"),
        ("expect", "331"),
        ("answer", "login banned 120"),
        ("expect", "421 session.banned Too many logins from 192.0.2.7 failed; come again in 120 s"),
        ("closed", ""),
    ]);
    let refused = Event::LoginRefused { user: b"x".to_vec(), situation: Situation::Banned };
    let ended = Event::Ended { why: Ending::Said(Situation::Banned) };
    assert_eq!(scene.world.events, [refused, ended]);
    scene.end();
    // It is looked at again at each login of a session.
    check(&[
        ("send", "USER x"),
        ("expect", "331"),
        ("send", "PASS wrong"),
        ("wait", "1000"),
        ("expect", "530"),
        ("hold", "login"),
        ("send", "USER x"),
        ("expect", "331"),
        ("send", "PASS wrong"),
        ("answer", "login banned 1"),
        ("expect", "421 session.banned"),
        ("closed", ""),
    ]);
}

#[test]
fn commands_wait_behind_a_refusal_that_is_held_back() {
    check(&[
        ("bytes", "USER x\\r\\nPASS wrong\\r\\nNOOP\\r\\nUSER x\\r\\nPASS secret\\r\\n"),
        ("expect", "331"),
        ("nothing", ""),
        ("wait", "1000"),
        ("expect", "530 login.rejected"),
        ("expect", "200 noop.done"),
        ("expect", "331"),
        ("expect", "230"),
    ]);
}

#[test]
fn the_refusal_does_not_tell_what_was_wrong() {
    for user in ["longshore", "nobody-has-this-name"] {
        check(&[
            ("send", &format!("USER {user}")),
            ("expect", "331"),
            ("send", "PASS wrong"),
            ("wait", "1000"),
            (
                "expect",
                "530 login.rejected Login refused; check name and password, then send USER again, or ask the operator, whose log has the reason",
            ),
        ]);
    }
}

#[test]
fn user_after_login_starts_anew() {
    check_logged_in(&[
        ("send", "USER longshore"),
        ("expect", "331"),
        ("send", "PWD"),
        ("expect", "530 login.needed"),
        ("send", "USER longshore"),
        ("expect", "331"),
        ("send", "PASS secret"),
        ("expect", "230"),
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "logged in as longshore, in /"),
    ]);
    // The new login begins in its own directory, and has its own time.
    check_logged_in(&[
        ("send", "CWD d"),
        ("expect", "250"),
        ("wait", "200000"),
        ("send", "USER x"),
        ("expect", "331"),
        ("wait", "59999"),
        ("open", ""),
        ("send", "PASS secret"),
        ("expect", "230"),
        ("send", "PWD"),
        ("expect", "257 directory.current \"/\""),
    ]);
}

#[test]
fn the_last_refusal_tells_the_event_whose_it_was() {
    let mut scene = Scene::new(World::over_ipv4());
    scene.play(&[
        ("expect", "220"),
        ("send", "USER \u{e9}"),
        ("expect", "331"),
        ("send", "PASS wrong"),
        ("wait", "1000"),
        ("expect", "530"),
    ]);
    let refused =
        Event::LoginRefused { user: "\u{e9}".as_bytes().to_vec(), situation: Situation::LoginRejected };
    assert_eq!(scene.world.events, [refused]);
    scene.end();
}

#[test]
fn what_may_be_said_before_a_login() {
    // Protocol: USER, AUTH and its company, HOST, FEAT, OPTS, SYST, HELP, NOOP, CLNT, LANG, QUIT. PASS belongs to
    // USER and has its own answer, 503.
    let legal = [
        Verb::User,
        Verb::Pass,
        Verb::Quit,
        Verb::Feat,
        Verb::Opts,
        Verb::Syst,
        Verb::Help,
        Verb::Noop,
        Verb::Clnt,
        Verb::Auth,
        Verb::Pbsz,
        Verb::Prot,
        Verb::Ccc,
    ];
    for row in VERBS {
        let expected = if row.legal == Legal::NotOffered {
            "502 command.not-offered"
        } else if legal.contains(&row.verb) {
            ""
        } else {
            "530 login.needed"
        };
        for argument in ["", " x"] {
            let mut scene = Scene::new(World::over_ipv4());
            scene.play(&[
                ("expect", "220"),
                ("send", &format!("{}{argument}", row.name())),
                ("expect", expected),
            ]);
            let last = scene.world.said.last().expect("an answer").situation;
            assert_eq!(last == Situation::LoginNeeded, expected.starts_with("530"), "{}", row.name());
            scene.end();
        }
    }
}

#[test]
fn account_and_reinitialise() {
    check_logged_in(&[("send", "ACCT x"), ("expect", "202 login.account-superfluous")]);
    check_logged_in(&[
        ("send", "TYPE I"),
        ("expect", "200"),
        ("send", "OPTS MLST size;"),
        ("expect", "200"),
        ("send", "EPSV ALL"),
        ("expect", "200"),
        ("send", "EPSV"),
        ("expect", "229"),
        ("send", "REIN"),
        ("expect", "220 session.reset"),
        ("send", "LIST"),
        ("expect", "530 login.needed"),
        ("send", "USER longshore"),
        ("expect", "331"),
        ("send", "PASS secret"),
        ("expect", "230"),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "TYPE A, STRU F, MODE S"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "FEAT"),
        ("expect", "211"),
        ("line", "MLST type*;size*;modify*;perm*;unique*;UNIX.mode*;UNIX.owner*;UNIX.group*;"),
    ]);
    // It waits for the transfer before it.
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("transfer", "goes on 5"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("send", "REIN"),
        ("nothing", ""),
        ("answer", "move complete 100"),
        ("expect", "226"),
        ("expect", "220 session.reset"),
    ]);
}

#[test]
fn passwords_in_clear_may_be_refused() {
    let policy = || Policy { clear_passwords: false, ..Policy::default() };
    let connection = || World::connection("192.0.2.1:21", "192.0.2.7:40000");
    let mut scene = Scene::new(World::new(policy(), connection()));
    scene.play(&[
        ("expect", "220"),
        ("send", "USER longshore"),
        ("expect", "530 login.clear-refused"),
        ("send", "PASS secret"),
        ("expect", "503"),
        ("send", "USER nobody"),
        ("expect", "530 login.clear-refused"),
        ("send", "USER Anonymous"),
        ("expect", "331"),
        ("send", "PASS x"),
        ("expect", "230"),
    ]);
    scene.end();
    let mut scene = logged_in(policy(), connection());
    scene.play(&[("send", "USER ftp"), ("expect", "331")]);
    scene.end();
}
