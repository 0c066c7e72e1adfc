//! Where the bytes of a transfer are moved: beside everything else in the session's task, or for a while on a thread of
//! its own.
//!
//! In the task every wait goes through the reactor, and every job of the disk through a thread of the pool: two threads
//! wake each other for each piece, and its octets are cold when the other one has them. A large transfer whose client is
//! fast is therefore moved in stints. For a stint the whole future of the transfer goes to a thread that may wait
//! ([`is_patient`]): it is polled there, reads and writes files in place, and waits for its client in the kernel. When its
//! time is over, or its client lets it wait for longer than a moment, it comes back into the task. It is the same future
//! all the while, so counts, limits of bandwidth, time-outs and ABOR are what they are in the task.
//!
//! Who gets a stint follows from what has moved: small files never do, slow clients seldom and ever more seldom. No
//! session waits for a thread; where all are taken, also by a disk that hangs, the task moves the bytes itself.
//!
//! Not inside: what is moved.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::available_parallelism;
use std::time::Instant;

use longshore_net::{is_patient, with_patience};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::limits::{
    STINT_AFTER_BYTES, STINT_LEAST_BYTES, STINT_PATIENCE, STINT_REST_BYTES, STINT_TIME, STINTS_AT_ONCE,
};

/// A transfer, wherever it is polled.
pub(super) type Moving<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What is left of the stints that may run in this process.
static STINTS: Semaphore = Semaphore::const_new(STINTS_AT_ONCE);

static PROCESSORS: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, NonZero::get));

/// What a stint comes back with.
enum Came<T> {
    Done(T),
    /// Its time was over.
    Midway(Moving<T>),
    /// It waits for its client, or for something else that is not the disk.
    Waiting(Moving<T>),
    Panicked(Box<dyn Any + Send>),
}

/// Moves it to its end. `moved` counts its bytes.
pub(super) async fn run<T: Send + 'static>(moved: Arc<AtomicU64>, moving: Moving<T>) -> T {
    run_within(&STINTS, &moved, moving).await
}

/// Whether this is a stint, and as many of them run as there are processors: then none is idle that the peer's side of
/// a connection would have to wake, and clients on this machine have none for themselves.
pub(super) fn is_crowded() -> bool {
    is_patient() && STINTS_AT_ONCE.saturating_sub(STINTS.available_permits()) >= *PROCESSORS
}

/// Lets a stint see whether its time is over, wherever something has moved; nothing in the task.
pub(super) async fn breathe() {
    if is_patient() {
        tokio::task::yield_now().await;
    }
}

/// Goes on in the task, for what the session has to see before more is moved.
pub(super) async fn leave() {
    // Nobody is asked to wake it: the stint ends, and the task polls it.
    poll_fn(|_| if is_patient() { Poll::Pending } else { Poll::Ready(()) }).await;
}

async fn run_within<T: Send + 'static>(
    stints: &'static Semaphore,
    moved: &AtomicU64,
    mut moving: Moving<T>,
) -> T {
    // What must have been moved before the next stint, and how much more that is after one that brought little.
    let (mut target, mut rest) = (STINT_AFTER_BYTES, STINT_REST_BYTES);
    loop {
        if let Some(done) = until(moved, target, &mut moving).await {
            return done;
        }
        let before = moved.load(Ordering::Relaxed);
        let Ok(permit) = stints.try_acquire() else {
            target = before.saturating_add(STINT_REST_BYTES);
            // It came to a wait above: others have their turn as they would have had it then.
            tokio::task::yield_now().await;
            continue;
        };
        let came = tokio::task::spawn_blocking(move || stint(moving, permit)).await;
        let now = moved.load(Ordering::Relaxed);
        // Where its time was over the next one follows at once; else when the client is there again.
        let Ok(came) = came else {
            // It panics nowhere: the runtime ends, and this task with it.
            return std::future::pending().await;
        };
        let least = match came {
            Came::Done(done) => return done,
            Came::Panicked(panic) => resume_unwind(panic),
            Came::Midway(back) => {
                moving = back;
                0
            }
            Came::Waiting(back) => {
                moving = back;
                1
            }
        };
        target = if now.saturating_sub(before) >= STINT_LEAST_BYTES {
            rest = STINT_REST_BYTES;
            now.saturating_add(least)
        } else {
            let after = now.saturating_add(rest);
            rest = rest.saturating_mul(2);
            after
        };
    }
}

/// Polls it here until it is done (`Some`), or comes to a wait with so many bytes moved.
async fn until<T>(moved: &AtomicU64, target: u64, moving: &mut Moving<T>) -> Option<T> {
    let enough = || moved.load(Ordering::Relaxed) >= target;
    poll_fn(|context| {
        if enough() {
            return Poll::Ready(None);
        }
        match moving.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if enough() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Polls it on this thread, as long as it only gives others their turn, until its time is over.
fn stint<T>(mut moving: Moving<T>, _permit: SemaphorePermit<'_>) -> Came<T> {
    let again = Arc::new(Again::default());
    let waker = Waker::from(Arc::clone(&again));
    let mut context = Context::from_waker(&waker);
    let end = Instant::now() + STINT_TIME;
    loop {
        again.0.store(false, Ordering::Release);
        let poll = || with_patience(STINT_PATIENCE, || moving.as_mut().poll(&mut context));
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Ready(done)) => return Came::Done(done),
            Ok(Poll::Pending) if !again.0.load(Ordering::Acquire) => return Came::Waiting(moving),
            Ok(Poll::Pending) if Instant::now() >= end => return Came::Midway(moving),
            Ok(Poll::Pending) => {}
            Err(panic) => return Came::Panicked(panic),
        }
    }
}

/// Whether the future wants to be polled again at once.
#[derive(Default)]
struct Again(AtomicBool);

impl Wake for Again {
    fn wake(self: Arc<Again>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Again>) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::task::yield_now;

    use super::*;

    /// Where a transfer of a test was polled, and what it has moved.
    #[derive(Clone, Default)]
    struct Ground {
        moved: Arc<AtomicU64>,
        patient: Arc<Mutex<Vec<bool>>>,
    }

    impl Ground {
        /// Moves bytes, and gives others their turn as every transfer does. Whether that was in a stint.
        async fn step(&self, bytes: u64) -> bool {
            let is_patient = is_patient();
            self.patient.lock().unwrap().push(is_patient);
            self.moved.fetch_add(bytes, Ordering::Relaxed);
            yield_now().await;
            is_patient
        }

        async fn run<T: Send + 'static>(&self, moving: impl Future<Output = T> + Send + 'static) -> T {
            let stints = Box::leak(Box::new(Semaphore::new(1)));
            let done = run_within(stints, &self.moved, Box::pin(moving)).await;
            assert_eq!(stints.available_permits(), 1, "a stint is over when its transfer is");
            done
        }

        #[track_caller]
        fn check(&self, patient: &[bool]) {
            assert_eq!(*self.patient.lock().unwrap(), patient);
        }
    }

    /// As [`Ground::step`], for each of these.
    async fn steps(ground: &Ground, bytes: impl IntoIterator<Item = u64>) {
        for bytes in bytes {
            ground.step(bytes).await;
        }
    }

    /// As a client does that sends an octet now and then: nothing of it is ever handed to storage.
    #[tokio::test]
    async fn a_transfer_that_trickles_gives_its_stint_back() {
        let ground = Ground::default();
        let trickling = ground.clone();
        ground
            .run(async move {
                while !trickling.step(STINT_AFTER_BYTES).await {}
                while is_patient() {
                    trickling.moved.fetch_add(1, Ordering::Relaxed);
                    breathe().await;
                }
            })
            .await;
    }

    #[tokio::test]
    async fn what_is_small_stays_in_the_task() {
        let ground = Ground::default();
        let its = ground.clone();
        ground.run(async move { steps(&its, [STINT_AFTER_BYTES - 2, 1]).await }).await;
        ground.check(&[false, false]);
    }

    #[tokio::test]
    async fn what_is_large_goes_on_on_a_thread_and_ends_there() {
        let ground = Ground::default();
        let its = ground.clone();
        let done = ground.run(async move {
            steps(&its, [STINT_AFTER_BYTES, 1, 1]).await;
            its.moved.load(Ordering::Relaxed)
        });
        assert_eq!(done.await, STINT_AFTER_BYTES + 2);
        ground.check(&[false, true, true]);
    }

    /// Whoever it waits for wakes the task, and only a stint that was worth it is followed by the next one.
    #[tokio::test]
    async fn a_wait_is_waited_for_in_the_task() {
        for (bytes, is_worth_it) in [(STINT_LEAST_BYTES, true), (STINT_LEAST_BYTES - 1, false)] {
            let ground = Ground::default();
            let its = ground.clone();
            ground
                .run(async move {
                    steps(&its, [STINT_AFTER_BYTES, bytes]).await;
                    leave().await;
                    let mut is_asked = false;
                    poll_fn(|context| {
                        if std::mem::replace(&mut is_asked, true) {
                            return Poll::Ready(());
                        }
                        let waker = context.waker().clone();
                        tokio::spawn(async move { waker.wake() });
                        Poll::Pending
                    })
                    .await;
                    steps(&its, [1, 1]).await;
                })
                .await;
            ground.check(&[false, true, false, is_worth_it]);
        }
    }

    /// A client that lets every stint wait gets ever fewer of them.
    #[tokio::test]
    async fn stints_that_bring_little_become_rare() {
        let ground = Ground::default();
        let its = ground.clone();
        let pieces = 64 * STINT_REST_BYTES / STINT_AFTER_BYTES;
        let moving = ground.run(async move {
            for _ in 0..pieces {
                if its.step(STINT_AFTER_BYTES).await {
                    leave().await;
                }
            }
        });
        moving.await;
        let patient = ground.patient.lock().unwrap().clone();
        let stints = patient.iter().filter(|&&patient| patient).count();
        assert!((2..=7).contains(&stints), "{stints} stints of {pieces} pieces");
    }

    /// One that never waits lets go of its thread all the same, and somebody else has it.
    #[tokio::test]
    async fn a_stint_ends_when_its_time_is_over() {
        let stints: &'static Semaphore = Box::leak(Box::new(Semaphore::new(1)));
        let moved = Arc::new(AtomicU64::new(0));
        let (its, had) = (Arc::clone(&moved), Arc::new(AtomicBool::new(false)));
        let seen = Arc::clone(&had);
        let moving = async move {
            while !seen.load(Ordering::Relaxed) {
                its.fetch_add(STINT_LEAST_BYTES, Ordering::Relaxed);
                yield_now().await;
            }
        };
        let other = async {
            while stints.available_permits() > 0 {
                yield_now().await;
            }
            stints.acquire().await.expect("it is never closed").forget();
            had.store(true, Ordering::Relaxed);
        };
        tokio::join!(run_within(stints, &moved, Box::pin(moving)), other);
    }

    #[tokio::test]
    async fn where_no_thread_is_free_the_task_goes_on() {
        let stints: &'static Semaphore = Box::leak(Box::new(Semaphore::new(0)));
        let ground = Ground::default();
        let its = ground.clone();
        let moving = Box::pin(async move { steps(&its, [STINT_AFTER_BYTES, STINT_REST_BYTES, 1]).await });
        run_within(stints, &ground.moved, moving).await;
        ground.check(&[false, false, false]);
    }

    #[tokio::test]
    async fn what_the_session_must_see_is_left_to_the_task() {
        let ground = Ground::default();
        let its = ground.clone();
        ground
            .run(async move {
                steps(&its, [STINT_AFTER_BYTES, 1]).await;
                leave().await;
                its.step(1).await;
            })
            .await;
        ground.check(&[false, true, false]);
    }

    #[tokio::test]
    async fn a_panic_is_the_sessions() {
        let ground = Ground::default();
        let its = ground.clone();
        let panicking = tokio::spawn(async move {
            let inside = its.clone();
            its.run(async move {
                inside.step(STINT_AFTER_BYTES).await;
                assert!(!is_patient(), "within the stint");
            })
            .await;
        });
        let panic = panicking.await.expect_err("it panics").into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"within the stint"));
        ground.check(&[false]);
    }
}
