//! A session's claim on one connection to one passive port.
//!
//! Not inside: the choice of the port ([`super::pool`]) and the accepting ([`super::listener`]).

use std::io;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::listener::{Listener, Round, Wakers};
use super::pool::Shared;
use super::{LocalAddress, PeerKey};
use crate::data::DataSocket;
use crate::limits;

/// One connection of one peer, promised at one port. Dropping it closes what has arrived and was
/// not taken, and gives the port back.
///
/// A reservation gives one connection. Later ones of the same peer are closed and counted as
/// [`Reservation::surplus`]; connections that no reservation of the port waits for are closed and
/// counted as [`Reservation::strangers`]. Drop the reservation once its connection is taken.
///
/// # Which connections are delivered
///
/// Before the mark, a session asks [`Reservation::try_take`]. A connection that stands by then but
/// has ended without a byte is closed and not delivered: an upload over it would store nothing and
/// report success, though the client never saw a mark. After the mark, the session waits with
/// [`Reservation::take`], which delivers every connection: there, the end without a byte is an
/// empty file.
#[derive(Debug)]
pub struct Reservation {
    pool: Arc<Shared>,
    /// `None` only while the reservation is being dropped.
    listener: Option<Arc<Listener>>,
    key: PeerKey,
    local: LocalAddress,
    port: u16,
}

/// What [`Reservation::try_take`] found.
#[derive(Debug)]
pub enum Take {
    /// The connection already stood.
    Connected(DataSocket),
    /// No connection of the peer yet.
    NotYet,
}

impl Reservation {
    pub(super) fn new(
        pool: Arc<Shared>,
        listener: Arc<Listener>,
        key: PeerKey,
        local: LocalAddress,
        port: u16,
    ) -> Self {
        Self { pool, listener: Some(listener), key, local, port }
    }

    /// The port that the peer has to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections that were closed because no reservation of this port was for them, since this
    /// reservation was made. Those still pending are not counted.
    #[must_use]
    pub fn strangers(&self) -> u32 {
        self.listener().lock().strangers(self.key)
    }

    /// Connections of this reservation's own peer that were closed because it had one already.
    /// Those still pending are not counted.
    #[must_use]
    pub fn surplus(&self) -> u32 {
        self.listener().lock().seat(self.key).surplus()
    }

    /// Lets up to `most` connections of the peer wait and be taken one after the other, for whoever tells them apart only
    /// by what they say. Without it all but the first are closed.
    pub fn admit_several(&mut self, most: usize) {
        self.listener().lock().seat(self.key).admit_several(most);
    }

    /// Lets one more connection be taken after the one that was: for whoever finds out later that it was not the right
    /// one. Connections that came in between were closed, unless several may wait.
    pub fn take_another(&mut self) {
        self.listener().lock().seat(self.key).serve_again();
    }

    /// Accepts what is pending, without waiting, and hands over this reservation's connection if
    /// it is there and alive.
    ///
    /// A shortage of descriptors is `NotYet`; [`Reservation::take`] reports it.
    pub fn try_take(&mut self) -> Take {
        let mut wakers = Wakers::new();
        let taken = self.take_living(&mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        taken.map_or(Take::NotYet, Take::Connected)
    }

    fn take_living(&self, wakers: &mut Wakers) -> Option<DataSocket> {
        let listener = self.listener();
        let mut seats = listener.lock();
        // Each turn discards one dead connection; a peer that makes them faster than this loop ends
        // them waits for the next call.
        for _ in 0..limits::ACCEPT_ROUND {
            seats.seat(self.key).discard_dead();
            if let Some(socket) = seats.seat(self.key).collect() {
                return Some(socket);
            }
            listener.accept_round(&mut seats, Some(self.key), wakers).ok()?;
            if !seats.seat(self.key).has_connection() {
                return None;
            }
        }
        None
    }

    /// Waits, without limit, for this reservation's connection.
    ///
    /// Cancel-safe: dropping the future loses no connection; the next call has it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the connection was taken before; else a shortage of descriptors or memory,
    /// after which the call may be repeated.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O enabled.
    pub async fn take(&mut self) -> io::Result<DataSocket> {
        if self.listener().lock().seat(self.key).is_served() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "this reservation has given its connection",
            ));
        }
        if let (Some(socket), _) = self.take_any()? {
            return Ok(socket);
        }
        let listener = self.listener();
        let registered = listener.registered()?;
        loop {
            // Strangers that come without end must not keep other tasks of this thread waiting.
            tokio::task::coop::consume_budget().await;
            let arrived = registered.readable_unless(|context| {
                let mut seats = listener.lock();
                let seat = seats.seat(self.key);
                if let Some(socket) = seat.collect() {
                    return Poll::Ready(socket);
                }
                seat.wake_me(context.waker());
                Poll::Pending
            });
            let mut guard = match arrived.await {
                Err(socket) => return Ok(socket),
                Ok(guard) => guard?,
            };
            let (socket, round) = self.take_any()?;
            match round {
                Round::Drained => guard.clear_ready(),
                Round::Stopped => guard.retain_ready(),
            }
            if let Some(socket) = socket {
                return Ok(socket);
            }
        }
    }

    /// One round; the connection is delivered whatever became of it.
    fn take_any(&self) -> io::Result<(Option<DataSocket>, Round)> {
        let mut wakers = Wakers::new();
        let listener = self.listener();
        let mut seats = listener.lock();
        let round = match seats.seat(self.key).has_connection() {
            true => Ok(Round::Stopped),
            false => listener.accept_round(&mut seats, Some(self.key), &mut wakers),
        };
        // Even if the round failed later on: what has arrived has arrived.
        let socket = seats.seat(self.key).collect();
        drop(seats);
        wakers.into_iter().for_each(Waker::wake);
        match (socket, round) {
            (Some(socket), round) => Ok((Some(socket), round.unwrap_or(Round::Stopped))),
            (None, round) => Ok((None, round?)),
        }
    }

    fn listener(&self) -> &Arc<Listener> {
        self.listener.as_ref().expect("only drop takes it out")
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.take() {
            self.pool.release(listener, self.key, self.local, self.port);
        }
    }
}
