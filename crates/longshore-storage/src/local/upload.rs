//! Opening an upload to the local store and writing to it. How it ends is in `finish`.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex};

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, Statx};
use rustix::io::Errno;

use longshore_path::VirtualPath;

use super::errno::error;
use super::growth::{self, Growing};
use super::kept::{self, ActivePart, Unfinished};
use super::resolve::{Place, Target};
use super::{InPlace, Store, attributes, part, text};
use crate::limits::{COPY_BUFFER_BYTES, COPY_STEP_BYTES, OPEN_ATTEMPTS, UNIQUE_ATTEMPTS};
use crate::unique::unique_name;
use crate::usage::Claim;
use crate::{
    Abandoned, Committed, ErrorKind, Operation, Quota, Result, Upload, UploadPlan, UploadRequest, Usage,
};

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
    /// Whether the name was free, and no link led to it: as a rule it still is at the end.
    pub(super) is_new: bool,
    pub(super) file: OwnedFd,
    pub(super) progress: Mutex<Progress>,
}

pub(super) struct Progress {
    /// Octets in the file so far: where the next one goes.
    pub(super) written: u64,
    pub(super) stage: Stage,
    /// What the quota has to be told of this upload.
    pub(super) claim: Claim,
}

pub(super) enum Stage {
    /// Written to this part.
    Part(Unfinished),
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
    claim: Claim,
}

impl Start {
    fn part(part: ActivePart, claim: Claim) -> Start {
        Start { file: part.file, position: part.size, stage: Stage::Part(part.unfinished), claim }
    }
}

/// Where there is a quota, what is used must be known.
pub(super) fn open(store: Arc<Store>, request: UploadRequest) -> Result<Box<dyn Upload>> {
    if request.quota.is_none() {
        return open_once(store, request);
    }
    match open_once(Arc::clone(&store), request.clone()) {
        Err(failure) if failure.kind == ErrorKind::QuotaExceeded => {
            store.recount_before_refusal();
            open_once(store, request)
        }
        result => result,
    }
}

fn open_once(store: Arc<Store>, mut request: UploadRequest) -> Result<Box<dyn Upload>> {
    if request.path.is_root() {
        return Err(ErrorKind::IsADirectory.into());
    }
    super::check_new_name(&request.path)?;
    if request.plan == UploadPlan::Unique {
        let (place, start) = reserve(&store, &mut request)?;
        return Ok(begin(store, request, place, true, start));
    }
    for _ in 0..OPEN_ATTEMPTS {
        let Target { place, standing, is_linked } = store.root.find(text(&request.path)).map_err(error)?;
        if place.is_directory_itself() {
            return Err(ErrorKind::IsADirectory.into());
        }
        // A link may lead to a name of the store's own.
        if part::is_reserved(&place.name) {
            return Err(ErrorKind::NameNotAllowed.into());
        }
        let old = finished(standing)?;
        if old.is_some() && !request.overwrite {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if let Some(start) = start(&store, &request, &place, old.as_ref())? {
            return Ok(begin(store, request, place, old.is_none() && !is_linked, start));
        }
    }
    Err(ErrorKind::Busy.into())
}

fn begin(
    store: Arc<Store>,
    request: UploadRequest,
    place: Place,
    is_new: bool,
    mut start: Start,
) -> Box<dyn Upload> {
    if !request.quota.is_none() && matches!(start.stage, Stage::Part(_)) {
        let part = Usage::of_file(start.position);
        store.meter.enter().tally(|tally| tally.spare(&mut start.claim, part));
    }
    let progress = Progress { written: start.position, stage: start.stage, claim: start.claim };
    Box::new(LocalUpload {
        path: request.path.clone(),
        next: start.position,
        active: Arc::new(Active {
            store,
            request,
            place,
            is_new,
            file: start.file,
            progress: Mutex::new(progress),
        }),
    })
}

/// The finished file that stands at the place.
fn look(place: &Place) -> Result<Option<Statx>> {
    finished(attributes::status_of(place).map_err(error)?)
}

/// What stands at a place, provided that it is a file.
pub(super) fn finished(status: Option<Statx>) -> Result<Option<Statx>> {
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
        (UploadPlan::Append, Some(old)) => open_append(store, request, place, old.stx_size),
        (UploadPlan::At(offset @ 1..), Some(old)) => match offset.cmp(&old.stx_size) {
            Ordering::Greater => Err(ErrorKind::OffsetBeyondEnd.into()),
            Ordering::Equal => open_append(store, request, place, offset),
            Ordering::Less => copy_front(store, request, place, offset),
        },
        (UploadPlan::Append, None) => match kept::take(&store.meter, place, &request.owner).map_err(error)? {
            Some(part) => {
                let length = part.size;
                continue_at(store, request, place, part, length).map(Some)
            }
            None => open_new(store, request, place, None, 0),
        },
        (UploadPlan::At(offset @ 1..), None) => {
            check_length(request, offset)?;
            match kept::take(&store.meter, place, &request.owner).map_err(error)? {
                Some(part) => continue_at(store, request, place, part, offset).map(Some),
                None => Err(ErrorKind::OffsetBeyondEnd.into()),
            }
        }
        (UploadPlan::Replace | UploadPlan::At(0) | UploadPlan::Unique, old) => {
            open_new(store, request, place, old, 0)
        }
    }
}

/// That a file of this length is allowed.
fn check_length(request: &UploadRequest, length: u64) -> Result<()> {
    match request.file_limit_bytes {
        Some(limit) if length > limit => Err(ErrorKind::FileTooLarge.into()),
        _ => Ok(()),
    }
}

/// That an octet fits, for an upload that makes no new file, when these octets are cut off.
fn check_room(store: &Store, request: &UploadRequest, freed: u64) -> Result<()> {
    let claim = Claim::new(request.quota).with_credit(Usage::of_bytes(freed));
    if request.quota.is_none() || store.meter.enter().tally(|tally| tally.fits_bytes(&claim, 1)) {
        Ok(())
    } else {
        Err(ErrorKind::QuotaExceeded.into())
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
    let mut claim = Claim::new(request.quota);
    if !request.quota.is_none() {
        claim.credit = growth::credit(request, place);
    }
    match kept::create_active(&store.meter, &claim, place, &request.owner) {
        Ok(part) => Ok(Some(Start::part(part, claim))),
        Err(Errno::ACCESS | Errno::PERM) if old.is_some() && store.options.in_place == InPlace::Fallback => {
            let Some((file, status)) = open_locked(place)? else { return Ok(None) };
            check_room(store, request, status.stx_size.saturating_sub(position))?;
            let claim = Claim::new(request.quota);
            Ok(Some(Start { file, position, stage: Stage::Overwrite { cut: false }, claim }))
        }
        Err(errno) => Err(error(errno)),
    }
}

/// The finished file itself, to be written to behind its end.
fn open_append(store: &Store, request: &UploadRequest, place: &Place, length: u64) -> Result<Option<Start>> {
    check_length(request, length)?;
    check_room(store, request, 0)?;
    let claim = Claim::new(request.quota);
    match open_locked(place)? {
        Some((file, status)) if status.stx_size == length => {
            Ok(Some(Start { file, position: length, stage: Stage::Append(length), claim }))
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
fn continue_at(
    store: &Store,
    request: &UploadRequest,
    place: &Place,
    mut part: ActivePart,
    offset: u64,
) -> Result<Start> {
    let mut claim = Claim::new(request.quota);
    let outcome = match part.size.checked_sub(offset) {
        None => Err(ErrorKind::OffsetBeyondEnd.into()),
        Some(behind) => check_length(request, offset).and_then(|()| check_room(store, request, behind)),
    };
    let outcome = outcome.and_then(|()| match part.size > offset {
        true => growth::cut(store, place, &part.file, offset, false).map_err(error),
        false => Ok(()),
    });
    match outcome {
        Ok(()) => {
            part.size = offset;
            Ok(Start::part(part, claim))
        }
        Err(failure) => {
            // As if it had never been taken, so no quota is asked; the error at hand says more than one from here.
            claim.quota = Quota::NONE;
            let active = (&part.unfinished.name[..], &part.file);
            let _ = kept::keep(&store.meter, &mut claim, place, &request.owner, active);
            Err(failure)
        }
    }
}

/// A new part that begins with the first `length` octets of the finished file.
fn copy_front(store: &Store, request: &UploadRequest, place: &Place, length: u64) -> Result<Option<Start>> {
    check_length(request, length)?;
    let old = look(place)?;
    let Some(mut start) = open_new(store, request, place, old.as_ref(), length)? else { return Ok(None) };
    let Stage::Part(Unfinished { name, .. }) = &start.stage else { return Ok(Some(start)) };
    let growing = Growing { store, request, place, file: &start.file, in_place: false };
    match copy(&growing, &mut start.claim, length) {
        Ok(Ok(copied)) if copied == length => {
            start.position = length;
            Ok(Some(start))
        }
        outcome => {
            let mut pass = store.meter.enter_alone();
            pass.tally(|tally| tally.release(&mut start.claim));
            let _ = pass.unlink(&place.directory, name);
            // It ended early: somebody has truncated or replaced it.
            outcome?.map(|_| None).or_else(|errno| match errno {
                Errno::NOENT | Errno::LOOP => Ok(None),
                errno => Err(error(errno)),
            })
        }
    }
}

/// Copies up to `length` octets from the beginning of the finished file; the kernel shares blocks where it can. How many
/// there were; the outer error is a refusal.
fn copy(growing: &Growing<'_>, claim: &mut Claim, length: u64) -> Result<rustix::io::Result<u64>> {
    let flags = super::read::FLAGS | OFlags::NOFOLLOW;
    let place = growing.place;
    let from = match rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty()) {
        Ok(from) => from,
        Err(errno) => return Ok(Err(errno)),
    };
    let (mut written, mut buffer) = (0_u64, Vec::new());
    while written < length {
        let before = written;
        let step = (length - written).min(COPY_STEP_BYTES);
        let result = growing.grow(claim, &mut written, before + step, false, |written| {
            if buffer.is_empty() && copy_by_kernel(&from, growing.file, written, step)? {
                return Ok(());
            }
            buffer.resize(COPY_BUFFER_BYTES, 0);
            copy_by_hand(&from, growing.file, written, before + step, &mut buffer)
        })?;
        match result {
            Ok(()) if written == before => break,
            Ok(()) => {}
            Err(errno) => return Ok(Err(errno)),
        }
    }
    Ok(Ok(written))
}

/// Whether the kernel knows how, for these files.
fn copy_by_kernel(from: &OwnedFd, to: &OwnedFd, position: &mut u64, step: u64) -> rustix::io::Result<bool> {
    let (mut read, mut written) = (*position, *position);
    let result = loop {
        match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), step as usize) {
            Err(Errno::INTR) => {}
            result => break result,
        }
    };
    *position = written;
    match result {
        // Some file systems say so instead of "not supported".
        Ok(0) | Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => Ok(false),
        Ok(_) => Ok(true),
        Err(errno) => Err(errno),
    }
}

fn copy_by_hand(
    from: &OwnedFd,
    to: &OwnedFd,
    position: &mut u64,
    end: u64,
    buffer: &mut [u8],
) -> rustix::io::Result<()> {
    while *position < end {
        let wanted = (end - *position).min(buffer.len() as u64) as usize;
        match rustix::io::pread(from, &mut buffer[..wanted], *position) {
            Ok(0) => break,
            Ok(count) => write_all(to, &buffer[..count], position)?,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
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
fn reserve(store: &Store, request: &mut UploadRequest) -> Result<(Place, Start)> {
    let parent = request.path.parent().ok_or(ErrorKind::IsADirectory)?;
    let mut place = store.root.parent(text(&request.path)).map_err(error)?;
    let wish = place.name.clone();
    for attempt in 0..UNIQUE_ATTEMPTS {
        place.name = unique_name(&wish, attempt, kept::random());
        if attributes::status_of(&place).map_err(error)?.is_some() {
            continue;
        }
        let mut claim = Claim::new(request.quota);
        if !request.quota.is_none() {
            claim.credit = growth::credit(request, &place);
        }
        let part = part::reservation(&place.name);
        let part = match kept::create(&store.meter, &claim, &place.directory, part) {
            Err(Errno::EXIST) => continue,
            result => result.map_err(error)?,
        };
        // Another upload may have committed just before the reservation stood.
        if attributes::status_of(&place).map_err(error)?.is_some() {
            let _ = store.meter.enter_alone().unlink(&place.directory, &part.unfinished.name);
            continue;
        }
        request.path = parent.join(&place.name).map_err(|_| ErrorKind::NameNotAllowed)?;
        return Ok((place, Start::part(part, claim)));
    }
    Err(ErrorKind::Busy.into())
}

impl Active {
    pub(super) fn growing(&self, in_place: bool) -> Growing<'_> {
        Growing { store: &self.store, request: &self.request, place: &self.place, file: &self.file, in_place }
    }

    /// Writes `octets` at `offset`, which must be the position: a job that was dropped or has failed leaves no
    /// hole behind it.
    fn write(&self, offset: u64, octets: &[u8]) -> Result<()> {
        let mut progress = self.progress();
        let Progress { written, stage, claim } = &mut *progress;
        if *written != offset || matches!(stage, Stage::Ended) {
            return Err(ErrorKind::Failed.into());
        }
        let end = offset.saturating_add(octets.len() as u64);
        check_length(&self.request, end)?;
        let is_part = matches!(stage, Stage::Part(_));
        let cuts = matches!(stage, Stage::Overwrite { cut: false });
        let growing = self.growing(!is_part);
        let result =
            growing.grow(claim, written, end, cuts, |written| write_all(&self.file, octets, written))?;
        if cuts {
            *stage = Stage::Overwrite { cut: true };
        }
        // However this upload ends, the older part goes: with the commit, or when this one is kept in its place. Until
        // it stood in the way it was worth keeping, and while a finished file stands no command can remove it.
        if is_part
            && matches!(result, Err(Errno::NOSPC | Errno::DQUOT))
            && kept::forget(&self.store.meter, &self.place, &self.request.owner)
        {
            growing.renew_credit(claim);
            let done = usize::try_from(*written - offset).expect("no more than there were octets");
            let rest = &octets[done..];
            let write_rest = |written: &mut u64| write_all(&self.file, rest, written);
            return growing.grow(claim, written, end, false, write_rest)?.map_err(error);
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

    fn commit_with(self: Box<Self>, last: Vec<u8>) -> Operation<Committed> {
        Operation::blocking(move || {
            let end = self.next.saturating_add(last.len() as u64);
            if !last.is_empty()
                && let Err(failure) = self.active.write(self.next, &last)
            {
                if let ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge = failure.kind {
                    // The refusal says more than what tidying up might.
                    let _ = self.active.give_up(true);
                }
                return Err(failure);
            }
            self.active.commit(end)
        })
    }

    fn abandon(self: Box<Self>) -> Operation<Abandoned> {
        Operation::blocking(move || self.active.give_up(false).map(|kept_bytes| Abandoned { kept_bytes }))
    }

    fn discard(self: Box<Self>) -> Operation<()> {
        Operation::blocking(move || self.active.give_up(true).map(drop))
    }
}
