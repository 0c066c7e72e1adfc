//! Where jobs that may block run, and how an operation of storage comes to its end.
//!
//! Not inside: what the jobs do. A job that has begun runs to its end, whoever waits for it or does not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use longshore_accounts::{Answer, Rejection, Verdict};
use longshore_storage::{Error, ErrorKind, Operation, Result};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

use crate::limits::{BLOCKING_JOBS, IN_PLACE_AFTER_JOBS, IN_PLACE_LIMIT, PASSWORD_HASHES};

/// How quick the jobs of one session are: how many since the last slow one, as far as they count.
#[derive(Debug, Default)]
pub(crate) struct Quickness(AtomicUsize);

impl Quickness {
    fn is_quick(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= IN_PLACE_AFTER_JOBS
    }

    /// `None` for a job that panicked.
    fn note(&self, took: Option<Duration>) {
        let quick = match took {
            Some(took) if took <= IN_PLACE_LIMIT => self.0.load(Ordering::Relaxed).saturating_add(1),
            _ => 0,
        };
        // A session does one thing at a time.
        self.0.store(quick, Ordering::Relaxed);
    }
}

/// A bounded share of the runtime's threads for blocking work.
#[derive(Clone)]
pub(crate) struct Pool {
    permits: Arc<Semaphore>,
    /// Password hashes take memory by the tens of megabytes, so they have a smaller share of their own.
    hashes: Arc<Semaphore>,
}

impl Pool {
    pub(crate) fn new() -> Pool {
        Pool {
            permits: Arc::new(Semaphore::new(BLOCKING_JOBS)),
            hashes: Arc::new(Semaphore::new(PASSWORD_HASHES)),
        }
    }

    /// Whether jobs that nobody waits for may be begun as well.
    pub(crate) fn is_half_free(&self) -> bool {
        self.permits.available_permits() >= BLOCKING_JOBS / 2
    }

    /// Runs an operation the way it wants to be run, jobs beside whoever waits for them.
    pub(crate) async fn run<T: Send + 'static>(&self, operation: Operation<T>) -> Result<T> {
        self.run_by(None, operation).await
    }

    /// Runs an operation that is quick as a rule and that the session's next step waits for. While such jobs of the session
    /// are quick, one runs where the session does, and the runtime's other work goes on elsewhere: nobody has to be woken
    /// before the job, and nobody behind it, which for a small file costs more than the job itself. Where they are slow the
    /// session goes on listening to its client.
    pub(crate) async fn run_awaited<T: Send + 'static>(
        &self,
        quickness: &Quickness,
        operation: Operation<T>,
    ) -> Result<T> {
        let several_threads = Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread;
        self.run_by(several_threads.then_some(quickness), operation).await
    }

    async fn run_by<T: Send + 'static>(
        &self,
        quickness: Option<&Quickness>,
        mut operation: Operation<T>,
    ) -> Result<T> {
        loop {
            return match operation {
                Operation::Ready(result) => result,
                Operation::Pending(future) => future.await,
                Operation::Blocking(job) => {
                    let in_place = quickness.is_some_and(Quickness::is_quick);
                    let done = match in_place {
                        true => block_in_place(&self.permits, job).await,
                        false => block(&self.permits, job).await,
                    };
                    let (done, took) = done.unzip();
                    if let Some(quickness) = quickness {
                        quickness.note(took);
                    }
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
            Answer::Blocking(job) => {
                block(&self.hashes, job).await.map_or(Err(Rejection::Unavailable), |(verdict, _)| verdict)
            }
        }
    }
}

/// What a job comes to, and how long it takes without the wait for a thread. `None` when it panicked: then its own caller
/// learns of a failure, and nobody else of anything.
async fn block<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    job: Box<dyn FnOnce() -> T + Send>,
) -> Option<(T, Duration)> {
    let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
    tokio::task::spawn_blocking(move || {
        let done = timed(job);
        drop(permit);
        done
    })
    .await
    .ok()
}

/// As [`block`], on this thread; another one takes over what else it had to do. Only where the runtime has several.
async fn block_in_place<T>(permits: &Semaphore, job: Box<dyn FnOnce() -> T + Send>) -> Option<(T, Duration)> {
    let _permit = permits.acquire().await.expect("the semaphore is never closed");
    tokio::task::block_in_place(|| catch_unwind(AssertUnwindSafe(|| timed(job))).ok())
}

fn timed<T>(job: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    (job(), begin.elapsed())
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

    fn quick() -> Quickness {
        Quickness(AtomicUsize::new(IN_PLACE_AFTER_JOBS))
    }

    async fn runs_in_place(pool: &Pool, quickness: &Quickness) -> bool {
        let job = Operation::blocking(|| Ok(thread::current().id()));
        pool.run_awaited(quickness, job).await.expect("it does not fail") == thread::current().id()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn jobs_run_in_place_while_none_is_slow() {
        let (pool, quickness) = (Pool::new(), Quickness::default());
        for _ in 0..IN_PLACE_AFTER_JOBS {
            assert!(!runs_in_place(&pool, &quickness).await, "too little is known of the disk yet");
        }
        // On a busy machine a job may be slow that does nothing.
        while !runs_in_place(&pool, &quickness).await {}
        let begin = Instant::now();
        let slow = || {
            Operation::blocking(move || {
                while begin.elapsed() <= 2 * IN_PLACE_LIMIT {
                    std::hint::spin_loop();
                }
                Ok(())
            })
        };
        pool.run_awaited(&quickness, slow()).await.expect("it does not fail");
        assert!(!runs_in_place(&pool, &quickness).await);
        // What others do meanwhile is done beside them all the same.
        let job = Operation::blocking(|| Ok(thread::current().id()));
        assert_ne!(pool.run(job).await.expect("it does not fail"), thread::current().id());
    }

    /// A job that is known only after a wait is timed as well.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_slow_job_behind_a_wait_is_slow() {
        let (pool, quickness) = (Pool::new(), quick());
        let later = Operation::Later(Box::pin(async {
            Operation::blocking(|| {
                let begin = Instant::now();
                while begin.elapsed() <= 2 * IN_PLACE_LIMIT {
                    std::hint::spin_loop();
                }
                Ok(())
            })
        }));
        pool.run_awaited(&quickness, later).await.expect("it does not fail");
        assert!(!quickness.is_quick());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_in_place_is_a_failure() {
        let (pool, quickness) = (Pool::new(), quick());
        let outcome =
            pool.run_awaited(&quickness, Operation::<()>::blocking(|| panic!("the job panics"))).await;
        assert_eq!(outcome.map_err(|error| error.kind), Err(ErrorKind::Failed));
        assert!(!quickness.is_quick());
    }

    #[tokio::test]
    async fn one_thread_is_never_blocked() {
        assert!(!runs_in_place(&Pool::new(), &quick()).await);
    }
}
