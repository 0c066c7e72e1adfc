//! Every bound of the program itself, in one place.

/// Lines of the log that may wait to be written; further ones are counted as lost.
pub(crate) const LOG_QUEUE_LINES: usize = 4096;
