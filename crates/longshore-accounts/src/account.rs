//! What is known of somebody who may come in. Values only: nothing is checked, counted or enforced here.

use std::fmt;
use std::str::FromStr;

use longshore_path::VirtualPath;

use crate::limits::MODE_BITS;
use crate::{PathRules, Permissions, TlsRules};

/// Somebody who may come in.
///
/// Fields will be added: begin with [`Account::new`] and set what differs.
///
/// ```
/// use longshore_accounts::{Account, Permissions};
///
/// let camera = Account { permissions: Permissions::ALL, ..Account::new("camera", "drop-box") };
/// assert!(camera.directory.is_root());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name, for logs, greetings, and as the owner of parts of uploads.
    pub name: String,
    /// Which tree of files it sees; whoever serves it knows the trees by these names.
    pub tree: TreeName,
    /// Where a session begins.
    pub directory: VirtualPath,
    /// What it may do where no path rule says otherwise.
    pub permissions: Permissions,
    /// What it may do more or less in some places.
    pub rules: PathRules,
    /// How much of everything it may have.
    pub limits: AccountLimits,
    /// The mode of files that it makes, with any umask applied; `None` leaves it to the server.
    pub file_mode: Option<Mode>,
    /// The mode of directories that it makes, with any umask applied; `None` leaves it to the server.
    pub directory_mode: Option<Mode>,
    /// What it asks of TLS beyond what its listener does.
    pub tls: TlsRules,
}

impl Account {
    /// An account that may read and list all of its tree, begins at the root, and has no limits.
    pub fn new(name: impl Into<String>, tree: impl Into<String>) -> Account {
        Account {
            name: name.into(),
            tree: TreeName(tree.into()),
            directory: VirtualPath::root(),
            permissions: Permissions::READ_ONLY,
            rules: PathRules::NONE,
            limits: AccountLimits::default(),
            file_mode: None,
            directory_mode: None,
            tls: TlsRules::default(),
        }
    }

    /// What it may do to the file or directory of this path: its permissions, changed by each rule whose pattern
    /// the path matches, in order.
    pub fn permissions_at(&self, path: &VirtualPath) -> Permissions {
        self.rules.apply(self.permissions, path)
    }
}

/// Names one tree of files among those that are served.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TreeName(pub String);

/// How much an account may have; `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// Sessions at once; 0 lets nobody in.
    pub sessions: Option<u32>,
    /// Bytes per second that all its uploads together may send; at least 1.
    pub upload_bytes_per_second: Option<u64>,
    /// Bytes per second that all its downloads together may fetch; at least 1.
    pub download_bytes_per_second: Option<u64>,
    /// Bytes per second for the uploads of each of its sessions; at least 1.
    pub session_upload_bytes_per_second: Option<u64>,
    /// Bytes per second for the downloads of each of its sessions; at least 1.
    pub session_download_bytes_per_second: Option<u64>,
    /// The largest file in bytes that it may leave by an upload.
    pub file_bytes: Option<u64>,
    /// Bytes of all files together beneath the root of its tree, whoever put them there.
    pub quota_bytes: Option<u64>,
    /// Files beneath the root of its tree, whoever put them there.
    pub quota_files: Option<u64>,
}

/// Permission bits of files or directories, from 0 to 03777: set-user-ID is not among them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mode(u16);

/// A text or a number is no [`Mode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mode is an octal number from 0 to 3777, such as 0640; set-user-ID (4000) is not accepted")]
pub struct ModeError;

impl Mode {
    /// The mode with these bits; `None` beyond 0o3777.
    pub const fn new(bits: u32) -> Option<Mode> {
        // The cast loses nothing: MODE_BITS has 11 bits.
        if bits & !MODE_BITS == 0 { Some(Mode(bits as u16)) } else { None }
    }

    /// Its bits, as system calls take them.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// What a umask leaves of it.
    #[must_use]
    pub const fn masked(self, umask: Mode) -> Mode {
        Mode(self.0 & !umask.0)
    }
}

/// Reads one to four octal digits, or `0o` and these.
impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Mode, ModeError> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ModeError);
        }
        u32::from_str_radix(digits, 8).ok().and_then(Mode::new).ok_or(ModeError)
    }
}

/// Four octal digits.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mode({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u32>) {
        assert_eq!(text.parse::<Mode>().map(Mode::bits).ok(), expected, "{text:?}");
    }

    #[test]
    fn modes() {
        check("0", Some(0));
        check("644", Some(0o644));
        check("0644", Some(0o644));
        check("0o644", Some(0o644));
        check("2775", Some(0o2775));
        check("3777", Some(0o3777));
        check("4000", None);
        check("4755", None);
        check("7777", None);
        check("00644", None);
        check("", None);
        check("0o", None);
        check("648", None);
        check("+644", None);
        check("-1", None);
        check("rw-r--r--", None);
        check("0x1ff", None);
        assert_eq!(Mode::new(0o3777).map(Mode::bits), Some(0o3777));
        assert_eq!(Mode::new(0o4000), None);
        assert_eq!(Mode::new(u32::MAX), None);
        let umask: Mode = "027".parse().expect("a mode");
        assert_eq!(Mode::new(0o666).expect("a mode").masked(umask).to_string(), "0640");
        assert_eq!(Mode::new(0o2777).expect("a mode").masked(umask).to_string(), "2750");
    }

    #[test]
    fn a_new_account_may_read_and_has_no_limits() {
        let account = Account::new("alice", "files");
        assert_eq!(account.name, "alice");
        assert_eq!(account.tree, TreeName("files".to_owned()));
        assert_eq!(account.permissions_at(&VirtualPath::root()), Permissions::READ_ONLY);
        assert_eq!(account.limits, AccountLimits::default());
        assert_eq!(account.limits.sessions, None);
        assert_eq!((account.file_mode, account.directory_mode), (None, None));
    }
}
