//! Names of parts: what an unfinished upload is called on the disk. No file is opened in here.
//!
//! ```text
//! .NAME.KEY.longshore-part          a kept part: KEY is a digest of the owner and the final name
//! .NAME.KEY.RANDOM.longshore-part   the part of a running upload
//! .NAME.KEY.unique.longshore-part   the same, which also reserves its final name
//! ```
//!
//! NAME is the final name made short and plain, for the eye of whoever lists the disk; nothing depends on it. The
//! whole is at most [`LONGEST_BYTES`], far below the 255 bytes of most file systems and the 143 of eCryptfs, so
//! every final name can be uploaded.

use sha2::{Digest, Sha256};

const SUFFIX: &[u8] = b".longshore-part";
/// How much of the final name is shown.
const SHOWN_BYTES: usize = 48;
/// Hexadecimal digits of the key: 128 bits, so that finding a name that collides with a given part is hopeless.
const KEY_DIGITS: usize = 32;
const RANDOM_DIGITS: usize = 16;
/// What stands in the place of the random digits where the name itself is reserved.
const UNIQUE: &[u8] = b"unique";
/// The longest name that is made here.
const LONGEST_BYTES: usize = 1 + SHOWN_BYTES + 1 + KEY_DIGITS + 1 + RANDOM_DIGITS + SUFFIX.len();
const _: () = assert!(LONGEST_BYTES <= 143);

/// Whether a name belongs to the store. Case is ignored, as some file systems do.
pub(super) fn is_reserved(name: &[u8]) -> bool {
    name.first() == Some(&b'.')
        && name.len() > SUFFIX.len()
        && name[name.len() - SUFFIX.len()..].eq_ignore_ascii_case(SUFFIX)
}

/// The name under which a cut upload of `name` by `owner` is kept: always the same one.
pub(super) fn kept(name: &[u8], owner: &str) -> Vec<u8> {
    assemble(name, &key(b"kept", owner.as_bytes(), name), b"")
}

/// The name of a running upload. `random` must not repeat in the directory.
pub(super) fn active(name: &[u8], owner: &str, random: u64) -> Vec<u8> {
    assemble(name, &key(b"kept", owner.as_bytes(), name), &hexadecimal(&random.to_be_bytes()))
}

/// The name of a running upload that nobody else can have while it exists, whoever the owner.
pub(super) fn reservation(name: &[u8]) -> Vec<u8> {
    assemble(name, &key(b"unique", b"", name), UNIQUE)
}

/// Whether a name is that of a running upload.
pub(super) fn is_active(name: &[u8]) -> bool {
    let Some(rest) = name.len().checked_sub(SUFFIX.len()).map(|length| &name[..length]) else { return false };
    let mut components = rest.rsplit(|&byte| byte == b'.');
    let is_hexadecimal =
        |component: &[u8], digits| component.len() == digits && component.iter().all(u8::is_ascii_hexdigit);
    let distinction = components.next().unwrap_or_default();
    is_reserved(name)
        && (is_hexadecimal(distinction, RANDOM_DIGITS) || distinction == UNIQUE)
        && components.next().is_some_and(|key| is_hexadecimal(key, KEY_DIGITS))
        && components.next().is_some()
}

/// The digest in hexadecimal. It resists collisions, since whoever uploads chooses names and must not find one whose
/// part falls together with another owner's. The owner's length goes first: no other pair gives the same message.
fn key(purpose: &[u8], owner: &[u8], name: &[u8]) -> Vec<u8> {
    let pieces: [&[u8]; 5] = [purpose, b"\0", &(owner.len() as u64).to_be_bytes(), owner, name];
    let digest = pieces.iter().fold(Sha256::new(), Digest::chain_update).finalize();
    hexadecimal(&digest[..KEY_DIGITS / 2])
}

/// Not by `format!`, which every small upload would pay for.
fn hexadecimal(octets: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    octets
        .iter()
        .flat_map(|octet| [octet >> 4, octet & 0xF].map(|digit| DIGITS[usize::from(digit)]))
        .collect()
}

fn assemble(name: &[u8], key: &[u8], distinction: &[u8]) -> Vec<u8> {
    let mut part = Vec::with_capacity(LONGEST_BYTES);
    part.push(b'.');
    part.extend(name.iter().take(SHOWN_BYTES).map(|&byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => byte,
        // A cut character would be refused by file systems that want whole UTF-8.
        _ => b'_',
    }));
    part.push(b'.');
    part.extend_from_slice(key);
    if !distinction.is_empty() {
        part.push(b'.');
        part.extend_from_slice(distinction);
    }
    part.extend_from_slice(SUFFIX);
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_made_here_is_reserved_and_short() {
        for name in [&b"a"[..], b".", b"-rf", b"\xFF\xFE*[", "한글".as_bytes(), &[b'x'; 255], &[0xE9; 255]]
        {
            for part in [kept(name, "anna"), active(name, "anna", u64::MAX), reservation(name)] {
                assert!(is_reserved(&part) && part.len() <= LONGEST_BYTES, "{part:?}");
                assert!(part.is_ascii() && !part.contains(&b'/'), "{part:?}");
            }
        }
    }

    #[track_caller]
    fn check_reserved(name: &[u8], expected: bool) {
        assert_eq!(is_reserved(name), expected, "{name:?}");
    }

    #[test]
    fn reserved_is_a_dot_and_the_suffix() {
        check_reserved(b".a.longshore-part", true);
        check_reserved(b".A.LONGSHORE-Part", true);
        check_reserved(b"..longshore-part", true);
        check_reserved(b".longshore-part", false);
        check_reserved(b"a.longshore-part", false);
        check_reserved(b".a.longshore-parts", false);
        check_reserved(b"", false);
    }

    #[test]
    fn running_parts_are_told_from_kept_ones() {
        for name in
            [&b"a"[..], b".", b"a.0123456789abcdef", b"unique", b"a.unique", &[b'x'; 255], &[0xE9; 255]]
        {
            assert!(!is_active(&kept(name, "anna")), "{name:?}");
            for random in [0, 0xAB, u64::MAX] {
                assert!(is_active(&active(name, "anna", random)), "{name:?}");
            }
            assert!(is_active(&reservation(name)), "{name:?}");
        }
        for other in
            [&b".a.longshore-part"[..], b".longshore-part", b"", b".a.b.0123456789abcdef.longshore-part"]
        {
            assert!(!is_active(other), "{other:?}");
        }
    }

    #[test]
    fn names_are_stable_across_versions() {
        // Parts outlive the program: changing this makes every kept part an orphan.
        assert_eq!(
            String::from_utf8_lossy(&kept(b"report 1.pdf", "anna")),
            ".report_1.pdf.49edf583caba827743dc788786de5fa5.longshore-part"
        );
    }

    #[test]
    fn owner_and_name_cannot_be_shifted_into_each_other() {
        assert_ne!(kept(b"bc", "a"), kept(b"c", "ab"));
        assert_ne!(kept(b"b", "a"), kept(b"b", "A"));
        // Names that look alike after shortening stay apart.
        assert_ne!(kept(&[b'x'; 254], "a"), kept(&[b'x'; 255], "a"));
        assert_ne!(kept(b"a*", "a"), kept(b"a?", "a"));
        assert_ne!(active(b"a", "a", 1), active(b"a", "a", 2));
    }
}
