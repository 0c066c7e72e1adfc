//! A file system that answers when a test wants it to: what a slow or dead disk is to the server. A thread of the test
//! speaks the kernel's FUSE protocol (version 7.31) over `/dev/fuse`, and keeps some answers until a gate is opened.
//!
//! Not inside: writing, directories below the root, and everything else that a test of slow reading can do without.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::{PATIENCE, octets};

/// The length of every file.
pub(crate) const FILE_BYTES: usize = 4 * 1024 * 1024;
/// Reads of a `read-` file from this offset on are held.
pub(crate) const HELD_FROM_BYTES: usize = 1024 * 1024;

/// More than any request that the kernel sends to a file system that nobody writes to.
const REQUEST_BYTES: usize = 128 * 1024;
const REQUEST_HEADER_BYTES: usize = 40;
const ANSWER_HEADER_BYTES: usize = 16;

// Requests by their numbers in the protocol.
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

const ROOT: u64 = 1;
/// `read-0` and those behind it: opened at once, read to the gate.
const READ_FILES: u64 = 1000;
/// `open-0` and those behind it: not opened before the gate is.
const OPEN_FILES: u64 = 2000;

/// The file system, mounted as long as the value lives.
pub(crate) struct SlowDisk {
    at: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    device: File,
    contents: Vec<u8>,
    gate: Mutex<Gate>,
    changed: Condvar,
}

#[derive(Default)]
struct Gate {
    open: bool,
    /// The file and the answer of each request that waits.
    held: Vec<(u64, Vec<u8>)>,
}

impl SlowDisk {
    /// Mounts one at a directory. `None` where this machine has no FUSE, or this process may not mount.
    pub(crate) fn mount(at: &Path) -> Option<SlowDisk> {
        let device = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0\0", device.as_raw_fd());
        let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).expect("one zero, at the end");
        let flags = MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
        rustix::mount::mount("longshore", at, "fuse", flags, options).ok()?;
        let shared = Arc::new(Shared {
            device,
            contents: octets(FILE_BYTES, 5),
            gate: Mutex::default(),
            changed: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serving.serve());
        Some(SlowDisk { at: at.to_owned(), shared, thread: Some(thread) })
    }

    /// What every file holds.
    pub(crate) fn contents(&self) -> &[u8] {
        &self.shared.contents
    }

    /// Waits until requests for so many files are held.
    #[track_caller]
    pub(crate) fn wait_for_held(&self, files: usize) {
        let count = |gate: &Gate| {
            let mut held: Vec<u64> = gate.held.iter().map(|(file, _)| *file).collect();
            held.sort_unstable();
            held.dedup();
            held.len()
        };
        let waited =
            self.shared.changed.wait_timeout_while(self.shared.gate(), PATIENCE, |gate| count(gate) < files);
        let (gate, result) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!result.timed_out(), "requests for {} files are held, not for {files}", count(&gate));
    }

    /// Answers what is held, and everything from now on.
    pub(crate) fn open(&self) {
        let mut gate = self.shared.gate();
        gate.open = true;
        for (_, answer) in gate.held.drain(..) {
            self.shared.answer(&answer);
        }
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        // By force: whoever still waits for an answer gets an error, and the thread that serves ends.
        let _ = rustix::mount::unmount(&self.at, UnmountFlags::FORCE | UnmountFlags::DETACH);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut request = vec![0; REQUEST_BYTES];
        loop {
            match (&self.device).read(&mut request) {
                Ok(count) => self.handle(&request[..count]),
                // The request was taken back before it was read.
                Err(error) if [Errno::NOENT, Errno::INTR, Errno::AGAIN].contains(&errno(&error)) => {}
                // It is not mounted any more.
                Err(_) => return,
            }
        }
    }

    fn handle(&self, request: &[u8]) {
        let operation = number_32(request, 4);
        let (unique, node) = (number_64(request, 8), number_64(request, 16));
        let body = &request[REQUEST_HEADER_BYTES..];
        let mut is_held = false;
        let result = match operation {
            FORGET | BATCH_FORGET | INTERRUPT => return,
            INIT => Ok(initialised(body)),
            LOOKUP => file(body).map(entry).ok_or(Errno::NOENT),
            GETATTR => Ok([words(&[1, 0]), attributes(node)].concat()),
            OPEN => {
                is_held = node >= OPEN_FILES;
                Ok(vec![0; 16])
            }
            READ => {
                let offset = usize::try_from(number_64(body, 8)).unwrap_or(usize::MAX).min(FILE_BYTES);
                let end = offset.saturating_add(number_32(body, 16) as usize).min(FILE_BYTES);
                is_held = (READ_FILES..OPEN_FILES).contains(&node) && offset >= HELD_FROM_BYTES;
                Ok(self.contents[offset..end].to_vec())
            }
            OPENDIR => Ok(vec![0; 16]),
            STATFS => Ok(vec![0; 80]),
            READDIR | RELEASE | RELEASEDIR | FLUSH => Ok(Vec::new()),
            _ => Err(Errno::NOSYS),
        };
        let answer = answer(unique, result);
        let mut gate = self.gate();
        if is_held && !gate.open {
            gate.held.push((node, answer));
            self.changed.notify_all();
        } else {
            self.answer(&answer);
        }
    }

    fn answer(&self, answer: &[u8]) {
        // Whoever asked may have gone.
        let _ = (&self.device).write(answer);
    }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// What the request for a name is for.
fn file(name: &[u8]) -> Option<u64> {
    let name = std::str::from_utf8(name.strip_suffix(b"\0")?).ok()?;
    let (kind, number) = name.split_once('-')?;
    let number: u64 = number.parse().ok()?;
    match kind {
        "read" => Some(READ_FILES + number),
        "open" => Some(OPEN_FILES + number),
        _ => None,
    }
}

/// The answer to INIT: what the kernel offers, but the version.
fn initialised(body: &[u8]) -> Vec<u8> {
    const ASYNC_READ: u32 = 1;
    let readahead_bytes = number_32(body, 8);
    let mut answer = Vec::new();
    for number in [7, 31, readahead_bytes, ASYNC_READ] {
        answer.extend(number.to_ne_bytes());
    }
    // As many requests at once as anybody could want to hold.
    for number in [1000_u16, 1000] {
        answer.extend(number.to_ne_bytes());
    }
    // The longest write, and times in nanoseconds.
    for number in [4096_u32, 1] {
        answer.extend(number.to_ne_bytes());
    }
    answer.resize(64, 0);
    answer
}

/// The answer to LOOKUP: a file, how long the kernel may believe so in seconds, and its attributes.
fn entry(node: u64) -> Vec<u8> {
    [words(&[node, 0, 1, 1, 0]), attributes(node)].concat()
}

fn attributes(node: u64) -> Vec<u8> {
    let (mode, size): (u32, u64) = if node == ROOT { (0o040_755, 0) } else { (0o100_644, FILE_BYTES as u64) };
    let mut answer = words(&[node, size, size / 512, 0, 0, 0]);
    // Nanoseconds of three times, mode, links, owner, group, device, size of a block, flags.
    for number in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
        answer.extend(number.to_ne_bytes());
    }
    answer
}

fn words(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

fn answer(unique: u64, result: Result<Vec<u8>, Errno>) -> Vec<u8> {
    let (error, body) = match result {
        Ok(body) => (0, body),
        Err(errno) => (-errno.raw_os_error(), Vec::new()),
    };
    let length = u32::try_from(ANSWER_HEADER_BYTES + body.len()).expect("answers are small");
    [&length.to_ne_bytes()[..], &error.to_ne_bytes(), &unique.to_ne_bytes(), &body].concat()
}

fn number_32(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four"))
}

fn number_64(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight"))
}
