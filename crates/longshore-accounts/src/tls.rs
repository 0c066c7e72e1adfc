//! What TLS is asked of sessions: by everybody, by a listener, by an account.
//!
//! Not inside: TLS itself and its certificates; whoever serves carries these rules out.

/// How much of a session must be protected by TLS. Each includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsNeed {
    /// Nothing.
    #[default]
    Nothing,
    /// The control connection, before anybody logs in.
    Login,
    /// Data connections, too (PROT P).
    Data,
}

/// Whether a protected data connection must resume the TLS session of its control connection, which proves that both
/// have the same client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DataSession {
    /// Not a byte goes to or comes from one that does not.
    Require,
    /// One that does not must come from the very address of the control connection, and is counted.
    #[default]
    Prefer,
    /// As `Prefer`, and nobody counts.
    Off,
}

/// Whose data connections are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DataPeer {
    /// Those from the address of the control connection.
    #[default]
    Address,
    /// Those, and protected ones from elsewhere that resume the TLS session of the control connection: for clients
    /// that reach us from several addresses.
    AddressOrProof,
}

/// What a protected upload means whose data connection ends without close_notify: it may be whole or cut, TLS does not
/// tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UploadEnd {
    /// It is whole: many clients and devices never send one.
    #[default]
    Accept,
    /// It is cut: 426, and what came is kept for REST.
    Refuse,
}

/// Rules about TLS, each of which may be left to whoever else has a say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsRules {
    /// How much must be protected.
    pub need: Option<TlsNeed>,
    /// Whether data connections must resume.
    pub data_session: Option<DataSession>,
    /// From where data connections may come.
    pub data_peer: Option<DataPeer>,
    /// What an end without close_notify is.
    pub upload_end: Option<UploadEnd>,
}

impl TlsRules {
    /// These, and where they say nothing, those.
    #[must_use]
    pub fn over(self, base: TlsRules) -> TlsRules {
        TlsRules {
            need: self.need.or(base.need),
            data_session: self.data_session.or(base.data_session),
            data_peer: self.data_peer.or(base.data_peer),
            upload_end: self.upload_end.or(base.upload_end),
        }
    }

    /// As [`over`](TlsRules::over), but the stronger need of both holds: an account may ask for more than its listener,
    /// not for less.
    #[must_use]
    pub fn within(self, base: TlsRules) -> TlsRules {
        TlsRules { need: self.need.max(base.need), ..self.over(base) }
    }
}

/// The certificate that a client has shown, and that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCertificate {
    /// Its subject as RFC 4514 writes it: `CN=alice,O=Example`.
    pub subject: String,
    /// SHA-256 of it: pairs of hexadecimal digits in capitals between colons.
    pub fingerprint: String,
}

/// Which certificates an account is let in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateRule {
    /// Those with this subject, letter by letter.
    Subject(String),
    /// The one with this fingerprint.
    Fingerprint(String),
}

impl CertificateRule {
    /// Whether this one is meant.
    #[must_use]
    pub fn matches(&self, shown: &ShownCertificate) -> bool {
        match self {
            CertificateRule::Subject(subject) => *subject == shown.subject,
            CertificateRule::Fingerprint(fingerprint) => {
                let digits = |text: &str| -> Vec<u8> {
                    text.bytes().filter(|byte| *byte != b':').map(|byte| byte.to_ascii_uppercase()).collect()
                };
                digits(fingerprint) == digits(&shown.fingerprint)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_asks_for_more_and_never_for_less() {
        let need = |need| TlsRules { need: Some(need), ..TlsRules::default() };
        let table = [
            (TlsRules::default(), TlsRules::default(), None, None),
            (need(TlsNeed::Nothing), need(TlsNeed::Login), Some(TlsNeed::Nothing), Some(TlsNeed::Login)),
            (need(TlsNeed::Data), need(TlsNeed::Login), Some(TlsNeed::Data), Some(TlsNeed::Data)),
            (TlsRules::default(), need(TlsNeed::Login), Some(TlsNeed::Login), Some(TlsNeed::Login)),
            (need(TlsNeed::Login), TlsRules::default(), Some(TlsNeed::Login), Some(TlsNeed::Login)),
        ];
        for (own, base, over, within) in table {
            assert_eq!(own.over(base).need, over, "{own:?} over {base:?}");
            assert_eq!(own.within(base).need, within, "{own:?} within {base:?}");
        }
    }

    #[test]
    fn certificates_are_known_by_subject_or_fingerprint() {
        let shown = ShownCertificate { subject: "CN=alice,O=Example".into(), fingerprint: "AB:01:FF".into() };
        let table = [
            (CertificateRule::Subject("CN=alice,O=Example".into()), true),
            (CertificateRule::Subject("CN=alice".into()), false),
            (CertificateRule::Subject("cn=alice,o=example".into()), false),
            (CertificateRule::Fingerprint("AB:01:FF".into()), true),
            (CertificateRule::Fingerprint("ab01ff".into()), true),
            (CertificateRule::Fingerprint("ab01f".into()), false),
            (CertificateRule::Fingerprint(String::new()), false),
        ];
        for (rule, expected) in table {
            assert_eq!(rule.matches(&shown), expected, "{rule:?}");
        }
    }
}
