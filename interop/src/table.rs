//! The tables of docs/interop.md: what was seen, held against what was asked.
//!
//! Not inside: running anything; the results are lines that the tests wrote.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::clients::Client;
use crate::gaps::{self, Gap};
use crate::operations::Operation;
use crate::tls::{self, TLS};
use crate::way::{Family, Way};

/// What the tests wrote, and on which families they could.
#[derive(Debug)]
pub struct Seen<'a> {
    /// By client, what was asked and way; good only where it was good every time.
    outcomes: BTreeMap<(&'a str, &'a str, &'a str), bool>,
    families: Vec<Family>,
}

/// The document's parts that this program writes, and what is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    /// In the order of the document.
    pub parts: Vec<Part>,
    /// Whatever keeps the document from being written: failures, results that are missing, gaps that are none.
    pub complaints: Vec<String>,
}

/// What stands between two marks of the document.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// The word of the marks: `<!-- word -->` and `<!-- /word -->`.
    pub mark: &'static str,
    /// Tables and notes, as Markdown; a cell that has no good result says so.
    pub text: String,
}

impl<'a> Seen<'a> {
    /// Reads results: lines of `client<TAB>what<TAB>way<TAB>ok|FAILED`.
    ///
    /// # Errors
    /// When a line is none.
    pub fn read(results: &'a str, families: Vec<Family>) -> Result<Seen<'a>, String> {
        let mut outcomes = BTreeMap::new();
        for line in results.lines() {
            let [client, what, way, outcome] = line.split('\t').collect::<Vec<_>>()[..] else {
                return Err(format!("not a line of results: {line:?}"));
            };
            *outcomes.entry((client, what, way)).or_insert(true) &= outcome == "ok";
        }
        Ok(Seen { outcomes, families })
    }

    fn outcome(&self, client: Client, operation: Operation, way: Way) -> Option<bool> {
        self.outcomes.get(&(client.name(), operation.name(), &*way.to_string())).copied()
    }

    /// The tables, and what is wrong with them.
    pub fn report(&self) -> Report {
        let mut complaints = Vec::new();
        let mut notes = Notes::default();
        let heads: Vec<&str> = Client::ALL.iter().map(|client| client.name()).collect();
        let mut text = format!("| | {} |\n|---{}|\n", heads.join(" | "), "|---".repeat(heads.len()));
        for &operation in Operation::ALL {
            let cells =
                Client::ALL.iter().map(|&client| self.cell(client, operation, &mut notes, &mut complaints));
            let cells: Vec<String> = cells.collect();
            text += &format!("| {operation} | {} |\n", cells.join(" | "));
        }
        text += &notes.text();
        text += "\nThe ways of connecting on which each client was asked for each of these:\n\n";
        text += "| client | IPv4 | IPv6 | left out |\n|---|---|---|---|\n";
        for client in Client::ALL {
            let modes = |family| {
                let names: Vec<String> = client.modes(family).iter().map(ToString::to_string).collect();
                if names.is_empty() { "–".to_owned() } else { names.join(", ") }
            };
            let left_out = match client.left_out() {
                "" => "nothing",
                reason => reason,
            };
            text +=
                &format!("| {client} | {} | {} | {left_out} |\n", modes(Family::Ipv4), modes(Family::Ipv6));
        }
        text += "\nBeyond these, each on its own:\n\n";
        for (who, asked) in self.beyond(&mut complaints) {
            text += &format!("- {who}: {}\n", asked.join("; "));
        }
        let look = |client: &str, what: &str, way: &str| self.outcomes.get(&(client, what, way)).copied();
        let (secure, holes) = tls::table::report(look);
        complaints.extend(holes);
        let parts = vec![Part { mark: "seen", text }, Part { mark: "tls", text: secure }];
        Report { parts, complaints }
    }

    fn cell(
        &self,
        client: Client,
        operation: Operation,
        notes: &mut Notes,
        complaints: &mut Vec<String>,
    ) -> String {
        let expected = gaps::ways_of(client, operation);
        let mut bad = Vec::new();
        for way in client.all_ways().into_iter().filter(|way| self.families.contains(&way.family)) {
            match (self.outcome(client, operation, way), expected.contains(&way)) {
                (Some(true), true) | (None, false) => {}
                (Some(true), false) => bad.push(format!("{way}: worked, yet `gaps` says that it cannot")),
                (Some(false), _) => bad.push(format!("{way}: FAILED")),
                (None, true) => bad.push(format!("{way}: not seen, and `gaps` does not explain it")),
            }
        }
        complaints.extend(bad.iter().map(|what| format!("{client}, {operation}, {what}")));
        if !bad.is_empty() {
            return "FAILED".to_owned();
        }
        let Some(gap) = gaps::gap(client, operation) else { return "yes".to_owned() };
        let works: Vec<String> = if expected.is_empty() {
            vec!["–".to_owned()]
        } else {
            expected.iter().map(ToString::to_string).collect()
        };
        format!("{}{}", works.join(", "), superscript(notes.number(gap)))
    }

    /// What no row of the table says: what only some were asked, by whom.
    fn beyond(&self, complaints: &mut Vec<String>) -> BTreeMap<&'a str, Vec<&'a str>> {
        let mut beyond: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (&(client, what, way), &is_good) in &self.outcomes {
            if what == TLS || Operation::ALL.iter().any(|operation| operation.name() == what) {
                continue;
            }
            if !is_good {
                complaints.push(format!("{client}, {what}, {way}: FAILED"));
            }
            let asked = beyond.entry(client).or_default();
            if !asked.contains(&what) {
                asked.push(what);
            }
        }
        beyond
    }
}

/// The notes below the table, numbered as they are met; the same reason of the same client is one note.
#[derive(Default)]
struct Notes {
    reasons: Vec<(Client, &'static str)>,
}

impl Notes {
    fn number(&mut self, gap: &Gap) -> usize {
        let reason = (gap.client, gap.reason);
        let known = self.reasons.iter().position(|other| *other == reason);
        known.unwrap_or_else(|| {
            self.reasons.push(reason);
            self.reasons.len() - 1
        }) + 1
    }

    fn text(&self) -> String {
        let notes = self.reasons.iter().enumerate();
        let lines: String = notes
            .map(|(index, (client, reason))| format!("- {} {client} {reason}.\n", superscript(index + 1)))
            .collect();
        format!("\n{lines}")
    }
}

pub(crate) fn superscript(number: usize) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    number.to_string().bytes().map(|digit| DIGITS[usize::from(digit - b'0')]).collect()
}

/// The part of the document between these marks.
///
/// # Errors
/// When a mark is missing.
pub fn marked<'d>(document: &'d str, mark: &str) -> Result<&'d str, String> {
    Ok(&document[bounds(document, mark)?])
}

/// The document with this part between its marks.
///
/// # Errors
/// When a mark is missing.
pub fn rewritten(document: &str, part: &Part) -> Result<String, String> {
    let mut document = document.to_owned();
    let bounds = bounds(&document, part.mark)?;
    document.replace_range(bounds, &part.text);
    Ok(document)
}

fn bounds(document: &str, mark: &str) -> Result<Range<usize>, String> {
    let (open, close) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let begin = document.find(&open).ok_or_else(|| format!("the mark `{}` is missing", open.trim_end()))?;
    let begin = begin + open.len();
    let length = document[begin..].find(&close).ok_or_else(|| format!("the mark `{close}` is missing"))?;
    Ok(begin..begin + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::SecureClient;

    /// Results in which every client did what it was asked, in these families.
    fn all_good(families: &[Family]) -> String {
        let mut results = String::new();
        for &client in Client::ALL {
            for &operation in Operation::ALL {
                for way in gaps::ways_of(client, operation) {
                    if families.contains(&way.family) {
                        results += &format!("{client}\t{operation}\t{way}\tok\n");
                    }
                }
            }
        }
        for client in SecureClient::ALL {
            for (policy, version) in tls::cells() {
                results += &format!("{client}\t{TLS}\t{}\tok\n", tls::cell_name(policy, version));
            }
        }
        results
    }

    #[track_caller]
    fn check(results: &str, families: &[Family], complaints: &[&str]) -> String {
        let report = Seen::read(results, families.to_vec()).expect("lines of results").report();
        assert_eq!(report.complaints, complaints);
        report.parts.into_iter().next().expect("the table of operations is the first").text
    }

    #[test]
    fn every_cell_says_yes_or_why_not() {
        let text = check(&all_good(&Family::ALL), &Family::ALL, &[]);
        assert_eq!(text.matches("FAILED").count(), 0, "{text}");
        let rows: Vec<&str> = text.lines().skip(2).take(Operation::ALL.len()).collect();
        for row in rows {
            let cells = row.trim_matches('|').split('|').skip(1);
            for cell in cells.map(str::trim) {
                let is_noted =
                    cell.chars().next_back().is_some_and(|last| superscript(1234567890).contains(last));
                assert!(cell == "yes" || is_noted, "{row}");
            }
        }
        assert!(text.contains("\n- ¹ "), "{text}");
    }

    #[test]
    fn a_machine_without_ipv6_gives_the_same_text() {
        let whole = check(&all_good(&Family::ALL), &Family::ALL, &[]);
        assert_eq!(check(&all_good(&[Family::Ipv4]), &[Family::Ipv4], &[]), whole);
    }

    #[test]
    fn gaps_that_are_not_explained_are_complaints() {
        let good = all_good(&Family::ALL);
        let lost = good.replace("tnftp\trename\tIPv4 PORT\tok\n", "");
        check(&lost, &Family::ALL, &["tnftp, rename, IPv4 PORT: not seen, and `gaps` does not explain it"]);
        let failed = good.replace("curl\tdelete\tIPv6 EPSV\tok", "curl\tdelete\tIPv6 EPSV\tFAILED");
        check(&failed, &Family::ALL, &["curl, delete, IPv6 EPSV: FAILED"]);
        let twice = format!("{good}curl\tdelete\tIPv6 EPSV\tFAILED\n");
        check(&twice, &Family::ALL, &["curl, delete, IPv6 EPSV: FAILED"]);
        let closed = format!("{good}wget\tupload\tIPv4 PASV\tok\n");
        check(&closed, &Family::ALL, &["wget, upload, IPv4 PASV: worked, yet `gaps` says that it cannot"]);
    }

    #[test]
    fn what_single_clients_were_asked_is_listed() {
        let results = format!("{}lftp\tpipelining\tIPv4 PASV\tok\n", all_good(&Family::ALL));
        let text = check(&results, &Family::ALL, &[]);
        assert!(text.ends_with("\n- lftp: pipelining\n"), "{text}");
        let failed = results.replace("PASV\tok", "PASV\tFAILED");
        assert!(!Seen::read(&failed, Family::ALL.to_vec()).unwrap().report().complaints.is_empty());
        assert!(Seen::read("one\ttwo\n", Vec::new()).is_err());
    }

    #[test]
    fn the_text_between_the_marks_is_replaced() {
        let document = "before\n<!-- seen -->\nold\n<!-- /seen -->\nafter\n<!-- tls -->\n<!-- /tls -->\n";
        assert_eq!(marked(document, "seen"), Ok("old\n"));
        let part = |mark| Part { mark, text: "new\n".to_owned() };
        let written = rewritten(document, &part("seen")).unwrap();
        assert_eq!(written, document.replace("old", "new"));
        let written = rewritten(document, &part("tls")).unwrap();
        assert_eq!(written, document.replace("<!-- /tls", "new\n<!-- /tls"));
        assert!(marked("nothing", "seen").is_err());
        assert!(rewritten("<!-- seen -->\n", &part("seen")).is_err());
    }
}
