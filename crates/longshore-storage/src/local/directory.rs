//! Listing a directory of the local store.
//!
//! Reading names is one matter, looking at what they name another: the first goes on at one place in the directory,
//! the second is most of the work, and jobs of one listing do it side by side. A batch is what one call of the kernel
//! brings, its names never copied before they become entries.
//!
//! Not inside: threads (jobs run where the caller wants), and any order of names but the kernel's.

use std::sync::{Arc, Mutex, PoisonError};

use rustix::fd::OwnedFd;
use rustix::fs::{OFlags, RawDir, RawDirEntry};
use rustix::io::Errno;

use longshore_path::VirtualPath;

use super::errno::error;
use super::{PartsPolicy, Store, attributes, part, text};
use crate::limits::{BATCH_ENTRIES, DIRECTORY_FIRST_READ_BYTES, DIRECTORY_READ_BYTES};
use crate::{Batch, Detail, Directory, Entry, FileId, Operation, Result, Timestamp};

/// What the kernel needs for a name of a dozen letters.
const USUAL_NAME_BYTES: usize = 40;

struct LocalDirectory {
    /// What the opening has read already.
    first: Option<Batch>,
    /// Of the last job.
    room_bytes: usize,
    reader: Arc<Reader>,
}

/// What the jobs of one listing share.
struct Reader {
    store: Arc<Store>,
    path: VirtualPath,
    descriptor: OwnedFd,
    progress: Mutex<Progress>,
}

/// How far the names have been read. Whoever reads on holds it.
struct Progress {
    /// The next batch's.
    number: u64,
    finished: bool,
}

/// Opens the directory and reads the first entries in the same job: for most directories that is all.
pub(super) fn open(store: Arc<Store>, path: VirtualPath) -> Result<Box<dyn Directory>> {
    let descriptor = store.root.open_at(text(&path), OFlags::RDONLY | OFlags::DIRECTORY).map_err(error)?;
    let progress = Mutex::new(Progress { number: 0, finished: false });
    let mut reader = Reader { store, path, descriptor, progress };
    let mut first = Batch { number: 0, entries: Vec::new() };
    // Only a call that brings nothing says that there are no more.
    while first.entries.len() < BATCH_ENTRIES
        && let Some(more) = reader.next_batch(Detail::All, DIRECTORY_FIRST_READ_BYTES)?
    {
        first.entries.extend(more.entries);
    }
    reader.progress.get_mut().unwrap_or_else(PoisonError::into_inner).number = 1;
    Ok(Box::new(LocalDirectory {
        first: Some(first),
        room_bytes: DIRECTORY_FIRST_READ_BYTES,
        reader: Arc::new(reader),
    }))
}

impl Directory for LocalDirectory {
    fn next_entries(&mut self, detail: Detail) -> Operation<Option<Batch>> {
        if let Some(first) = self.first.take() {
            return Operation::Ready(Ok(Some(first)));
        }
        if let Ok(progress) = self.reader.progress.try_lock()
            && progress.finished
        {
            return Operation::Ready(Ok(None));
        }
        let reader = Arc::clone(&self.reader);
        // Small jobs at first: others can join in the sooner.
        self.room_bytes = (2 * self.room_bytes).min(DIRECTORY_READ_BYTES);
        let room_bytes = self.room_bytes;
        Operation::blocking(move || reader.next_batch(detail, room_bytes))
    }
}

impl Reader {
    /// What one call of the kernel with so much room brings.
    fn next_batch(&self, detail: Detail, room_bytes: usize) -> Result<Option<Batch>> {
        let mut room = Vec::<u8>::with_capacity(room_bytes);
        let mut names = RawDir::new(&self.descriptor, room.spare_capacity_mut());
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.finished {
            return Ok(None);
        }
        let mut next = loop {
            match names.next() {
                Some(Err(Errno::INTR)) => {}
                next => break next,
            }
        };
        progress.finished = !matches!(next, Some(Ok(_)));
        // As many as fit in when names are of the usual length.
        let entries = Vec::with_capacity(if progress.finished { 0 } else { room_bytes / USUAL_NAME_BYTES });
        let mut batch = Batch { number: progress.number, entries };
        progress.number += 1;
        // Only the call has to come in turn. What it has brought others need not wait for.
        drop(progress);
        while let Some(name) = next {
            match name {
                // The directory was removed while it was read: that was all.
                Err(Errno::NOENT) => break,
                Err(errno) => return Err(error(errno)),
                Ok(name) => batch.entries.extend(self.entry(&name, detail)),
            }
            if names.is_buffer_empty() {
                return Ok(Some(batch));
            }
            next = names.next();
        }
        Ok(None)
    }

    /// `None` when it has vanished, or is not to be listed.
    fn entry(&self, found: &RawDirEntry<'_>, detail: Detail) -> Option<Entry> {
        let name = found.file_name().to_bytes();
        let own = part::is_reserved(name) && self.store.options.parts != PartsPolicy::Listed;
        if matches!(name, b"." | b"..") || own {
            return None;
        }
        if detail == Detail::Names {
            return Some(unknown(found));
        }
        match attributes::status_listed(&self.descriptor, found.file_name()) {
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
            Err(_) => Some(unknown(found)),
        }
    }
}

/// What the directory itself says of an entry.
fn unknown(found: &RawDirEntry<'_>) -> Entry {
    Entry {
        name: found.file_name().to_bytes().to_vec(),
        kind: attributes::kind(found.file_type()),
        size: 0,
        modified: Timestamp { seconds: 0, nanoseconds: 0 },
        mode: 0,
        owner: 0,
        group: 0,
        links: 1,
        id: FileId { device: 0, inode: found.ino() },
        link_target: None,
    }
}
