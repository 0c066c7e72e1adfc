//! What ends a session while TLS begins on its control connection, and what is said then: nothing.
//!
//! Not inside: ends of sessions whose TLS stands, which are those of any session.

use std::time::Duration;

use longshore_proto::reply::Situation;
use longshore_proto::server::{Ending, Event, Policy};

use crate::common::{Kind, Scene, World};
use crate::protecting::{AUTH, LOGIN, check, explicit, implicit, lenient, scene};

/// Behind a 234, or before the greeting of an implicit listener: TLS begins.
fn beginning(is_implicit: bool) -> Scene {
    if is_implicit {
        let connection = World::connection("192.0.2.1:990", "192.0.2.7:40000");
        return Scene::new(World::holding(implicit(), connection, &[Kind::Tls]));
    }
    let mut scene = scene(explicit());
    scene.play(&[&[("hold", "tls")], AUTH].concat());
    scene
}

#[track_caller]
fn ends(steps: &[(&str, &str)], why: Ending) {
    for is_implicit in [false, true] {
        let mut scene = beginning(is_implicit);
        scene.play(steps);
        scene.play(&[("nothing", ""), ("closed", "")]);
        assert_eq!(scene.world.events, [Event::Ended { why }], "{}", scene.world.log());
        scene.end();
    }
}

#[test]
fn a_handshake_that_fails_ends_the_session_without_a_word() {
    ends(&[("answer", "tls fails")], Ending::TlsFailed);
    // Whatever the client sent behind it.
    ends(&[("bytes", "NOOP\\r\\n"), ("answer", "tls fails")], Ending::TlsFailed);
    // Of a session that was somebody's, too.
    let fails: &[_] = &[("handshake", "fails")];
    check(explicit(), &[LOGIN, fails, AUTH, &[("nothing", ""), ("closed", "")]].concat());
}

#[test]
fn a_handshake_that_takes_too_long_ends_the_session_without_a_word() {
    ends(&[("wait", "29999"), ("open", ""), ("wait", "1")], Ending::TlsFailed);
    // The time begins with AUTH, not with the session.
    let mut scene = scene(explicit());
    scene.play(&[&[("wait", "25000"), ("hold", "tls")], AUTH].concat());
    scene.play(&[("wait", "29999"), ("open", ""), ("wait", "1"), ("nothing", ""), ("closed", "")]);
    scene.end();
    // It is not the time for the login, which goes on meanwhile and is looked at behind it.
    let mut scene = self::scene(explicit());
    scene.play(&[&[("wait", "45000"), ("hold", "tls")], AUTH].concat());
    scene.play(&[("wait", "20000")]);
    scene.world.wake();
    scene.play(&[("open", ""), ("answer", "tls"), ("nothing", "")]);
    scene.play(&[("wait", "1"), ("expect", "421 session.login-timeout"), ("went", "inside TLS")]);
    scene.play(&[("closed", "")]);
    scene.end();
}

#[test]
fn a_finished_handshake_has_its_full_time_to_log_in_again() {
    // Whoever was in before has the time of a new login.
    let steps: &[_] = &[("hold", "tls"), ("wait", "200000")];
    let slow: &[_] = &[("wait", "29999"), ("answer", "tls"), ("wait", "30000"), ("open", "")];
    let late: &[_] = &[("wait", "1"), ("expect", "421 session.login-timeout"), ("closed", "")];
    check(explicit(), &[LOGIN, steps, AUTH, slow, late].concat());
    // The idle time begins anew, however short it is.
    let policy = Policy { idle_timeout: Duration::from_secs(10), ..explicit() };
    let slow: &[_] = &[("hold", "tls"), ("send", "AUTH TLS"), ("expect", "234"), ("wait", "20000")];
    let steps: &[_] =
        &[("answer", "tls"), ("wait", "9999"), ("open", ""), ("send", "NOOP"), ("expect", "200")];
    check(policy, &[slow, steps].concat());
    let steps: &[_] = &[("wait", "299999"), ("open", ""), ("wait", "1"), ("expect", "421 session.idle")];
    check(explicit(), &[AUTH, LOGIN, steps, &[("went", "inside TLS"), ("closed", "")]].concat());
}

#[test]
fn the_client_leaves_while_tls_begins() {
    ends(&[("end", "")], Ending::Closed);
    ends(&[("reset", "")], Ending::Reset);
    // An answer that comes too late changes nothing.
    for is_implicit in [false, true] {
        let mut scene = beginning(is_implicit);
        scene.play(&[("reset", ""), ("closed", ""), ("answer", "tls"), ("nothing", "")]);
        scene.end();
    }
}

#[test]
fn the_server_ends_while_tls_begins() {
    // Nobody could read a 421.
    let said = Ending::Said(Situation::Shutdown);
    ends(&[("drain", "")], said);
    ends(&[("shutdown", "")], said);
    // Behind it both are told as ever.
    for end in ["drain", "shutdown"] {
        let told: &[_] = &[(end, ""), ("expect", "421 session.shutdown"), ("went", "inside TLS")];
        check(explicit(), &[AUTH, told, &[("closed", "")]].concat());
        check(implicit(), &[told, &[("closed", "")]].concat());
        let ccc: &[_] = &[("send", "CCC"), ("expect", "200")];
        let told: &[_] = &[(end, ""), ("expect", "421 session.shutdown"), ("went", "in clear")];
        check(lenient(), &[AUTH, ccc, told, &[("closed", "")]].concat());
    }
}

/// An AUTH that waits behind a command.
const WAITS: &[(&str, &str)] =
    &[("hold", "storage"), ("hold", "tls"), ("send", "MKD x"), ("send", "AUTH TLS"), ("nothing", "")];

#[test]
fn an_auth_that_waits_when_the_server_or_the_client_ends() {
    // While the server drains there will be no TLS, and in clear that can still be said.
    let steps: &[_] = &[
        ("drain", ""),
        ("answer", "storage"),
        ("expect", "257"),
        ("expect", "421 session.shutdown"),
        ("went", "in clear"),
        ("closed", ""),
    ];
    check(explicit(), &[LOGIN, WAITS, steps].concat());
    let steps: &[_] = &[("shutdown", ""), ("answer", "storage"), ("expect", "257"), ("expect", "421")];
    check(explicit(), &[LOGIN, WAITS, steps, &[("closed", "")]].concat());
    let steps: &[_] = &[("reset", ""), ("answer", "storage"), ("expect", "257"), ("closed", "")];
    check(explicit(), &[LOGIN, WAITS, steps].concat());
    // A client that says no more hears its 234, and that is the end.
    let steps: &[_] =
        &[("end", ""), ("answer", "storage"), ("expect", "257"), ("expect", "234"), ("closed", "")];
    check(explicit(), &[LOGIN, WAITS, steps].concat());
}
