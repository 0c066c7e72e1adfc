//! The client's side of TLS: whom a client trusts, and data connections that resume its control session.
//!
//! Not inside: when TLS begins, and which connections need it; the dialogue says so.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::fingerprint;
use crate::limits::CLIENT_SESSIONS;
use crate::policy::{Authorities, Version};

/// Whose certificate a client takes for the server's.
#[derive(Clone, Debug)]
pub enum Trust {
    /// One for the server's name, from one of these authorities.
    Authorities(Authorities),
    /// Exactly this one, whatever it says of itself: SHA-256, as pairs of hexadecimal digits, with or without colons.
    Fingerprint(String),
    /// Any. Nobody can listen, but anybody who stands between can pretend to be the server.
    Anything,
}

/// The TLS of clients. One serves any number of control connections.
pub struct ClientTls {
    config: ClientConfig,
    judgement: Judgement,
}

/// The TLS of one control connection and its data connections, which resume its session.
#[derive(Clone)]
pub struct ClientSession {
    connector: TlsConnector,
    name: ServerName<'static>,
    refused: Refused,
}

/// A connection to a server under TLS, whose handshake is complete.
///
/// Reading says [`io::ErrorKind::UnexpectedEof`] where the server ended without close_notify: what came may be cut.
/// [`AsyncWrite::poll_shutdown`] sends close_notify and ends our direction; dropping it does neither.
#[derive(Debug)]
pub struct ClientStream(TlsStream<TcpStream>);

/// Why a client has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    /// The certificate is not one that the client takes.
    #[error(
        "the server's certificate is not trusted: {why}; its SHA-256 fingerprint is {fingerprint}, which may be trusted if \
         its operator names the same"
    )]
    NotTrusted {
        /// What is wrong with it.
        why: String,
        /// SHA-256 of it: pairs of hexadecimal digits between colons.
        fingerprint: String,
    },
    /// The server is called something that no certificate can be for.
    #[error("{0:?} is neither a host's name nor an address")]
    Name(String),
    /// What was given is no fingerprint.
    #[error("{0:?} is no SHA-256 fingerprint; 64 hexadecimal digits are wanted, with or without colons")]
    Fingerprint(String),
    /// The network, or what the server said.
    #[error("the handshake failed: {0}")]
    Handshake(io::Error),
    /// rustls cannot do what is asked.
    #[error("TLS failed on our side: {0}")]
    Ours(String),
}

impl ClientTls {
    /// With this trust, and no version older than `minimum_version`.
    ///
    /// # Errors
    /// [`ClientTlsError::Fingerprint`]; [`ClientTlsError::Ours`] where there are no authorities.
    pub fn new(trust: &Trust, minimum_version: Version) -> Result<ClientTls, ClientTlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions: &[_] = match minimum_version {
            Version::Tls12 => &[&TLS13, &TLS12],
            Version::Tls13 => &[&TLS13],
        };
        let judgement = match trust {
            Trust::Authorities(Authorities(roots)) => {
                let builder = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone());
                Judgement::Name(builder.build().map_err(|error| ClientTlsError::Ours(error.to_string()))?)
            }
            Trust::Fingerprint(digits) => Judgement::Fingerprint(normal_fingerprint(digits)?),
            Trust::Anything => Judgement::Anything,
        };
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(|error| ClientTlsError::Ours(error.to_string()))?
            .dangerous()
            // Each session brings its own.
            .with_custom_certificate_verifier(Judge::of(&judgement, &provider, &Refused::default()))
            .with_no_client_auth();
        Ok(ClientTls { config, judgement })
    }

    /// For a new control connection to the server of this name or address.
    ///
    /// # Errors
    /// [`ClientTlsError::Name`].
    pub fn session(&self, name: &str) -> Result<ClientSession, ClientTlsError> {
        let server =
            ServerName::try_from(name.to_owned()).map_err(|_| ClientTlsError::Name(name.to_owned()))?;
        let mut config = self.config.clone();
        // Of its own: a data connection proves by it that it belongs to this control connection, and to no other.
        config.resumption = Resumption::in_memory_sessions(CLIENT_SESSIONS);
        let refused = Refused::default();
        let judge = Judge::of(&self.judgement, config.crypto_provider(), &refused);
        config.dangerous().set_certificate_verifier(judge);
        Ok(ClientSession { connector: TlsConnector::from(Arc::new(config)), name: server, refused })
    }
}

impl ClientSession {
    /// Does the handshake, of the control connection first and then of each data connection.
    ///
    /// # Errors
    /// [`ClientTlsError`].
    pub async fn connect(&self, socket: TcpStream) -> Result<ClientStream, ClientTlsError> {
        match self.connector.connect(self.name.clone(), socket).await {
            Ok(stream) => Ok(ClientStream(stream)),
            Err(error) => {
                let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(refused.unwrap_or(ClientTlsError::Handshake(error)))
            }
        }
    }
}

impl ClientStream {
    /// Whether it resumed an earlier session of the same control connection.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.0.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The socket below.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        self.0.get_ref().0
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Judges certificates, and remembers why it refused one.
#[derive(Debug)]
struct Judge {
    judgement: Judgement,
    algorithms: WebPkiSupportedAlgorithms,
    refused: Refused,
}

#[derive(Clone, Debug)]
enum Judgement {
    Name(Arc<WebPkiServerVerifier>),
    Fingerprint(String),
    Anything,
}

/// The error that tells of a certificate refused. rustls keeps the kind of error alone, by which it chooses the alert.
type Refused = Arc<Mutex<Option<ClientTlsError>>>;

impl Judge {
    fn of(judgement: &Judgement, provider: &CryptoProvider, refused: &Refused) -> Arc<Judge> {
        let algorithms = provider.signature_verification_algorithms;
        Arc::new(Judge { judgement: judgement.clone(), algorithms, refused: refused.clone() })
    }

    fn refuse(&self, certificate: &CertificateDer<'_>, why: String) {
        let error = ClientTlsError::NotTrusted { why, fingerprint: fingerprint(certificate) };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.judgement {
            Judgement::Anything => Ok(ServerCertVerified::assertion()),
            Judgement::Fingerprint(expected) => {
                if fingerprint(certificate) == *expected {
                    return Ok(ServerCertVerified::assertion());
                }
                self.refuse(certificate, format!("it is not the one with the fingerprint {expected}"));
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            Judgement::Name(verifier) => verifier
                .verify_server_cert(certificate, intermediates, name, ocsp_response, now)
                .inspect_err(|error| {
                    if let Error::InvalidCertificate(why) = error {
                        self.refuse(certificate, why.to_string());
                    }
                }),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// As certificates' fingerprints are written here.
fn normal_fingerprint(digits: &str) -> Result<String, ClientTlsError> {
    let hexadecimal: String =
        digits.chars().filter(|&letter| letter != ':').map(|letter| letter.to_ascii_uppercase()).collect();
    if hexadecimal.len() != 64 || !hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ClientTlsError::Fingerprint(digits.to_owned()));
    }
    let pairs = hexadecimal.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair));
    Ok(pairs.collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints() {
        let written = fingerprint(b"abc");
        let bare: String = written.chars().filter(|&letter| letter != ':').collect();
        for given in [&written, &bare, &bare.to_lowercase()] {
            assert_eq!(normal_fingerprint(given).expect("a fingerprint"), written);
        }
        for given in
            ["", "BA", &bare[1..], &format!("{bare}00"), &bare.replace('B', "x"), &bare.replace('B', "é")]
        {
            assert!(matches!(normal_fingerprint(given), Err(ClientTlsError::Fingerprint(_))), "{given}");
        }
    }
}
