//! Clients that vanish, stop, or close without waiting: what was stored, what is kept, and that nobody else notices.

use longshore_server::EventKind;
use longshore_server::storage::memory::Memory;

use crate::common::ground::{Bystander, with_each_store};
use crate::common::{
    Client, Data, MORE_THAN_BUFFERS_BYTES, SHORT, Server, Setup, Situation, check_octets, octets,
};

/// An upload of 100,000 octets that have all been received, and that goes on.
#[track_caller]
fn begin_upload(server: &Server, name: &str) -> (Client, Data) {
    let mut client = server.anna();
    let mut data = client.data();
    client.command(format!("STOR {name}"), 125);
    data.write(&octets(100_000, 5));
    client.wait_until_moved(100_000);
    (client, data)
}

/// That nothing stands under the name, and that all that had come can be continued.
#[track_caller]
fn check_kept(server: &Server, name: &str) {
    let mut client = server.anna();
    client.command(format!("SIZE {name}"), Situation::Size);
    let to = client.passive();
    client.command(format!("RETR {name}"), Situation::NotFound);
    let _ = Data::connect(to);
    assert!(!client.names("NLST").contains(&name.to_owned()));
    client.command("REST 100000", 350);
    client.store(format!("STOR {name}"), b" and the end");
    let whole = [octets(100_000, 5), b" and the end".to_vec()].concat();
    check_octets(&client.fetch(format!("RETR {name}")), &whole);
}

#[test]
fn the_data_connection_is_reset_during_an_upload() {
    with_each_store(|server| {
        let bystander = Bystander::begin(server);
        let (mut client, data) = begin_upload(server, "cut");
        data.reset();
        let text = client.expect(Situation::UploadResetKept).text();
        assert!(text.contains(" 100000 bytes"), "{text}");
        client.command("NOOP", 200);
        check_kept(server, "cut");
        bystander.finish();
    });
}

#[test]
fn the_control_connection_is_reset_during_an_upload() {
    with_each_store(|server| {
        let bystander = Bystander::begin(server);
        let (client, mut data) = begin_upload(server, "cut");
        client.reset();
        data.expect_end();
        assert_eq!(server.events().transfer(1), (Situation::ControlLost, 100_000));
        check_kept(server, "cut");
        bystander.finish();
    });
}

#[test]
fn both_connections_are_reset_during_an_upload() {
    with_each_store(|server| {
        let bystander = Bystander::begin(server);
        let (client, data) = begin_upload(server, "cut");
        data.reset();
        client.reset();
        let (situation, bytes) = server.events().transfer(1);
        assert!([Situation::ControlLost, Situation::UploadResetKept].contains(&situation), "{situation:?}");
        assert_eq!(bytes, 100_000);
        check_kept(server, "cut");
        bystander.finish();
    });
}

/// Cameras do this.
#[test]
fn an_upload_that_ends_in_order_is_stored_though_nobody_waits_for_the_answer() {
    with_each_store(|server| {
        // Data first, control first, and both before the server has said that it has seen anything.
        let (client, data) = begin_upload(server, "data-first");
        data.finish();
        drop(client);
        let (client, mut data) = begin_upload(server, "control-first");
        drop(client);
        data.write(b"more");
        data.finish();
        let mut client = server.anna();
        let mut data = client.data();
        client.command("STOR at-once", 125);
        data.write(b"all");
        data.finish();
        drop(client);
        server.events().transfer(3);
        let mut client = server.anna();
        check_octets(&client.fetch("RETR data-first"), &octets(100_000, 5));
        check_octets(&client.fetch("RETR control-first"), &[octets(100_000, 5), b"more".to_vec()].concat());
        assert_eq!(client.fetch("RETR at-once"), b"all");
    });
}

/// One that does not even wait for the mark.
#[test]
fn an_upload_whose_mark_nobody_waits_for() {
    with_each_store(|server| {
        let mut client = server.anna();
        let mut data = client.data();
        client.send("STOR whole");
        data.write(b"all of it");
        data.finish();
        drop(client);
        assert_eq!(server.events().transfer(1), (Situation::Stored, 9));
        assert_eq!(server.anna().fetch("RETR whole"), b"all of it");
    });
}

#[test]
fn an_upload_that_is_cut_after_the_control_connection_was_closed_is_kept() {
    with_each_store(|server| {
        let (client, data) = begin_upload(server, "cut");
        drop(client);
        data.reset();
        assert_eq!(server.events().transfer(1), (Situation::UploadResetKept, 100_000));
        check_kept(server, "cut");
    });
}

#[test]
fn an_upload_that_does_not_end_after_the_control_connection_was_closed_is_kept() {
    let server = Setup::of(Memory::new()).on_one_thread().start();
    let (client, mut data) = begin_upload(&server, "cut");
    client.end_output();
    // Known to have been read when the answer to another session comes that asked later.
    let mut other = server.anna();
    other.command("NOOP", 200);
    server.advance(std::time::Duration::from_secs(6));
    data.expect_end();
    assert_eq!(server.events().transfer(1), (Situation::ControlLost, 100_000));
    drop(client);
    check_kept(&server, "cut");
}

fn big() -> Memory {
    let memory = Memory::new();
    memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
    memory
}

#[test]
fn the_data_connection_is_reset_during_a_download() {
    let server = Server::of(big());
    let bystander = Bystander::begin(&server);
    let mut client = server.anna();
    let mut data = client.data();
    client.command("RETR big", 125);
    data.read(100_000);
    data.reset();
    client.expect(Situation::PeerReset);
    client.command("NOOP", 200);
    let (situation, bytes) = server.events().transfer(1);
    assert_eq!(situation, Situation::PeerReset);
    assert!((100_000..MORE_THAN_BUFFERS_BYTES as u64).contains(&bytes), "{bytes}");
    bystander.finish();
}

/// Closing with unread bytes is a reset too, and what browsers do when somebody presses "cancel".
#[test]
fn the_data_connection_is_closed_during_a_download() {
    let server = Server::of(big());
    let mut client = server.anna();
    let mut data = client.data();
    client.command("RETR big", 125);
    data.read(100_000);
    drop(data);
    client.expect(Situation::PeerReset);
    check_octets(&client.fetch("RETR big"), &octets(MORE_THAN_BUFFERS_BYTES, 1));
}

#[test]
fn the_control_connection_ends_during_a_download() {
    let server = Server::of(big());
    let bystander = Bystander::begin(&server);
    for (nth, ending) in [drop as fn(Client), Client::reset].into_iter().enumerate() {
        let mut client = server.anna();
        let mut data = client.data();
        client.command("RETR big", 125);
        data.read(100_000);
        ending(client);
        data.expect_reset();
        assert_eq!(server.events().transfer(nth + 1).0, Situation::ControlLost);
    }
    bystander.finish();
}

/// Without a transfer: the session ends, and the event says how.
#[test]
fn sessions_that_end_without_a_word() {
    let server = Server::of(Memory::new());
    server.anna().reset();
    server.events().sessions_ended(1);
    drop(server.anna());
    server.events().sessions_ended(2);
    server.anna().quit();
    let endings = server.events().wait_for(3, |event| match event.kind {
        EventKind::Ended { why } => Some(format!("{why:?}")),
        _ => None,
    });
    assert_eq!(endings, ["Reset", "Closed", "Quit"]);
    // In the middle of everything else a session can wait for.
    let mut client = server.anna();
    client.passive();
    client.command("STOR never", 150);
    client.reset();
    let mut client = server.anna();
    client.passive();
    client.reset();
    let mut client = server.client();
    client.command("USER anna", 331);
    client.send("PASS wrong");
    client.reset();
    server.events().sessions_ended(6);
    assert_eq!(server.anna().names("NLST"), [""; 0]);
}

#[test]
fn transfers_that_stall_are_given_up() {
    let server = Setup::of(big()).with(|config| config.policy.stall_timeout = SHORT).start();
    // One that never reads.
    let mut client = server.anna();
    let mut data = client.data();
    client.command("RETR big", 125);
    client.expect(Situation::Stalled);
    data.expect_reset();
    // One that never sends.
    let mut data = client.data();
    client.command("STOR nothing", 125);
    client.expect(Situation::UploadStalled);
    data.expect_end();
    client.command("SIZE nothing", 550);
    // One that sends a little.
    let mut data = client.data();
    data.write(b"half");
    client.command("STOR little", 125);
    let text = client.expect(Situation::UploadStalledKept).text();
    assert!(text.contains(" 4 bytes"), "{text}");
    assert_eq!(client.command("SIZE little", 213).text(), "4");
    client.command("REST 4", 350);
    client.store("STOR little", b" and half");
    assert_eq!(client.fetch("RETR little"), b"half and half");
}

/// One that reads neither data nor answers: the data connection's time-out ends the transfer all the same.
#[test]
fn a_client_that_reads_nothing_at_all() {
    let server = Setup::of(big()).with(|config| config.policy.stall_timeout = SHORT).start();
    let mut client = server.anna();
    let mut data = client.data();
    client.send("RETR big");
    client.send_raw("PWD\r\n".repeat(100));
    let (situation, _) = server.events().transfer(1);
    assert_eq!(situation, Situation::Stalled);
    data.expect_reset();
    client.expect(125);
    client.expect(Situation::Stalled);
    for _ in 0..100 {
        client.expect(257);
    }
}

/// The idle timer does not run while data flows; another session's idle time-out is the clock.
#[test]
fn a_long_transfer_outlives_the_idle_timeout() {
    let server = Setup::of(Memory::new()).with(|config| config.policy.idle_timeout = SHORT).start();
    let (mut client, mut data) = begin_upload(&server, "long");
    let mut idle = server.anna();
    idle.expect(Situation::Idle);
    idle.expect_end();
    data.write(b"more");
    data.finish();
    client.expect(Situation::Stored);
    client.command("NOOP", 200);
    client.expect(Situation::Idle);
    client.expect_end();
}

/// Bytes that a client has sent ahead for an upload that is refused never become another file.
#[test]
fn bytes_of_a_refused_upload_become_no_file() {
    let memory = Memory::new();
    memory.insert("/directory/file", "x");
    let server = Server::of(memory.clone());
    for line in ["STOR directory", "STOR missing/x", "APPE directory", "STOR a\rb", "STOR"] {
        let mut client = server.anna();
        let mut data = client.data();
        data.write(b"bytes for a file that is refused");
        client.send(line);
        client.send("STOR other");
        let refused = client.reply().code;
        assert!([553, 501].contains(&refused), "{refused}");
        client.expect(Situation::ClosedByRefusal);
        data.expect_end();
        client.store("STOR right", b"right");
        assert_eq!(memory.contents("/right").as_deref(), Some(&b"right"[..]));
    }
    assert_eq!(memory.contents("/other"), None);
}

/// A refused download leaves the arrangement as it is.
#[test]
fn a_refused_download_can_be_followed_by_another() {
    let server = Server::of(big());
    let mut client = server.anna();
    let mut data = client.data();
    for line in ["RETR missing", "LIST missing", "MLSD big", "NLST missing"] {
        client.command(line, 550);
    }
    client.command("NLST", 125);
    assert_eq!(data.read_all(), b"big\r\n");
    client.expect(226);
}
