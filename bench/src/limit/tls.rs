//! The do-nothing server's TLS: rustls as it comes, with the session tickets that clients resume by.
//!
//! Not inside: any proof that a data connection belongs to its control connection.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(super) fn config(certificate: &Path, key: &Path) -> Result<ServerConfig, String> {
    let explain = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let chain = CertificateDer::from_pem_file(certificate).map_err(|error| explain(certificate, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| explain(key, &error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(vec![chain], private)
        .map_err(|error| explain(certificate, &error))?;
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
    Ok(config)
}
