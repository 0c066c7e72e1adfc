//! `longshore serve`: what was typed or configured becomes a server. No protocol and no policy of its own.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use longshore_accounts::{
    Account, Authenticator, Entry, HashedAccounts, MemoryAccounts, Permissions, Secret, is_anonymous,
};
use longshore_server::{Config, ListenError, Listeners, Policy, Trees};
use longshore_storage::Durability;
use longshore_storage::local::{Local, LocalOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::announce::{Accounts, Announcement};
use crate::config::{Settings, Tenancy};
use crate::log::Log;
use crate::{Failure, cli, password, ports};

/// The account that may write, where none is named.
const DEFAULT_USER: &str = "longshore";

/// Who may come in, and how that is announced.
struct People {
    authenticator: Arc<dyn Authenticator>,
    writer: Option<Writer>,
}

/// The one account of a server without a configuration file.
struct Writer {
    name: String,
    password: String,
    made: bool,
}

pub(crate) fn serve(arguments: cli::Serve) -> Result<(), Failure> {
    raise_descriptor_limit();
    let (source, mut settings) = match &arguments.config {
        Some(file) => (format!("by {}", file.display()), read(file)?),
        None => one_directory(arguments.directory.as_deref().unwrap_or(Path::new(".")))?,
    };
    apply_flags(&mut settings, &arguments);
    let trees = open_trees(&settings)?;
    let people = people(&settings, &arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime cannot start: {error}")))?;
    let (log, writing) = Log::start();
    let served = runtime.block_on(async {
        let listeners = listen(&settings.listen, arguments.config.is_none() && arguments.listen.is_empty())?;
        // Asked for before anything is announced: a Ctrl-C from now on ends the server in order.
        let shutdown = shutdown()?;
        let writer = people.writer.as_ref();
        log.say(announcement(source, &listeners.addresses(), &settings, writer, &arguments));
        let config = Config {
            accounts: people.authenticator,
            observer: Arc::new(log),
            ..configuration(&settings, trees)
        };
        longshore_server::run(listeners, config, shutdown)
            .await
            .map_err(|error| Failure::new(error.to_string()))
    });
    // Sessions that did not end in time end here, and with them the last that could still log.
    runtime.shutdown_timeout(Duration::from_secs(1));
    writing.finish();
    served
}

/// Reads a configuration file.
pub(crate) fn read(file: &Path) -> Result<Settings, Failure> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::new(format!("{shown} cannot be read: {error}"))
            .hint("`longshore config` prints a file to begin with")
    })?;
    Settings::read(&shown, &text).map_err(|problems| {
        let hint =
            format!("{} to mend; `longshore config` prints every key with its meaning", problems.count());
        Failure::new(problems.to_string()).hint(hint)
    })
}

/// The settings of a server without a configuration file: one directory, which anybody may read.
fn one_directory(given: &Path) -> Result<(String, Settings), Failure> {
    let shown = given.display();
    let directory = given.canonicalize().map_err(|error| {
        Failure::new(format!("{shown} cannot be served: {error}"))
            .hint("name a directory that exists, or none for the current one")
    })?;
    if !directory.is_dir() {
        return Err(Failure::new(format!("{shown} is not a directory"))
            .hint("longshore serves directories; name the one that holds it"));
    }
    let source = longshore_path::display(directory.as_os_str().as_encoded_bytes()).to_string();
    let anonymous = Some(Tenancy {
        root: directory,
        directory: longshore_path::VirtualPath::root(),
        permissions: Permissions::READ_ONLY,
    });
    Ok((source, Settings { anonymous, ..Settings::default() }))
}

/// What was typed wins over what was configured.
fn apply_flags(settings: &mut Settings, arguments: &cli::Serve) {
    if !arguments.listen.is_empty() {
        settings.listen.clone_from(&arguments.listen);
    }
    if let Some(ports) = &arguments.passive_ports {
        settings.passive_ports = ports.clone();
    }
    settings.public_address = arguments.public_address.or(settings.public_address);
    settings.allow_clear_passwords |= arguments.allow_clear_passwords;
    if let Some(durability) = arguments.durability {
        settings.durability = match durability {
            cli::Durability::None => Durability::None,
            cli::Durability::Data => Durability::Data,
            cli::Durability::Full => Durability::Full,
        };
    }
    let limits = &mut settings.limits;
    limits.sessions = arguments.max_sessions.unwrap_or(limits.sessions);
    limits.sessions_per_address = arguments.max_sessions_per_address.unwrap_or(limits.sessions_per_address);
}

/// The name of a tree among those that are served: its root.
fn tree_name(root: &Path) -> String {
    root.to_string_lossy().into_owned()
}

pub(crate) fn roots(settings: &Settings) -> BTreeSet<&PathBuf> {
    let accounts = settings.accounts.iter().map(|account| &account.tenancy);
    accounts.chain(&settings.anonymous).map(|tenancy| &tenancy.root).collect()
}

/// Opens each root once, however many accounts see it.
pub(crate) fn open_trees(settings: &Settings) -> Result<Trees, Failure> {
    let mut trees = Trees::default();
    for root in roots(settings) {
        let tree = Local::open(root, LocalOptions::default()).map_err(|error| {
            Failure::new(format!("{} cannot be served: {error}", root.display()))
                .hint("make the directory, and let the user who runs longshore read it")
        })?;
        trees = trees.with(&tree_name(root), tree);
    }
    Ok(trees)
}

fn account(name: &str, tenancy: &Tenancy, permissions: Permissions) -> Account {
    Account {
        directory: tenancy.directory.clone(),
        permissions,
        ..Account::new(name, tree_name(&tenancy.root))
    }
}

fn people(settings: &Settings, arguments: &cli::Serve) -> Result<People, Failure> {
    if arguments.config.is_some() {
        return Ok(People { authenticator: Arc::new(configured(settings)?), writer: None });
    }
    let Some(tenancy) = &settings.anonymous else {
        return Err(Failure::new("nobody could log in"));
    };
    let anonymous = account("anonymous", tenancy, Permissions::READ_ONLY);
    let mut accounts = MemoryAccounts::new().with_anonymous(anonymous);
    let writer = match &arguments.user {
        None if arguments.read_only => None,
        None => Some(Writer { name: DEFAULT_USER.to_owned(), password: password::random()?, made: true }),
        Some(name) => Some(Writer { name: user_name(name)?, password: password::given(name)?, made: false }),
    };
    if let Some(writer) = &writer {
        let permissions = if arguments.read_only { Permissions::READ_ONLY } else { Permissions::ALL };
        let account = account(&writer.name, tenancy, permissions);
        accounts = accounts.with_account(account, writer.password.clone());
    }
    Ok(People { authenticator: Arc::new(accounts), writer })
}

/// The accounts of a configuration file.
pub(crate) fn configured(settings: &Settings) -> Result<HashedAccounts, Failure> {
    let mut entries: Vec<Entry> = settings
        .accounts
        .iter()
        .map(|configured| Entry {
            account: account(&configured.name, &configured.tenancy, configured.tenancy.permissions),
            secret: Secret::Hash(configured.hash.clone()),
            networks: configured.networks.clone(),
            hours: configured.hours.clone(),
        })
        .collect();
    if let Some(tenancy) = &settings.anonymous {
        let anonymous = account("anonymous", tenancy, tenancy.permissions);
        entries.push(Entry::new(anonymous, Secret::Anonymous));
    }
    if entries.is_empty() {
        return Err(Failure::new(
            "nobody could log in: the file has neither accounts nor an [anonymous] section",
        )
        .hint("add an [[account]]; `longshore config` shows one"));
    }
    HashedAccounts::new(entries).map_err(|error| Failure::new(error.to_string()))
}

fn user_name(name: &str) -> Result<String, Failure> {
    if is_anonymous(name.as_bytes()) {
        return Err(Failure::new(format!("--user {name} would give everybody the right to write")).hint(
            "anonymous sessions may read as they are; choose another name for the account that writes",
        ));
    }
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Failure::new(format!("{name:?} cannot be the name of an account"))
            .hint("a name has at least one letter and no control characters"));
    }
    Ok(name.to_owned())
}

fn configuration(settings: &Settings, trees: Trees) -> Config {
    let limits = settings.limits;
    Config {
        policy: Policy {
            public_address: settings.public_address,
            login_timeout: limits.login_timeout,
            idle_timeout: limits.idle_timeout,
            connect_timeout: limits.connect_timeout,
            stall_timeout: limits.stall_timeout,
            ..Policy::default()
        },
        passive_ports: settings.passive_ports.clone(),
        clear_passwords: settings.allow_clear_passwords,
        limits: longshore_server::Limits {
            sessions: limits.sessions,
            sessions_per_address: limits.sessions_per_address,
            ..longshore_server::Limits::default()
        },
        durability: settings.durability,
        ..Config::new(MemoryAccounts::new(), trees)
    }
}

fn announcement(
    source: String,
    addresses: &[SocketAddr],
    settings: &Settings,
    writer: Option<&Writer>,
    arguments: &cli::Serve,
) -> String {
    let accounts = match writer {
        Some(writer) if arguments.read_only => Accounts::Reader { name: &writer.name },
        Some(writer) => {
            Accounts::Writer { name: &writer.name, password: writer.made.then_some(writer.password.as_str()) }
        }
        None if arguments.config.is_some() => Accounts::Configured(settings.accounts.len()),
        None => Accounts::None,
    };
    let warnings =
        ports::ephemeral().and_then(|ephemeral| ports::warning(&settings.passive_ports, &ephemeral));
    let announcement = Announcement {
        source,
        addresses,
        anonymous: settings.anonymous.is_some(),
        accounts,
        clear_passwords: settings.allow_clear_passwords,
        passive_ports: (*settings.passive_ports.start(), *settings.passive_ports.end()),
        warnings: warnings.into_iter().collect(),
    };
    announcement.text()
}

/// Listens on all addresses. By default a machine without IPv6 is no error.
fn listen(addresses: &[SocketAddr], by_default: bool) -> Result<Listeners, Failure> {
    let mut listeners = Listeners::new();
    for &address in addresses {
        match listeners.listen(address) {
            Ok(_) => {}
            Err(ListenError::NotHere { .. } | ListenError::NoFamily { .. })
                if by_default && address.is_ipv6() => {}
            Err(error) => return Err(Failure::new(error.to_string())),
        }
    }
    Ok(listeners)
}

/// Descriptors cost nothing until they are used: take as many as this user may have.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Refused only where the system has its own idea of the limit; the one in force then still holds.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

#[allow(
    clippy::disallowed_methods,
    reason = "asked for twice; a part that is cut here is kept as after a crash"
)]
fn exit_at_once() -> ! {
    // 128 and the number of SIGINT, as shells report it.
    std::process::exit(130)
}

/// Ready at the first SIGINT or SIGTERM; a second one ends the program at once.
fn shutdown() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |error| Failure::new(format!("signals cannot be received: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            exit_at_once();
        });
    })
}
