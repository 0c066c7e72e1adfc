//! Whose turn it is to count. One counts at a time; whoever has to wait for that waits as a future, never on a thread
//! of the pool. Not in here: what is counted, and when that is needed (`count`).

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::limits::{RECOUNT_REST, RECOUNT_REST_FACTOR};

#[derive(Default)]
pub(super) struct Turnstile(Mutex<State>);

#[derive(Default)]
struct State {
    taken: bool,
    /// When a count that somebody provoked ended last, and how long it took.
    recounted: Option<(Instant, Duration)>,
    waiting: BTreeMap<u64, Waker>,
    next: u64,
}

/// Held by who counts. Dropping it, whether or not anything was counted, gives the next one its turn.
pub(super) struct Turn(Arc<Turnstile>);

impl Turnstile {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` while somebody else has it.
    pub(super) fn take(self: &Arc<Turnstile>) -> Option<Turn> {
        self.take_if(|_| true)
    }

    /// As [`take`](Turnstile::take), and `None` also when a provoked count ended a moment ago.
    pub(super) fn take_rested(self: &Arc<Turnstile>) -> Option<Turn> {
        self.take_if(|state| {
            state.recounted.is_none_or(|(ended, took)| {
                ended.elapsed() >= RECOUNT_REST.max(took.saturating_mul(RECOUNT_REST_FACTOR))
            })
        })
    }

    fn take_if(self: &Arc<Turnstile>, may: impl FnOnce(&State) -> bool) -> Option<Turn> {
        let mut state = self.state();
        if state.taken || !may(&state) {
            return None;
        }
        state.taken = true;
        Some(Turn(Arc::clone(self)))
    }

    /// Waits until nobody has the turn. By the time it is asked for, another one may have it again.
    pub(super) fn free(self: &Arc<Turnstile>) -> Free {
        Free { turnstile: Arc::clone(self), number: None }
    }
}

impl Turn {
    /// The count was a provoked one, which began then: the next one has to wait a while.
    pub(super) fn provoked(&self, begun: Instant) {
        self.0.state().recounted = Some((Instant::now(), begun.elapsed()));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.0.state();
            state.taken = false;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }
}

pub(super) struct Free {
    turnstile: Arc<Turnstile>,
    /// Under which number its waker stands, since it has had to wait.
    number: Option<u64>,
}

impl Future for Free {
    type Output = ();

    fn poll(mut self: Pin<&mut Free>, context: &mut Context<'_>) -> Poll<()> {
        let turnstile = Arc::clone(&self.turnstile);
        let mut state = turnstile.state();
        if !state.taken {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert(state.next);
        state.next = state.next.max(number + 1);
        state.waiting.insert(number, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Free {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.turnstile.state().waiting.remove(&number);
        }
    }
}
