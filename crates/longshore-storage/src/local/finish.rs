//! How an upload to the local store ends: whole under its final name, or given up.
//!
//! The order of a commit is the promise of [`Durability`](crate::Durability): contents, then name, then directory.

use std::sync::{MutexGuard, PoisonError};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::errno::{error, naming_error};
use super::kept::Unfinished;
use super::meter::Pass;
use super::resolve::{Place, Target};
use super::syncs::Opened;
use super::upload::{Active, Progress, Stage, finished};
use super::{PartsPolicy, attributes, growth, kept, text};
use crate::usage::Claim;
use crate::{Committed, Durability, ErrorKind, Result, UploadPlan};

impl Active {
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        // A job that panicked has at worst written less than it said, which the position tells.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the file whole, provided that all `expected` octets have arrived in it.
    pub(super) fn commit(&self, expected: u64) -> Result<Committed> {
        let mut progress = self.progress();
        if progress.written != expected {
            return Err(ErrorKind::Failed.into());
        }
        let Progress { stage, claim, .. } = &mut *progress;
        let replaced = match stage {
            Stage::Part(part) => {
                let directory = self.open_directory()?;
                let replaced = self.rename(part, claim)?;
                // From here on there is nothing to give up.
                progress.stage = Stage::Ended;
                self.sync_directory(directory.as_ref())?;
                // None is there as a rule, and one that could not be removed expires.
                let _ = kept::forget(&self.store.meter, &self.place, &self.request.owner);
                replaced
            }
            Stage::Append(_) => {
                self.finish_in_place()?;
                progress.stage = Stage::Ended;
                true
            }
            Stage::Overwrite { cut } => {
                if !*cut {
                    growth::cut(&self.store, &self.place, &self.file, expected, true).map_err(error)?;
                }
                self.finish_in_place()?;
                progress.stage = Stage::Ended;
                true
            }
            Stage::Ended => return Err(ErrorKind::Failed.into()),
        };
        Ok(Committed { path: self.request.path.clone(), size: expected, replaced })
    }

    /// Ends the upload without a file: how many octets were kept for the next one; none where `discard` says so. Nothing
    /// when it has ended already.
    pub(super) fn give_up(&self, discard: bool) -> Result<Option<u64>> {
        let mut progress = self.progress();
        let Progress { written, stage, claim } = &mut *progress;
        let (store, place) = (&self.store, &self.place);
        match std::mem::replace(stage, Stage::Ended) {
            // An empty part is worth nothing, and must not take the place of an older one.
            Stage::Part(part) if discard || *written == 0 || store.options.parts == PartsPolicy::Discard => {
                kept::discard(&store.meter, claim, place, &part.name).map_err(error)?;
                Ok(None)
            }
            Stage::Part(part) => {
                let active = (&part.name[..], &self.file);
                let kept = kept::keep(&store.meter, claim, place, &self.request.owner, active);
                Ok(kept.map_err(error)?.then_some(*written))
            }
            Stage::Append(length) => {
                // Truncating a file that has become shorter meanwhile would fill it up with zeros.
                if attributes::status(&self.file).map_err(error)?.stx_size > length {
                    growth::cut(&self.store, &self.place, &self.file, length, true).map_err(error)?;
                }
                Ok(None)
            }
            Stage::Overwrite { .. } | Stage::Ended => Ok(None),
        }
    }

    /// The directory in a form that can be synced, opened before anything is done that a failure would leave half
    /// done. `None` where it may be searched and written to but not read.
    fn open_directory(&self) -> Result<Option<Opened>> {
        if self.request.durability == Durability::None {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.place.directory, ".", flags, Mode::empty()) {
            Ok(directory) => self.store.syncs.open(directory).map(Some).map_err(error),
            Err(Errno::ACCESS) => Ok(None),
            Err(errno) => Err(error(errno)),
        }
    }

    /// Contents, then name. Whether a file stood there before.
    fn rename(&self, part: &Unfinished, claim: &mut Claim) -> Result<bool> {
        if self.is_new && self.name_new(part, claim)? {
            return Ok(false);
        }
        let replace = self.request.overwrite && self.request.plan != UploadPlan::Unique;
        let Target { place, standing, .. } = self.find()?;
        let old = finished(standing)?;
        match &old {
            Some(_) if !replace => return Err(ErrorKind::AlreadyExists.into()),
            Some(old) => attributes::inherit(&self.file, (part.owner, part.group), &place, old),
            None => attributes::set_mode(&self.file, self.new_mode()),
        }
        // A sync may take long, and the way may have changed meanwhile.
        let place = if self.sync_contents()? { self.find()?.place } else { place };
        check_part(part, &place)?;
        let (directory, name) = (&place.directory, &place.name);
        let mut pass = self.enter_within_quota(claim)?;
        if replace {
            let found = pass.find(directory, name).map_err(error)?;
            rustix::fs::renameat(directory, &part.name, directory, name).map_err(naming_error)?;
            pass.lost(directory, found);
        } else {
            rename_no_replace((directory, &part.name), (directory, name), false).map_err(naming_error)?;
        }
        self.release(&pass, claim);
        Ok(old.is_some())
    }

    /// The same for a name that was free and is so still, in one step that finds out. Whether it was.
    fn name_new(&self, part: &Unfinished, claim: &mut Claim) -> Result<bool> {
        // Not by the mode at its creation: the program's umask has no say here.
        attributes::set_mode(&self.file, self.new_mode());
        self.sync_contents()?;
        // A link that has appeared is in the way like any other file.
        let place = self.store.root.parent(text(&self.request.path)).map_err(error)?;
        check_part(part, &place)?;
        let pass = self.enter_within_quota(claim)?;
        let (from, to) = ((&place.directory, &part.name), (&place.directory, &place.name));
        match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
            Ok(()) => {
                self.release(&pass, claim);
                Ok(true)
            }
            // Taken, or the file system does not know how to look and rename in one.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(naming_error(errno)),
        }
    }

    /// The part is one no more.
    fn release(&self, pass: &Pass<'_>, claim: &mut Claim) {
        if !claim.quota.is_none() {
            pass.tally(|tally| tally.release(claim));
        }
    }

    /// Goes through the gate to give the part its name, provided that what is then finished fits in the quota: the file
    /// that was to be replaced may have gone or shrunk since the octets were let in.
    fn enter_within_quota(&self, claim: &mut Claim) -> Result<Pass<'_>> {
        let mut enter = || {
            let pass = self.store.meter.enter_alone();
            self.growing(false).renew_credit(claim);
            let fits = claim.quota.is_none() || pass.tally(|tally| tally.fits(claim));
            fits.then_some(pass)
        };
        if let Some(pass) = enter() {
            return Ok(pass);
        }
        self.store.recount_before_refusal();
        enter().ok_or_else(|| ErrorKind::QuotaExceeded.into())
    }

    fn new_mode(&self) -> u32 {
        self.request.mode.unwrap_or(self.store.options.file_mode & 0o777)
    }

    /// For a file that was written to in place: it must still be the one under that name.
    fn finish_in_place(&self) -> Result<()> {
        self.sync_contents()?;
        let standing = finished(self.find()?.standing)?;
        let own = attributes::status(&self.file).map_err(error)?;
        match standing {
            Some(standing) if attributes::file_id(&standing) == attributes::file_id(&own) => Ok(()),
            // Replaced, removed or renamed meanwhile: what was written is not in the file that others see.
            _ => Err(ErrorKind::Busy.into()),
        }
    }

    /// Where the path leads by now.
    fn find(&self) -> Result<Target> {
        let path = text(&self.request.path);
        let target = match self.request.plan {
            UploadPlan::Unique => {
                let place = self.store.root.parent(path).map_err(error)?;
                let standing = attributes::status_of(&place).map_err(error)?;
                Target { place, standing, is_linked: false }
            }
            _ => self.store.root.find(path).map_err(error)?,
        };
        if target.place.name == self.place.name { Ok(target) } else { Err(ErrorKind::NotFound.into()) }
    }

    /// Whether anything was synced. Not by `sync_file_range`, which would spare ext4 every second commit of its journal:
    /// it promises nothing of the length and the blocks of the file, and without a journal they would be missing.
    fn sync_contents(&self) -> Result<bool> {
        match self.request.durability {
            Durability::None => return Ok(false),
            Durability::Data => rustix::fs::fdatasync(&self.file),
            Durability::Full => rustix::fs::fsync(&self.file),
        }
        .map_err(error)?;
        Ok(true)
    }

    fn sync_directory(&self, directory: Option<&Opened>) -> Result<()> {
        match (self.request.durability, directory) {
            (Durability::None, _) => return Ok(()),
            (_, Some(directory)) => self.store.syncs.sync(directory).map_err(error)?,
            // A directory that cannot be opened for reading cannot be synced alone.
            (_, None) => rustix::fs::syncfs(&self.file).map_err(error)?,
        }
        if self.request.durability == Durability::Full {
            self.store.sync_made(&self.place.directory, &self.file).map_err(error)?;
        }
        Ok(())
    }
}

/// The path must still lead to the directory that is held. When somebody has moved that directory, the final name would
/// appear where nobody looks for it, outside the root perhaps. Told by the part itself: a copy of the directory has
/// another file of that name, with fewer octets perhaps.
fn check_part(part: &Unfinished, place: &Place) -> Result<()> {
    let standing = attributes::status_at(&place.directory, &part.name).map_err(error)?;
    if attributes::file_id(&standing) == part.id { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
}

/// The last handle or job has let go.
impl Drop for Active {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; a part that could not be kept or removed expires.
        let _ = self.give_up(false);
    }
}

/// A name in a directory.
type Name<'a> = (&'a OwnedFd, &'a [u8]);

/// Renames and fails with `EEXIST` when the new name is taken, in one step.
///
/// Where the file system does not know that (NFS, some of FUSE), files are linked to their new name, which also is
/// one step, and only directories are looked at before they are renamed.
pub(super) fn rename_no_replace(from: Name<'_>, to: Name<'_>, is_directory: bool) -> rustix::io::Result<()> {
    match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if is_directory => {
            match attributes::status_at(to.0, to.1) {
                Ok(_) => Err(Errno::EXIST),
                Err(Errno::NOENT) => rustix::fs::renameat(from.0, from.1, to.0, to.1),
                Err(errno) => Err(errno),
            }
        }
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty())?;
            rustix::fs::unlinkat(from.0, from.1, AtFlags::empty())
        }
        result => result,
    }
}

/// The [`Name`] of a place.
pub(super) fn name_of(place: &Place) -> Name<'_> {
    (&place.directory, &place.name)
}
