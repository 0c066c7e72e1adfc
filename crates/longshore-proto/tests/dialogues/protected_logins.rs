//! Logins and TLS: who may not say a password in clear, whom a certificate lets in, and what an account needs.
//!
//! Not inside: logins as such ([`coming_in`](crate::coming_in)).

use longshore_proto::reply::Situation;
use longshore_proto::server::{Event, Policy, TlsNeed, TlsOffer};

use crate::common::{Kind, Scene, Work};
use crate::protecting::{
    AUTH, CCC, LOGIN, OFFERS, PRIVATE, check, explicit, implicit, lenient, policy, scene,
};

const NEEDED: &str = "530 login.tls-needed This login is not taken in clear; send AUTH TLS first";
const REFUSED: &str = "530 login.clear-refused Passwords in clear are taken only from this machine itself";
const WANTED: &str = "331 login.password-wanted";

/// What a name is answered in clear, where passwords in clear are taken or not.
fn in_clear(offer: TlsOffer, need: TlsNeed, clear_passwords: bool, anonymous: bool) -> &'static str {
    match (need, offer) {
        (TlsNeed::Login | TlsNeed::Data, _) => NEEDED,
        (TlsNeed::Nothing, _) if clear_passwords || anonymous => WANTED,
        (TlsNeed::Nothing, TlsOffer::Explicit) => NEEDED,
        // AUTH would not help.
        (TlsNeed::Nothing, _) => REFUSED,
    }
}

#[test]
fn who_may_not_log_in_in_clear() {
    let mut combinations = 0;
    for offer in [TlsOffer::NoCertificate, TlsOffer::Off, TlsOffer::Explicit] {
        for need in [TlsNeed::Nothing, TlsNeed::Login, TlsNeed::Data] {
            for clear_passwords in [true, false] {
                for (name, anonymous) in
                    [("longshore", false), ("nobody", false), ("anonymous", true), ("FTP", true)]
                {
                    let policy = Policy { clear_passwords, ..policy(offer, need, false) };
                    let expected = in_clear(offer, need, clear_passwords, anonymous);
                    let mut scene = scene(policy);
                    let user = format!("USER {name}");
                    scene.play(&[("send", &user), ("expect", expected), ("went", "in clear")]);
                    if expected != WANTED {
                        // No password was asked for, and none is taken.
                        let situation = scene.world.said.last().expect("an answer").situation;
                        let refused = Event::LoginRefused { user: name.into(), situation };
                        assert_eq!(scene.world.events, [refused]);
                        scene.play(&[("send", "PASS secret"), ("expect", "503"), ("open", "")]);
                    }
                    scene.end();
                    combinations += 1;
                }
            }
        }
    }
    assert_eq!(combinations, 72);
}

#[test]
fn inside_tls_everybody_may() {
    for need in [TlsNeed::Nothing, TlsNeed::Login, TlsNeed::Data] {
        for clear_passwords in [true, false] {
            for (offer, begin) in [(TlsOffer::Explicit, AUTH), (TlsOffer::Implicit, &[] as &[_])] {
                let policy = || Policy { clear_passwords, ..policy(offer, need, true) };
                check(policy(), &[begin, LOGIN].concat());
                let anonymous: &[_] = &[("send", "USER anonymous"), ("expect", "331"), ("send", "PASS x")];
                check(policy(), &[begin, anonymous, &[("expect", "230")]].concat());
            }
        }
    }
    // Refusals do not count as failed logins.
    let policy = policy(TlsOffer::Explicit, TlsNeed::Login, false);
    let refused: &[_] = &[("send", "USER longshore"), ("expect", NEEDED)];
    let wrong: &[_] = &[("send", "USER x"), ("expect", "331"), ("send", "PASS wrong"), ("wait", "999")];
    let first: &[_] = &[("nothing", ""), ("wait", "1"), ("expect", "530 login.rejected Login refused")];
    check(policy, &[refused, refused, refused, refused, AUTH, wrong, first].concat());
}

#[test]
fn in_clear_again_behind_ccc() {
    // AUTH helps there on an implicit listener, too.
    for (offer, begin) in [(TlsOffer::Explicit, AUTH), (TlsOffer::Implicit, &[] as &[_])] {
        let policy = || Policy { clear_passwords: false, ..policy(offer, TlsNeed::Nothing, true) };
        let user: &[_] = &[("send", "USER longshore"), ("expect", NEEDED), ("went", "in clear")];
        check(policy(), &[begin, CCC, user, AUTH, LOGIN].concat());
        let policy = Policy { clear_passwords: true, ..policy() };
        let wrong: &[_] = &[("send", "USER longshore"), ("expect", "331"), ("send", "PASS wrong")];
        let told: &[_] = &[("wait", "1000"), ("expect", "530 login.rejected-in-clear")];
        check(policy, &[begin, CCC, wrong, told].concat());
    }
}

#[test]
fn a_rejection_speaks_of_tls_only_where_that_may_help() {
    for offer in OFFERS {
        let expected = match offer {
            TlsOffer::Explicit => {
                "530 login.rejected-in-clear Login refused; check name and password, send AUTH TLS first if"
            }
            _ => "530 login.rejected Login refused; check name and password, then send USER again",
        };
        for user in ["USER longshore", "USER nobody"] {
            let wrong: &[_] = &[("send", user), ("expect", "331"), ("send", "PASS wrong")];
            let rejected: &[_] = &[("wait", "1000"), ("expect", expected)];
            check(policy(offer, TlsNeed::Nothing, false), &[wrong, rejected].concat());
        }
    }
    let wrong: &[_] = &[("send", "USER longshore"), ("expect", "331"), ("send", "PASS wrong")];
    let rejected: &[_] = &[("wait", "1000"), ("expect", "530 login.rejected Login refused")];
    check(explicit(), &[AUTH, wrong, rejected].concat());
    // The third is the last, there as everywhere.
    let second: &[_] = &[("wait", "2000"), ("expect", "530 login.rejected-in-clear")];
    let first: &[_] = &[("wait", "1000"), ("expect", "530 login.rejected-in-clear")];
    let third: &[_] = &[("wait", "3000"), ("expect", "421 login.too-many-attempts"), ("closed", "")];
    check(explicit(), &[wrong, first, wrong, second, wrong, third].concat());
}

const SHOWN: (&str, &str) = ("handshake", "with certificate");

/// TLS with a certificate.
fn certified() -> Scene {
    let mut scene = scene(explicit());
    scene.play(&[&[SHOWN], AUTH].concat());
    scene
}

#[test]
fn a_certificate_lets_in_without_a_password() {
    let mut scene = certified();
    scene.play(&[("hold", "login"), ("send", "USER longshore"), ("nothing", "")]);
    let Some(Work::Login(request)) = scene.world.work(Kind::Login) else {
        panic!("{}\n\nno login is asked about", scene.world.log());
    };
    assert_eq!(request.user, b"longshore");
    assert_eq!(request.credential, longshore_proto::server::Credential::Certificate);
    scene.play(&[
        ("answer", "login"),
        ("expect", "232 login.by-certificate Logged in as longshore by certificate"),
        ("went", "inside TLS"),
        ("send", "PWD"),
        ("expect", "257"),
        // Some clients send the password all the same.
        ("send", "PASS secret"),
        ("expect", "503 sequence.pass-without-user"),
        ("send", "PWD"),
        ("expect", "257"),
    ]);
    assert_eq!(scene.world.events, [Event::LoggedIn { account: "longshore".to_owned() }]);
    scene.end();
    // Commands behind it wait.
    let mut scene = certified();
    scene.play(&[("hold", "login"), ("bytes", "USER longshore\\r\\nPWD\\r\\n"), ("nothing", "")]);
    scene.play(&[("answer", "login"), ("expect", "232"), ("expect", "257")]);
    scene.end();
    // USER after the login starts anew.
    let mut scene = certified();
    scene.play(&[("send", "USER longshore"), ("expect", "232"), ("send", "USER nobody"), ("expect", "331")]);
    scene.play(&[("send", "PWD"), ("expect", "530"), ("send", "USER longshore"), ("expect", "232")]);
    scene.end();
}

#[test]
fn a_certificate_on_an_implicit_listener() {
    let connection = crate::common::World::connection("192.0.2.1:990", "192.0.2.7:40000");
    let world = crate::common::World::holding(implicit(), connection, &[Kind::Tls]);
    let mut scene = Scene::new(world);
    scene.play(&[SHOWN, ("answer", "tls"), ("expect", "220"), ("release", "tls")]);
    scene.play(&[("send", "USER longshore"), ("expect", "232")]);
    // REIN leaves the protection, and with it what was shown.
    scene.play(&[("send", "REIN"), ("expect", "220"), ("send", "USER longshore"), ("expect", "232")]);
    scene.end();
}

#[test]
fn a_rejected_certificate_asks_for_the_password_at_once() {
    let mut scene = certified();
    // At once, and as for everybody else.
    scene.play(&[
        ("send", "USER nobody"),
        ("expect", "331 login.password-wanted Send the password with PASS"),
    ]);
    assert!(scene.world.events.is_empty(), "{:?}", scene.world.events);
    scene.play(&[("send", "PASS secret"), ("expect", "230 login.accepted Logged in as nobody")]);
    scene.end();
    // Whatever was counted before, there is no delay.
    let mut scene = certified();
    scene.play(&[("hold", "login"), ("send", "USER x"), ("answer", "login rejected 9"), ("expect", "331")]);
    scene.play(&[("send", "NOOP"), ("expect", "200"), ("send", "PASS secret"), ("expect", "503")]);
    scene.end();
    // It is no failed login: three wrong passwords are still three, with the delays of the first, second and third.
    let mut scene = certified();
    for (milliseconds, expected) in
        [(1000, "530 login.rejected"), (2000, "530 login.rejected"), (3000, "421 login.too-many-attempts")]
    {
        scene.play(&[("send", "USER x"), ("expect", "331"), ("send", "PASS wrong")]);
        scene.play(&[("wait", &(milliseconds - 1).to_string()), ("nothing", ""), ("wait", "1")]);
        scene.play(&[("expect", expected)]);
    }
    scene.play(&[("closed", "")]);
    scene.end();
    // The other way round, a certificate lets in behind wrong passwords.
    let mut scene = certified();
    scene.play(&[("send", "USER x"), ("expect", "331"), ("send", "PASS wrong"), ("wait", "1000")]);
    scene.play(&[("expect", "530"), ("send", "USER longshore"), ("expect", "232")]);
    scene.end();
}

#[test]
fn a_certificate_from_a_banned_address() {
    let mut scene = certified();
    scene.play(&[
        ("hold", "login"),
        ("bytes", "USER longshore\\r\\nNOOP\\r\\n"),
        ("answer", "login banned 120"),
        ("expect", "421 session.banned Too many logins from 192.0.2.7 failed; come again in 120 s"),
        ("went", "inside TLS"),
        ("closed", ""),
    ]);
    let refused = Event::LoginRefused { user: b"longshore".to_vec(), situation: Situation::Banned };
    assert_eq!(scene.world.events.first(), Some(&refused));
    scene.end();
}

#[test]
fn a_certificate_counts_while_its_tls_stands() {
    // Not without one, and not behind CCC or REIN.
    let asked: &[_] = &[("send", "USER longshore"), ("expect", "331")];
    let let_in: &[_] = &[("send", "USER longshore"), ("expect", "232")];
    check(explicit(), &[AUTH, asked].concat());
    let shown: &[_] = &[SHOWN];
    check(lenient(), &[shown, AUTH, let_in, CCC, asked].concat());
    let rein: &[_] = &[("send", "REIN"), ("expect", "220")];
    check(lenient(), &[shown, AUTH, let_in, rein, asked].concat());
    let without: &[_] = &[("handshake", "succeeds")];
    check(lenient(), &[shown, AUTH, let_in, CCC, without, AUTH, asked].concat());
}

#[test]
fn the_end_of_a_login_by_certificate() {
    let asked: &[_] = &[("hold", "login"), ("send", "USER longshore")];
    for (end, expected) in [
        (("shutdown", ""), Some("421 session.shutdown")),
        (("reset", ""), None),
        (("wait", "60000"), Some("421 session.login-timeout")),
    ] {
        let mut scene = certified();
        scene.play(&[asked, &[end]].concat());
        if let Some(expected) = expected {
            scene.play(&[("expect", expected), ("went", "inside TLS")]);
        }
        scene.play(&[("closed", "")]);
        scene.end();
    }
    for (outcome, expected) in [("login", "232"), ("login rejected 0", "331")] {
        let mut scene = certified();
        scene
            .play(&[asked, &[("end", ""), ("open", ""), ("answer", outcome), ("expect", expected)]].concat());
        scene.play(&[("closed", "")]);
        scene.end();
        let mut scene = certified();
        scene.play(
            &[asked, &[("drain", ""), ("open", ""), ("answer", outcome), ("expect", expected)]].concat(),
        );
        scene.play(&[("expect", "421 session.shutdown"), ("closed", "")]);
        scene.end();
    }
}

const ARRANGED: &[(&str, &str)] = &[("send", "PASV"), ("expect", "227")];
const NEEDS_PROTECTION: &[(&str, &str)] = &[
    ("send", "RETR a"),
    ("expect", "521 data.protection-needed RETR needs a protected data connection here"),
];
const SENDS: &[(&str, &str)] = &[("send", "RETR a"), ("expect", "150"), ("expect", "226")];

#[test]
fn what_an_account_needs_is_needed_besides() {
    let needs: &[_] = &[("need", "data")];
    let prot: &[_] = &[("send", "PROT C"), ("expect", "534 tls.prot-clear-refused")];
    for policy in [explicit, || policy(TlsOffer::Explicit, TlsNeed::Login, false)] {
        let steps = [needs, AUTH, LOGIN, ARRANGED, NEEDS_PROTECTION, PRIVATE, SENDS, prot];
        check(policy(), &steps.concat());
    }
    // The level set before the login is looked at like any other.
    let clear: &[_] = &[("send", "PBSZ 0"), ("expect", "200"), ("send", "PROT C"), ("expect", "200")];
    check(explicit(), &[needs, AUTH, clear, LOGIN, ARRANGED, NEEDS_PROTECTION].concat());
    check(explicit(), &[needs, AUTH, PRIVATE, LOGIN, ARRANGED, SENDS].concat());
    // Of those let in by certificate, too.
    let certificate: &[_] = &[SHOWN, ("need", "data")];
    let let_in: &[_] = &[("send", "USER longshore"), ("expect", "232")];
    check(explicit(), &[certificate, AUTH, let_in, ARRANGED, NEEDS_PROTECTION].concat());
    // Less than the policy needs lowers nothing.
    for need in ["nothing", "login"] {
        let policy = policy(TlsOffer::Explicit, TlsNeed::Data, false);
        check(policy, &[&[("need", need)], AUTH, LOGIN, ARRANGED, NEEDS_PROTECTION].concat());
    }
    let nothing: &[_] = &[("need", "login")];
    check(explicit(), &[nothing, AUTH, LOGIN, ARRANGED, SENDS].concat());
}

#[test]
fn what_an_account_needs_goes_with_it() {
    let needs: &[_] = &[("need", "data")];
    let other: &[_] = &[("need", "nothing")];
    let clear: &[_] = &[("send", "PROT C"), ("expect", "200 tls.prot-clear")];
    let refused: &[_] = &[("send", "PROT C"), ("expect", "534")];
    // With USER, with REIN, and with AUTH behind CCC.
    let user: &[_] = &[("send", "USER x"), ("expect", "331")];
    check(explicit(), &[needs, AUTH, PRIVATE, LOGIN, refused, user, clear].concat());
    check(explicit(), &[needs, AUTH, PRIVATE, LOGIN, refused, other, LOGIN, clear, ARRANGED, SENDS].concat());
    let rein: &[_] = &[("send", "REIN"), ("expect", "220")];
    check(implicit(), &[needs, LOGIN, refused, rein, clear].concat());
    let steps =
        [needs, AUTH, PRIVATE, LOGIN, CCC, refused, AUTH, PRIVATE, clear, other, LOGIN, ARRANGED, SENDS];
    check(lenient(), &steps.concat());
    // A failed login leaves nobody's need behind.
    let wrong: &[_] = &[("send", "USER y"), ("expect", "331"), ("send", "PASS wrong"), ("wait", "1000")];
    let rejected: &[_] = &[("expect", "530")];
    check(explicit(), &[needs, AUTH, PRIVATE, LOGIN, wrong, rejected, clear].concat());
}
