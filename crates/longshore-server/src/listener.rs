//! Accepting control connections.
//!
//! Not inside: the life of the server as a whole ([`server`](crate::server)), and what happens within a session. A
//! session that panics ends alone: its client is told 421, the observer is told what the panic said, and the others
//! notice nothing.

use std::any::Any;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use longshore_accounts::TlsRules;
use longshore_net::SpareDescriptor;
use longshore_proto::reply::{Reply, Situation};
use longshore_proto::server::Connection;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::WeakSender;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::TlsOffer;
use crate::defence::Refusal;
use crate::driver::Driver;
use crate::events::{EventKind, SessionName};
use crate::limits::ACCEPT_REST;
use crate::seats::Seat;
use crate::server::{Active, Phase, Shared};

/// The sockets on which a server listens for control connections.
#[derive(Debug, Default)]
pub struct Listeners {
    listeners: Vec<(TcpListener, ListenerOptions)>,
}

/// What differs from one listener to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerOptions {
    /// How TLS begins there, if the server has it.
    pub tls: ListenerTls,
    /// What holds there instead of the server's own rules, where it says something.
    pub rules: TlsRules,
}

/// How TLS begins on the control connections of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ListenerTls {
    /// When the client asks for it with AUTH (RFC 4217).
    #[default]
    Explicit,
    /// At once, before the greeting, as on port 990. Data connections are protected, too, until PROT says otherwise.
    Implicit,
    /// Never: AUTH is answered with 534.
    Off,
}

impl Listeners {
    /// None yet.
    pub fn new() -> Listeners {
        Listeners::default()
    }

    /// Listens on one more address; port 0 takes any that is free. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`longshore_net::ListenError`], which names the address, the cause and the remedy.
    pub fn listen(&mut self, address: SocketAddr) -> Result<SocketAddr, longshore_net::ListenError> {
        self.listen_with(address, ListenerOptions::default())
    }

    /// As [`listen`](Listeners::listen), with options of its own.
    ///
    /// # Errors
    /// As [`listen`](Listeners::listen).
    pub fn listen_with(
        &mut self,
        address: SocketAddr,
        options: ListenerOptions,
    ) -> Result<SocketAddr, longshore_net::ListenError> {
        let listener = longshore_net::control_listener(address)?;
        let bound = listener.local_addr().unwrap_or(address);
        self.listeners.push((listener, options));
        Ok(bound)
    }

    /// Listens on a socket that somebody else has bound, as a service manager does.
    ///
    /// # Errors
    /// [`longshore_net::ListenError`] when it is no socket to listen on.
    pub fn adopt(
        &mut self,
        listener: std::net::TcpListener,
        options: ListenerOptions,
    ) -> Result<SocketAddr, longshore_net::ListenError> {
        let listener = longshore_net::adopt_listener(listener)?;
        let bound = listener.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        self.listeners.push((listener, options));
        Ok(bound)
    }

    /// The addresses, with their true ports.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|(listener, _)| listener.local_addr().ok()).collect()
    }

    pub(crate) fn into_inner(self) -> Vec<(TcpListener, ListenerOptions)> {
        self.listeners
    }
}

/// Accepts without end. The sessions are its own: they end at the latest with it.
pub(crate) async fn accept(
    listener: TcpListener,
    options: ListenerOptions,
    shared: Arc<Shared>,
    alive: WeakSender<()>,
) {
    let mut spare = SpareDescriptor::new();
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = sessions.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                // An observer that panics must not be the end of the listener.
                let greeted =
                    catch_unwind(AssertUnwindSafe(|| greet(stream, peer, options, &shared, &alive)));
                if let Ok(Some(session)) = greeted {
                    sessions.spawn(session);
                }
            }
            // The connection itself died before it was accepted.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            // Whoever waits is told so, one after the other.
            Err(error) if longshore_net::is_out_of_descriptors(&error) && spare.give_up() => {
                match tokio::time::timeout(ACCEPT_REST, listener.accept()).await {
                    Ok(Ok((stream, peer))) => {
                        let reply = Reply::new(Situation::NoDescriptors);
                        let _ = catch_unwind(AssertUnwindSafe(|| {
                            turn_away(&stream, peer, options, &shared, &reply)
                        }));
                    }
                    Ok(Err(_)) => tokio::time::sleep(ACCEPT_REST).await,
                    Err(_) => {}
                }
                spare.take_back();
            }
            Err(_) => {
                tokio::time::sleep(ACCEPT_REST).await;
                spare.take_back();
            }
        }
    }
}

/// What a new connection cannot have, if so.
fn admit(shared: &Shared, active: &Active, connection: &Connection) -> Result<Seat, Reply> {
    let limits = &active.config.limits;
    let address = connection.peer.ip();
    if *shared.phase.borrow() > Phase::Serving {
        return Err(Reply::new(Situation::Shutdown));
    }
    match shared.defence.connected(address, limits, Instant::now()) {
        Ok(()) => {}
        Err(Refusal::Banned(left)) => {
            return Err(Reply::new(Situation::Banned)
                .with("address", address.to_string())
                .with("seconds", left.as_secs().max(1)));
        }
        Err(Refusal::TooFast) => {
            return Err(Reply::new(Situation::TooFast)
                .with("address", address.to_string())
                .with("limit", u64::from(limits.connections_per_second_per_address)));
        }
    }
    shared.seats.take(address, limits, active.session_limit)
}

/// The session of a new connection; `None` when it is not served.
fn greet(
    stream: TcpStream,
    peer: SocketAddr,
    options: ListenerOptions,
    shared: &Arc<Shared>,
    alive: &WeakSender<()>,
) -> Option<impl Future<Output = ()> + Send + 'static> {
    let local = stream.local_addr().ok()?;
    let connection =
        Connection { local: longshore_net::normalise(local), peer: longshore_net::normalise(peer) };
    // A socket that takes no options is one whose client is gone.
    longshore_net::prepare_control(&stream).ok()?;
    let active = shared.active();
    // Whoever connects there expects TLS: what is in clear must not be taken for it.
    if options.tls == ListenerTls::Implicit && !matches!(active.config.tls, TlsOffer::On(_)) {
        turn_away(&stream, peer, options, shared, &Reply::new(Situation::TlsNoCertificate));
        return None;
    }
    // The last sender goes when the server drains.
    let (seat, alive) = match (admit(shared, &active, &connection), alive.upgrade()) {
        (Ok(seat), Some(alive)) => (seat, alive),
        (Ok(_), None) => {
            turn_away(&stream, peer, options, shared, &Reply::new(Situation::Shutdown));
            return None;
        }
        (Err(reply), _) => {
            turn_away(&stream, peer, options, shared, &reply);
            return None;
        }
    };
    let number = shared.next_number();
    // Boxed, for a value that moves into a future takes its room there twice. Nothing else of the session is held here:
    // the runtime rounds the room of a task up.
    let mut driver =
        Box::new(Driver::new(shared.clone(), active, number, Arc::new(stream), connection, options));
    Some(async move {
        let outcome = {
            let session = std::pin::pin!(driver.run());
            contained(session).await
        };
        match outcome {
            Ok(()) => drop(driver),
            Err(payload) => end_of_a_panic(driver, &*payload),
        }
        drop(seat);
        drop(alive);
    })
}

/// What is left to be said of a session that has panicked.
fn end_of_a_panic(driver: Box<Driver>, payload: &(dyn Any + Send)) {
    let (stream, shared, speaks_clear) = (driver.stream(), driver.shared(), driver.speaks_clear());
    let name = SessionName { account: None, ..driver.name() };
    // What it held is let go first: its port, its file.
    drop(driver);
    if speaks_clear {
        say_last(&stream, &shared, &Reply::new(Situation::Fault));
    }
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
    shared.tell(Some(name), EventKind::Fault { message });
}

/// Says why a connection is not served, where the client expects words and not TLS: a handshake for each that cannot be
/// served would be the best way to flood a server.
fn turn_away(stream: &TcpStream, peer: SocketAddr, options: ListenerOptions, shared: &Shared, reply: &Reply) {
    if options.tls != ListenerTls::Implicit {
        say_last(stream, shared, reply);
    }
    let peer = longshore_net::normalise(peer);
    let name = SessionName { number: shared.next_number(), peer, account: None };
    shared.tell(Some(name), EventKind::SentAway { situation: reply.situation });
}

/// Runs a session to its end or to its panic. What it held is dropped either way and never polled again, so nobody
/// sees it half-changed.
async fn contained(mut session: Pin<&mut impl Future<Output = ()>>) -> std::thread::Result<()> {
    std::future::poll_fn(|context| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| session.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    })
    .await
}

/// One reply without a session. A client that cannot take one line at once is not waited for.
fn say_last(stream: &TcpStream, shared: &Shared, reply: &Reply) {
    let mut bytes = Vec::new();
    reply.write(shared.active().config.texts.as_ref(), &mut bytes);
    let _ = stream.try_write(&bytes);
}
