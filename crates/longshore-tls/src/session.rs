//! Control sessions, and the proof that a data connection resumes its own.
//!
//! **The proof.** Each control session has a store of TLS sessions of its own. Only the handshake of its control
//! connection puts something there, and data connections that have themselves resumed; there are no tickets that
//! could be read without the store. So a data connection whose handshake is complete and was a resumption comes from
//! whoever holds the keys of the control connection.
//!
//! **The hole that this closes.** rustls stores a session after every full handshake, on the data port too. If that
//! went into the same store, a stranger's second connection would resume his first and pass for the client's. A data
//! connection sees the store through a [`View`] that lets nothing in until its own resumption is known.
//!
//! Not inside: bytes and sockets ([`TlsConnection`], [`TlsStream`](crate::TlsStream)).

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert, StoresServerSessions};
use rustls::sign::CertifiedKey;

use crate::certificates::CertificateSet;
use crate::connection::TlsConnection;
use crate::error::TlsError;
use crate::limits::{
    CONTROL_TICKETS, DATA_TICKETS, DATA_TICKETS_LIMIT, TICKET_BYTES, TICKET_LIFETIME_SECONDS,
};
use crate::stream::{Socket, TlsStream};
use crate::tickets::{Origin, Tickets, Uses};

/// What the TLS of one control connection leaves to its data connections. Cheap to clone.
///
/// It keeps the certificates that were in use when it began: a TLS 1.2 session cannot be resumed with another kind
/// of key, and exchanging certificates must not end transfers.
#[derive(Clone)]
pub struct ControlSession {
    shared: Arc<Shared>,
}

/// Which way the bytes of a data connection go. A listing is a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to us.
    Upload,
    /// From us to the client.
    Download,
}

/// Whether a data connection belongs to its control session, said when its handshake is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumption {
    /// Proved: it resumed this very control session.
    Resumed,
    /// Not proved, for this reason.
    Fresh(Fresh),
}

/// Why a data connection did not resume.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fresh {
    /// The client offered no session.
    #[error("the client offered no TLS session; it must resume the one of its control connection")]
    NothingOffered,
    /// It offered one that is not of this control session, or that is forgotten.
    #[error("the client offered a TLS session that is not of its control connection, or was forgotten")]
    Unknown,
    /// It offered the right one with another server name.
    #[error(
        "the client sent the server name {} on its control connection and {} on its data connection; TLS allows no \
         resumption then",
        named(.control), named(.data)
    )]
    ServerName {
        /// The name on the control connection.
        control: Option<String>,
        /// The name on the data connection.
        data: Option<String>,
    },
    /// It offered the right one with another version or cipher suite.
    #[error("the client offered its TLS session with another version or other cipher suites")]
    Parameters,
}

fn named(name: &Option<String>) -> String {
    name.as_ref().map_or("none".into(), |name| format!("{name:?}"))
}

/// Takes the TLS of one data connection.
pub struct DataAcceptor {
    connection: TlsConnection,
}

struct Shared {
    /// What data connections are configured by, but for their [`View`].
    data: Arc<ServerConfig>,
    certificates: Arc<CertificateSet>,
    tickets: Mutex<Tickets>,
    /// What the control connection named, once it has.
    server_name: Mutex<Option<String>>,
}

impl ControlSession {
    /// A session and the machine of its control connection.
    pub(crate) fn begin(
        control: &ServerConfig,
        data: Arc<ServerConfig>,
        certificates: Arc<CertificateSet>,
    ) -> Result<(ControlSession, TlsConnection), TlsError> {
        let shared =
            Arc::new(Shared { data, certificates, tickets: Mutex::default(), server_name: Mutex::default() });
        let view = Arc::new(View::new(shared.clone(), Origin::Control));
        let mut config = control.clone();
        config.send_tls13_tickets = CONTROL_TICKETS;
        config.max_tls13_tickets = CONTROL_TICKETS;
        let connection = TlsConnection::new(config, view)?;
        Ok((ControlSession { shared }, connection))
    }

    /// Prepares for one data connection. The direction decides about tickets: a client that only writes closes
    /// without reading them, its kernel answers with a reset, and the end of the file is lost. So they come on
    /// uploads only to clients that need a new one each time or ask for it.
    ///
    /// # Errors
    /// [`TlsError::Ours`].
    pub fn data_acceptor(&self, direction: Direction) -> Result<DataAcceptor, TlsError> {
        let sends = match direction {
            Direction::Download => DATA_TICKETS,
            Direction::Upload if lock(&self.shared.tickets).uses() == Uses::Once => DATA_TICKETS,
            Direction::Upload => 0,
        };
        let mut config = ServerConfig::clone(&self.shared.data);
        config.send_tls13_tickets = sends;
        config.max_tls13_tickets = DATA_TICKETS_LIMIT;
        let view = Arc::new(View::new(self.shared.clone(), Origin::Data));
        Ok(DataAcceptor { connection: TlsConnection::new(config, view)? })
    }
}

impl fmt::Debug for ControlSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlSession").finish_non_exhaustive()
    }
}

impl DataAcceptor {
    /// Does the handshake. When it is complete, [`TlsStream::resumption`] says whether the connection is proved; not
    /// a byte of the application has been given out by then, and none has been sent.
    ///
    /// Dropping the future ends the connection without a word.
    ///
    /// # Errors
    /// [`TlsError`]; the client has been told by an alert, as far as it listens.
    pub async fn accept<S: Socket>(self, socket: S) -> Result<TlsStream<S>, TlsError> {
        let mut stream = TlsStream::new(self.connection, socket);
        stream.handshake().await?;
        Ok(stream)
    }

    /// The machine alone, for whoever moves the bytes.
    #[must_use]
    pub fn into_connection(self) -> TlsConnection {
        self.connection
    }
}

impl fmt::Debug for DataAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataAcceptor").finish_non_exhaustive()
    }
}

/// What one connection sees of its control session: the certificates, and its store, as far as it may.
pub(crate) struct View {
    shared: Arc<Shared>,
    origin: Origin,
    /// What this connection stores is kept.
    open: AtomicBool,
    heard: Mutex<Heard>,
}

/// What the ClientHello said.
#[derive(Default)]
struct Heard {
    server_name: Option<String>,
    /// It offered a session, and this is the key of the one that was found last.
    offered: bool,
    found: Option<Vec<u8>>,
}

impl View {
    fn new(shared: Arc<Shared>, origin: Origin) -> View {
        let open = AtomicBool::new(origin == Origin::Control);
        View { shared, origin, open, heard: Mutex::default() }
    }

    /// The server has accepted a session of the store; its client knows the keys, or the handshake fails.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// The handshake is complete: notes how it went, and says it of a data connection.
    pub(crate) fn complete(&self, resumed: bool) -> Option<Resumption> {
        let heard = lock(&self.heard);
        if self.origin == Origin::Control {
            lock(&self.shared.server_name).clone_from(&heard.server_name);
            return None;
        }
        if let (true, Some(key)) = (resumed, &heard.found) {
            lock(&self.shared.tickets).resumed(key);
            return Some(Resumption::Resumed);
        }
        let control = lock(&self.shared.server_name).clone();
        Some(Resumption::Fresh(if heard.found.is_some() && control != heard.server_name {
            Fresh::ServerName { control, data: heard.server_name.clone() }
        } else if heard.found.is_some() {
            Fresh::Parameters
        } else if heard.offered {
            Fresh::Unknown
        } else {
            Fresh::NothingOffered
        }))
    }

    /// The name that the client asked for.
    pub(crate) fn server_name(&self) -> Option<String> {
        lock(&self.heard).server_name.clone()
    }

    fn find(&self, key: &[u8]) -> Option<Vec<u8>> {
        if self.origin == Origin::Control {
            // Its session begins here: there is nothing yet that it could resume.
            return None;
        }
        let value = lock(&self.shared.tickets).get(key);
        let mut heard = lock(&self.heard);
        heard.offered = true;
        if value.is_some() {
            heard.found = Some(key.to_vec());
        }
        value
    }
}

impl StoresServerSessions for View {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.open.load(Ordering::Relaxed) && lock(&self.shared.tickets).put(self.origin, key, value)
    }

    /// A session of TLS 1.2.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.find(key)
    }

    /// A session of TLS 1.3. It is not taken away; see [`Tickets::get`].
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.find(key)
    }

    /// Whether a full handshake of TLS 1.2 gives the session a name. A client would put it in place of the one that it
    /// should resume.
    fn can_cache(&self) -> bool {
        self.origin == Origin::Control
    }
}

/// Tickets are names of sessions in the store, in TLS 1.2 as in TLS 1.3: clients in Go know no other way to resume
/// (RFC 5077), and what only the store can read proves as much as a session ID does.
impl ProducesTickets for View {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKET_LIFETIME_SECONDS
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        if self.open.load(Ordering::Relaxed) {
            let mut key = vec![0; TICKET_BYTES];
            self.shared.data.crypto_provider().secure_random.fill(&mut key).ok()?;
            return self.put(key.clone(), session.to_vec()).then_some(key);
        }
        // TLS 1.2 asks before the proof is complete. A client that gets an empty ticket may forget the one it has, so
        // it gets that one again.
        lock(&self.heard).found.clone()
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.find(ticket)
    }
}

impl ResolvesServerCert for View {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        lock(&self.heard).server_name = name.map(str::to_owned);
        Some(self.shared.certificates.choose(name))
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// What a panic has left is whole: nothing here is changed in two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{CertificateSet, Certificates, Policy, ServerTls, self_signed};

    /// A control session that knows the ticket `known`, and whose client named `control`.
    fn session(control: Option<&str>) -> ControlSession {
        let made = self_signed(&["ftp.example".to_owned()], SystemTime::now()).expect("a name");
        let (chain, key) = (made.certificate_pem.as_bytes(), made.key_pem.as_bytes());
        let set = CertificateSet::from_pem(chain, key, SystemTime::now()).expect("a pair");
        let server = ServerTls::new(Arc::new(Certificates::new(set)), &Policy::default()).expect("a policy");
        let (session, _) = server.accept_control().expect("a configuration");
        let view = View::new(session.shared.clone(), Origin::Control);
        assert!(view.put(b"known".to_vec(), b"secrets".to_vec()));
        lock(&view.heard).server_name = control.map(str::to_owned);
        assert_eq!(view.complete(false), None);
        session
    }

    /// A data connection that offered `key` and named `data`, and did not resume.
    #[track_caller]
    fn check(control: Option<&str>, data: Option<&str>, key: Option<&[u8]>, expected: Fresh) {
        let view = View::new(session(control).shared, Origin::Data);
        lock(&view.heard).server_name = data.map(str::to_owned);
        if let Some(key) = key {
            view.take(key);
        }
        assert_eq!(view.complete(false), Some(Resumption::Fresh(expected)));
    }

    #[test]
    fn the_reason_for_a_full_handshake_is_found() {
        let (a, b) = (Some("a.example"), Some("b.example"));
        let other = |control: Option<&str>, data: Option<&str>| Fresh::ServerName {
            control: control.map(str::to_owned),
            data: data.map(str::to_owned),
        };
        check(a, a, None, Fresh::NothingOffered);
        check(a, b, None, Fresh::NothingOffered);
        check(a, a, Some(b"unknown"), Fresh::Unknown);
        check(a, b, Some(b"unknown"), Fresh::Unknown);
        check(a, a, Some(b"known"), Fresh::Parameters);
        check(None, None, Some(b"known"), Fresh::Parameters);
        check(a, b, Some(b"known"), other(a, b));
        check(a, None, Some(b"known"), other(a, None));
        check(None, b, Some(b"known"), other(None, b));
    }

    #[test]
    fn a_view_lets_nothing_in_before_its_proof() {
        let session = session(None);
        let view = View::new(session.shared.clone(), Origin::Data);
        assert!(!view.put(b"new".to_vec(), b"secrets".to_vec()));
        assert_eq!(view.get(b"new"), None);
        assert_eq!(view.get(b"known"), Some(b"secrets".to_vec()));
        // rustls's own meaning of take; here it stays.
        assert_eq!(view.take(b"known"), view.take(b"known"));
        assert!(!view.can_cache());
        view.open();
        assert!(view.put(b"new".to_vec(), b"secrets".to_vec()));
        assert_eq!(view.get(b"new"), Some(b"secrets".to_vec()));
        let control = View::new(session.shared, Origin::Control);
        assert_eq!(control.get(b"known"), None, "control connections resume nothing");
        assert!(control.can_cache());
    }
}
