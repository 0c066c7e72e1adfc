//! Restart markers (RFC 959 section 3.5): what a sender writes between data, so that a transfer can begin again there.
//!
//! Not inside: how a mode carries them, and the replies and commands that name them (110, REST).

use std::fmt;

use crate::limits::MARKER_LIMIT_BYTES;

/// A restart marker: printable characters without space, which mean something only to who sends them. Ours are the
/// offset in the file, in octets, as a decimal number.
#[derive(Clone, PartialEq, Eq)]
pub struct Marker(Vec<u8>);

impl Marker {
    /// Our own marker for a place in a file.
    pub fn at(offset_bytes: u64) -> Marker {
        Marker(offset_bytes.to_string().into_bytes())
    }

    /// A marker as it was received; `None` when it is longer than [`MARKER_LIMIT_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Marker> {
        (bytes.len() <= MARKER_LIMIT_BYTES).then(|| Marker(bytes.to_vec()))
    }

    /// The marker as it came: any bytes at all, at most [`MARKER_LIMIT_BYTES`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The marker, if it is what the RFC asks for: printable ASCII, no space, not empty. Only such a one may go into a
    /// reply (110) or a command (REST); another one could forge the rest of the line.
    pub fn as_text(&self) -> Option<&str> {
        let is_printable = !self.0.is_empty() && self.0.iter().all(u8::is_ascii_graphic);
        is_printable.then(|| std::str::from_utf8(&self.0).ok()).flatten()
    }

    /// The offset in the file in octets, if this is one of our own markers.
    pub fn offset_bytes(&self) -> Option<u64> {
        let digits = self.as_text().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse().ok()
    }

    /// An empty marker, to be filled as it arrives.
    pub(super) fn arriving() -> Marker {
        Marker(Vec::new())
    }

    /// Takes more of a marker, whose mode has seen to its length.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

impl fmt::Debug for Marker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Marker({})", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_of_ours_are_offsets() {
        for offset in [0, 1, 64_000, u64::MAX] {
            let marker = Marker::at(offset);
            assert_eq!(marker.as_text(), Some(offset.to_string().as_str()));
            assert_eq!(marker.offset_bytes(), Some(offset));
        }
    }

    #[track_caller]
    fn check(bytes: &[u8], text: Option<&str>, offset: Option<u64>) {
        let marker = Marker::from_bytes(bytes).expect("it is short");
        assert_eq!(marker.as_bytes(), bytes);
        assert_eq!(marker.as_text(), text);
        assert_eq!(marker.offset_bytes(), offset);
    }

    #[test]
    fn markers_of_others_are_bytes() {
        check(b"", None, None);
        check(b"7", Some("7"), Some(7));
        check(b"+7", Some("+7"), None);
        check(b"-7", Some("-7"), None);
        check(b"block=3", Some("block=3"), None);
        check(b"18446744073709551616", Some("18446744073709551616"), None);
        check(b"two words", None, None);
        check(b"1\r\n226 Done", None, None);
        check(b"\xF1\xF2", None, None);
        check(b"7\0", None, None);
    }

    #[test]
    fn markers_have_a_limit() {
        assert!(Marker::from_bytes(&[b'1'; MARKER_LIMIT_BYTES]).is_some());
        assert!(Marker::from_bytes(&[b'1'; MARKER_LIMIT_BYTES + 1]).is_none());
    }
}
