//! What the tests of the local store share: a directory of their own, removed at the end.

#![allow(dead_code, reason = "not every test file uses all of it")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_path::VirtualPath;
use longshore_storage::local::Local;
use longshore_storage::{
    Backend, Detail, Durability, Quota, Result, Upload, UploadPlan, UploadRequest, Usage,
};
use rustix::fs::CWD;

/// A directory that vanishes with its value.
pub(crate) struct Scratch(PathBuf);

static COUNT: AtomicU64 = AtomicU64::new(0);

impl Scratch {
    /// An empty directory.
    pub(crate) fn new() -> Scratch {
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path =
                std::env::temp_dir().join(format!("longshore-storage-{}-{number}", std::process::id()));
            // One that a killed run has left is not taken.
            if std::fs::create_dir(&path).is_ok() {
                return Scratch(path);
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a new directory in it.
    pub(crate) fn fresh(&self, name: &str) -> PathBuf {
        let path = self.0.join(format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&path).expect("a directory is made");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
pub(crate) fn path(path: impl AsRef<[u8]>) -> VirtualPath {
    VirtualPath::new(path).expect("the test's own paths are valid")
}

pub(crate) fn request(name: &str, plan: UploadPlan) -> UploadRequest {
    UploadRequest { overwrite: true, ..UploadRequest::new(path(name), "anna", plan) }
}

/// Opens an upload and writes to it.
pub(crate) fn begin(store: &impl Backend, request: UploadRequest, octets: &[u8]) -> Result<Box<dyn Upload>> {
    let mut upload = store.open_upload(request).wait()?;
    upload.write(octets.to_vec()).wait()?;
    Ok(upload)
}

/// Stores a whole file.
pub(crate) fn put(store: &impl Backend, name: &str, octets: &[u8]) -> Result<()> {
    begin(store, request(name, UploadPlan::Replace), octets)?.commit().wait().map(drop)
}

/// All of a file.
pub(crate) fn read(store: &impl Backend, name: &str) -> Result<Vec<u8>> {
    let mut file = store.open_read(&path(name)).wait()?;
    let size = usize::try_from(file.entry().size).expect("a test's files are small");
    file.read_at(0, Vec::with_capacity(size + 1)).wait()
}

/// The sorted names in a directory, as the store lists them.
pub(crate) fn list(store: &impl Backend, name: &str) -> Vec<String> {
    let mut directory = store.open_directory(&path(name)).wait().expect("the directory opens");
    let mut names = Vec::new();
    while let Some(batch) = directory.next_entries(Detail::Names).wait().expect("the directory can be read") {
        let found = batch.entries.into_iter();
        names.extend(found.map(|entry| String::from_utf8_lossy(&entry.name).into_owned()));
    }
    names.sort();
    names
}

/// The sorted names in a directory, as they are on the disk.
pub(crate) fn on_disk(directory: impl AsRef<Path>) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("the directory opens");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry is read").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The only name on the disk that is hidden.
#[track_caller]
pub(crate) fn hidden(directory: &Path) -> String {
    let mut names = on_disk(directory);
    names.retain(|name| name.starts_with('.'));
    assert_eq!(names.len(), 1, "{names:?}");
    names.remove(0)
}

/// Runs `work` on several threads at once and counts those that succeeded.
pub(crate) fn race(threads: usize, work: impl Fn(usize) -> bool + Sync) -> usize {
    let barrier = std::sync::Barrier::new(threads);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|number| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(number)
                })
            })
            .collect();
        runs.into_iter().filter_map(|run| run.join().ok()).filter(|succeeded| *succeeded).count()
    })
}

/// Makes a directory that refuses new files, as far as this process can be refused anything.
pub(crate) struct Closed<'a>(&'a Path);

impl<'a> Closed<'a> {
    pub(crate) fn new(directory: &'a Path) -> Option<Closed<'a>> {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o555)).expect("the mode is set");
        let closed = Closed(directory);
        if fs::write(directory.join("probe"), "").is_err() {
            return Some(closed);
        }
        // Root may write there all the same, but not into an immutable one.
        fs::remove_file(directory.join("probe")).expect("the probe is removed");
        closed.set_immutable(true).ok().map(|()| closed)
    }

    fn set_immutable(&self, immutable: bool) -> rustix::io::Result<()> {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        let directory = rustix::fs::openat(CWD, self.0, flags, rustix::fs::Mode::empty())?;
        let mut flags = rustix::fs::ioctl_getflags(&directory)?;
        flags.set(rustix::fs::IFlags::IMMUTABLE, immutable);
        rustix::fs::ioctl_setflags(&directory, flags)
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        let _ = self.set_immutable(false);
        let _ = fs::set_permissions(self.0, fs::Permissions::from_mode(0o755));
    }
}

#[track_caller]
pub(crate) fn check_error<T>(result: Result<T>, expected: longshore_storage::ErrorKind) {
    match result {
        Ok(_) => panic!("succeeded instead of: {expected}"),
        Err(error) => assert_eq!(error.kind, expected, "{error}"),
    }
}

/// As `find ROOT -type f` does it.
pub(crate) fn found(directory: &Path) -> Usage {
    let mut usage = Usage::default();
    for entry in fs::read_dir(directory).expect("the directory opens") {
        let entry = entry.expect("an entry is read");
        let metadata = entry.metadata().expect("the entry is there");
        if metadata.is_dir() {
            let below = found(&entry.path());
            usage = Usage { bytes: usage.bytes + below.bytes, files: usage.files + below.files };
        } else if metadata.is_file() {
            usage = Usage { bytes: usage.bytes + metadata.len(), files: usage.files + 1 };
        }
    }
    usage
}

/// What is known, what is counted and what stands on the disk are the same.
#[track_caller]
pub(crate) fn check(store: &Local, root: &Path) -> Usage {
    let known = store.usage().wait().expect("it is known");
    assert_eq!(known, found(root), "what is known is not what is there");
    assert_eq!(store.recount().wait().expect("it is counted"), known, "what is counted is not what is there");
    known
}

pub(crate) fn within(bytes: u64, name: &str, plan: UploadPlan) -> UploadRequest {
    UploadRequest {
        quota: Quota { bytes: Some(bytes), files: None },
        durability: Durability::None,
        ..request(name, plan)
    }
}

#[track_caller]
pub(crate) fn commit(upload: Result<Box<dyn Upload>>) {
    upload.expect("it fits").commit().wait().expect("it is stored");
}

/// For a test that this machine does not allow: says so, and fails where everything has to run.
pub(crate) fn not_run(reason: &str) {
    assert!(std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "not run: {reason}");
    // Not with `eprintln`: of a test that passes, the harness shows nothing that goes that way.
    let _ = writeln!(std::io::stderr(), "not run: {reason}");
}
