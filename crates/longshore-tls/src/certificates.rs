//! Certificates: read from files, chosen by the name that a client connects to, and exchanged while connections go on.
//!
//! Not inside: when files are looked at again, which is the caller's to decide, and trust in the certificates of
//! clients ([`policy`](crate::policy)).

mod error;
mod files;
mod self_signed;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

pub use error::{CertificateError, CertificateWarning};
pub use self_signed::{SelfSigned, self_signed};

use crate::x509::{self, Described};
pub(crate) use files::read_authorities;

/// Where one certificate lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain in PEM: our certificate first, then those that vouch for it.
    pub chain: PathBuf,
    /// Its private key in PEM: PKCS#8, PKCS#1 or SEC1, without a password. It may be the same file.
    pub key: PathBuf,
    /// The names that clients connect to to get this one; empty for those that stand in the certificate.
    pub names: Vec<String>,
}

impl CertificateFiles {
    /// A certificate for the names that stand in it.
    pub fn new(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> CertificateFiles {
        CertificateFiles { chain: chain.into(), key: key.into(), names: Vec::new() }
    }
}

/// The certificates of a server, which may be exchanged at any time. Connections that have begun go on with those they
/// began with, and so do the data connections of a control session.
#[derive(Debug)]
pub struct Certificates {
    current: RwLock<Arc<CertificateSet>>,
}

impl Certificates {
    /// Begins with these.
    #[must_use]
    pub fn new(set: CertificateSet) -> Certificates {
        Certificates { current: RwLock::new(Arc::new(set)) }
    }

    /// Those for new connections.
    #[must_use]
    pub fn current(&self) -> Arc<CertificateSet> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Uses others for all control connections to come.
    pub fn exchange(&self, set: CertificateSet) {
        let set = Arc::new(set);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = set;
    }
}

/// Certificates that were loaded together. The first one is for clients that name no host, or an unknown one.
pub struct CertificateSet {
    certificates: Vec<Loaded>,
    /// By whole names, and by `*.` with what follows the first label.
    by_name: HashMap<String, usize>,
    warnings: Vec<CertificateWarning>,
}

struct Loaded {
    key: Arc<CertifiedKey>,
    info: CertificateInfo,
}

/// What is shown of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The file that it came from, if it came from one.
    pub file: Option<PathBuf>,
    /// The subject, as RFC 4514 writes it.
    pub subject: String,
    /// The names that get this certificate, in lower case.
    pub names: Vec<String>,
    /// From when it is valid.
    pub not_before: SystemTime,
    /// Until when it is valid.
    pub not_after: SystemTime,
    /// SHA-256 of it: pairs of hexadecimal digits between colons, as clients show it.
    pub fingerprint: String,
}

impl CertificateSet {
    /// Reads certificates; the first one is the default. It blocks on the disk. `now` is for warnings about dates.
    ///
    /// # Errors
    /// [`CertificateError`] names the file, what is wrong with it, and what helps. Files that are being replaced may not
    /// fit each other for a moment: whoever reloads tries again later and keeps what it has.
    pub fn load(files: &[CertificateFiles], now: SystemTime) -> Result<CertificateSet, CertificateError> {
        let mut set = CertificateSet::empty();
        for one in files {
            let (chain, _) = files::read(&one.chain)?;
            let (key, readable_by_all) = files::read(&one.key)?;
            if readable_by_all {
                set.warnings.push(CertificateWarning::KeyReadableByAll { key: one.key.clone() });
            }
            let certified = files::certified(&one.chain, &chain, &one.key, &key)?;
            set.add(certified, Some(&one.chain), &one.names, now)?;
        }
        set.complete()
    }

    /// One certificate from PEM in memory.
    ///
    /// # Errors
    /// As [`CertificateSet::load`], with the names `certificate` and `key` for the files.
    pub fn from_pem(chain: &[u8], key: &[u8], now: SystemTime) -> Result<CertificateSet, CertificateError> {
        let mut set = CertificateSet::empty();
        let certified = files::certified("certificate".as_ref(), chain, "key".as_ref(), key)?;
        set.add(certified, None, &[], now)?;
        set.complete()
    }

    /// What to tell the operator though it works.
    #[must_use]
    pub fn warnings(&self) -> &[CertificateWarning] {
        &self.warnings
    }

    /// What is in it, the default first.
    pub fn infos(&self) -> impl Iterator<Item = &CertificateInfo> {
        self.certificates.iter().map(|loaded| &loaded.info)
    }

    /// The one for this name.
    pub(crate) fn choose(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let found = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let any = || self.by_name.get(&format!("*.{}", name.split_once('.')?.1));
            self.by_name.get(&name).or_else(any)
        });
        self.certificates[found.copied().unwrap_or(0)].key.clone()
    }

    fn empty() -> CertificateSet {
        CertificateSet { certificates: Vec::new(), by_name: HashMap::new(), warnings: Vec::new() }
    }

    fn add(
        &mut self,
        key: CertifiedKey,
        file: Option<&PathBuf>,
        names: &[String],
        now: SystemTime,
    ) -> Result<(), CertificateError> {
        let shown = file.cloned().unwrap_or_else(|| "certificate".into());
        let der = key.cert.first().map(|der| der.as_ref()).unwrap_or_default();
        let Some(Described { subject, names: own, not_before, not_after }) = x509::describe(der) else {
            return Err(CertificateError::BadCertificate {
                file: shown,
                why: "its dates or names make no sense".into(),
            });
        };
        if now < not_before {
            self.warnings.push(CertificateWarning::NotYetValid { file: shown.clone(), not_before });
        } else if now > not_after {
            self.warnings.push(CertificateWarning::Expired { file: shown.clone(), not_after });
        }
        let mut chosen = Vec::new();
        for name in names.iter().map(|name| name.to_ascii_lowercase()) {
            if !own.iter().any(|pattern| covers(pattern, &name)) {
                return Err(CertificateError::NotForName { file: shown, name, names: own });
            }
            chosen.push(name);
        }
        if names.is_empty() {
            chosen = own;
        }
        let index = self.certificates.len();
        for name in &chosen {
            // The first one keeps the name, as the first one is the default.
            if self.by_name.contains_key(name) {
                let warning = CertificateWarning::NameTwice { file: shown.clone(), name: name.clone() };
                self.warnings.push(warning);
            }
            self.by_name.entry(name.clone()).or_insert(index);
        }
        let info = CertificateInfo {
            file: file.cloned(),
            subject,
            names: chosen,
            not_before,
            not_after,
            fingerprint: fingerprint(der),
        };
        self.certificates.push(Loaded { key: Arc::new(key), info });
        Ok(())
    }

    fn complete(self) -> Result<CertificateSet, CertificateError> {
        if self.certificates.is_empty() { Err(CertificateError::None) } else { Ok(self) }
    }
}

impl fmt::Debug for CertificateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.infos()).finish()
    }
}

/// Whether a name in a certificate is for this host; `*` stands for one whole label in front (RFC 9525 §6.3).
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        // A wildcard may be asked for as such.
        Some(rest) => pattern == name || name.split_once('.').is_some_and(|(_, behind)| behind == rest),
        None => pattern == name,
    }
}

/// SHA-256, as clients show it.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    let mut out = String::with_capacity(95);
    for byte in Sha256::digest(der) {
        if !out.is_empty() {
            out.push(':');
        }
        out.push_str(&format!("{byte:02X}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, expected: bool) {
        assert_eq!(covers(pattern, name), expected, "{pattern} {name}");
    }

    #[test]
    fn names_and_wildcards() {
        check("a.example", "a.example", true);
        check("a.example", "b.example", false);
        check("*.example", "a.example", true);
        check("*.example", "a.b.example", false);
        check("*.example", "example", false);
        check("*.example", ".example", true);
        check("*.example", "*.example", true);
    }

    #[test]
    fn a_fingerprint_is_as_clients_show_it() {
        assert_eq!(
            fingerprint(b"abc"),
            "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD"
        );
    }
}
