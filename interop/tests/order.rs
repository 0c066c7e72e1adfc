//! What the system is asked to do for one upload, in which order: write, sync, rename, sync of the directory,
//! and only then the 226. strace sees it from outside.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_interop::{Case, Client, Server, Who, is_peer_here, pattern, recorded, run, wait_for};

const BOUND: Duration = Duration::from_secs(60);
const CALLS: &str = "trace=write,writev,pwrite64,pwritev,pwritev2,splice,copy_file_range,sendfile,sendto,sendmsg,\
    fsync,fdatasync,sync_file_range,sync,syncfs,msync,rename,renameat,renameat2,link,linkat,mkdir,mkdirat";

/// One system call that succeeded, with the lines on which it began and ended.
#[derive(Clone, Debug)]
struct Call {
    name: String,
    arguments: String,
    result: i64,
    begins: usize,
    ends: usize,
}

/// Reads what `strace -f -yy` wrote. A call that another thread interrupts stands on two lines.
fn calls(trace: &str) -> Vec<Call> {
    let mut unfinished: HashMap<&str, (usize, String)> = HashMap::new();
    let mut calls = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let Some((thread, text)) = text.split_once(' ') else { continue };
        let text = text.trim_start();
        let (begins, whole) = if let Some(begin) = text.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, (line, begin.to_owned()));
            continue;
        } else if let Some((_, end)) =
            text.strip_prefix("<... ").and_then(|text| text.split_once(" resumed>"))
        {
            let Some((begins, begin)) = unfinished.remove(thread) else { continue };
            (begins, begin + end)
        } else {
            (line, text.to_owned())
        };
        let Some((call, result)) = whole.rsplit_once(" = ") else { continue };
        let Some((name, arguments)) = call.split_once('(') else { continue };
        // `-1 EINTR (...)` is a failure; a number, perhaps with a comment, is not.
        let Some(Ok(result)) = result.split_whitespace().next().map(str::parse) else { continue };
        if result < 0 {
            continue;
        }
        calls.push(Call {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            result,
            begins,
            ends: line,
        });
    }
    calls
}

impl Call {
    /// Whether the first descriptor is this file or directory.
    fn is_on(&self, path: &Path) -> bool {
        let first = self.arguments.split(',').next().unwrap_or_default().trim_end().trim_end_matches(')');
        first.ends_with(&format!("<{}>", path.display()))
    }

    /// Whether a descriptor among the arguments is a file below this folder.
    fn is_below(&self, folder: &Path) -> bool {
        self.arguments.contains(&format!("<{}/", folder.display()))
    }

    fn is_write(&self) -> bool {
        let names = ["write", "writev", "pwrite64", "pwritev", "pwritev2", "splice", "copy_file_range"];
        names.contains(&self.name.as_str()) && self.result > 0
    }

    fn is_sync(&self) -> bool {
        ["fsync", "fdatasync", "sync_file_range", "sync", "syncfs", "msync"].contains(&self.name.as_str())
    }

    fn is_rename_to(&self, name: &str) -> bool {
        let is_rename = ["rename", "renameat", "renameat2", "link", "linkat"].contains(&self.name.as_str());
        let last = self.arguments.rsplit('"').nth(1).unwrap_or_default();
        is_rename && last.rsplit('/').next() == Some(name)
    }

    /// Whether it sends a reply with this code over a TCP connection.
    fn says(&self, code: &str) -> bool {
        let sends = ["write", "writev", "sendto", "sendmsg"].contains(&self.name.as_str());
        sends && self.arguments.contains("<TCP") && self.arguments.contains(&format!("\"{code} "))
    }
}

/// A server under strace, and what it did when it is stopped.
struct Traced {
    server: Server,
    trace: PathBuf,
    _folder: longshore_interop::Folder,
}

impl Traced {
    #[track_caller]
    fn start(durability: &str) -> Traced {
        let folder = longshore_interop::Folder::new("order");
        let trace = folder.path().join("trace");
        // -D makes the server our child and strace a process beside it, so that SIGINT and the exit status are
        // the server's own.
        let trace_name = trace.to_str().expect("folders of tests have plain names");
        // The files of a certificate are synced too, and none of this is about them.
        let no_tls = ["env", "LONGSHORE_TLS_OFFER=false"];
        let strace =
            ["strace", "-D", "-f", "-yy", "-s", "64", "-e", CALLS, "-e", "signal=none", "-o", trace_name];
        let server = Server::start_with(&[&no_tls[..], &strace].concat(), &["--durability", durability]);
        Traced { server, trace, _folder: folder }
    }

    fn stop(self) -> Vec<Call> {
        let process = self.server.process().to_string();
        self.server.stop();
        // strace writes the last line after the server is gone.
        let is_end = |line: &str| line.starts_with(&process) && line.contains("+++ exited with 0 +++");
        let trace = wait_for("the end of the trace", BOUND, || {
            fs::read_to_string(&self.trace).ok().filter(|trace| trace.lines().any(is_end))
        });
        calls(&trace)
    }
}

#[track_caller]
fn position(calls: &[Call], what: &str, is_it: impl Fn(&Call) -> bool) -> usize {
    calls.iter().position(is_it).unwrap_or_else(|| panic!("no {what} in {calls:#?}"))
}

/// `syncs` are the calls expected on the file before the rename, and on the directory after it.
#[track_caller]
fn check(durability: &str, syncs: Option<(&str, &str)>) {
    if is_peer_here("strace") && is_peer_here("curl") {
        let way = format!("durability {durability}");
        recorded("strace", "the order of an upload", &way, || check_order(durability, syncs));
    }
}

#[track_caller]
fn check_order(durability: &str, syncs: Option<(&str, &str)>) {
    let traced = Traced::start(durability);
    let case = Case::new(&traced.server, Client::Curl, Client::Curl.ways()[0]);
    let directory = case.inside("").components().as_path().to_path_buf();
    let local = case.prepare("local", pattern(1460, 1));
    let mut upload = case.curl(Who::Account);
    run(upload.args(["--upload-file", &local.to_string_lossy(), &case.url("target")]), BOUND).succeeded();
    assert_eq!(case.stored("target").len(), 1460);
    let all = traced.stop();

    let rename = position(&all, "rename to the final name", |call| call.is_rename_to("target"));
    let write = all.iter().rposition(|call| call.is_write() && call.is_below(&directory));
    let write = write.unwrap_or_else(|| panic!("no write to a file in {all:#?}"));
    let reply = position(&all, "226", |call| call.says("226"));
    let is_before = |one: usize, other: usize| {
        assert!(
            all[one].ends < all[other].begins,
            "{:?} should have ended before {:?}",
            all[one],
            all[other]
        );
    };
    is_before(write, rename);
    is_before(rename, reply);
    let found: Vec<usize> = (0..all.len()).filter(|&index| all[index].is_sync()).collect();
    match syncs {
        None => assert!(found.is_empty(), "syncs that nobody asked for: {found:?} in {all:#?}"),
        Some((of_file, of_directory)) => {
            let [file, folder] = found[..] else { panic!("two syncs expected: {found:?} in {all:#?}") };
            assert!(all[file].name == of_file && all[file].is_below(&directory), "{:?}", all[file]);
            assert!(all[folder].name == of_directory && all[folder].is_on(&directory), "{:?}", all[folder]);
            is_before(write, file);
            is_before(file, rename);
            is_before(rename, folder);
            is_before(folder, reply);
        }
    }
}

#[test]
fn without_durability_nothing_is_synced() {
    check("none", None);
}

#[test]
fn data_are_synced_before_the_rename_and_the_directory_after_it() {
    check("data", Some(("fdatasync", "fsync")));
}

#[test]
fn full_durability_syncs_the_whole_file() {
    check("full", Some(("fsync", "fsync")));
}

#[test]
fn full_durability_syncs_new_directories() {
    if is_peer_here("strace") && is_peer_here("curl") {
        recorded("strace", "the order of an upload", "durability full, new directory", check_new_directory);
    }
}

fn check_new_directory() {
    let traced = Traced::start("full");
    let case = Case::new(&traced.server, Client::Curl, Client::Curl.ways()[0]);
    let parent = case.inside("").components().as_path().to_path_buf();
    let local = case.prepare("local", "x");
    let mut upload = case.curl(Who::Account);
    upload.args(["--ftp-create-dirs", "--upload-file", &local.to_string_lossy(), &case.url("new/target")]);
    run(&mut upload, BOUND).succeeded();
    let all = traced.stop();
    let made = position(&all, "mkdir", |call| call.name.starts_with("mkdir"));
    let synced = position(&all, "fsync of the directory above", |call| call.is_sync() && call.is_on(&parent));
    let reply = position(&all, "226", |call| call.says("226"));
    assert!(all[made].ends < all[synced].begins && all[synced].ends < all[reply].begins, "{all:#?}");
}

#[test]
fn a_trace_is_read() {
    let trace = "\
10 mkdirat(4</srv>, \"new\", 0777) = 0
10 pwrite64(9</srv/.part>, \"abc\"..., 3, 0 <unfinished ...>
11 write(5<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"226 done\\r\\n\", 10) = 10
10 <... pwrite64 resumed>)  = 3
10 fsync(9</srv/.part>) = 0
10 renameat2(4</srv>, \".part\", 4</srv>, \"target\", 0) = 0
10 fsync(4</srv>) = -1 EIO (Input/output error)
10 +++ exited with 0 +++
";
    let calls = calls(trace);
    let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["mkdirat", "write", "pwrite64", "fsync", "renameat2"]);
    assert!(calls[1].says("226") && !calls[1].says("22"));
    assert!(calls[2].is_write() && calls[2].is_below(Path::new("/srv")));
    assert!((calls[2].begins, calls[2].ends) == (1, 3) && !calls[2].is_on(Path::new("/srv")));
    assert!(calls[3].is_sync() && calls[3].is_on(Path::new("/srv/.part")));
    assert!(calls[4].is_rename_to("target") && !calls[4].is_rename_to("get"));
}
