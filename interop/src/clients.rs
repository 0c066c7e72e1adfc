//! The clients and how they connect: command lines for curl, lftp and Python's ftplib.
//!
//! Not inside: what they are asked to do; that is in `tests/`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Command;

use crate::server::{PASSWORD, Server, USER};

/// A foreign program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The command-line tool of libcurl.
    Curl,
    /// The interactive client that mirrors trees.
    Lftp,
    /// The module of Python's standard library.
    Ftplib,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 127.0.0.1.
    Ipv4,
    /// ::1.
    Ipv6,
}

/// The command that arranges data connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// RFC 959, the client connects.
    Pasv,
    /// RFC 2428, the client connects.
    Epsv,
    /// RFC 959, the server connects.
    Port,
    /// RFC 2428, the server connects.
    Eprt,
}

/// One way for a client to reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The family of both connections.
    pub family: Family,
    /// How data connections are arranged.
    pub mode: Mode,
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

/// Whether a foreign program can be used. Where the environment demands the peers, it must.
///
/// # Panics
/// When `LONGSHORE_REQUIRE_PEERS` is set and the program is missing.
#[track_caller]
pub fn is_peer_here(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_here = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let is_required = std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_some_and(|value| value != "0");
    assert!(is_here || !is_required, "{program} is missing; `cargo xtask peers` installs it or says how");
    if !is_here {
        eprintln!("{program} is missing, so this test does nothing; `cargo xtask peers` installs it");
    }
    is_here
}

impl Family {
    /// Those that this machine's loopback has.
    pub fn here() -> Vec<Family> {
        let ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        if ipv6 { vec![Family::Ipv4, Family::Ipv6] } else { vec![Family::Ipv4] }
    }

    pub(crate) fn listen_argument(self) -> &'static str {
        match self {
            Family::Ipv4 => "127.0.0.1:0",
            Family::Ipv6 => "[::1]:0",
        }
    }

    pub(crate) fn holds(self, address: &SocketAddr) -> bool {
        match self {
            Family::Ipv4 => address.ip() == Ipv4Addr::LOCALHOST,
            Family::Ipv6 => address.ip() == Ipv6Addr::LOCALHOST,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Ipv4 => "IPv4",
            Family::Ipv6 => "IPv6",
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Pasv => "PASV",
            Mode::Epsv => "EPSV",
            Mode::Port => "PORT",
            Mode::Eprt => "EPRT",
        })
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.mode)
    }
}

impl Mode {
    fn is_passive(self) -> bool {
        matches!(self, Mode::Pasv | Mode::Epsv)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Client::Curl => "curl",
            Client::Lftp => "lftp",
            Client::Ftplib => "ftplib",
        })
    }
}

impl Client {
    /// The program that must be installed.
    pub fn program(self) -> &'static str {
        match self {
            Client::Curl => "curl",
            Client::Lftp => "lftp",
            Client::Ftplib => "python3",
        }
    }

    /// Every way that the client knows and this machine has.
    pub fn ways(self) -> Vec<Way> {
        let (v4, v6): (&[Mode], &[Mode]) = match self {
            Client::Curl => (&[Mode::Pasv, Mode::Epsv, Mode::Port, Mode::Eprt], &[Mode::Epsv, Mode::Eprt]),
            // lftp 4.9 names the address :: in EPRT, and means the one that it connects from.
            Client::Lftp => (&[Mode::Pasv, Mode::Epsv, Mode::Port], &[Mode::Epsv, Mode::Eprt]),
            Client::Ftplib => (&[Mode::Pasv, Mode::Port], &[Mode::Epsv, Mode::Eprt]),
        };
        let modes = |family| if family == Family::Ipv4 { v4 } else { v6 };
        Family::here()
            .into_iter()
            .flat_map(|family| modes(family).iter().map(move |&mode| Way { family, mode }))
            .collect()
    }
}

impl Who {
    fn user(self) -> &'static str {
        match self {
            Who::Account | Who::Impostor => USER,
            Who::Anonymous => "anonymous",
        }
    }

    fn password(self) -> &'static str {
        match self {
            Who::Account => PASSWORD,
            Who::Anonymous => "someone@example.org",
            Who::Impostor => "not-the-password",
        }
    }
}

/// A URL of a path of bytes; a trailing slash makes it a directory.
pub(crate) fn url(address: SocketAddr, path: &[u8]) -> String {
    let mut url = format!("ftp://{address}");
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            url.push(byte.into());
        } else {
            url += &format!("%{byte:02X}");
        }
    }
    url
}

/// curl without its configuration file, quiet but for errors.
pub(crate) fn curl(way: Way, who: Who) -> Command {
    let mut command = Command::new("curl");
    command.args(["-q", "--silent", "--show-error", "--noproxy", "*", "--connect-timeout", "20"]);
    command.arg("--user").arg(format!("{}:{}", who.user(), who.password()));
    match way.mode {
        Mode::Epsv => {}
        Mode::Pasv => drop(command.arg("--disable-epsv")),
        Mode::Eprt => drop(command.args(["--ftp-port", "-"])),
        Mode::Port => drop(command.args(["--ftp-port", "-", "--disable-eprt"])),
    }
    command
}

/// lftp without its configuration files; `script` runs logged in, and the first command that fails ends it.
pub(crate) fn lftp(server: &Server, way: Way, who: Who, script: &OsStr) -> Command {
    let on = |condition: bool| if condition { "yes" } else { "no" };
    let address = server.address(way.family);
    let (user, password) = (who.user(), who.password());
    let mut text = OsString::from(format!(
        "set cmd:fail-exit yes\nset net:max-retries 1\nset net:timeout 20\nset net:reconnect-interval-base 1\n\
         set ftp:ssl-allow no\nset ftp:auto-passive-mode no\nset xfer:log no\nset xfer:clobber yes\n\
         set cmd:interactive no\nset ftp:passive-mode {}\nset ftp:prefer-epsv {}\n\
         open -u {user},{password} ftp://{address}\n",
        on(way.mode.is_passive()),
        on(way.mode == Mode::Epsv),
    ));
    text.push(script);
    let mut command = Command::new("lftp");
    command.args(["--norc", "-c"]).arg(text);
    command.env("HOME", server.clients()).env("LFTP_HOME", server.clients()).env("LC_ALL", "C.UTF-8");
    command.env_remove("ftp_proxy").current_dir(server.clients());
    command
}

/// A name as lftp's command line takes it: within double quotes a backslash frees quote and backslash.
pub(crate) fn lftp_quoted(name: &[u8]) -> OsString {
    let mut quoted = vec![b'"'];
    for &byte in name {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}

/// One of the scripts beside this package; its arguments follow those that say how to connect.
pub(crate) fn ftplib(server: &Server, way: Way, who: Who, script: &str) -> Command {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let address = server.address(way.family);
    let mut command = Command::new("python3");
    command.arg("-B").arg(scripts.join(script));
    command.arg(address.ip().to_string()).arg(address.port().to_string());
    command.args([if way.mode.is_passive() { "passive" } else { "active" }, who.user(), who.password()]);
    command.env("PYTHONIOENCODING", "utf-8:surrogateescape").env("LC_ALL", "C.UTF-8");
    command
}

/// The bytes of a path's last component.
pub(crate) fn name_bytes(name: &(impl AsRef<OsStr> + ?Sized)) -> &[u8] {
    name.as_ref().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_quotes() {
        let address = "[::1]:2121".parse().expect("an address");
        assert_eq!(url(address, b"/a b/#\xE9%"), "ftp://[::1]:2121/a%20b/%23%E9%25");
        assert_eq!(lftp_quoted(b"a\"b\\c d"), OsString::from("\"a\\\"b\\\\c d\""));
    }
}
