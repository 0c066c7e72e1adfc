//! What is let in and what is not. How it is counted is in `usage`.

use super::kit::{Kit, OWNER, check_error, path, request};
use super::usage::Chance;
use crate::{ErrorKind, Quota, Result, Upload, UploadPlan, UploadRequest};

const HUNDRED: Quota = Quota { bytes: Some(100), files: None };

fn within(quota: Quota, name: &str, plan: UploadPlan) -> UploadRequest {
    UploadRequest { quota, ..request(name, plan) }
}

fn limited(limit_bytes: u64, name: &str, plan: UploadPlan) -> UploadRequest {
    UploadRequest { file_limit_bytes: Some(limit_bytes), ..request(name, plan) }
}

/// Stores so many octets, written in two pieces.
fn put(kit: &Kit<'_>, request: UploadRequest, size: usize) -> Result<()> {
    let mut upload = kit.open(request)?;
    for piece in [size / 3, size - size / 3] {
        if let Err(failure) = kit.wait(upload.write(vec![0; piece])) {
            kit.discard(upload);
            return Err(failure);
        }
    }
    kit.wait(upload.commit()).map(drop)
}

pub(super) fn without_a_quota_nothing_is_refused(kit: &Kit<'_>) {
    put(kit, within(HUNDRED, "/file", UploadPlan::Replace), 100).expect("it just fits");
    put(kit, request("/other", UploadPlan::Replace), 1000).expect("nothing bounds it");
    kit.check_usage(1100, 2);
    // And whoever has a quota is held to all that is there.
    check_error(put(kit, within(HUNDRED, "/third", UploadPlan::Replace), 1), ErrorKind::QuotaExceeded);
    // Becoming less is no reason, and not becoming less enough is.
    let quota = Quota { bytes: Some(500), files: None };
    check_error(put(kit, within(quota, "/other", UploadPlan::Replace), 401), ErrorKind::QuotaExceeded);
    put(kit, within(quota, "/other", UploadPlan::Replace), 400).expect("it just fits");
    kit.check_usage(500, 2);
}

pub(super) fn a_quota_is_exact_to_the_octet(kit: &Kit<'_>) {
    for plan in [UploadPlan::Replace, UploadPlan::Unique, UploadPlan::Append, UploadPlan::At(0)] {
        check_error(put(kit, within(HUNDRED, "/file", plan), 101), ErrorKind::QuotaExceeded);
        kit.check_usage(0, 0);
        put(kit, within(HUNDRED, "/file", plan), 100).expect("it just fits");
        kit.check_usage(100, 1);
        check_error(kit.open(within(HUNDRED, "/next", plan)).map(drop), ErrorKind::QuotaExceeded);
        kit.check_usage(100, 1);
        kit.remove("/file");
    }
    // The same where all octets come with the commit, and nothing is kept of what was refused.
    let whole = |written: usize, last: usize| {
        let upload = kit.begin(within(HUNDRED, "/file", UploadPlan::Replace), &vec![1; written]);
        kit.wait(upload.commit_with(vec![2; last])).map(drop)
    };
    for (written, last) in [(0, 100), (60, 40), (100, 0)] {
        check_error(whole(written, last + 1), ErrorKind::QuotaExceeded);
        kit.check_usage(0, 0);
        kit.check_part(OWNER, "/file", None);
        whole(written, last).expect("it just fits");
        kit.check_usage(100, 1);
        kit.remove("/file");
    }
    // Of a buffer that does not fit, nothing is written.
    let mut upload = kit.begin(within(HUNDRED, "/file", UploadPlan::Replace), &[1; 60]);
    check_error(kit.wait(upload.write(vec![2; 41])), ErrorKind::QuotaExceeded);
    kit.check_usage(60, 1);
    assert_eq!(kit.abandon(upload), Some(60));
    let mut upload = kit.open(within(HUNDRED, "/file", UploadPlan::At(60))).expect("it is gone on with");
    kit.write(&mut *upload, &[2; 40]);
    kit.commit(upload);
    kit.check_contents("/file", &[[1; 60].as_slice(), &[2; 40]].concat());
    check_error(kit.open(within(HUNDRED, "/file", UploadPlan::Append)).map(drop), ErrorKind::QuotaExceeded);
    let more = Quota { bytes: Some(101), files: None };
    put(kit, within(more, "/more", UploadPlan::Replace), 1).expect("it just fits");
}

pub(super) fn a_quota_of_files_is_exact(kit: &Kit<'_>) {
    let two = Quota { bytes: None, files: Some(2) };
    put(kit, within(two, "/a", UploadPlan::Replace), 10).expect("it fits");
    let running = kit.begin(within(two, "/b", UploadPlan::Replace), b"x");
    for plan in [UploadPlan::Replace, UploadPlan::Unique, UploadPlan::Append] {
        check_error(kit.open(within(two, "/c", plan)).map(drop), ErrorKind::QuotaExceeded);
    }
    kit.check_usage(11, 2);
    kit.commit(running);
    // Nothing new is needed, or in the end there are no more than before.
    put(kit, within(two, "/a", UploadPlan::Append), 1).expect("no file is made");
    put(kit, within(two, "/a", UploadPlan::Replace), 1).expect("it takes another's place");
    put(kit, within(two, "/a", UploadPlan::At(1)), 1).expect("it goes on");
    kit.check_usage(3, 2);
    check_error(put(kit, within(two, "/c", UploadPlan::Replace), 0), ErrorKind::QuotaExceeded);
    kit.remove("/a");
    kit.cut("/c", b"part");
    check_error(kit.open(within(two, "/d", UploadPlan::Replace)).map(drop), ErrorKind::QuotaExceeded);
    put(kit, within(two, "/c", UploadPlan::At(4)), 1).expect("the part is there already");
    kit.check_usage(6, 2);
}

pub(super) fn what_is_replaced_is_credited(kit: &Kit<'_>) {
    put(kit, within(HUNDRED, "/file", UploadPlan::Replace), 90).expect("it fits");
    for plan in [UploadPlan::Replace, UploadPlan::At(0), UploadPlan::At(30)] {
        let begins = if plan == UploadPlan::At(30) { 30 } else { 0 };
        put(kit, within(HUNDRED, "/file", plan), 90 - begins).expect("the old file makes room");
        kit.check_usage(90, 1);
        let mut upload = kit.open(within(HUNDRED, "/file", plan)).expect("the upload opens");
        kit.write(&mut *upload, &vec![0; 100 - begins]);
        check_error(kit.wait(upload.write(vec![0; 1])), ErrorKind::QuotaExceeded);
        kit.discard(upload);
        kit.check_usage(90, 1);
    }
    // While it runs, the old file is not held against others either: in the end it will be gone.
    let mut replacing = kit.begin(within(HUNDRED, "/file", UploadPlan::Replace), &[0; 90]);
    let mut other = kit.begin(within(HUNDRED, "/other", UploadPlan::Replace), &[0; 10]);
    check_error(kit.wait(other.write(vec![0; 1])), ErrorKind::QuotaExceeded);
    check_error(kit.wait(replacing.write(vec![0; 1])), ErrorKind::QuotaExceeded);
    kit.discard(other);
    put(kit, within(HUNDRED, "/other", UploadPlan::Replace), 10).expect("it just fits");
    kit.discard(replacing);
    kit.check_usage(100, 2);
    let replacing = kit.begin(within(HUNDRED, "/file", UploadPlan::Replace), &[0; 90]);
    kit.commit(replacing);
    kit.check_usage(100, 2);
    // Who may not replace it has nothing of that.
    kit.remove("/other");
    let mut careful = kit
        .open(UploadRequest { overwrite: false, ..within(HUNDRED, "/new", UploadPlan::Replace) })
        .expect("the upload opens");
    kit.rename("/file", "/new", false).expect("the file is renamed");
    check_error(kit.wait(careful.write(vec![0; 11])), ErrorKind::QuotaExceeded);
}

pub(super) fn what_is_replaced_makes_room_only_once(kit: &Kit<'_>) {
    let changes: [fn(&Kit<'_>); 2] = [
        |_| {},
        // The file that was to be replaced has gone, and the next upload is about another.
        |kit| {
            kit.remove("/file");
            let _ = put(kit, within(HUNDRED, "/file", UploadPlan::Replace), 100);
        },
    ];
    for change in changes {
        kit.put("/file", &[0; 100]);
        let mut uploads: Vec<Box<dyn Upload>> = Vec::new();
        for _ in 0..20 {
            if let Ok(mut upload) = kit.open(within(HUNDRED, "/file", UploadPlan::Replace)) {
                // Refused or not, it stays open.
                let _ = kit.wait(upload.write(vec![1; 100]));
                uploads.push(upload);
            }
            change(kit);
            let used = kit.usage().bytes;
            assert!(used <= 200, "{used} octets, where 100 may replace 100");
        }
        drop(uploads);
        put(kit, within(HUNDRED, "/file", UploadPlan::Replace), 100).expect("the old file makes room");
        kit.check_usage(100, 1);
    }
    // All that the quota lets in can be replaced at once.
    let names = ["/file", "/other"];
    kit.put("/other", &[0; 100]);
    let two = Quota { bytes: Some(200), files: Some(2) };
    let uploads = names.map(|name| kit.begin(within(two, name, UploadPlan::Replace), &[4; 100]));
    kit.check_usage(400, 4);
    for upload in uploads {
        kit.commit(upload);
    }
    kit.check_usage(200, 2);
}

pub(super) fn an_older_part_is_credited(kit: &Kit<'_>) {
    kit.cut("/file", &[0; 90]);
    check_error(put(kit, within(HUNDRED, "/other", UploadPlan::Replace), 11), ErrorKind::QuotaExceeded);
    let another =
        UploadRequest { owner: "berta".to_owned(), ..within(HUNDRED, "/file", UploadPlan::Replace) };
    check_error(put(kit, another, 11), ErrorKind::QuotaExceeded);
    kit.check_part(OWNER, "/file", Some(90));
    check_error(put(kit, within(HUNDRED, "/file", UploadPlan::Replace), 101), ErrorKind::QuotaExceeded);
    put(kit, within(HUNDRED, "/file", UploadPlan::Replace), 100).expect("it just fits");
    kit.check_usage(100, 1);
    kit.remove("/file");
    // A part that takes the place of an older one.
    kit.cut("/file", &[0; 90]);
    let upload = kit.begin(within(HUNDRED, "/file", UploadPlan::Replace), &[0; 95]);
    assert_eq!(kit.abandon(upload), Some(95));
    kit.check_usage(95, 1);
    // What is cut off the part makes room.
    let quota = Quota { bytes: Some(95), files: None };
    check_error(kit.open(within(quota, "/file", UploadPlan::At(95))).map(drop), ErrorKind::QuotaExceeded);
    kit.check_part(OWNER, "/file", Some(95));
    put(kit, within(quota, "/file", UploadPlan::At(94)), 1).expect("it just fits");
}

pub(super) fn going_on_counts_what_is_added(kit: &Kit<'_>) {
    put(kit, within(HUNDRED, "/log", UploadPlan::Replace), 90).expect("it fits");
    for plan in [UploadPlan::Append, UploadPlan::At(90)] {
        let mut upload = kit.begin(within(HUNDRED, "/log", plan), &[0; 9]);
        check_error(kit.wait(upload.write(vec![0; 2])), ErrorKind::QuotaExceeded);
        kit.check_usage(99, 1);
        kit.discard(upload);
        kit.check_usage(90, 1);
    }
    put(kit, within(HUNDRED, "/log", UploadPlan::Append), 10).expect("it just fits");
    kit.check_usage(100, 1);
    for plan in [UploadPlan::Append, UploadPlan::At(100)] {
        check_error(kit.open(within(HUNDRED, "/log", plan)).map(drop), ErrorKind::QuotaExceeded);
    }
    // And taking it back makes room for others.
    let quota = Quota { bytes: Some(110), files: None };
    let upload = kit.begin(within(quota, "/log", UploadPlan::Append), &[0; 10]);
    check_error(kit.open(within(quota, "/other", UploadPlan::Replace)).map(drop), ErrorKind::QuotaExceeded);
    kit.abandon(upload);
    put(kit, within(quota, "/other", UploadPlan::Replace), 10).expect("it just fits");
}

pub(super) fn a_file_that_shrinks_takes_its_credit_along(kit: &Kit<'_>) {
    let others: [(&dyn Fn(), u64); 3] = [
        // Gone, and other octets are there instead.
        (&|| kit.rename("/file", "/kept", true).expect("the file is renamed"), 90),
        // Replaced by a smaller one.
        (&|| kit.put("/file", &[0; 5]), 90),
        // Gone for good.
        (&|| kit.remove("/file"), 0),
    ];
    for (change, other) in others {
        kit.put("/file", &[0; 90]);
        let upload = kit.begin(within(HUNDRED, "/file", UploadPlan::Replace), &[0; 90]);
        change();
        if other > 0 {
            let rest = kit.usage().bytes - 90;
            kit.put("/more", &vec![0; other.saturating_sub(rest) as usize]);
            check_error(kit.wait(upload.commit()), ErrorKind::QuotaExceeded);
            assert!(kit.read("/file").is_ok_and(|octets| octets.len() == 5) || kit.stat("/file").is_err());
            kit.remove("/more");
            let _ = kit.wait(kit.backend.remove_file(&path("/kept")));
            let _ = kit.wait(kit.backend.remove_file(&path("/file")));
            kit.put("/file", b"");
            kit.remove("/file");
            kit.check_usage(0, 0);
        } else {
            kit.commit(upload);
            kit.check_usage(90, 1);
        }
    }
}

pub(super) fn many_uploads_at_once_never_exceed_a_quota(kit: &Kit<'_>) {
    let quota = Quota { bytes: Some(50_000), files: Some(12) };
    let mut chance = Chance(2);
    let mut uploads: Vec<(Box<dyn Upload>, bool)> = Vec::new();
    let (mut refused, mut stored) = (0, 0);
    for _ in 0..4000 {
        let name = format!("/{}", chance.below(15));
        let chosen = chance.below(uploads.len().max(1) as u64) as usize;
        match chance.below(10) {
            0 | 1 if uploads.len() < 20 => {
                let plan = match chance.below(5) {
                    0 => UploadPlan::Append,
                    1 => UploadPlan::At(chance.below(6000)),
                    2 => UploadPlan::Unique,
                    _ => UploadPlan::Replace,
                };
                uploads.extend(kit.open(within(quota, &name, plan)).map(|upload| (upload, true)));
            }
            2..=6 if !uploads.is_empty() && uploads[chosen].1 => {
                let octets = vec![0; chance.below(3000) as usize];
                if let Err(failure) = kit.wait(uploads[chosen].0.write(octets)) {
                    refused += u32::from(failure.kind == ErrorKind::QuotaExceeded);
                    uploads[chosen].1 = false;
                }
            }
            7 | 8 if !uploads.is_empty() => {
                let (upload, whole) = uploads.swap_remove(chosen);
                if whole && kit.wait(upload.commit()).is_ok() {
                    stored += 1;
                }
            }
            9 => drop(kit.wait(kit.backend.remove_file(&path(name)))),
            _ => {}
        }
        let finished: Vec<u64> = kit.list("/").iter().map(|entry| entry.size).collect();
        assert!(finished.iter().sum::<u64>() <= 50_000 && finished.len() <= 12, "{finished:?}");
    }
    assert!(refused > 10 && stored > 100, "the bound was not reached: {refused} refused, {stored} stored");
    drop(uploads);
    let usage = kit.usage();
    assert!(usage.bytes <= 50_000 && usage.files <= 12, "{usage:?}");
}

pub(super) fn no_part_is_kept_that_the_quota_has_no_room_for(kit: &Kit<'_>) {
    put(kit, within(HUNDRED, "/file", UploadPlan::Replace), 60).expect("it fits");
    let upload = kit.begin(within(HUNDRED, "/file", UploadPlan::Replace), &[0; 41]);
    assert_eq!(kit.abandon(upload), None, "beside the old file it is too much");
    kit.check_usage(60, 1);
    let upload = kit.begin(within(HUNDRED, "/file", UploadPlan::Replace), &[0; 40]);
    assert_eq!(kit.abandon(upload), Some(40));
    kit.check_usage(100, 2);
    let two = Quota { bytes: None, files: Some(2) };
    kit.put("/other", b"x");
    let upload = kit.begin(within(two, "/other", UploadPlan::Append), b"x");
    kit.commit(upload);
    kit.check_usage(102, 3);
    put(kit, within(two, "/file", UploadPlan::Replace), 60).expect("file and part make room");
    let upload = kit.begin(within(two, "/file", UploadPlan::Replace), b"x");
    assert_eq!(kit.abandon(upload), None, "beside the old file it is one too many");
    kit.check_usage(62, 2);
}

pub(super) fn a_file_limit_is_exact_to_the_octet(kit: &Kit<'_>) {
    kit.put("/old", &[0; 50]);
    for plan in [UploadPlan::Replace, UploadPlan::Unique, UploadPlan::Append, UploadPlan::At(0)] {
        check_error(put(kit, limited(99, "/file", plan), 100), ErrorKind::FileTooLarge);
        put(kit, limited(100, "/file", plan), 100).expect("it just fits");
        kit.remove("/file");
    }
    for (plan, begins) in [
        (UploadPlan::Append, 50),
        (UploadPlan::At(50), 50),
        (UploadPlan::At(20), 20),
        (UploadPlan::Replace, 0),
    ] {
        let mut upload = kit.begin(limited(60, "/old", plan), &vec![0; 60 - begins]);
        check_error(kit.wait(upload.write(vec![0; 1])), ErrorKind::FileTooLarge);
        kit.discard(upload);
        kit.check_contents("/old", &[0; 50]);
    }
    // Where it begins beyond the limit already.
    for plan in [UploadPlan::Append, UploadPlan::At(50), UploadPlan::At(49)] {
        check_error(kit.open(limited(48, "/old", plan)).map(drop), ErrorKind::FileTooLarge);
    }
    kit.cut("/part", &[0; 50]);
    for plan in [UploadPlan::Append, UploadPlan::At(50)] {
        check_error(kit.open(limited(49, "/part", plan)).map(drop), ErrorKind::FileTooLarge);
        kit.check_part(OWNER, "/part", Some(50));
    }
    put(kit, limited(50, "/part", UploadPlan::At(50)), 0).expect("it is as long as it may be");
    put(kit, limited(0, "/none", UploadPlan::Replace), 0).expect("nothing is not too much");
}
