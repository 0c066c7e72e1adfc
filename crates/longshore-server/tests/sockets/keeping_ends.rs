//! How data connections that stay come to their end: the client closes them, what was set for them changes, nobody uses
//! them, or the server ends.
//!
//! Not inside: what an upload that is refused does to one ([`keeping`](crate::keeping)).

use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use longshore_server::storage::memory::Memory;

use crate::common::formed::{BLOCKS, Formed, KEEPING, encoded, encoded_all};
use crate::common::ground::{Bystander, Scratch};
use crate::common::tls::{REQUIRE, VERSIONS, client};
use crate::common::{HERE, MORE_THAN_BUFFERS_BYTES, SHORT, Server, Setup, Situation, check_octets, octets};
use crate::keeping::{expect_each, files, lines, memory_with};

/// A client that has gone while nothing was sent is not told that it got anything, and nothing of it is stored.
#[test]
fn the_client_closes_it_while_it_is_idle() {
    for form in KEEPING {
        for reset in [false, true] {
            let server = Server::of_every_mode(memory_with(&files(3)));
            let mut client = server.anna();
            for line in ["RETR 2", "LIST", "STOR new", "APPE 2"] {
                let mut formed = Formed::connected(&mut client, form);
                formed.fetch(&mut client, "RETR 1");
                let data = formed.data.take().expect("it stands");
                if reset {
                    data.reset();
                } else {
                    drop(data);
                }
                client.command(line, Situation::ConnectionCut);
                client.command(line, Situation::ConnectionCut);
            }
            client.command("SIZE new", Situation::NotFound);
            client.command("SIZE 2", 213);
            check_octets(&Formed::connected(&mut client, form).fetch(&mut client, "RETR 2"), &files(3)[2]);
        }
    }
}

#[test]
fn the_client_closes_it_while_it_is_idle_inside_tls() {
    for version in VERSIONS {
        let server = Setup::of(memory_with(&files(3))).tls(REQUIRE).deflating().start();
        let mut client = server.secured(version);
        for line in ["RETR 2", "STOR new"] {
            for close_notify in [false, true] {
                let mut formed = Formed::connected(&mut client, BLOCKS);
                formed.fetch(&mut client, "RETR 1");
                let mut data = formed.data.take().expect("it stands");
                if close_notify {
                    data.wire().close_notify().expect("the server listens");
                }
                drop(data);
                client.command(line, Situation::ConnectionCut);
                client.command("SIZE new", Situation::NotFound);
            }
        }
    }
}

/// The files before are whole and answered; the one that is cut can be taken up; those behind are told why they do not
/// begin.
#[test]
fn the_client_closes_it_within_an_upload() {
    for form in KEEPING {
        let server = Server::of_every_mode(Memory::new());
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, form);
        let files: Vec<Vec<u8>> = (0..5).map(|seed| octets(30_000, seed)).collect();
        client.send_raw(lines("STOR", 5));
        let mut wire = encoded_all(form, &files[..3]);
        let whole = encoded(form, &files[3]);
        wire.extend_from_slice(&whole[..whole.len() / 2]);
        formed.data().write(&wire);
        formed.data.take().expect("it stands").finish();
        expect_each(&mut client, 3, Situation::StoredKept);
        client.expect(Situation::MarkStanding);
        let text = client.expect(Situation::UploadCutKept).text();
        client.expect(Situation::ConnectionCut);
        let kept: usize = client.command("SIZE 3", 213).text().parse().expect("octets");
        // Bytes that came with the file before are counted all the same.
        let told =
            text.strip_prefix("The data connection ended after ").and_then(|rest| rest.split(' ').next());
        let told: usize = told.and_then(|number| number.parse().ok()).expect("a number of bytes");
        assert!(told >= kept && told <= whole.len(), "{text}");
        assert!(text.contains(&format!("REST {kept},")), "{text}");
        assert!((10_000..20_000).contains(&kept), "{kept} octets of half a file");
        client.command("SIZE 4", Situation::NotFound);
        client.command(format!("REST {kept}"), Situation::RestartAccepted);
        formed.connect(&mut client);
        formed.store(&mut client, "STOR 3", &files[3][kept..]);
        for (number, contents) in files.iter().enumerate().take(4) {
            check_octets(&formed.fetch(&mut client, &format!("RETR {number}")), contents);
        }
    }
}

#[test]
fn the_client_closes_it_within_a_download() {
    for form in KEEPING {
        let memory = memory_with(&files(2));
        memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
        let server = Server::of_every_mode(memory);
        let bystander = Bystander::begin(&server);
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, form);
        client.send_raw("RETR 0\r\nRETR 1\r\nRETR big\r\nRETR 1\r\nSTOR new\r\nNOOP\r\n");
        check_octets(&formed.receive(), &files(2)[0]);
        check_octets(&formed.receive(), &files(2)[1]);
        expect_each(&mut client, 2, Situation::SentKept);
        client.expect(Situation::MarkStanding);
        formed.data.take().expect("it stands").reset();
        client.expect(Situation::PeerReset);
        client.expect(Situation::ConnectionCut);
        client.expect(Situation::ConnectionCut);
        client.expect(200);
        client.command("SIZE new", Situation::NotFound);
        bystander.finish();
    }
}

/// Nobody waits for ever for the rest of a file, or for somebody who reads it.
#[test]
fn a_client_that_stalls_within() {
    for form in KEEPING {
        let memory = memory_with(&files(2));
        memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
        let server = Setup::of(memory).with(|config| config.policy.stall_timeout = SHORT).deflating().start();
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, form);
        client.send_raw("STOR new\r\nSTOR next\r\n");
        let whole = encoded(form, &octets(40_000, 1));
        formed.data().write(&whole[..20_000]);
        client.expect(Situation::MarkStanding);
        client.expect(Situation::UploadStalledKept);
        client.expect(Situation::ConnectionCut);
        formed.data().read_until_cut();
        formed.connect(&mut client);
        client.send_raw("RETR 1\r\nRETR big\r\nRETR 1\r\n");
        check_octets(&formed.receive(), &files(2)[1]);
        expect_each(&mut client, 1, Situation::SentKept);
        client.expect(Situation::MarkStanding);
        client.expect(Situation::Stalled);
        client.expect(Situation::ConnectionCut);
        formed.data().expect_reset();
    }
}

/// Whoever was promised a block of octets that are not there any more gets no part for the whole.
#[test]
fn a_file_that_shrinks_within() {
    let scratch = Scratch::new();
    let path = scratch.path().join("big");
    for form in KEEPING {
        std::fs::write(&path, octets(MORE_THAN_BUFFERS_BYTES, 1)).expect("the directory is ours");
        let server = Server::of_every_mode(scratch.local());
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, form);
        client.send_raw("RETR big\r\nRETR big\r\n");
        client.expect(Situation::MarkStanding);
        formed.data().read(1);
        let file = std::fs::File::options().write(true).open(&path).expect("it is ours");
        file.set_len(1000).expect("it is ours");
        formed.data().expect_reset();
        client.expect(Situation::FileShrank);
        client.expect(Situation::ConnectionCut);
        formed.connect(&mut client);
        assert_eq!(formed.fetch(&mut client, "RETR big").len(), 1000);
    }
}

#[test]
fn whatever_does_not_fit_any_more_closes_it() {
    let server = Setup::of(memory_with(&files(2))).tls(REQUIRE).deflating().start();
    let (listener, port) = {
        let listener = TcpListener::bind((HERE, 0)).expect("any port will do");
        let port = listener.local_addr().expect("it is bound").port();
        (listener, port)
    };
    for line in [
        "PASV".to_owned(),
        "EPSV".to_owned(),
        format!("EPRT |1|127.0.0.1|{port}|"),
        "MODE S".to_owned(),
        "MODE C".to_owned(),
        "MODE Z".to_owned(),
        "ABOR".to_owned(),
        "REIN".to_owned(),
        "AUTH TLS".to_owned(),
        "QUIT".to_owned(),
    ] {
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, BLOCKS);
        formed.fetch(&mut client, "RETR 1");
        client.command(&line, 200..=299);
        formed.data().expect_end();
    }
    drop(listener);
    for line in ["PROT C", "REIN", "PASV", "QUIT"] {
        let mut client = server.secured(VERSIONS[1]);
        let mut formed = Formed::connected(&mut client, BLOCKS);
        formed.fetch(&mut client, "RETR 1");
        client.send(line);
        let code = client.reply().code;
        // REIN would take TLS away from the control connection.
        if line == "REIN" {
            assert_eq!(code, 502);
            formed.fetch(&mut client, "RETR 1");
        } else {
            formed.data().read_until_cut();
        }
    }
    for line in
        ["TYPE A", "TYPE I", "STRU R", "STRU F", "CWD /", "MODE B", "RETR none", "LIST none", "REST 0"]
    {
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, BLOCKS);
        formed.fetch(&mut client, "RETR 1");
        client.send(line);
        client.reply();
        client.command("TYPE I", 200);
        client.command("STRU F", 200);
        check_octets(&formed.fetch(&mut client, "RETR 1"), &files(2)[1]);
    }
}

/// What PROT says holds for every byte: a connection in clear is not used once PROT P was said, nor the reverse.
#[test]
fn another_protection_needs_another_connection() {
    let server = Setup::of(memory_with(&files(2))).tls(REQUIRE).deflating().start();
    let config = client(VERSIONS[1]);
    let mut client = server.secured_with(&config);
    for (to, protected) in [("PROT C", false), ("PROT P", true), ("PROT C", false)] {
        let mut formed = Formed::connected(&mut client, BLOCKS);
        formed.fetch(&mut client, "RETR 1");
        client.command(to, 200);
        client.command("RETR 1", Situation::NothingArranged);
        formed.data().read_until_cut();
        client.data_tls = protected.then(|| config.clone());
        check_octets(&Formed::connected(&mut client, BLOCKS).fetch(&mut client, "RETR 1"), &files(2)[1]);
    }
}

#[test]
fn it_is_closed_when_nobody_uses_it() {
    let server = Setup::of(memory_with(&files(2))).on_one_thread().deflating().start();
    let mut client = server.anna();
    let mut formed = Formed::connected(&mut client, BLOCKS);
    formed.fetch(&mut client, "RETR 1");
    server.advance(Duration::from_secs(59));
    formed.fetch(&mut client, "RETR 1");
    server.advance(Duration::from_secs(61));
    formed.data().expect_end();
    client.command("RETR 1", Situation::ArrangementExpired);
    formed.connect(&mut client);
    formed.fetch(&mut client, "RETR 1");
}

#[test]
fn an_abort_in_the_middle() {
    for form in KEEPING {
        let memory = memory_with(&files(2));
        memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
        let server = Server::of_every_mode(memory);
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, form);
        client.send_raw("RETR 1\r\nRETR big\r\nRETR 1\r\nPWD\r\nSTOR new\r\n");
        formed.receive();
        expect_each(&mut client, 1, Situation::SentKept);
        client.expect(Situation::MarkStanding);
        client.send_abort_urgently();
        client.expect(Situation::TransferAborted);
        client.expect(Situation::NotBegun);
        client.expect(257);
        client.expect(Situation::NotBegun);
        client.expect(Situation::Aborted);
        formed.data().expect_reset();
        client.command("RETR 1", Situation::NothingArranged);
        // An upload that has begun, with the next file's bytes behind it.
        formed.connect(&mut client);
        client.command("STOR half", 125);
        let whole = encoded(form, &octets(40_000, 1));
        formed.data().write(&whole[..20_000]);
        client.wait_until_moved(20_000);
        client.send("ABOR");
        client.expect(Situation::TransferAborted);
        client.expect(Situation::Aborted);
        formed.connect(&mut client);
        check_octets(&formed.fetch(&mut client, "RETR 1"), &files(2)[1]);
    }
}

#[test]
fn a_drain_finishes_the_queue() {
    let mut server = Setup::of(Memory::new())
        .with(|config| config.limits.drain_grace = Duration::from_secs(600))
        .deflating()
        .start();
    let mut client = server.anna();
    let mut idle = server.anna();
    let mut kept = Formed::connected(&mut idle, BLOCKS);
    kept.store(&mut idle, "STOR idle", b"x");
    let mut formed = Formed::connected(&mut client, BLOCKS);
    let files: Vec<Vec<u8>> = (0..3).map(|seed| octets(10_000, seed)).collect();
    client.send_raw(lines("STOR", 3));
    client.expect(Situation::MarkStanding);
    server.shut_down();
    idle.expect(Situation::Shutdown);
    kept.data().expect_end();
    formed.data().write(&encoded_all(BLOCKS, &files));
    client.expect(Situation::StoredKept);
    expect_each(&mut client, 2, Situation::StoredKept);
    client.expect(Situation::Shutdown);
    client.expect_end();
    formed.data().expect_end();
    drop((client, idle));
    server.wait_for_end();
}

#[test]
fn a_shutdown_cuts_the_queue() {
    let memory = Memory::new();
    let mut server = Server::of_every_mode(memory.clone());
    let mut client = server.anna();
    let mut formed = Formed::connected(&mut client, BLOCKS);
    client.send_raw(lines("STOR", 3));
    formed.data().write(&encoded(BLOCKS, b"whole"));
    expect_each(&mut client, 1, Situation::StoredKept);
    client.expect(Situation::MarkStanding);
    server.shut_down();
    client.expect(Situation::TransferShutdown);
    client.expect(Situation::Shutdown);
    client.expect_end();
    drop(client);
    server.wait_for_end();
    assert_eq!(memory.contents("/0").as_deref(), Some(&b"whole"[..]));
    assert_eq!(memory.contents("/1"), None);
}

/// A client that ends its direction of the data connection with its file, as it must in stream mode, has sent it whole.
#[test]
fn a_client_that_ends_its_direction_with_its_file() {
    for form in KEEPING {
        let server = Server::of_every_mode(Memory::new());
        let mut client = server.anna();
        let mut formed = Formed::connected(&mut client, form);
        client.command("STOR file", 125);
        formed.data().write(&encoded(form, b"whole"));
        formed.data().stream().shutdown(Shutdown::Write).expect("it is connected");
        client.expect(250..=250);
        client.command("STOR next", Situation::ConnectionCut);
        client.command("SIZE next", Situation::NotFound);
    }
}
