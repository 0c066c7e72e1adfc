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
//!
//! ```
//! use longshore_path::VirtualPath;
//! use longshore_storage::{Backend, UploadPlan, UploadRequest, memory::Memory};
//!
//! let store = Memory::new();
//! let path = VirtualPath::new("/hello.txt")?;
//! let mut upload = store.open_upload(UploadRequest::new(path.clone(), "anna", UploadPlan::Replace)).wait()?;
//! upload.write(b"hello".to_vec()).wait()?;
//! assert!(store.stat(&path).wait().is_err(), "not there before the commit");
//! upload.commit().wait()?;
//! assert_eq!(store.stat(&path).wait()?.size, 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod conformance;
pub mod limits;
pub mod local;
pub mod memory;

mod backend;
mod entry;
mod error;
mod operation;
mod unique;
mod usage;

pub use backend::{
    Abandoned, Backend, Batch, Committed, Detail, Directory, Durability, Part, Readable, Upload, UploadPlan,
    UploadRequest,
};
pub use entry::{Entry, FileId, Kind, Timestamp};
pub use error::{Error, ErrorKind, Result};
pub use operation::{Job, Operation};
pub use usage::{Quota, Usage};
