//! What only the local store promises of its usage: that it is what `find` would tell, that nobody's garbage is in it,
//! and that it stays true while many work on one tree.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use common::{
    Closed, Scratch, begin, check, check_error, commit, found, hidden, not_run, on_disk, path, put, race,
    read, request, within,
};
use longshore_storage::limits::PART_EXPIRY;
use longshore_storage::local::{InPlace, Local, LocalOptions, PartsPolicy, Resolver};
use longshore_storage::memory::Memory;
use longshore_storage::{
    Backend, Durability, ErrorKind, Operation, Quota, Upload, UploadPlan, UploadRequest, Usage,
};

const ORPHAN: &str = ".file.49edf583caba827743dc788786de5fa5.0123456789abcdef.longshore-part";
const RESERVATION: &str = ".file.49edf583caba827743dc788786de5fa5.unique.longshore-part";

fn open(root: &Path) -> Local {
    Local::open(root, LocalOptions::default()).expect("the root opens")
}

#[test]
fn usage_is_what_find_tells() {
    for resolver in [Resolver::Openat2, Resolver::Walk] {
        let scratch = Scratch::new();
        let (root, outside) = (scratch.fresh("root"), scratch.fresh("outside"));
        fs::write(outside.join("secret"), vec![0; 5000]).expect("a file is written");
        fs::create_dir_all(root.join("a/b/c/d")).expect("directories are made");
        for (name, size) in
            [("top", 1), ("a/file", 20), ("a/b/file", 300), ("a/b/c/d/file", 4000), ("a/none", 0)]
        {
            fs::write(root.join(name), vec![0; size]).expect("a file is written");
        }
        fs::hard_link(root.join("a/file"), root.join("a/b/same")).expect("a link is made");
        for (target, name) in [
            ("../outside", "out"),
            ("/", "slash"),
            (".", "loop"),
            ("../..", "a/b/up"),
            ("a/file", "to-file"),
            ("../outside/secret", "to-secret"),
            ("nothing", "dangling"),
        ] {
            symlink(target, root.join(name)).expect("a link is made");
        }
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), pipe, mode, 0).expect("a pipe is made");
        let store =
            Local::open(&root, LocalOptions { resolver, ..LocalOptions::default() }).expect("the root opens");
        assert!(matches!(store.usage(), Operation::Blocking(_)), "counting may take its time");
        assert_eq!(check(&store, &root), Usage { bytes: 4341, files: 6 });
        assert!(matches!(store.usage(), Operation::Ready(Ok(_))), "it is known from then on");
        // Each name counts, so a name of two takes its octets along.
        store.remove_file(&path("/a/b/same")).wait().expect("it is removed");
        assert_eq!(check(&store, &root), Usage { bytes: 4321, files: 5 });
        // Of two names of one file, renaming one to the other removes none.
        fs::hard_link(root.join("top"), root.join("a/top")).expect("a link is made");
        store.recount().wait().expect("it is counted");
        store.rename(&path("/top"), &path("/a/top"), true).wait().expect("nothing has to be done");
        check(&store, &root);
        store.rename(&path("/a/b"), &path("/moved"), false).wait().expect("it is renamed");
        store.rename(&path("/to-file"), &path("/a/none"), true).wait().expect("a link replaces a file");
        store.remove_file(&path("/pipe")).wait().expect("it is removed");
        assert_eq!(check(&store, &root), Usage { bytes: 4322, files: 5 });
        drop(begin(&store, request("/moved/cut", UploadPlan::Replace), b"cut"));
        assert_eq!(check(&store, &root), Usage { bytes: 4325, files: 6 });
    }
}

#[test]
fn a_file_of_two_names_that_grows_is_counted_anew() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    put(&store, "/log", b"0123456789").expect("it is stored");
    assert_eq!(check(&store, scratch.path()), Usage { bytes: 10, files: 1 });
    fs::hard_link(scratch.path().join("log"), scratch.path().join("same")).expect("a link is made");
    let recounted = || {
        store.recount().wait().expect("it is counted");
        check(&store, scratch.path())
    };
    recounted();
    commit(begin(&store, request("/log", UploadPlan::Append), b"abc"));
    assert_eq!(recounted(), Usage { bytes: 26, files: 2 });
    begin(&store, request("/log", UploadPlan::Append), b"abc")
        .expect("it opens")
        .abandon()
        .wait()
        .expect("it ends");
    assert_eq!(recounted(), Usage { bytes: 26, files: 2 });
    // It grows under both names, and both count.
    for quota in [28, 31, 32] {
        let mut upload =
            store.open_upload(within(quota, "/log", UploadPlan::Append)).wait().expect("it opens");
        let written = upload.write(b"1".to_vec()).wait().and_then(|_| upload.write(vec![0; 2]).wait());
        assert_eq!(written.is_ok(), quota == 32, "{quota}");
        upload.discard().wait().expect("it is given up");
        assert_eq!(recounted(), Usage { bytes: 26, files: 2 });
    }
}

#[test]
fn a_count_removes_what_a_killed_server_has_left() {
    let scratch = Scratch::new();
    let root = scratch.path();
    let (store, another) = (open(root), open(root));
    fs::create_dir(root.join("dir")).expect("a directory is made");
    drop(begin(&store, request("/kept", UploadPlan::Replace), b"kept"));
    drop(begin(&store, request("/old", UploadPlan::Replace), b"expired"));
    let expired = on_disk(root).into_iter().find(|name| name.starts_with(".old")).expect("it is kept");
    let expired = fs::File::options().write(true).open(root.join(expired)).expect("the file opens");
    expired.set_modified(SystemTime::now() - PART_EXPIRY - Duration::from_secs(60)).expect("the time is set");
    for orphan in [ORPHAN, RESERVATION, &format!("dir/{ORPHAN}")] {
        fs::write(root.join(orphan), "orphan").expect("a file is written");
    }
    let mut uploads: Vec<_> = [&store, &another]
        .into_iter()
        .flat_map(|store| {
            drop(begin(store, request("/again", UploadPlan::Replace), b"1234"));
            [
                begin(store, request("/new", UploadPlan::Replace), b"1234"),
                begin(store, request("/wish", UploadPlan::Unique), b"1234"),
                begin(store, request("/again", UploadPlan::At(4)), b""),
            ]
        })
        .map(|upload| upload.expect("it opens"))
        .collect();
    // What somebody has linked to is no part of ours, and another's hidden file is not either.
    fs::write(root.join("precious"), "precious").expect("a file is written");
    let planted = ORPHAN.replace("0123456789abcdef", "fedcba9876543210");
    fs::hard_link(root.join("precious"), root.join(&planted)).expect("a link is made");
    fs::write(root.join(".a.b.c.longshore-part"), "kept by somebody").expect("a file is written");

    let usage = check(&store, root);
    assert_eq!(usage, Usage { bytes: 4 + 6 * 4 + 8 + 8 + 16, files: 1 + 6 + 2 + 1 });
    assert!(!root.join(ORPHAN).exists() && !root.join(RESERVATION).exists());
    assert!(on_disk(root.join("dir")).is_empty() && root.join(&planted).exists());
    another.recount().wait().expect("it is counted");
    for upload in &mut uploads {
        upload.write(b"5".to_vec()).wait().expect("it goes on");
    }
    for upload in uploads {
        upload.commit().wait().expect("nobody has taken its part away");
    }
    for name in ["/new", "/wish", "/wish-2", "/again"] {
        assert_eq!(read(&store, name).expect("it can be read"), b"12345");
    }
    assert_eq!(store.part("anna", &path("/kept")).wait().expect("it stays").size, 4);
}

#[test]
fn an_orphan_does_not_eat_a_quota() {
    let scratch = Scratch::new();
    fs::write(scratch.path().join(ORPHAN), vec![0; 90]).expect("a file is written");
    let store = open(scratch.path());
    commit(begin(&store, within(100, "/file", UploadPlan::Replace), &[0; 100]));
    assert_eq!(on_disk(scratch.path()), ["file"]);
}

#[test]
fn what_another_program_takes_away_is_noticed_in_the_middle_and_at_the_end() {
    let scratch = Scratch::new();
    let (root, other) = (scratch.fresh("root"), scratch.fresh("other"));
    for (root, in_the_middle) in [(&root, true), (&other, false)] {
        let store = open(root);
        put(&store, "/taken", &[0; 50]).expect("it is stored");
        put(&store, "/old", &[0; 50]).expect("it is stored");
        let size = if in_the_middle { 100 } else { 50 };
        let mut upload =
            store.open_upload(within(100, "/old", UploadPlan::Replace)).wait().expect("it opens");
        if in_the_middle {
            fs::remove_file(root.join("taken")).expect("the file is taken");
        }
        upload.write(vec![0; size]).wait().expect("there is room again");
        if !in_the_middle {
            store.rename(&path("/old"), &path("/moved"), false).wait().expect("it is renamed");
            fs::remove_file(root.join("taken")).expect("the file is taken");
        }
        upload.commit().wait().expect("there is room again");
        check(&store, root);
    }
}

#[test]
fn a_credit_grows_with_the_file() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    put(&store, "/file", &[0; 10]).expect("it is stored");
    let mut upload = begin(&store, within(100, "/file", UploadPlan::Replace), &[0; 10]).expect("it opens");
    put(&store, "/file", &[0; 95]).expect("nothing bounds it");
    upload.write(vec![0; 90]).wait().expect("what it replaces makes room");
    check_error(upload.write(vec![0; 1]).wait(), ErrorKind::QuotaExceeded);
}

#[test]
fn a_running_part_that_is_removed_counts_no_more() {
    let scratch = Scratch::new();
    let options = LocalOptions { parts: PartsPolicy::Listed, ..LocalOptions::default() };
    let store = Local::open(scratch.path(), options).expect("the root opens");
    let mut free = begin(&store, request("/free", UploadPlan::Replace), b"123").expect("it opens");
    assert_eq!(check(&store, scratch.path()), Usage { bytes: 3, files: 1 });
    let remove =
        || store.remove_file(&path(hidden(scratch.path()))).wait().expect("a listed part is removed");
    remove();
    free.write(b"456".to_vec()).wait().expect("it is written");
    assert_eq!(check(&store, scratch.path()), Usage::default());
    assert!(free.commit().wait().is_err());
    assert_eq!(check(&store, scratch.path()), Usage::default());
    // With a quota nobody writes where nobody counts.
    let mut bound = begin(&store, within(100, "/bound", UploadPlan::Replace), b"123").expect("it opens");
    remove();
    check_error(bound.write(b"456".to_vec()).wait(), ErrorKind::Busy);
    put(&store, "/log", b"123").expect("it is stored");
    let mut bound = begin(&store, within(100, "/log", UploadPlan::Append), b"456").expect("it opens");
    store.remove_file(&path("/log")).wait().expect("it is removed");
    check_error(bound.write(b"789".to_vec()).wait(), ErrorKind::Busy);
    drop(bound);
    assert_eq!(check(&store, scratch.path()), Usage::default());
}

#[test]
fn overwriting_in_place_is_counted_and_bounded() {
    let scratch = Scratch::new();
    let root = scratch.fresh("root");
    fs::write(root.join("file"), vec![0; 90]).expect("a file is written");
    let Some(_closed) = Closed::new(&root) else {
        return not_run("no directory can be closed to this process");
    };
    let options = LocalOptions { in_place: InPlace::Fallback, ..LocalOptions::default() };
    let store = Local::open(&root, options).expect("the root opens");
    check(&store, &root);
    let file = |bytes, plan| within(bytes, "/file", plan);
    check_error(store.open_upload(file(60, UploadPlan::At(60))).wait(), ErrorKind::QuotaExceeded);
    // What does not fit does not cut the file either.
    let mut upload = store.open_upload(file(100, UploadPlan::Replace)).wait().expect("it opens");
    check_error(upload.write(vec![0; 101]).wait(), ErrorKind::QuotaExceeded);
    upload.discard().wait().expect("it is given up");
    assert_eq!(check(&store, &root).bytes, 90);
    commit(begin(&store, file(100, UploadPlan::Replace), &[0; 100]));
    assert_eq!(check(&store, &root).bytes, 100);
    commit(begin(&store, file(100, UploadPlan::At(30)), &[0; 20]));
    assert_eq!(check(&store, &root).bytes, 50);
    commit(store.open_upload(file(100, UploadPlan::At(20))).wait());
    assert_eq!(check(&store, &root).bytes, 20);
    let upload = begin(&store, file(100, UploadPlan::Replace), &[0; 5]).expect("it opens");
    upload.abandon().wait().expect("it is given up");
    assert_eq!(check(&store, &root).bytes, 5, "the old contents are lost");
}

/// Uploads from many threads at once. The quota is what the finished files come to when all have done what they can.
fn check_parallel(store: &(impl Backend + Clone), finished: &(dyn Fn() -> Usage + Sync)) {
    const THREADS: usize = 20;
    const SIZE: usize = 1000;
    let quota = Quota { bytes: Some(50_000), files: Some(70) };
    let stored = AtomicUsize::new(0);
    race(THREADS, |thread| {
        for number in 0..10 {
            let request = UploadRequest {
                quota,
                owner: format!("owner {thread}"),
                durability: Durability::None,
                ..request(&format!("/{thread}-{number}"), UploadPlan::Replace)
            };
            let Ok(mut upload) = store.open_upload(request).wait() else { continue };
            let written = (0..10).try_for_each(|_| upload.write(vec![0; SIZE / 10]).wait().map(drop));
            let usage = store.usage().wait().expect("it is known");
            assert!(usage.bytes <= 50_000 && usage.files <= 70, "{usage:?}");
            match written {
                Ok(()) => {
                    upload.commit().wait().expect("what was let in is stored");
                    stored.fetch_add(1, Ordering::Relaxed);
                }
                Err(failure) => {
                    assert_eq!(failure.kind, ErrorKind::QuotaExceeded);
                    upload.discard().wait().expect("it is given up");
                }
            }
        }
        true
    });
    let usage = finished();
    let count = stored.into_inner();
    assert_eq!(usage, Usage { bytes: (count * SIZE) as u64, files: count as u64 });
    assert!((30..=50).contains(&count), "{count} of 50 fit");
    assert_eq!(store.recount().wait().expect("it is counted"), usage);
    // Now that nobody else is there, it can be filled to the last octet.
    let rest = usize::try_from(50_000 - usage.bytes).expect("a small number");
    if rest > 0 {
        let last = UploadRequest { quota, ..request("/last", UploadPlan::Replace) };
        commit(begin(store, last, &vec![0; rest]));
    }
    let more = UploadRequest { quota, ..request("/more", UploadPlan::Replace) };
    check_error(store.open_upload(more).wait(), ErrorKind::QuotaExceeded);
}

#[test]
fn many_threads_never_exceed_a_quota() {
    let memory = Memory::new();
    check_parallel(&memory.clone(), &|| memory.usage().wait().expect("it is known"));
    let scratch = Scratch::new();
    let store = open(scratch.path());
    check_parallel(&store, &|| found(scratch.path()));
}

#[test]
fn a_count_is_exact_while_others_work() {
    const THREADS: usize = 6;
    for round in 0..2_u64 {
        let scratch = Scratch::new();
        let root = scratch.path();
        // More than one step of a count.
        for directory in 0..12 {
            let directory = root.join(format!("{directory}"));
            fs::create_dir_all(directory.join("below")).expect("directories are made");
            for file in 0..200 {
                fs::write(directory.join(format!("{file}")), "x").expect("a file is written");
            }
        }
        let store = open(root);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let counter = scope.spawn(|| {
                let mut counts = 0;
                while !stop.load(Ordering::Relaxed) {
                    store.recount().wait().expect("it is counted");
                    counts += 1;
                }
                counts
            });
            let worked = race(THREADS, |thread| {
                work(&store, round * 100 + thread as u64);
                true
            });
            stop.store(true, Ordering::Relaxed);
            assert_eq!(worked, THREADS, "a thread has panicked");
            assert!(counter.join().expect("no count panics") > 3);
        });
        check(&store, root);
    }
}

/// Does all kinds of things, of which many fail.
fn work(store: &Local, seed: u64) {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut draw = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below) as usize
    };
    let mut uploads: Vec<Box<dyn Upload>> = Vec::new();
    for _ in 0..500 {
        let mut name = || {
            let below = ["", "/below", "/new"][draw(3)];
            format!("/{}{below}/{}", draw(12), draw(6))
        };
        let (name, other) = (name(), name());
        match draw(9) {
            0 | 1 => {
                let plan = [UploadPlan::Replace, UploadPlan::Unique, UploadPlan::Append, UploadPlan::At(1)];
                let request = UploadRequest { durability: Durability::None, ..request(&name, plan[draw(4)]) };
                uploads.extend(store.open_upload(request).wait());
            }
            2 | 3 => {
                if let Some(upload) = uploads.last_mut() {
                    let _ = upload.write(vec![0; draw(5000)]).wait();
                }
            }
            4 => drop(uploads.pop().map(|upload| upload.commit().wait())),
            5 => drop(uploads.pop()),
            6 => drop(store.rename(&path(&name), &path(&other), true).wait()),
            7 => drop(store.remove_file(&path(&name)).wait()),
            _ => {
                let (one, two) = (format!("/{}/new", draw(12)), format!("/{}/new", draw(12)));
                let _ = store.make_directory(&path(&one), None).wait();
                let _ = store.rename(&path(&one), &path(&two), false).wait();
                let _ = store.remove_directory(&path(&two)).wait();
            }
        }
    }
}

#[test]
fn a_mode_is_set_through_a_link_and_without_reading() {
    use std::os::unix::fs::PermissionsExt;
    for resolver in [Resolver::Openat2, Resolver::Walk] {
        let scratch = Scratch::new();
        let root = scratch.path();
        fs::write(root.join("file"), "x").expect("a file is written");
        fs::set_permissions(root.join("file"), fs::Permissions::from_mode(0o000)).expect("the mode is set");
        fs::create_dir(root.join("dir")).expect("a directory is made");
        symlink("../file", root.join("dir/link")).expect("a link is made");
        symlink("dir/.x.longshore-part", root.join("reserved")).expect("a link is made");
        fs::write(root.join("dir/.x.longshore-part"), "x").expect("a file is written");
        let store =
            Local::open(root, LocalOptions { resolver, ..LocalOptions::default() }).expect("the root opens");
        let mode =
            |name: &str| fs::metadata(root.join(name)).expect("it is there").permissions().mode() & 0o7777;
        store.set_mode(&path("/dir/link"), 0o640).wait().expect("the mode is set");
        assert_eq!(mode("file"), 0o640);
        // The root has what its owner gave it, under every name.
        symlink("..", root.join("dir/up")).expect("a link is made");
        symlink("dir/..", root.join("round")).expect("a link is made");
        let before = mode(".");
        for name in ["/", "/dir/up", "/round"] {
            check_error(store.set_mode(&path(name), 0o777).wait(), ErrorKind::PermissionDenied);
        }
        assert_eq!(mode("."), before);
        check_error(store.set_mode(&path("/reserved"), 0o777).wait(), ErrorKind::NotFound);
        // A directory hands its group on, and what is made in it keeps that.
        store.set_mode(&path("/dir"), 0o2770).wait().expect("the mode is set");
        store.make_directory(&path("/dir/below"), Some(0o300)).wait().expect("it is made");
        assert_eq!(mode("dir/below"), 0o2300);
    }
}
