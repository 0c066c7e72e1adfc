//! When the local store counts, who waits for that, and what it makes of what it cannot reach. That the count is true
//! is in `usage`.

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{Scratch, begin, check, check_error, commit, path, put, request, within};
use longshore_storage::local::{Local, LocalOptions};
use longshore_storage::{Backend, ErrorKind, Operation, UploadPlan, Usage};

fn open(root: &Path) -> Local {
    Local::open(root, LocalOptions::default()).expect("the root opens")
}

#[test]
fn a_file_of_two_names_does_not_keep_the_disk_busy() {
    let scratch = Scratch::new();
    let (store, root) = (open(scratch.path()), scratch.path());
    put(&store, "/log", b"0123456789").expect("it is stored");
    fs::hard_link(root.join("log"), root.join("same")).expect("a link is made");
    store.usage().wait().expect("it is counted");
    let begun = std::time::Instant::now();
    for round in 1..=3 {
        commit(begin(&store, request("/log", UploadPlan::Append), b"ab"));
        // What only a count sees.
        fs::write(root.join(format!("strange-{round}")), b"x").expect("a file is written");
        commit(begin(&store, within(1000, "/log", UploadPlan::Append), b"c"));
        let known = store.usage().wait().expect("it is known");
        if begun.elapsed() < Duration::from_secs(1) {
            // Counted at the first doubt, and not again.
            assert_eq!(known, Usage { bytes: 20 + round * 6 + 1, files: 3 }, "in round {round}");
        }
    }
    store.recount().wait().expect("it is counted");
    check(&store, root);
}

#[test]
fn moving_a_directory_out_of_reach_makes_no_room() {
    let scratch = Scratch::new();
    let (store, root) = (open(scratch.path()), scratch.path());
    let (mut deep, long) = (root.to_path_buf(), "d".repeat(250));
    for _ in 0..15 {
        deep.push(&long);
    }
    fs::create_dir_all(&deep).expect("directories are made");
    let below = format!("/moved/{}", "x".repeat(250));
    for name in ["/moved", &below, &format!("{below}/{long}")] {
        store.make_directory(&path(name), None).wait().expect("it is made");
    }
    let upload = within(1000, &format!("{below}/{long}/file"), UploadPlan::Replace);
    commit(begin(&store, upload, &[0; 1000]));
    let target = format!("{}/moved", vec![format!("/{long}"); 15].concat());
    store.rename(&path("/moved"), &path(&target), false).wait().expect("it is renamed");
    store.recount().wait().expect("what is out of reach is no reason to fail");
    check_error(
        store.open_upload(within(1000, "/more", UploadPlan::Replace)).wait(),
        ErrorKind::QuotaExceeded,
    );
    store.rename(&path(&target), &path("/moved"), false).wait().expect("it is renamed back");
    check(&store, root);
}

#[test]
fn who_waits_for_a_count_holds_no_thread() {
    let scratch = Scratch::new();
    fs::write(scratch.path().join("old"), [0; 50]).expect("a file is written");
    let upload = |store: &Local, name: &str| store.open_upload(within(100, name, UploadPlan::Replace));
    for ends in [true, false] {
        let store = open(scratch.path());
        let first = upload(&store, "/first");
        assert!(matches!(first, Operation::Blocking(_)), "one counts");
        let waiting: Vec<_> = (0..100).map(|number| upload(&store, &format!("/{number}"))).collect();
        let (usage, recount) = (store.usage(), store.recount());
        assert!(waiting.iter().all(|operation| matches!(operation, Operation::Later(_))));
        assert!(matches!((&usage, &recount), (Operation::Later(_), Operation::Later(_))));
        // Of those who wait, some go away.
        let mut waiting = waiting.into_iter().map(|operation| {
            let Operation::Later(mut future) = operation else { unreachable!("they were looked at") };
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(future.as_mut().poll(&mut context).is_pending());
            Operation::Later(future)
        });
        drop(waiting.by_ref().take(50).collect::<Vec<_>>());
        let waiting: Vec<_> = waiting.collect();
        if ends {
            first.wait().expect("it opens").discard().wait().expect("it is given up");
        } else {
            // Its session ended before its job began: somebody else has to count.
            drop(first);
        }
        for operation in waiting {
            operation.wait().expect("it opens").discard().wait().expect("it is given up");
        }
        for operation in [usage, recount] {
            assert_eq!(operation.wait().expect("it is known"), Usage { bytes: 50, files: 1 });
        }
        assert!(matches!(upload(&store, "/later"), Operation::Blocking(_)), "nobody has to wait any more");
    }
}

#[test]
fn a_refusal_does_not_wait_for_a_count() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    put(&store, "/file", &[0; 100]).expect("it is stored");
    store.usage().wait().expect("it is counted");
    let recount = store.recount();
    fs::remove_file(scratch.path().join("file")).expect("the file is taken");
    check_error(
        store.open_upload(within(100, "/more", UploadPlan::Replace)).wait(),
        ErrorKind::QuotaExceeded,
    );
    recount.wait().expect("it is counted");
    commit(begin(&store, within(100, "/more", UploadPlan::Replace), &[0; 100]));
}

#[test]
fn what_another_program_takes_away_is_noticed_before_a_refusal() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    let take = |name: &str| fs::remove_file(scratch.path().join(name)).expect("the file is taken");
    commit(begin(&store, within(100, "/1", UploadPlan::Replace), &[0; 100]));
    take("1");
    commit(begin(&store, within(100, "/2", UploadPlan::Replace), &[0; 100]));
    check(&store, scratch.path());
    // Counting again and again for who is refused would be a way to keep the disk busy.
    take("2");
    let begun = std::time::Instant::now();
    let outcome = store.open_upload(within(100, "/3", UploadPlan::Replace)).wait();
    if begun.elapsed() < Duration::from_secs(1) {
        check_error(outcome, ErrorKind::QuotaExceeded);
    }
    store.recount().wait().expect("whoever asks is told");
    commit(begin(&store, within(100, "/3", UploadPlan::Replace), &[0; 100]));
    check(&store, scratch.path());
}
