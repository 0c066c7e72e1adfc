//! Every limit of this crate, in one place, and how the limits depend on each other.

use std::time::Duration;

/// Connections that the kernel may hold completed for a control listener before they are accepted.
///
/// The kernel cuts this down to `net.core.somaxconn` (4,096 by default).
pub const CONTROL_BACKLOG: i32 = 1024;

/// Connections that the kernel may hold completed for one passive port.
///
/// A port serves one connection for each reservation; the rest is room for strangers, so that they
/// cannot keep the expected peer out while nobody accepts.
pub const PASSIVE_BACKLOG: i32 = 128;

/// How long a passive port goes on listening when its peer has had its connection, at least; at most twice as long.
pub const WARM_TIME: Duration = Duration::from_secs(1);

/// Passive ports that listen at once without being reserved.
pub const WARM_LISTENERS: usize = 32;

/// Reservations in a row that one listener serves before it is closed and another port has its turn.
pub const WARM_TIMES: u32 = 64;

/// Connections accepted in one round on one passive port before others get their turn.
pub const ACCEPT_ROUND: usize = 256;

/// Silence on a control connection before the first keep-alive probe.
pub const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(60);

/// Time between two keep-alive probes.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Unanswered keep-alive probes after which the kernel ends a control connection.
pub const KEEP_ALIVE_PROBES: u32 = 4;

/// Longest time that a closed data connection is drained.
pub const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Most bytes that are drained from one closed data connection.
pub const DRAIN_BYTES: usize = 16 * 1024 * 1024;

/// Buffer of one drain, in bytes.
pub const DRAIN_BUFFER_BYTES: usize = 16 * 1024;

/// Data connections that are drained at the same time, in the whole process.
pub const DRAINS_AT_ONCE: usize = 256;

// A listener that gets a second reservation is emptied in one round first. The kernel holds at most
// one connection more than the backlog says, so that one round reaches everything that was pending.
const _: () = assert!(ACCEPT_ROUND > PASSIVE_BACKLOG as usize + 1);
const _: () = assert!(PASSIVE_BACKLOG > 0 && PASSIVE_BACKLOG < CONTROL_BACKLOG);
// A control connection behind a dead network is found out within five minutes, the usual idle limit.
const _: () =
    assert!(KEEP_ALIVE_IDLE.as_secs() + KEEP_ALIVE_INTERVAL.as_secs() * KEEP_ALIVE_PROBES as u64 <= 300);
const _: () = assert!(KEEP_ALIVE_INTERVAL.as_secs() <= KEEP_ALIVE_IDLE.as_secs());
const _: () = assert!(DRAIN_BUFFER_BYTES <= DRAIN_BYTES);
// All drains together take a few megabytes at most.
const _: () = assert!(DRAINS_AT_ONCE * DRAIN_BUFFER_BYTES <= 8 * 1024 * 1024);
