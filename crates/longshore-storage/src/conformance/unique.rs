//! Names that nobody has.

use super::kit::{Kit, OWNER, check_error, path, request};
use crate::{ErrorKind, UploadPlan};

pub(super) fn a_free_wish_comes_true(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    let upload = kit.begin(request("/dir/wish.txt", UploadPlan::Unique), b"x");
    assert_eq!(upload.path(), &path("/dir/wish.txt"));
    kit.check_names("/dir", &[]);
    let committed = kit.commit(upload);
    assert_eq!((committed.path, committed.replaced), (path("/dir/wish.txt"), false));
    kit.check_contents("/dir/wish.txt", b"x");
}

pub(super) fn a_taken_wish_gets_another_name(kit: &Kit<'_>) {
    kit.put("/file", b"old");
    kit.make_directory("/dir");
    for taken in ["/file", "/dir"] {
        let upload = kit.begin(request(taken, UploadPlan::Unique), b"new");
        let chosen = upload.path().clone();
        assert_ne!(chosen, path(taken));
        assert_eq!(chosen.parent(), Some(path("/")));
        assert_eq!(kit.commit(upload).path, chosen);
        kit.check_contents(chosen.as_bytes(), b"new");
    }
    kit.check_contents("/file", b"old");
    assert_eq!(kit.list("/").len(), 4);
}

pub(super) fn two_uploads_never_get_one_name(kit: &Kit<'_>) {
    const UPLOADS: usize = 30;
    let uploads: Vec<_> = (0..UPLOADS)
        .map(|number| kit.begin(request("/wish.txt", UploadPlan::Unique), format!("{number}").as_bytes()))
        .collect();
    for (number, upload) in uploads.into_iter().enumerate() {
        let chosen = kit.commit(upload).path;
        kit.check_contents(chosen.as_bytes(), format!("{number}").as_bytes());
    }
    assert_eq!(kit.list("/").len(), UPLOADS);
}

pub(super) fn a_long_wish_is_shortened(kit: &Kit<'_>) {
    let wish = format!("/{}", "x".repeat(255));
    for number in 1..=12 {
        let upload = kit.begin(request(&wish, UploadPlan::Unique), b"x");
        kit.commit(upload);
        assert_eq!(kit.list("/").len(), number);
    }
}

pub(super) fn what_appears_under_a_chosen_name_is_not_lost(kit: &Kit<'_>) {
    let upload = kit.begin(request("/wish", UploadPlan::Unique), b"mine");
    // A store may keep others off a reserved name, but it need not.
    let other = kit
        .open(request("/wish", UploadPlan::Replace))
        .and_then(|mut upload| kit.wait(upload.write(b"another's".to_vec())).map(|_| upload))
        .and_then(|upload| kit.wait(upload.commit()));
    if other.is_ok() {
        check_error(kit.wait(upload.commit()), ErrorKind::AlreadyExists);
        kit.check_contents("/wish", b"another's");
        kit.wait(kit.backend.remove_file(&path("/wish"))).expect("the file is removed");
        kit.check_part(OWNER, "/wish", Some(4));
    } else {
        kit.commit(upload);
        kit.check_contents("/wish", b"mine");
    }
}

pub(super) fn an_abandoned_name_is_free_again(kit: &Kit<'_>) {
    for octets in [&b""[..], b"begun"] {
        let upload = kit.begin(request("/wish", UploadPlan::Unique), octets);
        assert_eq!(upload.path(), &path("/wish"));
        kit.abandon(upload);
        kit.check_names("/", &[]);
    }
    // The name was told to whoever began it, so it can be gone on with.
    kit.check_part(OWNER, "/wish", Some(5));
    let upload = kit.begin(request("/wish", UploadPlan::Unique), b"x");
    assert_eq!(upload.path(), &path("/wish"));
    kit.commit(upload);
    kit.check_contents("/wish", b"x");
}
