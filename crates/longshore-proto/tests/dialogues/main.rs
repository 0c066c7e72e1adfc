//! Dialogues: what the session answers, rule by rule.
//!
//! Not inside: the order of input and outcomes that nobody thought of; the random sequences look for those.

#[path = "../common/mod.rs"]
mod common;

mod aborting;
mod arranging;
mod coming_in;
mod endings;
mod files;
mod keeping;
mod keeping_deflate;
mod lines;
mod order;
mod parameters;
mod protected_data;
mod protected_logins;
mod protecting;
mod protecting_ends;
mod queues;
mod restarting;
mod shutdown;
mod transfers;
