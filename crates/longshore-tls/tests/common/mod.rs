//! What several test programs share: certificates, servers, clients of rustls, and a wire without sockets between them.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use longshore_tls::{
    CertificateSet, Certificates, Policy, ServerTls, Stage, TlsConnection, TlsError, self_signed,
};
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion,
};

pub(crate) const NAME: &str = "ftp.example";
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

/// A folder of one test's own, removed with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("longshore-tls-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("the folder is new");
        Folder(path)
    }

    /// Writes a file that its owner alone can read.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("the folder is ours");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("the file is ours");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

pub(crate) fn set(names: &[&str]) -> CertificateSet {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let made = self_signed(&names, now()).expect("names of hosts");
    CertificateSet::from_pem(made.certificate_pem.as_bytes(), made.key_pem.as_bytes(), now()).expect("a pair")
}

pub(crate) fn server() -> ServerTls {
    server_with(&Policy::default())
}

pub(crate) fn server_with(policy: &Policy) -> ServerTls {
    ServerTls::new(Arc::new(Certificates::new(set(&[NAME]))), policy).expect("a policy that can be")
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
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client's side: one of these for each client that remembers its own sessions.
pub(crate) fn client(version: &'static SupportedProtocolVersion) -> ClientConfig {
    client_of(aws_lc_rs::default_provider(), version, None)
}

pub(crate) fn client_of(
    provider: CryptoProvider,
    version: &'static SupportedProtocolVersion,
    certificate: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> ClientConfig {
    let provider = Arc::new(provider);
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

/// A server and a client with nothing between them but two buffers.
pub(crate) struct Pair {
    pub(crate) server: TlsConnection,
    pub(crate) client: ClientConnection,
    /// What the server has decrypted.
    pub(crate) received: Vec<u8>,
    /// What goes to the client.
    pub(crate) wire: Vec<u8>,
    /// Bytes that the server gets in one go.
    pub(crate) step: usize,
}

impl Pair {
    pub(crate) fn new(server: TlsConnection, config: &ClientConfig) -> Pair {
        Pair::named(server, config, NAME)
    }

    pub(crate) fn named(server: TlsConnection, config: &ClientConfig, name: &str) -> Pair {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let client = ClientConnection::new(Arc::new(config.clone()), name).expect("a configuration");
        Pair { server, client, received: Vec::new(), wire: Vec::new(), step: usize::MAX }
    }

    /// Moves bytes until nobody has anything more to say.
    pub(crate) fn pump(&mut self) -> Result<(), TlsError> {
        loop {
            let mut sent = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut sent).expect("a buffer takes everything");
            }
            let mut rest = &sent[..];
            let mut result = Ok(());
            while !rest.is_empty() && result.is_ok() {
                let step;
                (step, rest) = rest.split_at(rest.len().min(self.step));
                result = self.server.receive(step, &mut self.received, &mut self.wire).map(|_| ());
            }
            let answered = self.deliver();
            result?;
            if sent.is_empty() && !answered {
                return Ok(());
            }
        }
    }

    /// Hands the client what the server has said; whether there was anything.
    pub(crate) fn deliver(&mut self) -> bool {
        let mut wire = VecDeque::from(std::mem::take(&mut self.wire));
        let any = !wire.is_empty();
        while !wire.is_empty() {
            self.client.read_tls(&mut wire).expect("a buffer gives everything");
            if self.client.process_new_packets().is_err() {
                break;
            }
        }
        any
    }

    /// The whole handshake.
    #[track_caller]
    pub(crate) fn connect(mut self) -> Pair {
        self.pump().expect("both sides agree");
        assert_eq!(self.server.stage(), Stage::Open);
        assert!(!self.client.is_handshaking());
        self
    }

    /// What the client says, as the server hears it.
    #[track_caller]
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.client.writer().write_all(bytes).expect("room");
        self.pump().expect("it goes through");
        std::mem::take(&mut self.received)
    }

    /// What the server says, as the client hears it.
    #[track_caller]
    pub(crate) fn answer(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.server.send(bytes, &mut self.wire).expect("it may");
        self.pump().expect("it goes through");
        let mut heard = vec![0; bytes.len()];
        self.client.reader().read_exact(&mut heard).expect("all of it");
        heard
    }
}

/// An authority of one's own.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect("random numbers");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = pem("CERTIFICATE", params.self_signed(&key).expect("a certificate").der());
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a client.
    pub(crate) fn client(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("random numbers");
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        (vec![certificate.der().clone()], key)
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in der.chunks(3) {
        let number = three.iter().fold(0_u32, |number, &byte| number << 8 | u32::from(byte))
            << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("letters")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
