//! The configuration of `longshore serve`: its keys, how the file and the environment are read, what they mean, how
//! the default is printed.
//!
//! Not inside: the command line, whose flags win over both. No library sees this format: what is read here becomes
//! each crate's own configuration in [`serve`](crate::serve).

mod convert;
mod environment;
mod keys;
mod model;
mod people;
mod reader;
mod template;
mod tls;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

pub(crate) use environment::Environment;
pub(crate) use model::{Log, Server, Settings, explicit};
pub(crate) use people::Tenancy;
pub(crate) use template::template;
pub(crate) use tls::{Clients, Listener, Tls};
