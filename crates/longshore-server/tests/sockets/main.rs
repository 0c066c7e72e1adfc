//! The whole server over real sockets: each test has one of its own, with its own passive ports and files.
//!
//! One program of many modules, because each program of its own would be linked anew.

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod bandwidth;
mod changing;
mod cuts;
mod defence;
mod dialogue;
mod draining;
mod events;
mod files;
mod full;
mod keeping;
mod keeping_ends;
mod large;
mod lines;
mod listings;
mod load;
mod logins;
mod malformed;
mod modes;
mod odd_stores;
mod paths;
mod permissions;
mod queue;
mod quotas;
mod reloading;
mod resume;
mod sessions;
mod shutdown;
mod slow_disks;
mod tls_attacks;
mod tls_ends;
mod tls_limits;
mod tls_logins;
mod tls_proofs;
mod tls_strangers;
mod tls_transfers;
mod tracing;
