//! Where jobs that may block run, and how an operation of storage comes to its end.
//!
//! Not inside: what the jobs do. A job that has begun runs to its end, whoever waits for it or does not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use longshore_accounts::{Answer, Rejection, Verdict};
use longshore_storage::{Error, ErrorKind, Operation, Result};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

use crate::limits::{BLOCKING_JOBS, IN_PLACE_AFTER_JOBS, IN_PLACE_LIMIT, PASSWORD_HASHES};

/// Which thread runs a job.
#[derive(Clone, Copy)]
enum Where {
    /// One of those that are there for it.
    Beside,
    /// That of the task that waits.
    InPlace,
}

/// A bounded share of the runtime's threads for blocking work.
#[derive(Clone)]
pub(crate) struct Pool {
    permits: Arc<Semaphore>,
    /// Password hashes take memory by the tens of megabytes, so they have a smaller share of their own.
    hashes: Arc<Semaphore>,
    /// Jobs since the last slow one, as far as they count.
    quick: Arc<AtomicUsize>,
}

impl Pool {
    pub(crate) fn new() -> Pool {
        Pool {
            permits: Arc::new(Semaphore::new(BLOCKING_JOBS)),
            hashes: Arc::new(Semaphore::new(PASSWORD_HASHES)),
            quick: Arc::default(),
        }
    }

    /// Runs an operation the way it wants to be run, while whoever waits for it does other things as well.
    pub(crate) async fn run<T: Send + 'static>(&self, operation: Operation<T>) -> Result<T> {
        self.run_on(Where::Beside, operation).await
    }

    /// Runs an operation that the session's next step waits for. While jobs are quick, one runs where the session does, and
    /// the runtime's other work goes on elsewhere: nobody has to be woken before the job, and nobody behind it, which for a
    /// small file costs more than the job itself. Where they are slow the session goes on listening to its client.
    pub(crate) async fn run_awaited<T: Send + 'static>(&self, operation: Operation<T>) -> Result<T> {
        let several_threads = Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread;
        let place = match several_threads && self.quick.load(Ordering::Relaxed) >= IN_PLACE_AFTER_JOBS {
            true => Where::InPlace,
            false => Where::Beside,
        };
        let begin = Instant::now();
        let is_job = matches!(operation, Operation::Blocking(_));
        let result = self.run_on(place, operation).await;
        match () {
            () if !is_job => {}
            () if begin.elapsed() > IN_PLACE_LIMIT => self.quick.store(0, Ordering::Relaxed),
            // Counted by whoever comes first: what matters is that none of the last ones was slow.
            () => drop(self.quick.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |quick| {
                (quick < IN_PLACE_AFTER_JOBS).then_some(quick + 1)
            })),
        }
        result
    }

    async fn run_on<T: Send + 'static>(&self, place: Where, mut operation: Operation<T>) -> Result<T> {
        loop {
            return match operation {
                Operation::Ready(result) => result,
                Operation::Pending(future) => future.await,
                Operation::Blocking(job) => {
                    let done = match place {
                        Where::Beside => block(&self.permits, job).await,
                        Where::InPlace => block_in_place(&self.permits, job).await,
                    };
                    done.unwrap_or_else(|| Err(ErrorKind::Failed.into()))
                }
                Operation::Later(future) => {
                    operation = future.await;
                    continue;
                }
            };
        }
    }

    /// Comes to the verdict on a login.
    pub(crate) async fn judge(&self, answer: Answer) -> Verdict {
        match answer {
            Answer::Ready(verdict) => verdict,
            Answer::Pending(future) => future.await,
            Answer::Blocking(job) => block(&self.hashes, job).await.unwrap_or(Err(Rejection::Unavailable)),
        }
    }
}

/// `None` when the job panicked: then its own caller learns of a failure, and nobody else of anything.
async fn block<T: Send + 'static>(permits: &Arc<Semaphore>, job: Box<dyn FnOnce() -> T + Send>) -> Option<T> {
    let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
    tokio::task::spawn_blocking(move || {
        let result = job();
        drop(permit);
        result
    })
    .await
    .ok()
}

/// As [`block`], on this thread; another one takes over what else it had to do. Only where the runtime has several.
async fn block_in_place<T>(permits: &Semaphore, job: Box<dyn FnOnce() -> T + Send>) -> Option<T> {
    let _permit = permits.acquire().await.expect("the semaphore is never closed");
    tokio::task::block_in_place(|| catch_unwind(AssertUnwindSafe(job)).ok())
}

/// The system's own words of an error, for the log.
pub(crate) fn cause(error: &Error) -> Option<String> {
    let interesting = error.source.is_some() || error.kind == ErrorKind::Failed;
    interesting.then(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    async fn runs_in_place(pool: &Pool) -> bool {
        let job = Operation::blocking(|| Ok(thread::current().id()));
        pool.run_awaited(job).await.expect("it does not fail") == thread::current().id()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn jobs_run_in_place_while_none_is_slow() {
        let pool = Pool::new();
        for _ in 0..IN_PLACE_AFTER_JOBS {
            assert!(!runs_in_place(&pool).await, "too little is known of the disk yet");
        }
        // On a busy machine a job may be slow that does nothing.
        while !runs_in_place(&pool).await {}
        let begin = Instant::now();
        let slow = Operation::blocking(move || {
            while begin.elapsed() <= IN_PLACE_LIMIT {
                std::hint::spin_loop();
            }
            Ok(())
        });
        pool.run_awaited(slow).await.expect("it does not fail");
        assert!(!runs_in_place(&pool).await);
        // What others do meanwhile is done beside them all the same.
        let job = Operation::blocking(|| Ok(thread::current().id()));
        assert_ne!(pool.run(job).await.expect("it does not fail"), thread::current().id());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_in_place_is_a_failure() {
        let pool = Pool::new();
        pool.quick.store(IN_PLACE_AFTER_JOBS, Ordering::Relaxed);
        let outcome = pool.run_awaited(Operation::<()>::blocking(|| panic!("the job panics"))).await;
        assert_eq!(outcome.map_err(|error| error.kind), Err(ErrorKind::Failed));
    }

    #[tokio::test]
    async fn one_thread_is_never_blocked() {
        let pool = Pool::new();
        pool.quick.store(IN_PLACE_AFTER_JOBS, Ordering::Relaxed);
        assert!(!runs_in_place(&pool).await);
    }
}
