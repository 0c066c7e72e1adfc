//! The arguments of AUTH, PBSZ and PROT (RFC 2228, RFC 4217).
//!
//! Not inside: what is offered, which the session knows.

use super::{ArgumentError, number};

/// AUTH: what protects the control connection, and what data connections begin with (RFC 4217 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMechanism {
    /// `TLS`, `TLS-C`: TLS; data connections are in clear until PROT.
    Tls,
    /// `SSL`, `TLS-P`, from drafts before the RFC: TLS; data connections begin as after PBSZ 0 and PROT P.
    TlsPrivate,
}

/// PROT: how data connections are protected (RFC 2228 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectionLevel {
    /// `C`, not at all.
    Clear,
    /// `S`, against changes.
    Safe,
    /// `E`, against reading.
    Confidential,
    /// `P`, against both: TLS.
    Private,
}

/// With TLS every size is 0 (RFC 4217 section 9), but it must be one.
pub(super) fn buffer_size(argument: &[u8]) -> Result<(), ArgumentError> {
    match number(argument) {
        Ok(size) if u32::try_from(size).is_ok() => Ok(()),
        Err(ArgumentError::Missing) => Err(ArgumentError::Missing),
        _ => Err(ArgumentError::BufferSize),
    }
}

pub(super) fn mechanism(argument: &[u8]) -> Result<AuthMechanism, ArgumentError> {
    match argument.trim_ascii().to_ascii_uppercase().as_slice() {
        b"" => Err(ArgumentError::Missing),
        b"TLS" | b"TLS-C" => Ok(AuthMechanism::Tls),
        b"SSL" | b"TLS-P" => Ok(AuthMechanism::TlsPrivate),
        _ => Err(ArgumentError::NotOffered { parameter: "this mechanism", instead: "AUTH TLS" }),
    }
}

pub(super) fn level(argument: &[u8]) -> Result<ProtectionLevel, ArgumentError> {
    match argument.trim_ascii() {
        b"" => Err(ArgumentError::Missing),
        b"C" | b"c" => Ok(ProtectionLevel::Clear),
        b"S" | b"s" => Ok(ProtectionLevel::Safe),
        b"E" | b"e" => Ok(ProtectionLevel::Confidential),
        b"P" | b"p" => Ok(ProtectionLevel::Private),
        _ => Err(ArgumentError::NotOffered { parameter: "this level", instead: "PROT P or PROT C" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanisms() {
        for word in ["TLS", "TLS-C", "tls", " Tls-c "] {
            assert_eq!(mechanism(word.as_bytes()), Ok(AuthMechanism::Tls), "{word}");
        }
        for word in ["SSL", "TLS-P", "ssl", "tls-P"] {
            assert_eq!(mechanism(word.as_bytes()), Ok(AuthMechanism::TlsPrivate), "{word}");
        }
        for word in ["", " "] {
            assert_eq!(mechanism(word.as_bytes()), Err(ArgumentError::Missing), "{word:?}");
        }
        for word in ["TLSX", "TLS-X", "GSSAPI", "T", "TLS SSL", "\u{ff}"] {
            let refused = ArgumentError::NotOffered { parameter: "this mechanism", instead: "AUTH TLS" };
            assert_eq!(mechanism(word.as_bytes()), Err(refused), "{word}");
        }
    }

    #[test]
    fn buffer_sizes() {
        for size in ["0", " 0 ", "1", "4294967295"] {
            assert_eq!(buffer_size(size.as_bytes()), Ok(()), "{size}");
        }
        assert_eq!(buffer_size(b" "), Err(ArgumentError::Missing));
        for size in ["4294967296", "9223372036854775808", "-1", "+1", "x", "0x10", "1 2"] {
            assert_eq!(buffer_size(size.as_bytes()), Err(ArgumentError::BufferSize), "{size}");
        }
    }

    #[test]
    fn levels() {
        use ProtectionLevel::{Clear, Confidential, Private, Safe};
        for (word, expected) in
            [("C", Clear), ("s", Safe), ("E", Confidential), ("p", Private), (" P ", Private)]
        {
            assert_eq!(level(word.as_bytes()), Ok(expected), "{word}");
        }
        assert_eq!(level(b""), Err(ArgumentError::Missing));
        for word in ["X", "PP", "P C", "\u{ff}"] {
            let refused = ArgumentError::NotOffered { parameter: "this level", instead: "PROT P or PROT C" };
            assert_eq!(level(word.as_bytes()), Err(refused), "{word}");
        }
    }
}
