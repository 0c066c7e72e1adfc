//! What is remembered of addresses: connections of the last second, logins that failed, bans.
//!
//! Not inside: how many sessions an address has ([`seats`](crate::seats)), and what a client is told. The number of
//! addresses that are remembered is bounded ([`WATCHED_ADDRESSES`]).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use longshore_accounts::Network;
use tokio::time::Instant;

use crate::config::Limits;
use crate::limits::{LONGEST_BAN, SWEEP_REST, WATCHED_ADDRESSES};

/// Remembers what clients did.
#[derive(Default)]
pub(crate) struct Defence(Mutex<Records>);

#[derive(Default)]
struct Records {
    by_client: HashMap<Network, Record>,
    /// When what says nothing any more was last taken out.
    swept: Option<Instant>,
}

/// What one client did lately.
#[derive(Clone, Copy)]
struct Record {
    failures: u32,
    /// When the first of these failed.
    first_failure: Instant,
    banned_until: Option<Instant>,
    /// When the connections so far would have come at the allowed pace.
    paced_until: Instant,
}

/// Why a connection is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// For so long yet.
    Banned(Duration),
    /// Too many in one second.
    TooFast,
}

/// What a failed login leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Those that failed before it within the window.
    pub(crate) earlier: u32,
    /// Whether this one was the one too many.
    pub(crate) banned: bool,
}

impl Record {
    fn new(now: Instant) -> Record {
        Record { failures: 0, first_failure: now, banned_until: None, paced_until: now }
    }

    /// Whether it says nothing any more.
    fn is_stale(&self, now: Instant, limits: &Limits) -> bool {
        self.banned_until.is_none_or(|until| until <= now)
            && self.paced_until <= now
            && self.failures_within(now, limits) == 0
    }

    fn failures_within(&self, now: Instant, limits: &Limits) -> u32 {
        let over = now.saturating_duration_since(self.first_failure) >= limits.failed_login_window;
        if over { 0 } else { self.failures }
    }

    fn ban_left(&self, now: Instant) -> Option<Duration> {
        self.banned_until.and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero())
    }
}

impl Defence {
    /// A client has connected.
    pub(crate) fn connected(&self, address: IpAddr, limits: &Limits, now: Instant) -> Result<(), Refusal> {
        self.with(address, limits, now, |record| {
            if let Some(left) = record.ban_left(now) {
                return Err(Refusal::Banned(left));
            }
            // A whole second's worth may come at once.
            let pace = Duration::from_secs(1) / limits.connections_per_second_per_address.max(1);
            let next = record.paced_until.max(now) + pace;
            if next > now + Duration::from_secs(1) {
                return Err(Refusal::TooFast);
            }
            record.paced_until = next;
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    /// How long the client is still banned, if it is.
    pub(crate) fn banned(&self, address: IpAddr, limits: &Limits, now: Instant) -> Option<Duration> {
        if limits.is_exempt(address) {
            return None;
        }
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.by_client.get(&Network::of_client(address)).and_then(|record| record.ban_left(now))
    }

    /// The logins of this client that have failed within the window.
    pub(crate) fn failures(&self, address: IpAddr, limits: &Limits, now: Instant) -> u32 {
        if limits.is_exempt(address) {
            return 0;
        }
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let record = records.by_client.get(&Network::of_client(address));
        record.map_or(0, |record| record.failures_within(now, limits))
    }

    /// A login has failed.
    pub(crate) fn login_failed(&self, address: IpAddr, limits: &Limits, now: Instant) -> Failed {
        let failed = self.with(address, limits, now, |record| {
            record.failures = record.failures_within(now, limits);
            if record.failures == 0 {
                record.first_failure = now;
            }
            let earlier = record.failures;
            record.failures += 1;
            let banned = record.failures > limits.failed_logins_per_address;
            if banned {
                record.banned_until = Some(now + limits.ban.min(LONGEST_BAN));
                record.failures = 0;
            }
            Failed { earlier, banned }
        });
        failed.unwrap_or(Failed { earlier: 0, banned: false })
    }

    /// Looks at one record. `None` where nothing is remembered: of exempt addresses, and when there are too many.
    fn with<T>(
        &self,
        address: IpAddr,
        limits: &Limits,
        now: Instant,
        look: impl FnOnce(&mut Record) -> T,
    ) -> Option<T> {
        if limits.is_exempt(address) {
            return None;
        }
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let client = Network::of_client(address);
        if records.by_client.len() >= WATCHED_ADDRESSES && !records.by_client.contains_key(&client) {
            records.make_room(now, limits);
        }
        let room = records.by_client.len() < WATCHED_ADDRESSES;
        match records.by_client.entry(client) {
            Entry::Occupied(entry) => Some(look(entry.into_mut())),
            Entry::Vacant(entry) if room => Some(look(entry.insert(Record::new(now)))),
            Entry::Vacant(_) => None,
        }
    }
}

impl Records {
    /// Takes out what says nothing any more, but not more often than once a second; else the oldest of a few that are
    /// not banned, so that many addresses at once do not keep new ones from being watched.
    fn make_room(&mut self, now: Instant, limits: &Limits) {
        let rested = self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP_REST);
        if rested {
            self.swept = Some(now);
            self.by_client.retain(|_, record| !record.is_stale(now, limits));
        }
        if self.by_client.len() >= WATCHED_ADDRESSES {
            let few = self.by_client.iter().filter(|(_, record)| record.ban_left(now).is_none()).take(16);
            let oldest = few.min_by_key(|(_, record)| record.paced_until).map(|(client, _)| *client);
            if let Some(oldest) = oldest {
                self.by_client.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> Limits {
        Limits {
            connections_per_second_per_address: 4,
            failed_logins_per_address: 2,
            failed_login_window: 60 * SECOND,
            ban: 30 * SECOND,
            ..Limits::default()
        }
    }

    #[test]
    fn so_many_connections_in_a_second() {
        let (defence, limits, start) = (Defence::default(), limits(), Instant::now());
        let connect = |after: u32| defence.connected(THERE, &limits, start + SECOND / 8 * after);
        for _ in 0..4 {
            assert_eq!(connect(0), Ok(()));
        }
        assert_eq!(connect(0), Err(Refusal::TooFast));
        assert_eq!(connect(1), Err(Refusal::TooFast));
        assert_eq!(connect(2), Ok(()));
        assert_eq!(connect(2), Err(Refusal::TooFast));
        // Refused ones do not prolong it.
        assert_eq!(connect(4), Ok(()));
        for _ in 0..100 {
            assert_eq!(defence.connected(HOME, &limits, start), Ok(()), "the loopback is exempt");
        }
    }

    #[test]
    fn failed_logins_lead_to_a_ban_that_ends() {
        let (defence, limits, start) = (Defence::default(), limits(), Instant::now());
        let fail = |after: u32| defence.login_failed(THERE, &limits, start + after * SECOND);
        assert_eq!(fail(0), Failed { earlier: 0, banned: false });
        assert_eq!(fail(1), Failed { earlier: 1, banned: false });
        assert_eq!(defence.banned(THERE, &limits, start + SECOND), None);
        assert_eq!(fail(2), Failed { earlier: 2, banned: true });
        let connect = |after: u32| defence.connected(THERE, &limits, start + after * SECOND);
        assert_eq!(connect(2), Err(Refusal::Banned(30 * SECOND)));
        assert_eq!(connect(31), Err(Refusal::Banned(SECOND)));
        assert_eq!(connect(32), Ok(()));
        // Who has served the ban begins anew.
        assert_eq!(fail(33), Failed { earlier: 0, banned: false });
        // Failures are forgotten in time.
        assert_eq!(fail(92), Failed { earlier: 1, banned: false });
        assert_eq!(fail(93), Failed { earlier: 0, banned: false });
        assert_eq!(defence.login_failed(HOME, &limits, start), Failed { earlier: 0, banned: false });
    }

    /// However long somebody wants it to be.
    #[test]
    fn a_ban_for_ever() {
        let limits = Limits { ban: Duration::MAX, failed_login_window: Duration::MAX, ..limits() };
        let (defence, start) = (Defence::default(), Instant::now());
        for _ in 0..3 {
            defence.login_failed(THERE, &limits, start);
        }
        assert!(defence.banned(THERE, &limits, start + 1_000_000 * SECOND).is_some());
        assert_eq!(defence.failures(THERE, &limits, start), 0, "it has been paid for with the ban");
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_what_is_over() {
        let (defence, limits, start) = (Defence::default(), limits(), Instant::now());
        let client = |number: usize| IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0A00_0000 + number as u32));
        for number in 0..WATCHED_ADDRESSES + 10 {
            assert_eq!(defence.connected(client(number), &limits, start), Ok(()));
        }
        let watched = || defence.0.lock().expect("not poisoned").by_client.len();
        assert_eq!(watched(), WATCHED_ADDRESSES);
        // Those that come then are watched nevertheless.
        let late = client(WATCHED_ADDRESSES + 20);
        for earlier in 0..2 {
            assert_eq!(defence.login_failed(late, &limits, start), Failed { earlier, banned: false });
        }
        assert!(defence.login_failed(late, &limits, start).banned);
        defence
            .connected(client(WATCHED_ADDRESSES + 21), &limits, start + 2 * SECOND)
            .expect("it comes slowly");
        assert_eq!(watched(), 2, "the one that is banned, and the newest");
    }
}
