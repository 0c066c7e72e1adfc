//! Syncs of directories, shared by all who wait for one of the same directory: many small files that are committed at
//! once cost the disk a few syncs, not one each.
//!
//! Whoever has changed a directory joins the group that gathers for it. One of the group, the leader, syncs for all, as
//! soon as no other sync of this directory runs; from that moment on the next group gathers. So a sync serves only those
//! whose change was made before it began, and each of them learns how it ended.
//!
//! Not in here: what has to be synced, and when (`finish`, `made`); files, for each is synced by its own upload, since
//! no two write to one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};

use super::attributes;
use crate::FileId;

#[derive(Default)]
pub(super) struct Syncs {
    /// Those that somebody waits for.
    directories: Mutex<HashMap<FileId, Syncing>>,
    opened: AtomicU64,
    #[cfg(test)]
    begun: AtomicU64,
}

/// A directory that was opened to be synced, before it was changed.
#[derive(Clone)]
pub(super) struct Opened {
    descriptor: Arc<OwnedFd>,
    id: FileId,
    /// Larger than that of any that was opened before.
    number: u64,
}

impl Opened {
    pub(super) fn id(&self) -> FileId {
        self.id
    }
}

/// How far it is with one directory.
#[derive(Default)]
struct Syncing {
    is_running: bool,
    next: Option<Gathering>,
}

/// The group that the next sync will serve.
struct Gathering {
    group: Arc<Group>,
    /// The one that was opened first. A system tells of what it could not write once, and only to descriptors that were
    /// open then: by a newer one, somebody of the group could be told that all is well.
    oldest: Opened,
}

#[derive(Default)]
struct Group {
    outcome: OnceLock<Result<()>>,
    /// The outcome stands, or somebody has to lead.
    turned: Condvar,
}

impl Syncs {
    /// Takes over a directory that was opened for reading.
    pub(super) fn open(&self, directory: OwnedFd) -> Result<Opened> {
        let id = attributes::file_id(&attributes::status(&directory)?);
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Opened { descriptor: Arc::new(directory), id, number })
    }

    /// Syncs the names in a directory, as they are now.
    pub(super) fn sync(&self, directory: &Opened) -> Result<()> {
        self.sync_by(directory, |descriptor| match rustix::fs::fsync(descriptor) {
            // File systems that have nothing to sync there say so.
            Err(Errno::INVAL) => Ok(()),
            result => result,
        })
    }

    fn sync_by(&self, directory: &Opened, sync: impl FnOnce(&OwnedFd) -> Result<()>) -> Result<()> {
        let group = self.join(directory);
        self.wait(directory.id, &group, sync)
    }

    /// Joins the group that the next sync of the directory will serve; [`wait`](Syncs::wait) has to follow.
    fn join(&self, directory: &Opened) -> Arc<Group> {
        let mut directories = self.directories();
        let syncing = directories.entry(directory.id).or_default();
        let gathering = syncing
            .next
            .get_or_insert_with(|| Gathering { group: Arc::default(), oldest: directory.clone() });
        if directory.number < gathering.oldest.number {
            gathering.oldest = directory.clone();
        }
        Arc::clone(&gathering.group)
    }

    /// Waits for the sync that serves the group, or leads it.
    fn wait(&self, id: FileId, group: &Arc<Group>, sync: impl FnOnce(&OwnedFd) -> Result<()>) -> Result<()> {
        let mut directories = self.directories();
        loop {
            if let Some(outcome) = group.outcome.get() {
                return *outcome;
            }
            let syncing = directories.get_mut(&id).expect("it stays there while somebody waits for it");
            if !syncing.is_running {
                let gathering = syncing.next.take().expect("a group that no sync serves yet gathers");
                syncing.is_running = true;
                drop(directories);
                let mut lead = Lead { syncs: self, id, group, outcome: Err(Errno::IO) };
                #[cfg(test)]
                self.begun.fetch_add(1, Ordering::Relaxed);
                lead.outcome = sync(&gathering.oldest.descriptor);
                return lead.outcome;
            }
            directories = group.turned.wait(directories).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn directories(&self) -> MutexGuard<'_, HashMap<FileId, Syncing>> {
        // Nothing is half changed in it that could be seen.
        self.directories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sync that runs. Its end, be it a panic, is told to the group and lets the next one have its turn.
struct Lead<'a> {
    syncs: &'a Syncs,
    id: FileId,
    group: &'a Group,
    outcome: Result<()>,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut directories = self.syncs.directories();
        let _ = self.group.outcome.set(self.outcome);
        self.group.turned.notify_all();
        if let Some(syncing) = directories.get_mut(&self.id) {
            syncing.is_running = false;
            match &syncing.next {
                // Whoever wakes first leads. One who has only just joined may do so too: then this one waits on.
                Some(next) => next.group.turned.notify_one(),
                None => drop(directories.remove(&self.id)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;

    use longshore_path::VirtualPath;
    use rustix::fs::{CWD, Mode, OFlags};

    use super::*;
    use crate::local::{Local, LocalOptions};
    use crate::{Backend, Durability, UploadPlan, UploadRequest};

    fn open(syncs: &Syncs, path: impl rustix::path::Arg) -> Opened {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, path, flags, Mode::empty()).expect("the directory opens");
        syncs.open(directory).expect("it can be looked at")
    }

    fn never(_: &OwnedFd) -> Result<()> {
        panic!("a sync that was not needed")
    }

    #[test]
    fn all_who_joined_before_it_began_are_served_by_one_sync() {
        let (syncs, mut runs) = (Syncs::default(), 0);
        let directory = open(&syncs, ".");
        let [one, two, three] = std::array::from_fn(|_| syncs.join(&directory));
        let sync = |_: &OwnedFd| {
            runs += 1;
            Ok(())
        };
        // Not the first one: whoever comes first leads.
        assert_eq!(syncs.wait(directory.id, &two, sync), Ok(()));
        assert_eq!(syncs.wait(directory.id, &one, never), Ok(()));
        assert_eq!(syncs.wait(directory.id, &three, never), Ok(()));
        assert_eq!(runs, 1);
        assert!(syncs.directories().is_empty(), "nothing is left behind");
    }

    #[test]
    fn who_joins_later_is_served_by_a_later_sync() {
        let syncs = Syncs::default();
        let directory = open(&syncs, ".");
        let (mut later, mut runs) = (Vec::new(), 0);
        let first = syncs.sync_by(&directory, |_| {
            later.extend([syncs.join(&directory), syncs.join(&directory)]);
            Ok(())
        });
        assert_eq!(first, Ok(()));
        assert!(later.iter().all(|group| group.outcome.get().is_none()), "it began before they came");
        let sync = |_: &OwnedFd| {
            runs += 1;
            Ok(())
        };
        assert_eq!(syncs.wait(directory.id, &later[0], sync), Ok(()));
        assert_eq!(syncs.wait(directory.id, &later[1], never), Ok(()));
        assert_eq!(runs, 1);
        assert!(syncs.directories().is_empty(), "nothing is left behind");
    }

    #[test]
    fn an_error_reaches_all_whom_the_sync_was_to_serve_and_nobody_else() {
        let syncs = Syncs::default();
        let directory = open(&syncs, ".");
        let [one, two] = std::array::from_fn(|_| syncs.join(&directory));
        let mut later = None;
        let outcome = syncs.wait(directory.id, &one, |_| {
            later = Some(syncs.join(&directory));
            Err(Errno::NOSPC)
        });
        assert_eq!(outcome, Err(Errno::NOSPC));
        assert_eq!(syncs.wait(directory.id, &two, never), Err(Errno::NOSPC));
        let later = later.expect("it has joined");
        assert_eq!(syncs.wait(directory.id, &later, |_| Ok(())), Ok(()));
        // And the other way round: an outcome is not overwritten by the next one.
        assert_eq!(one.outcome.get(), Some(&Err(Errno::NOSPC)));
    }

    #[test]
    fn a_panic_of_the_leader_is_an_error_for_the_others() {
        let syncs = Syncs::default();
        let directory = open(&syncs, ".");
        let [one, two] = std::array::from_fn(|_| syncs.join(&directory));
        let outcome = catch_unwind(AssertUnwindSafe(|| syncs.wait(directory.id, &one, |_| panic!("a test"))));
        assert!(outcome.is_err());
        assert_eq!(syncs.wait(directory.id, &two, never), Err(Errno::IO));
        assert_eq!(syncs.sync_by(&directory, |_| Ok(())), Ok(()), "the next one has its turn");
        assert!(syncs.directories().is_empty(), "nothing is left behind");
    }

    #[test]
    fn the_descriptor_that_was_opened_first_is_synced() {
        let syncs = Syncs::default();
        let opened: [Opened; 3] = std::array::from_fn(|_| open(&syncs, "."));
        let same = |one: &OwnedFd, other: &Opened| std::ptr::eq(one, &raw const *other.descriptor);
        for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0]] {
            let groups = order.map(|number| syncs.join(&opened[number]));
            let sync = |descriptor: &OwnedFd| {
                assert!(same(descriptor, &opened[0]), "joined in the order {order:?}");
                Ok(())
            };
            assert_eq!(syncs.wait(opened[0].id, &groups[1], sync), Ok(()));
        }
    }

    #[test]
    fn directories_do_not_wait_for_each_other() {
        let syncs = Syncs::default();
        let (one, other) = (open(&syncs, "."), open(&syncs, ".."));
        let outcome = syncs.sync_by(&one, |_| {
            assert_eq!(syncs.sync_by(&other, |_| Ok(())), Ok(()));
            Ok(())
        });
        assert_eq!(outcome, Ok(()));
    }

    /// A directory that vanishes with its value.
    struct Scratch(std::path::PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn commits_that_wait_for_a_sync_share_the_next_one() {
        const COMMITS: usize = 5;
        let scratch = Scratch(std::env::temp_dir().join(format!("longshore-syncs-{}", std::process::id())));
        std::fs::create_dir_all(scratch.0.join("dir")).expect("directories are made");
        let store = Local::open(&scratch.0, LocalOptions::default()).expect("the root opens");
        let syncs = &store.store.syncs;
        let directory = open(syncs, scratch.0.join("dir"));
        std::thread::scope(|scope| {
            // In here, so that the sync ends also when the test fails.
            let (end, ended) = mpsc::channel::<()>();
            let (begin, begun) = mpsc::channel();
            let held = scope.spawn({
                let directory = &directory;
                move || {
                    syncs.sync_by(directory, |_| {
                        begin.send(()).expect("the test waits for it");
                        ended.recv().map_err(|_| Errno::IO)
                    })
                }
            });
            begun.recv().expect("a sync begins");
            let commits: Vec<_> = (0..COMMITS)
                .map(|number| {
                    let path = VirtualPath::new(format!("/dir/{number}")).expect("a path");
                    let durability = [Durability::Data, Durability::Full][number % 2];
                    let request =
                        UploadRequest { durability, ..UploadRequest::new(path, "anna", UploadPlan::Replace) };
                    let upload = store.open_upload(request).wait().expect("it opens");
                    scope.spawn(move || upload.commit_with(b"octets".to_vec()).wait())
                })
                .collect();
            // All of them have given their file its name and wait: each holds the group, as the directory does.
            loop {
                let directories = syncs.directories();
                let next = directories.get(&directory.id).and_then(|syncing| syncing.next.as_ref());
                if next.is_some_and(|next| Arc::strong_count(&next.group) == 1 + COMMITS) {
                    break;
                }
                drop(directories);
                assert!(!commits.iter().any(|commit| commit.is_finished()), "a commit did not wait");
                std::thread::yield_now();
            }
            for number in 0..COMMITS {
                assert!(scratch.0.join(format!("dir/{number}")).exists());
            }
            assert_eq!(syncs.begun.load(Ordering::Relaxed), 1, "they wait");
            end.send(()).expect("the sync waits for it");
            assert_eq!(held.join().expect("no panic"), Ok(()));
            for commit in commits {
                commit.join().expect("no panic").expect("it is stored");
            }
        });
        assert_eq!(syncs.begun.load(Ordering::Relaxed), 2, "one sync has served all of them");
        assert!(syncs.directories().is_empty(), "nothing is left behind");
    }
}
