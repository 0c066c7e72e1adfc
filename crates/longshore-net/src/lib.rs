//! The kernel edge of an FTP server: listeners, the passive port pool, data sockets, active
//! connections and urgent data.
//!
//! Everything here speaks of sockets, addresses and bytes. Not inside: commands and replies, users,
//! configuration files, TLS, time limits of transfers (the caller drops a future to end a wait).
//!
//! Sockets are plain non-blocking descriptors. They are registered with tokio's reactor only after
//! a call said that it would block, because a small file is often moved without a single wait.
//! Linux only. Everything that may wait needs a tokio runtime with I/O enabled, and a draining
//! socket ([`DataSocket::drain_in_background`]) also its clock.
#![forbid(unsafe_code)]

pub mod active;
pub mod data;
pub mod descriptors;
pub mod limits;
pub mod listen;
pub mod passive;
pub mod patience;
mod reactor;
pub mod urgent;

pub use data::{Closing, DataSocket};
pub use descriptors::{SpareDescriptor, descriptor_limit, is_out_of_descriptors};
pub use listen::{
    ListenError, adopt_listener, control_listener, end_output, normalise, normalise_ip, prepare_control,
};
pub use passive::{PassivePool, PeerRule, PoolError, Reservation, ReserveError, Take};
pub use patience::{is_patient, with_patience};
pub use urgent::{Urgency, is_urgent, read_control, wait_urgent};
