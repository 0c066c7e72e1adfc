//! What each operation means: the same steps and the same look at the files for every client.
//!
//! Not inside: how a client is asked for a step, which is in `drivers`, and what only single clients do, which is in
//! `tests/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::case::{Case, on_ways};
use crate::clients::{Client, Who};
use crate::content::{
    MODIFIED, assert_same_bytes, common_names, date, dated, names_with_outer_spaces, names_with_signs,
    pattern, sizes,
};
use crate::gaps;
use crate::operations::Operation;
use crate::steps::{Refusal, Step};
use crate::way::{Family, Way};

/// Files in a session of several.
const FILES: usize = 20;
/// Bytes of a file whose transfer is resumed.
const RESUMED_BYTES: usize = 2 << 20;

/// Tries an operation on every way on which the client has it.
///
/// # Panics
/// When it failed on any.
#[track_caller]
pub fn check(client: Client, operation: Operation) {
    let test: fn(&Case<'_>) = match operation {
        Operation::Upload => upload,
        Operation::Replace => replace,
        Operation::ResumeUpload => resume_upload,
        Operation::Append => append,
        Operation::Download => download,
        Operation::ResumeDownload => resume_download,
        Operation::SeveralFiles => several_files,
        Operation::Text => text,
        Operation::List => list,
        Operation::Names => |case| names(case, common_names()),
        Operation::NamesWithOuterSpaces => |case| names(case, names_with_outer_spaces()),
        Operation::NamesWithSigns => |case| names(case, names_with_signs()),
        Operation::Folders => folders,
        Operation::Rename => rename,
        Operation::Delete => delete,
        Operation::ReadTime => read_time,
        Operation::SetTime => set_time,
        Operation::MirrorUp => mirror_up,
        Operation::MirrorDown => mirror_down,
        Operation::WrongPassword => wrong_password,
        Operation::MissingFile => missing_file,
        Operation::Anonymous => anonymous,
        Operation::RefusedUpload => refused_upload,
    };
    let families = Family::here();
    let here = |ways: Vec<Way>| -> Vec<Way> {
        ways.into_iter().filter(|way| families.contains(&way.family)).collect()
    };
    on_ways(client, operation.name(), &here(gaps::ways_of(client, operation)), test);
    if let Some(gap) = gaps::gap(client, operation) {
        eprintln!("{client}, {operation}: {client} {}", gap.reason);
    }
}

/// A file of each size, called by it.
fn sized_files() -> Vec<(String, Vec<u8>)> {
    let file = |(seed, size): (usize, usize)| (format!("file-{size}"), pattern(size, seed as u32));
    sizes().into_iter().enumerate().map(file).collect()
}

fn upload(case: &Case<'_>) {
    let files = sized_files();
    for (name, bytes) in &files {
        case.prepare(name, bytes);
    }
    let steps: Vec<Step<'_>> = files.iter().map(|(name, _)| Step::Put(name, name)).collect();
    case.does(&steps);
    for (name, bytes) in &files {
        assert_same_bytes(name, &case.stored(name), bytes);
    }
    assert_eq!(case.names("").len(), files.len(), "nothing but the files: {:?}", case.names(""));
}

fn replace(case: &Case<'_>) {
    case.place("file", pattern(65_536, 1));
    case.prepare("local", "shorter");
    case.does(&[Step::Put("local", "file")]);
    assert_eq!(case.stored("file"), b"shorter");
    assert_eq!(case.names(""), ["file"]);
}

fn resume_upload(case: &Case<'_>) {
    // The part and the file differ, so that what was not sent again is seen.
    let (before, now) = (pattern(RESUMED_BYTES, 10), pattern(RESUMED_BYTES, 11));
    let part = case.leave_a_part("big", &before);
    case.prepare("big", &now);
    case.does(&[Step::ResumePut("big", "big")]);
    assert_same_bytes("big", &case.stored("big"), &[&before[..part], &now[part..]].concat());
    assert_eq!(case.names(""), ["big"], "the part is gone");
}

fn append(case: &Case<'_>) {
    case.place("file", "first ");
    case.prepare("local", "second");
    case.does(&[Step::Append("local", "file"), Step::Append("local", "new")]);
    assert_eq!(case.stored("file"), b"first second");
    assert_eq!(case.stored("new"), b"second");
}

fn download(case: &Case<'_>) {
    let files = sized_files();
    for (name, bytes) in &files {
        case.place(name, bytes);
    }
    let steps: Vec<Step<'_>> = files.iter().map(|(name, _)| Step::Get(name, name)).collect();
    case.does(&steps);
    for (name, bytes) in &files {
        assert_same_bytes(name, &case.received(name), bytes);
    }
}

fn resume_download(case: &Case<'_>) {
    // The part and the file differ, so that what was not fetched again is seen.
    let (before, now) = (pattern(RESUMED_BYTES / 3, 12), pattern(RESUMED_BYTES, 13));
    case.place("big", &now);
    case.prepare("big", &before);
    case.does(&[Step::ResumeGet("big", "big")]);
    assert_same_bytes("big", &case.received("big"), &[&before, &now[before.len()..]].concat());
}

fn several_files(case: &Case<'_>) {
    let names: Vec<String> = (0..FILES).map(|number| format!("file-{number}")).collect();
    let bytes = |number: usize| pattern(1000 + number, number as u32);
    let logins = case.server.logins_behind(0, "");
    let is_sent = gaps::has(case.client, Operation::Upload);
    for (number, name) in names.iter().enumerate() {
        if is_sent { drop(case.prepare(name, bytes(number))) } else { case.place(name, bytes(number)) }
    }
    if is_sent {
        let puts: Vec<Step<'_>> = names.iter().map(|name| Step::Put(name, name)).collect();
        case.does(&puts);
    }
    for (number, name) in names.iter().enumerate() {
        assert_same_bytes(name, &case.stored(name), &bytes(number));
        if is_sent {
            fs::remove_file(case.outside(name)).expect("the client's file is there");
        }
    }
    let gets: Vec<Step<'_>> = names.iter().map(|name| Step::Get(name, name)).collect();
    case.does(&gets);
    for (number, name) in names.iter().enumerate() {
        assert_same_bytes(name, &case.received(name), &bytes(number));
    }
    let sessions = case.server.logins_behind(FILES, &case.remote("")) - logins;
    assert_eq!(sessions, if is_sent { 2 } else { 1 }, "one session for all files of a direction");
}

fn text(case: &Case<'_>) {
    case.place("down", "one\ntwo\n\nend\n");
    case.does(&[Step::GetText("down", "down")]);
    // wget leaves the line ends as they come; the others make them those of this system.
    let end = if case.client == Client::Wget { "\r\n" } else { "\n" };
    let expected = "one\ntwo\n\nend\n".replace('\n', end);
    assert_eq!(String::from_utf8_lossy(&case.received("down")), expected);
    if gaps::has(case.client, Operation::Upload) {
        case.prepare("up", "eins\nzwei\n");
        case.does(&[Step::PutText("up", "up")]);
        assert_eq!(String::from_utf8_lossy(&case.stored("up")), "eins\nzwei\n");
    }
}

fn list(case: &Case<'_>) {
    fs::create_dir(case.inside("listed")).expect("a folder");
    fs::create_dir(case.inside("listed/directory")).expect("a folder");
    fs::create_dir(case.inside("empty")).expect("a folder");
    let mut expected: Vec<String> = (0..300).map(|number| format!("file-{number}")).collect();
    expected.extend(common_names().iter().map(|&name| name.to_owned()));
    for (size, name) in expected.iter().enumerate() {
        case.place(format!("listed/{name}"), pattern(size, 1));
    }
    expected.push("directory".to_owned());
    expected.sort();
    assert_eq!(case.lists(&["listed"]), expected);
    assert_eq!(case.lists(&["empty"]), Vec::<String>::new());
}

/// Sends, fetches, lists and deletes a file of each name; a client that only fetches finds them there. Locally the
/// files have plain names, for what a file system takes is another question.
fn names(case: &Case<'_>, names: &[&str]) {
    let content = |name: &str| format!("content of {name}");
    let is_sent = gaps::has(case.client, Operation::Upload);
    fs::create_dir(case.inside("names")).expect("a folder");
    let remote: Vec<String> = names.iter().map(|name| format!("names/{name}")).collect();
    let local: Vec<String> = (0..names.len()).map(|number| format!("local-{number}")).collect();
    let back: Vec<String> = (0..names.len()).map(|number| format!("back-{number}")).collect();
    if is_sent {
        for (name, local) in names.iter().zip(&local) {
            case.prepare(local, content(name));
        }
        let puts: Vec<Step<'_>> =
            local.iter().zip(&remote).map(|(local, remote)| Step::Put(local, remote)).collect();
        case.does(&puts);
    } else {
        for (name, remote) in names.iter().zip(&remote) {
            case.place(remote, content(name));
        }
    }
    let gets: Vec<Step<'_>> =
        remote.iter().zip(&back).map(|(remote, back)| Step::Get(remote, back)).collect();
    case.does(&gets);
    for ((name, remote), back) in names.iter().zip(&remote).zip(&back) {
        assert_same_bytes(name, &case.stored(remote), content(name).as_bytes());
        assert_same_bytes(name, &case.received(back), content(name).as_bytes());
    }
    let mut expected: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    expected.sort();
    assert_eq!(case.lists(&["names"]), expected);
    if gaps::has(case.client, Operation::Delete) {
        let deletes: Vec<Step<'_>> = remote.iter().map(|remote| Step::Delete(remote)).collect();
        case.does(&deletes);
        assert_eq!(case.names("names"), Vec::<&str>::new());
    }
}

fn folders(case: &Case<'_>) {
    case.does(&[Step::MakeFolder("made"), Step::MakeFolder("with space")]);
    assert!(case.inside("made").is_dir() && case.inside("with space").is_dir());
    case.does(&[Step::RemoveFolder("made"), Step::RemoveFolder("with space")]);
    assert_eq!(case.names(""), Vec::<&str>::new());
    fs::create_dir(case.inside("full")).expect("a folder");
    case.place("full/file", "x");
    case.is_refused(Who::Account, Step::RemoveFolder("full"), Refusal::NotEmpty);
    assert_eq!(case.stored("full/file"), b"x");
}

fn rename(case: &Case<'_>) {
    case.place("old", "content");
    case.does(&[Step::Rename("old", "new name")]);
    assert_eq!(case.names(""), ["new name"]);
    assert_eq!(case.stored("new name"), b"content");
}

fn delete(case: &Case<'_>) {
    case.place("kept", "x");
    case.place("not kept", "x");
    case.does(&[Step::Delete("not kept")]);
    assert_eq!(case.names(""), ["kept"]);
}

fn read_time(case: &Case<'_>) {
    case.place("dated", pattern(12_345, 3));
    date(&case.inside("dated"));
    case.does(&[Step::GetDated("dated", "dated")]);
    assert_same_bytes("dated", &case.received("dated"), &pattern(12_345, 3));
    assert_eq!(dated(&case.outside("dated")), MODIFIED);
}

fn set_time(case: &Case<'_>) {
    date(&case.prepare("dated", pattern(12_345, 4)));
    case.does(&[Step::PutDated("dated", "dated")]);
    assert_same_bytes("dated", &case.stored("dated"), &pattern(12_345, 4));
    assert_eq!(dated(&case.inside("dated")), MODIFIED);
}

/// Writes a tree that is small, and has what trips a walk.
fn write_tree(root: &Path) {
    for (seed, name) in
        ["top", "inner/deep/file", "inner/deep/file two", "with space/\u{FC}ml\u{E4}ut", "inner/nothing"]
            .into_iter()
            .enumerate()
    {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("our own folder");
        fs::write(path, pattern(seed * 5000 % 20_000, seed as u32)).expect("our own file");
    }
}

/// The files of a tree with their contents, by their paths from its root.
fn read_tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name =
                    path.strip_prefix(root).expect("it lies in the tree").to_string_lossy().into_owned();
                files.insert(name, fs::read(&path).expect("the file can be read"));
            }
        }
    }
    files
}

#[track_caller]
fn assert_same_trees(actual: &Path, expected: &Path) {
    let (actual, expected) = (read_tree(actual), read_tree(expected));
    assert_eq!(actual.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in &expected {
        assert_same_bytes(name, &actual[name], bytes);
    }
}

fn mirror_up(case: &Case<'_>) {
    write_tree(&case.outside("tree"));
    case.does(&[Step::MirrorUp("tree", "tree")]);
    assert_same_trees(&case.inside("tree"), &case.outside("tree"));
}

fn mirror_down(case: &Case<'_>) {
    write_tree(&case.inside("tree"));
    case.does(&[Step::MirrorDown("tree", "tree")]);
    assert_same_trees(&case.outside("tree"), &case.inside("tree"));
}

fn wrong_password(case: &Case<'_>) {
    case.place("file", "not for you");
    case.is_refused(Who::Impostor, Step::Get("file", "file"), Refusal::Login);
    assert!(
        fs::read(case.outside("file")).is_ok_and(|bytes| bytes.is_empty()) || !case.outside("file").exists()
    );
}

fn missing_file(case: &Case<'_>) {
    case.is_refused(Who::Account, Step::Get("nowhere", "nowhere"), Refusal::Missing);
}

fn anonymous(case: &Case<'_>) {
    case.place("public", "for all");
    case.does_as(Who::Anonymous, &[Step::Get("public", "public")]);
    assert_eq!(case.received("public"), b"for all");
    assert_eq!(case.names(""), ["public"]);
}

fn refused_upload(case: &Case<'_>) {
    case.prepare("intruder", "not wanted");
    case.is_refused(Who::Anonymous, Step::Put("intruder", "intruder"), Refusal::NoPermission);
    assert_eq!(case.names(""), Vec::<&str>::new());
}
