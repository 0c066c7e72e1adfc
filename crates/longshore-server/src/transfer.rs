//! The copy engine: moves the bytes of one [`TransferJob`] and says exactly how many and how it ended.
//!
//! Not inside: the decision to begin, the reply, the commit of an upload. A transfer ends early only at its
//! waits, when [`Cancel`] asks for it, so its count is always exact.

mod list;
mod receive;
mod send;
mod stint;

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use longshore_accounts::UploadEnd;
use longshore_net::is_patient;
use longshore_path::VirtualPath;
use longshore_proto::server::{End, TransferJob};
use longshore_proto::transmission::{Form, Marker, Problem};
use longshore_proto::verbs::Failure;
use longshore_storage::{ErrorKind, Job, Operation};

use self::list::Source;
use crate::bandwidth::Throttle;
use crate::config::Deflate;
use crate::convert::{self, Opened, Tenant};
use crate::data::Cancel;
use crate::limits::MARKERS_AT_ONCE;
use crate::link::{Broken, Link};
use crate::work::{self, Pool};

/// How a transfer ended.
pub(crate) struct Moved {
    pub(crate) bytes: u64,
    pub(crate) end: End,
    /// What the system said, where storage failed.
    pub(crate) cause: Option<String>,
    /// The upload, to be committed or abandoned.
    pub(crate) opened: Opened,
    /// The file of a protected upload that was taken for whole without its close_notify.
    pub(crate) no_close_notify: Option<VirtualPath>,
    /// The data connection, where it stays for the next transfer.
    pub(crate) kept: Option<Link>,
}

/// Why the bytes stopped before their end.
struct Stopped {
    end: End,
    cause: Option<String>,
}

impl From<End> for Stopped {
    fn from(end: End) -> Stopped {
        Stopped { end, cause: None }
    }
}

impl From<Broken> for Stopped {
    fn from(broken: Broken) -> Stopped {
        Stopped { end: broken.end, cause: Some(broken.cause) }
    }
}

impl From<longshore_storage::Error> for Stopped {
    fn from(error: longshore_storage::Error) -> Stopped {
        Stopped { end: End::Storage(convert::failure(&error)), cause: work::cause(&error) }
    }
}

type Result<T> = std::result::Result<T, Stopped>;

/// What a transfer shares with the session.
pub(crate) struct Hands {
    pub(crate) pool: Pool,
    pub(crate) cancel: Cancel,
    /// Bytes moved so far.
    pub(crate) moved: Arc<AtomicU64>,
    /// The limits of bandwidth that hold for it.
    pub(crate) throttle: Throttle,
    pub(crate) ends: Ends,
    pub(crate) deflate: Deflate,
    /// Restart markers of an upload that have come.
    pub(crate) markers: Markers,
}

/// Restart markers on their way to the session.
#[derive(Clone, Default)]
pub(crate) struct Markers(Arc<Mutex<Vec<(Marker, u64)>>>);

impl Markers {
    /// Whether so many wait now that they should be told of before more come.
    fn push(&self, marker: Marker, offset_bytes: u64) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push((marker, offset_bytes));
        waiting.len() >= MARKERS_AT_ONCE
    }

    /// Whether any has come.
    pub(crate) fn any(&self) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Those that have come since, each with the octets of the file before it.
    pub(crate) fn take(&self) -> Vec<(Marker, u64)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How the ends of uploads are judged.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    /// One without close_notify.
    pub(crate) upload_end: UploadEnd,
    /// Whether the client speaks TLS on its control connection, and so might by mistake on a data connection in clear.
    pub(crate) suspect_tls: bool,
}

/// Moves what `opened` holds over `link`, and closes it.
pub(crate) async fn run(
    job: TransferJob,
    link: Link,
    opened: Opened,
    tenant: Arc<Tenant>,
    hands: Hands,
) -> Moved {
    let moved = Arc::clone(&hands.moved);
    stint::run(moved, Box::pin(begin(job, link, opened, tenant, hands))).await
}

async fn begin(job: TransferJob, link: Link, opened: Opened, tenant: Arc<Tenant>, hands: Hands) -> Moved {
    let mut engine = Engine { job, link, hands, no_close_notify: false, whole: Vec::new() };
    let (result, opened) = match opened {
        Opened::File(file) => (engine.send_file(file).await, Opened::Nothing),
        Opened::Directory(directory) => {
            (engine.send_listing(Source::Directory(directory), tenant).await, Opened::Nothing)
        }
        Opened::Entry(entry) => (engine.send_listing(Source::Entry(entry), tenant).await, Opened::Nothing),
        Opened::Upload(mut upload) => (engine.receive(upload.as_mut()).await, Opened::Upload(upload)),
        Opened::Nothing | Opened::Whole(..) | Opened::Refused(_) => (Ok(()), Opened::Nothing),
    };
    let bytes = engine.hands.moved.load(Ordering::Relaxed);
    let (end, cause) = match result {
        Ok(()) => (End::Complete, None),
        Err(stopped) => (stopped.end, stopped.cause),
    };
    let opened = match (end, opened) {
        // The beginning of a TLS connection is no part of a file that anybody would go on with.
        (End::Storage(Failure::Quota | Failure::TooLarge) | End::TlsUnexpected, Opened::Upload(upload)) => {
            Opened::Refused(upload)
        }
        // Nor is what was understood of bytes that no sender makes; a cut is another matter.
        (End::Malformed(error), Opened::Upload(upload)) if error.problem != Problem::Cut => {
            Opened::Refused(upload)
        }
        (End::Complete, Opened::Upload(upload)) if !engine.whole.is_empty() => {
            Opened::Whole(upload, std::mem::take(&mut engine.whole))
        }
        (_, opened) => opened,
    };
    let told = engine.no_close_notify && end == End::Complete;
    let no_close_notify = told.then(|| engine.job.path.clone());
    let kept = engine.end(end).await;
    Moved { bytes, end, cause, opened, no_close_notify, kept }
}

/// How the job's file looks on the data connection.
fn form(job: &TransferJob) -> Form {
    Form { representation: job.representation, structure: job.structure, mode: job.mode }
}

struct Engine {
    job: TransferJob,
    link: Link,
    hands: Hands,
    no_close_notify: bool,
    /// All octets of an upload that came whole before any was written: one job writes them and commits.
    whole: Vec<u8>,
}

impl Engine {
    /// Waits for storage, whatever it takes: a job that has begun is not left behind.
    async fn storage<T: Send + 'static>(&self, operation: Operation<T>) -> Result<T> {
        let operation = match operation {
            // The octets are hot here, and nobody has to be woken.
            Operation::Blocking(job) if is_patient() => Operation::Ready(in_place(job)),
            operation => operation,
        };
        let result = self.hands.pool.run(operation).await;
        stint::breathe().await;
        Ok(result?)
    }

    /// Both sides learn that the other has everything: by the end of the data connection, unless it stays.
    async fn end(mut self, end: End) -> Option<Link> {
        if end == End::Complete && self.job.keeps_connection {
            self.link.rest();
            return Some(self.link);
        }
        // In clear the closing says it.
        let says_so = self.link.clear().is_none();
        if end == End::Complete && says_so {
            // Whoever is gone, or does not read the last few bytes, has not waited for them.
            let _ = pause(&self.job, &self.hands.cancel, self.link.finish()).await;
        }
        self.link.close(end, self.job.direction);
        None
    }
}

/// As on a thread of the pool: a job that panics has failed, and the session lives.
fn in_place<T>(job: Job<T>) -> longshore_storage::Result<T> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| Err(ErrorKind::Failed.into()))
}

/// A wait on the data connection: ends with it, with the stall time-out, or with a cancel.
async fn wait<T>(
    job: &TransferJob,
    cancel: &Cancel,
    operation: impl Future<Output = std::result::Result<T, Broken>>,
) -> Result<T> {
    Ok(pause(job, cancel, operation).await??)
}

/// As [`wait`], for an operation whose error need not be the connection's.
async fn pause<T>(job: &TransferJob, cancel: &Cancel, operation: impl Future<Output = T>) -> Result<T> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(End::Cancelled.into()),
        result = operation => Ok(result),
        () = tokio::time::sleep(job.stall_timeout) => Err(End::Stalled.into()),
    }
}

/// Whether an error can only be the connection's.
fn lost(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}

async fn send(job: &TransferJob, link: &mut Link, hands: &Hands, bytes: &[u8]) -> Result<()> {
    send_pieces(job, link, hands, bytes, false).await
}

/// As [`send`], for the last bytes of a transfer: where the connection ends with it, the end goes out with them.
async fn send_last(job: &TransferJob, link: &mut Link, hands: &Hands, bytes: &[u8]) -> Result<()> {
    send_pieces(job, link, hands, bytes, !job.keeps_connection).await
}

async fn send_pieces(
    job: &TransferJob,
    link: &mut Link,
    hands: &Hands,
    mut bytes: &[u8],
    closes: bool,
) -> Result<()> {
    while !bytes.is_empty() {
        let mut chunk = &bytes[..hands.throttle.chunk(bytes.len())];
        hands.pass(chunk.len()).await?;
        bytes = &bytes[chunk.len()..];
        while !chunk.is_empty() {
            let sent = wait(job, &hands.cancel, link.write(chunk, closes && bytes.is_empty())).await?;
            // What TLS has taken at once may go out slowly: as long as it goes out, nothing stalls.
            while wait(job, &hands.cancel, link.flush()).await? {
                stint::breathe().await;
            }
            hands.moved.fetch_add(sent as u64, Ordering::Relaxed);
            stint::breathe().await;
            chunk = &chunk[sent..];
        }
    }
    Ok(())
}

impl Hands {
    /// Waits until the limits of bandwidth let these bytes pass. Nobody stalls meanwhile.
    async fn pass(&self, bytes: usize) -> Result<()> {
        if self.throttle.is_free() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(End::Cancelled.into()),
            () = self.throttle.pass(bytes) => Ok(()),
        }
    }
}
