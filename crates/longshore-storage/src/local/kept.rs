//! Parts on the disk: making, taking up again, keeping and sweeping. Their names are made in `part`, what is
//! written into them in `upload`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Statx};
use rustix::io::{Errno, Result};
use rustix::rand::GetRandomFlags;

use super::resolve::Place;
use super::{attributes, part};
use crate::Timestamp;
use crate::limits::{PART_EXPIRY, SWEEP_ENTRIES};

/// Nobody but the server needs to read what is not whole; the final mode is set at the commit.
const PART_MODE: Mode = Mode::from_raw_mode(0o600);

/// A part that an upload writes to.
pub(super) struct ActivePart {
    pub(super) name: Vec<u8>,
    pub(super) file: OwnedFd,
    /// Octets in it.
    pub(super) size: u64,
}

/// Random bits for a name.
pub(super) fn random() -> u64 {
    let mut bytes = [0; 8];
    match rustix::rand::getrandom(&mut bytes[..], GetRandomFlags::empty()) {
        Ok(8) => u64::from_ne_bytes(bytes),
        // Names are also made with O_EXCL, so a worse source costs attempts, not safety.
        _ => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos().into(),
    }
}

/// Makes an empty part of this name in `directory`.
pub(super) fn create(directory: &OwnedFd, name: Vec<u8>) -> Result<ActivePart> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, &name, flags, PART_MODE)?;
    mark_live(&file);
    Ok(ActivePart { name, file, size: 0 })
}

/// Makes an empty part for an upload to `place`.
pub(super) fn create_active(place: &Place, owner: &str) -> Result<ActivePart> {
    loop {
        match create(&place.directory, part::active(&place.name, owner, random())) {
            Err(Errno::EXIST) => {}
            result => return result,
        }
    }
}

/// The part that `owner` left at `place`, unless it is too old.
pub(super) fn look(place: &Place, owner: &str) -> Result<Option<Statx>> {
    match attributes::status_at(&place.directory, &part::kept(&place.name, owner)) {
        Ok(status) if is_own(&status) && !is_expired(attributes::modified(&status)) => Ok(Some(status)),
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Takes the part that `owner` left at `place` away under another name, so that only one upload continues it.
pub(super) fn take(place: &Place, owner: &str) -> Result<Option<ActivePart>> {
    let kept = part::kept(&place.name, owner);
    let name = part::active(&place.name, owner, random());
    match rustix::fs::renameat(&place.directory, &kept, &place.directory, &name) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(&place.directory, &name, flags, Mode::empty())
        .and_then(|file| Ok((attributes::status(&file)?, file)));
    let taken = match opened {
        Ok((status, file)) if is_own(&status) && !is_expired(attributes::modified(&status)) => {
            mark_live(&file);
            Some(ActivePart { name, file, size: status.stx_size })
        }
        Ok(_) => {
            let _ = rustix::fs::unlinkat(&place.directory, &name, AtFlags::empty());
            None
        }
        Err(errno) => {
            let _ = rustix::fs::renameat(&place.directory, &name, &place.directory, &kept);
            return Err(errno);
        }
    };
    sweep(&place.directory);
    Ok(taken)
}

/// Gives a part its kept name, over an older one, and sweeps out what is expired.
pub(super) fn keep(place: &Place, owner: &str, active: &[u8]) -> Result<()> {
    rustix::fs::renameat(&place.directory, active, &place.directory, part::kept(&place.name, owner))?;
    sweep(&place.directory);
    Ok(())
}

/// Removes the part that `owner` left at `place`, because a newer upload has taken its place or needs its room. Whether
/// there was one that could be removed.
pub(super) fn forget(place: &Place, owner: &str) -> bool {
    rustix::fs::unlinkat(&place.directory, part::kept(&place.name, owner), AtFlags::empty()).is_ok()
}

/// Removes all parts from a directory that holds nothing else and to which nobody uploads; says whether that was so.
pub(super) fn empty_of_parts(directory: &OwnedFd) -> Result<bool> {
    let mut parts = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        match entry.file_name().to_bytes() {
            b"." | b".." => {}
            name if part::is_reserved(name) => parts.push(name.to_vec()),
            _ => return Ok(false),
        }
    }
    if parts.iter().any(|name| is_live(directory, name)) {
        return Ok(false);
    }
    for name in parts {
        match rustix::fs::unlinkat(directory, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(true)
}

/// Removes expired parts, those of a program that was killed included. Looks at the first entries only.
fn sweep(directory: &OwnedFd) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(readable) = rustix::fs::openat(directory, ".", flags, Mode::empty()) else { return };
    let Ok(entries) = Dir::new(readable) else { return };
    for entry in entries.take(SWEEP_ENTRIES).flatten() {
        let name = entry.file_name().to_bytes();
        if part::is_reserved(name)
            && attributes::status_at(directory, name)
                .is_ok_and(|status| is_own(&status) && is_expired(attributes::modified(&status)))
            && !is_live(directory, name)
        {
            let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
        }
    }
}

/// A lock that lasts as long as the upload: others see by it that the part is not an orphan. Where a file system has
/// no locks, the part's age must do.
fn mark_live(file: &OwnedFd) {
    let _ = rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive);
}

fn is_live(directory: &OwnedFd, name: &[u8]) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Ok(file) => rustix::fs::flock(file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK),
        Err(errno) => errno != Errno::NOENT,
    }
}

/// Somebody with access to the disk may have put anything under a part's name: a link to another file must not be
/// written through.
fn is_own(status: &Statx) -> bool {
    attributes::file_type(status) == FileType::RegularFile && status.stx_nlink == 1
}

fn is_expired(modified: Timestamp) -> bool {
    let age = match u64::try_from(modified.seconds) {
        Ok(seconds) => SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_secs(seconds)),
        Err(_) => return true,
    };
    // A part from the future is not old.
    age.is_ok_and(|age| age > PART_EXPIRY)
}

/// Locks a finished file against a second writer in place. `EAGAIN`: there is one.
pub(super) fn lock(file: impl AsFd) -> Result<()> {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)
}
