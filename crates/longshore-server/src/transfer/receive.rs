//! Receiving: what comes is decoded, gathered, and handed to storage in large pieces.
//!
//! Not inside: how a form looks on the wire, which `longshore_proto::transmission` knows, and the commit.

use std::sync::atomic::Ordering;

use longshore_accounts::UploadEnd;
use longshore_net::is_patient;
use longshore_proto::server::End;
use longshore_proto::transmission::{Receiver, Step};
use longshore_storage::Upload;

use super::{Engine, Result, Stopped, form, stint, wait};
use crate::limits::{STINT_UPLOAD_BUFFER_BYTES, UPLOAD_BUFFER_BYTES, UPLOAD_BUFFER_FIRST_BYTES};

impl Engine {
    pub(super) async fn receive(&mut self, upload: &mut dyn Upload) -> Result<()> {
        if form(&self.job).is_identity() {
            self.receive_plain(upload).await
        } else {
            self.receive_formed(upload).await
        }
    }

    async fn receive_plain(&mut self, upload: &mut dyn Upload) -> Result<()> {
        // Under a limit of bandwidth no more is read at once than is paid for at once.
        let first = self.hands.throttle.chunk(UPLOAD_BUFFER_FIRST_BYTES);
        let mut buffer = Vec::with_capacity(first);
        let mut hello = self.hands.ends.suspect_tls.then(Hello::default);
        let begin = upload.position();
        loop {
            let read = self.read(&mut buffer, &mut hello).await;
            if let Ok(1..) = read
                && buffer.len() < self.least(&buffer)
            {
                continue;
            }
            if let Ok(0) = read {
                return self.finish(upload, buffer, begin).await;
            }
            let filled = buffer.len() == buffer.capacity();
            if !buffer.is_empty() {
                // What came before a cut is kept too: the client goes on from there.
                buffer = self.storage(upload.write(buffer)).await?;
            }
            read?;
            buffer.clear();
            let most = self.most();
            if (filled || is_patient()) && buffer.capacity() < most && self.hands.throttle.is_free() {
                buffer.reserve_exact(most);
            } else if buffer.capacity() > most {
                // The client is slower than it was.
                buffer = Vec::with_capacity(most);
            }
        }
    }

    /// Whether octets are written here, and one read takes all that have come.
    fn is_direct(&mut self) -> bool {
        is_patient() && self.link.clear().is_some()
    }

    /// The largest buffer. Of records of TLS one read takes but some, and a buffer that it does not fill would be cold.
    fn most(&mut self) -> usize {
        if self.is_direct() { STINT_UPLOAD_BUFFER_BYTES } else { UPLOAD_BUFFER_BYTES }
    }

    /// What is handed to storage at once. Small reads are gathered, so that it is asked for few large writes; but where
    /// nobody has to be woken for one, what comes during a small write makes the next one large, and to wait for it would
    /// take longer.
    fn least(&mut self, buffer: &Vec<u8>) -> usize {
        if self.is_direct() { 1 } else { buffer.capacity() / 2 }
    }

    async fn receive_formed(&mut self, upload: &mut dyn Upload) -> Result<()> {
        let mut receiver = Receiver::new(form(&self.job), self.job.offset)
            .with_expansion_limit(self.hands.deflate.expansion);
        let result = self.receive_with(&mut receiver, upload).await;
        // Until here all that was read was counted, and the last of it may be the next file's.
        let bytes = match &result {
            Err(Stopped { end: End::Malformed(error), .. }) => error.offset_bytes,
            _ => receiver.wire_bytes(),
        };
        self.hands.moved.store(bytes, Ordering::Relaxed);
        result
    }

    async fn receive_with(&mut self, receiver: &mut Receiver, upload: &mut dyn Upload) -> Result<()> {
        let mut hello = self.hands.ends.suspect_tls.then(Hello::default);
        // What came behind the file before, on a connection that was kept.
        let mut input = self.link.take_unread();
        self.hands.moved.fetch_add(input.len() as u64, Ordering::Relaxed);
        let begin = upload.position();
        let mut decoded = Vec::new();
        let mut read = Ok(input.len());
        if input.is_empty() {
            input.reserve_exact(self.hands.throttle.chunk(UPLOAD_BUFFER_FIRST_BYTES));
            read = self.read(&mut input, &mut hello).await;
        }
        loop {
            let mut taken = 0;
            let ended = loop {
                match receiver.receive(&input[taken..], &mut decoded) {
                    Ok(received) => {
                        taken += received.taken_bytes;
                        match received.step {
                            Step::More => break false,
                            Step::End => break true,
                            Step::Full => {}
                            Step::Marker(marker) => {
                                let offset = receiver.offset_bytes();
                                if self.hands.markers.push(marker, offset) {
                                    // The session takes them before this goes on.
                                    stint::leave().await;
                                    tokio::task::yield_now().await;
                                }
                            }
                        }
                    }
                    Err(error) => {
                        self.keep(upload, decoded).await?;
                        return Err(End::Malformed(error).into());
                    }
                }
                if decoded.len() >= UPLOAD_BUFFER_BYTES {
                    decoded = self.storage(upload.write(decoded)).await?;
                    decoded.clear();
                }
            };
            if ended {
                // The rest is the next file's.
                self.link.unread(input.split_off(taken));
                return self.finish(upload, decoded, begin).await;
            }
            match read {
                Ok(0) => {
                    if let Err(error) = receiver.finish(&mut decoded) {
                        self.keep(upload, decoded).await?;
                        return Err(End::Malformed(error).into());
                    }
                    return self.finish(upload, decoded, begin).await;
                }
                Ok(_) => {}
                Err(stopped) => {
                    self.keep(upload, decoded).await?;
                    return Err(stopped);
                }
            }
            if decoded.len() >= UPLOAD_BUFFER_FIRST_BYTES {
                decoded = self.storage(upload.write(decoded)).await?;
                decoded.clear();
            }
            let filled = input.len() == input.capacity();
            input.clear();
            let first = self.hands.throttle.chunk(UPLOAD_BUFFER_FIRST_BYTES);
            if input.capacity() < first {
                // What was left of the transfer before says nothing of how much this one brings.
                input.reserve_exact(first);
            } else if filled && input.capacity() < UPLOAD_BUFFER_BYTES && self.hands.throttle.is_free() {
                input.reserve_exact(UPLOAD_BUFFER_BYTES);
            }
            read = self.read(&mut input, &mut hello).await;
        }
    }

    /// The last octets of a file that has come to its end. Where they are all that has come since `begin`, they are left to
    /// the commit.
    async fn finish(&mut self, upload: &mut dyn Upload, last: Vec<u8>, begin: u64) -> Result<()> {
        if upload.position() == begin {
            self.whole = last;
            return Ok(());
        }
        self.keep(upload, last).await
    }

    async fn keep(&self, upload: &mut dyn Upload, decoded: Vec<u8>) -> Result<()> {
        if decoded.is_empty() {
            return Ok(());
        }
        self.storage(upload.write(decoded)).await.map(|_| ())
    }

    /// Reads once; 0 is an end that may be taken for one.
    async fn read(&mut self, buffer: &mut Vec<u8>, hello: &mut Option<Hello>) -> Result<usize> {
        let before = buffer.len();
        let read = wait(&self.job, &self.hands.cancel, self.link.read(buffer)).await;
        let read = match read {
            // What has come is paid for before more is taken: the client is slowed down by its full window.
            Ok(count) => {
                self.hands.moved.fetch_add(count as u64, Ordering::Relaxed);
                let passed = self.hands.pass(count).await.map(|()| count);
                // A client that trickles must not hold a stint for longer than its time.
                stint::breathe().await;
                passed
            }
            Err(Stopped { end: End::NoCloseNotify, .. })
                if self.hands.ends.upload_end == UploadEnd::Accept =>
            {
                self.no_close_notify = true;
                Ok(0)
            }
            Err(stopped) => Err(stopped),
        };
        match hello {
            Some(hello) => hello.look(&buffer[before..], read),
            None => read,
        }
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
