//! Certificates as clients see them: which one is shown, and from when on another one.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use longshore_interop::{Folder, PASSWORD, Running, Server, USER, is_peer_here, pattern, run, wait_for};

const BOUND: Duration = Duration::from_secs(60);

/// A certificate with its key in one file, and the certificate alone.
struct Pair {
    both: PathBuf,
    certificate: PathBuf,
}

impl Pair {
    /// What a server makes for itself, under names of ours.
    fn make(folder: &Folder, name: &str) -> Pair {
        let server = Server::start();
        let line = server.pasted("curl").into_iter().find(|line| line.contains(" --cacert "));
        let line = line.expect("the banner says how to trust the server");
        let shown = line.split(' ').skip_while(|word| *word != "--cacert").nth(1).expect("a file");
        let state = Path::new(shown).parent().expect("it is in a folder");
        let pair = Pair {
            both: folder.path().join(format!("{name}-both.pem")),
            certificate: folder.path().join(format!("{name}.pem")),
        };
        fs::copy(state.join("self-signed.pem"), &pair.both).expect("the server keeps it");
        fs::copy(shown, &pair.certificate).expect("the server shows it");
        server.stop();
        pair
    }

    /// Whether curl, which trusts this one and no other, comes in.
    fn is_served(&self, server: &Server) -> bool {
        run(&mut curl(server, self, &["--list-only"], ""), BOUND).status.success()
    }
}

/// curl that demands TLS and trusts only this certificate.
fn curl(server: &Server, trusted: &Pair, arguments: &[&str], name: &str) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--ssl-reqd", "--noproxy", "*", "--cacert"]);
    let address = server.address(longshore_interop::Family::Ipv4);
    command.arg(&trusted.certificate).args(["--user", &format!("{USER}:{PASSWORD}")]);
    command.args(arguments).arg(format!("ftp://{address}/{name}"));
    command
}

#[test]
fn a_renewed_certificate_is_shown_to_new_clients_and_does_not_touch_those_who_are_there() {
    if !is_peer_here("curl") || !is_peer_here("mkfifo") {
        return;
    }
    let folder = Folder::new("certificates");
    let (first, second) = (Pair::make(&folder, "first"), Pair::make(&folder, "second"));
    let live = folder.path().join("live.pem");
    let put = |bytes: &[u8]| {
        let new = folder.path().join("new.pem");
        fs::write(&new, bytes).expect("a file");
        fs::rename(new, &live).expect("a name");
    };
    let renew = |pair: &Pair| put(&fs::read(&pair.both).expect("it is there"));
    renew(&first);
    let server = Server::start_with(&[], &["--certificate", live.to_str().expect("a plain name")]);
    assert!(first.is_served(&server) && !second.is_served(&server));

    // An upload that has begun, and goes on when all is done.
    let pipe = folder.path().join("pipe");
    run(Command::new("mkfifo").arg(&pipe), BOUND).succeeded();
    let contents = pattern(3 << 20, 1);
    let (begin, rest) = contents.split_at(1 << 20);
    let arguments = ["--upload-file", pipe.to_str().expect("a plain name")];
    let upload = Running::start(&mut curl(&server, &first, &arguments, "long"));
    let mut pipe = File::options().write(true).open(&pipe).expect("curl reads it");
    pipe.write_all(begin).expect("curl reads");

    renew(&second);
    wait_for("the second certificate", BOUND, || second.is_served(&server).then_some(()));
    assert!(!first.is_served(&server));
    put(b"torn");
    let line = server.wait_for_line_about("goes on being used");
    assert!(line.contains("live.pem: no certificate in it"), "{line}");
    assert!(second.is_served(&server));

    pipe.write_all(rest).expect("curl reads");
    drop(pipe);
    upload.finish(BOUND).succeeded();
    assert!(fs::read(server.served().join("long")).expect("it was stored") == contents);
    server.stop();
}
