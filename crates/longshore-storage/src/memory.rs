//! A tree of files in memory: for tests, examples, and whoever embeds the server with a few files of its own.
//!
//! Everything is [`Operation::Ready`]. There are no symbolic links, no owners and no names of the store's own; parts
//! are kept until they are continued or their directory goes.

mod tree;
mod upload;

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use longshore_path::VirtualPath;

use crate::limits::{
    BATCH_ENTRIES, DEFAULT_READ_BYTES, DIRECTORY_MODE_BITS, DIRECTORY_OWNER_BITS, REGULAR_FILE_MODE_BITS,
};
use crate::{
    Backend, Batch, Detail, Directory, Entry, ErrorKind, Operation, Part, Readable, Result, Timestamp,
    Upload, UploadRequest, Usage,
};
use tree::{Content, DIRECTORY_MODE, FILE_MODE, Tree};

/// A store in memory. Clones share it.
#[derive(Clone)]
pub struct Memory {
    tree: Arc<Mutex<Tree>>,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Memory {
    /// An empty tree without limit, which takes its times from the system.
    pub fn new() -> Memory {
        Memory::with_clock(|| SystemTime::now().into())
    }

    /// An empty tree without limit, which asks `clock` for every time of modification.
    pub fn with_clock(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Memory {
        Memory { tree: Arc::new(Mutex::new(Tree::new(Box::new(clock)))) }
    }

    /// Limits the octets of all files and parts together; beyond it, uploads fail with [`ErrorKind::NoSpace`].
    /// What is there already stays.
    pub fn with_capacity(self, limit_bytes: u64) -> Memory {
        self.tree().capacity = Some(limit_bytes);
        self
    }

    /// Puts a file at `path`, over an old one, with the directories above it; the capacity does not count here.
    /// Gives the store back, so that a tree can be written as one expression.
    ///
    /// # Panics
    /// When `path` is no path, leads through a file, or to a directory: for trees that the program itself knows.
    pub fn insert(&self, path: impl AsRef<[u8]>, contents: impl Into<Vec<u8>>) -> &Memory {
        let path = own_path(path.as_ref());
        let mut tree = self.tree();
        tree.make_all(&path.parent().expect("a file is not the root"));
        let contents = contents.into();
        match tree.nodes.get(&path).map(|node| &node.content) {
            Some(Content::Directory) => panic!("{path} is a directory"),
            Some(Content::File(_)) => tree.remove(&path),
            None => {}
        }
        tree.tally.used = tree.tally.used.plus(Usage::of_file(contents.len() as u64));
        tree.put(&path, Content::File(Arc::new(contents)), FILE_MODE);
        drop(tree);
        self
    }

    /// Makes a directory at `path`, with those above it, unless it is there.
    ///
    /// # Panics
    /// When `path` is no path, or leads to or through a file.
    pub fn insert_directory(&self, path: impl AsRef<[u8]>) -> &Memory {
        self.tree().make_all(&own_path(path.as_ref()));
        self
    }

    /// The contents of the finished file at `path`; `None` when there is no file.
    pub fn contents(&self, path: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let path = VirtualPath::new(path).ok()?;
        match &self.tree().nodes.get(&path)?.content {
            Content::File(octets) => Some(octets.to_vec()),
            Content::Directory => None,
        }
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        // No call leaves the tree half changed, so a panic elsewhere in the program need not spread.
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready<T>(&self, work: impl FnOnce(&mut Tree) -> Result<T>) -> Operation<T> {
        Operation::Ready(work(&mut self.tree()))
    }
}

#[track_caller]
fn own_path(path: &[u8]) -> VirtualPath {
    VirtualPath::new(path).expect("a path the program itself has written is valid")
}

impl Backend for Memory {
    fn stat(&self, path: &VirtualPath) -> Operation<Entry> {
        self.ready(|tree| Ok(tree.find(path)?.entry(path)))
    }

    fn part(&self, owner: &str, path: &VirtualPath) -> Operation<Part> {
        self.ready(|tree| match tree.parts.get(&(path.clone(), owner.to_owned())) {
            Some(part) if !tree.nodes.contains_key(path) => {
                Ok(Part { size: part.octets.len() as u64, modified: part.modified })
            }
            _ => Err(ErrorKind::NotFound.into()),
        })
    }

    fn open_read(&self, path: &VirtualPath) -> Operation<Box<dyn Readable>> {
        self.ready(|tree| {
            let node = tree.find(path)?;
            match &node.content {
                Content::Directory => Err(ErrorKind::IsADirectory.into()),
                Content::File(octets) => {
                    let file = MemoryFile { octets: Arc::clone(octets), entry: node.entry(path) };
                    Ok(Box::new(file) as Box<dyn Readable>)
                }
            }
        })
    }

    fn open_directory(&self, path: &VirtualPath) -> Operation<Box<dyn Directory>> {
        self.ready(|tree| {
            tree.find_directory(path)?;
            let entries: Vec<Entry> = tree.children(path).map(|(path, node)| node.entry(path)).collect();
            Ok(Box::new(MemoryDirectory { entries: entries.into_iter(), number: 0 }) as Box<dyn Directory>)
        })
    }

    fn open_upload(&self, request: UploadRequest) -> Operation<Box<dyn Upload>> {
        Operation::Ready(upload::open(self, request))
    }

    fn make_directory(&self, path: &VirtualPath, mode: Option<u32>) -> Operation<()> {
        self.ready(|tree| {
            tree.check_parent(path)?;
            if tree.nodes.contains_key(path) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            tree.put(path, Content::Directory, mode.unwrap_or(DIRECTORY_MODE));
            Ok(())
        })
    }

    fn remove_directory(&self, path: &VirtualPath) -> Operation<()> {
        self.ready(|tree| {
            tree.find_directory(path)?;
            if path.is_root() {
                return Err(ErrorKind::PermissionDenied.into());
            }
            if tree.children(path).next().is_some() {
                return Err(ErrorKind::NotEmpty.into());
            }
            tree.remove(path);
            tree.drop_parts_below(path);
            Ok(())
        })
    }

    fn remove_file(&self, path: &VirtualPath) -> Operation<()> {
        self.ready(|tree| {
            if matches!(tree.find(path)?.content, Content::Directory) {
                return Err(ErrorKind::IsADirectory.into());
            }
            tree.remove(path);
            Ok(())
        })
    }

    fn rename(&self, from: &VirtualPath, to: &VirtualPath, overwrite: bool) -> Operation<()> {
        self.ready(|tree| tree.rename(from, to, overwrite))
    }

    fn set_modified(&self, path: &VirtualPath, modified: Timestamp) -> Operation<()> {
        self.ready(|tree| {
            tree.find(path)?;
            if let Some(node) = tree.nodes.get_mut(path) {
                node.modified = modified;
            }
            Ok(())
        })
    }

    fn set_mode(&self, path: &VirtualPath, mode: u32) -> Operation<u32> {
        self.ready(|tree| {
            let mode = match tree.find(path)?.content {
                Content::Directory if path.is_root() => return Err(ErrorKind::PermissionDenied.into()),
                Content::Directory => mode & DIRECTORY_MODE_BITS | DIRECTORY_OWNER_BITS,
                Content::File(_) if mode & DIRECTORY_MODE_BITS & !REGULAR_FILE_MODE_BITS != 0 => {
                    return Err(ErrorKind::PermissionDenied.into());
                }
                Content::File(_) => mode & REGULAR_FILE_MODE_BITS,
            };
            if let Some(node) = tree.nodes.get_mut(path) {
                node.mode = mode;
            }
            Ok(mode)
        })
    }

    fn usage(&self) -> Operation<Usage> {
        self.ready(|tree| Ok(tree.tally.used))
    }

    fn recount(&self) -> Operation<Usage> {
        self.ready(|tree| Ok(tree.recount()))
    }

    fn free_space(&self, _path: &VirtualPath) -> Operation<Option<u64>> {
        self.ready(|tree| Ok(tree.capacity.map(|capacity| capacity.saturating_sub(tree.tally.used.bytes))))
    }
}

/// An open file: what it held when it was opened, whatever happens to the tree.
struct MemoryFile {
    octets: Arc<Vec<u8>>,
    entry: Entry,
}

impl Readable for MemoryFile {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn read_at(&mut self, offset: u64, mut buffer: Vec<u8>) -> Operation<Vec<u8>> {
        buffer.clear();
        if buffer.capacity() == 0 {
            buffer.reserve(DEFAULT_READ_BYTES);
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.octets.len());
        let rest = &self.octets[start..];
        buffer.extend_from_slice(&rest[..rest.len().min(buffer.capacity())]);
        Operation::Ready(Ok(buffer))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// What stood in a directory when it was opened.
struct MemoryDirectory {
    entries: std::vec::IntoIter<Entry>,
    number: u64,
}

impl Directory for MemoryDirectory {
    fn next_entries(&mut self, _detail: Detail) -> Operation<Option<Batch>> {
        let entries: Vec<Entry> = self.entries.by_ref().take(BATCH_ENTRIES).collect();
        let batch = Batch { number: self.number, entries };
        self.number += 1;
        Operation::Ready(Ok((!batch.entries.is_empty()).then_some(batch)))
    }
}
