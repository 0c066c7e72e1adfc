//! PASV, EPSV, PORT, EPRT, and the life of what they arrange.

use longshore_proto::server::{Channel, Policy, Route};

use crate::common::{Kind, Scene, Work, World, check_logged_in, logged_in};

fn over_ipv6() -> Scene {
    logged_in(Policy::default(), World::connection("[2001:db8::1]:2121", "[2001:db8::7]:40000"))
}

#[test]
fn nothing_arranged_is_503_whatever_came_before() {
    for transfer in ["RETR a", "LIST", "NLST", "MLSD", "STOR x", "APPE x", "STOU"] {
        let verb = transfer.split(' ').next().expect("a verb");
        check_logged_in(&[
            ("send", transfer),
            ("expect", &format!("503 sequence.nothing-arranged No data connection is arranged for {verb}")),
            ("send", transfer),
            ("expect", "503 sequence.nothing-arranged"),
        ]);
        // Used up by the transfer before.
        check_logged_in(&[
            ("send", "PASV"),
            ("expect", "227"),
            ("send", "RETR a"),
            ("expect", "150"),
            ("expect", "226"),
            ("send", transfer),
            ("expect", "503 sequence.nothing-arranged"),
        ]);
    }
}

#[test]
fn passive_ports() {
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227 data.passive Entering Passive Mode (192,0,2,1,117,48)"),
        ("send", "EPSV"),
        ("expect", "229 data.extended-passive Entering Extended Passive Mode (|||30001|)"),
        ("send", "EPSV 1"),
        ("expect", "229"),
        ("send", "EPSV 2"),
        ("expect", "522 data.family Only the control connection's own address family is offered, use (1)"),
        ("send", "EPSV 3"),
        ("expect", "522"),
        ("send", "EPSV x"),
        ("expect", "501"),
        // What was refused leaves the older one.
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226"),
    ]);
    let mut scene = over_ipv6();
    scene.play(&[
        ("send", "PASV"),
        ("expect", "501 data.passive-needs-ipv4"),
        ("send", "EPSV"),
        ("expect", "229"),
        ("send", "EPSV 2"),
        ("expect", "229"),
        ("send", "EPSV 1"),
        ("expect", "522 data.family Only the control connection's own address family is offered, use (2)"),
    ]);
    scene.end();
}

#[test]
fn the_last_arrangement_counts() {
    let mut scene = logged_in(Policy::default(), World::connection("192.0.2.1:21", "192.0.2.7:40000"));
    scene.play(&[
        ("send", "PASV"),
        ("expect", "227 data.passive Entering Passive Mode (192,0,2,1,117,48)"),
        ("send", "PASV"),
        ("expect", "227 data.passive Entering Passive Mode (192,0,2,1,117,49)"),
    ]);
    assert_eq!(scene.world.port, Some(30001));
    scene.play(&[("send", "PORT 192,0,2,7,20,1"), ("expect", "200 data.active")]);
    assert_eq!(scene.world.port, None, "PORT ends the passive port");
    scene.play(&[("hold", "establish"), ("send", "RETR a"), ("expect", "150")]);
    let to = Route::Active { to: "192.0.2.7:5121".parse().expect("an address") };
    assert!(
        matches!(scene.world.work(Kind::Establish), Some(Work::Establish(channel)) if channel.route == to)
    );
    scene.play(&[
        ("answer", "establish"),
        ("expect", "226"),
        ("send", "PORT 192,0,2,7,20,1"),
        ("expect", "200"),
    ]);
    scene.play(&[("send", "EPSV"), ("expect", "229"), ("send", "RETR a"), ("expect", "150")]);
    assert!(matches!(
        scene.world.work(Kind::Establish),
        Some(Work::Establish(Channel { route: Route::Passive { port: 30002 }, .. }))
    ));
    scene.play(&[("answer", "establish"), ("expect", "226")]);
    scene.end();
}

#[test]
fn active_addresses() {
    check_logged_in(&[
        ("send", "PORT 192,0,2,7,4,0"),
        ("expect", "200 data.active The data connection will go to 192.0.2.7:1024"),
        ("send", "PORT 192,0,2,7,3,255"),
        ("expect", "504 data.low-port Ports below 1024"),
        ("send", "PORT 192,0,2,7,0,0"),
        ("expect", "504 data.low-port"),
        ("send", "PORT 192,0,2,8,20,1"),
        ("expect", "504 data.foreign-address Data connections go to 192.0.2.7 only"),
        ("send", "PORT 127,0,0,1,20,1"),
        ("expect", "504 data.foreign-address"),
        ("send", "PORT 192,0,2,7,20"),
        ("expect", "501"),
        ("send", "PORT 192,0,2,7,20,256"),
        ("expect", "501"),
        ("send", "PORT"),
        ("expect", "501"),
        ("send", "EPRT |1|192.0.2.7|5000|"),
        ("expect", "200 data.active The data connection will go to 192.0.2.7:5000"),
        ("send", "EPRT |1|192.0.2.8|5000|"),
        ("expect", "504 data.foreign-address"),
        ("send", "EPRT |1|192.0.2.7|1023|"),
        ("expect", "504 data.low-port"),
        ("send", "EPRT |2|2001:db8::7|5000|"),
        ("expect", "522 data.family Only the control connection's own address family is offered, use (1)"),
        ("send", "EPRT |3|x|5000|"),
        ("expect", "522"),
        ("send", "EPRT |1|192.0.2.7|65536|"),
        ("expect", "501"),
        ("send", "EPRT"),
        ("expect", "501"),
        // An IPv4 address in the clothes of IPv6 is compared as what it is.
        ("send", "EPRT |2|::ffff:192.0.2.7|5000|"),
        ("expect", "200 data.active The data connection will go to 192.0.2.7:5000"),
        ("send", "EPRT |2|::ffff:192.0.2.8|5000|"),
        ("expect", "504 data.foreign-address"),
    ]);
    let mut scene = over_ipv6();
    scene.play(&[
        ("send", "EPRT |2|2001:db8::7|5000|"),
        ("expect", "200 data.active The data connection will go to [2001:db8::7]:5000"),
        ("send", "EPRT |2|2001:db8::8|5000|"),
        ("expect", "504 data.foreign-address"),
        ("send", "EPRT |1|192.0.2.7|5000|"),
        ("expect", "522 data.family Only the control connection's own address family is offered, use (2)"),
        ("send", "PORT 192,0,2,7,20,1"),
        ("expect", "504 data.foreign-address"),
        // The unspecified address means the peer's own, but only in the peer's family.
        ("send", "PORT 0,0,0,0,20,1"),
        ("expect", "504 data.foreign-address"),
        ("send", "EPRT |2|::|5000|"),
        ("expect", "200 data.active The data connection will go to [2001:db8::7]:5000"),
    ]);
    scene.end();
    check_logged_in(&[
        ("send", "PORT 0,0,0,0,20,1"),
        ("expect", "200 data.active The data connection will go to 192.0.2.7:5121"),
        ("send", "EPRT |2|::|5000|"),
        ("expect", "522 data.family"),
    ]);
}

#[test]
fn foreign_addresses_only_by_permission() {
    let policy = Policy { foreign_addresses: true, ..Policy::default() };
    let mut scene = logged_in(policy, World::connection("192.0.2.1:21", "192.0.2.7:40000"));
    scene.play(&[
        ("send", "PORT 192,0,2,8,20,1"),
        ("expect", "200"),
        ("send", "PORT 192,0,2,8,3,255"),
        ("expect", "504 data.low-port"),
        ("send", "EPRT |1|198.51.100.1|5000|"),
        ("expect", "200"),
    ]);
    scene.end();
}

#[test]
fn epsv_all() {
    check_logged_in(&[
        ("send", "EPSV all"),
        ("expect", "200 data.epsv-all"),
        ("send", "PASV"),
        ("expect", "503 sequence.epsv-all EPSV ALL was sent, so PASV is refused"),
        ("send", "PORT 192,0,2,7,20,1"),
        ("expect", "503 sequence.epsv-all"),
        ("send", "EPRT |1|192.0.2.7|5000|"),
        ("expect", "503 sequence.epsv-all"),
        ("send", "EPSV"),
        ("expect", "229"),
        ("send", "EPSV 1"),
        ("expect", "229"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226"),
    ]);
    // An argument that is wrong is wrong before it is out of place.
    check_logged_in(&[("send", "EPSV ALL"), ("expect", "200"), ("send", "PORT x"), ("expect", "501")]);
}

#[test]
fn the_address_of_pasv_is_the_public_one_or_the_one_that_was_reached() {
    let public = Some([203, 0, 113, 9].into());
    let table = [
        (public, "192.0.2.1:21", "227 data.passive Entering Passive Mode (203,0,113,9,117,48)"),
        (None, "192.0.2.1:21", "227 data.passive Entering Passive Mode (192,0,2,1,117,48)"),
        (None, "127.0.0.2:21", "227 data.passive Entering Passive Mode (127,0,0,2,117,48)"),
    ];
    for (public_address, local, expected) in table {
        let policy = Policy { public_address, ..Policy::default() };
        let mut scene = logged_in(policy, World::connection(local, "192.0.2.7:40000"));
        scene.play(&[("send", "PASV"), ("expect", expected), ("send", "EPSV"), ("expect", "229")]);
        scene.end();
    }
}

#[test]
fn no_port_is_free() {
    for (ports, expected) in [
        ("none", "425 data.no-port All passive ports 30000-30999 are in use"),
        ("without sockets", "425 data.no-resources The server cannot open a passive port at the moment"),
    ] {
        for command in ["PASV", "EPSV"] {
            check_logged_in(&[
                ("send", "PASV"),
                ("expect", "227"),
                ("ports", ports),
                ("send", command),
                ("expect", expected),
                // The older port was given up to look for a newer one.
                ("send", "RETR a"),
                ("expect", "503 sequence.nothing-arranged"),
                ("ports", "free"),
                ("send", command),
                ("expect", "22"),
            ]);
        }
    }
}

#[test]
fn an_unused_port_lives_60_seconds() {
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("wait", "59999"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226"),
    ]);
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("wait", "60000"),
        ("nothing", ""),
        ("send", "RETR a"),
        ("expect", "425 data.expired The arranged data connection was not used within 60 s"),
        ("send", "LIST"),
        ("expect", "425 data.expired"),
        ("send", "STOR x"),
        ("expect", "425 data.expired"),
        ("send", "ABOR"),
        ("expect", "226"),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
    ]);
    // A newer one has its own time; an active one does not end.
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("wait", "50000"),
        ("send", "PASV"),
        ("expect", "227"),
        ("wait", "59999"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226"),
        ("send", "PORT 192,0,2,7,20,1"),
        ("expect", "200"),
        ("wait", "299999"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226"),
    ]);
    // A slow disk does not cost the client its port.
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("hold", "storage"),
        ("wait", "59000"),
        ("send", "RETR a"),
        ("wait", "30000"),
        ("answer", "storage"),
        ("expect", "150"),
        ("expect", "226"),
    ]);
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("hold", "reserve"),
        ("wait", "59000"),
        ("send", "PASV"),
        ("wait", "30000"),
        ("answer", "reserve"),
        ("expect", "227"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226"),
    ]);
}

#[test]
fn a_refused_download_leaves_the_arrangement() {
    for refused in
        ["RETR none", "RETR d", "RETR", "RETR a\tb", "LIST none", "NLST none", "MLSD a", "MLSD none"]
    {
        check_logged_in(&[
            ("send", "PASV"),
            ("expect", "227"),
            ("client", "stands"),
            ("send", refused),
            ("expect", "5"),
            ("send", "RETR a"),
            ("expect", "125"),
            ("expect", "226"),
        ]);
    }
}

#[test]
fn a_refused_upload_closes_the_arrangement() {
    let refused = [
        ("STOR d", "553 target.is-a-directory"),
        ("STOR none/x", "553 target.no-directory"),
        ("STOR a\tb", "553 target.name-not-allowed"),
        ("STOR", "501"),
        ("APPE d", "553"),
        ("APPE", "501"),
        ("STOU none/x", "553"),
        ("STOU a\tb", "553"),
    ];
    for arrange in ["PASV", "EPSV", "PORT 192,0,2,7,20,1"] {
        for (upload, expected) in refused {
            let mut scene =
                logged_in(Policy::default(), World::connection("192.0.2.1:21", "192.0.2.7:40000"));
            scene.play(&[("send", arrange), ("expect", "2"), ("send", upload), ("expect", expected)]);
            assert_eq!(scene.world.port, None, "{upload} closes the passive port");
            scene.play(&[
                ("send", "RETR a"),
                ("expect", "425 data.connection-closed-by-refusal"),
                ("send", "STOR x"),
                ("expect", "425 data.connection-closed-by-refusal"),
                ("send", "LIST"),
                ("expect", "425 data.connection-closed-by-refusal"),
                ("send", "PASV"),
                ("expect", "227"),
                ("send", "STOR x"),
                ("expect", "150"),
                ("expect", "226"),
            ]);
            scene.end();
        }
    }
    // Those that wait behind it are told in order.
    check_logged_in(&[
        ("bytes", "PASV\\r\\nSTOR d\\r\\nSTOR x\\r\\nRETR a\\r\\nPASV\\r\\nRETR a\\r\\n"),
        ("expect", "227"),
        ("expect", "553"),
        ("expect", "425 data.connection-closed-by-refusal"),
        ("expect", "425 data.connection-closed-by-refusal"),
        ("expect", "227"),
        ("expect", "150"),
        ("expect", "226"),
        ("size", "/x none"),
    ]);
    // Also when it was refused for want of a login, or as not begun.
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "USER x"),
        ("expect", "331"),
        ("send", "STOR x"),
        ("expect", "530"),
        ("send", "USER x"),
        ("expect", "331"),
        ("send", "PASS secret"),
        ("expect", "230"),
        ("send", "RETR a"),
        ("expect", "425 data.connection-closed-by-refusal"),
    ]);
    // With nothing arranged there is nothing to close.
    check_logged_in(&[
        ("send", "STOR"),
        ("expect", "501"),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
    ]);
    check_logged_in(&[
        ("send", "STOR d"),
        ("expect", "503"),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
    ]);
}
