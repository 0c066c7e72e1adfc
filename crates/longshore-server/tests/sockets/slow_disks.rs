//! A disk that does not answer holds up whoever waits for it, and nobody else. The disk is one of FUSE, so that the
//! kernel's own ways are the slow ones: opening, reading, and copying to a connection.

use longshore_server::accounts::TlsRules;

use crate::common::ground::{Bystander, Scratch};
use crate::common::slow_disk::{HELD_FROM_BYTES, SlowDisk};
use crate::common::tls::TLS13;
use crate::common::{Client, Data, Server, Setup, check_octets, not_run, octets};

/// Sessions that wait for a read, and as many that wait for an open: more than the runtime has threads.
const STUCK: usize = 8;

/// A session whose jobs were quick until now: such jobs run where the session does.
#[track_caller]
fn quick(server: &Server, number: usize, protected: bool) -> Client {
    let mut client = if protected { server.secured(TLS13) } else { server.anna() };
    for round in 0..6 {
        client.store(format!("STOR small-{number}-{round}"), b"small");
    }
    client
}

/// Everything that sessions do all day, from the login on.
#[track_caller]
fn check_others(server: &Server) {
    let mut client = server.anna();
    let file = octets(700_000, 9);
    client.store("STOR others", &file);
    check_octets(&client.fetch("RETR others"), &file);
    assert!(client.names("NLST").contains(&"others".to_owned()));
    client.fetch("LIST");
    client.command("DELE others", 250);
    client.quit();
}

#[track_caller]
fn check(setup: impl FnOnce(Setup) -> Setup, protected: bool) {
    let scratch = Scratch::new();
    let at = scratch.path().join("slow");
    std::fs::create_dir(&at).expect("a directory is made");
    let Some(disk) = SlowDisk::mount(&at) else { return not_run("a file system needs /dev/fuse and root") };
    let server = setup(Setup::of(scratch.local()).ports(4 * STUCK as u16)).start();
    let bystander = Bystander::begin(&server);

    let mut reading: Vec<(Client, Data, Vec<u8>)> = (0..STUCK)
        .map(|number| {
            let mut client = quick(&server, number, protected);
            let mut data = client.data();
            client.command(format!("RETR slow/read-{number}"), 125);
            let begun = data.read(HELD_FROM_BYTES);
            (client, data, begun)
        })
        .collect();
    disk.wait_for_held(STUCK);
    check_others(&server);

    let opening: Vec<(Client, Data)> = (0..STUCK)
        .map(|number| {
            let mut client = quick(&server, STUCK + number, protected);
            let data = client.data();
            client.send(format!("RETR slow/open-{number}"));
            (client, data)
        })
        .collect();
    disk.wait_for_held(2 * STUCK);
    check_others(&server);
    bystander.finish();
    // In the middle of a download a session hears its client, whatever the disk does.
    for (client, ..) in &mut reading {
        client.command("NOOP", 200);
    }

    disk.open();
    for (mut client, mut data, mut octets) in reading {
        octets.extend(data.read_all());
        check_octets(&octets, disk.contents());
        client.expect(226);
        client.quit();
    }
    for (mut client, mut data) in opening {
        client.expect(125);
        check_octets(&data.read_all(), disk.contents());
        client.expect(226);
        client.quit();
    }
}

#[test]
fn in_clear_on_one_thread() {
    check(Setup::on_one_thread, false);
}

#[test]
fn in_clear_on_two_threads() {
    check(|setup| setup, false);
}

#[test]
fn inside_tls() {
    check(|setup| setup.tls(TlsRules::default()), true);
}
