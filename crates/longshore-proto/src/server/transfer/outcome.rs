//! The words for a transfer that did not go well, and what its client can do about it.
//!
//! Not inside: when they are said.

use super::super::arrangement::Route;
use super::super::session::Session;
use super::super::{ConnectFailure, End, Plan};
use super::{Stop, Transfer};
use crate::reply::{Reply, Situation};
use crate::transmission::{Problem, Structure};
use crate::verbs::{Failure, Verb};

impl Transfer {
    pub(super) fn no_connection(&self, session: &Session, failure: &ConnectFailure) -> Reply {
        let ports = &session.policy.passive_ports;
        let range = format!("{}-{}", ports.start(), ports.end());
        let detail = match failure {
            ConnectFailure::HandshakeFailed(why) | ConnectFailure::NotResumed(why) => why.clone(),
            _ => String::new(),
        };
        let situation = match (failure, self.stop) {
            (_, Some(Stop::Abort)) => Situation::TransferAborted,
            (_, Some(Stop::ControlLost)) => Situation::ControlLost,
            (_, Some(Stop::Shutdown)) => Situation::TransferShutdown,
            (ConnectFailure::Refused, _) => Situation::ActiveRefused,
            (ConnectFailure::Unreachable, _) => Situation::ActiveUnreachable,
            (ConnectFailure::HandshakeCancelled, _) => Situation::DataTlsSilent,
            (ConnectFailure::NotTls, _) => Situation::DataNotTls,
            (ConnectFailure::HandshakeFailed(_), _) => Situation::DataTlsFailed,
            (ConnectFailure::NotResumed(_), _) => Situation::DataNotResumed,
            (ConnectFailure::OnlyUnproved, _) => Situation::OnlyUnproved,
            (ConnectFailure::Cancelled { strangers }, _) => match self.route {
                Route::Active { .. } => Situation::ActiveSilent,
                Route::Passive { .. } if *strangers > 0 => Situation::OnlyStrangers,
                Route::Passive { .. } => Situation::NoConnection,
            },
        };
        let reply = Reply::new(situation)
            .with("seconds", session.policy.connect_timeout.as_secs())
            .with("bytes", 0_u64)
            .with("range", range)
            .with("detail", detail);
        match self.route {
            Route::Passive { port } => {
                reply.with("port", port).with("address", session.connection.peer.ip().to_string())
            }
            Route::Active { to } => reply.with("address", to.to_string()),
        }
    }

    /// Whether REST can take it up where it was cut: a file, octet by octet.
    fn can_go_on(&self, session: &Session) -> bool {
        let settings = &session.settings;
        let octets = !settings.representation.is_text() || settings.mode.has_markers();
        self.plan == Plan::File && settings.structure != Structure::Page && octets
    }

    /// What is kept of a cut upload belongs into its answer.
    pub(super) fn with_what_is_kept(&self, session: &Session, reply: Reply, resumable: Option<u64>) -> Reply {
        let kept = match reply.situation {
            Situation::UploadReset => Situation::UploadResetKept,
            Situation::UploadStalled => Situation::UploadStalledKept,
            Situation::UploadCut => Situation::UploadCutKept,
            Situation::UploadTlsBroken => Situation::UploadTlsBrokenKept,
            Situation::UploadNoCloseNotify => Situation::UploadNoCloseNotifyKept,
            _ => return reply,
        };
        match resumable {
            Some(bytes) if self.can_go_on(session) && self.verb != Verb::Stou => {
                Reply { situation: kept, ..reply }.with("kept", bytes)
            }
            _ => reply,
        }
    }

    /// The answer to a transfer whose bytes did not all move.
    pub(super) fn cut(&self, session: &Session, end: End) -> Reply {
        let receives = self.receives();
        let situation = match end {
            End::Complete => unreachable!("a complete transfer is not cut"),
            End::Reset if receives => Situation::UploadReset,
            End::Reset if self.can_go_on(session) => Situation::PeerReset,
            End::Reset => Situation::PeerResetAnew,
            End::Stalled if receives => Situation::UploadStalled,
            End::Stalled if self.can_go_on(session) => Situation::Stalled,
            End::Stalled => Situation::StalledAnew,
            End::Malformed(error) => match error.problem {
                Problem::Cut => Situation::UploadCut,
                Problem::PageType(_) => Situation::PageType,
                _ => Situation::UploadMalformed,
            },
            End::TlsBroken if receives => Situation::UploadTlsBroken,
            End::NoCloseNotify if receives => Situation::UploadNoCloseNotify,
            End::TlsUnexpected if receives => Situation::UploadTlsUnexpected,
            // How the client's direction ended is nothing to a download but that it was too early.
            End::TlsBroken | End::NoCloseNotify | End::TlsUnexpected => match self.can_go_on(session) {
                true => Situation::TlsBroken,
                false => Situation::TlsBrokenAnew,
            },
            End::Cancelled => match self.stop {
                Some(Stop::Shutdown) => Situation::TransferShutdown,
                Some(Stop::ControlLost) => Situation::ControlLost,
                _ => Situation::TransferAborted,
            },
            End::Storage(failure) if receives => return self.not_stored(session, failure),
            End::Storage(_) => Situation::ReadFailed,
            End::Shrank => Situation::FileShrank,
        };
        Reply::new(situation)
            .with("bytes", self.bytes)
            .with("path", &self.path)
            .with("seconds", session.policy.stall_timeout.as_secs())
            .with("detail", if let End::Malformed(error) = end { error.to_string() } else { String::new() })
    }

    /// The answer to an upload that storage could not take or finish.
    pub(super) fn not_stored(&self, session: &Session, failure: Failure) -> Reply {
        let reply = session.failure(self.verb, failure, &self.path).with("bytes", self.bytes);
        match failure {
            // After the mark there is more to say than "storage failed".
            Failure::Fault | Failure::Unsupported | Failure::NotEmpty | Failure::BeyondEnd => {
                Reply { situation: Situation::WriteFailed, ..reply }
            }
            _ => reply,
        }
    }
}
