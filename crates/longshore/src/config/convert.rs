//! Values of TOML as values of the program. What is wrong with one is said with its place.
//!
//! Not inside: which key has which value.

use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_accounts::Network;
use toml::Spanned;
use toml::de::DeValue;

use super::reader::{Converted, Wrong};

/// A value and where it stands.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// Units of bytes. Those of 1000 and those of 1024 have different names, and only these: what KB means depends on
/// whom one asks.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1000_u64.pow(2)),
    ("GB", 1000_u64.pow(3)),
    ("TB", 1000_u64.pow(4)),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

pub(super) fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

pub(super) fn parsed<T>(value: &Value<'_>, parse: impl Fn(&str) -> Option<T>) -> Converted<T> {
    value.get_ref().as_str().and_then(parse).ok_or_else(|| Wrong::at(value))
}

/// As [`parsed`], for parsers that say themselves what is wrong.
pub(super) fn explained<T, E: ToString>(
    value: &Value<'_>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Converted<T> {
    let text = value.get_ref().as_str().ok_or_else(|| Wrong::at(value))?;
    parse(text).map_err(|error| Wrong::because(value, error))
}

/// A list of at least one.
pub(super) fn list<T>(value: &Value<'_>, convert: impl Fn(&Value<'_>) -> Converted<T>) -> Converted<Vec<T>> {
    let items = list_or_none(value, convert)?;
    if items.is_empty() { Err(Wrong::because(value, "the list is empty")) } else { Ok(items) }
}

/// A list of any length.
pub(super) fn list_or_none<T>(
    value: &Value<'_>,
    convert: impl Fn(&Value<'_>) -> Converted<T>,
) -> Converted<Vec<T>> {
    value.get_ref().as_array().ok_or_else(|| Wrong::at(value))?.iter().map(convert).collect()
}

pub(super) fn network(value: &Value<'_>) -> Converted<Network> {
    explained(value, str::parse)
}

pub(super) fn flag(value: &Value<'_>) -> Converted<bool> {
    value.get_ref().as_bool().ok_or_else(|| Wrong::at(value))
}

pub(super) fn number(value: &Value<'_>, least: u64, most: u64) -> Converted<u64> {
    let integer = value.get_ref().as_integer().filter(|integer| integer.radix() == 10);
    integer
        .and_then(|integer| integer.as_str().replace('_', "").parse::<u64>().ok())
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| Wrong::at(value))
}

pub(super) fn count(value: &Value<'_>) -> Converted<u32> {
    number(value, 1, 1_000_000).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

pub(super) fn seconds(value: &Value<'_>) -> Converted<Duration> {
    number(value, 1, 86_400).map(Duration::from_secs)
}

/// A number of bytes, or a text of a number and a unit, with or without a space between them.
pub(super) fn bytes(value: &Value<'_>) -> Converted<u64> {
    if value.get_ref().is_integer() {
        return number(value, 1, u64::MAX);
    }
    parsed(value, |text| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.parse::<u64>().ok()?.checked_mul(*factor).filter(|&bytes| bytes > 0)
    })
}

/// The absolute path of a file or directory.
pub(super) fn absolute(value: &Value<'_>) -> Converted<PathBuf> {
    parsed(value, |text| Path::new(text).is_absolute().then(|| PathBuf::from(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_bytes(text: &str, expected: Option<u64>) {
        assert_eq!(bytes(&DeValue::parse(text).expect("TOML")).ok(), expected, "{text}");
    }

    #[test]
    fn bytes_with_and_without_units() {
        check_bytes("1", Some(1));
        check_bytes("1_000", Some(1000));
        check_bytes("9223372036854775807", Some(i64::MAX as u64));
        check_bytes("\"512 B\"", Some(512));
        check_bytes("\"500 kB\"", Some(500_000));
        check_bytes("\"500kB\"", Some(500_000));
        check_bytes("\"10 MiB\"", Some(10 << 20));
        check_bytes("\"1 TB\"", Some(1_000_000_000_000));
        check_bytes("\"16777215 TiB\"", Some(16_777_215 << 40));
        check_bytes("\"16777216 TiB\"", None);
        for wrong in [
            "0",
            "-1",
            "1.5",
            "\"10\"",
            "\"1.5 MB\"",
            "\"10 KB\"",
            "\"10 mb\"",
            "\"10  MB\"",
            "\"MB\"",
            "\"0 B\"",
        ] {
            check_bytes(wrong, None);
        }
    }
}
