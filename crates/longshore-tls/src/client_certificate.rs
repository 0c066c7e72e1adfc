//! The certificate that a client has shown.
//!
//! Not inside: whether it is trusted; rustls has verified it before it is seen here.

use rustls::pki_types::CertificateDer;

use crate::certificates::fingerprint;
use crate::x509;

/// A client's certificate, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its subject as RFC 4514 writes it: `CN=alice,O=Example`.
    pub subject: String,
    /// SHA-256 of it: pairs of hexadecimal digits between colons.
    pub fingerprint: String,
}

impl ClientCertificate {
    pub(crate) fn of_chain(chain: &[CertificateDer<'_>]) -> Option<ClientCertificate> {
        let first = chain.first()?;
        let subject = x509::describe(first).map(|described| described.subject).unwrap_or_default();
        Some(ClientCertificate { subject, fingerprint: fingerprint(first) })
    }
}
