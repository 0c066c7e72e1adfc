//! Paths as an FTP peer names them: absolute, normalised, and made of bytes.
//!
//! Not inside: anything that touches a file system. A [`VirtualPath`] says nothing about symbolic links or
//! where the account's root lies on a disk; resolving it beneath a root is the work of the storage crate.

mod limits;

use std::fmt;

pub use limits::{COMPONENT_LIMIT_BYTES, PATH_LIMIT_BYTES};

/// An absolute path without `.`, `..`, empty components, NUL or control characters.
///
/// The root is `/`; every other path starts with `/` and does not end with it. Names are bytes: what the peer
/// sent is what is stored and what is sent back, whatever its character set.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualPath {
    /// `/`, or `/a/b`; never a trailing slash.
    bytes: Vec<u8>,
}

/// Why some bytes are not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// Nothing at all was given where a name is needed.
    Empty,
    /// The byte 0, which no file system can hold.
    Nul,
    /// A control character (0x01-0x1F or 0x7F): it would break listings and logs.
    Control(u8),
    /// More than [`PATH_LIMIT_BYTES`].
    TooLong,
    /// A component of more than [`COMPONENT_LIMIT_BYTES`].
    ComponentTooLong,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathError::Empty => f.write_str("the name is empty"),
            PathError::Nul => f.write_str("the name contains a NUL byte"),
            PathError::Control(byte) => write!(f, "the name contains the control character 0x{byte:02X}"),
            PathError::TooLong => write!(f, "the path is longer than {PATH_LIMIT_BYTES} bytes"),
            PathError::ComponentTooLong => {
                write!(f, "a name in the path is longer than {COMPONENT_LIMIT_BYTES} bytes")
            }
        }
    }
}

impl std::error::Error for PathError {}

impl VirtualPath {
    /// The root, `/`.
    pub fn root() -> VirtualPath {
        VirtualPath { bytes: b"/".to_vec() }
    }

    /// Reads an absolute path; a path without a leading slash is taken from the root.
    ///
    /// # Errors
    /// As [`VirtualPath::join`].
    pub fn new(path: impl AsRef<[u8]>) -> Result<VirtualPath, PathError> {
        VirtualPath::root().join(path)
    }

    /// Resolves `path` against `self`: absolute when it begins with `/`, else relative. `.` and empty
    /// components vanish, `..` goes up and stays at the root there.
    ///
    /// # Errors
    /// [`PathError`] when `path` is empty, holds NUL or a control character, or the result is too long.
    pub fn join(&self, path: impl AsRef<[u8]>) -> Result<VirtualPath, PathError> {
        let path = path.as_ref();
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        if let Some(&byte) = path.iter().find(|byte| byte.is_ascii_control()) {
            return Err(if byte == 0 { PathError::Nul } else { PathError::Control(byte) });
        }
        let mut bytes = if path[0] == b'/' { Vec::new() } else { self.bytes.clone() };
        if bytes == b"/" {
            bytes.clear();
        }
        for component in path.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => bytes.truncate(bytes.iter().rposition(|&byte| byte == b'/').unwrap_or(0)),
                name if name.len() > COMPONENT_LIMIT_BYTES => return Err(PathError::ComponentTooLong),
                name => {
                    bytes.push(b'/');
                    bytes.extend_from_slice(name);
                }
            }
        }
        if bytes.len() > PATH_LIMIT_BYTES {
            return Err(PathError::TooLong);
        }
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        Ok(VirtualPath { bytes })
    }

    /// The directory that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<VirtualPath> {
        let slash = self.bytes.iter().rposition(|&byte| byte == b'/')?;
        match (self.is_root(), slash) {
            (true, _) => None,
            (false, 0) => Some(VirtualPath::root()),
            (false, _) => Some(VirtualPath { bytes: self.bytes[..slash].to_vec() }),
        }
    }

    /// The last component; `None` for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components().last()
    }

    /// The components from the root down; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.bytes.split(|&byte| byte == b'/').filter(|component| !component.is_empty())
    }

    /// Whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.bytes == b"/"
    }

    /// Whether `self` is `ancestor` or lies below it.
    pub fn starts_with(&self, ancestor: &VirtualPath) -> bool {
        ancestor.is_root()
            || (self.bytes.starts_with(&ancestor.bytes)
                && matches!(self.bytes.get(ancestor.bytes.len()), None | Some(b'/')))
    }

    /// The path as it goes over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// For logs and terminals: bytes that are not printable UTF-8 are written as `\xNN`, so that no name can forge
/// a log line or move a cursor.
impl fmt::Display for VirtualPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&display(&self.bytes), f)
    }
}

impl fmt::Debug for VirtualPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Bytes of a peer made safe for a log line or a terminal, as [`VirtualPath`]'s `Display` does.
pub fn display(bytes: &[u8]) -> impl fmt::Display + '_ {
    struct Safe<'a>(&'a [u8]);
    impl fmt::Display for Safe<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for chunk in self.0.utf8_chunks() {
                for character in chunk.valid().chars() {
                    match character {
                        '\\' => f.write_str("\\\\")?,
                        c if c.is_control() || is_invisible(c) => {
                            let mut buffer = [0; 4];
                            for byte in c.encode_utf8(&mut buffer).bytes() {
                                write!(f, "\\x{byte:02X}")?;
                            }
                        }
                        c => fmt::Write::write_char(f, c)?,
                    }
                }
                for byte in chunk.invalid() {
                    write!(f, "\\x{byte:02X}")?;
                }
            }
            Ok(())
        }
    }
    Safe(bytes)
}

/// Characters that reorder or hide text on a terminal: bidirectional controls, zero-width marks, separators.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, path: impl AsRef<[u8]>, expected: Result<&str, PathError>) {
        let joined = VirtualPath::new(base).unwrap().join(path);
        assert_eq!(
            joined.as_ref().map(VirtualPath::as_bytes).map_err(|error| *error),
            expected.map(str::as_bytes)
        );
    }

    #[test]
    fn join_resolves_against_the_base() {
        check("/", "a", Ok("/a"));
        check("/a", "b", Ok("/a/b"));
        check("/a/", "b/", Ok("/a/b"));
        check("/a", "/b", Ok("/b"));
        check("/a", "//b///c", Ok("/b/c"));
        check("/a/b", "..", Ok("/a"));
        check("/a/b", "../..", Ok("/"));
        check("/a/b", "../../../../etc/passwd", Ok("/etc/passwd"));
        check("/a", "./b/./c/../d", Ok("/a/b/d"));
        check("/a", "/", Ok("/"));
        check("/a", "...", Ok("/a/..."));
        check("/", " a b ", Ok("/ a b "));
    }

    #[test]
    fn join_refuses_what_no_name_may_hold() {
        check("/", "", Err(PathError::Empty));
        check("/", "a\0b", Err(PathError::Nul));
        check("/", "a\rb", Err(PathError::Control(b'\r')));
        check("/", "a\x7fb", Err(PathError::Control(0x7F)));
        check("/", "x".repeat(255), Ok(&format!("/{}", "x".repeat(255))));
        check("/", "x".repeat(256), Err(PathError::ComponentTooLong));
        let deep = "/y".repeat(PATH_LIMIT_BYTES / 2);
        check("/", &deep, Ok(&deep));
        check("/", format!("{deep}/y"), Err(PathError::TooLong));
    }

    #[test]
    fn names_that_are_not_utf_8_stay_as_they_are() {
        let path = VirtualPath::new(b"/\xE9t\xE9").unwrap();
        assert_eq!(path.as_bytes(), b"/\xE9t\xE9");
        assert_eq!(path.to_string(), "/\\xE9t\\xE9");
    }

    #[test]
    fn parents_names_and_components() {
        let path = VirtualPath::new("/a/b/c").unwrap();
        assert_eq!(path.parent(), Some(VirtualPath::new("/a/b").unwrap()));
        assert_eq!(path.file_name(), Some(&b"c"[..]));
        assert_eq!(path.components().collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        let top = VirtualPath::new("/a").unwrap();
        assert_eq!(top.parent(), Some(VirtualPath::root()));
        assert_eq!(VirtualPath::root().parent(), None);
        assert_eq!(VirtualPath::root().file_name(), None);
        assert!(path.starts_with(&top) && path.starts_with(&path) && path.starts_with(&VirtualPath::root()));
        assert!(!VirtualPath::new("/ab").unwrap().starts_with(&top));
    }

    #[test]
    fn display_cannot_forge_a_line() {
        assert_eq!(display(b"a\nb\x1b[2J").to_string(), "a\\x0Ab\\x1B[2J");
        assert_eq!(display("\u{202E}gpj".as_bytes()).to_string(), "\\xE2\\x80\\xAEgpj");
        assert_eq!(display("한글 ü".as_bytes()).to_string(), "한글 ü");
    }
}
