//! What LIST, NLST, MLSD and MLST write: one [`Item`] becomes one line, in the form that the command wants.
//!
//! Not inside: reading directories, sorting, and who may see what. The caller brings items one by one, in the
//! order in which they are to appear, and sends the bytes whenever enough have gathered.
//!
//! No name can forge a line: control characters are written as `?`, each of them.

mod facts;
mod pattern;
pub mod unix;

use std::fmt;
use std::ops::BitOr;

pub use facts::Facts;
pub use pattern::Pattern;

use crate::time::UnixTime;

/// A file or directory as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// The last component of its path.
    pub name: &'a [u8],
    /// What it is; for a symbolic link, what it leads to.
    pub kind: ItemKind,
    /// Octets of its contents.
    pub size: u64,
    /// When its contents were last modified.
    pub modified: UnixTime,
    /// Permission and set-id bits; only `0o7777` is looked at.
    pub mode: u32,
    /// The owner's number.
    pub owner: u32,
    /// The group's number.
    pub group: u32,
    /// Hard links.
    pub links: u64,
    /// Equal exactly where two items are the same file: device and inode, or whatever the store has.
    pub unique: (u64, u64),
    /// The text of the symbolic link, when it is one.
    pub link_target: Option<&'a [u8]>,
    /// What the account may do with it. The `perm` fact shows those of them that its kind can have.
    pub rights: Rights,
}

/// The kinds of item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// A regular file.
    File,
    /// A directory within the listed one.
    Directory,
    /// The listed directory itself (`cdir`).
    CurrentDirectory,
    /// The directory that holds the listed one (`pdir`).
    ParentDirectory,
    /// A device, pipe or socket, or a symbolic link that leads nowhere.
    Other,
}

impl ItemKind {
    fn is_directory(self) -> bool {
        matches!(self, ItemKind::Directory | ItemKind::CurrentDirectory | ItemKind::ParentDirectory)
    }
}

/// A set of the rights that the `perm` fact tells (RFC 3659 section 7.5.5).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights(u16);

impl Rights {
    /// No right at all.
    pub const NONE: Rights = Rights(0);
    /// `a`: APPE onto this file.
    pub const APPEND: Rights = Rights(1);
    /// `c`: files may be created in this directory.
    pub const CREATE: Rights = Rights(1 << 1);
    /// `d`: it may be deleted.
    pub const DELETE: Rights = Rights(1 << 2);
    /// `e`: this directory may be entered.
    pub const ENTER: Rights = Rights(1 << 3);
    /// `f`: it may be renamed.
    pub const RENAME: Rights = Rights(1 << 4);
    /// `l`: this directory may be listed.
    pub const LIST: Rights = Rights(1 << 5);
    /// `m`: directories may be made in this directory.
    pub const MAKE_DIRECTORY: Rights = Rights(1 << 6);
    /// `p`: what is in this directory may be deleted.
    pub const PURGE: Rights = Rights(1 << 7);
    /// `r`: RETR of this file.
    pub const READ: Rights = Rights(1 << 8);
    /// `w`: STOR onto this file.
    pub const WRITE: Rights = Rights(1 << 9);
    /// Every right.
    pub const ALL: Rights = Rights((1 << 10) - 1);

    /// The letters, in the order of the bits.
    const LETTERS: [u8; 10] = *b"acdeflmprw";
    const OF_FILES: Rights =
        Rights(Rights::APPEND.0 | Rights::DELETE.0 | Rights::RENAME.0 | Rights::READ.0 | Rights::WRITE.0);
    const OF_DIRECTORIES: Rights = Rights(
        Rights::CREATE.0
            | Rights::DELETE.0
            | Rights::ENTER.0
            | Rights::RENAME.0
            | Rights::LIST.0
            | Rights::MAKE_DIRECTORY.0
            | Rights::PURGE.0,
    );
    const OF_OTHERS: Rights = Rights(Rights::DELETE.0 | Rights::RENAME.0);

    /// Whether every right of `other` is in the set.
    pub const fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// The rights that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    /// The rights that are in one of the sets or in both.
    #[must_use]
    pub const fn union(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// Those that mean something for an item of this kind.
    fn meaningful_for(self, kind: ItemKind) -> Rights {
        self.intersection(match kind {
            ItemKind::File => Rights::OF_FILES,
            ItemKind::Other => Rights::OF_OTHERS,
            ItemKind::Directory | ItemKind::CurrentDirectory | ItemKind::ParentDirectory => {
                Rights::OF_DIRECTORIES
            }
        })
    }

    /// The letters of the set, in the beginning of `room`.
    fn letters(self, room: &mut [u8; 10]) -> &[u8] {
        let mut count = 0;
        for (bit, letter) in Rights::LETTERS.into_iter().enumerate() {
            room[count] = letter;
            count += usize::from(self.0 >> bit & 1);
        }
        &room[..count]
    }
}

impl BitOr for Rights {
    type Output = Rights;

    fn bitor(self, other: Rights) -> Rights {
        self.union(other)
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.letters(&mut [0; 10]).escape_ascii().to_string();
        f.debug_tuple("Rights").field(&letters).finish()
    }
}

/// Appends a line of NLST: `prefix` (what the client put before the last component of its pattern or path,
/// with its slash, or nothing), the name, CR LF.
pub fn write_name_line(out: &mut Vec<u8>, prefix: &[u8], name: &[u8]) {
    push_name(out, prefix);
    push_name(out, name);
    out.extend_from_slice(b"\r\n");
}

/// A name as it stands, but with each control character as `?`. Bytes above 0x7F are left alone, whatever
/// character set they are of.
fn push_name(out: &mut Vec<u8>, name: &[u8]) {
    let begin = out.len();
    out.extend_from_slice(name);
    // Nearly no name has any: looking at all bytes without a branch in between is the quickest way to know.
    if name.iter().fold(false, |found, byte| found | byte.is_ascii_control()) {
        for byte in &mut out[begin..] {
            if byte.is_ascii_control() {
                *byte = b'?';
            }
        }
    }
}

/// A number in decimal.
pub(crate) fn push_decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    out.extend_from_slice(decimal(&mut digits, number));
}

/// A number in hexadecimal.
fn push_hexadecimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 16];
    let mut first = digits.len();
    let mut rest = number;
    loop {
        first -= 1;
        digits[first] = b"0123456789abcdef"[(rest & 0xF) as usize];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// The digits of a number in the end of `digits`, which holds the longest (2^64 - 1).
fn decimal(digits: &mut [u8; 20], number: u64) -> &[u8] {
    let mut first = digits.len();
    let mut rest = number;
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &digits[first..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file to alter in tests: 1234 bytes, of 2026-11-20 13:04:05.
    pub(super) fn file(name: &[u8]) -> Item<'_> {
        Item {
            name,
            kind: ItemKind::File,
            size: 1234,
            modified: UnixTime { seconds: 1_795_179_845, nanoseconds: 0 },
            mode: 0o100_644,
            owner: 1000,
            group: 1000,
            links: 1,
            unique: (0xFD01, 0x1A2B),
            link_target: None,
            rights: Rights::ALL,
        }
    }

    pub(super) fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        out.escape_ascii().to_string()
    }

    #[test]
    fn names() {
        #[track_caller]
        fn check(prefix: &[u8], name: &[u8], expected: &str) {
            assert_eq!(text(|out| write_name_line(out, prefix, name)), format!("{expected}\\r\\n"));
        }
        check(b"", b"a", "a");
        check(b"", b" a b ", " a b ");
        check(b"pub/", b"a", "pub/a");
        check(b"", b"a\r\nb", "a??b");
        check(b"", b"\x01\x1B[2J\x7F\0", "??[2J??");
        check(b"x\n/", b"a", "x?/a");
        check(b"", b"\xE9\xFF\x80\xC3\xBC", "\\xe9\\xff\\x80\\xc3\\xbc");
    }

    #[test]
    fn only_the_control_characters_of_the_name_are_replaced() {
        let mut out = b"before\r\n".to_vec();
        write_name_line(&mut out, b"", b"\n");
        assert_eq!(out, b"before\r\n?\r\n");
    }

    #[test]
    fn numbers() {
        #[track_caller]
        fn check(number: u64) {
            assert_eq!(text(|out| push_decimal(out, number)), number.to_string());
            assert_eq!(text(|out| push_hexadecimal(out, number)), format!("{number:x}"));
        }
        for number in [0, 1, 9, 10, 15, 16, 99, 100, 255, 256, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            check(number);
        }
        for power in 0..64 {
            check(1 << power);
            check((1 << power) - 1);
        }
    }

    #[test]
    fn rights_are_a_set() {
        let set = Rights::READ | Rights::WRITE;
        assert!(set.contains(Rights::READ) && set.contains(set) && set.contains(Rights::NONE));
        assert!(!set.contains(Rights::READ | Rights::DELETE));
        assert_eq!(set.intersection(Rights::READ | Rights::DELETE), Rights::READ);
        assert_eq!(format!("{set:?}"), "Rights(\"rw\")");
        assert_eq!(format!("{:?}", Rights::ALL), "Rights(\"acdeflmprw\")");
        assert_eq!(Rights::default(), Rights::NONE);
    }
}
