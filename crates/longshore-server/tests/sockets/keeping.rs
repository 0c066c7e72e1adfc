//! Data connections that stay in block and compressed mode, and in MODE Z where the client asks for it: many files on
//! one, sent without waiting for answers.
//!
//! Not inside: how one comes to its end ([`keeping_ends`](crate::keeping_ends)), the contents of single files in each
//! form ([`modes`](crate::modes)), and bytes that no sender makes ([`malformed`](crate::malformed)).

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use longshore_proto::transmission::{Descriptor, Form, Marker, Representation, Sender, block_header};
use longshore_server::accounts::{Account, AccountLimits, MemoryAccounts, Permissions};
use longshore_server::storage::Backend;
use longshore_server::storage::memory::Memory;

use crate::common::formed::{BLOCKS, COMPRESSED, DEFLATED, Formed, KEEPING, contents, encoded, encoded_all};
use crate::common::ground::{Bystander, Scratch};
use crate::common::tls::{REQUIRE, VERSIONS};
use crate::common::{
    Client, Data, HERE, MORE_THAN_BUFFERS_BYTES, PASSWORD, Server, Setup, Situation, USER, account,
    check_octets, octets,
};

/// Small files of different sizes, some of them empty.
pub(crate) fn files(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| octets(number * 37 % 1700, number as u64)).collect()
}

pub(crate) fn memory_with(files: &[Vec<u8>]) -> Memory {
    let memory = Memory::new();
    for (number, contents) in files.iter().enumerate() {
        memory.insert(format!("/{number}"), contents.clone());
    }
    memory
}

pub(crate) fn lines(verb: &str, count: usize) -> String {
    (0..count).map(|number| format!("{verb} {number}\r\n")).collect()
}

#[track_caller]
pub(crate) fn expect_each(client: &mut Client, count: usize, end: Situation) {
    for _ in 0..count {
        client.expect(Situation::MarkStanding);
        client.expect(end);
    }
}

/// Downloads and uploads of many files, each asked for at once and on one data connection.
#[track_caller]
fn many_at_once(client: &mut Client, form: Form, files: &[Vec<u8>]) {
    let mut formed = Formed::connected(client, form);
    client.send_raw(lines("RETR", files.len()));
    for contents in files {
        check_octets(&formed.receive(), contents);
    }
    assert!(formed.is_drained());
    expect_each(client, files.len(), Situation::SentKept);
    // Back under other names, on the same connection.
    client.command("MKD back", 0..=999);
    client.command("CWD back", 250);
    client.send_raw(lines("STOR", files.len()));
    formed.data().write(&encoded_all(form, files));
    expect_each(client, files.len(), Situation::StoredKept);
    for (number, contents) in files.iter().enumerate().step_by(17) {
        check_octets(&formed.fetch(client, &format!("RETR {number}")), contents);
    }
    client.command("CWD /", 250);
}

#[test]
fn two_hundred_files_at_once() {
    let files = files(200);
    let scratch = Scratch::new();
    for (number, contents) in files.iter().enumerate() {
        std::fs::write(scratch.path().join(number.to_string()), contents).expect("the directory is ours");
    }
    for server in [Server::of_every_mode(memory_with(&files)), Server::of_every_mode(scratch.local())] {
        let mut client = server.anna();
        for form in KEEPING {
            many_at_once(&mut client, form, &files);
        }
        client.quit();
    }
}

/// One handshake serves all of them, and it must resume the control connection's session.
#[test]
fn two_hundred_files_at_once_inside_tls() {
    let files = files(200);
    for version in VERSIONS {
        let server = Setup::of(memory_with(&files)).tls(REQUIRE).deflating().start();
        let mut client = server.secured(version);
        for form in KEEPING {
            many_at_once(&mut client, form, &files);
        }
        assert_eq!(server.control().unproved(), 0);
        client.quit();
    }
}

/// Data that is there before its command was read, and data that is late.
#[test]
fn uploads_whose_data_come_early_or_late() {
    for form in KEEPING {
        let memory = Memory::new();
        let server = Server::of_every_mode(memory.clone());
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, form);
        let files = files(20);
        formed.data().write(&encoded_all(form, &files[..10]));
        client.send_raw(lines("STOR", 20));
        expect_each(&mut client, 10, Situation::StoredKept);
        // In pieces that end within files and within headers.
        client.expect(Situation::MarkStanding);
        let rest = encoded_all(form, &files[10..]);
        for piece in rest.chunks(701) {
            formed.data().write(piece);
        }
        client.expect(Situation::StoredKept);
        expect_each(&mut client, 9, Situation::StoredKept);
        for (number, contents) in files.iter().enumerate() {
            assert_eq!(memory.contents(format!("/{number}")).as_ref(), Some(contents));
        }
    }
}

#[test]
fn a_download_that_is_refused_leaves_those_behind() {
    for form in KEEPING {
        let server = Server::of_every_mode(memory_with(&files(3)));
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, form);
        client.send_raw("RETR 1\r\nRETR none\r\nRETR 2\r\nLIST none\r\nNLST\r\nRETR 1\r\n");
        let files = files(3);
        check_octets(&formed.receive(), &files[1]);
        check_octets(&formed.receive(), &files[2]);
        assert_eq!(formed.receive(), b"0\r\n1\r\n2\r\n");
        check_octets(&formed.receive(), &files[1]);
        expect_each(&mut client, 1, Situation::SentKept);
        client.expect(Situation::NotFound);
        expect_each(&mut client, 1, Situation::SentKept);
        client.expect(Situation::NotFound);
        expect_each(&mut client, 2, Situation::SentKept);
    }
}

/// The client does not know yet that its file is refused, and sends it and the next: none lands under another's name.
#[test]
fn a_refused_upload_whose_data_come_all_the_same() {
    for form in KEEPING {
        for secure in [false, true] {
            let server = Setup::of(Memory::new()).tls(REQUIRE).deflating().start();
            let mut client = if secure { server.secured(VERSIONS[1]) } else { server.anna() };
            client.command("MKD d", 257);
            let mut formed = Formed::connected(&mut client, form);
            let files: Vec<Vec<u8>> = (0..4).map(|seed| octets(50_000, seed)).collect();
            client.send_raw("STOR a\r\nSTOR d\r\nSTOR b\r\nAPPE a\r\nNOOP\r\n");
            formed.data().write(&encoded_all(form, &files));
            client.expect(Situation::MarkStanding);
            client.expect(Situation::StoredKept);
            client.expect(Situation::TargetIsADirectory);
            client.expect(Situation::ClosedByRefusal);
            client.expect(Situation::ClosedByRefusal);
            client.expect(200);
            formed.data().read_until_cut();
            client.command("RETR a", Situation::ClosedByRefusal);
            formed.connect(&mut client);
            check_octets(&formed.fetch(&mut client, "RETR a"), &files[0]);
            client.command("SIZE b", Situation::NotFound);
            formed.store(&mut client, "STOR b", &files[2]);
            client.quit();
        }
    }
}

fn limited(backend: impl Backend, limits: AccountLimits) -> Server {
    let anna = Account { limits, ..account(USER, Permissions::ALL) };
    let accounts = MemoryAccounts::new().with_account(anna, PASSWORD);
    Setup::of(backend).with(|config| config.accounts = Arc::new(accounts)).deflating().start()
}

/// A quota counts octets of files, whatever the mode, and an upload that goes beyond it closes the connection.
#[test]
fn a_quota_that_is_used_up_between() {
    let limits = AccountLimits { quota_bytes: Some(100_000), ..AccountLimits::default() };
    for form in KEEPING {
        let server = limited(Memory::new(), limits);
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, form);
        let files: Vec<Vec<u8>> = [40_000, 60_000, 1, 5].map(|count| octets(count, count as u64)).into();
        client.send_raw("STOR a\r\nSTOR b\r\nSTOR c\r\nSTOR d\r\n");
        formed.data().write(&encoded_all(form, &files));
        expect_each(&mut client, 2, Situation::StoredKept);
        // Told before a byte, for nothing is left.
        client.expect(Situation::QuotaUsedUp);
        client.expect(Situation::ClosedByRefusal);
        client.command("DELE b", 250);
        // Told when it is used up, with the next file's bytes already there.
        formed.connect(&mut client);
        client.send_raw("STOR b\r\nSTOR d\r\n");
        formed.data().write(&encoded_all(form, &[octets(60_001, 1), octets(5, 5)]));
        client.expect(Situation::MarkStanding);
        client.expect(Situation::QuotaUsedUp);
        client.expect(Situation::ClosedByRefusal);
        for name in ["b", "c", "d"] {
            client.command(format!("SIZE {name}"), Situation::NotFound);
        }
    }
}

/// What is told of a failed upload counts its own bytes, and none of the next file that were read with them.
#[test]
fn the_next_files_bytes_are_not_counted() {
    let limits = AccountLimits { quota_bytes: Some(100_000), ..AccountLimits::default() };
    for form in [COMPRESSED, DEFLATED] {
        let server = limited(Memory::new(), limits);
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, form);
        // Few bytes that become many: the quota is used up while the next file is already there.
        let wire = encoded(form, &vec![0; 2 * 1024 * 1024]);
        formed.data().write(&[wire.as_slice(), &encoded(form, &octets(20_000, 1))].concat());
        client.command("STOR a", 125);
        client.expect(Situation::QuotaUsedUp);
        let (situation, bytes) = server.events().transfer(1);
        assert_eq!(situation, Situation::QuotaUsedUp);
        assert!((1..=wire.len() as u64).contains(&bytes), "{bytes} bytes of {}", wire.len());
    }
    let server = Server::of_every_mode(Memory::new());
    let mut client = server.anna();
    let mut formed = Formed::connected(&mut client, BLOCKS);
    // A block, then a descriptor that does not exist, and whatever comes behind it.
    let wire = [&block_header(Descriptor::NONE, 3)[..], b"abc", &[1; 5000]].concat();
    formed.data().write(&wire);
    client.command("STOR a", 125);
    let text = client.expect(Situation::UploadMalformed).text();
    let (_, bytes) = server.events().transfer(1);
    assert_eq!(bytes, 6);
    assert!(text.contains("at byte 6 of"), "{text}");
}

/// Never faster than is allowed, and whole.
#[test]
fn a_limit_of_bandwidth_holds() {
    let limits = AccountLimits {
        upload_bytes_per_second: Some(1_000_000),
        download_bytes_per_second: Some(1_000_000),
        ..AccountLimits::default()
    };
    for form in KEEPING {
        let scratch = Scratch::new();
        let server = limited(scratch.local(), limits);
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, form);
        let files: Vec<Vec<u8>> = (0..3).map(|seed| octets(200_000, seed)).collect();
        let begin = Instant::now();
        client.send_raw(lines("STOR", 3));
        formed.data().write(&encoded_all(form, &files));
        expect_each(&mut client, 3, Situation::StoredKept);
        client.send_raw(lines("RETR", 3));
        for contents in &files {
            check_octets(&formed.receive(), contents);
        }
        expect_each(&mut client, 3, Situation::SentKept);
        assert!(begin.elapsed() >= Duration::from_millis(950), "{form:?}: {:?}", begin.elapsed());
    }
}

#[test]
fn noop_and_stat_are_answered_within() {
    for form in KEEPING {
        let server = Server::of_every_mode(Memory::new());
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, form);
        formed.store(&mut client, "STOR a", b"a");
        client.command("STOR b", 125);
        let whole = encoded(form, &octets(50_000, 1));
        formed.data().write(&whole[..30_000]);
        client.wait_until_moved(30_000);
        client.command("NOOP", 200);
        formed.data().write(&whole[30_000..]);
        client.expect(Situation::StoredKept);
        let status = client.command("STAT", Situation::Status).lines();
        assert!(status.iter().any(|line| line.contains("stays open")), "{status:?}");
    }
}

/// Markers of an upload are answered while it runs, with our offset, and an upload that is cut goes on there.
#[test]
fn an_upload_goes_on_at_a_marker() {
    for representation in [Representation::Image, Representation::Ascii] {
        for form in [BLOCKS, COMPRESSED].map(|form| Form { representation, ..form }) {
            let server = Server::of_every_mode(Memory::new());
            let mut client = server.anna();
            let file = contents(form, 100_000, 3);
            let mut formed = Formed::connected(&mut client, form);
            client.command("STOR file", 125);
            // A third of it, a marker of the client's own making, and half of the rest.
            let mut sender = Sender::new(form, 0);
            let mut wire = Vec::new();
            sender.send(&file[..33_000], &mut wire);
            assert_eq!(sender.mark(&mut wire), Some(33_000));
            sender.send(&file[33_000..70_000], &mut wire);
            formed.data().write(&wire);
            let text = client.expect(Situation::RestartMarker).text();
            assert_eq!(text, "MARK 33000 = 33000");
            client.wait_until_moved(wire.len() as u64 - 200);
            formed.data.take().expect("it stands").reset();
            client.expect(Situation::UploadResetKept);
            client.command("REST 33000", Situation::RestartAccepted);
            formed.connect(&mut client);
            formed.store(&mut client, "STOR file", &file[33_000..]);
            check_octets(&formed.fetch(&mut client, "RETR file"), &file);
            // And on as it is.
            client.command("REST 33000", Situation::RestartAccepted);
            check_octets(&formed.fetch_from(&mut client, "RETR file", 33_000), &file[33_000..]);
        }
    }
}

/// A marker that is no text is passed over, and one behind the other are all told of, in order.
#[test]
fn many_markers() {
    let server = Server::of_every_mode(Memory::new());
    let mut client = server.anna();
    let mut formed = Formed::connected(&mut client, BLOCKS);
    client.command("STOR file", 125);
    let mut wire = Vec::new();
    for number in 0..300_u32 {
        for marker in [format!("block={number}").as_bytes(), b"two words", b"a\r\n226 x"] {
            let length = u16::try_from(marker.len()).expect("a few bytes");
            wire.extend_from_slice(&block_header(Descriptor::MARKER, length));
            wire.extend_from_slice(Marker::from_bytes(marker).expect("it is short").as_bytes());
        }
        wire.extend_from_slice(&block_header(Descriptor::NONE, 1));
        wire.push(b'x');
    }
    wire.extend_from_slice(&block_header(Descriptor::END_OF_FILE, 0));
    formed.data().write(&wire);
    for number in 0..300 {
        let text = client.expect(Situation::RestartMarker).text();
        assert_eq!(text, format!("MARK block={number} = {number}"));
    }
    client.expect(Situation::StoredKept);
    check_octets(&formed.fetch(&mut client, "RETR file"), &[b'x'; 300]);
}

/// A client that sends markers without end and reads no answer does not have them all written for it.
#[test]
fn markers_whose_answers_nobody_reads() {
    const COUNT: usize = 2_000_000;
    let server = Server::of_every_mode(Memory::new());
    let mut client = Client::connect_small(server.address(HERE), 4096);
    client.expect(220);
    client.log_in(USER, PASSWORD);
    let mut formed = Formed::connected(&mut client, BLOCKS);
    client.command("STOR file", 125);
    let marker = [&block_header(Descriptor::MARKER, 9)[..], b"123456789"].concat();
    formed.data().write(&marker.repeat(COUNT));
    formed.data().write(&encoded(BLOCKS, b"whole"));
    let mut told = 0;
    loop {
        let reply = client.reply();
        if !reply.is(Situation::RestartMarker) {
            assert!(reply.is(Situation::StoredKept), "{reply:?}");
            break;
        }
        told += reply.text().len();
    }
    assert!((1..MORE_THAN_BUFFERS_BYTES).contains(&told), "{told} bytes of answers were written");
}

/// More commands than may wait, most of them transfers: none is lost, and the server reads on when there is room.
#[test]
fn ten_thousand_commands_at_once() {
    const COUNT: usize = 5_000;
    let server = Setup::of(memory_with(&files(1))).on_one_thread().deflating().start();
    let bystander = Bystander::begin(&server);
    let mut client = server.anna();
    let mut formed = Formed::connected(&mut client, COMPRESSED);
    let mut control = client.stream().try_clone().expect("a descriptor is free");
    let data = formed.data().stream().try_clone().expect("a descriptor is free");
    let small = encoded(COMPRESSED, b"x");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            control.write_all("STOR x\r\nNOOP\r\n".repeat(COUNT).as_bytes()).expect("the server reads on");
        });
        scope.spawn(move || {
            let mut data = data;
            data.write_all(&small.repeat(COUNT)).expect("the server reads on");
        });
        for _ in 0..COUNT {
            client.expect(Situation::MarkStanding);
            client.expect(Situation::StoredKept);
            client.expect(200);
        }
    });
    bystander.finish();
    client.quit();
}

/// A client that reads no data does not have the rest of its queue made for it.
#[test]
fn a_client_that_reads_nothing_is_waited_for() {
    let memory = Memory::new();
    memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES / 2, 1));
    let server = Setup::of(memory).on_one_thread().deflating().start();
    let mut client = server.anna();
    let mut formed = Formed::connected(&mut client, BLOCKS);
    client.send_raw("RETR big\r\n".repeat(1000));
    client.expect(Situation::MarkStanding);
    let bystander = Bystander::begin(&server);
    bystander.finish();
    check_octets(&formed.receive(), &octets(MORE_THAN_BUFFERS_BYTES / 2, 1));
    client.expect(Situation::SentKept);
    client.expect(Situation::MarkStanding);
    client.send_abort_urgently();
    loop {
        match client.reply().code {
            250 | 125 | 426 | 450 => {}
            code => {
                assert_eq!(code, 226);
                break;
            }
        }
    }
}

/// The server connects to the client once, and what was arranged by EPRT stays as well.
#[test]
fn an_active_connection_stays_too() {
    let server = Server::of_every_mode(memory_with(&files(50)));
    let mut client = server.anna();
    let listener = TcpListener::bind((HERE, 0)).expect("any port will do");
    let port = listener.local_addr().expect("it is bound").port();
    let mut formed = Formed::new(&mut client, BLOCKS);
    client.command(format!("EPRT |1|127.0.0.1|{port}|"), Situation::Active);
    client.send_raw(lines("RETR", 50));
    client.expect(Situation::MarkOpening);
    formed.data = Some(Data::accept(&listener));
    for contents in &files(50) {
        check_octets(&formed.receive(), contents);
    }
    client.expect(Situation::SentKept);
    expect_each(&mut client, 49, Situation::SentKept);
}
