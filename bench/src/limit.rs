//! The practical limit: a server that does nothing but the system calls that the work needs. One thread per session,
//! one passive port of its own for each, cork and sendfile, and the same on rustls. It believes every path and
//! password, keeps no limit, writes no log and is no server for anybody: what it reaches is what there is to reach.
//!
//! It runs as a process of its own, `longshore-bench limit …`, so that its costs are counted as those of the others.
//!
//! Not inside: listings; a do-nothing one would be a file that is sent.

mod session;
mod tls;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    root: PathBuf,
    tls: Arc<rustls::ServerConfig>,
}

impl Shared {
    fn new(root: &Path, certificate: &Path, key: &Path) -> Result<Shared, String> {
        Ok(Shared { root: root.to_path_buf(), tls: Arc::new(tls::config(certificate, key)?) })
    }
}

/// Serves until the process is killed: `ADDRESS ROOT CERTIFICATE KEY FIRST_PORT LAST_PORT`.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let [address, root, certificate, key, first, last] = arguments else {
        return Err("limit takes ADDRESS ROOT CERTIFICATE KEY FIRST_PORT LAST_PORT".to_owned());
    };
    let address: SocketAddr = address.parse().map_err(|error| format!("{address}: {error}"))?;
    let port = |text: &String| text.parse::<u16>().map_err(|error| format!("{text}: {error}"));
    let ports = port(first)?..=port(last)?;
    let shared = Arc::new(Shared::new(root.as_ref(), certificate.as_ref(), key.as_ref())?);
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    let mut next = ports.clone();
    loop {
        let (socket, _) = listener.accept().map_err(|error| format!("{address}: {error}"))?;
        let shared = Arc::clone(&shared);
        let port = next.next().unwrap_or_else(|| {
            next = ports.clone();
            *ports.start()
        });
        let ports = port..=*ports.end();
        // A session that fails is one that its client sees failing.
        std::thread::spawn(move || session::serve(socket, &shared, ports));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longshore_interop::{Folder, pattern};

    use super::*;
    use crate::generator::{Authority, Files, Taken, Target, Task, Work, hold, run};
    use crate::ground::Ground;

    /// A do-nothing server on ports that the system chooses, which ends with the test.
    fn serve(ground: &Ground) -> SocketAddr {
        let shared = Shared::new(&ground.served, &ground.certificate, &ground.key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(shared);
        std::thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || session::serve(socket, &shared, 0..=0));
            }
        });
        address
    }

    #[test]
    fn generator_and_limit_agree_on_every_byte_in_clear_and_in_tls() {
        let folder = Folder::new("bench");
        let ground = Ground::prepare(folder.path()).unwrap();
        let files = Files { prefix: "file", count: 3, bytes: 300_001 };
        for number in 0..files.count {
            std::fs::write(ground.served.join(files.name(number)), pattern(300_001, 5)).unwrap();
        }
        let address = serve(&ground);
        let authority = Authority::load(&ground.certificate).unwrap();
        for authority in [None, Some(&authority)] {
            let target = Target { address, user: "a", password: "b", authority };
            let check = |work, bytes: u64, uploads: &str| {
                let (connections, most_per_connection) = (2, 3);
                let task = Task {
                    work,
                    connections,
                    duration: Duration::from_secs(60),
                    most_per_connection,
                    store_into: uploads,
                    served: &ground.served,
                };
                let outcome = run(target, &task, &|| None).unwrap();
                assert_eq!((outcome.operations, outcome.bytes), (6, 6 * bytes), "{work:?}");
                assert_eq!((outcome.times.len(), outcome.failed), (6, 0), "{work:?}");
                assert_eq!(outcome.agreed.is_some(), authority.is_some(), "{work:?}");
            };
            for taken in [Taken::Read, Taken::Discarded, Taken::Lines] {
                check(Work::Retrieve { files, taken }, files.bytes, "");
            }
            for bytes in [0, 4096, 3_000_001] {
                let uploads = ground.upload_folder().unwrap();
                check(Work::Store { bytes }, bytes, &uploads);
                let uploads = ground.served.join(uploads);
                let stored: Vec<u64> = std::fs::read_dir(uploads)
                    .unwrap()
                    .map(|entry| entry.unwrap().metadata().unwrap().len())
                    .collect();
                assert_eq!(stored, [bytes; 6]);
            }
            check(Work::Login, 0, "");
            assert_eq!(hold(target, 5, 2).unwrap().len(), 5);
        }
    }

    #[test]
    fn a_file_of_another_length_is_an_error() {
        let folder = Folder::new("bench");
        let ground = Ground::prepare(folder.path()).unwrap();
        std::fs::write(ground.served.join("file0000"), "short").unwrap();
        let target = Target { address: serve(&ground), user: "a", password: "b", authority: None };
        let files = Files { prefix: "file", count: 1, bytes: 6 };
        let task = Task {
            work: Work::Retrieve { files, taken: Taken::Read },
            connections: 1,
            duration: Duration::ZERO,
            most_per_connection: 1,
            store_into: "",
            served: &ground.served,
        };
        let error = run(target, &task, &|| None).unwrap_err();
        assert_eq!(error, "file0000 came with 5 of 6 bytes");
    }
}
