//! Looking, reading and listing.

use super::kit::{Kit, check_error, path};
use crate::{Detail, ErrorKind, Kind};

pub(super) fn an_empty_store_is_an_empty_root(kit: &Kit<'_>) {
    let root = kit.stat("/").expect("the root is there");
    assert_eq!((root.kind, root.name.as_slice(), root.link_target), (Kind::Directory, &b""[..], None));
    kit.check_names("/", &[]);
    check_error(kit.wait(kit.backend.open_read(&path("/"))), ErrorKind::IsADirectory);
}

pub(super) fn what_is_missing_is_said_to_be(kit: &Kit<'_>) {
    kit.put("/file", b"x");
    let check = |name: &str, expected| {
        check_error(kit.stat(name), expected);
        check_error(kit.wait(kit.backend.open_read(&path(name))), expected);
        check_error(kit.wait(kit.backend.open_directory(&path(name))), expected);
        check_error(kit.wait(kit.backend.remove_file(&path(name))), expected);
        check_error(kit.wait(kit.backend.remove_directory(&path(name))), expected);
        check_error(kit.rename(name, "/new", false), expected);
        check_error(kit.rename(name, "/new", true), expected);
        let time = kit.stat("/file").expect("the file is there").modified;
        check_error(kit.wait(kit.backend.set_modified(&path(name), time)), expected);
    };
    check("/none", ErrorKind::NotFound);
    check("/none/below", ErrorKind::NotFound);
    check("/file/below", ErrorKind::NotADirectory);
    check_error(kit.wait(kit.backend.open_directory(&path("/file"))), ErrorKind::NotADirectory);
    kit.check_names("/", &["file"]);
}

pub(super) fn an_entry_describes_the_file(kit: &Kit<'_>) {
    kit.make_directory("/dir");
    kit.put("/dir/file", b"12345");
    kit.put("/dir/other", b"");
    let file = kit.stat("/dir/file").expect("the file is there");
    assert_eq!((file.kind, file.size, file.name.as_slice()), (Kind::File, 5, &b"file"[..]));
    assert!(file.mode <= 0o7777 && file.links >= 1 && file.modified.nanoseconds < 1_000_000_000);
    assert_eq!(file.link_target, None);
    let opened = kit.wait(kit.backend.open_read(&path("/dir/file"))).expect("the file opens");
    assert_eq!(opened.entry(), &file);
    let mut listed = kit.list("/dir");
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0], file);
    assert_ne!(listed[0].id, listed[1].id, "two files are not the same one");
    assert_eq!(listed[1].size, 0);
    assert_eq!(kit.stat("/dir").expect("the directory is there").kind, Kind::Directory);
}

pub(super) fn a_file_is_read_at_any_offset(kit: &Kit<'_>) {
    let contents: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
    kit.put("/file", &contents);
    let mut file = kit.wait(kit.backend.open_read(&path("/file"))).expect("the file opens");
    let mut check = |offset: u64, room: usize, rubbish: usize| {
        let mut buffer = Vec::with_capacity(room);
        buffer.resize(rubbish.min(buffer.capacity()), 0xFF);
        let room = if room == 0 { usize::MAX } else { buffer.capacity() };
        let read = kit.wait(file.read_at(offset, buffer)).expect("reading succeeds");
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
        let end = start.saturating_add(room).min(contents.len());
        // Without capacity the store chooses, but never nothing before the end.
        let end = if room == usize::MAX { start + read.len() } else { end };
        assert!(read == contents[start..end], "{room} octets at {offset}: got {}", read.len());
        assert_eq!(read.is_empty(), start == contents.len());
    };
    for offset in
        [0, 1, 4095, 4096, 4097, 39_998, 39_999, 40_000, 40_001, i64::MAX as u64, u64::MAX - 1, u64::MAX]
    {
        for room in [0, 1, 2, 4096, 39_999, 40_000, 40_001, 100_000] {
            check(offset, room, 0);
            check(offset, room, room / 2);
            check(offset, room, room);
        }
    }
}

pub(super) fn an_open_file_never_mixes_with_its_replacement(kit: &Kit<'_>) {
    kit.put("/file", &[b'a'; 5000]);
    let mut file = kit.wait(kit.backend.open_read(&path("/file"))).expect("the file opens");
    let first = kit.wait(file.read_at(0, Vec::with_capacity(2000))).expect("reading succeeds");
    assert!(first.iter().all(|&octet| octet == b'a') && !first.is_empty());
    kit.put("/file", &[b'b'; 5000]);
    // A store that cannot go on with the old file may say so.
    if let Ok(second) = kit.wait(file.read_at(first.len() as u64, Vec::with_capacity(2000))) {
        assert!(second.iter().all(|&octet| octet == b'a'), "octets of two files were mixed");
    }
}

pub(super) fn a_listing_has_every_entry_once(kit: &Kit<'_>) {
    const FILES: usize = 700;
    kit.make_directory("/many");
    kit.make_directory("/many/directory");
    // Names that only begin like the directory's are not in it.
    kit.make_directory("/many more");
    kit.put("/many-file", b"");
    kit.put("/many/directory/below", b"");
    for number in 0..FILES {
        kit.put(format!("/many/{number:04}"), b"");
    }
    let mut names: Vec<_> = kit.list("/many").into_iter().map(|entry| entry.name).collect();
    names.sort();
    let expected: Vec<_> =
        (0..FILES).map(|number| format!("{number:04}").into_bytes()).chain([b"directory".to_vec()]).collect();
    assert!(names == expected, "{} names instead of {}", names.len(), expected.len());
}

/// A directory of so many files of one octet each; their names, sorted.
#[track_caller]
fn plant(kit: &Kit<'_>, directory: &str, files: usize) -> Vec<Vec<u8>> {
    kit.make_directory(directory);
    let name = |number: usize| format!("{number:04}{}", "-".repeat(60));
    for number in 0..files {
        kit.put(format!("{directory}/{}", name(number)), b"x");
    }
    (0..files).map(|number| name(number).into_bytes()).collect()
}

pub(super) fn batches_of_a_listing_come_in_any_order(kit: &Kit<'_>) {
    let expected = plant(kit, "/many", 1500);
    let in_turn: Vec<_> = kit.list("/many").into_iter().map(|entry| entry.name).collect();
    for detail in [Detail::Names, Detail::All] {
        let mut directory = kit.open_directory("/many");
        let mut batches = Vec::new();
        let mut ended = false;
        while !ended {
            // The last that was asked for is waited for first.
            let operations: Vec<_> = (0..5).map(|_| directory.next_entries(detail)).collect();
            for operation in operations.into_iter().rev() {
                match kit.wait(operation).expect("the directory can be read") {
                    Some(batch) => batches.push(batch),
                    None => ended = true,
                }
            }
        }
        batches.sort_by_key(|batch| batch.number);
        assert!(batches.iter().map(|batch| batch.number).eq(0..batches.len() as u64), "a number is missing");
        let entries: Vec<_> = batches.into_iter().flat_map(|batch| batch.entries).collect();
        assert!(detail == Detail::Names || entries.iter().all(|entry| entry.size == 1), "an empty file");
        let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
        assert!(names == in_turn, "their numbers bring them into the order that they have in turn");
        names.sort();
        assert!(names == expected, "{} names instead of {}", names.len(), expected.len());
    }
}

pub(super) fn a_listing_bears_a_directory_that_changes(kit: &Kit<'_>) {
    let planted = plant(kit, "/many", 1500);
    let mut directory = kit.open_directory("/many");
    let first = kit.wait(directory.next_entries(Detail::All)).expect("the directory can be read");
    let mut entries = first.expect("there are entries").entries;
    assert!(entries.len() < planted.len(), "the first entries come before all have been read");
    let full = |name: &[u8]| [b"/many/", name].concat();
    let goes = |number: usize| number.is_multiple_of(3);
    for (number, name) in planted.iter().enumerate() {
        if goes(number) {
            kit.remove(full(name));
            kit.put(full(format!("new {number}").as_bytes()), b"y");
        }
    }
    kit.list_rest(&mut *directory, &mut entries, 1);
    let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort();
    let listed = names.len();
    names.dedup();
    assert_eq!(names.len(), listed, "an entry was listed twice");
    for (number, name) in planted.iter().enumerate() {
        assert!(goes(number) || names.binary_search(name).is_ok(), "one that stayed was not listed");
    }
}

/// Stores, lists, renames and removes a file and a directory of this name.
#[track_caller]
fn check_name(kit: &Kit<'_>, name: &[u8]) {
    kit.make_directory("/place");
    let full = [b"/place/", name].concat();
    kit.put(&full, b"contents");
    assert_eq!(kit.stat(&full).expect("the file is there").name, name);
    let listed: Vec<_> = kit.list("/place").into_iter().map(|entry| entry.name).collect();
    assert_eq!(listed, [name]);
    kit.check_contents(&full, b"contents");
    kit.wait(kit.backend.rename(&path(&full), &path("/place/plain"), false)).expect("it gets another name");
    kit.wait(kit.backend.rename(&path("/place/plain"), &path(&full), false)).expect("it gets its name back");
    kit.wait(kit.backend.remove_file(&path(&full))).expect("the file is removed");
    kit.cut(&full, b"cut");
    kit.check_part(super::kit::OWNER, &full, Some(3));
    kit.make_directory(&full);
    kit.put([&full[..], b"/below"].concat(), b"");
    kit.wait(kit.backend.remove_file(&path([&full[..], b"/below"].concat()))).expect("the file is removed");
    kit.wait(kit.backend.remove_directory(&path(&full))).expect("the directory is removed");
    kit.wait(kit.backend.remove_directory(&path("/place"))).expect("the place is removed");
}

pub(super) fn odd_names_come_back_as_they_are(kit: &Kit<'_>) {
    let long = "x".repeat(255);
    let wide = "é".repeat(127);
    for name in [
        " ",
        " a",
        "a b",
        "a ",
        "-rf",
        "--",
        "*",
        "?",
        "[a-z]",
        "~",
        "~root",
        "a.",
        "a..",
        "...",
        ".hidden",
        "a:b",
        "a\\b",
        "\"a\"",
        "'",
        "$HOME",
        "%2e%2e",
        "a;b",
        "#",
        "한글",
        "e\u{301}",
        "\u{202E}gpj",
        &long,
        &wide,
    ] {
        check_name(kit, name.as_bytes());
    }
}

pub(super) fn names_need_not_be_utf_8(kit: &Kit<'_>) {
    for name in [&b"\xFF"[..], b"\xE9t\xE9", b"a\xC3", b"\x80\x81", &[0xFE; 255]] {
        check_name(kit, name);
    }
}
