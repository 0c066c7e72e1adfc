//! Marks, completions, and everything that can go wrong between them.

use longshore_proto::command::Representation;
use longshore_proto::server::{Event, ListingFormat, Plan, Policy};
use longshore_proto::verbs::Verb;

use crate::common::{Scene, World, check_logged_in, logged_in};

fn scene() -> Scene {
    logged_in(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"))
}

#[test]
fn the_mark_tells_whether_the_data_connection_stands() {
    for (command, name) in
        [("RETR a", "/a"), ("LIST d", "/d"), ("NLST", "/"), ("MLSD", "/"), ("STOR x", "/x"), ("APPE a", "/a")]
    {
        for (client, mark) in [
            (
                "stands",
                format!("125 transfer.begins The data connection stands, the transfer of {name} begins"),
            ),
            ("follows", format!("150 transfer.opening {name} is open, waiting for the data connection")),
        ] {
            check_logged_in(&[
                ("send", "EPSV"),
                ("expect", "229"),
                ("client", client),
                ("send", command),
                ("expect", &mark),
                ("expect", "226"),
            ]);
        }
        // We connect after the mark, so nothing can stand before it.
        check_logged_in(&[
            ("send", "PORT 192,0,2,7,20,1"),
            ("expect", "200"),
            ("client", "stands"),
            ("send", command),
            ("expect", "150"),
            ("expect", "226"),
        ]);
    }
}

#[test]
fn no_mark_before_the_file_is_open_and_the_port_was_looked_at() {
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("hold", "storage"),
        ("hold", "probe"),
        ("send", "RETR a"),
        ("wait", "10000"),
        ("nothing", ""),
        ("answer", "storage"),
        ("nothing", ""),
        ("client", "stands"),
        ("answer", "probe"),
        ("expect", "125"),
        ("expect", "226"),
    ]);
}

#[test]
fn unique_names_stand_in_the_mark() {
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("client", "stands"),
        ("send", "STOU a"),
        ("expect", "125 transfer.begins-unique FILE: a.1"),
        ("expect", "226 transfer.stored 10 bytes received, /a.1 is stored"),
        ("send", "PASV"),
        ("expect", "227"),
        ("client", "follows"),
        ("send", "STOU"),
        ("expect", "150 transfer.opening-unique FILE: upload"),
        ("expect", "226"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "STOU d/x"),
        ("expect", "150 transfer.opening-unique FILE: /d/x"),
        ("expect", "226"),
        ("send", "CWD d"),
        ("expect", "250"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "STOU x"),
        ("expect", "150 transfer.opening-unique FILE: x.1"),
        ("expect", "226"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "STOU ../a"),
        ("expect", "150 transfer.opening-unique FILE: /a.2"),
        ("expect", "226"),
        // RETR takes both as they stand.
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "RETR x.1"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 10"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "RETR /a.2"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 10"),
        ("size", "/a 100"),
        ("size", "/a.1 10"),
        ("size", "/upload 10"),
        ("size", "/d/x 10"),
    ]);
    let mut scene = scene();
    scene.play(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "STOU d/x"),
        ("expect", "150"),
        ("expect", "226"),
    ]);
    let mark = scene.world.said.iter().find(|said| said.situation.code() == 150).expect("a mark");
    assert_eq!(mark.reply.text(), "FILE: /d/x", "exactly this, RFC 1123 section 4.1.2.9");
    scene.end();
}

#[test]
fn nobody_connects() {
    for (arrange, client, expected) in [
        (
            "PASV",
            "stays away",
            "425 data.no-connection Nobody connected to port 30000 within 30 s; a firewall may block 30000-30999, or use EPRT",
        ),
        (
            "PASV",
            "strangers 1",
            "425 data.only-strangers Only other addresses than 192.0.2.7 connected to port 30000",
        ),
        ("PORT 192,0,2,7,20,1", "stays away", "425 data.no-answer 192.0.2.7:5121 did not answer within 30 s"),
    ] {
        for command in ["RETR a", "LIST", "STOR x"] {
            check_logged_in(&[
                ("send", arrange),
                ("expect", "2"),
                ("client", client),
                ("send", command),
                ("expect", "150"),
                ("wait", "29999"),
                ("nothing", ""),
                ("wait", "1"),
                ("expect", expected),
                ("size", "/x none"),
                ("send", "RETR a"),
                ("expect", "503 sequence.nothing-arranged"),
            ]);
        }
    }
    for (client, expected) in [
        ("refuses", "425 data.refused 192.0.2.7:5121 refused the data connection"),
        ("is unreachable", "425 data.unreachable 192.0.2.7:5121 cannot be reached from here"),
    ] {
        check_logged_in(&[
            ("send", "PORT 192,0,2,7,20,1"),
            ("expect", "200"),
            ("client", client),
            ("send", "STOR x"),
            ("expect", "150"),
            ("expect", expected),
            ("size", "/x none"),
        ]);
    }
}

#[test]
fn who_connects_in_the_last_moment_is_served() {
    for (command, completion) in [("RETR a", "226 transfer.sent 100"), ("STOR x", "226 transfer.stored 10")] {
        check_logged_in(&[
            ("send", "PASV"),
            ("expect", "227"),
            ("hold", "establish"),
            ("send", command),
            ("expect", "150"),
            ("wait", "30000"),
            ("nothing", ""),
            ("answer", "establish established"),
            ("expect", completion),
        ]);
    }
}

#[test]
fn the_connect_deadline_counts_from_the_mark() {
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("client", "stays away"),
        ("hold", "storage"),
        ("send", "RETR a"),
        ("wait", "20000"),
        ("answer", "storage"),
        ("expect", "150"),
        ("wait", "29999"),
        ("nothing", ""),
        ("wait", "1"),
        ("expect", "425 data.no-connection"),
    ]);
}

#[test]
fn downloads_that_end_early() {
    let reset =
        "426 transfer.reset The data connection was reset after 40 bytes were sent; to go on send REST";
    let reset_anew =
        "426 transfer.reset-anew The data connection was reset after 40 bytes were sent; ask again";
    let stalled =
        "426 transfer.stalled No byte moved for 120 s after 40 bytes; check the network, then send REST";
    let stalled_anew = "426 transfer.stalled-anew No byte moved for 120 s after 40 bytes";
    for (representation, command, how, expected) in [
        ("TYPE I", "RETR a", "reset 40", reset),
        ("TYPE I", "RETR a", "stalls 40", stalled),
        // Octets of text are not counted, and a list is another the next time.
        ("TYPE A", "RETR a", "reset 40", reset_anew),
        ("TYPE A", "RETR a", "stalls 40", stalled_anew),
        ("TYPE I", "LIST", "reset 40", reset_anew),
        ("TYPE I", "NLST", "stalls 40", stalled_anew),
        ("TYPE I", "MLSD", "reset 40", reset_anew),
        ("TYPE I", "RETR a", "fails 40", "451 transfer.read-failed Reading /a failed after 40 bytes"),
        (
            "TYPE I",
            "RETR a",
            "shrinks 40",
            "451 transfer.file-shrank /a became shorter while it was sent, 40 bytes were",
        ),
    ] {
        check_logged_in(&[
            ("send", representation),
            ("expect", "200"),
            ("send", "PASV"),
            ("expect", "227"),
            ("transfer", how),
            ("send", command),
            ("expect", "150"),
            ("expect", expected),
            ("send", "LIST"),
            ("expect", "503"),
        ]);
    }
}

#[test]
fn uploads_that_end_early_are_not_stored() {
    let reset = "426 transfer.upload-reset The data connection was reset after 40 bytes and nothing of them is stored";
    let reset_kept = "426 transfer.upload-reset-kept The data connection was reset after 40 bytes; \
        40 bytes of /x are kept, to go on send REST 40, then STOR";
    let stalled =
        "426 transfer.upload-stalled No byte came for 120 s after 40 bytes and nothing of them is stored";
    let stalled_kept = "426 transfer.upload-stalled-kept No byte came for 120 s after 40 bytes; \
        40 bytes of /x are kept, check the network, then send REST 40, then STOR";
    for (representation, command, how, expected) in [
        ("TYPE I", "STOR x", "reset 40", reset_kept),
        ("TYPE I", "STOR x", "stalls 40", stalled_kept),
        ("TYPE I", "APPE x", "reset 40", reset_kept),
        ("TYPE I", "APPE x", "stalls 40", stalled_kept),
        // Nothing was kept.
        (
            "TYPE I",
            "STOR x",
            "reset 0",
            "426 transfer.upload-reset The data connection was reset after 0 bytes",
        ),
        ("TYPE I", "STOR a", "reset 40", reset),
        ("TYPE I", "APPE a", "stalls 40", stalled),
        // What is kept cannot be taken up: octets of text are not counted, and a free name is another next time.
        ("TYPE A", "STOR x", "reset 40", reset),
        ("TYPE A", "APPE x", "stalls 40", stalled),
        ("TYPE I", "STOU x", "reset 40", reset),
        ("TYPE I", "STOU x", "stalls 40", stalled),
        ("TYPE I", "STOR x", "fails 40", "451 transfer.write-failed Storing /x failed after 40 bytes"),
        ("TYPE I", "STOR x", "fills 40", "452 storage.no-space No space is left for /x"),
    ] {
        check_logged_in(&[
            ("send", representation),
            ("expect", "200"),
            ("send", "PASV"),
            ("expect", "227"),
            ("transfer", how),
            ("hold", "abandon"),
            ("send", command),
            ("expect", "150"),
            ("nothing", ""),
            ("answer", "abandon"),
            ("expect", expected),
            ("size", "/x none"),
            ("size", "/a 100"),
            ("send", "RETR a"),
            ("expect", "503 sequence.nothing-arranged"),
        ]);
    }
}

#[test]
fn an_upload_is_complete_when_it_is_stored() {
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("hold", "commit"),
        ("transfer", "complete 77"),
        ("send", "STOR x"),
        ("expect", "150"),
        ("wait", "60000"),
        ("nothing", ""),
        ("size", "/x none"),
        ("answer", "commit"),
        ("expect", "226 transfer.stored 77 bytes received, /x is stored"),
        ("size", "/x 77"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "APPE x"),
        ("expect", "150"),
        ("answer", "commit"),
        ("expect", "226"),
        ("size", "/x 154"),
    ]);
    for (failure, expected) in [
        ("Fault", "451 transfer.write-failed Storing /x failed after 10 bytes"),
        ("NoSpace", "452 storage.no-space"),
        ("Quota", "552 storage.quota"),
        ("Exists", "553 target.exists"),
        ("NotFound", "553 target.no-directory"),
        ("NotEmpty", "451 transfer.write-failed"),
        ("Unsupported", "451 transfer.write-failed"),
        ("BeyondEnd", "451 transfer.write-failed"),
        ("NoPermission", "553 target.no-permission"),
        ("ReadOnly", "553 target.no-permission"),
        ("NotADirectory", "553 target.no-directory"),
        ("IsADirectory", "553 target.is-a-directory"),
        ("NotAFile", "553 target.not-a-file"),
        ("Name", "553 target.name-not-allowed"),
        ("TooLarge", "552 storage.too-large"),
        ("Busy", "450 file.busy"),
    ] {
        check_logged_in(&[
            ("send", "PASV"),
            ("expect", "227"),
            ("hold", "commit"),
            ("send", "STOR x"),
            ("expect", "150"),
            ("answer", &format!("commit fails {failure}")),
            ("expect", expected),
            ("size", "/x none"),
        ]);
    }
}

#[test]
fn empty_files_and_lists() {
    check_logged_in(&[
        ("file", "/empty 0"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "RETR empty"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 0 bytes"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "LIST d"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 0 bytes"),
        ("send", "PASV"),
        ("expect", "227"),
        ("transfer", "complete 0"),
        ("send", "STOR x"),
        ("expect", "150"),
        ("expect", "226 transfer.stored 0 bytes"),
        ("size", "/x 0"),
    ]);
}

#[test]
fn a_transfer_is_a_value() {
    let mut scene = scene();
    scene.play(&[
        ("send", "TYPE I"),
        ("expect", "200"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "CWD d"),
        ("expect", "250"),
        ("send", "REST 7"),
        ("expect", "350"),
        ("send", "RETR ../a"),
        ("expect", "150"),
        ("expect", "226"),
    ]);
    let job = scene.world.job.clone().expect("a transfer");
    assert_eq!((job.verb, job.offset, job.plan), (Verb::Retr, 7, Plan::File));
    assert_eq!((job.path.as_bytes(), job.representation), (&b"/a"[..], Representation::Image));
    assert_eq!(job.stall_timeout, Policy::default().stall_timeout);
    scene.play(&[
        ("send", "OPTS MLST size;"),
        ("expect", "200"),
        ("send", "TYPE A"),
        ("expect", "200"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "MLSD"),
        ("expect", "150"),
        ("expect", "226"),
    ]);
    let job = scene.world.job.clone().expect("a transfer");
    assert_eq!((job.path.as_bytes(), job.representation), (&b"/d"[..], Representation::Ascii));
    let facts = longshore_proto::listing::Facts::SIZE;
    assert_eq!(job.plan, Plan::Listing { format: ListingFormat::Facts(facts), pattern: None });
    scene.end();
}

#[test]
fn transfers_are_told() {
    let mut scene = scene();
    scene.world.events.clear();
    scene.play(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226"),
        ("send", "PASV"),
        ("expect", "227"),
        ("transfer", "reset 3"),
        ("send", "STOR x"),
        ("expect", "150"),
        ("expect", "426"),
        ("send", "TYPE I"),
        ("expect", "200"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "REST 40"),
        ("expect", "350"),
        ("transfer", "reset 5"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "426"),
    ]);
    let told: Vec<(Verb, u64, u64, u16)> = scene
        .world
        .events
        .iter()
        .map(|event| match event {
            Event::TransferEnded { verb, offset, bytes, situation, .. } => {
                (*verb, *offset, *bytes, situation.code())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [(Verb::Retr, 0, 100, 226), (Verb::Stor, 0, 3, 426), (Verb::Retr, 40, 5, 426)]);
    scene.end();
}
