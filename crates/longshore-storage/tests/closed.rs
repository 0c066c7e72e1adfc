//! What the local store makes of directories that it may not look into. Root may look into all, so root runs these tests
//! as somebody else, by themselves: a process that is being started holds the locks of all uploads of its parent for a
//! moment.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;

use common::{Scratch, begin, check, commit, found, path, within};
use longshore_storage::local::{Local, LocalOptions};
use longshore_storage::{Backend, UploadPlan, Usage};

fn open(root: &Path) -> Local {
    Local::open(root, LocalOptions::default()).expect("the root opens")
}

/// Runs this very test again as a user whose rights are asked, which root's are not; whether it has.
fn rerun_without_rights(name: &str) -> bool {
    const MARK: &str = "LONGSHORE_STORAGE_WITHOUT_RIGHTS";
    let scratch = Scratch::new();
    let own = fs::metadata(scratch.path()).expect("the directory is there").uid();
    if own != 0 || std::env::var_os(MARK).is_some() {
        return false;
    }
    // From where it may be executed, whatever the rights of the folder it was built in.
    let program = scratch.path().join("test");
    // Not by this process: another thread may start a program while the copy is open, and what is open for writing
    // anywhere cannot be executed.
    let own = std::env::current_exe().expect("the program has a path");
    let copied = std::process::Command::new("cp").arg(own).arg(&program).status().expect("there is cp");
    assert!(copied.success());
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).expect("the mode is set");
    let run = std::process::Command::new(&program)
        .args(["--exact", name])
        .env(MARK, "1")
        .current_dir("/")
        .gid(65_534)
        .uid(65_534)
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
    true
}

#[test]
fn closing_a_directory_makes_no_room() {
    if rerun_without_rights("closing_a_directory_makes_no_room") {
        return;
    }
    for (mode, by_the_store) in [(0o300, true), (0o300, false), (0o600, false), (0o000, false)] {
        let scratch = Scratch::new();
        let (store, root) = (open(scratch.path()), scratch.path());
        let set = |name: &str, mode| {
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).expect("the mode is set");
        };
        let stored = (1..=4).filter(|number| {
            let directory = format!("/{number}");
            store.make_directory(&path(&directory), None).wait().expect("it is made");
            let upload =
                begin(&store, within(1000, &format!("/{number}/file"), UploadPlan::Replace), &[0; 1000]);
            let stored = upload.and_then(|upload| upload.commit().wait()).is_ok();
            if by_the_store {
                store.set_mode(&path(&directory), mode).wait().expect("the mode is set");
            } else {
                set(&directory[1..], mode);
            }
            // No rest has to be waited for.
            store.recount().wait().expect("what is closed is no reason to fail");
            stored
        });
        assert_eq!(stored.count(), 1, "of 1000 octets, {mode:o}");
        (1..=4).for_each(|number| set(&number.to_string(), 0o755));
        assert_eq!(found(root), Usage { bytes: 1000, files: 1 });
        store.remove_file(&path("/1/file")).wait().expect("it is removed");
        assert_eq!(check(&store, root), Usage::default(), "what is open again counts as ever");
    }
}

#[test]
fn what_was_closed_before_the_first_count_counts_nothing() {
    if rerun_without_rights("what_was_closed_before_the_first_count_counts_nothing") {
        return;
    }
    let scratch = Scratch::new();
    let (store, root) = (open(scratch.path()), scratch.path());
    fs::create_dir(root.join("closed")).expect("a directory is made");
    fs::write(root.join("closed/file"), [0; 500]).expect("a file is written");
    let set = |mode| {
        fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(mode)).expect("the mode is set");
    };
    set(0o300);
    commit(begin(&store, within(100, "/closed/new", UploadPlan::Replace), &[0; 60]));
    // More than before is believed, less is not.
    fs::write(root.join("strange"), [0; 70]).expect("a file is written");
    assert_eq!(store.recount().wait().expect("it is counted"), Usage { bytes: 70, files: 1 });
    fs::remove_file(root.join("strange")).expect("the file is taken");
    assert_eq!(store.recount().wait().expect("it is counted"), Usage { bytes: 70, files: 1 });
    set(0o755);
    assert_eq!(store.recount().wait().expect("it is counted"), Usage { bytes: 560, files: 2 });
}
