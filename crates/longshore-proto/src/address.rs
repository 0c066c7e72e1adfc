//! Addresses of data connections as commands and replies carry them: PORT and 227 (RFC 959 section 4.1.2),
//! EPRT, EPSV and 229 (RFC 2428).
//!
//! Not inside: whether an address may be used. A port below 1024, another host than the peer's, a family that
//! the control connection does not have: the session decides on those.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::str::FromStr;

/// The network protocol numbers of RFC 2428, which are those of the address family numbers.
const PROTOCOL_IPV4: u32 = 1;
const PROTOCOL_IPV6: u32 = 2;

/// What is wrong with an address. Each text is one clause for a 501 reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// PORT with more or fewer numbers.
    #[error("PORT takes six numbers, h1,h2,h3,h4,p1,p2, not {found}")]
    NotSixNumbers {
        /// How many there were between the commas.
        found: usize,
    },
    /// PORT with something that is not 0 to 255, in decimal digits without a sign.
    #[error("number {position} of the six is not from 0 to 255")]
    NotAByte {
        /// Counted from 1.
        position: usize,
    },
    /// EPRT that is not three fields between four equal delimiters.
    #[error("EPRT takes |1|address|port| or |2|address|port|, with any delimiter from ! to ~")]
    NotThreeFields,
    /// EPRT with a protocol that is not a number.
    #[error("the network protocol is not a number; 1 is IPv4 and 2 is IPv6")]
    BadProtocol,
    /// EPRT of protocol 1 with another kind of address.
    #[error("the address is not an IPv4 address, as network protocol 1 wants it")]
    NotIpv4,
    /// EPRT of protocol 2 with another kind of address.
    #[error("the address is not an IPv6 address, as network protocol 2 wants it")]
    NotIpv6,
    /// EPRT with a port that is not 0 to 65535.
    #[error("the port is not a number from 0 to 65535")]
    BadPort,
    /// EPSV with something that is no protocol and not ALL.
    #[error("EPSV takes nothing, 1 for IPv4, 2 for IPv6, or ALL")]
    BadEpsvArgument,
    /// A 227 reply without six numbers in a row.
    #[error("the reply to PASV holds no h1,h2,h3,h4,p1,p2")]
    NoPasvAddress,
    /// A 229 reply without a port between delimiters.
    #[error("the reply to EPSV holds no (|||port|)")]
    NoEpsvPort,
    /// A reply that names port 0, to which nobody can connect.
    #[error("the reply names port 0")]
    PortZero,
}

/// What an EPRT asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eprt {
    /// A data connection to this address.
    Address(SocketAddr),
    /// A network protocol other than 1 and 2, to be answered 522 (RFC 2428 section 2). The address was not
    /// read.
    UnsupportedProtocol(u32),
}

/// What an EPSV asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpsvArgument {
    /// A passive port of the control connection's own family.
    Any,
    /// One for IPv4.
    Ipv4,
    /// One for IPv6.
    Ipv6,
    /// That no other command arranges data connections from now on (RFC 2428 section 4).
    All,
    /// A network protocol other than 1 and 2, to be answered 522.
    UnsupportedProtocol(u32),
}

/// Reads the argument of PORT, `h1,h2,h3,h4,p1,p2`. Spaces before and behind each number are tolerated.
///
/// # Errors
/// [`AddressError::NotSixNumbers`] and [`AddressError::NotAByte`].
pub fn parse_port(argument: &[u8]) -> Result<SocketAddrV4, AddressError> {
    let found = argument.split(|&byte| byte == b',').count();
    if found != 6 {
        return Err(AddressError::NotSixNumbers { found });
    }
    let mut numbers = [0; 6];
    for (index, field) in argument.split(|&byte| byte == b',').enumerate() {
        numbers[index] =
            trim_spaces(field).and_then(parse_byte).ok_or(AddressError::NotAByte { position: index + 1 })?;
    }
    Ok(from_six(numbers))
}

/// Reads the argument of EPRT, `|protocol|address|port|` with any delimiter of the codes 33 to 126. Spaces
/// around the whole are tolerated. IPv6 addresses with a zone are refused: a zone means nothing on another
/// host.
///
/// # Errors
/// What is wrong, in the order of the fields.
pub fn parse_eprt(argument: &[u8]) -> Result<Eprt, AddressError> {
    let (&delimiter, rest) = argument.trim_ascii().split_first().ok_or(AddressError::NotThreeFields)?;
    if !delimiter.is_ascii_graphic() {
        return Err(AddressError::NotThreeFields);
    }
    let mut fields = rest.split(|&byte| byte == delimiter);
    let (Some(protocol), Some(address), Some(port), Some(b""), None) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(AddressError::NotThreeFields);
    };
    let ip: IpAddr = match parse_number(protocol).ok_or(AddressError::BadProtocol)? {
        PROTOCOL_IPV4 => parse_text::<Ipv4Addr>(address).ok_or(AddressError::NotIpv4)?.into(),
        PROTOCOL_IPV6 => parse_text::<Ipv6Addr>(address).ok_or(AddressError::NotIpv6)?.into(),
        other => return Ok(Eprt::UnsupportedProtocol(other)),
    };
    Ok(Eprt::Address(SocketAddr::new(ip, parse_port_number(port).ok_or(AddressError::BadPort)?)))
}

/// Reads the argument of EPSV: nothing, a network protocol, or `ALL` in any case.
///
/// # Errors
/// [`AddressError::BadEpsvArgument`].
pub fn parse_epsv(argument: &[u8]) -> Result<EpsvArgument, AddressError> {
    let argument = argument.trim_ascii();
    if argument.is_empty() {
        return Ok(EpsvArgument::Any);
    }
    if argument.eq_ignore_ascii_case(b"ALL") {
        return Ok(EpsvArgument::All);
    }
    Ok(match parse_number(argument).ok_or(AddressError::BadEpsvArgument)? {
        PROTOCOL_IPV4 => EpsvArgument::Ipv4,
        PROTOCOL_IPV6 => EpsvArgument::Ipv6,
        other => EpsvArgument::UnsupportedProtocol(other),
    })
}

/// Appends the machine-read part of a 227 reply, `(h1,h2,h3,h4,p1,p2)`.
pub fn write_pasv(out: &mut Vec<u8>, ip: Ipv4Addr, port: u16) {
    let ([h1, h2, h3, h4], [p1, p2]) = (ip.octets(), port.to_be_bytes());
    write!(out, "({h1},{h2},{h3},{h4},{p1},{p2})").expect("a Vec takes every write");
}

/// Appends the machine-read part of a 229 reply, `(|||port|)`.
pub fn write_epsv(out: &mut Vec<u8>, port: u16) {
    write!(out, "(|||{port}|)").expect("a Vec takes every write");
}

/// Finds the address in the text of a 227 reply: the first six numbers of 0 to 255 with commas between them,
/// wherever they stand, since servers leave the parentheses out (RFC 1123 section 4.1.2.6).
///
/// # Errors
/// [`AddressError::NoPasvAddress`] and [`AddressError::PortZero`].
pub fn parse_pasv_reply(text: &[u8]) -> Result<SocketAddrV4, AddressError> {
    let begins_number =
        |index: usize| text[index].is_ascii_digit() && (index == 0 || !text[index - 1].is_ascii_digit());
    let address = (0..text.len())
        .filter(|&index| begins_number(index))
        .find_map(|index| parse_six(&text[index..]))
        .map(from_six)
        .ok_or(AddressError::NoPasvAddress)?;
    if address.port() == 0 { Err(AddressError::PortZero) } else { Ok(address) }
}

/// Finds the port in the text of a 229 reply: `(|||port|)` with any delimiter. What stands in parentheses
/// comes first; without any, the first such sequence counts.
///
/// # Errors
/// [`AddressError::NoEpsvPort`] and [`AddressError::PortZero`].
pub fn parse_epsv_reply(text: &[u8]) -> Result<u16, AddressError> {
    let in_parentheses = (0..text.len())
        .filter(|&index| text[index] == b'(')
        .find_map(|index| parse_delimited_port(&text[index + 1..]));
    let port = in_parentheses
        .or_else(|| (0..text.len()).find_map(|index| parse_delimited_port(&text[index..])))
        .ok_or(AddressError::NoEpsvPort)?;
    if port == 0 { Err(AddressError::PortZero) } else { Ok(port) }
}

fn from_six([h1, h2, h3, h4, p1, p2]: [u8; 6]) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(h1, h2, h3, h4), u16::from_be_bytes([p1, p2]))
}

/// `h1,h2,h3,h4,p1,p2` at the beginning of `text`, with spaces behind the commas tolerated.
fn parse_six(text: &[u8]) -> Option<[u8; 6]> {
    let mut numbers = [0; 6];
    let mut rest = text;
    for (index, number) in numbers.iter_mut().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(b",")?;
            rest = &rest[leading(rest, |byte| byte == b' ')..];
        }
        let digits = leading(rest, |byte| byte.is_ascii_digit());
        *number = parse_byte(&rest[..digits])?;
        rest = &rest[digits..];
    }
    Some(numbers)
}

/// `|||port|` at the beginning of `text`, with any delimiter. A digit cannot be one: it would end no number.
fn parse_delimited_port(text: &[u8]) -> Option<u16> {
    let (&[first, second, third], rest) = text.split_first_chunk()?;
    if !first.is_ascii_graphic() || first != second || first != third {
        return None;
    }
    let digits = leading(rest, |byte| byte.is_ascii_digit());
    if rest.get(digits) != Some(&first) {
        return None;
    }
    parse_port_number(&rest[..digits])
}

/// How many bytes at the beginning of `text` are of a kind.
fn leading(text: &[u8], is_of_kind: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|&byte| !is_of_kind(byte)).unwrap_or(text.len())
}

/// Without the spaces around it; `None` when nothing else is there.
fn trim_spaces(field: &[u8]) -> Option<&[u8]> {
    let first = field.iter().position(|&byte| byte != b' ')?;
    let last = field.iter().rposition(|&byte| byte != b' ')?;
    Some(&field[first..=last])
}

/// One to three digits, 0 to 255.
fn parse_byte(digits: &[u8]) -> Option<u8> {
    if digits.len() > 3 { None } else { u8::try_from(parse_number(digits)?).ok() }
}

/// One to five digits, 0 to 65535.
fn parse_port_number(digits: &[u8]) -> Option<u16> {
    if digits.len() > 5 { None } else { u16::try_from(parse_number(digits)?).ok() }
}

/// Decimal digits only, at least one; what exceeds the type is its greatest number.
fn parse_number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0u32, |number, digit| number.saturating_mul(10).saturating_add(u32::from(digit - b'0'))),
    )
}

fn parse_text<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_port(argument: &str, expected: Result<&str, AddressError>) {
        let expected = expected.map(|address| address.parse().unwrap());
        assert_eq!(parse_port(argument.as_bytes()), expected);
    }

    #[track_caller]
    fn check_eprt(argument: &str, expected: Result<&str, AddressError>) {
        let expected = expected.map(|address| Eprt::Address(address.parse().unwrap()));
        assert_eq!(parse_eprt(argument.as_bytes()), expected);
    }

    #[test]
    fn port() {
        check_port("127,0,0,1,4,0", Ok("127.0.0.1:1024"));
        check_port("132,235,1,2,24,131", Ok("132.235.1.2:6275"));
        check_port("0,0,0,0,0,0", Ok("0.0.0.0:0"));
        check_port("255,255,255,255,255,255", Ok("255.255.255.255:65535"));
        check_port("127, 0, 0,  1, 4, 0", Ok("127.0.0.1:1024"));
        check_port(" 127,0,0,1,4,0 ", Ok("127.0.0.1:1024"));
        check_port("127,000,000,001,004,000", Ok("127.0.0.1:1024"));
    }

    #[test]
    fn port_refused() {
        use AddressError::{NotAByte, NotSixNumbers};
        check_port("", Err(NotSixNumbers { found: 1 }));
        check_port("127.0.0.1", Err(NotSixNumbers { found: 1 }));
        check_port("127,0,0,1,4", Err(NotSixNumbers { found: 5 }));
        check_port("127,0,0,1,4,0,", Err(NotSixNumbers { found: 7 }));
        check_port("127,0,0,1,4,0,0", Err(NotSixNumbers { found: 7 }));
        check_port("256,0,0,1,4,0", Err(NotAByte { position: 1 }));
        check_port("127,0,0,1,4,256", Err(NotAByte { position: 6 }));
        check_port("127,+1,0,1,4,0", Err(NotAByte { position: 2 }));
        check_port("127,0,-1,1,4,0", Err(NotAByte { position: 3 }));
        check_port("127,0,0,,4,0", Err(NotAByte { position: 4 }));
        check_port("127,0,0, ,4,0", Err(NotAByte { position: 4 }));
        check_port("127,0,0,0x1,4,0", Err(NotAByte { position: 4 }));
        check_port("127,0,0,1,0004,0", Err(NotAByte { position: 5 }));
        check_port("127,0,0,1,1 2,0", Err(NotAByte { position: 5 }));
        check_port("127,0,0,1,\t4,0", Err(NotAByte { position: 5 }));
        check_port("127,0,0,1,4,18446744073709551617", Err(NotAByte { position: 6 }));
    }

    #[test]
    fn eprt() {
        check_eprt("|1|132.235.1.2|6275|", Ok("132.235.1.2:6275"));
        check_eprt("|2|1080::8:800:200C:417A|5282|", Ok("[1080::8:800:200C:417A]:5282"));
        check_eprt("|2|::ffff:127.0.0.1|5282|", Ok("[::ffff:127.0.0.1]:5282"));
        check_eprt("!1!127.0.0.1!65535!", Ok("127.0.0.1:65535"));
        check_eprt("~2~::1~0~", Ok("[::1]:0"));
        check_eprt("a1a127.0.0.1a21a", Ok("127.0.0.1:21"));
        check_eprt(" |1|127.0.0.1|21|  ", Ok("127.0.0.1:21"));
        check_eprt("|01|127.0.0.1|00021|", Ok("127.0.0.1:21"));
    }

    #[test]
    fn eprt_refused() {
        use AddressError::{BadPort, BadProtocol, NotIpv4, NotIpv6, NotThreeFields};
        for text in [
            "",
            "|",
            "||||||",
            "|1|127.0.0.1|21",
            "|1|127.0.0.1|21|x",
            "|1|127.0.0.1|21||",
            "1|127.0.0.1|21|",
            "\x7F1\x7F127.0.0.1\x7F21\x7F",
            "|1|127.0.0.1|",
        ] {
            check_eprt(text, Err(NotThreeFields));
        }
        assert_eq!(parse_eprt(b"\xA61\xA6127.0.0.1\xA621\xA6"), Err(NotThreeFields));
        check_eprt("||127.0.0.1|21|", Err(BadProtocol));
        check_eprt("|x|127.0.0.1|21|", Err(BadProtocol));
        check_eprt("|+1|127.0.0.1|21|", Err(BadProtocol));
        check_eprt("|1|::1|21|", Err(NotIpv4));
        check_eprt("|1|127.0.0|21|", Err(NotIpv4));
        check_eprt("|1|127.0.0.256|21|", Err(NotIpv4));
        check_eprt("|1||21|", Err(NotIpv4));
        check_eprt("|2|127.0.0.1|21|", Err(NotIpv6));
        check_eprt("|2|fe80::1%eth0|21|", Err(NotIpv6));
        check_eprt("|2|[::1]|21|", Err(NotIpv6));
        assert_eq!(parse_eprt(b"|2|\xFF|21|"), Err(NotIpv6));
        check_eprt("|1|127.0.0.1||", Err(BadPort));
        check_eprt("|1|127.0.0.1|65536|", Err(BadPort));
        check_eprt("|1|127.0.0.1|-1|", Err(BadPort));
        check_eprt("|1|127.0.0.1|000021|", Err(BadPort));
    }

    #[test]
    fn eprt_of_an_unknown_protocol() {
        assert_eq!(parse_eprt(b"|0|127.0.0.1|21|"), Ok(Eprt::UnsupportedProtocol(0)));
        assert_eq!(parse_eprt(b"|3|whatever it is|x|"), Ok(Eprt::UnsupportedProtocol(3)));
        assert_eq!(parse_eprt(b"|99999999999||21|"), Ok(Eprt::UnsupportedProtocol(u32::MAX)));
    }

    #[test]
    fn epsv() {
        #[track_caller]
        fn check(argument: &str, expected: Result<EpsvArgument, AddressError>) {
            assert_eq!(parse_epsv(argument.as_bytes()), expected);
        }
        check("", Ok(EpsvArgument::Any));
        check("  ", Ok(EpsvArgument::Any));
        check("1", Ok(EpsvArgument::Ipv4));
        check("2 ", Ok(EpsvArgument::Ipv6));
        check("ALL", Ok(EpsvArgument::All));
        check("aLl", Ok(EpsvArgument::All));
        check("0", Ok(EpsvArgument::UnsupportedProtocol(0)));
        check("3", Ok(EpsvArgument::UnsupportedProtocol(3)));
        check("4294967297", Ok(EpsvArgument::UnsupportedProtocol(u32::MAX)));
        for text in ["x", "-1", "+1", "1 2", "ALLES", "AL", "|1|"] {
            check(text, Err(AddressError::BadEpsvArgument));
        }
    }

    #[test]
    fn pasv_replies() {
        #[track_caller]
        fn check(text: &str, expected: Result<&str, AddressError>) {
            assert_eq!(parse_pasv_reply(text.as_bytes()), expected.map(|address| address.parse().unwrap()));
        }
        check("Entering Passive Mode (127,0,0,1,117,48)", Ok("127.0.0.1:30000"));
        check("Entering Passive Mode (127,0,0,1,117,48).", Ok("127.0.0.1:30000"));
        check("227 Entering Passive Mode (127,0,0,1,117,48)", Ok("127.0.0.1:30000"));
        check("=127,0,0,1,117,48", Ok("127.0.0.1:30000"));
        check("Passive Mode. 127,0,0,1,117,48", Ok("127.0.0.1:30000"));
        check("(127, 0, 0, 1, 117, 48)", Ok("127.0.0.1:30000"));
        check("Mode 1,2 of 3 (127,0,0,1,117,48)", Ok("127.0.0.1:30000"));
        check("1,2,127,0,0,1,117,48", Ok("1.2.127.0:1"));
        check("999,127,0,0,1,117,48", Ok("127.0.0.1:30000"));
        check("1,256,0,0,1,117,48,5,6,7,8", Ok("0.0.1.117:12293"));
        check("(127,0,0,1,0,0)", Err(AddressError::PortZero));
        for text in [
            "",
            "Entering Passive Mode",
            "(127,0,0,1,117)",
            "(127,0,0,1,117,256)",
            "127.0.0.1:30000",
            "(1,2,3,4,5,-6)",
        ] {
            check(text, Err(AddressError::NoPasvAddress));
        }
    }

    #[test]
    fn epsv_replies() {
        #[track_caller]
        fn check(text: &str, expected: Result<u16, AddressError>) {
            assert_eq!(parse_epsv_reply(text.as_bytes()), expected);
        }
        check("Entering Extended Passive Mode (|||30000|)", Ok(30000));
        check("Entering Extended Passive Mode (!!!30000!).", Ok(30000));
        check("229 Ok (|||65535|)", Ok(65535));
        check("(EPSV) is on ...1. (|||30000|)", Ok(30000));
        check("Entering Extended Passive Mode |||30000|", Ok(30000));
        check("(||||30000|)", Ok(30000));
        check("(|||0|)", Err(AddressError::PortZero));
        for text in
            ["", "(|||)", "(||||)", "(|||65536|)", "(|||30000)", "(||30000||)", "(|||300x|)", "(11112341)"]
        {
            check(text, Err(AddressError::NoEpsvPort));
        }
    }

    #[test]
    fn texts_name_what_is_wrong() {
        #[track_caller]
        fn check(error: AddressError, expected: &str) {
            assert_eq!(error.to_string(), expected);
        }
        check(AddressError::NotSixNumbers { found: 5 }, "PORT takes six numbers, h1,h2,h3,h4,p1,p2, not 5");
        check(AddressError::NotAByte { position: 6 }, "number 6 of the six is not from 0 to 255");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ip in any::<Ipv4Addr>(), port in 1u16..) {
            let mut out = b"Entering Passive Mode ".to_vec();
            write_pasv(&mut out, ip, port);
            prop_assert_eq!(parse_pasv_reply(&out), Ok(SocketAddrV4::new(ip, port)));
            prop_assert_eq!(parse_port(&out[23..out.len() - 1]), Ok(SocketAddrV4::new(ip, port)));
            out.clear();
            write_epsv(&mut out, port);
            prop_assert_eq!(parse_epsv_reply(&out), Ok(port));
        }

        #[test]
        fn bytes_never_cause_a_panic(
            text in prop::collection::vec(prop::sample::select(&b"0129,,,||||()! :.\xFF"[..]), 0..40),
        ) {
            let _ = (parse_port(&text), parse_eprt(&text), parse_epsv(&text));
            let _ = (parse_pasv_reply(&text), parse_epsv_reply(&text));
        }
    }
}
