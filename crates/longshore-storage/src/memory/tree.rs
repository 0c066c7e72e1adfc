//! The tree itself, behind one lock. No handles in here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use longshore_path::VirtualPath;

use crate::limits::{DIRECTORY_MODE_BITS, REGULAR_FILE_MODE_BITS};
use crate::usage::{Claim, Tally};
use crate::{Entry, ErrorKind, FileId, Kind, Result, Timestamp, Usage};

pub(super) struct Tree {
    /// Every file and directory by its whole path; the root is always there.
    pub(super) nodes: BTreeMap<VirtualPath, Node>,
    /// Kept parts by final name and owner.
    pub(super) parts: BTreeMap<(VirtualPath, String), KeptPart>,
    /// Final names that running uploads have chosen.
    pub(super) reserved: BTreeSet<VirtualPath>,
    /// Files that are being appended to.
    pub(super) appended: BTreeSet<u64>,
    /// What files, parts and running uploads come to.
    pub(super) tally: Tally,
    /// How much of that belongs to running uploads.
    pub(super) running: Usage,
    /// The most octets of all.
    pub(super) capacity: Option<u64>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    next_id: u64,
}

pub(super) struct Node {
    pub(super) id: u64,
    pub(super) modified: Timestamp,
    pub(super) mode: u32,
    pub(super) content: Content,
}

pub(super) const FILE_MODE: u32 = 0o644;
pub(super) const DIRECTORY_MODE: u32 = 0o755;

pub(super) enum Content {
    Directory,
    /// Shared with those who read it.
    File(Arc<Vec<u8>>),
}

pub(super) struct KeptPart {
    pub(super) octets: Vec<u8>,
    pub(super) modified: Timestamp,
}

impl KeptPart {
    pub(super) fn usage(&self) -> Usage {
        Usage::of_file(self.octets.len() as u64)
    }
}

impl Node {
    pub(super) fn usage(&self) -> Usage {
        match &self.content {
            Content::Directory => Usage::default(),
            Content::File(octets) => Usage::of_file(octets.len() as u64),
        }
    }

    pub(super) fn entry(&self, path: &VirtualPath) -> Entry {
        let (kind, size, links) = match &self.content {
            Content::Directory => (Kind::Directory, 0, 2),
            Content::File(octets) => (Kind::File, octets.len() as u64, 1),
        };
        Entry {
            name: path.file_name().unwrap_or_default().to_vec(),
            kind,
            size,
            modified: self.modified,
            mode: self.mode,
            owner: 0,
            group: 0,
            links,
            id: FileId { device: 0, inode: self.id },
            link_target: None,
        }
    }
}

impl Tree {
    pub(super) fn new(clock: Box<dyn Fn() -> Timestamp + Send + Sync>) -> Tree {
        let root = Node { id: 1, modified: clock(), mode: DIRECTORY_MODE, content: Content::Directory };
        Tree {
            nodes: BTreeMap::from([(VirtualPath::root(), root)]),
            parts: BTreeMap::new(),
            reserved: BTreeSet::new(),
            appended: BTreeSet::new(),
            tally: Tally::default(),
            running: Usage::default(),
            capacity: None,
            clock,
            next_id: 2,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) fn find(&self, path: &VirtualPath) -> Result<&Node> {
        match self.nodes.get(path) {
            Some(node) => Ok(node),
            // What is said depends on how far the path leads.
            None => self.check_parent(path).and(Err(ErrorKind::NotFound.into())),
        }
    }

    pub(super) fn find_directory(&self, path: &VirtualPath) -> Result<&Node> {
        match self.find(path)? {
            node @ Node { content: Content::Directory, .. } => Ok(node),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// That the directory of `path` exists.
    pub(super) fn check_parent(&self, path: &VirtualPath) -> Result<()> {
        path.parent().map_or(Ok(()), |parent| self.find_directory(&parent).map(|_| ()))
    }

    pub(super) fn children(&self, path: &VirtualPath) -> impl Iterator<Item = (&VirtualPath, &Node)> {
        let range = self.nodes.range((Bound::Excluded(path.clone()), Bound::Unbounded));
        let path = path.clone();
        // Names that only begin alike ("/a!" after "/a") lie between a directory and what is in it.
        let below = range.take_while({
            let path = path.clone();
            move |(child, _)| child.as_bytes().starts_with(path.as_bytes())
        });
        below.filter(move |(child, _)| child.parent().as_ref() == Some(&path))
    }

    /// Puts something new at `path`.
    pub(super) fn put(&mut self, path: &VirtualPath, content: Content, mode: u32) {
        let bits = match content {
            Content::Directory => DIRECTORY_MODE_BITS,
            Content::File(_) => REGULAR_FILE_MODE_BITS,
        };
        let node = Node { id: self.next_id, modified: self.now(), mode: mode & bits, content };
        self.next_id += 1;
        self.nodes.insert(path.clone(), node);
        self.touch_parent(path);
    }

    /// Makes the directory at `path` and those above it.
    pub(super) fn make_all(&mut self, path: &VirtualPath) {
        if let Some(parent) = path.parent() {
            self.make_all(&parent);
        }
        match self.nodes.get(path).map(|node| &node.content) {
            Some(Content::Directory) => {}
            Some(Content::File(_)) => panic!("{path} is a file"),
            None => self.put(path, Content::Directory, DIRECTORY_MODE),
        }
    }

    pub(super) fn remove(&mut self, path: &VirtualPath) {
        if let Some(node) = self.nodes.remove(path) {
            self.tally.used = self.tally.used.minus(node.usage());
        }
        self.touch_parent(path);
    }

    /// Forgets a kept part; whether there was one.
    pub(super) fn drop_part(&mut self, key: &(VirtualPath, String)) -> bool {
        let Some(part) = self.parts.remove(key) else { return false };
        self.tally.used = self.tally.used.minus(part.usage());
        true
    }

    pub(super) fn drop_parts_below(&mut self, path: &VirtualPath) {
        let below: Vec<_> = self.parts.keys().filter(|(name, _)| name.starts_with(path)).cloned().collect();
        for key in &below {
            self.drop_part(key);
        }
    }

    /// Accounts for what a running upload adds.
    pub(super) fn charge(&mut self, claim: &Claim, more: Usage) -> Result<()> {
        if self.capacity.is_some_and(|capacity| self.tally.used.bytes.saturating_add(more.bytes) > capacity) {
            return Err(ErrorKind::NoSpace.into());
        }
        if !self.tally.take(claim, more) {
            return Err(ErrorKind::QuotaExceeded.into());
        }
        self.running = self.running.plus(more);
        Ok(())
    }

    /// What is to be accounted for, looked at anew.
    pub(super) fn recount(&mut self) -> Usage {
        let files = self.nodes.values().map(Node::usage);
        let parts = self.parts.values().map(KeptPart::usage);
        self.tally.used = files.chain(parts).fold(self.running, Usage::plus);
        self.tally.used
    }

    pub(super) fn rename(&mut self, from: &VirtualPath, to: &VirtualPath, overwrite: bool) -> Result<()> {
        if from.is_root() || to.is_root() {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let is_directory = matches!(self.find(from)?.content, Content::Directory);
        self.check_parent(to)?;
        match self.nodes.get(to).map(|node| &node.content) {
            Some(_) if !overwrite => return Err(ErrorKind::AlreadyExists.into()),
            Some(Content::Directory) => return Err(ErrorKind::IsADirectory.into()),
            Some(Content::File(_)) if is_directory => return Err(ErrorKind::NotADirectory.into()),
            _ if from == to => return Ok(()),
            _ if to.starts_with(from) => return Err(ErrorKind::NameNotAllowed.into()),
            _ => {}
        }
        self.remove(to);
        let moved: Vec<_> = self.nodes.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in moved {
            if let Some(node) = self.nodes.remove(&path) {
                self.nodes.insert(rebase(&path, from, to), node);
            }
        }
        // As on a disk, parts lie in the directory and go with it; that of a single file stays behind.
        if is_directory {
            let parts: Vec<_> =
                self.parts.keys().filter(|(path, _)| path.starts_with(from)).cloned().collect();
            for key in parts {
                if let Some(part) = self.parts.remove(&key) {
                    self.parts.insert((rebase(&key.0, from, to), key.1), part);
                }
            }
        }
        self.touch_parent(from);
        self.touch_parent(to);
        Ok(())
    }

    fn touch_parent(&mut self, path: &VirtualPath) {
        let now = self.now();
        if let Some(node) = path.parent().and_then(|parent| self.nodes.get_mut(&parent)) {
            node.modified = now;
        }
    }
}

/// `path`, which is `from` or below it, under `to` instead.
fn rebase(path: &VirtualPath, from: &VirtualPath, to: &VirtualPath) -> VirtualPath {
    let rest = &path.as_bytes()[from.as_bytes().len()..];
    match rest.strip_prefix(b"/") {
        Some(rest) => to.join(rest).unwrap_or_else(|_| path.clone()),
        None => to.clone(),
    }
}
