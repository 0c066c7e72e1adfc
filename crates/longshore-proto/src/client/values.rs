//! What machines read within replies: the path of 257, the size and time of 213, the extensions of FEAT.
//!
//! Not inside: the addresses of 227 and 229 ([`address`](crate::address)) and moments as such ([`time`](crate::time)).

use super::reply::Reply;
use crate::command::{DEFLATE_KEEP_FEATURE, Mode};
use crate::time::{self, UnixTime};

/// The extensions that a server tells of (RFC 2389 section 3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    lines: Vec<Vec<u8>>,
}

impl Features {
    /// Reads the answer to FEAT: the lines between the first and the last, without the spaces around them. A reply of
    /// one line holds none.
    pub fn parse(reply: &Reply) -> Features {
        let inner = match reply.lines.as_slice() {
            [_, inner @ .., _] => inner,
            _ => &[],
        };
        let lines = inner.iter().map(|line| line.trim_ascii().to_vec()).filter(|line| !line.is_empty());
        Features { lines: lines.collect() }
    }

    /// Each extension as the server wrote it, without the space before it.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(Vec::as_slice)
    }

    /// Whether an extension of this name is there, in whatever case, with or without parameters.
    pub fn has(&self, name: &str) -> bool {
        self.parameters(name).next().is_some()
    }

    /// Whether a line says that MODE takes this; `MODE B`, or several letters in one line.
    pub fn has_mode(&self, mode: Mode) -> bool {
        self.parameters("MODE").any(|parameters| {
            let words = parameters.split(|byte| b" ,;".contains(byte));
            words.into_iter().any(|word| word.eq_ignore_ascii_case(mode.name().as_bytes()))
        })
    }

    /// Whether a line says that data connections may stay open in MODE Z: `OPTS MODE Z KEEP`.
    pub fn has_deflate_keep(&self) -> bool {
        self.lines().any(|line| line.eq_ignore_ascii_case(DEFLATE_KEEP_FEATURE))
    }

    /// What stands behind the name in each of its lines.
    fn parameters(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.lines().filter_map(move |line| {
            let (word, parameters) = crate::command::split(line);
            word.eq_ignore_ascii_case(name.as_bytes()).then_some(parameters)
        })
    }
}

/// The path of a 257: within quotes, where a doubled one is a quote (RFC 959 appendix II). Without quotes, the first
/// word; `None` when there is none.
pub fn parse_directory(reply: &Reply) -> Option<Vec<u8>> {
    let text = reply.text();
    let Some(start) = text.iter().position(|&byte| byte == b'"') else {
        let word = text.trim_ascii_start().split(|&byte| byte == b' ').next()?;
        return word.starts_with(b"/").then(|| word.to_vec());
    };
    let mut path = Vec::new();
    let mut rest = text[start + 1..].iter().peekable();
    while let Some(&byte) = rest.next() {
        if byte == b'"' && rest.next_if_eq(&&b'"').is_none() {
            return (!path.is_empty()).then_some(path);
        }
        path.push(byte);
    }
    None
}

/// The octets of a 213 to SIZE (RFC 3659 section 4).
pub fn parse_size(reply: &Reply) -> Option<u64> {
    let digits = reply.text().trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    digits.iter().try_fold(0_u64, |size, digit| size.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// The time of a 213 to MDTM (RFC 3659 section 3), in UTC.
pub fn parse_modified(reply: &Reply) -> Option<UnixTime> {
    time::parse_time_val(reply.text().trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: u16, lines: &[&str]) -> Reply {
        Reply { code, lines: lines.iter().map(|line| line.as_bytes().to_vec()).collect() }
    }

    #[test]
    fn directories() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(parse_directory(&reply(257, &[text])), expected.map(|path| path.as_bytes().to_vec()));
        }
        check("\"/\" is the current directory", Some("/"));
        check("\"/pub/a b\" is your current location", Some("/pub/a b"));
        check("\"/say \"\"hi\"\"\" created", Some("/say \"hi\""));
        check("\"\"\"\" created", Some("\""));
        check("\"/unended", None);
        check("\"\" is empty", None);
        check("/pub/alice is current directory", Some("/pub/alice"));
        check("Directory created", None);
        check("", None);
    }

    #[test]
    fn sizes() {
        #[track_caller]
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(parse_size(&reply(213, &[text])), expected);
        }
        check("0", Some(0));
        check(" 1024 ", Some(1024));
        check("18446744073709551615", Some(u64::MAX));
        check("18446744073709551616", None);
        check("-1", None);
        check("12 bytes", None);
        check("", None);
    }

    #[test]
    fn times() {
        let epoch = UnixTime { seconds: 0, nanoseconds: 0 };
        assert_eq!(parse_modified(&reply(213, &["19700101000000"])), Some(epoch));
        assert_eq!(parse_modified(&reply(213, &[" 19700101000000 "])), Some(epoch));
        assert_eq!(parse_modified(&reply(213, &["191000101000000"])), None);
        assert_eq!(parse_modified(&reply(213, &["yesterday"])), None);
    }

    #[test]
    fn features() {
        let lines =
            ["Features:", " MLST type*;size;", "size", " MODE B", " MODE S;C", "  REST STREAM", "End"];
        let features = Features::parse(&reply(211, &lines));
        assert!(features.has("MLST") && features.has("SIZE") && features.has("rest"));
        assert!(!features.has("EPSV") && !features.has("Features:") && !features.has("End"));
        assert!(features.has_mode(Mode::Block) && features.has_mode(Mode::Compressed));
        assert!(!features.has_mode(Mode::Deflate));
        assert_eq!(features.lines().count(), 5);
        assert_eq!(Features::parse(&reply(211, &["no-features"])), Features::default());
        assert_eq!(Features::parse(&reply(211, &["a", "End"])), Features::default());
    }
}
