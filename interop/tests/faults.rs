//! Files that the kernel cannot copy, disks that fail, disks that are slow: strace makes system calls of the server
//! fail or wait. No speed is measured: what is shown is who is answered before whom.

use std::time::Duration;

use longshore_interop::{Case, Client, Running, Server, Who, is_peer_here, pattern, recorded, run};

const BOUND: Duration = Duration::from_secs(60);
/// Some eighty pieces of what is copied at once.
const LARGE_BYTES: usize = 40 << 20;

/// A server some of whose system calls fail or wait as strace is told.
#[track_caller]
fn with_faults(operation: &str, inject: &[&str], test: impl FnOnce(&Server, &Case<'_>)) {
    if !(is_peer_here("strace") && is_peer_here("curl")) {
        return;
    }
    recorded("strace", operation, "curl IPv4", || {
        let mut launcher =
            vec!["strace", "-D", "-f", "-o", "/dev/null", "-e", "trace=sendfile,preadv2,pread64"];
        launcher.extend(inject.iter().flat_map(|fault| ["-e", fault]));
        let server = Server::start_with(&launcher, &[]);
        test(&server, &Case::new(&server, Client::Curl, Client::Curl.ways()[0]));
        server.stop();
    });
}

#[test]
fn a_file_that_the_kernel_cannot_copy_is_sent_all_the_same() {
    for fault in ["inject=sendfile:error=EINVAL", "inject=sendfile:error=EIO:when=3+"] {
        with_faults("sendfile fails", &[fault], |_, case| {
            let contents = pattern(LARGE_BYTES, 1);
            case.place("file", &contents);
            let to = case.prepare("file", "");
            let mut download = case.curl(Who::Account);
            run(download.arg("--output").arg(&to).arg(case.url("file")), BOUND).succeeded();
            assert!(std::fs::read(to).expect("it was fetched") == contents);
        });
    }
}

#[test]
fn a_disk_that_fails_is_our_fault_and_said_so() {
    // The first reads are those of the program loader; what is not in memory is read by pread64, or by the kernel's copy.
    let faults = [
        "inject=preadv2:error=EAGAIN",
        "inject=sendfile:error=EIO:when=3+",
        "inject=pread64:error=EIO:when=12+",
    ];
    with_faults("the disk fails", &faults, |server, case| {
        case.place("file", pattern(LARGE_BYTES, 1));
        let mut download = case.curl(Who::Account);
        run(download.args(["--output", "/dev/null", &case.url("file")]), BOUND).failed();
        // curl has its connection reset before it reads the answer, so that it takes no part for the whole.
        let line = server.wait_for_line_about("/file");
        assert!(line.contains("transfer.read-failed (451)"), "{line}");
    });
}

#[test]
fn a_slow_disk_holds_up_only_those_who_read_from_it() {
    let faults = ["inject=preadv2:error=EAGAIN", "inject=pread64:delay_enter=200000"];
    with_faults("the disk is slow", &faults, |_, case| {
        case.place("file", pattern(LARGE_BYTES, 1));
        let url = case.url("file");
        // More than there are threads for sessions.
        let mut downloads: Vec<Running> = (0..4)
            .map(|_| Running::start(case.curl(Who::Account).args(["--output", "/dev/null", &url])))
            .collect();
        let mut other = case.control();
        for _ in 0..400 {
            assert_eq!(other.say("NOOP").code, 200);
        }
        assert!(
            downloads.iter_mut().all(Running::is_running),
            "400 answers took longer than the slow downloads"
        );
        for download in downloads {
            download.kill();
        }
    });
}
