//! Parts of cut uploads, and finished files that are gone on with.

use super::kit::{Kit, OWNER, check_error, path, request};
use crate::{ErrorKind, Upload, UploadPlan, UploadRequest};

fn by(owner: &str, name: &str, plan: UploadPlan) -> UploadRequest {
    UploadRequest { owner: owner.to_owned(), ..request(name, plan) }
}

pub(super) fn a_cut_upload_leaves_a_hidden_part(kit: &Kit<'_>) {
    kit.check_part(OWNER, "/file", None);
    let upload = kit.begin(request("/file", UploadPlan::Replace), b"0123456789");
    assert_eq!(kit.abandon(upload), Some(10));
    kit.check_part(OWNER, "/file", Some(10));
    check_error(kit.stat("/file"), ErrorKind::NotFound);
    check_error(kit.read("/file"), ErrorKind::NotFound);
    check_error(kit.wait(kit.backend.remove_file(&path("/file"))), ErrorKind::NotFound);
    check_error(kit.rename("/file", "/other", true), ErrorKind::NotFound);
    kit.check_names("/", &[]);
    kit.check_part(OWNER, "/other", None);
    kit.check_part(OWNER, "/none/file", None);
}

pub(super) fn a_dropped_upload_leaves_a_part(kit: &Kit<'_>) {
    drop(kit.begin(request("/file", UploadPlan::Replace), b"0123456789"));
    kit.check_part(OWNER, "/file", Some(10));
    // Also when it is a commit or a giving up that is dropped before it was begun.
    let upload = kit.begin(request("/file", UploadPlan::Append), b"ab");
    drop(upload.abandon());
    kit.check_part(OWNER, "/file", Some(12));
    kit.check_names("/", &[]);
}

pub(super) fn a_part_is_continued_at_any_offset_it_has(kit: &Kit<'_>) {
    for offset in [1, 5, 9, 10] {
        kit.cut("/file", b"0123456789");
        let mut upload = kit.open(request("/file", UploadPlan::At(offset))).expect("the part is continued");
        assert_eq!(upload.position(), offset);
        kit.check_names("/", &[]);
        kit.write(&mut *upload, b"abcdef");
        let committed = kit.commit(upload);
        assert_eq!((committed.size, committed.replaced), (offset + 6, false));
        let expected = [&b"0123456789"[..offset as usize], b"abcdef"].concat();
        kit.check_contents("/file", &expected);
        kit.wait(kit.backend.remove_file(&path("/file"))).expect("the file is removed");
        kit.check_part(OWNER, "/file", None);
    }
    // Cut again: the part has grown.
    kit.cut("/file", b"01234");
    let upload = kit.begin(request("/file", UploadPlan::At(5)), b"567");
    assert_eq!(kit.abandon(upload), Some(8));
    kit.check_part(OWNER, "/file", Some(8));
}

pub(super) fn beyond_its_end_a_part_is_left_alone(kit: &Kit<'_>) {
    check_error(kit.open(request("/file", UploadPlan::At(1))).map(drop), ErrorKind::OffsetBeyondEnd);
    kit.cut("/file", b"0123456789");
    for offset in [11, 1 << 40, u64::MAX] {
        check_error(kit.open(request("/file", UploadPlan::At(offset))).map(drop), ErrorKind::OffsetBeyondEnd);
        kit.check_part(OWNER, "/file", Some(10));
    }
    let upload = kit.begin(request("/file", UploadPlan::At(10)), b"!");
    kit.commit(upload);
    kit.check_contents("/file", b"0123456789!");
}

pub(super) fn append_continues_a_part(kit: &Kit<'_>) {
    kit.cut("/file", b"0123456789");
    let mut upload = kit.open(request("/file", UploadPlan::Append)).expect("the part is continued");
    assert_eq!(upload.position(), 10);
    kit.write(&mut *upload, b"abc");
    kit.commit(upload);
    kit.check_contents("/file", b"0123456789abc");
}

pub(super) fn append_and_at_0_begin_anew_without_a_part(kit: &Kit<'_>) {
    for (name, plan) in [("/append", UploadPlan::Append), ("/at", UploadPlan::At(0))] {
        let upload = kit.begin(request(name, plan), b"new");
        assert!(!kit.commit(upload).replaced);
        kit.check_contents(name, b"new");
    }
    // At 0 nothing of a part is used, and nothing of a finished file.
    kit.cut("/part", b"0123456789");
    for name in ["/part", "/append"] {
        let mut upload = kit.open(request(name, UploadPlan::At(0))).expect("the upload opens");
        assert_eq!(upload.position(), 0);
        kit.write(&mut *upload, b"x");
        kit.commit(upload);
        kit.check_contents(name, b"x");
    }
}

pub(super) fn a_part_belongs_to_its_owner(kit: &Kit<'_>) {
    kit.cut("/file", b"0123456789");
    for other in ["berta", "ann", "annaa", "", "ANNA", "anna\0", "../anna"] {
        kit.check_part(other, "/file", None);
        check_error(kit.open(by(other, "/file", UploadPlan::At(1))).map(drop), ErrorKind::OffsetBeyondEnd);
        let upload = kit.open(by(other, "/file", UploadPlan::Append)).expect("another begins anew");
        assert_eq!(upload.position(), 0);
        drop(upload);
    }
    let upload = kit.begin(by("berta", "/file", UploadPlan::Replace), b"abc");
    assert_eq!(kit.abandon(upload), Some(3));
    kit.check_part("berta", "/file", Some(3));
    kit.check_part(OWNER, "/file", Some(10));
}

pub(super) fn a_finished_file_hides_and_ends_the_part(kit: &Kit<'_>) {
    // Another's file only hides it.
    kit.cut("/file", b"0123456789");
    let upload = kit.begin(by("berta", "/file", UploadPlan::Replace), b"whole");
    kit.commit(upload);
    kit.check_part(OWNER, "/file", None);
    // The owner's own makes it void.
    kit.put("/file", b"whole too");
    kit.check_part(OWNER, "/file", None);
    kit.wait(kit.backend.remove_file(&path("/file"))).expect("the file is removed");
    kit.check_part(OWNER, "/file", None);
}

pub(super) fn a_newer_part_takes_the_place_of_an_older(kit: &Kit<'_>) {
    kit.cut("/file", b"0123456789");
    kit.cut("/file", b"abc");
    kit.check_part(OWNER, "/file", Some(3));
    let upload = kit.begin(request("/file", UploadPlan::At(3)), b"d");
    kit.commit(upload);
    kit.check_contents("/file", b"abcd");
    // Of two at the same time, the one that ended last.
    let long = kit.begin(request("/two", UploadPlan::Replace), b"0123456789");
    let short = kit.begin(request("/two", UploadPlan::Replace), b"abc");
    assert_eq!((kit.abandon(long), kit.abandon(short)), (Some(10), Some(3)));
    kit.check_part(OWNER, "/two", Some(3));
    kit.check_names("/", &["file"]);
}

pub(super) fn an_upload_of_nothing_leaves_the_older_part(kit: &Kit<'_>) {
    let upload = kit.begin(request("/file", UploadPlan::Replace), b"");
    assert_eq!(kit.abandon(upload), None);
    kit.check_part(OWNER, "/file", None);
    kit.cut("/file", b"0123456789");
    let upload = kit.begin(request("/file", UploadPlan::Replace), b"");
    assert_eq!(kit.abandon(upload), None);
    kit.check_part(OWNER, "/file", Some(10));
}

pub(super) fn a_part_is_continued_by_one_only(kit: &Kit<'_>) {
    kit.cut("/file", b"0123456789");
    let first = kit.begin(request("/file", UploadPlan::At(10)), b"abc");
    check_error(kit.open(request("/file", UploadPlan::At(10))).map(drop), ErrorKind::OffsetBeyondEnd);
    let second = kit.begin(request("/file", UploadPlan::Append), b"whole");
    assert_eq!(second.position(), 5);
    kit.commit(first);
    kit.check_contents("/file", b"0123456789abc");
    kit.commit(second);
    kit.check_contents("/file", b"whole");
}

pub(super) fn parts_do_not_keep_a_directory(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    kit.cut("/dir/file", b"0123456789");
    let upload = kit.begin(by("berta", "/dir/file", UploadPlan::Replace), b"x");
    kit.abandon(upload);
    kit.wait(kit.backend.remove_directory(&path("/dir"))).expect("parts are no content");
    kit.check_names("/", &[]);
    kit.make_directory("/dir");
    kit.check_part(OWNER, "/dir/file", None);
    // Beside content they stay.
    kit.cut("/dir/file", b"0123456789");
    kit.put("/dir/other", b"x");
    check_error(kit.wait(kit.backend.remove_directory(&path("/dir"))), ErrorKind::NotEmpty);
    kit.check_part(OWNER, "/dir/file", Some(10));
}

pub(super) fn append_writes_behind_the_finished_file(kit: &Kit<'_>) {
    for (name, old) in [("/file", &b"0123456789"[..]), ("/empty", b"")] {
        kit.put(name, old);
        let mut upload = kit.open(request(name, UploadPlan::Append)).expect("the file is gone on with");
        assert_eq!(upload.position(), old.len() as u64);
        kit.write(&mut *upload, b"abc");
        kit.write(&mut *upload, b"def");
        let committed = kit.commit(upload);
        assert_eq!((committed.size, committed.replaced), (old.len() as u64 + 6, true));
        kit.check_contents(name, &[old, b"abcdef"].concat());
    }
    // Nothing at all is fine too.
    let upload = kit.begin(request("/file", UploadPlan::Append), b"");
    assert_eq!(kit.commit(upload).size, 16);
    kit.check_contents("/file", b"0123456789abcdef");
    // And whoever once left a part there does not get it back.
    kit.check_part(OWNER, "/file", None);
}

/// Begins with `plan`, ends without a commit in every way there is; the file is as before.
fn check_taken_back(kit: &Kit<'_>, plan: UploadPlan) {
    kit.put("/file", b"0123456789");
    let ends: [&dyn Fn(Box<dyn Upload>); 3] =
        [&|upload| assert_eq!(kit.abandon(upload), None), &|upload| drop(upload), &|upload| {
            drop(upload.commit())
        }];
    for end in ends {
        // A store may do all its work before it answers; then a dropped commit has happened.
        let upload = kit.begin(request("/file", plan), b"abc");
        end(upload);
        let contents = kit.read("/file").expect("the file can be read");
        assert!(contents == b"0123456789" || contents == b"0123456789abc", "neither before nor after");
        kit.put("/file", b"0123456789");
    }
    let upload = kit.begin(request("/file", plan), b"abc");
    kit.abandon(upload);
    kit.check_contents("/file", b"0123456789");
    drop(kit.begin(request("/file", plan), b"abc"));
    kit.check_contents("/file", b"0123456789");
    kit.check_names("/", &["file"]);
}

pub(super) fn a_failed_append_is_taken_back(kit: &Kit<'_>) {
    check_taken_back(kit, UploadPlan::Append);
}

pub(super) fn at_the_end_is_like_append(kit: &Kit<'_>) {
    check_taken_back(kit, UploadPlan::At(10));
    let upload = kit.begin(request("/file", UploadPlan::At(10)), b"abc");
    let committed = kit.commit(upload);
    assert_eq!((committed.size, committed.replaced), (13, true));
    kit.check_contents("/file", b"0123456789abc");
}

pub(super) fn before_the_end_a_new_file_is_made(kit: &Kit<'_>) {
    let old: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    for offset in [0, 1, 4096, 399_999] {
        kit.put("/file", &old);
        let mut upload =
            kit.open(request("/file", UploadPlan::At(offset))).expect("the file is gone on with");
        assert_eq!(upload.position(), offset);
        kit.write(&mut *upload, b"abc");
        kit.check_contents("/file", &old);
        kit.check_names("/", &["file"]);
        drop(upload);
        kit.check_contents("/file", &old);
        let upload = kit.begin(request("/file", UploadPlan::At(offset)), b"abc");
        let committed = kit.commit(upload);
        assert_eq!((committed.size, committed.replaced), (offset + 3, true));
        kit.check_contents("/file", &[&old[..offset as usize], b"abc"].concat());
    }
}

pub(super) fn beyond_the_end_nothing_is_written(kit: &Kit<'_>) {
    kit.put("/file", b"0123456789");
    kit.put("/empty", b"");
    for (name, offset) in [("/file", 11), ("/file", u64::MAX), ("/empty", 1)] {
        check_error(kit.open(request(name, UploadPlan::At(offset))).map(drop), ErrorKind::OffsetBeyondEnd);
    }
    kit.check_contents("/file", b"0123456789");
    kit.check_contents("/empty", b"");
}

pub(super) fn without_overwrite_a_finished_file_is_not_continued(kit: &Kit<'_>) {
    kit.put("/file", b"0123456789");
    for plan in
        [UploadPlan::Append, UploadPlan::At(0), UploadPlan::At(5), UploadPlan::At(10), UploadPlan::At(11)]
    {
        let request = UploadRequest { overwrite: false, ..request("/file", plan) };
        check_error(kit.open(request).map(drop), ErrorKind::AlreadyExists);
    }
    kit.check_contents("/file", b"0123456789");
}

pub(super) fn one_file_has_one_writer_in_place(kit: &Kit<'_>) {
    kit.put("/file", b"0123456789");
    let first = kit.begin(request("/file", UploadPlan::Append), b"abc");
    check_error(kit.open(by("berta", "/file", UploadPlan::Append)).map(drop), ErrorKind::Busy);
    kit.commit(first);
    let second = kit.begin(by("berta", "/file", UploadPlan::Append), b"def");
    kit.abandon(second);
    let third = kit.begin(request("/file", UploadPlan::Append), b"ghi");
    kit.commit(third);
    kit.check_contents("/file", b"0123456789abcghi");
}

pub(super) fn a_file_replaced_under_its_writer_stays_replaced(kit: &Kit<'_>) {
    kit.put("/file", b"0123456789");
    let upload = kit.begin(request("/file", UploadPlan::Append), b"abc");
    kit.put("/file", b"a whole new file");
    check_error(kit.wait(upload.commit()), ErrorKind::Busy);
    kit.check_contents("/file", b"a whole new file");
    kit.check_names("/", &["file"]);
}

pub(super) fn a_discarded_upload_leaves_nothing(kit: &Kit<'_>) {
    let upload = kit.begin(request("/file", UploadPlan::Replace), b"0123456789");
    kit.discard(upload);
    kit.check_part(OWNER, "/file", None);
    let upload = kit.begin(request("/file", UploadPlan::Unique), b"0123456789");
    kit.discard(upload);
    kit.check_part(OWNER, "/file", None);
    kit.check_usage(0, 0);
    // Neither does what it went on with: it was to be finished by this one.
    kit.cut("/file", b"0123456789");
    let upload = kit.begin(request("/file", UploadPlan::At(10)), b"abc");
    kit.discard(upload);
    kit.check_part(OWNER, "/file", None);
    // An older part is another upload's.
    kit.cut("/file", b"0123456789");
    let upload = kit.begin(request("/file", UploadPlan::Replace), b"abc");
    kit.discard(upload);
    kit.check_part(OWNER, "/file", Some(10));
    // A finished file is as before.
    kit.put("/file", b"old contents");
    for plan in [UploadPlan::Replace, UploadPlan::Append, UploadPlan::At(12), UploadPlan::At(3)] {
        let upload = kit.begin(request("/file", plan), b"new");
        kit.discard(upload);
        kit.check_contents("/file", b"old contents");
    }
    kit.check_names("/", &["file"]);
    kit.check_usage(12, 1);
}
