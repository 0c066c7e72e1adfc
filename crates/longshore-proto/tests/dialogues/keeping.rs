//! Data connections that stay in block and compressed mode, and in MODE Z where that was asked for: how they are used,
//! and what closes them.
//!
//! Not inside: what is particular to MODE Z ([`keeping_deflate`](crate::keeping_deflate)), queues of transfers on one of
//! them ([`queues`](crate::queues)), and what the bytes look like.

use longshore_proto::server::{Policy, TlsNeed, TlsOffer, TlsPolicy};
use longshore_proto::transmission::Mode;

use crate::common::{Scene, World, logged_in};

/// A session whose data connection stays behind a first download, in this mode and on this route.
pub(crate) fn kept_in(policy: Policy, mode: &str, arrange: &str) -> Scene {
    let mut scene = logged_in(policy, World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
    let code = if arrange == "PASV" { "227" } else { "200" };
    if mode == "MODE Z" {
        scene.play(&[("send", "OPTS MODE Z KEEP 1"), ("expect", "200 options.mode-z-keep")]);
    }
    scene.play(&[
        ("send", "TYPE I"),
        ("expect", "200"),
        ("send", mode),
        ("expect", "200"),
        ("send", arrange),
        ("expect", code),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "250 transfer.sent-kept 100 bytes sent; the data connection stays open"),
        ("stays", "yes"),
    ]);
    scene
}

/// Every mode in which it may stay; MODE Z only because it was asked for.
pub(crate) const MODES: [&str; 3] = ["MODE B", "MODE C", "MODE Z"];

pub(crate) fn offering_every_mode() -> Policy {
    Policy { deflate: true, ..Policy::default() }
}

fn kept() -> Scene {
    kept_in(Policy::default(), "MODE B", "PASV")
}

/// A session whose data connection stays, in block mode, and what happens then.
#[track_caller]
pub(crate) fn check_kept(steps: &[(&str, &str)]) {
    let mut scene = kept();
    scene.play(steps);
    scene.end();
}

pub(crate) const NEXT: &[(&str, &str)] =
    &[("send", "RETR a"), ("expect", "125 transfer.begins"), ("expect", "250 transfer.sent-kept")];

#[test]
fn the_next_transfer_needs_no_arrangement() {
    for mode in MODES {
        for arrange in ["PASV", "PORT 192,0,2,7,20,1"] {
            for (command, end) in [
                ("RETR a", "250 transfer.sent-kept 100"),
                ("STOR x", "250 transfer.stored-kept 10 bytes received, /x is stored"),
                ("APPE a", "250 transfer.stored-kept"),
                ("LIST", "250 transfer.sent-kept"),
                ("NLST", "250 transfer.sent-kept"),
                ("MLSD", "250 transfer.sent-kept"),
            ] {
                let mut scene = kept_in(offering_every_mode(), mode, arrange);
                scene.play(&[
                    // Nobody has to connect any more.
                    ("client", "stays away"),
                    ("send", command),
                    ("expect", "125 transfer.begins"),
                    ("expect", end),
                    ("stays", "yes"),
                ]);
                scene.play(NEXT);
                scene.end();
            }
        }
    }
    check_kept(&[("send", "STOU x"), ("expect", "125 transfer.begins-unique FILE: x"), ("expect", "250")]);
}

#[test]
fn stream_and_deflate_mode_keep_nothing() {
    let policy = Policy { deflate: true, ..Policy::default() };
    for mode in ["MODE S", "MODE Z"] {
        for command in ["RETR a", "STOR x", "LIST"] {
            let mut scene = logged_in(policy.clone(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
            scene.play(&[
                ("send", mode),
                ("expect", "200"),
                ("send", "PASV"),
                ("expect", "227"),
                ("send", command),
                ("expect", "150"),
                ("expect", "226"),
                ("stays", "no"),
                ("send", command),
                ("expect", "503 sequence.nothing-arranged"),
            ]);
            scene.end();
        }
    }
}

#[test]
fn what_leaves_it_open() {
    for (line, answer) in [
        ("TYPE A", "200"),
        ("TYPE E", "200"),
        ("STRU R", "200"),
        ("STRU P", "200"),
        ("CWD d", "250"),
        ("MODE B", "200"),
        ("MODE X", "501"),
        ("MODE E", "504"),
        ("MODE Z", "504"),
        ("PROT X", "504"),
        ("EPSV 2", "522"),
        ("PORT 192,0,2,8,20,1", "504"),
        ("PORT x", "501"),
        ("EPRT |2|2001:db8::7|5000|", "522"),
        ("RETR none", "550"),
        ("RETR d", "550"),
        ("LIST none", "550"),
        ("MLSD a", "550"),
        ("REST 200", "350"),
        ("NOOP", "200"),
        ("STAT", "211"),
        ("XYZZY", "500"),
        ("SIZE a", "213"),
        ("DELE none", "550"),
    ] {
        check_kept(&[
            ("send", line),
            ("expect", answer),
            ("stays", "yes"),
            ("send", "LIST /"),
            ("expect", "125"),
            ("expect", "250 transfer.sent-kept"),
            ("stays", "yes"),
        ]);
    }
    // REST beyond the end of a download.
    check_kept(&[("send", "REST 101"), ("expect", "350"), ("send", "RETR a"), ("expect", "554")]);
    check_kept(&[
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "a data connection stays open for the next transfer"),
    ]);
}

#[test]
fn a_new_arrangement_closes_it() {
    for arrange in ["PASV", "PORT 192,0,2,7,20,1"] {
        for (line, answer) in [
            ("PASV", "227"),
            ("EPSV", "229"),
            ("PORT 192,0,2,7,20,2", "200"),
            ("EPRT |1|192.0.2.7|5000|", "200"),
        ] {
            let mut scene = kept_in(Policy::default(), "MODE B", arrange);
            scene.play(&[
                ("send", line),
                ("expect", answer),
                ("stays", "no"),
                ("send", "RETR a"),
                ("expect", "150"),
                ("expect", "250 transfer.sent-kept"),
                ("stays", "yes"),
            ]);
            scene.end();
        }
        // One that could not be had closes it, too.
        let mut scene = kept_in(Policy::default(), "MODE B", arrange);
        scene.play(&[
            ("ports", "none"),
            ("send", "PASV"),
            ("expect", "425 data.no-port"),
            ("stays", "no"),
            ("send", "RETR a"),
            ("expect", "503 sequence.nothing-arranged"),
        ]);
        scene.end();
    }
}

#[test]
fn another_mode_closes_it() {
    for from in Mode::ALL.into_iter().filter(|mode| *mode != Mode::Stream) {
        for to in Mode::ALL.into_iter().filter(|mode| *mode != from) {
            let mut scene = kept_in(offering_every_mode(), &format!("MODE {}", from.name()), "PASV");
            scene.play(&[
                ("send", &format!("MODE {}", to.name())),
                ("expect", "200"),
                ("stays", "no"),
                // Nor does it come back.
                ("send", &format!("MODE {}", from.name())),
                ("expect", "200"),
                ("send", "RETR a"),
                ("expect", "503 sequence.nothing-arranged"),
            ]);
            scene.end();
        }
    }
}

#[test]
fn abort_closes_it() {
    check_kept(&[
        ("send", "ABOR"),
        ("expect", "226 abort.done"),
        ("stays", "no"),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
        ("send", "ABOR"),
        ("expect", "226 abort.idle"),
    ]);
}

#[test]
fn the_idle_limit_closes_it() {
    check_kept(&[
        ("wait", "59999"),
        ("stays", "yes"),
        ("wait", "1"),
        ("stays", "no"),
        ("nothing", ""),
        ("send", "RETR a"),
        ("expect", "425 data.expired The arranged data connection was not used within 60 s and is closed"),
        ("send", "STOR x"),
        ("expect", "425 data.expired"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "250"),
    ]);
    // Each transfer gives it its whole time again, and the time of a transfer is not counted.
    let mut scene = kept();
    scene.play(&[("wait", "59999")]);
    scene.play(NEXT);
    scene.play(&[
        ("wait", "59999"),
        ("stays", "yes"),
        ("transfer", "goes on 5"),
        ("send", "STOR x"),
        ("expect", "125"),
    ]);
    scene.play(&[
        ("wait", "500000"),
        ("transfer", "complete 5"),
        ("send", "NOOP"),
        ("expect", "250"),
        ("expect", "200"),
    ]);
    scene.play(&[("wait", "59999"), ("stays", "yes"), ("wait", "1"), ("stays", "no")]);
    scene.end();
}

#[test]
fn the_end_of_the_session_closes_it() {
    check_kept(&[("send", "QUIT"), ("expect", "221"), ("closed", ""), ("stays", "no")]);
    check_kept(&[("end", ""), ("closed", ""), ("stays", "no")]);
    check_kept(&[("reset", ""), ("closed", ""), ("stays", "no")]);
    check_kept(&[("drain", ""), ("expect", "421 session.shutdown"), ("closed", ""), ("stays", "no")]);
    check_kept(&[("shutdown", ""), ("expect", "421 session.shutdown"), ("closed", ""), ("stays", "no")]);
    check_kept(&[("wait", "300000"), ("expect", "421 session.idle"), ("closed", ""), ("stays", "no")]);
    check_kept(&[
        ("send", "REIN"),
        ("expect", "220 session.reset"),
        ("stays", "no"),
        ("send", "USER anonymous"),
        ("expect", "331"),
        ("send", "PASS x"),
        ("expect", "230"),
        ("send", "MODE B"),
        ("expect", "200"),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
    ]);
}

/// Another account may want more proof of who holds the other end.
#[test]
fn another_login_closes_it() {
    check_kept(&[
        ("send", "USER longshore"),
        ("expect", "331"),
        ("stays", "no"),
        ("send", "PASS secret"),
        ("expect", "230"),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "250"),
    ]);
}

/// TLS: everything that changes what protects the data connection closes it.
#[test]
fn another_protection_closes_it() {
    let tls = TlsPolicy { offer: TlsOffer::Explicit, need: TlsNeed::Nothing, allow_ccc: true };
    let policy = Policy { tls, ..Policy::default() };
    let begin: &[(&str, &str)] = &[
        ("send", "AUTH TLS"),
        ("expect", "234"),
        ("send", "USER longshore"),
        ("expect", "331"),
        ("send", "PASS secret"),
        ("expect", "230"),
        ("send", "PBSZ 0"),
        ("expect", "200"),
    ];
    let keep: &[(&str, &str)] = &[
        ("send", "MODE B"),
        ("expect", "200"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "250"),
        ("stays", "yes"),
    ];
    for (before, line, answer, stays) in [
        ("PROT P", "PROT C", "200", "no"),
        ("PROT C", "PROT P", "200", "no"),
        ("PROT P", "PROT P", "200", "yes"),
        ("PROT C", "PROT C", "200", "yes"),
        ("PROT P", "PROT S", "536", "yes"),
        ("PROT P", "PBSZ 0", "200", "yes"),
        ("PROT P", "AUTH TLS", "503", "yes"),
        // The control connection is not the data connection.
        ("PROT P", "CCC", "200", "yes"),
        ("PROT P", "REIN", "220", "no"),
    ] {
        let mut scene =
            Scene::new(World::new(policy.clone(), World::connection("192.0.2.1:21", "192.0.2.7:40000")));
        scene.play(&[("expect", "220"), ("file", "/a 100")]);
        scene.play(begin);
        scene.play(&[("send", before), ("expect", "200")]);
        scene.play(keep);
        scene.play(&[("send", line), ("expect", answer), ("stays", stays)]);
        match stays {
            "yes" => scene.play(NEXT),
            _ => {
                scene.play(&[("send", "RETR a"), ("expect", if line == "REIN" { "530" } else { "503" })]);
            }
        }
        scene.end();
    }
    // AUTH in clear.
    let mut scene = kept_in(policy, "MODE B", "PASV");
    scene.play(&[("send", "AUTH TLS"), ("expect", "234"), ("stays", "no")]);
    scene.end();
}

#[test]
fn a_refused_upload_closes_it() {
    for (line, answer) in [
        ("STOR d", "553"),
        ("APPE d", "553"),
        ("STOU none/x", "553"),
        ("STOR", "501"),
        ("STOR none/x", "553"),
        ("STOR \u{1}", "553"),
    ] {
        check_kept(&[
            ("send", line),
            ("expect", answer),
            ("stays", "no"),
            ("send", "RETR a"),
            ("expect", "425 data.connection-closed-by-refusal"),
            ("send", "STOR x"),
            ("expect", "425 data.connection-closed-by-refusal"),
            ("size", "/x none"),
            ("send", "PASV"),
            ("expect", "227"),
            ("send", "RETR a"),
            ("expect", "150"),
            ("expect", "250"),
        ]);
    }
    // Refused for a REST that was not followed, or that cannot be.
    check_kept(&[
        ("send", "REST 5"),
        ("expect", "350"),
        ("send", "PWD"),
        ("expect", "257"),
        ("send", "STOR x"),
        ("expect", "503 sequence.rest-not-followed"),
        ("stays", "no"),
    ]);
    check_kept(&[
        ("send", "REST 101"),
        ("expect", "350"),
        ("send", "STOR a"),
        ("expect", "554"),
        ("stays", "no"),
    ]);
}

/// An upload that failed within it, in each way: what follows is told why, and never uses it.
#[test]
fn a_failed_upload_closes_it() {
    for (end, answer, next) in [
        ("reset 7", "426 transfer.upload-reset", "data.connection-cut"),
        ("stalls 7", "426 transfer.upload-stalled", "data.connection-cut"),
        ("cut 7", "426 transfer.upload-cut", "data.connection-cut"),
        ("malformed 7", "426 transfer.upload-malformed", "data.connection-cut"),
        ("unknown page 7", "551 transfer.page-type", "data.connection-cut"),
        ("fails 7", "451 transfer.write-failed", "data.connection-closed-by-refusal"),
        ("fills 7", "452", "data.connection-closed-by-refusal"),
        ("unexpected TLS 7", "426 transfer.upload-tls-unexpected", "data.connection-cut"),
    ] {
        check_kept(&[
            ("transfer", end),
            ("send", "STOR x"),
            ("expect", "125"),
            ("expect", answer),
            ("stays", "no"),
            ("size", "/x none"),
            ("transfer", "complete 5"),
            ("send", "STOR y"),
            ("expect", &format!("425 {next}")),
            ("size", "/y none"),
            ("send", "RETR a"),
            ("expect", &format!("425 {next}")),
        ]);
    }
    check_kept(&[
        ("hold", "commit"),
        ("send", "STOR x"),
        ("expect", "125"),
        ("stays", "yes"),
        ("answer", "commit fails NoSpace"),
        ("expect", "452"),
        ("stays", "no"),
        ("send", "RETR a"),
        ("expect", "425 data.connection-closed-by-refusal"),
    ]);
}

#[test]
fn a_download_that_is_cut_takes_it_away() {
    for (end, answer) in [
        ("reset 7", "426 transfer.reset"),
        ("stalls 7", "426 transfer.stalled"),
        ("shrinks 7", "451 transfer.file-shrank"),
        ("fails 7", "451 transfer.read-failed"),
    ] {
        check_kept(&[
            ("transfer", end),
            ("send", "RETR a"),
            ("expect", "125"),
            ("expect", answer),
            ("stays", "no"),
            ("send", "RETR a"),
            ("expect", "425 data.connection-cut The data connection was cut in the transfer before"),
            // That it is told once more does no harm, and ABOR finds nothing to stop.
            ("send", "LIST"),
            ("expect", "425 data.connection-cut"),
            ("send", "ABOR"),
            ("expect", "226 abort.idle"),
            ("send", "LIST"),
            ("expect", "503 sequence.nothing-arranged"),
        ]);
    }
}

/// Whoever has closed it is not told that anything was sent, and nothing of it is stored.
#[test]
fn the_client_closes_it_while_it_is_idle() {
    for command in ["RETR a", "LIST", "STOR x", "APPE a"] {
        for arrange in ["PASV", "PORT 192,0,2,7,20,1"] {
            let mut scene = kept_in(Policy::default(), "MODE C", arrange);
            scene.play(&[
                ("client", "leaves"),
                ("send", command),
                ("expect", "425 data.connection-cut"),
                ("stays", "no"),
                ("send", command),
                ("expect", "425 data.connection-cut"),
                ("size", "/x none"),
                ("client", "follows"),
                ("send", arrange),
                ("expect", "2"),
            ]);
            scene.play(&[("send", "RETR a"), ("expect", "150"), ("expect", "250")]);
            scene.end();
        }
    }
    // An ABOR that comes before this is known is what ends it.
    check_kept(&[
        ("client", "leaves"),
        ("hold", "probe"),
        ("send", "RETR a"),
        ("send", "ABOR"),
        ("answer", "probe"),
        ("expect", "450 transfer.not-begun"),
        ("expect", "226 abort.done"),
        ("stays", "no"),
    ]);
    // A refusal comes first, whoever has gone.
    check_kept(&[
        ("client", "leaves"),
        ("send", "RETR none"),
        ("expect", "550"),
        ("send", "STOR d"),
        ("expect", "553"),
    ]);
}

/// A client that ends its direction with the file is not told that anything stays.
#[test]
fn a_connection_that_the_client_has_ended_is_not_kept() {
    for (command, end) in [("RETR a", "226 transfer.sent"), ("STOR x", "226 transfer.stored")] {
        check_kept(&[
            ("hold", "move"),
            ("send", command),
            ("expect", "125"),
            ("answer", "move closed 10"),
            ("expect", end),
            ("stays", "no"),
            ("release", "move"),
            ("send", command),
            ("expect", "503 sequence.nothing-arranged"),
        ]);
    }
}

/// The first transfer in such a mode, whose connection does not come about.
#[test]
fn what_never_came_is_told_to_those_behind() {
    let mut scene = logged_in(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
    scene.play(&[
        ("send", "MODE B"),
        ("expect", "200"),
        ("send", "PORT 192,0,2,7,20,1"),
        ("expect", "200"),
        ("client", "refuses"),
        ("bytes", "RETR a\\r\\nSTOR x\\r\\nRETR a\\r\\n"),
        ("expect", "150"),
        ("expect", "425 data.refused"),
        ("expect", "425 data.connection-cut"),
        ("expect", "425 data.connection-cut"),
        ("size", "/x none"),
        ("client", "follows"),
        ("send", "PORT 192,0,2,7,20,1"),
        ("expect", "200"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "250"),
    ]);
    scene.end();
}

#[test]
fn markers_are_told_of_while_the_upload_runs() {
    check_kept(&[
        ("transfer", "goes on 7"),
        ("send", "STOR x"),
        ("expect", "125"),
        ("marker", "block=3 4096"),
        ("expect", "110 restart.marker MARK block=3 = 4096"),
        ("send", "STAT"),
        ("expect", "211"),
        ("marker", "8192 8192"),
        ("expect", "110 restart.marker MARK 8192 = 8192"),
        // One that would spoil the line is not told of.
        ("marker", "a\\r\\n226 5"),
        ("marker", "two words 5"),
        ("marker", "\\xf1 5"),
        ("marker", " 5"),
        ("nothing", ""),
        ("transfer", "complete 7"),
        ("send", "NOOP"),
        ("expect", "250 transfer.stored-kept"),
        ("expect", "200"),
    ]);
    // One that comes behind an ABOR is told of before its end.
    check_kept(&[
        ("hold", "move"),
        ("send", "STOR x"),
        ("expect", "125"),
        ("send", "ABOR"),
        ("marker", "m 5"),
        ("expect", "110 restart.marker"),
        ("answer", "move cancelled 5"),
        ("expect", "426 transfer.aborted"),
        ("expect", "226 abort.done"),
    ]);
}
