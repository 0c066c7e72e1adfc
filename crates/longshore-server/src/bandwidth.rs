//! Limits of bandwidth: who may move how many bytes when.
//!
//! Not inside: the bytes. A [`Rate`] is a limit that any number of transfers share; a [`Throttle`] is what one
//! transfer goes by, under all limits that hold for it. Each transfer asks for a little at a time and is served in
//! the order in which it asked, which shares a limit evenly between those that want more than they get.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{BANDWIDTH_CHUNK_LEAST_BYTES, BANDWIDTH_SLACK};

/// A limit, in bytes per second, that is shared.
#[derive(Default)]
pub(crate) struct Rate(Mutex<State>);

#[derive(Clone, Copy, Default)]
struct State {
    bytes_per_second: Option<u64>,
    /// When all that was granted so far will have moved at the allowed pace.
    busy_until: Option<Instant>,
}

impl Rate {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the limit for what is asked for from now on; 0 counts as 1.
    pub(crate) fn set(&self, bytes_per_second: Option<u64>) {
        self.state().bytes_per_second = bytes_per_second.map(|bytes| bytes.max(1));
    }

    fn bytes_per_second(&self) -> Option<u64> {
        self.state().bytes_per_second
    }

    /// Grants bytes: from when on they may have moved.
    fn grant(&self, bytes: usize, now: Instant) -> Instant {
        let mut state = self.state();
        let Some(pace) = state.bytes_per_second else { return now };
        // What was not used is lost, but for a little, so that a timer that fires late takes nothing away.
        let least = now.checked_sub(BANDWIDTH_SLACK).unwrap_or(now);
        let begin = state.busy_until.map_or(least, |until| until.max(least));
        let end = begin + Duration::from_secs_f64(bytes as f64 / pace as f64);
        state.busy_until = Some(end);
        end.checked_sub(BANDWIDTH_SLACK).unwrap_or(end)
    }
}

/// All limits that hold for one transfer.
#[derive(Clone, Default)]
pub(crate) struct Throttle {
    rates: Vec<Arc<Rate>>,
}

impl Throttle {
    /// Those of these that limit anything.
    pub(crate) fn of<'a>(rates: impl IntoIterator<Item = &'a Arc<Rate>>) -> Throttle {
        let limiting = rates.into_iter().filter(|rate| rate.bytes_per_second().is_some());
        Throttle { rates: limiting.cloned().collect() }
    }

    /// Whether there is any limit.
    pub(crate) fn is_free(&self) -> bool {
        self.rates.is_empty()
    }

    /// How much to move at once, at most `most`: little enough that others get their turn.
    pub(crate) fn chunk(&self, most: usize) -> usize {
        let slowest = self.rates.iter().filter_map(|rate| rate.bytes_per_second()).min();
        let Some(slowest) = slowest else { return most };
        let in_time = (slowest as f64 * BANDWIDTH_SLACK.as_secs_f64()) as usize;
        most.min(in_time.max(BANDWIDTH_CHUNK_LEAST_BYTES))
    }

    /// Asks for bytes under all limits: waits until they may have moved.
    pub(crate) async fn pass(&self, bytes: usize) {
        if self.is_free() || bytes == 0 {
            return;
        }
        let now = Instant::now();
        let granted = self.rates.iter().map(|rate| rate.grant(bytes, now)).max();
        if let Some(at) = granted.filter(|&at| at > now) {
            tokio::time::sleep_until(at).await;
        }
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
            check(time_of(Throttle::of([&rate(pace)]), 10 * pace as usize).await, 10.0);
        }
        assert_eq!(time_of(Throttle::default(), 1 << 30).await, 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_narrowest_limit_holds() {
        let throttle = Throttle::of([&rate(500_000), &rate(100_000), &Arc::default(), &rate(1_000_000)]);
        check(time_of(throttle, 500_000).await, 5.0);
    }

    /// Twenty share one limit, one of them is held back by a limit of its own: the others share what it leaves.
    #[tokio::test(start_paused = true)]
    async fn a_shared_limit_is_shared_evenly() {
        let shared = rate(2_000_000);
        let mut running = tokio::task::JoinSet::new();
        for number in 0..20 {
            let own = if number == 0 { rate(5_000) } else { Arc::default() };
            let throttle = Throttle::of([&shared, &own]);
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

    /// Many small transfers, one after the other, are not faster than one large one.
    #[tokio::test(start_paused = true)]
    async fn the_slack_is_not_given_twice() {
        let shared = rate(10_000);
        let begin = Instant::now();
        for _ in 0..1000 {
            Throttle::of([&shared]).pass(100).await;
        }
        check(begin.elapsed().as_secs_f64(), 10.0);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_is_not_saved_up() {
        let shared = rate(10_000);
        check(time_of(Throttle::of([&shared]), 100_000).await, 10.0);
        tokio::time::advance(Duration::from_secs(60)).await;
        check(time_of(Throttle::of([&shared]), 100_000).await, 10.0);
    }
}
