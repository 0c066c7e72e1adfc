//! What is shown and checked of a certificate: subject, names, and from when to when it is valid.
//!
//! A walk over DER (RFC 5280 §4.1) that understands these fields and passes over the others. Not inside: signatures
//! and trust, which are rustls's.

use std::time::{Duration, SystemTime};

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) subject: String,
    /// Names of hosts that it is for, in lower case.
    pub(crate) names: Vec<String>,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;

/// 2.5.29.17.
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// Attributes of a subject by their identifiers, with the names of RFC 4514.
const ATTRIBUTES: &[(&[u8], &str)] = &[
    (&[0x55, 0x04, 0x03], "CN"),
    (&[0x55, 0x04, 0x05], "serialNumber"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x09], "STREET"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01], "emailAddress"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
];

/// `None` if it is no certificate.
pub(crate) fn describe(der: &[u8]) -> Option<Described> {
    let mut certificate = Der(der).enter(SEQUENCE)?;
    let mut body = certificate.enter(SEQUENCE)?;
    body.skip_if(VERSION);
    body.enter(INTEGER)?;
    body.enter(SEQUENCE)?;
    // The issuer.
    body.enter(SEQUENCE)?;
    let mut validity = body.enter(SEQUENCE)?;
    let subject = body.enter(SEQUENCE)?;
    // The public key.
    body.enter(SEQUENCE)?;
    let mut names = Vec::new();
    while let Some((tag, content)) = body.next() {
        if tag == EXTENSIONS {
            names = alternative_names(content.enter_owned(SEQUENCE)?)?;
        }
    }
    Some(Described {
        subject: name(subject)?,
        names,
        not_before: time(&mut validity)?,
        not_after: time(&mut validity)?,
    })
}

/// What is left of a run of DER values.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value: its tag and content. Lengths of more than four bytes are none of ours.
    fn next(&mut self) -> Option<(u8, Der<'a>)> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return None;
            }
            let (bytes, behind) = rest.split_at_checked(count)?;
            length = bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
            rest = behind;
        }
        let (content, behind) = rest.split_at_checked(length)?;
        self.0 = behind;
        Some((tag, Der(content)))
    }

    /// The content of the next value, which must have this tag.
    fn enter(&mut self, expected: u8) -> Option<Der<'a>> {
        let (tag, content) = self.next()?;
        (tag == expected).then_some(content)
    }

    fn enter_owned(mut self, expected: u8) -> Option<Der<'a>> {
        self.enter(expected)
    }

    fn skip_if(&mut self, tag: u8) {
        if self.0.first() == Some(&tag) {
            self.next();
        }
    }
}

/// The names of hosts among the extensions.
fn alternative_names(mut extensions: Der<'_>) -> Option<Vec<String>> {
    let mut names = Vec::new();
    while let Some((_, mut extension)) = extensions.next() {
        let identifier = extension.enter(OBJECT_IDENTIFIER)?;
        extension.skip_if(BOOLEAN);
        if identifier.0 != SUBJECT_ALTERNATIVE_NAME {
            continue;
        }
        let mut all = extension.enter(OCTET_STRING)?.enter_owned(SEQUENCE)?;
        while let Some((tag, content)) = all.next() {
            if tag == DNS_NAME && content.0.is_ascii() {
                names.push(text(content.0).to_ascii_lowercase());
            }
        }
    }
    Some(names)
}

/// A subject as RFC 4514 writes it: the last part first.
fn name(mut parts: Der<'_>) -> Option<String> {
    let mut written = Vec::new();
    while let Some((tag, mut set)) = parts.next() {
        if tag != SET {
            return None;
        }
        let mut together = Vec::new();
        while let Some((_, mut attribute)) = set.next() {
            let identifier = attribute.enter(OBJECT_IDENTIFIER)?;
            let (_, value) = attribute.next()?;
            let known = ATTRIBUTES.iter().find(|(bytes, _)| *bytes == identifier.0);
            let label = known.map_or_else(|| dotted(identifier.0), |(_, label)| (*label).to_owned());
            together.push(format!("{label}={}", escaped(&text(value.0))));
        }
        written.push(together.join("+"));
    }
    written.reverse();
    Some(written.join(","))
}

/// Bytes of a certificate as text that forges no line of a log.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter })
        .collect()
}

/// RFC 4514 §2.4.
fn escaped(value: &str) -> String {
    let mut out = String::new();
    for (index, letter) in value.chars().enumerate() {
        let at_edge = index == 0 || index + 1 == value.chars().count();
        if matches!(letter, '"' | '+' | ',' | ';' | '<' | '>' | '\\')
            || (letter == ' ' && at_edge)
            || (letter == '#' && index == 0)
        {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

fn dotted(identifier: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for &byte in identifier {
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte < 0x80 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first);
                number -= first * 40;
            }
            numbers.push(number);
            number = 0;
        }
    }
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// `991231235959Z` or `20501231235959Z`; RFC 5280 §4.1.2.5 allows no other forms.
fn time(values: &mut Der<'_>) -> Option<SystemTime> {
    let (tag, content) = values.next()?;
    let digits = content.0.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number =
        |part: &[u8]| part.iter().fold(0_i64, |number, &digit| number * 10 + i64::from(digit - b'0'));
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year = number(&digits[..2]);
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (GENERALIZED_TIME, 14) => (number(&digits[..4]), &digits[4..]),
        _ => return None,
    };
    let part = |index: usize| i8::try_from(number(&rest[2 * index..2 * index + 2])).ok();
    let date = jiff::civil::DateTime::new(
        i16::try_from(year).ok()?,
        part(0)?,
        part(1)?,
        part(2)?,
        part(3)?,
        part(4)?,
        0,
    );
    let at = date.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    let distance = Duration::from_secs(at.unsigned_abs());
    if at >= 0 {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    }
}

/// A time as people read it.
pub(crate) fn display(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .map_or_else(|_| "?".into(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params =
            CertificateParams::new(["A.example".to_owned(), "192.0.2.1".to_owned()]).expect("names");
        params.distinguished_name = DistinguishedName::new();
        change(&mut params);
        let key = KeyPair::generate().expect("random numbers");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[track_caller]
    fn check_subject(parts: &[(DnType, &str)], expected: &str) {
        let der = certificate(|params| {
            for (kind, value) in parts {
                params.distinguished_name.push(kind.clone(), *value);
            }
        });
        assert_eq!(describe(&der).expect("a certificate").subject, expected);
    }

    #[test]
    fn subjects_are_written_as_rfc_4514_does() {
        check_subject(&[], "");
        check_subject(&[(DnType::CommonName, "alice")], "CN=alice");
        check_subject(&[(DnType::CountryName, "CH"), (DnType::CommonName, "alice")], "CN=alice,C=CH");
        check_subject(&[(DnType::OrganizationName, "Tom, \"Dick\" + Co")], "O=Tom\\, \\\"Dick\\\" \\+ Co");
        check_subject(&[(DnType::CommonName, " # ")], "CN=\\ #\\ ");
        check_subject(&[(DnType::CommonName, "#1")], "CN=\\#1");
        check_subject(&[(DnType::CommonName, "J\u{f6}rg")], "CN=J\u{f6}rg");
        // Nobody forges a line of a log.
        check_subject(&[(DnType::CommonName, "a\nb\u{7f}")], "CN=a\u{fffd}b\u{fffd}");
        check_subject(&[(DnType::CustomDnType(vec![2, 5, 4, 97]), "x")], "2.5.4.97=x");
    }

    #[test]
    fn names_and_dates_are_read() {
        let der = certificate(|params| {
            // One in each of the two forms of dates.
            params.not_before = date_time_ymd(1999, 12, 31);
            params.not_after = date_time_ymd(2050, 1, 1);
        });
        let described = describe(&der).expect("a certificate");
        assert_eq!(described.names, ["a.example"]);
        assert_eq!(display(described.not_before), "1999-12-31 00:00 UTC");
        assert_eq!(display(described.not_after), "2050-01-01 00:00 UTC");
        let der = certificate(|params| params.not_before = date_time_ymd(1955, 7, 1));
        assert_eq!(display(describe(&der).expect("a certificate").not_before), "1955-07-01 00:00 UTC");
    }

    #[test]
    fn what_is_cut_or_changed_is_no_reason_to_panic() {
        let der = certificate(|params| params.distinguished_name.push(DnType::CommonName, "alice"));
        for length in 0..der.len() {
            assert_eq!(describe(&der[..length]), None);
        }
        for index in 0..der.len() {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = der.clone();
                changed[index] = value;
                let _ = describe(&changed);
            }
        }
    }
}
