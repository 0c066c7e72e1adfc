//! The server as a whole: its configuration and how it is exchanged, its beginning and its end.
//!
//! Not inside: connections ([`listener`](crate::listener)) and sessions ([`driver`](crate::driver)). A session keeps
//! the configuration that it began with; only logins look at the newest one.

use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use longshore_accounts::{Network, TlsNeed};
use longshore_net::{PassivePool, PoolError};
use longshore_proto::server::{self, Connection, Policy, TlsPolicy};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::bandwidth::Rate;
use crate::config::{Config, Limits, TlsOffer};
use crate::convert;
use crate::defence::Defence;
use crate::events::{Event, EventKind, Observer, SessionName};
use crate::limits::{DESCRIPTOR_RESERVE, DESCRIPTOR_RESERVE_SHARE, SHUTDOWN_GRACE};
use crate::listener::{self, ListenerOptions, ListenerTls, Listeners};
use crate::seats::Seats;
use crate::trace::{Trace, Traced};
use crate::work::Pool;

/// Why a configuration cannot be served.
#[derive(Debug)]
pub enum ServeError {
    /// The passive ports make no sense.
    PassivePorts(PoolError),
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ServeError::PassivePorts(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServeError::PassivePorts(error) => Some(error),
        }
    }
}

/// See [`Shared::nearer`].
const WAKERS: usize = 8;

/// How far the server is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// Nobody new is served, and a session ends as soon as nothing of it runs or waits.
    Draining,
    /// What still runs is stopped.
    Ending,
}

/// A configuration that is in force, and what is made of it.
pub(crate) struct Active {
    pub(crate) config: Config,
    pub(crate) passive: PassivePool,
    /// Sessions at once: no more than there are descriptors for, some kept for data connections and files.
    pub(crate) session_limit: usize,
    policies: Policies,
}

/// What all sessions of a server share.
pub(crate) struct Shared {
    active: RwLock<Arc<Active>>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) pool: Pool,
    pub(crate) seats: Arc<Seats>,
    pub(crate) defence: Defence,
    pub(crate) upload: Arc<Rate>,
    pub(crate) download: Arc<Rate>,
    pub(crate) trace: Traced,
    pub(crate) phase: watch::Sender<Phase>,
    /// Woken when the phase has changed, each for its share of the sessions: one alone would be a lock that all sessions
    /// pass at each wait.
    nearer: [Arc<Notify>; WAKERS],
    /// Transfers that were stopped because the server ended.
    pub(crate) cut: AtomicUsize,
    /// Protected data connections that did not resume.
    unproved: AtomicU64,
    /// One exchange of the configuration at a time.
    reloading: Mutex<()>,
    numbers: AtomicU64,
}

impl Active {
    /// `before` gives its ports, where they stay the same: those in use stay known.
    fn new(config: Config, before: Option<&Active>) -> Result<Active, ServeError> {
        let same = before.filter(|before| before.config.passive_ports == config.passive_ports);
        let passive = match same {
            Some(before) => before.passive.clone(),
            None => PassivePool::new(config.passive_ports.clone()).map_err(ServeError::PassivePorts)?,
        };
        let policy = Policy {
            passive_ports: config.passive_ports.clone(),
            clear_passwords: config.clear_passwords,
            deflate: config.deflate.is_some(),
            ..config.policy.clone()
        };
        Ok(Active {
            passive,
            policies: Policies::new(&policy, &config.tls),
            session_limit: sessions_for(config.limits.sessions, longshore_net::descriptor_limit()),
            config,
        })
    }

    pub(crate) fn policy_for(&self, connection: &Connection, options: &ListenerOptions) -> Arc<Policy> {
        let home = (self.config.is_home)(connection.peer.ip());
        let need = options.rules.over(self.config.tls_rules()).need.unwrap_or_default();
        self.policies.of(options.tls, need, home)
    }
}

/// A policy for each kind of connection: sessions share them.
struct Policies(Vec<((ListenerTls, TlsNeed, bool), Arc<Policy>)>);

impl Policies {
    fn new(policy: &Policy, tls: &TlsOffer) -> Policies {
        let mut policies = Vec::new();
        for listener in [ListenerTls::Explicit, ListenerTls::Implicit, ListenerTls::Off] {
            for need in [TlsNeed::Nothing, TlsNeed::Login, TlsNeed::Data] {
                // From this machine itself clear passwords harm nobody, and no NAT stands between.
                for home in [false, true] {
                    let policy = Policy {
                        clear_passwords: home || policy.clear_passwords,
                        public_address: policy.public_address.filter(|_| !home),
                        tls: tls_policy(tls, listener, need),
                        ..policy.clone()
                    };
                    policies.push(((listener, need, home), Arc::new(policy)));
                }
            }
        }
        Policies(policies)
    }

    fn of(&self, listener: ListenerTls, need: TlsNeed, home: bool) -> Arc<Policy> {
        let found = self.0.iter().find(|(kind, _)| *kind == (listener, need, home));
        found.expect("there is one for each").1.clone()
    }
}

fn tls_policy(tls: &TlsOffer, listener: ListenerTls, need: TlsNeed) -> TlsPolicy {
    let offer = match (tls, listener) {
        (TlsOffer::NoCertificate, _) => server::TlsOffer::NoCertificate,
        (TlsOffer::Off, _) | (_, ListenerTls::Off) => server::TlsOffer::Off,
        (TlsOffer::On(_), ListenerTls::Explicit) => server::TlsOffer::Explicit,
        (TlsOffer::On(_), ListenerTls::Implicit) => server::TlsOffer::Implicit,
    };
    let allow_ccc = matches!(tls, TlsOffer::On(tls) if tls.allow_ccc);
    TlsPolicy { offer, need: convert::need(need), allow_ccc }
}

impl Shared {
    pub(crate) fn active(&self) -> Arc<Active> {
        // Nothing panics while it is locked.
        self.active.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Of the server as a whole, or of a session that has not begun.
    pub(crate) fn tell(&self, session: Option<SessionName>, kind: EventKind) {
        self.observer.observe(&Event { session, kind });
    }

    pub(crate) fn count_unproved(&self) {
        self.unproved.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn set_rates(&self, limits: &Limits) {
        self.upload.set(limits.rates.upload.map(Into::into));
        self.download.set(limits.rates.download.map(Into::into));
    }

    /// Never goes back.
    fn advance(&self, to: Phase) {
        let later = self.phase.send_if_modified(|phase| {
            let later = *phase < to;
            if later {
                *phase = to;
            }
            later
        });
        if later {
            self.nearer.iter().for_each(|nearer| nearer.notify_waiters());
        }
    }

    /// Ready when the phase has changed after this call, for the session of this number.
    pub(crate) fn nearer_to_end(&self, number: u64) -> OwnedNotified {
        self.nearer[number as usize % WAKERS].clone().notified_owned()
    }
}

impl Limits {
    /// Whether the limits by address do not count for it.
    pub(crate) fn is_exempt(&self, address: IpAddr) -> bool {
        self.exempt.iter().any(|network: &Network| network.contains(address))
    }
}

fn sessions_for(configured: usize, descriptors: Option<usize>) -> usize {
    let Some(descriptors) = descriptors else { return configured };
    configured.min(
        descriptors.saturating_sub(DESCRIPTOR_RESERVE.max(descriptors / DESCRIPTOR_RESERVE_SHARE)).max(1),
    )
}

/// A server that is ready to run.
pub struct Server {
    shared: Arc<Shared>,
}

/// A hand on a server that runs, from elsewhere. Clones are hands on the same server.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

impl Server {
    /// A server by this configuration. Nothing is opened yet.
    ///
    /// # Errors
    /// [`ServeError`] when it cannot be served at all.
    pub fn new(config: Config) -> Result<Server, ServeError> {
        let observer = config.observer.clone();
        let active = Active::new(config, None)?;
        let shared = Shared {
            observer,
            pool: Pool::new(),
            seats: Arc::default(),
            defence: Defence::default(),
            upload: Arc::default(),
            download: Arc::default(),
            trace: Traced::default(),
            phase: watch::Sender::new(Phase::Serving),
            nearer: Default::default(),
            cut: AtomicUsize::new(0),
            unproved: AtomicU64::new(0),
            reloading: Mutex::new(()),
            numbers: AtomicU64::new(0),
            active: RwLock::new(Arc::new(active)),
        };
        shared.set_rates(&shared.active().config.limits);
        Ok(Server { shared: Arc::new(shared) })
    }

    /// A hand on it.
    pub fn control(&self) -> Control {
        Control { shared: self.shared.clone() }
    }

    /// Serves until `shutdown` is ready or [`Control::drain`] is called. Then whoever connects or is idle is told
    /// 421, transfers may finish for [`Limits::drain_grace`], and what still runs after that is stopped and
    /// answered with 426 and 421. Sessions that have not ended ten seconds later
    /// ([`SHUTDOWN_GRACE`](crate::limits::SHUTDOWN_GRACE)) are dropped, as all are when the future is.
    pub async fn run(self, listeners: Listeners, shutdown: impl Future<Output = ()>) {
        let shared = self.shared;
        shared.tell(None, EventKind::Started { addresses: listeners.addresses() });
        let mut acceptors = JoinSet::new();
        // Each session holds a sender: when the last is gone, all have ended. Those who accept hold a weak one.
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        for (listener, options) in listeners.into_inner() {
            acceptors.spawn(listener::accept(listener, options, shared.clone(), alive.downgrade()));
        }
        let mut phase = shared.phase.subscribe();
        tokio::select! {
            () = shutdown => shared.advance(Phase::Draining),
            _ = phase.wait_for(|phase| *phase > Phase::Serving) => {}
        }
        drop(alive);
        let grace = shared.active().config.limits.drain_grace;
        let sessions = shared.seats.count();
        shared.tell(None, EventKind::Draining { sessions, grace });
        tokio::select! {
            biased;
            _ = all_gone.recv() => {}
            _ = phase.wait_for(|phase| *phase > Phase::Draining) => {}
            () = tokio::time::sleep(grace) => {}
        }
        shared.advance(Phase::Ending);
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, all_gone.recv()).await;
        // With those who accept go the sessions that they accepted, if there still are any.
        acceptors.shutdown().await;
        let cut = shared.cut.load(Ordering::Relaxed);
        let unproved = shared.unproved.load(Ordering::Relaxed);
        shared.tell(None, EventKind::Stopped { cut, unproved });
    }
}

impl Control {
    /// Exchanges the configuration. Sessions go on as they began, and their transfers with them; whoever connects or
    /// logs in from now on finds the new one. Listeners and the observer stay as they are. A limit of bandwidth that is
    /// changed holds at once, one that was not there before for transfers that begin from now on.
    ///
    /// Give trees that stay the same by the same stores: two stores of one directory do not see each other's changes
    /// until they count anew, and quotas would not be kept while sessions of both are there.
    ///
    /// # Errors
    /// [`ServeError`] when it cannot be served; the old one still holds then.
    pub fn reload(&self, config: Config) -> Result<(), ServeError> {
        let _one = self.shared.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.shared.active();
        let active = Arc::new(Active::new(config, Some(&before))?);
        self.shared.set_rates(&active.config.limits);
        *self.shared.active.write().unwrap_or_else(PoisonError::into_inner) = active;
        self.shared.tell(None, EventKind::Reloaded);
        Ok(())
    }

    /// Begins the end: see [`Server::run`].
    pub fn drain(&self) {
        self.shared.advance(Phase::Draining);
    }

    /// Ends at once: transfers are stopped and answered, all are told 421.
    pub fn end(&self) {
        self.shared.advance(Phase::Ending);
    }

    /// Whose dialogues are told as [`EventKind::Dialogue`], from now on and also of sessions that run.
    pub fn trace(&self, trace: Trace) {
        self.shared.trace.set(trace);
    }

    /// Sessions at this moment.
    pub fn sessions(&self) -> usize {
        self.shared.seats.count()
    }

    /// Protected data connections since the start that did not resume the TLS session of their control connection,
    /// where that is preferred: those who would fail if it were required.
    pub fn unproved(&self) -> u64 {
        self.shared.unproved.load(Ordering::Relaxed)
    }

    /// Sessions at once as the newest configuration and the descriptors of this process allow.
    pub fn session_limit(&self) -> usize {
        self.shared.active().session_limit
    }
}

/// Makes a server and runs it: see [`Server::new`] and [`Server::run`].
///
/// # Errors
/// [`ServeError`] when the configuration cannot be served at all; nothing has been accepted then.
pub async fn run(
    listeners: Listeners,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    Server::new(config)?.run(listeners, shutdown).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_bound_sessions() {
        assert_eq!(sessions_for(10_000, None), 10_000);
        assert_eq!(sessions_for(10_000, Some(20_000)), 10_000);
        assert_eq!(sessions_for(100_000, Some(20_000)), 19_000);
        assert_eq!(sessions_for(10_000, Some(1_000)), 936);
        assert_eq!(sessions_for(10_000, Some(128)), 64);
        assert_eq!(sessions_for(10_000, Some(20)), 1);
        assert_eq!(sessions_for(5, Some(1_000)), 5);
    }
}
