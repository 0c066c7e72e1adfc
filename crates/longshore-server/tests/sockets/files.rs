//! Files of every size both ways, in both types, and what is done to them by name.

use longshore_server::storage::memory::Memory;

use crate::common::ground::with_each_store;
use crate::common::{Client, Data, HERE_V6, Server, Situation, check_octets, octets};

const KIB: usize = 1024;

/// At and around the sizes of the buffers on the way.
const SIZES: [usize; 12] = [
    0,
    1,
    446,
    64 * KIB - 1,
    64 * KIB,
    64 * KIB + 1,
    256 * KIB + 1,
    512 * KIB - 1,
    512 * KIB,
    512 * KIB + 1,
    (64 + 512) * KIB,
    3 * KIB * KIB,
];

#[test]
fn files_of_every_size_both_ways() {
    with_each_store(|server| {
        let mut client = server.anna_at(HERE_V6);
        for size in SIZES {
            let contents = octets(size, size as u64);
            let text = client.store("STOR file", &contents).text();
            assert!(text.starts_with(&format!("{size} bytes received")), "{text}");
            assert_eq!(client.command("SIZE file", 213).text(), size.to_string());
            check_octets(&client.fetch("RETR file"), &contents);
        }
    });
}

/// However the client cuts it into segments.
#[test]
fn uploads_in_small_pieces() {
    with_each_store(|server| {
        let mut client = server.anna();
        let contents = octets(130 * KIB, 3);
        let mut data = client.data();
        client.command("STOR file", 125);
        for piece in contents.chunks(997) {
            data.write(piece);
        }
        data.finish();
        client.expect(Situation::Stored);
        check_octets(&client.fetch("RETR file"), &contents);
    });
}

/// A reader that takes little at a time gets the same.
#[test]
fn downloads_through_a_small_window() {
    with_each_store(|server| {
        let mut client = server.anna();
        let contents = octets(3 * KIB * KIB, 4);
        client.store("STOR file", &contents);
        let to = client.passive();
        let mut data = Data::connect_small(to, 4 * KIB);
        client.command("RETR file", 125);
        check_octets(&data.read_all(), &contents);
        client.expect(Situation::Sent);
    });
}

/// A client that sends while it should only receive does not lose what it has not read yet.
#[test]
fn bytes_that_a_client_sends_during_a_download_cost_it_nothing() {
    with_each_store(|server| {
        let mut client = server.anna();
        let contents = octets(300 * KIB, 4);
        client.store("STOR file", &contents);
        let mut data = client.data();
        data.write(b"nobody has asked for this");
        client.command("RETR file", 125);
        client.expect(Situation::Sent);
        check_octets(&data.read_all(), &contents);
    });
}

#[track_caller]
fn check_ascii_upload(client: &mut Client, wire: &[u8], file: &[u8]) {
    client.command("TYPE A", 200);
    client.store("STOR text", wire);
    client.command("SIZE text", Situation::SizeAscii);
    client.command("TYPE I", 200);
    check_octets(&client.fetch("RETR text"), file);
}

#[track_caller]
fn check_ascii_download(client: &mut Client, file: &[u8], wire: &[u8]) {
    client.store("STOR text", file);
    client.command("TYPE A", 200);
    check_octets(&client.fetch("RETR text"), wire);
    client.command("TYPE I", 200);
}

#[test]
fn text_is_converted_across_the_edges_of_buffers() {
    with_each_store(|server| {
        let mut client = server.anna();
        for (wire, file) in [
            (&b""[..], &b""[..]),
            (b"\r\n", b"\n"),
            (b"a\r\nb", b"a\nb"),
            (b"a\nb\r\n", b"a\nb\n"),
            (b"a\rb\r\r\n", b"a\rb\r\n"),
            (b"ends in CR\r", b"ends in CR\r"),
            (b"a\r\0b", b"a\rb"),
            (b"\xFF\xF4\0\x1A", b"\xFF\xF4\0\x1A"),
        ] {
            check_ascii_upload(&mut client, wire, file);
        }
        for (file, wire) in [
            (&b""[..], &b""[..]),
            (b"\n", b"\r\n"),
            (b"a\nb", b"a\r\nb"),
            (b"a\r\nb\n", b"a\r\nb\r\n"),
            (b"a\rb\r", b"a\rb\r"),
            (b"\xFF\xF4\0\x1A\n", b"\xFF\xF4\0\x1A\r\n"),
        ] {
            check_ascii_download(&mut client, file, wire);
        }
        // Line ends at every distance from every edge: lines of 1 to 64 octets, through all of the buffers.
        let mut file = Vec::new();
        for number in 0..50_000_usize {
            file.extend(std::iter::repeat_n(b'a' + (number % 26) as u8, number % 64));
            file.push(b'\n');
        }
        assert!(file.len() > 1_500_000, "several times the largest buffer");
        let wire: Vec<u8> = file
            .iter()
            .flat_map(|&byte| if byte == b'\n' { vec![b'\r', b'\n'] } else { vec![byte] })
            .collect();
        check_ascii_upload(&mut client, &wire, &file);
        check_ascii_download(&mut client, &file, &wire);
        // Nothing but line ends doubles in length.
        let file = vec![b'\n'; 600 * KIB];
        check_ascii_download(&mut client, &file, &b"\r\n".repeat(600 * KIB));
        check_ascii_upload(&mut client, &b"\r\n".repeat(600 * KIB), &file);
    });
}

#[test]
fn stou_chooses_a_name_and_says_it() {
    with_each_store(|server| {
        let mut client = server.anna();
        let mut stored = Vec::new();
        for line in ["STOU", "STOU", "STOU photo.jpg", "STOU photo.jpg", "STOU photo.jpg"] {
            let mut data = client.data();
            let text = client.command(line, Situation::MarkStandingUnique).text();
            let name = text.strip_prefix("FILE: ").expect("the text is exactly this").to_owned();
            let contents = format!("{line} {name}");
            data.write(contents.as_bytes());
            data.finish();
            client.expect(Situation::Stored);
            stored.push((name, contents));
        }
        for (name, contents) in &stored {
            assert_eq!(client.fetch(format!("RETR {name}")), contents.as_bytes());
        }
        assert_eq!(client.names("NLST").len(), stored.len(), "no name is used twice");
        assert!(stored[3].0.ends_with(".jpg"), "{stored:?}");
        // Two at once do not meet, and 150 says it too.
        let mut other = server.anna();
        let (to, also_to) = (client.passive(), other.passive());
        let first = client.command("STOU same", Situation::MarkOpeningUnique).text();
        let second = other.command("STOU same", Situation::MarkOpeningUnique).text();
        assert_ne!(first, second);
        Data::connect(to).write(b"1");
        Data::connect(also_to).write(b"2");
        client.expect(Situation::Stored);
        other.expect(Situation::Stored);
    });
}

#[test]
fn appe_adds_or_begins() {
    with_each_store(|server| {
        let mut client = server.anna();
        client.store("APPE log", b"one");
        client.store("APPE log", b", two");
        client.store("APPE log", b"");
        assert_eq!(client.fetch("RETR log"), b"one, two");
        // One writer at a time, and the others are told so.
        let mut other = server.anna();
        let data = client.data();
        client.command("APPE log", 125);
        other.passive();
        other.command("APPE log", Situation::Busy);
        // Cut: the file is as before.
        let mut data = data;
        data.write(b" and half of thr");
        client.wait_until_moved(16);
        data.reset();
        client.expect(Situation::UploadReset);
        assert_eq!(client.fetch("RETR log"), b"one, two");
        other.store("APPE log", b", three");
        assert_eq!(client.fetch("RETR log"), b"one, two, three");
    });
}

/// A file that is being replaced is read as it was by whoever has begun, and the last commit wins.
#[test]
fn replacing_while_others_read_and_write() {
    with_each_store(|server| {
        let old = octets(24 * KIB * KIB, 1);
        let (mut reader, mut first, mut second) = (server.anna(), server.anna(), server.anna());
        first.store("STOR file", &old);
        let mut reading = reader.data();
        reader.command("RETR file", 125);
        let mut received = reading.read(1000);
        let (mut one, mut two) = (first.data(), second.data());
        first.command("STOR file", 125);
        second.command("STOR file", 125);
        one.write(b"one");
        two.write(b"two");
        two.finish();
        second.expect(Situation::Stored);
        assert_eq!(second.fetch("RETR file"), b"two");
        one.finish();
        first.expect(Situation::Stored);
        assert_eq!(second.fetch("RETR file"), b"one");
        received.extend(reading.read_all());
        reader.expect(Situation::Sent);
        check_octets(&received, &old);
    });
}

#[test]
fn renaming_and_removing() {
    with_each_store(|server| {
        let mut client = server.anna();
        client.store("STOR a", b"a");
        client.store("STOR b", b"b");
        client.command("MKD dir", Situation::DirectoryMade);
        client.command("MKD dir", Situation::Exists);
        client.command("RNFR missing", Situation::NotFound);
        client.command("RNTO c", Situation::RntoWithoutRnfr);
        client.command("RNFR a", Situation::RenamePending);
        client.command("NOOP", 200);
        client.command("RNTO c", Situation::RntoWithoutRnfr);
        client.command("RNFR a", 350);
        client.command("RNTO b", Situation::Renamed);
        assert_eq!(client.fetch("RETR b"), b"a", "a file is replaced in the same step");
        client.command("RNFR b", 350);
        client.command("RNTO dir", Situation::TargetIsADirectory);
        client.command("RNFR b", 350);
        client.command("RNTO missing/b", Situation::RenameNotFound);
        client.command("RNFR b", 350);
        client.command("RNTO dir/b", 250);
        client.command("RNFR dir", 350);
        client.command("RNTO moved", 250);
        client.command("RMD moved", Situation::NotEmpty);
        client.command("DELE moved", 550);
        client.command("RMD moved/b", 550);
        client.command("DELE moved/b", Situation::FileRemoved);
        client.command("DELE moved/b", Situation::NotFound);
        client.command("RMD moved", Situation::DirectoryRemoved);
        client.command("RMD moved", Situation::NotFound);
        client.command("RMD /", 550);
        client.command("RNFR /", 350);
        client.command("RNTO x", 553);
        assert_eq!(client.names("NLST"), [""; 0]);
    });
}

#[test]
fn times_are_told_and_set() {
    with_each_store(|server| {
        let mut client = server.anna();
        client.store("STOR file", b"x");
        client.command("MDTM missing", Situation::NotFound);
        client.command("MFMT 20010203040506 file", Situation::ModifiedSet);
        assert_eq!(client.command("MDTM file", 213).text(), "20010203040506");
        client.command("MFMT 20010203040506 missing", 550);
    });
}

/// A device's way of talking: everything in capitals or not, old names of commands, and options nobody needs.
#[test]
fn old_names_of_commands() {
    let server = Server::of(Memory::new());
    let mut client = server.anna();
    client.command("xmkd d", 257);
    client.command("XCWD d", 250);
    client.command("xpwd", 257);
    client.command("XCUP", 250);
    client.command("XRMD d", 250);
    client.command("SYST", 215);
    client.command("FEAT", 211);
    client.command("OPTS UTF8 ON", 200);
    client.command("OPTS utf8 off", 200);
    client.command("CLNT a device", 200);
    client.command("ALLO 1000", 200);
    client.command("SITE HELP", 214);
    client.command("REIN", 220);
    client.command("PWD", Situation::LoginNeeded);
}
