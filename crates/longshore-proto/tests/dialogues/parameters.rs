//! TYPE, STRU, MODE, OPTS, FEAT, HELP, SITE, SYST, CLNT, ALLO and STAT.

use longshore_proto::verbs::{Legal, VERBS};

use crate::common::{Kind, Scene, World, check, check_logged_in, logged_in};
use longshore_proto::server::{Policy, QuotaStatus};

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
    for (text, value) in [
        ("A", "A"),
        ("a", "A"),
        ("A N", "A"),
        ("a t", "A T"),
        ("A C", "A C"),
        ("E", "E"),
        ("e n", "E"),
        ("E T", "E T"),
        ("EC", "E C"),
    ] {
        check_logged_in(&[
            ("send", &format!("TYPE {text}")),
            ("expect", &format!("200 parameter.type-set TYPE is {value}")),
        ]);
    }
    for other in ["L 7", "L 36"] {
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
        ("send", "TYPE L 7"),
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
        ("expect", "200 parameter.structure-set STRU is R"),
        ("send", "STRU p"),
        ("expect", "200 parameter.structure-set STRU is P"),
        ("send", "STRU X"),
        ("expect", "501"),
        ("send", "STRU"),
        ("expect", "501"),
        ("send", "MODE S"),
        ("expect", "200 parameter.mode-set MODE is S"),
        ("send", "MODE B"),
        ("expect", "200 parameter.mode-set MODE is B"),
        ("send", "MODE c"),
        ("expect", "200 parameter.mode-set MODE is C"),
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "TYPE A, STRU P, MODE C"),
        ("send", "MODE Z"),
        ("expect", "504 command.parameter-not-offered MODE Z is not offered; use MODE S, MODE B or MODE C"),
        ("send", "MODE E"),
        ("expect", "504 command.parameter-not-offered MODE E is not offered"),
        // What was refused changes nothing.
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "TYPE A, STRU P, MODE C"),
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
fn the_level_of_deflate() {
    let policy = Policy { deflate: true, ..Policy::default() };
    let mut scene = logged_in(policy, World::connection("192.0.2.1:21", "192.0.2.7:40000"));
    scene.play(&[
        ("send", "FEAT"),
        ("expect", "211"),
        ("line", "MODE B"),
        ("line", "MODE C"),
        ("line", "MODE Z"),
        ("line", "OPTS MODE Z KEEP"),
        ("send", "OPTS MODE Z LEVEL 9"),
        ("expect", "200 options.mode-z MODE Z compresses with level 9"),
    ]);
    for wrong in ["LEVEL 0", "LEVEL 10", "LEVEL", "LEVEL x", "LEVEL 1 2", "BLOCKSIZE 5", ""] {
        scene.play(&[("send", &format!("OPTS MODE Z {wrong}")), ("expect", "501 options.unknown OPTS MODE")]);
    }
    scene.play(&[
        ("send", "opts mode z level 1"),
        ("expect", "200 options.mode-z MODE Z compresses with level 1"),
        ("send", "MODE Z"),
        ("expect", "200"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226"),
    ]);
    let level = scene.world.job.as_ref().and_then(|job| job.level).map(|level| level.get());
    assert_eq!(level, Some(1));
    scene.end();
    check_logged_in(&[("send", "OPTS MODE Z LEVEL 9"), ("expect", "501 options.unknown OPTS MODE Z")]);
}

#[test]
fn whether_deflate_keeps_data_connections() {
    let policy = Policy { deflate: true, ..Policy::default() };
    let mut scene = logged_in(policy, World::connection("192.0.2.1:21", "192.0.2.7:40000"));
    for wrong in ["KEEP", "KEEP 2", "KEEP 01", "KEEP -1", "KEEP ON", "KEEP 1 1", "KEEP1"] {
        scene.play(&[("send", &format!("OPTS MODE Z {wrong}")), ("expect", "501 options.unknown OPTS MODE")]);
    }
    scene.play(&[("send", "OPTS MODE B KEEP 1"), ("expect", "501 options.unknown OPTS MODE")]);
    let mut transfers = |line: &str, answer: &str, end: &str| {
        scene.play(&[
            ("send", line),
            ("expect", answer),
            ("send", "MODE Z"),
            ("expect", "200"),
            ("send", "PASV"),
            ("expect", "227"),
            ("send", "RETR a"),
            ("expect", "150"),
            ("expect", end),
        ]);
        scene.world.job.as_ref().map(|job| job.keeps_connection)
    };
    // What is wrong changes nothing, in neither direction.
    assert_eq!(transfers("OPTS MODE Z KEEP 9", "501", "226 transfer.sent"), Some(false));
    let stays = "200 options.mode-z-keep In MODE Z the data connection stays open for the next transfer";
    assert_eq!(transfers("opts mode z keep 1", stays, "250 transfer.sent-kept"), Some(true));
    assert_eq!(transfers("OPTS MODE Z KEEP 9", "501", "250 transfer.sent-kept"), Some(true));
    let closes = "200 options.mode-z-close In MODE Z the data connection closes behind each file";
    assert_eq!(transfers("OPTS MODE Z KEEP 0", closes, "226 transfer.sent"), Some(false));
    // It is forgotten with everything else.
    transfers("OPTS MODE Z KEEP 1", "200", "250");
    scene.play(&[
        ("send", "REIN"),
        ("expect", "220"),
        ("send", "USER anonymous"),
        ("expect", "331"),
        ("send", "PASS x"),
        ("expect", "230"),
        ("send", "MODE Z"),
        ("expect", "200"),
        ("send", "PASV"),
        ("expect", "227"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("expect", "226 transfer.sent"),
    ]);
    scene.end();
    for line in ["OPTS MODE Z KEEP 1", "OPTS MODE Z KEEP 0"] {
        check_logged_in(&[("send", line), ("expect", "501 options.unknown OPTS MODE Z")]);
    }
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
    let mut scene = Scene::new(World::over_ipv4());
    scene.play(&[("expect", "220"), ("send", "HELP"), ("expect", "214")]);
    let reply = &scene.world.said.last().expect("an answer").reply;
    let text = String::from_utf8(reply.lines.join(&b' ')).expect("names");
    let listed: Vec<&str> = text.split_whitespace().collect();
    // What belongs to TLS is listed where there is TLS; that is `protecting`.
    let tls = ["AUTH", "PBSZ", "PROT", "CCC"];
    let offered: Vec<&str> = VERBS
        .iter()
        .filter(|row| row.legal != Legal::NotOffered && !tls.contains(&row.name()))
        .map(|row| row.name())
        .collect();
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
        ("line", "control connection in clear, data connections in clear"),
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

/// Behind the login of an account with a quota.
fn scene(quota: QuotaStatus) -> Scene {
    let mut scene = Scene::new(World::over_ipv4());
    scene.world.files.quota = Some(quota);
    scene.world.files.add_file(b"/a", 100);
    scene.play(&[
        ("expect", "220"),
        ("send", "USER longshore"),
        ("expect", "331"),
        ("send", "PASS secret"),
        ("expect", "230"),
    ]);
    scene
}

const QUOTA: QuotaStatus =
    QuotaStatus { bytes: 700, limit_bytes: Some(1000), files: 3, limit_files: Some(5) };
const BYTES: (&str, &str) = ("line", "quota: 700 of 1000 bytes used, 300 left");
const FILES: (&str, &str) = ("line", "quota: 3 of 5 files used, 2 left");

#[test]
fn quotas() {
    let asked: &[(&str, &str)] = &[("send", "SITE QUOTA"), ("expect", "200 quota.status Quota of longshore")];
    let told = |quota: QuotaStatus, bytes, files| {
        let mut scene = scene(quota);
        scene.play(asked);
        scene.play(&[("line", bytes), ("line", files)]);
        assert_eq!(scene.world.said.last().expect("an answer").reply.lines.len(), 2);
        scene.end();
    };
    told(QUOTA, BYTES.1, FILES.1);
    let bytes_only = QuotaStatus { limit_files: None, ..QUOTA };
    told(bytes_only, BYTES.1, "quota: 3 files used, no limit");
    let files_only = QuotaStatus { limit_bytes: None, ..QUOTA };
    told(files_only, "quota: 700 bytes used, no limit", FILES.1);
    // A quota that was made smaller than what is used leaves nothing, not less.
    let beyond = QuotaStatus { bytes: 1001, files: 6, ..QUOTA };
    told(beyond, "quota: 1001 of 1000 bytes used, 0 left", "quota: 6 of 5 files used, 0 left");
    check_logged_in(&[
        ("send", "site quota"),
        ("expect", "200 quota.status Quota of anonymous"),
        ("line", "quota: none"),
        ("hold", "storage"),
        ("send", "SITE QUOTA"),
        ("nothing", ""),
        ("answer", "storage fails Fault"),
        ("expect", "550 storage.refused"),
    ]);
    check(&[("send", "SITE QUOTA"), ("expect", "530 login.needed")]);
}

#[test]
fn the_state_of_the_session_with_a_quota() {
    let lines = |scene: &Scene| scene.world.said.last().expect("an answer").reply.lines.len();
    let mut scene = scene(QUOTA);
    scene.play(&[("send", "STAT"), ("expect", "211 status.session"), BYTES, FILES]);
    assert_eq!(lines(&scene), 7);
    scene.play(&[
        ("send", "PASV"),
        ("expect", "227"),
        ("hold", "storage"),
        ("send", "STAT"),
        ("nothing", ""),
        ("answer", "storage"),
        ("expect", "211"),
        ("line", "passive port 30000 waits for a data connection"),
        BYTES,
        ("send", "STAT"),
        ("answer", "storage fails Fault"),
        ("expect", "211"),
        ("line", "logged in as longshore, in /"),
        ("line", "quota: cannot be told at the moment"),
        // While data flows it is answered at once, and storage is not asked.
        ("release", "storage"),
        ("transfer", "goes on 50"),
        ("send", "RETR a"),
        ("expect", "150"),
        ("hold", "storage"),
        ("send", "STAT"),
        ("expect", "211"),
        ("line", "RETR /a: 50 bytes moved so far"),
    ]);
    assert_eq!(lines(&scene), 5);
    assert_eq!(scene.world.under_way(), [Kind::Move]);
    // Behind another command it waits, and tells of the quota again.
    scene.play(&[
        ("bytes", "NOOP\\r\\nPWD\\r\\nSTAT\\r\\n"),
        ("expect", "200"),
        ("nothing", ""),
        ("answer", "move complete 100"),
        ("expect", "226"),
        ("expect", "257"),
        ("nothing", ""),
        ("answer", "storage"),
        ("expect", "211"),
        BYTES,
        FILES,
    ]);
    // Before the mark, too.
    scene.play(&[("send", "PASV"), ("expect", "227"), ("bytes", "RETR a\\r\\nSTAT\\r\\n"), ("nothing", "")]);
    scene.play(&[("transfer", "complete 1"), ("answer", "storage"), ("expect", "150"), ("expect", "226")]);
    scene.play(&[("nothing", ""), ("answer", "storage"), ("expect", "211"), BYTES]);
    scene.end();
    // An account without one is not asked about; whoever is not logged in has none.
    check_logged_in(&[("hold", "storage"), ("send", "STAT"), ("expect", "211")]);
    let mut scene = self::scene(QUOTA);
    scene.play(&[("send", "REIN"), ("expect", "220"), ("send", "STAT"), ("expect", "530 login.needed")]);
    scene.end();
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
