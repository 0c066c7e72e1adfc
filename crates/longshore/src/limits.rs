//! Every bound of the program itself, in one place.

#![allow(unreachable_pub, reason = "listed like those of the libraries")]

use std::time::Duration;

/// Bytes of the log that may wait to be written; further lines are counted as lost.
pub const LOG_QUEUE_BYTES: usize = 1 << 20;
/// How full the queue may be for comings and goings to be taken.
pub const LOG_QUEUE_ORDINARY_BYTES: usize = LOG_QUEUE_BYTES / 4 * 3;
/// How full the queue may be for traced dialogues to be taken.
pub const LOG_QUEUE_CHATTER_BYTES: usize = LOG_QUEUE_BYTES / 2;
/// How full the queue may be before whoever writes it takes no more rest.
pub const LOG_QUEUE_URGENT_BYTES: usize = 64 * 1024;
/// How long lines of the log gather before they are written together.
pub const LOG_REST: Duration = Duration::from_millis(5);
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
/// How often the files of certificates are looked at.
pub const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(1);
/// Looks in a row at changed certificates that do not fit each other until they are refused.
pub const CERTIFICATE_LOOKS: u32 = 3;
/// How long before its end a certificate is warned of.
pub const CERTIFICATE_WARNING: Duration = Duration::from_secs(14 * DAY_SECONDS);
/// How often it is warned of one.
pub const CERTIFICATE_WARNING_INTERVAL: Duration = Duration::from_secs(DAY_SECONDS);
/// How long the certificate of the server's own must be valid at the start; one that is not is made anew.
pub const OWN_CERTIFICATE_LEFT: Duration = Duration::from_secs(30 * DAY_SECONDS);
/// How much of the file it is kept in is read to copy the certificate out of it.
pub const OWN_FILE_LIMIT_BYTES: u64 = 1024 * 1024;
/// The mode of a directory that is made for it; the process's umask is taken from it.
pub const STATE_DIRECTORY_MODE: u32 = 0o755;

const DAY_SECONDS: u64 = 86_400;

const _: () = assert!(LOG_QUEUE_URGENT_BYTES < LOG_QUEUE_CHATTER_BYTES);
const _: () = assert!(LOG_QUEUE_CHATTER_BYTES < LOG_QUEUE_ORDINARY_BYTES);
const _: () = assert!(LOG_QUEUE_ORDINARY_BYTES < LOG_QUEUE_BYTES);
const _: () = assert!(OWN_CERTIFICATE_LEFT.as_secs() > CERTIFICATE_WARNING.as_secs());
