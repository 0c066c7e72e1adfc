//! Moments as files carry them, and as RFC 3659 section 2.3 writes them. All of it is UTC.
//!
//! Not inside: a clock. Whoever needs "now" is given it.

use jiff::civil::Date;

const DAY_SECONDS: i64 = 86_400;
/// From 1 March of the year 400 before the year 0 to 1970-01-01.
const MARCH_BEFORE_TO_EPOCH_DAYS: i64 = 719_468 + DAYS_OF_400_YEARS as i64;
const DAYS_OF_4_YEARS: u32 = 4 * 365 + 1;
const DAYS_OF_100_YEARS: u32 = 25 * DAYS_OF_4_YEARS - 1;
const DAYS_OF_400_YEARS: u32 = 4 * DAYS_OF_100_YEARS + 1;
const EPOCH: Date = Date::constant(1970, 1, 1);
/// 0000-01-01 00:00:00.
const FIRST_SECONDS: i64 = -62_167_219_200;
/// 9999-12-31 23:59:59.
const LAST_SECONDS: i64 = 253_402_300_799;
/// Digits of a `time-val` before its fraction.
const TIME_VAL_DIGITS: usize = 14;

/// A moment: seconds since 1970-01-01 00:00:00 UTC without leap seconds, negative before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// The rest, 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// A moment as calendar and clock show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    /// 0 to 9999.
    pub(crate) year: u16,
    /// 1 to 12.
    pub(crate) month: u8,
    /// 1 to 31.
    pub(crate) day: u8,
    /// 0 to 23.
    pub(crate) hour: u8,
    /// 0 to 59.
    pub(crate) minute: u8,
    /// 0 to 59.
    pub(crate) second: u8,
}

impl Civil {
    /// What calendar and clock show at `time`; before the year 0 and after 9999, the nearest second within.
    pub(crate) fn of(time: UnixTime) -> Civil {
        let seconds = time.seconds.clamp(FIRST_SECONDS, LAST_SECONDS);
        // Listings ask this of each entry, so it is done by numbers. The year begins in March here: then its months have
        // the same lengths in all years, but for the end of the last one, and centuries of one era only differ there too.
        // The era before the year 0 keeps all numbers positive.
        let day = (seconds.div_euclid(DAY_SECONDS) + MARCH_BEFORE_TO_EPOCH_DAYS) as u32;
        let (era, day_of_era) = (day / DAYS_OF_400_YEARS, day % DAYS_OF_400_YEARS);
        // The last day of four centuries, and of four years, belongs to the year that it ends.
        let century = (day_of_era / DAYS_OF_100_YEARS).min(3);
        let day_of_century = day_of_era - century * DAYS_OF_100_YEARS;
        let four_years = day_of_century / DAYS_OF_4_YEARS;
        let day_of_four = day_of_century - four_years * DAYS_OF_4_YEARS;
        let year_of_four = (day_of_four / 365).min(3);
        let day_of_year = day_of_four - year_of_four * 365;
        // Months from March on have 31, 30, 31, 30, 31 days, again and again: 153 in five.
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let begins_later = month_from_march >= 10;
        let month = if begins_later { month_from_march - 9 } else { month_from_march + 3 };
        let year_of_era = 100 * century + 4 * four_years + year_of_four + u32::from(begins_later);
        let year = (400 * era + year_of_era) - 400;
        let second_of_day = seconds.rem_euclid(DAY_SECONDS) as u32;
        // None of these casts can change a value: the ranges are those in the fields' docs.
        Civil {
            year: year as u16,
            month: month as u8,
            day: day as u8,
            hour: (second_of_day / 3600) as u8,
            minute: (second_of_day / 60 % 60) as u8,
            second: (second_of_day % 60) as u8,
        }
    }
}

/// Reads a `time-val` (RFC 3659 section 2.3), `YYYYMMDDHHMMSS` or `YYYYMMDDHHMMSS.F+`, in UTC. `None` for
/// anything else, dates that do not exist among them.
///
/// Second 60, which the RFC allows for leap seconds, is taken as 59: files have no such time, and going on to
/// the next minute would move a file into the next year. Digits of the fraction beyond nanoseconds are
/// dropped.
pub fn parse_time_val(text: &[u8]) -> Option<UnixTime> {
    let (digits, fraction) = text.split_at_checked(TIME_VAL_DIGITS)?;
    let number = |range: std::ops::Range<usize>| {
        digits[range].iter().try_fold(0i16, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + i16::from(byte - b'0'))
        })
    };
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(8..10)?, number(10..12)?, number(12..14)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Two digits fit into i8.
    let date = Date::new(year, month as i8, day as i8).ok()?;
    let second_of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second.min(59));
    Some(UnixTime {
        seconds: date.duration_since(EPOCH).as_secs() + second_of_day,
        nanoseconds: parse_fraction(fraction)?,
    })
}

/// Nanoseconds of `.F+`, or 0 for nothing.
fn parse_fraction(text: &[u8]) -> Option<u32> {
    let digits = match text {
        [] => return Some(0),
        [b'.', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => digits,
        _ => return None,
    };
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Some(padded.fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

/// Appends `time` as a `time-val` of 14 digits, without a fraction (the RFC leaves it to the server, and some
/// clients stumble over it). Before the year 0 and after 9999, the nearest second within.
pub fn write_time_val(out: &mut Vec<u8>, time: UnixTime) {
    let civil = Civil::of(time);
    let [century, year] = [civil.year / 100, civil.year % 100].map(|pair| two_digits(pair as u8));
    let [month, day] = [two_digits(civil.month), two_digits(civil.day)];
    let [hour, minute, second] = [civil.hour, civil.minute, civil.second].map(two_digits);
    out.extend_from_slice([century, year, month, day, hour, minute, second].as_flattened());
}

/// A number below 100 in two digits.
pub(crate) fn two_digits(number: u8) -> [u8; 2] {
    debug_assert!(number < 100);
    [b'0' + number / 10, b'0' + number % 10]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_parse(text: &str, expected: Option<(i64, u32)>) {
        let expected = expected.map(|(seconds, nanoseconds)| UnixTime { seconds, nanoseconds });
        assert_eq!(parse_time_val(text.as_bytes()), expected);
    }

    #[track_caller]
    fn check_write(seconds: i64, expected: &str) {
        let mut out = b"213 ".to_vec();
        write_time_val(&mut out, UnixTime { seconds, nanoseconds: 999_999_999 });
        assert_eq!(String::from_utf8(out).unwrap(), format!("213 {expected}"));
    }

    #[test]
    fn reading() {
        check_parse("19700101000000", Some((0, 0)));
        check_parse("19700101000001.5", Some((1, 500_000_000)));
        check_parse("19691231235959", Some((-1, 0)));
        check_parse("20261120130405", Some((1_795_179_845, 0)));
        check_parse("20261120130405.123", Some((1_795_179_845, 123_000_000)));
        check_parse("20261120130405.123456789", Some((1_795_179_845, 123_456_789)));
        check_parse("20261120130405.1234567899999", Some((1_795_179_845, 123_456_789)));
        check_parse("20261120130405.000000001", Some((1_795_179_845, 1)));
        check_parse("20000229000000", Some((951_782_400, 0)));
        check_parse("20240229235959", Some((1_709_251_199, 0)));
        check_parse("00000101000000", Some((FIRST_SECONDS, 0)));
        check_parse("99991231235959", Some((LAST_SECONDS, 0)));
    }

    #[test]
    fn a_leap_second_is_the_second_before_it() {
        check_parse("20161231235960", Some((1_483_228_799, 0)));
        check_parse("20161231235961", None);
    }

    #[test]
    fn what_is_not_a_time() {
        for text in [
            "",
            "2026112013040",
            "202611201304055",
            "20261120130405.",
            "20261120130405,5",
            "20261120130405.5x",
            "20261120130405 ",
            " 20261120130405",
            "+2026112013040",
            "2026-112013040",
            "20260020130405",
            "20261320130405",
            "20261100130405",
            "20261131130405",
            "20260229130405",
            "19000229130405",
            "20261120240405",
            "20261120136005",
            "20261120130461",
            "2026112013040é",
            "１９７００１０１００００００",
        ] {
            check_parse(text, None);
        }
    }

    #[test]
    fn writing() {
        check_write(0, "19700101000000");
        check_write(-1, "19691231235959");
        check_write(951_782_400, "20000229000000");
        check_write(1_795_179_845, "20261120130405");
        check_write(FIRST_SECONDS, "00000101000000");
        check_write(FIRST_SECONDS - 1, "00000101000000");
        check_write(i64::MIN, "00000101000000");
        check_write(LAST_SECONDS, "99991231235959");
        check_write(LAST_SECONDS + 1, "99991231235959");
        check_write(i64::MAX, "99991231235959");
    }

    /// Each day of the calendar, as another calendar counts them.
    #[test]
    fn every_day() {
        let mut date = Date::constant(0, 1, 1);
        for seconds in (FIRST_SECONDS..=LAST_SECONDS).step_by(DAY_SECONDS as usize) {
            let civil = Civil::of(UnixTime { seconds, nanoseconds: 0 });
            let told = (i16::try_from(civil.year).unwrap(), civil.month as i8, civil.day as i8);
            assert_eq!(told, (date.year(), date.month(), date.day()), "{seconds}");
            if let Ok(next) = date.tomorrow() {
                date = next;
            }
        }
    }

    #[test]
    fn moments_are_in_order() {
        let time = |seconds, nanoseconds| UnixTime { seconds, nanoseconds };
        assert!(time(-1, 999_999_999) < time(0, 0) && time(0, 0) < time(0, 1) && time(0, 1) < time(1, 0));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in FIRST_SECONDS..=LAST_SECONDS) {
            let mut out = Vec::new();
            let time = UnixTime { seconds, nanoseconds: 0 };
            write_time_val(&mut out, time);
            prop_assert_eq!(parse_time_val(&out), Some(time));
        }

        #[test]
        fn bytes_never_cause_a_panic(text in prop::collection::vec(any::<u8>(), 0..24)) {
            let _ = parse_time_val(&text);
        }
    }
}
