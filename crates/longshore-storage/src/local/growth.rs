//! Writing to files and cutting them so that the count stays true and no quota is exceeded. The octets themselves are
//! written in `upload`; what is known of the tree is in `meter`.

use rustix::fd::OwnedFd;
use rustix::fs::Statx;
use rustix::io::Result;

use super::errno::error;
use super::meter::{Pass, usage_at};
use super::resolve::Place;
use super::{Store, attributes, part};
use crate::usage::Claim;
use crate::{ErrorKind, UploadPlan, UploadRequest, Usage};

/// What a commit of this upload will set free: the file that it replaces, and the owner's older part.
pub(super) fn credit(request: &UploadRequest, place: &Place) -> Usage {
    let replaced = if request.overwrite && request.plan != UploadPlan::Unique {
        usage_at(&place.directory, &place.name)
    } else {
        Usage::default()
    };
    replaced.plus(usage_at(&place.directory, &part::kept(&place.name, &request.owner)))
}

/// A file that an upload writes to.
pub(super) struct Growing<'a> {
    pub(super) store: &'a Store,
    pub(super) request: &'a UploadRequest,
    pub(super) place: &'a Place,
    pub(super) file: &'a OwnedFd,
    /// Whether it is the finished file itself.
    pub(super) in_place: bool,
}

/// Room that is promised until it is known how much was written.
struct Room<'a> {
    pass: Pass<'a>,
    /// How often the file counts: as many names as it has, if changes are noted.
    names: u64,
    /// Its length before the first octet is written.
    base: u64,
    /// What is cut off to come to that.
    freed: u64,
    promised: u64,
}

impl Growing<'_> {
    /// Calls `write`, which moves `position` along to `end`, or not so far and fails. Where `cuts` says so, what was
    /// there behind the position is cut off before. The outer error is a refusal: nothing was cut or written.
    pub(super) fn grow(
        &self,
        claim: &mut Claim,
        position: &mut u64,
        end: u64,
        cuts: bool,
        write: impl FnOnce(&mut u64) -> Result<()>,
    ) -> crate::Result<Result<()>> {
        let mut room = self.reserve(claim, *position, end, cuts)?;
        if room.is_none() {
            self.renew_credit(claim);
            self.store.recount_before_refusal();
            room = self.reserve(claim, *position, end, cuts)?;
        }
        let Some(Room { pass, names, base, freed, promised }) = room else {
            return Err(ErrorKind::QuotaExceeded.into());
        };
        let mut result = Ok(());
        if cuts {
            result = rustix::fs::ftruncate(self.file, *position);
            if result.is_ok() {
                pass.remove(&self.place.directory, under(names, freed));
            }
        }
        if result.is_ok() {
            result = write(position);
        }
        if names > 0 {
            let unused = promised.saturating_sub(position.saturating_sub(base));
            pass.remove(&self.place.directory, under(names, unused));
            if !self.in_place {
                pass.tally(|tally| tally.spare(claim, Usage::of_file(*position)));
            }
        }
        Ok(result)
    }

    /// Looks again at what the commit will set free.
    pub(super) fn renew_credit(&self, claim: &mut Claim) {
        if !self.in_place && !claim.quota.is_none() {
            claim.credit = credit(self.request, self.place);
        }
    }

    /// `None`: it does not fit.
    fn reserve(&self, claim: &Claim, position: u64, end: u64, cuts: bool) -> crate::Result<Option<Room<'_>>> {
        let pass = self.store.meter.enter();
        let unnoted = |pass| Room { pass, names: 0, base: 0, freed: 0, promised: 0 };
        if !pass.is_noted() {
            return Ok(Some(unnoted(pass)));
        }
        let status = attributes::status(self.file).map_err(error)?;
        if status.stx_nlink == 0 {
            // What has no name counts for nobody, so a quota could not bound it.
            return if claim.quota.is_none() { Ok(Some(unnoted(pass))) } else { Err(ErrorKind::Busy.into()) };
        }
        trace(&pass, self.place, &status, self.in_place);
        let base = if cuts { position } else { status.stx_size };
        let freed = status.stx_size.saturating_sub(base);
        let promised = end.saturating_sub(base);
        let names = status.stx_nlink.into();
        let claim = if self.in_place { claim.with_credit(under(names, freed)) } else { *claim };
        let fits = pass.reserve(&self.place.directory, &claim, under(names, promised));
        Ok(fits.then_some(Room { pass, names, base, freed, promised }))
    }
}

/// Cuts a file, a finished one or a part of `place`, to `length`.
pub(super) fn cut(store: &Store, place: &Place, file: &OwnedFd, length: u64, in_place: bool) -> Result<()> {
    let pass = store.meter.enter();
    let before = if pass.is_noted() { Some(attributes::status(file)?) } else { None };
    rustix::fs::ftruncate(file, length)?;
    if let Some(before) = before {
        trace(&pass, place, &before, in_place);
        let names = before.stx_nlink.into();
        pass.add(&place.directory, under(names, length.saturating_sub(before.stx_size)));
        pass.remove(&place.directory, under(names, before.stx_size.saturating_sub(length)));
    }
    Ok(())
}

/// So many octets under each of so many names.
fn under(names: u64, bytes: u64) -> Usage {
    Usage::of_bytes(bytes.saturating_mul(names))
}

/// A file is about to change. Where its other names are is not known, beneath the root or not, and where it has moved to
/// is not either.
fn trace(pass: &Pass<'_>, place: &Place, status: &Statx, in_place: bool) {
    if status.stx_nlink > 1 {
        pass.doubt();
    }
    if in_place && pass.is_walked() {
        let standing = attributes::status_at(&place.directory, &place.name);
        if !standing.is_ok_and(|standing| attributes::file_id(&standing) == attributes::file_id(status)) {
            pass.disturb();
        }
    }
}
