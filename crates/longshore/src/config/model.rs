//! What a configuration means: the values of its keys, checked and ready to be served.
//!
//! Not inside: the form of the file ([`reader`](super::reader)), and opening what it names: directories and addresses
//! are looked at when they are used, or by `longshore check`.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_accounts::{Hours, Network, PasswordHash, Permission, Permissions, is_anonymous};
use longshore_path::VirtualPath;
use longshore_server::limits;
use longshore_storage::Durability;
use toml::Spanned;
use toml::de::DeValue;

use super::keys::{ACCOUNT, ANONYMOUS, LIMITS, SERVER};
use super::reader::{Converted, Problems, Reader, Root, View, Wrong};
use crate::cli;

/// All that `longshore serve` goes by.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) passive_ports: RangeInclusive<u16>,
    pub(crate) public_address: Option<Ipv4Addr>,
    pub(crate) allow_clear_passwords: bool,
    pub(crate) durability: Durability,
    pub(crate) limits: Limits,
    pub(crate) anonymous: Option<Tenancy>,
    pub(crate) accounts: Vec<Account>,
}

/// How many, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) sessions: usize,
    pub(crate) sessions_per_address: usize,
    pub(crate) login_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) stall_timeout: Duration,
}

/// What somebody sees and may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenancy {
    /// With `{user}` filled in.
    pub(crate) root: PathBuf,
    pub(crate) directory: VirtualPath,
    pub(crate) permissions: Permissions,
}

/// An account of the file.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) hash: PasswordHash,
    pub(crate) tenancy: Tenancy,
    pub(crate) networks: Vec<Network>,
    pub(crate) hours: Vec<Hours>,
}

impl Default for Settings {
    fn default() -> Settings {
        let policy = longshore_server::Policy::default();
        Settings {
            listen: cli::default_listen(),
            passive_ports: limits::PASSIVE_PORTS,
            public_address: None,
            allow_clear_passwords: false,
            durability: Durability::default(),
            limits: Limits {
                sessions: limits::SESSIONS,
                sessions_per_address: limits::SESSIONS_PER_ADDRESS,
                login_timeout: policy.login_timeout,
                idle_timeout: policy.idle_timeout,
                connect_timeout: policy.connect_timeout,
                stall_timeout: policy.stall_timeout,
            },
            anonymous: None,
            accounts: Vec::new(),
        }
    }
}

impl Settings {
    /// Reads the text of a file. All mistakes are told at once.
    pub(crate) fn read(file: &str, text: &str) -> Result<Settings, Problems> {
        let (root, mut reader) = Reader::parse(file, text);
        let mut settings = Settings::default();
        settings.read_server(&root, &mut reader);
        settings.read_limits(&root, &mut reader);
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
            settings.accounts.extend(account);
        }
        let problems = reader.finish(&root);
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    fn read_server(&mut self, root: &Root<'_>, reader: &mut Reader<'_>) {
        for view in reader.views(root, &SERVER) {
            let address =
                |value: &Spanned<DeValue<'_>>| parsed(value, |text| text.parse::<SocketAddr>().ok());
            put(&mut self.listen, reader.get(&view, "listen", |value| list(value, address)));
            put(
                &mut self.passive_ports,
                reader.get(&view, "passive_ports", |value| parsed(value, |text| cli::port_range(text).ok())),
            );
            self.public_address =
                reader.get(&view, "public_address", |value| parsed(value, |text| text.parse().ok()));
            put(
                &mut self.allow_clear_passwords,
                reader.get(&view, "allow_clear_passwords", |value| {
                    value.get_ref().as_bool().ok_or_else(|| Wrong::at(value))
                }),
            );
            let durability = |text: &str| match text {
                "none" => Some(Durability::None),
                "data" => Some(Durability::Data),
                "full" => Some(Durability::Full),
                _ => None,
            };
            put(&mut self.durability, reader.get(&view, "durability", |value| parsed(value, durability)));
        }
    }

    fn read_limits(&mut self, root: &Root<'_>, reader: &mut Reader<'_>) {
        for view in reader.views(root, &LIMITS) {
            let limits = &mut self.limits;
            let count = |value: &Spanned<DeValue<'_>>| {
                number(value, 1, 1_000_000).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
            };
            let seconds = |value: &Spanned<DeValue<'_>>| number(value, 1, 86_400).map(Duration::from_secs);
            put(&mut limits.sessions, reader.get(&view, "sessions", count));
            put(&mut limits.sessions_per_address, reader.get(&view, "sessions_per_address", count));
            put(&mut limits.login_timeout, reader.get(&view, "login_timeout_seconds", seconds));
            put(&mut limits.idle_timeout, reader.get(&view, "idle_timeout_seconds", seconds));
            put(&mut limits.connect_timeout, reader.get(&view, "connect_timeout_seconds", seconds));
            put(&mut limits.stall_timeout, reader.get(&view, "stall_timeout_seconds", seconds));
        }
    }
}

fn read_account(view: &View<'_, '_>, reader: &mut Reader<'_>) -> Option<Account> {
    let name = reader.get(view, "name", |value| {
        parsed(value, |text| {
            let fits = (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
            (fits && !is_anonymous(text.as_bytes())).then(|| text.to_owned())
        })
    });
    let hash = reader.get(view, "password", |value| explained(value, PasswordHash::parse));
    let tenancy = read_tenancy(view, reader, name.as_deref().unwrap_or("?"), Permissions::ALL);
    let networks =
        reader.get(view, "networks", |value| list(value, |value| explained(value, str::parse::<Network>)));
    let hours = reader.get(view, "hours", |value| list(value, |value| explained(value, str::parse::<Hours>)));
    Some(Account {
        name: name?,
        hash: hash?,
        tenancy: tenancy?,
        networks: networks.unwrap_or_default(),
        hours: hours.unwrap_or_default(),
    })
}

fn read_tenancy(
    view: &View<'_, '_>,
    reader: &mut Reader<'_>,
    user: &str,
    default: Permissions,
) -> Option<Tenancy> {
    let root = reader.get(view, "root", |value| root_of(value, user));
    let directory = reader.get(view, "directory", |value| {
        parsed(value, |text| text.starts_with('/').then(|| VirtualPath::new(text).ok()).flatten())
    });
    let permissions = reader.get(view, "permissions", |value| {
        let named = list(value, |value| {
            parsed(value, |text| match text {
                "all" => Some(Permissions::ALL),
                text => Permission::named(text).map(|permission| Permissions::NONE.with(permission)),
            })
        })?;
        Ok(named.into_iter().fold(Permissions::NONE, Permissions::union))
    });
    Some(Tenancy {
        root: root?,
        directory: directory.unwrap_or_else(VirtualPath::root),
        permissions: permissions.unwrap_or(default),
    })
}

/// A root with the user's name in it. The name must be one component, or it would lead to another's directory.
fn root_of(value: &Spanned<DeValue<'_>>, user: &str) -> Converted<PathBuf> {
    let text = value.get_ref().as_str().ok_or_else(|| Wrong::at(value))?;
    if text.contains("{user}") && (user.contains('/') || user.starts_with('.')) {
        return Err(Wrong::because(value, format!("{user:?} cannot be the name of a directory")));
    }
    let path = text.replace("{user}", user);
    if Path::new(&path).is_absolute() { Ok(PathBuf::from(path)) } else { Err(Wrong::at(value)) }
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn parsed<T>(value: &Spanned<DeValue<'_>>, parse: impl Fn(&str) -> Option<T>) -> Converted<T> {
    value.get_ref().as_str().and_then(parse).ok_or_else(|| Wrong::at(value))
}

/// As [`parsed`], for parsers that say themselves what is wrong.
fn explained<T, E: ToString>(
    value: &Spanned<DeValue<'_>>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Converted<T> {
    let text = value.get_ref().as_str().ok_or_else(|| Wrong::at(value))?;
    parse(text).map_err(|error| Wrong::because(value, error))
}

fn list<T>(
    value: &Spanned<DeValue<'_>>,
    convert: impl Fn(&Spanned<DeValue<'_>>) -> Converted<T>,
) -> Converted<Vec<T>> {
    let items = value.get_ref().as_array().ok_or_else(|| Wrong::at(value))?;
    if items.is_empty() {
        return Err(Wrong::because(value, "the list is empty"));
    }
    items.iter().map(convert).collect()
}

fn number(value: &Spanned<DeValue<'_>>, least: u64, most: u64) -> Converted<u64> {
    let integer = value.get_ref().as_integer().filter(|integer| integer.radix() == 10);
    integer
        .and_then(|integer| integer.as_str().replace('_', "").parse::<u64>().ok())
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| Wrong::at(value))
}
