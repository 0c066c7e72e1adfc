//! Uploads to the tree in memory.

use std::cmp::Ordering;
use std::sync::Arc;

use longshore_path::VirtualPath;

use super::Memory;
use super::tree::{Content, KeptPart, Tree};
use crate::unique::unique_name;
use crate::{Abandoned, Committed, ErrorKind, Operation, Result, Upload, UploadPlan, UploadRequest};

struct MemoryUpload {
    memory: Memory,
    request: UploadRequest,
    /// The directory, which must still be the same one at the commit.
    directory: u64,
    /// The finished file that is written to behind its end.
    appends_to: Option<Appended>,
    /// What is new: all of the file, or what comes behind its end.
    octets: Vec<u8>,
    /// Something that was to be written is missing.
    failed: bool,
    ended: bool,
}

#[derive(Clone, Copy)]
struct Appended {
    id: u64,
    length: u64,
}

pub(super) fn open(memory: &Memory, mut request: UploadRequest) -> Result<Box<dyn Upload>> {
    let mut tree = memory.tree();
    let parent = request.path.parent().ok_or(ErrorKind::IsADirectory)?;
    let directory = tree.find_directory(&parent)?.id;
    if request.plan == UploadPlan::Unique {
        request.path = reserve(&mut tree, &request.path, &parent)?;
    }
    let (octets, appends_to) = begin(&mut tree, &request)?;
    drop(tree);
    Ok(Box::new(MemoryUpload {
        memory: memory.clone(),
        request,
        directory,
        appends_to,
        octets,
        failed: false,
        ended: false,
    }))
}

/// The octets that are there from the beginning, and the file that is appended to.
fn begin(tree: &mut Tree, request: &UploadRequest) -> Result<(Vec<u8>, Option<Appended>)> {
    let old = match tree.nodes.get(&request.path) {
        None => None,
        Some(_) if !request.overwrite => return Err(ErrorKind::AlreadyExists.into()),
        Some(node) => match &node.content {
            Content::Directory => return Err(ErrorKind::IsADirectory.into()),
            Content::File(octets) => Some((node.id, Arc::clone(octets))),
        },
    };
    let Some((id, old)) = old else { return continue_part(tree, request).map(|octets| (octets, None)) };
    let length = old.len() as u64;
    let offset = match request.plan {
        UploadPlan::Replace | UploadPlan::At(0) | UploadPlan::Unique => return Ok((Vec::new(), None)),
        UploadPlan::Append => length,
        UploadPlan::At(offset) => offset,
    };
    match offset.cmp(&length) {
        Ordering::Greater => Err(ErrorKind::OffsetBeyondEnd.into()),
        Ordering::Equal if !tree.appended.insert(id) => Err(ErrorKind::Busy.into()),
        Ordering::Equal => Ok((Vec::new(), Some(Appended { id, length }))),
        Ordering::Less => {
            tree.charge(offset)?;
            Ok((old[..offset as usize].to_vec(), None))
        }
    }
}

/// What is kept for this owner, as far as the plan wants it.
fn continue_part(tree: &mut Tree, request: &UploadRequest) -> Result<Vec<u8>> {
    let key = (request.path.clone(), request.owner.clone());
    let kept = tree.parts.get(&key).map_or(0, |part| part.octets.len() as u64);
    let wanted = match request.plan {
        UploadPlan::Replace | UploadPlan::At(0) | UploadPlan::Unique => return Ok(Vec::new()),
        UploadPlan::Append => kept,
        UploadPlan::At(offset) if offset > kept => return Err(ErrorKind::OffsetBeyondEnd.into()),
        UploadPlan::At(offset) => offset,
    };
    let mut octets = tree.parts.remove(&key).map(|part| part.octets).unwrap_or_default();
    octets.truncate(wanted as usize);
    tree.used -= kept - wanted;
    Ok(octets)
}

fn reserve(tree: &mut Tree, wish: &VirtualPath, parent: &VirtualPath) -> Result<VirtualPath> {
    let wish = wish.file_name().unwrap_or_default();
    for attempt in 0_u32.. {
        // Counted, not drawn: what this store does can be repeated.
        let name = unique_name(wish, attempt, attempt.into());
        let path = parent.join(name).map_err(|_| ErrorKind::NameNotAllowed)?;
        if !tree.nodes.contains_key(&path) && tree.reserved.insert(path.clone()) {
            return Ok(path);
        }
    }
    Err(ErrorKind::Busy.into())
}

impl MemoryUpload {
    fn finish(&mut self) -> Result<Committed> {
        if self.failed {
            return Err(ErrorKind::Failed.into());
        }
        let memory = self.memory.clone();
        let mut tree = memory.tree();
        let path = self.request.path.clone();
        let parent = path.parent().ok_or(ErrorKind::IsADirectory)?;
        if tree.find_directory(&parent)?.id != self.directory {
            return Err(ErrorKind::NotFound.into());
        }
        if let Some(Appended { id, length }) = self.appends_to {
            let now = tree.now();
            let Some(node) = tree.nodes.get_mut(&path).filter(|node| node.id == id) else {
                return Err(ErrorKind::Busy.into());
            };
            let Content::File(octets) = &mut node.content else { return Err(ErrorKind::IsADirectory.into()) };
            Arc::make_mut(octets).append(&mut self.octets);
            node.modified = now;
            let size = octets.len() as u64;
            debug_assert!(size >= length, "nobody else writes to a file in place");
            self.end(&mut tree);
            return Ok(Committed { path, size, replaced: true });
        }
        let replaced = match tree.nodes.get(&path).map(|node| &node.content) {
            Some(Content::Directory) => return Err(ErrorKind::IsADirectory.into()),
            Some(_) if !self.request.overwrite || self.request.plan == UploadPlan::Unique => {
                return Err(ErrorKind::AlreadyExists.into());
            }
            Some(Content::File(old)) => {
                let freed = old.len() as u64;
                tree.used -= freed;
                true
            }
            None => false,
        };
        let octets = std::mem::take(&mut self.octets);
        let size = octets.len() as u64;
        tree.put(&path, Content::File(Arc::new(octets)));
        tree.drop_part(&(path.clone(), self.request.owner.clone()));
        self.end(&mut tree);
        Ok(Committed { path, size, replaced })
    }

    /// Keeps what has come, except behind the end of a finished file.
    fn give_up(&mut self) -> Option<u64> {
        let memory = self.memory.clone();
        let mut tree = memory.tree();
        if self.ended {
            return None;
        }
        self.end(&mut tree);
        let octets = std::mem::take(&mut self.octets);
        let size = octets.len() as u64;
        let parent = self.request.path.parent()?;
        let stands = tree.find_directory(&parent).is_ok_and(|node| node.id == self.directory);
        if self.appends_to.is_some() || octets.is_empty() || !stands {
            tree.used -= size;
            return None;
        }
        let key = (self.request.path.clone(), self.request.owner.clone());
        tree.drop_part(&key);
        let modified = tree.now();
        tree.parts.insert(key, KeptPart { octets, modified });
        Some(size)
    }

    /// Accounts for octets that come in. Where there is no room for them, the part that an older upload has left goes
    /// first: this one takes its place however it ends. Behind the end of a finished file none does.
    fn charge(&self, count: u64) -> Result<()> {
        let mut tree = self.memory.tree();
        let charged = tree.charge(count);
        let key = (self.request.path.clone(), self.request.owner.clone());
        if charged.is_err() && self.appends_to.is_none() && tree.drop_part(&key) {
            return tree.charge(count);
        }
        charged
    }

    fn end(&mut self, tree: &mut Tree) {
        self.ended = true;
        if let Some(Appended { id, .. }) = self.appends_to {
            tree.appended.remove(&id);
        }
        if self.request.plan == UploadPlan::Unique {
            tree.reserved.remove(&self.request.path);
        }
    }
}

impl Upload for MemoryUpload {
    fn path(&self) -> &VirtualPath {
        &self.request.path
    }

    fn position(&self) -> u64 {
        self.appends_to.map_or(0, |appended| appended.length) + self.octets.len() as u64
    }

    fn write(&mut self, mut buffer: Vec<u8>) -> Operation<Vec<u8>> {
        let charged = self.charge(buffer.len() as u64);
        self.failed |= charged.is_err();
        Operation::Ready(charged.map(|()| {
            self.octets.append(&mut buffer);
            buffer
        }))
    }

    fn commit(mut self: Box<Self>) -> Operation<Committed> {
        // When it fails, dropping it keeps the part.
        Operation::Ready(self.finish())
    }

    fn abandon(mut self: Box<Self>) -> Operation<Abandoned> {
        Operation::Ready(Ok(Abandoned { kept_bytes: self.give_up() }))
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        self.give_up();
    }
}
