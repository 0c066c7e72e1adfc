//! What `longshore serve` prints first: how to connect, in lines that can be pasted.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use longshore_accounts::TlsNeed;
use longshore_server::ListenerTls;

use crate::config::Listener;

/// Everything worth knowing at the start.
pub(crate) struct Announcement<'a> {
    /// A directory, or the file that says which.
    pub(crate) source: String,
    pub(crate) endpoints: &'a [Listener],
    pub(crate) anonymous: bool,
    pub(crate) accounts: Accounts<'a>,
    pub(crate) clear_passwords: bool,
    /// Where TLS is offered: the certificate that most clients will see.
    pub(crate) certificate: Option<&'a Certificate>,
    pub(crate) passive_ports: (u16, u16),
    /// What the operator should think about.
    pub(crate) warnings: Vec<String>,
}

/// What is to be known of a certificate.
pub(crate) struct Certificate {
    /// By SHA-256.
    pub(crate) fingerprint: String,
    /// Whether the server made it itself.
    pub(crate) own: bool,
    /// Where clients find one that nobody vouches for.
    pub(crate) copy: Option<PathBuf>,
    /// A name that one that was configured is for.
    pub(crate) host: Option<String>,
    /// What must be protected, where a listener says nothing else.
    pub(crate) need: TlsNeed,
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
        for endpoint in self.endpoints {
            line(format_args!("  listening  {}://{}/", scheme(endpoint), endpoint.address));
        }
        if let Some(certificate) = self.certificate {
            let required =
                self.endpoints.iter().all(|endpoint| endpoint.need(certificate.need) > TlsNeed::Nothing);
            let offered = if required { "required" } else { "offered" };
            let whose = match (certificate.own, &certificate.copy) {
                (false, _) => "a certificate".to_owned(),
                (true, None) => "a self-signed certificate".to_owned(),
                (true, Some(copy)) => format!("the self-signed {}", copy.display()),
            };
            line(format_args!("  tls        {offered}, with {whose}; its SHA-256 is"));
            line(format_args!("  {}", certificate.fingerprint));
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
        let beyond = self.endpoints.iter().any(|endpoint| !endpoint.address.ip().is_loopback());
        if beyond {
            let (first, last) = self.passive_ports;
            line(format_args!("  firewall   let in the port above and {first}-{last} for data"));
        }
        if let Some(remark) = self.about_passwords().filter(|_| beyond) {
            line(format_args!("  {remark}"));
        }
        for warning in &self.warnings {
            line(format_args!("  warning    {warning}"));
        }
        line(format_args!(""));
        for command in self.commands() {
            line(format_args!("  {command}"));
        }
        text
    }
}

impl Announcement<'_> {
    /// How other machines log in.
    fn about_passwords(&self) -> Option<&'static str> {
        let need = self.certificate.map(|certificate| certificate.need);
        let hears = |endpoint: &Listener| endpoint.hears_clear_passwords(need.unwrap_or_default());
        Some(match need {
            // Protected before anybody could say a password.
            Some(_) if !self.endpoints.iter().any(hears) => return None,
            _ if self.clear_passwords => {
                "warning    passwords cross the network in clear (clear passwords are allowed)"
            }
            Some(_) => "note       other machines need TLS to log in with a password",
            None if !self.anonymous => {
                "warning    other machines cannot log in at all: clear passwords are refused"
            }
            None if matches!(self.accounts, Accounts::None) => return None,
            None => "note       other machines may log in as anonymous only: clear passwords are refused",
        })
    }

    /// What can be pasted into a shell of this machine.
    fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        let protected = self.certificate.and_then(|certificate| {
            let endpoint = self.endpoints.iter().find(|endpoint| endpoint.options.tls != ListenerTls::Off)?;
            Some(Protected::new(certificate, endpoint))
        });
        let clear = self.endpoints.iter().find(|endpoint| {
            let need = self.certificate.map(|certificate| certificate.need).unwrap_or_default();
            endpoint.options.tls != ListenerTls::Implicit && endpoint.need(need) == TlsNeed::Nothing
        });
        let clear = clear.map(|endpoint| format!("ftp://{}/", reachable(endpoint.address)));
        if self.anonymous {
            commands.extend(protected.as_ref().map(Protected::curl));
            commands.extend(clear.as_ref().map(|url| format!("curl {url}")));
        }
        let user = match &self.accounts {
            Accounts::Writer { name, password } => {
                let password = password.map(|password| format!(",{password}")).unwrap_or_default();
                Some(format!("{name}{password}"))
            }
            Accounts::Reader { name } => Some((*name).to_owned()),
            Accounts::Configured(_) => Some("NAME".to_owned()),
            Accounts::None => None,
        };
        let user = user.as_deref();
        let plain = |url: &str| {
            let user = user.map(|user| format!("-u {} ", shell_word(user))).unwrap_or_default();
            format!("lftp {user}{url}")
        };
        commands.extend(match protected {
            Some(protected) => match protected.lftp_trust() {
                Some(trust) => {
                    let user = user.map(|user| format!("-u {} ", lftp_word(user))).unwrap_or_default();
                    // What -e says comes after an address of the command line was opened.
                    let commands = format!("{trust}; open {user}{}", protected.url);
                    Some(format!("lftp -e {}", shell_word(&commands)))
                }
                None => Some(plain(&protected.url)),
            },
            None => clear.as_deref().map(plain),
        });
        commands
    }
}

/// Where TLS is spoken, and how clients know that it is us.
struct Protected<'a> {
    url: String,
    implicit: bool,
    trust: Trust<'a>,
}

enum Trust<'a> {
    /// As far as their machine trusts whoever vouches for it.
    Known,
    /// By this file.
    By(&'a Path),
    /// Not at all: it is for no name that leads here.
    Blind,
}

impl<'a> Protected<'a> {
    fn new(certificate: &'a Certificate, endpoint: &Listener) -> Protected<'a> {
        let address = reachable(endpoint.address);
        // Our own has always these names; an address of another kind may have been added since it was made.
        let home = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        let (host, trust) = match (&certificate.copy, &certificate.host) {
            (Some(copy), _) if home.contains(&address.ip()) => (address.to_string(), Trust::By(copy)),
            (_, Some(host)) if !certificate.own => (format!("{host}:{}", address.port()), Trust::Known),
            _ => (address.to_string(), Trust::Blind),
        };
        let implicit = endpoint.options.tls == ListenerTls::Implicit;
        Protected { url: format!("{}://{host}/", scheme(endpoint)), implicit, trust }
    }

    fn curl(&self) -> String {
        let trust = match self.trust {
            Trust::Known => String::new(),
            Trust::By(file) => format!("--cacert {} ", shell_word(&file.to_string_lossy())),
            Trust::Blind => "-k ".to_owned(),
        };
        let required = if self.implicit { "" } else { "--ssl-reqd " };
        format!("curl {required}{trust}{}", self.url)
    }

    /// What lftp has to be told before it opens anything.
    fn lftp_trust(&self) -> Option<String> {
        match self.trust {
            Trust::Known => None,
            Trust::By(file) => Some(format!("set ssl:ca-file {}", lftp_word(&file.to_string_lossy()))),
            Trust::Blind => Some("set ssl:verify-certificate no".to_owned()),
        }
    }
}

fn scheme(endpoint: &Listener) -> &'static str {
    if endpoint.options.tls == ListenerTls::Implicit { "ftps" } else { "ftp" }
}

/// An address to connect to: a server on all addresses is tried on this machine first.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (std::net::Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

fn is_plain(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@/,".contains(&byte))
}

fn shell_word(word: &str) -> String {
    if is_plain(word) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// As lftp(1) reads words: a backslash keeps the letter behind it.
fn lftp_word(word: &str) -> String {
    if is_plain(word) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', r"\\").replace('"', r#"\""#))
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
        let commands = ["  curl ", "  lftp "];
        let mut prose = text.lines().filter(|line| !commands.iter().any(|command| line.starts_with(command)));
        assert!(prose.all(|line| line.len() <= 100), "{text}");
    }

    fn announcement<'a>(endpoints: &'a [Listener], accounts: Accounts<'a>) -> Announcement<'a> {
        Announcement {
            source: "/srv/files".to_owned(),
            endpoints,
            anonymous: true,
            accounts,
            clear_passwords: false,
            certificate: None,
            passive_ports: (30000, 30999),
            warnings: Vec::new(),
        }
    }

    fn at(address: &str) -> Listener {
        Listener::new(address.parse().expect("an address"), ListenerTls::Explicit)
    }

    #[test]
    fn at_home() {
        let addresses = [at("127.0.0.1:2121"), at("[::1]:2121")];
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
        let addresses = [at("0.0.0.0:21")];
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
        let addresses = [at("0.0.0.0:21")];
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
        let addresses = [at("127.0.0.1:2121")];
        check(
            Announcement { anonymous: false, ..announcement(&addresses, Accounts::Configured(3)) },
            &["anonymous  nobody", "accounts   3", "lftp -u NAME ftp://127.0.0.1:2121/"],
        );
    }

    fn implicit(address: &str) -> Listener {
        Listener::new(address.parse().expect("an address"), ListenerTls::Implicit)
    }

    #[test]
    fn with_tls() {
        let writer = || Accounts::Writer { name: "a", password: None };
        let own = Certificate {
            fingerprint: ["AB"; 32].join(":"),
            own: true,
            copy: Some("/var/lib/longshore/certificate.pem".into()),
            host: Some("host".to_owned()),
            need: TlsNeed::Nothing,
        };
        let addresses = [at("0.0.0.0:21"), implicit("0.0.0.0:990")];
        check(
            Announcement { certificate: Some(&own), ..announcement(&addresses, writer()) },
            &[
                "listening  ftp://0.0.0.0:21/",
                "listening  ftps://0.0.0.0:990/",
                "tls        offered, with the self-signed /var/lib/longshore/certificate.pem; its SHA-256 is",
                &own.fingerprint,
                "note       other machines need TLS to log in with a password",
                "curl --ssl-reqd --cacert /var/lib/longshore/certificate.pem ftp://127.0.0.1:21/",
                "curl ftp://127.0.0.1:21/",
                "lftp -e 'set ssl:ca-file /var/lib/longshore/certificate.pem; open -u a ftp://127.0.0.1:21/'",
            ],
        );
        let blind = Certificate { copy: None, need: TlsNeed::Login, ..own };
        let addresses = [implicit("192.0.2.1:990"), at("192.0.2.1:21")];
        let shown = Announcement { certificate: Some(&blind), ..announcement(&addresses, writer()) };
        assert!(!shown.text().contains("curl ftp://"), "{}", shown.text());
        check(
            shown,
            &[
                "tls        required, with a self-signed certificate; its SHA-256 is",
                "curl -k ftps://192.0.2.1:990/",
                "lftp -e 'set ssl:verify-certificate no; open -u a ftps://192.0.2.1:990/'",
            ],
        );
        // One listener of several asks for less than the others.
        let mut less = at("192.0.2.1:2121");
        less.options.rules.need = Some(TlsNeed::Nothing);
        let addresses = [less, at("192.0.2.1:21")];
        let shown = Announcement { certificate: Some(&blind), ..announcement(&addresses, writer()) };
        check(
            Announcement { clear_passwords: true, ..shown },
            &[
                "tls        offered, with a self-signed certificate; its SHA-256 is",
                "warning    passwords cross the network in clear (clear passwords are allowed)",
                "curl ftp://192.0.2.1:2121/",
            ],
        );
        let configured = Certificate { own: false, host: Some("ftp.example".to_owned()), ..blind };
        let addresses = [at("192.0.2.1:2121")];
        check(
            Announcement { certificate: Some(&configured), ..announcement(&addresses, writer()) },
            &[
                "tls        required, with a certificate; its SHA-256 is",
                "curl --ssl-reqd ftp://ftp.example:2121/",
                "lftp -u a ftp://ftp.example:2121/",
            ],
        );
        let spaced = Certificate { copy: Some("/a b/c.pem".into()), own: true, ..configured };
        let addresses = [at("127.0.0.1:2121")];
        check(
            Announcement { certificate: Some(&spaced), ..announcement(&addresses, writer()) },
            &[
                "curl --ssl-reqd --cacert '/a b/c.pem' ftp://127.0.0.1:2121/",
                "lftp -e 'set ssl:ca-file \"/a b/c.pem\"; open -u a ftp://127.0.0.1:2121/'",
            ],
        );
    }
}
