//! Parts on the disk: making, taking up again, keeping and sweeping. Their names are made in `part`, what is
//! written into them in `upload`.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Statx};
use rustix::io::{Errno, Result};

use super::meter::{Meter, Pass};
use super::resolve::Place;
use super::{attributes, part};
use crate::limits::{LOCK_ATTEMPTS, PART_EXPIRY, SWEEP_ENTRIES};
use crate::usage::Claim;
use crate::{FileId, Timestamp, Usage};

/// Nobody but the server needs to read what is not whole; the final mode is set at the commit.
const PART_MODE: Mode = Mode::from_raw_mode(0o600);

/// To continue a part.
const TAKE: OFlags = OFlags::WRONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
/// To look at a part's lock.
const LOOK: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// A part that an upload writes to.
pub(super) struct ActivePart {
    pub(super) unfinished: Unfinished,
    pub(super) file: OwnedFd,
    /// Octets in it.
    pub(super) size: u64,
}

/// The name of a part that an upload writes to, and what it was when that began.
pub(super) struct Unfinished {
    pub(super) name: Vec<u8>,
    /// Which file it is: nobody else's may be taken for it.
    pub(super) id: FileId,
    pub(super) owner: u32,
    pub(super) group: u32,
}

impl ActivePart {
    fn new(name: Vec<u8>, file: OwnedFd, status: &Statx) -> ActivePart {
        let (id, owner, group) = (attributes::file_id(status), status.stx_uid, status.stx_gid);
        ActivePart { unfinished: Unfinished { name, id, owner, group }, file, size: status.stx_size }
    }
}

/// Random bits for a name. The system is asked for some once; names are also made with O_EXCL, so a repetition would
/// cost an attempt, not safety.
pub(super) fn random() -> u64 {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    SEED.hash_one(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Makes an empty part of this name in `directory`. `EDQUOT`: the quota has no room for it.
///
/// Not one without a name (`O_TMPFILE`) that is linked at the commit, though that would be cheaper: other programs that
/// watch a directory wait for what is moved there or closed after writing, and would never hear of the final name. Nor
/// could a count or the removal of the directory see it.
pub(super) fn create(meter: &Meter, claim: &Claim, directory: &OwnedFd, name: Vec<u8>) -> Result<ActivePart> {
    let pass = meter.enter();
    if !pass.reserve(directory, claim, Usage::ONE_FILE) {
        return Err(Errno::DQUOT);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(directory, &name, flags, PART_MODE).and_then(|file| {
        let outcome = mark_live(&file).and_then(|()| attributes::status(&file));
        match outcome {
            Ok(status) if status.stx_nlink > 0 => Ok((file, status)),
            // Another program's count has taken it for an orphan before it was locked.
            Ok(_) => Err(Errno::EXIST),
            Err(errno) => {
                let _ = rustix::fs::unlinkat(directory, &name, AtFlags::empty());
                Err(errno)
            }
        }
    });
    match made {
        Ok((file, status)) => Ok(ActivePart::new(name, file, &status)),
        Err(errno) => {
            pass.remove(directory, Usage::ONE_FILE);
            Err(errno)
        }
    }
}

/// Makes an empty part for an upload to `place`. `EDQUOT`: the quota has no room for it.
pub(super) fn create_active(meter: &Meter, claim: &Claim, place: &Place, owner: &str) -> Result<ActivePart> {
    loop {
        match create(meter, claim, &place.directory, part::active(&place.name, owner, random())) {
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
pub(super) fn take(meter: &Meter, place: &Place, owner: &str) -> Result<Option<ActivePart>> {
    let kept = part::kept(&place.name, owner);
    let name = part::active(&place.name, owner, random());
    let mut pass = meter.enter_alone();
    let open = |name: &[u8]| rustix::fs::openat(&place.directory, name, TAKE, Mode::empty());
    let before = match open(&kept) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    // Before it has the name of a running part: another program's count must not find that without a lock.
    let _ = rustix::fs::flock(&before, FlockOperation::NonBlockingLockExclusive);
    match rustix::fs::renameat(&place.directory, &kept, &place.directory, &name) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    }
    let opened = attributes::status_at(&place.directory, &name).and_then(|status| {
        let is_same = attributes::file_id(&status) == attributes::file_id(&attributes::status(&before)?);
        // A newer part may have got the name meanwhile.
        let file = if is_same { before } else { open(&name)? };
        mark_live(&file)?;
        Ok((attributes::status(&file)?, file))
    });
    let taken = match opened {
        Ok((status, file)) if is_own(&status) && !is_expired(attributes::modified(&status)) => {
            Some(ActivePart::new(name, file, &status))
        }
        Ok(_) => {
            let _ = pass.unlink(&place.directory, &name);
            None
        }
        Err(errno) => {
            let _ = rustix::fs::renameat(&place.directory, &name, &place.directory, &kept);
            return Err(errno);
        }
    };
    drop(pass);
    sweep(meter, &place.directory);
    Ok(taken)
}

/// Gives a part its kept name, over an older one, and sweeps out what is expired. Whether it was kept: one for which
/// the quota has no room, beside the finished file that it was to replace, is removed.
pub(super) fn keep(
    meter: &Meter,
    claim: &mut Claim,
    place: &Place,
    owner: &str,
    active: (&[u8], &OwnedFd),
) -> Result<bool> {
    let (name, file) = active;
    let kept = part::kept(&place.name, owner);
    let mut pass = meter.enter_alone();
    pass.tally(|tally| tally.release(claim));
    let older = pass.find(&place.directory, &kept)?;
    let freed = older.as_ref().map_or(Usage::default(), |older| older.usage);
    if !pass.tally(|tally| tally.fits(&claim.with_credit(freed))) {
        pass.unlink(&place.directory, name)?;
        return Ok(false);
    }
    rustix::fs::renameat(&place.directory, name, &place.directory, &kept)?;
    pass.lost(&place.directory, older);
    // Whoever continues it locks it, perhaps before this descriptor is closed.
    let _ = rustix::fs::flock(file, FlockOperation::Unlock);
    drop(pass);
    sweep(meter, &place.directory);
    Ok(true)
}

/// Removes the part of an upload that has ended.
pub(super) fn discard(meter: &Meter, claim: &mut Claim, place: &Place, active: &[u8]) -> Result<()> {
    let mut pass = meter.enter_alone();
    pass.tally(|tally| tally.release(claim));
    pass.unlink(&place.directory, active)
}

/// Removes the part that `owner` left at `place`, because a newer upload has taken its place or needs its room. Whether
/// there was one that could be removed.
pub(super) fn forget(meter: &Meter, place: &Place, owner: &str) -> bool {
    meter.enter_alone().unlink(&place.directory, &part::kept(&place.name, owner)).is_ok()
}

/// Removes all parts from a directory that holds nothing else and to which nobody uploads; says whether that was so.
pub(super) fn empty_of_parts(pass: &mut Pass<'_>, directory: &OwnedFd) -> Result<bool> {
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
        match pass.unlink(directory, &name) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(true)
}

/// Removes expired parts, those of a program that was killed included. Looks at the first entries only.
fn sweep(meter: &Meter, directory: &OwnedFd) {
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
            let _ = meter.enter_alone().unlink(directory, name);
        }
    }
}

/// Removes a part that nobody can resume: one that a killed program was writing to, or one that is expired. Whether it
/// is no more. Where a file system has no locks, nobody can tell, and it stays until a sweep.
pub(super) fn remove_orphan(directory: &OwnedFd, name: &[u8], status: &Statx) -> bool {
    if !is_own(status) || !(part::is_active(name) || is_expired(attributes::modified(status))) {
        return false;
    }
    let Ok(file) = rustix::fs::openat(directory, name, LOOK, Mode::empty()) else { return false };
    // Held until it is gone: whoever has just made it finds out when it gets the lock.
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
        && matches!(rustix::fs::unlinkat(directory, name, AtFlags::empty()), Ok(()) | Err(Errno::NOENT))
}

/// A lock that lasts as long as the upload: others see by it that the part is not an orphan. Where a file system has
/// no locks, the part's age must do. `EAGAIN`: somebody else has locked it.
fn mark_live(file: &OwnedFd) -> Result<()> {
    for _ in 0..LOCK_ATTEMPTS {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            // Whoever sweeps or counts looks by a lock whether there is one, and is done with that at once.
            Err(Errno::WOULDBLOCK) => std::thread::yield_now(),
            _ => return Ok(()),
        }
    }
    Err(Errno::AGAIN)
}

fn is_live(directory: &OwnedFd, name: &[u8]) -> bool {
    match rustix::fs::openat(directory, name, LOOK, Mode::empty()) {
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
