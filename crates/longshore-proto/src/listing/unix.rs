//! LIST, in the form of `ls -ln`, which every client reads:
//! `-rw-r--r--   1 1000     1000         1234 Nov 20 13:04 name`.
//!
//! Not inside: names of owners and groups. Looking them up costs more than the rest of a listing, and tells
//! strangers the accounts of the machine.

use super::{Item, ItemKind, decimal, push_name};
use crate::time::{Civil, UnixTime, two_digits};

/// How old a file may be to be shown with its hour instead of its year.
const RECENT_SECONDS: i64 = 180 * 86_400;
/// How far ahead of our clock a file may be to be shown with its hour; beyond, a client that has to guess the
/// year would guess the one before.
const AHEAD_SECONDS: i64 = 3600;

const LINKS_WIDTH: usize = 3;
const NUMBER_WIDTH: usize = 8;
const SIZE_WIDTH: usize = 8;

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Appends the line of one item, with CR LF. Times are UTC; `now` decides whether the hour or the year is
/// shown.
///
/// A symbolic link (an item with a target) is of type `l` and ends in ` -> target`; what else the line tells
/// is about what it leads to. Devices, pipes and sockets are all shown as pipes, `p`: clients know that there
/// is nothing to download, and unlike with devices they expect a size.
pub fn write_line(out: &mut Vec<u8>, item: &Item<'_>, now: UnixTime) {
    out.reserve(72 + item.name.len() + item.link_target.map_or(0, <[u8]>::len));
    push_mode(out, item);
    push_right(out, item.links, LINKS_WIDTH);
    push_left(out, item.owner, NUMBER_WIDTH);
    push_left(out, item.group, NUMBER_WIDTH);
    push_right(out, item.size, SIZE_WIDTH);
    push_date(out, item.modified, now);
    push_name(out, item.name);
    if let Some(target) = item.link_target {
        out.extend_from_slice(b" -> ");
        push_name(out, target);
    }
    out.extend_from_slice(b"\r\n");
}

fn push_mode(out: &mut Vec<u8>, item: &Item<'_>) {
    let mut text = *b"?rwxrwxrwx";
    text[0] = match item.kind {
        _ if item.link_target.is_some() => b'l',
        ItemKind::File => b'-',
        kind if kind.is_directory() => b'd',
        _ => b'p',
    };
    for (bit, letter) in text[1..].iter_mut().rev().enumerate() {
        if item.mode & (1 << bit) == 0 {
            *letter = b'-';
        }
    }
    // Set-user-id, set-group-id and sticky stand in the place of `x`; in capitals where there is no `x`.
    for (bit, place, letter) in [(0o4000, 3, b's'), (0o2000, 6, b's'), (0o1000, 9, b't')] {
        if item.mode & bit != 0 {
            text[place] = if text[place] == b'x' { letter } else { letter.to_ascii_uppercase() };
        }
    }
    out.extend_from_slice(&text);
    out.push(b' ');
}

/// A number aligned to the right, and a space.
fn push_right(out: &mut Vec<u8>, number: u64, width: usize) {
    let mut digits = [0; 20];
    let digits = decimal(&mut digits, number);
    push_spaces(out, width.saturating_sub(digits.len()));
    out.extend_from_slice(digits);
    out.push(b' ');
}

/// A number aligned to the left, and a space.
fn push_left(out: &mut Vec<u8>, number: u32, width: usize) {
    let mut digits = [0; 20];
    let digits = decimal(&mut digits, number.into());
    out.extend_from_slice(digits);
    push_spaces(out, width.saturating_sub(digits.len()) + 1);
}

fn push_spaces(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, b' ');
}

/// `Nov 20 13:04 ` or `Nov 20  2025 `.
fn push_date(out: &mut Vec<u8>, time: UnixTime, now: UnixTime) {
    let civil = Civil::of(time);
    let [tens, ones] = two_digits(civil.day);
    let month = MONTHS[usize::from(civil.month) - 1];
    out.extend_from_slice(month);
    out.extend_from_slice(&[b' ', if tens == b'0' { b' ' } else { tens }, ones, b' ']);
    let age_seconds = now.seconds.saturating_sub(time.seconds);
    if (-AHEAD_SECONDS..=RECENT_SECONDS).contains(&age_seconds) {
        let ([h1, h2], [m1, m2]) = (two_digits(civil.hour), two_digits(civil.minute));
        out.extend_from_slice(&[h1, h2, b':', m1, m2, b' ']);
    } else {
        let [y1, y2] = two_digits((civil.year / 100) as u8);
        let [y3, y4] = two_digits((civil.year % 100) as u8);
        out.extend_from_slice(&[b' ', y1, y2, y3, y4, b' ']);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, text};
    use super::*;

    const NOW: UnixTime = UnixTime { seconds: 1_795_180_000, nanoseconds: 0 };

    #[track_caller]
    fn check(item: &Item<'_>, expected: &str) {
        assert_eq!(text(|out| write_line(out, item, NOW)), format!("{expected}\\r\\n"));
    }

    #[test]
    fn a_line() {
        check(&file(b"name"), "-rw-r--r--   1 1000     1000         1234 Nov 20 13:04 name");
        check(&file(b" a  b "), "-rw-r--r--   1 1000     1000         1234 Nov 20 13:04  a  b ");
        check(&file(b"\xE9"), "-rw-r--r--   1 1000     1000         1234 Nov 20 13:04 \\xe9");
    }

    #[test]
    fn numbers_that_outgrow_their_columns_stay_apart() {
        check(
            &Item { size: u64::MAX, links: 123_456, owner: u32::MAX, group: u32::MAX - 1, ..file(b"n") },
            "-rw-r--r-- 123456 4294967295 4294967294 18446744073709551615 Nov 20 13:04 n",
        );
        check(
            &Item { size: 0, links: 0, owner: 0, group: 0, ..file(b"n") },
            "-rw-r--r--   0 0        0               0 Nov 20 13:04 n",
        );
        check(
            &Item { size: 12_345_678, links: 999, owner: 12_345_678, ..file(b"n") },
            "-rw-r--r-- 999 12345678 1000     12345678 Nov 20 13:04 n",
        );
    }

    #[test]
    fn types_and_modes() {
        #[track_caller]
        fn check_mode(kind: ItemKind, mode: u32, expected: &str) {
            let item = Item { kind, mode, ..file(b"n") };
            check(&item, &format!("{expected}   1 1000     1000         1234 Nov 20 13:04 n"));
        }
        check_mode(ItemKind::Directory, 0o755, "drwxr-xr-x");
        check_mode(ItemKind::CurrentDirectory, 0o40_700, "drwx------");
        check_mode(ItemKind::ParentDirectory, 0, "d---------");
        check_mode(ItemKind::Other, 0o666, "prw-rw-rw-");
        check_mode(ItemKind::File, 0, "----------");
        check_mode(ItemKind::File, 0o777, "-rwxrwxrwx");
        check_mode(ItemKind::File, 0o421, "-r---w---x");
        check_mode(ItemKind::File, 0o7777, "-rwsrwsrwt");
        check_mode(ItemKind::File, 0o7000, "---S--S--T");
        check_mode(ItemKind::File, 0o4755, "-rwsr-xr-x");
        check_mode(ItemKind::File, 0o2745, "-rwxr-Sr-x");
        check_mode(ItemKind::Directory, 0o1777, "drwxrwxrwt");
    }

    #[test]
    fn links_show_their_target() {
        for kind in [ItemKind::File, ItemKind::Directory, ItemKind::Other] {
            check(
                &Item { kind, mode: 0o777, link_target: Some(b"../to it"), ..file(b"from") },
                "lrwxrwxrwx   1 1000     1000         1234 Nov 20 13:04 from -> ../to it",
            );
        }
    }

    #[test]
    fn no_name_forges_a_line() {
        check(
            &Item { link_target: Some(b"t\r\n-rw-r--r-- 1 0 0 0 forged"), ..file(b"n\r\nd\x1B") },
            "lrw-r--r--   1 1000     1000         1234 Nov 20 13:04 n??d? -> t??-rw-r--r-- 1 0 0 0 forged",
        );
    }

    #[test]
    fn hour_or_year() {
        #[track_caller]
        fn check_date(age_seconds: i64, expected: &str) {
            let modified = UnixTime { seconds: NOW.seconds - age_seconds, nanoseconds: 0 };
            check(
                &Item { modified, ..file(b"n") },
                &format!("-rw-r--r--   1 1000     1000         1234 {expected} n"),
            );
        }
        check_date(0, "Nov 20 13:06");
        check_date(15 * 86_400, "Nov  5 13:06");
        check_date(RECENT_SECONDS, "May 24 13:06");
        check_date(RECENT_SECONDS + 1, "May 24  2026");
        check_date(-AHEAD_SECONDS, "Nov 20 14:06");
        check_date(-AHEAD_SECONDS - 1, "Nov 20  2026");
        check_date(NOW.seconds, "Jan  1  1970");
        check_date(NOW.seconds + 1, "Dec 31  1969");
    }

    #[test]
    fn times_out_of_range_are_clamped() {
        for (seconds, expected) in [(i64::MIN, "Jan  1  0000"), (i64::MAX, "Dec 31  9999")] {
            check(
                &Item { modified: UnixTime { seconds, nanoseconds: 0 }, ..file(b"n") },
                &format!("-rw-r--r--   1 1000     1000         1234 {expected} n"),
            );
        }
    }

    #[test]
    fn every_month() {
        for (month, name) in MONTHS.into_iter().enumerate() {
            let time = format!("2001{:02}15000000", month + 1);
            let modified = crate::time::parse_time_val(time.as_bytes()).expect("a date");
            check(
                &Item { modified, ..file(b"n") },
                &format!("-rw-r--r--   1 1000     1000         1234 {} 15  2001 n", name.escape_ascii()),
            );
        }
    }
}
