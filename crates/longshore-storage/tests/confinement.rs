//! Nothing outside the root is ever opened, made or removed: links of every kind, and directories that are swapped
//! for links while the store works. Every test runs with both resolvers.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Scratch, begin, check_error, list, on_disk, path, put, read, request};
use longshore_storage::local::{Local, LocalOptions, Resolver};
use longshore_storage::{Backend, Detail, ErrorKind, FileId, Kind, Timestamp, UploadPlan, UploadRequest};
use rustix::fs::{CWD, RenameFlags};

const RESOLVERS: [Resolver; 2] = [Resolver::Openat2, Resolver::Walk];

/// A root with a directory in it, and a directory beside the root that must stay as it is.
struct Ground {
    scratch: Scratch,
    root: PathBuf,
    outside: PathBuf,
}

impl Ground {
    fn new() -> Ground {
        let scratch = Scratch::new();
        let (root, outside) = (scratch.path().join("root"), scratch.path().join("outside"));
        for directory in [&root, &outside, &root.join("dir"), &root.join("dir/sub"), &outside.join("below")] {
            fs::create_dir(directory).expect("a directory is made");
        }
        fs::write(root.join("top"), "top").expect("a file is written");
        fs::write(root.join("dir/file"), "inside").expect("a file is written");
        fs::write(outside.join("file"), "secret").expect("a file is written");
        fs::write(outside.join("below/file"), "secret").expect("a file is written");
        Ground { scratch, root, outside }
    }

    fn open(&self, resolver: Resolver) -> Local {
        Local::open(&self.root, LocalOptions { resolver, ..LocalOptions::default() }).expect("the root opens")
    }

    fn link(&self, name: &str, target: &str) {
        symlink(target, self.root.join(name)).expect("a link is made");
    }

    #[track_caller]
    fn check_outside(&self) {
        assert_eq!(on_disk(&self.outside), ["below", "file"]);
        assert_eq!(on_disk(self.outside.join("below")), ["file"]);
        for file in ["file", "below/file"] {
            assert_eq!(fs::read(self.outside.join(file)).expect("it is there"), b"secret");
        }
    }
}

/// Everything the store can do at or below a name fails in this way.
#[track_caller]
fn check_refused(store: &Local, name: &str, expected: ErrorKind) {
    let at = path(name);
    check_error(store.open_read(&at).wait(), expected);
    check_error(store.open_directory(&at).wait(), expected);
    check_error(store.set_modified(&at, Timestamp { seconds: 0, nanoseconds: 0 }).wait(), expected);
    check_error(store.set_mode(&at, 0o666).wait(), expected);
    check_error(store.free_space(&at).wait(), expected);
    for plan in [UploadPlan::Replace, UploadPlan::Append, UploadPlan::At(3), UploadPlan::At(6)] {
        check_error(store.open_upload(request(name, plan)).wait(), expected);
    }
    for below in ["file", "below", "new", "below/file", "below/new"] {
        let below = at.join(below).expect("the test's own paths are valid");
        check_error(store.stat(&below).wait(), expected);
        check_error(store.part("anna", &below).wait(), expected);
        check_error(store.open_read(&below).wait(), expected);
        check_error(store.open_directory(&below).wait(), expected);
        check_error(store.make_directory(&below, None).wait(), expected);
        check_error(store.remove_directory(&below).wait(), expected);
        check_error(store.remove_file(&below).wait(), expected);
        check_error(store.rename(&below, &path("/stolen"), true).wait(), expected);
        check_error(store.rename(&path("/top"), &below, true).wait(), expected);
        check_error(store.rename(&path("/top"), &below, false).wait(), expected);
        check_error(store.set_modified(&below, Timestamp { seconds: 0, nanoseconds: 0 }).wait(), expected);
        check_error(store.set_mode(&below, 0o666).wait(), expected);
        for plan in [UploadPlan::Replace, UploadPlan::Append, UploadPlan::At(3), UploadPlan::Unique] {
            let request = UploadRequest { path: below.clone(), ..request("/", plan) };
            check_error(store.open_upload(request).wait(), expected);
        }
    }
}

#[test]
fn links_out_of_the_root_are_refused() {
    let ground = Ground::new();
    let outside = ground.outside.to_str().expect("the scratch directory has a plain name");
    let root = ground.root.to_str().expect("the scratch directory has a plain name");
    for (name, target) in [
        ("absolute", outside),
        ("absolute-inside", &format!("{root}/dir")),
        ("slash", "/"),
        ("magic", "/proc/self/root"),
        ("relative", "../outside"),
        ("above", ".."),
        ("far-above", "../../../../../../../../../../.."),
        ("dir/relative", "../../outside"),
        ("dir/sub/relative", "../.././../outside/below/.."),
        ("in-and-out", "dir/../../outside"),
        ("out-and-in", "../root/dir"),
        ("through", "dir/relative/below"),
        ("twice", "dir/sub/again"),
        ("dir/sub/again", "../../dir/../relative"),
    ] {
        ground.link(name, target);
    }
    for resolver in RESOLVERS {
        let store = ground.open(resolver);
        for name in [
            "/absolute",
            "/absolute-inside",
            "/slash",
            "/magic",
            "/relative",
            "/above",
            "/far-above",
            "/dir/relative",
            "/dir/sub/relative",
            "/in-and-out",
            "/out-and-in",
            "/through",
            "/twice",
        ] {
            check_refused(&store, name, ErrorKind::PermissionDenied);
            let entry = store.stat(&path(name)).wait().expect("the link itself is there");
            assert_eq!(entry.kind, Kind::Other, "{name}");
            assert!(entry.link_target.is_some(), "{name}");
        }
        ground.check_outside();
        assert_eq!(on_disk(ground.root.join("dir")), ["file", "relative", "sub"]);
    }
}

#[test]
fn links_to_files_outside_are_refused() {
    let ground = Ground::new();
    let secret = ground.outside.join("file");
    ground.link("absolute", secret.to_str().expect("the scratch directory has a plain name"));
    ground.link("relative", "../outside/file");
    ground.link("new", "../outside/new");
    ground.link("chain", "relative");
    for resolver in RESOLVERS {
        let store = ground.open(resolver);
        for name in ["/absolute", "/relative", "/new", "/chain"] {
            check_error(read(&store, name), ErrorKind::PermissionDenied);
            check_error(put(&store, name, b"x"), ErrorKind::PermissionDenied);
            check_error(begin(&store, request(name, UploadPlan::Append), b"x"), ErrorKind::PermissionDenied);
            check_error(store.part("anna", &path(name)).wait(), ErrorKind::PermissionDenied);
            let careful = UploadRequest { overwrite: false, ..request(name, UploadPlan::Replace) };
            check_error(store.open_upload(careful).wait(), ErrorKind::PermissionDenied);
        }
        ground.check_outside();
    }
    // The links themselves belong to the tree.
    let store = ground.open(Resolver::Auto);
    store.rename(&path("/absolute"), &path("/renamed"), false).wait().expect("the link is renamed");
    for name in ["/renamed", "/relative", "/new", "/chain"] {
        store.remove_file(&path(name)).wait().expect("the link is removed");
    }
    ground.check_outside();
}

#[test]
fn links_that_stay_inside_are_followed() {
    let ground = Ground::new();
    for (name, target) in [
        ("file", "dir/file"),
        ("dir/up", "../top"),
        ("dir/root", ".."),
        ("dir/sub/self", "."),
        ("dir/sub/around", "../../dir/./sub//../file"),
        ("directory", "dir/"),
        ("chain", "directory/sub/around"),
    ] {
        ground.link(name, target);
    }
    for resolver in RESOLVERS {
        let store = ground.open(resolver);
        for (name, contents) in [
            ("/file", &b"inside"[..]),
            ("/dir/up", b"top"),
            ("/dir/root/top", b"top"),
            ("/dir/root/dir/root/dir/file", b"inside"),
            ("/dir/sub/self/self/around", b"inside"),
            ("/directory/file", b"inside"),
            ("/chain", b"inside"),
        ] {
            assert_eq!(read(&store, name).expect("it can be read"), contents, "{name}");
            let entry = store.stat(&path(name)).wait().expect("it is there");
            assert_eq!((entry.kind, entry.size), (Kind::File, contents.len() as u64), "{name}");
        }
        assert_eq!(list(&store, "/dir/root"), ["chain", "dir", "directory", "file", "top"]);
        let root = store.stat(&path("/dir/root")).wait().expect("it is there");
        assert_eq!((root.kind, root.link_target), (Kind::Directory, Some(b"..".to_vec())));
        assert_eq!(root.id, store.stat(&path("/")).wait().expect("the root is there").id);
        check_error(read(&store, "/dir/root"), ErrorKind::IsADirectory);
        check_error(
            store.open_upload(request("/dir/root", UploadPlan::Replace)).wait(),
            ErrorKind::IsADirectory,
        );
    }
}

#[test]
fn loops_and_long_chains_end() {
    let ground = Ground::new();
    ground.link("self", "self");
    ground.link("loop-a", "dir/loop-b");
    ground.link("dir/loop-b", "../loop-a");
    ground.link("deeper", "deeper/deeper");
    for number in 1..=41 {
        let target = if number == 1 { "top".to_owned() } else { format!("chain-{}", number - 1) };
        ground.link(&format!("chain-{number}"), &target);
        let target = if number == 1 { "dir".to_owned() } else { format!("dirs-{}", number - 1) };
        ground.link(&format!("dirs-{number}"), &target);
    }
    for resolver in RESOLVERS {
        let store = ground.open(resolver);
        for name in ["/self", "/loop-a", "/deeper"] {
            check_refused(&store, name, ErrorKind::PermissionDenied);
        }
        assert_eq!(read(&store, "/chain-40").expect("40 links are followed"), b"top");
        check_error(read(&store, "/chain-41"), ErrorKind::PermissionDenied);
        assert_eq!(read(&store, "/dirs-40/file").expect("40 links are followed"), b"inside");
        check_error(read(&store, "/dirs-41/file"), ErrorKind::PermissionDenied);
    }
}

/// What a resolution comes to.
fn outcome(store: &Local, name: &str) -> Result<FileId, ErrorKind> {
    match store.open_read(&path(name)).wait() {
        Ok(file) => Ok(file.entry().id),
        Err(error) if error.kind == ErrorKind::IsADirectory => {
            // Of a directory the identity says where the way has led, too.
            let directory = store.free_space(&path(name)).wait();
            directory.expect("a directory that was found can be asked");
            store.stat(&path(name)).wait().map(|entry| entry.id).map_err(|error| error.kind)
        }
        Err(error) => Err(error.kind),
    }
}

#[test]
fn both_resolvers_agree_on_trees_of_random_links() {
    const WORDS: [&str; 9] = ["..", "..", ".", "", "a", "b", "c", "d", "file"];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draw = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below) as usize
    };
    let (mut found, mut refused) = (0, 0);
    for _ in 0..60 {
        let ground = Ground::new();
        for directory in ["a", "a/b", "a/b/c", "d"] {
            fs::create_dir(ground.root.join(directory)).expect("a directory is made");
            fs::write(ground.root.join(directory).join("file"), directory).expect("a file is written");
        }
        for directory in ["", "a", "a/b", "a/b/c", "d"] {
            for name in ["a", "b", "c", "d", "x"] {
                let mut target: Vec<&str> = (0..=draw(5)).map(|_| WORDS[draw(9)]).collect();
                if target.concat().is_empty() {
                    target = vec!["."];
                }
                // Taken names stay what they are.
                let _ = symlink(target.join("/"), ground.root.join(directory).join(name));
            }
        }
        let [kernel, walk] = RESOLVERS.map(|resolver| ground.open(resolver));
        for _ in 0..200 {
            let words: Vec<&str> =
                (0..=draw(6)).map(|_| ["a", "b", "c", "d", "x", "file"][draw(6)]).collect();
            let name = format!("/{}", words.join("/"));
            let expected = outcome(&kernel, &name);
            assert_eq!(outcome(&walk, &name), expected, "{name}");
            let status = |store: &Local| store.stat(&path(&name)).wait().map_err(|error| error.kind);
            assert_eq!(status(&walk), status(&kernel), "{name}");
            let upload = |store: &Local| {
                let upload = store.open_upload(request(&name, UploadPlan::At(u64::MAX))).wait();
                upload.map(drop).map_err(|error| error.kind)
            };
            assert_eq!(upload(&walk), upload(&kernel), "{name}");
            match expected {
                Ok(_) => found += 1,
                Err(ErrorKind::PermissionDenied) => refused += 1,
                Err(_) => {}
            }
        }
        ground.check_outside();
    }
    assert!(found > 100 && refused > 100, "the trees are too dull: {found} found, {refused} refused");
}

#[test]
fn pipes_sockets_and_devices_are_not_opened() {
    let ground = Ground::new();
    let make = |name: &str, kind, device| {
        rustix::fs::mknodat(CWD, ground.root.join(name), kind, rustix::fs::Mode::from_raw_mode(0o666), device)
    };
    make("pipe", rustix::fs::FileType::Fifo, 0).expect("a pipe is made");
    let _socket =
        std::os::unix::net::UnixListener::bind(ground.root.join("socket")).expect("a socket is bound");
    let mut names = vec!["pipe", "socket"];
    // The null device: only root makes one.
    if make("device", rustix::fs::FileType::CharacterDevice, rustix::fs::makedev(1, 3)).is_ok() {
        names.push("device");
    }
    for resolver in RESOLVERS {
        let store = ground.open(resolver);
        for name in &names {
            let name = &format!("/{name}");
            assert_eq!(store.stat(&path(name)).wait().expect("it is there").kind, Kind::Other);
            check_error(read(&store, name), ErrorKind::NotAFile);
            for plan in [UploadPlan::Replace, UploadPlan::Append, UploadPlan::At(1), UploadPlan::At(0)] {
                check_error(store.open_upload(request(name, plan)).wait(), ErrorKind::NotAFile);
            }
            check_error(store.rename(&path("/top"), &path(name), true).wait(), ErrorKind::NotAFile);
            check_error(store.open_directory(&path(name)).wait(), ErrorKind::NotADirectory);
            check_error(store.set_mode(&path(name), 0o600).wait(), ErrorKind::NotAFile);
        }
    }
}

#[test]
fn a_directory_swapped_for_a_link_during_an_upload_does_not_redirect_it() {
    for resolver in RESOLVERS {
        let ground = Ground::new();
        let store = ground.open(resolver);
        let upload = begin(&store, request("/dir/file", UploadPlan::Replace), b"sent").expect("it opens");
        fs::rename(ground.root.join("dir"), ground.root.join("old")).expect("the directory is moved");
        ground.link("dir", "../outside");
        check_error(upload.commit().wait(), ErrorKind::PermissionDenied);
        ground.check_outside();
        assert_eq!(fs::read(ground.root.join("old/file")).expect("it is there"), b"inside");
    }
}

#[test]
fn a_directory_moved_out_of_the_root_gets_no_file() {
    for resolver in RESOLVERS {
        for plan in [UploadPlan::Replace, UploadPlan::Append, UploadPlan::Unique] {
            let ground = Ground::new();
            let store = ground.open(resolver);
            let upload = begin(&store, request("/dir/file", plan), b"sent").expect("it opens");
            let elsewhere = ground.scratch.path().join("elsewhere");
            fs::rename(ground.root.join("dir"), &elsewhere).expect("the directory is moved");
            check_error(upload.commit().wait(), ErrorKind::NotFound);
            let visible: Vec<_> =
                on_disk(&elsewhere).into_iter().filter(|name| !name.starts_with('.')).collect();
            assert_eq!(visible, ["file", "sub"]);
            assert_eq!(fs::read(elsewhere.join("file")).expect("it is there"), b"inside");
        }
    }
}

/// Swaps `dir` and a link to the outside without pause while `work` runs.
fn while_swapping(ground: &Ground, target: &str, work: impl FnOnce()) {
    ground.link("swap", target);
    let (dir, swap) = (ground.root.join("dir"), ground.root.join("swap"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &dir, CWD, &swap, RenameFlags::EXCHANGE).expect("they swap");
            }
        });
        // The other thread must end also when the work panics.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn renames_elsewhere_do_not_disturb() {
    for resolver in RESOLVERS {
        let (ground, elsewhere) = (Ground::new(), Ground::new());
        ground.link("dir/up", "../dir/sub/../../top");
        let store = ground.open(resolver);
        while_swapping(&elsewhere, "top", || {
            for _ in 0..3000 {
                assert_eq!(read(&store, "/dir/up").expect("it can be read"), b"top");
                let upload = store.open_upload(request("/dir/up", UploadPlan::At(4))).wait();
                check_error(upload, ErrorKind::OffsetBeyondEnd);
            }
        });
    }
}

#[test]
fn a_directory_swapped_without_pause_leads_nowhere_else() {
    const ROUNDS: u32 = 600;
    for resolver in RESOLVERS {
        for absolute in [false, true] {
            let ground = Ground::new();
            let target = if absolute { ground.outside.clone() } else { PathBuf::from("../outside") };
            let store = ground.open(resolver);
            let (mut reads, mut writes) = (0, 0);
            while_swapping(&ground, target.to_str().expect("a plain name"), || {
                for round in 0..ROUNDS {
                    if let Ok(contents) = read(&store, "/dir/file") {
                        assert_ne!(contents, b"secret", "a file outside the root was read");
                        reads += 1;
                    }
                    if let Ok(mut directory) = store.open_directory(&path("/dir")).wait()
                        && let Ok(Some(batch)) = directory.next_entries(Detail::All).wait()
                    {
                        assert!(
                            batch.entries.iter().all(|entry| entry.name != b"below"),
                            "the outside was listed"
                        );
                    }
                    let plan =
                        [UploadPlan::Replace, UploadPlan::Append, UploadPlan::At(3), UploadPlan::Unique];
                    let request = UploadRequest {
                        durability: longshore_storage::Durability::None,
                        ..request("/dir/file", plan[round as usize % 4])
                    };
                    let stored = begin(&store, request, b"inside").and_then(|upload| upload.commit().wait());
                    writes += u32::from(stored.is_ok());
                    let new = path(format!("/dir/new-{round}"));
                    let _ = store.make_directory(&new, None).wait();
                    let _ = store.rename(&new, &path("/dir/other"), true).wait();
                    let _ = store.remove_directory(&path("/dir/other")).wait();
                    let _ = store.remove_directory(&new).wait();
                    let _ = store.remove_file(&path("/dir/below/file")).wait();
                    let _ = store
                        .set_modified(&path("/dir/file"), Timestamp { seconds: 1, nanoseconds: 0 })
                        .wait();
                    let _ = store.set_mode(&path("/dir/file"), 0o606).wait();
                    let _ = store.usage().wait();
                }
            });
            ground.check_outside();
            let modified = fs::metadata(ground.outside.join("file")).and_then(|file| file.modified());
            let modified = modified.expect("the outside file is there");
            assert_ne!(Timestamp::from(modified).seconds, 1, "a file outside the root was touched");
            for name in ["file", "below", "."] {
                let mode = fs::metadata(ground.outside.join(name)).expect("it is there").permissions().mode();
                assert_ne!(mode & 0o777, 0o606, "{name}: the mode of a file outside the root was set");
            }
            // Not every round can have met the link: the store works on while it is attacked.
            assert!(reads > 0 && writes > 0, "{resolver:?}: {reads} reads, {writes} writes succeeded");
        }
    }
}
