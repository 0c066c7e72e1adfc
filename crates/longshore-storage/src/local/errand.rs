//! Work that may block and that was not begun by a job of the caller's pool: it had to wait for a count first, and a
//! future that has waited cannot go back to the pool. A thread of the store's own does it, one thing after the other,
//! and ends when there is nothing left to do. Not in here: what the work is.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::{Error, ErrorKind, Result};

#[derive(Default)]
pub(super) struct Errands(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Box<dyn FnOnce() + Send>>,
    running: bool,
}

/// Where the result is put, and who is to be told.
struct Slot<T> {
    result: Option<Result<T>>,
    waker: Option<Waker>,
}

/// For the one that does the work. Dropped without a result (the work panicked) it tells of a failure.
struct Answer<T>(Arc<Mutex<Slot<T>>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Errands {
    /// Does the work and gives its result. Where nobody waits for that any more when its time has come, it is not done.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Errands>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let slot = Arc::new(Mutex::new(Slot { result: None, waker: None }));
        let answer = Answer(Arc::clone(&slot));
        let outcome = self.push(Box::new(move || {
            if Arc::strong_count(&answer.0) > 1 {
                answer.give(work());
            }
        }));
        outcome?;
        std::future::poll_fn(|context| {
            let mut slot = lock(&slot);
            match slot.result.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    slot.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn push(self: &Arc<Errands>, job: Box<dyn FnOnce() + Send>) -> Result<()> {
        let mut queue = lock(&self.0);
        queue.jobs.push_back(job);
        if !queue.running {
            let errands = Arc::clone(self);
            let spawned =
                std::thread::Builder::new().name("storage".to_owned()).spawn(move || errands.work());
            if let Err(source) = spawned {
                queue.jobs.clear();
                return Err(Error { kind: ErrorKind::Failed, source: Some(source) });
            }
            queue.running = true;
        }
        Ok(())
    }

    fn work(&self) {
        loop {
            let job = {
                let mut queue = lock(&self.0);
                let job = queue.jobs.pop_front();
                queue.running = job.is_some();
                job
            };
            let Some(job) = job else { return };
            // Who waits for this one has been told by its answer; the others need not suffer.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }
}

impl<T> Answer<T> {
    fn give(&self, result: Result<T>) {
        let waker = {
            let mut slot = lock(&self.0);
            slot.result = Some(result);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.give(Err(ErrorKind::Failed.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Operation;

    fn wait<T: Send + 'static>(
        errands: &Arc<Errands>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let errands = Arc::clone(errands);
        Operation::Pending(Box::pin(async move { errands.run(work).await })).wait()
    }

    #[test]
    fn what_panics_fails_and_the_next_is_done() {
        let errands = Arc::new(Errands::default());
        let outcome: Result<()> = wait(&errands, || panic!("the work panics"));
        assert_eq!(outcome.map_err(|failure| failure.kind), Err(ErrorKind::Failed));
        assert_eq!(wait(&errands, || Ok(7)).expect("it is done"), 7);
    }
}
