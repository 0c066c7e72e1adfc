//! What tests of TLS share: certificates, configurations of clients, each with the sessions that it remembers, and
//! servers that offer TLS.
//!
//! Not inside: the connections themselves ([`wire`](super::wire)).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use longshore_server::accounts::{DataSession, TlsRules};
use longshore_server::tls::{CertificateSet, Certificates, Policy, SelfSigned, ServerTls, self_signed};
use longshore_server::{ListenerOptions, ListenerTls, Tls, TlsOffer};
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};

use super::ground::Scratch;
use super::{Client, HERE, PASSWORD, Server, Setup, USER};

/// The name that clients connect to.
pub(crate) const NAME: &str = "ftp.example";

pub(crate) type Version = &'static SupportedProtocolVersion;
pub(crate) const VERSIONS: [Version; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];
/// For tests in which the version makes no difference.
pub(crate) const TLS13: Version = VERSIONS[1];

/// A certificate and a key for this name.
pub(crate) fn pair(name: &str) -> SelfSigned {
    self_signed(&[name.to_owned()], SystemTime::now()).expect("a name of a host")
}

/// A certificate for [`NAME`]. The same for all tests: what it is signed with is not what they are about.
fn certificates() -> Arc<Certificates> {
    static PAIR: OnceLock<SelfSigned> = OnceLock::new();
    let pair = PAIR.get_or_init(|| pair(NAME));
    let (chain, key) = (pair.certificate_pem.as_bytes(), pair.key_pem.as_bytes());
    Arc::new(Certificates::new(CertificateSet::from_pem(chain, key, SystemTime::now()).expect("a pair")))
}

/// TLS under these rules.
pub(crate) fn tls(rules: TlsRules) -> Tls {
    let server = ServerTls::new(certificates(), &Policy::default()).expect("a policy that can be");
    Tls { server: Arc::new(server), rules, allow_ccc: false }
}

/// TLS that asks clients what `policy` says.
pub(crate) fn tls_by(policy: &Policy) -> Tls {
    let server = ServerTls::new(certificates(), policy).expect("a policy that can be");
    Tls { server: Arc::new(server), rules: TlsRules::default(), allow_ccc: false }
}

/// Data connections must resume.
pub(crate) const REQUIRE: TlsRules =
    TlsRules { data_session: Some(DataSession::Require), need: None, data_peer: None, upload_end: None };

/// A listener where TLS begins at once.
pub(crate) fn implicit() -> ListenerOptions {
    ListenerOptions { tls: ListenerTls::Implicit, rules: TlsRules::default() }
}

impl Setup {
    /// Offers TLS under these rules.
    pub(crate) fn tls(self, rules: TlsRules) -> Setup {
        self.offering(tls(rules))
    }

    pub(crate) fn offering(self, tls: Tls) -> Setup {
        self.with(|config| config.tls = TlsOffer::On(tls))
    }

    /// Has one more listener, the first added one, where TLS begins at once.
    pub(crate) fn implicit(self) -> Setup {
        self.listening_with(HERE, implicit())
    }
}

impl Server {
    /// A client that may do everything inside TLS, in TYPE I, with protected data connections.
    #[track_caller]
    pub(crate) fn secured(&self, version: Version) -> Client {
        self.secured_with(&client(version))
    }

    #[track_caller]
    pub(crate) fn secured_with(&self, config: &ClientConfig) -> Client {
        self.secured_at(self.address(HERE), config)
    }

    #[track_caller]
    pub(crate) fn secured_at(&self, at: SocketAddr, config: &ClientConfig) -> Client {
        let mut client = Client::connect(at);
        client.expect(220);
        client.secure(config);
        client.log_in(USER, PASSWORD);
        client.protect_data(config);
        client.command("TYPE I", 200);
        client
    }

    /// A client of the listener where TLS begins at once, as [`Server::secured`].
    #[track_caller]
    pub(crate) fn implicitly_secured(&self, version: Version) -> Client {
        let config = client(version);
        let mut client = Client::connect(self.added(0));
        client.begin_tls(&config);
        client.expect(220);
        client.log_in(USER, PASSWORD);
        client.command("TYPE I", 200);
        client.data_tls = Some(config);
        client
    }
}

/// Trusts whatever it is shown.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client that knows no session yet. Its clones remember the same sessions; each ticket of TLS 1.3 is used once.
pub(crate) fn client(version: Version) -> ClientConfig {
    client_with(version, None)
}

/// One that shows a certificate when asked.
pub(crate) fn client_with(version: Version, certificate: Option<Certificate>) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .expect("a version")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(provider)));
    let mut config = match certificate {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("a pair"),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::in_memory_sessions(64);
    config
}

/// A client's chain and key.
pub(crate) type Certificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Whoever vouches for clients.
pub(crate) struct Authority {
    scratch: Scratch,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let key = KeyPair::generate().expect("random numbers");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let scratch = Scratch::new();
        let pem = pem(params.self_signed(&key).expect("a certificate").der());
        std::fs::write(scratch.path().join("authority.pem"), pem).expect("the directory is ours");
        Authority { scratch, issuer: Issuer::new(params, key) }
    }

    /// Its certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.scratch.path().join("authority.pem")
    }

    /// A certificate for the client `CN=name`.
    pub(crate) fn client(&self, name: &str) -> Certificate {
        let key = KeyPair::generate().expect("random numbers");
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        (vec![certificate.der().clone()], key)
    }
}

/// A certificate as files have it (RFC 7468).
fn pem(der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut letters = String::new();
    for three in der.chunks(3) {
        let bits =
            (0..3).fold(0, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or_default()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            letters.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
        if letters.len() % 65 == 64 {
            letters.push('\n');
        }
    }
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", letters.trim_end())
}
