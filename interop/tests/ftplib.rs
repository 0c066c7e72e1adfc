//! What a program can do by Python's ftplib beyond the operations of every client. What it does is in `scripts/`,
//! where each script checks the replies.

use std::fs;
use std::time::Duration;

use longshore_interop::{
    Case, Client, Running, Who, assert_same_bytes, date, each_way, odd_names, pattern, sizes, wait_for,
};

const BOUND: Duration = Duration::from_secs(60);

#[test]
fn uploads_in_odd_blocks() {
    each_way(Client::Ftplib, "uploads in odd blocks", |case| {
        let names: Vec<String> = sizes().iter().map(|size| format!("up-{size}")).collect();
        for (seed, (size, name)) in sizes().into_iter().zip(&names).enumerate() {
            case.prepare(name, pattern(size, seed as u32));
        }
        case.run_ftplib(Who::Account, "upload.py", &names).succeeded();
        for (seed, (size, name)) in sizes().into_iter().zip(&names).enumerate() {
            assert_same_bytes(name, &case.stored(name), &pattern(size, seed as u32));
        }
        assert_eq!(case.names("").len(), sizes().len(), "nothing but the files: {:?}", case.names(""));
    });
}

#[test]
fn download_is_resumed() {
    each_way(Client::Ftplib, "resume a download after SIGKILL", |case| {
        let bytes = pattern(10 * 1024 * 1024, 7);
        case.place("big", &bytes);
        let slow = Running::start(&mut case.ftplib(Who::Account, "slow.py", ["download", "big"]));
        wait_for("a part of the download", BOUND, || {
            fs::metadata(case.outside("big")).ok().filter(|metadata| metadata.len() >= 1 << 18)
        });
        slow.kill();
        let part = case.received("big").len();
        assert!(part < bytes.len(), "it was done before it was killed");
        case.run_ftplib(Who::Account, "download.py", [format!("big@{part}")]).succeeded();
        assert_same_bytes("big", &case.received("big"), &bytes);
    });
}

/// Kills an upload in the middle and goes on with it.
#[track_caller]
fn resume_upload(case: &Case<'_>, how: &str) {
    let bytes = pattern(10 * 1024 * 1024, 8);
    case.prepare("big", &bytes);
    let slow = Running::start(&mut case.ftplib(Who::Account, "slow.py", ["upload", "big"]));
    case.wait_for_a_part();
    slow.kill();
    case.server.wait_for_line_about(&case.remote("big"));
    let part = case.control().size(&case.remote("big")).expect("SIZE tells what is there");
    assert!(part > 0 && part < bytes.len() as u64, "{part} bytes are there");
    case.run_ftplib(Who::Account, "resume_upload.py", ["big", how]).succeeded();
    assert_same_bytes("big", &case.stored("big"), &bytes);
    assert_eq!(case.names(""), ["big"], "the part is gone");
}

#[test]
fn upload_is_resumed() {
    each_way(Client::Ftplib, "resume an upload after SIGKILL (REST)", |case| resume_upload(case, "rest"));
}

#[test]
fn upload_is_resumed_by_append() {
    each_way(Client::Ftplib, "resume an upload after SIGKILL (APPE)", |case| resume_upload(case, "append"));
}

#[test]
fn upload_is_resumed_after_a_reset() {
    for (how, command) in [("rest", "REST"), ("append", "APPE")] {
        each_way(Client::Ftplib, &format!("resume an upload after a reset ({command})"), |case| {
            let bytes = pattern(10 * 1024 * 1024, 11);
            case.leave_a_part("big", &bytes);
            case.prepare("big", &bytes);
            case.run_ftplib(Who::Account, "resume_upload.py", ["big", how]).succeeded();
            assert_same_bytes("big", &case.stored("big"), &bytes);
            assert_eq!(case.names(""), ["big"], "the part is gone");
        });
    }
}

#[test]
fn list() {
    each_way(Client::Ftplib, "LIST, NLST, MLSD", |case| {
        fs::create_dir(case.inside("listed")).expect("a folder");
        let mut expected: Vec<String> = (0..300).map(|number| format!("file-{number}")).collect();
        for (size, name) in expected.iter().enumerate() {
            case.place(format!("listed/{name}"), pattern(size, 1));
        }
        expected.extend(["directory", "with space", "\u{FC}ml\u{E4}ut"].map(str::to_owned));
        fs::create_dir(case.inside("listed/directory")).expect("a folder");
        case.place("listed/with space", "x");
        case.place("listed/\u{FC}ml\u{E4}ut", "x");
        fs::create_dir(case.inside("empty")).expect("a folder");
        let arguments = ["listed"].into_iter().chain(expected.iter().map(String::as_str));
        case.run_ftplib(Who::Account, "listing.py", arguments).succeeded();
    });
}

#[test]
fn rename_and_delete_odd_names() {
    each_way(Client::Ftplib, "odd names: rename, delete", |case| {
        let arguments = ["utf-8"].into_iter().chain(odd_names());
        case.run_ftplib(Who::Account, "names.py", arguments).succeeded();
    });
}

#[test]
fn names_that_are_not_utf_8_survive() {
    each_way(Client::Ftplib, "Latin-1 names", |case| {
        // The bytes that Latin-1 calls e acute and y diaeresis; 0xFF is also Telnet's IAC, which ftplib does not
        // double, so it is followed by a byte that is no command.
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let names: [&[u8]; 4] = [b"latin-1", b"caf\xE9", b"\xFFy", b"\x80\x9F"];
        let arguments = names.map(OsStr::from_bytes);
        case.run_ftplib(Who::Account, "names.py", arguments).succeeded();
    });
}

#[test]
fn directories() {
    each_way(Client::Ftplib, "MKD, CWD, PWD, RMD", |case| {
        case.run_ftplib(Who::Account, "directories.py", [""; 0]).succeeded();
    });
}

#[test]
fn text() {
    each_way(Client::Ftplib, "ASCII on the wire", |case| {
        case.place("unix", "one\ntwo\n\nno end");
        case.run_ftplib(Who::Account, "text.py", [""; 0]).succeeded();
        assert_eq!(case.stored("up"), b"eins\nzwei\ndrei\n");
    });
}

#[test]
fn size_and_time() {
    each_way(Client::Ftplib, "SIZE, MDTM, MFMT, MLST", |case| {
        case.place("dated", pattern(12_345, 3));
        date(&case.inside("dated"));
        case.run_ftplib(Who::Account, "facts.py", [""; 0]).succeeded();
    });
}

#[test]
fn unique_names() {
    each_way(Client::Ftplib, "STOU", |case| {
        case.run_ftplib(Who::Account, "unique.py", [""; 0]).succeeded();
        assert_eq!(case.names("").len(), 5);
    });
}

#[test]
fn abort() {
    each_way(Client::Ftplib, "ABOR", |case| {
        case.place("big", pattern(64 * 1024 * 1024, 6));
        case.place("small", "still here");
        case.run_ftplib(Who::Account, "abort.py", [""; 0]).succeeded();
    });
}

#[test]
fn anonymous_may_read_only() {
    each_way(Client::Ftplib, "anonymous may change nothing", |case| {
        case.place("public", "for all");
        case.run_ftplib(Who::Anonymous, "anonymous.py", [""; 0]).succeeded();
        assert_eq!(case.names(""), ["public"]);
        assert_eq!(case.stored("public"), b"for all");
    });
}

#[test]
fn refusals_are_understood() {
    each_way(Client::Ftplib, "codes of refusals", |case| {
        case.run_ftplib(Who::Account, "refusals.py", [""; 0]).succeeded();
    });
}
