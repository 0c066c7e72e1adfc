//! Certificates and keys out of files in PEM.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};

use super::CertificateError;
use crate::limits::PEM_LIMIT_BYTES;

/// The whole file, and whether every user of the machine can read it.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, bool), CertificateError> {
    let unreadable = |why| CertificateError::Unreadable { file: path.to_owned(), why };
    // A pipe without a writer would be waited for without end.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).map_err(|error| unreadable(error.into()))?);
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(std::io::Error::other("it is no regular file")));
    }
    let mut bytes = Vec::new();
    file.take(PEM_LIMIT_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > PEM_LIMIT_BYTES {
        return Err(CertificateError::TooLarge { file: path.to_owned() });
    }
    Ok((bytes, metadata.mode() & 0o004 != 0))
}

/// A chain and its key, which fit each other.
pub(super) fn certified(
    chain_path: &Path,
    chain: &[u8],
    key_path: &Path,
    key: &[u8],
) -> Result<CertifiedKey, CertificateError> {
    let chain = certificates(chain_path, chain)?;
    let key = private_key(key_path, key)?;
    let provider = aws_lc_rs::default_provider();
    let fits = |certificate: &CertificateDer<'static>| {
        CertifiedKey::from_der(vec![certificate.clone()], key.clone_key(), &provider)
    };
    match fits(&chain[0]) {
        Ok(one) => Ok(CertifiedKey::new(chain, one.key)),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let fits = chain.iter().position(|certificate| fits(certificate).is_ok()).map(|index| index + 1);
            Err(CertificateError::Mismatch { key: key_path.to_owned(), chain: chain_path.to_owned(), fits })
        }
        // rustls reads the key first.
        Err(Error::General(_)) => Err(CertificateError::UnsupportedKey { file: key_path.to_owned() }),
        Err(why) => {
            Err(CertificateError::BadCertificate { file: chain_path.to_owned(), why: why.to_string() })
        }
    }
}

/// The authorities that vouch for clients.
pub(crate) fn read_authorities(path: &Path) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, &read(path)?.0)? {
        roots
            .add(certificate)
            .map_err(|why| CertificateError::NoAuthority { file: path.to_owned(), why: why.to_string() })?;
    }
    Ok(roots)
}

fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let found = found.map_err(|why| damaged(path, &why))?;
    if found.is_empty() {
        let file = path.to_owned();
        return Err(CertificateError::NoCertificate { file, hint: hint(bytes, "CERTIFICATE") });
    }
    Ok(found)
}

fn private_key(path: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
    // PKCS#8 says so in its label, the older kinds in a header below it.
    let encrypted = ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"];
    if encrypted.iter().any(|mark| contains(bytes, mark)) {
        return Err(CertificateError::EncryptedKey { file: path.to_owned() });
    }
    match PrivateKeyDer::from_pem_slice(bytes) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => {
            let file = path.to_owned();
            Err(CertificateError::NoKey { file, hint: hint(bytes, "PRIVATE KEY") })
        }
        Err(why) => Err(damaged(path, &why)),
    }
}

fn damaged(path: &Path, why: &pem::Error) -> CertificateError {
    let why = match why {
        pem::Error::MissingSectionEnd { .. } => "a BEGIN line without its END line".into(),
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line that is not whole".into(),
        pem::Error::Base64Decode(_) => "letters that are no base64 between BEGIN and END".into(),
        why => why.to_string(),
    };
    CertificateError::Damaged { file: path.to_owned(), why }
}

/// What a file without what was looked for seems to be.
fn hint(bytes: &[u8], wanted: &str) -> &'static str {
    let certificate = wanted == "CERTIFICATE";
    // A sequence of DER, with its length in two bytes.
    if bytes.starts_with(&[0x30, 0x82]) {
        return if certificate {
            "it seems to be in DER; convert it: openssl x509 -inform der -in OLD -out NEW"
        } else {
            "it seems to be in DER; convert it: openssl pkey -inform der -in OLD -out NEW"
        };
    }
    if contains(bytes, "BEGIN OPENSSH PRIVATE KEY") {
        return "it is a key of OpenSSH; convert it: ssh-keygen -p -m PEM -f COPY";
    }
    if certificate && contains(bytes, "PRIVATE KEY-----") {
        return "it holds a private key; the files for certificate and key may be exchanged";
    }
    if certificate && contains(bytes, "BEGIN CERTIFICATE REQUEST") {
        return "it holds a request for a certificate; name what the authority sent back";
    }
    if !certificate && contains(bytes, "BEGIN CERTIFICATE-----") {
        return "it holds certificates; the files for certificate and key may be exchanged";
    }
    if certificate {
        "it must have the chain in PEM, ours first, each between BEGIN CERTIFICATE and END CERTIFICATE"
    } else {
        "it must have the key in PEM, between BEGIN PRIVATE KEY and END PRIVATE KEY"
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
