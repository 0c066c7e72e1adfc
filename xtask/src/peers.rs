//! The foreign programs and libraries that the tests talk to, and how a Debian machine gets them.
//!
//! Not inside: how the tests use them, which is in `interop/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::process::{find_program, run};

/// One program or library, the Debian package that brings it, and what would go untested without it.
struct Peer {
    sign: Sign,
    package: &'static str,
    needed_for: &'static str,
}

/// How it is seen that a peer is here.
enum Sign {
    /// A program of this name is in `PATH`.
    Program(&'static str),
    /// This file is there.
    File(&'static str),
    /// Perl finds this module.
    PerlModule(&'static str),
}

const fn program(name: &'static str, package: &'static str, needed_for: &'static str) -> Peer {
    Peer { sign: Sign::Program(name), package, needed_for }
}

const PEERS: &[Peer] = &[
    program("curl", "curl", "transfers by curl"),
    program("lftp", "lftp", "transfers and mirrors by lftp"),
    program("ncftp", "ncftp", "transfers by ncftp"),
    program("tnftp", "tnftp", "transfers by tnftp"),
    program("wget", "wget", "transfers by wget"),
    program("rclone", "rclone", "transfers and mirrors by rclone"),
    program("python3", "python3", "transfers by Python's ftplib"),
    Peer { sign: Sign::PerlModule("Net::FTP"), package: "perl", needed_for: "transfers by Perl's Net::FTP" },
    program("java", "default-jdk-headless", "transfers by commons-net"),
    program("javac", "default-jdk-headless", "transfers by commons-net"),
    Peer {
        sign: Sign::File("/usr/share/java/commons-net.jar"),
        package: "libcommons-net-java",
        needed_for: "transfers by commons-net",
    },
    program("node", "nodejs", "transfers by basic-ftp"),
    program("npm", "npm", "the installation of basic-ftp"),
    program("openssl", "openssl", "certificates of test servers, transfers by s_client"),
    program("strace", "strace", "the order of write, sync, rename and 226; system calls"),
    program("ss", "iproute2", "the sockets that a session leaves behind"),
    program("nft", "nftables", "the example behind NAT"),
    program("diff", "diffutils", "the comparison of mirrored trees"),
];

/// What pins the packages of npm, by version and hash.
const NODE_LOCK: &str = "interop/scripts/node";
/// Where they are unpacked, and where the tests look for them.
const NODE_FOLDER: &str = "target/interop/node";
/// The file whose text says that what is unpacked is what is pinned.
const NODE_LOCK_FILE: &str = "package-lock.json";

/// Whether missing programs may be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Install {
    /// As root, or through a sudo that asks for no password.
    WhereAllowed,
    /// Only say what is missing.
    Never,
}

/// Makes sure that every peer is there.
pub(crate) fn ensure(root: &Path, install: Install) -> Result<()> {
    ensure_packages(install)?;
    ensure_node_packages(root, install)?;
    let peers: Vec<String> = PEERS.iter().map(Peer::name).collect();
    println!("peers: {} and basic-ftp are here", peers.join(", "));
    Ok(())
}

/// What Debian's packages bring.
fn ensure_packages(install: Install) -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    if install == Install::Never {
        return Err(complaint(&missing, "--no-install was given").into());
    }
    if find_program("apt-get").is_none() {
        return Err(complaint(&missing, "there is no apt-get here to install them with").into());
    }
    let Some(prefix) = privilege() else {
        return Err(complaint(&missing, "installing needs root, or sudo without a password").into());
    };
    let packages = packages(&missing);
    println!("peers: installing {}", packages.join(", "));
    let failure = run(apt(prefix).arg("update"))
        .and_then(|()| run(apt(prefix).args(["install", "--yes", "--no-install-recommends"]).args(&packages)))
        .err();
    let missing = self::missing();
    match failure {
        _ if missing.is_empty() => Ok(()),
        Some(error) => Err(complaint(&missing, &error.to_string()).into()),
        None => Err(complaint(&missing, "apt-get succeeded, yet they are not here").into()),
    }
}

/// What npm brings: nothing but what the lock file pins, and none of its scripts is run.
fn ensure_node_packages(root: &Path, install: Install) -> Result<()> {
    let (from, to) = (root.join(NODE_LOCK), root.join(NODE_FOLDER));
    let pinned = fs::read(from.join(NODE_LOCK_FILE))?;
    let mark = to.join("installed-lock.json");
    if fs::read(&mark).is_ok_and(|installed| installed == pinned) {
        return Ok(());
    }
    if install == Install::Never {
        let why = "basic-ftp is missing, needed for transfers by basic-ftp, and --no-install was given";
        return Err(format!("{why}\nby hand: cargo xtask peers").into());
    }
    println!("peers: installing basic-ftp below {NODE_FOLDER}");
    fs::create_dir_all(&to)?;
    for name in ["package.json", NODE_LOCK_FILE] {
        fs::copy(from.join(name), to.join(name))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    run(npm.current_dir(&to).stdin(Stdio::null()))?;
    // Written last: what was cut short is done again.
    Ok(fs::write(mark, pinned)?)
}

impl Peer {
    fn name(&self) -> String {
        match self.sign {
            Sign::Program(name) | Sign::PerlModule(name) => name.to_owned(),
            Sign::File(path) => {
                PathBuf::from(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
        }
    }

    fn is_here(&self) -> bool {
        match self.sign {
            Sign::Program(name) => find_program(name).is_some(),
            Sign::File(path) => Path::new(path).is_file(),
            Sign::PerlModule(name) => {
                let mut perl = Command::new("perl");
                perl.args([&format!("-M{name}"), "-e", "1"]).stdin(Stdio::null()).stderr(Stdio::null());
                perl.status().is_ok_and(|status| status.success())
            }
        }
    }
}

fn missing() -> Vec<&'static Peer> {
    PEERS.iter().filter(|peer| !peer.is_here()).collect()
}

/// The packages that bring these, each once.
fn packages(missing: &[&Peer]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = missing.iter().map(|peer| peer.package).collect();
    packages.dedup();
    packages
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
    let mut text = String::from("missing:\n");
    for peer in missing {
        let Peer { package, needed_for, .. } = peer;
        text += &format!("  {} (Debian package {package}), needed for {needed_for}\n", peer.name());
    }
    text + &format!("not installed: {why}\nby hand: apt-get install {}", packages(missing).join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_names_program_package_and_command() {
        let ss = program("ss", "iproute2", "sockets");
        let jar = Peer { sign: Sign::File("/usr/share/java/x.jar"), package: "libx-java", needed_for: "x" };
        let text = complaint(&[&ss, &jar], "no root");
        for part in [
            "ss (Debian package iproute2), needed for sockets",
            "x.jar (Debian package libx-java)",
            "no root",
            "apt-get install iproute2 libx-java",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text:?}");
        }
    }

    #[test]
    fn a_package_that_brings_two_programs_is_named_once() {
        let (java, javac) = (program("java", "jdk", "x"), program("javac", "jdk", "x"));
        assert_eq!(packages(&[&java, &javac]), ["jdk"]);
    }

    #[test]
    fn what_npm_brings_is_pinned_by_version_and_hash() {
        let lock = include_str!("../../interop/scripts/node/package-lock.json");
        assert_eq!(lock.matches("\"integrity\": \"sha512-").count(), 1);
        assert!(lock.contains("\"version\": \"6.2.3\""));
        assert!(include_str!("../../interop/scripts/node/package.json").contains("\"basic-ftp\": \"6.2.3\""));
    }
}
