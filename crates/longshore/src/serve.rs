//! `longshore serve`: what was typed becomes a server. No protocol and no policy of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longshore_accounts::{Account, MemoryAccounts, Permissions, is_anonymous};
use longshore_server::{Config, ListenError, Listeners, Policy, Trees};
use longshore_storage::Durability;
use longshore_storage::local::{Local, LocalOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::announce::{Announcement, Writer};
use crate::cli::{self, DEFAULT_PORT};
use crate::log::Log;
use crate::{Failure, password};

/// The account that may write, where none is named.
const DEFAULT_USER: &str = "longshore";
/// The one tree that the command line serves.
const TREE: &str = "files";

pub(crate) fn serve(arguments: cli::Serve) -> Result<(), Failure> {
    raise_descriptor_limit();
    let directory = directory(&arguments.directory)?;
    let backend = Local::open(&directory, LocalOptions::default())
        .map_err(|error| Failure::new(format!("{} cannot be served: {error}", directory.display())))?;
    let (user, password, made) = match &arguments.user {
        _ if arguments.read_only => (String::new(), String::new(), false),
        None => (DEFAULT_USER.to_owned(), password::random()?, true),
        Some(user) => (user_name(user)?, password::given(user)?, false),
    };
    let mut accounts = MemoryAccounts::new().with_anonymous(account("anonymous", Permissions::READ_ONLY));
    if !arguments.read_only {
        accounts = accounts.with_account(account(&user, Permissions::ALL), password.clone());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime cannot start: {error}")))?;
    let (log, writing) = Log::start();
    let served = runtime.block_on(async {
        let listeners = listen(&arguments.listen)?;
        let addresses = listeners.addresses();
        // Asked for before anything is announced: a Ctrl-C from now on ends the server in order.
        let shutdown = shutdown()?;
        let writer = (!arguments.read_only)
            .then(|| Writer { name: &user, password: made.then_some(password.as_str()) });
        let announcement = Announcement {
            directory: &directory,
            addresses: &addresses,
            writer,
            clear_passwords: arguments.allow_clear_passwords,
            passive_ports: (*arguments.passive_ports.start(), *arguments.passive_ports.end()),
        };
        log.say(announcement.text());
        let config = Config {
            policy: Policy { public_address: arguments.public_address, ..Policy::default() },
            passive_ports: arguments.passive_ports.clone(),
            clear_passwords: arguments.allow_clear_passwords,
            max_sessions: arguments.max_sessions,
            max_sessions_per_address: arguments.max_sessions_per_address,
            durability: match arguments.durability {
                cli::Durability::None => Durability::None,
                cli::Durability::Data => Durability::Data,
                cli::Durability::Full => Durability::Full,
            },
            observer: Arc::new(log),
            ..Config::new(accounts, Trees::one(TREE, backend))
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

fn directory(given: &Path) -> Result<std::path::PathBuf, Failure> {
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

fn account(name: &str, permissions: Permissions) -> Account {
    Account { permissions, ..Account::new(name, TREE) }
}

/// Listens on the given addresses; by default on this machine only. A machine without IPv6 is no error then.
fn listen(given: &[SocketAddr]) -> Result<Listeners, Failure> {
    let mut listeners = Listeners::new();
    if given.is_empty() {
        let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT);
        let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), DEFAULT_PORT);
        listeners.listen(v4).map_err(|error| Failure::new(error.to_string()))?;
        match listeners.listen(v6) {
            Ok(_) | Err(ListenError::NotHere { .. } | ListenError::NoFamily { .. }) => {}
            Err(error) => return Err(Failure::new(error.to_string())),
        }
    }
    for &address in given {
        listeners.listen(address).map_err(|error| Failure::new(error.to_string()))?;
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
