//! Where jobs that may block run, and how an operation of storage comes to its end.
//!
//! Not inside: what the jobs do. A job that has begun runs to its end, whoever waits for it or does not.

use std::sync::Arc;

use longshore_accounts::{Answer, Rejection, Verdict};
use longshore_storage::{Error, ErrorKind, Operation, Result};
use tokio::sync::Semaphore;

use crate::limits::{BLOCKING_JOBS, PASSWORD_HASHES};

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

    /// Runs an operation the way it wants to be run.
    pub(crate) async fn run<T: Send + 'static>(&self, mut operation: Operation<T>) -> Result<T> {
        loop {
            return match operation {
                Operation::Ready(result) => result,
                Operation::Pending(future) => future.await,
                Operation::Blocking(job) => {
                    block(&self.permits, job).await.unwrap_or_else(|| Err(ErrorKind::Failed.into()))
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

/// The system's own words of an error, for the log.
pub(crate) fn cause(error: &Error) -> Option<String> {
    let interesting = error.source.is_some() || error.kind == ErrorKind::Failed;
    interesting.then(|| error.to_string())
}
