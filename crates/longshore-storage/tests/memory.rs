//! What only the store in memory promises: trees written as expressions, times that can be repeated, a capacity.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{begin, check_error, list, path, put, read, request};
use longshore_storage::memory::Memory;
use longshore_storage::{Backend, ErrorKind, Kind, Operation, Timestamp, UploadPlan};

#[test]
fn a_tree_is_one_expression() {
    let store = Memory::new();
    store.insert("/a/b/c.txt", "c").insert("/a/d", b"d").insert_directory("/e/f").insert("/a/d", "new");
    assert_eq!(list(&store, "/"), ["a", "e"]);
    assert_eq!(list(&store, "/a"), ["b", "d"]);
    assert_eq!(list(&store, "/e"), ["f"]);
    assert_eq!(read(&store, "/a/b/c.txt").expect("it can be read"), b"c");
    assert_eq!(store.contents("/a/d"), Some(b"new".to_vec()));
    assert_eq!(store.contents("/a"), None);
    assert_eq!(store.contents("/none"), None);
    assert_eq!(store.stat(&path("/e/f")).wait().expect("it is there").kind, Kind::Directory);
}

#[test]
#[should_panic(expected = "/a is a file")]
fn a_tree_does_not_grow_out_of_a_file() {
    Memory::new().insert("/a", "").insert("/a/b", "");
}

#[test]
#[should_panic(expected = "/a is a directory")]
fn a_tree_does_not_lose_a_directory() {
    Memory::new().insert("/a/b", "").insert("/a", "");
}

#[test]
fn clones_are_the_same_store() {
    let store = Memory::new();
    put(&store.clone(), "/file", b"x").expect("it is stored");
    assert_eq!(store.contents("/file"), Some(b"x".to_vec()));
}

#[test]
fn times_come_from_the_clock() {
    let now = Arc::new(AtomicI64::new(100));
    let clock = Arc::clone(&now);
    let store =
        Memory::with_clock(move || Timestamp { seconds: clock.load(Ordering::Relaxed), nanoseconds: 7 });
    store.insert("/dir/file", "x");
    let modified = |name: &str| store.stat(&path(name)).wait().expect("it is there").modified.seconds;
    assert_eq!((modified("/dir/file"), modified("/dir"), modified("/")), (100, 100, 100));
    now.store(200, Ordering::Relaxed);
    put(&store, "/dir/file", b"y").expect("it is stored");
    assert_eq!((modified("/dir/file"), modified("/dir"), modified("/")), (200, 200, 100));
    now.store(300, Ordering::Relaxed);
    drop(begin(&store, request("/dir/part", UploadPlan::Replace), b"cut").expect("it opens"));
    let part = store.part("anna", &path("/dir/part")).wait().expect("it is kept");
    assert_eq!(part.modified, Timestamp { seconds: 300, nanoseconds: 7 });
}

#[test]
fn octets_are_counted_until_they_are_gone() {
    let store = Memory::new().with_capacity(100);
    let free = || store.free_space(&path("/")).wait().expect("it is told").expect("it is known");
    store.insert("/a", vec![0; 40]);
    assert_eq!(free(), 60);
    put(&store, "/b", &[0; 60]).expect("it just fits");
    assert_eq!(free(), 0);
    check_error(put(&store, "/c", b"x"), ErrorKind::NoSpace);
    store.remove_file(&path("/b")).wait().expect("it is removed");
    assert_eq!(free(), 60);
    // Replacing needs room for both; renaming over a file gives room.
    put(&store, "/a", &[0; 50]).expect("both fit");
    assert_eq!(free(), 50);
    put(&store, "/b", &[0; 50]).expect("it just fits");
    store.rename(&path("/a"), &path("/b"), true).wait().expect("it is replaced");
    assert_eq!(free(), 50);
    // A part counts until it is finished, replaced, or its directory goes.
    store.insert_directory("/dir");
    drop(begin(&store, request("/dir/part", UploadPlan::Replace), &[0; 30]).expect("it opens"));
    assert_eq!(free(), 20);
    drop(begin(&store, request("/dir/part", UploadPlan::At(10)), b"x").expect("it opens"));
    assert_eq!(free(), 39);
    drop(begin(&store, request("/dir/part", UploadPlan::Replace), b"new").expect("it opens"));
    assert_eq!(free(), 47);
    store.remove_directory(&path("/dir")).wait().expect("parts are no content");
    assert_eq!(free(), 50);
    drop(begin(&store, request("/b", UploadPlan::Append), &[0; 20]).expect("it opens"));
    assert_eq!(free(), 50);
    drop(begin(&store, request("/b", UploadPlan::At(20)), &[0; 20]).expect("it opens"));
    store.remove_file(&path("/b")).wait().expect("it is removed");
    begin(&store, request("/b", UploadPlan::Append), b"")
        .and_then(|upload| upload.commit().wait())
        .expect("it is stored");
    assert_eq!(free(), 60, "the part of 40 octets has become the file");
}

#[test]
fn everything_is_ready_at_once() {
    let store = Memory::new();
    assert!(matches!(store.stat(&path("/")), Operation::Ready(Ok(_))));
    assert!(matches!(store.open_upload(request("/file", UploadPlan::Replace)), Operation::Ready(Ok(_))));
    assert!(matches!(store.open_read(&path("/file")), Operation::Ready(Err(_))));
}
