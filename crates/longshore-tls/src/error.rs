//! Why a connection failed, by blame, in words that name cause and remedy.
//!
//! Not inside: mistakes in certificates and keys ([`CertificateError`](crate::CertificateError)).

use std::io;

use rustls::{AlertDescription, Error, PeerIncompatible};

use crate::limits::SHOWN_BYTES;

/// Why a TLS connection failed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The network: a reset, or a socket that is gone.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The peer's direction ended without close_notify: whole or cut, TLS does not tell.
    #[error("the connection ended without close_notify: what came may be cut")]
    EndWithoutCloseNotify,
    /// The peer went away before the handshake was complete, and did not say why.
    #[error(
        "the client closed the connection during the handshake, without an alert; it may not trust our certificate, or \
         wait for its user to do so"
    )]
    ClosedInHandshake,
    /// The peer says that it cannot go on.
    #[error("the client ended TLS with the alert {name}{}", remedy(.name))]
    Alert {
        /// The alert's name in RFC 8446.
        name: String,
    },
    /// Something else than TLS came first.
    #[error("the client does not speak TLS: it sent {shown:?} where a ClientHello was expected")]
    NotTls {
        /// Its first bytes, escaped.
        shown: String,
    },
    /// The peer can no version, cipher or group that we can, or no protocol.
    #[error("the client and this server have nothing in common: {0}")]
    Incompatible(String),
    /// The client's certificate is missing or not accepted.
    #[error("the client's certificate is not accepted: {0}")]
    ClientCertificate(String),
    /// The peer breaks the protocol, or somebody between changes bytes.
    #[error("the client broke TLS: {0}")]
    Protocol(String),
    /// More was to be sent than one set of keys may protect; TLS 1.3 has no such end.
    #[error("one TLS 1.2 connection may not carry more; use TLS 1.3")]
    Exhausted,
    /// Nothing goes on after close_notify of ours, or after an error.
    #[error("the TLS connection is over")]
    Over,
    /// We cannot serve.
    #[error("TLS failed on our side: {0}")]
    Ours(String),
}

impl TlsError {
    /// What rustls found, by blame.
    pub(crate) fn from_rustls(error: Error) -> TlsError {
        match error {
            Error::AlertReceived(alert) => TlsError::Alert { name: alert_name(alert) },
            Error::PeerIncompatible(why) => TlsError::Incompatible(incompatible(&why)),
            Error::NoApplicationProtocol => TlsError::Incompatible(
                "none of the protocols that it names by ALPN is FTP; it may be meant for another service"
                    .into(),
            ),
            Error::NoCertificatesPresented => {
                TlsError::ClientCertificate("it sent none, and one is required".into())
            }
            Error::InvalidCertificate(why) => TlsError::ClientCertificate(why.to_string()),
            Error::FailedToGetCurrentTime
            | Error::FailedToGetRandomBytes
            | Error::General(_)
            | Error::Other(_) => TlsError::Ours(error.to_string()),
            error => TlsError::Protocol(error.to_string()),
        }
    }

    /// Bytes that are no record of TLS.
    pub(crate) fn not_tls(bytes: &[u8]) -> TlsError {
        let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
        TlsError::NotTls { shown: shown.escape_ascii().to_string() }
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> io::Error {
        let kind = match error {
            TlsError::Io(error) => return error,
            TlsError::EndWithoutCloseNotify | TlsError::ClosedInHandshake => io::ErrorKind::UnexpectedEof,
            TlsError::Alert { .. } => io::ErrorKind::ConnectionAborted,
            TlsError::Over => io::ErrorKind::NotConnected,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// `unknown_ca`, as RFC 8446 writes it; rustls says `UnknownCA`.
fn alert_name(alert: AlertDescription) -> String {
    let name = format!("{alert:?}");
    let mut out = String::new();
    let mut before_lower = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && before_lower {
            out.push('_');
        }
        before_lower = letter.is_ascii_lowercase();
        out.push(letter.to_ascii_lowercase());
    }
    out
}

fn remedy(name: &str) -> &'static str {
    match name {
        "unknown_ca" | "bad_certificate" | "certificate_unknown" => {
            ": it does not trust our certificate; use one of an authority that it knows, or make it trust this one"
        }
        "certificate_expired" => {
            ": our certificate is not valid now by its clock; renew it, or set the clock"
        }
        "unsupported_certificate" | "handshake_failure" => {
            ": it cannot use our kind of key or our ciphers; old clients need an RSA key"
        }
        "protocol_version" => ": it can none of our versions; it may be too old",
        "unrecognised_name" => ": our certificate is not for the name that it connected to",
        "close_notify" | "user_canceled" => ": it gave up before the handshake was through",
        _ => "",
    }
}

fn incompatible(why: &PeerIncompatible) -> String {
    match why {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired => {
            "it offers only versions of TLS that are off here; update it, or allow TLS 1.2".into()
        }
        PeerIncompatible::NoCipherSuitesInCommon => {
            "no cipher suite; it may be too old, or its suites may not fit our kind of key".into()
        }
        PeerIncompatible::NoKxGroupsInCommon => "no group for the key exchange; it may be too old".into(),
        PeerIncompatible::NoSignatureSchemesInCommon => {
            "no kind of signature; it may need a certificate with an RSA key".into()
        }
        why => format!("{why:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(alert: AlertDescription, expected: &str) {
        assert_eq!(TlsError::from_rustls(Error::AlertReceived(alert)).to_string(), expected);
    }

    #[test]
    fn alerts_have_the_names_of_the_rfc_and_a_remedy() {
        check(
            AlertDescription::UnknownCA,
            "the client ended TLS with the alert unknown_ca: it does not trust our certificate; use one of an authority \
             that it knows, or make it trust this one",
        );
        check(AlertDescription::BadRecordMac, "the client ended TLS with the alert bad_record_mac");
        for alert in [
            AlertDescription::UnknownCA,
            AlertDescription::BadCertificate,
            AlertDescription::CertificateUnknown,
            AlertDescription::CertificateExpired,
            AlertDescription::UnsupportedCertificate,
            AlertDescription::HandshakeFailure,
            AlertDescription::ProtocolVersion,
            AlertDescription::UnrecognisedName,
            AlertDescription::UserCanceled,
            AlertDescription::CloseNotify,
        ] {
            let name = alert_name(alert);
            assert_ne!(remedy(&name), "", "{name}");
        }
    }
}
