//! TYPE, STRU, MODE, OPTS, FEAT, HELP, SITE, SYST, CLNT, ALLO and STAT.

use longshore_proto::verbs::{Legal, VERBS};

use crate::common::{World, check, check_logged_in, logged_in};
use longshore_proto::server::Policy;

#[test]
fn types() {
    for image in ["I", "i", "I N", "L 8", "l 8", "L8"] {
        check_logged_in(&[
            ("send", &format!("TYPE {image}")),
            ("expect", "200 parameter.type-set TYPE is I"),
            ("send", "STAT"),
            ("expect", "211"),
            ("line", "TYPE I, STRU F, MODE S"),
        ]);
    }
    for ascii in ["A", "a", "A N", "a n"] {
        check_logged_in(&[
            ("send", &format!("TYPE {ascii}")),
            ("expect", "200 parameter.type-set TYPE is A"),
        ]);
    }
    for other in ["E", "E N", "A T", "A C", "L 7", "L 36"] {
        check_logged_in(&[
            ("send", &format!("TYPE {other}")),
            ("expect", "504 command.parameter-not-offered"),
        ]);
    }
    for wrong in ["", " ", "X", "A X", "L", "I I", "8"] {
        check_logged_in(&[("send", &format!("TYPE {wrong}")), ("expect", "501 command.bad-argument")]);
    }
    // What was refused changes nothing.
    check_logged_in(&[
        ("send", "TYPE I"),
        ("expect", "200"),
        ("send", "TYPE E"),
        ("expect", "504"),
        ("send", "SIZE a"),
        ("expect", "213 file.size 100"),
    ]);
}

#[test]
fn structures_and_modes() {
    check_logged_in(&[
        ("send", "STRU F"),
        ("expect", "200 parameter.structure-set STRU is F"),
        ("send", "STRU R"),
        ("expect", "504"),
        ("send", "STRU P"),
        ("expect", "504"),
        ("send", "STRU X"),
        ("expect", "501"),
        ("send", "STRU"),
        ("expect", "501"),
        ("send", "MODE S"),
        ("expect", "200 parameter.mode-set MODE is S"),
        ("send", "MODE B"),
        ("expect", "504"),
        ("send", "MODE C"),
        ("expect", "504"),
        ("send", "MODE Z"),
        ("expect", "504"),
        ("send", "MODE X"),
        ("expect", "501"),
        ("send", "MODE"),
        ("expect", "501"),
    ]);
}

#[test]
fn features() {
    check(&[
        ("send", "FEAT"),
        ("expect", "211 features.list"),
        ("line", "CLNT"),
        ("line", "EPRT"),
        ("line", "EPSV"),
        ("line", "MDTM"),
        ("line", "MFMT"),
        ("line", "MLST type*;size*;modify*;perm*;unique*;UNIX.mode*;UNIX.owner*;UNIX.group*;"),
        ("line", "PASV"),
        ("line", "REST STREAM"),
        ("line", "SIZE"),
        ("line", "TVFS"),
        ("line", "UTF8"),
    ]);
}

#[test]
fn options() {
    check(&[
        ("send", "OPTS UTF8 ON"),
        ("expect", "200 options.utf8"),
        ("send", "OPTS UTF8 OFF"),
        ("expect", "200 options.utf8"),
        ("send", "opts utf-8 nlst"),
        ("expect", "200"),
        ("send", "OPTS MLST Size;type;bogus;"),
        ("expect", "200 options.mlst MLST OPTS type;size;"),
        ("send", "FEAT"),
        ("expect", "211"),
        ("line", "MLST type*;size*;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;"),
        ("send", "OPTS MLST"),
        ("expect", "200 options.mlst MLST OPTS"),
        ("send", "OPTS HASH x"),
        ("expect", "501 options.unknown OPTS HASH"),
        ("send", "OPTS"),
        ("expect", "501 command.bad-argument"),
    ]);
}

#[test]
fn facts_follow_the_options() {
    check_logged_in(&[
        ("send", "MLST a"),
        ("expect", "250 file.facts Facts of /a"),
        ("line", "type=file; /a"),
        ("send", "MLST"),
        ("expect", "250 file.facts Facts of /"),
        ("line", "type=dir; /"),
        ("send", "OPTS MLST modify;"),
        ("expect", "200"),
        ("send", "MLST a"),
        ("expect", "250"),
        ("line", " /a"),
        ("send", "MLST none"),
        ("expect", "550 file.not-found"),
    ]);
}

#[test]
fn help() {
    check(&[
        ("send", "HELP"),
        ("expect", "214 help.list"),
        ("send", "HELP retr"),
        ("expect", "214 help.verb RETR <file>: sends a file"),
        ("send", "HELP AUTH"),
        ("expect", "501 help.unknown AUTH is not offered here; HELP lists what is"),
        ("send", "HELP xyzzy"),
        ("expect", "501 help.unknown xyzzy is not offered here"),
        ("send", "SYST"),
        ("expect", "215 system.type UNIX Type: L8"),
        ("send", "CLNT somebody 1.0"),
        ("expect", "200 client.noted"),
    ]);
    check_logged_in(&[
        ("send", "SITE HELP"),
        ("expect", "214 help.site"),
        ("send", "SITE XYZZY 644 a"),
        ("expect", "501 site.unknown SITE XYZZY"),
        ("send", "SITE"),
        ("expect", "501 command.bad-argument"),
    ]);
}

#[test]
fn help_lists_every_command_that_is_offered_and_no_other() {
    let mut scene = crate::common::Scene::new(World::over_ipv4());
    scene.play(&[("expect", "220"), ("send", "HELP"), ("expect", "214")]);
    let reply = &scene.world.said.last().expect("an answer").reply;
    let text = String::from_utf8(reply.lines.join(&b' ')).expect("names");
    let listed: Vec<&str> = text.split_whitespace().collect();
    let offered: Vec<&str> =
        VERBS.iter().filter(|row| row.legal != Legal::NotOffered).map(|row| row.name()).collect();
    assert_eq!(listed, offered);
    scene.end();
}

#[test]
fn allocation() {
    check_logged_in(&[
        ("send", "ALLO 1000000"),
        ("expect", "200 allocate.fine"),
        ("send", "ALLO 1000001"),
        ("expect", "552 allocate.too-much There is room for 1000000 bytes only, not for 1000001"),
        ("send", "ALLO 10 R 5"),
        ("expect", "200"),
        ("send", "ALLO"),
        ("expect", "501"),
        ("send", "ALLO x"),
        ("expect", "501"),
        ("hold", "storage"),
        ("send", "ALLO 5"),
        ("answer", "storage fails Unsupported"),
        ("expect", "200 allocate.unknown"),
    ]);
    let mut scene =
        logged_in(Policy::default(), World::connection("[2001:db8::1]:21", "[2001:db8::7]:40000"));
    scene.world.files.free = None;
    scene.play(&[("send", "ALLO 5"), ("expect", "200 allocate.unknown")]);
    scene.end();
}

#[test]
fn the_state_of_the_session() {
    check_logged_in(&[
        ("send", "STAT"),
        ("expect", "211 status.session"),
        ("line", "connected from 192.0.2.7:40000 to 192.0.2.1:2121"),
        ("line", "logged in as anonymous, in /"),
        ("line", "TYPE A, STRU F, MODE S"),
        ("line", "no data connection is arranged"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "passive port 30000 waits for a data connection"),
        ("send", "PORT 192,0,2,7,20,1"),
        ("expect", "200"),
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "the data connection will go to 192.0.2.7:5121"),
    ]);
}

#[test]
fn status_of_files() {
    check_logged_in(&[
        ("file", "/d/x 1"),
        ("file", "/d/y 1"),
        ("send", "STAT d"),
        ("expect", "212 status.directory Status of the directory /d"),
        ("line", "x"),
        ("line", "y"),
        ("send", "STAT -l d/x"),
        ("expect", "213 status.file /d/x is"),
        ("line", "x"),
        ("send", "STAT -a"),
        ("expect", "212 status.directory Status of the directory /"),
        ("send", "STAT none"),
        ("expect", "450 status.unavailable /none: there is no such file or directory"),
        ("send", "STAT a\tb"),
        ("expect", "450 status.unavailable"),
    ]);
    let mut scene = logged_in(Policy::default(), World::connection("127.0.0.1:21", "127.0.0.1:40000"));
    scene.world.files.crowded = true;
    scene.play(&[("send", "STAT /"), ("expect", "450 listing.too-long / holds more than the 1000 entries")]);
    scene.end();
}
