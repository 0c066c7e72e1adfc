//! What a commit makes of what has changed since the upload was opened.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use common::{Scratch, begin, check_error, on_disk, path, put, read, request};
use longshore_storage::local::{Local, LocalOptions, Resolver};
use longshore_storage::{Backend, Durability, ErrorKind, UploadPlan, UploadRequest, Usage};

const DURABILITIES: [Durability; 3] = [Durability::None, Durability::Data, Durability::Full];

/// Runs a case in a directory of its own, for each way of resolving and each durability.
fn each(case: impl Fn(&Path, &Local, Durability)) {
    for resolver in [Resolver::Openat2, Resolver::Walk] {
        for durability in DURABILITIES {
            let scratch = Scratch::new();
            let options = LocalOptions { resolver, ..LocalOptions::default() };
            let store = Local::open(scratch.path(), options).expect("the root opens");
            case(scratch.path(), &store, durability);
        }
    }
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).expect("the file is there").permissions().mode() & 0o7777
}

fn write_with_mode(file: &Path, octets: &str, mode: u32) {
    fs::write(file, octets).expect("a file is written");
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("the mode is set");
}

#[test]
fn a_file_that_has_appeared_is_replaced_like_an_old_one() {
    each(|root, store, durability| {
        let request = UploadRequest { durability, ..request("/file", UploadPlan::Replace) };
        let upload = begin(store, request, b"new").expect("it opens");
        write_with_mode(&root.join("file"), "of another program", 0o640);
        let committed = upload.commit().wait().expect("it is stored");
        assert!(committed.replaced, "it stood there before");
        assert_eq!(mode(&root.join("file")), 0o640);
        assert_eq!(read(store, "/file").expect("it can be read"), b"new");
    });
}

#[test]
fn the_room_of_a_file_that_has_appeared_is_given_back() {
    let scratch = Scratch::new();
    let store = Local::open(scratch.path(), LocalOptions::default()).expect("the root opens");
    store.usage().wait().expect("it can be counted");
    let upload = begin(&store, request("/file", UploadPlan::Replace), b"new").expect("it opens");
    put(&store, "/file", b"of another session").expect("it is stored");
    upload.commit().wait().expect("it is stored");
    assert_eq!(store.usage().wait().expect("it is known"), Usage { bytes: 3, files: 1 });
}

#[test]
fn a_file_that_has_gone_was_not_replaced() {
    each(|root, store, durability| {
        write_with_mode(&root.join("file"), "old", 0o640);
        let request = UploadRequest { durability, ..request("/file", UploadPlan::Replace) };
        let upload = begin(store, request, b"new").expect("it opens");
        fs::remove_file(root.join("file")).expect("it is removed");
        assert!(!upload.commit().wait().expect("it is stored").replaced);
        assert_eq!(mode(&root.join("file")), 0o644, "as any new file");
    });
}

#[test]
fn what_may_not_be_replaced_is_not_when_it_appears() {
    each(|root, store, durability| {
        type Case = (fn(&Path), ErrorKind, bool);
        let cases: [Case; 4] = [
            (|name| fs::write(name, "first").expect("a file is written"), ErrorKind::AlreadyExists, false),
            (|name| fs::create_dir(name).expect("a directory is made"), ErrorKind::IsADirectory, false),
            (|name| fs::create_dir(name).expect("a directory is made"), ErrorKind::IsADirectory, true),
            // It leads elsewhere than what was opened.
            (|name| symlink("elsewhere", name).expect("a link is made"), ErrorKind::NotFound, true),
        ];
        for (number, (appear, expected, overwrite)) in cases.into_iter().enumerate() {
            let name = format!("file-{number}");
            let request =
                UploadRequest { durability, overwrite, ..request(&format!("/{name}"), UploadPlan::Replace) };
            let upload = begin(store, request, b"second").expect("it opens");
            appear(&root.join(&name));
            let before = fs::symlink_metadata(root.join(&name)).expect("it is there").file_type();
            check_error(upload.commit().wait(), expected);
            let after = fs::symlink_metadata(root.join(&name)).expect("it is there").file_type();
            assert_eq!(before, after);
        }
        assert_eq!(fs::read(root.join("file-0")).expect("it is there"), b"first");
    });
}

/// Another program puts a copy of the directory, running parts and all, in its place. Octets that come afterwards are
/// not in the copy.
#[test]
fn a_copy_of_the_directory_is_not_taken_for_it() {
    each(|root, store, durability| {
        let dir = root.join("dir");
        fs::create_dir(&dir).expect("a directory is made");
        fs::write(dir.join("old"), "old").expect("a file is written");
        let plans = [
            ("/dir/new", UploadPlan::Replace, ErrorKind::NotFound),
            ("/dir/old", UploadPlan::Replace, ErrorKind::NotFound),
            ("/dir/wish", UploadPlan::Unique, ErrorKind::NotFound),
            ("/dir/old", UploadPlan::Append, ErrorKind::Busy),
        ];
        let uploads: Vec<_> = plans
            .iter()
            .map(|&(name, plan, _)| {
                let request = UploadRequest { durability, ..request(name, plan) };
                begin(store, request, b"first ").expect("it opens")
            })
            .collect();
        fs::rename(&dir, root.join("moved")).expect("the directory is moved");
        fs::create_dir(&dir).expect("a directory is made");
        for name in on_disk(root.join("moved")) {
            fs::copy(root.join("moved").join(&name), dir.join(&name)).expect("a file is copied");
        }
        let before = on_disk(&dir);
        for (upload, (name, plan, expected)) in uploads.into_iter().zip(plans) {
            assert!(before.iter().any(|part| part.starts_with(".wish")), "the copy has parts: {before:?}");
            let outcome = upload.commit_with(b"second".to_vec()).wait();
            assert_eq!(outcome.map_err(|error| error.kind), Err(expected), "{name} {plan:?}");
        }
        assert_eq!(on_disk(&dir), before, "nothing has come into the copy");
        assert_eq!(fs::read(dir.join("old")).expect("it is there"), b"oldfirst ");
        check_error(store.stat(&path("/dir/new")).wait(), ErrorKind::NotFound);
        assert_eq!(
            fs::read(root.join("moved/old")).expect("it is there"),
            b"old",
            "the append is taken back"
        );
    });
}
