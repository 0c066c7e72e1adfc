//! Hours of the week in which an account may come in. No clock and no time zone: whoever asks says what time it is
//! where the hours are meant.

use std::fmt;
use std::str::FromStr;

const MINUTES_PER_DAY: u16 = 24 * 60;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weekday {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

impl Weekday {
    /// All of them, in order.
    pub const ALL: [Weekday; 7] = {
        use Weekday::*;
        [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday]
    };

    /// The day before.
    #[must_use]
    pub const fn yesterday(self) -> Weekday {
        Weekday::ALL[(self as usize + 6) % 7]
    }

    /// Its first three letters.
    pub const fn short(self) -> &'static str {
        ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][self as usize]
    }

    /// Reads the first three letters or the whole name, in capitals or not.
    fn read(text: &str) -> Option<Weekday> {
        Weekday::ALL.into_iter().find(|day| {
            text.eq_ignore_ascii_case(day.short()) || text.eq_ignore_ascii_case(&format!("{day:?}"))
        })
    }
}

/// One minute of a week.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct WeekMinute {
    weekday: Weekday,
    minute: u16,
}

impl WeekMinute {
    /// The minute of a day, counted from midnight; `None` from 1440 on.
    pub const fn new(weekday: Weekday, minute: u16) -> Option<WeekMinute> {
        if minute < MINUTES_PER_DAY { Some(WeekMinute { weekday, minute }) } else { None }
    }

    /// The day.
    pub const fn weekday(self) -> Weekday {
        self.weekday
    }

    /// The minute of the day, 0 to 1439.
    pub const fn minute(self) -> u16 {
        self.minute
    }
}

impl fmt::Display for WeekMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:02}:{:02}", self.weekday.short(), self.minute / 60, self.minute % 60)
    }
}

impl fmt::Debug for WeekMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WeekMinute({self})")
    }
}

/// Days, a time of the day, or both: `Mon-Fri 08:00-18:00`, `Sat,Sun`, `22:00-06:00`.
///
/// Days without a time are whole days, a time without days is every day. The end does not belong to it. When the end
/// is before the beginning, the time reaches over midnight and belongs to the day on which it begins:
/// `Fri 22:00-06:00` ends on Saturday morning.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hours {
    /// One bit for each day, Monday's lowest.
    days: u8,
    /// Minutes from midnight; `from` below 1440, `to` not above.
    from: u16,
    to: u16,
}

/// Why a text is no [`Hours`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// There is neither a day nor a time.
    #[error("no hours are given; expected such as Mon-Fri 08:00-18:00, Sat,Sun or 22:00-06:00")]
    Empty,
    /// A word that is no day.
    #[error("{0:?} is no day of the week; expected Mon, Tue, Wed, Thu, Fri, Sat or Sun, joined by - or ,")]
    Day(String),
    /// What stands where the time is.
    #[error("{0:?} is no time of a day; expected such as 08:00-18:00, from 00:00 to 24:00")]
    Time(String),
    /// A time that ends when it begins: nothing or a whole day.
    #[error("{0:?} ends when it begins; for whole days leave the time out")]
    NoTime(String),
    /// More than days and a time.
    #[error("{0:?} stands behind the hours; give further hours as entries of their own")]
    TooMuch(String),
}

impl Hours {
    /// Whether the minute belongs to these hours.
    pub fn contains(self, now: WeekMinute) -> bool {
        let on = |day: Weekday| self.days & (1 << day as u8) != 0;
        let minute = now.minute;
        if self.from < self.to {
            on(now.weekday) && self.from <= minute && minute < self.to
        } else {
            (on(now.weekday) && self.from <= minute) || (on(now.weekday.yesterday()) && minute < self.to)
        }
    }
}

impl FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Hours, HoursError> {
        let mut words = text.split_ascii_whitespace();
        let first = words.next().ok_or(HoursError::Empty)?;
        let is_time = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
        let (days, time) =
            if is_time(first) { (0b111_1111, Some(first)) } else { (days(first)?, words.next()) };
        if let Some(more) = words.next() {
            return Err(HoursError::TooMuch(more.to_owned()));
        }
        let (from, to) = time.map_or(Ok((0, MINUTES_PER_DAY)), times)?;
        Ok(Hours { days, from, to })
    }
}

/// `Mon`, `Mon-Fri`, `Fri-Mon`, and any of these joined by commas.
fn days(text: &str) -> Result<u8, HoursError> {
    let day = |word: &str| Weekday::read(word).ok_or_else(|| HoursError::Day(word.to_owned()));
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(part)?, day(part)?),
        };
        let length = (last as u8 + 7 - first as u8) % 7;
        for step in 0..=length {
            days |= 1 << ((first as u8 + step) % 7);
        }
    }
    Ok(days)
}

/// `HH:MM-HH:MM`, in minutes.
fn times(text: &str) -> Result<(u16, u16), HoursError> {
    let wrong = || HoursError::Time(text.to_owned());
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
    if from == MINUTES_PER_DAY {
        return Err(wrong());
    }
    if from == to {
        return Err(HoursError::NoTime(text.to_owned()));
    }
    // A day that ends at midnight ends with the day: 22:00-00:00 is 22:00-24:00.
    Ok((from, if to == 0 { MINUTES_PER_DAY } else { to }))
}

/// `HH:MM` in minutes from midnight, up to 24:00.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str, most: u16| -> Option<u16> {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok())?.filter(|&number| number <= most)
    };
    let minute = number(hours, 24)? * 60 + number(minutes, 59)?;
    (minute <= MINUTES_PER_DAY).then_some(minute)
}

/// The days one by one, then the time unless it is the whole day.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for day in Weekday::ALL.into_iter().filter(|&day| self.days & (1 << day as u8) != 0) {
            write!(f, "{comma}{}", day.short())?;
            comma = ",";
        }
        if (self.from, self.to) == (0, MINUTES_PER_DAY) {
            return Ok(());
        }
        write!(f, " {:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

impl fmt::Debug for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hours({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> WeekMinute {
        let (day, time) = text.split_once(' ').expect("a day and a time");
        let weekday = Weekday::read(day).expect("a day");
        WeekMinute::new(weekday, minute(time).expect("a time")).expect("not 24:00")
    }

    #[track_caller]
    fn check(text: &str, inside: &[&str], outside: &[&str]) {
        let hours: Hours = text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"));
        for now in inside {
            assert!(hours.contains(at(now)), "{text:?} has {now}");
        }
        for now in outside {
            assert!(!hours.contains(at(now)), "{text:?} has not {now}");
        }
        assert_eq!(hours.to_string().parse(), Ok(hours), "what is shown is read as the same");
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = text.parse::<Hours>().expect_err(text).to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }

    #[test]
    fn days_and_times() {
        check(
            "Mon-Fri 08:00-18:00",
            &["Mon 08:00", "Wed 12:00", "Fri 17:59"],
            &["Mon 07:59", "Fri 18:00", "Sat 12:00", "Sun 12:00"],
        );
        check("Sat,Sun", &["Sat 00:00", "Sun 23:59"], &["Fri 23:59", "Mon 00:00"]);
        check("sat 08:00-09:00", &["Sat 08:30"], &["Sun 08:30"]);
        check("MONDAY,wednesday-Thursday", &["Mon 01:00", "Wed 01:00", "Thu 01:00"], &["Tue 01:00"]);
        check("Fri-Mon", &["Fri 00:00", "Sat 12:00", "Sun 12:00", "Mon 23:59"], &["Tue 00:00", "Thu 23:59"]);
        check("Mon-Mon", &["Mon 12:00"], &["Tue 12:00", "Sun 12:00"]);
        check("Mon-Sun", &["Mon 00:00", "Sun 23:59"], &[]);
        check("08:00-18:00", &["Mon 08:00", "Sun 17:59"], &["Mon 07:59", "Sun 18:00"]);
        check("00:00-24:00", &["Mon 00:00", "Sun 23:59"], &[]);
        check("  Mon   08:00-09:00  ", &["Mon 08:00"], &["Mon 09:00"]);
    }

    #[test]
    fn over_midnight() {
        check(
            "22:00-06:00",
            &["Mon 22:00", "Tue 05:59", "Sun 23:59", "Mon 00:00"],
            &["Mon 06:00", "Mon 21:59"],
        );
        check(
            "Fri 22:00-06:00",
            &["Fri 22:00", "Fri 23:59", "Sat 00:00", "Sat 05:59"],
            &["Fri 05:59", "Fri 21:59", "Sat 06:00", "Sat 22:00", "Thu 23:00"],
        );
        check("Sun 22:00-06:00", &["Sun 22:00", "Mon 05:59"], &["Sun 05:59", "Mon 06:00", "Mon 22:00"]);
        check("Mon 22:00-00:00", &["Mon 22:00", "Mon 23:59"], &["Tue 00:00", "Mon 00:00"]);
        check("Mon 22:00-24:00", &["Mon 22:00", "Mon 23:59"], &["Tue 00:00", "Mon 00:00"]);
        check("Mon 23:59-00:01", &["Mon 23:59", "Tue 00:00"], &["Tue 00:01", "Mon 00:00"]);
    }

    #[test]
    fn what_is_no_hours() {
        refused("", "no hours are given");
        refused("  ", "no hours are given");
        refused("Mo", "\"Mo\" is no day of the week");
        refused("Montag", "\"Montag\" is no day");
        refused("Mon-", "\"\" is no day");
        refused("Mon,", "\"\" is no day");
        refused("-Fri", "\"\" is no day");
        refused("Mon-Wed-Fri", "\"Wed-Fri\" is no day");
        refused("Mon, Tue", "\"\" is no day");
        refused("daily", "\"daily\" is no day");
        refused("Mon 8:00-18:00", "\"8:00-18:00\" is no time of a day");
        refused("Mon 08:00", "\"08:00\" is no time");
        refused("Mon 08:00-", "is no time");
        refused("Mon 08:00-18", "is no time");
        refused("Mon 08:60-18:00", "is no time");
        refused("Mon 08:00-24:01", "is no time");
        refused("Mon 08:00-25:00", "is no time");
        refused("Mon 24:00-08:00", "is no time");
        refused("Mon 08:00-+9:00", "is no time");
        refused("Mon 08:00-18:00-20:00", "is no time");
        refused("Mon Tue", "\"Tue\" is no time");
        refused("Mon 08:00-08:00", "ends when it begins");
        refused("00:00-00:00", "ends when it begins");
        refused("Mon 08:00-09:00 10:00-11:00", "\"10:00-11:00\" stands behind the hours");
        refused("08:00-09:00 Mon", "\"Mon\" stands behind the hours");
    }

    #[test]
    fn minutes_of_a_week() {
        assert_eq!(
            WeekMinute::new(Weekday::Sunday, 1439).map(|now| now.to_string()).as_deref(),
            Some("Sun 23:59")
        );
        assert_eq!(WeekMinute::new(Weekday::Sunday, 1440), None);
        assert_eq!(Weekday::Monday.yesterday(), Weekday::Sunday);
        let now = at("Tue 08:15");
        assert_eq!((now.weekday(), now.minute()), (Weekday::Tuesday, 495));
    }

    proptest! {
        /// Against a week that is painted minute by minute.
        #[test]
        fn the_same_as_a_painted_week(first in 0usize..7, last in 0usize..7, from in 0u16..1440, length in 1u16..1440) {
            let to = (from + length) % 1440;
            let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            let [a, b] = [first, last].map(|day| Weekday::ALL[day].short());
            let hours: Hours = format!("{a}-{b} {}-{}", clock(from), clock(to)).parse().expect("hours");
            let mut week = vec![false; 7 * 1440];
            let mut day = first;
            loop {
                for minute in 0..usize::from(length) {
                    week[(day * 1440 + usize::from(from) + minute) % (7 * 1440)] = true;
                }
                if day == last {
                    break;
                }
                day = (day + 1) % 7;
            }
            for (index, expected) in week.into_iter().enumerate() {
                let minute = u16::try_from(index % 1440).expect("a minute");
                let now = WeekMinute::new(Weekday::ALL[index / 1440], minute).expect("below 1440");
                prop_assert_eq!(hours.contains(now), expected, "{}", now);
            }
        }

        #[test]
        fn no_text_panics(text in "[MonTueSaFri0-9:, -]{0,24}") {
            if let Ok(hours) = text.parse::<Hours>() {
                prop_assert_eq!(hours.to_string().parse(), Ok(hours));
            }
        }
    }
}
