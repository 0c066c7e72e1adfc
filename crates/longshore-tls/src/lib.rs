//! The server side of TLS: certificates and their exchange, TLS policy, and the proof that a data connection
//! resumes the session of its control connection. The only crate that knows rustls.
//!
//! Not inside: commands and replies, users, configuration files, and time limits (the caller drops a future to end a
//! wait).
#![forbid(unsafe_code)]
