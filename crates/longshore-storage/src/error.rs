//! The few ways in which storage fails, named for what the caller can do about them. No reply codes in here.

use std::io;

/// A result of storage.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, and the system's own word for the log.
#[derive(Debug, thiserror::Error)]
#[error("{kind}{}", source.as_ref().map(|source| format!(": {source}")).unwrap_or_default())]
pub struct Error {
    /// What the caller may act on.
    pub kind: ErrorKind,
    /// What the system said; for the log, never for the peer.
    #[source]
    pub source: Option<io::Error>,
}

/// The kinds of failure a caller may have to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ErrorKind {
    /// There is no such file or directory.
    #[error("not found")]
    NotFound,
    /// The operating system or the store refuses, or the path leads out of the root.
    #[error("permission denied")]
    PermissionDenied,
    /// A path goes through something that is not a directory, or a directory was needed.
    #[error("not a directory")]
    NotADirectory,
    /// A file was needed and a directory is there.
    #[error("is a directory")]
    IsADirectory,
    /// Neither a file nor a directory: a device, a pipe, a socket.
    #[error("not a regular file")]
    NotAFile,
    /// The name is taken.
    #[error("already exists")]
    AlreadyExists,
    /// The directory to remove or replace holds something.
    #[error("directory not empty")]
    NotEmpty,
    /// The store cannot hold this name: too long, reserved for parts, or of the wrong characters.
    #[error("name not allowed")]
    NameNotAllowed,
    /// The store is full.
    #[error("no space left")]
    NoSpace,
    /// A quota, of the request or of the store itself, is used up.
    #[error("quota exceeded")]
    QuotaExceeded,
    /// The file would become longer than the request allows.
    #[error("file too large")]
    FileTooLarge,
    /// The offset lies beyond the end of the file (or of the kept part).
    #[error("offset beyond the end")]
    OffsetBeyondEnd,
    /// Somebody else is writing to this very file.
    #[error("busy")]
    Busy,
    /// The store cannot be written to at all.
    #[error("read-only")]
    ReadOnly,
    /// The store does not offer this.
    #[error("not supported by this store")]
    Unsupported,
    /// Anything else: the store's own fault.
    #[error("storage failure")]
    Failed,
}

impl Error {
    /// An error of the given kind with nothing more to say.
    pub fn new(kind: ErrorKind) -> Error {
        Error { kind, source: None }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Error {
        Error::new(kind)
    }
}
