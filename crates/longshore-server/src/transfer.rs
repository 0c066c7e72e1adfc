//! The copy engine: moves the bytes of one [`TransferJob`] and says exactly how many and how it ended.
//!
//! Not inside: the decision to begin, the reply, the commit of an upload. A transfer ends early only at its
//! waits, when [`Cancel`] asks for it, so its count is always exact.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_accounts::Permissions;
use longshore_net::DataSocket;
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
use crate::work::{self, Pool};

/// How a transfer ended.
pub(crate) struct Moved {
    pub(crate) bytes: u64,
    pub(crate) end: End,
    /// What the system said, where storage failed.
    pub(crate) cause: Option<String>,
    /// The upload, to be committed or abandoned.
    pub(crate) opened: Opened,
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
}

/// Moves what `opened` holds over `socket`, and closes `socket`.
pub(crate) async fn run(
    job: TransferJob,
    socket: DataSocket,
    opened: Opened,
    tenant: Arc<Tenant>,
    hands: Hands,
) -> Moved {
    let mut engine = Engine { job, socket, hands };
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
        (End::Storage(Failure::Quota | Failure::TooLarge), Opened::Upload(upload)) => Opened::Refused(upload),
        (_, opened) => opened,
    };
    engine.close(end).await;
    Moved { bytes, end, cause, opened }
}

enum Source {
    Directory(Box<dyn Directory>),
    Entry(Box<Entry>),
}

struct Engine {
    job: TransferJob,
    socket: DataSocket,
    hands: Hands,
}

impl Engine {
    /// Chooses the path from facts: a descriptor and no conversion go through the kernel.
    async fn send_file(&mut self, file: Box<dyn Readable>) -> Result<()> {
        let length = file.entry().size;
        match self.job.representation {
            Representation::Image if file.as_fd().is_some() => self.send_in_kernel(file, length).await,
            _ => self.send_copied(file, length).await,
        }
    }

    /// Up to the length the file had when it was opened, which is what SIZE said.
    async fn send_in_kernel(&mut self, mut file: Box<dyn Readable>, length: u64) -> Result<()> {
        let mut offset = self.job.offset;
        // What the limits of bandwidth let pass and has not been sent.
        let mut granted = 0;
        // Full segments only, until the end is known. A connection that cannot be corked still works.
        let _ = self.socket.set_cork(true);
        while offset < length {
            if granted == 0 {
                let most = SENDFILE_CHUNK_BYTES.min(usize::try_from(length - offset).unwrap_or(usize::MAX));
                granted = self.hands.throttle.chunk(most);
                self.hands.pass(granted).await?;
            }
            let count = granted;
            self.warm(file.as_mut(), offset, count).await?;
            let descriptor = file.as_fd().ok_or(End::Reset)?;
            let sent =
                pause(&self.job, &self.hands.cancel, self.socket.send_file(descriptor, &mut offset, count))
                    .await?;
            let sent = match sent {
                Ok(sent) => sent,
                Err(error) => {
                    // The call copies from one to the other, and its error may be the file's: going on by hand
                    // serves files that the kernel cannot copy, and finds out whose fault it was.
                    let _ = self.socket.set_cork(false);
                    self.job.offset = offset;
                    return if lost(&error) {
                        Err(reset(&error))
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
        let _ = self.socket.set_cork(false);
        Ok(())
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
            send(&self.job, &mut self.socket, &self.hands, bytes).await?;
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
                    send(&self.job, &mut self.socket, &self.hands, &lines.out).await?;
                    lines.out.clear();
                }
            },
        }
        send(&self.job, &mut self.socket, &self.hands, &lines.out).await
    }

    async fn receive(&mut self, upload: &mut dyn Upload) -> Result<()> {
        // Under a limit of bandwidth no more is read at once than is paid for at once.
        let first = self.hands.throttle.chunk(UPLOAD_BUFFER_FIRST_BYTES);
        let mut buffer = Vec::with_capacity(first);
        let mut decoder = ascii::Decoder::new();
        let mut decoded = Vec::new();
        loop {
            let read = wait(&self.job, &self.hands.cancel, self.socket.read(&mut buffer)).await;
            let read = match read {
                // What has come is paid for before more is taken: the client is slowed down by its full window.
                Ok(count) => {
                    self.hands.moved.fetch_add(count as u64, Ordering::Relaxed);
                    self.hands.pass(count).await.map(|()| count)
                }
                Err(stopped) => Err(stopped),
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

    /// In order when all is through; else by a reset, so that no client takes a part for the whole. A client whose
    /// upload we could not store is heard out for a while, so that it comes to read why.
    async fn close(mut self, end: End) {
        match (end, self.job.direction) {
            (End::Complete, Direction::Send) => {
                if self.socket.shutdown().await.is_ok() {
                    self.socket.drain_in_background();
                }
            }
            (End::Complete, Direction::Receive) => drop(self.socket),
            (End::Storage(_), Direction::Receive) => {
                self.socket.discard_in_background();
            }
            _ => self.socket.abort(),
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
    operation: impl Future<Output = io::Result<T>>,
) -> Result<T> {
    pause(job, cancel, operation).await?.map_err(|error| reset(&error))
}

/// As [`wait`], for an operation whose error need not be the connection's.
async fn pause<T>(
    job: &TransferJob,
    cancel: &Cancel,
    operation: impl Future<Output = io::Result<T>>,
) -> Result<io::Result<T>> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(End::Cancelled.into()),
        result = operation => Ok(result),
        () = tokio::time::sleep(job.stall_timeout) => Err(End::Stalled.into()),
    }
}

fn reset(error: &io::Error) -> Stopped {
    Stopped { end: End::Reset, cause: Some(error.to_string()) }
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

async fn send(job: &TransferJob, socket: &mut DataSocket, hands: &Hands, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let mut chunk = &bytes[..hands.throttle.chunk(bytes.len())];
        hands.pass(chunk.len()).await?;
        bytes = &bytes[chunk.len()..];
        while !chunk.is_empty() {
            let sent = wait(job, &hands.cancel, socket.write(chunk)).await?;
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
