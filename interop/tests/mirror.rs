//! A real tree up and down with lftp's mirror, one connection and eight; what comes back is compared by `diff -r`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use longshore_interop::{Case, Client, Folder, Server, Way, Who, is_peer_here, recorded, run};

const SOURCE: &str = "/usr/share/doc";
/// A tree of some thousand files takes seconds; only a hang is ever cut.
const BOUND: Duration = Duration::from_secs(600);

/// Copies the tree with its links followed, so that both sides hold plain files. Links that lead nowhere are
/// dropped: cp names them and ends with 1.
fn stage(folder: &Folder) -> usize {
    let tree = folder.path().join("tree");
    let copied = run(Command::new("cp").arg("-rL").args([Path::new(SOURCE), &tree]), BOUND);
    let complaints = String::from_utf8_lossy(&copied.stderr);
    assert!(complaints.lines().all(|line| line.contains("cannot stat")), "{copied}");
    count(&tree)
}

fn count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let count_entry = |entry: fs::DirEntry| if entry.path().is_dir() { count(&entry.path()) } else { 1 };
    entries.map(|entry| count_entry(entry.expect("the folder can be read"))).sum()
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
        check(Client::Lftp.ways()[0], "", "a tree of thousands of files up and down");
    }
}

#[test]
fn a_tree_by_eight_connections() {
    if is_peer_here("lftp") && is_peer_here("diff") {
        let last = *Client::Lftp.ways().last().expect("every machine has one way");
        check(last, "--parallel=8", "a tree of thousands of files by eight connections");
    }
}
