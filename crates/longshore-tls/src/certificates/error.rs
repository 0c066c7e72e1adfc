//! Mistakes in certificates and keys: the file, what is wrong, what helps.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::x509::display;

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No file was named.
    #[error("TLS needs a certificate, and none is named")]
    None,
    /// The file cannot be read.
    #[error("{}: cannot be read: {why}{}", .file.display(), unreadable(.why))]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// It is no file of certificates or keys.
    #[error("{}: larger than 1 MiB, which no certificate or key is; is it the right file?", .file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// Nothing in it is a certificate.
    #[error("{}: no certificate in it; {hint}", .file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
        /// What it seems to be, and what helps.
        hint: &'static str,
    },
    /// Nothing in it is a private key.
    #[error("{}: no private key in it; {hint}", .file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
        /// What it seems to be, and what helps.
        hint: &'static str,
    },
    /// The key has a password.
    #[error(
        "{0}: the private key is encrypted with a password, which a server cannot type; write it without one: \
         openssl pkey -in {0} -out NEW (and keep NEW readable by the server alone)", .file.display()
    )]
    EncryptedKey {
        /// The file.
        file: PathBuf,
    },
    /// What stands between BEGIN and END is damaged.
    #[error("{}: damaged: {why}; copy it again from where it came from", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The certificate makes no sense.
    #[error("{}: the certificate cannot be understood: {why}; let it be issued anew", .file.display())]
    BadCertificate {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The key is of a kind that TLS here knows nothing of.
    #[error(
        "{}: this kind of private key is not supported; use RSA (2048 to 8192 bits), ECDSA (P-256, P-384, P-521) or \
         Ed25519", .file.display()
    )]
    UnsupportedKey {
        /// The file.
        file: PathBuf,
    },
    /// Key and certificate are not a pair.
    #[error(
        "{}: this private key does not fit the certificate in {}{}", .key.display(), .chain.display(),
        mismatch(.fits)
    )]
    Mismatch {
        /// The file with the key.
        key: PathBuf,
        /// The file with the certificates.
        chain: PathBuf,
        /// Which certificate of the chain it fits, counted from 1, if any.
        fits: Option<usize>,
    },
    /// A name was given that the certificate is not for.
    #[error("{}: not for {name}, but {}; leave the name away, or get a certificate for it", .file.display(), listed(.names))]
    NotForName {
        /// The file.
        file: PathBuf,
        /// The name.
        name: String,
        /// What the certificate is for.
        names: Vec<String>,
    },
    /// The authorities for clients' certificates cannot be used.
    #[error("{}: not one of its certificates can vouch for clients: {why}", .file.display())]
    NoAuthority {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
}

fn unreadable(why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::NotFound => "; check the path",
        io::ErrorKind::PermissionDenied => "; let the user of the server read it and its folders",
        _ => "",
    }
}

fn mismatch(fits: &Option<usize>) -> String {
    match fits {
        Some(number) => format!(", but certificate {number} in that file; put that one first"),
        None => "; name the key that the certificate was requested with".into(),
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "without any name of a host".into() } else { format!("for {}", names.join(", ")) }
}

/// What works but should be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateWarning {
    /// Its time has passed.
    Expired {
        /// The file.
        file: PathBuf,
        /// When it ended.
        not_after: SystemTime,
    },
    /// Its time has not come.
    NotYetValid {
        /// The file.
        file: PathBuf,
        /// When it begins.
        not_before: SystemTime,
    },
    /// Another certificate before it is for the same name.
    NameTwice {
        /// The file.
        file: PathBuf,
        /// The name.
        name: String,
    },
    /// Every user of the machine can read the key.
    KeyReadableByAll {
        /// The file.
        key: PathBuf,
    },
}

impl std::fmt::Display for CertificateWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CertificateWarning::Expired { file, not_after } => write!(
                f,
                "{}: the certificate was valid until {}; clients will refuse it: renew it",
                file.display(),
                display(*not_after)
            ),
            CertificateWarning::NotYetValid { file, not_before } => write!(
                f,
                "{}: the certificate is valid from {} on; clients will refuse it until then: check this machine's clock",
                file.display(),
                display(*not_before)
            ),
            CertificateWarning::NameTwice { file, name } => {
                write!(f, "{}: {name} is served by a certificate named before this one", file.display())
            }
            CertificateWarning::KeyReadableByAll { key } => {
                write!(f, "{0}: every user can read this private key: chmod 600 {0}", key.display())
            }
        }
    }
}
