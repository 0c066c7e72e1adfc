//! What `longshore serve` prints first: how to connect, in lines that can be pasted.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

/// Everything worth knowing at the start.
pub(crate) struct Announcement<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) addresses: &'a [SocketAddr],
    pub(crate) writer: Option<Writer<'a>>,
    pub(crate) clear_passwords: bool,
    pub(crate) passive_ports: (u16, u16),
}

/// The account that may write.
pub(crate) struct Writer<'a> {
    pub(crate) name: &'a str,
    /// Shown where it was made for this run; one that was given is not.
    pub(crate) password: Option<&'a str>,
}

impl Announcement<'_> {
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: std::fmt::Arguments<'_>| {
            let _ = writeln!(text, "{line}");
        };
        line(format_args!(
            "longshore {} serves {}",
            env!("CARGO_PKG_VERSION"),
            longshore_path::display(self.directory.as_os_str().as_encoded_bytes())
        ));
        line(format_args!(""));
        for address in self.addresses {
            line(format_args!("  listening  ftp://{address}/"));
        }
        line(format_args!("  read       anybody, as anonymous with any password"));
        match &self.writer {
            Some(Writer { name, password: Some(password) }) => {
                line(format_args!("  write      {name}, password {password} (for this run only)"));
            }
            Some(Writer { name, password: None }) => line(format_args!("  write      {name}")),
            None => line(format_args!("  write      nobody (--read-only)")),
        }
        let beyond = self.addresses.iter().any(|address| !address.ip().is_loopback());
        if beyond {
            let (first, last) = self.passive_ports;
            line(format_args!("  firewall   let in the port above and {first}-{last} for data"));
        }
        if beyond && self.clear_passwords {
            line(format_args!("  warning    passwords cross the network in clear (--allow-clear-passwords)"));
        } else if beyond && self.writer.is_some() {
            line(format_args!(
                "  note       other machines may log in as anonymous only, see --allow-clear-passwords"
            ));
        }
        if let Some(address) = self.addresses.first() {
            let host = reachable(*address);
            line(format_args!(""));
            line(format_args!("  curl ftp://{host}/"));
            match &self.writer {
                Some(Writer { name, password }) => {
                    let password = password.map(|password| format!(",{password}")).unwrap_or_default();
                    line(format_args!("  lftp -u {}{password} ftp://{host}/", shell_word(name)));
                }
                None => line(format_args!("  lftp ftp://{host}/")),
            }
        }
        text
    }
}

/// An address to connect to: a server on all addresses is tried on this machine first.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (std::net::Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

fn shell_word(word: &str) -> String {
    let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(announcement: Announcement<'_>, expected: &[&str]) {
        let text = announcement.text();
        for line in expected {
            assert!(text.lines().any(|found| found.trim() == *line), "{line:?} is not in:\n{text}");
        }
        assert!(text.ends_with('\n'), "written as a line, the announcement ends with an empty one");
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    }

    #[test]
    fn at_home() {
        let addresses = ["127.0.0.1:2121".parse().unwrap(), "[::1]:2121".parse().unwrap()];
        check(
            Announcement {
                directory: Path::new("/srv/files"),
                addresses: &addresses,
                writer: Some(Writer { name: "longshore", password: Some("abc-def") }),
                clear_passwords: false,
                passive_ports: (30000, 30999),
            },
            &[
                "listening  ftp://127.0.0.1:2121/",
                "listening  ftp://[::1]:2121/",
                "write      longshore, password abc-def (for this run only)",
                "curl ftp://127.0.0.1:2121/",
                "lftp -u longshore,abc-def ftp://127.0.0.1:2121/",
            ],
        );
    }

    #[test]
    fn in_the_open() {
        let addresses = ["0.0.0.0:21".parse().unwrap()];
        check(
            Announcement {
                directory: Path::new("/srv/files"),
                addresses: &addresses,
                writer: Some(Writer { name: "a b", password: None }),
                clear_passwords: true,
                passive_ports: (30000, 30999),
            },
            &[
                "write      a b",
                "firewall   let in the port above and 30000-30999 for data",
                "warning    passwords cross the network in clear (--allow-clear-passwords)",
                "lftp -u 'a b' ftp://127.0.0.1:21/",
            ],
        );
    }
}
