//! Uploads to the tree in memory.

use std::sync::Arc;

use longshore_path::VirtualPath;

use super::Memory;
use super::tree::{Content, FILE_MODE, KeptPart, Node, Tree};
use crate::unique::unique_name;
use crate::usage::Claim;
use crate::{Abandoned, Committed, ErrorKind, Operation, Result, Upload, UploadPlan, UploadRequest, Usage};

struct MemoryUpload {
    memory: Memory,
    request: UploadRequest,
    /// The directory, which must still be the same one at the commit.
    directory: u64,
    /// The finished file that is written to behind its end.
    appends_to: Option<Appended>,
    /// What is new: all of the file, or what comes behind its end.
    octets: Vec<u8>,
    claim: Claim,
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
    let chosen = (request.plan == UploadPlan::Unique).then(|| reserve(&mut tree, &request.path, &parent));
    if let Some(chosen) = chosen {
        request.path = chosen?;
    }
    let mut claim = Claim::new(request.quota);
    let begun = begin(&mut tree, &request, &mut claim);
    if begun.is_err() && request.plan == UploadPlan::Unique {
        tree.reserved.remove(&request.path);
    }
    let (octets, appends_to) = begun?;
    drop(tree);
    Ok(Box::new(MemoryUpload {
        memory: memory.clone(),
        request,
        directory,
        appends_to,
        octets,
        claim,
        failed: false,
        ended: false,
    }))
}

/// The octets that are there from the beginning, and the file that is appended to.
fn begin(tree: &mut Tree, request: &UploadRequest, claim: &mut Claim) -> Result<(Vec<u8>, Option<Appended>)> {
    let old = match tree.nodes.get(&request.path) {
        None => None,
        Some(_) if !request.overwrite => return Err(ErrorKind::AlreadyExists.into()),
        Some(node) => match &node.content {
            Content::Directory => return Err(ErrorKind::IsADirectory.into()),
            Content::File(octets) => Some((node.id, Arc::clone(octets))),
        },
    };
    let Some((id, old)) = old else {
        return continue_part(tree, request, claim).map(|octets| (octets, None));
    };
    let length = old.len() as u64;
    let offset = match request.plan {
        UploadPlan::Replace | UploadPlan::At(0) | UploadPlan::Unique => 0,
        UploadPlan::Append => length,
        UploadPlan::At(offset) => offset,
    };
    if offset > length {
        return Err(ErrorKind::OffsetBeyondEnd.into());
    }
    check_length(request, offset)?;
    if offset == length && (offset > 0 || request.plan == UploadPlan::Append) {
        if !tree.tally.fits_bytes(claim, 1) {
            return Err(ErrorKind::QuotaExceeded.into());
        }
        return match tree.appended.insert(id) {
            true => Ok((Vec::new(), Some(Appended { id, length }))),
            false => Err(ErrorKind::Busy.into()),
        };
    }
    new_part(tree, request, claim, old[..offset as usize].to_vec()).map(|octets| (octets, None))
}

/// A part that begins with these octets.
fn new_part(tree: &mut Tree, request: &UploadRequest, claim: &mut Claim, octets: Vec<u8>) -> Result<Vec<u8>> {
    let part = Usage::of_file(octets.len() as u64);
    claim.credit = credit(tree, request);
    tree.charge(claim, part)?;
    tree.tally.spare(claim, part);
    Ok(octets)
}

/// What is kept for this owner, as far as the plan wants it.
fn continue_part(tree: &mut Tree, request: &UploadRequest, claim: &mut Claim) -> Result<Vec<u8>> {
    let key = (request.path.clone(), request.owner.clone());
    let kept = tree.parts.get(&key).map(|part| part.octets.len() as u64);
    let wanted = match (request.plan, kept) {
        (UploadPlan::Append, Some(kept)) => kept,
        (UploadPlan::At(offset @ 1..), kept) => {
            check_length(request, offset)?;
            if offset > kept.unwrap_or(0) {
                return Err(ErrorKind::OffsetBeyondEnd.into());
            }
            offset
        }
        _ => return new_part(tree, request, claim, Vec::new()),
    };
    check_length(request, wanted)?;
    let behind = Usage::of_bytes(kept.unwrap_or(0) - wanted);
    if !tree.tally.fits_bytes(&claim.with_credit(behind), 1) {
        return Err(ErrorKind::QuotaExceeded.into());
    }
    let mut octets = tree.parts.remove(&key).map(|part| part.octets).unwrap_or_default();
    octets.truncate(wanted as usize);
    tree.tally.used = tree.tally.used.minus(behind);
    tree.running = tree.running.plus(Usage::of_file(wanted));
    Ok(octets)
}

/// What the commit will set free: the file that is replaced, and the owner's older part.
fn credit(tree: &Tree, request: &UploadRequest) -> Usage {
    let replaces = request.overwrite && request.plan != UploadPlan::Unique;
    let replaced = tree.nodes.get(&request.path).filter(|_| replaces).map(Node::usage);
    let kept = tree.parts.get(&(request.path.clone(), request.owner.clone())).map(KeptPart::usage);
    replaced.unwrap_or_default().plus(kept.unwrap_or_default())
}

/// That a file of this length is allowed.
fn check_length(request: &UploadRequest, length: u64) -> Result<()> {
    match request.file_limit_bytes {
        Some(limit) if length > limit => Err(ErrorKind::FileTooLarge.into()),
        _ => Ok(()),
    }
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
            Arc::make_mut(octets).extend_from_slice(&self.octets);
            node.modified = now;
            let size = octets.len() as u64;
            debug_assert!(size >= length, "nobody else writes to a file in place");
            self.end(&mut tree);
            self.octets = Vec::new();
            return Ok(Committed { path, size, replaced: true });
        }
        let mode = match tree.nodes.get(&path) {
            Some(Node { content: Content::Directory, .. }) => return Err(ErrorKind::IsADirectory.into()),
            Some(_) if !self.request.overwrite || self.request.plan == UploadPlan::Unique => {
                return Err(ErrorKind::AlreadyExists.into());
            }
            Some(old) => Some(old.mode & 0o777),
            None => None,
        };
        // What was to be replaced may have gone or shrunk.
        let claim = self.claim.with_credit(credit(&tree, &self.request));
        if !tree.tally.fits(&claim) {
            return Err(ErrorKind::QuotaExceeded.into());
        }
        self.end(&mut tree);
        let octets = std::mem::take(&mut self.octets);
        let size = octets.len() as u64;
        if mode.is_some() {
            tree.remove(&path);
        }
        let new_mode = mode.or(self.request.mode).unwrap_or(FILE_MODE);
        tree.put(&path, Content::File(Arc::new(octets)), new_mode);
        tree.drop_part(&(path.clone(), self.request.owner.clone()));
        Ok(Committed { path, size, replaced: mode.is_some() })
    }

    /// Keeps what has come, except behind the end of a finished file, where the quota has no room for it, and where
    /// `discard` says so.
    fn give_up(&mut self, discard: bool) -> Option<u64> {
        let memory = self.memory.clone();
        let mut tree = memory.tree();
        if self.ended {
            return None;
        }
        self.end(&mut tree);
        let own = self.usage();
        let octets = std::mem::take(&mut self.octets);
        let key = (self.request.path.clone(), self.request.owner.clone());
        let parent = self.request.path.parent()?;
        let stands = tree.find_directory(&parent).is_ok_and(|node| node.id == self.directory);
        let older = tree.parts.get(&key).map(KeptPart::usage).unwrap_or_default();
        let fits = tree.tally.fits(&self.claim.with_credit(older));
        if discard || self.appends_to.is_some() || octets.is_empty() || !stands || !fits {
            tree.tally.used = tree.tally.used.minus(own);
            return None;
        }
        tree.drop_part(&key);
        let modified = tree.now();
        tree.parts.insert(key, KeptPart { octets, modified });
        Some(own.bytes)
    }

    /// What of the tree's usage is this upload's.
    fn usage(&self) -> Usage {
        let files = u64::from(self.appends_to.is_none());
        Usage { bytes: self.octets.len() as u64, files }
    }

    /// Accounts for octets that come in. Where there is no room for them, the part that an older upload has left goes
    /// first: this one takes its place however it ends. Behind the end of a finished file none does.
    fn charge(&mut self, count: u64) -> Result<()> {
        check_length(&self.request, self.position().saturating_add(count))?;
        let memory = self.memory.clone();
        let mut tree = memory.tree();
        let more = Usage::of_bytes(count);
        if self.appends_to.is_some() {
            return tree.charge(&self.claim, more);
        }
        self.claim.credit = credit(&tree, &self.request);
        let key = (self.request.path.clone(), self.request.owner.clone());
        match tree.charge(&self.claim, more) {
            Err(failure) if failure.kind == ErrorKind::NoSpace && tree.drop_part(&key) => {
                self.claim.credit = credit(&tree, &self.request);
                tree.charge(&self.claim, more)?;
            }
            result => result?,
        }
        let part = self.usage().plus(more);
        tree.tally.spare(&mut self.claim, part);
        Ok(())
    }

    fn end(&mut self, tree: &mut Tree) {
        self.ended = true;
        tree.running = tree.running.minus(self.usage());
        tree.tally.release(&mut self.claim);
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

    fn commit_with(mut self: Box<Self>, mut last: Vec<u8>) -> Operation<Committed> {
        if last.is_empty() {
            return self.commit();
        }
        Operation::Ready(match self.charge(last.len() as u64) {
            Ok(()) => {
                self.octets.append(&mut last);
                self.finish()
            }
            Err(failure) => {
                if let ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge = failure.kind {
                    self.give_up(true);
                }
                Err(failure)
            }
        })
    }

    fn abandon(mut self: Box<Self>) -> Operation<Abandoned> {
        Operation::Ready(Ok(Abandoned { kept_bytes: self.give_up(false) }))
    }

    fn discard(mut self: Box<Self>) -> Operation<()> {
        self.give_up(true);
        Operation::Ready(Ok(()))
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        self.give_up(false);
    }
}
