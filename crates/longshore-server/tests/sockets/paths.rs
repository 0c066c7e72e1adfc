//! Names that lead elsewhere, names of any bytes, and nobody ever outside the root.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use longshore_server::storage::memory::Memory;

use crate::common::ground::{Scratch, local, visible};
use crate::common::{Data, MORE_THAN_BUFFERS_BYTES, Server, Setup, Situation, check_octets, octets};

/// A root that is served, and a directory beside it that must stay as it is.
struct Ground {
    scratch: Scratch,
}

impl Ground {
    fn new() -> Ground {
        let ground = Ground { scratch: Scratch::new() };
        for directory in [ground.root(), ground.outside(), ground.root().join("dir")] {
            fs::create_dir(directory).expect("a directory is made");
        }
        fs::write(ground.outside().join("secret"), "outside").expect("a file is written");
        fs::write(ground.root().join("file"), "inside").expect("a file is written");
        fs::write(ground.root().join("dir/file"), "inside").expect("a file is written");
        ground
    }

    fn root(&self) -> PathBuf {
        self.scratch.path().join("root")
    }

    fn outside(&self) -> PathBuf {
        self.scratch.path().join("outside")
    }

    fn serve(&self) -> Server {
        Server::of(local(&self.root()))
    }

    fn link(&self, name: &str, target: impl AsRef<std::path::Path>) {
        symlink(target, self.root().join(name)).expect("a link is made");
    }

    #[track_caller]
    fn check_outside(&self) {
        let names: Vec<_> = fs::read_dir(self.outside()).expect("it opens").collect();
        assert_eq!(names.len(), 1, "{names:?}");
        assert_eq!(fs::read(self.outside().join("secret")).expect("it is there"), b"outside");
    }
}

/// Every verb with a path, and whether it needs something arranged.
const READING: &[&str] = &["RETR", "LIST", "NLST", "MLSD", "SIZE", "MDTM", "MLST", "CWD", "STAT"];
const WRITING: &[&str] = &["STOR", "APPE", "STOU", "DELE", "MKD", "RMD", "RNFR", "MFMT 20200101000000"];

#[test]
fn dots_and_slashes_stay_within_the_root() {
    let ground = Ground::new();
    let server = ground.serve();
    let mut client = server.anna();
    for (line, expected) in [
        ("CWD ..", "/"),
        ("CWD ../../../../..", "/"),
        ("CDUP", "/"),
        ("CWD dir", "/dir"),
        ("CWD ../dir/./../dir//", "/dir"),
        ("CWD /", "/"),
        ("CWD //dir", "/dir"),
    ] {
        client.command(line, 250);
        let text = client.command("PWD", 257).text();
        assert!(text.starts_with(&format!("\"{expected}\"")), "{line}: {text}");
    }
    client.command("CWD /", 250);
    for path in ["../outside/secret", "/../outside/secret", "dir/../../outside/secret"] {
        client.command(format!("SIZE {path}"), Situation::NotFound);
        let mut data = client.data();
        client.command(format!("RETR {path}"), Situation::NotFound);
        client.command(format!("STOR {path}"), Situation::TargetNoDirectory);
        data.expect_end();
    }
    // An absolute path is one within the root.
    let absolute = ground.outside().join("secret").display().to_string();
    client.command(format!("SIZE {absolute}"), Situation::NotFound);
    assert_eq!(client.fetch("RETR /dir/file"), b"inside");
    ground.check_outside();
}

#[test]
fn links_that_lead_out_of_the_root_lead_nowhere() {
    let ground = Ground::new();
    ground.link("absolute", ground.outside());
    ground.link("relative", "../outside");
    ground.link("dir/deep", "../../outside");
    ground.link("chain", "relative");
    ground.link("secret", "../outside/secret");
    ground.link("new", "../outside/new");
    ground.link("proc", "/proc/self/root");
    ground.link("loop", "loop");
    let server = ground.serve();
    let mut client = server.anna();
    for link in ["absolute", "relative", "dir/deep", "chain", "proc"] {
        for name in ["secret", "new"] {
            for verb in READING.iter().chain(WRITING) {
                let path = match verb {
                    &"CWD" | &"MLSD" => link.to_owned(),
                    _ => format!("{link}/{name}"),
                };
                client.passive();
                let code = client_code(&mut client, &format!("{verb} {path}"));
                assert!([550, 553, 450].contains(&code), "{verb} {path}: {code}");
            }
        }
    }
    for name in ["secret", "new", "loop"] {
        for verb in ["RETR", "SIZE", "MDTM", "STOR", "APPE", "MFMT 20200101000000"] {
            client.passive();
            let code = client_code(&mut client, &format!("{verb} {name}"));
            assert!([550, 553].contains(&code), "{verb} {name}: {code}");
        }
    }
    // A link itself can be named, renamed and removed.
    client.command("RNFR secret", 350);
    client.command("RNTO renamed", 250);
    client.command("DELE renamed", 250);
    client.command("RNFR file", 350);
    client.command("RNTO relative/file", 553);
    assert_eq!(client.fetch("RETR file"), b"inside");
    ground.check_outside();
}

#[track_caller]
fn client_code(client: &mut crate::common::Client, line: &str) -> u16 {
    client.send(line);
    client.reply().code
}

#[test]
fn a_directory_swapped_for_a_link_during_an_upload() {
    let ground = Ground::new();
    let server = ground.serve();
    for line in ["STOR dir/file", "STOR dir/secret", "APPE dir/file", "STOU dir/secret"] {
        let mut client = server.anna();
        let mut data = client.data();
        client.command(line, 125);
        data.write(b"half");
        client.wait_until_moved(4);
        fs::rename(ground.root().join("dir"), ground.root().join("moved")).expect("it is renamed");
        ground.link("dir", "../outside");
        data.write(b" and half");
        data.finish();
        // Stored where the directory is now, or not at all.
        let code = client.reply().code;
        assert!([226, 451, 553].contains(&code), "{line}: {code}");
        client.command("NOOP", 200);
        ground.check_outside();
        fs::remove_file(ground.root().join("dir")).expect("the link goes");
        fs::rename(ground.root().join("moved"), ground.root().join("dir")).expect("it is renamed");
    }
}

#[test]
fn a_directory_swapped_for_a_link_during_a_download() {
    let ground = Ground::new();
    let contents = octets(MORE_THAN_BUFFERS_BYTES, 1);
    fs::write(ground.root().join("dir/secret"), &contents).expect("a file is written");
    let server = ground.serve();
    let mut client = server.anna();
    let mut data = client.data();
    client.command("RETR dir/secret", 125);
    let mut received = data.read(100_000);
    fs::rename(ground.root().join("dir"), ground.root().join("moved")).expect("it is renamed");
    ground.link("dir", "../outside");
    received.extend(data.read_all());
    client.expect(226);
    check_octets(&received, &contents);
    let to = client.passive();
    client.command("RETR dir/secret", 550);
    drop(Data::connect(to));
    ground.check_outside();
}

/// A file that becomes shorter while it is sent is no whole file.
#[test]
fn a_file_that_shrinks_during_a_download() {
    let ground = Ground::new();
    fs::write(ground.root().join("file"), octets(MORE_THAN_BUFFERS_BYTES, 1)).expect("a file is written");
    let server = ground.serve();
    let mut client = server.anna();
    let mut data = client.data();
    client.command("RETR file", 125);
    data.read(100_000);
    fs::OpenOptions::new()
        .write(true)
        .open(ground.root().join("file"))
        .and_then(|file| file.set_len(200_000))
        .expect("it is cut");
    data.expect_reset();
    client.expect(Situation::FileShrank);
    check_octets(&client.fetch("RETR file"), &octets(MORE_THAN_BUFFERS_BYTES, 1)[..200_000]);
}

#[test]
fn names_of_any_bytes() {
    let ground = Ground::new();
    let server = ground.serve();
    let memory = Server::of(Memory::new());
    for server in [&server, &memory] {
        let mut client = server.anna();
        client.command("MKD names", 257);
        client.command("CWD names", 250);
        // As stored, and as written on the control connection, where Telnet doubles 0xFF.
        let names: &[(&[u8], &[u8])] = &[
            (b"caf\xE9", b"caf\xE9"),
            ("日本語".as_bytes(), "日本語".as_bytes()),
            (b"\x80\xFE\xC0\xAF", b"\x80\xFE\xC0\xAF"),
            (b"\xFF\xFF", b"\xFF\xFF\xFF\xFF"),
            (b"a\xFFb", b"a\xFFb"),
            (b"\xFF\xF4", b"\xFF\xFF\xF4"),
            (b" leading and trailing ", b" leading and trailing "),
            (b"quo\"te", b"quo\"te"),
            (b"star*[x]?", b"star*[x]?"),
            (b"-la", b"-la"),
            (b"%s%n\\", b"%s%n\\"),
        ];
        for (number, (_, written)) in names.iter().enumerate() {
            client.store([b"STOR ", *written].concat(), number.to_string().as_bytes());
        }
        for (number, (stored, written)) in names.iter().enumerate() {
            let shown = String::from_utf8_lossy(written);
            assert_eq!(client.fetch([b"RETR ", *written].concat()), number.to_string().as_bytes(), "{shown}");
            let listing = client.fetch("NLST");
            assert!(
                listing.split(|&byte| byte == b'\n').any(|line| line == [stored, &b"\r"[..]].concat()),
                "{shown}"
            );
            assert_eq!(
                client.command([b"SIZE ", *written].concat(), 213).text(),
                number.to_string().len().to_string()
            );
            client.command([b"RNFR ", *written].concat(), 350);
            client.command([b"RNTO new-", *written].concat(), 250);
            client.command([b"DELE new-", *written].concat(), 250);
        }
        client.command(b"MKD d\"\xFF\xFF", 257);
        client.command(b"CWD d\"\xFF\xFF", 250);
        let text = client.command("PWD", 257).text;
        assert!(text.starts_with(b"\"/names/d\"\"\xFF\xFF\" "), "{}", String::from_utf8_lossy(&text));
    }
    let made: Vec<_> = fs::read_dir(ground.root().join("names")).expect("it opens").collect();
    let [Ok(only)] = &made[..] else { panic!("{made:?}") };
    assert_eq!(only.file_name().as_bytes(), b"d\"\xFF");
}

#[test]
fn names_that_are_too_long_or_reserved() {
    let ground = Ground::new();
    let server = ground.serve();
    let mut client = server.anna();
    let (longest, too_long) = ("n".repeat(255), "n".repeat(256));
    client.store(format!("STOR {longest}"), b"x");
    assert_eq!(client.fetch(format!("RETR {longest}")), b"x");
    client.command(format!("MKD {too_long}"), Situation::NameImpossible);
    client.command(format!("SIZE {too_long}"), Situation::NameImpossible);
    client.passive();
    client.command(format!("STOR {too_long}"), Situation::TargetName);
    client.command(format!("CWD {}", "d/".repeat(2_000)), 550);
    // A kept part is nobody's file.
    let mut data = client.data();
    client.command("STOR cut", 125);
    data.write(b"half");
    client.wait_until_moved(4);
    data.reset();
    client.expect(426);
    let part = fs::read_dir(ground.root())
        .expect("it opens")
        .map(|entry| entry.expect("it is read").file_name().to_string_lossy().into_owned())
        .find(|name| name.starts_with('.'))
        .expect("the part lies beside its target");
    for line in
        [format!("SIZE {part}"), format!("DELE {part}"), format!("RNFR {part}"), format!("MKD {part}")]
    {
        client.command(line, 550);
    }
    client.passive();
    client.command(format!("STOR {part}"), Situation::TargetName);
    assert_eq!(visible(&ground.root()), ["dir", "file", &longest]);
}

/// Somebody removes the directory that is served: every command is answered, nobody else is touched, and when the
/// directory is there again a reload brings it back.
#[test]
fn a_root_that_vanishes_and_comes_back() {
    let scratch = Scratch::new();
    let server = Setup::of(scratch.local()).start();
    let mut client = server.anna();
    client.store("STOR file", b"contents");
    let mut data = client.data();
    client.command("STOR under-way", 125);
    data.write(b"half of it");
    client.wait_until_moved(10);
    std::fs::remove_dir_all(scratch.path()).expect("it is ours");
    data.finish();
    let lost = client.reply();
    assert!((400..600).contains(&lost.code), "nothing is stored where nothing can be: {lost:?}");
    for (line, expected) in [
        ("SIZE file", Situation::NotFound),
        ("DELE file", Situation::NotFound),
        ("MKD dir", Situation::NotFound),
        ("CWD sub", Situation::NotFound),
        ("NOOP", Situation::Noop),
    ] {
        client.command(line, expected);
    }
    client.passive();
    client.command("STOR file", Situation::TargetNoDirectory);
    std::fs::create_dir(scratch.path()).expect("the name is free");
    server.reload(Setup::of(scratch.local()));
    let mut client = server.anna();
    client.store("STOR file", b"new contents");
    assert_eq!(client.fetch("RETR file"), b"new contents");
}
