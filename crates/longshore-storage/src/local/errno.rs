//! What the system's error numbers mean to a caller. The only place of the local store that knows both.

use rustix::io::Errno;

use crate::{Error, ErrorKind};

/// The error for a number that came from opening, reading, writing or removing.
pub(super) fn error(errno: Errno) -> Error {
    let kind = match errno {
        Errno::NOENT => ErrorKind::NotFound,
        // EXDEV comes from a resolution that would leave the root, ELOOP from too many links or a magic one.
        Errno::ACCESS | Errno::PERM | Errno::XDEV | Errno::LOOP => ErrorKind::PermissionDenied,
        Errno::NOTDIR => ErrorKind::NotADirectory,
        Errno::ISDIR => ErrorKind::IsADirectory,
        Errno::NXIO | Errno::NODEV => ErrorKind::NotAFile,
        Errno::EXIST => ErrorKind::AlreadyExists,
        Errno::NOTEMPTY => ErrorKind::NotEmpty,
        Errno::NAMETOOLONG | Errno::ILSEQ => ErrorKind::NameNotAllowed,
        Errno::NOSPC | Errno::FBIG => ErrorKind::NoSpace,
        Errno::DQUOT => ErrorKind::QuotaExceeded,
        // EAGAIN is what is left when a resolution was disturbed too often, or a lease or lock is held.
        Errno::BUSY | Errno::TXTBSY | Errno::AGAIN => ErrorKind::Busy,
        Errno::ROFS => ErrorKind::ReadOnly,
        Errno::OPNOTSUPP | Errno::NOSYS => ErrorKind::Unsupported,
        _ => ErrorKind::Failed,
    };
    Error { kind, source: Some(errno.into()) }
}

/// The error for a number that came from giving something a name.
pub(super) fn naming_error(errno: Errno) -> Error {
    let kind = match errno {
        // File systems with forbidden characters say EINVAL, and so does moving a directory into itself.
        Errno::INVAL => ErrorKind::NameNotAllowed,
        // Between two file systems mounted beneath the root.
        Errno::XDEV => ErrorKind::Unsupported,
        _ => return error(errno),
    };
    Error { kind, source: Some(errno.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(errno: Errno, reading: ErrorKind, naming: ErrorKind) {
        assert_eq!((error(errno).kind, naming_error(errno).kind), (reading, naming), "{errno:?}");
        assert!(error(errno).source.is_some(), "the log needs the system's word");
    }

    #[test]
    fn numbers_that_callers_act_on() {
        check(Errno::NOENT, ErrorKind::NotFound, ErrorKind::NotFound);
        check(Errno::XDEV, ErrorKind::PermissionDenied, ErrorKind::Unsupported);
        check(Errno::INVAL, ErrorKind::Failed, ErrorKind::NameNotAllowed);
        check(Errno::NOSPC, ErrorKind::NoSpace, ErrorKind::NoSpace);
        check(Errno::DQUOT, ErrorKind::QuotaExceeded, ErrorKind::QuotaExceeded);
        check(Errno::ROFS, ErrorKind::ReadOnly, ErrorKind::ReadOnly);
        check(Errno::NAMETOOLONG, ErrorKind::NameNotAllowed, ErrorKind::NameNotAllowed);
        check(Errno::LOOP, ErrorKind::PermissionDenied, ErrorKind::PermissionDenied);
        check(Errno::IO, ErrorKind::Failed, ErrorKind::Failed);
        check(Errno::MFILE, ErrorKind::Failed, ErrorKind::Failed);
    }
}
