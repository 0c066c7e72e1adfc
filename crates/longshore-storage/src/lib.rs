//! Where files live.
//!
//! A [`Backend`] is one tree of files, seen from its root. It knows nothing of FTP: no reply codes, no sessions,
//! no sockets, no rights of accounts (whoever calls has asked those before). What it does promise:
//!
//! - no operation reaches a file outside the root, whatever symbolic links say and whoever moves directories
//!   about at the same time;
//! - an [`Upload`] is not visible under its final name before [`Upload::commit`] has succeeded, and a file that
//!   it would replace is untouched until then (appending in place excepted, see [`UploadPlan`]);
//! - an operation never blocks the thread that calls it: what may block is handed back as a job
//!   ([`Operation::Blocking`]).
//!
//! [`conformance`] is the kit that every back end runs.

pub mod conformance;
pub mod local;
pub mod memory;

mod backend;
mod entry;
mod error;
mod operation;
mod unique;

pub use backend::{
    Abandoned, Backend, Committed, Directory, Durability, Part, Readable, Upload, UploadPlan, UploadRequest,
};
pub use entry::{Entry, FileId, Kind, Timestamp};
pub use error::{Error, ErrorKind, Result};
pub use operation::{Job, Operation};
