//! Every bound of the program itself, in one place.

#![allow(unreachable_pub, reason = "listed like those of the libraries")]

use std::time::Duration;

/// Lines of the log that may wait to be written; further ones are counted as lost.
pub const LOG_QUEUE_LINES: usize = 4096;
/// How long the end of the program waits for the last lines of its log to be read.
pub const LOG_GRACE: Duration = Duration::from_secs(2);
