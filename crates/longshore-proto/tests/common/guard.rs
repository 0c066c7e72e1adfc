//! What must be protected, worked out from what was said and done alone.
//!
//! Not inside: the other invariants, which `judge` knows, and TLS itself.

use longshore_proto::command::AuthMechanism;
use longshore_proto::reply::Situation;
use longshore_proto::server::{Credential, Policy, Protection, TlsEvent, TlsNeed, TlsOffer, TlsPolicy};
use longshore_proto::verbs::Verb;

/// What stands around the control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    Clear,
    /// TLS begins, and nothing may be said or taken.
    Begins {
        mechanism: Option<AuthMechanism>,
    },
    Protected {
        certificate: bool,
    },
    /// TLS did not come about.
    Broken,
}

impl Default for Guard {
    fn default() -> Guard {
        Guard::new(&Policy::default())
    }
}

/// Watches what is protected.
#[derive(Debug)]
pub struct Guard {
    policy: TlsPolicy,
    clear_passwords: bool,
    pub control: Control,
    /// Whether PBSZ was said, or need not be.
    buffer_size_set: bool,
    /// What PROT said last.
    data: Protection,
    /// What it had said when the running transfer began.
    transfer: Protection,
    /// What the account that is logged in needs.
    account: TlsNeed,
    /// A time-out is being handed in, before which TLS had begun.
    pub woken: bool,
}

fn presets(private: bool) -> (bool, Protection) {
    (private, if private { Protection::Private } else { Protection::Clear })
}

impl Guard {
    pub fn new(policy: &Policy) -> Guard {
        let (buffer_size_set, data) = presets(policy.tls.offer == TlsOffer::Implicit);
        Guard {
            policy: policy.tls,
            clear_passwords: policy.clear_passwords,
            control: Control::Clear,
            buffer_size_set,
            data,
            transfer: Protection::Clear,
            account: TlsNeed::Nothing,
            woken: false,
        }
    }

    pub fn begins(&self) -> bool {
        matches!(self.control, Control::Begins { .. })
    }

    fn protected(&self) -> bool {
        matches!(self.control, Control::Protected { .. })
    }

    /// Whether AUTH would be answered with 234.
    fn auth_helps(&self) -> bool {
        let offered = matches!(self.policy.offer, TlsOffer::Explicit | TlsOffer::Implicit);
        offered && self.control == Control::Clear
    }

    fn need(&self) -> TlsNeed {
        self.policy.need.max(self.account)
    }

    /// Whether this may be sent as things stand.
    pub fn objection(&self, situation: Situation) -> Option<String> {
        let clear = self.control == Control::Clear;
        let up = self.protected();
        let implicit = self.policy.offer == TlsOffer::Implicit;
        let lacks = self.need() == TlsNeed::Data && self.data == Protection::Clear;
        let fits = match situation {
            _ if self.begins() || self.control == Control::Broken => false,
            Situation::Greeting => up == implicit,
            // A password must not even be asked for where it would be sent in clear.
            Situation::PasswordWanted | Situation::LoggedIn => up || self.policy.need == TlsNeed::Nothing,
            Situation::LoggedInByCertificate => self.control == Control::Protected { certificate: true },
            Situation::TlsNeeded => {
                clear && (self.policy.need != TlsNeed::Nothing || !self.clear_passwords && self.auth_helps())
            }
            Situation::ClearRefused => {
                clear && self.policy.need == TlsNeed::Nothing && !self.clear_passwords && !self.auth_helps()
            }
            Situation::LoginRejectedInClear => self.auth_helps(),
            Situation::LoginRejected => !self.auth_helps(),
            Situation::AuthInsideTls => up,
            Situation::TlsNoCertificate => clear && self.policy.offer == TlsOffer::NoCertificate,
            Situation::TlsNotOffered => clear && self.policy.offer == TlsOffer::Off,
            Situation::BytesBehindAuth => self.auth_helps(),
            Situation::BufferSizeSet => up,
            Situation::PbszInClear => clear,
            Situation::ProtWithoutPbsz => !self.buffer_size_set,
            Situation::ProtClear => self.buffer_size_set && self.need() != TlsNeed::Data,
            Situation::ProtClearRefused => self.buffer_size_set && self.need() == TlsNeed::Data,
            Situation::ProtPrivate | Situation::ProtLevel => self.buffer_size_set,
            Situation::CccInClear => clear,
            Situation::CccRefused => up && !self.policy.allow_ccc,
            Situation::ReinRefused => up && !implicit && !self.policy.allow_ccc,
            // These end TLS, and do not come this way.
            Situation::ControlClear => false,
            Situation::Reset => clear || implicit,
            // This begins it.
            Situation::TlsBegins => false,
            Situation::ProtectionNeeded => lacks,
            Situation::DataTlsSilent
            | Situation::DataNotTls
            | Situation::DataTlsFailed
            | Situation::DataNotResumed
            | Situation::OnlyUnproved
            | Situation::TlsBroken
            | Situation::TlsBrokenAnew
            | Situation::UploadTlsBroken
            | Situation::UploadTlsBrokenKept
            | Situation::UploadNoCloseNotify
            | Situation::UploadNoCloseNotifyKept => self.transfer == Protection::Private,
            Situation::UploadTlsUnexpected => self.transfer == Protection::Clear,
            Situation::MarkOpening
            | Situation::MarkOpeningUnique
            | Situation::MarkStanding
            | Situation::MarkStandingUnique => {
                self.need() != TlsNeed::Data || self.transfer == Protection::Private
            }
            _ => true,
        };
        (!fits).then(|| format!("{} while {self:?}", situation.id()))
    }

    /// PROT and PBSZ, as they were answered.
    pub fn said(&mut self, situation: Situation) {
        match situation {
            Situation::BufferSizeSet => self.buffer_size_set = true,
            Situation::ProtClear => self.data = Protection::Clear,
            Situation::ProtPrivate => self.data = Protection::Private,
            Situation::Reset => self.begin_anew(self.policy.offer == TlsOffer::Implicit),
            _ => {}
        }
    }

    fn begin_anew(&mut self, private: bool) {
        (self.buffer_size_set, self.data) = presets(private);
        self.account = TlsNeed::Nothing;
    }

    pub fn start(&mut self, mechanism: Option<AuthMechanism>) -> Option<String> {
        let fits = match mechanism {
            Some(_) => self.auth_helps(),
            // Before the greeting of an implicit listener; the judge knows that it has not been said.
            None => self.policy.offer == TlsOffer::Implicit && self.control == Control::Clear,
        };
        let objection = (!fits).then(|| format!("TLS begins while {self:?}"));
        self.control = Control::Begins { mechanism };
        objection
    }

    /// The answer to the beginning of TLS is about to be handed in.
    pub fn answered(&mut self, event: &TlsEvent) {
        let Control::Begins { mechanism } = self.control else { return };
        self.control = match event {
            TlsEvent::BytesBehind => Control::Clear,
            TlsEvent::Failed => Control::Broken,
            TlsEvent::Up { certificate, .. } => {
                if let Some(mechanism) = mechanism {
                    self.begin_anew(mechanism == AuthMechanism::TlsPrivate);
                }
                Control::Protected { certificate: *certificate }
            }
        };
    }

    /// TLS ends behind this answer.
    pub fn stop(&mut self, situation: Situation) -> Option<String> {
        let allowed = match situation {
            Situation::ControlClear => true,
            Situation::Reset => self.policy.offer != TlsOffer::Implicit,
            _ => false,
        };
        let fits = allowed && self.protected() && self.policy.allow_ccc;
        let objection = (!fits).then(|| format!("{} ends TLS while {self:?}", situation.id()));
        self.control = Control::Clear;
        self.said(situation);
        objection
    }

    /// A login is asked about.
    pub fn login(&mut self, verb: Option<Verb>, credential: &Credential) -> Option<String> {
        let fits = match credential {
            Credential::Password(_) => {
                verb == Some(Verb::Pass) && (self.protected() || self.policy.need == TlsNeed::Nothing)
            }
            Credential::Certificate => {
                verb == Some(Verb::User) && self.control == Control::Protected { certificate: true }
            }
        };
        (!fits).then(|| format!("{credential:?} for {verb:?} while {self:?}"))
    }

    pub fn logged_in(&mut self, need: TlsNeed) {
        self.account = need;
    }

    pub fn logged_out(&mut self) {
        self.account = TlsNeed::Nothing;
    }

    /// A transfer begins: what PROT says now holds to its end.
    pub fn begin_transfer(&mut self) {
        self.transfer = self.data;
    }

    /// What PROT said last.
    pub fn data(&self) -> Protection {
        self.data
    }

    /// What the data connection of the running transfer must be.
    pub fn transfer(&self) -> Protection {
        self.transfer
    }
}
