//! What `longshore serve` prints first: how to connect, in lines that can be pasted.

use std::fmt::Write;
use std::net::SocketAddr;

/// Everything worth knowing at the start.
pub(crate) struct Announcement<'a> {
    /// A directory, or the file that says which.
    pub(crate) source: String,
    pub(crate) addresses: &'a [SocketAddr],
    pub(crate) anonymous: bool,
    pub(crate) accounts: Accounts<'a>,
    pub(crate) clear_passwords: bool,
    pub(crate) passive_ports: (u16, u16),
    /// What the operator should think about.
    pub(crate) warnings: Vec<String>,
}

/// Who else may come in.
pub(crate) enum Accounts<'a> {
    /// The one account that may write.
    Writer {
        name: &'a str,
        /// Shown where it was made for this run; one that was given is not.
        password: Option<&'a str>,
    },
    /// One that was named and may not write (--read-only).
    Reader { name: &'a str },
    /// So many, by a configuration file.
    Configured(usize),
    /// Nobody.
    None,
}

impl Announcement<'_> {
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let mut line = |line: std::fmt::Arguments<'_>| {
            let _ = writeln!(text, "{line}");
        };
        line(format_args!("longshore {} serves {}", env!("CARGO_PKG_VERSION"), self.source));
        line(format_args!(""));
        for address in self.addresses {
            line(format_args!("  listening  ftp://{address}/"));
        }
        match (self.anonymous, &self.accounts) {
            (true, Accounts::Configured(_)) => line(format_args!("  anonymous  anybody, with any password")),
            (true, _) => line(format_args!("  read       anybody, as anonymous with any password")),
            (false, _) => line(format_args!("  anonymous  nobody")),
        }
        match &self.accounts {
            Accounts::Writer { name, password: Some(password) } => {
                line(format_args!("  write      {name}, password {password} (for this run only)"));
            }
            Accounts::Writer { name, password: None } => line(format_args!("  write      {name}")),
            Accounts::Reader { name } => {
                line(format_args!("  write      nobody, {name} neither (--read-only)"))
            }
            Accounts::Configured(count) => line(format_args!("  accounts   {count}")),
            Accounts::None => line(format_args!("  write      nobody (--read-only)")),
        }
        let beyond = self.addresses.iter().any(|address| !address.ip().is_loopback());
        if beyond {
            let (first, last) = self.passive_ports;
            line(format_args!("  firewall   let in the port above and {first}-{last} for data"));
        }
        if beyond && self.clear_passwords {
            line(format_args!(
                "  warning    passwords cross the network in clear (clear passwords are allowed)"
            ));
        } else if beyond && self.anonymous && !matches!(self.accounts, Accounts::None) {
            line(format_args!(
                "  note       other machines may log in as anonymous only: clear passwords are refused"
            ));
        } else if beyond && !self.anonymous {
            line(format_args!(
                "  warning    other machines cannot log in at all: clear passwords are refused"
            ));
        }
        for warning in &self.warnings {
            line(format_args!("  warning    {warning}"));
        }
        if let Some(address) = self.addresses.first() {
            let host = reachable(*address);
            line(format_args!(""));
            if self.anonymous {
                line(format_args!("  curl ftp://{host}/"));
            }
            match &self.accounts {
                Accounts::Writer { name, password } => {
                    let password = password.map(|password| format!(",{password}")).unwrap_or_default();
                    line(format_args!("  lftp -u {}{password} ftp://{host}/", shell_word(name)));
                }
                Accounts::Reader { name } => {
                    line(format_args!("  lftp -u {} ftp://{host}/", shell_word(name)))
                }
                Accounts::Configured(_) => line(format_args!("  lftp -u NAME ftp://{host}/")),
                Accounts::None => line(format_args!("  lftp ftp://{host}/")),
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

    fn announcement<'a>(addresses: &'a [SocketAddr], accounts: Accounts<'a>) -> Announcement<'a> {
        Announcement {
            source: "/srv/files".to_owned(),
            addresses,
            anonymous: true,
            accounts,
            clear_passwords: false,
            passive_ports: (30000, 30999),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn at_home() {
        let addresses = ["127.0.0.1:2121".parse().unwrap(), "[::1]:2121".parse().unwrap()];
        check(
            announcement(&addresses, Accounts::Writer { name: "longshore", password: Some("abc-def") }),
            &[
                "listening  ftp://127.0.0.1:2121/",
                "listening  ftp://[::1]:2121/",
                "read       anybody, as anonymous with any password",
                "write      longshore, password abc-def (for this run only)",
                "curl ftp://127.0.0.1:2121/",
                "lftp -u longshore,abc-def ftp://127.0.0.1:2121/",
            ],
        );
    }

    #[test]
    fn in_the_open() {
        let addresses = ["0.0.0.0:21".parse().unwrap()];
        let writer = Accounts::Writer { name: "a b", password: None };
        check(
            Announcement { clear_passwords: true, ..announcement(&addresses, writer) },
            &[
                "write      a b",
                "firewall   let in the port above and 30000-30999 for data",
                "warning    passwords cross the network in clear (clear passwords are allowed)",
                "lftp -u 'a b' ftp://127.0.0.1:21/",
            ],
        );
    }

    #[test]
    fn whom_other_machines_may_log_in_as() {
        let addresses = ["0.0.0.0:21".parse().unwrap()];
        check(
            announcement(&addresses, Accounts::Configured(2)),
            &["note       other machines may log in as anonymous only: clear passwords are refused"],
        );
        check(
            Announcement { anonymous: false, ..announcement(&addresses, Accounts::Configured(2)) },
            &["warning    other machines cannot log in at all: clear passwords are refused"],
        );
    }

    #[test]
    fn by_a_file() {
        let addresses = ["127.0.0.1:2121".parse().unwrap()];
        check(
            Announcement { anonymous: false, ..announcement(&addresses, Accounts::Configured(3)) },
            &["anonymous  nobody", "accounts   3", "lftp -u NAME ftp://127.0.0.1:2121/"],
        );
    }
}
