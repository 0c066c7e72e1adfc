//! A disk that is full in the middle of an upload: the old file stays whole, and what has come is kept.

mod common;

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use common::{Scratch, begin, check_error, not_run, on_disk, path, put, read, request};
use longshore_storage::local::{Local, LocalOptions};
use longshore_storage::memory::Memory;
use longshore_storage::{
    Abandoned, Backend, ErrorKind, Quota, Result, Upload, UploadPlan, UploadRequest, Usage,
};
use rustix::mount::{MountFlags, UnmountFlags};

const CAPACITY_BYTES: usize = 1 << 20;

/// A small file system in memory, mounted as long as the value lives.
struct SmallDisk {
    mounted: PathBuf,
    // After the unmounting in `drop`, the directory goes.
    _scratch: Scratch,
}

impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount() -> Option<SmallDisk> {
        SmallDisk::mount_of(c"size=1m,nr_inodes=8")
    }

    /// The same, of the size and number of files that `options` give.
    fn mount_of(options: &CStr) -> Option<SmallDisk> {
        let scratch = Scratch::new();
        let mounted = scratch.fresh("disk");
        let flags = MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
        rustix::mount::mount("longshore", &mounted, "tmpfs", flags, options).ok()?;
        Some(SmallDisk { mounted, _scratch: scratch })
    }

    fn path(&self) -> &Path {
        &self.mounted
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.mounted, UnmountFlags::DETACH);
    }
}

/// That what is known to be used is what a new count finds; not before it was asked for.
#[track_caller]
fn check_usage(store: &impl Backend, counts: bool) {
    if counts {
        let usage = store.usage().wait().expect("it is known");
        assert_eq!(usage, store.recount().wait().expect("it is counted"));
    }
}

/// Fills a store that can hold [`CAPACITY_BYTES`].
fn check(store: &impl Backend, counts: bool) {
    check_usage(store, counts);
    let old = vec![b'o'; CAPACITY_BYTES / 4];
    put(store, "/file", &old).expect("it fits");
    let free = store.free_space(&path("/file")).wait().expect("it is told").expect("it is known");
    assert!(free <= (CAPACITY_BYTES - old.len()) as u64, "{free}");

    // In the middle of a new file.
    let mut upload = store.open_upload(request("/file", UploadPlan::Replace)).wait().expect("it opens");
    let mut written = 0_u64;
    let failure = loop {
        match upload.write(vec![b'n'; 10_000]).wait() {
            Ok(_) => written += 10_000,
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.kind, ErrorKind::NoSpace);
    check_usage(store, counts);
    assert!(written < CAPACITY_BYTES as u64);
    assert_eq!(read(store, "/file").expect("it can be read"), old);
    let Abandoned { kept_bytes } = upload.abandon().wait().expect("it is given up");
    assert!(kept_bytes.is_some_and(|kept| kept >= written), "what has come is kept");
    assert_eq!(read(store, "/file").expect("it can be read"), old);

    // While octets are appended in place.
    let mut upload = store.open_upload(request("/file", UploadPlan::Append)).wait().expect("it opens");
    let failure = loop {
        match upload.write(vec![b'n'; 10_000]).wait() {
            Ok(_) => {}
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.kind, ErrorKind::NoSpace);
    check_usage(store, counts);
    // Who commits all the same gets no file.
    assert!(upload.commit().wait().is_err());
    assert_eq!(read(store, "/file").expect("it can be read"), old);

    // While octets of the old file are copied: nothing is left behind.
    check_error(
        store.open_upload(request("/file", UploadPlan::At(old.len() as u64 - 1))).wait(),
        ErrorKind::NoSpace,
    );
    check_usage(store, counts);

    // The part goes with the file, and there is room again.
    store.remove_file(&path("/file")).wait().expect("it is removed");
    let upload = begin(store, request("/file", UploadPlan::At(10)), b"!").expect("the part is continued");
    upload.commit().wait().expect("it is stored");
    assert_eq!(read(store, "/file").expect("it can be read"), b"nnnnnnnnnn!");
    put(store, "/other", &vec![b'x'; CAPACITY_BYTES / 2]).expect("there is room again");
    check_usage(store, counts);
}

#[test]
fn memory() {
    for counts in [false, true] {
        check(&Memory::new().with_capacity(CAPACITY_BYTES as u64), counts);
    }
}

#[test]
fn local() {
    for counts in [false, true] {
        let Some(disk) = SmallDisk::mount() else { return not_run("mounting needs root") };
        check(&Local::open(disk.path(), LocalOptions::default()).expect("the root opens"), counts);
        assert_eq!(on_disk(disk.path()), ["file", "other"], "nothing is left behind");
    }
}

/// Writes that many mebibytes, in steps that end within a block.
fn send(
    store: &impl Backend,
    request: UploadRequest,
    mebibytes: usize,
    octet: u8,
) -> Result<Box<dyn Upload>> {
    let mut upload = store.open_upload(request).wait()?;
    let octets = vec![octet; mebibytes << 20];
    for step in octets.chunks(300_001) {
        upload.write(step.to_vec()).wait()?;
    }
    Ok(upload)
}

fn upload_one_more(mut upload: Box<dyn Upload>) -> Result<Vec<u8>> {
    upload.write(vec![0]).wait()
}

/// A store with room for 10 MiB, in which a cut upload of 6 MiB was kept, takes 6 MiB under the same name.
fn check_anew(store: &impl Backend) {
    let again = || request("/file", UploadPlan::Replace);
    let by_another = || UploadRequest { owner: "bert".to_owned(), ..again() };
    let kept =
        |store: &dyn Backend| store.part("anna", &path("/file")).wait().map(|part| part.size >> 20).ok();
    let cut = || {
        let upload = send(store, again(), 6, b'c').expect("it fits");
        let Abandoned { kept_bytes } = upload.abandon().wait().expect("it is given up");
        assert_eq!(kept_bytes, Some(6 << 20));
    };

    cut();
    // As long as there is room, the older part stays until the new upload has come to its end.
    let upload = send(store, again(), 3, b'n').expect("it fits beside the part");
    assert_eq!(kept(store), Some(6));
    drop(upload);
    assert_eq!(kept(store), Some(3));
    cut();
    // It belongs to its owner: nobody else's upload removes it.
    check_error(send(store, by_another(), 6, b'b').map(drop), ErrorKind::NoSpace);
    assert_eq!(kept(store), Some(6));
    // What the other one has left now fills the rest, and makes room for what its own owner sends.
    send(store, by_another(), 4, b'b').expect("it fits").commit().wait().expect("it is stored");
    store.remove_file(&path("/file")).wait().expect("it is removed");

    for plan in [UploadPlan::Replace, UploadPlan::Unique] {
        assert_eq!(kept(store), Some(6));
        let upload = send(store, request("/file", plan), 6, b'n').expect("the older part makes room");
        assert_eq!(kept(store), None);
        let committed = upload.commit().wait().expect("it is stored");
        assert_eq!((committed.path, committed.size), (path("/file"), 6 << 20));
        assert_eq!(read(store, "/file").expect("it can be read"), vec![b'n'; 6 << 20]);
        store.remove_file(&path("/file")).wait().expect("it is removed");
        cut();
    }
    // While a finished file stands, no command would remove the part.
    let small = begin(store, by_another(), b"small").expect("it fits");
    small.commit().wait().expect("it is stored");
    let upload = send(store, again(), 6, b'n').expect("the older part makes room");
    assert_eq!(read(store, "/file").expect("it can be read"), b"small");
    upload.commit().wait().expect("it is stored");
    assert_eq!(read(store, "/file").expect("it can be read"), vec![b'n'; 6 << 20]);
    // What is finished makes no room.
    check_error(send(store, again(), 6, b'n').map(drop), ErrorKind::NoSpace);
    check_usage(store, true);
    // The older part makes room also for who has a quota, and is credited once.
    store.remove_file(&path("/file")).wait().expect("it is removed");
    cut();
    let quota = Quota { bytes: Some(7 << 20), files: None };
    let upload = send(store, UploadRequest { quota, ..again() }, 7, b'q').expect("the older part makes room");
    check_usage(store, true);
    check_error(upload_one_more(upload), ErrorKind::QuotaExceeded);
}

#[test]
fn memory_makes_room_for_an_upload_that_begins_anew() {
    check_anew(&Memory::new().with_capacity(10 << 20));
}

#[test]
fn local_makes_room_for_an_upload_that_begins_anew() {
    let Some(disk) = SmallDisk::mount_of(c"size=10m") else { return not_run("mounting needs root") };
    check_anew(&Local::open(disk.path(), LocalOptions::default()).expect("the root opens"));
}

#[test]
fn local_without_room_for_one_more_file() {
    let Some(disk) = SmallDisk::mount() else { return not_run("mounting needs root") };
    let store = Local::open(disk.path(), LocalOptions::default()).expect("the root opens");
    put(&store, "/file", b"old").expect("it fits");
    let failure = (0..20)
        .find_map(|number| put(&store, &format!("/{number}"), b"").err())
        .expect("the disk holds few files");
    assert_eq!(failure.kind, ErrorKind::NoSpace);
    check_error(put(&store, "/file", b"new"), ErrorKind::NoSpace);
    check_error(store.make_directory(&path("/dir"), None).wait(), ErrorKind::NoSpace);
    assert_eq!(read(&store, "/file").expect("it can be read"), b"old");
    let upload = begin(&store, request("/file", UploadPlan::Append), b"er").expect("no new file is needed");
    upload.commit().wait().expect("it is stored");
    assert_eq!(read(&store, "/file").expect("it can be read"), b"older");
}

#[test]
fn a_read_only_disk_says_so() {
    let Some(disk) = SmallDisk::mount() else { return not_run("mounting needs root") };
    let store = Local::open(disk.path(), LocalOptions::default()).expect("the root opens");
    put(&store, "/file", b"old").expect("it fits");
    let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
    rustix::mount::mount_remount(disk.path(), flags, c"").expect("it is mounted anew");
    for plan in [UploadPlan::Replace, UploadPlan::Append, UploadPlan::At(1), UploadPlan::Unique] {
        check_error(store.open_upload(request("/file", plan)).wait(), ErrorKind::ReadOnly);
    }
    check_error(store.make_directory(&path("/dir"), None).wait(), ErrorKind::ReadOnly);
    check_error(store.remove_file(&path("/file")).wait(), ErrorKind::ReadOnly);
    check_error(store.rename(&path("/file"), &path("/new"), false).wait(), ErrorKind::ReadOnly);
    assert_eq!(read(&store, "/file").expect("it can be read"), b"old");
}

#[test]
fn a_disk_in_the_disk_is_part_of_the_tree() {
    let Some(disk) = SmallDisk::mount() else { return not_run("mounting needs root") };
    let root = disk.path().parent().expect("it is mounted in a directory");
    let store = Local::open(root, LocalOptions::default()).expect("the root opens");
    let name = disk.path().file_name().and_then(|name| name.to_str()).expect("the test's own name");
    let inside = format!("/{name}/file");
    put(&store, &inside, b"x").expect("it is stored");
    assert_eq!(read(&store, &inside).expect("it can be read"), b"x");
    check_error(store.rename(&path(&inside), &path("/file"), false).wait(), ErrorKind::Unsupported);
    check_error(store.rename(&path(&inside), &path("/file"), true).wait(), ErrorKind::Unsupported);
    assert_eq!(store.recount().wait().expect("it is counted"), Usage { bytes: 1, files: 1 });
    assert!(store.remove_directory(&path(format!("/{name}"))).wait().is_err());
    assert_eq!(read(&store, &inside).expect("it can be read"), b"x");
}
