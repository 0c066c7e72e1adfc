//! Directories that this store has made or renamed and that perhaps are not on the disk yet: what
//! [`Durability::Full`](crate::Durability::Full) still has to sync above the directory of the file.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use longshore_path::VirtualPath;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::io::Result;

use super::{Store, attributes, text};
use crate::FileId;
use crate::limits::MADE_LIMIT;

#[derive(Default)]
pub(super) struct Made(Mutex<State>);

#[derive(Default)]
struct State {
    /// Where the name of each is. Keyed by identity, since paths change.
    holders: HashMap<FileId, Holder>,
    /// How many were remembered so far.
    count: u64,
    overflowed: bool,
}

#[derive(Clone)]
struct Holder {
    /// The directory that holds the name.
    path: VirtualPath,
    /// Which of all that were remembered this is.
    number: u64,
}

impl Made {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that the name of directory `id`, in the directory at `holder`, is new.
    pub(super) fn insert(&self, id: FileId, holder: VirtualPath) {
        let mut state = self.state();
        if state.holders.len() >= MADE_LIMIT && !state.holders.contains_key(&id) {
            state.holders.clear();
            state.overflowed = true;
        }
        state.count += 1;
        let number = state.count;
        state.holders.insert(id, Holder { path: holder, number });
    }

    pub(super) fn remove(&self, id: FileId) {
        self.state().holders.remove(&id);
    }

    fn holder(&self, id: FileId) -> Option<Holder> {
        self.state().holders.get(&id).cloned()
    }

    /// The name that was `holder`'s is synced. If the directory has got another one meanwhile, that is not.
    fn settle(&self, id: FileId, holder: &Holder) {
        let mut state = self.state();
        if state.holders.get(&id).is_some_and(|standing| standing.number == holder.number) {
            state.holders.remove(&id);
        }
    }
}

impl Store {
    /// Syncs the names of `directory` and of those above it, as far up as they are new.
    pub(super) fn sync_made(&self, directory: &OwnedFd, file: &OwnedFd) -> Result<()> {
        if self.made.state().overflowed {
            rustix::fs::syncfs(file)?;
            // What was made since the sync began stays remembered: only the old debt is paid.
            self.made.state().overflowed = false;
        }
        let mut id = attributes::file_id(&attributes::status(directory)?);
        while let Some(holder) = self.made.holder(id) {
            match self.root.open_at(text(&holder.path), OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(opened) => {
                    let opened = self.syncs.open(opened)?;
                    self.syncs.sync(&opened)?;
                    self.made.settle(id, &holder);
                    id = opened.id();
                }
                // It may not be read, or was moved by somebody else: everything, then.
                Err(_) => {
                    rustix::fs::syncfs(file)?;
                    self.made.settle(id, &holder);
                    break;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_given_during_a_sync_is_still_to_be_synced() {
        let path = |path: &str| VirtualPath::new(path).expect("a path");
        let (made, id) = (Made::default(), FileId { device: 1, inode: 2 });
        made.insert(id, path("/a"));
        let synced = made.holder(id).expect("it is remembered");
        // Moved away and back meanwhile.
        made.insert(id, path("/b"));
        made.insert(id, path("/a"));
        made.settle(id, &synced);
        let standing = made.holder(id).expect("its new name is not on the disk yet");
        assert_eq!(standing.path, path("/a"));
        made.settle(id, &standing);
        assert!(made.holder(id).is_none());
    }
}
