//! What TLS this server speaks, and the server side as a whole.
//!
//! Not inside: whether a connection must be protected at all, which is the session's policy.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use crate::certificates::{CertificateError, Certificates, read_authorities};
use crate::connection::TlsConnection;
use crate::error::TlsError;
use crate::session::ControlSession;

/// A version of TLS. Older ones are not spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// What is asked of a connection.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The oldest version.
    pub minimum_version: Version,
    /// Certificates of clients.
    pub client_certificates: ClientCertificates,
}

/// Whether clients show certificates.
#[derive(Clone, Debug, Default)]
pub enum ClientCertificates {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked and may show none; one that is not trusted ends the handshake.
    Request(Authorities),
    /// Without a trusted one there is no TLS.
    Require(Authorities),
}

/// The authorities that vouch for clients.
#[derive(Clone)]
pub struct Authorities(pub(crate) Arc<RootCertStore>);

impl Authorities {
    /// Reads their certificates from a file in PEM. It blocks on the disk.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn load(file: &Path) -> Result<Authorities, CertificateError> {
        Ok(Authorities(Arc::new(read_authorities(file)?)))
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorities").field(&self.0.len()).finish()
    }
}

/// The TLS of a server. One serves any number of connections; another policy is another of these.
pub struct ServerTls {
    certificates: Arc<Certificates>,
    control: ServerConfig,
    data: Arc<ServerConfig>,
}

impl ServerTls {
    /// With these certificates, which may be exchanged later.
    ///
    /// # Errors
    /// [`TlsError::Ours`] if rustls cannot use the policy.
    pub fn new(certificates: Arc<Certificates>, policy: &Policy) -> Result<ServerTls, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = match &policy.client_certificates {
            ClientCertificates::Off => Ok(Arc::new(NoClientAuth) as _),
            ClientCertificates::Request(Authorities(roots)) => {
                WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
                    .allow_unauthenticated()
                    .build()
            }
            ClientCertificates::Require(Authorities(roots)) => {
                WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build()
            }
        };
        let verifier = verifier.map_err(|error| TlsError::Ours(error.to_string()))?;
        let versions: &[_] = match policy.minimum_version {
            Version::Tls12 => &[&TLS13, &TLS12],
            Version::Tls13 => &[&TLS13],
        };
        let mut control = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(TlsError::from_rustls)?
            .with_client_cert_verifier(verifier)
            // Every connection brings its own.
            .with_cert_resolver(Arc::new(NoCertificate));
        let mut data = control.clone();
        // `x-filezilla-ftp` promises more than FTP does, so it is taken only alone. `ftp-data` on a control connection
        // would be a data connection gone astray; the reverse is what clients with one setting for both do.
        control.alpn_protocols = [&b"ftp"[..], b"x-filezilla-ftp"].map(<[u8]>::to_vec).into();
        data.alpn_protocols = [&b"ftp-data"[..], b"ftp", b"x-filezilla-ftp"].map(<[u8]>::to_vec).into();
        Ok(ServerTls { certificates, control, data: Arc::new(data) })
    }

    /// The certificates, to look at and to exchange.
    #[must_use]
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// Begins TLS on a control connection: the session for its data connections, and the machine that takes its bytes.
    ///
    /// # Errors
    /// [`TlsError::Ours`].
    pub fn accept_control(&self) -> Result<(ControlSession, TlsConnection), TlsError> {
        ControlSession::begin(&self.control, self.data.clone(), self.certificates.current())
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

/// Stands where each connection puts its own.
#[derive(Debug)]
struct NoCertificate;

impl rustls::server::ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }
}
