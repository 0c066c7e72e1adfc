//! What a store tells about a file. Rights of accounts and the form of listings are elsewhere.

/// A file or directory as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last component, as stored; empty for the root.
    pub name: Vec<u8>,
    /// What it is, a symbolic link followed beneath the root.
    pub kind: Kind,
    /// Octets of a file; whatever the store says for others.
    pub size: u64,
    /// When the contents were last modified.
    pub modified: Timestamp,
    /// Permission bits and set-id bits, `0o7777` at most.
    pub mode: u32,
    /// The owner's number.
    pub owner: u32,
    /// The group's number.
    pub group: u32,
    /// Hard links.
    pub links: u64,
    /// Equal exactly where two entries are the same file.
    pub id: FileId,
    /// The text of the symbolic link, when this entry is one. The other fields then describe where it leads, or
    /// the link itself (with [`Kind::Other`]) when it leads nowhere or out of the root.
    pub link_target: Option<Vec<u8>>,
}

/// The kinds of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A device, pipe, socket, or a symbolic link that leads nowhere or out of the root.
    Other,
}

/// Device and inode, or what the store has in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device, or the store.
    pub device: u64,
    /// The file on it.
    pub inode: u64,
}

/// A moment in seconds since 1970-01-01 00:00 UTC, without leap seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// The rest, 0 to 999,999,999.
    pub nanoseconds: u32,
}

impl From<std::time::SystemTime> for Timestamp {
    fn from(time: std::time::SystemTime) -> Timestamp {
        use std::time::UNIX_EPOCH;
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp {
                seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                nanoseconds: since.subsec_nanos(),
            },
            Err(before) => {
                let before = before.duration();
                let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                // Seconds are rounded down, so the rest counts up from the second before.
                match before.subsec_nanos() {
                    0 => Timestamp { seconds: -seconds, nanoseconds: 0 },
                    rest => Timestamp { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - rest },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[track_caller]
    fn check(time: std::time::SystemTime, seconds: i64, nanoseconds: u32) {
        assert_eq!(Timestamp::from(time), Timestamp { seconds, nanoseconds });
    }

    #[test]
    fn times_round_down_on_both_sides_of_1970() {
        check(UNIX_EPOCH, 0, 0);
        check(UNIX_EPOCH + Duration::new(1, 999_999_999), 1, 999_999_999);
        check(UNIX_EPOCH - Duration::new(1, 0), -1, 0);
        check(UNIX_EPOCH - Duration::new(0, 1), -1, 999_999_999);
        check(UNIX_EPOCH - Duration::new(1, 1), -2, 999_999_999);
    }
}
