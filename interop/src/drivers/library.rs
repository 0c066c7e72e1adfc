//! Libraries: a program in `scripts/` for each, which takes the steps as words.
//!
//! Its arguments are host, port, `passive` or `active`, user, password, folder and the command that arranges data
//! connections, then the words of the steps. It ends at the first step that is refused, with the reply on standard
//! error.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::Job;
use crate::case::Case;
use crate::clients::{COMMONS_NET, Client, Who, node_modules};
use crate::results::{profile_folder, shared_folder};
use crate::server::Server;
use crate::steps::Step;
use crate::tls::Security;
use crate::way::Way;

/// What lets a program of Java hand a session on: the cache is opened to it, and what TLS 1.2 binds a session to the first
/// connection with is left out (RFC 7627), for by host and port the others are different servers.
const HANDED_ON: [&str; 3] = [
    "--add-opens=java.base/sun.security.ssl=ALL-UNNAMED",
    "--add-opens=java.base/sun.security.util=ALL-UNNAMED",
    "-Djdk.tls.useExtendedMasterSecret=false",
];

pub(super) fn jobs(case: &Case<'_>, who: Who, steps: &[Step<'_>]) -> Vec<Job> {
    let address = case.address();
    let mut command = match case.client {
        Client::NetFtp => {
            let mut command = Command::new("perl");
            command.arg(scripts().join("net_ftp.pl"));
            command
        }
        Client::CommonsNet => {
            let mut command = Command::new("java");
            let classes = compiled().display().to_string();
            // A program of half a second needs no second compiler.
            command.args(["-XX:TieredStopAtLevel=1", "-Xshare:auto"]);
            if case.security.as_ref().is_some_and(|security| security.resumes) {
                command.args(HANDED_ON);
            }
            command.arg("-cp");
            command.arg(format!("{COMMONS_NET}:{classes}")).arg("CommonsNet");
            command
        }
        Client::Openssl => {
            let mut command = Command::new("python3");
            command.arg("-B").arg(scripts().join("openssl_client.py"));
            command
        }
        Client::Rustls => Command::new(profile_folder().join("rustls-client")),
        Client::BasicFtp => {
            let mut command = Command::new("node");
            command.arg(scripts().join("basic_ftp.js")).env("NODE_PATH", node_modules());
            command
        }
        _ => {
            let mut command = Command::new("python3");
            command.arg("-B").arg(scripts().join("steps.py"));
            command.env("PYTHONIOENCODING", "utf-8:surrogateescape");
            command
        }
    };
    command.arg(address.ip().to_string()).arg(address.port().to_string());
    command.arg(if case.way.mode.is_passive() { "passive" } else { "active" });
    command.args([who.user(), who.password(), &case.remote(""), &case.way.mode.to_string()]);
    command.args(steps.iter().flat_map(|step| step.words()));
    command.envs(case.security.iter().flat_map(Security::environment));
    command.env("LC_ALL", "C.UTF-8").env_remove("ftp_proxy").current_dir(case.outside(""));
    vec![Job::new(command)]
}

/// One of the scripts beside this package; its arguments follow those that say how to connect.
pub(crate) fn ftplib(server: &Server, way: Way, who: Who, script: &str) -> Command {
    let address = server.address(way.family);
    let mut command = Command::new("python3");
    command.arg("-B").arg(scripts().join(script));
    command.arg(address.ip().to_string()).arg(address.port().to_string());
    command.args([if way.mode.is_passive() { "passive" } else { "active" }, who.user(), who.password()]);
    command.env("PYTHONIOENCODING", "utf-8:surrogateescape").env("LC_ALL", "C.UTF-8");
    command
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")
}

/// The folder with the classes of our program for Java, compiled once in each run of the tests: starting from the
/// source takes a second each time.
fn compiled() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = shared_folder().join("java");
        let mut command = Command::new("javac");
        command.args(["-encoding", "UTF-8", "-cp", COMMONS_NET, "-d"]).arg(&folder);
        command.args(["CommonsNet.java", "Resuming.java"].map(|name| scripts().join(name)));
        let status = command.status().expect("javac is here and starts");
        assert!(status.success(), "javac ended with {status}");
        folder
    })
}
