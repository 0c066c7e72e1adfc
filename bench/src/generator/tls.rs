//! The client's side of TLS: it compares the certificate with the one that all servers have, and resumes the session of
//! the control connection where the server lets it.
//!
//! Not inside: reading and writing; that is [`crate::secure`] and [`crate::bulk`].

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
};

/// Sessions of one control connection that are kept for its data connections.
const SESSIONS: usize = 32;

/// What every client's TLS begins with.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    config: ClientConfig,
}

impl Authority {
    /// For servers that show exactly this certificate, in PEM.
    pub(crate) fn load(certificate: &Path) -> Result<Authority, String> {
        let pinned = CertificateDer::from_pem_file(certificate)
            .map_err(|error| format!("{}: {error}", certificate.display()))?;
        let mut provider = aws_lc_rs::default_provider();
        // Equal work for all: groups that every peer's library knows, and the cipher that all of them choose.
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1];
        let provider = Arc::new(provider);
        let verifier = Pinned { pinned, provider: Arc::clone(&provider) };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Authority { config })
    }

    /// For one control connection with the data connections that belong to it.
    pub(crate) fn session(&self, resumes: bool) -> Session {
        let mut config = self.config.clone();
        config.resumption = match resumes {
            true => Resumption::in_memory_sessions(SESSIONS),
            false => Resumption::disabled(),
        };
        Session { config: Arc::new(config) }
    }
}

/// TLS of one control connection and of its data connections.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    config: Arc<ClientConfig>,
}

impl Session {
    /// Of the control connection.
    pub(super) fn control(&self) -> Result<ClientConnection, Error> {
        ClientConnection::new(Arc::clone(&self.config), name())
    }

    /// Of a data connection.
    pub(super) fn data(&self) -> Result<UnbufferedClientConnection, Error> {
        UnbufferedClientConnection::new(Arc::clone(&self.config), name())
    }
}

/// What all servers are called; sessions are kept by it.
fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("localhost is a name")
}

/// Accepts one certificate. What its signature would prove is not of interest on the loopback, and would cost the
/// generator what the servers should have.
struct Pinned {
    pinned: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pinned").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match *shown == self.pinned {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
