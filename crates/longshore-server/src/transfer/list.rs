//! Listings: entries of a directory become lines beside each other, and go out in the store's order.
//!
//! A job reads some entries and writes their lines; while what one brought is sent, others go on. How many there are
//! is bounded, so a listing of any length, read at any speed, takes the memory of a few batches.
//!
//! Not inside: how a line looks, which `longshore_proto::listing` knows, and how a directory is read.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use longshore_accounts::Permissions;
use longshore_path::VirtualPath;
use longshore_proto::listing::{self, Pattern, Rights};
use longshore_proto::server::{End, ListingFormat, Plan};
use longshore_proto::time::UnixTime;
use longshore_proto::transmission::{Form, Representation, Structure};
use longshore_storage::{Batch, Detail, Directory, Entry, ErrorKind, Kind, Operation};
use tokio::task::JoinHandle;

use super::send::Outgoing;
use super::{Engine, Result, form, send, send_last};
use crate::convert::{self, Tenant};
use crate::limits::{LISTING_BUFFER_BYTES, LISTING_JOBS};
use crate::work::Pool;

/// What a listing is made of.
pub(super) enum Source {
    Directory(Box<dyn Directory>),
    Entry(Box<Entry>),
}

impl Engine {
    pub(super) async fn send_listing(&mut self, source: Source, tenant: Arc<Tenant>) -> Result<()> {
        let Plan::Listing { format, pattern } = self.job.plan.clone() else {
            return Err(End::Reset.into());
        };
        // Lines come with CR LF, which octets are: only where a text has another form must it be made.
        let form = form(&self.job);
        let plain = form.structure == Structure::File && form.representation != Representation::Ebcdic;
        let listed = if plain { Form { representation: Representation::Image, ..form } } else { form };
        let mut writer = Writer {
            directory: self.job.path.clone(),
            format,
            pattern,
            now: convert::unix_time(convert::now()),
            carriage_returns: plain,
            tenant,
        };
        let outgoing = Outgoing::new(listed, 0, self.level());
        match source {
            Source::Entry(mut entry) => {
                // One file: NLST gives back the name it was asked by, not a name within it.
                entry.name = self.job.path.file_name().unwrap_or(b"/").to_vec();
                if let ListingFormat::Names(prefix) = &mut writer.format {
                    let given = prefix.strip_suffix(b"/").unwrap_or(prefix).to_vec();
                    entry.name = given;
                    prefix.clear();
                }
                let lines = writer.lines(&[*entry], Vec::new());
                self.send_last(outgoing, &lines).await
            }
            Source::Directory(directory) => {
                let mut ahead = Ahead::new(directory, writer, self.hands.pool.clone());
                let result = self.send_directory(&mut ahead, outgoing).await;
                // A job that has begun is not left behind.
                ahead.end().await;
                result
            }
        }
    }

    async fn send_directory(&mut self, ahead: &mut Ahead, mut outgoing: Outgoing) -> Result<()> {
        let mut gathered = Vec::new();
        loop {
            let must_wait = !gathered.is_empty() && !ahead.is_ready()?;
            if must_wait || gathered.len() >= LISTING_BUFFER_BYTES {
                outgoing.put(&gathered);
                send(&self.job, &mut self.link, &self.hands, outgoing.bytes(&gathered)).await?;
                outgoing.sent();
                gathered.clear();
                // A fast client must not keep the thread from other sessions.
                tokio::task::yield_now().await;
            }
            let Some(lines) = ahead.next().await? else { break };
            if gathered.is_empty() {
                ahead.take_back(std::mem::replace(&mut gathered, lines));
            } else {
                gathered.extend_from_slice(&lines);
                ahead.take_back(lines);
            }
        }
        self.send_last(outgoing, &gathered).await
    }

    /// The last octets and the end of the listing in one call.
    async fn send_last(&mut self, mut outgoing: Outgoing, lines: &[u8]) -> Result<()> {
        outgoing.put(lines);
        outgoing.finish();
        send_last(&self.job, &mut self.link, &self.hands, outgoing.bytes(lines)).await
    }
}

/// The lines of one batch, with its number.
type Written = Option<(u64, Vec<u8>)>;

/// Batches of a directory that are read ahead of what is sent.
struct Ahead {
    directory: Box<dyn Directory>,
    writer: Arc<Writer>,
    pool: Pool,
    running: Vec<JoinHandle<longshore_storage::Result<Written>>>,
    /// Batches that have come before their turn.
    waiting: BTreeMap<u64, Vec<u8>>,
    /// Whose turn it is.
    next: u64,
    /// The directory has been read to its end.
    ended: bool,
    /// Buffers to write further batches into.
    spare: Vec<Vec<u8>>,
}

impl Ahead {
    fn new(directory: Box<dyn Directory>, writer: Writer, pool: Pool) -> Ahead {
        Ahead {
            directory,
            writer: Arc::new(writer),
            pool,
            running: Vec::new(),
            waiting: BTreeMap::new(),
            next: 0,
            ended: false,
            spare: Vec::new(),
        }
    }

    /// Whether [`next`](Ahead::next) needs to wait for nobody.
    fn is_ready(&mut self) -> longshore_storage::Result<bool> {
        self.begin()?;
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(written)) = self.poll_any(&mut context) {
            self.note(written?);
            self.begin()?;
        }
        Ok(self.waiting.contains_key(&self.next) || self.running.is_empty())
    }

    /// The lines whose turn it is; `None` when there are no more.
    async fn next(&mut self) -> longshore_storage::Result<Option<Vec<u8>>> {
        loop {
            self.begin()?;
            if let Some(lines) = self.waiting.remove(&self.next) {
                self.next += 1;
                return Ok(Some(lines));
            }
            match poll_fn(|context| self.poll_any(context)).await {
                Some(written) => self.note(written?),
                None => return Ok(None),
            }
        }
    }

    /// What the first job brings that is done, in whatever order they were begun; `None` where there is none.
    fn poll_any(&mut self, context: &mut Context<'_>) -> Poll<Option<longshore_storage::Result<Written>>> {
        for place in 0..self.running.len() {
            if let Poll::Ready(result) = Pin::new(&mut self.running[place]).poll(context) {
                self.running.remove(place);
                // A task that only waits for a job comes to no result when the runtime ends.
                return Poll::Ready(Some(result.unwrap_or_else(|_| Err(ErrorKind::Failed.into()))));
            }
        }
        if self.running.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Begins further jobs: none beside the first batch, for most directories are small, then more and more; but no second
    /// one while others need the pool.
    fn begin(&mut self) -> longshore_storage::Result<()> {
        let mut most = usize::try_from(2 * self.next).unwrap_or(usize::MAX).clamp(1, LISTING_JOBS);
        while !self.ended && self.running.len() + self.waiting.len() < most {
            let writer = Arc::clone(&self.writer);
            let room = self.spare.pop().unwrap_or_default();
            let operation = self.directory.next_entries(writer.detail()).map(move |batch| {
                batch.map(|Batch { number, entries }| (number, writer.lines(&entries, room)))
            });
            match operation {
                Operation::Ready(written) => self.note(written?),
                operation => {
                    if !self.pool.is_half_free() {
                        most = 1;
                    }
                    let pool = self.pool.clone();
                    self.running.push(tokio::spawn(async move { pool.run(operation).await }));
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, written: Written) {
        match written {
            Some((number, lines)) => {
                self.waiting.insert(number, lines);
            }
            None => self.ended = true,
        }
    }

    fn take_back(&mut self, mut lines: Vec<u8>) {
        lines.clear();
        if lines.capacity() > 0 && self.spare.len() < LISTING_JOBS {
            self.spare.push(lines);
        }
    }

    async fn end(&mut self) {
        for running in self.running.drain(..) {
            let _ = running.await;
        }
    }
}

/// What makes lines of entries.
struct Writer {
    directory: VirtualPath,
    format: ListingFormat,
    pattern: Option<Pattern>,
    now: UnixTime,
    /// Not for forms that have ends of lines of their own.
    carriage_returns: bool,
    tenant: Arc<Tenant>,
}

impl Writer {
    /// What must be known of the entries.
    fn detail(&self) -> Detail {
        match self.format {
            ListingFormat::Names(_) => Detail::Names,
            ListingFormat::Long | ListingFormat::Facts(_) => Detail::All,
        }
    }

    /// The lines of some entries, written into an empty buffer.
    fn lines(&self, entries: &[Entry], mut out: Vec<u8>) -> Vec<u8> {
        let mut rights = KnownRights::default();
        for entry in entries {
            self.write(&mut out, entry, &mut rights);
        }
        if !self.carriage_returns {
            // No name has one: control characters are shown as `?`.
            out.retain(|&byte| byte != b'\r');
        }
        out
    }

    fn write(&self, out: &mut Vec<u8>, entry: &Entry, rights: &mut KnownRights) {
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&entry.name)) {
            return;
        }
        match &self.format {
            ListingFormat::Long => {
                listing::unix::write_line(out, &convert::item(entry, Rights::NONE), self.now)
            }
            ListingFormat::Names(prefix) => listing::write_name_line(out, prefix, &entry.name),
            ListingFormat::Facts(facts) => {
                let permissions = self.tenant.permissions_of(&self.directory, &entry.name);
                facts.write_line(out, &convert::item(entry, rights.of(entry.kind, permissions)));
            }
        }
    }
}

/// The rights that the last entry had: mostly the next one has the same.
#[derive(Default)]
struct KnownRights(Option<(Kind, Permissions, Rights)>);

impl KnownRights {
    fn of(&mut self, kind: Kind, permissions: Permissions) -> Rights {
        match self.0 {
            Some((of_kind, by, rights)) if (of_kind, by) == (kind, permissions) => rights,
            _ => {
                let rights = convert::rights(kind, permissions);
                self.0 = Some((kind, permissions, rights));
                rights
            }
        }
    }
}
