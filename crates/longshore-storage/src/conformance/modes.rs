//! Permission bits: of what is new, and set later.

use super::kit::{Kit, check_error, path, request};
use crate::{ErrorKind, UploadPlan, UploadRequest};

/// Stores a file with this mode in its request; the mode that it has.
#[track_caller]
fn put(kit: &Kit<'_>, name: &str, plan: UploadPlan, mode: Option<u32>) -> u32 {
    let upload = kit.begin(UploadRequest { mode, ..request(name, plan) }, b"x");
    let stored = kit.commit(upload).path;
    kit.stat(stored.as_bytes()).expect("the file is there").mode
}

pub(super) fn a_new_file_has_the_mode_that_was_asked_for(kit: &Kit<'_>) {
    for (number, mode) in [0o600, 0o640, 0o666, 0o777, 0o400, 0o1644, 0o1777].into_iter().enumerate() {
        let name = format!("/{number}");
        assert_eq!(put(kit, &name, UploadPlan::Replace, Some(mode)), mode, "{mode:o}");
        assert_eq!(put(kit, &name, UploadPlan::Unique, Some(mode)), mode, "{mode:o}");
    }
    // Nothing that was uploaded runs as its owner or group.
    for (number, mode) in [0o4755, 0o2755, 0o6755].into_iter().enumerate() {
        for plan in [UploadPlan::Replace, UploadPlan::Unique] {
            assert_eq!(put(kit, &format!("/set-id-{number}"), plan, Some(mode)), 0o755, "{mode:o}");
        }
    }
    let usual = put(kit, "/usual", UploadPlan::Replace, None);
    // What replaces a file is not new.
    kit.wait(kit.backend.set_mode(&path("/usual"), 0o604)).expect("the mode is set");
    assert_eq!(put(kit, "/usual", UploadPlan::Replace, Some(0o660)), 0o604);
    assert_eq!(put(kit, "/usual", UploadPlan::Append, Some(0o660)), 0o604);
    kit.remove("/usual");
    kit.cut("/usual", b"x");
    assert_eq!(put(kit, "/usual", UploadPlan::At(1), None), usual, "a part that is continued");
    kit.remove("/usual");
    kit.cut("/usual", b"x");
    assert_eq!(put(kit, "/usual", UploadPlan::Append, Some(0o660)), 0o660, "a part that is continued");
}

pub(super) fn a_new_directory_has_the_mode_that_was_asked_for(kit: &Kit<'_>) {
    let make = |name: &str, mode| {
        kit.wait(kit.backend.make_directory(&path(name), mode)).expect("a directory is made");
        kit.stat(name).expect("the directory is there").mode
    };
    for mode in [0o700, 0o750, 0o775, 0o777, 0o1777, 0o2775, 0o3770] {
        assert_eq!(make(&format!("/{mode:o}"), Some(mode)), mode, "{mode:o}");
    }
    assert_eq!(make("/set-user-id", Some(0o4755)), 0o755);
    assert_eq!(make("/usual", None), make("/other", None));
}

pub(super) fn a_mode_is_set(kit: &Kit<'_>) {
    kit.put("/file", b"contents");
    kit.make_directory("/dir");
    let set = |name: &str, mode| kit.wait(kit.backend.set_mode(&path(name), mode));
    for (name, modes) in [
        ("/file", &[0o700, 0o755, 0o1777, 0o400, 0o000, 0o777][..]),
        ("/dir", &[0o700, 0o755, 0o1777, 0o2711, 0o3770, 0o777]),
    ] {
        let before = kit.stat(name).expect("it is there");
        for &mode in modes {
            set(name, mode).expect("the mode is set");
            assert_eq!(kit.stat(name).expect("it is there").mode, mode, "{mode:o}");
        }
        set(name, 0o4755).expect("the mode is set");
        let after = kit.stat(name).expect("it is there");
        assert_eq!(after.mode, 0o755, "nothing runs as its owner");
        assert_eq!((after.size, after.modified, after.id), (before.size, before.modified, before.id));
    }
    kit.check_contents("/file", b"contents");
    for mode in [0o2755, 0o6755, 0o3777] {
        check_error(set("/file", mode), ErrorKind::PermissionDenied);
    }
    assert_eq!(kit.stat("/file").expect("it is there").mode, 0o755, "nothing runs as its group");
    // Nobody locks itself out.
    for (mode, expected) in [(0, 0o700), (0o300, 0o700), (0o555, 0o755), (0o2070, 0o2770)] {
        set("/dir", mode).expect("the mode is set");
        assert_eq!(kit.stat("/dir").expect("it is there").mode, expected, "{mode:o}");
    }
    let before = kit.stat("/").expect("the root is there").mode;
    check_error(set("/", 0o777), ErrorKind::PermissionDenied);
    assert_eq!(kit.stat("/").expect("the root is there").mode, before);
    check_error(set("/none", 0o644), ErrorKind::NotFound);
    check_error(set("/none/file", 0o644), ErrorKind::NotFound);
    check_error(set("/file/file", 0o644), ErrorKind::NotADirectory);
    for name in kit.reserved_names {
        let path = path("/").join(name).expect("the subject's own names are valid");
        check_error(kit.wait(kit.backend.set_mode(&path, 0o644)), ErrorKind::NotFound);
    }
}
