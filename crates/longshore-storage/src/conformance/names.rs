//! Making, removing and renaming.

use super::kit::{Kit, OWNER, check_error, path, request};
use crate::{ErrorKind, Kind, Timestamp, UploadPlan};

pub(super) fn a_directory_is_made_once(kit: &Kit<'_>) {
    let make = |name: &str| kit.wait(kit.backend.make_directory(&path(name), None));
    kit.put("/file", b"x");
    make("/dir").expect("the directory is made");
    make("/dir/below").expect("a directory in it is made");
    check_error(make("/dir"), ErrorKind::AlreadyExists);
    check_error(make("/file"), ErrorKind::AlreadyExists);
    check_error(make("/"), ErrorKind::AlreadyExists);
    check_error(make("/none/below"), ErrorKind::NotFound);
    check_error(make("/file/below"), ErrorKind::NotADirectory);
    kit.check_names("/dir", &["below"]);
    kit.check_contents("/file", b"x");
}

pub(super) fn a_file_is_removed(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    kit.put("/file", b"x");
    check_error(kit.wait(kit.backend.remove_file(&path("/dir"))), ErrorKind::IsADirectory);
    kit.wait(kit.backend.remove_file(&path("/file"))).expect("the file is removed");
    check_error(kit.wait(kit.backend.remove_file(&path("/file"))), ErrorKind::NotFound);
    kit.check_names("/", &["dir"]);
}

pub(super) fn only_an_empty_directory_is_removed(kit: &Kit<'_>) {
    let remove = |name: &str| kit.wait(kit.backend.remove_directory(&path(name)));
    kit.make_directory("/dir");
    kit.make_directory("/dir/below");
    kit.put("/dir/file", b"x");
    check_error(remove("/dir/file"), ErrorKind::NotADirectory);
    check_error(remove("/dir"), ErrorKind::NotEmpty);
    kit.wait(kit.backend.remove_file(&path("/dir/file"))).expect("the file is removed");
    check_error(remove("/dir"), ErrorKind::NotEmpty);
    remove("/dir/below").expect("the inner directory is removed");
    remove("/dir").expect("the outer directory is removed");
    kit.check_names("/", &[]);
}

pub(super) fn the_root_stays(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    check_error(kit.wait(kit.backend.remove_directory(&path("/"))), ErrorKind::PermissionDenied);
    check_error(kit.wait(kit.backend.remove_file(&path("/"))), ErrorKind::IsADirectory);
    for overwrite in [false, true] {
        check_error(kit.rename("/", "/new", overwrite), ErrorKind::PermissionDenied);
        check_error(kit.rename("/dir", "/", overwrite), ErrorKind::PermissionDenied);
    }
    kit.check_names("/", &["dir"]);
}

pub(super) fn a_file_is_renamed(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    kit.put("/a", b"contents");
    kit.rename("/a", "/b", false).expect("it gets another name");
    kit.rename("/b", "/dir/c", false).expect("it gets another directory");
    kit.rename("/dir/c", "/dir/d", true).expect("overwriting is allowed, not needed");
    kit.check_names("/", &["dir"]);
    kit.check_names("/dir", &["d"]);
    kit.check_contents("/dir/d", b"contents");
    for overwrite in [false, true] {
        check_error(kit.rename("/dir/d", "/none/d", overwrite), ErrorKind::NotFound);
        check_error(kit.rename("/dir/d", "/dir/d/e", overwrite), ErrorKind::NotADirectory);
        check_error(kit.rename("/none", "/dir/d", overwrite), ErrorKind::NotFound);
    }
    kit.check_contents("/dir/d", b"contents");
}

pub(super) fn a_file_is_replaced_only_when_allowed(kit: &Kit<'_>) {
    kit.put("/a", b"a");
    kit.put("/b", b"b");
    check_error(kit.rename("/a", "/b", false), ErrorKind::AlreadyExists);
    check_error(kit.rename("/a", "/a", false), ErrorKind::AlreadyExists);
    kit.check_contents("/a", b"a");
    kit.check_contents("/b", b"b");
    kit.rename("/a", "/a", true).expect("onto itself changes nothing");
    kit.check_contents("/a", b"a");
    kit.rename("/a", "/b", true).expect("it takes the place of the other");
    kit.check_names("/", &["b"]);
    kit.check_contents("/b", b"a");
}

pub(super) fn a_directory_is_renamed_with_what_it_holds(kit: &Kit<'_>) {
    kit.make_directory("/a");
    kit.make_directory("/a/below");
    kit.make_directory("/other");
    kit.put("/a/below/file", b"x");
    kit.put("/a!", b"not in it");
    kit.rename("/a", "/other/b", false).expect("it moves");
    kit.check_names("/", &["a!", "other"]);
    kit.check_contents("/other/b/below/file", b"x");
    kit.rename("/other/b", "/a", true).expect("it moves back");
    kit.check_contents("/a/below/file", b"x");
    kit.check_names("/other", &[]);
}

pub(super) fn a_directory_is_never_replaced(kit: &Kit<'_>) {
    kit.make_directory("/full");
    kit.put("/full/file", b"x");
    kit.make_directory("/empty");
    kit.put("/file", b"y");
    for target in ["/full", "/empty"] {
        for source in ["/file", "/full", "/empty"] {
            check_error(kit.rename(source, target, false), ErrorKind::AlreadyExists);
            check_error(kit.rename(source, target, true), ErrorKind::IsADirectory);
        }
    }
    for source in ["/full", "/empty"] {
        check_error(kit.rename(source, "/file", false), ErrorKind::AlreadyExists);
        check_error(kit.rename(source, "/file", true), ErrorKind::NotADirectory);
    }
    kit.check_names("/", &["empty", "file", "full"]);
    kit.check_contents("/full/file", b"x");
    kit.check_contents("/file", b"y");
}

pub(super) fn a_directory_does_not_move_into_itself(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    kit.make_directory("/dir/below");
    for overwrite in [false, true] {
        check_error(kit.rename("/dir", "/dir/new", overwrite), ErrorKind::NameNotAllowed);
        check_error(kit.rename("/dir", "/dir/below/new", overwrite), ErrorKind::NameNotAllowed);
    }
    kit.check_names("/dir", &["below"]);
}

pub(super) fn a_time_of_modification_is_set(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    kit.put("/dir/file", b"x");
    // Before 1970, on it, and in a leap year's February: whole seconds are what every store can hold.
    for seconds in [-1_000_000, 0, 1_709_164_800, 2_000_000_000] {
        let modified = Timestamp { seconds, nanoseconds: 0 };
        for name in ["/dir/file", "/dir", "/"] {
            kit.wait(kit.backend.set_modified(&path(name), modified)).expect("the time is set");
            assert_eq!(kit.stat(name).expect("it is there").modified, modified, "{name}");
        }
    }
    kit.check_contents("/dir/file", b"x");
}

pub(super) fn free_space_is_told_for_what_is_and_is_not_there(kit: &Kit<'_>) {
    kit.put("/file", b"x");
    for name in ["/", "/file", "/none"] {
        kit.wait(kit.backend.free_space(&path(name))).expect("the space is told, or that it is not known");
    }
}

pub(super) fn reserved_names_are_refused(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    kit.put("/file", b"x");
    for name in kit.reserved_names {
        for directory in [&b"/"[..], b"/dir/"] {
            let name = path([directory, name].concat());
            let below = name.join("below").expect("the kit's own paths are valid");
            for path in [&name, &below] {
                check_error(kit.wait(kit.backend.stat(path)), ErrorKind::NotFound);
                check_error(kit.wait(kit.backend.part(OWNER, path)), ErrorKind::NotFound);
                check_error(kit.wait(kit.backend.open_read(path)), ErrorKind::NotFound);
                check_error(kit.wait(kit.backend.open_directory(path)), ErrorKind::NotFound);
                check_error(kit.wait(kit.backend.remove_file(path)), ErrorKind::NotFound);
                check_error(kit.wait(kit.backend.remove_directory(path)), ErrorKind::NotFound);
                check_error(
                    kit.wait(kit.backend.rename(path, &super::kit::path("/new"), true)),
                    ErrorKind::NotFound,
                );
            }
            let file = super::kit::path("/file");
            for (path, expected) in [(&name, ErrorKind::NameNotAllowed), (&below, ErrorKind::NotFound)] {
                check_error(kit.wait(kit.backend.make_directory(path, None)), expected);
                check_error(kit.wait(kit.backend.rename(&file, path, true)), expected);
                for plan in [UploadPlan::Replace, UploadPlan::Append, UploadPlan::At(1), UploadPlan::Unique] {
                    check_error(kit.open(request(path.as_bytes(), plan)).map(drop), expected);
                }
            }
        }
    }
    kit.check_names("/", &["dir", "file"]);
    assert_eq!(kit.stat("/file").expect("the file is there").kind, Kind::File);
}
