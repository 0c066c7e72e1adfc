//! The link itself: datagrams in at one side, and out at the other when they are due.
//!
//! Not inside: namespaces and addresses.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use super::Link;
use super::packet;

/// The longest datagram that is read, in bytes.
const DATAGRAM_BYTES: usize = 64 * 1024;
/// What may wait in a socket until it is dated, in bytes.
const SOCKET_BYTES: usize = 16 << 20;
/// How long a side waits for a datagram before it looks whether the end has come.
const LOOK: Duration = Duration::from_millis(50);

/// Both directions, until it is dropped.
#[derive(Debug)]
pub(super) struct Carrier {
    ends: [Arc<Direction>; 2],
    threads: Vec<JoinHandle<()>>,
}

/// What is under way in one direction.
#[derive(Debug, Default)]
struct Direction {
    /// In the order in which they are due.
    under_way: Mutex<VecDeque<(Instant, Vec<u8>)>>,
    changed: Condvar,
    is_over: AtomicBool,
}

/// When the sender is free again, and which packets are lost.
#[derive(Debug)]
pub(super) struct Schedule {
    link: Link,
    free_at: Instant,
    random: u64,
}

impl Schedule {
    pub(super) fn new(link: Link, now: Instant, seed: u64) -> Schedule {
        Schedule { link, free_at: now, random: 0x9E37_79B9_7F4A_7C15 ^ seed }
    }

    /// When a packet of this size arrives that is handed over now; `None` when it is lost.
    pub(super) fn due(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let bytes_per_second = self.link.rate_bits_per_second / 8.0;
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        let begins = self.free_at.max(now);
        let waiting_bytes = (begins - now).as_secs_f64() * bytes_per_second;
        if waiting_bytes + bytes as f64 > self.link.queue_bytes as f64 {
            return None;
        }
        self.free_at = begins + Duration::from_secs_f64(bytes as f64 / bytes_per_second);
        // What is lost has been sent: it has used the link like any other.
        (share >= self.link.loss).then(|| self.free_at + self.link.round_trip / 2)
    }
}

impl Carrier {
    /// Passes what comes in at each socket to the address of the other side.
    pub(super) fn start(
        sockets: [UdpSocket; 2],
        addresses: [SocketAddr; 2],
        link: Link,
    ) -> io::Result<Carrier> {
        let ends = [Arc::<Direction>::default(), Arc::<Direction>::default()];
        // Made first: on an error, its drop ends the threads that run already.
        let mut carrier = Carrier { ends, threads: Vec::new() };
        for (from, to) in [(0, 1), (1, 0)] {
            let (input, output) = (sockets[from].try_clone()?, sockets[to].try_clone()?);
            input.set_read_timeout(Some(LOOK))?;
            // What is lost is for the schedule to say, not for a socket that is full while a thread waits for its turn.
            set_socket_recv_buffer_size_force(&input, SOCKET_BYTES)?;
            let direction = &carrier.ends[from];
            let (source, target) = (Arc::clone(direction), Arc::clone(direction));
            let address = addresses[to];
            carrier.threads.push(thread::spawn(move || take(&source, &input, link, from as u64 + 1)));
            carrier.threads.push(thread::spawn(move || deliver(&target, &output, address)));
        }
        Ok(carrier)
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        for direction in &self.ends {
            direction.is_over.store(true, Ordering::Relaxed);
            direction.changed.notify_one();
        }
        for thread in self.threads.drain(..) {
            // A panic there was shown when it happened.
            let _ = thread.join();
        }
    }
}

impl Direction {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// Reads datagrams and dates each.
fn take(direction: &Direction, socket: &UdpSocket, link: Link, seed: u64) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    let mut schedule = Schedule::new(link, Instant::now(), seed);
    while !direction.is_over() {
        // Nothing within the time is no error; what else may go wrong here ends with the namespaces.
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        let datagram = &mut buffer[..length];
        packet::complete(datagram);
        let Some(due) = schedule.due(Instant::now(), packet::counted_bytes(datagram)) else { continue };
        let mut under_way = direction.under_way.lock().expect("no thread panics with the queue in hand");
        under_way.push_back((due, datagram.to_vec()));
        direction.changed.notify_one();
    }
}

/// Sends each datagram on when it is due.
#[expect(clippy::disallowed_methods, reason = "a packet is due at a time, and nothing else tells of it")]
fn deliver(direction: &Direction, socket: &UdpSocket, address: SocketAddr) {
    while !direction.is_over() {
        let mut under_way = direction.under_way.lock().expect("no thread panics with the queue in hand");
        let Some((due, datagram)) = under_way.pop_front() else {
            let waited = direction.changed.wait_timeout(under_way, LOOK);
            drop(waited.expect("no thread panics with the queue in hand"));
            continue;
        };
        drop(under_way);
        let wait = due.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            thread::sleep(wait);
        }
        // A link loses what it cannot deliver.
        let _ = socket.send_to(&datagram, address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        // One byte takes one microsecond.
        Link {
            round_trip: Duration::from_millis(20),
            rate_bits_per_second: 8e6,
            loss: 0.0,
            queue_bytes: 3000,
            mtu_bytes: 1500,
        }
    }

    #[test]
    fn packets_queue_behind_each_other_and_travel_side_by_side() {
        let now = Instant::now();
        let mut schedule = Schedule::new(link(), now, 1);
        let due = [1000, 1000].map(|bytes| schedule.due(now, bytes).expect("not lost") - now);
        assert_eq!(due, [Duration::from_millis(11), Duration::from_millis(12)]);
        let later = now + Duration::from_secs(1);
        assert_eq!(schedule.due(later, 500), Some(later + Duration::from_micros(10_500)));
    }

    #[test]
    fn a_full_queue_loses_packets_until_there_is_room() {
        let now = Instant::now();
        let mut schedule = Schedule::new(link(), now, 1);
        let lost = [1500, 1500, 1500].map(|bytes| schedule.due(now, bytes).is_none());
        assert_eq!(lost, [false, false, true]);
        assert!(schedule.due(now + Duration::from_millis(2), 1500).is_some());
    }

    #[test]
    fn the_share_that_is_lost_is_as_asked() {
        let now = Instant::now();
        let mut schedule = Schedule::new(Link { loss: 0.25, queue_bytes: usize::MAX, ..link() }, now, 1);
        let lost = (0..10_000).filter(|_| schedule.due(now, 100).is_none()).count();
        assert!((2300..2700).contains(&lost), "{lost} of 10000");
    }
}
