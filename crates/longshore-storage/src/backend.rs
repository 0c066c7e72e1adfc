//! The trait of a store and of the handles it gives out. No implementation in here.

use std::os::fd::BorrowedFd;

use longshore_path::VirtualPath;

use crate::{Entry, Operation, Quota, Timestamp, Usage};

/// One tree of files. Cheap to share behind an `Arc`; every call names its path from the root.
///
/// Symbolic links are followed as long as they stay beneath the root. A last component that is a link is followed
/// by [`stat`](Backend::stat), [`open_read`](Backend::open_read), [`open_directory`](Backend::open_directory),
/// [`open_upload`](Backend::open_upload) (the target is replaced, not the link),
/// [`set_modified`](Backend::set_modified) and [`set_mode`](Backend::set_mode), and not by removal and renaming, which
/// act on the link.
///
/// Names that the store keeps for its own parts answer [`NotFound`](crate::ErrorKind::NotFound) where they are
/// read and [`NameNotAllowed`](crate::ErrorKind::NameNotAllowed) where they would be made.
pub trait Backend: Send + Sync + 'static {
    /// What is there. A link that leads nowhere or out of the root is described itself, as
    /// [`Kind::Other`](crate::Kind::Other): it can still be renamed and removed.
    fn stat(&self, path: &VirtualPath) -> Operation<Entry>;

    /// The part that a cut upload by `owner` left for `path` and that a next one may continue.
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is none, or when a finished file stands at `path`.
    fn part(&self, owner: &str, path: &VirtualPath) -> Operation<Part>;

    /// Opens a regular file. Never waits, not even on a pipe.
    fn open_read(&self, path: &VirtualPath) -> Operation<Box<dyn Readable>>;

    /// Opens a directory for listing.
    fn open_directory(&self, path: &VirtualPath) -> Operation<Box<dyn Directory>>;

    /// Begins to write a file. The directory must exist.
    fn open_upload(&self, request: UploadRequest) -> Operation<Box<dyn Upload>>;

    /// Makes one directory, with these permission bits or the store's usual ones. At most `0o3777`: more is ignored.
    fn make_directory(&self, path: &VirtualPath, mode: Option<u32>) -> Operation<()>;

    /// Removes an empty directory. Kept parts do not count as content: they are removed with it.
    fn remove_directory(&self, path: &VirtualPath) -> Operation<()>;

    /// Removes a file or a link.
    fn remove_file(&self, path: &VirtualPath) -> Operation<()>;

    /// Gives a file, link or directory another name. With `overwrite`, a file at `to` is replaced in the same
    /// step; without it, [`AlreadyExists`](crate::ErrorKind::AlreadyExists), also when it appears at that moment.
    /// A directory at `to` is never replaced.
    fn rename(&self, from: &VirtualPath, to: &VirtualPath, overwrite: bool) -> Operation<()>;

    /// Sets the modification time of a file or directory.
    fn set_modified(&self, path: &VirtualPath, modified: Timestamp) -> Operation<()>;

    /// Sets the permission bits of a file or directory. At most `0o3777`: more is ignored, so nothing here ever makes
    /// a program run as its owner. Nor as its group: a file with `0o2000` is refused with
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied), and so is the root, whatever the mode.
    ///
    /// A directory's owner keeps `0o700`, asked for or not: nobody locks itself or the server out of a directory here.
    /// Gives the bits that it has now.
    fn set_mode(&self, path: &VirtualPath, mode: u32) -> Operation<u32>;

    /// What all regular files beneath the root come to, kept and running parts included. Counted when first asked,
    /// then kept current by every operation of this store.
    ///
    /// Links, devices and directories count nothing, nor does what stands in a directory that may not be listed when
    /// it is first counted. While something may not be looked at, no later count comes to less than was known:
    /// closing a directory never makes room.
    ///
    /// A file of several names that is written to puts the whole in doubt, for nobody knows where its other names are.
    /// Whoever asks next has it counted anew, but not within
    /// [`RECOUNT_REST`](crate::limits::RECOUNT_REST) of the last such count: until then the doubtful number is told, and
    /// quotas are held against it.
    fn usage(&self) -> Operation<Usage>;

    /// The same, counted anew: other programs, too, may take files away or bring some. Parts that nobody can resume
    /// any more (of a program that was killed, or expired) are removed on the way.
    fn recount(&self) -> Operation<Usage>;

    /// Octets that can still be written at `path`'s place; `None` where the store knows no end.
    fn free_space(&self, path: &VirtualPath) -> Operation<Option<u64>>;
}

/// A regular file that is open for reading.
pub trait Readable: Send {
    /// What it was when it was opened.
    fn entry(&self) -> &Entry;

    /// Reads from `offset` into `buffer`'s spare capacity (its length is reset to 0 first) until that is full or
    /// the file ends, and gives it back. Empty means: `offset` is at or beyond the end, so a buffer without any
    /// capacity is given some.
    fn read_at(&mut self, offset: u64, buffer: Vec<u8>) -> Operation<Vec<u8>>;

    /// A descriptor to copy from with the kernel's help, where there is one.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;
}

/// A directory that is open for listing.
pub trait Directory: Send {
    /// Some more entries, a few thousand at most, without `.`, `..` and the store's own parts. `None` means: that was all, and it is so for
    /// every operation that is begun behind it. An entry that vanishes while it is looked at is left out.
    ///
    /// The next operation may be begun before the last one has ended, and they may run at once: each brings entries
    /// that no other one brings, in batches that may come in any order and are numbered in the store's. What stands in
    /// the directory all the while comes once, whatever else comes and goes.
    fn next_entries(&mut self, detail: Detail) -> Operation<Option<Batch>>;
}

/// What a listing wants to know of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Their names. What else an entry holds need not be so: to know it, a store would have to look at each file.
    Names,
    /// Everything.
    All,
}

/// Some entries of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its place among the batches of this listing, from 0 on without a gap.
    pub number: u64,
    /// The entries in the store's own order; none where all have vanished.
    pub entries: Vec<Entry>,
}

/// What to write, where, and how safely.
#[derive(Clone, Debug)]
pub struct UploadRequest {
    /// The final name. For [`UploadPlan::Unique`] the directory and a wish.
    pub path: VirtualPath,
    /// Whose part this is: only the same owner continues it.
    pub owner: String,
    /// Where the first octet goes.
    pub plan: UploadPlan,
    /// Whether a finished file at `path` may be changed or replaced; without it,
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists), checked at the opening and again at the commit.
    pub overwrite: bool,
    /// What must have reached the disk when the commit succeeds.
    pub durability: Durability,
    /// What [`Backend::usage`] may come to; beyond it, [`QuotaExceeded`](crate::ErrorKind::QuotaExceeded). The file
    /// that will be replaced, and the owner's older part of that name, do not count: they go with the commit. (While
    /// it runs, more is on the disk: see [`Quota`].) Before it refuses, the store counts anew, unless it is doing so or has
    /// done so a moment ago ([`RECOUNT_REST`](crate::limits::RECOUNT_REST)).
    ///
    /// Asked at the opening (a new file needs room for itself and for one octet), at each write, and again at the
    /// commit: what is finished never exceeds the quota, however many uploads run at once.
    pub quota: Quota,
    /// The longest file that may come of it; beyond it, [`FileTooLarge`](crate::ErrorKind::FileTooLarge).
    pub file_limit_bytes: Option<u64>,
    /// Permission bits of a new file, instead of the store's usual ones; at most `0o1777`, more is ignored: no program
    /// that was uploaded runs as its owner or group. A file that replaces another one gets the other one's.
    pub mode: Option<u32>,
}

impl UploadRequest {
    /// An upload that replaces nothing and is held to nothing, as durable as is usual.
    pub fn new(path: VirtualPath, owner: impl Into<String>, plan: UploadPlan) -> UploadRequest {
        UploadRequest {
            path,
            owner: owner.into(),
            plan,
            overwrite: false,
            durability: Durability::default(),
            quota: Quota::NONE,
            file_limit_bytes: None,
            mode: None,
        }
    }
}

/// Where an upload begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadPlan {
    /// A new file, which takes the place of an old one at the commit.
    Replace,
    /// A new file under a name that nobody has: the wished one when it is free, else one derived from it. Two
    /// uploads never get one name; what another operation puts there meanwhile is not replaced: the commit fails
    /// with [`AlreadyExists`](crate::ErrorKind::AlreadyExists).
    Unique,
    /// After the last octet of the finished file, **in place**: failing truncates it back. Without a finished file
    /// the kept part is continued, without that a new file begun.
    Append,
    /// From this offset. Of a finished file of length `l`: `offset = l` writes in place as `Append` does,
    /// `offset < l` copies that many octets into a new part which replaces the file at the commit. Without a
    /// finished file the kept part is cut to `offset` and continued. Beyond the end:
    /// [`OffsetBeyondEnd`](crate::ErrorKind::OffsetBeyondEnd), never a hole.
    At(u64),
}

/// What must have reached the disk before a commit succeeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: the file survives the program, but perhaps not a power cut.
    None,
    /// The contents (fdatasync), then the name (rename, fsync of the directory).
    #[default]
    Data,
    /// As `Data`, with the file's times and modes (fsync), and the directories this store made on the way.
    Full,
}

/// A part left by a cut upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Octets that are there.
    pub size: u64,
    /// When the last of them came.
    pub modified: Timestamp,
}

/// An upload that is not finished. Dropping it is like [`abandon`](Upload::abandon).
pub trait Upload: Send {
    /// The final name; for [`UploadPlan::Unique`] the one that was chosen.
    fn path(&self) -> &VirtualPath;

    /// Octets before the next one: the offset at which it begins, plus all given to [`write`](Upload::write) since.
    fn position(&self) -> u64;

    /// Writes all of `buffer` at the position and gives it back, emptied, for the next round. After an error
    /// nothing more may be written, only abandoned.
    ///
    /// Where no room is left, the part that an older upload of this owner left for this path is removed first,
    /// unless this upload writes in place: at its end it takes that part's place anyway.
    ///
    /// # Errors
    /// [`FileTooLarge`](crate::ErrorKind::FileTooLarge) and [`QuotaExceeded`](crate::ErrorKind::QuotaExceeded) when
    /// all of `buffer` would exceed what the request allows, before any of it is written;
    /// [`Busy`](crate::ErrorKind::Busy) when there is a quota and what is written to has been removed meanwhile.
    fn write(&mut self, buffer: Vec<u8>) -> Operation<Vec<u8>>;

    /// Makes the file whole under its final name, as durably as was asked. Once begun it cannot be stopped. Fails
    /// as a whole: the old file still stands, and the part is treated as in [`abandon`](Upload::abandon). Only when
    /// the new name itself cannot be synced any more does the error come with the new file standing.
    ///
    /// # Errors
    /// [`Failed`](crate::ErrorKind::Failed) when something that was to be written is missing;
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) and [`IsADirectory`](crate::ErrorKind::IsADirectory) when
    /// something has appeared that may not be replaced; [`NotFound`](crate::ErrorKind::NotFound) when the path does
    /// not lead to the directory of the opening any more; [`Busy`](crate::ErrorKind::Busy) when a file that was
    /// written to in place has been replaced meanwhile; [`QuotaExceeded`](crate::ErrorKind::QuotaExceeded) when the
    /// file that was to be replaced has gone or shrunk, and without that the new one does not fit.
    fn commit(self: Box<Self>) -> Operation<Committed>;

    /// Writes `last` and [commits](Upload::commit), in one operation: a small file that has come whole costs no more than
    /// that.
    ///
    /// # Errors
    /// Those of [`write`](Upload::write) and [`commit`](Upload::commit). Where the request does not allow so much
    /// ([`FileTooLarge`](crate::ErrorKind::FileTooLarge), or [`QuotaExceeded`](crate::ErrorKind::QuotaExceeded) by the
    /// writing), nothing is kept, as in [`discard`](Upload::discard).
    fn commit_with(self: Box<Self>, last: Vec<u8>) -> Operation<Committed>;

    /// Gives up. By the store's policy the part is kept for a next upload by the same owner, or removed. It is also
    /// removed where the quota has no room for it beside the file that it was to replace.
    fn abandon(self: Box<Self>) -> Operation<Abandoned>;

    /// Gives up and keeps nothing, whatever the policy: for what a quota or a limit has refused, and nobody could ever
    /// finish. What was written behind the end of a finished file is taken back.
    fn discard(self: Box<Self>) -> Operation<()>;
}

/// What a commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The final name.
    pub path: VirtualPath,
    /// The length of the finished file in octets.
    pub size: u64,
    /// Whether a file stood there before.
    pub replaced: bool,
}

/// What is left of an abandoned upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// The length of the part that was kept; `None` when nothing was.
    pub kept_bytes: Option<u64>,
}
