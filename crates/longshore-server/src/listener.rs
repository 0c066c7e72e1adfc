//! Accepting control connections, and the life of the server as a whole.
//!
//! Not inside: what happens within a session. A session that panics ends alone: its client is told 421, the
//! observer is told what the panic said, and the others notice nothing.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use longshore_net::{PassivePool, PoolError};
use longshore_proto::reply::{Reply, Situation};
use longshore_proto::server::{Connection, Policy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::driver::Driver;
use crate::events::{Event, EventKind};
use crate::limits::{ACCEPT_REST, SHUTDOWN_GRACE};
use crate::work::Pool;

/// The sockets on which a server listens for control connections.
#[derive(Debug, Default)]
pub struct Listeners {
    listeners: Vec<TcpListener>,
}

impl Listeners {
    /// None yet.
    pub fn new() -> Listeners {
        Listeners::default()
    }

    /// Listens on one more address; port 0 takes any that is free. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`longshore_net::ListenError`], which names the address, the cause and the remedy.
    pub fn listen(&mut self, address: SocketAddr) -> Result<SocketAddr, longshore_net::ListenError> {
        let listener = longshore_net::control_listener(address)?;
        let bound = listener.local_addr().unwrap_or(address);
        self.listeners.push(listener);
        Ok(bound)
    }

    /// The addresses, with their true ports.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }
}

/// Why a server could not begin.
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

/// What all sessions of a server share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) passive: PassivePool,
    pub(crate) pool: Pool,
    policy: Arc<Policy>,
    /// The policy of connections from this machine itself, where clear passwords harm nobody and no NAT stands
    /// between.
    policy_at_home: Arc<Policy>,
    seats: Seats,
    numbers: AtomicU64,
}

impl Shared {
    pub(crate) fn policy_for(&self, connection: &Connection) -> Arc<Policy> {
        let home = (self.config.is_home)(connection.peer.ip());
        if home { self.policy_at_home.clone() } else { self.policy.clone() }
    }

    fn tell(&self, session: u64, peer: SocketAddr, kind: EventKind) {
        self.config.observer.observe(&Event { session, peer, account: None, kind });
    }
}

/// Counts the sessions, in all and by address.
#[derive(Default)]
struct Seats(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A session's place; given back when dropped.
struct Seat {
    shared: Arc<Shared>,
    address: IpAddr,
}

impl Seats {
    fn take(shared: &Arc<Shared>, address: IpAddr) -> Result<Seat, Reply> {
        let mut taken = shared.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (most, most_here) = (shared.config.max_sessions, shared.config.max_sessions_per_address);
        if taken.all >= most {
            return Err(Reply::new(Situation::Full).with("limit", most));
        }
        let here = taken.by_address.get(&address).copied().unwrap_or(0);
        if here >= most_here && !(shared.config.is_home)(address) {
            return Err(Reply::new(Situation::FullForAddress)
                .with("limit", most_here)
                .with("address", address.to_string()));
        }
        taken.all += 1;
        taken.by_address.insert(address, here + 1);
        Ok(Seat { shared: shared.clone(), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.shared.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

/// Serves until `shutdown` is ready, then ends every session in order: transfers are stopped and answered, all are
/// told 421.
///
/// # Errors
/// [`ServeError`] when the configuration cannot be served at all; nothing has been accepted then.
pub async fn run(
    listeners: Listeners,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let passive = PassivePool::new(config.passive_ports.clone()).map_err(ServeError::PassivePorts)?;
    let policy = Policy {
        passive_ports: config.passive_ports.clone(),
        clear_passwords: config.clear_passwords,
        ..config.policy.clone()
    };
    let shared = Arc::new(Shared {
        passive,
        pool: Pool::new(),
        policy_at_home: Arc::new(Policy { clear_passwords: true, public_address: None, ..policy.clone() }),
        policy: Arc::new(policy),
        seats: Seats::default(),
        numbers: AtomicU64::new(0),
        config,
    });
    let (end, ended) = watch::channel(false);
    let mut acceptors = JoinSet::new();
    // Each session holds a sender: when the last is gone, all have ended.
    let (alive, mut all_gone) = tokio::sync::mpsc::channel::<()>(1);
    for listener in listeners.listeners {
        acceptors.spawn(accept(listener, shared.clone(), ended.clone(), alive.clone()));
    }
    drop(alive);
    shutdown.await;
    acceptors.shutdown().await;
    // Nobody listens when there is no session, which is fine.
    let _ = end.send(true);
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, all_gone.recv()).await;
    Ok(())
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    ended: watch::Receiver<bool>,
    alive: tokio::sync::mpsc::Sender<()>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => greet(stream, peer, &shared, &ended, &alive),
            // The connection itself died before it was accepted; or descriptors ran out, and one may come free.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(ACCEPT_REST).await,
        }
    }
}

fn greet(
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    ended: &watch::Receiver<bool>,
    alive: &tokio::sync::mpsc::Sender<()>,
) {
    let Ok(local) = stream.local_addr() else { return };
    let connection =
        Connection { local: longshore_net::normalise(local), peer: longshore_net::normalise(peer) };
    let number = shared.numbers.fetch_add(1, Ordering::Relaxed) + 1;
    // A socket that takes no options is one whose client is gone.
    if longshore_net::prepare_control(&stream).is_err() {
        return;
    }
    let seat = match Seats::take(shared, connection.peer.ip()) {
        Ok(seat) => seat,
        Err(reply) => {
            say_last(&stream, shared, &reply);
            shared.tell(number, connection.peer, EventKind::SentAway { situation: reply.situation });
            return;
        }
    };
    let stream = Arc::new(stream);
    // Boxed, for a value that moves into a future takes its room there twice.
    let mut driver = Box::new(Driver::new(shared.clone(), number, stream.clone(), connection, ended.clone()));
    let (shared, alive) = (shared.clone(), alive.clone());
    tokio::spawn(async move {
        let outcome = contained(driver.run()).await;
        drop(driver);
        if let Err(payload) = outcome {
            say_last(&stream, &shared, &Reply::new(Situation::Fault));
            let message = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            shared.tell(number, connection.peer, EventKind::Fault { message });
        }
        drop(seat);
        drop(alive);
    });
}

/// Runs a session to its end or to its panic. What it held is dropped either way and never polled again, so nobody
/// sees it half-changed.
async fn contained(session: impl Future<Output = ()>) -> std::thread::Result<()> {
    let mut session = std::pin::pin!(session);
    std::future::poll_fn(|context| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| session.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    })
    .await
}

/// One reply without a session. A client that cannot take one line at once is not waited for.
fn say_last(stream: &TcpStream, shared: &Shared, reply: &Reply) {
    let mut bytes = Vec::new();
    reply.write(shared.config.texts.as_ref(), &mut bytes);
    let _ = stream.try_write(&bytes);
}
