//! A real tree up and down with lftp's mirror, one connection and eight; what comes back is compared by `diff -r`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use longshore_interop::{Case, Client, Folder, Server, Way, Who, is_peer_here, recorded, run};

const SOURCE: &str = "/usr/share/doc";
/// A tree of some thousand files takes seconds; only a hang is ever cut.
const BOUND: Duration = Duration::from_secs(600);

/// More files than any list or pool holds at once, and no more than take seconds.
const FILES_LIMIT: usize = 3000;
/// Folders within folders; links that lead back end here.
const DEPTH_LIMIT: usize = 8;

/// Copies the tree with its links followed, so that both sides hold plain files, up to so many. Links that lead
/// nowhere are left out.
fn stage(folder: &Folder) -> usize {
    let mut count = 0;
    copy(Path::new(SOURCE), &folder.path().join("tree"), DEPTH_LIMIT, &mut count);
    count
}

fn copy(from: &Path, to: &Path, depth: usize, count: &mut usize) {
    fs::create_dir(to).expect("a folder within our own");
    let mut entries: Vec<PathBuf> = fs::read_dir(from)
        .map_or_else(|_| Vec::new(), |entries| entries.flatten().map(|entry| entry.path()).collect());
    entries.sort();
    for path in entries {
        let to = to.join(path.file_name().expect("an entry has a name"));
        match fs::metadata(&path) {
            _ if *count >= FILES_LIMIT => return,
            Ok(metadata) if metadata.is_dir() && depth > 0 => copy(&path, &to, depth - 1, count),
            Ok(metadata) if metadata.is_file() && fs::copy(&path, &to).is_ok() => *count += 1,
            Ok(_) | Err(_) => {}
        }
    }
}

#[track_caller]
fn assert_same_trees(one: &Path, other: &Path) {
    let difference = run(Command::new("diff").arg("-r").args([one, other]), BOUND).succeeded();
    assert!(difference.stdout.is_empty(), "{difference}");
}

#[track_caller]
fn check(way: Way, options: &str, operation: &str) {
    let staged = Folder::new("mirror");
    let files = stage(&staged);
    let tree = staged.path().join("tree");
    assert!(files > 0, "{SOURCE} holds no file");
    recorded(Client::Lftp.name(), operation, &way.to_string(), || {
        let server = Server::start();
        let case = Case::new(&server, Client::Lftp, way);
        let up = format!("mirror -R {options} {} up", tree.display());
        run(&mut case.lftp(Who::Account, up), BOUND).succeeded();
        assert_same_trees(&tree, &case.inside("up"));
        run(&mut case.lftp(Who::Account, format!("mirror {options} up down")), BOUND).succeeded();
        assert_same_trees(&tree, &case.outside("down"));
        server.stop();
    });
}

#[test]
fn a_tree_by_one_connection() {
    if is_peer_here("lftp") && is_peer_here("diff") {
        check(Client::Lftp.ways()[0], "", "/usr/share/doc up and down");
    }
}

#[test]
fn a_tree_by_eight_connections() {
    if is_peer_here("lftp") && is_peer_here("diff") {
        let last = *Client::Lftp.ways().last().expect("every machine has one way");
        check(last, "--parallel=8", "/usr/share/doc by eight connections");
    }
}
