//! Stores that behave in ways the real ones do only on a bad day.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use longshore_server::path::VirtualPath;
use longshore_server::storage::memory::Memory;
use longshore_server::storage::{
    Abandoned, Backend, Batch, Committed, Detail, Directory, Entry, Error, ErrorKind, Operation, Part,
    Readable, Timestamp, Upload, UploadRequest, Usage,
};

use super::PATIENCE;

/// How an operation is done.
#[derive(Clone)]
pub(crate) enum Way {
    /// As the store below does it.
    AsUsual,
    /// By a future that is not ready at once.
    Pending,
    /// By a job that waits at the gate first.
    BehindGate(Arc<Gate>),
    /// Not at all: the store panics where it is called.
    Panic,
    /// Not at all: the job panics on its thread.
    PanicInJob,
    /// Not at all: it fails, and the system says this.
    Fail(ErrorKind, &'static str),
}

/// The operations, by their names in [`Backend`], [`Readable`], [`Directory`] and [`Upload`].
type Choice = Arc<dyn Fn(&str, &VirtualPath) -> Way + Send + Sync>;

/// A memory store whose operations are done as somebody chooses for each.
#[derive(Clone)]
pub(crate) struct Odd {
    pub(crate) memory: Memory,
    choice: Choice,
}

impl Odd {
    pub(crate) fn new(
        memory: Memory,
        choice: impl Fn(&str, &VirtualPath) -> Way + Send + Sync + 'static,
    ) -> Odd {
        Odd { memory, choice: Arc::new(choice) }
    }

    fn apply<T: Send + 'static>(
        &self,
        name: &str,
        path: &VirtualPath,
        usual: impl FnOnce() -> Operation<T>,
    ) -> Operation<T> {
        Odd::act(name, (self.choice)(name, path), usual)
    }

    fn act<T: Send + 'static>(name: &str, way: Way, usual: impl FnOnce() -> Operation<T>) -> Operation<T> {
        match way {
            Way::AsUsual => usual(),
            Way::Pending => {
                let usual = usual();
                Operation::Pending(Box::pin(async move {
                    tokio::task::yield_now().await;
                    // Through another task, so that the wake-up comes from somewhere else.
                    tokio::spawn(async { tokio::task::yield_now().await }).await.expect("it only yields");
                    usual.wait()
                }))
            }
            Way::BehindGate(gate) => {
                let usual = usual();
                Operation::blocking(move || {
                    gate.wait();
                    usual.wait()
                })
            }
            Way::Panic => panic!("the store panics at {name}"),
            Way::PanicInJob => {
                let name = name.to_owned();
                Operation::blocking(move || panic!("the store panics in the job of {name}"))
            }
            Way::Fail(kind, said) => {
                Operation::Ready(Err(Error { kind, source: Some(std::io::Error::other(said)) }))
            }
        }
    }

    fn handle(&self, path: &VirtualPath) -> Handle {
        Handle { odd: self.clone(), path: path.clone() }
    }
}

impl Backend for Odd {
    fn stat(&self, path: &VirtualPath) -> Operation<Entry> {
        self.apply("stat", path, || self.memory.stat(path))
    }

    fn part(&self, owner: &str, path: &VirtualPath) -> Operation<Part> {
        self.apply("part", path, || self.memory.part(owner, path))
    }

    fn open_read(&self, path: &VirtualPath) -> Operation<Box<dyn Readable>> {
        let handle = self.handle(path);
        self.apply("open_read", path, || {
            self.memory.open_read(path).map(|inner| Box::new(OddFile { handle, inner }) as _)
        })
    }

    fn open_directory(&self, path: &VirtualPath) -> Operation<Box<dyn Directory>> {
        let handle = self.handle(path);
        self.apply("open_directory", path, || {
            self.memory.open_directory(path).map(|inner| Box::new(OddDirectory { handle, inner }) as _)
        })
    }

    fn open_upload(&self, request: UploadRequest) -> Operation<Box<dyn Upload>> {
        let path = request.path.clone();
        let handle = self.handle(&path);
        self.apply("open_upload", &path, || {
            self.memory.open_upload(request).map(|inner| Box::new(OddUpload { handle, inner }) as _)
        })
    }

    fn make_directory(&self, path: &VirtualPath, mode: Option<u32>) -> Operation<()> {
        self.apply("make_directory", path, || self.memory.make_directory(path, mode))
    }

    fn remove_directory(&self, path: &VirtualPath) -> Operation<()> {
        self.apply("remove_directory", path, || self.memory.remove_directory(path))
    }

    fn remove_file(&self, path: &VirtualPath) -> Operation<()> {
        self.apply("remove_file", path, || self.memory.remove_file(path))
    }

    fn rename(&self, from: &VirtualPath, to: &VirtualPath, overwrite: bool) -> Operation<()> {
        self.apply("rename", from, || self.memory.rename(from, to, overwrite))
    }

    fn set_modified(&self, path: &VirtualPath, modified: Timestamp) -> Operation<()> {
        self.apply("set_modified", path, || self.memory.set_modified(path, modified))
    }

    fn set_mode(&self, path: &VirtualPath, mode: u32) -> Operation<u32> {
        self.apply("set_mode", path, || self.memory.set_mode(path, mode))
    }

    fn usage(&self) -> Operation<Usage> {
        self.apply("usage", &VirtualPath::root(), || self.memory.usage())
    }

    fn recount(&self) -> Operation<Usage> {
        self.apply("recount", &VirtualPath::root(), || self.memory.recount())
    }

    fn free_space(&self, path: &VirtualPath) -> Operation<Option<u64>> {
        self.apply("free_space", path, || self.memory.free_space(path))
    }
}

struct Handle {
    odd: Odd,
    path: VirtualPath,
}

impl Handle {
    fn apply<T: Send + 'static>(&self, name: &str, usual: impl FnOnce() -> Operation<T>) -> Operation<T> {
        self.odd.apply(name, &self.path, usual)
    }
}

struct OddFile {
    handle: Handle,
    inner: Box<dyn Readable>,
}

impl Readable for OddFile {
    fn entry(&self) -> &Entry {
        self.inner.entry()
    }

    fn read_at(&mut self, offset: u64, buffer: Vec<u8>) -> Operation<Vec<u8>> {
        self.handle.apply("read_at", || self.inner.read_at(offset, buffer))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.as_fd()
    }
}

struct OddDirectory {
    handle: Handle,
    inner: Box<dyn Directory>,
}

impl Directory for OddDirectory {
    fn next_entries(&mut self, detail: Detail) -> Operation<Option<Batch>> {
        self.handle.apply("next_entries", || self.inner.next_entries(detail))
    }
}

struct OddUpload {
    handle: Handle,
    inner: Box<dyn Upload>,
}

impl Upload for OddUpload {
    fn path(&self) -> &VirtualPath {
        self.inner.path()
    }

    fn position(&self) -> u64 {
        self.inner.position()
    }

    fn write(&mut self, buffer: Vec<u8>) -> Operation<Vec<u8>> {
        self.handle.apply("write", || self.inner.write(buffer))
    }

    fn commit(self: Box<Self>) -> Operation<Committed> {
        let OddUpload { handle, inner } = *self;
        handle.apply("commit", || inner.commit())
    }

    /// Whichever of the two behaves in some way decides how both do.
    fn commit_with(self: Box<Self>, last: Vec<u8>) -> Operation<Committed> {
        let OddUpload { handle: Handle { odd, path }, inner } = *self;
        let (name, way) = match (odd.choice)("write", &path) {
            Way::AsUsual => ("commit", (odd.choice)("commit", &path)),
            way => ("write", way),
        };
        Odd::act(name, way, || inner.commit_with(last))
    }

    fn abandon(self: Box<Self>) -> Operation<Abandoned> {
        let OddUpload { handle, inner } = *self;
        handle.apply("abandon", || inner.abandon())
    }

    fn discard(self: Box<Self>) -> Operation<()> {
        let OddUpload { handle, inner } = *self;
        handle.apply("discard", || inner.discard())
    }
}

/// Holds jobs up until it is opened.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    open: bool,
    waiting: usize,
}

impl Gate {
    pub(crate) fn new() -> Arc<Gate> {
        Arc::default()
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).open = true;
        self.changed.notify_all();
    }

    /// Waits until so many jobs stand at the gate.
    #[track_caller]
    pub(crate) fn wait_for_jobs(&self, count: usize) {
        self.wait_until(|state| state.waiting >= count);
    }

    /// For a job: waits until the gate is opened.
    pub(crate) fn wait(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).waiting += 1;
        self.changed.notify_all();
        self.wait_until(|state| state.open);
    }

    #[track_caller]
    fn wait_until(&self, condition: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, PATIENCE, |state| !condition(state));
        let (_state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!result.timed_out(), "nothing has come to the gate, or nobody has opened it");
    }
}

/// The kind of failure that an operator has to hear of.
pub(crate) fn broken(said: &'static str) -> Way {
    Way::Fail(ErrorKind::Failed, said)
}
