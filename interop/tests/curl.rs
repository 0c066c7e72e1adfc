//! What curl can beyond the operations of every client.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use longshore_interop::{
    Case, Client, Running, Who, assert_same_bytes, date, each_way, odd_names, pattern, run, wait_for,
};

const BOUND: Duration = Duration::from_secs(60);

/// curl's exit codes, as its manual has them.
const QUOTE_ERROR: i32 = 21;
const UPLOAD_FAILED: i32 = 25;
const REMOTE_FILE_NOT_FOUND: i32 = 78;

/// Runs commands before a request that transfers nothing.
#[track_caller]
fn quote(case: &Case<'_>, commands: &[&str]) {
    let quotes = commands.iter().flat_map(|command| ["--quote", command]);
    case.run_curl(quotes.chain(["--head", &case.url("")])).succeeded();
}

fn names(lines: &[&[u8]], name: impl Fn(&str) -> String) -> Vec<String> {
    let mut names: Vec<String> = lines.iter().map(|line| name(&String::from_utf8_lossy(line))).collect();
    names.sort();
    names
}

#[test]
fn download_is_resumed() {
    each_way(Client::Curl, "resume a download after SIGKILL", |case| {
        let bytes = pattern(10 * 1024 * 1024, 7);
        case.place("big", &bytes);
        let local = case.outside("big");
        let local_name = local.to_string_lossy();
        let mut slow = case.curl(Who::Account);
        slow.args(["--limit-rate", "1M", "--output", &local_name, &case.url("big")]);
        let slow = Running::start(&mut slow);
        wait_for("a part of the download", BOUND, || {
            fs::metadata(&local).ok().filter(|metadata| metadata.len() >= 1 << 18)
        });
        slow.kill();
        let part = case.received("big").len();
        assert!(part < bytes.len(), "curl was done before it was killed");
        case.run_curl(["--continue-at", "-", "--output", &local_name, &case.url("big")]).succeeded();
        assert_same_bytes("big", &case.received("big"), &bytes);
    });
}

#[test]
fn upload_is_resumed() {
    each_way(Client::Curl, "resume an upload after SIGKILL", |case| {
        let bytes = pattern(10 * 1024 * 1024, 8);
        let local = case.prepare("big", &bytes);
        let local_name = local.to_string_lossy();
        let mut slow = case.curl(Who::Account);
        slow.args(["--limit-rate", "1M", "--upload-file", &local_name, &case.url("big")]);
        let slow = Running::start(&mut slow);
        case.wait_for_a_part();
        slow.kill();
        case.server.wait_for_line_about(&case.remote("big"));
        let part = case.control().size(&case.remote("big")).expect("SIZE tells what is there");
        assert!(part > 0 && part < bytes.len() as u64, "{part} bytes are there");
        case.run_curl(["--continue-at", "-", "--upload-file", &local_name, &case.url("big")]).succeeded();
        assert_same_bytes("big", &case.stored("big"), &bytes);
        assert_eq!(case.names(""), ["big"], "the part is gone");
    });
}

#[test]
fn upload_is_resumed_after_a_reset() {
    each_way(Client::Curl, "resume an upload after a reset", |case| {
        let bytes = pattern(10 * 1024 * 1024, 8);
        case.leave_a_part("big", &bytes);
        let listed = case.run_curl(["--list-only", &case.url("")]).succeeded();
        assert_eq!(listed.lines().len(), 0, "the part is hidden: {listed}");
        let missing = case.run_curl([case.url("big")]).failed();
        assert_eq!(missing.status.code(), Some(REMOTE_FILE_NOT_FOUND), "{missing}");
        let local = case.prepare("big", &bytes);
        case.run_curl(["--continue-at", "-", "--upload-file", &local.to_string_lossy(), &case.url("big")])
            .succeeded();
        assert_same_bytes("big", &case.stored("big"), &bytes);
        assert_eq!(case.names(""), ["big"], "the part is gone");
    });
}

#[test]
fn range() {
    each_way(Client::Curl, "a range, cut short", |case| {
        let bytes = pattern(10 * 1024 * 1024, 9);
        case.place("big", &bytes);
        for (range, expected) in [
            ("0-99", &bytes[..100]),
            ("5000-9999", &bytes[5000..10_000]),
            ("-100", &bytes[bytes.len() - 100..]),
        ] {
            let finished = case.run_curl(["--range", range, &case.url("big")]).succeeded();
            assert_same_bytes(range, &finished.stdout, expected);
        }
    });
}

#[test]
fn list() {
    each_way(Client::Curl, "LIST, NLST, MLSD", |case| {
        fs::create_dir(case.inside("listed")).expect("a folder");
        let mut expected: Vec<String> = (0..300).map(|number| format!("file-{number}")).collect();
        for (size, name) in expected.iter().enumerate() {
            case.place(format!("listed/{name}"), pattern(size, 1));
        }
        fs::create_dir(case.inside("listed/directory")).expect("a folder");
        expected.push("directory".to_owned());
        expected.sort();

        let url = case.url("listed/");
        let list = case.run_curl([&url]).succeeded();
        assert_eq!(
            names(&list.lines(), |line| line.split_whitespace().nth(8).unwrap_or("?").to_owned()),
            expected
        );
        for line in list.lines().into_iter().map(String::from_utf8_lossy) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(line.starts_with('d'), fields[8] == "directory", "{line}");
            if let Some(size) = fields[8].strip_prefix("file-") {
                assert_eq!(fields[4], size, "{line}");
            }
        }

        let nlst = case.run_curl(["--list-only", &url]).succeeded();
        assert_eq!(names(&nlst.lines(), str::to_owned), expected);

        let mlsd = case.run_curl(["--request", "MLSD", &url]).succeeded();
        let is_itself = |line: &[u8]| {
            String::from_utf8_lossy(line).to_lowercase().contains("type=cdir")
                || String::from_utf8_lossy(line).to_lowercase().contains("type=pdir")
        };
        let lines: Vec<&[u8]> = mlsd.lines().into_iter().filter(|line| !is_itself(line)).collect();
        assert_eq!(
            names(&lines, |line| line.split_once(' ').map_or("?", |(_, name)| name).to_owned()),
            expected
        );

        fs::create_dir(case.inside("empty")).expect("a folder");
        let empty = case.run_curl(["--list-only", &case.url("empty/")]).succeeded();
        assert_eq!(empty.lines().len(), 0, "{empty}");
    });
}

#[test]
fn folders_are_made_on_the_way() {
    each_way(Client::Curl, "folders made on the way", |case| {
        let local = case.prepare("local", "deep");
        let url = case.url("a/b/c/file");
        case.run_curl(["--ftp-create-dirs", "--upload-file", &local.to_string_lossy(), &url]).succeeded();
        assert_eq!(case.stored("a/b/c/file"), b"deep");
    });
}

#[test]
fn odd_names_survive() {
    each_way(Client::Curl, "names that are not UTF-8", |case| {
        let mut expected: Vec<Vec<u8>> =
            odd_names().into_iter().map(|name| name.as_bytes().to_vec()).collect();
        expected.push(b"latin-1 \xE9t\xE9".to_vec());
        expected.push(b"not UTF-8 \x80\xFE\xFF".to_vec());
        expected.sort();
        for name in &expected {
            let name = std::ffi::OsStr::from_bytes(name);
            let content = [b"content of ", name.as_bytes()].concat();
            let local = case.prepare("local", &content);
            case.run_curl(["--upload-file", &local.to_string_lossy(), &case.url(name)]).succeeded();
            assert_same_bytes(&name.to_string_lossy(), &case.stored(name), &content);
            let finished = case.run_curl([case.url(name)]).succeeded();
            assert_same_bytes(&name.to_string_lossy(), &finished.stdout, &content);
        }
        let listed = case.run_curl(["--list-only", &case.url("")]).succeeded();
        let mut listed: Vec<Vec<u8>> = listed.lines().into_iter().map(<[u8]>::to_vec).collect();
        listed.sort();
        assert_eq!(listed, expected);
        for name in odd_names() {
            quote(case, &[&format!("DELE {}", case.remote(name))]);
        }
        assert_eq!(case.names("").len(), 2);
    });
}

#[test]
fn size_and_time() {
    each_way(Client::Curl, "SIZE, MDTM", |case| {
        case.place("dated", pattern(12_345, 3));
        date(&case.inside("dated"));
        let head = case.run_curl(["--head", &case.url("dated")]).succeeded();
        assert!(head.says("Content-Length: 12345"), "{head}");
        assert!(head.says("Last-Modified: Sat, 03 Feb 2001 04:05:06 GMT"), "{head}");
    });
}

#[test]
fn anonymous_may_read_only() {
    each_way(Client::Curl, "anonymous may change nothing", |case| {
        case.place("public", "for all");
        let read = run(case.curl(Who::Anonymous).arg(case.url("public")), BOUND).succeeded();
        assert_eq!(read.stdout, b"for all");

        let local = case.prepare("local", "not wanted");
        let mut write = case.curl(Who::Anonymous);
        write.args(["--verbose", "--upload-file", &local.to_string_lossy(), &case.url("intruder")]);
        let write = run(&mut write, BOUND).failed();
        assert_eq!(write.status.code(), Some(UPLOAD_FAILED), "{write}");
        assert!(write.says("No permission"), "the reply says why: {write}");

        let dele = format!("DELE {}", case.remote("public"));
        let delete =
            run(case.curl(Who::Anonymous).args(["--quote", &dele, "--head", &case.url("")]), BOUND).failed();
        assert_eq!(delete.status.code(), Some(QUOTE_ERROR), "{delete}");
        assert_eq!(case.names(""), ["public"]);
    });
}
