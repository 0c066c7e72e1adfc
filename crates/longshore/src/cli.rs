//! The command line as it is typed. What it means is decided where it is used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// FTP for people who must move files: a server whose every reply is true and says what to do.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a directory by FTP.
    Serve(Serve),
    /// Read a configuration file and look at all that it names; nothing is served.
    Check(Check),
    /// Print the commented default configuration.
    Config,
    /// Read a password and print its hash for a configuration file.
    HashPassword,
}

/// Read a configuration file and look at all that it names; nothing is served.
///
/// All mistakes are told at once, each with its line. The exit status is 1 when there is one; warnings do not count.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Serve a directory by FTP.
///
/// Anybody may read as `anonymous`; one account may write. Without --user it is called `longshore` and gets a new
/// password each time, which is printed once.
///
/// With --config the accounts and directories come from a file instead. Environment variables such as
/// LONGSHORE_LIMITS_SESSIONS win over the file, and flags over both.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The directory to serve [default: the current one].
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// Serve by this configuration file; `longshore config` prints one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["directory", "user", "read_only"])]
    pub(crate) config: Option<PathBuf>,

    /// The account that may write; its password comes from LONGSHORE_PASSWORD, or is asked for.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// Where to listen; may be given several times [default: port 2121 of 127.0.0.1 and ::1].
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = listen_address)]
    pub(crate) listen: Vec<SocketAddr>,

    /// Where to listen for TLS from the first byte on, as on port 990; may be given several times. With it or --listen
    /// nothing else is listened to.
    #[arg(long, value_name = "ADDR:PORT", value_parser = implicit_address)]
    pub(crate) listen_implicit: Vec<SocketAddr>,

    /// The certificate for TLS, in PEM, behind it those that vouch for it [default: one that is made once and kept].
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,

    /// Its private key, in PEM, where the file of the certificate does not hold it too.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,

    /// What must be protected by TLS: nothing, the login with all commands, or data connections too [default: nothing].
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) require_tls: Option<RequireTls>,

    /// Ports for data connections that clients make [default: 30000-30999].
    #[arg(long, value_name = "FIRST-LAST", value_parser = port_range)]
    pub(crate) passive_ports: Option<RangeInclusive<u16>>,

    /// The IPv4 address that clients reach this server by, where it stands behind NAT.
    #[arg(long, value_name = "ADDR")]
    pub(crate) public_address: Option<Ipv4Addr>,

    /// Let nobody write.
    #[arg(long)]
    pub(crate) read_only: bool,

    /// Sessions at once; further ones are told 421 [default: 10000].
    #[arg(long, value_name = "N")]
    pub(crate) max_sessions: Option<usize>,

    /// Sessions at once from one address; this machine's own addresses are not counted [default: 32].
    #[arg(long, value_name = "N")]
    pub(crate) max_sessions_per_address: Option<usize>,

    /// What must have reached the disk before an upload is answered with 226 [default: data].
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) durability: Option<Durability>,

    /// Take passwords in clear from other machines too: whoever can listen on the network learns them.
    #[arg(long)]
    pub(crate) allow_clear_passwords: bool,

    /// How the log is written; auto is text on a terminal and JSON elsewhere [default: auto].
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) log_format: Option<LogFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RequireTls {
    /// Whoever wants to may do without.
    Nothing,
    /// Logins and commands.
    Login,
    /// Data connections too.
    Data,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Durability {
    /// Nothing: fast, and a power cut may lose files that were answered.
    None,
    /// The contents and the name.
    Data,
    /// As data, with times, modes and new directories.
    Full,
}

const DEFAULT_PORT: u16 = 2121;

/// Where a server listens that is told nothing: on this machine only.
pub(crate) fn default_listen() -> Vec<SocketAddr> {
    vec![
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT),
        SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), DEFAULT_PORT),
    ]
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DEFAULT_PORT)).map_err(|_| {
        "an IP address is needed, with or without a port: 0.0.0.0, 192.0.2.1:21, [::1]:2121".to_owned()
    })
}

fn implicit_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address with a port is needed: 0.0.0.0:990, [::]:990".to_owned())
}

pub(crate) fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let help = "a range of ports from 1 to 65535 is needed, lowest first: 30000-30999";
    let (first, last) = text.split_once('-').ok_or(help)?;
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|&port| port > 0).ok_or(help);
    let (first, last) = (port(first)?, port(last)?);
    if first > last { Err(help.to_owned()) } else { Ok(first..=last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_listen(text: &str, expected: Option<&str>) {
        assert_eq!(
            listen_address(text).ok().map(|address| address.to_string()).as_deref(),
            expected,
            "{text}"
        );
    }

    #[test]
    fn addresses_to_listen_on() {
        check_listen("0.0.0.0", Some("0.0.0.0:2121"));
        check_listen("127.0.0.1:21", Some("127.0.0.1:21"));
        check_listen("127.0.0.1:0", Some("127.0.0.1:0"));
        check_listen("::1", Some("[::1]:2121"));
        check_listen("[::1]", Some("[::1]:2121"));
        check_listen("[::]:990", Some("[::]:990"));
        check_listen("localhost", None);
        check_listen("127.0.0.1:65536", None);
        check_listen("", None);
    }

    #[test]
    fn ranges_of_ports() {
        assert_eq!(port_range("30000-30999"), Ok(30000..=30999));
        assert_eq!(port_range("5-5"), Ok(5..=5));
        for bad in ["", "5", "6-5", "0-5", "1-65536", "a-b", "-"] {
            assert!(port_range(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
