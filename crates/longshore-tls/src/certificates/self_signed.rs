//! Certificates that nobody vouches for, so that a server without one can begin.

use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

use crate::error::TlsError;
use crate::limits::SELF_SIGNED_DAYS;

/// A certificate that nobody vouches for, and its key. Each call makes another: it is to be kept, or clients that have
/// learned to trust it are asked again.
pub struct SelfSigned {
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The private key in PEM (PKCS#8, ECDSA with P-256).
    pub key_pem: String,
}

impl std::fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SelfSigned").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// Makes a certificate for these names of hosts and addresses, valid from the day before `now` on.
///
/// # Errors
/// [`TlsError::Ours`] for a name that cannot stand in a certificate, or if there is none.
pub fn self_signed(names: &[String], now: SystemTime) -> Result<SelfSigned, TlsError> {
    let failed = |why: rcgen::Error| {
        TlsError::Ours(format!("no certificate can be made for {}: {why}", names.join(", ")))
    };
    let Some(first) = names.first() else {
        return Err(TlsError::Ours("a certificate needs the name of a host or an address".into()));
    };
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, first.as_str());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let day = |days: i64| {
        let at = jiff::Timestamp::try_from(now).unwrap_or_default() + Duration::from_secs(1);
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date().saturating_add(jiff::Span::new().days(days));
        date_time_ymd(i32::from(date.year()), date.month() as u8, date.day() as u8)
    };
    // Clocks of clients may be behind.
    params.not_before = day(-1);
    params.not_after = day(SELF_SIGNED_DAYS - 1);
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(SelfSigned {
        certificate_pem: pem("CERTIFICATE", certificate.der()),
        key_pem: pem("PRIVATE KEY", &key.serialize_der()),
    })
}

/// RFC 7468: lines of 64 letters.
fn pem(label: &str, der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().map(|&letter| char::from(letter)));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}
