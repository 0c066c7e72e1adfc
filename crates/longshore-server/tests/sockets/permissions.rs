//! What an account may not do: each verb is refused with the right situation, and nothing is changed by it.

use longshore_server::accounts::{MemoryAccounts, Permission, Permissions};
use longshore_server::storage::memory::Memory;

use crate::common::{Client, Server, Setup, Situation, account};

fn tree() -> Memory {
    let memory = Memory::new();
    memory.insert("/dir/file", "contents");
    memory.insert_directory("/empty");
    memory
}

/// A session of an account with these permissions.
fn session(memory: &Memory, permissions: Permissions) -> (Server, Client) {
    let accounts = MemoryAccounts::new().with_account(account("someone", permissions), "x");
    let server =
        Setup::of(memory.clone()).with(move |config| config.accounts = std::sync::Arc::new(accounts)).start();
    let mut client = server.client();
    client.log_in("someone", "x");
    client.command("TYPE I", 200);
    (server, client)
}

#[track_caller]
fn check_reads(client: &mut Client) {
    assert_eq!(client.fetch("RETR dir/file"), b"contents");
    assert_eq!(client.names("NLST dir"), ["dir/file"]);
    assert!(client.fetch("LIST dir").ends_with(b" file\r\n"));
    assert!(client.fetch("MLSD dir").ends_with(b" file\r\n"));
    client.command("SIZE dir/file", 213);
    client.command("MDTM dir/file", 213);
    client.command("MLST dir/file", 250);
    client.command("STAT dir", 212);
    client.command("CWD dir", 250);
    client.command("CDUP", 250);
}

#[track_caller]
fn check_writes_nothing(client: &mut Client) {
    for line in ["STOR new", "STOR dir/file", "STOU", "STOU new", "APPE dir/file", "APPE new"] {
        client.passive();
        client.command(line, Situation::TargetNoPermission);
    }
    client.command("REST 3", 350);
    client.passive();
    client.command("STOR dir/file", Situation::TargetNoPermission);
    for line in ["DELE dir/file", "MKD new", "RMD empty", "RNFR dir/file", "MFMT 20200101000000 dir/file"] {
        client.command(line, Situation::NoPermission);
    }
    client.command("RNTO new", Situation::RntoWithoutRnfr);
}

#[track_caller]
fn check_untouched(memory: &Memory) {
    assert_eq!(memory.contents("/dir/file").as_deref(), Some(&b"contents"[..]));
    assert_eq!(memory.contents("/new"), None);
}

#[test]
fn anonymous_reads_only() {
    let memory = tree();
    let server = Server::of(memory.clone());
    for name in ["anonymous", "ftp", "FTP", "Anonymous"] {
        let mut client = server.client();
        client.log_in(name, "someone@example.org");
        client.command("TYPE I", 200);
        check_writes_nothing(&mut client);
        check_reads(&mut client);
    }
    check_untouched(&memory);
}

/// A server on which nobody may write: a read-only one.
#[test]
fn nobody_may_write() {
    let memory = tree();
    let (_server, mut client) = session(&memory, Permissions::READ_ONLY);
    check_writes_nothing(&mut client);
    check_reads(&mut client);
    check_untouched(&memory);
}

#[test]
fn nothing_at_all() {
    let memory = tree();
    let (_server, mut client) = session(&memory, Permissions::NONE);
    check_writes_nothing(&mut client);
    client.passive();
    for line in ["RETR dir/file", "LIST", "NLST dir", "MLSD"] {
        client.command(line, Situation::NoPermission);
    }
    client.command("MLST dir", Situation::NoPermission);
    client.command("STAT dir", Situation::StatusUnavailable);
    client.command("SIZE dir/file", 550);
    client.command("MDTM dir/file", 550);
    check_untouched(&memory);
}

/// A drop box: one puts files in and neither sees nor changes any.
#[test]
fn writing_without_seeing_or_changing() {
    let memory = tree();
    let (server, mut client) = session(&memory, Permissions::NONE.with(Permission::Write));
    client.store("STOR letter", b"a letter");
    for line in ["STOR letter", "APPE letter", "STOR dir/file"] {
        client.passive();
        client.command(line, Situation::TargetExists);
    }
    client.store("STOU letter", b"another");
    for line in ["RETR letter", "NLST"] {
        client.passive();
        client.command(line, Situation::NoPermission);
    }
    client.command("SIZE letter", 550);
    client.command("DELE letter", Situation::NoPermission);
    assert_eq!(memory.contents("/letter").as_deref(), Some(&b"a letter"[..]));
    // What was cut can be continued all the same.
    let mut data = client.data();
    client.command("STOR cut", 125);
    data.write(b"half");
    client.wait_until_moved(4);
    data.reset();
    client.expect(426);
    assert_eq!(client.command("SIZE cut", 213).text(), "4");
    client.command("REST 4", 350);
    client.store("STOR cut", b" and half");
    assert_eq!(memory.contents("/cut").as_deref(), Some(&b"half and half"[..]));
    drop(client);
    drop(server);
    check_untouched(&memory);
}

/// Each permission on its own opens what it is for.
#[test]
fn one_permission_at_a_time() {
    use Permission::{
        Append, Delete, List, MakeDirectory, Overwrite, Read, RemoveDirectory, Rename, SetTimes, Write,
    };
    for (permission, line, situation) in [
        (Delete, "DELE dir/file", Situation::FileRemoved),
        (MakeDirectory, "MKD new", Situation::DirectoryMade),
        (RemoveDirectory, "RMD empty", Situation::DirectoryRemoved),
        (Rename, "RNFR dir/file", Situation::RenamePending),
        (SetTimes, "MFMT 20200101000000 dir/file", Situation::ModifiedSet),
        (List, "MLST dir/file", Situation::FactsOf),
        (List, "SIZE dir/file", Situation::Size),
        (Read, "SIZE dir/file", Situation::Size),
    ] {
        let memory = tree();
        let (_server, mut client) = session(&memory, Permissions::NONE.with(permission));
        client.command(line, situation);
        let memory = tree();
        let others = Permissions::ALL.without(permission).without(Read).without(List);
        let (_server, mut client) = session(&memory, others);
        client.command(line, 550);
    }
    let memory = tree();
    let (_server, mut client) = session(&memory, Permissions::ALL.without(Overwrite));
    client.passive();
    client.command("STOR dir/file", Situation::TargetExists);
    client.command("REST 2", 350);
    client.passive();
    client.command("STOR dir/file", Situation::TargetExists);
    client.store("STOR new", b"new");
    client.command("RNFR new", 350);
    client.command("RNTO dir/file", Situation::TargetExists);
    client.store("APPE dir/file", b"!");
    assert_eq!(memory.contents("/dir/file").as_deref(), Some(&b"contents!"[..]));
    let (_server, mut client) = session(&memory, Permissions::ALL.without(Append));
    client.passive();
    client.command("APPE dir/file", Situation::TargetExists);
    client.store("APPE fresh", b"as STOR would");
    let (_server, mut client) = session(&memory, Permissions::ALL.without(Write));
    client.passive();
    client.command("STOR dir/file", Situation::TargetNoPermission);
    assert_eq!(memory.contents("/dir/file").as_deref(), Some(&b"contents!"[..]));
}
