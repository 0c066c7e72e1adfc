//! What of a session TLS protects: AUTH, PBSZ, PROT, CCC (RFC 4217), and what must be protected.
//!
//! Not inside: TLS itself. Whoever drives the session begins and ends it ([`Output::StartTls`], [`Output::StopTls`])
//! and carries out the [`Protection`] of each data connection.

use super::login::Login;
use super::session::{Session, Stage};
use super::settings::Settings;
use super::{Ending, Moment, OperationId, Output};
use crate::command::{AuthMechanism, ProtectionLevel};
use crate::reply::{Reply, Situation};
use crate::verbs::Verb;

/// What an operator decides about TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsPolicy {
    /// Whether and how it begins.
    pub offer: TlsOffer,
    /// What must be protected.
    pub need: TlsNeed,
    /// Whether CCC may take the protection from the control connection.
    pub allow_ccc: bool,
}

/// Whether and how TLS begins on a control connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsOffer {
    /// There is no certificate: 431.
    #[default]
    NoCertificate,
    /// It is not wanted: 534.
    Off,
    /// With AUTH.
    Explicit,
    /// At once, before the greeting. Data connections begin as after `PROT P`.
    Implicit,
}

/// What must be protected. Each includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsNeed {
    /// Nothing.
    #[default]
    Nothing,
    /// The control connection, before USER.
    Login,
    /// Data connections, too.
    Data,
}

/// Whether a data connection is protected by TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protection {
    /// `PROT C`: in clear.
    #[default]
    Clear,
    /// `PROT P`: by TLS.
    Private,
}

/// What came of [`Output::StartTls`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsEvent {
    /// Nothing was begun and nothing said: bytes stood behind the AUTH that were sent in clear.
    BytesBehind,
    /// TLS protects the control connection.
    Up {
        /// Version and cipher suite, for STAT.
        description: String,
        /// Whether the client has shown a certificate, which was verified.
        certificate: bool,
    },
    /// There will be none, and the connection is of no use any more.
    Failed,
}

/// What is protected, and what must be.
#[derive(Debug, Default)]
pub(super) struct Shield {
    /// What protects the control connection.
    control: Option<Box<Tls>>,
    /// Whether PBSZ was said since.
    buffer_size_set: bool,
    pub(super) data: Protection,
    /// Of the policy and the account together.
    pub(super) need: TlsNeed,
}

#[derive(Debug)]
struct Tls {
    description: String,
    certificate: bool,
}

impl Shield {
    pub(super) fn new(policy: &TlsPolicy) -> Shield {
        let implicit = policy.offer == TlsOffer::Implicit;
        Shield {
            control: None,
            buffer_size_set: implicit,
            data: if implicit { Protection::Private } else { Protection::Clear },
            need: policy.need,
        }
    }

    /// Whether TLS protects the control connection.
    pub(super) fn is_up(&self) -> bool {
        self.control.is_some()
    }

    /// Whether the client has shown a certificate.
    pub(super) fn has_certificate(&self) -> bool {
        self.control.as_ref().is_some_and(|tls| tls.certificate)
    }

    /// For STAT.
    pub(super) fn status(&self) -> String {
        let control = match &self.control {
            Some(tls) => tls.description.as_str(),
            None => "in clear",
        };
        let data = match self.data {
            Protection::Clear => "in clear",
            Protection::Private => "protected by TLS",
        };
        format!("control connection {control}, data connections {data}")
    }
}

impl Session {
    /// Asks for TLS at once: an implicit listener.
    pub(super) fn begin_implicit(&mut self) {
        self.await_tls(None);
    }

    fn await_tls(&mut self, reply: Option<Reply>) {
        let id = self.new_id();
        let until = self.now + self.policy.handshake_timeout;
        self.stage = Stage::AwaitTls { id, until, greet: reply.is_none() };
        self.push(Output::StartTls(id, reply));
    }

    pub(super) fn auth(&mut self, mechanism: AuthMechanism) {
        let situation = match self.policy.tls.offer {
            _ if self.shield.is_up() => Situation::AuthInsideTls,
            TlsOffer::NoCertificate => Situation::TlsNoCertificate,
            TlsOffer::Off => Situation::TlsNotOffered,
            TlsOffer::Explicit | TlsOffer::Implicit => {
                if !self.nothing_waits() {
                    return self.say_goodbye(Reply::new(Situation::BytesBehindAuth));
                }
                // Behind a 234 nobody could read it any more.
                if self.draining {
                    return self.say_goodbye(Reply::new(Situation::Shutdown));
                }
                // Whatever was said in clear, somebody else may have said (RFC 4217 section 4.2).
                self.log_out();
                self.login = Login::Out { user: None };
                self.settings = Settings::default();
                let held = self.arrangement.close();
                self.let_go(held);
                let private = mechanism == AuthMechanism::TlsPrivate;
                self.shield = Shield {
                    buffer_size_set: private,
                    data: if private { Protection::Private } else { Protection::Clear },
                    ..Shield::new(&TlsPolicy { offer: TlsOffer::Explicit, ..self.policy.tls })
                };
                return self.await_tls(Some(Reply::new(Situation::TlsBegins)));
            }
        };
        self.answer(Verb::Auth, Reply::new(situation));
    }

    pub(super) fn handle_tls(&mut self, id: OperationId, event: TlsEvent) {
        let Stage::AwaitTls { id: expected, greet, .. } = self.stage else { return };
        if expected != id {
            return;
        }
        self.stage = Stage::Idle;
        match event {
            TlsEvent::BytesBehind => self.say_goodbye(Reply::new(Situation::BytesBehindAuth)),
            TlsEvent::Up { description, certificate } => {
                self.timers.last_activity = self.now;
                self.shield.control = Some(Box::new(Tls { description, certificate }));
                if greet {
                    self.push(Output::Reply(Reply::new(Situation::Greeting)));
                }
            }
            // RFC 4217 section 10.1: nothing can be said any more.
            TlsEvent::Failed => self.close(Ending::TlsFailed),
        }
    }

    /// TLS has taken too long to begin.
    pub(super) fn handshake_is_overdue(&self, now: Moment) -> bool {
        matches!(self.stage, Stage::AwaitTls { until, .. } if until <= now)
    }

    pub(super) fn pbsz(&mut self) {
        let situation = if self.shield.is_up() {
            self.shield.buffer_size_set = true;
            Situation::BufferSizeSet
        } else {
            Situation::PbszInClear
        };
        self.answer(Verb::Pbsz, Reply::new(situation));
    }

    pub(super) fn prot(&mut self, level: ProtectionLevel) {
        let situation = match level {
            _ if !self.shield.buffer_size_set => Situation::ProtWithoutPbsz,
            ProtectionLevel::Clear if self.shield.need == TlsNeed::Data => Situation::ProtClearRefused,
            ProtectionLevel::Clear => {
                self.shield.data = Protection::Clear;
                Situation::ProtClear
            }
            ProtectionLevel::Private => {
                self.shield.data = Protection::Private;
                Situation::ProtPrivate
            }
            ProtectionLevel::Safe | ProtectionLevel::Confidential => Situation::ProtLevel,
        };
        self.answer(Verb::Prot, Reply::new(situation));
    }

    pub(super) fn ccc(&mut self) {
        let situation = if !self.shield.is_up() {
            Situation::CccInClear
        } else if !self.policy.tls.allow_ccc {
            Situation::CccRefused
        } else {
            self.shield.control = None;
            return self.push(Output::StopTls(Reply::new(Situation::ControlClear)));
        };
        self.answer(Verb::Ccc, Reply::new(situation));
    }

    /// What REIN does about TLS, and how it is answered: an implicit listener knows no other beginning; elsewhere
    /// the beginning is in clear.
    pub(super) fn rein_shield(&mut self) -> Output {
        let reply = Reply::new(Situation::Reset);
        if self.shield.is_up() && self.policy.tls.offer != TlsOffer::Implicit {
            self.shield = Shield::new(&self.policy.tls);
            return Output::StopTls(reply);
        }
        let control = self.shield.control.take();
        self.shield = Shield { control, ..Shield::new(&self.policy.tls) };
        Output::Reply(reply)
    }

    /// Whether REIN would have to take TLS from the control connection and may not.
    pub(super) fn rein_is_refused(&self) -> bool {
        self.shield.is_up() && self.policy.tls.offer != TlsOffer::Implicit && !self.policy.tls.allow_ccc
    }

    /// Whether the next transfer may not run for its PROT level (RFC 4217 section 10.2: 521).
    pub(super) fn lacks_protection(&self) -> bool {
        self.shield.need == TlsNeed::Data && self.shield.data == Protection::Clear
    }

    /// Whether somebody could be told to send AUTH: on an implicit listener, behind CCC.
    pub(super) fn could_begin_tls(&self) -> bool {
        !self.shield.is_up() && self.offers(Verb::Auth)
    }

    /// Whether this command would be answered with more than that it is not for here.
    pub(super) fn offers(&self, verb: Verb) -> bool {
        let tls = matches!(self.policy.tls.offer, TlsOffer::Explicit | TlsOffer::Implicit);
        match verb {
            Verb::Auth | Verb::Pbsz | Verb::Prot => tls,
            Verb::Ccc => tls && self.policy.tls.allow_ccc,
            verb => verb.row().legal != crate::verbs::Legal::NotOffered,
        }
    }
}
