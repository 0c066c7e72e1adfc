//! What the tests send: bytes, sizes and names.

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
    vec![
        "with space",
        " leading space",
        "trailing space ",
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
        "na\u{EF}ve \u{FC}ml\u{E4}ut",
        "\u{65E5}\u{672C}\u{8A9E}.txt",
        "e\u{301} decomposed",
        "\u{1F6A2}",
    ]
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
