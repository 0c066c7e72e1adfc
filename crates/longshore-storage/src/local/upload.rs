//! Opening an upload to the local store and writing to it. How it ends is in `finish`.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx};
use rustix::io::Errno;

use longshore_path::VirtualPath;

use super::errno::error;
use super::kept::{self, ActivePart};
use super::resolve::Place;
use super::{InPlace, Store, attributes, part, text};
use crate::limits::{COPY_STEP_BYTES, OPEN_ATTEMPTS, UNIQUE_ATTEMPTS};
use crate::unique::unique_name;
use crate::{Abandoned, Committed, ErrorKind, Operation, Result, Upload, UploadPlan, UploadRequest};

/// The handle. Dropping it, and any job that still writes, ends the upload as abandoned.
struct LocalUpload {
    path: VirtualPath,
    next: u64,
    active: Arc<Active>,
}

/// An upload in progress, shared by its handle and its jobs: whoever lets go last tidies up, so a part is never
/// kept, nor a file truncated back, while a job still writes to it.
pub(super) struct Active {
    pub(super) store: Arc<Store>,
    pub(super) request: UploadRequest,
    /// The final name, and the directory it is in: held open, so nobody can slip in another one.
    pub(super) place: Place,
    pub(super) file: OwnedFd,
    pub(super) progress: Mutex<Progress>,
}

pub(super) struct Progress {
    /// Octets in the file so far: where the next one goes.
    pub(super) written: u64,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    /// Written to a part of this name.
    Part(Vec<u8>),
    /// Written behind the end of the finished file, which had this length.
    Append(u64),
    /// Written over the finished file, because its directory refuses parts. `cut` says whether its old contents
    /// behind the position are gone yet.
    Overwrite { cut: bool },
    /// Committed or given up.
    Ended,
}

/// What an opening has arranged.
struct Start {
    file: OwnedFd,
    position: u64,
    stage: Stage,
}

impl Start {
    fn part(part: ActivePart) -> Start {
        Start { file: part.file, position: part.size, stage: Stage::Part(part.name) }
    }
}

pub(super) fn open(store: Arc<Store>, mut request: UploadRequest) -> Result<Box<dyn Upload>> {
    if request.path.is_root() {
        return Err(ErrorKind::IsADirectory.into());
    }
    super::check_new_name(&request.path)?;
    if request.plan == UploadPlan::Unique {
        let (path, place, part) = reserve(&store, &request.path)?;
        request.path = path;
        return Ok(begin(store, request, place, Start::part(part)));
    }
    for _ in 0..OPEN_ATTEMPTS {
        let place = store.root.target(text(&request.path)).map_err(error)?;
        if place.is_directory_itself() {
            return Err(ErrorKind::IsADirectory.into());
        }
        // A link may lead to a name of the store's own.
        if part::is_reserved(&place.name) {
            return Err(ErrorKind::NameNotAllowed.into());
        }
        let old = look(&place)?;
        if old.is_some() && !request.overwrite {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if let Some(start) = start(&store, &request, &place, old.as_ref())? {
            return Ok(begin(store, request, place, start));
        }
    }
    Err(ErrorKind::Busy.into())
}

fn begin(store: Arc<Store>, request: UploadRequest, place: Place, start: Start) -> Box<dyn Upload> {
    let progress = Mutex::new(Progress { written: start.position, stage: start.stage });
    Box::new(LocalUpload {
        path: request.path.clone(),
        next: start.position,
        active: Arc::new(Active { store, request, place, file: start.file, progress }),
    })
}

/// The finished file that stands at the place.
pub(super) fn look(place: &Place) -> Result<Option<Statx>> {
    let status = attributes::status_of(place).map_err(error)?;
    match status.as_ref().map(attributes::file_type) {
        None | Some(FileType::RegularFile) => Ok(status),
        Some(FileType::Directory) => Err(ErrorKind::IsADirectory.into()),
        // The resolution has seen no link here: it has just appeared.
        Some(FileType::Symlink) => Err(ErrorKind::Busy.into()),
        Some(_) => Err(ErrorKind::NotAFile.into()),
    }
}

/// Arranges for the first octet. `None`: things have changed since `old` was looked at.
fn start(
    store: &Store,
    request: &UploadRequest,
    place: &Place,
    old: Option<&Statx>,
) -> Result<Option<Start>> {
    match (request.plan, old) {
        (UploadPlan::Append, Some(old)) => open_append(place, old.stx_size),
        (UploadPlan::At(offset @ 1..), Some(old)) => match offset.cmp(&old.stx_size) {
            Ordering::Greater => Err(ErrorKind::OffsetBeyondEnd.into()),
            Ordering::Equal => open_append(place, offset),
            Ordering::Less => copy_front(store, request, place, offset),
        },
        (UploadPlan::Append, None) => match kept::take(place, &request.owner).map_err(error)? {
            Some(part) => Ok(Some(Start::part(part))),
            None => open_new(store, request, place, None, 0),
        },
        (UploadPlan::At(offset @ 1..), None) => continue_at(request, place, offset).map(Some),
        (UploadPlan::Replace | UploadPlan::At(0) | UploadPlan::Unique, old) => {
            open_new(store, request, place, old, 0)
        }
    }
}

/// A new part; where that is refused and the store's owner allows it, the old file itself.
fn open_new(
    store: &Store,
    request: &UploadRequest,
    place: &Place,
    old: Option<&Statx>,
    position: u64,
) -> Result<Option<Start>> {
    match kept::create_active(place, &request.owner) {
        Ok(part) => Ok(Some(Start::part(part))),
        Err(Errno::ACCESS | Errno::PERM) if old.is_some() && store.options.in_place == InPlace::Fallback => {
            let Some((file, _)) = open_locked(place)? else { return Ok(None) };
            Ok(Some(Start { file, position, stage: Stage::Overwrite { cut: false } }))
        }
        Err(errno) => Err(error(errno)),
    }
}

/// The finished file itself, to be written to behind its end.
fn open_append(place: &Place, length: u64) -> Result<Option<Start>> {
    match open_locked(place)? {
        Some((file, status)) if status.stx_size == length => {
            Ok(Some(Start { file, position: length, stage: Stage::Append(length) }))
        }
        _ => Ok(None),
    }
}

/// Opens the finished file and locks out other writers in place.
fn open_locked(place: &Place) -> Result<Option<(OwnedFd, Statx)>> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
        result => result.map_err(error)?,
    };
    kept::lock(&file).map_err(error)?;
    let status = attributes::status(&file).map_err(error)?;
    // Between opening and locking another upload may have put a new file in its place.
    let standing = look(place)?;
    let same =
        standing.is_some_and(|standing| attributes::file_id(&standing) == attributes::file_id(&status));
    Ok(same.then_some((file, status)))
}

/// The kept part, cut to `offset`.
fn continue_at(request: &UploadRequest, place: &Place, offset: u64) -> Result<Start> {
    let Some(mut part) = kept::take(place, &request.owner).map_err(error)? else {
        return Err(ErrorKind::OffsetBeyondEnd.into());
    };
    let outcome = match part.size.cmp(&offset) {
        Ordering::Less => Err(ErrorKind::OffsetBeyondEnd.into()),
        Ordering::Equal => Ok(()),
        Ordering::Greater => rustix::fs::ftruncate(&part.file, offset).map_err(error),
    };
    match outcome {
        Ok(()) => {
            part.size = offset;
            Ok(Start::part(part))
        }
        Err(failure) => {
            // As if it had never been taken; the error at hand says more than one from here.
            let _ = kept::keep(place, &request.owner, &part.name);
            Err(failure)
        }
    }
}

/// A new part that begins with the first `length` octets of the finished file.
fn copy_front(store: &Store, request: &UploadRequest, place: &Place, length: u64) -> Result<Option<Start>> {
    let old = look(place)?;
    let Some(mut start) = open_new(store, request, place, old.as_ref(), length)? else { return Ok(None) };
    let Stage::Part(name) = &start.stage else { return Ok(Some(start)) };
    match copy(place, &start.file, length) {
        Ok(copied) if copied == length => {
            start.position = length;
            Ok(Some(start))
        }
        outcome => {
            let _ = rustix::fs::unlinkat(&place.directory, name, AtFlags::empty());
            // It ended early: somebody has truncated or replaced it.
            outcome.map(|_| None).or_else(|errno| match errno {
                Errno::NOENT | Errno::LOOP => Ok(None),
                errno => Err(error(errno)),
            })
        }
    }
}

/// Copies up to `length` octets from the beginning of the file at `place`; the kernel shares blocks where it can.
fn copy(place: &Place, to: &OwnedFd, length: u64) -> rustix::io::Result<u64> {
    let flags = super::read::FLAGS | OFlags::NOFOLLOW;
    let from = rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty())?;
    let (mut read, mut written) = (0_u64, 0_u64);
    while written < length {
        let step = (length - written).min(COPY_STEP_BYTES) as usize;
        match rustix::fs::copy_file_range(&from, Some(&mut read), to, Some(&mut written), step) {
            // Some file systems say so instead of "not supported".
            Ok(0) => return copy_by_hand(&from, to, written, length),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
                return copy_by_hand(&from, to, written, length);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(written)
}

fn copy_by_hand(from: &OwnedFd, to: &OwnedFd, mut position: u64, length: u64) -> rustix::io::Result<u64> {
    let mut buffer = vec![0; 128 * 1024];
    while position < length {
        let wanted = (length - position).min(buffer.len() as u64) as usize;
        match rustix::io::pread(from, &mut buffer[..wanted], position) {
            Ok(0) => break,
            Ok(count) => write_all(to, &buffer[..count], &mut position)?,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(position)
}

/// Writes all octets at `position` and moves it along, also when it fails half-way.
fn write_all(file: &OwnedFd, mut octets: &[u8], position: &mut u64) -> rustix::io::Result<()> {
    while !octets.is_empty() {
        match rustix::io::pwrite(file, octets, *position) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => {
                *position += count as u64;
                octets = &octets[count..];
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Chooses a name that nobody has and holds it by a part that only one upload can have.
fn reserve(store: &Store, wish: &VirtualPath) -> Result<(VirtualPath, Place, ActivePart)> {
    let parent = wish.parent().ok_or(ErrorKind::IsADirectory)?;
    let mut place = store.root.parent(text(wish)).map_err(error)?;
    let wish = place.name.clone();
    for attempt in 0..UNIQUE_ATTEMPTS {
        place.name = unique_name(&wish, attempt, kept::random());
        if attributes::status_of(&place).map_err(error)?.is_some() {
            continue;
        }
        let part = match kept::create(&place.directory, part::reservation(&place.name)) {
            Err(Errno::EXIST) => continue,
            result => result.map_err(error)?,
        };
        // Another upload may have committed just before the reservation stood.
        if attributes::status_of(&place).map_err(error)?.is_some() {
            let _ = rustix::fs::unlinkat(&place.directory, &part.name, AtFlags::empty());
            continue;
        }
        let path = parent.join(&place.name).map_err(|_| ErrorKind::NameNotAllowed)?;
        return Ok((path, place, part));
    }
    Err(ErrorKind::Busy.into())
}

impl Active {
    /// Writes `octets` at `offset`, which must be the position: a job that was dropped or has failed leaves no
    /// hole behind it.
    fn write(&self, offset: u64, octets: &[u8]) -> Result<()> {
        let mut progress = self.progress();
        let Progress { written, stage } = &mut *progress;
        if *written != offset || matches!(stage, Stage::Ended) {
            return Err(ErrorKind::Failed.into());
        }
        if let Stage::Overwrite { cut: cut @ false } = stage {
            rustix::fs::ftruncate(&self.file, offset).map_err(error)?;
            *cut = true;
        }
        let result = write_all(&self.file, octets, written);
        // However this upload ends, the older part goes: with the commit, or when this one is kept in its place. Until
        // it stood in the way it was worth keeping, and while a finished file stands no command can remove it.
        if matches!(stage, Stage::Part(_))
            && matches!(result, Err(Errno::NOSPC | Errno::DQUOT))
            && kept::forget(&self.place, &self.request.owner)
        {
            let done = usize::try_from(*written - offset).expect("no more than there were octets");
            return write_all(&self.file, &octets[done..], written).map_err(error);
        }
        result.map_err(error)
    }
}

impl Upload for LocalUpload {
    fn path(&self) -> &VirtualPath {
        &self.path
    }

    fn position(&self) -> u64 {
        self.next
    }

    fn write(&mut self, mut buffer: Vec<u8>) -> Operation<Vec<u8>> {
        if buffer.is_empty() {
            return Operation::Ready(Ok(buffer));
        }
        let (active, offset) = (Arc::clone(&self.active), self.next);
        self.next = offset.saturating_add(buffer.len() as u64);
        Operation::blocking(move || {
            active.write(offset, &buffer)?;
            buffer.clear();
            Ok(buffer)
        })
    }

    fn commit(self: Box<Self>) -> Operation<Committed> {
        Operation::blocking(move || self.active.commit(self.next))
    }

    fn abandon(self: Box<Self>) -> Operation<Abandoned> {
        Operation::blocking(move || self.active.give_up().map(|kept_bytes| Abandoned { kept_bytes }))
    }
}
