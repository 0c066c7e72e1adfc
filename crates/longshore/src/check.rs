//! `longshore check`: reads a configuration and looks at all that it names, without serving.
//!
//! Nothing is made or changed: a log file that is not there yet stays so.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use longshore_accounts::{Network, Permission};
use longshore_server::Listeners;
use nix::unistd::{Gid, geteuid};
use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::config::{Environment, Listener, Settings, Tenancy};
use crate::limits::CHECKED_DIRECTORIES;
use crate::privileges::Identity;
use crate::{Failure, log, ports, serve, source, stores, tls};

/// Says what is wrong (an error) and what to think about (a warning, which fails nothing).
pub(crate) fn check(file: &Path) -> Result<(), Failure> {
    let settings = source::read_file(file, &Environment::of_process())?;
    serve::configured(&settings)?;
    let mut wrong = roots(&settings);
    let servant = match Servant::of(&settings) {
        Ok(servant) => servant,
        Err(failure) => {
            wrong.push(failure.what);
            Servant(None)
        }
    };
    let listen: Vec<SocketAddr> = settings.server.listen.iter().map(|listener| listener.address).collect();
    wrong.extend(addresses(&listen)?);
    wrong.extend(log_files(&settings, &servant));
    let tls = tls::check(&settings, |file, access| servant.may(file, access), SystemTime::now());
    wrong.extend(tls.wrong);
    for warning in warnings(&settings, &servant).into_iter().chain(tls.warnings) {
        log::print(&format!("{}: warning: {warning}\n", file.display()));
    }
    if wrong.is_empty() {
        let accounts = settings.accounts.len();
        log::print(&format!("{}: no mistakes, {accounts} accounts\n", file.display()));
        return Ok(());
    }
    let lines: Vec<String> = wrong.iter().map(|what| format!("{}: {what}", file.display())).collect();
    Err(Failure::new(lines.join("\n")).hint("the file itself reads well; what it names does not answer"))
}

/// The user who will serve: another than we are, where `server.user` names one and we are root.
struct Servant(Option<(Identity, Vec<Gid>)>);

impl Servant {
    fn of(settings: &Settings) -> Result<Servant, Failure> {
        let Some(user) = &settings.server.user else { return Ok(Servant(None)) };
        let identity = Identity::find(user, settings.server.group.as_deref())?;
        if !geteuid().is_root() {
            return Ok(Servant(None));
        }
        let groups = identity.groups();
        Ok(Servant(Some((identity, groups))))
    }

    /// Whether it may do this with what stands there. Of another user only modes are known, not access lists.
    fn may(&self, path: &Path, access: Access) -> bool {
        // For root too: a file system may be read-only.
        if accessat(CWD, path, access, AtFlags::EACCESS).is_err() {
            return false;
        }
        let Some((identity, groups)) = &self.0 else { return true };
        let Ok(metadata) = path.metadata() else { return false };
        let class = if metadata.uid() == identity.user.as_raw() {
            6
        } else if groups.contains(&Gid::from_raw(metadata.gid())) {
            3
        } else {
            0
        };
        let bits = u32::from(access.contains(Access::READ_OK)) << 2
            | u32::from(access.contains(Access::WRITE_OK)) << 1
            | u32::from(access.contains(Access::EXEC_OK));
        metadata.mode() >> class & bits == bits
    }
}

fn roots(settings: &Settings) -> Vec<String> {
    let mut wrong = Vec::new();
    for root in stores::roots(settings) {
        match root.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                if let Err(error) = std::fs::read_dir(root) {
                    wrong.push(format!("the root {} cannot be listed: {error}", root.display()));
                }
            }
            Ok(_) => wrong.push(format!("the root {} is not a directory", root.display())),
            Err(error) => wrong.push(format!("the root {} cannot be served: {error}", root.display())),
        }
    }
    wrong
}

/// Listens on each address for a moment.
fn addresses(listen: &[SocketAddr]) -> Result<Vec<String>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime cannot start: {error}")))?;
    let _inside = runtime.enter();
    let tried = listen.iter().map(|&address| Listeners::new().listen(address));
    Ok(tried.filter_map(|result| result.err().map(|error| error.to_string())).collect())
}

/// Log files that cannot be written to, or could not be made.
fn log_files(settings: &Settings, servant: &Servant) -> Vec<String> {
    let files = settings.log.file.iter().chain(&settings.log.xferlog);
    files.filter_map(|file| log_file(file, servant)).collect()
}

fn log_file(file: &Path, servant: &Servant) -> Option<String> {
    let refused = |why: String| Some(format!("the log file {} cannot be opened: {why}", file.display()));
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => refused("it is a directory".to_owned()),
        Ok(_) if servant.may(file, Access::WRITE_OK) => None,
        Ok(_) => refused("it may not be written to".to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => refused(error.to_string()),
        Err(_) => {
            let directory = file.parent().unwrap_or(Path::new("/"));
            let may = servant.may(directory, Access::WRITE_OK | Access::EXEC_OK);
            if may { None } else { refused(format!("it cannot be made in {}", directory.display())) }
        }
    }
}

fn warnings(settings: &Settings, servant: &Servant) -> Vec<String> {
    let server = &settings.server;
    let mut warnings = Vec::new();
    if let Some(ephemeral) = ports::ephemeral() {
        warnings.extend(ports::warning(&server.passive_ports, &ephemeral));
    }
    let loopback_only = server.listen.iter().all(|listener| listener.address.ip().is_loopback());
    if let Some(public) = server.public_address {
        if is_unreachable(public) {
            warnings.push(format!("public_address {public} cannot be reached from the internet"));
        }
        if loopback_only {
            warnings.push(format!(
                "public_address {public} is named, but only this machine itself is listened to"
            ));
        }
    }
    let need = settings.tls.rules.need.unwrap_or_default();
    let in_clear = server.listen.iter().any(|listener| listener.hears_clear_passwords(need));
    if server.allow_clear_passwords && in_clear {
        warnings.push(
            "passwords in clear are taken from the network: anybody on the way can read them".to_owned(),
        );
    }
    let mapped = |listener: &Listener| matches!(listener.address.ip(), IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    if server.listen.iter().any(mapped) {
        warnings.push("an IPv4-mapped address is listened to; write it as IPv4".to_owned());
    }
    warnings.extend(everywhere(&settings.limits.exempt));
    let accounts = settings.accounts.iter().map(|account| (account.name.as_str(), &account.tenancy));
    let anonymous = settings.anonymous.iter().map(|tenancy| ("anonymous", tenancy));
    for (name, tenancy) in accounts.chain(anonymous).filter(|(_, tenancy)| !tenancy.disabled) {
        warnings.extend(writes_nowhere(name, tenancy, servant));
    }
    warnings
}

fn is_unreachable(address: Ipv4Addr) -> bool {
    // RFC 6598: shared by the customers of a provider.
    let shared = address.octets()[0] == 100 && address.octets()[1] & 0xC0 == 64;
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || shared
}

/// Networks that hold a whole family of addresses.
fn everywhere(exempt: &[Network]) -> Option<String> {
    let holds = |first: IpAddr, last: IpAddr| {
        exempt.iter().any(|network| network.contains(first) && network.contains(last))
    };
    let v4 = holds(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into());
    let v6 = holds(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::from_bits(u128::MAX).into());
    let family = match (v4, v6) {
        (true, true) => "every address",
        (true, false) => "every IPv4 address",
        (false, true) => "every IPv6 address",
        (false, false) => return None,
    };
    Some(format!("exempt_networks hold {family}: no limit by address and no ban counts for any of them"))
}

/// Whoever may write by this file, and by the file system cannot.
fn writes_nowhere(name: &str, tenancy: &Tenancy, servant: &Servant) -> Option<String> {
    let permissions = tenancy.permissions_anywhere();
    let makes = [Permission::Write, Permission::MakeDirectory];
    if !makes.into_iter().any(|permission| permissions.allows(permission)) || !tenancy.root.is_dir() {
        return None;
    }
    let mut waiting = VecDeque::from([tenancy.root.clone()]);
    let mut looked_at = 0;
    while let Some(directory) = waiting.pop_front() {
        if servant.may(&directory, Access::WRITE_OK | Access::EXEC_OK) {
            return None;
        }
        looked_at += 1;
        if looked_at >= CHECKED_DIRECTORIES {
            // Somewhere further down there may be one.
            return None;
        }
        waiting.extend(directories_in(&directory));
    }
    Some(format!(
        "the account {name} may write, but can do so nowhere beneath {}: no directory there is writable",
        tenancy.root.display()
    ))
}

fn directories_in(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = directory.read_dir() else { return Vec::new() };
    let directories = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).take(CHECKED_DIRECTORIES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_everywhere(networks: &[&str], expected: Option<&str>) {
        let networks: Vec<Network> =
            networks.iter().map(|network| network.parse().expect("a network")).collect();
        let warning = everywhere(&networks);
        assert_eq!(warning.is_some(), expected.is_some(), "{networks:?}");
        assert!(warning.unwrap_or_default().contains(expected.unwrap_or_default()), "{networks:?}");
    }

    #[test]
    fn networks_that_hold_everything() {
        check_everywhere(&["127.0.0.0/8", "::1"], None);
        check_everywhere(&["0.0.0.0/1", "128.0.0.0/2"], None);
        check_everywhere(&["0.0.0.0/0"], Some("every IPv4 address"));
        check_everywhere(&["::/0"], Some("every IPv6 address"));
        check_everywhere(&["0.0.0.0/0", "::/0"], Some("every address"));
    }

    #[test]
    fn public_addresses() {
        for (address, unreachable) in [
            ("9.9.9.9", false),
            ("10.0.0.1", true),
            ("100.63.0.1", false),
            ("100.64.0.1", true),
            ("100.127.9.9", true),
            ("100.128.0.1", false),
            ("203.0.113.7", true),
            ("224.0.0.1", true),
        ] {
            assert_eq!(is_unreachable(address.parse().expect("an address")), unreachable, "{address}");
        }
    }
}
