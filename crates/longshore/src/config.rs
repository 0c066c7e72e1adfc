//! The configuration file of `longshore serve`: its keys, how it is read, what it means, how its default is printed.
//!
//! Not inside: the command line, whose flags win over the file. No library sees this format: what is read here
//! becomes each crate's own configuration in [`serve`](crate::serve).

mod keys;
mod model;
mod reader;
mod template;

#[cfg(test)]
mod tests;

pub(crate) use model::{Settings, Tenancy};
pub(crate) use template::template;
