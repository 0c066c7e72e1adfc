//! The copy engine: moves the bytes of one [`TransferJob`] and says exactly how many and how it ended.
//!
//! Not inside: the decision to begin, the reply, the commit of an upload. A transfer ends early only at its
//! waits, when [`Cancel`] asks for it, so its count is always exact.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_accounts::{Permissions, UploadEnd};
use longshore_path::VirtualPath;
use longshore_proto::ascii;
use longshore_proto::command::Representation;
use longshore_proto::listing::{self, Pattern};
use longshore_proto::server::{End, ListingFormat, Plan, TransferJob};
use longshore_proto::time::UnixTime;
use longshore_proto::verbs::{Direction, Failure};
use longshore_storage::{Directory, Entry, Operation, Readable, Upload};

use crate::bandwidth::Throttle;
use crate::convert::{self, Opened, Tenant};
use crate::data::Cancel;
use crate::limits::{
    DOWNLOAD_BUFFER_BYTES, LISTING_BUFFER_BYTES, SENDFILE_CHUNK_BYTES, UPLOAD_BUFFER_BYTES,
    UPLOAD_BUFFER_FIRST_BYTES,
};
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
    let mut engine = Engine { job, link, hands, no_close_notify: false };
    let (result, opened) = match opened {
        Opened::File(file) => (engine.send_file(file).await, Opened::Nothing),
        Opened::Directory(directory) => {
            (engine.send_listing(Source::Directory(directory), &tenant).await, Opened::Nothing)
        }
        Opened::Entry(entry) => (engine.send_listing(Source::Entry(entry), &tenant).await, Opened::Nothing),
        Opened::Upload(mut upload) => (engine.receive(upload.as_mut()).await, Opened::Upload(upload)),
        Opened::Nothing | Opened::Refused(_) => (Ok(()), Opened::Nothing),
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
        (_, opened) => opened,
    };
    let told = engine.no_close_notify && end == End::Complete;
    let no_close_notify = told.then(|| engine.job.path.clone());
    engine.close(end).await;
    Moved { bytes, end, cause, opened, no_close_notify }
}

enum Source {
    Directory(Box<dyn Directory>),
    Entry(Box<Entry>),
}

struct Engine {
    job: TransferJob,
    link: Link,
    hands: Hands,
    no_close_notify: bool,
}

impl Engine {
    /// Chooses the path from facts: a descriptor and no conversion go through the kernel.
    async fn send_file(&mut self, file: Box<dyn Readable>) -> Result<()> {
        let length = file.entry().size;
        match self.job.representation {
            Representation::Image if file.as_fd().is_some() && self.link.clear().is_some() => {
                self.send_in_kernel(file, length).await
            }
            _ => self.send_copied(file, length).await,
        }
    }

    /// Up to the length the file had when it was opened, which is what SIZE said.
    async fn send_in_kernel(&mut self, mut file: Box<dyn Readable>, length: u64) -> Result<()> {
        let mut offset = self.job.offset;
        // What the limits of bandwidth let pass and has not been sent.
        let mut granted = 0;
        // Full segments only, until the end is known. A connection that cannot be corked still works.
        self.cork(true);
        while offset < length {
            if granted == 0 {
                let most = SENDFILE_CHUNK_BYTES.min(usize::try_from(length - offset).unwrap_or(usize::MAX));
                granted = self.hands.throttle.chunk(most);
                self.hands.pass(granted).await?;
            }
            let count = granted;
            self.warm(file.as_mut(), offset, count).await?;
            let descriptor = file.as_fd().ok_or(End::Reset)?;
            let sent = {
                let socket = self.link.clear().ok_or(End::Reset)?;
                pause(&self.job, &self.hands.cancel, socket.send_file(descriptor, &mut offset, count)).await?
            };
            let sent = match sent {
                Ok(sent) => sent,
                Err(error) => {
                    // The call copies from one to the other, and its error may be the file's: going on by hand
                    // serves files that the kernel cannot copy, and finds out whose fault it was.
                    self.cork(false);
                    self.job.offset = offset;
                    return if lost(&error) {
                        Err(Broken::from(error).into())
                    } else {
                        self.send_copied(file, length).await
                    };
                }
            };
            if sent == 0 {
                return Err(End::Shrank.into());
            }
            self.hands.moved.fetch_add(sent as u64, Ordering::Relaxed);
            granted -= sent.min(granted);
            if offset < length {
                // A fast client must not keep the thread from other sessions.
                tokio::task::yield_now().await;
            }
        }
        self.cork(false);
        Ok(())
    }

    fn cork(&mut self, cork: bool) {
        if let Some(socket) = self.link.clear() {
            let _ = socket.set_cork(cork);
        }
    }

    /// Has the next octets in memory, so that the kernel's copy does not wait for a disk on a thread of the runtime.
    async fn warm(&self, file: &mut dyn Readable, offset: u64, count: usize) -> Result<()> {
        let last = offset + count as u64 - 1;
        if let Operation::Ready(_) = file.read_at(last, Vec::with_capacity(1)) {
            return Ok(());
        }
        // The pool reads them; what it read is in the page cache then.
        self.storage(file.read_at(offset, Vec::with_capacity(count))).await.map(|_| ())
    }

    async fn send_copied(&mut self, mut file: Box<dyn Readable>, length: u64) -> Result<()> {
        let mut offset = self.job.offset;
        let mut buffer = Vec::with_capacity(buffer_for(length.saturating_sub(offset)));
        let mut encoded = Vec::new();
        let mut encoder = ascii::Encoder::new();
        while offset < length {
            buffer = self.storage(file.read_at(offset, buffer)).await?;
            if buffer.is_empty() {
                return Err(End::Shrank.into());
            }
            let fresh = usize::try_from(length - offset).unwrap_or(usize::MAX).min(buffer.len());
            offset += fresh as u64;
            let bytes = match self.job.representation {
                Representation::Image => &buffer[..fresh],
                Representation::Ascii => {
                    encoded.clear();
                    encoder.encode(&buffer[..fresh], &mut encoded);
                    &encoded[..]
                }
            };
            send(&self.job, &mut self.link, &self.hands, bytes).await?;
            if offset < length {
                // Nor must a fast client keep its own control connection from being looked at.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    async fn send_listing(&mut self, source: Source, tenant: &Tenant) -> Result<()> {
        let Plan::Listing { format, pattern } = self.job.plan.clone() else {
            return Err(End::Reset.into());
        };
        let directory = self.job.path.clone();
        let mut lines =
            Lines { directory, format, pattern, now: convert::unix_time(convert::now()), out: Vec::new() };
        match source {
            Source::Entry(mut entry) => {
                // One file: NLST gives back the name it was asked by, not a name within it.
                entry.name = self.job.path.file_name().unwrap_or(b"/").to_vec();
                if let ListingFormat::Names(prefix) = &mut lines.format {
                    let given = prefix.strip_suffix(b"/").unwrap_or(prefix).to_vec();
                    entry.name = given;
                    prefix.clear();
                }
                lines.write(&entry, tenant);
            }
            Source::Directory(mut directory) => loop {
                let entries = self.storage(directory.next_entries()).await?;
                if entries.is_empty() {
                    break;
                }
                for entry in &entries {
                    lines.write(entry, tenant);
                }
                if lines.out.len() >= LISTING_BUFFER_BYTES {
                    send(&self.job, &mut self.link, &self.hands, &lines.out).await?;
                    lines.out.clear();
                }
            },
        }
        send(&self.job, &mut self.link, &self.hands, &lines.out).await
    }

    async fn receive(&mut self, upload: &mut dyn Upload) -> Result<()> {
        // Under a limit of bandwidth no more is read at once than is paid for at once.
        let first = self.hands.throttle.chunk(UPLOAD_BUFFER_FIRST_BYTES);
        let mut buffer = Vec::with_capacity(first);
        let mut decoder = ascii::Decoder::new();
        let mut decoded = Vec::new();
        let mut hello = self.hands.ends.suspect_tls.then(Hello::default);
        loop {
            let before = buffer.len();
            let read = wait(&self.job, &self.hands.cancel, self.link.read(&mut buffer)).await;
            let read = match read {
                // What has come is paid for before more is taken: the client is slowed down by its full window.
                Ok(count) => {
                    self.hands.moved.fetch_add(count as u64, Ordering::Relaxed);
                    self.hands.pass(count).await.map(|()| count)
                }
                Err(stopped) => Err(stopped),
            };
            let read = match read {
                Err(Stopped { end: End::NoCloseNotify, .. })
                    if self.hands.ends.upload_end == UploadEnd::Accept =>
                {
                    self.no_close_notify = true;
                    Ok(0)
                }
                read => read,
            };
            let read = match &mut hello {
                Some(hello) => hello.look(&buffer[before..], read),
                None => read,
            };
            if let Ok(count) = read {
                // Small reads are gathered, so that storage is asked for few large writes.
                if count > 0 && buffer.len() < buffer.capacity() / 2 {
                    continue;
                }
            }
            let ended = !matches!(read, Ok(1..));
            let filled = buffer.len() == buffer.capacity();
            match self.job.representation {
                Representation::Image => {
                    if !buffer.is_empty() {
                        // What came before a cut is kept too: the client goes on from there.
                        buffer = self.storage(upload.write(buffer)).await?;
                    }
                }
                Representation::Ascii => {
                    decoder.decode(&buffer, &mut decoded);
                    buffer.clear();
                    if ended {
                        decoder.finish(&mut decoded);
                    }
                    if !decoded.is_empty() {
                        decoded = self.storage(upload.write(decoded)).await?;
                    }
                }
            }
            match read {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(stopped) => return Err(stopped),
            }
            buffer.clear();
            if filled && buffer.capacity() < UPLOAD_BUFFER_BYTES && self.hands.throttle.is_free() {
                buffer.reserve_exact(UPLOAD_BUFFER_BYTES);
            }
        }
    }

    /// Waits for storage, whatever it takes: a job that has begun is not left behind.
    async fn storage<T: Send + 'static>(&self, operation: Operation<T>) -> Result<T> {
        Ok(self.hands.pool.run(operation).await?)
    }

    /// Both sides learn that the other has everything.
    async fn close(mut self, end: End) {
        let says_so = self.job.direction == Direction::Send || self.link.clear().is_none();
        if end == End::Complete && says_so {
            // Whoever is gone, or does not read the last few bytes, has not waited for them.
            let _ = pause(&self.job, &self.hands.cancel, self.link.finish()).await;
        }
        self.link.close(end, self.job.direction);
    }
}

/// Whether all that came on a data connection in clear is the beginning of TLS: a client that forgot PROT P waits for
/// our side of the handshake then, or has given up, and its ClientHello would be stored as the file.
#[derive(Default)]
struct Hello {
    head: Vec<u8>,
    bytes: usize,
}

impl Hello {
    /// A record with a ClientHello: its type, its version, its length, the type of the message (RFC 8446 section 5.1).
    const HEAD_BYTES: usize = 6;

    fn look(&mut self, fresh: &[u8], read: Result<usize>) -> Result<usize> {
        let missing = Hello::HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(&fresh[..missing.min(fresh.len())]);
        self.bytes = self.bytes.saturating_add(fresh.len());
        let is_all = match *self.head {
            [22, 3, _, high, low, 1] => self.bytes == 5 + usize::from(u16::from_be_bytes([high, low])),
            _ => false,
        };
        match read {
            Ok(0) | Err(Stopped { end: End::Stalled | End::Reset, .. }) if is_all => {
                Err(End::TlsUnexpected.into())
            }
            read => read,
        }
    }
}

/// The lines of a listing as they gather.
struct Lines {
    directory: VirtualPath,
    format: ListingFormat,
    pattern: Option<Pattern>,
    now: UnixTime,
    out: Vec<u8>,
}

impl Lines {
    fn write(&mut self, entry: &Entry, tenant: &Tenant) {
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&entry.name)) {
            return;
        }
        match &self.format {
            ListingFormat::Long => {
                listing::unix::write_line(&mut self.out, &convert::item(entry, Permissions::NONE), self.now)
            }
            ListingFormat::Names(prefix) => listing::write_name_line(&mut self.out, prefix, &entry.name),
            ListingFormat::Facts(facts) => {
                let permissions = tenant.permissions_of(&self.directory, &entry.name);
                facts.write_line(&mut self.out, &convert::item(entry, permissions));
            }
        }
    }
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

async fn send(job: &TransferJob, link: &mut Link, hands: &Hands, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let mut chunk = &bytes[..hands.throttle.chunk(bytes.len())];
        hands.pass(chunk.len()).await?;
        bytes = &bytes[chunk.len()..];
        while !chunk.is_empty() {
            let sent = wait(job, &hands.cancel, link.write(chunk)).await?;
            hands.moved.fetch_add(sent as u64, Ordering::Relaxed);
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

/// No larger than the file.
fn buffer_for(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).clamp(1, DOWNLOAD_BUFFER_BYTES)
}
