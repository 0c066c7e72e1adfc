//! Every bound of the program itself, in one place.

#![allow(unreachable_pub, reason = "listed like those of the libraries")]

use std::time::Duration;

/// Bytes of the log that may wait to be written; further lines are counted as lost.
pub const LOG_QUEUE_BYTES: usize = 1 << 20;
/// How full the queue may be for comings and goings to be taken.
pub const LOG_QUEUE_ORDINARY_BYTES: usize = LOG_QUEUE_BYTES / 4 * 3;
/// How full the queue may be for traced dialogues to be taken.
pub const LOG_QUEUE_CHATTER_BYTES: usize = LOG_QUEUE_BYTES / 2;
/// How long the end of the program, or of a log file, waits for the last lines to be written.
pub const LOG_GRACE: Duration = Duration::from_secs(2);
/// The mode of new log files; the process's umask is taken from it.
pub const LOG_FILE_MODE: u32 = 0o640;
/// How often a service manager is told the number of sessions, where it has not asked for a shorter time.
pub const STATUS_INTERVAL: Duration = Duration::from_secs(10);
/// Messages that may wait for a service manager to read them.
pub const MANAGER_QUEUE: usize = 16;
/// What a service manager is asked to wait beyond the grace of transfers and of the sessions' ends.
pub const END_MARGIN: Duration = Duration::from_secs(5);
/// Directories of a root that `longshore check` looks at to find one that is writable.
pub const CHECKED_DIRECTORIES: usize = 1000;

const _: () = assert!(LOG_QUEUE_CHATTER_BYTES < LOG_QUEUE_ORDINARY_BYTES);
const _: () = assert!(LOG_QUEUE_ORDINARY_BYTES < LOG_QUEUE_BYTES);
