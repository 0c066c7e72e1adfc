//! TLS on the control connection, and what is kept of it for data connections.
//!
//! Not inside: when it begins and ends, which the session says.

use longshore_accounts::{DataPeer, DataSession, ShownCertificate, TlsRules};
use longshore_proto::reply::Reply;
use longshore_proto::server::{Input, OperationId, Protection, TlsEvent, TransferJob};
use longshore_proto::verbs::Direction;
use longshore_tls::{ControlSession, Stage, TlsConnection, TlsError, Version};

use super::{Driver, Happening};
use crate::config::TlsOffer;
use crate::data::Near;
use crate::events::EventKind;
use crate::listener::ListenerOptions;
use crate::secure::Terms;
use crate::transfer::Ends;

/// What protects the session.
#[derive(Default)]
pub(super) struct Shield {
    /// TLS that has begun at least once.
    tls: Option<Box<Tls>>,
    /// What its listener says.
    listener: ListenerOptions,
    /// What holds for it now.
    rules: TlsRules,
    /// Whether it was told that a data connection of this session did not resume.
    told_unproved: bool,
}

struct Tls {
    connection: Connection,
    session: ControlSession,
    certificate: Option<ShownCertificate>,
}

/// How the control connection's bytes are read and written.
enum Connection {
    /// Its handshake is under way; the operation is answered at its end.
    Starting(OperationId, TlsConnection),
    Up(TlsConnection),
    /// We write in clear again; the client may still have to end its direction.
    Leaving(TlsConnection),
    /// In clear again.
    Gone,
}

impl Shield {
    pub(super) fn new(listener: ListenerOptions, rules: TlsRules) -> Shield {
        Shield { tls: None, listener, rules: listener.rules.over(rules), told_unproved: false }
    }

    /// Whether replies go out as they are.
    pub(super) fn speaks_clear(&self) -> bool {
        !matches!(&self.tls, Some(tls) if matches!(tls.connection, Connection::Up(_) | Connection::Starting(..)))
    }

    /// Whether no handshake is under way.
    pub(super) fn is_settled(&self) -> bool {
        !matches!(&self.tls, Some(tls) if matches!(tls.connection, Connection::Starting(..)))
    }

    /// Whether what is said now is protected.
    pub(super) fn is_up(&self) -> bool {
        matches!(&self.tls, Some(tls) if matches!(tls.connection, Connection::Up(_)))
    }

    pub(super) fn certificate(&self) -> Option<&ShownCertificate> {
        self.tls.as_ref()?.certificate.as_ref()
    }

    /// What is asked of an account before it is known.
    pub(super) fn base(&self, rules: TlsRules) -> TlsRules {
        self.listener.rules.over(rules)
    }

    pub(super) fn set_rules(&mut self, rules: TlsRules) {
        self.rules = rules;
    }

    /// Who may come near a passive port.
    pub(super) fn near(&self) -> Near {
        let tls = self.tls.is_some();
        let anyone = tls && self.rules.data_peer.unwrap_or_default() == DataPeer::AddressOrProof;
        let several = anyone || (tls && self.rules.data_session.unwrap_or_default() == DataSession::Require);
        Near { anyone, several }
    }

    /// What is asked of a protected data connection; `None` without TLS.
    pub(super) fn terms(&self, direction: Direction) -> Option<Terms> {
        Some(Terms {
            session: self.tls.as_ref()?.session.clone(),
            direction,
            data_session: self.rules.data_session.unwrap_or_default(),
            data_peer: self.rules.data_peer.unwrap_or_default(),
        })
    }

    pub(super) fn ends(&self, job: &TransferJob) -> Ends {
        Ends {
            upload_end: self.rules.upload_end.unwrap_or_default(),
            suspect_tls: self.tls.is_some() && job.protection == Protection::Clear,
        }
    }

    /// Appends close_notify to what is to be sent, if TLS is in force.
    pub(super) fn close(&mut self, unsent: &mut Vec<u8>) {
        if let Some(tls) = &mut self.tls
            && let Connection::Up(connection) = &mut tls.connection
        {
            // A connection that has failed has sent its alert instead.
            let _ = connection.close_notify(unsent);
        }
    }
}

impl Driver {
    /// Writes a reply to where it goes out, protected where the control connection is.
    pub(super) fn say(&mut self, reply: &Reply) {
        let texts = self.active.config.texts.as_ref();
        match &mut self.shield.tls {
            Some(tls) if matches!(tls.connection, Connection::Up(_)) => {
                let Connection::Up(connection) = &mut tls.connection else { return };
                let mut plain = Vec::new();
                reply.write(texts, &mut plain);
                // What failed has told the client so, and the next read ends the session.
                let _ = connection.send(&plain, self.unsent.end());
                if self.shared.trace.any() {
                    self.trace_reply(&plain, reply.situation);
                }
            }
            // The session says nothing meanwhile.
            Some(tls) if matches!(tls.connection, Connection::Starting(..)) => {}
            _ => {
                let begin = self.unsent.end().len();
                reply.write(texts, self.unsent.end());
                if self.shared.trace.any() {
                    let plain = self.unsent.end()[begin..].to_vec();
                    self.trace_reply(&plain, reply.situation);
                }
            }
        }
    }

    /// Begins TLS, unless something was read behind the command that asks for it.
    pub(super) fn start_tls(&mut self, id: OperationId, reply: Option<&Reply>) {
        if !self.lines.is_empty() {
            return self.hand_in(Input::Tls(id, TlsEvent::BytesBehind));
        }
        let begun = match &self.active.config.tls {
            TlsOffer::On(tls) => tls.server.accept_control(),
            // The session asks only where it is offered.
            TlsOffer::NoCertificate | TlsOffer::Off => Err(TlsError::Over),
        };
        match begun {
            Ok((session, connection)) => {
                if let Some(reply) = reply {
                    self.say(reply);
                }
                let connection = Connection::Starting(id, connection);
                self.shield.tls = Some(Box::new(Tls { connection, session, certificate: None }));
            }
            Err(error) => {
                self.tell(EventKind::TlsFailed { why: error.to_string() });
                self.hand_in(Input::Tls(id, TlsEvent::Failed));
            }
        }
    }

    /// Says a last reply inside TLS and goes on in clear.
    pub(super) fn stop_tls(&mut self, reply: &Reply) {
        self.say(reply);
        let Some(tls) = &mut self.shield.tls else { return };
        let mut unsent = std::mem::take(self.unsent.end());
        tls.connection = match std::mem::replace(&mut tls.connection, Connection::Gone) {
            Connection::Up(mut connection) => {
                let _ = connection.leave(&mut unsent);
                Connection::Leaving(connection)
            }
            other => other,
        };
        *self.unsent.end() = unsent;
        self.leave_if_ended();
    }

    /// Takes what was read from the socket: lines, or TLS that has to be worked on.
    pub(super) fn arrived(&mut self, bytes: &[u8]) -> Happening {
        let Some(tls) = &mut self.shield.tls else {
            self.lines.extend(bytes);
            return Happening::Read;
        };
        let (starting, connection) = match &mut tls.connection {
            Connection::Starting(id, connection) => (Some(*id), connection),
            Connection::Up(connection) | Connection::Leaving(connection) => (None, connection),
            Connection::Gone => {
                self.lines.extend(bytes);
                return Happening::Read;
            }
        };
        let mut plain = Vec::new();
        let stage = connection.receive(bytes, &mut plain, self.unsent.end());
        self.lines.extend(&plain);
        match (stage, starting) {
            (Err(error), Some(id)) => self.handshake_failed(id, &error),
            (Err(error), None) => {
                self.tell(EventKind::TlsFailed { why: error.to_string() });
                self.reading.ended = true;
                // What came before it was the client's.
                self.reading.failed = true;
                Happening::Read
            }
            (Ok(Stage::Open | Stage::Ended), Some(id)) => {
                let event = self.tls_is_up();
                self.leave_if_ended();
                Happening::Tls(id, event)
            }
            (Ok(_), _) => {
                self.leave_if_ended();
                Happening::Read
            }
        }
    }

    fn tls_is_up(&mut self) -> TlsEvent {
        let Some(tls) = &mut self.shield.tls else { return TlsEvent::Failed };
        tls.connection = match std::mem::replace(&mut tls.connection, Connection::Gone) {
            Connection::Starting(_, connection) => Connection::Up(connection),
            other => other,
        };
        let Connection::Up(connection) = &tls.connection else { return TlsEvent::Failed };
        let Some(facts) = connection.facts() else { return TlsEvent::Failed };
        tls.certificate = facts.client_certificate.as_ref().map(|shown| ShownCertificate {
            subject: shown.subject.clone(),
            fingerprint: shown.fingerprint.clone(),
        });
        let version = match facts.version {
            Version::Tls12 => "TLS 1.2",
            Version::Tls13 => "TLS 1.3",
        };
        let description = format!("{version} with {}", facts.cipher_suite);
        let event = EventKind::Secured {
            version,
            cipher_suite: facts.cipher_suite.clone(),
            server_name: facts.server_name.clone(),
            certificate: tls.certificate.as_ref().map(|shown| shown.subject.clone()),
        };
        let certificate = tls.certificate.is_some();
        self.tell(event);
        TlsEvent::Up { description, certificate }
    }

    /// The client's direction of TLS has ended: with it its input, or after CCC what was protected of it.
    fn leave_if_ended(&mut self) {
        let Some(tls) = &mut self.shield.tls else { return };
        tls.connection = match std::mem::replace(&mut tls.connection, Connection::Gone) {
            Connection::Leaving(connection) if connection.stage() == Stage::Ended => {
                self.lines.extend(&connection.into_clear());
                Connection::Gone
            }
            Connection::Up(connection) if connection.stage() == Stage::Ended => {
                self.reading.ended = true;
                Connection::Up(connection)
            }
            other => other,
        };
    }

    /// The socket has ended while a handshake was under way.
    pub(super) fn ended_in_handshake(&mut self) -> Option<Happening> {
        match &self.shield.tls.as_ref()?.connection {
            Connection::Starting(id, _) => Some(self.handshake_failed(*id, &TlsError::ClosedInHandshake)),
            _ => None,
        }
    }

    fn handshake_failed(&mut self, id: OperationId, error: &TlsError) -> Happening {
        self.tell(EventKind::TlsFailed { why: error.to_string() });
        Happening::Tls(id, TlsEvent::Failed)
    }

    /// Counts a data connection that `data_session = require` would have refused, and tells of the first of a session.
    pub(super) fn unproved(&mut self, why: &longshore_tls::Fresh) {
        self.shared.count_unproved();
        if !std::mem::replace(&mut self.shield.told_unproved, true) {
            self.tell(EventKind::DataNotProved { why: why.to_string() });
        }
    }
}
