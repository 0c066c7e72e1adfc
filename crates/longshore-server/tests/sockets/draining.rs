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
        EventKind::Stopped { cut, .. } => Some(cut),
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
    server
        .events()
        .wait_for(1, |event| matches!(event.kind, EventKind::Stopped { cut: 1, .. }).then_some(()));
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

/// A client that sends without end is told as everybody is, and its time for a login runs out.
#[test]
fn a_client_that_floods_is_no_exception() {
    let mut server = Setup::of(Memory::new())
        .with(|config| config.policy.login_timeout = Duration::from_millis(500))
        .start();
    let mut guest = server.client();
    flood_until_told(&mut guest, Situation::LoginTimeout);
    let mut anna = server.anna();
    let control = server.control().clone();
    let end = std::thread::spawn(move || control.end());
    flood_until_told(&mut anna, Situation::Shutdown);
    end.join().expect("it only asks");
    drop((guest, anna));
    server.wait_for_end();
}

/// Sends NOOP after NOOP from one thread and reads the answers in another.
fn flood_until_told(client: &mut Client, situation: Situation) {
    let mut stream = client.stream().try_clone().expect("a socket can be cloned");
    let flood = std::thread::spawn(move || {
        let lines = b"NOOP\r\n".repeat(500);
        while std::io::Write::write_all(&mut stream, &lines).is_ok() {}
    });
    let code = loop {
        match client.reply_or_end() {
            Some(reply) if reply.code == 200 => {}
            Some(reply) => break reply,
            None => panic!("not told why"),
        }
    };
    assert!(code.is(situation), "{code:?}");
    let _ = client.stream().shutdown(std::net::Shutdown::Both);
    flood.join().expect("it only sends");
}

/// Idle sessions are no cut transfers.
#[test]
fn only_transfers_are_cut() {
    let mut server = Server::of(Memory::new());
    let idle = [server.anna(), server.anna(), server.client()];
    server.control().end();
    drop(idle);
    server.wait_for_end();
    let cut = server.events().wait_for(1, |event| match event.kind {
        EventKind::Stopped { cut, .. } => Some(cut),
        _ => None,
    });
    assert_eq!(cut, [0]);
}

/// Whoever drops the server has none any more, with all its sessions.
#[test]
fn sessions_end_with_the_future_that_serves_them() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let trees = longshore_server::Trees::one("files", Memory::new());
        let config = longshore_server::Config::new(crate::common::accounts(), trees);
        let server = longshore_server::Server::new(config).expect("it is sound");
        let mut listeners = longshore_server::Listeners::new();
        let address = listeners.listen((HERE, 0).into()).expect("any port will do");
        let serving = tokio::spawn(server.run(listeners, std::future::pending()));
        let client = tokio::task::spawn_blocking(move || {
            let mut client = Client::connect(address);
            client.expect(220);
            client
        });
        let mut client = client.await.expect("it is greeted");
        serving.abort();
        tokio::task::spawn_blocking(move || client.expect_end()).await.expect("the session has ended");
    });
}
