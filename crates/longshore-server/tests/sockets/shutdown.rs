//! The end of the server: everybody is told, nothing is lost that need not be, and `run` returns.

use longshore_server::EventKind;
use longshore_server::storage::memory::Memory;

use crate::common::backends::{Gate, Odd, Way};
use crate::common::client::connect_from;
use crate::common::{HERE, MORE_THAN_BUFFERS_BYTES, Server, Situation, check_octets, octets};

#[test]
fn sessions_that_do_nothing_are_told_at_once() {
    let mut server = Server::of(Memory::new());
    let (mut idle, mut guest) = (server.anna(), server.client());
    server.shut_down();
    for client in [&mut idle, &mut guest] {
        client.expect(Situation::Shutdown);
        client.expect_end();
    }
    let address = server.address(HERE);
    drop((idle, guest));
    server.wait_for_end();
    assert!(connect_from(HERE, address, None).is_err(), "nobody listens any more");
}

#[test]
fn transfers_are_stopped_and_told_and_parts_are_kept() {
    let memory = Memory::new();
    memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
    let mut server = Server::of(memory.clone());
    let (mut sending, mut receiving, mut waiting) = (server.anna(), server.anna(), server.anna());
    let mut upload = sending.data();
    sending.command("STOR cut", 125);
    upload.write(&octets(100_000, 2));
    sending.wait_until_moved(100_000);
    let mut download = receiving.data();
    receiving.command("RETR big", 125);
    download.read(1000);
    waiting.passive();
    waiting.command("STOR never", 150);
    // What waits behind a transfer is not carried out any more.
    sending.send("MKD never");
    server.shut_down();
    for client in [&mut sending, &mut receiving, &mut waiting] {
        client.expect(Situation::TransferShutdown);
        client.expect(Situation::Shutdown);
        client.expect_end();
    }
    upload.expect_end();
    download.expect_reset();
    drop((sending, receiving, waiting));
    server.wait_for_end();
    let situations = server.events().wait_for(3, |event| match event.kind {
        EventKind::Transfer { situation, .. } => Some(situation),
        _ => None,
    });
    assert_eq!(situations, [Situation::TransferShutdown; 3]);
    // A server that starts with the same files goes on where this one stopped.
    let server = Server::of(memory);
    let mut client = server.anna();
    assert_eq!(client.names("NLST"), ["big"]);
    assert_eq!(client.command("SIZE cut", 213).text(), "100000");
    client.command("REST 100000", 350);
    client.store("STOR cut", b"the end");
    check_octets(&client.fetch("RETR cut"), &[octets(100_000, 2), b"the end".to_vec()].concat());
}

/// A commit that has begun is finished and told.
#[test]
fn an_upload_that_is_being_stored_is_stored() {
    let memory = Memory::new();
    let gate = Gate::new();
    let held = gate.clone();
    let store = Odd::new(memory.clone(), move |operation, _| match operation {
        "commit" => Way::BehindGate(held.clone()),
        _ => Way::AsUsual,
    });
    let mut server = Server::of(store);
    let mut client = server.anna();
    let mut data = client.data();
    client.command("STOR file", 125);
    data.write(b"all of it");
    data.finish();
    gate.wait_for_jobs(1);
    let mut idle = server.client();
    server.shut_down();
    idle.expect(Situation::Shutdown);
    gate.open();
    client.expect(Situation::Stored);
    client.expect(Situation::Shutdown);
    client.expect_end();
    drop((client, idle));
    server.wait_for_end();
    assert_eq!(memory.contents("/file").as_deref(), Some(&b"all of it"[..]));
}

/// Clients that neither read nor close do not keep the server.
#[test]
fn clients_that_do_nothing_do_not_keep_the_server() {
    let memory = Memory::new();
    memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
    let mut server = Server::of(memory);
    let mut client = server.anna();
    let data = client.data();
    client.command("RETR big", 125);
    let _idle = server.client();
    server.shut_down();
    server.wait_for_end();
    drop((client, data));
}

#[test]
fn nobody_is_there() {
    let mut server = Server::of(Memory::new());
    server.shut_down();
    server.wait_for_end();
}
