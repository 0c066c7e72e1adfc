//! Listing a directory of the local store.

use std::sync::{Arc, Mutex, PoisonError};

use rustix::fd::OwnedFd;
use rustix::fs::{Dir, FileType, OFlags};
use rustix::io::Errno;

use longshore_path::VirtualPath;

use super::errno::error;
use super::{PartsPolicy, Store, attributes, part, text};
use crate::limits::BATCH_ENTRIES;
use crate::{Directory, Entry, FileId, Operation, Result, Timestamp};

struct LocalDirectory {
    /// What the opening has read already.
    first: Option<Vec<Entry>>,
    reader: Arc<Mutex<Reader>>,
}

struct Reader {
    store: Arc<Store>,
    path: VirtualPath,
    descriptor: OwnedFd,
    entries: Dir,
    finished: bool,
}

/// Opens the directory and reads the first entries in the same job: for most directories that is all.
pub(super) fn open(store: Arc<Store>, path: VirtualPath) -> Result<Box<dyn Directory>> {
    let descriptor = store.root.open_at(text(&path), OFlags::RDONLY | OFlags::DIRECTORY).map_err(error)?;
    let entries = Dir::read_from(&descriptor).map_err(error)?;
    let mut reader = Reader { store, path, descriptor, entries, finished: false };
    let first = Some(reader.next_batch()?);
    Ok(Box::new(LocalDirectory { first, reader: Arc::new(Mutex::new(reader)) }))
}

impl Directory for LocalDirectory {
    fn next_entries(&mut self) -> Operation<Vec<Entry>> {
        if let Some(first) = self.first.take() {
            return Operation::Ready(Ok(first));
        }
        let reader = Arc::clone(&self.reader);
        if let Ok(reader) = reader.try_lock()
            && reader.finished
        {
            return Operation::Ready(Ok(Vec::new()));
        }
        Operation::blocking(move || reader.lock().unwrap_or_else(PoisonError::into_inner).next_batch())
    }
}

impl Reader {
    fn next_batch(&mut self) -> Result<Vec<Entry>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH_ENTRIES && !self.finished {
            match self.entries.read() {
                None => self.finished = true,
                // The directory was removed while it was read: that was all.
                Some(Err(Errno::NOENT)) => self.finished = true,
                Some(Err(errno)) => return Err(error(errno)),
                Some(Ok(entry)) => {
                    let name = entry.file_name().to_bytes();
                    let own = part::is_reserved(name) && self.store.options.parts != PartsPolicy::Listed;
                    if !matches!(name, b"." | b"..") && !own {
                        batch.extend(self.entry(name, entry.file_type(), entry.ino()));
                    }
                }
            }
        }
        Ok(batch)
    }

    /// `None` when it has vanished.
    fn entry(&self, name: &[u8], file_type: FileType, inode: u64) -> Option<Entry> {
        match attributes::status_at(&self.descriptor, name) {
            Ok(status) if attributes::file_type(&status).is_symlink() => {
                let target = rustix::fs::readlinkat(&self.descriptor, name, Vec::new()).ok()?.into_bytes();
                // With a leading slash it would be a link's absolute path.
                let separator: &[u8] = if self.path.is_root() { b"" } else { b"/" };
                let path = [text(&self.path), separator, name].concat();
                Some(super::entry_of_link(&self.store, &path, name, &status, target))
            }
            Ok(status) => Some(attributes::entry(name, &status, None)),
            Err(Errno::NOENT) => None,
            // A directory that may be read but not searched, or one broken file: the name still is there, and
            // the listing of all others must not fail for it.
            Err(_) => Some(Entry {
                name: name.to_vec(),
                kind: attributes::kind(file_type),
                size: 0,
                modified: Timestamp { seconds: 0, nanoseconds: 0 },
                mode: 0,
                owner: 0,
                group: 0,
                links: 1,
                id: FileId { device: 0, inode },
                link_target: None,
            }),
        }
    }
}
