//! Names for uploads that ask for one nobody has. Whether a name is free is the store's business.

/// The `attempt`-th choice of a name that nobody has: the wish itself, then a number before its extension, then
/// `random` in that place, so that many uploads with one wish do not try one number after the other.
pub(crate) fn unique_name(wish: &[u8], attempt: u32, random: u64) -> Vec<u8> {
    const LIMIT_BYTES: usize = longshore_path::COMPONENT_LIMIT_BYTES;
    const EXTENSION_LIMIT_BYTES: usize = 16;
    let distinction = match attempt {
        0 => return wish.to_vec(),
        1..=8 => format!("-{}", attempt + 1),
        _ => format!("-{random:016x}"),
    };
    let dot = wish.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0);
    let (stem, extension) = match dot {
        Some(dot) if wish.len() - dot <= EXTENSION_LIMIT_BYTES => wish.split_at(dot),
        _ => (wish, &[][..]),
    };
    let room = LIMIT_BYTES - distinction.len() - extension.len();
    [&stem[..stem.len().min(room)], distinction.as_bytes(), extension].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wish: &[u8], attempt: u32, expected: &[u8]) {
        let name = unique_name(wish, attempt, 0xAB);
        assert!(name.len() <= longshore_path::COMPONENT_LIMIT_BYTES);
        assert_eq!(name, expected, "{}", String::from_utf8_lossy(&name));
    }

    #[test]
    fn unique_names_keep_the_extension_and_the_limit() {
        check(b"photo.jpg", 0, b"photo.jpg");
        check(b"photo.jpg", 1, b"photo-2.jpg");
        check(b"photo.jpg", 8, b"photo-9.jpg");
        check(b"photo.jpg", 9, b"photo-00000000000000ab.jpg");
        check(b".profile", 1, b".profile-2");
        check(b"a.", 1, b"a-2.");
        check(b"none", 1, b"none-2");
        check(&[b'x'; 255], 0, &[b'x'; 255]);
        check(&[b'x'; 255], 1, &[&[b'x'; 253][..], b"-2"].concat());
        check(&[&[b'x'; 251][..], b".jpg"].concat(), 1, &[&[b'x'; 249][..], b"-2.jpg"].concat());
        check(b"a.an-extension-that-is-none", 1, b"a.an-extension-that-is-none-2");
    }
}
