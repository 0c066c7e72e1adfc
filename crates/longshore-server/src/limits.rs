//! Every bound of the server, in one place. Those an operator may change are defaults of
//! [`Config`](crate::Config).

use std::ops::RangeInclusive;
use std::time::Duration;

/// Sessions at once.
pub const SESSIONS: usize = 10_000;
/// Sessions at once from one address.
pub const SESSIONS_PER_ADDRESS: usize = 32;
/// New connections per second from one address.
pub const CONNECTIONS_PER_SECOND_PER_ADDRESS: u32 = 20;
/// Logins from one address that may fail within [`FAILED_LOGIN_WINDOW`]; the next one bans it.
pub const FAILED_LOGINS_PER_ADDRESS: u32 = 10;
/// How long a failed login counts.
pub const FAILED_LOGIN_WINDOW: Duration = Duration::from_secs(10 * 60);
/// How long a banned address stays so.
pub const BAN: Duration = Duration::from_secs(10 * 60);
/// Accounts that are remembered before those that nobody uses any more are forgotten.
pub const IDLE_ACCOUNTS: usize = 4096;
/// The longest that a ban can be asked for: 100 years, which the clock can still tell.
pub const LONGEST_BAN: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// Addresses of which something is remembered: failed logins, bans, connections of the last second. Beyond that the
/// oldest that are not banned are forgotten.
pub const WATCHED_ADDRESSES: usize = 65_536;
/// How often at most all of these are looked through for what says nothing any more.
pub const SWEEP_REST: Duration = Duration::from_secs(1);
/// Descriptors that sessions may not use up by their number alone: for data connections, files, and the log. At least
/// so many, and at least one of [`DESCRIPTOR_RESERVE_SHARE`].
pub const DESCRIPTOR_RESERVE: usize = 64;
/// One descriptor of so many is kept from sessions that do nothing.
pub const DESCRIPTOR_RESERVE_SHARE: usize = 20;
/// How long transfers may go on when the server drains.
pub const DRAIN_GRACE: Duration = Duration::from_secs(30);
/// How much is moved at once under a limit of bandwidth, as time at that bandwidth.
pub const BANDWIDTH_CHUNK_TIME: Duration = Duration::from_millis(5);
/// How much of a limit of bandwidth that was not used can still be used, as time at that bandwidth.
pub const BANDWIDTH_CREDIT: Duration = Duration::from_millis(100);
/// The least that is moved at once under a limit of bandwidth.
pub const BANDWIDTH_CHUNK_LEAST_BYTES: usize = 512;
/// Passive ports, below the range from which Linux takes ports for outgoing connections (32768-60999).
pub const PASSIVE_PORTS: RangeInclusive<u16> = 30000..=30999;

/// Jobs that may block a thread at once: directories, disks, hashes.
pub const BLOCKING_JOBS: usize = 64;
/// Jobs that take longer are slow: a session that waits for one goes on listening to its client.
pub const IN_PLACE_LIMIT: Duration = Duration::from_millis(3);
/// Jobs in a row that were not slow, before the next one runs where its session does.
pub const IN_PLACE_AFTER_JOBS: usize = 8;
/// Passwords that are hashed at once.
pub const PASSWORD_HASHES: usize = 4;
/// Bytes read from the control connection at once.
pub const CONTROL_READ_BYTES: usize = 4096;
/// Replies that may wait for a client which does not read them; beyond it no further command is taken.
pub const CONTROL_UNSENT_LIMIT_BYTES: usize = 64 * 1024;
/// How long replies may wait without one byte of them going out.
pub const CONTROL_WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Commands carried out in a row before other sessions get their turn.
pub const COMMANDS_PER_TURN: usize = 64;
/// How long a closed session still reads, so that its last reply is not lost to a reset.
pub const LINGER: Duration = Duration::from_secs(1);
/// How long sessions may take to end when the server does.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// How long accepting rests when descriptors or memory ran out.
pub const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Data connections of one session whose TLS begins at once, where they have to prove whose they are.
pub const HANDSHAKES_AT_ONCE: usize = 8;

/// Bytes that one call copies from a file to a connection inside the kernel.
pub const SENDFILE_CHUNK_BYTES: usize = 512 * 1024;
/// Stints of large transfers on threads of their own, in the whole process. Beyond it transfers go on in their tasks.
pub const STINTS_AT_ONCE: usize = 16;
/// How long one stint may take before others get their turn.
pub const STINT_TIME: Duration = Duration::from_millis(50);
/// How long a thread waits for a client in a stint. A slower client is waited for without a thread.
pub const STINT_PATIENCE: Duration = Duration::from_millis(2);
/// What a transfer has moved before its first stint; smaller files never have one.
pub const STINT_AFTER_BYTES: u64 = 512 * 1024;
/// What a stint must have moved to be worth another one soon: 80 MB/s, or all that a client has room for, more than once.
pub const STINT_LEAST_BYTES: u64 = 4 * 1024 * 1024;
/// What is moved without a stint behind one that was not worth it; twice as much behind the next such one.
pub const STINT_REST_BYTES: u64 = 4 * 1024 * 1024;
/// The buffer of an upload in clear in a stint; larger ones were slower.
pub const STINT_UPLOAD_BUFFER_BYTES: usize = 1024 * 1024;
/// The buffer of a download in a stint that cannot be copied inside the kernel.
pub const STINT_BUFFER_BYTES: usize = 512 * 1024;

/// The first buffer of an upload, enough for most small files.
pub const UPLOAD_BUFFER_FIRST_BYTES: usize = 64 * 1024;
/// The buffer of an upload that has filled its first one.
pub const UPLOAD_BUFFER_BYTES: usize = 512 * 1024;
/// The buffer of a download that cannot be copied inside the kernel.
pub const DOWNLOAD_BUFFER_BYTES: usize = 128 * 1024;
/// Files of so many octets are read and sent with one call each; larger ones are copied inside the kernel.
pub const COPIED_MOST_BYTES: u64 = 64 * 1024;
/// Files of so many octets go out in blocks that the kernel copies; smaller ones are read and sent with one call each.
pub const ZERO_COPY_BLOCKS_LEAST_BYTES: u64 = 128 * 1024;
/// Octets of a file between two restart markers, in modes that have them.
pub const MARKER_INTERVAL_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes that are taken from a protected connection that was kept, to learn whether the client has ended it.
pub const KEPT_READ_BYTES: usize = 4096;
/// Restart markers of an upload that wait to be answered. They are answered before more are looked at.
pub const MARKERS_AT_ONCE: usize = 64;
/// Bytes of a listing that are gathered before they are sent, unless the next ones would have to be waited for.
pub const LISTING_BUFFER_BYTES: usize = 32 * 1024;
/// Batches of a large directory that are read at once, ahead of what has been sent of its listing.
pub const LISTING_JOBS: usize = 4;

const _: () = assert!(PASSWORD_HASHES < BLOCKING_JOBS);
const _: () = assert!(CONTROL_READ_BYTES <= CONTROL_UNSENT_LIMIT_BYTES);
const _: () = assert!(UPLOAD_BUFFER_FIRST_BYTES <= UPLOAD_BUFFER_BYTES);
const _: () = assert!(UPLOAD_BUFFER_BYTES <= STINT_UPLOAD_BUFFER_BYTES);
const _: () = assert!(DOWNLOAD_BUFFER_BYTES <= STINT_BUFFER_BYTES);
const _: () = assert!(STINT_PATIENCE.as_millis() < STINT_TIME.as_millis());
const _: () = assert!(SESSIONS_PER_ADDRESS <= SESSIONS);
const _: () = assert!(*PASSIVE_PORTS.end() < 32768);
