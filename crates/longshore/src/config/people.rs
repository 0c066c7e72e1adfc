//! What `[anonymous]` and `[[account]]` mean.
//!
//! Not inside: whether directories and users are there, and how passwords are checked.

use std::path::{Path, PathBuf};

use longshore_accounts::{
    AccountLimits, CertificateRule, Hours, Mode, Network, PasswordHash, PathPattern, PathRule, PathRules,
    Permission, Permissions, TlsRules, is_anonymous,
};
use longshore_path::VirtualPath;

use super::convert::{Value, absolute, bytes, count, explained, flag, list, network, number, parsed};
use super::reader::{Converted, Reader, View, Wrong};
use super::tls::{certificate_rule, rules};

/// What somebody sees and may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenancy {
    /// With `{user}` filled in.
    pub(crate) root: PathBuf,
    pub(crate) directory: VirtualPath,
    pub(crate) permissions: Permissions,
    pub(crate) rules: PathRules,
    pub(crate) limits: AccountLimits,
    pub(crate) file_mode: Option<Mode>,
    pub(crate) directory_mode: Option<Mode>,
    pub(crate) disabled: bool,
    pub(crate) tls: TlsRules,
}

/// An account of the file.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    /// Where there is none, a certificate lets in.
    pub(crate) hash: Option<PasswordHash>,
    pub(crate) certificates: Vec<CertificateRule>,
    pub(crate) tenancy: Tenancy,
    pub(crate) networks: Vec<Network>,
    pub(crate) hours: Vec<Hours>,
}

/// What a umask is taken from.
const FILE_MODE_BITS: u32 = 0o666;
const DIRECTORY_MODE_BITS: u32 = 0o777;

impl Tenancy {
    /// All of a directory, for whom these permissions and nothing else are said.
    pub(crate) fn new(root: PathBuf, permissions: Permissions) -> Tenancy {
        Tenancy {
            root,
            directory: VirtualPath::root(),
            permissions,
            rules: PathRules::NONE,
            limits: AccountLimits::default(),
            file_mode: None,
            directory_mode: None,
            disabled: false,
            tls: TlsRules::default(),
        }
    }

    /// The account of this name.
    pub(crate) fn account(&self, name: &str, tree: String) -> longshore_accounts::Account {
        longshore_accounts::Account {
            directory: self.directory.clone(),
            permissions: self.permissions,
            rules: self.rules.clone(),
            limits: self.limits,
            file_mode: self.file_mode,
            directory_mode: self.directory_mode,
            tls: self.tls,
            ..longshore_accounts::Account::new(name, tree)
        }
    }

    /// What it may do somewhere, though perhaps not everywhere.
    pub(crate) fn permissions_anywhere(&self) -> Permissions {
        self.rules.iter().fold(self.permissions, |all, rule| all.union(rule.grant))
    }
}

pub(super) fn read_account(view: &View<'_, '_>, reader: &mut Reader<'_>) -> Option<Account> {
    let name = reader.get(view, "name", |value| {
        parsed(value, |text| {
            let fits = (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
            (fits && !is_anonymous(text.as_bytes())).then(|| text.to_owned())
        })
    });
    let hash = reader.get(view, "password", |value| explained(value, PasswordHash::parse));
    let certificates = reader.get(view, "certificates", |value| list(value, certificate_rule));
    if !view.has("password") && !view.has("certificates") {
        let what = format!("{} needs the key password, certificates, or both", view.head());
        reader.note(view.span(), what);
    }
    let tenancy = read_tenancy(view, reader, name.as_deref().unwrap_or("?"), Permissions::ALL);
    let networks = reader.get(view, "networks", |value| list(value, network));
    let hours = reader.get(view, "hours", |value| list(value, |value| explained(value, str::parse::<Hours>)));
    Some(Account {
        name: name?,
        hash,
        certificates: certificates.unwrap_or_default(),
        tenancy: tenancy?,
        networks: networks.unwrap_or_default(),
        hours: hours.unwrap_or_default(),
    })
}

pub(super) fn read_tenancy(
    view: &View<'_, '_>,
    reader: &mut Reader<'_>,
    user: &str,
    default: Permissions,
) -> Option<Tenancy> {
    let root = reader.get(view, "root", |value| root_of(value, user));
    let directory = reader.get(view, "directory", |value| {
        parsed(value, |text| text.starts_with('/').then(|| VirtualPath::new(text).ok()).flatten())
    });
    let permissions = reader.get(view, "permissions", permissions);
    let limits = read_limits(view, reader);
    let umask = reader.get(view, "umask", |value| mode(value, DIRECTORY_MODE_BITS));
    let file_mode = reader.get(view, "file_mode", |value| mode(value, u32::MAX));
    let directory_mode = reader.get(view, "directory_mode", |value| mode(value, u32::MAX));
    let left = |bits| umask.and_then(|umask| Mode::new(bits).map(|mode| mode.masked(umask)));
    let disabled = reader.get(view, "disabled", flag);
    let path_rules = read_rules(view, reader);
    let tls = rules(view, reader, "require_tls");
    Some(Tenancy {
        directory: directory.unwrap_or_else(VirtualPath::root),
        rules: path_rules,
        limits,
        file_mode: file_mode.or(left(FILE_MODE_BITS)),
        directory_mode: directory_mode.or(left(DIRECTORY_MODE_BITS)),
        disabled: disabled.unwrap_or(false),
        tls,
        ..Tenancy::new(root?, permissions.unwrap_or(default))
    })
}

fn read_limits(view: &View<'_, '_>, reader: &mut Reader<'_>) -> AccountLimits {
    AccountLimits {
        sessions: reader.get(view, "sessions", count),
        upload_bytes_per_second: reader.get(view, "upload_bytes_per_second", bytes),
        download_bytes_per_second: reader.get(view, "download_bytes_per_second", bytes),
        session_upload_bytes_per_second: reader.get(view, "session_upload_bytes_per_second", bytes),
        session_download_bytes_per_second: reader.get(view, "session_download_bytes_per_second", bytes),
        file_bytes: reader.get(view, "file_limit_bytes", bytes),
        quota_bytes: reader.get(view, "quota_bytes", bytes),
        quota_files: reader.get(view, "quota_files", |value| number(value, 1, 1_000_000_000_000)),
    }
}

fn read_rules(view: &View<'_, '_>, reader: &mut Reader<'_>) -> PathRules {
    let mut rules = Vec::new();
    for rule in reader.nested(view) {
        let pattern = reader.get(&rule, "path", |value| explained(value, |text| PathPattern::new(text)));
        let grant = reader.get(&rule, "grant", permissions);
        let revoke = reader.get(&rule, "revoke", permissions);
        if !rule.has("grant") && !rule.has("revoke") {
            reader.note(rule.span(), format!("{} needs the key grant, revoke, or both", rule.head()));
        }
        let (grant, revoke) = (grant.unwrap_or_default(), revoke.unwrap_or_default());
        rules.extend(pattern.map(|pattern| PathRule { pattern, grant, revoke }));
    }
    PathRules::new(rules).unwrap_or_else(|error| {
        reader.note(view.span(), error.to_string());
        PathRules::NONE
    })
}

fn permissions(value: &Value<'_>) -> Converted<Permissions> {
    let named = list(value, |value| {
        parsed(value, |text| match text {
            "all" => Some(Permissions::ALL),
            text => Permission::named(text).map(|permission| Permissions::NONE.with(permission)),
        })
    })?;
    Ok(named.into_iter().fold(Permissions::NONE, Permissions::union))
}

fn mode(value: &Value<'_>, most: u32) -> Converted<Mode> {
    parsed(value, |text| text.parse::<Mode>().ok().filter(|mode| mode.bits() <= most))
}

/// A root with the user's name in it. The name must be one component, or it would lead to another's directory.
fn root_of(value: &Value<'_>, user: &str) -> Converted<PathBuf> {
    let root = absolute(value)?;
    let text = value.get_ref().as_str().unwrap_or_default();
    if !text.contains("{user}") {
        return Ok(root);
    }
    if user.contains('/') || user.starts_with('.') {
        return Err(Wrong::because(value, format!("{user:?} cannot be the name of a directory")));
    }
    Ok(Path::new(&text.replace("{user}", user)).to_path_buf())
}
