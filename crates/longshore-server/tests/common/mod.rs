//! A server of its own for each test, run in this process over real sockets, and what its tests share.
//!
//! Nothing here sleeps: a test waits for a reply, an event or the end of a connection, and [`PATIENCE`] only turns
//! a hang into a failure.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod backends;
pub(crate) mod client;
pub(crate) mod formed;
pub(crate) mod ground;
pub(crate) mod slow_disk;
pub(crate) mod tls;
pub(crate) mod wire;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use longshore_server::accounts::{Account, MemoryAccounts, Permissions};
use longshore_server::storage::{Backend, Durability};
use longshore_server::{Config, Control, Event, EventKind, ListenerOptions, Listeners, Trees};
use tokio::sync::{mpsc, oneshot};

pub(crate) use client::{Client, Data};
pub(crate) use longshore_server::reply::Situation;

/// How long anything may take before the test fails. Not a measure of anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A time-out of the server that a test waits for: long enough for what the test does before it on a busy machine.
pub(crate) const SHORT: Duration = Duration::from_secs(1);
/// More than the buffers of both kernels hold between a server and a client that does not read.
pub(crate) const MORE_THAN_BUFFERS_BYTES: usize = 24 * 1024 * 1024;

pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const HERE_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// Another address of this machine, which is a stranger to a client at [`HERE`].
pub(crate) const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// The one who may do everything.
pub(crate) const USER: &str = "anna";
pub(crate) const PASSWORD: &str = "correct horse";

/// The account of this name, which sees the one tree from its root.
pub(crate) fn account(name: &str, permissions: Permissions) -> Account {
    Account { permissions, ..Account::new(name, "files") }
}

/// `anna` may do everything, anonymous may read.
pub(crate) fn accounts() -> MemoryAccounts {
    MemoryAccounts::new()
        .with_account(account(USER, Permissions::ALL), PASSWORD)
        .with_anonymous(account("anonymous", Permissions::READ_ONLY))
}

/// A running server.
pub(crate) struct Server {
    addresses: Vec<SocketAddr>,
    ports: Ports,
    events: Arc<Events>,
    control: Control,
    shutdown: Option<oneshot::Sender<()>>,
    clock: mpsc::UnboundedSender<(Duration, std::sync::mpsc::Sender<()>)>,
    finished: Mutex<Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What is particular about a server.
pub(crate) struct Setup {
    config: Config,
    addresses: Vec<(IpAddr, ListenerOptions)>,
    ports: u16,
    worker_threads: usize,
}

impl Setup {
    pub(crate) fn of(backend: impl Backend) -> Setup {
        let mut config = Config::new(accounts(), Trees::one("files", backend));
        // The order of writes and syncs is tested where the store is; here it would only take time.
        config.durability = Durability::None;
        // What runs is stopped at once: few tests are about how a server lets it finish.
        config.limits.drain_grace = Duration::ZERO;
        let addresses = [HERE, HERE_V6].map(|address| (address, ListenerOptions::default())).into();
        Setup { config, addresses, ports: 8, worker_threads: 2 }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Config)) -> Setup {
        change(&mut self.config);
        self
    }

    /// How many passive ports there are.
    pub(crate) fn ports(mut self, count: u16) -> Setup {
        self.ports = count;
        self
    }

    /// Listens there too.
    pub(crate) fn listening(self, address: IpAddr) -> Setup {
        self.listening_with(address, ListenerOptions::default())
    }

    /// Listens there too, with options of its own; see [`Server::added`].
    pub(crate) fn listening_with(mut self, address: IpAddr, options: ListenerOptions) -> Setup {
        self.addresses.push((address, options));
        self
    }

    /// All sessions on one thread: one that does not give way is noticed by the others, and
    /// [`Server::advance`] can move the clock.
    pub(crate) fn on_one_thread(mut self) -> Setup {
        self.worker_threads = 1;
        self
    }

    pub(crate) fn start(self) -> Server {
        let Setup { mut config, addresses, ports, worker_threads } = self;
        let ports = Ports::claim(ports);
        config.passive_ports = ports.range();
        let events = Arc::new(Events::default());
        config.observer = events.clone();
        let server = longshore_server::Server::new(config).expect("the configuration is sound");
        let control = server.control();
        let (shutdown, asked) = oneshot::channel();
        let (clock, mut moves) = mpsc::unbounded_channel::<(Duration, std::sync::mpsc::Sender<()>)>();
        let (listening, bound) = channel();
        let (finish, finished) = channel();
        let thread = std::thread::spawn(move || {
            let mut builder = match worker_threads {
                1 => tokio::runtime::Builder::new_current_thread(),
                _ => tokio::runtime::Builder::new_multi_thread(),
            };
            if worker_threads > 1 {
                builder.worker_threads(worker_threads);
            }
            let runtime = builder.enable_all().build().expect("a runtime starts");
            runtime.block_on(async {
                let mut listeners = Listeners::new();
                for (address, options) in addresses {
                    let address = SocketAddr::new(address, 0);
                    listeners.listen_with(address, options).expect("any port will do");
                }
                listening.send(listeners.addresses()).expect("the test waits for it");
                let serving = server.run(listeners, async move { asked.await.unwrap_or_default() });
                let mut serving = std::pin::pin!(serving);
                loop {
                    tokio::select! {
                        () = &mut serving => break,
                        Some((by, done)) = moves.recv() => {
                            tokio::time::pause();
                            tokio::time::advance(by).await;
                            tokio::time::resume();
                            let _ = done.send(());
                        }
                    }
                }
            });
            // Nobody listens when the test has failed already.
            let _ = finish.send(());
        });
        let addresses = bound.recv_timeout(PATIENCE).expect("the server listens");
        Server {
            addresses,
            ports,
            events,
            control,
            shutdown: Some(shutdown),
            clock,
            finished: Mutex::new(finished),
            thread: Some(thread),
        }
    }
}

impl Server {
    /// A server of this tree and nothing particular.
    pub(crate) fn of(backend: impl Backend) -> Server {
        Setup::of(backend).start()
    }

    /// Its address of this family and kind.
    #[track_caller]
    pub(crate) fn address(&self, at: IpAddr) -> SocketAddr {
        *self.addresses.iter().find(|address| address.ip() == at).expect("it listens there")
    }

    /// The address of this listener among those that [`Setup::listening_with`] has added, counted from 0.
    #[track_caller]
    pub(crate) fn added(&self, index: usize) -> SocketAddr {
        self.addresses[2 + index]
    }

    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// Exchanges the configuration for another one on the same ports.
    #[track_caller]
    pub(crate) fn reload(&self, setup: Setup) {
        let config = Config { passive_ports: self.ports.range(), ..setup.config };
        self.control.reload(config).expect("the configuration is sound");
    }

    /// The passive ports.
    pub(crate) fn ports(&self) -> RangeInclusive<u16> {
        self.ports.range()
    }

    /// A client that has been greeted.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        self.client_at(HERE)
    }

    /// A greeted client at this address of the server.
    #[track_caller]
    pub(crate) fn client_at(&self, at: IpAddr) -> Client {
        let mut client = Client::connect(self.address(at));
        client.expect(220);
        client
    }

    /// A client that may do everything, in TYPE I.
    #[track_caller]
    pub(crate) fn anna(&self) -> Client {
        self.anna_at(HERE)
    }

    #[track_caller]
    pub(crate) fn anna_at(&self, at: IpAddr) -> Client {
        let mut client = self.client_at(at);
        client.log_in(USER, PASSWORD);
        client.command("TYPE I", 200);
        client
    }

    /// Moves the server's clock forward. Only for one [on one thread](Setup::on_one_thread).
    pub(crate) fn advance(&self, by: Duration) {
        let (done, moved) = channel();
        self.clock.send((by, done)).expect("the server runs");
        moved.recv_timeout(PATIENCE).expect("the clock is moved");
    }

    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// Tells it to end, without waiting.
    pub(crate) fn shut_down(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
    }

    /// Waits until `run` has returned.
    #[track_caller]
    pub(crate) fn wait_for_end(&mut self) {
        self.finished
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .recv_timeout(PATIENCE)
            .expect("the server ends");
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server ends in order");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
        if !std::thread::panicking() && self.thread.is_some() {
            self.wait_for_end();
        }
    }
}

/// All that a server has told.
#[derive(Default)]
pub(crate) struct Events {
    told: Mutex<Vec<Event>>,
    more: Condvar,
}

impl longshore_server::Observer for Events {
    fn observe(&self, event: &Event) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        self.more.notify_all();
    }
}

impl Events {
    /// Those of sessions, not of the server as a whole.
    pub(crate) fn of_sessions(&self) -> Vec<Event> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().filter(|event| event.session.is_some()).cloned().collect()
    }

    /// Forgets what was told so far, and keeps no memory of it.
    pub(crate) fn forget(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
    }

    /// The first `count` events of which `wanted` makes something, once they have been told.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, count: usize, wanted: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        let limit = Instant::now() + PATIENCE;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let found: Vec<T> = told.iter().filter_map(&wanted).take(count).collect();
            if found.len() == count {
                return found;
            }
            let left = limit.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not told in time, but only {told:#?}");
            told = self.more.wait_timeout(told, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The `nth` transfer, counted from 1, once it has ended: its situation and bytes.
    #[track_caller]
    pub(crate) fn transfer(&self, nth: usize) -> (Situation, u64) {
        let ended = |event: &Event| match event.kind {
            EventKind::Transfer { situation, bytes, .. } => Some((situation, bytes)),
            _ => None,
        };
        *self.wait_for(nth, ended).last().expect("as many as were asked for")
    }

    /// Waits until `count` sessions have ended.
    #[track_caller]
    pub(crate) fn sessions_ended(&self, count: usize) {
        self.wait_for(count, |event| matches!(event.kind, EventKind::Ended { .. }).then_some(()));
    }
}

/// Passive ports that no other test uses while this value lives.
///
/// They lie below the range from which the kernel takes the ports of outgoing connections. The claim is a UDP
/// socket on each, which does not get in the way of TCP but is seen by tests in other processes.
struct Ports {
    range: RangeInclusive<u16>,
    _claims: Vec<UdpSocket>,
}

impl Ports {
    fn claim(count: u16) -> Ports {
        // Two tests of this process must not probe the same port at the same time.
        static PROBING: Mutex<()> = Mutex::new(());
        let _alone = PROBING.lock().unwrap_or_else(PoisonError::into_inner);
        for start in (20_000..30_000 - count).step_by(usize::from(count)) {
            let range = start..=start + count - 1;
            let claims: io::Result<Vec<_>> =
                range.clone().map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port))).collect();
            let free = |port| {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
                    && TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok()
            };
            if let Ok(claims) = claims
                && range.clone().all(free)
            {
                return Ports { range, _claims: claims };
            }
        }
        panic!("no {count} free ports in a row between 20000 and 30000");
    }

    fn range(&self) -> RangeInclusive<u16> {
        self.range.clone()
    }
}

/// Octets that differ everywhere, so that a piece which is lost, doubled or moved shows.
pub(crate) fn octets(count: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut octets = Vec::with_capacity(count + 8);
    while octets.len() < count {
        octets.extend_from_slice(&random.next().to_le_bytes());
    }
    octets.truncate(count);
    octets
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Fails without showing megabytes when octets differ.
#[track_caller]
pub(crate) fn check_octets(found: &[u8], expected: &[u8]) {
    if found != expected {
        let differ = found.iter().zip(expected).position(|(found, expected)| found != expected);
        panic!("{} octets instead of {}, the first difference at {differ:?}", found.len(), expected.len());
    }
}

/// For a test that this machine does not allow: says so, and fails where everything has to run.
#[expect(clippy::print_stderr, reason = "whoever reads the test's output must see what was left out")]
pub(crate) fn not_run(reason: &str) {
    assert!(std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "not run: {reason}");
    eprintln!("not run: {reason}");
}
