//! How an operation of a back end comes to its result. No thread pool and no executor in here: the caller has them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use crate::Result;

/// Work that may block its thread: run it on a pool.
pub type Job<T> = Box<dyn FnOnce() -> Result<T> + Send>;

/// A result, or the way to it.
pub enum Operation<T> {
    /// The result stands.
    Ready(Result<T>),
    /// Calling this gives the result; it may block for as long as a disk takes. It owns all it needs, so dropping
    /// the caller does not stop it.
    /// Run it or drop it soon: others may be waiting for what it does.
    Blocking(Job<T>),
    /// Awaiting this gives the result; it never blocks the thread that polls it.
    Pending(Pin<Box<dyn Future<Output = Result<T>> + Send>>),
    /// Awaiting this gives the operation to go on with: for what has to wait without a thread before it may block one.
    Later(Pin<Box<dyn Future<Output = Operation<T>> + Send>>),
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
            Operation::Later(future) => Operation::Later(Box::pin(async move { future.await.map(change) })),
        }
    }

    /// Runs the operation to its end on this thread, which sleeps while it is pending. For tests and tools: futures
    /// that need the executor of another library have to be given to that.
    pub fn wait(self) -> Result<T> {
        match self {
            Operation::Ready(result) => result,
            Operation::Blocking(job) => job(),
            Operation::Pending(future) => park_on(future),
            Operation::Later(future) => park_on(future).wait(),
        }
    }
}

fn park_on<T>(mut future: Pin<Box<dyn Future<Output = T> + Send>>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}
