//! A store that is full in the middle of an upload.

use std::path::{Path, PathBuf};

use longshore_server::storage::memory::Memory;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::common::ground::{Bystander, Scratch, local, visible};
use crate::common::{Client, Server, Situation, check_octets, not_run, octets};

const CAPACITY_BYTES: usize = 2 * 1024 * 1024;

/// A small file system in memory, mounted as long as the value lives.
struct SmallDisk(Scratch);

impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount() -> Option<SmallDisk> {
        let scratch = Scratch::new();
        let disk = SmallDisk(scratch);
        std::fs::create_dir(disk.path()).expect("a directory is made");
        let flags = MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
        rustix::mount::mount("longshore", disk.path(), "tmpfs", flags, c"size=2m").ok()?;
        Some(disk)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("disk")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.path(), UnmountFlags::DETACH);
    }
}

#[test]
fn memory() {
    check(&Server::of(Memory::new().with_capacity(CAPACITY_BYTES as u64)));
}

#[test]
fn local_disk() {
    let Some(disk) = SmallDisk::mount() else { return not_run("mounting needs root") };
    let root: &Path = &disk.path();
    check(&Server::of(local(root)));
    assert_eq!(visible(root), ["bystander", "old", "small"]);
}

fn check(server: &Server) {
    let mut client = server.anna();
    let old = octets(500_000, 1);
    client.store("STOR old", &old);
    let bystander = Bystander::begin(server);

    // Appended to an old file, and in its place: it stands as it was, though the part fills the disk.
    for line in ["APPE old", "STOR old"] {
        let mut data = client.data();
        client.command(line, 125);
        data.write_until_cut();
        client.expect(Situation::SpaceUsedUp);
        check_octets(&client.fetch("RETR old"), &old);
        client.command("NOOP", 200);
    }
    anew(&mut client, "old");
    client.store("STOR old", &old);
    // Under a free name, which is taken no longer than the upload lasts.
    let mut data = client.data();
    let mark = client.command("STOU old", 125).text();
    data.write_until_cut();
    client.expect(Situation::SpaceUsedUp);
    let name = mark.strip_prefix("FILE: ").expect("the mark names the file");
    anew(&mut client, name);
    // Told before a byte is sent, to whoever asks.
    client.command(format!("ALLO {CAPACITY_BYTES}"), Situation::SpaceShort);
    // A new file: nothing of it is seen.
    let mut data = client.data();
    client.command("STOR new", 125);
    data.write_until_cut();
    client.expect(Situation::SpaceUsedUp);
    let to = client.passive();
    client.command("RETR new", Situation::NotFound);
    drop(crate::common::client::connect_from(to.ip(), to, None));
    // The client learns where to go on when there is room again.
    let kept: u64 = client.command("SIZE new", 213).text().parse().expect("a number");
    assert!(kept > 0, "what came before the end of the space is kept");
    anew(&mut client, "new");
    client.store("STOR small", b"there is room for this");
    bystander.finish();
    client.quit();
}

/// Sends the file again from its beginning: what was kept of it makes room. Then removes it.
#[track_caller]
fn anew(client: &mut Client, name: &str) {
    let whole = octets(700_000, 2);
    client.store(format!("STOR {name}"), &whole);
    check_octets(&client.fetch(format!("RETR {name}")), &whole);
    client.command(format!("DELE {name}"), 250);
}
