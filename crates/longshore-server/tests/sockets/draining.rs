//! The end in order: whoever is idle goes at once, what runs may finish, and nobody new comes in.

use std::time::Duration;

use longshore_server::EventKind;
use longshore_server::storage::memory::Memory;

use crate::common::{Client, HERE, Server, Setup, Situation, octets};

fn server() -> Server {
    Setup::of(Memory::new()).with(|config| config.limits.drain_grace = Duration::from_secs(600)).start()
}

fn wait_until_draining(server: &Server) {
    server.events().wait_for(1, |event| matches!(event.kind, EventKind::Draining { .. }).then_some(()));
}

#[test]
fn a_transfer_finishes_and_its_session_answers_meanwhile() {
    let mut server = server();
    let (mut busy, mut idle, mut guest) = (server.anna(), server.anna(), server.client());
    let mut data = busy.data();
    busy.command("STOR file", 125);
    data.write(b"half of it, ");
    busy.wait_until_moved(12);
    server.shut_down();
    for client in [&mut idle, &mut guest] {
        client.expect(Situation::Shutdown);
        client.expect_end();
    }
    let mut late = Client::connect(server.address(HERE));
    late.expect(Situation::Shutdown);
    late.expect_end();
    busy.command("NOOP", 200);
    busy.wait_until_moved(12);
    data.write(b"and the rest");
    data.finish();
    busy.expect(Situation::Stored);
    busy.expect(Situation::Shutdown);
    busy.expect_end();
    drop((busy, idle, guest, late));
    server.wait_for_end();
    let stopped = server.events().wait_for(1, |event| match event.kind {
        EventKind::Stopped { cut } => Some(cut),
        _ => None,
    });
    assert_eq!(stopped, [0]);
}

#[test]
fn when_the_grace_is_over_what_runs_is_stopped() {
    let mut server = Setup::of(Memory::new())
        .with(|config| config.limits.drain_grace = Duration::from_secs(30))
        .on_one_thread()
        .start();
    let mut client = server.anna();
    let mut data = client.data();
    client.command("STOR file", 125);
    data.write(b"half of it");
    client.wait_until_moved(10);
    server.shut_down();
    wait_until_draining(&server);
    client.command("NOOP", 200);
    server.advance(Duration::from_secs(31));
    client.expect(Situation::TransferShutdown);
    client.expect(Situation::Shutdown);
    client.expect_end();
    drop((client, data));
    server.wait_for_end();
    server.events().wait_for(1, |event| matches!(event.kind, EventKind::Stopped { cut: 1 }).then_some(()));
}

#[test]
fn the_end_can_be_hastened() {
    let mut server = server();
    let mut client = server.anna();
    let mut data = client.data();
    client.command("STOR file", 125);
    data.write(b"half of it");
    client.wait_until_moved(10);
    server.control().drain();
    wait_until_draining(&server);
    server.control().end();
    client.expect(Situation::TransferShutdown);
    client.expect(Situation::Shutdown);
    drop((client, data));
    server.wait_for_end();
}

#[test]
fn quit_is_still_answered() {
    let mut server = server();
    let mut client = server.anna();
    let mut data = client.data();
    client.command("STOR file", 125);
    data.write(&octets(1000, 1));
    client.wait_until_moved(1000);
    server.shut_down();
    wait_until_draining(&server);
    client.send("QUIT");
    data.finish();
    client.expect(Situation::Stored);
    // The end of the data may be seen before the QUIT is read.
    let last = client.reply();
    assert!(last.is(Situation::Goodbye) || last.is(Situation::Shutdown), "{last:?}");
    client.expect_end();
    drop(client);
    server.wait_for_end();
}
