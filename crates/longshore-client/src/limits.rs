//! The limits of this crate, all in one place.
//!
//! Not inside: the time-outs of a dialogue, which [`longshore_proto::client::Options`] holds.

use std::time::Duration;

/// One read of a control connection, in bytes.
pub const REPLIES_READ_BYTES: usize = 16 * 1024;

/// One read of a data connection, in bytes.
pub const DATA_READ_BYTES: usize = 256 * 1024;

/// What is made ready for a data connection before it is written, in bytes.
pub const DATA_WRITE_BYTES: usize = 256 * 1024;

/// The first read of a source, in bytes; a small file needs no more.
pub const SOURCE_FIRST_READ_BYTES: usize = 32 * 1024;

/// Requests that are handed to a dialogue at once.
pub const REQUESTS_AT_ONCE: usize = 256;

/// How long a data connection that is not needed any more is read to its end, so that the server gets all that was sent.
pub const DATA_LINGER: Duration = Duration::from_secs(5);

/// How much of a data connection that is not needed any more is read away, in bytes.
pub const DATA_LINGER_BYTES: usize = 16 << 20;

/// Data connections of this process that are read to their end at once.
pub const DATA_LINGERS_AT_ONCE: usize = 64;

/// What a sink in memory takes where nothing else is asked for, in bytes.
pub const MEMORY_LIMIT_BYTES: usize = 64 << 20;

const _: () = {
    assert!(SOURCE_FIRST_READ_BYTES <= DATA_WRITE_BYTES);
    assert!(
        REPLIES_READ_BYTES >= longshore_proto::limits::LINE_LIMIT_BYTES,
        "most replies come with one read"
    );
};
