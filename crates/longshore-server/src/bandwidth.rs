//! Limits of bandwidth: who may move how many bytes when.
//!
//! Not inside: the bytes. A [`Rate`] is a limit that any number of transfers share; a [`Throttle`] is what the
//! transfers of one session go by, under all limits that hold for them. Each asks for a little at a time. Whoever will
//! have had least is served first (fair queueing by virtual finishing times, as Golestani's self-clocked scheme of
//! 1994), so that a limit is shared evenly between those that want more than they get, and one that is held back by a
//! narrower limit elsewhere has all that it can use.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limits::{BANDWIDTH_CHUNK_LEAST_BYTES, BANDWIDTH_CHUNK_TIME, BANDWIDTH_CREDIT};

/// A limit, in bytes per second, that is shared.
#[derive(Default)]
pub(crate) struct Rate(Mutex<State>);

#[derive(Default)]
struct State {
    bytes_per_second: Option<u64>,
    /// When all that was granted so far will have moved at the allowed pace.
    busy_until: Option<Instant>,
    /// How far the one that was served last had come: where those begin that were idle meanwhile.
    clock: u64,
    /// Those that wait, by what they will have had, and among equals by who came first.
    waiting: BTreeMap<Place, Arc<Notify>>,
    arrivals: u64,
}

/// The bytes that somebody will have had when it is served, and its number.
type Place = (u64, u64);

/// One session under one limit.
struct Flow {
    rate: Arc<Rate>,
    /// The bytes that it has had, on the clock of the limit.
    had: AtomicU64,
}

/// A place in the queue; given up when dropped.
struct Turn<'a> {
    rate: &'a Rate,
    place: Place,
    /// The bytes that it had before.
    had: u64,
    called: Arc<Notify>,
}

/// What a look at the queue says.
enum Look {
    /// The bytes may move.
    Granted,
    /// It is this one's turn, then.
    At(Instant),
    /// Others come first.
    Behind,
}

impl Rate {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the limit for what is granted from now on; 0 counts as 1.
    pub(crate) fn set(&self, bytes_per_second: Option<u64>) {
        let mut state = self.state();
        let bytes_per_second = bytes_per_second.map(|bytes| bytes.max(1));
        if state.bytes_per_second != bytes_per_second {
            state.bytes_per_second = bytes_per_second;
            // What was granted by the old limit is no debt under the new one.
            state.busy_until = None;
            state.waiting.values().for_each(|called| called.notify_one());
        }
    }

    /// Whether nobody has to wait any more for what was granted.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        let state = self.state();
        state.waiting.is_empty() && state.busy_until.is_none_or(|until| until <= now)
    }

    fn bytes_per_second(&self) -> Option<u64> {
        self.state().bytes_per_second
    }
}

impl State {
    fn call_first(&self) {
        if let Some(called) = self.waiting.values().next() {
            called.notify_one();
        }
    }
}

impl Flow {
    async fn pass(&self, bytes: usize) {
        let turn = self.queue(bytes);
        loop {
            match turn.look(bytes, Instant::now()) {
                Look::Granted => return,
                // Called, too, when the limit has been changed meanwhile.
                Look::At(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = turn.called.notified() => {}
                },
                Look::Behind => turn.called.notified().await,
            }
        }
    }

    fn queue(&self, bytes: usize) -> Turn<'_> {
        let mut state = self.rate.state();
        let had = self.had.load(Ordering::Relaxed).max(state.clock);
        let will_have = had.saturating_add(bytes as u64);
        self.had.store(will_have, Ordering::Relaxed);
        state.arrivals += 1;
        let place = (will_have, state.arrivals);
        let called = Arc::new(Notify::new());
        state.waiting.insert(place, called.clone());
        Turn { rate: &self.rate, place, had, called }
    }
}

impl Turn<'_> {
    fn look(&self, bytes: usize, now: Instant) -> Look {
        let mut state = self.rate.state();
        if let Some(pace) = state.bytes_per_second {
            if state.waiting.keys().next() != Some(&self.place) {
                return Look::Behind;
            }
            if let Some(until) = state.busy_until.filter(|&until| until > now) {
                return Look::At(until);
            }
            // What was not used is lost, but for a little, so that nothing is taken away by a timer that fires late or
            // by a wait for another limit.
            let credit = now.checked_sub(BANDWIDTH_CREDIT).unwrap_or(now);
            let begin = state.busy_until.map_or(now, |until| until.max(credit));
            state.busy_until = Some(begin + Duration::from_secs_f64(bytes as f64 / pace as f64));
        }
        state.clock = state.clock.max(self.had);
        Look::Granted
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.rate.state();
        state.waiting.remove(&self.place);
        state.call_first();
    }
}

/// All limits that hold for the transfers of one session in one direction.
#[derive(Clone, Default)]
pub(crate) struct Throttle {
    flows: Vec<Arc<Flow>>,
}

impl Throttle {
    /// Those of these that limit anything, the narrowest scope first. What the session has had under them before is
    /// known from `before`: many small transfers get no more than a large one.
    pub(crate) fn of<'a>(rates: impl IntoIterator<Item = &'a Arc<Rate>>, before: &Throttle) -> Throttle {
        let flow = |rate: &Arc<Rate>| {
            let known = before.flows.iter().find(|flow| Arc::ptr_eq(&flow.rate, rate));
            known.cloned().unwrap_or_else(|| Arc::new(Flow { rate: rate.clone(), had: AtomicU64::new(0) }))
        };
        let limiting = rates.into_iter().filter(|rate| rate.bytes_per_second().is_some());
        Throttle { flows: limiting.map(flow).collect() }
    }

    /// Whether there is no limit.
    pub(crate) fn is_free(&self) -> bool {
        self.flows.is_empty()
    }

    /// How much to move at once, at most `most`: little enough that others get their turn.
    pub(crate) fn chunk(&self, most: usize) -> usize {
        let slowest = self.flows.iter().filter_map(|flow| flow.rate.bytes_per_second()).min();
        let Some(slowest) = slowest else { return most };
        let in_time = (slowest as f64 * BANDWIDTH_CHUNK_TIME.as_secs_f64()) as usize;
        most.min(in_time.max(BANDWIDTH_CHUNK_LEAST_BYTES))
    }

    /// Asks for bytes under all limits: waits until they may move.
    pub(crate) async fn pass(&self, bytes: usize) {
        for flow in &self.flows {
            flow.pass(bytes).await;
        }
    }
}

/// What one login is limited by in both directions.
#[derive(Default)]
pub(crate) struct Pace {
    /// Its own limits, where it has any.
    upload: Option<Arc<Rate>>,
    download: Option<Arc<Rate>>,
    /// All that held for its last upload and its last download.
    last: Mutex<(Throttle, Throttle)>,
}

impl Pace {
    /// With these limits of its own, in bytes per second.
    pub(crate) fn new(upload: Option<u64>, download: Option<u64>) -> Pace {
        let rate = |bytes_per_second: Option<u64>| {
            bytes_per_second.map(|_| {
                let rate = Rate::default();
                rate.set(bytes_per_second);
                Arc::new(rate)
            })
        };
        Pace { upload: rate(upload), download: rate(download), last: Mutex::default() }
    }

    /// For its next upload, which shares these limits with others.
    pub(crate) fn upload(&self, shared: [&Arc<Rate>; 2]) -> Throttle {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.0 = Throttle::of(self.upload.iter().chain(shared), &last.0);
        last.0.clone()
    }

    /// For its next download, which shares these limits with others.
    pub(crate) fn download(&self, shared: [&Arc<Rate>; 2]) -> Throttle {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.1 = Throttle::of(self.download.iter().chain(shared), &last.1);
        last.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(bytes_per_second: u64) -> Arc<Rate> {
        let rate = Arc::new(Rate::default());
        rate.set(Some(bytes_per_second));
        rate
    }

    fn throttle<const N: usize>(rates: [&Arc<Rate>; N]) -> Throttle {
        Throttle::of(rates, &Throttle::default())
    }

    /// Moves bytes under limits, in virtual time; how many seconds it took.
    async fn time_of(throttle: Throttle, mut bytes: usize) -> f64 {
        let begin = Instant::now();
        while bytes > 0 {
            let chunk = throttle.chunk(64 * 1024).min(bytes);
            throttle.pass(chunk).await;
            bytes -= chunk;
        }
        begin.elapsed().as_secs_f64()
    }

    #[track_caller]
    fn check(seconds: f64, expected: f64) {
        let wrong = (seconds - expected).abs() / expected;
        assert!(wrong < 0.05, "{seconds} s instead of {expected} s");
    }

    #[tokio::test(start_paused = true)]
    async fn one_transfer_moves_at_its_limit() {
        for pace in [1_000, 50_000, 1_000_000, 100_000_000] {
            check(time_of(throttle([&rate(pace)]), 10 * pace as usize).await, 10.0);
        }
        assert_eq!(time_of(Throttle::default(), 1 << 30).await, 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_narrowest_limit_holds() {
        let throttle = throttle([&rate(500_000), &rate(100_000), &Arc::default(), &rate(1_000_000)]);
        check(time_of(throttle, 500_000).await, 5.0);
    }

    /// Twenty share one limit, one of them is held back by a limit of its own: the others share what it leaves.
    #[tokio::test(start_paused = true)]
    async fn a_shared_limit_is_shared_evenly() {
        let shared = rate(2_000_000);
        let mut running = tokio::task::JoinSet::new();
        for number in 0..20 {
            let own = if number == 0 { rate(5_000) } else { Arc::default() };
            let throttle = throttle([&own, &shared]);
            running.spawn(async move {
                let mut moved = 0;
                let end = Instant::now() + Duration::from_secs(30);
                while Instant::now() < end {
                    let chunk = throttle.chunk(64 * 1024);
                    throttle.pass(chunk).await;
                    moved += chunk;
                }
                (number, moved)
            });
        }
        let moved = running.join_all().await;
        let total: usize = moved.iter().map(|(_, moved)| moved).sum();
        check(total as f64, 60_000_000.0);
        for (number, moved) in moved {
            check(moved as f64, if number == 0 { 150_000.0 } else { (60_000_000.0 - 150_000.0) / 19.0 });
        }
    }

    /// One session with many small transfers against one with a single large one.
    #[tokio::test(start_paused = true)]
    async fn small_transfers_get_no_more_than_a_large_one() {
        let shared = rate(1_000_000);
        let small = async {
            let (mut before, mut moved) = (Throttle::default(), 0);
            loop {
                before = Throttle::of([&shared], &before);
                before.pass(1000).await;
                moved += 1000;
                if moved == 5_000_000 {
                    return;
                }
            }
        };
        let large = time_of(throttle([&shared]), 1 << 40);
        let begin = Instant::now();
        tokio::select! { () = small => {}, _ = large => {} }
        check(begin.elapsed().as_secs_f64(), 10.0);
    }

    /// Whoever gives up while it waits leaves its place to the next one.
    #[tokio::test(start_paused = true)]
    async fn those_who_give_up_hold_up_nobody() {
        let shared = rate(1000);
        let begin = Instant::now();
        throttle([&shared]).pass(10_000).await;
        let (first, second) = (throttle([&shared]), throttle([&shared]));
        let gives_up = tokio::time::timeout(Duration::from_secs(1), first.pass(1_000_000));
        let (gone, ()) = tokio::join!(gives_up, second.pass(500));
        assert!(gone.is_err());
        check(begin.elapsed().as_secs_f64(), 10.0);
        assert!(shared.state().waiting.is_empty());
    }

    /// Many small transfers, one after the other, are not faster than one large one.
    #[tokio::test(start_paused = true)]
    async fn the_credit_is_not_given_twice() {
        let shared = rate(10_000);
        let begin = Instant::now();
        for _ in 0..1000 {
            throttle([&shared]).pass(100).await;
        }
        check(begin.elapsed().as_secs_f64(), 10.0);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_is_not_saved_up() {
        let shared = rate(10_000);
        check(time_of(throttle([&shared]), 100_000).await, 10.0);
        tokio::time::advance(Duration::from_secs(60)).await;
        check(time_of(throttle([&shared]), 100_000).await, 10.0);
    }
}
