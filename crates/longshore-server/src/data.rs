//! A session's data connection: the reserved port, a connection that stands, and the way to one.
//!
//! Not inside: when any of it is wanted (the session says) and the bytes that move over it
//! ([`transfer`](crate::transfer)).

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use longshore_net::{DataSocket, PassivePool, PeerRule, Reservation, ReserveError, Take};
use longshore_proto::server::{ConnectFailure, DataEvent, Route};
use tokio::sync::Notify;

use crate::limits::ACCEPT_REST;

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
    local: SocketAddr,
    peer: PeerRule,
    reservation: Option<Reservation>,
    standing: Option<DataSocket>,
}

/// The end of an attempt to have the data connection.
pub(crate) enum Attempt {
    Connected(DataSocket),
    Failed(ConnectFailure),
}

/// A way to the data connection.
pub(crate) type Connecting = Pin<Box<dyn Future<Output = Attempt> + Send>>;

impl DataConnection {
    pub(crate) fn new(pool: PassivePool, local: SocketAddr, peer: PeerRule) -> DataConnection {
        DataConnection { pool, local, peer, reservation: None, standing: None }
    }

    /// Ends an older reservation, then makes a new one.
    pub(crate) fn reserve(&mut self) -> Result<u16, ReserveError> {
        self.release();
        let reservation = self.pool.reserve_beside(self.local, self.peer)?;
        let port = reservation.port();
        self.reservation = Some(reservation);
        Ok(port)
    }

    /// Ends what is arranged. A client that has connected already is let go in order: a reset might take from it the
    /// reply that says why.
    pub(crate) fn release(&mut self) {
        if let Some(mut reservation) = self.reservation.take()
            && let Take::Connected(socket) = reservation.try_take()
        {
            socket.discard_in_background();
        }
        if let Some(socket) = self.standing.take() {
            socket.discard_in_background();
        }
    }

    /// Whether a connection stands that is alive.
    pub(crate) fn probe(&mut self) -> DataEvent {
        if self.standing.as_ref().is_some_and(DataSocket::is_dead) {
            self.standing = None;
        }
        if self.standing.is_none()
            && let Some(reservation) = &mut self.reservation
            && let Take::Connected(socket) = reservation.try_take()
        {
            self.standing = Some(socket);
            self.reservation = None;
        }
        if self.standing.is_some() { DataEvent::Standing } else { DataEvent::NotYet }
    }

    /// The connection that stands, else the way to one.
    pub(crate) fn establish(&mut self, route: Route, cancel: Cancel) -> Result<DataSocket, Connecting> {
        if let Some(socket) = self.standing.take() {
            return Ok(socket);
        }
        let local = self.local;
        match (route, self.reservation.take()) {
            (Route::Passive { .. }, Some(reservation)) => Err(Box::pin(wait_for_client(reservation, cancel))),
            // The session asks for a passive connection only while a port is reserved.
            (Route::Passive { .. }, None) => {
                Err(Box::pin(async { Attempt::Failed(ConnectFailure::Cancelled { strangers: 0 }) }))
            }
            (Route::Active { to }, _) => Err(Box::pin(connect_to_client(local, to, cancel))),
        }
    }
}

async fn wait_for_client(mut reservation: Reservation, cancel: Cancel) -> Attempt {
    loop {
        let taken = tokio::select! {
            biased;
            taken = reservation.take() => taken,
            () = cancel.cancelled() => {
                return Attempt::Failed(ConnectFailure::Cancelled { strangers: reservation.strangers() });
            }
        };
        match taken {
            Ok(socket) => return Attempt::Connected(socket),
            // No descriptor is left: one may be in a moment, and the session's own deadline ends the wait.
            Err(_) => tokio::select! {
                () = tokio::time::sleep(ACCEPT_REST) => {}
                () = cancel.cancelled() => return Attempt::Failed(ConnectFailure::Cancelled { strangers: 0 }),
            },
        }
    }
}

async fn connect_to_client(local: SocketAddr, to: SocketAddr, cancel: Cancel) -> Attempt {
    tokio::select! {
        biased;
        connected = longshore_net::active::connect(local, to) => match connected {
            Ok(socket) => Attempt::Connected(socket),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Attempt::Failed(ConnectFailure::Refused)
            }
            Err(_) => Attempt::Failed(ConnectFailure::Unreachable),
        },
        () = cancel.cancelled() => Attempt::Failed(ConnectFailure::Cancelled { strangers: 0 }),
    }
}
