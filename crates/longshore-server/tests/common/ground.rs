//! Where a test's files are, and a session that must not notice what another one does.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_server::reply::Situation;
use longshore_server::storage::local::{Local, LocalOptions};
use longshore_server::storage::memory::Memory;

use super::{Client, Data, Server, check_octets, octets};

/// A directory that vanishes with its value.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// An empty directory.
    pub(crate) fn new() -> Scratch {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("longshore-server-{}-{number}", std::process::id()));
            // One that a killed run has left is not taken.
            if std::fs::create_dir(&path).is_ok() {
                return Scratch(path);
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The store of this directory.
    pub(crate) fn local(&self) -> Local {
        local(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn local(path: &Path) -> Local {
    Local::open(path, LocalOptions::default()).expect("the root opens")
}

/// The sorted names in a directory, as they are on the disk, but for kept parts.
pub(crate) fn visible(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("the directory opens");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry is read").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// Runs a test with an empty store of each kind; it gets a server of it.
pub(crate) fn with_each_store(test: impl Fn(&Server)) {
    test(&Server::of(Memory::new()));
    let scratch = Scratch::new();
    test(&Server::of(scratch.local()));
}

/// A session that runs a transfer while something happens to others, and must not notice.
pub(crate) struct Bystander {
    client: Client,
    data: Data,
    sent: Vec<u8>,
}

impl Bystander {
    /// Begins to send a file.
    #[track_caller]
    pub(crate) fn begin(server: &Server) -> Bystander {
        let mut client = server.anna();
        let mut data = client.data();
        client.command("STOR bystander", 125);
        let sent = octets(100_000, 77);
        data.write(&sent);
        Bystander { client, data, sent }
    }

    /// Goes on as if nothing had happened.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        self.client.wait_until_moved(self.sent.len() as u64);
        let more = octets(50_000, 78);
        self.data.write(&more);
        self.sent.extend_from_slice(&more);
        self.data.finish();
        self.client.expect(Situation::Stored);
        check_octets(&self.client.fetch("RETR bystander"), &self.sent);
        self.client.quit();
    }
}
