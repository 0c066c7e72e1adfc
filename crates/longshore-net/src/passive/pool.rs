//! Which port is next, and when a listener opens and closes.
//!
//! Not inside: connections; see [`super::listener`].

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::io::Errno;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::listener::{Left, Listener, Opening};
use super::{LocalAddress, PeerKey, PeerRule, PoolError, Reservation, ReserveError};
use crate::limits::{WARM_LISTENERS, WARM_TIME, WARM_TIMES};

/// A range of ports for passive data connections. Clones share one pool; it is safe to use from
/// any number of threads.
///
/// Ports are handed out in the order in which they were last reserved or given back, oldest first:
/// a port that a peer has just given back is the last one that it gets again, so that late packets
/// and late connections of one transfer do not meet the next. Ports on which nobody listens come
/// before ports that have to be shared. A port that another program holds is passed over and goes
/// to the end of the order.
///
/// A port whose peer has connected once, as it was told to, goes on listening for a moment
/// ([`WARM_TIME`]) when it is given back, and is handed out before all others: opening a listener
/// for each of many small files costs more than sending them. Nobody who was sent to that port is
/// still on its way then, and whoever connects meanwhile is closed before the port is promised
/// anew. At most [`WARM_LISTENERS`] do so at once, and each [`WARM_TIMES`] times in a row: a client
/// that closes first cannot use its own port with the same one of ours again for a minute, and has
/// only some ten thousand.
///
/// Memory grows with the range (about 100 bytes for each port) and the reservations that live.
#[derive(Debug, Clone)]
pub struct PassivePool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    ports: RangeInclusive<u16>,
    order: Mutex<Order>,
}

/// Position in the order; smaller is older. 64 bits do not run out.
type Turn = u64;

#[derive(Debug)]
struct Order {
    next_turn: Turn,
    /// Ports on which we do not listen at any address.
    idle: BTreeSet<(Turn, u16)>,
    /// Ports on which we listen at one address at least.
    open: BTreeSet<(Turn, u16)>,
    /// One for each port of the range, in order.
    slots: Vec<Slot>,
    first_port: u16,
    /// Listeners that nobody has reserved, the oldest first.
    warm: VecDeque<Warm>,
    /// Whether a task will close those that stay.
    swept: bool,
}

/// A listener that nobody has reserved at the moment. Its slot holds it.
#[derive(Debug)]
struct Warm {
    local: LocalAddress,
    port: u16,
    since: Instant,
}

#[derive(Debug)]
struct Slot {
    turn: Turn,
    listeners: Vec<(LocalAddress, Arc<Listener>)>,
}

impl Slot {
    fn listener(&self, local: LocalAddress) -> Option<&Arc<Listener>> {
        self.listeners.iter().find(|(address, _)| *address == local).map(|(_, listener)| listener)
    }
}

impl PassivePool {
    /// A pool of all `ports`. Nothing is bound yet.
    ///
    /// A range outside the kernel's own (`net.ipv4.ip_local_port_range`) is best: inside it, each
    /// outgoing connection of the machine makes a port busy.
    ///
    /// # Errors
    ///
    /// [`PoolError`] if the range is empty or contains port 0.
    pub fn new(ports: RangeInclusive<u16>) -> Result<Self, PoolError> {
        if ports.is_empty() {
            return Err(PoolError::Empty { ports });
        }
        if *ports.start() == 0 {
            return Err(PoolError::Zero { ports });
        }
        let turns = || (0..).zip(ports.clone());
        let order = Order {
            next_turn: turns().count() as Turn,
            idle: turns().collect(),
            open: BTreeSet::new(),
            slots: turns().map(|(turn, _)| Slot { turn, listeners: Vec::new() }).collect(),
            first_port: *ports.start(),
            warm: VecDeque::new(),
            swept: false,
        };
        Ok(Self { shared: Arc::new(Shared { ports, order: Mutex::new(order) }) })
    }

    /// The range of this pool.
    #[must_use]
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.shared.ports.clone()
    }

    /// Reserves a port on `local`, the address that the control connection reached, for one
    /// connection of `peer`. From its return on, the port accepts connections.
    ///
    /// A link-local IPv6 address cannot be bound without its scope: see
    /// [`PassivePool::reserve_beside`].
    ///
    /// # Errors
    ///
    /// [`ReserveError`].
    pub fn reserve(&self, local: IpAddr, peer: PeerRule) -> Result<Reservation, ReserveError> {
        self.reserve_beside(SocketAddr::new(local, 0), peer)
    }

    /// As [`PassivePool::reserve`], on the local address of a control connection, with its scope if
    /// it has one. The port of that address does not matter.
    ///
    /// # Errors
    ///
    /// [`ReserveError`].
    pub fn reserve_beside(
        &self,
        control_local: SocketAddr,
        peer: PeerRule,
    ) -> Result<Reservation, ReserveError> {
        let local = LocalAddress::of(control_local);
        let failed = |errno: Errno| match errno {
            Errno::ADDRNOTAVAIL => ReserveError::NotHere { local: local.0.ip() },
            other => ReserveError::System { local: local.0.ip(), source: other.into() },
        };
        let key = peer.key();
        let mut order = self.shared.lock();
        let mut busy = 0;
        let found = match order.take_warm(local) {
            Some(warm) => Some(warm),
            None => match order.open_fresh(local, &mut busy).map_err(failed)? {
                Some(fresh) => Some(fresh),
                None => order.shareable(local, key),
            },
        };
        let Some((port, listener)) = found else {
            let reserved = order.slots.iter().filter(|slot| slot.listener(local).is_some()).count();
            return Err(ReserveError::Exhausted { ports: self.ports(), local: local.0.ip(), reserved, busy });
        };
        listener.join(key).map_err(failed)?;
        order.move_to_end(port);
        drop(order);
        Ok(Reservation::new(Arc::clone(&self.shared), listener, key, local, port))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Order> {
        // Nothing in here panics half-way through a change.
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the reservation of `key`; the last one closes the listener, at once or after a while. The descriptor is
    /// closed before the lock is free: otherwise the port would look idle, but binding it would fail.
    pub(super) fn release(
        self: &Arc<Self>,
        listener: Arc<Listener>,
        key: PeerKey,
        local: LocalAddress,
        port: u16,
    ) {
        let mut order = self.lock();
        match listener.leave(key) {
            Left::Others => {}
            Left::NobodyAndThrough
                if order.warm.len() < WARM_LISTENERS
                    && listener.served() < WARM_TIMES
                    && order.is_swept(self) =>
            {
                order.warm.push_back(Warm { local, port, since: Instant::now() });
            }
            Left::Nobody | Left::NobodyAndThrough => order.slot(port).forget(local),
        }
        drop(listener);
        order.move_to_end(port);
    }
}

/// Closes the listeners that nobody has reserved for a while, until there are none.
async fn sweep(pool: Weak<Shared>) {
    loop {
        tokio::time::sleep(WARM_TIME).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut order = pool.lock();
        while order.warm.front().is_some_and(|warm| warm.since.elapsed() >= WARM_TIME) {
            order.cool();
        }
        if order.warm.is_empty() {
            order.swept = false;
            return;
        }
    }
}

impl Slot {
    fn forget(&mut self, local: LocalAddress) {
        self.listeners.retain(|(address, _)| *address != local);
    }
}

impl Order {
    fn slot(&mut self, port: u16) -> &mut Slot {
        &mut self.slots[usize::from(port - self.first_port)]
    }

    /// A listener at `local` that is open already, and has no connection.
    fn take_warm(&mut self, local: LocalAddress) -> Option<(u16, Arc<Listener>)> {
        while let Some(place) = self.warm.iter().position(|warm| warm.local == local) {
            let Warm { port, .. } = self.warm.remove(place)?;
            let listener = self.slot(port).listener(local).cloned();
            match listener {
                Some(listener) if listener.discard_pending() => return Some((port, listener)),
                // More come than can be closed, or it does not work any more.
                _ => {
                    self.slot(port).forget(local);
                    self.move_to_end(port);
                }
            }
        }
        None
    }

    /// Closes the listener that has waited longest.
    fn cool(&mut self) {
        if let Some(Warm { local, port, .. }) = self.warm.pop_front() {
            self.slot(port).forget(local);
            self.move_to_end(port);
        }
    }

    /// Whether somebody closes what stays open: only where there is a runtime.
    fn is_swept(&mut self, pool: &Arc<Shared>) -> bool {
        if !self.swept
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(sweep(Arc::downgrade(pool)));
            self.swept = true;
        }
        self.swept
    }

    /// Puts `port` at the end of the order, among idle or open ports as its slot says.
    fn move_to_end(&mut self, port: u16) {
        let turn = self.next_turn;
        self.next_turn += 1;
        let slot = self.slot(port);
        let before = std::mem::replace(&mut slot.turn, turn);
        let open = !slot.listeners.is_empty();
        if !self.idle.remove(&(before, port)) {
            self.open.remove(&(before, port));
        }
        if open { &mut self.open } else { &mut self.idle }.insert((turn, port));
    }

    /// Opens a listener on the oldest port that can be bound, counting those that cannot.
    fn open_fresh(
        &mut self,
        local: LocalAddress,
        busy: &mut usize,
    ) -> rustix::io::Result<Option<(u16, Arc<Listener>)>> {
        let mut spare = None;
        // Busy ports get a turn from here on, so that each is tried once.
        let end = self.next_turn;
        while let Some(&(turn, port)) = self.idle.first()
            && turn < end
        {
            match self.open_at(local, port, &mut spare)? {
                Some(listener) => return Ok(Some((port, listener))),
                None => {
                    *busy += 1;
                    self.move_to_end(port);
                }
            }
        }
        // The same port number at another address is another port.
        let elsewhere: Vec<u16> = (self.open.iter().map(|&(_, port)| port))
            .filter(|&port| self.slots[usize::from(port - self.first_port)].listener(local).is_none())
            .collect();
        for port in elsewhere {
            match self.open_at(local, port, &mut spare)? {
                Some(listener) => return Ok(Some((port, listener))),
                None => *busy += 1,
            }
        }
        Ok(None)
    }

    fn open_at(
        &mut self,
        local: LocalAddress,
        port: u16,
        spare: &mut Option<OwnedFd>,
    ) -> rustix::io::Result<Option<Arc<Listener>>> {
        match Listener::open(local.with_port(port), spare)? {
            Opening::Busy => Ok(None),
            Opening::Open(listener) => {
                let listener = Arc::new(listener);
                self.slot(port).listeners.push((local, Arc::clone(&listener)));
                Ok(Some(listener))
            }
        }
    }

    /// The oldest port at `local` whose listener can take `key` as well.
    fn shareable(&mut self, local: LocalAddress, key: PeerKey) -> Option<(u16, Arc<Listener>)> {
        self.open.iter().find_map(|&(_, port)| {
            let listener = self.slots[usize::from(port - self.first_port)].listener(local)?;
            listener.admits(key).then(|| (port, Arc::clone(listener)))
        })
    }
}
