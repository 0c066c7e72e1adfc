//! What an account may leave: bytes, files, the size of one, and the modes of what it makes.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use longshore_server::accounts::{Account, AccountLimits, MemoryAccounts, Mode, Permission, Permissions};
use longshore_server::storage::Backend;
use longshore_server::storage::memory::Memory;

use crate::common::ground::Scratch;
use crate::common::{Client, PASSWORD, Server, Setup, Situation, USER, account, octets};

/// A server of this store whose `anna` has these limits.
fn server(backend: impl Backend, limits: AccountLimits) -> Server {
    let anna = Account { limits, ..account(USER, Permissions::ALL) };
    let accounts = MemoryAccounts::new().with_account(anna, PASSWORD);
    Setup::of(backend).with(|config| config.accounts = Arc::new(accounts)).ports(32).start()
}

/// An upload that is refused while it comes.
#[track_caller]
fn refused(client: &mut Client, name: &str, bytes: usize, situation: Situation) {
    let mut data = client.data();
    client.command(format!("STOR {name}"), 125);
    // All of it is heard, so that the client comes to read why.
    data.write(&octets(bytes, 1));
    data.finish();
    client.expect(situation);
}

fn quota_of(client: &mut Client) -> Vec<String> {
    let lines = client.command("SITE QUOTA", Situation::Quota).lines();
    lines.into_iter().map(|line| line.trim().to_owned()).filter(|line| line.starts_with("quota")).collect()
}

fn each_store(limits: AccountLimits, test: impl Fn(&Server)) {
    test(&server(Memory::new(), limits));
    let scratch = Scratch::new();
    test(&server(scratch.local(), limits));
}

#[test]
fn a_quota_of_bytes_to_the_byte() {
    let limits = AccountLimits { quota_bytes: Some(1000), ..AccountLimits::default() };
    each_store(limits, |server| {
        let mut client = server.anna();
        client.store("STOR a", &octets(600, 1));
        refused(&mut client, "b", 401, Situation::QuotaUsedUp);
        client.command("SIZE b", Situation::NotFound);
        client.store("STOR b", &octets(400, 1));
        assert_eq!(
            quota_of(&mut client),
            ["quota: 1000 of 1000 bytes used, 0 left", "quota: 2 files used, no limit"]
        );
        // Told before a byte is sent.
        client.passive();
        client.command("STOR c", Situation::QuotaUsedUp);
        client.command("ALLO 1", Situation::SpaceShort);
        // What gives way makes room.
        client.store("STOR a", &octets(600, 2));
        refused(&mut client, "a", 601, Situation::QuotaUsedUp);
        assert_eq!(client.fetch("RETR a"), octets(600, 2), "the old file stands as it was");
        // Adding to a file counts what is added.
        client.command("DELE b", 250);
        client.store("APPE a", &octets(400, 3));
        client.command("ALLO 0", Situation::SpaceFine);
        let status = client.command("STAT", Situation::Status).lines().join("\n");
        assert!(status.contains("quota: 1000 of 1000 bytes used"), "{status}");
        client.quit();
    });
}

#[test]
fn a_quota_of_files_and_a_largest_file() {
    let limits = AccountLimits { quota_files: Some(2), file_bytes: Some(100), ..AccountLimits::default() };
    each_store(limits, |server| {
        let mut client = server.anna();
        refused(&mut client, "a", 101, Situation::FileTooLarge);
        client.store("STOR a", &octets(100, 1));
        refused_append(&mut client, "a");
        assert_eq!(client.fetch("RETR a"), octets(100, 1));
        client.store("STOR b", b"");
        client.passive();
        client.command("STOR c", Situation::QuotaUsedUp);
        client.passive();
        client.command("STOU c", Situation::QuotaUsedUp);
        client.store("STOR b", b"again");
        client.command("RNFR b", 350);
        client.command("RNTO c", 250);
        assert_eq!(
            quota_of(&mut client),
            ["quota: 105 bytes used, no limit", "quota: 2 of 2 files used, 0 left"]
        );
        client.quit();
    });
}

#[track_caller]
fn refused_append(client: &mut Client, name: &str) {
    let mut data = client.data();
    client.command(format!("APPE {name}"), 125);
    data.write(b"x");
    data.finish();
    client.expect(Situation::FileTooLarge);
}

#[test]
fn without_a_quota_there_is_none_to_tell() {
    let server = Server::of(Memory::new());
    let mut client = server.anna();
    assert_eq!(quota_of(&mut client), ["quota: none"]);
    assert!(!client.command("STAT", Situation::Status).lines().iter().any(|line| line.contains("quota")));
}

/// Twenty sessions at once, and it comes out at exactly what is there.
#[test]
fn twenty_sessions_never_exceed_it_together() {
    const QUOTA: u64 = 1_000_000;
    let limits = AccountLimits { quota_bytes: Some(QUOTA), ..AccountLimits::default() };
    each_store(limits, |server| {
        std::thread::scope(|scope| {
            for session in 0..20_usize {
                let mut client = server.anna();
                scope.spawn(move || {
                    for number in 0..8 {
                        let mut data = client.data();
                        client.send(format!("STOR {session}-{number}"));
                        let mark = client.reply();
                        if mark.code == 552 {
                            continue;
                        }
                        data.write(&octets(7_001 * (1 + number) + session, 3));
                        data.finish();
                        let done = client.reply();
                        assert!(done.is(Situation::Stored) || done.is(Situation::QuotaUsedUp), "{done:?}");
                    }
                });
            }
        });
        let mut client = server.anna();
        let names = client.names("NLST");
        let mut total = 0;
        for name in &names {
            total += client.command(format!("SIZE {name}"), 213).text().parse::<u64>().expect("a number");
        }
        assert!(total <= QUOTA && total > QUOTA - 60_000, "{total}");
        let expected = format!("quota: {total} of {QUOTA} bytes used, {} left", QUOTA - total);
        assert_eq!(quota_of(&mut client)[0], expected);
    });
}

#[test]
fn modes_of_what_is_made_and_changed() {
    let scratch = Scratch::new();
    let mode = |name: &str| {
        let metadata = std::fs::metadata(scratch.path().join(name)).expect("it is there");
        metadata.permissions().mode() & 0o7777
    };
    let umask = Mode::new(0o027).expect("a mode");
    let anna = Account {
        file_mode: Mode::new(0o666).map(|mode| mode.masked(umask)),
        directory_mode: Mode::new(0o2777).map(|mode| mode.masked(umask)),
        ..account(USER, Permissions::ALL)
    };
    let bert = account("bert", Permissions::ALL.without(Permission::SetModes));
    let accounts = MemoryAccounts::new().with_account(anna, PASSWORD).with_account(bert, PASSWORD);
    let server = Setup::of(scratch.local()).with(|config| config.accounts = Arc::new(accounts)).start();
    let mut client = server.anna();
    client.store("STOR file", b"contents");
    client.command("MKD dir", 257);
    assert_eq!((mode("file"), mode("dir")), (0o640, 0o2750));
    client.command("SITE CHMOD 600 file", Situation::FileModeSet);
    client.command("SITE CHMOD 2770 dir", Situation::FileModeSet);
    assert_eq!((mode("file"), mode("dir")), (0o600, 0o2770));
    // Nobody locks itself out, and the answer says what was done.
    let text = client.command("SITE CHMOD 000 dir", Situation::FileModeSet).text();
    assert!(text.ends_with("the mode 0700 now"), "{text}");
    assert_eq!(mode("dir") & 0o777, 0o700);
    client.command("SITE CHMOD 777 /", Situation::NoPermission);
    client.command("SITE CHMOD 2755 file", Situation::NoPermission);
    client.command("SITE CHMOD 4755 file", Situation::BadArgument);
    client.command("SITE CHMOD 644 nothing", Situation::NotFound);
    let mut other = server.client();
    other.log_in("bert", PASSWORD);
    other.command("SITE CHMOD 777 file", Situation::NoPermission);
    assert_eq!(mode("file"), 0o600);
}
