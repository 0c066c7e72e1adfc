//! Counting what stands beneath the root. What becomes of the count when something changes is in `meter`.

use std::time::Instant;

use rustix::fd::OwnedFd;
use rustix::fs::{Dir, FileType, OFlags, Statx};
use rustix::io::{Errno, Result};

use super::meter::{Counting, Knowledge, usage_of};
use super::turn::Turn;
use super::{Store, attributes, kept, part};
use crate::Usage;
use crate::limits::{COUNT_ATTEMPTS, COUNT_PAUSE, COUNT_STEP_ENTRIES};

/// What has to be done before what is used is known well enough.
pub(super) enum Need {
    Nothing,
    /// Counting, by whoever asked.
    Count(Turn),
    /// Somebody else counts.
    Wait,
}

impl Store {
    /// What whoever wants to know what is used has to do first.
    pub(super) fn need(&self) -> Need {
        match self.meter.knowledge() {
            Knowledge::Exact => Need::Nothing,
            Knowledge::Doubtful => self.turnstile.take_rested().map_or(Need::Nothing, Need::Count),
            Knowledge::Nothing => self.need_new(),
        }
    }

    /// The same for a new count.
    pub(super) fn need_new(&self) -> Need {
        self.turnstile.take().map_or(Need::Wait, Need::Count)
    }

    /// What is used, after what was needed for that.
    pub(super) fn usage(&self, turn: Option<Turn>) -> Result<Usage> {
        match (turn, self.meter.knowledge()) {
            (None, _) | (Some(_), Knowledge::Exact) => {}
            (Some(turn), Knowledge::Doubtful) => self.provoked(&turn),
            (Some(_turn), Knowledge::Nothing) => return self.count(),
        }
        Ok(self.meter.used())
    }

    /// What is used, counted anew.
    pub(super) fn recount(&self, _turn: &Turn) -> Result<Usage> {
        self.count()
    }

    /// Counts anew before something is refused, because another program may have taken files away. Not when that was
    /// done a moment ago, nor while somebody else counts: whoever is over a quota must not hold a thread until then.
    pub(super) fn recount_before_refusal(&self) {
        if let Some(turn) = self.turnstile.take_rested() {
            self.provoked(&turn);
        }
    }

    fn provoked(&self, turn: &Turn) {
        let begun = Instant::now();
        // When it fails, what was known before decides.
        let _ = self.count();
        turn.provoked(begun);
    }

    fn count(&self) -> Result<Usage> {
        for attempt in 1..=COUNT_ATTEMPTS {
            if let Some(usage) = self.walk(attempt == COUNT_ATTEMPTS)? {
                return Ok(usage);
            }
        }
        Err(Errno::AGAIN)
    }

    /// Visits every directory. `None` when something moved in the middle of it, which cannot be where all wait
    /// `at_once` to the end.
    fn walk(&self, at_once: bool) -> Result<Option<Usage>> {
        let (counting, mut step) = Counting::begin(&self.meter);
        // Of paths, not of descriptors: whoever makes a deep tree must not use up those of the whole program.
        let mut pending = vec![Vec::new()];
        loop {
            let mut looked_at = 0;
            while at_once || looked_at < COUNT_STEP_ENTRIES {
                let Some(text) = pending.pop() else { return Ok(counting.finish(step)) };
                looked_at += 1 + self.visit(&counting, &text, &mut pending)?;
            }
            drop(step);
            // The lock alone would be given back to this thread before others are awake.
            std::thread::park_timeout(COUNT_PAUSE);
            step = counting.step();
        }
    }

    /// Counts the files of one directory and notes the directories in it; how many entries it has.
    fn visit(&self, counting: &Counting<'_>, text: &[u8], pending: &mut Vec<Vec<u8>>) -> Result<usize> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let directory = match self.root.open_at(text, flags) {
            Ok(directory) => directory,
            // Removed or closed by somebody else, or deeper than any path of this store leads.
            Err(errno) if !text.is_empty() => return skip(counting, errno).map(|()| 0),
            Err(errno) => return Err(errno),
        };
        let entries = match Dir::read_from(&directory) {
            Ok(entries) => entries,
            // It may be read and not searched.
            Err(errno) if !text.is_empty() => return skip(counting, errno).map(|()| 0),
            Err(errno) => return Err(errno),
        };
        let (mut looked_at, mut usage) = (0, Usage::default());
        for entry in entries {
            let entry = match entry {
                // It was removed while it was read: that was all.
                Err(Errno::NOENT) => break,
                entry => entry?,
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            looked_at += 1;
            match entry.file_type() {
                FileType::RegularFile | FileType::Unknown => {}
                FileType::Directory => {
                    pending.push(below(text, name));
                    continue;
                }
                _ => continue,
            }
            match attributes::status_at(&directory, name) {
                Ok(status) if attributes::file_type(&status) == FileType::Directory => {
                    pending.push(below(text, name));
                }
                Ok(status) if is_orphan(&directory, name, &status) => {}
                Ok(status) => usage = usage.plus(usage_of(&status)),
                Err(errno) => skip(counting, errno)?,
            }
        }
        counting.counted(attributes::file_id(&attributes::status(&directory)?), usage);
        Ok(looked_at)
    }
}

/// Whether it was a part that nobody can resume; then it is no more.
fn is_orphan(directory: &OwnedFd, name: &[u8], status: &Statx) -> bool {
    part::is_reserved(name) && kept::remove_orphan(directory, name, status)
}

/// Leaves out what cannot be looked at for this reason; an error where that is no reason.
fn skip(counting: &Counting<'_>, errno: Errno) -> Result<()> {
    match errno {
        // It is not there any more.
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV => Ok(()),
        Errno::ACCESS | Errno::PERM | Errno::NAMETOOLONG => {
            counting.incomplete();
            Ok(())
        }
        errno => Err(errno),
    }
}

fn below(text: &[u8], name: &[u8]) -> Vec<u8> {
    let separator: &[u8] = if text.is_empty() { b"" } else { b"/" };
    [text, separator, name].concat()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use longshore_path::VirtualPath;

    use super::*;
    use crate::local::{Local, LocalOptions};
    use crate::{Backend, Durability, Upload, UploadPlan, UploadRequest};

    /// A directory that vanishes with its value.
    struct Scratch(std::path::PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn found(directory: &Path) -> Usage {
        let entries = fs::read_dir(directory).expect("the directory opens").map(|entry| {
            let entry = entry.expect("an entry is read");
            let metadata = entry.metadata().expect("the entry is there");
            if metadata.is_dir() { found(&entry.path()) } else { Usage::of_file(metadata.len()) }
        });
        entries.fold(Usage::default(), Usage::plus)
    }

    /// Changes the tree, and sees to directories too; much of it fails.
    fn change(store: &Local, draw: &mut impl FnMut(u64) -> u64, uploads: &mut Vec<Box<dyn Upload>>) {
        let mut name = || {
            let directory = ["/a", "/a/b", "/c", "/c/d", "/a/new", "/c/new"][draw(6) as usize];
            VirtualPath::new(format!("{directory}/{}", draw(4))).expect("the test's own paths are valid")
        };
        let (one, two) = (name(), name());
        let directory = |path: &VirtualPath| path.parent().expect("it is in a directory");
        match draw(12) {
            0..=2 => {
                let plan = [UploadPlan::Replace, UploadPlan::Append, UploadPlan::At(3)][draw(3) as usize];
                let request = UploadRequest {
                    overwrite: true,
                    durability: Durability::None,
                    ..UploadRequest::new(one, "anna", plan)
                };
                uploads.extend(store.open_upload(request).wait());
            }
            3..=5 => {
                if let Some(upload) = uploads.last_mut() {
                    let _ = upload.write(vec![0; draw(1000) as usize]).wait();
                }
            }
            6 => drop(uploads.pop().map(|upload| upload.commit().wait())),
            7 if !uploads.is_empty() => drop(uploads.remove(0)),
            8 => drop(store.rename(&one, &two, true).wait()),
            9 => drop(store.remove_file(&one).wait()),
            10 => drop(store.make_directory(&directory(&one), None).wait()),
            _ => drop(store.remove_directory(&directory(&one)).wait()),
        }
    }

    #[test]
    fn what_changes_between_the_steps_is_counted_once() {
        let scratch = Scratch(std::env::temp_dir().join(format!("longshore-count-{}", std::process::id())));
        for directory in ["a/b", "a/e", "c/d"] {
            fs::create_dir_all(scratch.0.join(directory)).expect("directories are made");
        }
        fs::write(scratch.0.join("a/e/file"), "moves with its directory").expect("a file is written");
        let store = Local::open(&scratch.0, LocalOptions::default()).expect("the root opens");
        let mut state = 1_u64;
        let mut draw = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut uploads = Vec::new();
        let (mut whole, mut disturbed) = (0, 0);
        for round in 0..400 {
            let (counting, mut step) = Counting::begin(&store.store.meter);
            let mut pending = vec![Vec::new()];
            while let Some(text) = pending.pop() {
                store.store.visit(&counting, &text, &mut pending).expect("it can be read");
                drop(step);
                for _ in 0..draw(8) {
                    change(&store, &mut draw, &mut uploads);
                }
                if draw(20) == 0 {
                    let [one, two] = ["/a/e", "/c/d/e"].map(|name| VirtualPath::new(name).expect("a path"));
                    let moved = store.rename(&one, &two, false).wait();
                    let _ = moved.or_else(|_| store.rename(&two, &one, false).wait());
                }
                step = counting.step();
            }
            match counting.finish(step) {
                Some(usage) => {
                    assert_eq!(usage, found(&scratch.0), "in round {round}");
                    whole += 1;
                }
                None => disturbed += 1,
            }
            assert_eq!(
                store.usage().wait().expect("it can be counted"),
                found(&scratch.0),
                "in round {round}"
            );
        }
        assert!(whole > 200 && disturbed > 20, "{whole} counts came to their end, {disturbed} did not");
    }
    /// Counts the directories in this order, with one change after the so-manieth.
    #[track_caller]
    fn check(scratch: &Scratch, order: &[&str], after: usize, change: impl FnOnce(&Local)) {
        let store = Local::open(&scratch.0, LocalOptions::default()).expect("the root opens");
        let (counting, step) = Counting::begin(&store.store.meter);
        let visit = |text: &&str| {
            let visited = store.store.visit(&counting, text.as_bytes(), &mut Vec::new());
            visited.expect("it can be read");
        };
        order[..after].iter().for_each(visit);
        drop(step);
        change(&store);
        let step = counting.step();
        order[after..].iter().for_each(visit);
        if let Some(usage) = counting.finish(step) {
            assert_eq!(usage, found(&scratch.0));
        }
    }

    #[test]
    fn what_moves_while_it_is_written_to_is_counted_once() {
        let path = |path: &str| VirtualPath::new(path).expect("the test's own paths are valid");
        for after in 1..=3 {
            let scratch =
                Scratch(std::env::temp_dir().join(format!("longshore-move-{}", std::process::id())));
            for directory in ["a", "c"] {
                fs::create_dir_all(scratch.0.join(directory)).expect("directories are made");
            }
            fs::write(scratch.0.join("a/file"), "0123456789").expect("a file is written");
            let mut upload = None;
            check(&scratch, &["", "a", "c"], after, |store| {
                let request = UploadRequest {
                    overwrite: true,
                    ..UploadRequest::new(path("/a/file"), "anna", UploadPlan::Append)
                };
                let mut appends = store.open_upload(request).wait().expect("it opens");
                store.rename(&path("/a/file"), &path("/c/file"), false).wait().expect("it is renamed");
                appends.write(b"more".to_vec()).wait().expect("it is written");
                upload = Some(appends);
            });
        }
    }

    #[test]
    fn a_directory_with_the_number_of_a_removed_one_is_counted_once() {
        let path = |path: &str| VirtualPath::new(path).expect("the test's own paths are valid");
        let scratch = Scratch(std::env::temp_dir().join(format!("longshore-number-{}", std::process::id())));
        for directory in ["a/removed", "c"] {
            fs::create_dir_all(scratch.0.join(directory)).expect("directories are made");
        }
        check(&scratch, &["", "a", "a/removed", "c", "c/made"], 3, |store| {
            store.remove_directory(&path("/a/removed")).wait().expect("it is removed");
            store.make_directory(&path("/c/made"), None).wait().expect("it is made");
            let request = UploadRequest::new(path("/c/made/file"), "anna", UploadPlan::Replace);
            let mut upload = store.open_upload(request).wait().expect("it opens");
            upload.write(b"0123456789".to_vec()).wait().expect("it is written");
            upload.commit().wait().expect("it is stored");
        });
    }
}
