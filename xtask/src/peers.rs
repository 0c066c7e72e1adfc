//! The foreign programs that the tests talk to, and how a Debian machine gets them.
//!
//! Not inside: how the tests use them, which is in `interop/`.

use std::process::{Command, Stdio};

use crate::Result;
use crate::process::{find_program, run};

/// One program, the Debian package that brings it, and what would go untested without it.
struct Peer {
    program: &'static str,
    package: &'static str,
    needed_for: &'static str,
}

const PEERS: &[Peer] = &[
    Peer { program: "curl", package: "curl", needed_for: "transfers by curl" },
    Peer { program: "lftp", package: "lftp", needed_for: "transfers and mirrors by lftp" },
    Peer { program: "python3", package: "python3", needed_for: "transfers by Python's ftplib" },
    Peer { program: "strace", package: "strace", needed_for: "the order of write, sync, rename and 226" },
    Peer { program: "ss", package: "iproute2", needed_for: "the sockets that a session leaves behind" },
    Peer { program: "diff", package: "diffutils", needed_for: "the comparison of mirrored trees" },
];

/// Whether missing programs may be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Install {
    /// As root, or through a sudo that asks for no password.
    WhereAllowed,
    /// Only say what is missing.
    Never,
}

/// Makes sure that every peer is there.
pub(crate) fn ensure(install: Install) -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        let programs: Vec<&str> = PEERS.iter().map(|peer| peer.program).collect();
        println!("peers: {} are here", programs.join(", "));
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|peer| peer.package).collect();
    if install == Install::Never {
        return Err(complaint(&missing, "--no-install was given").into());
    }
    if find_program("apt-get").is_none() {
        return Err(complaint(&missing, "there is no apt-get here to install them with").into());
    }
    let Some(prefix) = privilege() else {
        return Err(complaint(&missing, "installing needs root, or sudo without a password").into());
    };
    println!("peers: installing {}", packages.join(", "));
    let failure = run(apt(prefix).arg("update"))
        .and_then(|()| run(apt(prefix).args(["install", "--yes", "--no-install-recommends"]).args(&packages)))
        .err();
    let missing = self::missing();
    match failure {
        _ if missing.is_empty() => Ok(()),
        Some(error) => Err(complaint(&missing, &error.to_string()).into()),
        None => Err(complaint(&missing, "apt-get succeeded, yet they are not in PATH").into()),
    }
}

fn missing() -> Vec<&'static Peer> {
    PEERS.iter().filter(|peer| find_program(peer.program).is_none()).collect()
}

/// The words that make the next command run as root; `None` when nothing does.
fn privilege() -> Option<&'static [&'static str]> {
    let succeeds = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
        command.output().ok().filter(|output| output.status.success()).map(|output| output.stdout)
    };
    if succeeds("id", &["-u"]).is_some_and(|user| user.trim_ascii() == b"0") {
        return Some(&[]);
    }
    succeeds("sudo", &["-n", "true"]).map(|_| &["sudo", "-n"][..])
}

/// An `apt-get` that asks nothing. The variable goes through `env`, because sudo would drop it.
fn apt(prefix: &[&str]) -> Command {
    let words: Vec<&str> = prefix
        .iter()
        .copied()
        .chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"])
        .collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    command
}

fn complaint(missing: &[&Peer], why: &str) -> String {
    let mut text = String::from("missing programs:\n");
    for peer in missing {
        let Peer { program, package, needed_for } = peer;
        text += &format!("  {program} (Debian package {package}), needed for {needed_for}\n");
    }
    let packages: Vec<&str> = missing.iter().map(|peer| peer.package).collect();
    text + &format!("not installed: {why}\nby hand: apt-get install {}", packages.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_names_program_package_and_command() {
        let peer = Peer { program: "ss", package: "iproute2", needed_for: "sockets" };
        let text = complaint(&[&peer], "no root");
        for part in
            ["ss (Debian package iproute2)", "needed for sockets", "no root", "apt-get install iproute2"]
        {
            assert!(text.contains(part), "{part:?} is not in {text:?}");
        }
    }
}
