//! TLS on data connections: the handshake, and whose connection it is.
//!
//! Not inside: how a connection comes about ([`data`](crate::data)), and the proof itself, which `longshore-tls` has.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use longshore_accounts::{DataPeer, DataSession};
use longshore_net::{DataSocket, PeerRule};
use longshore_proto::server::ConnectFailure;
use longshore_proto::verbs;
use longshore_tls::{ControlSession, Direction, Resumption, TlsError, TlsStream};

use crate::data::{Attempt, Cancel, Source, is_own};
use crate::limits::HANDSHAKES_AT_ONCE;
use crate::link::{Link, Wire};

/// What is asked of the protected data connections of a session.
#[derive(Clone)]
pub(crate) struct Terms {
    /// What they resume.
    pub(crate) session: ControlSession,
    pub(crate) direction: verbs::Direction,
    pub(crate) data_session: DataSession,
    pub(crate) data_peer: DataPeer,
}

/// A connection whose handshake is under way.
struct Candidate {
    /// Whether it comes from the right address.
    own: bool,
    handshake: Pin<Box<dyn Future<Output = Result<TlsStream<Wire>, TlsError>> + Send>>,
}

/// What a handshake that has ended means for the transfer.
enum Verdict {
    Taken(Attempt),
    /// It seems to be the client's, and may not be used.
    Refused(ConnectFailure, Option<String>),
    /// Somebody else's, of whom the client is told nothing; why, for the log.
    Stranger(String),
}

impl Terms {
    fn candidate(&self, socket: DataSocket, own: bool) -> Result<Candidate, TlsError> {
        let direction = match self.direction {
            verbs::Direction::Send => Direction::Download,
            verbs::Direction::Receive => Direction::Upload,
        };
        let acceptor = self.session.data_acceptor(direction)?;
        Ok(Candidate { own, handshake: Box::pin(acceptor.accept(Wire(socket))) })
    }

    /// Whether somebody else's connection is told from the client's by its TLS: only then is it worth the while to
    /// look at more than one.
    fn proves(&self) -> bool {
        self.data_session == DataSession::Require || self.data_peer == DataPeer::AddressOrProof
    }

    /// What a handshake that has ended is, of a connection from the right address (`own`) or another.
    fn judge(&self, own: bool, result: Result<TlsStream<Wire>, TlsError>) -> Verdict {
        let stream = match result {
            Ok(stream) => stream,
            Err(error) if !own => return Verdict::Stranger(error.to_string()),
            Err(error) => {
                let (failure, cause) = refusal(error);
                return Verdict::Refused(failure, Some(cause));
            }
        };
        let fresh = match stream.resumption() {
            Some(Resumption::Resumed) => {
                return Verdict::Taken(Attempt::Connected(Link::protected(stream)));
            }
            Some(Resumption::Fresh(fresh)) => fresh.clone(),
            // Said of every data connection whose handshake is complete.
            None => return Verdict::Stranger(String::new()),
        };
        match self.data_session {
            _ if !own => Verdict::Stranger(fresh.to_string()),
            DataSession::Require => Verdict::Refused(ConnectFailure::NotResumed(fresh.to_string()), None),
            DataSession::Prefer => Verdict::Taken(Attempt::Unproved(Link::protected(stream), fresh)),
            DataSession::Off => Verdict::Taken(Attempt::Connected(Link::protected(stream))),
        }
    }
}

/// Waits for a connection that may be used, and does its handshake. Where a proof is asked for, several may come at
/// once, and whoever else comes does not keep the client out: the first to prove itself is taken, and a failure is
/// told when nobody is left who might do better.
pub(crate) async fn establish(mut source: Source, own: PeerRule, terms: Terms, cancel: Cancel) -> Attempt {
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut strangers = 0_u32;
    // What the client is told if nobody does better, and what the log is of those it is not told of.
    let mut refused: Option<(ConnectFailure, Option<String>)> = None;
    let mut last_stranger = None;
    let most = if terms.proves() && source.is_passive() { HANDSHAKES_AT_ONCE } else { 1 };
    loop {
        let foreign = terms.data_peer == DataPeer::AddressOrProof;
        tokio::select! {
            biased;
            // Before any outcome: whoever fails is not the last that might do better while the client stands in the queue.
            next = source.next(), if candidates.len() < most => match next {
                Ok(socket) => {
                    let own = !source.is_passive() || is_own(&socket, own);
                    if !own && !foreign {
                        strangers = strangers.saturating_add(1);
                        continue;
                    }
                    match terms.candidate(socket, own) {
                        Ok(candidate) => candidates.push(candidate),
                        Err(error) => {
                            let (failure, cause) = refusal(error);
                            return Attempt::Failed(failure, Some(cause));
                        }
                    }
                }
                Err(failure) => return failure.into(),
            },
            (own, result) = completed(&mut candidates) => match terms.judge(own, result) {
                Verdict::Taken(attempt) => return attempt,
                // Somebody else may still be the client.
                Verdict::Refused(failure, cause) if candidates.iter().any(|candidate| candidate.own) => {
                    refused.get_or_insert((failure, cause));
                }
                Verdict::Refused(failure, cause) => return Attempt::Failed(failure, cause),
                Verdict::Stranger(why) => {
                    strangers = strangers.saturating_add(1);
                    last_stranger = Some(why);
                }
            },
            () = cancel.cancelled() => {
                if let Some((failure, cause)) = refused {
                    return Attempt::Failed(failure, cause);
                }
                if candidates.iter().any(|candidate| candidate.own) {
                    return ConnectFailure::HandshakeCancelled.into();
                }
                let others = u32::try_from(candidates.len()).unwrap_or(u32::MAX).saturating_add(strangers);
                if foreign && others > 0 {
                    return Attempt::Failed(ConnectFailure::OnlyUnproved, last_stranger);
                }
                let strangers = strangers.saturating_add(source.strangers());
                return ConnectFailure::Cancelled { strangers }.into();
            }
        }
    }
}

/// The next handshake that has ended, and whether its address was right; never, while there is none. Cancel-safe.
async fn completed(candidates: &mut Vec<Candidate>) -> (bool, Result<TlsStream<Wire>, TlsError>) {
    std::future::poll_fn(|context| {
        for index in 0..candidates.len() {
            if let Poll::Ready(result) = candidates[index].handshake.as_mut().poll(context) {
                return Poll::Ready((candidates.remove(index).own, result));
            }
        }
        Poll::Pending
    })
    .await
}

/// What the client is told of a handshake that failed, and what the log is.
fn refusal(error: TlsError) -> (ConnectFailure, String) {
    let cause = error.to_string();
    let failure = match error {
        TlsError::NotTls { .. } => ConnectFailure::NotTls,
        _ => ConnectFailure::HandshakeFailed(cause.clone()),
    };
    (failure, cause)
}
