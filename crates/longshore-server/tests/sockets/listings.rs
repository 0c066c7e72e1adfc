//! What LIST, NLST, MLSD, MLST and STAT show of a tree.

use longshore_server::storage::Timestamp;
use longshore_server::storage::memory::Memory;

use crate::common::ground::{Scratch, with_each_store};
use crate::common::{Client, Server, Situation, octets};

/// 2020-02-03 04:05:06 UTC.
const LONG_AGO: Timestamp = Timestamp { seconds: 1_580_702_706, nanoseconds: 0 };

fn lines(bytes: Vec<u8>) -> Vec<String> {
    let text = String::from_utf8(bytes).expect("these names are");
    assert!(text.is_empty() || text.ends_with("\r\n"), "{text:?}");
    let mut lines: Vec<String> = text.split_terminator("\r\n").map(str::to_owned).collect();
    lines.sort();
    lines
}

/// `/dir` with two files and a directory, all made through the server.
#[track_caller]
fn plant(client: &mut Client) {
    client.command("MKD dir", 257);
    client.command("MKD dir/sub", 257);
    client.store("STOR dir/one.txt", b"1");
    client.store("STOR dir/two.txt", b"22");
    for path in ["dir/one.txt", "dir/two.txt", "dir/sub", "dir"] {
        client.command(format!("MFMT 20200203040506 {path}"), 213);
    }
}

#[test]
fn names() {
    with_each_store(|server| {
        let mut client = server.anna();
        assert_eq!(client.names("NLST"), [""; 0], "an empty directory is an empty list");
        plant(&mut client);
        assert_eq!(client.names("NLST"), ["dir"]);
        assert_eq!(client.names("NLST /"), ["/dir"]);
        // With the path that was asked for, so that each line can be used as it stands.
        let all = ["dir/one.txt", "dir/sub", "dir/two.txt"];
        assert_eq!(client.names("NLST dir"), all);
        assert_eq!(client.names("NLST dir/"), all);
        assert_eq!(client.names("NLST dir/one.txt"), ["dir/one.txt"]);
        assert_eq!(client.names("NLST dir/*.txt"), ["dir/one.txt", "dir/two.txt"]);
        assert_eq!(client.names("NLST dir/t*"), ["dir/two.txt"]);
        assert_eq!(client.names("NLST dir/[o-s]*"), ["dir/one.txt", "dir/sub"]);
        assert_eq!(client.names("NLST dir/nothing*"), [""; 0]);
        client.command("CWD dir", 250);
        assert_eq!(client.names("NLST"), ["one.txt", "sub", "two.txt"]);
        assert_eq!(client.names("NLST ???.txt"), ["one.txt", "two.txt"]);
        assert_eq!(client.names("NLST sub"), [""; 0]);
        // An existing name wins over what it would mean as a pattern.
        client.store("STOR [x]*", b"");
        client.store("STOR xyz", b"");
        assert_eq!(client.names("NLST [x]*"), ["[x]*"]);
        client.passive();
        client.command("NLST missing", 550);
        client.command("NLST missing/*", 550);
    });
}

#[test]
fn long_lines() {
    with_each_store(|server| {
        let mut client = server.anna();
        assert_eq!(client.fetch("LIST"), b"");
        plant(&mut client);
        for line in ["LIST dir", "LIST -a dir", "LIST -la dir", "LIST dir/"] {
            let listing = lines(client.fetch(line));
            let [one, two, sub] = &listing[..] else { panic!("{line}: {listing:?}") };
            assert!(one.starts_with("-rw-r--r--") && one.ends_with(" Feb  3  2020 one.txt"), "{one}");
            assert!(two.contains(" 2 Feb  3  2020 two.txt"), "{two}");
            assert!(sub.starts_with("drwxr-xr-x") && sub.ends_with(" Feb  3  2020 sub"), "{sub}");
        }
        assert_eq!(lines(client.fetch("LIST dir/one.txt")).len(), 1);
        let listing = lines(client.fetch("LIST dir/*.txt"));
        assert!(listing.len() == 2 && listing.iter().all(|line| line.ends_with(".txt")), "{listing:?}");
    });
}

#[test]
fn facts() {
    with_each_store(|server| {
        let mut client = server.anna();
        assert_eq!(client.fetch("MLSD"), b"");
        plant(&mut client);
        let listing = lines(client.fetch("MLSD dir"));
        assert_eq!(listing.len(), 3, "{listing:?}");
        let one = listing.iter().find(|line| line.ends_with(" one.txt")).expect("it is listed");
        for fact in ["type=file;", "size=1;", "modify=20200203040506;"] {
            assert!(one.to_lowercase().contains(fact), "{one}");
        }
        let sub = listing.iter().find(|line| line.ends_with(" sub")).expect("it is listed");
        assert!(sub.to_lowercase().contains("type=dir;") && !sub.to_lowercase().contains("size="), "{sub}");
        // One entry over the control connection, with its whole path.
        let reply = client.command("MLST dir/one.txt", Situation::FactsOf);
        let [facts] = &reply.lines()[..] else { panic!("{reply:?}") };
        assert!(facts.ends_with("; /dir/one.txt"), "{facts}");
        assert!(client.command("MLST", 250).lines()[0].ends_with("; /"));
        client.command("OPTS MLST size;nonsense;", Situation::FactsSet);
        assert!(lines(client.fetch("MLSD dir")).iter().any(|line| line.to_lowercase() == "size=1; one.txt"));
        client.command("OPTS MLST", 200);
        assert!(lines(client.fetch("MLSD dir")).iter().any(|line| line == " one.txt"));
        client.passive();
        client.command("MLSD dir/one.txt", Situation::NotADirectory);
        client.command("MLST missing", 550);
    });
}

#[test]
fn over_the_control_connection() {
    with_each_store(|server| {
        let mut client = server.anna();
        plant(&mut client);
        let reply = client.command("STAT dir", Situation::StatusDirectory);
        assert_eq!(reply.lines().len(), 3, "{reply:?}");
        let reply = client.command("STAT dir/one.txt", Situation::StatusFile);
        assert!(reply.lines()[0].ends_with(" one.txt"), "{reply:?}");
        client.command("STAT missing", 450);
    });
}

/// Many entries come whole, also where they pass every buffer on the way several times.
#[test]
fn directories_of_many_entries() {
    let memory = Memory::with_clock(|| LONG_AGO);
    let scratch = Scratch::new();
    let count = 5_000;
    for number in 0..count {
        memory.insert(format!("/{number:05}-{}", "n".repeat(40)), "");
        std::fs::write(scratch.path().join(format!("{number:05}-{}", "n".repeat(40))), "")
            .expect("it is written");
    }
    for server in [Server::of(memory), Server::of(scratch.local())] {
        let mut client = server.anna();
        for line in ["LIST", "NLST", "MLSD"] {
            let listing = lines(client.fetch(line));
            assert_eq!(listing.len(), count, "{line}");
            let mut names: Vec<&str> =
                listing.iter().filter_map(|line| line.split(' ').next_back()).collect();
            names.sort_unstable();
            assert!(
                names.iter().enumerate().all(|(number, name)| name.starts_with(&format!("{number:05}-"))),
                "{line}"
            );
        }
        client.command("STAT /", Situation::ListingTooLong);
        // Nobody reads it to its end: 426, and the session lives.
        let mut data = client.data();
        client.command("ABOR", 226);
        data.expect_end();
        client.command("NOOP", 200);
    }
}

/// A link is shown as one, and one that leads out of the root leads nowhere.
#[test]
fn links() {
    let scratch = Scratch::new();
    let root = scratch.path();
    std::fs::write(root.join("file"), "contents").expect("a file is written");
    std::os::unix::fs::symlink("file", root.join("inside")).expect("a link is made");
    std::os::unix::fs::symlink("/etc/passwd", root.join("outside")).expect("a link is made");
    let server = Server::of(scratch.local());
    let mut client = server.anna();
    let listing = lines(client.fetch("LIST"));
    let line = |name: &str| listing.iter().find(|line| line.contains(name)).expect("it is listed").clone();
    assert!(line(" inside").starts_with('l') && line(" inside").ends_with(" inside -> file"), "{listing:?}");
    assert!(line(" outside").starts_with('l'), "{listing:?}");
    assert_eq!(client.fetch("RETR inside"), b"contents");
    client.passive();
    client.command("RETR outside", 550);
    // Written through the link: the file it leads to is replaced, not the link.
    client.store("STOR inside", b"new");
    assert_eq!(std::fs::read(root.join("file")).expect("it is there"), b"new");
    assert!(std::fs::symlink_metadata(root.join("inside")).expect("it is there").is_symlink());
}

/// A listing that its reader does not take all of is cut, not truncated with success.
#[test]
fn a_listing_that_is_cut() {
    let memory = Memory::with_clock(|| LONG_AGO);
    for number in 0..60_000 {
        memory.insert(format!("/{number:05}{}", "n".repeat(250)), octets(0, 0));
    }
    let server = Server::of(memory);
    let mut client = server.anna();
    let to = client.passive();
    let mut data = crate::common::Data::connect_small(to, 4096);
    client.command("NLST", 125);
    data.read(10_000);
    data.reset();
    client.expect(Situation::PeerResetAnew);
    client.command("NOOP", 200);
}
