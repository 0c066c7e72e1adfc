//! One TLS connection without a socket: bytes of the wire in, bytes of the application out, and the reverse.
//!
//! rustls is driven without its own buffers. What has come and is not decrypted stays ours, so that an idle
//! connection holds nothing, large reads are decrypted where they lie, and bytes behind close_notify are still there
//! when the client goes on in clear.
//!
//! Not inside: sockets and waiting ([`TlsStream`](crate::TlsStream)), and what resumption proves
//! ([`session`](crate::session)).

use std::fmt;
use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};

use crate::client_certificate::ClientCertificate;
use crate::error::TlsError;
use crate::limits::{
    HANDSHAKE_READ_BYTES, INCOMING_LIMIT_BYTES, RECORD_OVERHEAD_BYTES, RECORD_PAYLOAD_BYTES,
};
use crate::policy::Version;
use crate::session::{Resumption, View};

/// The first byte of a record that holds a handshake, and the bytes with which records begin (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
const CONTENT_TYPES: std::ops::RangeInclusive<u8> = 20..=23;

/// The server's side of one TLS connection, without a socket.
///
/// After an error it does nothing more; what it wrote to `wire` before, an alert among it, is still to be sent.
pub struct TlsConnection {
    rustls: Box<UnbufferedServerConnection>,
    /// What has come and is not decrypted, from `start` on.
    incoming: Vec<u8>,
    start: usize,
    /// Decrypted, and not yet asked for.
    decrypted: Vec<u8>,
    stage: Stage,
    facts: Option<Box<Facts>>,
    /// Until the handshake is complete.
    view: Option<Arc<View>>,
    /// Whether we have sent close_notify.
    closed: bool,
    /// The client may go on in clear, with or without a close_notify.
    leaving: bool,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The handshake is not complete.
    Handshake,
    /// Bytes of the application flow.
    Open,
    /// The client has ended its direction by close_notify, or has gone on in clear after [`TlsConnection::leave`].
    Ended,
    /// An error has ended it.
    Failed,
}

/// What a complete handshake has agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The version.
    pub version: Version,
    /// The cipher suite's name in the registry of TLS.
    pub cipher_suite: String,
    /// The protocol of ALPN, such as `ftp`.
    pub protocol: Option<String>,
    /// The name that the client connected to.
    pub server_name: Option<String>,
    /// The client's certificate, if it was asked for and sent one; it is verified.
    pub client_certificate: Option<ClientCertificate>,
    /// Of data connections only: whether it belongs to its control session.
    pub resumption: Option<Resumption>,
}

/// What is to be done when rustls has worked on what has come.
enum Task<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    CloseNotify,
}

/// Bytes for the wire in a buffer that is initialised once: [`Wire::room`] costs nothing the second time.
#[derive(Default)]
pub(crate) struct Wire {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Wire {
    pub(crate) fn unsent(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn sent(&mut self, count: usize) {
        self.start += count;
        if self.start >= self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Gives the memory back, if nothing is unsent.
    pub(crate) fn release(&mut self) {
        if self.start == self.end {
            *self = Wire::default();
        }
    }

    fn room(&mut self, count: usize) -> &mut [u8] {
        if self.bytes.len() < self.end + count {
            self.bytes.resize(self.end + count, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Behind what `bytes` holds, for [`Wire::into_vec`] to give it back.
    fn behind(bytes: Vec<u8>) -> Wire {
        let end = bytes.len();
        Wire { bytes, start: 0, end }
    }

    fn into_vec(mut self) -> Vec<u8> {
        self.bytes.truncate(self.end);
        self.bytes
    }
}

/// Where decrypted bytes go: into `out`, which never grows by itself beyond `room` more bytes, and then aside.
struct Plain<'a> {
    out: &'a mut Vec<u8>,
    room: usize,
}

impl TlsConnection {
    pub(crate) fn new(mut config: ServerConfig, view: Arc<View>) -> Result<TlsConnection, TlsError> {
        config.session_storage = view.clone();
        config.ticketer = view.clone();
        config.cert_resolver = view.clone();
        let rustls = UnbufferedServerConnection::new(Arc::new(config)).map_err(TlsError::from_rustls)?;
        Ok(TlsConnection {
            rustls: Box::new(rustls),
            incoming: Vec::new(),
            start: 0,
            decrypted: Vec::new(),
            stage: Stage::Handshake,
            facts: None,
            view: Some(view),
            closed: false,
            leaving: false,
        })
    }

    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What the handshake has agreed on, once it is complete.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_deref()
    }

    /// Whether this data connection belongs to its control session; `None` until the handshake is complete, and for
    /// control connections.
    #[must_use]
    pub fn resumption(&self) -> Option<&Resumption> {
        self.facts.as_ref()?.resumption.as_ref()
    }

    /// Takes bytes that have come, appends what they decrypt to to `plain`, and what TLS itself has to say to `wire`.
    /// Nothing is kept but the part of a record that is not whole, and what stands behind the client's end.
    ///
    /// # Errors
    /// [`TlsError`]; `wire` may hold an alert to be sent.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
    ) -> Result<Stage, TlsError> {
        self.incoming.extend_from_slice(bytes);
        plain.append(&mut self.decrypted);
        let result = self.with_vec(wire, |connection, wire| {
            connection.work(Task::Nothing, &mut Plain { out: plain, room: usize::MAX }, wire)
        });
        self.forget_consumed();
        if self.incoming.is_empty() {
            self.incoming = Vec::new();
        }
        result?;
        self.bounded()?;
        Ok(self.stage)
    }

    /// Appends `plain`, encrypted, to `wire`.
    ///
    /// # Errors
    /// [`TlsError::Over`] before the handshake is complete, after [`TlsConnection::close_notify`] and after errors;
    /// [`TlsError::Exhausted`].
    pub fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), TlsError> {
        self.with_vec(wire, |connection, wire| connection.encrypt(plain, wire))
    }

    /// Appends close_notify to `wire`: the peer is to know that what came is whole. Nothing can be sent behind it; what
    /// the client sends can still be received.
    ///
    /// # Errors
    /// [`TlsError::Over`] before the handshake is complete and after errors.
    pub fn close_notify(&mut self, wire: &mut Vec<u8>) -> Result<(), TlsError> {
        self.with_vec(wire, TlsConnection::queue_close_notify)
    }

    /// As [`TlsConnection::close_notify`], to go on in clear (CCC): from here on a client that goes on in clear without
    /// a close_notify of its own is [`Stage::Ended`] as well. Then [`TlsConnection::into_clear`].
    ///
    /// # Errors
    /// As [`TlsConnection::close_notify`].
    pub fn leave(&mut self, wire: &mut Vec<u8>) -> Result<(), TlsError> {
        self.leaving = true;
        self.close_notify(wire)
    }

    /// What the client has sent behind its end of TLS, which is in clear; to be asked when that end has come
    /// ([`Stage::Ended`]).
    #[must_use]
    pub fn into_clear(mut self) -> Vec<u8> {
        self.forget_consumed();
        self.incoming
    }

    /// Where bytes that have come are to be appended, with room for `most` or more; whoever appends calls
    /// [`TlsConnection::take`] next.
    pub(crate) fn incoming(&mut self, most: usize) -> Result<&mut Vec<u8>, TlsError> {
        self.forget_consumed();
        self.bounded()?;
        // What has come is part of something long: it is read on in reasonable steps.
        self.incoming.reserve_exact(most.saturating_sub(self.incoming.len()).max(HANDSHAKE_READ_BYTES));
        Ok(&mut self.incoming)
    }

    /// Decrypts what has come into the spare capacity of `plain`, which never grows.
    pub(crate) fn take(&mut self, plain: &mut Vec<u8>, wire: &mut Wire) -> Result<(), TlsError> {
        let mut room = plain.capacity() - plain.len();
        let first = room.min(self.decrypted.len());
        plain.extend_from_slice(&self.decrypted[..first]);
        self.decrypted.drain(..first);
        if self.decrypted.is_empty() {
            self.decrypted = Vec::new();
        }
        room -= first;
        if room == 0 && first > 0 {
            return Ok(());
        }
        self.work(Task::Nothing, &mut Plain { out: plain, room }, wire)
    }

    /// Gives the memory of reading back, if nothing has come that is not decrypted.
    pub(crate) fn release(&mut self) {
        self.forget_consumed();
        if self.incoming.is_empty() {
            self.incoming = Vec::new();
        }
    }

    pub(crate) fn encrypt(&mut self, plain: &[u8], wire: &mut Wire) -> Result<(), TlsError> {
        if self.closed || matches!(self.stage, Stage::Handshake | Stage::Failed) {
            return Err(TlsError::Over);
        }
        self.work(Task::Encrypt(plain), &mut Plain { out: &mut Vec::new(), room: 0 }, wire)
    }

    pub(crate) fn queue_close_notify(&mut self, wire: &mut Wire) -> Result<(), TlsError> {
        if matches!(self.stage, Stage::Handshake | Stage::Failed) {
            return Err(TlsError::Over);
        }
        if self.closed {
            return Ok(());
        }
        self.closed = true;
        self.work(Task::CloseNotify, &mut Plain { out: &mut Vec::new(), room: 0 }, wire)
    }

    fn with_vec<T>(&mut self, wire: &mut Vec<u8>, work: impl FnOnce(&mut Self, &mut Wire) -> T) -> T {
        let mut behind = Wire::behind(std::mem::take(wire));
        let result = work(self, &mut behind);
        *wire = behind.into_vec();
        result
    }

    /// Lets rustls work on what has come until it needs more, or `plain` is full, and then does `task`.
    fn work(&mut self, task: Task<'_>, plain: &mut Plain<'_>, wire: &mut Wire) -> Result<(), TlsError> {
        if self.stage == Stage::Failed {
            return Err(TlsError::Over);
        }
        loop {
            if let Some(error) = self.not_tls() {
                return Err(self.fail(error));
            }
            if self.stage == Stage::Ended && matches!(task, Task::Nothing) {
                return Ok(());
            }
            let UnbufferedStatus { discard, state } =
                self.rustls.process_tls_records(&mut self.incoming[self.start..]);
            let mut peer_closed = false;
            let done = match state {
                Ok(ConnectionState::ReadTraffic(mut records)) => {
                    let mut done = Ok(false);
                    while let Some(record) = records.next_record() {
                        match record {
                            Ok(record) => plain.deliver(record.payload, &mut self.decrypted),
                            Err(error) => done = Err(TlsError::from_rustls(error)),
                        }
                    }
                    // Encrypting goes on behind what has come; reading ends where nothing more fits.
                    done.map(|_| plain.room == 0 && matches!(task, Task::Nothing))
                }
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    encode(wire, |room| message.encode(room)).map(|()| false)
                }
                Ok(ConnectionState::TransmitTlsData(sending)) => {
                    sending.done();
                    Ok(false)
                }
                Ok(ConnectionState::PeerClosed) => {
                    peer_closed = true;
                    Ok(matches!(task, Task::Nothing))
                }
                Ok(ConnectionState::WriteTraffic(writer)) => perform(&task, writer, wire).map(|()| true),
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => match task {
                    Task::Nothing => Ok(true),
                    Task::Encrypt(_) | Task::CloseNotify => Err(TlsError::Over),
                },
                Ok(_) => Err(TlsError::Ours("rustls did something that was not asked for".into())),
                Err(error) => Err(TlsError::from_rustls(error)),
            };
            self.start += discard;
            match done {
                Err(error) => {
                    self.take_alert(wire);
                    return Err(self.fail(error));
                }
                Ok(done) => {
                    // A client with nothing to say ends as soon as the handshake is complete.
                    self.look();
                    if peer_closed {
                        self.stage = Stage::Ended;
                    }
                    if done {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// What the handshake has come to.
    fn look(&mut self) {
        if self.stage != Stage::Handshake {
            return;
        }
        let resumed = self.rustls.handshake_kind() == Some(HandshakeKind::Resumed);
        let Some(view) = &self.view else { return };
        if resumed {
            // Before the client's Finished is read, and with it tickets are made.
            view.open();
        }
        if self.rustls.is_handshaking() {
            return;
        }
        let version = match self.rustls.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => Version::Tls12,
            _ => Version::Tls13,
        };
        let suite = self.rustls.negotiated_cipher_suite();
        self.facts = Some(Box::new(Facts {
            version,
            cipher_suite: suite.map_or_else(String::new, |suite| format!("{:?}", suite.suite())),
            protocol: self.rustls.alpn_protocol().map(|name| name.escape_ascii().to_string()),
            server_name: view.server_name(),
            client_certificate: self.rustls.peer_certificates().and_then(ClientCertificate::of_chain),
            resumption: view.complete(resumed),
        }));
        self.stage = Stage::Open;
        self.view = None;
    }

    /// Whether the client speaks something else than TLS: instead of a ClientHello, which is an error, or after
    /// [`TlsConnection::leave`], which ends TLS.
    fn not_tls(&mut self) -> Option<TlsError> {
        let first = *self.incoming.get(self.start)?;
        if self.stage == Stage::Handshake && self.rustls.handshake_kind().is_none() {
            // An alert may come first as well, from a client that changed its mind.
            return (!CONTENT_TYPES.contains(&first) || (first > HANDSHAKE))
                .then(|| TlsError::not_tls(&self.incoming[self.start..]));
        }
        if self.leaving && self.stage == Stage::Open && !CONTENT_TYPES.contains(&first) {
            self.stage = Stage::Ended;
        }
        None
    }

    /// The alert that rustls has ready after an error.
    fn take_alert(&mut self, wire: &mut Wire) {
        // Only while there is something: rustls would read on behind the error otherwise.
        while self.rustls.wants_write() {
            let UnbufferedStatus { state: Ok(ConnectionState::EncodeTlsData(mut message)), .. } =
                self.rustls.process_tls_records(&mut [])
            else {
                return;
            };
            if encode(wire, |room| message.encode(room)).is_err() {
                return;
            }
        }
    }

    fn fail(&mut self, error: TlsError) -> TlsError {
        self.stage = Stage::Failed;
        self.view = None;
        error
    }

    /// Nobody fills the memory with a message that has no end, or with what nobody asks for behind the end.
    fn bounded(&mut self) -> Result<(), TlsError> {
        if self.incoming.len() <= INCOMING_LIMIT_BYTES {
            return Ok(());
        }
        let what =
            if self.stage == Stage::Ended { "it goes on behind its end" } else { "a message has no end" };
        Err(self.fail(TlsError::Protocol(what.into())))
    }

    fn forget_consumed(&mut self) {
        if self.start > 0 {
            self.incoming.drain(..self.start);
            self.start = 0;
        }
    }
}

impl Plain<'_> {
    fn deliver(&mut self, payload: &[u8], aside: &mut Vec<u8>) {
        // What stands aside comes first.
        let fits = if aside.is_empty() { self.room.min(payload.len()) } else { 0 };
        self.out.extend_from_slice(&payload[..fits]);
        self.room -= fits;
        aside.extend_from_slice(&payload[fits..]);
    }
}

fn perform<D>(task: &Task<'_>, mut writer: WriteTraffic<'_, D>, wire: &mut Wire) -> Result<(), TlsError> {
    let (mut room, plain) = match task {
        Task::Nothing => return Ok(()),
        Task::Encrypt(plain) => {
            (plain.len() + (plain.len() / RECORD_PAYLOAD_BYTES + 1) * RECORD_OVERHEAD_BYTES, Some(plain))
        }
        Task::CloseNotify => (RECORD_OVERHEAD_BYTES, None),
    };
    loop {
        let written = match plain {
            Some(plain) => writer.encrypt(plain, wire.room(room)),
            None => writer.queue_close_notify(wire.room(room)),
        };
        match written {
            Ok(count) => {
                wire.end += count;
                return Ok(());
            }
            // A change of keys may go out in front.
            Err(EncryptError::InsufficientSize(needed)) => room = needed.required_size,
            Err(EncryptError::EncryptExhausted) => return Err(TlsError::Exhausted),
        }
    }
}

fn encode(
    wire: &mut Wire,
    mut message: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), TlsError> {
    let mut room = RECORD_OVERHEAD_BYTES;
    loop {
        match message(wire.room(room)) {
            Ok(count) => {
                wire.end += count;
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(needed)) => room = needed.required_size,
            Err(error) => return Err(TlsError::Ours(error.to_string())),
        }
    }
}

impl fmt::Debug for TlsConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnection")
            .field("stage", &self.stage)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}
