//! What a file has besides its contents: from the system's form to [`Entry`], and from an old file to the one
//! that takes its place.

use std::ffi::CStr;

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Statx, StatxFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::{Errno, Result};

use super::resolve::Place;
use crate::limits::{ATTRIBUTE_LIMIT_BYTES, REGULAR_FILE_MODE_BITS};
use crate::{Entry, FileId, Kind, Timestamp};

/// What an [`Entry`] is made of: all but the times of access and change, and the blocks.
const LISTED: StatxFlags = StatxFlags::TYPE
    .union(StatxFlags::MODE)
    .union(StatxFlags::NLINK)
    .union(StatxFlags::UID)
    .union(StatxFlags::GID)
    .union(StatxFlags::MTIME)
    .union(StatxFlags::INO)
    .union(StatxFlags::SIZE);

/// What an open descriptor is.
pub(super) fn status(descriptor: impl AsFd) -> Result<Statx> {
    rustix::fs::statx(descriptor, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
}

/// What a name in a directory is, a link not followed.
pub(super) fn status_at(directory: impl AsFd, name: &[u8]) -> Result<Statx> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(directory, name, flags, StatxFlags::BASIC_STATS)
}

/// As [`status_at`], of what a listing shows: some file systems have to ask another machine for the rest.
pub(super) fn status_listed(directory: impl AsFd, name: &CStr) -> Result<Statx> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(directory, name, flags, LISTED)
}

/// As [`status_at`] for a place; `None` when nothing is there.
pub(super) fn status_of(place: &Place) -> Result<Option<Statx>> {
    match status_at(&place.directory, &place.name) {
        Ok(status) => Ok(Some(status)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

pub(super) fn file_type(status: &Statx) -> FileType {
    FileType::from_raw_mode(status.stx_mode.into())
}

pub(super) fn file_id(status: &Statx) -> FileId {
    FileId { device: rustix::fs::makedev(status.stx_dev_major, status.stx_dev_minor), inode: status.stx_ino }
}

pub(super) fn modified(status: &Statx) -> Timestamp {
    Timestamp { seconds: status.stx_mtime.tv_sec, nanoseconds: status.stx_mtime.tv_nsec }
}

pub(super) fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        _ => Kind::Other,
    }
}

/// The entry of something whose links, if any, have been followed to `status`.
pub(super) fn entry(name: &[u8], status: &Statx, link_target: Option<Vec<u8>>) -> Entry {
    Entry {
        name: name.to_vec(),
        kind: kind(file_type(status)),
        size: status.stx_size,
        modified: modified(status),
        mode: u32::from(status.stx_mode) & 0o7777,
        owner: status.stx_uid,
        group: status.stx_gid,
        links: status.stx_nlink.into(),
        id: file_id(status),
        link_target,
    }
}

/// Both times for `utimensat`, the time of access left alone.
pub(super) fn times(modified: Timestamp) -> Timestamps {
    let omit = rustix::fs::UTIME_OMIT;
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: omit as _ },
        // More than a second's worth would be read as a special order, "now" for instance.
        last_modification: Timespec {
            tv_sec: modified.seconds,
            tv_nsec: modified.nanoseconds.min(999_999_999).into(),
        },
    }
}

/// Gives `file`, of this owner and group, what it can of the owner, group, mode and extended attributes of `old`, which
/// it is to replace at `place`.
///
/// Set-id bits, capabilities and signatures of contents are left out: the kernel drops them when a file is
/// written to, and whoever may replace a program must not gain its privilege.
///
/// As far as it goes: nothing of this is a reason to fail an upload, and some file systems have none of it.
pub(super) fn inherit(file: &OwnedFd, (owner, group): (u32, u32), place: &Place, old: &Statx) {
    let mut mode = u32::from(old.stx_mode) & 0o777;
    if (owner, group) != (old.stx_uid, old.stx_gid) {
        let is_other_group = group != old.stx_gid;
        let (owner, group) = (Uid::from_raw(old.stx_uid), Gid::from_raw(old.stx_gid));
        if rustix::fs::fchown(file, Some(owner), Some(group)).is_err()
            && is_other_group
            && rustix::fs::fchown(file, None, Some(group)).is_err()
        {
            // Another group than before: it gets what everybody gets.
            mode = (mode & 0o707) | ((mode & 0o007) << 3);
        }
    }
    set_mode(file, mode);
    copy_extended(file, place);
}

/// Sets the permission bits of a file, where the file system has any.
pub(super) fn set_mode(file: &OwnedFd, mode: u32) {
    let _ = rustix::fs::fchmod(file, Mode::from_raw_mode(mode & REGULAR_FILE_MODE_BITS));
}

/// Sets the permission bits of what was `found` (`O_PATH`) at the place, whatever stands there now.
pub(super) fn set_mode_of(found: &OwnedFd, place: &Place, mode: Mode) -> Result<()> {
    // A name that nobody can make lead elsewhere. The file need not be readable, as it must be to be opened.
    let own_name = format!("/proc/self/fd/{}", found.as_raw_fd());
    match rustix::fs::chmodat(CWD, own_name, mode, AtFlags::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => {}
        result => return result,
    }
    // Without /proc.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty())?;
    if file_id(&status(&opened)?) == file_id(&status(found)?) {
        rustix::fs::fchmod(&opened, mode)
    } else {
        Err(Errno::AGAIN)
    }
}

/// Whether an extended attribute still holds for other contents.
fn is_inherited(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || matches!(
            name,
            b"system.posix_acl_access" | b"system.nfs4_acl" | b"security.selinux" | b"security.SMACK64"
        )
}

fn copy_extended(file: &OwnedFd, place: &Place) {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(old) = rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty()) else { return };
    // Most files have none, and learn that for free.
    let listed = match rustix::fs::flistxattr_query(&old) {
        Ok(length) if length > 0 => length,
        _ => return,
    };
    let mut names = vec![0_u8; listed.min(ATTRIBUTE_LIMIT_BYTES)];
    let Ok(length) = rustix::fs::flistxattr(&old, &mut names[..]) else { return };
    let mut value = vec![0_u8; ATTRIBUTE_LIMIT_BYTES];
    for name in names[..length].split(|&byte| byte == 0).filter(|name| is_inherited(name)) {
        if let Ok(length) = rustix::fs::fgetxattr(&old, name, &mut value[..]) {
            let _ = rustix::fs::fsetxattr(file, name, &value[..length], XattrFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_inherited(name: &str, expected: bool) {
        assert_eq!(is_inherited(name.as_bytes()), expected, "{name}");
    }

    #[test]
    fn attributes_that_speak_of_the_contents_or_give_privilege_are_not_inherited() {
        check_inherited("user.comment", true);
        check_inherited("system.posix_acl_access", true);
        check_inherited("security.selinux", true);
        check_inherited("security.capability", false);
        check_inherited("security.ima", false);
        check_inherited("security.evm", false);
        check_inherited("trusted.overlay.opaque", false);
    }

    #[test]
    fn a_time_cannot_be_an_order() {
        let times = times(Timestamp { seconds: -1, nanoseconds: 0x3FFF_FFFF });
        assert_eq!((times.last_modification.tv_sec, times.last_modification.tv_nsec), (-1, 999_999_999));
    }
}
