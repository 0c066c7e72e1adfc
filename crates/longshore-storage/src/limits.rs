//! Every bound of the stores, in one place.

use std::time::Duration;

/// How long a kept part waits to be continued; after that it counts as not there and is removed when its directory
/// is next used for parts.
pub const PART_EXPIRY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Entries looked at by one sweep of expired parts: a bounded cost, in directories of any size.
pub const SWEEP_ENTRIES: usize = 1024;

/// Symbolic links that one path may lead through, as many as the kernel allows.
pub const LINK_LIMIT: u32 = 40;
/// Components that the walk without `openat2` opens before it gives up. Links can make a path far longer than its
/// text; the kernel does not mind, but each step of a walk is a system call.
pub const WALK_LIMIT_STEPS: u32 = 16_384;
/// How often a resolution that a concurrent rename disturbed is begun anew.
pub const RESOLVE_ATTEMPTS: u32 = 64;
/// How many of these are left to the kernel. It gives up on a `..` whenever anything at all was renamed meanwhile,
/// anywhere on the machine; a walk is disturbed only by what happens on its own way.
pub const KERNEL_ATTEMPTS: u32 = 8;

/// How often the opening of an upload looks again when the file changes under its eyes.
pub const OPEN_ATTEMPTS: u32 = 16;
/// How many names are tried for an upload that wants a free one; those after the ninth are random.
pub const UNIQUE_ATTEMPTS: u32 = 64;
/// Octets that one call copies of an old file when an upload goes on within it. A count of the tree waits for no
/// longer than that.
pub const COPY_STEP_BYTES: u64 = 1 << 26;
/// The buffer of such a copy where the kernel cannot do it.
pub const COPY_BUFFER_BYTES: usize = 128 * 1024;
/// Bytes of the list, and of each value, of the extended attributes that a replaced file hands on (Linux'
/// `XATTR_LIST_MAX` and `XATTR_SIZE_MAX`).
pub const ATTRIBUTE_LIMIT_BYTES: usize = 65_536;
/// New directories remembered one by one until they are synced. Beyond that, the next full commit syncs its whole
/// file system instead.
pub const MADE_LIMIT: usize = 4096;

/// The least time from one count that somebody provoked, by a refusal or by writing to a file of several names, to the
/// next: whoever is over a quota must not keep the disk busy by trying again.
pub const RECOUNT_REST: Duration = Duration::from_secs(5);
/// How many times as long as the count took that rest is at least, so that large trees are not counted all the time.
pub const RECOUNT_REST_FACTOR: u32 = 20;
/// Entries that a count looks at while uploads and removals wait; then they get their turn. One directory is never cut.
pub const COUNT_STEP_ENTRIES: usize = 1024;
/// How long that turn is. They need not finish: they only must not be kept out.
pub const COUNT_PAUSE: Duration = Duration::from_micros(200);
/// How often a count is begun when directories are moved meanwhile. The last time, everybody waits to its end.
pub const COUNT_ATTEMPTS: u32 = 4;
/// How often a part that somebody else is looking at is tried to be locked; each try lets other threads go first.
pub const LOCK_ATTEMPTS: u32 = 1000;

/// The mode bits that a file may have: none that make a program run as its owner or group.
pub const REGULAR_FILE_MODE_BITS: u32 = 0o1777;
/// The mode bits that a directory may have. There, set-group-ID only hands the group on to what is made in it.
pub const DIRECTORY_MODE_BITS: u32 = 0o3777;
/// The mode bits that setting a mode leaves to a directory's owner.
pub const DIRECTORY_OWNER_BITS: u32 = 0o700;

/// Entries of a listing that the opening of a directory reads, or more: few enough that the first ones leave early.
pub const BATCH_ENTRIES: usize = 256;
/// Room for names that these are read into, one call of the kernel after the other. One name always has room in it.
pub const DIRECTORY_FIRST_READ_BYTES: usize = 8 * 1024;
/// Room for names that a further job reads in the end, with one call: a thousand entries or two, which make its own cost small.
pub const DIRECTORY_READ_BYTES: usize = 64 * 1024;
/// What a buffer without capacity is made to hold when it is read into.
pub const DEFAULT_READ_BYTES: usize = 64 * 1024;

const _: () = assert!(DIRECTORY_FIRST_READ_BYTES <= DIRECTORY_READ_BYTES);
const _: () = assert!(DIRECTORY_OWNER_BITS & !DIRECTORY_MODE_BITS == 0, "what is kept may be set");
const _: () = assert!(KERNEL_ATTEMPTS < RESOLVE_ATTEMPTS, "the walk must get its turn");
