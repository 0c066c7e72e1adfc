//! How many system calls each thing may cost, with the reason for each: the file, what is held against it, and how it is
//! written.
//!
//! Not inside: counting.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::trace::{Counts, WAKE};

/// Where the bounds stand, from the root of the repository.
pub(crate) const FILE: &str = "bench/system-calls.txt";
/// Stands for every scenario.
const EVERY: &str = "*";
/// What may be called beyond every bound, and without one, for each unit: now and then a thread begins, and what it calls
/// counts to whatever is done at that time. What costs a unit anything costs it a whole call.
const STRAY: f64 = 0.05;
/// Room for what depends on who was quicker: on a machine with much else to do a client is never there before the server
/// looks.
const SCHEDULING_FACTOR: f64 = 2.0;
const SCHEDULING_ROOM: f64 = 4.0;
/// What a reason says that nobody has given yet.
const NO_REASON: &str = "?";

/// A line of the file.
#[derive(Clone, Debug, PartialEq)]
struct Bound {
    scenario: String,
    call: String,
    /// For each unit.
    most: f64,
    reason: String,
}

/// The file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    /// The lines before the first bound, which say what the file is.
    head: String,
    rows: Vec<Bound>,
}

impl Bounds {
    /// # Errors
    /// A line that is none, with its number.
    pub(crate) fn parse(text: &str) -> Result<Bounds, String> {
        let mut bounds = Bounds::default();
        for (index, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                if bounds.rows.is_empty() && !trimmed.is_empty() {
                    bounds.head += trimmed;
                    bounds.head.push('\n');
                }
                continue;
            }
            let wrong = |what: &str| {
                format!("{FILE}:{}: {what}; a line is: scenario | call | most for each | reason", index + 1)
            };
            let cells: Vec<&str> = trimmed.splitn(4, '|').map(str::trim).collect();
            let [scenario, call, most, reason] = cells[..] else { return Err(wrong("too few cells")) };
            let most: f64 = most.parse().map_err(|_| wrong(&format!("{most:?} is no number")))?;
            if !(most.is_finite() && most >= 0.0) {
                return Err(wrong("a bound is 0 or more"));
            }
            if bounds.find(scenario, call).is_some() {
                return Err(wrong(&format!("{scenario} has a bound of {call} already")));
            }
            let [scenario, call, reason] = [scenario, call, reason].map(str::to_owned);
            bounds.rows.push(Bound { scenario, call, most, reason });
        }
        Ok(bounds)
    }

    fn find(&self, scenario: &str, call: &str) -> Option<&Bound> {
        self.rows.iter().find(|row| row.scenario == scenario && row.call == call)
    }

    /// The bound that holds: the scenario's own, else the one of all.
    fn of(&self, scenario: &str, call: &str) -> Option<&Bound> {
        self.find(scenario, call).or_else(|| self.find(EVERY, call))
    }

    /// What is wrong with so many units of a scenario.
    pub(crate) fn complaints(&self, scenario: &str, counts: &Counts, units: usize) -> Vec<String> {
        let mut complaints = Vec::new();
        for (call, &count) in counts {
            let exceeds = |most: f64| count as f64 > (most + STRAY) * units as f64;
            let each = each(count, units);
            match self.of(scenario, call) {
                None if exceeds(0.0) => {
                    complaints
                        .push(format!("{scenario}: {each} {call} each, which no line of {FILE} allows"));
                }
                Some(bound) if exceeds(bound.most) => complaints.push(format!(
                    "{scenario}: {each} {call} each are more than {} ({})",
                    bound.most, bound.reason
                )),
                Some(bound) if bound.reason.is_empty() || bound.reason == NO_REASON => {
                    complaints.push(format!("{scenario}: {call} has no reason in {FILE}"));
                }
                None | Some(_) => {}
            }
        }
        complaints
    }

    /// Bounds by what was counted in several rounds of so many units. Reasons and what holds for every scenario stay.
    pub(crate) fn recorded(&self, rounds: &[BTreeMap<&'static str, Counts>], units: usize) -> Bounds {
        let mut recorded = self.clone();
        recorded.rows.retain(|row| row.scenario == EVERY);
        for scenario in super::Scenario::ALL.map(super::Scenario::name) {
            for (call, count) in most_of(rounds, scenario) {
                let mut most = bound_for(&call, count, units);
                if let Some(before) = self.find(scenario, &call)
                    && is_scheduling(&call)
                    && (0.5..=1.25).contains(&(most / before.most))
                {
                    // Within its own room nothing has changed.
                    most = before.most;
                }
                if most <= self.find(EVERY, &call).map_or(0.0, |every| every.most) {
                    continue;
                }
                let elsewhere = || self.rows.iter().find(|row| row.call == call);
                let known = self.of(scenario, &call).or_else(elsewhere);
                let reason = known.map_or(NO_REASON, |row| &row.reason).to_owned();
                recorded.rows.push(Bound { scenario: scenario.to_owned(), call, most, reason });
            }
        }
        recorded
    }

    /// How these differ from those before: whoever reads it has to look whether the reasons still hold.
    pub(crate) fn changes(&self, before: &Bounds) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let Bound { scenario, call, most, .. } = row;
            let _ = match before.find(scenario, call) {
                None => writeln!(text, "{scenario}: {call} is new, {most}"),
                Some(old) if old.most != *most => {
                    writeln!(text, "{scenario}: {call} {} becomes {most}", old.most)
                }
                Some(_) => Ok(()),
            };
        }
        for Bound { scenario, call, .. } in &before.rows {
            if self.find(scenario, call).is_none() {
                let _ = writeln!(text, "{scenario}: {call} is gone");
            }
        }
        text
    }
}

/// What was counted, for a person: a line for each scenario.
pub(crate) fn summary(rounds: &[BTreeMap<&'static str, Counts>], units: usize) -> String {
    let mut text = String::new();
    for scenario in super::Scenario::ALL.map(super::Scenario::name) {
        let counts = most_of(rounds, scenario);
        let all = each(counts.iter().map(|(_, count)| count).sum(), units);
        let calls: Vec<String> =
            counts.iter().map(|(call, count)| format!("{} {call}", each(*count, units))).collect();
        let _ = writeln!(text, "{scenario}: {all} system calls each: {}", calls.join(", "));
    }
    text
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        let mut before = None;
        for row in &self.rows {
            if before.replace(&row.scenario) != Some(&row.scenario) {
                writeln!(f)?;
            }
            writeln!(f, "{} | {} | {} | {}", row.scenario, row.call, row.most, row.reason)?;
        }
        Ok(())
    }
}

/// The largest count of each call.
fn most_of(rounds: &[BTreeMap<&'static str, Counts>], scenario: &str) -> Vec<(String, u64)> {
    let mut most = Counts::new();
    for (call, &count) in rounds.iter().filter_map(|round| round.get(scenario)).flatten() {
        let known = most.entry(call.clone()).or_insert(0);
        *known = count.max(*known);
    }
    most.into_iter().collect()
}

/// The bound that is recorded for so many calls. What follows from what is done is the same on every machine, and has no
/// room; what follows from who was quicker has.
fn bound_for(call: &str, count: u64, units: usize) -> f64 {
    let exact = count as f64 / units as f64;
    // Strays are none of it.
    let each = if exact - exact.floor() <= STRAY { exact.floor() } else { (exact * 100.0).ceil() / 100.0 };
    if is_scheduling(call) {
        (SCHEDULING_FACTOR * each + SCHEDULING_ROOM).ceil()
    } else if is_gathered(call) {
        each.floor() + 1.0
    } else {
        each
    }
}

/// Whether one call carries as much as has gathered until then: replies before a wait, lines of the log. One more is no
/// regression.
fn is_gathered(call: &str) -> bool {
    matches!(call, "write" | "writev" | "sendto" | "sendmsg")
}

/// Whether it is called more or less often as threads and processes happen to run: a wait, a wake-up, or a look at something
/// that is not there yet.
fn is_scheduling(call: &str) -> bool {
    let (name, error) = call.split_once(' ').unwrap_or((call, ""));
    call == WAKE
        || error == "EAGAIN"
        || matches!(name, "futex" | "epoll_wait" | "epoll_pwait" | "epoll_pwait2")
}

/// For one unit, to be read.
fn each(count: u64, units: usize) -> String {
    let text = format!("{:.2}", count as f64 / units as f64);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# What it is.

* | brk | 0.1 | memory

retr | openat2 | 1 | the file
retr | futex | 3 | who waits | and for whom
";

    fn counts(all: &[(&str, u64)]) -> Counts {
        all.iter().map(|&(call, count)| (call.to_owned(), count)).collect()
    }

    #[test]
    fn a_file_is_written_as_it_was_read() {
        let bounds = Bounds::parse(TEXT).unwrap();
        assert_eq!(bounds.to_string(), TEXT);
        assert_eq!(bounds.find("retr", "futex").unwrap().reason, "who waits | and for whom");
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        #[track_caller]
        fn check(line: &str, part: &str) {
            let error = Bounds::parse(&format!("{TEXT}{line}\n")).unwrap_err();
            assert!(
                error.contains("system-calls.txt:7: ") && error.contains(part),
                "{part:?} is not in {error:?}"
            );
        }
        check("retr | close | 1", "too few cells");
        check("retr | close | one | x", "\"one\" is no number");
        check("retr | close | -1 | x", "0 or more");
        check("retr | close | inf | x", "0 or more");
        check("retr | openat2 | 2 | x", "already");
    }

    /// What 200 units of `retr` called, and what is said of it.
    #[track_caller]
    fn check(called: &[(&str, u64)], parts: &[&str]) {
        let complaints = Bounds::parse(TEXT).unwrap().complaints("retr", &counts(called), 200);
        assert_eq!(complaints.len(), parts.len(), "{complaints:?}");
        for (complaint, part) in complaints.iter().zip(parts) {
            assert!(
                complaint.starts_with("retr: ") && complaint.contains(part),
                "{part:?} is not in {complaint:?}"
            );
        }
    }

    #[test]
    fn what_exceeds_its_bound_or_has_none_is_named() {
        check(&[], &[]);
        check(&[("openat2", 200), ("futex", 600), ("brk", 20)], &[]);
        check(&[("openat2", 400)], &["2 openat2 each are more than 1 (the file)"]);
        check(&[("openat2", 300)], &["1.5 openat2 each are more than 1 (the file)"]);
        check(&[("brk", 40)], &["0.2 brk each are more than 0.1 (memory)"]);
        check(&[("openat2 ENOENT", 200)], &["1 openat2 ENOENT each, which no line"]);
        check(&[("close", 200), ("futex", 800)], &["1 close each, which no line", "4 futex each are more"]);
        // Strays of a thread that begins, and one more than those.
        check(&[("openat2", 210), ("close", 10)], &[]);
        check(&[("openat2", 212)], &["1.06 openat2 each are more than 1"]);
        check(&[("close", 12)], &["0.06 close each, which no line"]);
    }

    #[test]
    fn a_bound_without_a_reason_does_not_hold() {
        for reason in ["", "?"] {
            let bounds = Bounds::parse(&format!("retr | close | 1 | {reason}")).unwrap();
            let complaints = bounds.complaints("retr", &counts(&[("close", 200)]), 200);
            assert_eq!(complaints, ["retr: close has no reason in bench/system-calls.txt"]);
        }
    }

    /// Several rounds of `retr`, and the lines that are recorded of it.
    #[track_caller]
    fn check_recorded(rounds: &[&[(&str, u64)]], lines: &str) {
        let rounds: Vec<_> = rounds.iter().map(|round| BTreeMap::from([("retr", counts(round))])).collect();
        let recorded = Bounds::parse(TEXT).unwrap().recorded(&rounds, 200);
        let expected = format!("# What it is.\n\n* | brk | 0.1 | memory\n{lines}");
        assert_eq!(recorded.to_string(), expected);
        for round in rounds {
            let complaints = recorded.complaints("retr", &round["retr"], 200);
            assert!(complaints.iter().all(|complaint| complaint.contains("no reason")), "{complaints:?}");
        }
    }

    #[test]
    fn what_is_recorded_is_the_most_of_all_rounds() {
        check_recorded(&[], "");
        check_recorded(&[&[("openat2", 200)], &[("openat2", 400)]], "\nretr | openat2 | 2 | the file\n");
        // What the line for all scenarios covers needs none of its own.
        check_recorded(&[&[("brk", 20)]], "");
        check_recorded(&[&[("brk", 40)]], "\nretr | brk | 0.2 | memory\n");
        // Strays are not recorded, and what is more is rounded up, or it would not hold.
        check_recorded(&[&[("openat2", 203), ("close", 3)]], "\nretr | openat2 | 1 | the file\n");
        check_recorded(&[&[("openat2", 251)]], "\nretr | openat2 | 1.26 | the file\n");
        // A call that is new has no reason yet, unless another scenario makes it too.
        check_recorded(&[&[("close", 200)]], "\nretr | close | 1 | ?\n");
    }

    #[test]
    fn what_has_changed_is_named() {
        let before = Bounds::parse(TEXT).unwrap();
        assert_eq!(before.changes(&before), "");
        let now = Bounds::parse("* | brk | 0.1 | x\nretr | openat2 | 2 | y\nretr | close | 1 | z").unwrap();
        let expected = "retr: openat2 1 becomes 2\nretr: close is new, 1\nretr: futex is gone\n";
        assert_eq!(now.changes(&before), expected);
    }

    #[test]
    fn only_what_depends_on_who_was_quicker_has_room() {
        check_recorded(&[&[("futex", 300)]], "\nretr | futex | 7 | who waits | and for whom\n");
        let before = Bounds::parse("retr | futex | 20 | x").unwrap();
        for (count, most) in [(200, 6.0), (600, 20.0), (2000, 20.0), (2100, 20.0), (2200, 26.0)] {
            let rounds = [BTreeMap::from([("retr", counts(&[("futex", count)]))])];
            assert_eq!(before.recorded(&rounds, 200).rows[0].most, most, "{count}");
        }
        for call in ["epoll_wait", "recvfrom EAGAIN", "futex EAGAIN", WAKE] {
            assert_eq!(bound_for(call, 100, 200), 5.0, "{call}");
        }
        for call in ["recvfrom", "openat2 ENOENT", "close"] {
            assert_eq!(bound_for(call, 100, 200), 0.5, "{call}");
        }
        for (count, bound) in [(100, 1.0), (200, 2.0), (201, 2.0), (250, 2.0), (400, 3.0)] {
            assert_eq!(bound_for("sendto", count, 200), bound, "{count}");
            assert_eq!(bound_for("write", count, 200), bound, "{count}");
        }
    }
}
