//! `longshore serve`: what was typed or configured becomes a server. No protocol and no policy of its own.
//!
//! Not inside: reading the settings ([`source`](crate::source)), and what happens while it serves
//! ([`life`](crate::life)).

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use longshore_accounts::{
    Authenticator, Entry, HashedAccounts, MemoryAccounts, Permissions, Secret, is_anonymous,
};
use longshore_server::{
    Config, Control, Deflate, ListenError, ListenerTls, Listeners, Policy, Server, TlsOffer, Trees,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::announce::{Accounts, Announcement, Certificate};
use crate::config::{self, Listener, Settings, Tenancy};
use crate::life::{Applied, Life, Signals};
use crate::log::{Log, Opened};
use crate::manager::Socket;
use crate::privileges::Identity;
use crate::source::Source;
use crate::stores::{Stores, tree_name};
use crate::tls::{InForce, Named, Origin, Prepared, Surroundings};
use crate::{Failure, cli, manager, password, ports};

/// The account that may write, where none is named.
const DEFAULT_USER: &str = "longshore";

/// The port of FTP over TLS from the first byte on, and its name (IANA, service names and port numbers).
const IMPLICIT_PORT: u16 = 990;
const IMPLICIT_NAME: &str = "ftps";

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
    let sockets = manager::sockets()?;
    let source = Source::new(arguments);
    let settings = source.read()?;
    let people = people(&settings, &source.arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime cannot start: {error}")))?;
    let inside = runtime.enter();
    let (listeners, endpoints) = listeners(sockets, &settings, &source.arguments)?;
    let user = settings.server.user.as_deref();
    let identity = user.map(|user| Identity::find(user, settings.server.group.as_deref())).transpose()?;
    let surroundings = Surroundings::new(&settings, &endpoints, identity.as_ref());
    // Keys are often for root alone.
    let now = SystemTime::now();
    let named = Named::read(&settings.tls, &surroundings, None, now)?;
    let mut notes = Vec::new();
    if let (Some(identity), Some(user)) = (identity, user) {
        if named.as_ref().is_some_and(Named::needs_own) {
            surroundings.give();
        }
        identity.assume()?;
        notes.extend(unreadable_file(&source, user));
    }
    // From here on as the user who serves.
    let prepared = named.map(|named| named.complete(&surroundings, None, now)).transpose()?;
    let (stores, trees) = Stores::default().open(&settings)?;
    let log = Log::start(Opened::open(&settings.log)?);
    // Asked for before anything is announced: a Ctrl-C from now on ends the server in order.
    let signals = Signals::receive()?;
    let offer = prepared.as_ref().map_or(TlsOffer::Off, Prepared::offer);
    let tls = prepared.map(|prepared| prepared.commit(&mut notes));
    if let (Some(tls), Some(user)) = (&tls, user) {
        notes.extend(tls.unreadable(user));
    }
    let applied = Applied { settings: settings.clone(), trees, accounts: people.authenticator };
    let server =
        Server::new(applied.configuration(offer, &log)).map_err(|error| Failure::new(error.to_string()))?;
    let control = server.control();
    control.trace(settings.log.trace.clone());
    notes.extend(descriptors_note(&settings, &control));
    if !log.is_announced() {
        tls.iter().flat_map(InForce::described).for_each(|line| log.note(&line));
        notes.iter().for_each(|note| log.note(note));
    }
    log.announce(&announcement(&endpoints, tls.as_ref(), &settings, people.writer.as_ref(), &source, notes));
    let life = Life::new(source, surroundings, applied, stores, tls, control, log.clone());
    drop(inside);
    runtime.block_on(async {
        tokio::spawn(life.watch(signals));
        server.run(listeners, std::future::pending()).await;
    });
    // Sessions that did not end in time end here, and with them the last that could still log.
    runtime.shutdown_timeout(Duration::from_secs(1));
    log.finish();
    Ok(())
}

/// A file that only root can read is read once.
fn unreadable_file(source: &Source, user: &str) -> Option<String> {
    let file = source.arguments.config.as_ref()?;
    let error = File::open(file).err()?;
    Some(format!("{} cannot be read as {user} ({error}): a reload will be refused", file.display()))
}

/// What to know when descriptors allow fewer sessions than the settings do.
pub(crate) fn descriptors_note(settings: &Settings, control: &Control) -> Option<String> {
    let (wished, allowed) = (settings.limits.sessions, control.session_limit());
    let limit = getrlimit(Resource::Nofile).current?;
    (allowed < wished).then(|| {
        format!("the descriptor limit of {limit} allows {allowed} sessions, not the {wished} configured")
    })
}

fn people(settings: &Settings, arguments: &cli::Serve) -> Result<People, Failure> {
    if arguments.config.is_some() {
        return Ok(People { authenticator: Arc::new(configured(settings)?), writer: None });
    }
    let Some(tenancy) = &settings.anonymous else {
        return Err(Failure::new("nobody could log in"));
    };
    let tree = tree_name(&tenancy.root);
    let mut accounts = MemoryAccounts::new().with_anonymous(tenancy.account("anonymous", tree.clone()));
    let writer = match &arguments.user {
        None if arguments.read_only => None,
        None => Some(Writer { name: DEFAULT_USER.to_owned(), password: password::random()?, made: true }),
        Some(name) => Some(Writer { name: user_name(name)?, password: password::given(name)?, made: false }),
    };
    if let Some(writer) = &writer {
        let permissions = if arguments.read_only { Permissions::READ_ONLY } else { Permissions::ALL };
        let account = Tenancy { permissions, ..tenancy.clone() }.account(&writer.name, tree);
        accounts = accounts.with_account(account, writer.password.clone());
    }
    Ok(People { authenticator: Arc::new(accounts), writer })
}

/// The accounts of a configuration file.
pub(crate) fn configured(settings: &Settings) -> Result<HashedAccounts, Failure> {
    let entry = |name: &str, tenancy: &Tenancy, secret| {
        let secret = if tenancy.disabled { Secret::Disabled } else { secret };
        Entry::new(tenancy.account(name, tree_name(&tenancy.root)), secret)
    };
    let mut entries: Vec<Entry> = settings
        .accounts
        .iter()
        .map(|configured| Entry {
            networks: configured.networks.clone(),
            hours: configured.hours.clone(),
            certificates: configured.certificates.clone(),
            ..entry(
                &configured.name,
                &configured.tenancy,
                configured.hash.clone().map_or(Secret::Certificate, Secret::Hash),
            )
        })
        .collect();
    entries.extend(settings.anonymous.as_ref().map(|tenancy| entry("anonymous", tenancy, Secret::Anonymous)));
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

/// All but the accounts and TLS.
pub(crate) fn configuration(settings: &Settings, trees: Trees, log: &Log) -> Config {
    let (server, timeouts) = (&settings.server, settings.timeouts);
    Config {
        policy: Policy {
            public_address: server.public_address,
            login_timeout: timeouts.login,
            idle_timeout: timeouts.idle,
            connect_timeout: timeouts.connect,
            stall_timeout: timeouts.stall,
            ..Policy::default()
        },
        passive_ports: server.passive_ports.clone(),
        clear_passwords: server.allow_clear_passwords,
        limits: settings.limits.clone(),
        durability: server.durability,
        deflate: server.mode_z_level.map(|level| Deflate { level, ..Deflate::default() }),
        observer: Arc::new(log.clone()),
        ..Config::new(MemoryAccounts::new(), trees)
    }
}

fn announcement(
    endpoints: &[Listener],
    tls: Option<&InForce>,
    settings: &Settings,
    writer: Option<&Writer>,
    source: &Source,
    notes: Vec<String>,
) -> String {
    let arguments = &source.arguments;
    let accounts = match writer {
        Some(writer) if arguments.read_only => Accounts::Reader { name: &writer.name },
        Some(writer) => {
            Accounts::Writer { name: &writer.name, password: writer.made.then_some(writer.password.as_str()) }
        }
        None if arguments.config.is_some() => Accounts::Configured(settings.accounts.len()),
        None => Accounts::None,
    };
    let ports = &settings.server.passive_ports;
    let mut warnings = notes;
    warnings.extend(ports::ephemeral().and_then(|ephemeral| ports::warning(ports, &ephemeral)));
    let certificate = tls.and_then(|tls| certificate(tls, settings));
    let announcement = Announcement {
        source: source.shown(settings),
        endpoints,
        anonymous: settings.anonymous.as_ref().is_some_and(|tenancy| !tenancy.disabled),
        accounts,
        clear_passwords: settings.server.allow_clear_passwords,
        certificate: certificate.as_ref(),
        passive_ports: (*ports.start(), *ports.end()),
        warnings,
    };
    announcement.text()
}

fn certificate(tls: &InForce, settings: &Settings) -> Option<Certificate> {
    let info = tls.infos().into_iter().next()?;
    let (own, copy) = match tls.origin() {
        Origin::Configured(_) => (false, None),
        Origin::Kept { public, .. } => (true, public.clone()),
        Origin::InMemory => (true, None),
    };
    let host = info.names.iter().find(|name| !name.starts_with('*')).cloned();
    let need = settings.tls.rules.need.unwrap_or_default();
    Some(Certificate { fingerprint: info.fingerprint, own, copy, host, need })
}

/// The sockets that were handed over, else those that the settings ask for.
fn listeners(
    sockets: Vec<Socket>,
    settings: &Settings,
    arguments: &cli::Serve,
) -> Result<(Listeners, Vec<Listener>), Failure> {
    let failed = |error: ListenError| Failure::new(error.to_string());
    let (mut listeners, mut endpoints) = (Listeners::new(), Vec::new());
    if !sockets.is_empty() {
        for socket in sockets {
            let adopted = adopted(&socket, settings)?;
            let address = listeners.adopt(socket.listener, adopted.options).map_err(failed)?;
            endpoints.push(Listener { address, ..adopted });
        }
        return Ok((listeners, endpoints));
    }
    let wanted = &settings.server.listen;
    // Where nobody chose the addresses, a machine without IPv6 is no error.
    let by_default = arguments.config.is_none() && *wanted == config::explicit(cli::default_listen());
    for &Listener { address, options } in wanted {
        match listeners.listen_with(address, options) {
            Ok(address) => endpoints.push(Listener { address, options }),
            Err(ListenError::NotHere { .. } | ListenError::NoFamily { .. })
                if by_default && address.is_ipv6() => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok((listeners, endpoints))
}

/// What holds at a socket that was handed over: what the settings say of its address, else what its port or its name
/// says.
fn adopted(socket: &Socket, settings: &Settings) -> Result<Listener, Failure> {
    let address = socket.listener.local_addr();
    let address = address.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
    if let Some(listener) = settings.server.listen.iter().find(|listener| listener.address == address) {
        return Ok(*listener);
    }
    let implicit = address.port() == IMPLICIT_PORT || socket.name.as_deref() == Some(IMPLICIT_NAME);
    if implicit && !settings.tls.offer {
        return Err(Failure::new(format!(
            "the service manager handed over {address} for TLS from the first byte on, and tls.offer is false"
        ))
        .hint("leave the socket out of the unit, or offer TLS"));
    }
    Ok(Listener::new(address, if implicit { ListenerTls::Implicit } else { ListenerTls::Explicit }))
}

/// Descriptors cost nothing until they are used: take as many as this user may have.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Refused only where the system has its own idea of the limit; the one in force then still holds.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
