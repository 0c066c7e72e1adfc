//! Whole files: from the opening to the commit.

use super::kit::{Kit, OWNER, check_error, path, request};
use crate::{Committed, Durability, ErrorKind, UploadPlan, UploadRequest};

pub(super) fn a_commit_makes_the_file_visible(kit: &Kit<'_>) {
    let mut upload = kit.open(request("/file", UploadPlan::Replace)).expect("the upload opens");
    assert_eq!((upload.path(), upload.position()), (&path("/file"), 0));
    for piece in [&b"one "[..], b"two ", b"three"] {
        kit.write(&mut *upload, piece);
        check_error(kit.stat("/file"), ErrorKind::NotFound);
        check_error(kit.read("/file"), ErrorKind::NotFound);
        kit.check_names("/", &[]);
    }
    let committed = kit.commit(upload);
    assert_eq!(committed, Committed { path: path("/file"), size: 13, replaced: false });
    kit.check_contents("/file", b"one two three");
    kit.check_names("/", &["file"]);
    kit.check_part(OWNER, "/file", None);
}

pub(super) fn the_old_file_stands_until_the_commit(kit: &Kit<'_>) {
    kit.put("/file", b"old contents");
    let before = kit.stat("/file").expect("the old file is there");
    let upload = kit.begin(request("/file", UploadPlan::Replace), b"new");
    assert_eq!(kit.stat("/file").expect("the old file is there"), before);
    kit.check_contents("/file", b"old contents");
    kit.check_names("/", &["file"]);
    let committed = kit.commit(upload);
    assert_eq!(committed, Committed { path: path("/file"), size: 3, replaced: true });
    kit.check_contents("/file", b"new");
    kit.check_names("/", &["file"]);
}

pub(super) fn abandoning_leaves_the_old_file(kit: &Kit<'_>) {
    kit.put("/file", b"old");
    let upload = kit.begin(request("/file", UploadPlan::Replace), b"new");
    kit.abandon(upload);
    kit.check_contents("/file", b"old");
    kit.check_names("/", &["file"]);
}

pub(super) fn dropping_leaves_the_old_file(kit: &Kit<'_>) {
    kit.put("/file", b"old");
    drop(kit.begin(request("/file", UploadPlan::Replace), b"new"));
    kit.check_contents("/file", b"old");
    // An operation that is never run must not count as done.
    let mut upload = kit.begin(request("/file", UploadPlan::Replace), b"new");
    drop(upload.write(b"more".to_vec()));
    drop(upload);
    kit.check_contents("/file", b"old");
    kit.check_names("/", &["file"]);
}

pub(super) fn every_durability_stores_the_same(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    kit.make_directory("/dir/below");
    for durability in [Durability::None, Durability::Data, Durability::Full] {
        for contents in [&b"first"[..], b"second time"] {
            let upload = kit.begin(
                UploadRequest { durability, ..request("/dir/below/file", UploadPlan::Replace) },
                contents,
            );
            kit.commit(upload);
            kit.check_contents("/dir/below/file", contents);
        }
        let upload = kit.begin(
            UploadRequest { durability, ..request("/dir/below/file", UploadPlan::Append) },
            b" and more",
        );
        kit.commit(upload);
        kit.check_contents("/dir/below/file", b"second time and more");
        kit.wait(kit.backend.remove_file(&path("/dir/below/file"))).expect("the file is removed");
    }
}

pub(super) fn the_last_octets_come_with_the_commit(kit: &Kit<'_>) {
    for (begin, last) in [("", "all of it"), ("one ", "and two"), ("nothing more", ""), ("", "")] {
        for plan in [UploadPlan::Replace, UploadPlan::Append, UploadPlan::Unique] {
            kit.put("/file", b"old ");
            let upload = kit.begin(request("/file", plan), begin.as_bytes());
            let committed = kit.wait(upload.commit_with(last.as_bytes().to_vec())).expect("it is stored");
            let old = if plan == UploadPlan::Append { "old " } else { "" };
            let contents = format!("{old}{begin}{last}");
            assert_eq!(committed.size, contents.len() as u64);
            kit.check_contents(committed.path.as_bytes(), contents.as_bytes());
            kit.remove(committed.path.as_bytes());
        }
    }
    kit.check_part(OWNER, "/file", None);
}

/// What the request does not allow leaves the old file and no part; nobody could go on with that.
pub(super) fn last_octets_that_are_too_many(kit: &Kit<'_>) {
    kit.put("/file", b"old");
    let limited = UploadRequest { file_limit_bytes: Some(10), ..request("/file", UploadPlan::Replace) };
    let upload = kit.begin(limited, b"five.");
    check_error(kit.wait(upload.commit_with(b"and six".to_vec())), ErrorKind::FileTooLarge);
    kit.check_contents("/file", b"old");
    kit.check_names("/", &["file"]);
    kit.remove("/file");
    kit.check_part(OWNER, "/file", None);
}

pub(super) fn an_empty_file_is_stored(kit: &Kit<'_>) {
    let upload = kit.begin(request("/file", UploadPlan::Replace), b"");
    assert_eq!(kit.commit(upload).size, 0);
    kit.check_contents("/file", b"");
    kit.put("/file", b"full");
    let mut upload = kit.begin(request("/file", UploadPlan::Replace), b"");
    kit.write(&mut *upload, b"");
    kit.commit(upload);
    kit.check_contents("/file", b"");
}

pub(super) fn odd_sizes_of_writes_make_one_file(kit: &Kit<'_>) {
    let contents: Vec<u8> = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut upload = kit.open(request("/file", UploadPlan::Replace)).expect("the upload opens");
    let mut rest = &contents[..];
    for size in [1, 0, 2, 3, 4095, 4096, 4097, 65_536, 1, 131_071, 500_000, usize::MAX] {
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        kit.write(&mut *upload, piece);
        rest = behind;
    }
    assert_eq!(kit.commit(upload).size, contents.len() as u64);
    kit.check_contents("/file", &contents);
}

pub(super) fn a_write_that_never_ran_leaves_no_hole(kit: &Kit<'_>) {
    for more in [&b""[..], b"second"] {
        let mut upload = kit.begin(request("/file", UploadPlan::Replace), b"first");
        drop(upload.write(b"lost".to_vec()));
        // A store may do all its work before it answers; else it must notice that something is missing.
        let written = kit.wait(upload.write(more.to_vec()));
        match kit.wait(upload.commit()) {
            Ok(_) => {
                written.expect("what is committed was written");
                kit.check_contents("/file", &[b"firstlost", more].concat());
                kit.wait(kit.backend.remove_file(&path("/file"))).expect("the file is removed");
            }
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Failed);
                check_error(kit.stat("/file"), ErrorKind::NotFound);
                kit.check_part(OWNER, "/file", Some(5));
            }
        }
    }
}

pub(super) fn an_upload_needs_a_directory_and_a_name(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    kit.put("/file", b"x");
    for plan in [UploadPlan::Replace, UploadPlan::Append, UploadPlan::At(0), UploadPlan::At(1)] {
        check_error(kit.open(request("/none/file", plan)).map(drop), ErrorKind::NotFound);
        check_error(kit.open(request("/file/file", plan)).map(drop), ErrorKind::NotADirectory);
        check_error(kit.open(request("/dir", plan)).map(drop), ErrorKind::IsADirectory);
        check_error(kit.open(request("/", plan)).map(drop), ErrorKind::IsADirectory);
    }
    check_error(kit.open(request("/none/file", UploadPlan::Unique)).map(drop), ErrorKind::NotFound);
    check_error(kit.open(request("/file/file", UploadPlan::Unique)).map(drop), ErrorKind::NotADirectory);
    kit.check_names("/", &["dir", "file"]);
}

fn careful(name: &str) -> UploadRequest {
    UploadRequest { overwrite: false, ..request(name, UploadPlan::Replace) }
}

pub(super) fn without_overwrite_the_opening_asks(kit: &Kit<'_>) {
    kit.put("/file", b"old");
    check_error(kit.open(careful("/file")).map(drop), ErrorKind::AlreadyExists);
    let upload = kit.begin(careful("/new"), b"new");
    assert!(!kit.commit(upload).replaced);
    kit.check_contents("/new", b"new");
    kit.check_contents("/file", b"old");
}

pub(super) fn without_overwrite_the_commit_asks_again(kit: &Kit<'_>) {
    let upload = kit.begin(careful("/file"), b"mine");
    kit.put("/file", b"another's");
    check_error(kit.wait(upload.commit()), ErrorKind::AlreadyExists);
    kit.check_contents("/file", b"another's");
    kit.check_names("/", &["file"]);
    // What was sent is not lost either.
    kit.wait(kit.backend.remove_file(&path("/file"))).expect("the file is removed");
    kit.check_part(OWNER, "/file", Some(4));
    let upload = kit.begin(UploadRequest { overwrite: false, ..request("/file", UploadPlan::At(4)) }, b"!");
    kit.commit(upload);
    kit.check_contents("/file", b"mine!");
}

pub(super) fn a_directory_that_appears_is_not_replaced(kit: &Kit<'_>) {
    for overwrite in [true, false] {
        let upload = kit.begin(UploadRequest { overwrite, ..request("/name", UploadPlan::Replace) }, b"x");
        kit.make_directory("/name");
        assert!(kit.wait(upload.commit()).is_err(), "a file has taken a directory's place");
        kit.check_names("/name", &[]);
        kit.wait(kit.backend.remove_directory(&path("/name"))).expect("it still is an empty directory");
    }
}

pub(super) fn of_two_uploads_the_last_commit_wins(kit: &Kit<'_>) {
    for owners in [[OWNER, OWNER], [OWNER, "berta"]] {
        let mut uploads = owners.map(|owner| {
            let request = UploadRequest { owner: owner.to_owned(), ..request("/file", UploadPlan::Replace) };
            kit.begin(request, b"")
        });
        for _ in 0..50 {
            kit.write(&mut *uploads[0], &[b'a'; 999]);
            kit.write(&mut *uploads[1], &[b'b'; 1001]);
        }
        let [first, second] = uploads;
        kit.commit(second);
        kit.check_contents("/file", &[b'b'; 50 * 1001]);
        kit.commit(first);
        kit.check_contents("/file", &[b'a'; 50 * 999]);
        kit.check_names("/", &["file"]);
        kit.wait(kit.backend.remove_file(&path("/file"))).expect("the file is removed");
    }
}

pub(super) fn an_upload_whose_directory_moves_does_not_appear_elsewhere(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    let upload = kit.begin(request("/dir/file", UploadPlan::Replace), b"x");
    kit.rename("/dir", "/moved", false).expect("the directory moves");
    kit.make_directory("/dir");
    check_error(kit.wait(upload.commit()), ErrorKind::NotFound);
    kit.check_names("/dir", &[]);
    kit.check_names("/moved", &[]);
}

pub(super) fn an_upload_holds_its_directory_or_fails(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    let upload = kit.begin(request("/dir/file", UploadPlan::Replace), b"x");
    match kit.wait(kit.backend.remove_directory(&path("/dir"))) {
        Ok(()) => check_error(kit.wait(upload.commit()), ErrorKind::NotFound),
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::NotEmpty);
            kit.commit(upload);
            kit.check_contents("/dir/file", b"x");
        }
    }
}
