//! A directory of this machine as a store.
//!
//! One descriptor of the root is held; every path is resolved beneath it (`resolve`), and what is then done goes
//! by descriptors, never by the path again. Uploads are written to hidden parts beside their target (`part`,
//! `kept`, `upload`) and renamed when they are whole (`finish`); commits at the same time share what has to be synced
//! (`syncs`, `made`). What all files come to is counted once somebody asks
//! (`meter`, `count`, `growth`), by one at a time (`turn`).
//!
//! Not in here: the rights of accounts. The operating system's rights of the process are the only ones asked.

mod attributes;
mod count;
mod directory;
mod errno;
mod finish;
mod growth;
mod kept;
mod made;
mod meter;
mod part;
mod read;
mod resolve;
mod syncs;
mod turn;
mod upload;

use std::path::Path;
use std::sync::Arc;

use longshore_path::VirtualPath;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx};
use rustix::io::Errno;

use crate::limits::{DIRECTORY_MODE_BITS, DIRECTORY_OWNER_BITS, REGULAR_FILE_MODE_BITS};
use crate::{
    Backend, Directory, Entry, ErrorKind, Kind, Operation, Part, Readable, Result, Timestamp, Upload,
    UploadRequest, Usage,
};
use count::Need;
use errno::{error, naming_error};
use meter::Knowledge;
use resolve::Root;
use turn::{Turn, Turnstile};

/// How paths are resolved beneath the root. Both ways refuse the same paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolver {
    /// By the kernel where it can (Linux 5.6 and no filter against it), else by a walk.
    #[default]
    Auto,
    /// By the kernel, `openat2`; opening the store fails where there is none.
    Openat2,
    /// Component by component, without following links.
    Walk,
}

/// What happens to the part of an upload that was cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PartsPolicy {
    /// It is kept, and nobody sees it under its own name.
    #[default]
    Hidden,
    /// It is kept, stands in listings, and can be looked at ([`Backend::stat`]) and removed there, but not read.
    Listed,
    /// It is removed.
    Discard,
}

/// What to do when a file may be written to but its directory refuses a part beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InPlace {
    /// The upload fails with [`ErrorKind::PermissionDenied`].
    #[default]
    Refuse,
    /// The file itself is overwritten: its old contents are lost from the first octet on, also when the upload
    /// fails.
    Fallback,
}

/// How a local store behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalOptions {
    /// How paths are resolved.
    pub resolver: Resolver,
    /// What happens to parts of cut uploads.
    pub parts: PartsPolicy,
    /// What happens where a part cannot be made.
    pub in_place: InPlace,
    /// Permission bits of new files, at most `0o777`, where a request does not name any; the process's umask does not
    /// count. Default `0o644`.
    pub file_mode: u32,
    /// The same for new directories. Default `0o755`.
    pub directory_mode: u32,
}

impl Default for LocalOptions {
    fn default() -> LocalOptions {
        LocalOptions {
            resolver: Resolver::default(),
            parts: PartsPolicy::default(),
            in_place: InPlace::default(),
            file_mode: 0o644,
            directory_mode: 0o755,
        }
    }
}

/// A directory of this machine as a store. Clones share it.
///
/// Two stores that were opened for one tree, or one for a tree within the other's, are to each other as two programs
/// are: neither notes in its [`usage`](Backend::usage) what the other one changes until it counts anew. Where a quota is
/// to be exact, there should be one.
#[derive(Clone)]
pub struct Local {
    store: Arc<Store>,
}

/// What jobs share with the handle.
struct Store {
    root: Root,
    options: LocalOptions,
    made: made::Made,
    syncs: syncs::Syncs,
    meter: meter::Meter,
    turnstile: Arc<Turnstile>,
}

impl Local {
    /// Opens the store whose root is the directory `root`. Links in `root` itself are followed; if the directory is
    /// renamed later, the store goes with it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::NotADirectory`] or [`ErrorKind::PermissionDenied`] by what is at
    /// `root`; [`ErrorKind::Unsupported`] when `options` ask for [`Resolver::Openat2`] and the kernel has none.
    pub fn open(root: impl AsRef<Path>, options: LocalOptions) -> Result<Local> {
        let root = Root::open(root.as_ref(), options.resolver).map_err(error)?;
        Ok(Local {
            store: Arc::new(Store {
                root,
                options,
                made: made::Made::default(),
                syncs: syncs::Syncs::default(),
                meter: meter::Meter::default(),
                turnstile: Arc::default(),
            }),
        })
    }

    /// A job on the store that has to do with one path.
    fn job<T: Send + 'static>(
        &self,
        path: &VirtualPath,
        work: impl FnOnce(&Store, &VirtualPath) -> Result<T> + Send + 'static,
    ) -> Operation<T> {
        let (store, path) = (Arc::clone(&self.store), path.clone());
        Operation::blocking(move || work(&store, &path))
    }

    /// A job that begins with a count, if there is `need` of one. While somebody else counts, it waits without a thread.
    fn counted<T: Send + 'static>(
        &self,
        need: fn(&Store) -> Need,
        work: impl FnOnce(Arc<Store>, Option<Turn>) -> Result<T> + Send + 'static,
    ) -> Operation<T> {
        let store = Arc::clone(&self.store);
        // Not in the job: a job that finds out that it has to wait can only do so on its thread.
        match need(&store) {
            Need::Nothing => return Operation::blocking(move || work(store, None)),
            Need::Count(turn) => return Operation::blocking(move || work(store, Some(turn))),
            Need::Wait => {}
        }
        Operation::Later(Box::pin(async move {
            let turn = loop {
                store.turnstile.free().await;
                match need(&store) {
                    Need::Nothing => break None,
                    Need::Count(turn) => break Some(turn),
                    Need::Wait => {}
                }
            };
            Operation::blocking(move || work(store, turn))
        }))
    }
}

/// The path as the resolver wants it: relative to the root, which itself is the empty text.
fn text(path: &VirtualPath) -> &[u8] {
    path.as_bytes().strip_prefix(b"/").unwrap_or_default()
}

/// Whether any component is the store's own.
fn is_reserved(path: &VirtualPath) -> bool {
    path.components().any(part::is_reserved)
}

/// For a path that is to be looked at or read.
fn check_name(path: &VirtualPath) -> Result<()> {
    if is_reserved(path) { Err(ErrorKind::NotFound.into()) } else { Ok(()) }
}

/// For a path that is to be made.
fn check_new_name(path: &VirtualPath) -> Result<()> {
    match path.parent() {
        Some(parent) if is_reserved(&parent) => Err(ErrorKind::NotFound.into()),
        Some(_) if is_reserved(path) => Err(ErrorKind::NameNotAllowed.into()),
        _ => Ok(()),
    }
}

impl Store {
    /// As [`check_name`], where listed parts may be meant too.
    fn check_listed_name(&self, path: &VirtualPath) -> Result<()> {
        match path.parent() {
            Some(parent) if self.options.parts == PartsPolicy::Listed => check_name(&parent),
            _ => check_name(path),
        }
    }

    fn stat(&self, path: &VirtualPath) -> Result<Entry> {
        let found = self.root.open_link_at(text(path)).map_err(error)?;
        let status = attributes::status(&found).map_err(error)?;
        let name = path.file_name().unwrap_or_default();
        if attributes::file_type(&status) != FileType::Symlink {
            return Ok(attributes::entry(name, &status, None));
        }
        let link = rustix::fs::readlinkat(&found, "", Vec::new()).map_err(error)?;
        Ok(entry_of_link(self, text(path), name, &status, link.into_bytes()))
    }

    fn part(&self, owner: &str, path: &VirtualPath) -> Result<Part> {
        let place = self.root.target(text(path)).map_err(error)?;
        if attributes::status_of(&place).map_err(error)?.is_some() {
            return Err(ErrorKind::NotFound.into());
        }
        let status = kept::look(&place, owner).map_err(error)?.ok_or(ErrorKind::NotFound)?;
        Ok(Part { size: status.stx_size, modified: attributes::modified(&status) })
    }

    fn make_directory(&self, path: &VirtualPath, mode: Option<u32>) -> Result<()> {
        check_new_name(path)?;
        let holder = path.parent().ok_or(ErrorKind::AlreadyExists)?;
        let place = self.root.parent(text(path)).map_err(error)?;
        let mode = mode.unwrap_or(self.options.directory_mode & 0o777) & DIRECTORY_MODE_BITS;
        let mode = Mode::from_raw_mode(mode);
        // Alone, so that nothing comes into it before it is known where that counts.
        let pass = self.meter.enter_alone();
        rustix::fs::mkdirat(&place.directory, &place.name, mode).map_err(naming_error)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // It has been made; that its mode was cut by the umask is no reason to say otherwise.
        if let Ok(made) = rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty())
            && let Ok(status) = attributes::status(&made)
        {
            let standing = Mode::from_raw_mode(u32::from(status.stx_mode) & 0o7777);
            // What it has from its own directory, the group's bit, stays.
            let wanted = mode | standing.difference(Mode::from_raw_mode(0o777));
            if standing != wanted {
                let _ = attributes::set_mode_of(&made, &place, wanted);
            }
            pass.directory_made(&place.directory, attributes::file_id(&status));
            self.made.insert(attributes::file_id(&status), holder);
        } else {
            pass.disturb();
        }
        Ok(())
    }

    fn remove_directory(&self, path: &VirtualPath) -> Result<()> {
        check_name(path)?;
        if path.is_root() {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let place = self.root.parent(text(path)).map_err(error)?;
        let mut pass = self.meter.enter_alone();
        let status = attributes::status_at(&place.directory, &place.name).map_err(error)?;
        let remove = || rustix::fs::unlinkat(&place.directory, &place.name, AtFlags::REMOVEDIR);
        match remove() {
            // EEXIST is how some file systems say ENOTEMPTY.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty())
                    .map_err(|_| ErrorKind::NotEmpty)?;
                if !kept::empty_of_parts(&mut pass, &directory).map_err(error)? {
                    return Err(ErrorKind::NotEmpty.into());
                }
                remove().map_err(error)?;
            }
            result => result.map_err(error)?,
        }
        pass.directory_removed(attributes::file_id(&status));
        self.made.remove(attributes::file_id(&status));
        Ok(())
    }

    fn remove_file(&self, path: &VirtualPath) -> Result<()> {
        self.check_listed_name(path)?;
        if path.is_root() {
            return Err(ErrorKind::IsADirectory.into());
        }
        let place = self.root.parent(text(path)).map_err(error)?;
        match self.meter.enter_alone().unlink(&place.directory, &place.name) {
            // POSIX lets systems say EPERM for a directory; some file systems do.
            Err(Errno::PERM) if self.is_directory(&place) => Err(ErrorKind::IsADirectory.into()),
            result => result.map_err(error),
        }
    }

    fn is_directory(&self, place: &resolve::Place) -> bool {
        let status = attributes::status_at(&place.directory, &place.name);
        status.is_ok_and(|status| attributes::file_type(&status) == FileType::Directory)
    }

    fn rename(&self, from: &VirtualPath, to: &VirtualPath, overwrite: bool) -> Result<()> {
        check_name(from)?;
        check_new_name(to)?;
        let (Some(_), Some(holder)) = (from.parent(), to.parent()) else {
            return Err(ErrorKind::PermissionDenied.into());
        };
        let source = self.root.parent(text(from)).map_err(error)?;
        let moved = attributes::status_at(&source.directory, &source.name).map_err(error)?;
        let target = self.root.parent(text(to)).map_err(error)?;
        let is_directory = attributes::file_type(&moved) == FileType::Directory;
        let mut pass = self.meter.enter_alone();
        let standing = pass.find(&source.directory, &source.name).map_err(error)?;
        let replaced = pass.find(&target.directory, &target.name).map_err(error)?;
        // A directory would silently replace an empty one, so that is never asked of the kernel. A file never
        // replaces a directory. (Whoever turns a file into a directory between this look and the renaming can
        // replace an empty directory by it; nothing is lost by that.)
        let outcome = if overwrite && !is_directory {
            if let Some(old) = attributes::status_of(&target).map_err(error)? {
                check_replaceable(&old)?;
            }
            rustix::fs::renameat(&source.directory, &source.name, &target.directory, &target.name)
        } else {
            finish::rename_no_replace(finish::name_of(&source), finish::name_of(&target), is_directory)
        };
        match outcome {
            Ok(()) => {}
            Err(Errno::EXIST | Errno::NOTEMPTY) if overwrite => {
                return Err(match attributes::status_of(&target).map_err(error)? {
                    Some(old) if attributes::file_type(&old) != FileType::Directory => {
                        ErrorKind::NotADirectory
                    }
                    _ => ErrorKind::IsADirectory,
                }
                .into());
            }
            Err(errno) => return Err(naming_error(errno)),
        }
        match standing {
            _ if is_directory => pass.disturb(),
            // Of two names of one file both stay.
            Some(standing) if replaced.as_ref().is_none_or(|replaced| replaced.id != standing.id) => {
                pass.lost(&target.directory, replaced);
                pass.add(&target.directory, standing.usage);
                pass.lost(&source.directory, Some(standing));
            }
            _ => {}
        }
        if is_directory {
            self.made.insert(attributes::file_id(&moved), holder);
        }
        Ok(())
    }

    fn set_modified(&self, path: &VirtualPath, modified: Timestamp) -> Result<()> {
        check_name(path)?;
        let place = self.root.target(text(path)).map_err(error)?;
        let times = attributes::times(modified);
        rustix::fs::utimensat(&place.directory, &place.name, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(error)
    }

    fn set_mode(&self, path: &VirtualPath, mode: u32) -> Result<u32> {
        check_name(path)?;
        let place = self.root.target(text(path)).map_err(error)?;
        // A link may lead to a name of the store's own.
        if part::is_reserved(&place.name) {
            return Err(ErrorKind::NotFound.into());
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty()).map_err(error)?;
        let status = attributes::status(&found).map_err(error)?;
        let mode = match attributes::file_type(&status) {
            FileType::Directory if self.is_root(&status).map_err(error)? => {
                return Err(ErrorKind::PermissionDenied.into());
            }
            FileType::Directory => mode & DIRECTORY_MODE_BITS | DIRECTORY_OWNER_BITS,
            // Not left out as others are: who asks can take it from the answer.
            FileType::RegularFile if mode & DIRECTORY_MODE_BITS & !REGULAR_FILE_MODE_BITS != 0 => {
                return Err(ErrorKind::PermissionDenied.into());
            }
            FileType::RegularFile => mode & REGULAR_FILE_MODE_BITS,
            // The resolution has seen no link here: it has just appeared.
            FileType::Symlink => return Err(ErrorKind::Busy.into()),
            _ => return Err(ErrorKind::NotAFile.into()),
        };
        attributes::set_mode_of(&found, &place, Mode::from_raw_mode(mode)).map_err(error)?;
        Ok(mode)
    }

    /// By its identity: links lead to the root, too.
    fn is_root(&self, status: &Statx) -> rustix::io::Result<bool> {
        let root = self.root.open_at(b"", OFlags::PATH).and_then(attributes::status)?;
        Ok(attributes::file_id(&root) == attributes::file_id(status))
    }

    fn free_space(&self, path: &VirtualPath) -> Result<Option<u64>> {
        check_name(path)?;
        let found = match (self.root.open_at(text(path), OFlags::PATH), path.parent()) {
            // For a file that is still to be made, its directory answers.
            (Err(Errno::NOENT), Some(parent)) => self.root.open_at(text(&parent), OFlags::PATH),
            (result, _) => result,
        }
        .map_err(error)?;
        let status = rustix::fs::fstatvfs(&found).map_err(error)?;
        Ok(Some(status.f_bavail.saturating_mul(status.f_frsize)))
    }
}

/// What may give way to another file.
fn check_replaceable(old: &Statx) -> Result<()> {
    match attributes::file_type(old) {
        FileType::RegularFile | FileType::Symlink => Ok(()),
        FileType::Directory => Err(ErrorKind::IsADirectory.into()),
        _ => Err(ErrorKind::NotAFile.into()),
    }
}

/// The entry of a link: of where it leads beneath the root, or of the link itself.
fn entry_of_link(store: &Store, text: &[u8], name: &[u8], link: &Statx, target: Vec<u8>) -> Entry {
    let followed = store.root.open_at(text, OFlags::PATH).and_then(attributes::status);
    match followed {
        Ok(status) => attributes::entry(name, &status, Some(target)),
        Err(_) => Entry { kind: Kind::Other, ..attributes::entry(name, link, Some(target)) },
    }
}

impl Backend for Local {
    fn stat(&self, path: &VirtualPath) -> Operation<Entry> {
        if let Err(failure) = self.store.check_listed_name(path) {
            return Operation::Ready(Err(failure));
        }
        match self.store.root.open_cached(text(path), OFlags::PATH | OFlags::NOFOLLOW) {
            Some(Err(errno)) => return Operation::Ready(Err(error(errno))),
            Some(Ok(found)) => {
                if let Ok(status) = attributes::status(&found)
                    && attributes::file_type(&status) != FileType::Symlink
                {
                    let name = path.file_name().unwrap_or_default();
                    return Operation::Ready(Ok(attributes::entry(name, &status, None)));
                }
            }
            None => {}
        }
        self.job(path, |store, path| store.stat(path))
    }

    fn part(&self, owner: &str, path: &VirtualPath) -> Operation<Part> {
        let owner = owner.to_owned();
        self.job(path, move |store, path| {
            check_name(path)?;
            store.part(&owner, path)
        })
    }

    fn open_read(&self, path: &VirtualPath) -> Operation<Box<dyn Readable>> {
        match check_name(path) {
            Ok(()) => read::open(&self.store, path),
            Err(failure) => Operation::Ready(Err(failure)),
        }
    }

    fn open_directory(&self, path: &VirtualPath) -> Operation<Box<dyn Directory>> {
        let (store, path) = (Arc::clone(&self.store), path.clone());
        Operation::blocking(move || {
            check_name(&path)?;
            directory::open(store, path)
        })
    }

    fn open_upload(&self, request: UploadRequest) -> Operation<Box<dyn Upload>> {
        if request.quota.is_none() {
            let store = Arc::clone(&self.store);
            return Operation::blocking(move || upload::open(store, request));
        }
        self.counted(Store::need, |store, turn| {
            store.usage(turn).map_err(error)?;
            upload::open(store, request)
        })
    }

    fn make_directory(&self, path: &VirtualPath, mode: Option<u32>) -> Operation<()> {
        self.job(path, move |store, path| store.make_directory(path, mode))
    }

    fn remove_directory(&self, path: &VirtualPath) -> Operation<()> {
        self.job(path, |store, path| store.remove_directory(path))
    }

    fn remove_file(&self, path: &VirtualPath) -> Operation<()> {
        self.job(path, |store, path| store.remove_file(path))
    }

    fn rename(&self, from: &VirtualPath, to: &VirtualPath, overwrite: bool) -> Operation<()> {
        let to = to.clone();
        self.job(from, move |store, from| store.rename(from, &to, overwrite))
    }

    fn set_modified(&self, path: &VirtualPath, modified: Timestamp) -> Operation<()> {
        self.job(path, move |store, path| store.set_modified(path, modified))
    }

    fn set_mode(&self, path: &VirtualPath, mode: u32) -> Operation<u32> {
        self.job(path, move |store, path| store.set_mode(path, mode))
    }

    fn usage(&self) -> Operation<Usage> {
        if self.store.meter.knowledge() == Knowledge::Exact {
            return Operation::Ready(Ok(self.store.meter.used()));
        }
        self.counted(Store::need, |store, turn| store.usage(turn).map_err(error))
    }

    fn recount(&self) -> Operation<Usage> {
        self.counted(Store::need_new, |store, turn| match turn {
            Some(turn) => store.recount(&turn).map_err(error),
            None => store.usage(None).map_err(error),
        })
    }

    fn free_space(&self, path: &VirtualPath) -> Operation<Option<u64>> {
        self.job(path, |store, path| store.free_space(path))
    }
}
