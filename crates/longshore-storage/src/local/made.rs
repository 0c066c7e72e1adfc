//! Directories that this store has made or renamed and that perhaps are not on the disk yet: what
//! [`Durability::Full`](crate::Durability::Full) still has to sync above the directory of the file.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use longshore_path::VirtualPath;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::{Errno, Result};

use super::{Store, attributes, text};
use crate::FileId;
use crate::limits::MADE_LIMIT;

#[derive(Default)]
pub(super) struct Made(Mutex<State>);

#[derive(Default)]
struct State {
    /// The path of the directory that holds the name of each. Keyed by identity, since paths change.
    holders: HashMap<FileId, VirtualPath>,
    overflowed: bool,
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
        state.holders.insert(id, holder);
    }

    pub(super) fn remove(&self, id: FileId) {
        self.state().holders.remove(&id);
    }

    fn holder(&self, id: FileId) -> Option<VirtualPath> {
        self.state().holders.get(&id).cloned()
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
            match self.root.open_at(text(&holder), OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(holder) => {
                    sync(&holder)?;
                    self.made.remove(id);
                    id = attributes::file_id(&attributes::status(&holder)?);
                }
                // It may not be read, or was moved by somebody else: everything, then.
                Err(_) => {
                    rustix::fs::syncfs(file)?;
                    self.made.remove(id);
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Syncs the names in a directory.
pub(super) fn sync(directory: impl AsFd) -> Result<()> {
    match rustix::fs::fsync(directory) {
        // File systems that have nothing to sync there say so.
        Err(Errno::INVAL) => Ok(()),
        result => result,
    }
}
