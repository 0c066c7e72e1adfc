//! What LIST, NLST, MLSD, MLST and STAT show of a tree.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};

use longshore_server::storage::Timestamp;
use longshore_server::storage::limits::BATCH_ENTRIES;
use longshore_server::storage::memory::Memory;

use crate::common::backends::{Gate, Odd, Way};
use crate::common::ground::{Scratch, with_each_store};
use crate::common::{Client, PATIENCE, Server, Situation, check_octets, octets};

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

/// Files that stay are listed once, whatever comes and goes while the listing waits for its reader.
#[test]
fn a_directory_that_changes_while_its_listing_is_held_back() {
    const FILES: usize = 20_000;
    let scratch = Scratch::new();
    let name = |number: usize| format!("{number:05}{}", "n".repeat(240));
    for number in 0..FILES {
        std::fs::write(scratch.path().join(name(number)), "").expect("it is written");
    }
    let goes = |number: usize| number.is_multiple_of(3);
    let server = Server::of(scratch.local());
    let mut client = server.anna();
    let to = client.passive();
    let mut data = crate::common::Data::connect_small(to, 4096);
    client.command("MLSD", 125);
    let mut listing = data.read(10_000);
    for number in (0..FILES).filter(|&number| goes(number)) {
        std::fs::remove_file(scratch.path().join(name(number))).expect("it is removed");
        std::fs::write(scratch.path().join(format!("new-{number}")), "").expect("it is written");
    }
    listing.extend(data.read_all());
    client.expect(226);
    let listing = lines(listing);
    let mut names: Vec<&str> = listing.iter().filter_map(|line| line.split(' ').next_back()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "an entry was listed twice");
    let is_listed = |number: usize| names.binary_search(&name(number).as_str()).is_ok();
    for number in (0..FILES).filter(|&number| !goes(number)) {
        assert!(is_listed(number), "{number} was there all the while");
    }
    assert!(
        (0..FILES).any(|number| goes(number) && !is_listed(number)),
        "the directory was read to its end before anybody read the listing"
    );
}

/// As many as make a few batches.
fn batches() -> Memory {
    let memory = Memory::with_clock(|| LONG_AGO);
    for number in 0..8 * BATCH_ENTRIES {
        memory.insert(format!("/{number:05}"), "");
    }
    memory
}

/// What has been read is sent before the rest is waited for.
#[test]
fn the_first_lines_do_not_wait_for_the_last() {
    let gate = Gate::new();
    let (calls, held) = (AtomicUsize::new(0), gate.clone());
    let server = Server::of(Odd::new(batches(), move |name, _| {
        let is_second = name == "next_entries" && calls.fetch_add(1, Ordering::SeqCst) == 1;
        if is_second { Way::BehindGate(held.clone()) } else { Way::AsUsual }
    }));
    let mut client = server.anna();
    let mut data = client.data();
    client.command("NLST", 125);
    let first = data.read(BATCH_ENTRIES * "00000\r\n".len());
    assert!(first.starts_with(b"00000\r\n"), "{}", first.escape_ascii());
    gate.wait_for_jobs(1);
    gate.open();
    assert_eq!(data.read_all().len(), 7 * first.len());
    client.expect(226);
}

/// Batches that overtake others wait for their turn.
#[test]
fn lines_go_out_in_the_order_of_the_store() {
    let gate = Gate::new();
    let (call, calls) = mpsc::channel();
    let (counted, held, call) = (AtomicUsize::new(0), gate.clone(), Mutex::new(call));
    let server = Server::of(Odd::new(batches(), move |name, _| {
        if name != "next_entries" {
            return Way::AsUsual;
        }
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let call = call.lock().expect("nobody panics with it");
        // Calls behind the end may come when the test has gone on.
        let _ = call.send(number);
        if number == 3 { Way::BehindGate(held.clone()) } else { Way::AsUsual }
    }));
    let mut client = server.anna();
    let mut data = client.data();
    client.command("NLST", 125);
    while calls.recv_timeout(PATIENCE).expect("others are read while one is held") < 5 {}
    gate.open();
    let expected: String = (0..8 * BATCH_ENTRIES).map(|number| format!("{number:05}\r\n")).collect();
    check_octets(&data.read_all(), expected.as_bytes());
    client.expect(226);
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
