//! What a configuration means: the values of its keys, checked and ready to be served.
//!
//! Not inside: the form of the file ([`reader`](super::reader)), accounts ([`people`](super::people)), and opening
//! what it names: directories, users and addresses are looked at when they are used, or by `longshore check`.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use longshore_accounts::Permissions;
use longshore_server::{Level, Limits, ListenerTls, Rates, Trace, limits};
use longshore_storage::Durability;

use super::convert::{
    Value, absolute, bytes, count, flag, list, list_or_none, network, number, parsed, put, seconds,
};
use super::environment::Environment;
use super::keys::{ACCOUNT, ANONYMOUS, LIMITS, LOG, SERVER};
use super::people::{Account, Tenancy, read_account, read_tenancy};
use super::reader::{Problems, Reader, Root, View};
use super::tls::{Clients, Listener, Tls, read_listeners};
use crate::cli::{self, LogFormat};

/// All that `longshore serve` goes by.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) server: Server,
    pub(crate) tls: Tls,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) log: Log,
    pub(crate) anonymous: Option<Tenancy>,
    pub(crate) accounts: Vec<Account>,
}

/// `[server]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// Those of `listen`, and those of the tables.
    pub(crate) listen: Vec<Listener>,
    pub(crate) passive_ports: RangeInclusive<u16>,
    pub(crate) public_address: Option<Ipv4Addr>,
    pub(crate) allow_clear_passwords: bool,
    pub(crate) durability: Durability,
    /// `None` does not offer MODE Z.
    pub(crate) mode_z_level: Option<Level>,
    /// Whom root becomes.
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    /// Of the file or the environment; where it says nothing there are defaults ([`state`](crate::state)).
    pub(crate) state_directory: Option<PathBuf>,
}

/// How long sessions may take for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    pub(crate) login: Duration,
    pub(crate) idle: Duration,
    pub(crate) connect: Duration,
    pub(crate) stall: Duration,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    /// Standard output where there is none.
    pub(crate) file: Option<PathBuf>,
    pub(crate) xferlog: Option<PathBuf>,
    pub(crate) trace: Trace,
}

impl Default for Settings {
    fn default() -> Settings {
        let policy = longshore_server::Policy::default();
        Settings {
            server: Server {
                listen: explicit(cli::default_listen()),
                passive_ports: limits::PASSIVE_PORTS,
                public_address: None,
                allow_clear_passwords: false,
                durability: Durability::default(),
                mode_z_level: None,
                user: None,
                group: None,
                state_directory: None,
            },
            tls: Tls::default(),
            limits: Limits::default(),
            timeouts: Timeouts {
                login: policy.login_timeout,
                idle: policy.idle_timeout,
                connect: policy.connect_timeout,
                stall: policy.stall_timeout,
            },
            log: Log { format: LogFormat::Auto, file: None, xferlog: None, trace: Trace::default() },
            anonymous: None,
            accounts: Vec::new(),
        }
    }
}

impl Settings {
    /// Reads the text of a file, and what the environment says beside it. All mistakes are told at once.
    pub(crate) fn read(file: &str, text: &str, environment: &Environment) -> Result<Settings, Problems> {
        let (root, mut reader) = Reader::parse(file, text, environment);
        let mut settings = Settings::default();
        settings.tls.read(&root, &mut reader);
        settings.server.read(&root, &mut reader, &settings.tls);
        settings.read_limits(&root, &mut reader);
        settings.log.read(&root, &mut reader);
        for view in reader.views(&root, &ANONYMOUS) {
            settings.anonymous = read_tenancy(&view, &mut reader, "anonymous", Permissions::READ_ONLY);
        }
        for view in reader.views(&root, &ACCOUNT) {
            let account = read_account(&view, &mut reader);
            if let Some(account) = &account
                && settings.accounts.iter().any(|other| other.name == account.name)
            {
                reader.note(
                    view.place("name"),
                    format!("there are two accounts with the name {:?}", account.name),
                );
            }
            settings.note_useless_certificates(account.as_ref(), &view, &mut reader);
            settings.accounts.extend(account);
        }
        let problems = reader.finish(&root);
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// Without a password there is no other way in.
    fn note_useless_certificates(
        &self,
        account: Option<&Account>,
        view: &View<'_, '_>,
        reader: &mut Reader<'_>,
    ) {
        let alone = account.is_some_and(|account| account.hash.is_none() && !account.certificates.is_empty());
        if alone && !view.has("password") && (!self.tls.offer || self.tls.clients == Clients::Off) {
            let what = "account.certificates are never asked for: tls.client_certificates is \"off\" or tls.offer false";
            reader.note(view.place("certificates"), what.to_owned());
        }
    }

    fn read_limits(&mut self, root: &Root<'_>, reader: &mut Reader<'_>) {
        let view = reader.view(root, &LIMITS);
        let (limits, timeouts) = (&mut self.limits, &mut self.timeouts);
        let many = |value: &Value<'_>| count(value).map(|count| count as usize);
        put(&mut limits.sessions, reader.get(&view, "sessions", many));
        put(&mut limits.sessions_per_address, reader.get(&view, "sessions_per_address", many));
        put(
            &mut limits.connections_per_second_per_address,
            reader.get(&view, "connections_per_second_per_address", count),
        );
        put(&mut limits.failed_logins_per_address, reader.get(&view, "failed_logins_per_address", count));
        put(&mut limits.failed_login_window, reader.get(&view, "failed_login_window_seconds", seconds));
        put(&mut limits.ban, reader.get(&view, "ban_seconds", seconds));
        let networks = |value: &Value<'_>| list_or_none(value, network);
        put(&mut limits.exempt, reader.get(&view, "exempt_networks", networks));
        let rate = |value: &Value<'_>| bytes(value).map(NonZeroU64::new);
        limits.rates = Rates {
            upload: reader.get(&view, "upload_bytes_per_second", rate).flatten(),
            download: reader.get(&view, "download_bytes_per_second", rate).flatten(),
            session_upload: reader.get(&view, "session_upload_bytes_per_second", rate).flatten(),
            session_download: reader.get(&view, "session_download_bytes_per_second", rate).flatten(),
        };
        put(&mut timeouts.login, reader.get(&view, "login_timeout_seconds", seconds));
        put(&mut timeouts.idle, reader.get(&view, "idle_timeout_seconds", seconds));
        put(&mut timeouts.connect, reader.get(&view, "connect_timeout_seconds", seconds));
        put(&mut timeouts.stall, reader.get(&view, "stall_timeout_seconds", seconds));
        let grace = |value: &Value<'_>| number(value, 0, 86_400).map(Duration::from_secs);
        put(&mut limits.drain_grace, reader.get(&view, "drain_grace_seconds", grace));
    }
}

impl Server {
    fn read(&mut self, root: &Root<'_>, reader: &mut Reader<'_>, tls: &Tls) {
        let view = reader.view(root, &SERVER);
        let address = |value: &Value<'_>| parsed(value, |text| text.parse::<SocketAddr>().ok());
        let listen = reader.get(&view, "listen", |value| list(value, address));
        let tables = read_listeners(root, reader, tls);
        // Who writes tables and nothing else listens nowhere else.
        if listen.is_some() || !tables.is_empty() {
            self.listen = explicit(listen.unwrap_or_default());
        }
        for table in &tables {
            if self.listen.iter().any(|listener| listener.address == table.address) {
                let what = format!("server.listen has {} too, which has a [listener] table", table.address);
                reader.note(view.place("listen"), what);
            }
        }
        self.listen.extend(tables);
        let ports = |value: &Value<'_>| parsed(value, |text| cli::port_range(text).ok());
        put(&mut self.passive_ports, reader.get(&view, "passive_ports", ports));
        self.public_address =
            reader.get(&view, "public_address", |value| parsed(value, |text| text.parse().ok()));
        put(&mut self.allow_clear_passwords, reader.get(&view, "allow_clear_passwords", flag));
        let durability = |text: &str| match text {
            "none" => Some(Durability::None),
            "data" => Some(Durability::Data),
            "full" => Some(Durability::Full),
            _ => None,
        };
        put(&mut self.durability, reader.get(&view, "durability", |value| parsed(value, durability)));
        let level = |value: &Value<'_>| number(value, 0, 9).map(|level| Level::new(level as u8));
        put(&mut self.mode_z_level, reader.get(&view, "mode_z_level", level));
        // Whoever serves strangers' wishes as root would better say so by saying nothing.
        let user = |text: &str| (name(text) && text != "root").then(|| text.to_owned());
        self.user = reader.get(&view, "user", |value| parsed(value, user));
        let group = |text: &str| name(text).then(|| text.to_owned());
        self.group = reader.get(&view, "group", |value| parsed(value, group));
        if self.group.is_some() && self.user.is_none() {
            reader.note(view.place("group"), "server.group needs server.user beside it".to_owned());
        }
        self.state_directory = reader.get(&view, "state_directory", absolute);
    }
}

/// Addresses where TLS begins when clients ask for it.
pub(crate) fn explicit(addresses: Vec<SocketAddr>) -> Vec<Listener> {
    addresses.into_iter().map(|address| Listener::new(address, ListenerTls::Explicit)).collect()
}

/// Whether it can be the name of a user or group.
fn name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|letter| letter.is_control() || letter == ':' || letter == '/')
}

impl Log {
    fn read(&mut self, root: &Root<'_>, reader: &mut Reader<'_>) {
        let view = reader.view(root, &LOG);
        let format = |text: &str| match text {
            "auto" => Some(LogFormat::Auto),
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        };
        put(&mut self.format, reader.get(&view, "format", |value| parsed(value, format)));
        self.file = reader.get(&view, "file", absolute);
        self.xferlog = reader.get(&view, "xferlog", absolute);
        if self.file.is_some() && self.file == self.xferlog {
            reader.note(view.place("xferlog"), "log.xferlog and log.file are the same file".to_owned());
        }
        let networks = |value: &Value<'_>| list_or_none(value, network);
        put(&mut self.trace.networks, reader.get(&view, "trace_networks", networks));
        let accounts =
            |value: &Value<'_>| list_or_none(value, |value| parsed(value, |text| Some(text.to_owned())));
        put(&mut self.trace.accounts, reader.get(&view, "trace_accounts", accounts));
    }
}
