//! Every bound of the protocol layer, in one place. No policy of an operator in here: those are in
//! [`Policy`](crate::server::Policy), and these are their defaults.

/// The longest command line in bytes, without its end.
pub const LINE_LIMIT_BYTES: usize = 4096;
/// What the line buffer may keep allocated for a part of a line, beyond twice its length, in bytes; for nothing it keeps
/// nothing.
pub const LINE_BUFFER_KEPT_BYTES: usize = 1024;
/// Commands that may wait behind the running one before the server stops reading.
pub const WAITING_LIMIT_COMMANDS: usize = 4096;
/// Bytes of commands that may wait behind the running one before the server stops reading.
pub const WAITING_LIMIT_BYTES: usize = 64 * 1024;
/// How much further reading goes on when urgent data announces an ABOR behind a full queue.
pub const URGENT_EXTRA_FACTOR: usize = 2;

/// Seconds from the connection to a finished login.
pub const LOGIN_TIMEOUT_SECONDS: u64 = 60;
/// Seconds without a command or data before the session ends; NOOP counts as a command.
pub const IDLE_TIMEOUT_SECONDS: u64 = 300;
/// Seconds from the mark until the data connection must stand.
pub const CONNECT_TIMEOUT_SECONDS: u64 = 30;
/// Seconds that a passive port waits for the transfer command.
pub const RESERVATION_TIMEOUT_SECONDS: u64 = 60;
/// Seconds that a TLS handshake on the control connection may take.
pub const HANDSHAKE_TIMEOUT_SECONDS: u64 = 30;
/// Seconds without a byte moving before a transfer is given up.
pub const STALL_TIMEOUT_SECONDS: u64 = 120;
/// Seconds that an upload may still take to end in order after the control connection was closed without QUIT.
pub const LOST_CONTROL_GRACE_SECONDS: u64 = 5;

/// Logins that may fail in one session.
pub const LOGIN_ATTEMPTS: u32 = 3;
/// Seconds of waiting before the first refusal; the second takes twice, the third three times as long. Refusals
/// that came before from the same address count, where the server remembers them.
pub const LOGIN_DELAY_SECONDS: u64 = 1;
/// The longest wait before a refusal in seconds.
pub const LOGIN_DELAY_LIMIT_SECONDS: u64 = 10;
/// The longest user name in bytes.
pub const USER_NAME_LIMIT_BYTES: usize = 255;

/// The permission bits that SITE CHMOD gives: those of owner, group and others, set-group-ID and sticky. Nothing that
/// was uploaded should run as the user of the server, so set-user-ID is not among them. Set-group-ID is for directories:
/// storage, which knows what a path leads to, refuses it to files.
pub const FILE_MODE_BITS: u32 = 0o3777;
/// The lowest port an active data connection may go to (RFC 2577 section 3).
pub const ACTIVE_PORT_MINIMUM: u16 = 1024;
/// Entries that STAT lists over the control connection; more are LIST's work.
pub const STATUS_LIMIT_ENTRIES: usize = 1000;

/// The longest restart marker that is taken, in bytes.
pub const MARKER_LIMIT_BYTES: usize = 255;
/// Octets that one call to a receiver may put out.
pub const RECEIVE_LIMIT_BYTES: usize = 256 * 1024;
/// Zeros that may be written for the holes of one paged file, in bytes.
pub const PAGE_HOLES_LIMIT_BYTES: u64 = 16 * 1024 * 1024;
/// The level of MODE Z while nobody asks for another.
pub const DEFLATE_LEVEL: u8 = 6;
/// Bytes that a file in MODE Z may always expand to.
pub const EXPANSION_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes beyond that a file in MODE Z may expand to, for each byte received. Deflate can reach 1032.
pub const EXPANSION_RATIO: u64 = 200;

const _: () = assert!(DEFLATE_LEVEL >= 1 && DEFLATE_LEVEL <= 9);
const _: () = assert!(2 * MARKER_LIMIT_BYTES < LINE_LIMIT_BYTES, "two markers must fit into a 110 reply");

/// The longest line of a reply that a client reads, in bytes: a path with every quote doubled (257), and words.
pub const REPLY_LINE_LIMIT_BYTES: usize = 16 * 1024;
/// Lines of one reply that a client reads: a directory within STAT, and room.
pub const REPLY_LIMIT_LINES: usize = 4096;
/// Bytes of the text of one reply that a client reads.
pub const REPLY_LIMIT_BYTES: usize = 512 * 1024;
/// Lines without a code that a client passes over before a reply; some servers greet with a few.
pub const REPLY_LIMIT_STRAY_LINES: usize = 64;
/// Replies that nothing asked for, which a client passes over.
pub const UNASKED_REPLIES_LIMIT: usize = 16;
/// Seconds without a further line after which a multi-line reply whose last line begins with another code has ended.
pub const MISMATCHED_END_SECONDS: u64 = 3;
/// Seconds that a client waits for a reply.
pub const REPLY_TIMEOUT_SECONDS: u64 = 60;
/// Seconds that a client waits for the answers to ABOR; some servers give one instead of two.
pub const ABORT_TIMEOUT_SECONDS: u64 = 10;
/// Commands that a client may have sent without an answer.
pub const AHEAD_LIMIT_COMMANDS: usize = 1024;
/// Bytes of commands that a client may have sent without an answer.
pub const AHEAD_LIMIT_BYTES: usize = 32 * 1024;
/// How often a client asks again for one transfer that a data connection lost to another transfer took with it. A
/// transfer is lost so once for each time that the number of transfers sent ahead has grown to reach it, and that
/// number begins at one after each loss and doubles.
pub const ASK_AGAIN_LIMIT: u32 = 16;

const _: () =
    assert!(WAITING_LIMIT_BYTES >= 2 * LINE_LIMIT_BYTES, "a line must fit beside the one that waits");
const _: () = assert!(LINE_LIMIT_BYTES >= 2 * longshore_path::COMPONENT_LIMIT_BYTES);
const _: () = assert!(USER_NAME_LIMIT_BYTES < LINE_LIMIT_BYTES);
const _: () = assert!(HANDSHAKE_TIMEOUT_SECONDS <= LOGIN_TIMEOUT_SECONDS);
const _: () = assert!(CONNECT_TIMEOUT_SECONDS < IDLE_TIMEOUT_SECONDS);
const _: () = assert!(RESERVATION_TIMEOUT_SECONDS < IDLE_TIMEOUT_SECONDS);
const _: () = assert!(LOGIN_DELAY_LIMIT_SECONDS * (LOGIN_ATTEMPTS as u64) < LOGIN_TIMEOUT_SECONDS);
const _: () = assert!(LOGIN_DELAY_SECONDS * (LOGIN_ATTEMPTS as u64) <= LOGIN_DELAY_LIMIT_SECONDS);
const _: () = assert!(REPLY_LINE_LIMIT_BYTES >= 2 * longshore_path::PATH_LIMIT_BYTES + 1024);
const _: () = assert!(REPLY_LIMIT_BYTES >= 2 * REPLY_LINE_LIMIT_BYTES);
const _: () = assert!(REPLY_LIMIT_LINES > STATUS_LIMIT_ENTRIES);
const _: () =
    assert!(AHEAD_LIMIT_BYTES + LINE_LIMIT_BYTES <= WAITING_LIMIT_BYTES, "our own server reads it all");
const _: () = assert!(AHEAD_LIMIT_COMMANDS < WAITING_LIMIT_COMMANDS);
const _: () = assert!(1 << (ASK_AGAIN_LIMIT - 2) >= AHEAD_LIMIT_COMMANDS);
