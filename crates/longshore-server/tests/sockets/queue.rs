//! Commands that are sent without waiting for answers: each is answered once, in order, however slowly the client
//! reads, and the server holds no more of it than its bounds say.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_server::limits::{CONTROL_READ_BYTES, CONTROL_UNSENT_LIMIT_BYTES};
use longshore_server::storage::memory::Memory;

use crate::common::backends::{Odd, Way};
use crate::common::ground::Bystander;
use crate::common::{
    Client, HERE, MORE_THAN_BUFFERS_BYTES, PATIENCE, Server, Setup, Situation, USER, octets,
};

/// Commands and what they are answered with. HELP has the longest answer.
const COMMANDS: [(&str, u16); 5] =
    [("NOOP", 200), ("HELP", 214), ("PWD", 257), ("TYPE Q", 501), ("XYZZY", 500)];

fn lines(count: usize) -> String {
    (0..count).map(|number| format!("{}\r\n", COMMANDS[number % COMMANDS.len()].0)).collect()
}

#[track_caller]
fn check_answers(client: &mut Client, count: usize) {
    for number in 0..count {
        client.expect(COMMANDS[number % COMMANDS.len()].1);
    }
}

#[test]
fn ten_thousand_commands_are_answered_in_order() {
    let server = Server::of(Memory::new());
    let mut client = server.anna();
    let mut stream = client.stream().try_clone().expect("a descriptor is free");
    std::thread::scope(|scope| {
        scope.spawn(move || stream.write_all(lines(10_000).as_bytes()).expect("the server reads on"));
        check_answers(&mut client, 10_000);
    });
    client.quit();
}

/// The answers to one read of commands can be more than may wait to be sent.
#[test]
fn answers_that_had_to_wait_are_given_without_further_input() {
    let server = Server::of(Memory::new());
    let mut client = server.anna();
    let count = CONTROL_READ_BYTES / "HELP\r\n".len();
    let one = client.command("HELP", 214).lines().concat().len();
    assert!(one * count > 2 * CONTROL_UNSENT_LIMIT_BYTES, "else nothing has to wait");
    client.send_raw("HELP\r\n".repeat(count));
    for _ in 0..count {
        client.expect(214);
    }
    client.command("NOOP", 200);
}

#[test]
fn a_client_that_reads_only_at_the_end_gets_every_answer() {
    let server = Server::of(Memory::new());
    let bystander = Bystander::begin(&server);
    let mut client = Client::connect_small(server.address(HERE), 4096);
    client.expect(220);
    let mut stream = client.stream().try_clone().expect("a descriptor is free");
    stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a socket of ours");
    let lines = lines(10_000).repeat(400);
    // Until nothing goes any more: the server must not take commands whose answers it cannot send.
    let mut sent = 0;
    while sent < lines.len() {
        match stream.write(&lines.as_bytes()[sent..]) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                break;
            }
        }
    }
    assert!(sent < lines.len(), "the server has taken {sent} bytes of commands and sent none of the answers");
    bystander.finish();
    let whole = lines[..sent].matches('\n').count();
    // Not logged in, so that three of them are answered otherwise; in order all the same.
    for number in 0..whole {
        let (line, code) = COMMANDS[number % COMMANDS.len()];
        let expected = if ["PWD", "TYPE Q"].contains(&line) { 530 } else { code };
        client.expect(expected);
    }
}

#[test]
fn commands_wait_behind_a_transfer_and_none_is_lost() {
    let memory = Memory::new();
    memory.insert("/file", octets(MORE_THAN_BUFFERS_BYTES, 1));
    let server = Server::of(memory);
    let mut client = server.anna();
    let mut data = client.data();
    client.command("RETR file", 125);
    // More commands than may wait, and more bytes than both kernels hold for them is not needed: the server reads
    // on as soon as the transfer is over.
    let mut stream = client.stream().try_clone().expect("a descriptor is free");
    std::thread::scope(|scope| {
        scope.spawn(move || stream.write_all(["PWD\r\n"; 10_000].concat().as_bytes()).expect("they fit"));
        assert_eq!(data.read_all().len(), MORE_THAN_BUFFERS_BYTES);
        client.expect(Situation::Sent);
        for _ in 0..10_000 {
            client.expect(257);
        }
    });
    client.quit();
}

#[test]
fn quit_waits_for_the_transfer_before_it() {
    let memory = Memory::new();
    let server = Server::of(memory.clone());
    let mut client = server.anna();
    let mut data = client.data();
    client.send_raw("STOR file\r\nQUIT\r\nDELE file\r\n");
    client.expect(125);
    data.write(b"all of it");
    data.finish();
    client.expect(Situation::Stored);
    client.expect(Situation::Goodbye);
    client.expect_end();
    assert_eq!(
        memory.contents("/file").as_deref(),
        Some(&b"all of it"[..]),
        "nothing behind QUIT is carried out"
    );
}

#[test]
fn quit_is_answered_to_a_client_that_has_ended_its_direction() {
    let server = Server::of(Memory::new());
    let mut client = server.client();
    client.send_raw("USER anonymous\r\nPASS x@y\r\nPWD\r\nMKD no\r\nQUIT\r\n");
    client.end_output();
    for code in [331, 230, 257, 550, 221_u16] {
        client.expect(code);
    }
    client.expect_end();
}

#[test]
fn noop_and_stat_overtake_only_the_running_transfer() {
    let server = Server::of(Memory::new());
    let mut client = server.anna();
    let mut data = client.data();
    client.command("STOR file", 125);
    client.command("NOOP", 200);
    client.command("STAT", Situation::Status);
    // PWD waits, and with it whatever comes behind it.
    client.send_raw("PWD\r\nNOOP\r\nSTAT\r\n");
    data.write(b"x");
    data.finish();
    client.expect(Situation::Stored);
    client.expect(257);
    client.expect(200);
    client.expect(Situation::Status);
}

#[test]
fn abort_as_plain_text() {
    let server = Server::of(Memory::new());
    let mut client = server.anna();
    client.command("ABOR", Situation::NothingToAbort);
    let mut data = client.data();
    client.command("STOR file", 125);
    data.write(b"half");
    client.wait_until_moved(4);
    client.send_raw("ABOR\r\n");
    client.expect(Situation::TransferAborted);
    client.expect(Situation::Aborted);
    data.expect_end();
    client.command("SIZE file", 213);
    client.command("STOR file", Situation::NothingArranged);
    // While it waits for the connection.
    client.passive();
    client.command("STOR file", 150);
    client.send("ABOR");
    client.expect(Situation::TransferAborted);
    client.expect(Situation::Aborted);
    client.store("STOR file", b"whole");
}

#[test]
fn abort_as_telnet_synch_with_urgent_data() {
    let memory = Memory::new();
    memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
    let server = Server::of(memory);
    let bystander = Bystander::begin(&server);
    let mut client = server.anna();
    for line in ["RETR big", "STOR new"] {
        let data = client.data();
        client.command(line, 125);
        client.send_abort_urgently();
        client.expect(Situation::TransferAborted);
        client.expect(Situation::Aborted);
        drop(data);
    }
    // Nothing runs: the mark is not mistaken for part of a command, now and later.
    client.send_abort_urgently();
    client.expect(Situation::NothingToAbort);
    client.send_urgent(b"\xFF\xF4\xFF\xF2");
    client.command("NOOP", 200);
    bystander.finish();
}

/// A queue of commands so full that the server has stopped reading, and the ABOR right behind it.
#[test]
fn an_urgent_abort_is_heard_behind_a_full_queue() {
    let memory = Memory::new();
    memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
    let server = Server::of(memory);
    let mut client = server.anna();
    let data = client.data();
    client.command("RETR big", 125);
    let waiting = longshore_proto::limits::WAITING_LIMIT_COMMANDS + 500;
    client.send_raw("PWD\r\n".repeat(waiting));
    client.send_abort_urgently();
    client.expect(Situation::TransferAborted);
    for _ in 0..waiting {
        client.expect(257);
    }
    client.expect(Situation::Aborted);
    drop(data);
    client.command("NOOP", 200);
}

/// Urgent data that stays out of reach must not keep the server busy: all sessions share one thread here.
#[test]
fn urgent_data_far_behind_a_full_queue_costs_others_nothing() {
    let memory = Memory::new();
    memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
    let server = Setup::of(memory).on_one_thread().start();
    let bystander = Bystander::begin(&server);
    let mut client = server.anna();
    let mut data = client.data();
    client.command("RETR big", 125);
    let waiting = 3 * longshore_proto::limits::WAITING_LIMIT_COMMANDS;
    client.send_raw("PWD\r\n".repeat(waiting));
    client.send_abort_urgently();
    bystander.finish();
    // The end of the transfer makes room.
    data.read_all();
    client.expect(Situation::Sent);
    for _ in 0..waiting {
        client.expect(257);
    }
    client.expect(226);
}

#[test]
fn transfers_that_wait_behind_an_abort_do_not_begin() {
    let server = Server::of(Memory::new());
    let mut client = server.anna();
    let _data = client.data();
    client.command("STOR first", 125);
    client.send_raw("STOR second\r\nPWD\r\nABOR\r\nPWD\r\n");
    client.expect(Situation::TransferAborted);
    client.expect(Situation::NotBegun);
    client.expect(257);
    client.expect(Situation::Aborted);
    client.expect(257);
}

#[test]
fn a_client_that_never_reads_answers_is_given_up() {
    let server = Setup::of(Memory::new())
        .with(|config| {
            config.policy.idle_timeout = Duration::from_secs(1_000_000);
            config.policy.login_timeout = Duration::from_secs(1_000_000);
        })
        .on_one_thread()
        .start();
    let client = Client::connect_small(server.address(HERE), 4096);
    let mut stream = client.stream().try_clone().expect("a descriptor is free");
    stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a socket of ours");
    while stream.write("HELP\r\n".repeat(1000).as_bytes()).is_ok() {}
    let limit = std::time::Instant::now() + PATIENCE;
    let ended = || {
        let told = server.events().of_sessions();
        told.iter().any(|event| matches!(event.kind, longshore_server::EventKind::Ended { .. }))
    };
    while !ended() {
        server.advance(Duration::from_secs(61));
        assert!(std::time::Instant::now() < limit, "the session goes on");
    }
    let mut other = server.client();
    other.command(format!("USER {USER}"), 331);
}

/// Commands that were read before the client stopped reading must not be carried out at its cost either.
#[test]
fn long_answers_to_a_client_that_does_not_read_are_not_made() {
    let memory = Memory::new();
    for number in 0..900 {
        memory.insert(format!("/{number:0>200}"), "");
    }
    let made = Arc::new(AtomicUsize::new(0));
    let counted = made.clone();
    let store = Odd::new(memory, move |name, _| {
        counted.fetch_add(usize::from(name == "open_directory"), Ordering::SeqCst);
        Way::AsUsual
    });
    let server = Setup::of(store).on_one_thread().start();
    let mut reader = server.anna();
    let mut client = Client::connect_small(server.address(HERE), 4096);
    client.expect(220);
    client.log_in("anonymous", "x");
    client.send_raw("STAT .\r\n".repeat(3000));
    // One thread serves both: whatever goes on for the one goes on while the other is answered.
    while made.load(Ordering::SeqCst) == 0 {
        reader.command("NOOP", 200);
    }
    for _ in 0..500 {
        reader.command("NOOP", 200);
    }
    // Each answer is a quarter of a megabyte; what the kernels hold and the bound are a few of them.
    let made = made.load(Ordering::SeqCst);
    assert!((1..100).contains(&made), "{made} answers were made for a client that reads none");
}
