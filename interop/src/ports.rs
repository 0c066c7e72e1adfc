//! Passive ports for servers that run side by side.

use std::fs::{File, TryLockError};
use std::net::{Ipv6Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// The lowest port of the first block; all lie below the range from which systems take outgoing ports.
const FIRST: u16 = 20_000;
/// Ports in a block: more than eight parallel connections use between two reuses of one port.
const BLOCK: u16 = 100;
const BLOCKS: u16 = 100;

/// A block of ports that no other server of any test has while this value lives.
#[derive(Debug)]
pub(crate) struct PortBlock {
    first: u16,
    /// Holds the lock of the block; the system lets go of it even when the test is killed.
    _lock: File,
}

impl PortBlock {
    /// Takes a block that is neither locked nor in use by a stranger.
    pub(crate) fn take() -> PortBlock {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let folder = std::env::temp_dir().join("longshore-interop-ports");
        std::fs::create_dir_all(&folder).expect("a folder for the locks");
        for _ in 0..BLOCKS {
            let number = (std::process::id() as u16)
                .wrapping_mul(7)
                .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let first = FIRST + number % BLOCKS * BLOCK;
            let lock = File::create(folder.join(first.to_string())).expect("a file for the lock");
            match lock.try_lock() {
                Ok(()) if is_free(first) => return PortBlock { first, _lock: lock },
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => panic!("the lock of ports {first}: {error}"),
            }
        }
        panic!("none of {BLOCKS} blocks of passive ports is free");
    }

    /// As `--passive-ports` takes it.
    pub(crate) fn argument(&self) -> String {
        format!("{}-{}", self.first, self.first + BLOCK - 1)
    }
}

/// Whether nobody listens on any port of the block, in either family.
fn is_free(first: u16) -> bool {
    let any = |port| {
        TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)))
    };
    (first..first + BLOCK).all(|port| any(port).is_ok())
}
