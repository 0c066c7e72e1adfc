//! What lftp can beyond the operations of every client; trees of thousands of files are in `mirror.rs`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use longshore_interop::{
    Case, Client, Running, Who, assert_same_bytes, each_way, odd_names, pattern, run, wait_for,
};

const BOUND: Duration = Duration::from_secs(60);

/// A name as lftp's command line takes it: within double quotes a backslash frees quote and backslash.
fn quoted(name: &[u8]) -> Vec<u8> {
    let escaped = name.iter().flat_map(|&byte| match byte {
        b'"' | b'\\' => vec![b'\\', byte],
        other => vec![other],
    });
    [b'"'].into_iter().chain(escaped).chain([b'"']).collect()
}

#[test]
fn segmented_download() {
    each_way(Client::Lftp, "pget in four segments", |case| {
        let bytes = pattern(10 * 1024 * 1024, 4);
        case.place("big", &bytes);
        case.run_lftp("pget -n 4 big").succeeded();
        assert_same_bytes("big", &case.received("big"), &bytes);
    });
}

#[test]
fn download_is_resumed() {
    each_way(Client::Lftp, "resume a download after SIGKILL", |case| {
        let bytes = pattern(10 * 1024 * 1024, 7);
        case.place("big", &bytes);
        let slow = Running::start(&mut case.lftp(Who::Account, "set net:limit-rate 1M\nget big"));
        wait_for("a part of the download", BOUND, || {
            fs::metadata(case.outside("big")).ok().filter(|metadata| metadata.len() >= 1 << 18)
        });
        slow.kill();
        let part = case.received("big").len();
        assert!(part < bytes.len(), "lftp was done before it was killed");
        case.run_lftp("reget big").succeeded();
        assert_same_bytes("big", &case.received("big"), &bytes);
    });
}

/// Sends the first part of `big` with an lftp that is killed in the middle.
#[track_caller]
fn send_a_part(case: &Case<'_>, bytes: &[u8]) {
    case.prepare("big", bytes);
    let slow = Running::start(&mut case.lftp(Who::Account, "set net:limit-rate 1M\nput big"));
    case.wait_for_a_part();
    slow.kill();
    case.server.wait_for_line_about(&case.remote("big"));
    let part = case.control().size(&case.remote("big")).expect("SIZE tells what is there");
    assert!(part > 0 && part < bytes.len() as u64, "{part} bytes are there");
}

#[test]
fn upload_is_resumed() {
    each_way(Client::Lftp, "resume an upload after SIGKILL (REST)", |case| {
        let bytes = pattern(10 * 1024 * 1024, 8);
        send_a_part(case, &bytes);
        case.run_lftp("put -c big").succeeded();
        assert_same_bytes("big", &case.stored("big"), &bytes);
        assert_eq!(case.names(""), ["big"], "the part is gone");
    });
}

#[test]
fn upload_is_resumed_by_append() {
    each_way(Client::Lftp, "resume an upload after SIGKILL (APPE)", |case| {
        let bytes = pattern(10 * 1024 * 1024, 9);
        send_a_part(case, &bytes);
        case.run_lftp("set ftp:rest-stor no\nput -c big").succeeded();
        assert_same_bytes("big", &case.stored("big"), &bytes);
        assert_eq!(case.names(""), ["big"], "the part is gone");
    });
}

#[test]
fn upload_is_resumed_after_a_reset() {
    for (how, settings) in [("REST", ""), ("APPE", "set ftp:rest-stor no\n")] {
        each_way(Client::Lftp, &format!("resume an upload after a reset ({how})"), |case| {
            let bytes = pattern(10 * 1024 * 1024, 10);
            case.leave_a_part("big", &bytes);
            assert_eq!(case.run_lftp("nlist").succeeded().lines().len(), 0, "the part is hidden");
            case.prepare("big", &bytes);
            case.run_lftp(format!("{settings}put -c big")).succeeded();
            assert_same_bytes("big", &case.stored("big"), &bytes);
            assert_eq!(case.names(""), ["big"], "the part is gone");
        });
    }
}

#[test]
fn pipelined_commands() {
    each_way(Client::Lftp, "pipelined commands", |case| {
        let names: Vec<String> = (0..50).map(|number| format!("file-{number}")).collect();
        for (number, name) in names.iter().enumerate() {
            case.prepare(name, pattern(number * 100, number as u32));
        }
        // With sync-mode off lftp sends commands without waiting for the answers to those before.
        case.run_lftp("set ftp:sync-mode off\nmput file-*\nmirror . back\nnlist").succeeded();
        for (number, name) in names.iter().enumerate() {
            let expected = pattern(number * 100, number as u32);
            assert_same_bytes(name, &case.stored(name), &expected);
            assert_same_bytes(name, &case.received(format!("back/{name}")), &expected);
        }
    });
}

#[test]
fn a_second_mirror_moves_nothing() {
    each_way(Client::Lftp, "mirror again moves nothing", |case| {
        fs::create_dir_all(case.outside("tree/inner")).expect("a folder");
        for number in 0..20 {
            case.prepare(format!("tree/inner/file {number}"), pattern(number * 1000, number as u32));
        }
        case.run_lftp("mirror -R tree up\nmirror up down").succeeded();
        for again in ["mirror -R --verbose tree up", "mirror --verbose up down"] {
            let finished = case.run_lftp(again).succeeded();
            assert!(!finished.says("Transferring"), "sizes and times are as they were: {finished}");
        }
    });
}

#[test]
fn list() {
    each_way(Client::Lftp, "LIST, NLST, MLSD", |case| {
        fs::create_dir(case.inside("listed")).expect("a folder");
        let mut expected: Vec<String> = (0..300).map(|number| format!("file-{number}")).collect();
        for name in &expected {
            case.place(format!("listed/{name}"), "x");
        }
        fs::create_dir(case.inside("listed/directory")).expect("a folder");
        expected.push("directory".to_owned());
        expected.sort();
        let commands = [
            ("nlist listed", "NLST"),
            ("set ftp:use-mlsd yes\ncls -1 listed", "MLSD"),
            ("set ftp:use-mlsd no\ncls -1 listed", "LIST"),
            ("set ftp:list-options -a\nset ftp:use-mlsd no\ncls -1 listed", "LIST -a"),
            ("set ftp:use-stat-for-list yes\nset ftp:use-mlsd no\ncls -1 listed", "STAT"),
        ];
        for (command, what) in commands {
            let finished = case.run_lftp(command).succeeded();
            let name = |line: &&[u8]| {
                let line = String::from_utf8_lossy(line);
                line.trim_end_matches(['/', '@', '*']).rsplit('/').next().unwrap_or_default().to_owned()
            };
            let mut names: Vec<String> = finished.lines().iter().map(name).collect();
            names.sort();
            assert_eq!(names, expected, "{what}");
        }
        fs::create_dir(case.inside("empty")).expect("a folder");
        let empty = case.run_lftp("cls -1 empty").succeeded();
        assert_eq!(empty.lines().len(), 0, "{empty}");
    });
}

#[test]
fn rename_delete_and_directories() {
    each_way(Client::Lftp, "rename, delete, MKD, RMD", |case| {
        case.place("old", "content");
        case.run_lftp("mv old \"new name\"\nmkdir -p a/b/c\nmkdir -p gone/too\nrmdir gone/too gone")
            .succeeded();
        assert_eq!(case.names(""), ["a", "new name"]);
        assert!(case.inside("a/b/c").is_dir());
        assert_eq!(case.stored("new name"), b"content");
        case.place("a/b/c/file", "deep");
        case.run_lftp("rm \"new name\"\nrm -r a").succeeded();
        assert_eq!(case.names(""), Vec::<&str>::new());
    });
}

#[test]
fn odd_names_survive() {
    each_way(Client::Lftp, "odd names on both sides", |case| {
        let names = odd_names();
        let mut script = Vec::new();
        for name in &names {
            case.prepare(name, format!("content of {name}"));
            // A path with ./ keeps a leading dash from being an option, and a tilde from being a home.
            let local = quoted(format!("./{name}").as_bytes());
            let back = quoted(format!("./back {name}").as_bytes());
            let line = [b"put ", &local[..], b" -o ", &local, b"\nget ", &local, b" -o ", &back, b"\n"];
            script.extend(line.concat());
        }
        script.extend_from_slice(b"nlist\n");
        let finished = case.run_lftp(OsString::from_vec(script)).succeeded();
        let mut expected: Vec<&str> = names.clone();
        expected.sort_unstable();
        let mut listed: Vec<&[u8]> = finished.lines();
        listed.sort_unstable();
        assert_eq!(listed, expected.iter().map(|name| name.as_bytes()).collect::<Vec<_>>());
        for name in &names {
            let content = format!("content of {name}");
            assert_same_bytes(name, &case.stored(name), content.as_bytes());
            assert_same_bytes(name, &case.received(format!("back {name}")), content.as_bytes());
        }
    });
}

#[test]
fn names_that_are_not_utf_8_survive() {
    each_way(Client::Lftp, "Latin-1 names", |case| {
        let name = OsStr::from_bytes(b"caf\xE9");
        case.prepare(name, "au lait");
        // With UTF-8 switched off, lftp knows no character set of the server and converts nothing.
        case.run_lftp(OsStr::from_bytes(b"set ftp:use-utf8 no\nput caf\xE9\nget caf\xE9 -o back"))
            .succeeded();
        assert_eq!(case.names(""), [name]);
        assert_eq!(case.received("back"), b"au lait");
    });
}

#[test]
fn a_killed_transfer_leaves_a_session_that_works() {
    each_way(Client::Lftp, "stop a transfer, go on", |case| {
        case.place("big", pattern(10 * 1024 * 1024, 5));
        case.place("small", "still here");
        // The slow transfer is stopped by lftp itself; what follows runs on the same connection or a new one.
        let script = "set net:limit-rate 256k\nget big &\nwait-for-part\nkill all\nset net:limit-rate 0\nget small\nls";
        let wait = format!("! while ! test -s {} ; do :; done", case.outside("big").display());
        case.run_lftp(script.replace("wait-for-part", &wait)).succeeded();
        assert_eq!(case.received("small"), b"still here");
    });
}

#[test]
fn anonymous_may_read_only() {
    each_way(Client::Lftp, "anonymous may change nothing", |case| {
        case.place("public", "for all");
        run(&mut case.lftp(Who::Anonymous, "get public"), BOUND).succeeded();
        assert_eq!(case.received("public"), b"for all");
        case.prepare("intruder", "not wanted");
        for script in ["put intruder", "rm public", "mv public private", "mkdir made"] {
            let refused = run(&mut case.lftp(Who::Anonymous, script), BOUND).failed();
            assert!(refused.says("No permission"), "{script}: the reply says why: {refused}");
        }
        assert_eq!(case.names(""), ["public"]);
    });
}
