//! Addresses in all their forms: what is read can be written and read again, and what is written is read.
//!
//! Not inside: which addresses a session or dialogue accepts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use longshore_proto::address::{
    AddressError, Eprt, EpsvArgument, parse_eprt, parse_epsv, parse_epsv_reply, parse_pasv_reply, parse_port,
    write_epsv, write_pasv,
};

/// The bytes as an argument of each command and as a text of each reply, and, where there are enough, as an address.
pub fn address(data: &[u8]) {
    port(data);
    eprt(data);
    epsv(data);
    pasv_reply(data);
    epsv_reply(data);
    if let Some((head, words)) = data.split_first_chunk::<18>() {
        written(head, words);
    }
}

fn port(argument: &[u8]) {
    let fields: Vec<&[u8]> = argument.split(|&byte| byte == b',').collect();
    let numbers: Vec<Option<u8>> = fields.iter().map(|field| number_of_a_byte(field)).collect();
    match parse_port(argument) {
        Ok(address) => {
            let [p1, p2] = address.port().to_be_bytes();
            let expected: Vec<Option<u8>> =
                address.ip().octets().into_iter().chain([p1, p2]).map(Some).collect();
            assert_eq!(numbers, expected);
            round_trip_v4(address);
        }
        Err(AddressError::NotSixNumbers { found }) => assert!(found != 6 && found == fields.len()),
        Err(AddressError::NotAByte { position }) => {
            assert!(fields.len() == 6 && numbers[position - 1].is_none());
            assert!(numbers[..position - 1].iter().all(Option::is_some), "the first that is wrong is named");
        }
        Err(other) => panic!("PORT is refused as {other:?}"),
    }
}

/// One to three digits with spaces around them, 0 to 255.
fn number_of_a_byte(field: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(' ');
    let plain = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn eprt(argument: &[u8]) {
    match parse_eprt(argument) {
        Ok(Eprt::Address(address)) => round_trip(address),
        Ok(Eprt::UnsupportedProtocol(protocol)) => {
            assert!(!matches!(protocol, 1 | 2));
            let again = format!("!{protocol}!!!");
            assert_eq!(parse_eprt(again.as_bytes()), Ok(Eprt::UnsupportedProtocol(protocol)));
        }
        Err(
            AddressError::NotThreeFields
            | AddressError::BadProtocol
            | AddressError::NotIpv4
            | AddressError::NotIpv6
            | AddressError::BadPort,
        ) => {}
        Err(other) => panic!("EPRT is refused as {other:?}"),
    }
}

fn epsv(argument: &[u8]) {
    let again = match parse_epsv(argument) {
        Ok(EpsvArgument::Any) => String::new(),
        Ok(EpsvArgument::Ipv4) => "1".to_owned(),
        Ok(EpsvArgument::Ipv6) => "2".to_owned(),
        Ok(EpsvArgument::All) => "ALL".to_owned(),
        Ok(EpsvArgument::UnsupportedProtocol(protocol)) => {
            assert!(!matches!(protocol, 1 | 2));
            protocol.to_string()
        }
        Err(error) => return assert_eq!(error, AddressError::BadEpsvArgument),
    };
    assert_eq!(parse_epsv(again.as_bytes()), parse_epsv(argument));
}

fn pasv_reply(text: &[u8]) {
    let begins = |at: &usize| text[*at].is_ascii_digit() && (*at == 0 || !text[at - 1].is_ascii_digit());
    let expected = (0..text.len()).filter(begins).find_map(|at| six_numbers(&text[at..]));
    match parse_pasv_reply(text) {
        Ok(address) => {
            assert_eq!(Some(address), expected);
            assert_ne!(address.port(), 0);
            round_trip_v4(address);
        }
        Err(AddressError::PortZero) => assert_eq!(expected.map(|address| address.port()), Some(0)),
        Err(error) => assert_eq!((error, expected), (AddressError::NoPasvAddress, None)),
    }
}

/// Six numbers with commas between them at the beginning; spaces may stand behind a comma, and anything behind the last.
fn six_numbers(text: &[u8]) -> Option<SocketAddrV4> {
    let mut numbers = [0; 6];
    let mut fields = text.split(|&byte| byte == b',');
    for (index, number) in numbers.iter_mut().enumerate() {
        let field = fields.next()?;
        let count = |is_counted: fn(u8) -> bool, bytes: &[u8]| {
            bytes.iter().take_while(|&&byte| is_counted(byte)).count()
        };
        let field = &field[if index == 0 { 0 } else { count(|byte| byte == b' ', field) }..];
        let end = if index == 5 { count(|byte| byte.is_ascii_digit(), field) } else { field.len() };
        *number = number_of_a_byte(&field[..end]).filter(|_| !field[..end].contains(&b' '))?;
    }
    let [h1, h2, h3, h4, p1, p2] = numbers;
    Some(SocketAddrV4::new(Ipv4Addr::new(h1, h2, h3, h4), u16::from_be_bytes([p1, p2])))
}

fn epsv_reply(text: &[u8]) {
    let all = || 0..text.len();
    let in_parentheses =
        || all().filter(|&at| at > 0 && text[at - 1] == b'(').find_map(|at| port_at(&text[at..]));
    let expected = in_parentheses().or_else(|| all().find_map(|at| port_at(&text[at..])));
    match parse_epsv_reply(text) {
        Ok(port) => {
            assert_eq!(Some(port), expected);
            assert_ne!(port, 0);
            let mut again = Vec::new();
            write_epsv(&mut again, port);
            assert_eq!(parse_epsv_reply(&again), Ok(port));
        }
        Err(AddressError::PortZero) => assert_eq!(expected, Some(0)),
        Err(error) => assert_eq!((error, expected), (AddressError::NoEpsvPort, None)),
    }
}

/// `|||port|` at the beginning, between three times the same and once more.
fn port_at(text: &[u8]) -> Option<u16> {
    let (&[first, second, third], rest) = text.split_first_chunk()?;
    let is_delimiter = first.is_ascii_graphic() && !first.is_ascii_digit();
    let end = rest.iter().position(|&byte| byte == first)?;
    let digits = std::str::from_utf8(&rest[..end]).ok()?;
    let is_number = (1..=5).contains(&end) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let same = first == second && first == third;
    digits.parse().ok().filter(|_| is_delimiter && same && is_number)
}

/// An address that the bytes make, in each form, within words that the rest makes.
fn written(head: &[u8; 18], words: &[u8]) {
    let (&ip, port) = head.split_first_chunk::<16>().expect("sixteen of eighteen");
    let port = u16::from_be_bytes([port[0], port[1]]);
    let v4 = SocketAddrV4::new(Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3]), port);
    round_trip_v4(v4);
    round_trip(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(ip)), port));

    // Digits before the address could be taken for one, and so could delimiters.
    let before: Vec<u8> =
        words.iter().copied().filter(|byte| !byte.is_ascii_digit() && *byte != b'(').collect();
    let mut text = before.clone();
    write_pasv(&mut text, *v4.ip(), port);
    text.extend_from_slice(words);
    assert_eq!(parse_pasv_reply(&text), if port == 0 { Err(AddressError::PortZero) } else { Ok(v4) });
    let mut text = before;
    write_epsv(&mut text, port);
    text.extend_from_slice(words);
    assert_eq!(parse_epsv_reply(&text), if port == 0 { Err(AddressError::PortZero) } else { Ok(port) });
}

fn round_trip_v4(address: SocketAddrV4) {
    let mut text = Vec::new();
    write_pasv(&mut text, *address.ip(), address.port());
    let expected = if address.port() == 0 { Err(AddressError::PortZero) } else { Ok(address) };
    assert_eq!(parse_pasv_reply(&text), expected);
    let argument = &text[1..text.len() - 1];
    assert_eq!(parse_port(argument), Ok(address));
    round_trip(SocketAddr::V4(address));
}

fn round_trip(address: SocketAddr) {
    let protocol = if address.is_ipv4() { 1 } else { 2 };
    for delimiter in ['|', '!', '~'] {
        let argument = format!(
            "{delimiter}{protocol}{delimiter}{}{delimiter}{}{delimiter}",
            address.ip(),
            address.port()
        );
        assert_eq!(parse_eprt(argument.as_bytes()), Ok(Eprt::Address(address)));
    }
}
