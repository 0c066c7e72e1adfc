//! What the tests send: bytes, sizes, names and times.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The time of files whose time is looked at, after 1970: 2001-02-03 04:05:06 UTC.
pub const MODIFIED: Duration = Duration::from_secs(981_173_106);
/// The same as MFMT and MDTM write it.
pub(crate) const MODIFIED_STAMP: &str = "20010203040506";

/// Bytes that repeat nowhere soon, so that a lost, doubled or displaced block is seen. `seed` tells files apart.
pub fn pattern(size: usize, seed: u32) -> Vec<u8> {
    let mut state = u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Sizes at the edges: nothing, one byte, one Ethernet segment, one buffer, many buffers.
pub fn sizes() -> [usize; 5] {
    [0, 1, 1460, 65_536, 10 * 1024 * 1024]
}

/// Names that scripts, URLs and shells trip over; all are legal for a file system.
pub fn odd_names() -> Vec<&'static str> {
    [common_names(), names_with_outer_spaces(), names_with_signs()].concat()
}

/// Names as people give them.
pub(crate) fn common_names() -> &'static [&'static str] {
    &[
        "with space",
        "na\u{EF}ve \u{FC}ml\u{E4}ut",
        "\u{65E5}\u{672C}\u{8A9E}.txt",
        "e\u{301} decomposed",
        "\u{1F6A2}",
    ]
}

/// Names whose spaces lie where lists are cut.
pub(crate) fn names_with_outer_spaces() -> &'static [&'static str] {
    &[" leading space", "  two before", "trailing space "]
}

/// Names with signs that mean something to shells, URLs, patterns, options or Telnet.
pub(crate) fn names_with_signs() -> &'static [&'static str] {
    &[
        "double\"quote",
        "it's",
        "#hash",
        "100%",
        "%41",
        "-dash",
        "--help",
        "semi;colon",
        "back\\slash",
        "dollar$HOME",
        "tilde~",
        "amp&sand",
        "plus+plus",
        "[brackets]",
        "{braces}",
        "star*",
        "question?",
        "colon:colon",
        "pipe|pipe",
        "...",
        ".hidden",
    ]
}

/// Gives a file of ours the time [`MODIFIED`].
///
/// # Panics
/// When it is not there.
pub fn date(path: &Path) {
    let file =
        File::options().write(true).open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.set_modified(SystemTime::UNIX_EPOCH + MODIFIED).expect("our own file");
}

/// The time of a file, after 1970.
///
/// # Panics
/// When it is not there.
pub fn dated(path: &Path) -> Duration {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    let modified = modified.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    modified.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970")
}

/// Compares contents and names the first difference, for files too long to print.
///
/// # Panics
/// When they differ.
#[track_caller]
pub fn assert_same_bytes(what: &str, actual: &[u8], expected: &[u8]) {
    if actual == expected {
        return;
    }
    let at = actual.iter().zip(expected).position(|(one, other)| one != other);
    let at = at.unwrap_or(actual.len().min(expected.len()));
    panic!("{what}: {} bytes, {} expected; they differ from byte {at} on", actual.len(), expected.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_their_size_and_differ() {
        for size in sizes() {
            assert_eq!(pattern(size, 1).len(), size);
        }
        assert_ne!(pattern(64, 1), pattern(64, 2));
        assert_eq!(pattern(64, 1)[..10], pattern(10, 1)[..]);
    }

    #[test]
    #[should_panic(expected = "they differ from byte 2 on")]
    fn the_first_difference_is_named() {
        assert_same_bytes("x", b"abc", b"ab");
    }
}
