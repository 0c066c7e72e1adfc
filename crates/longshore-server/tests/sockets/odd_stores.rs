//! Stores that wait, take long, fail or panic: their sessions are served or told, and no other session notices.

use longshore_server::EventKind;
use longshore_server::path::VirtualPath;
use longshore_server::storage::memory::Memory;

use crate::common::backends::{Gate, Odd, Way, broken};
use crate::common::ground::Bystander;
use crate::common::{Client, Server, Setup, Situation, check_octets, octets};

/// A name that tells the store where to misbehave.
fn at(operation: &'static str, name: &'static str, way: Way) -> impl Fn(&str, &VirtualPath) -> Way {
    move |doing, path| match doing == operation && path.file_name() == Some(name.as_bytes()) {
        true => way.clone(),
        false => Way::AsUsual,
    }
}

#[test]
fn a_store_that_is_never_ready_at_once() {
    let memory = Memory::new();
    let server = Server::of(Odd::new(memory, |_, _| Way::Pending));
    let mut client = server.anna();
    let contents = octets(1_500_000, 1);
    client.command("MKD dir", 257);
    client.store("STOR dir/file", &contents);
    check_octets(&client.fetch("RETR dir/file"), &contents);
    client.store("APPE dir/file", b"more");
    assert_eq!(client.command("SIZE dir/file", 213).text(), "1500004");
    assert_eq!(client.names("NLST dir"), ["dir/file"]);
    client.command("RNFR dir/file", 350);
    client.command("RNTO dir/new", 250);
    client.command("ALLO 10", 200);
    client.command("MFMT 20200101000000 dir/new", 213);
    let mut data = client.data();
    client.command("STOR cut", 125);
    data.write(&contents);
    client.wait_until_moved(1_000_000);
    client.send("ABOR");
    client.expect(Situation::TransferAborted);
    client.expect(Situation::Aborted);
    drop(data);
    client.command("SIZE cut", 213);
    client.command("DELE dir/new", 250);
    client.command("RMD dir", 250);
    client.quit();
}

#[test]
fn a_panic_ends_one_session_only() {
    for operation in ["open_read", "read_at", "open_upload", "write", "commit", "stat", "make_directory"] {
        let memory = Memory::new();
        memory.insert("/bad", "contents").insert("/good", "contents");
        let server = Server::of(Odd::new(memory, at(operation, "bad", Way::Panic)));
        let bystander = Bystander::begin(&server);
        let mut client = server.anna();
        let mut data = client.data();
        let line = match operation {
            "open_read" | "read_at" => "RETR bad",
            "stat" => "SIZE bad",
            "make_directory" => "MKD bad",
            _ => "STOR bad",
        };
        data.write(b"x");
        data.end_output();
        client.send(line);
        // The mark goes out before the server has to wait; here it may not have had to.
        let mut reply = client.reply();
        if ["read_at", "write", "commit"].contains(&operation) && reply.code == 125 {
            reply = client.reply();
        }
        assert!(reply.is(Situation::Fault), "{operation}: {reply:?}");
        client.expect_end();
        let told = server.events().wait_for(1, |event| match &event.kind {
            EventKind::Fault { message } => Some(message.clone()),
            _ => None,
        });
        assert_eq!(told, [format!("the store panics at {operation}")]);
        let mut other = server.anna();
        assert_eq!(other.fetch("RETR good"), b"contents");
        bystander.finish();
    }
}

/// The client has more to say when its session dies: it still learns why.
#[test]
fn a_panic_while_commands_wait() {
    let server = Server::of(Odd::new(Memory::new(), at("make_directory", "bad", Way::Panic)));
    let mut client = server.anna();
    client.send_raw(format!("MKD bad\r\n{}", "PWD\r\n".repeat(5_000)));
    client.expect(Situation::Fault);
    client.expect_end();
    server.anna().quit();
}

/// A job that panics on a thread of the pool is a failure of the store, and the session lives.
#[test]
fn a_panic_in_a_job_is_a_failure() {
    let memory = Memory::new();
    memory.insert("/bad", "contents");
    for (operation, line, code) in [
        ("make_directory", "MKD bad", 550),
        ("open_read", "RETR bad", 451),
        ("read_at", "RETR bad", 451),
        ("open_upload", "STOR bad", 451),
        ("write", "STOR bad", 451),
        ("commit", "STOR bad", 451),
        ("next_entries", "NLST", 451),
    ] {
        let name = if operation == "next_entries" { "" } else { "bad" };
        let panics = move |doing: &str, path: &longshore_server::path::VirtualPath| {
            let here = path.file_name().unwrap_or_default() == name.as_bytes();
            if doing == operation && here { Way::PanicInJob } else { Way::AsUsual }
        };
        let server = Server::of(Odd::new(memory.clone(), panics));
        let mut client = server.anna();
        let mut data = client.data();
        client.send(line);
        if ["read_at", "write", "commit", "next_entries"].contains(&operation) {
            client.expect(125);
        }
        if ["write", "commit"].contains(&operation) {
            data.write(b"x");
            data.finish();
        }
        client.expect(code);
        client.command("NOOP", 200);
        assert_eq!(memory.contents("/bad").as_deref(), Some(&b"contents"[..]));
    }
}

#[test]
fn failures_of_the_store_are_told_to_both_sides() {
    let memory = Memory::new();
    memory.insert("/bad", "contents").insert("/good", "contents");
    let failing = |operation| {
        let store = Odd::new(memory.clone(), at(operation, "bad", broken("the disk has a bad sector")));
        Server::of(store)
    };
    for (operation, line, expected, marked) in [
        ("open_read", "RETR bad", Situation::StorageFailed, false),
        ("read_at", "RETR bad", Situation::ReadFailed, true),
        ("open_upload", "STOR bad", Situation::StorageFailed, false),
        ("write", "STOR bad", Situation::WriteFailed, true),
        ("commit", "STOR bad", Situation::WriteFailed, true),
    ] {
        let server = failing(operation);
        let mut client = server.anna();
        let mut data = client.data();
        client.send(line);
        if marked {
            client.expect(125);
        }
        if marked && line.starts_with("STOR") {
            data.write(b"x");
            data.finish();
        }
        let reply = client.expect(expected);
        assert!(!reply.text().contains("bad sector"), "the system's words are for the log: {reply:?}");
        let causes = server.events().wait_for(1, |event| match &event.kind {
            EventKind::Transfer { cause, situation, .. } => Some((*situation, cause.clone())),
            _ => None,
        });
        let [(situation, Some(cause))] = &causes[..] else { panic!("{operation}: {causes:?}") };
        assert_eq!(*situation, expected);
        assert!(cause.contains("the disk has a bad sector"), "{cause}");
        assert_eq!(memory.contents("/bad").as_deref(), Some(&b"contents"[..]));
        assert_eq!(client.fetch("RETR good"), b"contents");
    }
}

/// What went wrong with one command is not told of another.
#[test]
fn a_cause_belongs_to_one_command() {
    let store = Odd::new(Memory::new(), at("make_directory", "bad", broken("the disk has a bad sector")));
    let server = Server::of(store);
    let mut client = server.anna();
    client.command("MKD bad", Situation::StorageRefused);
    client.passive();
    client.command("RETR missing", Situation::NotFound);
    let causes = server.events().wait_for(1, |event| match &event.kind {
        EventKind::Transfer { cause, .. } => Some(cause.clone()),
        _ => None,
    });
    assert_eq!(causes, [None]);
    let told = server.events().wait_for(1, |event| match &event.kind {
        EventKind::StorageFailed { cause } => Some(cause.clone()),
        _ => None,
    });
    assert!(told[0].contains("the disk has a bad sector"), "{told:?}");
}

/// Jobs that take long hold up their own session and no other.
#[test]
fn jobs_that_block_do_not_hold_others_up() {
    let memory = Memory::new();
    memory.insert("/slow", "contents").insert("/fast", "contents");
    let gate = Gate::new();
    let store = Odd::new(memory, at("read_at", "slow", Way::BehindGate(gate.clone())));
    let server = Setup::of(store).on_one_thread().start();
    let bystander = Bystander::begin(&server);
    let mut slow: Vec<(Client, crate::common::Data)> = (0..8)
        .map(|_| {
            let mut client = server.anna();
            let data = client.data();
            client.command("RETR slow", 125);
            (client, data)
        })
        .collect();
    gate.wait_for_jobs(8);
    let mut fast = server.anna();
    assert_eq!(fast.fetch("RETR fast"), b"contents");
    fast.quit();
    bystander.finish();
    // Their own sessions answer what may overtake, and an ABOR is heard, but has to wait for the job.
    for (client, _) in &mut slow {
        client.command("NOOP", 200);
    }
    slow[0].0.send_raw("NOOP\r\nABOR\r\n");
    slow[0].0.expect(Situation::Noop);
    gate.open();
    for (number, (client, data)) in slow.iter_mut().enumerate() {
        if number == 0 {
            data.expect_reset();
            client.expect(Situation::TransferAborted);
            client.expect(Situation::Aborted);
        } else {
            assert_eq!(data.read_all(), b"contents");
            client.expect(226);
        }
        client.command("NOOP", 200);
    }
}

/// ABOR while an upload is being stored: it is stored, and both are told so.
#[test]
fn an_abort_that_comes_too_late() {
    let memory = Memory::new();
    let gate = Gate::new();
    let store = Odd::new(memory.clone(), at("commit", "file", Way::BehindGate(gate.clone())));
    let server = Server::of(store);
    let mut client = server.anna();
    let mut data = client.data();
    client.command("STOR file", 125);
    data.write(b"all of it");
    data.finish();
    gate.wait_for_jobs(1);
    // The first NOOP is answered when all of this has been read; the second has to wait for its turn.
    client.send_raw("NOOP\r\nABOR\r\nNOOP\r\n");
    client.expect(Situation::Noop);
    gate.open();
    client.expect(Situation::Stored);
    client.expect(Situation::Aborted);
    client.expect(Situation::Noop);
    assert_eq!(memory.contents("/file").as_deref(), Some(&b"all of it"[..]));
}

/// The client goes while its file is opened; nothing is left half-way.
#[test]
fn a_client_that_goes_while_the_store_works() {
    let memory = Memory::new();
    memory.insert("/old", "contents");
    let gate = Gate::new();
    let held = gate.clone();
    let store = Odd::new(memory.clone(), move |operation, _| match operation {
        "open_upload" | "rename" => Way::BehindGate(held.clone()),
        _ => Way::AsUsual,
    });
    let server = Server::of(store);
    let mut uploading = server.anna();
    let _data = uploading.data();
    uploading.send("STOR new");
    let mut renaming = server.anna();
    renaming.command("RNFR old", 350);
    renaming.send("RNTO renamed");
    gate.wait_for_jobs(2);
    uploading.reset();
    renaming.reset();
    gate.open();
    server.events().sessions_ended(2);
    assert_eq!(memory.contents("/new"), None);
    assert_eq!(memory.contents("/renamed").as_deref(), Some(&b"contents"[..]), "what was begun is finished");
}
