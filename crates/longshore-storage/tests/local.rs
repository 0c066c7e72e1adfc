//! What only the local store promises: modes, links as entries, parts on the disk, and who tidies up.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::{
    Closed, Scratch, begin, check_error, hidden, list, not_run, on_disk, path, put, race, read, request,
};
use longshore_storage::limits::PART_EXPIRY;
use longshore_storage::local::{InPlace, Local, LocalOptions, PartsPolicy, Resolver};
use longshore_storage::{
    Abandoned, Backend, Detail, Durability, ErrorKind, Kind, Operation, Upload, UploadPlan, UploadRequest,
};
use rustix::fs::XattrFlags;

fn open(root: impl AsRef<Path>, options: LocalOptions) -> Local {
    Local::open(root, options).expect("the root opens")
}

fn open_default(root: impl AsRef<Path>) -> Local {
    open(root, LocalOptions::default())
}

fn mode(file: impl AsRef<Path>) -> u32 {
    fs::metadata(file).expect("the file is there").permissions().mode() & 0o7777
}

fn set_age(file: &Path, age: Duration) {
    let file = fs::File::options().write(true).open(file).expect("the file opens");
    file.set_modified(SystemTime::now() - age).expect("the time is set");
}

#[test]
fn a_root_that_is_none_is_refused() {
    let scratch = Scratch::new();
    fs::write(scratch.path().join("file"), "").expect("a file is written");
    for resolver in [Resolver::Auto, Resolver::Openat2, Resolver::Walk] {
        let options = LocalOptions { resolver, ..LocalOptions::default() };
        check_error(Local::open(scratch.path().join("none"), options), ErrorKind::NotFound);
        check_error(Local::open(scratch.path().join("file"), options), ErrorKind::NotADirectory);
    }
}

#[test]
fn the_store_goes_with_its_root() {
    let scratch = Scratch::new();
    let (before, after) = (scratch.fresh("before"), scratch.path().join("after"));
    let store = open_default(&before);
    put(&store, "/file", b"x").expect("it is stored");
    fs::rename(&before, &after).expect("the root is renamed");
    put(&store, "/other", b"y").expect("it is stored");
    assert_eq!(on_disk(&after), ["file", "other"]);
}

#[test]
fn new_files_have_the_mode_that_was_asked_for() {
    let scratch = Scratch::new();
    // Bits that a usual umask would take away.
    let options = LocalOptions { file_mode: 0o664, directory_mode: 0o777, ..LocalOptions::default() };
    let store = open(scratch.path(), options);
    let upload = begin(&store, request("/file", UploadPlan::Replace), b"x").expect("it opens");
    assert_eq!(
        mode(scratch.path().join(hidden(scratch.path()))),
        0o600,
        "what is not whole is not for others"
    );
    upload.commit().wait().expect("it is stored");
    store.make_directory(&path("/dir"), None).wait().expect("it is made");
    assert_eq!((mode(scratch.path().join("file")), mode(scratch.path().join("dir"))), (0o664, 0o777));
    let store = open_default(scratch.path());
    put(&store, "/default", b"x").expect("it is stored");
    store.make_directory(&path("/default-dir"), None).wait().expect("it is made");
    assert_eq!(mode(scratch.path().join("default")), 0o644);
    assert_eq!(mode(scratch.path().join("default-dir")), 0o755);
}

#[test]
fn replacing_keeps_mode_owner_and_attributes() {
    let scratch = Scratch::new();
    let store = open_default(scratch.path());
    let file = scratch.path().join("file");
    for plan in [UploadPlan::Replace, UploadPlan::At(1)] {
        fs::write(&file, "old").expect("a file is written");
        // Only root may give files away.
        let given = std::os::unix::fs::chown(&file, Some(12_345), Some(23_456)).is_ok();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o6751)).expect("the mode is set");
        let marked = rustix::fs::setxattr(&file, "user.comment", b"kept", XattrFlags::empty()).is_ok();
        let long = vec![b'v'; 1000];
        let _ = rustix::fs::setxattr(&file, "user.long", &long, XattrFlags::empty());
        let before = fs::metadata(&file).expect("the file is there");

        let upload = begin(&store, request("/file", plan), b"new contents").expect("it opens");
        upload.commit().wait().expect("it is stored");

        let after = fs::metadata(&file).expect("the file is there");
        assert_ne!(before.ino(), after.ino(), "it is a new file");
        assert_eq!(mode(&file), 0o751, "the mode without the set-id bits");
        if given {
            assert_eq!((after.uid(), after.gid()), (12_345, 23_456));
        }
        if marked {
            let mut value = [0; 16];
            let length = rustix::fs::getxattr(&file, "user.comment", &mut value[..]).expect("it is kept");
            assert_eq!(&value[..length], b"kept");
            let mut value = [0; 2000];
            let length = rustix::fs::getxattr(&file, "user.long", &mut value[..]).expect("it is kept");
            assert_eq!(&value[..length], long);
        } else {
            not_run("the file system has no extended attributes for users");
        }
    }
}

#[test]
fn an_upload_replaces_the_target_of_a_link() {
    for resolver in [Resolver::Openat2, Resolver::Walk] {
        let scratch = Scratch::new();
        let root = scratch.path();
        let store = open(root, LocalOptions { resolver, ..LocalOptions::default() });
        fs::create_dir(root.join("dir")).expect("a directory is made");
        fs::write(root.join("dir/target"), "old").expect("a file is written");
        symlink("dir/target", root.join("link")).expect("a link is made");
        symlink("dir/new", root.join("dangling")).expect("a link is made");
        symlink("dir/.x.longshore-part", root.join("reserved")).expect("a link is made");

        put(&store, "/link", b"new").expect("it is stored");
        put(&store, "/dangling", b"made").expect("it is stored");
        assert_eq!(fs::read_link(root.join("link")).expect("it still is a link"), Path::new("dir/target"));
        assert_eq!(on_disk(root.join("dir")), ["new", "target"]);
        assert_eq!(fs::read(root.join("dir/target")).expect("it is there"), b"new");
        assert_eq!(fs::read(root.join("dir/new")).expect("it is there"), b"made");
        check_error(put(&store, "/reserved", b"x"), ErrorKind::NameNotAllowed);

        // A part under the link's name is the target's part.
        fs::remove_file(root.join("dir/new")).expect("the file is removed");
        drop(begin(&store, request("/dangling", UploadPlan::Replace), b"cut"));
        let part = |name: &str| store.part("anna", &path(name)).wait().map(|part| part.size);
        assert_eq!(part("/dangling").expect("it is kept"), 3);
        assert_eq!(part("/dir/new").expect("it is kept"), 3);

        // Renaming and removing are about the link.
        store.rename(&path("/link"), &path("/renamed"), false).wait().expect("the link is renamed");
        store.remove_file(&path("/renamed")).wait().expect("the link is removed");
        assert_eq!(read(&store, "/dir/target").expect("the target stays"), b"new");
        symlink("dir", root.join("to-dir")).expect("a link is made");
        check_error(store.remove_directory(&path("/to-dir")).wait(), ErrorKind::NotADirectory);
        check_error(
            store.open_upload(request("/to-dir", UploadPlan::Replace)).wait(),
            ErrorKind::IsADirectory,
        );
    }
}

#[test]
fn links_are_listed_with_what_they_lead_to() {
    let scratch = Scratch::new();
    let root = scratch.path();
    fs::create_dir(root.join("dir")).expect("a directory is made");
    fs::write(root.join("dir/target"), "12345").expect("a file is written");
    symlink("target", root.join("dir/link")).expect("a link is made");
    symlink("..", root.join("dir/up")).expect("a link is made");
    symlink("nothing", root.join("dir/dangling")).expect("a link is made");
    symlink("/etc", root.join("dir/out")).expect("a link is made");
    let store = open_default(root);
    let mut directory = store.open_directory(&path("/dir")).wait().expect("the directory opens");
    let batch = directory.next_entries(Detail::All).wait().expect("it can be read");
    let mut entries = batch.expect("there are entries").entries;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| {
            let target =
                entry.link_target.as_deref().map(|target| String::from_utf8_lossy(target).into_owned());
            (String::from_utf8_lossy(&entry.name).into_owned(), entry.kind, target)
        })
        .collect();
    let link = |name: &str, kind, target: &str| (name.to_owned(), kind, Some(target.to_owned()));
    assert_eq!(
        seen,
        [
            link("dangling", Kind::Other, "nothing"),
            link("link", Kind::File, "target"),
            link("out", Kind::Other, "/etc"),
            ("target".to_owned(), Kind::File, None),
            link("up", Kind::Directory, ".."),
        ]
    );
    assert_eq!(entries[1].id, entries[3].id, "a link and its target are the same file");
    assert_eq!(entries[1].size, 5);
    for entry in &entries {
        let name = path("/dir").join(&entry.name).expect("the test's own paths are valid");
        assert_eq!(&store.stat(&name).wait().expect("it is there"), entry);
    }
}

#[test]
fn a_small_listing_needs_one_job_and_what_is_cached_none() {
    let scratch = Scratch::new();
    let store = open_default(scratch.path());
    put(&store, "/file", b"x").expect("it is stored");
    let mut directory = store.open_directory(&path("/")).wait().expect("the directory opens");
    let first = directory.next_entries(Detail::All);
    assert!(matches!(first, Operation::Ready(Ok(Some(batch))) if batch.entries.len() == 1));
    assert!(matches!(directory.next_entries(Detail::All), Operation::Ready(Ok(None))));
    // The walk never answers at once: it cannot tell what would have to wait.
    let walk = open(scratch.path(), LocalOptions { resolver: Resolver::Walk, ..LocalOptions::default() });
    assert!(matches!(walk.stat(&path("/file")), Operation::Blocking(_)));
    assert!(matches!(walk.open_read(&path("/file")), Operation::Blocking(_)));
}

#[test]
fn parts_are_hidden_listed_or_discarded_by_policy() {
    for (parts, left) in [(PartsPolicy::Hidden, 1), (PartsPolicy::Listed, 1), (PartsPolicy::Discard, 0)] {
        let scratch = Scratch::new();
        let store = open(scratch.path(), LocalOptions { parts, ..LocalOptions::default() });
        let upload = begin(&store, request("/file", UploadPlan::Replace), b"cut").expect("it opens");
        let abandoned = upload.abandon().wait().expect("it is given up");
        let kept_bytes = (parts != PartsPolicy::Discard).then_some(3);
        assert_eq!(abandoned, Abandoned { kept_bytes }, "{parts:?}");
        assert_eq!(on_disk(scratch.path()).len(), left, "{parts:?}");
        assert_eq!(list(&store, "/").len(), usize::from(parts == PartsPolicy::Listed), "{parts:?}");
    }
}

#[test]
fn a_listed_part_can_be_looked_at_and_removed_but_not_read() {
    let scratch = Scratch::new();
    let store = open(scratch.path(), LocalOptions { parts: PartsPolicy::Listed, ..LocalOptions::default() });
    drop(begin(&store, request("/file", UploadPlan::Replace), b"cut"));
    let name = path(hidden(scratch.path()));
    assert_eq!(store.stat(&name).wait().expect("it can be looked at").size, 3);
    check_error(store.open_read(&name).wait(), ErrorKind::NotFound);
    check_error(store.rename(&name, &path("/file"), false).wait(), ErrorKind::NotFound);
    check_error(store.make_directory(&name, None).wait(), ErrorKind::NameNotAllowed);
    store.remove_file(&name).wait().expect("it can be removed");
    check_error(store.part("anna", &path("/file")).wait(), ErrorKind::NotFound);
}

#[test]
fn an_expired_part_is_not_there() {
    let scratch = Scratch::new();
    let store = open_default(scratch.path());
    let cut = |name| drop(begin(&store, request(name, UploadPlan::Replace), b"cut"));
    let part = |name| store.part("anna", &path(name)).wait().map(|part| part.size);
    let minute = Duration::from_secs(60);

    cut("/young");
    set_age(&scratch.path().join(hidden(scratch.path())), PART_EXPIRY - minute);
    assert_eq!(part("/young").expect("it is not too old"), 3);
    set_age(&scratch.path().join(hidden(scratch.path())), PART_EXPIRY + minute);
    check_error(part("/young"), ErrorKind::NotFound);
    check_error(store.open_upload(request("/young", UploadPlan::At(3))).wait(), ErrorKind::OffsetBeyondEnd);
    assert!(on_disk(scratch.path()).is_empty(), "it was removed when it was wanted");

    // Keeping a part sweeps the directory: of old parts, also of those a killed program has left, not of others.
    cut("/old");
    let old = scratch.path().join(hidden(scratch.path()));
    set_age(&old, PART_EXPIRY + minute);
    let orphan = scratch.path().join(".orphan.0123.4567.longshore-part");
    let stranger = scratch.path().join(".stranger");
    for file in [&orphan, &stranger] {
        fs::write(file, "x").expect("a file is written");
        set_age(file, PART_EXPIRY + minute);
    }
    let running = begin(&store, request("/running", UploadPlan::Replace), b"slow").expect("it opens");
    let mut active = on_disk(scratch.path());
    active.retain(|name| name.starts_with(".running"));
    set_age(&scratch.path().join(&active[0]), PART_EXPIRY + minute);
    cut("/new");
    assert!(!old.exists() && !orphan.exists() && stranger.exists());
    running.commit().wait().expect("a running upload is not swept away");
    assert_eq!(part("/new").expect("the new part is kept"), 3);
}

#[test]
fn a_planted_part_is_not_written_through() {
    let scratch = Scratch::new();
    let store = open_default(scratch.path());
    let victim = scratch.path().join("victim");
    fs::write(&victim, "precious").expect("a file is written");
    drop(begin(&store, request("/file", UploadPlan::Replace), b"cut"));
    let part = scratch.path().join(hidden(scratch.path()));
    for plant in [fs::hard_link::<&Path, &Path>, |target: &Path, link: &Path| symlink(target, link)] {
        let _ = fs::remove_file(&part);
        plant(&victim, &part).expect("it is planted");
        check_error(store.part("anna", &path("/file")).wait(), ErrorKind::NotFound);
        let at = store.open_upload(request("/file", UploadPlan::At(3))).wait();
        assert!(at.is_err(), "it was taken for a part");
        assert_eq!(fs::read(&victim).expect("it is there"), b"precious");
        let upload = store.open_upload(request("/file", UploadPlan::Append)).wait();
        if let Ok(mut upload) = upload {
            assert_eq!(upload.position(), 0);
            upload.write(b"new".to_vec()).wait().expect("it is written");
            upload.commit().wait().expect("it is stored");
            fs::remove_file(scratch.path().join("file")).expect("the file is removed");
        }
        assert_eq!(fs::read(&victim).expect("it is there"), b"precious");
    }
}

#[test]
fn the_last_job_tidies_up_not_the_handle() {
    let scratch = Scratch::new();
    let store = open_default(scratch.path());
    // The handle goes while a job is still to run: the part must not be taken for finished with before.
    let mut upload = begin(&store, request("/file", UploadPlan::Replace), b"first ").expect("it opens");
    let late = upload.write(b"second".to_vec());
    drop(upload);
    check_error(store.part("anna", &path("/file")).wait(), ErrorKind::NotFound);
    late.wait().expect("a job that was begun runs to its end");
    assert_eq!(store.part("anna", &path("/file")).wait().expect("it is kept").size, 12);

    // In place: truncated back after the job, not before it.
    put(&store, "/log", b"0123456789").expect("it is stored");
    let mut upload = begin(&store, request("/log", UploadPlan::Append), b"first ").expect("it opens");
    let late = upload.write(b"second".to_vec());
    drop(upload);
    check_error(store.open_upload(request("/log", UploadPlan::Append)).wait(), ErrorKind::Busy);
    late.wait().expect("a job that was begun runs to its end");
    assert_eq!(read(&store, "/log").expect("it can be read"), b"0123456789");
    begin(&store, request("/log", UploadPlan::Append), b"!").expect("nobody writes any more");
}

#[test]
fn an_append_is_not_taken_back_over_a_shorter_file() {
    let scratch = Scratch::new();
    let store = open_default(scratch.path());
    put(&store, "/log", b"0123456789").expect("it is stored");
    let upload = begin(&store, request("/log", UploadPlan::Append), b"more").expect("it opens");
    fs::write(scratch.path().join("log"), "01").expect("another program truncates it");
    upload.abandon().wait().expect("it is given up");
    assert_eq!(read(&store, "/log").expect("it can be read"), b"01", "no hole is made");
}

#[test]
fn a_directory_with_running_uploads_is_not_removed() {
    let scratch = Scratch::new();
    let store = open_default(scratch.path());
    store.make_directory(&path("/dir"), None).wait().expect("it is made");
    for plan in [UploadPlan::Replace, UploadPlan::Unique] {
        let upload = begin(&store, request("/dir/file", plan), b"x").expect("it opens");
        check_error(store.remove_directory(&path("/dir")).wait(), ErrorKind::NotEmpty);
        upload.abandon().wait().expect("it is given up");
    }
    // The part of a program that was killed looks like a running one, but nobody holds it.
    fs::write(scratch.path().join("dir/.a.b.c.longshore-part"), "x").expect("a file is written");
    store.remove_directory(&path("/dir")).wait().expect("only parts were in it");
    assert!(on_disk(scratch.path()).is_empty());
}

#[test]
fn a_reservation_holds_across_stores() {
    let scratch = Scratch::new();
    let (first, second) = (open_default(scratch.path()), open_default(scratch.path()));
    let a = begin(&first, request("/wish", UploadPlan::Unique), b"a").expect("it opens");
    let b = begin(&second, request("/wish", UploadPlan::Unique), b"b").expect("it opens");
    assert_ne!(a.path(), b.path());
    a.commit().wait().expect("it is stored");
    b.commit().wait().expect("it is stored");
    assert_eq!(on_disk(scratch.path()), ["wish", "wish-2"]);
}

#[test]
fn of_many_at_once_one_wins() {
    const THREADS: usize = 8;
    for _ in 0..20 {
        let scratch = Scratch::new();
        let store = open_default(scratch.path());
        let fast = |request| UploadRequest { durability: Durability::None, ..request };

        // One continues a part.
        drop(begin(&store, fast(request("/part", UploadPlan::Replace)), b"cut"));
        // Held until all have tried, else one after the other could have it.
        let held = std::sync::Mutex::new(Vec::new());
        let taken = race(THREADS, |_| {
            let upload = store.open_upload(fast(request("/part", UploadPlan::At(3)))).wait();
            upload.map(|upload| held.lock().expect("no thread panics").push(upload)).is_ok()
        });
        assert_eq!(taken, 1);

        // One makes a file that must not be there.
        let committed = race(THREADS, |number| {
            let request = UploadRequest {
                overwrite: false,
                owner: format!("owner {number}"),
                // Syncing gives the others time between the last look and the renaming.
                ..request("/new", UploadPlan::Replace)
            };
            begin(&store, request, number.to_string().as_bytes())
                .and_then(|upload| upload.commit().wait())
                .is_ok()
        });
        assert_eq!(committed, 1);

        // One gets the name.
        for number in 0..THREADS {
            fs::write(scratch.path().join(format!("from-{number}")), "").expect("a file is written");
        }
        let renamed = race(THREADS, |number| {
            store.rename(&path(format!("/from-{number}")), &path("/to"), false).wait().is_ok()
        });
        assert_eq!(renamed, 1);

        // All get names of their own.
        store.make_directory(&path("/unique"), None).wait().expect("it is made");
        let stored = race(THREADS, |_| {
            begin(&store, fast(request("/unique/wish", UploadPlan::Unique)), b"x")
                .and_then(|upload| upload.commit().wait())
                .is_ok()
        });
        assert_eq!((stored, on_disk(scratch.path().join("unique")).len()), (THREADS, THREADS));
    }
}

#[test]
fn where_a_directory_refuses_parts_the_policy_decides() {
    let scratch = Scratch::new();
    let root = scratch.fresh("root");
    let file = root.join("file");
    fs::write(&file, "0123456789").expect("a file is written");
    let Some(_closed) = Closed::new(&root) else {
        return not_run("no directory can be closed to this process");
    };
    let refuse = open_default(&root);
    for plan in [UploadPlan::Replace, UploadPlan::At(3)] {
        check_error(refuse.open_upload(request("/file", plan)).wait(), ErrorKind::PermissionDenied);
    }
    let append = begin(&refuse, request("/file", UploadPlan::Append), b"!").expect("no part is needed");
    append.commit().wait().expect("it is stored");
    assert_eq!(fs::read(&file).expect("it is there"), b"0123456789!");

    let store = open(&root, LocalOptions { in_place: InPlace::Fallback, ..LocalOptions::default() });
    check_error(store.open_upload(request("/new", UploadPlan::Replace)).wait(), ErrorKind::PermissionDenied);
    // Nothing was sent: nothing is lost.
    let upload = store.open_upload(request("/file", UploadPlan::Replace)).wait().expect("it opens");
    check_error(store.open_upload(request("/file", UploadPlan::Replace)).wait(), ErrorKind::Busy);
    assert_eq!(upload.abandon().wait().expect("it is given up").kept_bytes, None);
    assert_eq!(fs::read(&file).expect("it is there"), b"0123456789!");
    for (plan, octets, expected) in [
        (UploadPlan::At(3), &b"abc"[..], &b"012abc"[..]),
        (UploadPlan::Replace, b"new", b"new"),
        (UploadPlan::At(2), b"", b"ne"),
        (UploadPlan::Replace, b"", b""),
    ] {
        let upload = begin(&store, request("/file", plan), octets).expect("it opens");
        let committed = upload.commit().wait().expect("it is stored");
        assert_eq!((committed.size, committed.replaced), (expected.len() as u64, true), "{plan:?}");
        assert_eq!(fs::read(&file).expect("it is there"), expected, "{plan:?}");
    }
    assert_eq!(on_disk(&root), ["file"]);
}

#[test]
fn a_full_commit_reaches_new_directories_however_they_are_named() {
    let scratch = Scratch::new();
    let store = open_default(scratch.path());
    for name in ["/a", "/a/b", "/a/b/c"] {
        store.make_directory(&path(name), None).wait().expect("it is made");
    }
    symlink("a/b", scratch.path().join("link")).expect("a link is made");
    let full = |name| UploadRequest { durability: Durability::Full, ..request(name, UploadPlan::Replace) };
    let store_at = |name| {
        let upload = begin(&store, full(name), b"x").expect("it opens");
        upload.commit().wait().expect("it is stored");
    };
    store_at("/link/c/file");
    store.rename(&path("/a"), &path("/moved"), false).wait().expect("it is renamed");
    store_at("/moved/b/file");
    // More directories than are remembered one by one.
    for number in 0..4100 {
        store.make_directory(&path(format!("/moved/{number}")), None).wait().expect("it is made");
    }
    store_at("/moved/4099/file");
    assert_eq!(read(&store, "/moved/4099/file").expect("it can be read"), b"x");
}

#[test]
fn free_space_is_that_of_the_disk() {
    let scratch = Scratch::new();
    let store = open_default(scratch.path());
    for name in ["/", "/not-there"] {
        assert!(store.free_space(&path(name)).wait().expect("it is told").is_some_and(|free| free > 0));
    }
    check_error(store.free_space(&path("/not/there")).wait(), ErrorKind::NotFound);
}

#[test]
fn handles_can_be_sent_to_other_threads() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync + Clone>() {}
    sent::<Box<dyn Upload>>();
    shared::<Local>();
}
