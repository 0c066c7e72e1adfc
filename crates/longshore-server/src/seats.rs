//! How many sessions there are: in all, by address, by account.
//!
//! Not inside: what becomes of whoever finds no seat. A seat is given back when its value is dropped.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use longshore_accounts::{Account, Network, Rejection};
use longshore_proto::reply::{Reply, Situation};
use tokio::time::Instant;

use crate::bandwidth::Rate;
use crate::config::Limits;
use crate::limits::IDLE_ACCOUNTS;

/// Counts the sessions.
#[derive(Default)]
pub(crate) struct Seats(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    all: usize,
    by_client: HashMap<Network, usize>,
    /// They stay for a while when nobody is logged in, because their limits of bandwidth reach over sessions.
    by_account: HashMap<Arc<str>, Arc<Crew>>,
    /// How many of these there may be before they are looked through again.
    forget_at: usize,
}

/// A session's place.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    client: Network,
}

/// All sessions of one account.
pub(crate) struct Crew {
    pub(crate) name: Arc<str>,
    pub(crate) upload: Arc<Rate>,
    pub(crate) download: Arc<Rate>,
    present: Mutex<Present>,
}

/// Who of a crew is there.
#[derive(Default)]
struct Present {
    sessions: u32,
    /// The account as it was when the last of them came.
    account: Weak<Account>,
}

/// A session's place among those of its account.
pub(crate) struct CrewSeat(pub(crate) Arc<Crew>);

impl Seats {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while it is locked, and the counts would still be true.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self) -> usize {
        self.taken().all
    }

    /// A place for a client, else what to tell it. `most` is the limit in force, which descriptors may make smaller
    /// than the configured one.
    pub(crate) fn take(
        self: &Arc<Self>,
        address: IpAddr,
        limits: &Limits,
        most: usize,
    ) -> Result<Seat, Reply> {
        let client = Network::of_client(address);
        let mut taken = self.taken();
        if taken.all >= most {
            return Err(Reply::new(Situation::Full).with("limit", most));
        }
        let here = taken.by_client.get(&client).copied().unwrap_or(0);
        if here >= limits.sessions_per_address && !limits.is_exempt(address) {
            return Err(Reply::new(Situation::FullForAddress)
                .with("limit", limits.sessions_per_address)
                .with("address", address.to_string()));
        }
        taken.all += 1;
        taken.by_client.insert(client, here + 1);
        Ok(Seat { seats: self.clone(), client })
    }

    /// A place among the sessions of an account, and the account, which those share whom it lets in as the same. Its limits
    /// of bandwidth are from now on those of `account`.
    pub(crate) fn join(&self, account: Account) -> Result<(CrewSeat, Arc<Account>), Rejection> {
        let crew = {
            let mut taken = self.taken();
            match taken.by_account.get(account.name.as_str()) {
                Some(crew) => crew.clone(),
                None => {
                    taken.forget_idle_crews();
                    let name: Arc<str> = account.name.as_str().into();
                    let crew = Arc::new(Crew {
                        name: name.clone(),
                        upload: Arc::default(),
                        download: Arc::default(),
                        present: Mutex::default(),
                    });
                    taken.by_account.insert(name, crew.clone());
                    crew
                }
            }
        };
        let mut present = crew.present();
        if account.limits.sessions.is_some_and(|most| present.sessions >= most) {
            return Err(Rejection::TooManySessions);
        }
        present.sessions += 1;
        let same = present.account.upgrade().filter(|before| **before == account);
        let account = same.unwrap_or_else(|| Arc::new(account));
        present.account = Arc::downgrade(&account);
        drop(present);
        crew.upload.set(account.limits.upload_bytes_per_second);
        crew.download.set(account.limits.download_bytes_per_second);
        Ok((CrewSeat(crew), account))
    }
}

impl Taken {
    fn forget_idle_crews(&mut self) {
        if self.by_account.len() < self.forget_at.max(IDLE_ACCOUNTS) {
            return;
        }
        let now = Instant::now();
        self.by_account.retain(|_, crew| {
            let sessions = crew.present().sessions;
            // One that is just being joined is held by somebody else, too.
            sessions > 0
                || Arc::strong_count(crew) > 1
                || !crew.upload.is_idle(now)
                || !crew.download.is_idle(now)
        });
        // Where many are in use, each newcomer would look through all of them.
        self.forget_at = 2 * self.by_account.len();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all -= 1;
        if let Some(count) = taken.by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

impl Crew {
    fn present(&self) -> MutexGuard<'_, Present> {
        // As above.
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CrewSeat {
    fn drop(&mut self) {
        self.0.present().sessions -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn by_address_and_in_all() {
        let seats = Arc::new(Seats::default());
        let limits = Limits { sessions_per_address: 2, ..Limits::default() };
        let take = |text: &str| seats.take(address(text), &limits, 6).map_err(|reply| reply.situation);
        let first = take("192.0.2.1").expect("there is room");
        let _second = take("192.0.2.1").expect("there is room");
        assert_eq!(take("192.0.2.1").err(), Some(Situation::FullForAddress));
        drop(first);
        let _again = take("192.0.2.1").expect("one has left");
        // One network of IPv6 is one client.
        let _third = take("2001:db8::1").expect("there is room");
        let _fourth = take("2001:db8::2").expect("there is room");
        assert_eq!(take("2001:db8::3").err(), Some(Situation::FullForAddress));
        let _fifth = take("2001:db8:0:1::3").expect("another network");
        // The loopback is exempt, but not from the number in all.
        let _sixth = take("127.0.0.1").expect("there is room");
        assert_eq!(take("127.0.0.1").err(), Some(Situation::Full));
        assert_eq!(seats.count(), 6);
    }

    #[test]
    fn by_account() {
        let seats = Seats::default();
        let mut account = Account::new("anna", "files");
        account.limits.sessions = Some(1);
        let seat = seats.join(account.clone()).expect("there is room");
        assert_eq!(seats.join(account.clone()).err(), Some(Rejection::TooManySessions));
        let _other = seats.join(Account::new("bert", "files")).expect("another account");
        drop(seat);
        let _seat = seats.join(account).expect("the first has left");
    }

    /// Ten thousand sessions of one account hold it once; one that was changed meanwhile is another.
    #[test]
    fn sessions_share_the_account_while_it_is_the_same() {
        let seats = Seats::default();
        let account = Account::new("anna", "files");
        let join = |account: &Account| seats.join(account.clone()).expect("there is no limit");
        let (_first, one) = join(&account);
        let (_second, same) = join(&account);
        assert!(Arc::ptr_eq(&one, &same));
        let changed = Account { permissions: longshore_accounts::Permissions::ALL, ..account.clone() };
        let (_third, other) = join(&changed);
        assert_eq!((&*one, &*other), (&account, &changed));
        let (_fourth, like_the_last) = join(&changed);
        assert!(Arc::ptr_eq(&other, &like_the_last));
    }

    /// Accounts that nobody uses leave when there are many, and those that are in use are not looked through each time.
    #[test]
    fn accounts_that_nobody_uses_are_forgotten() {
        let seats = Seats::default();
        let join = |number: usize| seats.join(Account::new(format!("account-{number}"), "files"));
        for number in 0..=IDLE_ACCOUNTS {
            join(number).expect("there is no limit");
        }
        assert_eq!(seats.taken().by_account.len(), 1, "the last one made the others leave");
        let held: Vec<_> = (0..=IDLE_ACCOUNTS).map(|number| join(number).expect("no limit")).collect();
        let taken = seats.taken();
        assert!(
            taken.by_account.len() >= held.len() && taken.forget_at >= 2 * (held.len() - 2),
            "{}",
            taken.forget_at
        );
    }
}
