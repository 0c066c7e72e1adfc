//! The count of what the tree uses, kept current by whatever changes the tree. How it is counted is in `count`, what
//! an upload may add in `growth`.
//!
//! Whoever changes the tree goes through the gate. What only adds goes through together with others; what takes a
//! name away or moves one goes alone, because it has to know what it takes away. A count goes alone as well, a step at
//! a time, and between its steps a change counts where the directory has been counted already. Until somebody asks for
//! the usage or sets a quota, all go through together, and nothing is looked at on the way.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx};
use rustix::io::{Errno, Result};

use super::attributes;
use crate::usage::{Claim, Tally};
use crate::{FileId, Usage};

#[derive(Default)]
pub(super) struct Meter {
    gate: RwLock<Activity>,
    state: Mutex<State>,
}

/// What goes on behind the gate. Changes only while somebody is there alone.
#[derive(Clone, Copy, Default)]
struct Activity {
    /// Somebody has asked, so changes are noted. That never ends.
    noted: bool,
    /// A count is under way.
    walked: bool,
}

#[derive(Default)]
struct State {
    tally: Tally,
    knowledge: Knowledge,
    walk: Walk,
}

/// How well what is used is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// Nobody has counted yet.
    #[default]
    Nothing,
    /// Something has changed that cannot be followed.
    Doubtful,
    Exact,
}

/// A count under way.
#[derive(Default)]
struct Walk {
    counted: HashSet<FileId>,
    used: Usage,
    /// A directory has moved, perhaps from where it was to be counted to where nobody looks any more.
    disturbed: bool,
    /// Something may not be looked at, so there is more than was seen.
    incomplete: bool,
}

impl Meter {
    /// Goes through the gate with others, to add something.
    pub(super) fn enter(&self) -> Pass<'_> {
        let guard = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        Pass { meter: self, activity: *guard, _guard: Guard::Together(guard), held: None }
    }

    /// Goes through the gate alone, to take something away or move it.
    pub(super) fn enter_alone(&self) -> Pass<'_> {
        let pass = self.enter();
        if !pass.is_noted() {
            return pass;
        }
        drop(pass);
        self.stop_all()
    }

    fn stop_all(&self) -> Pass<'_> {
        let guard = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        Pass { meter: self, activity: *guard, _guard: Guard::Alone(guard), held: None }
    }

    /// What is used, as far as it is known.
    pub(super) fn used(&self) -> Usage {
        self.state().tally.used
    }

    pub(super) fn knowledge(&self) -> Knowledge {
        self.state().knowledge
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is half changed in it that could be seen.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_walked(&self, walked: bool) -> Pass<'_> {
        let mut guard = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        *guard = Activity { noted: true, walked };
        self.state().walk = Walk::default();
        Pass { meter: self, activity: *guard, _guard: Guard::Alone(guard), held: None }
    }
}

/// For as long as it lives, no count goes on.
pub(super) struct Pass<'a> {
    meter: &'a Meter,
    activity: Activity,
    _guard: Guard<'a>,
    /// What has lost its name. Let go behind the gate, not in it: that is when a long file is freed.
    held: Option<OwnedFd>,
}

enum Guard<'a> {
    Together(#[allow(dead_code, reason = "held, not read")] RwLockReadGuard<'a, Activity>),
    Alone(#[allow(dead_code, reason = "held, not read")] RwLockWriteGuard<'a, Activity>),
}

/// What a name stands for.
pub(super) struct Found {
    pub(super) id: FileId,
    pub(super) usage: Usage,
}

/// What a name of this status adds to the usage.
pub(super) fn usage_of(status: &Statx) -> Usage {
    match attributes::file_type(status) {
        FileType::RegularFile => Usage::of_file(status.stx_size),
        _ => Usage::default(),
    }
}

/// The same for a name; nothing where none stands.
pub(super) fn usage_at(directory: &OwnedFd, name: &[u8]) -> Usage {
    attributes::status_at(directory, name).map_or(Usage::default(), |status| usage_of(&status))
}

impl Pass<'_> {
    /// Whether changes have to be noted. What is said about them elsewhere is then ignored.
    pub(super) fn is_noted(&self) -> bool {
        self.activity.noted
    }

    /// Whether it matters in which directory something changes.
    pub(super) fn is_walked(&self) -> bool {
        self.activity.walked
    }

    /// What `name` stands for, if changes are noted; to be told to [`lost`](Pass::lost) when the name goes.
    pub(super) fn find(&mut self, directory: &OwnedFd, name: &[u8]) -> Result<Option<Found>> {
        if !self.is_noted() {
            return Ok(None);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            result => result?,
        };
        let status = attributes::status(&found)?;
        self.held = Some(found);
        Ok(Some(Found { id: attributes::file_id(&status), usage: usage_of(&status) }))
    }

    /// The name of what was found is gone from `directory`.
    pub(super) fn lost(&self, directory: &OwnedFd, found: Option<Found>) {
        if let Some(found) = found {
            self.remove(directory, found.usage);
        }
    }

    /// Removes a name that is not a directory's.
    pub(super) fn unlink(&mut self, directory: &OwnedFd, name: &[u8]) -> Result<()> {
        let found = self.find(directory, name)?;
        rustix::fs::unlinkat(directory, name, AtFlags::empty())?;
        self.lost(directory, found);
        Ok(())
    }

    /// Adds what the upload may add, and nothing else; whether it may.
    pub(super) fn reserve(&self, directory: &OwnedFd, claim: &Claim, more: Usage) -> bool {
        if !self.is_noted() {
            return true;
        }
        let place = self.place(directory);
        let mut state = self.meter.state();
        let taken = state.tally.take(claim, more);
        if taken && state.walk.has(place) {
            state.walk.used = state.walk.used.plus(more);
        }
        taken
    }

    pub(super) fn add(&self, directory: &OwnedFd, more: Usage) {
        self.change(directory, |used| used.plus(more));
    }

    pub(super) fn remove(&self, directory: &OwnedFd, less: Usage) {
        self.change(directory, |used| used.minus(less));
    }

    /// Asks or tells the tally something about an upload.
    pub(super) fn tally<T>(&self, work: impl FnOnce(&mut Tally) -> T) -> T {
        work(&mut self.meter.state().tally)
    }

    /// A directory was made: what comes into it counts as the rest of its own directory does.
    pub(super) fn directory_made(&self, directory: &OwnedFd, made: FileId) {
        let place = self.place(directory);
        let mut state = self.meter.state();
        if state.walk.has(place) {
            state.walk.counted.insert(made);
        }
    }

    /// A directory was removed: its number may soon be another one's.
    pub(super) fn directory_removed(&self, removed: FileId) {
        if self.is_walked() {
            self.meter.state().walk.counted.remove(&removed);
        }
    }

    /// Where something has changed is not known: the count under way has to be begun again.
    pub(super) fn disturb(&self) {
        self.meter.state().walk.disturbed = true;
    }

    /// What has changed under other names is not known: whoever asks next has to count, unless that was done a moment
    /// ago.
    pub(super) fn doubt(&self) {
        let mut state = self.meter.state();
        if state.knowledge == Knowledge::Exact {
            state.knowledge = Knowledge::Doubtful;
        }
        state.walk.disturbed = true;
    }

    fn change(&self, directory: &OwnedFd, change: impl Fn(Usage) -> Usage) {
        if !self.is_noted() {
            return;
        }
        let place = self.place(directory);
        let mut state = self.meter.state();
        state.tally.used = change(state.tally.used);
        if state.walk.has(place) {
            state.walk.used = change(state.walk.used);
        }
    }

    /// Which directory it is, if that matters.
    fn place(&self, directory: &OwnedFd) -> Option<FileId> {
        if !self.is_walked() {
            return None;
        }
        let status = attributes::status(directory);
        if status.is_err() {
            self.disturb();
        }
        status.ok().map(|status| attributes::file_id(&status))
    }
}

impl Walk {
    fn has(&self, place: Option<FileId>) -> bool {
        place.is_some_and(|place| self.counted.contains(&place))
    }
}

/// A count under way, for who counts. Dropping it gives it up.
pub(super) struct Counting<'a> {
    meter: &'a Meter,
}

impl<'a> Counting<'a> {
    /// The count, and its first step.
    pub(super) fn begin(meter: &'a Meter) -> (Counting<'a>, Pass<'a>) {
        let step = meter.set_walked(true);
        (Counting { meter }, step)
    }

    /// The next step: until the pass is dropped, nothing changes.
    pub(super) fn step(&self) -> Pass<'a> {
        self.meter.stop_all()
    }

    /// What stands in a directory, as seen within a step.
    pub(super) fn counted(&self, directory: FileId, usage: Usage) {
        let mut state = self.meter.state();
        state.walk.counted.insert(directory);
        state.walk.used = state.walk.used.plus(usage);
    }

    /// Something beneath the root may not be looked at.
    pub(super) fn incomplete(&self) {
        self.meter.state().walk.incomplete = true;
    }

    /// All has been seen, in `last` the rest of it: what is used, unless the count was disturbed.
    ///
    /// What cannot be seen can have been closed since it was counted, by those whom it counts for. So an incomplete
    /// count never comes to less than is known.
    pub(super) fn finish(self, last: Pass<'_>) -> Option<Usage> {
        let mut state = self.meter.state();
        let used = match &state.walk {
            Walk { disturbed: true, .. } => None,
            Walk { incomplete: true, used, .. } if state.knowledge != Knowledge::Nothing => {
                Some(used.larger(state.tally.used))
            }
            Walk { used, .. } => Some(*used),
        };
        if let Some(used) = used {
            state.tally.used = used;
            state.knowledge = Knowledge::Exact;
        }
        drop(state);
        // The end of the count goes through the gate too.
        drop(last);
        used
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        drop(self.meter.set_walked(false));
    }
}
