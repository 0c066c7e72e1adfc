//! What a tree uses and what an upload may add to it: numbers only. Who counts, and when, is each store's business.

/// What the regular files of a tree come to, each name counted by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Octets, by the lengths of the files.
    pub bytes: u64,
    /// Names of regular files.
    pub files: u64,
}

/// How much a tree may come to. `None` is no bound.
///
/// That is a bound on finished files. What an upload will replace makes room for it from the beginning, though it goes only
/// with the commit, so while uploads run there is more on the disk: at most the quota once more (or the length of the one
/// file to be replaced, where that is longer), however many uploads to however many names there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Of [`Usage::bytes`].
    pub bytes: Option<u64>,
    /// Of [`Usage::files`].
    pub files: Option<u64>,
}

impl Quota {
    /// No bound at all: nothing needs to be counted.
    pub const NONE: Quota = Quota { bytes: None, files: None };

    /// Whether there is no bound.
    pub fn is_none(&self) -> bool {
        *self == Quota::NONE
    }
}

impl Usage {
    pub(crate) const ONE_FILE: Usage = Usage { bytes: 0, files: 1 };

    pub(crate) fn of_bytes(bytes: u64) -> Usage {
        Usage { bytes, files: 0 }
    }

    pub(crate) fn of_file(bytes: u64) -> Usage {
        Usage { bytes, files: 1 }
    }

    pub(crate) fn plus(self, more: Usage) -> Usage {
        Usage { bytes: self.bytes.saturating_add(more.bytes), files: self.files.saturating_add(more.files) }
    }

    /// Never below nothing: another program may have taken away what had not been counted yet.
    pub(crate) fn minus(self, less: Usage) -> Usage {
        Usage { bytes: self.bytes.saturating_sub(less.bytes), files: self.files.saturating_sub(less.files) }
    }

    pub(crate) fn larger(self, other: Usage) -> Usage {
        Usage { bytes: self.bytes.max(other.bytes), files: self.files.max(other.files) }
    }

    fn smaller(self, other: Usage) -> Usage {
        Usage { bytes: self.bytes.min(other.bytes), files: self.files.min(other.files) }
    }
}

/// What one upload is held to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Claim {
    pub(crate) quota: Quota,
    /// What its commit will set free.
    pub(crate) credit: Usage,
    /// How much of that its own part makes up for already; see [`Tally`].
    spared: Usage,
}

impl Claim {
    pub(crate) fn new(quota: Quota) -> Claim {
        Claim { quota, ..Claim::default() }
    }

    /// The same with another credit, for a question.
    pub(crate) fn with_credit(self, credit: Usage) -> Claim {
        Claim { credit, ..self }
    }
}

/// What is used, and how much of that does not count against a quota.
///
/// A file and the part that will replace it both stand until the commit. The smaller of the two is *spared*: it will
/// not be there in the end, so it is not held against other uploads. Since no more is spared than lies in running
/// parts, what is finished never exceeds the quota, whichever of the uploads are committed.
///
/// Many uploads may be about to replace one file, or one that has gone since. So what is spared has no effect beyond the
/// quota itself: all files within it can be replaced at once, and no more comes onto the disk than that takes.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) used: Usage,
    spared: Usage,
}

impl Tally {
    /// Whether the upload may bring so many octets more.
    pub(crate) fn fits_bytes(&self, claim: &Claim, more: u64) -> bool {
        let others = self.spared.minus(claim.spared);
        fits(claim.quota.bytes, self.used.bytes, others.bytes, claim.credit.bytes, more)
    }

    /// Whether nothing is exceeded as it is.
    pub(crate) fn fits(&self, claim: &Claim) -> bool {
        self.fits_bytes(claim, 0) && self.fits_files(claim, 0)
    }

    /// Adds what fits and nothing else; whether it did. A new file fits where at least one octet does.
    pub(crate) fn take(&mut self, claim: &Claim, more: Usage) -> bool {
        let bytes = if more.files > 0 { more.bytes.max(1) } else { more.bytes };
        let fits = (bytes == 0 || self.fits_bytes(claim, bytes))
            && (more.files == 0 || self.fits_files(claim, more.files));
        if fits {
            self.used = self.used.plus(more);
        }
        fits
    }

    /// Notes what the part of an upload has come to.
    pub(crate) fn spare(&mut self, claim: &mut Claim, part: Usage) {
        let spared = claim.credit.smaller(part);
        self.spared = self.spared.minus(claim.spared).plus(spared);
        claim.spared = spared;
    }

    /// The upload has ended, or has nothing to replace any more.
    pub(crate) fn release(&mut self, claim: &mut Claim) {
        claim.credit = Usage::default();
        self.spare(claim, Usage::default());
    }

    fn fits_files(&self, claim: &Claim, more: u64) -> bool {
        let others = self.spared.minus(claim.spared);
        fits(claim.quota.files, self.used.files, others.files, claim.credit.files, more)
    }
}

/// What is used and does not count for an upload: all that it replaces (`credit`), and what `others` will make up for;
/// together no more than the limit, unless the one file is longer.
fn fits(limit: Option<u64>, used: u64, others: u64, credit: u64, more: u64) -> bool {
    limit.is_none_or(|limit| {
        let set_off = others.saturating_add(credit).min(limit.max(credit));
        u128::from(used) + u128::from(more) <= u128::from(limit) + u128::from(set_off)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(used: u64, credit: u64, more: u64, expected: bool) {
        let tally = Tally { used: Usage::of_bytes(used), spared: Usage::default() };
        let claim = Claim::new(Quota { bytes: Some(100), files: None }).with_credit(Usage::of_bytes(credit));
        assert_eq!(tally.fits_bytes(&claim, more), expected, "{used} − {credit} + {more}");
    }

    #[test]
    fn a_quota_is_exact() {
        check(0, 0, 100, true);
        check(0, 0, 101, false);
        check(99, 0, 1, true);
        check(100, 0, 0, true);
        check(100, 0, 1, false);
        check(100, 1, 1, true);
        check(90, 90, 100, true);
        check(90, 90, 101, false);
        check(u64::MAX, u64::MAX, 100, true);
        check(u64::MAX, 0, u64::MAX, false);
        // More than the quota by then, and less than it in the end.
        check(110, 50, 30, true);
    }

    #[track_caller]
    fn check_spared(used: u64, others: u64, credit: u64, more: u64, expected: bool) {
        assert_eq!(
            fits(Some(100), used, others, credit, more),
            expected,
            "{used} − {others} − {credit} + {more}"
        );
    }

    #[test]
    fn no_more_is_spared_than_the_quota_or_the_one_file() {
        check_spared(100, 50, 50, 100, true);
        check_spared(100, 50, 50, 101, false);
        check_spared(100, 60, 50, 100, true);
        check_spared(100, 60, 50, 101, false);
        check_spared(200, 10_000, 100, 0, true);
        check_spared(200, 10_000, 100, 1, false);
        // It was there before the quota was.
        check_spared(300, 0, 300, 100, true);
        check_spared(300, 50, 300, 101, false);
        check_spared(0, u64::MAX, u64::MAX, 100, true);
    }

    #[test]
    fn a_new_file_needs_a_name_and_an_octet() {
        let claim = Claim::new(Quota { bytes: Some(10), files: Some(2) });
        let mut tally = Tally::default();
        assert!(tally.take(&claim, Usage::of_file(9)) && tally.take(&claim, Usage::ONE_FILE));
        assert!(!tally.take(&claim, Usage::ONE_FILE), "a third file");
        assert!(tally.take(&claim, Usage::of_bytes(1)) && !tally.take(&claim, Usage::of_bytes(1)));
        assert_eq!(tally.used, Usage { bytes: 10, files: 2 });
        let claim = Claim::new(Quota { bytes: Some(10), files: None });
        assert!(!tally.take(&claim, Usage::ONE_FILE), "no octet fits");
    }

    #[test]
    fn what_another_will_replace_is_not_held_against_one() {
        let quota = Quota { bytes: Some(100), files: None };
        let mut tally = Tally { used: Usage::of_file(90), spared: Usage::default() };
        let mut replacing = Claim::new(quota).with_credit(Usage::of_file(90));
        let adding = Claim::new(quota);
        for written in [50, 90] {
            assert!(tally.take(&replacing, Usage::of_bytes(written - tally.used.bytes.saturating_sub(90))));
            tally.spare(&mut replacing, Usage::of_file(written));
            assert!(tally.fits_bytes(&adding, 10) && !tally.fits_bytes(&adding, 11), "{written}");
        }
        assert!(tally.take(&replacing, Usage::of_bytes(10)), "beyond the old file's length");
        tally.spare(&mut replacing, Usage::of_file(100));
        assert!(!tally.fits_bytes(&adding, 1));
        tally.release(&mut replacing);
        assert_eq!((tally.used.bytes, tally.spared), (190, Usage::default()));
    }
}
