//! Accounts with password hashes, and with rules of where from and when they may come in. Where they are written
//! down is none of this module's business: it is given a list.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::{
    Account, Answer, Attempt, Authenticator, CertificateRule, CredentialDigest, Hours, Network, NoKey,
    PasswordHash, Rejection, ShownCertificate, Verdict, VerifiedCache, WeekMinute, is_anonymous,
};

/// An account, and what it takes to come in with it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who comes in.
    pub account: Account,
    /// What has to be known.
    pub secret: Secret,
    /// Where one may come from; anywhere when empty.
    pub networks: Vec<Network>,
    /// When one may come in; always when empty. Sessions that began in time go on.
    pub hours: Vec<Hours>,
    /// Certificates of clients that let in without a password. A disabled account is let in by none.
    pub certificates: Vec<CertificateRule>,
}

impl Entry {
    /// An account that may come in from anywhere at any time.
    pub fn new(account: Account, secret: Secret) -> Entry {
        Entry { account, secret, networks: Vec::new(), hours: Vec::new(), certificates: Vec::new() }
    }

    /// Whether this address may come in at this minute.
    fn admits(&self, peer: IpAddr, now: Option<WeekMinute>) -> Result<(), Rejection> {
        if !self.networks.is_empty() && !self.networks.iter().any(|network| network.contains(peer)) {
            return Err(Rejection::NotFromHere);
        }
        // Who does not know the time cannot say that it is the right one.
        let in_time = |now| self.hours.iter().any(|hours| hours.contains(now));
        if !self.hours.is_empty() && !now.is_some_and(in_time) {
            return Err(Rejection::NotAtThisHour);
        }
        Ok(())
    }
}

/// What has to be known to come in.
#[derive(Clone, Debug)]
pub enum Secret {
    /// The password of this hash.
    Hash(PasswordHash),
    /// Nothing: every password will do. An account named `anonymous` or `ftp` answers to both names, in capitals
    /// or not, where no other account has the very name.
    Anonymous,
    /// No password will do: a certificate of the client has to.
    Certificate,
    /// Nobody comes in.
    Disabled,
}

/// Why some entries cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Two entries of one name.
    #[error("there are two accounts with the name {0:?}")]
    Duplicate(String),
    /// An empty name, or one with a control character, which no peer can send.
    #[error("{0:?} cannot be the name of an account: it is empty or has a control character")]
    Name(String),
    /// Two accounts that both answer to `anonymous` and `ftp`.
    #[error("{0:?} and {1:?} would both be the anonymous account; keep one")]
    AnonymousTwice(String, String),
    /// A rate at which nothing would ever move.
    #[error("{0:?} has a limit of 0 bytes per second: no transfer would ever end")]
    NoBandwidth(String),
    /// Credentials cannot be remembered safely.
    #[error(transparent)]
    NoKey(#[from] NoKey),
}

/// Accounts with password hashes.
///
/// **What a refusal costs.** A peer hears the same for every refusal and should not learn more from the time that
/// it takes. The password is therefore always checked first and the other rules after it. A name that is unknown or
/// disabled, and an anonymous account that may not come in from here or now, cost one verification too: that of some
/// account's hash, whose outcome is thrown away. Which one depends on the name by a key that nobody can know who does
/// not know the hashes, so that a name costs the same each time it is tried, over reloads and restarts too, until
/// accounts change; and where accounts differ in kind and cost, unknown names differ as they do.
///
/// **What is remembered.** Who came in is let in again for [`VERIFIED_FOR`](crate::limits::VERIFIED_FOR) from the
/// same address with the same password without computing the hash; networks and hours are looked at each time. What
/// is remembered goes with this value: load accounts anew, and nobody is remembered. Refusals are never remembered.
pub struct HashedAccounts {
    inner: Arc<Inner>,
}

struct Inner {
    entries: Vec<Entry>,
    by_name: HashMap<Vec<u8>, usize>,
    /// The one that answers to `anonymous` and `ftp`.
    anonymous: Option<usize>,
    decoys: Decoys,
    cache: VerifiedCache,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
}

impl HashedAccounts {
    /// These accounts.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn new(entries: Vec<Entry>) -> Result<HashedAccounts, BuildError> {
        HashedAccounts::with_clock(entries, Instant::now)
    }

    /// As [`new`](HashedAccounts::new), with another clock to tell when verified credentials are forgotten.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn with_clock(
        entries: Vec<Entry>,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Result<HashedAccounts, BuildError> {
        let mut by_name = HashMap::new();
        let mut anonymous: Option<usize> = None;
        for (index, Entry { account, secret, .. }) in entries.iter().enumerate() {
            let name = &account.name;
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(BuildError::Name(name.clone()));
            }
            if by_name.insert(name.clone().into_bytes(), index).is_some() {
                return Err(BuildError::Duplicate(name.clone()));
            }
            if matches!(secret, Secret::Anonymous)
                && is_anonymous(name.as_bytes())
                && let Some(first) = anonymous.replace(index)
            {
                let first = entries[first].account.name.clone();
                return Err(BuildError::AnonymousTwice(first, name.clone()));
            }
            let limits = &account.limits;
            let rates = [
                limits.upload_bytes_per_second,
                limits.download_bytes_per_second,
                limits.session_upload_bytes_per_second,
                limits.session_download_bytes_per_second,
            ];
            if rates.contains(&Some(0)) {
                return Err(BuildError::NoBandwidth(name.clone()));
            }
        }
        let decoys = Decoys::of(&entries);
        let cache = VerifiedCache::new()?;
        let clock = Box::new(clock);
        Ok(HashedAccounts { inner: Arc::new(Inner { entries, by_name, anonymous, decoys, cache, clock }) })
    }

    /// How many accounts there are.
    pub fn len(&self) -> usize {
        self.inner.entries.len()
    }

    /// Whether nobody can come in at all.
    pub fn is_empty(&self) -> bool {
        self.inner.entries.is_empty()
    }
}

/// Shows how many accounts there are.
impl fmt::Debug for HashedAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashedAccounts").field("accounts", &self.len()).finish_non_exhaustive()
    }
}

impl Authenticator for HashedAccounts {
    fn authenticate(&self, attempt: Attempt) -> Answer {
        let digest = self.inner.cache.digest(&attempt.user, &attempt.password, attempt.peer);
        if let Some(account) = self.inner.without_hash(&attempt, &digest) {
            return Answer::Ready(Ok(account));
        }
        if self.inner.decoys.is_empty() {
            return Answer::Ready(self.inner.judge(&attempt, digest));
        }
        let inner = self.inner.clone();
        Answer::Blocking(Box::new(move || {
            // Sessions that came at once queue for the pool; when it is their turn, the first may be verified.
            match inner.without_hash(&attempt, &digest) {
                Some(account) => Ok(account),
                None => inner.judge(&attempt, digest),
            }
        }))
    }

    fn by_certificate(&self, attempt: &Attempt, shown: &ShownCertificate) -> Option<Account> {
        let entry = self.inner.find(&attempt.user)?;
        let known = entry.certificates.iter().any(|rule| rule.matches(shown));
        let enabled = !matches!(entry.secret, Secret::Disabled);
        let admitted = entry.admits(attempt.peer, attempt.week_minute).is_ok();
        (known && enabled && admitted).then(|| entry.account.clone())
    }
}

impl Inner {
    fn find(&self, user: &[u8]) -> Option<&Entry> {
        let alias = || self.anonymous.filter(|_| is_anonymous(user));
        let index = self.by_name.get(user).copied().or_else(alias)?;
        Some(&self.entries[index])
    }

    /// The account, if it may come in and no hash has to be computed for that. All or nothing: an attempt that
    /// another rule refuses pays for the hash, or its speed would say that the password was right.
    fn without_hash(&self, attempt: &Attempt, digest: &CredentialDigest) -> Option<Account> {
        // Asked for every name, known or not, with a password or without.
        let verified = self.cache.contains(digest, (self.clock)());
        let entry = self.find(&attempt.user)?;
        let enough = match entry.secret {
            Secret::Hash(_) => verified,
            Secret::Anonymous => true,
            Secret::Certificate | Secret::Disabled => false,
        };
        (enough && entry.admits(attempt.peer, attempt.week_minute).is_ok()).then(|| entry.account.clone())
    }

    /// Computes one hash, whoever asks, and judges after it.
    fn judge(&self, attempt: &Attempt, digest: CredentialDigest) -> Verdict {
        let decoy = self.decoys.pick(&attempt.user).map(|index| &self.entries[index].secret);
        let entry = self.find(&attempt.user);
        let (hash, real) = match (entry.map(|entry| &entry.secret), decoy) {
            (Some(Secret::Hash(hash)), _) => (Some(hash), true),
            (_, Some(Secret::Hash(hash))) => (Some(hash), false),
            _ => (None, false),
        };
        let Ok(verified) = hash.map(|hash| hash.try_verify(&attempt.password)).transpose() else {
            return Err(Rejection::Unavailable);
        };
        let Some(entry) = entry else {
            let anonymous = is_anonymous(&attempt.user);
            return Err(if anonymous { Rejection::NoAnonymous } else { Rejection::NoSuchAccount });
        };
        match entry.secret {
            Secret::Disabled => return Err(Rejection::Disabled),
            Secret::Certificate => return Err(Rejection::WrongPassword),
            Secret::Hash(_) if verified != Some(true) => return Err(Rejection::WrongPassword),
            Secret::Hash(_) | Secret::Anonymous => {}
        }
        entry.admits(attempt.peer, attempt.week_minute)?;
        if real {
            self.cache.insert(digest, (self.clock)());
        }
        Ok(entry.account.clone())
    }
}

/// The accounts whose hashes are computed for names that have none.
struct Decoys {
    /// Those with a hash, by name: the order of a file does not matter.
    entries: Vec<usize>,
    /// HMAC with a key that is made of all the hashes.
    keyed: Hmac<Sha256>,
}

impl Decoys {
    fn of(entries: &[Entry]) -> Decoys {
        let mut hashed: Vec<(usize, &Entry, &PasswordHash)> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            if let Secret::Hash(hash) = &entry.secret {
                hashed.push((index, entry, hash));
            }
        }
        hashed.sort_by_key(|(_, entry, _)| &entry.account.name);
        let mut key = Sha256::new();
        for (_, _, hash) in &hashed {
            for part in hash.secret_parts() {
                key.update((part.len() as u64).to_le_bytes());
                key.update(part);
            }
        }
        let keyed = Hmac::new_from_slice(&key.finalize()).expect("HMAC takes keys of every length");
        Decoys { entries: hashed.into_iter().map(|(index, ..)| index).collect(), keyed }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Always the same one for a name.
    fn pick(&self, user: &[u8]) -> Option<usize> {
        let mut mac = self.keyed.clone();
        mac.update(user);
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let (number, _) = digest.split_first_chunk().expect("8 of 32 bytes");
        let place = u64::from_le_bytes(*number).checked_rem(self.entries.len() as u64)?;
        self.entries.get(usize::try_from(place).ok()?).copied()
    }
}

#[cfg(test)]
mod tests;
