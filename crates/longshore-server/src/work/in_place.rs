//! Running a short job on a thread of the runtime itself.
//!
//! Not inside: which jobs are short. A thread of the runtime that runs a job looks after nothing else meanwhile, and the
//! others may be asleep, trusting it to wake them. For a short job that is nothing; one that turns out to be long is noticed
//! within [`IN_PLACE_TICK`], and then another thread is woken. So at least one must be left: where all others have jobs,
//! the next one first hands over what its thread has to do, which costs two changes of threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::{Job, timed};
use crate::limits::{IN_PLACE_REST, IN_PLACE_TICK};

/// The threads of one runtime, as far as they may run jobs.
#[derive(Default)]
pub(super) struct InPlace(OnceLock<Option<Arc<Places>>>);

struct Places {
    /// One for each thread of the runtime but one.
    places: Box<[Place]>,
    origin: Instant,
    runtime: Handle,
    /// Whoever watches, where there is a thread for it, and whether it is awake.
    watcher: OnceLock<Option<Thread>>,
    is_watched: AtomicBool,
}

/// When the last job of a place began, in nanoseconds, and in the lowest bit whether it still runs.
#[derive(Default)]
struct Place(AtomicU64);

const RUNS: u64 = 1;

/// A place that is taken. Dropped, it is free.
struct Taken<'a> {
    place: &'a Place,
    begun: u64,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.place.0.store(self.begun & !RUNS, Ordering::SeqCst);
    }
}

impl InPlace {
    /// Runs a job here, and says how long it took; `None` when it panicked. `Err` gives it back where it would stop
    /// everything else.
    pub(super) fn run<T>(&self, job: Job<T>) -> Result<Option<(T, Duration)>, Job<T>> {
        let Some(places) = self.0.get_or_init(Places::of_this_runtime) else { return Err(job) };
        let run = AssertUnwindSafe(|| timed(job));
        Ok(match places.take() {
            Some(_taken) => catch_unwind(run).ok(),
            None => tokio::task::block_in_place(|| catch_unwind(run).ok()),
        })
    }
}

impl Places {
    /// `None` where there is only one thread.
    fn of_this_runtime() -> Option<Arc<Places>> {
        let runtime = Handle::current();
        if runtime.runtime_flavor() == RuntimeFlavor::CurrentThread {
            return None;
        }
        let places = Arc::new(Places {
            places: (1..runtime.metrics().num_workers()).map(|_| Place::default()).collect(),
            origin: Instant::now(),
            runtime,
            watcher: OnceLock::new(),
            is_watched: AtomicBool::new(true),
        });
        let watched = Arc::downgrade(&places);
        let watcher = std::thread::Builder::new().name("watcher".to_owned()).spawn(|| watch(watched));
        let watcher = watcher.ok().map(|watcher| watcher.thread().clone());
        let _ = places.watcher.set(watcher);
        Some(places)
    }

    fn take(&self) -> Option<Taken<'_>> {
        // Without anybody who watches no place is safe.
        let watcher = self.watcher.get()?.as_ref()?;
        let begun = self.nanoseconds() | RUNS;
        let taken = self.places.iter().find_map(|place| {
            let before = place.0.load(Ordering::Relaxed);
            let free = before & RUNS == 0;
            let exchange = |()| place.0.compare_exchange(before, begun, Ordering::SeqCst, Ordering::Relaxed);
            free.then_some(()).and_then(|()| exchange(()).ok()).map(|_| Taken { place, begun })
        })?;
        if !self.is_watched.load(Ordering::SeqCst) && !self.is_watched.swap(true, Ordering::SeqCst) {
            watcher.unpark();
        }
        Some(taken)
    }

    fn nanoseconds(&self) -> u64 {
        // 64 bits of nanoseconds are 584 years.
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// How long ago the last job began, and whether one has been running for too long.
    fn look(&self) -> (Duration, bool) {
        let now = self.nanoseconds();
        let mut since_last = u64::MAX;
        let mut stuck = false;
        for place in &self.places {
            let begun = place.0.load(Ordering::SeqCst);
            let since = now.saturating_sub(begun & !RUNS);
            since_last = since_last.min(since);
            stuck |= begun & RUNS != 0 && Duration::from_nanos(since) >= IN_PLACE_TICK;
        }
        (Duration::from_nanos(since_last), stuck)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if let Some(Some(watcher)) = self.watcher.get() {
            watcher.unpark();
        }
    }
}

/// Wakes a thread of the runtime whenever another one is stuck in its job, as long as there are places to watch.
fn watch(watched: Weak<Places>) {
    loop {
        std::thread::park_timeout(IN_PLACE_TICK);
        let Some(places) = watched.upgrade() else { return };
        let (since_last, is_stuck) = places.look();
        if is_stuck {
            // Whoever is woken for this task looks after everything else, too.
            places.runtime.spawn(async {});
        } else if since_last >= IN_PLACE_REST {
            places.is_watched.store(false, Ordering::SeqCst);
            // A job that began meanwhile may have found the watcher awake.
            if places.look().0 >= IN_PLACE_REST {
                drop(places);
                std::thread::park();
                continue;
            }
            places.is_watched.store(true, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Jobs that wait for somebody whom the runtime has to serve: had they stopped it, they would never end.
    #[test]
    fn stuck_jobs_stop_nothing_else() {
        for stuck in [1, 2, 5] {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime starts");
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("it binds");
                let address = listener.local_addr().expect("it is bound");
                tokio::spawn(async move {
                    while let Ok((mut stream, _)) = listener.accept().await {
                        let byte = stream.read_u8().await.expect("a byte comes");
                        stream.write_u8(byte + 1).await.expect("it can be written");
                    }
                });
                let in_place = Arc::new(InPlace::default());
                let (gates, waiting): (Vec<_>, Vec<_>) = (0..stuck).map(|_| mpsc::channel::<()>()).unzip();
                let (begun, all_begun) = mpsc::channel();
                let jobs: Vec<_> = (waiting.into_iter())
                    .map(|gate| {
                        let (in_place, begun) = (in_place.clone(), begun.clone());
                        tokio::spawn(async move {
                            let job = move || {
                                begun.send(()).expect("somebody waits");
                                gate.recv().is_ok()
                            };
                            in_place.run(Box::new(job)).ok().flatten().map(|(opened, _)| opened)
                        })
                    })
                    .collect();
                let client = std::thread::spawn(move || {
                    (0..stuck).for_each(|_| all_begun.recv().expect("a job begins"));
                    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
                    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("it is a socket");
                    std::io::Write::write_all(&mut stream, &[41]).expect("it can be written");
                    let mut answer = [0];
                    let served = std::io::Read::read_exact(&mut stream, &mut answer).is_ok();
                    gates.iter().for_each(|gate| gate.send(()).expect("the job waits"));
                    (served, answer)
                });
                for job in jobs {
                    assert_eq!(job.await.expect("it does not panic"), Some(true));
                }
                client.join().expect("it does not panic")
            });
            assert_eq!(served, (true, [42]), "{stuck} jobs");
        }
    }

    #[test]
    fn the_watcher_rests_and_comes_back() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("it starts");
        let _inside = runtime.enter();
        let places = Places::of_this_runtime().expect("it has several threads");
        for _ in 0..2 {
            let taken = places.take().expect("a place is free");
            assert!(places.is_watched.load(Ordering::SeqCst));
            assert!(places.take().is_none(), "the last thread is never blocked");
            drop(taken);
            while places.is_watched.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
    }
}
