//! TLS on both sides: certificates and their exchange, TLS policy, and the proof that a data connection
//! resumes the session of its control connection. The only crate that knows rustls.
//!
//! A [`ServerTls`] begins control connections: [`TlsConnection`] takes and gives their bytes, and the
//! [`ControlSession`] accepts their data connections as [`TlsStream`]s and says whether each is proved.
//!
//! A [`ClientTls`] is the other side: its [`ClientSession`]s protect a control connection and its data connections.
//!
//! Not inside: commands and replies, users, configuration files, and time limits (the caller drops a future to end a
//! wait).
#![forbid(unsafe_code)]

mod certificates;
mod client;
mod client_certificate;
mod connection;
mod error;
pub mod limits;
mod policy;
mod session;
mod stream;
mod tickets;
mod x509;

pub use certificates::{
    CertificateError, CertificateFiles, CertificateInfo, CertificateSet, CertificateWarning, Certificates,
    SelfSigned, self_signed,
};
pub use client::{ClientSession, ClientStream, ClientTls, ClientTlsError, Trust};
pub use client_certificate::ClientCertificate;
pub use connection::{Facts, Stage, TlsConnection};
pub use error::TlsError;
pub use policy::{Authorities, ClientCertificates, Policy, ServerTls, Version};
pub use session::{ControlSession, DataAcceptor, Direction, Fresh, Resumption};
pub use stream::{Drained, Socket, TlsStream};
