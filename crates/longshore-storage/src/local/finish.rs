//! How an upload to the local store ends: whole under its final name, or given up.
//!
//! The order of a commit is the promise of [`Durability`](crate::Durability): contents, then name, then directory.

use std::sync::{MutexGuard, PoisonError};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::errno::{error, naming_error};
use super::meter::Pass;
use super::resolve::Place;
use super::upload::{Active, Progress, Stage, look};
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
                kept::discard(&store.meter, claim, place, &part).map_err(error)?;
                Ok(None)
            }
            Stage::Part(part) => {
                let active = (&part[..], &self.file);
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
    fn open_directory(&self) -> Result<Option<OwnedFd>> {
        if self.request.durability == Durability::None {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.place.directory, ".", flags, Mode::empty()) {
            Ok(directory) => Ok(Some(directory)),
            Err(Errno::ACCESS) => Ok(None),
            Err(errno) => Err(error(errno)),
        }
    }

    /// Contents, then name. Whether a file stood there before.
    fn rename(&self, part: &[u8], claim: &mut Claim) -> Result<bool> {
        let replace = self.request.overwrite && self.request.plan != UploadPlan::Unique;
        let old = look(&self.place)?;
        match &old {
            Some(_) if !replace => return Err(ErrorKind::AlreadyExists.into()),
            Some(old) => attributes::inherit(&self.file, &self.place, old),
            // Not by the mode at its creation: the program's umask has no say here.
            None => attributes::set_mode(&self.file, self.new_mode()),
        }
        self.sync_contents()?;
        self.check_place()?;
        let (directory, name) = (&self.place.directory, &self.place.name);
        let mut pass = self.enter_within_quota(claim)?;
        if replace {
            let found = pass.find(directory, name).map_err(error)?;
            rustix::fs::renameat(directory, part, directory, name).map_err(naming_error)?;
            pass.lost(directory, found);
        } else {
            rename_no_replace((directory, part), (directory, name), false).map_err(naming_error)?;
        }
        if !claim.quota.is_none() {
            pass.tally(|tally| tally.release(claim));
        }
        Ok(old.is_some())
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
        self.check_place()?;
        let standing = look(&self.place)?;
        let own = attributes::status(&self.file).map_err(error)?;
        match standing {
            Some(standing) if attributes::file_id(&standing) == attributes::file_id(&own) => Ok(()),
            // Replaced, removed or renamed meanwhile: what was written is not in the file that others see.
            _ => Err(ErrorKind::Busy.into()),
        }
    }

    /// The path must still lead to the directory that is held. When somebody has moved that directory, the final
    /// name would appear where nobody looks for it, outside the root perhaps.
    fn check_place(&self) -> Result<()> {
        let path = text(&self.request.path);
        let place = match self.request.plan {
            UploadPlan::Unique => self.store.root.parent(path),
            _ => self.store.root.target(path),
        }
        .map_err(error)?;
        let now = attributes::status(&place.directory).map_err(error)?;
        let then = attributes::status(&self.place.directory).map_err(error)?;
        if attributes::file_id(&now) == attributes::file_id(&then) && place.name == self.place.name {
            Ok(())
        } else {
            Err(ErrorKind::NotFound.into())
        }
    }

    fn sync_contents(&self) -> Result<()> {
        match self.request.durability {
            Durability::None => Ok(()),
            Durability::Data => rustix::fs::fdatasync(&self.file).map_err(error),
            Durability::Full => rustix::fs::fsync(&self.file).map_err(error),
        }
    }

    fn sync_directory(&self, directory: Option<&OwnedFd>) -> Result<()> {
        match (self.request.durability, directory) {
            (Durability::None, _) => return Ok(()),
            (_, Some(directory)) => super::made::sync(directory).map_err(error)?,
            // A directory that cannot be opened for reading cannot be synced alone.
            (_, None) => rustix::fs::syncfs(&self.file).map_err(error)?,
        }
        if self.request.durability == Durability::Full {
            self.store.sync_made(&self.place.directory, &self.file).map_err(error)?;
        }
        Ok(())
    }
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
