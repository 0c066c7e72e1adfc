//! The clients: what each needs on this machine, and the ways of connecting that it knows.
//!
//! Not inside: their command lines, which are in `drivers`, and what they are asked to do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::results::shared_folder;
use crate::server::{PASSWORD, USER, WRONG_PASSWORD};
use crate::way::{Family, Mode, Way};

/// A foreign client, or a library under a small program of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The command-line tool of libcurl.
    Curl,
    /// The interactive client that mirrors trees.
    Lftp,
    /// ncftp with ncftpget, ncftpput and ncftpls.
    Ncftp,
    /// The ftp of the BSDs, which macOS had as well.
    Tnftp,
    /// The downloader.
    Wget,
    /// The synchroniser of cloud stores, in Go.
    Rclone,
    /// The module of Python's standard library.
    Ftplib,
    /// The module of Perl's standard library.
    NetFtp,
    /// Apache's library for Java.
    CommonsNet,
    /// The package for Node.
    BasicFtp,
    /// `openssl s_client`, a process for each connection; it is asked under TLS only.
    Openssl,
    /// The suite's own client on the crate rustls; it is asked under TLS only.
    Rustls,
}

/// Who logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The account that may write.
    Account,
    /// Anybody, who may read.
    Anonymous,
    /// The name of the account with another password.
    Impostor,
}

/// Where Debian's package puts the library.
pub(crate) const COMMONS_NET: &str = "/usr/share/java/commons-net.jar";

/// Whether a foreign program can be used. Where the environment demands the peers, it must.
///
/// # Panics
/// When `LONGSHORE_REQUIRE_PEERS` is set and the program is missing.
#[track_caller]
pub fn is_peer_here(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    insist(program, std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// As [`is_peer_here`], of a file that no program starts by itself.
#[track_caller]
fn is_file_here(path: &Path) -> bool {
    insist(&path.display().to_string(), path.is_file())
}

#[track_caller]
fn insist(what: &str, is_here: bool) -> bool {
    let is_required = std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_some_and(|value| value != "0");
    assert!(is_here || !is_required, "{what} is missing; `cargo xtask peers` installs it or says how");
    if !is_here {
        eprintln!("{what} is missing, so this test does nothing; `cargo xtask peers` installs it");
    }
    is_here
}

/// The folder in which `cargo xtask peers` unpacks what npm brings.
pub(crate) fn node_modules() -> PathBuf {
    shared_folder().join("node").join("node_modules")
}

impl Client {
    /// All that are asked in clear, in the order of the table.
    pub const ALL: &[Client] = &[
        Client::Curl,
        Client::Lftp,
        Client::Ncftp,
        Client::Tnftp,
        Client::Wget,
        Client::Rclone,
        Client::Ftplib,
        Client::NetFtp,
        Client::CommonsNet,
        Client::BasicFtp,
    ];

    /// Its name in results and tables.
    pub fn name(self) -> &'static str {
        match self {
            Client::Curl => "curl",
            Client::Lftp => "lftp",
            Client::Ncftp => "ncftp",
            Client::Tnftp => "tnftp",
            Client::Wget => "wget",
            Client::Rclone => "rclone",
            Client::Ftplib => "ftplib",
            Client::NetFtp => "Net::FTP",
            Client::CommonsNet => "commons-net",
            Client::BasicFtp => "basic-ftp",
            Client::Openssl => "openssl s_client",
            Client::Rustls => "rustls",
        }
    }

    /// Whether all that it needs is on this machine. Where the environment demands the peers, it must be.
    ///
    /// # Panics
    /// When `LONGSHORE_REQUIRE_PEERS` is set and something is missing.
    #[track_caller]
    pub fn is_here(self) -> bool {
        let programs: &[&str] = match self {
            Client::Curl => &["curl"],
            Client::Lftp => &["lftp"],
            Client::Ncftp => &["ncftp", "ncftpget", "ncftpput", "ncftpls"],
            Client::Tnftp => &["tnftp"],
            Client::Wget => &["wget"],
            Client::Rclone => &["rclone"],
            Client::Ftplib => &["python3"],
            Client::NetFtp => &["perl"],
            Client::CommonsNet => &["java", "javac"],
            Client::BasicFtp => &["node"],
            Client::Openssl => &["openssl", "python3"],
            Client::Rustls => &[],
        };
        let is_library_here = match self {
            Client::CommonsNet => is_file_here(Path::new(COMMONS_NET)),
            Client::NetFtp => {
                let mut perl = Command::new("perl");
                perl.args(["-MNet::FTP", "-e", "1"]).stdin(Stdio::null()).stderr(Stdio::null());
                insist("Perl's Net::FTP", perl.status().is_ok_and(|status| status.success()))
            }
            Client::BasicFtp => is_file_here(&node_modules().join("basic-ftp").join("package.json")),
            _ => true,
        };
        is_library_here && programs.iter().all(|program| is_peer_here(program))
    }

    /// The ways that it knows in this family.
    pub fn modes(self, family: Family) -> &'static [Mode] {
        match (self, family) {
            (Client::Curl | Client::Tnftp, _) => Mode::of(family),
            (Client::Lftp | Client::CommonsNet, Family::Ipv4) => &[Mode::Pasv, Mode::Epsv, Mode::Port],
            (Client::Ncftp, Family::Ipv6) => &[],
            (Client::Rclone | Client::BasicFtp, Family::Ipv4) => &[Mode::Pasv, Mode::Epsv],
            (Client::Rclone | Client::BasicFtp, Family::Ipv6) => &[Mode::Epsv],
            (Client::Openssl | Client::Rustls, _) => &[Mode::Epsv],
            (Client::Ncftp | Client::Wget | Client::Ftplib | Client::NetFtp, Family::Ipv4) => {
                &[Mode::Pasv, Mode::Port]
            }
            (
                Client::Lftp | Client::Wget | Client::Ftplib | Client::NetFtp | Client::CommonsNet,
                Family::Ipv6,
            ) => &[Mode::Epsv, Mode::Eprt],
        }
    }

    /// Why it is not tried on the ways that a family has and [`Client::modes`] leaves out; empty where none is.
    pub fn left_out(self) -> &'static str {
        match self {
            Client::Curl | Client::Tnftp => "",
            Client::Lftp => "has no EPRT for IPv4",
            Client::Ncftp => "knows neither IPv6 nor the commands that came with it",
            Client::Wget | Client::Ftplib | Client::NetFtp => "has EPSV and EPRT for IPv6 only",
            Client::Rclone => "is passive only",
            Client::CommonsNet => "has EPRT for IPv6 only",
            Client::BasicFtp | Client::Openssl | Client::Rustls => "is passive only",
        }
    }

    /// Every way that it knows, whether this machine has the family or not.
    pub fn all_ways(self) -> Vec<Way> {
        Family::ALL
            .into_iter()
            .flat_map(|family| self.modes(family).iter().map(move |&mode| Way { family, mode }))
            .collect()
    }

    /// Every way that it knows and this machine has.
    pub fn ways(self) -> Vec<Way> {
        let families = Family::here();
        self.all_ways().into_iter().filter(|way| families.contains(&way.family)).collect()
    }

    /// The version that this machine has, in the client's own words; `None` when it does not say.
    pub fn version(self) -> Option<String> {
        let output = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            let output = command.args(arguments).stdin(Stdio::null()).output().ok()?;
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            let mut lines = text.lines().map(|line| line.replace('\t', " "));
            let line = lines.find(|line| line.contains(|character: char| character.is_ascii_digit()))?;
            // What it was built with and by whom is of no interest.
            line.split([',', '(']).next()?.split(" | Copy").next().map(|line| line.trim().to_owned())
        };
        match self {
            Client::Curl => output("curl", &["--version"]),
            Client::Lftp => output("lftp", &["--version"]),
            Client::Ncftp => output("ncftpput", &["-v"]),
            Client::Tnftp => output("dpkg-query", &["--show", "tnftp"]),
            Client::Wget => output("wget", &["--version"]),
            Client::Rclone => output("rclone", &["version"]),
            Client::Ftplib => output("python3", &["--version"]),
            Client::NetFtp => output("perl", &["-MNet::FTP", "-e", "print Net::FTP->VERSION"]),
            Client::CommonsNet => {
                let package = output("dpkg-query", &["--show", "libcommons-net-java"])?;
                Some(format!("{package}, {}", output("java", &["-version"])?))
            }
            Client::BasicFtp => {
                let package = node_modules().join("basic-ftp").join("package.json");
                let text = std::fs::read_to_string(package).ok()?;
                let version = text.split("\"version\": \"").nth(1)?.split('"').next()?;
                Some(format!("{version}, Node {}", output("node", &["--version"])?))
            }
            Client::Openssl => output("openssl", &["version"]),
            Client::Rustls => None,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Who {
    pub(crate) fn user(self) -> &'static str {
        match self {
            Who::Account | Who::Impostor => USER,
            Who::Anonymous => "anonymous",
        }
    }

    pub(crate) fn password(self) -> &'static str {
        match self {
            Who::Account => PASSWORD,
            Who::Anonymous => "someone@example.org",
            Who::Impostor => WRONG_PASSWORD,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_ways_left_out_have_a_reason() {
        // The last variant counts those before it.
        assert_eq!(Client::ALL.len(), Client::BasicFtp as usize + 1);
        for client in Client::ALL {
            let is_whole = Family::ALL.iter().all(|&family| client.modes(family) == Mode::of(family));
            assert_eq!(is_whole, client.left_out().is_empty(), "{client}");
        }
    }
}
