//! REST: what it survives, what it does, and what it cannot.

use longshore_proto::server::{Policy, StorageOp, UploadStart};
use longshore_proto::verbs::{Legal, VERBS};

use crate::common::{Kind, Scene, Work, World, check_logged_in, logged_in};

fn image() -> Scene {
    let mut scene = logged_in(Policy::default(), World::connection("192.0.2.1:2121", "192.0.2.7:40000"));
    scene.play(&[("send", "TYPE I"), ("expect", "200")]);
    scene
}

#[track_caller]
fn check_image(steps: &[(&str, &str)]) {
    let mut scene = image();
    scene.play(steps);
    scene.end();
}

#[test]
fn downloads_begin_where_rest_says() {
    for (rest, sent) in [("0", "100"), ("1", "99"), ("99", "1"), ("100", "0")] {
        check_image(&[
            ("send", &format!("REST {rest}")),
            ("expect", &format!("350 restart.accepted The next RETR, STOR or APPE begins at {rest}")),
            ("send", "PASV"),
            ("expect", "227"),
            ("send", "RETR a"),
            ("expect", "150"),
            ("expect", &format!("226 transfer.sent {sent} bytes sent")),
            // It served one transfer.
            ("send", "PASV"),
            ("expect", "227"),
            ("send", "RETR a"),
            ("expect", "150"),
            ("expect", "226 transfer.sent 100 bytes sent"),
        ]);
    }
    check_image(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "REST 101"),
        ("expect", "350"),
        ("send", "RETR a"),
        ("expect", "554 restart.beyond-end /a ends before 101"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 100"),
    ]);
    for wrong in ["", "x", "-1", "9223372036854775808"] {
        check_image(&[("send", &format!("REST {wrong}")), ("expect", "501")]);
    }
}

#[test]
fn uploads_begin_where_rest_says() {
    let table = [
        ("STOR a", "0", UploadStart::Replace),
        ("STOR a", "50", UploadStart::At(50)),
        ("APPE a", "0", UploadStart::Append),
        ("APPE a", "50", UploadStart::At(50)),
    ];
    for (command, rest, expected) in table {
        let mut scene = image();
        scene.play(&[
            ("send", "PASV"),
            ("expect", "227"),
            ("send", &format!("REST {rest}")),
            ("expect", "350"),
            ("hold", "storage"),
            ("send", command),
        ]);
        let Some(Work::Storage(StorageOp::OpenUpload { start, .. })) = scene.world.work(Kind::Storage) else {
            panic!("{command} opens an upload");
        };
        assert_eq!(*start, expected, "{command} after REST {rest}");
        scene.play(&[("answer", "storage"), ("expect", "150"), ("expect", "226"), ("release", "storage")]);
        // It has served this one, and is no reason to refuse the next.
        for next in ["STOR x", "RETR a"] {
            scene.play(&[
                ("send", "PASV"),
                ("expect", "227"),
                ("send", next),
                ("expect", "150"),
                ("expect", "226"),
            ]);
            assert_eq!(scene.world.job.as_ref().map(|job| job.offset), Some(0), "{next} after {command}");
        }
        scene.end();
    }
    check_image(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "REST 101"),
        ("expect", "350"),
        ("send", "STOR a"),
        ("expect", "554 restart.beyond-end"),
        ("send", "RETR a"),
        ("expect", "425 data.connection-closed-by-refusal"),
    ]);
}

#[test]
fn octets_are_not_counted_in_text() {
    check_logged_in(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "REST 5"),
        ("expect", "350"),
        ("send", "RETR a"),
        ("expect", "555 restart.type"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 100"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "REST 5"),
        ("expect", "350"),
        ("send", "APPE a"),
        ("expect", "555 restart.type"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "REST 5"),
        ("expect", "350"),
        ("send", "STOR a"),
        ("expect", "555 restart.type"),
        // REST 0 is no restart, and TYPE may come after REST.
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "REST 0"),
        ("expect", "350"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "REST 5"),
        ("expect", "350"),
        ("send", "TYPE I"),
        ("expect", "200"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 95"),
    ]);
}

/// The list of the protocol: PASV EPSV PORT EPRT TYPE MODE STRU PROT ALLO OPTS SIZE MDTM FEAT STAT NOOP.
const SURVIVED: &[&str] = &[
    "PASV",
    "EPSV",
    "EPSV 1",
    "PORT 192,0,2,7,20,1",
    "EPRT |1|192.0.2.7|5000|",
    "TYPE I",
    "MODE S",
    "STRU F",
    "PROT C",
    "ALLO 5",
    "OPTS UTF8 ON",
    "SIZE a",
    "MDTM a",
    "FEAT",
    "HELP",
    "HELP ALLO",
    "STAT",
    "STAT a",
    "NOOP",
    // Refused ones are no others.
    "PORT x",
    "TYPE L 8",
    "SIZE none",
];

#[test]
fn what_rest_survives() {
    for between in SURVIVED {
        check_image(&[
            ("send", "PASV"),
            ("expect", "227"),
            ("send", "REST 40"),
            ("expect", "350"),
            ("send", between),
            ("expect", ""),
            ("send", "RETR a"),
            ("expect", "150"),
            ("expect", "226 transfer.sent 60"),
        ]);
    }
}

#[test]
fn what_rest_does_not_survive() {
    let survived: Vec<&str> = SURVIVED.iter().map(|line| line.split(' ').next().expect("a verb")).collect();
    let ends = ["RETR", "STOR", "APPE", "QUIT", "REIN", "USER"];
    let others = VERBS.iter().filter(|row| !survived.contains(&row.name()) && !ends.contains(&row.name()));
    let mut checked = 0;
    for row in others {
        let offered = row.legal != Legal::NotOffered;
        let argument = match row.name() {
            "LIST" | "NLST" | "MLSD" | "MLST" | "CWD" | "CDUP" | "PWD" => "",
            "STOU" if offered => " none/x",
            _ => " x",
        };
        let line = format!("{}{argument}", row.name());
        not_survived(&line);
        checked += 1;
    }
    assert!(checked > 30, "only {checked} were tried");
    not_survived("XYZZY");
    not_survived("");
    not_survived(&"x".repeat(5000));
    not_survived("a\0b");
    not_survived("REST x");
    not_survived("RNFR a");
}

#[track_caller]
fn not_survived(between: &str) {
    let mut scene = image();
    scene.play(&[("send", "PASV"), ("expect", "227"), ("send", "REST 40"), ("expect", "350")]);
    scene.world.send_line(between);
    scene.skip();
    scene.play(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "RETR a"),
        ("expect", "503 sequence.rest-not-followed REST 40 was not directly followed by its transfer"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 100"),
    ]);
    scene.end();
}

#[test]
fn what_was_said_in_vain_is_said_before_anything_else() {
    check_image(&[
        ("send", "REST 40"),
        ("expect", "350"),
        ("send", "CWD d"),
        ("expect", "250"),
        ("send", "CWD /"),
        ("expect", "250"),
        // Nothing is arranged either, but that would hide that the next transfer begins at 0.
        ("send", "RETR a"),
        ("expect", "503 sequence.rest-not-followed"),
        ("send", "RETR a"),
        ("expect", "503 sequence.nothing-arranged"),
    ]);
    check_image(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "REST 40"),
        ("expect", "350"),
        ("send", "CWD d"),
        ("expect", "250"),
        ("send", "REST 0"),
        ("expect", "350"),
        ("send", "RETR /a"),
        ("expect", "150"),
        ("expect", "226 transfer.sent 100"),
    ]);
    // An upload that is refused so closes its data connection.
    check_image(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "REST 40"),
        ("expect", "350"),
        ("send", "CWD d"),
        ("expect", "250"),
        ("send", "STOR a"),
        ("expect", "503 sequence.rest-not-followed"),
        ("send", "STOR a"),
        ("expect", "425 data.connection-closed-by-refusal"),
    ]);
}

#[test]
fn a_transfer_that_was_refused_has_followed() {
    for (refused, expected) in [("RETR none", "550"), ("RETR d", "550"), ("RETR", "501")] {
        check_image(&[
            ("send", "PASV"),
            ("expect", "227"),
            ("send", "REST 40"),
            ("expect", "350"),
            ("send", refused),
            ("expect", expected),
            ("send", "RETR a"),
            ("expect", "150"),
            ("expect", "226 transfer.sent 100"),
        ]);
    }
}

#[test]
fn listings_and_unique_names_have_no_restart() {
    for (listing, offset) in [("LIST", 0), ("NLST", 0), ("MLSD", 0), ("STOU", 0)] {
        let mut scene = image();
        scene.play(&[
            ("send", "PASV"),
            ("expect", "227"),
            ("send", "REST 40"),
            ("expect", "350"),
            ("send", listing),
            ("expect", "150"),
            ("expect", "226"),
        ]);
        assert_eq!(scene.world.job.as_ref().expect("a transfer").offset, offset, "{listing}");
        scene.play(&[
            ("send", "PASV"),
            ("expect", "227"),
            ("send", "RETR a"),
            ("expect", "503 sequence.rest-not-followed"),
        ]);
        scene.end();
    }
}
