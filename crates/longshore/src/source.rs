//! Where the settings of `longshore serve` come from: flags win over the environment, the environment over the file.
//!
//! Read anew at every reload; flags and environment stay those of the start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use longshore_accounts::{Permissions, TlsNeed};
use longshore_server::ListenerTls;
use longshore_server::tls::CertificateFiles;
use longshore_storage::Durability;

use crate::config::{Environment, Listener, Settings, Tenancy};
use crate::{Failure, cli};

pub(crate) struct Source {
    pub(crate) arguments: cli::Serve,
    environment: Environment,
}

impl Source {
    pub(crate) fn new(arguments: cli::Serve) -> Source {
        Source { arguments, environment: Environment::of_process() }
    }

    /// What is served, for people.
    pub(crate) fn shown(&self, settings: &Settings) -> String {
        match (&self.arguments.config, &settings.anonymous) {
            (Some(file), _) => format!("by {}", file.display()),
            (None, Some(all)) => longshore_path::display(all.root.as_os_str().as_encoded_bytes()).to_string(),
            (None, None) => "nothing".to_owned(),
        }
    }

    pub(crate) fn read(&self) -> Result<Settings, Failure> {
        let mut settings = match &self.arguments.config {
            Some(file) => read_file(file, &self.environment)?,
            None => {
                let directory = self.arguments.directory.as_deref().unwrap_or(Path::new("."));
                let anonymous = Some(Tenancy::new(one_directory(directory)?, Permissions::READ_ONLY));
                Settings { anonymous, ..parse("", "", &self.environment)? }
            }
        };
        apply_flags(&mut settings, &self.arguments)?;
        Ok(settings)
    }
}

/// Reads a configuration file, and what the environment says beside it.
pub(crate) fn read_file(file: &Path, environment: &Environment) -> Result<Settings, Failure> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::new(format!("{shown} cannot be read: {error}"))
            .hint("`longshore config` prints a file to begin with")
    })?;
    parse(&shown, &text, environment)
}

fn parse(shown: &str, text: &str, environment: &Environment) -> Result<Settings, Failure> {
    Settings::read(shown, text, environment).map_err(|problems| {
        let hint =
            format!("{} to mend; `longshore config` prints every key with its meaning", problems.count());
        Failure::new(problems.to_string()).hint(hint)
    })
}

/// The directory of a server without a configuration file.
fn one_directory(given: &Path) -> Result<PathBuf, Failure> {
    let shown = given.display();
    let directory = given.canonicalize().map_err(|error| {
        Failure::new(format!("{shown} cannot be served: {error}"))
            .hint("name a directory that exists, or none for the current one")
    })?;
    if !directory.is_dir() {
        return Err(Failure::new(format!("{shown} is not a directory"))
            .hint("longshore serves directories; name the one that holds it"));
    }
    Ok(directory)
}

fn apply_flags(settings: &mut Settings, arguments: &cli::Serve) -> Result<(), Failure> {
    let server = &mut settings.server;
    if !arguments.listen.is_empty() || !arguments.listen_implicit.is_empty() {
        let listen = |tls| move |&address: &SocketAddr| Listener::new(address, tls);
        let explicit = arguments.listen.iter().map(listen(ListenerTls::Explicit));
        let implicit = arguments.listen_implicit.iter().map(listen(ListenerTls::Implicit));
        server.listen = explicit.chain(implicit).collect();
    }
    if let Some(ports) = &arguments.passive_ports {
        server.passive_ports = ports.clone();
    }
    server.public_address = arguments.public_address.or(server.public_address);
    server.allow_clear_passwords |= arguments.allow_clear_passwords;
    if let Some(durability) = arguments.durability {
        server.durability = match durability {
            cli::Durability::None => Durability::None,
            cli::Durability::Data => Durability::Data,
            cli::Durability::Full => Durability::Full,
        };
    }
    let limits = &mut settings.limits;
    limits.sessions = arguments.max_sessions.unwrap_or(limits.sessions);
    limits.sessions_per_address = arguments.max_sessions_per_address.unwrap_or(limits.sessions_per_address);
    settings.log.format = arguments.log_format.unwrap_or(settings.log.format);
    apply_tls_flags(settings, arguments)
}

fn apply_tls_flags(settings: &mut Settings, arguments: &cli::Serve) -> Result<(), Failure> {
    let tls = &mut settings.tls;
    if let Some(chain) = &arguments.certificate {
        let absolute = |path: &Path| {
            std::path::absolute(path)
                .map_err(|error| Failure::new(format!("{}: no such path: {error}", path.display())))
        };
        let key = arguments.key.as_ref().unwrap_or(chain);
        // In place of all that the file names: the one certificate for everybody.
        tls.certificates = vec![CertificateFiles::new(absolute(chain)?, absolute(key)?)];
    }
    if let Some(need) = arguments.require_tls {
        tls.rules.need = Some(match need {
            cli::RequireTls::Nothing => TlsNeed::Nothing,
            cli::RequireTls::Login => TlsNeed::Login,
            cli::RequireTls::Data => TlsNeed::Data,
        });
    }
    let wanted = [
        ("--certificate", arguments.certificate.is_some()),
        ("--require-tls", arguments.require_tls.is_some_and(|need| need != cli::RequireTls::Nothing)),
        ("--listen-implicit", !arguments.listen_implicit.is_empty()),
    ];
    match wanted.into_iter().find(|(_, wanted)| *wanted && !tls.offer) {
        Some((flag, _)) => Err(Failure::new(format!("{flag} asks for TLS, and tls.offer is false"))
            .hint("leave one of both away")),
        None => Ok(()),
    }
}
