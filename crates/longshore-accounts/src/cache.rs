//! Credentials that were verified a moment ago: the same client's next session does not pay for the hash again.
//!
//! What is kept is a keyed digest (HMAC-SHA256 with 256 random bits that never leave this value): no password, and
//! nothing that says anything about one without the key. Not inside: which credentials are good.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::limits::{VERIFIED_FOR, VERIFIED_LIMIT};

/// Remembers verified credentials for [`VERIFIED_FOR`], at most [`VERIFIED_LIMIT`] of them.
///
/// Only what was verified belongs in here. The accounts must not change under it: whoever loads them anew begins
/// with a new cache, whose key knows nothing of the old one.
pub struct VerifiedCache {
    /// HMAC with the key in it and nothing else yet.
    keyed: Hmac<Sha256>,
    memory: Mutex<Memory>,
}

/// Name, password and address in one keyed digest. Means nothing to another cache.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialDigest([u8; 32]);

/// The same digests in both, each once.
#[derive(Default)]
struct Memory {
    /// When each was verified.
    verified: HashMap<CredentialDigest, Instant>,
    /// Oldest first. All live equally long, so the oldest is the next to go.
    order: VecDeque<CredentialDigest>,
}

/// The system gives no random bytes, so there can be no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes for a key: {0}")]
pub struct NoKey(pub String);

impl VerifiedCache {
    /// An empty one with a key of its own.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn new() -> Result<VerifiedCache, NoKey> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| NoKey(error.to_string()))?;
        let keyed = Hmac::new_from_slice(&key).expect("HMAC takes keys of every length");
        Ok(VerifiedCache { keyed, memory: Mutex::default() })
    }

    /// What stands for these credentials from this address; an IPv4 address is the same in the dress of IPv6.
    ///
    /// The address is part of it, so that somebody elsewhere does not learn from a quick answer that he has found a
    /// password with which another client came in.
    pub fn digest(&self, user: &[u8], password: &[u8], peer: IpAddr) -> CredentialDigest {
        let address = match peer.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let mut mac = self.keyed.clone();
        // The length keeps `ab` with `c` apart from `a` with `bc`.
        mac.update(&(user.len() as u64).to_le_bytes());
        mac.update(user);
        mac.update(&address.octets());
        mac.update(password);
        CredentialDigest(mac.finalize().into_bytes().into())
    }

    /// Whether these credentials were verified less than [`VERIFIED_FOR`] before `now`.
    pub fn contains(&self, digest: &CredentialDigest, now: Instant) -> bool {
        self.memory().verified.get(digest).is_some_and(|&verified| is_fresh(verified, now))
    }

    /// Remembers credentials that were verified at `now`. Those that are remembered already are not remembered
    /// longer.
    pub fn insert(&self, digest: CredentialDigest, now: Instant) {
        let mut memory = self.memory();
        memory.forget_old(now);
        if memory.verified.contains_key(&digest) {
            return;
        }
        if memory.order.len() >= VERIFIED_LIMIT {
            memory.forget_oldest();
        }
        memory.verified.insert(digest, now);
        memory.order.push_back(digest);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing panics while it is locked; if it did, what is in there would still be true.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_fresh(verified: Instant, now: Instant) -> bool {
    now.saturating_duration_since(verified) < VERIFIED_FOR
}

impl Memory {
    fn forget_old(&mut self, now: Instant) {
        while let Some(verified) = self.order.front().and_then(|oldest| self.verified.get(oldest)) {
            if is_fresh(*verified, now) {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.verified.remove(&oldest);
        }
    }
}

/// Shows how many there are, no key and no digest.
impl fmt::Debug for VerifiedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedCache").field("verified", &self.memory().order.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn cache() -> VerifiedCache {
        VerifiedCache::new().expect("random bytes")
    }

    #[test]
    fn digests_differ_where_credentials_do() {
        let cache = cache();
        let digest = cache.digest(b"alice", b"secret", HERE);
        assert!(digest == cache.digest(b"alice", b"secret", HERE));
        assert!(digest == cache.digest(b"alice", b"secret", "::ffff:127.0.0.1".parse().expect("an address")));
        assert!(digest != cache.digest(b"alice", b"secre", HERE));
        assert!(digest != cache.digest(b"alic", b"esecret", HERE));
        assert!(digest != cache.digest(b"Alice", b"secret", HERE));
        assert!(digest != cache.digest(b"alice", b"secret", "127.0.0.2".parse().expect("an address")));
        assert!(digest != cache.digest(b"alice", b"secret", "::1".parse().expect("an address")));
        assert!(digest != super::tests::cache().digest(b"alice", b"secret", HERE), "each cache has its key");
    }

    #[test]
    fn they_are_forgotten_in_time() {
        let cache = cache();
        let digest = cache.digest(b"alice", b"secret", HERE);
        let start = Instant::now();
        assert!(!cache.contains(&digest, start));
        cache.insert(digest, start);
        assert!(cache.contains(&digest, start));
        let last = start + VERIFIED_FOR - Duration::from_nanos(1);
        assert!(cache.contains(&digest, last));
        cache.insert(digest, last);
        assert!(!cache.contains(&digest, start + VERIFIED_FOR), "a second verification does not prolong it");
        cache.insert(digest, start + VERIFIED_FOR);
        assert!(cache.contains(&digest, start + VERIFIED_FOR));
        assert_eq!(cache.memory().order.len(), 1);
    }

    #[test]
    fn so_many_and_no_more() {
        let cache = cache();
        let start = Instant::now();
        let digest = |number: usize| cache.digest(b"alice", &number.to_le_bytes(), HERE);
        for number in 0..=VERIFIED_LIMIT {
            cache.insert(digest(number), start);
        }
        assert!(!cache.contains(&digest(0), start), "the oldest left for the newest");
        assert!(cache.contains(&digest(1), start) && cache.contains(&digest(VERIFIED_LIMIT), start));
        let memory = cache.memory();
        assert_eq!((memory.order.len(), memory.verified.len()), (VERIFIED_LIMIT, VERIFIED_LIMIT));
        drop(memory);
        cache.insert(digest(0), start + VERIFIED_FOR);
        assert_eq!(format!("{cache:?}"), "VerifiedCache { verified: 1, .. }");
    }
}
