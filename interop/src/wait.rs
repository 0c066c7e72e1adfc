//! Waiting for something that another process does.

use std::time::{Duration, Instant};

/// How long to look away between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks `look` again and again until it gives a value.
///
/// # Panics
/// When `bound` has passed without one; `what` is named then.
#[track_caller]
pub fn wait_for<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    match poll(bound, &mut look) {
        Some(value) => value,
        None => panic!("waited {} s in vain for {what}", bound.as_secs()),
    }
}

/// As [`wait_for`], but gives `None` when the bound has passed.
#[expect(clippy::disallowed_methods, reason = "the other side is a foreign process that tells us nothing")]
pub(crate) fn poll<T>(bound: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + bound;
    loop {
        // The look comes before the clock, so that even a late thread looks once more at the end.
        let is_over = Instant::now() >= end;
        let value = look();
        if value.is_some() || is_over {
            return value;
        }
        std::thread::sleep(PAUSE);
    }
}
