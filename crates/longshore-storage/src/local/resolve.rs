//! From a path to a descriptor, never outside the root. What is then done with the descriptor is elsewhere.
//!
//! Two ways, chosen once: the kernel's own (`openat2` with `RESOLVE_BENEATH`), and a walk that opens one component
//! after the other without following links and resolves the links itself. Both agree on every path: a link that is
//! absolute or climbs over the root is refused with `EXDEV`, more than [`LINK_LIMIT`] links with `ELOOP`.
//!
//! A *text* is a path relative to the root as a link may write it: with `..`, `.` and empty components.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::{Errno, Result};

use super::{Resolver, attributes};
use crate::limits::{KERNEL_ATTEMPTS, LINK_LIMIT, RESOLVE_ATTEMPTS, WALK_LIMIT_STEPS};

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The root of a store, held open.
pub(super) struct Root {
    descriptor: OwnedFd,
    strategy: Strategy,
}

#[derive(Clone, Copy)]
enum Strategy {
    /// `cached`: whether the kernel can also be asked for what it has in memory only (since Linux 5.12), and
    /// the root is on a disk of this machine, where opening itself does not wait for anybody.
    Openat2 {
        cached: bool,
    },
    Walk,
}

/// A directory that is held open, and a name in it. Whatever happens to the path that led here, work on this pair
/// stays in this directory.
pub(super) struct Place {
    pub(super) directory: OwnedFd,
    /// One component that was not a link when it was looked at, or `.` for the directory itself.
    pub(super) name: Vec<u8>,
}

impl Place {
    /// Whether the place is the directory itself (the root, or a link to some `..`).
    pub(super) fn is_directory_itself(&self) -> bool {
        self.name == b"."
    }
}

/// Where a path leads in the end.
pub(super) struct Target {
    pub(super) place: Place,
    /// What stands there, if anything: never a link, and not looked at where the place is the directory itself.
    pub(super) standing: Option<Statx>,
    /// Whether the last component was a link.
    pub(super) is_linked: bool,
}

impl Root {
    pub(super) fn open(path: &std::path::Path, resolver: Resolver) -> Result<Root> {
        let descriptor = rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())?;
        let openat2 = || rustix::fs::openat2(&descriptor, ".", DIRECTORY, Mode::empty(), BENEATH);
        let kernel = match resolver {
            Resolver::Walk => false,
            Resolver::Openat2 => openat2().map(|_| true)?,
            // EPERM is how filters of containers refuse calls they do not know.
            Resolver::Auto => match openat2() {
                Ok(_) => true,
                Err(Errno::NOSYS | Errno::PERM) => false,
                Err(errno) => return Err(errno),
            },
        };
        let strategy = if kernel {
            let flags = BENEATH.union(ResolveFlags::CACHED);
            let cached = rustix::fs::openat2(&descriptor, ".", DIRECTORY, Mode::empty(), flags);
            let known = !matches!(cached, Err(Errno::INVAL));
            Strategy::Openat2 { cached: known && is_local_disk(&descriptor) }
        } else {
            Strategy::Walk
        };
        Ok(Root { descriptor, strategy })
    }

    /// Opens what `text` leads to, links followed.
    pub(super) fn open_at(&self, text: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        self.undisturbed(|attempt| match attempt.strategy {
            Strategy::Openat2 { .. } => self.openat2(text, flags, BENEATH),
            Strategy::Walk => {
                let place = self.find_once(text, attempt)?.place;
                let descriptor = match rustix::fs::openat(
                    &place.directory,
                    &place.name,
                    flags | OFlags::NOFOLLOW,
                    Mode::empty(),
                ) {
                    // It has become a link since it was looked at.
                    Err(Errno::LOOP) => return Err(Errno::AGAIN),
                    result => result?,
                };
                // O_PATH opens a link instead of refusing it.
                if flags.contains(OFlags::PATH) && !flags.contains(OFlags::DIRECTORY) && is_link(&descriptor)?
                {
                    return Err(Errno::AGAIN);
                }
                Ok(descriptor)
            }
        })
    }

    /// Opens (`O_PATH`) what `text` names, a last link not followed.
    pub(super) fn open_link_at(&self, text: &[u8]) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.undisturbed(|attempt| match attempt.strategy {
            Strategy::Openat2 { .. } => self.openat2(text, flags, BENEATH),
            Strategy::Walk => {
                let place = self.parent_once(text, attempt)?;
                rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty())
            }
        })
    }

    /// As [`open_at`](Root::open_at), but only when that needs nothing but memory: `None` means that it must be
    /// tried where waiting is allowed. Mounted file systems are left to that way too, since they may be remote.
    pub(super) fn open_cached(&self, text: &[u8], flags: OFlags) -> Option<Result<OwnedFd>> {
        let Strategy::Openat2 { cached: true } = self.strategy else { return None };
        let resolve = BENEATH | ResolveFlags::CACHED | ResolveFlags::NO_XDEV;
        match self.openat2(text, flags | OFlags::CLOEXEC, resolve) {
            Ok(descriptor) => Some(Ok(descriptor)),
            Err(Errno::NOENT) => Some(Err(Errno::NOENT)),
            Err(_) => None,
        }
    }

    /// Where the last component of `text` lies, itself not followed.
    pub(super) fn parent(&self, text: &[u8]) -> Result<Place> {
        self.undisturbed(|attempt| self.parent_once(text, attempt))
    }

    /// Where `text` leads in the end: links in the last component are followed, also when the file that they
    /// name does not exist.
    pub(super) fn target(&self, text: &[u8]) -> Result<Place> {
        self.find(text).map(|target| target.place)
    }

    /// The same, and what stands there: learned on the way.
    pub(super) fn find(&self, text: &[u8]) -> Result<Target> {
        self.undisturbed(|attempt| self.find_once(text, attempt))
    }

    /// Begins again while a concurrent rename disturbs. Whoever renames without end gets `EAGAIN`, not the processor.
    fn undisturbed<T>(&self, mut resolve: impl FnMut(&mut Attempt) -> Result<T>) -> Result<T> {
        for attempt in 0..RESOLVE_ATTEMPTS {
            let strategy = if attempt < KERNEL_ATTEMPTS { self.strategy } else { Strategy::Walk };
            match resolve(&mut Attempt { strategy, links: 0, steps: 0 }) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }

    fn parent_once(&self, text: &[u8], attempt: &mut Attempt) -> Result<Place> {
        let (directory, name) = match text.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&text[..slash], &text[slash + 1..]),
            None => (&[][..], text),
        };
        if matches!(name, b"" | b"." | b"..") {
            return Ok(Place { directory: self.directory_once(text, attempt)?, name: b".".to_vec() });
        }
        Ok(Place { directory: self.directory_once(directory, attempt)?, name: name.to_vec() })
    }

    fn find_once(&self, text: &[u8], attempt: &mut Attempt) -> Result<Target> {
        let mut text = text.to_vec();
        let mut is_linked = false;
        loop {
            let place = self.parent_once(&text, attempt)?;
            if place.is_directory_itself() {
                return Ok(Target { place, standing: None, is_linked });
            }
            // Not by reading a link first: most names are none, and what stands there is wanted anyway.
            let standing = attributes::status_of(&place)?;
            if !standing.as_ref().is_some_and(|status| attributes::file_type(status) == FileType::Symlink) {
                return Ok(Target { place, standing, is_linked });
            }
            let link = match rustix::fs::readlinkat(&place.directory, &place.name, Vec::new()) {
                Ok(link) => link.into_bytes(),
                // It was a link a moment ago.
                Err(Errno::INVAL | Errno::NOENT) => return Err(Errno::AGAIN),
                Err(errno) => return Err(errno),
            };
            attempt.follow(&link)?;
            is_linked = true;
            text.truncate(text.len() - place.name.len());
            text.extend_from_slice(&link);
        }
    }

    fn directory_once(&self, text: &[u8], attempt: &mut Attempt) -> Result<OwnedFd> {
        match attempt.strategy {
            Strategy::Openat2 { .. } => self.openat2(text, DIRECTORY, BENEATH),
            Strategy::Walk => self.walk(text, attempt),
        }
    }

    fn openat2(&self, text: &[u8], flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd> {
        let text = if text.is_empty() { b"." } else { text };
        rustix::fs::openat2(&self.descriptor, text, flags, Mode::empty(), resolve)
    }

    /// Opens a directory component by component.
    ///
    /// `..` is never given to the kernel: the directory at hand may have been moved elsewhere meanwhile. Instead
    /// the names of the real directories on the way are kept, and the way is walked again from the root.
    fn walk(&self, text: &[u8], attempt: &mut Attempt) -> Result<OwnedFd> {
        let mut pending: Vec<Vec<u8>> = components(text);
        let mut passed: Vec<Vec<u8>> = Vec::new();
        let mut here = self.open_root()?;
        while let Some(name) = pending.pop() {
            if name == b".." {
                passed.pop().ok_or(Errno::XDEV)?;
                here = self.open_root()?;
                for name in &passed {
                    attempt.step()?;
                    // They were directories a moment ago: anything else is a disturbance.
                    here = step(&here, name).map_err(|_| Errno::AGAIN)?;
                }
                continue;
            }
            attempt.step()?;
            match step(&here, &name) {
                Ok(next) => {
                    here = next;
                    passed.push(name);
                }
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    let link = match rustix::fs::readlinkat(&here, &name, Vec::new()) {
                        Ok(link) => link.into_bytes(),
                        Err(Errno::INVAL) => return Err(Errno::NOTDIR),
                        Err(Errno::NOENT) => return Err(Errno::AGAIN),
                        Err(errno) => return Err(errno),
                    };
                    attempt.follow(&link)?;
                    pending.extend(components(&link));
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(here)
    }

    fn open_root(&self) -> Result<OwnedFd> {
        rustix::fs::openat(&self.descriptor, ".", DIRECTORY, Mode::empty())
    }
}

/// Opens a directory in a directory, links refused.
fn step(directory: &OwnedFd, name: &[u8]) -> Result<OwnedFd> {
    rustix::fs::openat(directory, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// The components that mean something, last one first.
fn components(text: &[u8]) -> Vec<Vec<u8>> {
    let mut components: Vec<Vec<u8>> = text
        .split(|&byte| byte == b'/')
        .filter(|component| !matches!(*component, b"" | b"."))
        .map(<[u8]>::to_vec)
        .collect();
    components.reverse();
    components
}

/// One resolution from its beginning, and what it has cost so far.
struct Attempt {
    strategy: Strategy,
    links: u32,
    steps: u32,
}

impl Attempt {
    /// Accounts for a link before it is followed.
    fn follow(&mut self, link: &[u8]) -> Result<()> {
        self.links += 1;
        match link.first() {
            _ if self.links > LINK_LIMIT => Err(Errno::LOOP),
            Some(b'/') => Err(Errno::XDEV),
            _ => Ok(()),
        }
    }

    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps > WALK_LIMIT_STEPS { Err(Errno::LOOP) } else { Ok(()) }
    }
}

fn is_link(descriptor: &OwnedFd) -> Result<bool> {
    let status = rustix::fs::statx(descriptor, "", AtFlags::EMPTY_PATH, StatxFlags::TYPE)?;
    Ok(rustix::fs::FileType::from_raw_mode(status.stx_mode.into()).is_symlink())
}

/// Whether opening a file of this file system asks neither another machine nor another program.
fn is_local_disk(descriptor: impl AsFd) -> bool {
    // linux/magic.h: ext2-4, XFS, Btrfs, tmpfs, F2FS, bcachefs, ZFS, overlayfs.
    const LOCAL: [u64; 8] =
        [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0xF2F5_2010, 0xCA45_1A4E, 0x2FC1_2FC1, 0x794C_7630];
    rustix::fs::fstatfs(descriptor).is_ok_and(|status| LOCAL.contains(&(status.f_type as u64)))
}
