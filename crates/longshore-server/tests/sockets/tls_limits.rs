//! Protected sessions at the edges of what may be: bandwidth, quotas, stores that fail, time that runs out, and servers
//! that end. What is said last is said inside TLS.

use std::io::{ErrorKind as IoError, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use longshore_server::accounts::{AccountLimits, MemoryAccounts, Permissions};
use longshore_server::path::VirtualPath;
use longshore_server::storage::ErrorKind;
use longshore_server::storage::memory::Memory;
use longshore_server::{Ending, EventKind, Trace};

use crate::common::backends::{Gate, Odd, Way, broken};
use crate::common::ground::{Bystander, Scratch};
use crate::common::tls::{REQUIRE, TLS13, VERSIONS};
use crate::common::{
    Client, MORE_THAN_BUFFERS_BYTES, PASSWORD, SHORT, Server, Setup, Situation, USER, account, check_octets,
    octets,
};

/// A server of this account's limits.
fn limited(setup: Setup, limits: AccountLimits) -> Setup {
    let mut anna = account(USER, Permissions::ALL);
    anna.limits = limits;
    let accounts = MemoryAccounts::new().with_account(anna, PASSWORD);
    setup.with(|config| config.accounts = Arc::new(accounts)).tls(REQUIRE)
}

/// Never faster than allowed; what is moved is whole all the same.
#[test]
fn bandwidth_is_limited() {
    let limits = AccountLimits {
        upload_bytes_per_second: Some(1_000_000),
        download_bytes_per_second: Some(1_000_000),
        ..AccountLimits::default()
    };
    std::thread::scope(|scope| {
        for version in VERSIONS {
            scope.spawn(move || {
                let server = limited(Setup::of(Memory::new()), limits).start();
                let mut client = server.secured(version);
                let contents = octets(400_000, 7);
                let begin = Instant::now();
                client.store("STOR new", &contents);
                check_octets(&client.fetch("RETR new"), &contents);
                // Some of the limit may stand unused when each begins.
                assert!(begin.elapsed() >= Duration::from_millis(600), "{:?}", begin.elapsed());
                client.quit();
            });
        }
    });
}

/// Whoever waits for bandwidth is no stalled client, and can be stopped.
#[test]
fn a_slow_limit_is_no_stall_and_obeys_abor() {
    let memory = Memory::new();
    memory.insert("/file", octets(1_000_000, 3));
    let limits = AccountLimits { download_bytes_per_second: Some(2_000), ..AccountLimits::default() };
    let server = limited(Setup::of(memory), limits)
        .with(|config| config.policy.stall_timeout = Duration::from_millis(300))
        .start();
    let mut client = server.secured(TLS13);
    let mut data = client.data();
    client.command("RETR file", 125);
    data.read(2_000);
    client.command("ABOR", Situation::TransferAborted);
    client.expect(Situation::Aborted);
    data.expect_reset();
    client.quit();
}

/// An upload that is refused while it comes is heard out: the client sends all of it and then comes to read why.
#[track_caller]
fn refused(client: &mut Client, bytes: usize, situation: Situation) {
    let mut data = client.data();
    client.command("STOR new", 125);
    data.write(&octets(bytes, 1));
    data.finish();
    client.expect(situation);
}

#[test]
fn quotas_and_sizes() {
    let scratch = Scratch::new();
    for (limits, situation) in [
        (AccountLimits { quota_bytes: Some(100_000), ..AccountLimits::default() }, Situation::QuotaUsedUp),
        (AccountLimits { file_bytes: Some(100_000), ..AccountLimits::default() }, Situation::FileTooLarge),
    ] {
        for setup in [Setup::of(Memory::new()), Setup::of(scratch.local())] {
            let server = limited(setup, limits).start();
            for version in VERSIONS {
                let mut client = server.secured(version);
                for bytes in [100_001, 3_000_000] {
                    refused(&mut client, bytes, situation);
                    client.command("SIZE new", Situation::NotFound);
                }
                client.store("STOR file", &octets(100_000, 1));
                client.command("DELE file", 250);
                client.quit();
            }
        }
    }
}

fn at(operation: &'static str, way: Way) -> impl Fn(&str, &VirtualPath) -> Way {
    move |doing, path| match doing == operation && path.file_name() != Some(b"bystander") {
        true => way.clone(),
        false => Way::AsUsual,
    }
}

#[test]
fn stores_that_fail() {
    let full = Way::Fail(ErrorKind::NoSpace, "the disk is full");
    for (operation, way, situation) in [
        ("write", full.clone(), Situation::SpaceUsedUp),
        ("commit", full, Situation::SpaceUsedUp),
        ("write", broken("the disk has a bad sector"), Situation::WriteFailed),
        ("commit", broken("the disk has a bad sector"), Situation::WriteFailed),
    ] {
        let server = Setup::of(Odd::new(Memory::new(), at(operation, way))).tls(REQUIRE).start();
        for version in VERSIONS {
            let mut client = server.secured(version);
            for bytes in [1, 2_000_000] {
                refused(&mut client, bytes, situation);
            }
            client.quit();
        }
    }
}

/// A download that the store ends is cut, and not ended.
#[test]
fn a_file_that_cannot_be_read_to_its_end() {
    let memory = Memory::new();
    memory.insert("/file", octets(2_000_000, 1));
    let store = Odd::new(memory, at("read_at", broken("the disk has a bad sector")));
    let server = Setup::of(store).tls(REQUIRE).start();
    for version in VERSIONS {
        let mut client = server.secured(version);
        let mut data = client.data();
        client.command("RETR file", 125);
        data.wire().handshake().expect("both sides agree");
        client.expect(Situation::ReadFailed);
        data.expect_reset();
        client.command("NOOP", 200);
    }
}

/// A fault of the program ends one session, and nothing in clear gets onto its connection.
#[test]
fn a_panic_says_nothing_in_clear() {
    let server = Setup::of(Odd::new(Memory::new(), at("make_directory", Way::Panic))).tls(REQUIRE).start();
    let bystander = Bystander::begin(&server);
    for version in VERSIONS {
        let mut client = server.secured(version);
        client.send("MKD bad");
        let error = client.wire().read(&mut [0; 1]).expect_err("the session is over");
        assert!([IoError::UnexpectedEof, IoError::ConnectionReset].contains(&error.kind()), "{error}");
    }
    server.events().wait_for(2, |event| matches!(event.kind, EventKind::Fault { .. }).then_some(()));
    bystander.finish();
}

#[test]
fn time_that_runs_out() {
    let server = Setup::of(Memory::new()).tls(REQUIRE).implicit().on_one_thread().start();
    for version in VERSIONS {
        let mut idle = server.secured(version);
        server.advance(Duration::from_secs(301));
        idle.expect(Situation::Idle);
        idle.expect_end();
        let mut guest = server.client();
        guest.secure(&crate::common::tls::client(version));
        guest.command("NOOP", 200);
        server.advance(Duration::from_secs(61));
        guest.expect(Situation::LoginTimeout);
        guest.expect_end();
    }
}

#[test]
fn transfers_that_stall() {
    let memory = Memory::new();
    memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
    let server =
        Setup::of(memory).tls(REQUIRE).with(|config| config.policy.stall_timeout = SHORT).ports(16).start();
    std::thread::scope(|scope| {
        for version in VERSIONS {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.secured(version);
                let mut data = client.data();
                client.command("RETR big", 125);
                data.read(1000);
                client.expect(Situation::Stalled);
                data.expect_reset();
            });
            scope.spawn(move || {
                let mut client = server.secured(version);
                let mut data = client.data();
                client.command("STOU", 125);
                data.write(b"half of it");
                client.expect(Situation::UploadStalled);
                data.expect_end();
            });
        }
    });
}

#[test]
fn what_runs_is_stopped_when_the_server_ends() {
    let memory = Memory::new();
    memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
    for version in VERSIONS {
        let mut server = Setup::of(memory.clone()).tls(REQUIRE).implicit().start();
        let mut sending = server.secured(version);
        let mut upload = sending.data();
        sending.command("STOR cut", 125);
        upload.write(&octets(100_000, 2));
        sending.wait_until_moved(100_000);
        let mut receiving = server.implicitly_secured(version);
        let mut download = receiving.data();
        receiving.command("RETR big", 125);
        download.read(1000);
        // Its handshake has not begun, and will not.
        let mut waiting = server.secured(version);
        let mut silent = waiting.data();
        waiting.command("STOR never", 125);
        let mut idle = server.implicitly_secured(version);
        // TLS that has begun and not come about: nothing can be said.
        let mut beginning = server.client();
        beginning.command("AUTH TLS", 234);
        server.shut_down();
        for client in [&mut sending, &mut receiving, &mut waiting] {
            client.expect(Situation::TransferShutdown);
            client.expect(Situation::Shutdown);
            client.expect_end();
        }
        idle.expect(Situation::Shutdown);
        idle.expect_end();
        beginning.expect_end();
        upload.expect_end();
        download.expect_reset();
        silent.expect_end();
        drop((sending, receiving, waiting, idle, beginning));
        server.wait_for_end();
        // A server that starts with the same files goes on where this one stopped.
        let server = Setup::of(memory.clone()).tls(REQUIRE).start();
        let mut client = server.secured(version);
        assert_eq!(client.command("SIZE cut", 213).text(), "100000");
        client.store("APPE cut", b"the end");
        client.command("DELE cut", 250);
        client.quit();
    }
}

#[test]
fn what_runs_is_finished_when_the_server_drains() {
    for version in VERSIONS {
        let gate = Gate::new();
        let store = Odd::new(Memory::new(), at("commit", Way::BehindGate(gate.clone())));
        let mut server = Setup::of(store)
            .tls(REQUIRE)
            .implicit()
            .with(|config| config.limits.drain_grace = Duration::from_secs(600))
            .start();
        let mut busy = server.secured(version);
        let mut data = busy.data();
        busy.command("STOR file", 125);
        data.write(b"half of it, ");
        busy.wait_until_moved(12);
        let mut idle = server.implicitly_secured(version);
        server.shut_down();
        idle.expect(Situation::Shutdown);
        idle.expect_end();
        let mut late = Client::connect(server.added(0));
        late.expect_end();
        busy.command("NOOP", 200);
        data.write(b"and the rest");
        data.finish();
        gate.wait_for_jobs(1);
        busy.command("NOOP", 200);
        gate.open();
        busy.expect(Situation::Stored);
        busy.expect(Situation::Shutdown);
        busy.expect_end();
        drop((busy, idle, late));
        server.wait_for_end();
        let stopped = server.events().wait_for(1, |event| match event.kind {
            EventKind::Stopped { cut, .. } => Some(cut),
            _ => None,
        });
        assert_eq!(stopped, [0]);
    }
}

/// A dialogue inside TLS can be traced as any other, and no event tells a password.
#[test]
fn a_protected_dialogue_is_traced_without_its_password() {
    let server = Setup::of(Memory::new()).tls(REQUIRE).implicit().start();
    server.control().trace(Trace { accounts: vec![USER.to_owned()], ..Trace::default() });
    server.secured(TLS13).quit();
    server.implicitly_secured(TLS13).quit();
    server.events().wait_for(2, |event| match event.kind {
        EventKind::Ended { why: Ending::Quit } => Some(()),
        _ => None,
    });
    let told = format!("{:?}", server.events().of_sessions());
    let lines = server.events().of_sessions().into_iter().filter_map(|event| match event.kind {
        EventKind::Dialogue { line, .. } => Some(String::from_utf8_lossy(&line).into_owned()),
        _ => None,
    });
    let lines: Vec<_> = lines.collect();
    for line in ["PASS ***", "PBSZ 0", "PROT P", "QUIT"] {
        assert!(lines.iter().any(|told| told == line), "{line} is not among {lines:?}");
    }
    assert!(!told.contains(PASSWORD) && !lines.iter().any(|line| line.contains(PASSWORD)));
}

/// A client that does not read its answers holds up itself alone, and gets all of them when it does.
#[test]
fn answers_that_nobody_reads() {
    let server: Server = Setup::of(Memory::new()).tls(REQUIRE).start();
    let bystander = Bystander::begin(&server);
    for version in VERSIONS {
        let mut client = server.secured(version);
        const COMMANDS: usize = 3_000;
        client.send_raw("HELP\r\n".repeat(COMMANDS / 2) + &"NOOP\r\n".repeat(COMMANDS / 2));
        for _ in 0..COMMANDS / 2 {
            client.expect(214);
        }
        for _ in 0..COMMANDS / 2 {
            client.expect(200);
        }
        client.quit();
    }
    bystander.finish();
}
