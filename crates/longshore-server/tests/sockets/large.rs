//! Large transfers of fast clients, which are moved in stints on threads of their own: every octet, every count and every
//! way to end is as it is elsewhere. Each test is run in clear and in TLS.

use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::sync::Mutex;
use std::thread;

use longshore_server::path::VirtualPath;
use longshore_server::storage::memory::Memory;

use crate::common::backends::{Gate, Odd, Way};
use crate::common::ground::{Bystander, Scratch};
use crate::common::tls::{REQUIRE, TLS13};
use crate::common::{
    Client, Data, MORE_THAN_BUFFERS_BYTES, SHORT, Server, Setup, Situation, check_octets, octets,
};

/// Long after the first stint begins, and no round number.
const LARGE_BYTES: usize = 6 * 1024 * 1024 + 4321;

/// Runs a test with a session in clear and one in TLS, and gives it a folder whose files are served.
fn with_each_session(change: impl Fn(Setup) -> Setup, test: impl Fn(&Scratch, &Server, Client)) {
    for secured in [false, true] {
        let scratch = Scratch::new();
        let server = change(Setup::of(scratch.local()).tls(REQUIRE)).start();
        let client = if secured { server.secured(TLS13) } else { server.anna() };
        test(&scratch, &server, client);
    }
}

/// Begins a download and reads so much of it.
#[track_caller]
fn begin_fetch(client: &mut Client, name: &str, bytes: usize) -> (Data, Vec<u8>) {
    let mut data = client.data();
    client.command(format!("RETR {name}"), 125);
    let octets = data.read(bytes);
    (data, octets)
}

#[test]
fn every_octet_arrives() {
    with_each_session(
        |setup| setup,
        |_, _, mut client| {
            let (whole, more) = (octets(MORE_THAN_BUFFERS_BYTES + 4321, 1), octets(LARGE_BYTES, 2));
            client.store("STOR file", &whole);
            check_octets(&client.fetch("RETR file"), &whole);
            client.command("REST 1234567", 350);
            check_octets(&client.fetch("RETR file"), &whole[1_234_567..]);
            client.store("APPE file", &more);
            client.command("REST 1234567", 350);
            check_octets(&client.fetch("RETR file"), &[&whole[1_234_567..], &more].concat());
            client.command("REST 1234567", 350);
            client.store("STOR file", &more);
            check_octets(&client.fetch("RETR file"), &[&whole[..1_234_567], &more].concat());
        },
    );
}

/// Several at once, more than have a thread of their own.
#[test]
fn every_octet_of_many_arrives() {
    let server = Setup::of(Memory::new()).ports(64).start();
    thread::scope(|scope| {
        for number in 0..24 {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.anna();
                let whole = octets(LARGE_BYTES, number);
                client.store(format!("STOR {number}"), &whole);
                check_octets(&client.fetch(format!("RETR {number}")), &whole);
            });
        }
    });
}

/// All that had come is counted and kept; what had not is not.
#[test]
fn an_upload_that_is_aborted_while_it_waits() {
    with_each_session(
        |setup| setup,
        |_, _, mut client| {
            let whole = octets(2 * LARGE_BYTES, 3);
            let mut data = client.data();
            client.command("STOR file", 125);
            data.write(&whole[..LARGE_BYTES]);
            client.wait_until_moved(LARGE_BYTES as u64);
            client.send("ABOR");
            client.expect(Situation::TransferAborted);
            client.expect(Situation::Aborted);
            assert_eq!(client.command("SIZE file", 213).text(), LARGE_BYTES.to_string());
            client.command(format!("REST {LARGE_BYTES}"), 350);
            client.store("STOR file", &whole[LARGE_BYTES..]);
            check_octets(&client.fetch("RETR file"), &whole);
        },
    );
}

/// ABOR is heard while a client sends as fast as it can, and what is kept is the beginning of what it sent.
#[test]
fn an_upload_that_is_aborted_while_it_flows() {
    with_each_session(
        |setup| setup,
        |_, server, mut client| {
            let piece = octets(1024 * 1024, 4);
            let mut data = client.data();
            client.command("STOR file", 125);
            thread::scope(|scope| {
                scope.spawn(|| {
                    loop {
                        match data.wire().write_all(&piece) {
                            Ok(()) => {}
                            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                                panic!("the server does nothing")
                            }
                            Err(_) => return,
                        }
                    }
                });
                client.wait_until_moved(LARGE_BYTES as u64);
                client.send("ABOR");
                client.expect(Situation::TransferAborted);
                client.expect(Situation::Aborted);
            });
            let (situation, bytes) = server.events().transfer(1);
            assert_eq!(situation, Situation::TransferAborted);
            assert_eq!(client.command("SIZE file", 213).text(), bytes.to_string());
            client.command(format!("REST {bytes}"), 350);
            client.store("STOR file", b"the end");
            let kept = piece.iter().copied().cycle().take(usize::try_from(bytes).expect("it fits"));
            let whole: Vec<u8> = kept.chain(*b"the end").collect();
            check_octets(&client.fetch("RETR file"), &whole);
        },
    );
}

#[test]
fn a_download_that_is_aborted() {
    with_each_session(
        |setup| setup,
        |scratch, server, mut client| {
            let whole = octets(MORE_THAN_BUFFERS_BYTES, 5);
            fs::write(scratch.path().join("file"), &whole).expect("a file is written");
            let (mut data, begun) = begin_fetch(&mut client, "file", LARGE_BYTES);
            check_octets(&begun, &whole[..LARGE_BYTES]);
            client.command("NOOP", 200);
            client.send("ABOR");
            client.expect(Situation::TransferAborted);
            client.expect(Situation::Aborted);
            data.expect_reset();
            let (_, bytes) = server.events().transfer(1);
            assert!((LARGE_BYTES as u64..whole.len() as u64).contains(&bytes), "{bytes}");
            check_octets(&client.fetch("RETR file"), &whole);
        },
    );
}

#[test]
fn clients_that_stop() {
    with_each_session(
        |setup| setup.with(|config| config.policy.stall_timeout = SHORT),
        |scratch, _, mut client| {
            let whole = octets(MORE_THAN_BUFFERS_BYTES, 6);
            fs::write(scratch.path().join("file"), &whole).expect("a file is written");
            let (mut data, _) = begin_fetch(&mut client, "file", LARGE_BYTES);
            client.expect(Situation::Stalled);
            data.expect_reset();
            let mut data = client.data();
            client.command("STOR new", 125);
            data.write(&whole[..LARGE_BYTES]);
            let text = client.expect(Situation::UploadStalledKept).text();
            assert!(text.contains(&format!(" {LARGE_BYTES} bytes")), "{text}");
            assert_eq!(client.command("SIZE new", 213).text(), LARGE_BYTES.to_string());
            client.command(format!("REST {LARGE_BYTES}"), 350);
            client.store("STOR new", &whole[LARGE_BYTES..]);
            check_octets(&client.fetch("RETR new"), &whole);
        },
    );
}

#[test]
fn files_that_change_while_they_are_sent() {
    with_each_session(
        |setup| setup,
        |scratch, _, mut client| {
            let (whole, path) = (octets(MORE_THAN_BUFFERS_BYTES, 7), scratch.path().join("file"));
            fs::write(&path, &whole).expect("a file is written");
            let open = || fs::OpenOptions::new().append(true).open(&path).expect("it is there");
            // What SIZE said is sent, and no octet of what was written behind it.
            let (mut data, mut received) = begin_fetch(&mut client, "file", LARGE_BYTES);
            open().write_all(&whole).expect("it grows");
            received.extend(data.read_all());
            client.expect(Situation::Sent);
            check_octets(&received, &whole);
            let (mut data, _) = begin_fetch(&mut client, "file", LARGE_BYTES);
            open().set_len(1_000_000).expect("it shrinks");
            data.expect_reset();
            client.expect(Situation::FileShrank);
            check_octets(&client.fetch("RETR file"), &whole[..1_000_000]);
        },
    );
}

/// A disk that hangs holds up those who write to it, with their threads; everybody else goes on without.
#[test]
fn a_disk_that_hangs_during_large_uploads() {
    const UPLOADS: usize = 24;
    /// Until then an upload is not large, and is written to by jobs of the pool.
    const WRITES: usize = 4;
    let gate = Gate::new();
    let (held, writes) = (gate.clone(), Mutex::new(HashMap::new()));
    let store = Odd::new(Memory::new(), move |operation, path: &VirtualPath| {
        let name = path.file_name().unwrap_or_default();
        if operation != "write" || !name.starts_with(b"slow") {
            return Way::AsUsual;
        }
        let mut writes = writes.lock().expect("nobody panics");
        let count: &mut usize = writes.entry(name.to_vec()).or_default();
        *count += 1;
        if *count > WRITES { Way::BehindGate(held.clone()) } else { Way::AsUsual }
    });
    let server = Setup::of(store).on_one_thread().start();
    let bystander = Bystander::begin(&server);
    let whole = octets(LARGE_BYTES, 8);
    let mut slow = Vec::new();
    thread::scope(|scope| {
        for number in 0..UPLOADS {
            let mut client = server.anna();
            let mut data = client.data();
            client.command(format!("STOR slow{number}"), 125);
            let whole = &whole;
            // Whoever waits for the gate does not read, and the kernel does not hold all that is sent.
            scope.spawn(move || {
                data.write(whole);
                data.finish();
            });
            slow.push(client);
        }
        gate.wait_for_jobs(UPLOADS);
        let mut fast = server.anna();
        fast.store("STOR fast", &whole);
        check_octets(&fast.fetch("RETR fast"), &whole);
        bystander.finish();
        for client in &mut slow {
            client.command("NOOP", 200);
        }
        gate.open();
    });
    for (number, mut client) in slow.into_iter().enumerate() {
        client.expect(Situation::Stored);
        check_octets(&client.fetch(format!("RETR slow{number}")), &whole);
    }
}

/// Jobs of the store that fail or panic in a stint are failures of the store as they are elsewhere.
#[test]
fn a_store_that_fails_in_the_middle() {
    let at = |name: &'static str, way: Way| {
        let count = Mutex::new(0);
        move |operation: &str, _: &VirtualPath| {
            let mut count = count.lock().expect("nobody panics");
            *count += usize::from(operation == name);
            if operation == name && *count > 5 { way.clone() } else { Way::AsUsual }
        }
    };
    for (operation, line, expected) in
        [("write", "STOR file", Situation::WriteFailed), ("read_at", "RETR old", Situation::ReadFailed)]
    {
        for way in [Way::PanicInJob, crate::common::backends::broken("the disk has a bad sector")] {
            let memory = Memory::new();
            memory.insert("/old", octets(MORE_THAN_BUFFERS_BYTES, 9));
            let server = Server::of(Odd::new(memory, at(operation, way)));
            let mut client = server.anna();
            let mut data = client.data();
            client.command(line, 125);
            match operation {
                "write" => data.write_until_cut(),
                _ => data.expect_reset(),
            }
            client.expect(expected);
            client.command("NOOP", 200);
        }
    }
}
