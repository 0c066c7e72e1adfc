//! Sending: files through the kernel or through a buffer.
//!
//! Not inside: listings, and how a form looks on the wire, which `longshore_proto::transmission` knows.

use longshore_net::is_patient;
use longshore_proto::server::End;
use longshore_proto::transmission::{BLOCK_HEADER_BYTES, Descriptor, Form, Level, Sender, block_header};
use longshore_storage::{Operation, Readable};

use std::sync::atomic::Ordering;

use super::{Engine, Result, form, lost, pause, send, send_last, stint};
use crate::limits::{
    COPIED_MOST_BYTES, DOWNLOAD_BUFFER_BYTES, MARKER_INTERVAL_BYTES, SENDFILE_CHUNK_BYTES,
    STINT_BUFFER_BYTES, ZERO_COPY_BLOCKS_LEAST_BYTES,
};
use crate::link::Broken;

/// What comes of copying inside the kernel.
enum Copied {
    /// So many bytes.
    Some(usize),
    /// The kernel cannot, and nothing of this call has been sent.
    ByHand,
}

impl Engine {
    /// Chooses the path from facts: a descriptor and no conversion go through the kernel. Where it is taken is chosen by
    /// [`stint`](super::stint).
    pub(super) async fn send_file(&mut self, file: Box<dyn Readable>) -> Result<()> {
        let length = file.entry().size;
        let form = form(&self.job);
        let left = length.saturating_sub(self.job.offset);
        let in_kernel = file.as_fd().is_some() && self.link.clear().is_some();
        match form.last_block() {
            _ if form.is_identity() && in_kernel && left > COPIED_MOST_BYTES => {
                self.send_in_kernel(file, length).await
            }
            Some(last) if in_kernel && left >= ZERO_COPY_BLOCKS_LEAST_BYTES => {
                self.send_blocks(file, length, last).await
            }
            _ => self.send_copied(file, length).await,
        }
    }

    /// Up to the length the file had when it was opened, which is what SIZE said.
    async fn send_in_kernel(&mut self, mut file: Box<dyn Readable>, length: u64) -> Result<()> {
        let mut offset = self.job.offset;
        // What the limits of bandwidth let pass and has not been sent.
        let mut granted = 0;
        let mut corked = false;
        while offset < length {
            // Full segments only, until the end is known: a client that waits is woken for each. Where many send, nobody
            // waits, and segments that go out as acknowledgements come cost half as much. A connection that cannot be
            // corked still works.
            let crowded = stint::is_crowded();
            if corked == crowded {
                corked = !crowded;
                self.cork(corked);
            }
            if granted == 0 {
                let most = SENDFILE_CHUNK_BYTES.min(usize::try_from(length - offset).unwrap_or(usize::MAX));
                granted = self.hands.throttle.chunk(most);
                self.hands.pass(granted).await?;
            }
            match self.copy(file.as_mut(), &mut offset, granted).await? {
                Copied::Some(count) => granted -= count.min(granted),
                // Going on by hand serves files that the kernel cannot copy, and finds out whose fault it was.
                Copied::ByHand => {
                    self.cork(false);
                    self.job.offset = offset;
                    return self.send_copied(file, length).await;
                }
            }
            if offset < length {
                // A fast client must not keep the thread from other sessions.
                tokio::task::yield_now().await;
            }
        }
        self.cork(false);
        Ok(())
    }

    /// Blocks whose headers we write and whose octets the kernel copies.
    async fn send_blocks(
        &mut self,
        mut file: Box<dyn Readable>,
        length: u64,
        last: Descriptor,
    ) -> Result<()> {
        let mut offset = self.job.offset;
        let mut marked = offset;
        self.cork(true);
        while offset < length {
            let most = usize::from(u16::MAX).min(usize::try_from(length - offset).unwrap_or(usize::MAX));
            let count = self.hands.throttle.chunk(most);
            self.hands.pass(count + BLOCK_HEADER_BYTES).await?;
            // Before its header promises them, the octets are looked for.
            self.warm(file.as_mut(), offset, count).await?;
            self.block(Descriptor::NONE, count).await?;
            let end = offset + count as u64;
            while offset < end {
                let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
                if let Copied::ByHand = self.copy(file.as_mut(), &mut offset, left).await? {
                    let octets = self.storage(file.read_at(offset, Vec::with_capacity(left))).await?;
                    if octets.is_empty() {
                        return Err(End::Shrank.into());
                    }
                    let fresh = &octets[..octets.len().min(left)];
                    send(&self.job, &mut self.link, &self.hands, fresh).await?;
                    offset += fresh.len() as u64;
                }
            }
            if offset - marked >= MARKER_INTERVAL_BYTES && offset < length {
                marked = offset;
                let marker = offset.to_string();
                self.block(Descriptor::MARKER, marker.len()).await?;
                send(&self.job, &mut self.link, &self.hands, marker.as_bytes()).await?;
            }
            tokio::task::yield_now().await;
        }
        self.block(last, 0).await?;
        self.cork(false);
        Ok(())
    }

    async fn block(&mut self, descriptor: Descriptor, count: usize) -> Result<()> {
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        let header = block_header(descriptor, count);
        send(&self.job, &mut self.link, &self.hands, &header).await
    }

    /// One copy inside the kernel of at most `count` octets.
    async fn copy(&mut self, file: &mut dyn Readable, offset: &mut u64, count: usize) -> Result<Copied> {
        self.warm(file, *offset, count).await?;
        let descriptor = file.as_fd().ok_or(End::Reset)?;
        let socket = self.link.clear().ok_or(End::Reset)?;
        match pause(&self.job, &self.hands.cancel, socket.send_file(descriptor, offset, count)).await? {
            Ok(0) => Err(End::Shrank.into()),
            Ok(sent) => {
                self.hands.moved.fetch_add(sent as u64, Ordering::Relaxed);
                Ok(Copied::Some(sent))
            }
            // The call copies from one to the other, and its error may be the file's.
            Err(error) if lost(&error) => Err(Broken::from(error).into()),
            Err(_) => Ok(Copied::ByHand),
        }
    }

    pub(super) fn level(&self) -> Level {
        self.job.level.unwrap_or(self.hands.deflate.level)
    }

    fn cork(&mut self, cork: bool) {
        if let Some(socket) = self.link.clear() {
            let _ = socket.set_cork(cork);
        }
    }

    /// Has the next octets in memory, so that the kernel's copy does not wait for a disk on a thread of the runtime.
    async fn warm(&self, file: &mut dyn Readable, offset: u64, count: usize) -> Result<()> {
        let last = offset + count as u64 - 1;
        // A stint may wait for a disk.
        if is_patient() {
            return Ok(());
        }
        if let Operation::Ready(_) = file.read_at(last, Vec::with_capacity(1)) {
            return Ok(());
        }
        // The pool reads them; what it read is in the page cache then.
        self.storage(file.read_at(offset, Vec::with_capacity(count))).await.map(|_| ())
    }

    async fn send_copied(&mut self, mut file: Box<dyn Readable>, length: u64) -> Result<()> {
        let mut offset = self.job.offset;
        let mut marked = offset;
        let buffer_for = |left: u64, most: usize| usize::try_from(left).unwrap_or(usize::MAX).clamp(1, most);
        let mut buffer = Vec::with_capacity(buffer_for(length.saturating_sub(offset), DOWNLOAD_BUFFER_BYTES));
        let mut outgoing = Outgoing::new(form(&self.job), offset, self.level());
        let mut last = 0;
        while offset < length {
            if is_patient() && buffer.capacity() < STINT_BUFFER_BYTES {
                // The client is fast, and each call has its price.
                let larger = buffer_for(length - offset, STINT_BUFFER_BYTES);
                if buffer.capacity() < larger {
                    buffer = Vec::with_capacity(larger);
                }
            } else if !is_patient() && buffer.capacity() > DOWNLOAD_BUFFER_BYTES {
                // It is slower than it was.
                buffer = Vec::with_capacity(DOWNLOAD_BUFFER_BYTES);
                self.link.rest();
            }
            buffer = self.storage(file.read_at(offset, buffer)).await?;
            if buffer.is_empty() {
                return Err(End::Shrank.into());
            }
            let fresh = usize::try_from(length - offset).unwrap_or(usize::MAX).min(buffer.len());
            offset += fresh as u64;
            outgoing.put(&buffer[..fresh]);
            if offset - marked >= MARKER_INTERVAL_BYTES && offset < length {
                marked = offset;
                outgoing.mark();
            }
            last = fresh;
            if offset < length {
                send(&self.job, &mut self.link, &self.hands, outgoing.bytes(&buffer[..fresh])).await?;
                outgoing.sent();
                // Nor must a fast client keep its own control connection from being looked at.
                tokio::task::yield_now().await;
            }
        }
        // The last octets and the end of the file in one call.
        outgoing.finish();
        send_last(&self.job, &mut self.link, &self.hands, outgoing.bytes(&buffer[..last])).await
    }
}

/// Octets on their way out: as they are, or in the form that the transfer has.
pub(super) enum Outgoing {
    Plain,
    Formed { sender: Option<Box<Sender>>, bytes: Vec<u8> },
}

impl Outgoing {
    pub(super) fn new(form: Form, offset: u64, level: Level) -> Outgoing {
        if form.is_identity() {
            return Outgoing::Plain;
        }
        Outgoing::Formed {
            sender: Some(Box::new(Sender::new(form, offset).with_level(level))),
            bytes: Vec::new(),
        }
    }

    pub(super) fn put(&mut self, octets: &[u8]) {
        if let Outgoing::Formed { sender: Some(sender), bytes } = self {
            sender.send(octets, bytes);
        }
    }

    fn mark(&mut self) {
        if let Outgoing::Formed { sender: Some(sender), bytes } = self {
            sender.mark(bytes);
        }
    }

    pub(super) fn finish(&mut self) {
        if let Outgoing::Formed { sender, bytes } = self
            && let Some(sender) = sender.take()
        {
            sender.finish(bytes);
        }
    }

    /// What goes out: what was made of `octets`, which were put last, and of those before them that were held back.
    pub(super) fn bytes<'a>(&'a self, octets: &'a [u8]) -> &'a [u8] {
        match self {
            Outgoing::Plain => octets,
            Outgoing::Formed { bytes, .. } => bytes,
        }
    }

    pub(super) fn sent(&mut self) {
        if let Outgoing::Formed { bytes, .. } = self {
            bytes.clear();
        }
    }
}
