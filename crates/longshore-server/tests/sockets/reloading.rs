//! Another configuration while sessions run: they notice nothing, and whoever comes next finds the new one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use longshore_server::EventKind;
use longshore_server::accounts::{Answer, Attempt, Authenticator, MemoryAccounts, Permissions};
use longshore_server::storage::memory::Memory;

use crate::common::{Client, HERE, PASSWORD, Server, Setup, Situation, USER, account, octets};

fn setup(memory: &Memory, password: &str) -> Setup {
    let accounts = MemoryAccounts::new().with_account(account(USER, Permissions::ALL), password);
    Setup::of(memory.clone()).with(|config| config.accounts = Arc::new(accounts)).ports(64)
}

#[test]
fn sessions_go_on_and_newcomers_find_the_new_configuration() {
    let memory = Memory::new();
    let server = setup(&memory, PASSWORD).start();
    let mut before = server.anna();
    let mut data = before.data();
    before.command("STOR file", 125);
    data.write(b"begun before, ");
    before.wait_until_moved(14);
    server.reload(setup(&memory, "another").with(|config| config.limits.sessions = 2));
    data.write(b"ended after");
    data.finish();
    before.expect(Situation::Stored);
    assert_eq!(before.fetch("RETR file"), b"begun before, ended after");
    let mut after = server.client();
    after.command(format!("USER {USER}"), 331);
    after.command(format!("PASS {PASSWORD}"), Situation::LoginRejected);
    after.log_in(USER, "another");
    // A session that logs in anew is judged by the new accounts, too.
    before.log_in(USER, "another");
    Client::connect(server.address(HERE)).expect(Situation::Full);
    server.reload(setup(&memory, "another"));
    server.client();
    server.events().wait_for(2, |event| matches!(event.kind, EventKind::Reloaded).then_some(()));
}

/// Holds every login until it is let go, then lets everybody in.
struct Held(std::sync::Mutex<Option<tokio::sync::oneshot::Receiver<()>>>);

impl Authenticator for Held {
    fn authenticate(&self, attempt: Attempt) -> Answer {
        let gate = self.0.lock().expect("nobody panics with it").take();
        Answer::Pending(Box::pin(async move {
            if let Some(gate) = gate {
                gate.await.expect("the test opens it");
            }
            let name = String::from_utf8_lossy(&attempt.user).into_owned();
            Ok(account(&name, Permissions::ALL))
        }))
    }
}

/// Whoever was judged by the old accounts sees the old files, as if it had come just before.
#[test]
fn a_login_across_a_reload_is_all_of_the_old() {
    let (old, new) = (Memory::new(), Memory::new());
    old.insert("/old", b"");
    new.insert("/new", b"");
    let (open, gate) = tokio::sync::oneshot::channel();
    let held = Held(std::sync::Mutex::new(Some(gate)));
    let server = setup(&old, PASSWORD).with(|config| config.accounts = Arc::new(held)).start();
    let mut client = server.client();
    client.command(format!("USER {USER}"), 331);
    client.send("PASS x");
    // The next session of the same server is greeted behind the login that waits.
    server.client().quit();
    server.reload(setup(&new, "another"));
    open.send(()).expect("the login waits");
    client.expect(Situation::LoggedIn);
    assert_eq!(client.names("NLST"), ["old"]);
    let mut after = server.client();
    after.log_in(USER, "another");
    assert_eq!(after.names("NLST"), ["new"]);
}

/// What cannot be served changes nothing.
#[test]
fn a_configuration_that_makes_no_sense_is_refused() {
    let memory = Memory::new();
    let server = setup(&memory, PASSWORD).start();
    let mut config = longshore_server::Config::new(MemoryAccounts::new(), longshore_server::Trees::default());
    config.passive_ports = std::ops::RangeInclusive::new(9, 5);
    assert!(server.control().reload(config).is_err());
    server.anna().quit();
}

/// What the clients of one test heard.
#[derive(Default)]
struct Count {
    commands: AtomicU64,
    finals: AtomicU64,
    marks: AtomicU64,
    stored: AtomicU64,
    goodbyes: AtomicU64,
    reloaded: std::sync::atomic::AtomicBool,
}

impl Count {
    /// Says a command and hears its final reply, or the 421 in its place.
    fn say(&self, client: &mut Client, line: &str) -> u16 {
        self.commands.fetch_add(1, Ordering::Relaxed);
        client.send(line);
        self.hear(client)
    }

    fn hear(&self, client: &mut Client) -> u16 {
        let code = client.reply().code;
        match code {
            100..200 => self.marks.fetch_add(1, Ordering::Relaxed),
            421 => self.goodbyes.fetch_add(1, Ordering::Relaxed),
            _ => self.finals.fetch_add(1, Ordering::Relaxed),
        };
        code
    }
}

const SESSIONS: u64 = 200;
const RELOADS: u64 = 50;

/// Two hundred sessions that transfer all the time, fifty reloads, one drain: every command has its answer, no
/// transfer is cut.
#[test]
fn nothing_is_lost_under_reloads_and_a_drain() {
    let memory = Memory::new();
    let patient = |memory: &Memory| {
        setup(memory, PASSWORD).ports(240).with(|config| config.limits.drain_grace = Duration::from_secs(600))
    };
    let mut server = patient(&memory).start();
    let count = Arc::new(Count::default());
    let (begun, drained) =
        (Arc::new(Barrier::new(SESSIONS as usize + 1)), Arc::new(Barrier::new(SESSIONS as usize + 1)));
    // They begin together: none moves files while others still log in.
    let clients: Vec<Client> = (0..SESSIONS).map(|_| server.anna()).collect();
    let clients: Vec<_> = (0..SESSIONS)
        .zip(clients)
        .map(|(number, mut client)| {
            let (count, begun, drained) = (count.clone(), begun.clone(), drained.clone());
            std::thread::spawn(move || transfer_until_the_end(&mut client, number, &count, &begun, &drained))
        })
        .collect();
    let mut reloads = 0;
    while reloads < RELOADS {
        // Each at another moment: so many further files have come.
        let stored = count.stored.load(Ordering::Relaxed);
        server.reload(patient(&memory));
        reloads += 1;
        while count.stored.load(Ordering::Relaxed) < stored + 4 {
            std::thread::yield_now();
        }
    }
    count.reloaded.store(true, Ordering::Relaxed);
    // Half of them have a transfer in its middle when the server begins to drain.
    begun.wait();
    server.shut_down();
    server.events().wait_for(1, |event| matches!(event.kind, EventKind::Draining { .. }).then_some(()));
    drained.wait();
    for client in clients {
        client.join().expect("a client heard what it should not");
    }
    server.wait_for_end();
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!(get(&count.goodbyes), SESSIONS, "each session is told once");
    // The 421 stands in the place of one command's answer, or comes alone where none was on its way.
    let unanswered = get(&count.commands) - get(&count.finals);
    assert!(unanswered <= SESSIONS, "{unanswered} commands without an answer of their own");
    assert_eq!(get(&count.marks), get(&count.stored), "every transfer that began was completed");
    let cut = server.events().wait_for(1, |event| match event.kind {
        EventKind::Stopped { cut, .. } => Some(cut),
        _ => None,
    });
    assert_eq!(cut, [0]);
    let reloaded = server
        .events()
        .wait_for(RELOADS as usize, |event| matches!(event.kind, EventKind::Reloaded).then_some(()));
    assert_eq!(reloaded.len() as u64, RELOADS);
}

/// Uploads until the barrier of all; then one half is in the middle of an upload while the server drains, and the
/// other half goes on in lockstep until it hears the 421.
fn transfer_until_the_end(
    client: &mut Client,
    number: u64,
    count: &Count,
    begun: &Barrier,
    drained: &Barrier,
) {
    let contents = octets(20_000, number);
    while !count.reloaded.load(Ordering::Relaxed) {
        assert_eq!(upload(client, number, &contents, count), Some(()), "cut before the drain");
    }
    if number.is_multiple_of(2) {
        let mut data = open(client, number, count).expect("nothing drains yet");
        data.write(&contents[..10_000]);
        begun.wait();
        drained.wait();
        data.write(&contents[10_000..]);
        data.finish();
        assert_eq!(count.hear(client), 226);
        count.stored.fetch_add(1, Ordering::Relaxed);
        assert_eq!(count.hear(client), 421);
    } else {
        begun.wait();
        while upload(client, number, &contents, count).is_some() {}
        drained.wait();
    }
    client.expect_end();
}

/// Begins an upload; `None` when the session is over.
fn open(client: &mut Client, number: u64, count: &Count) -> Option<crate::common::Data> {
    count.commands.fetch_add(1, Ordering::Relaxed);
    client.send("EPSV");
    let reply = client.reply();
    if reply.code == 421 {
        count.goodbyes.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    count.finals.fetch_add(1, Ordering::Relaxed);
    assert_eq!(reply.code, 229);
    let port = reply.text().split('|').nth(3).and_then(|port| port.parse().ok()).expect("a port");
    let data = crate::common::Data::try_connect((HERE, port).into());
    match count.say(client, &format!("STOR file-{number}")) {
        125 | 150 => data,
        421 => None,
        code => panic!("{code} instead of a mark"),
    }
}

fn upload(client: &mut Client, number: u64, contents: &[u8], count: &Count) -> Option<()> {
    let mut data = open(client, number, count)?;
    data.write(contents);
    data.finish();
    assert_eq!(count.hear(client), 226, "a transfer that began was cut");
    count.stored.fetch_add(1, Ordering::Relaxed);
    Some(())
}

/// The server is of use to nobody if it cannot be reached while it reloads.
#[test]
fn newcomers_come_in_while_it_reloads() {
    let memory = Memory::new();
    let server: Server = setup(&memory, PASSWORD).start();
    for _ in 0..20 {
        server.reload(setup(&memory, PASSWORD));
        server.anna().quit();
    }
}
