//! How an operation of a back end comes to its result. No thread pool and no executor in here: the caller has them.

use std::pin::Pin;

use crate::Result;

/// Work that may block its thread: run it on a pool.
pub type Job<T> = Box<dyn FnOnce() -> Result<T> + Send>;

/// A result, or the way to it.
pub enum Operation<T> {
    /// The result stands.
    Ready(Result<T>),
    /// Calling this gives the result; it may block for as long as a disk takes. It owns all it needs, so dropping
    /// the caller does not stop it.
    Blocking(Job<T>),
    /// Awaiting this gives the result; it never blocks the thread that polls it.
    Pending(Pin<Box<dyn Future<Output = Result<T>> + Send>>),
}

impl<T: Send + 'static> Operation<T> {
    /// A job for a pool.
    pub fn blocking(job: impl FnOnce() -> Result<T> + Send + 'static) -> Operation<T> {
        Operation::Blocking(Box::new(job))
    }

    /// The same operation with another form of result.
    pub fn map<U: Send + 'static>(self, change: impl FnOnce(T) -> U + Send + 'static) -> Operation<U> {
        match self {
            Operation::Ready(result) => Operation::Ready(result.map(change)),
            Operation::Blocking(job) => Operation::Blocking(Box::new(move || job().map(change))),
            Operation::Pending(future) => {
                Operation::Pending(Box::pin(async move { future.await.map(change) }))
            }
        }
    }

    /// Runs the operation to its end on this thread. For tests and tools.
    ///
    /// # Panics
    /// When a pending operation is not ready at the first poll: this is no executor.
    pub fn wait(self) -> Result<T> {
        match self {
            Operation::Ready(result) => result,
            Operation::Blocking(job) => job(),
            Operation::Pending(mut future) => {
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                match future.as_mut().poll(&mut context) {
                    std::task::Poll::Ready(result) => result,
                    std::task::Poll::Pending => panic!("wait() on an operation that needs an executor"),
                }
            }
        }
    }
}
