//! A session's data connection: the reserved port, a connection that stands, and the way to one.
//!
//! Not inside: when any of it is wanted (the session says), TLS on it ([`secure`](crate::secure)), and the bytes that
//! move over it ([`transfer`](crate::transfer)).

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use longshore_net::{DataSocket, PassivePool, PeerRule, Reservation, ReserveError, Take};
use longshore_proto::server::{Channel, ConnectFailure, DataEvent, Protection, Route};
use tokio::sync::Notify;

use crate::limits::{ACCEPT_REST, HANDSHAKES_AT_ONCE};
use crate::link::Link;
use crate::secure::{self, Terms};

/// Asks a wait or a transfer to end. One side asks, one side listens.
#[derive(Clone, Default)]
pub(crate) struct Cancel(Arc<Notify>);

impl Cancel {
    pub(crate) fn cancel(&self) {
        // Kept until somebody listens, so that no cancel is lost between two waits.
        self.0.notify_one();
    }

    pub(crate) async fn cancelled(&self) {
        self.0.notified().await;
    }
}

/// What the session holds for its next or running transfer.
pub(crate) struct DataConnection {
    pool: PassivePool,
    peer: PeerRule,
    /// Boxed, as most of the time nothing is arranged.
    passive: Option<Box<Passive>>,
    /// The connection of the transfer before, which stays.
    kept: Option<Box<Link>>,
}

/// A passive port of ours.
pub(crate) struct Passive {
    reservation: Reservation,
    /// Who has come there already.
    standing: Option<DataSocket>,
}

/// Who may connect to a passive port before it is known who is the client.
#[derive(Clone, Copy)]
pub(crate) struct Near {
    /// Connections from every address: they will have to prove whose they are.
    pub(crate) anyone: bool,
    /// Several at once: a proof tells the client's from the others.
    pub(crate) several: bool,
}

/// The end of an attempt to have the data connection.
pub(crate) enum Attempt {
    Connected(Link),
    /// As `Connected`, and protected, but nothing proves that it is the client's but its address; why.
    Unproved(Link, longshore_tls::Fresh),
    /// What failed, and what the log should know of it beyond that.
    Failed(ConnectFailure, Option<String>),
}

impl From<ConnectFailure> for Attempt {
    fn from(failure: ConnectFailure) -> Attempt {
        Attempt::Failed(failure, None)
    }
}

/// A way to the data connection.
pub(crate) type Connecting = Pin<Box<dyn Future<Output = Attempt> + Send>>;

impl DataConnection {
    pub(crate) fn new(pool: PassivePool, peer: PeerRule) -> DataConnection {
        DataConnection { pool, peer, passive: None, kept: None }
    }

    /// Ends an older reservation, then makes a new one for those who may come near. `local` is our end of the control
    /// connection.
    pub(crate) fn reserve(&mut self, local: SocketAddr, near: Near) -> Result<u16, ReserveError> {
        self.release();
        let peer = if near.anyone { PeerRule::Anyone } else { self.peer };
        let mut reservation = self.pool.reserve_beside(local, peer)?;
        if near.several {
            reservation.admit_several(HANDSHAKES_AT_ONCE);
        }
        let port = reservation.port();
        self.passive = Some(Box::new(Passive { reservation, standing: None }));
        Ok(port)
    }

    /// Ends what is arranged. A client that has connected already is let go in order: a reset might take from it the
    /// reply that says why.
    pub(crate) fn release(&mut self) {
        if let Some(passive) = self.passive.take() {
            let Passive { mut reservation, standing } = *passive;
            if let Take::Connected(socket) = reservation.try_take() {
                socket.discard_in_background();
            }
            if let Some(socket) = standing {
                socket.discard_in_background();
            }
        }
        if let Some(link) = self.kept.take() {
            link.let_go();
        }
    }

    /// Holds a connection for the next transfer.
    pub(crate) fn keep(&mut self, link: Link) {
        self.kept = Some(Box::new(link));
    }

    /// Whether a connection stands that is alive. One whose address says nothing is not spoken of before it has proved
    /// itself.
    pub(crate) fn probe(&mut self) -> DataEvent {
        if let Some(link) = &mut self.kept {
            return if link.is_dead() { DataEvent::NotYet } else { DataEvent::Standing };
        }
        let Some(Passive { reservation, standing }) = self.passive.as_deref_mut() else {
            return DataEvent::NotYet;
        };
        if standing.as_ref().is_some_and(DataSocket::is_dead) {
            *standing = None;
            reservation.take_another();
        }
        if standing.is_none()
            && let Take::Connected(socket) = reservation.try_take()
        {
            *standing = Some(socket);
        }
        match standing {
            Some(socket) if is_own(socket, self.peer) => DataEvent::Standing,
            _ => DataEvent::NotYet,
        }
    }

    /// The connection that was kept or stands, else the way to one. `terms` are those of protected ones.
    pub(crate) fn establish(
        &mut self,
        local: SocketAddr,
        channel: Channel,
        terms: Option<Terms>,
        cancel: Cancel,
    ) -> Result<Link, Connecting> {
        if let Some(link) = self.kept.take() {
            return Ok(*link);
        }
        let own = self.peer;
        let source = match (channel.route, self.passive.take()) {
            (Route::Active { to }, _) => Source::Active { local, to },
            (Route::Passive { .. }, Some(passive)) => Source::Passive(*passive),
            // The session asks for a passive connection only while a port is reserved.
            (Route::Passive { .. }, None) => {
                return Err(Box::pin(async { ConnectFailure::Cancelled { strangers: 0 }.into() }));
            }
        };
        match (channel.protection, terms, source) {
            (Protection::Clear, _, Source::Passive(Passive { reservation, standing: Some(socket) }))
                if is_own(&socket, own) =>
            {
                drop(reservation);
                Ok(Link::in_clear(socket))
            }
            (Protection::Clear, _, source) => Err(Box::pin(in_clear(source, own, cancel))),
            (Protection::Private, Some(terms), source) => {
                Err(Box::pin(secure::establish(source, own, terms, cancel)))
            }
            // The session protects data connections only where it has seen TLS begin.
            (Protection::Private, None, _) => Err(Box::pin(async {
                ConnectFailure::HandshakeFailed("the control connection has no TLS".to_owned()).into()
            })),
        }
    }
}

/// Whether a connection comes from where it must, by its address.
pub(crate) fn is_own(socket: &DataSocket, rule: PeerRule) -> bool {
    match rule {
        PeerRule::Exactly(address) => socket.peer().ip() == address,
        PeerRule::Anyone => true,
    }
}

/// Where connections come from.
pub(crate) enum Source {
    Passive(Passive),
    Active { local: SocketAddr, to: SocketAddr },
}

impl Source {
    /// The next connection. There is one only where we connect: ask once. Cancel-safe while passive.
    pub(crate) async fn next(&mut self) -> Result<DataSocket, ConnectFailure> {
        match self {
            Source::Passive(Passive { standing: standing @ Some(_), reservation }) => {
                reservation.take_another();
                Ok(standing.take().expect("just matched"))
            }
            Source::Passive(Passive { reservation, .. }) => loop {
                match reservation.take().await {
                    Ok(socket) => {
                        reservation.take_another();
                        return Ok(socket);
                    }
                    // No descriptor is left: one may be in a moment, and the session's own deadline ends the wait.
                    Err(_) => tokio::time::sleep(ACCEPT_REST).await,
                }
            },
            Source::Active { local, to } => match longshore_net::active::connect(*local, *to).await {
                Ok(socket) => Ok(socket),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    Err(ConnectFailure::Refused)
                }
                Err(_) => Err(ConnectFailure::Unreachable),
            },
        }
    }

    /// Connections that were closed because their addresses were wrong.
    pub(crate) fn strangers(&self) -> u32 {
        match self {
            Source::Passive(passive) => passive.reservation.strangers(),
            Source::Active { .. } => 0,
        }
    }

    pub(crate) fn is_passive(&self) -> bool {
        matches!(self, Source::Passive(_))
    }
}

async fn in_clear(mut source: Source, own: PeerRule, cancel: Cancel) -> Attempt {
    // Those that another rule has let come near, and that will not prove themselves in clear.
    let mut strangers = 0_u32;
    loop {
        let next = tokio::select! {
            biased;
            next = source.next() => next,
            () = cancel.cancelled() => {
                let strangers = strangers.saturating_add(source.strangers());
                return ConnectFailure::Cancelled { strangers }.into();
            }
        };
        match next {
            Ok(socket) if !source.is_passive() || is_own(&socket, own) => {
                return Attempt::Connected(Link::in_clear(socket));
            }
            Ok(_) => strangers = strangers.saturating_add(1),
            Err(failure) => return failure.into(),
        }
    }
}
