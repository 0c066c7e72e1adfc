//! `longshore check`: reads a configuration and looks at all that it names, without serving.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use longshore_server::Listeners;

use crate::config::Settings;
use crate::{Failure, log, ports, serve};

/// Says what is wrong (an error) and what to think about (a warning, which fails nothing).
pub(crate) fn check(file: &Path) -> Result<(), Failure> {
    let settings = serve::read(file)?;
    serve::configured(&settings)?;
    let mut wrong = roots(&settings);
    wrong.extend(addresses(&settings.listen)?);
    for warning in warnings(&settings) {
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

fn roots(settings: &Settings) -> Vec<String> {
    let mut wrong = Vec::new();
    for root in serve::roots(settings) {
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

fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(ephemeral) = ports::ephemeral() {
        warnings.extend(ports::warning(&settings.passive_ports, &ephemeral));
    }
    let loopback_only = settings.listen.iter().all(|address| address.ip().is_loopback());
    if let Some(public) = settings.public_address {
        if public.is_private() || public.is_loopback() || public.is_link_local() || public.is_unspecified() {
            warnings.push(format!("public_address {public} cannot be reached from the internet"));
        }
        if loopback_only {
            warnings.push(format!(
                "public_address {public} is named, but only this machine itself is listened to"
            ));
        }
    }
    if settings.allow_clear_passwords && !loopback_only {
        warnings.push(
            "passwords in clear are taken from the network: anybody on the way can read them".to_owned(),
        );
    }
    let mapped =
        |address: &SocketAddr| matches!(address.ip(), IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    if settings.listen.iter().any(mapped) {
        warnings.push("an IPv4-mapped address is listened to; write it as IPv4".to_owned());
    }
    warnings
}
