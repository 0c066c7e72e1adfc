//! The table of TLS in docs/interop.md: clients, versions and policies.
//!
//! Not inside: reading results and writing the document, which is in `table`.

use super::rows::{Outcome, SecureClient, secure_gap};
use super::suite::TLS;
use super::{Policy, Version, cell_name};
use crate::table::superscript;

/// The table and its notes, as Markdown, and what is wrong with them. `seen` looks up whether a client did what it was
/// asked: who, what, on which way.
pub(crate) fn report(seen: impl Fn(&str, &str, &str) -> Option<bool>) -> (String, Vec<String>) {
    let mut complaints = Vec::new();
    let mut notes: Vec<&str> = Vec::new();
    let heads: Vec<&str> = Policy::ALL.iter().map(|policy| policy.name()).collect();
    let mut text = format!("| | {} |\n|---{}|\n", heads.join(" | "), "|---".repeat(heads.len()));
    for client in SecureClient::ALL {
        let cells = Policy::ALL.map(|policy| {
            let versions = Version::ALL.map(|version| {
                if seen(client.name(), TLS, &cell_name(policy, version)) != Some(true) {
                    complaints.push(format!("{client}, {policy}, {version}: FAILED, or not seen"));
                    return format!("{} FAILED", version.number());
                }
                let Some(gap) = secure_gap(*client, policy, version) else {
                    return version.number().to_owned();
                };
                let at = notes.iter().position(|reason| *reason == gap.reason).unwrap_or_else(|| {
                    notes.push(gap.reason);
                    notes.len() - 1
                });
                let outcome = match gap.outcome {
                    Outcome::Refused => " refused",
                    Outcome::Few => " in part",
                    Outcome::Unproved => "",
                };
                format!("{}{outcome}{}", version.number(), superscript(at + 1))
            });
            versions.join(", ")
        });
        text += &format!("| {client} | {} |\n", cells.join(" | "));
    }
    text.push('\n');
    for (index, reason) in notes.iter().enumerate() {
        text += &format!("- {} The client {reason}.\n", superscript(index + 1));
    }
    (text, complaints)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::cells;

    #[test]
    fn every_cell_names_its_versions_and_every_note_is_used() {
        let (text, complaints) = report(|_, what, _| (what == TLS).then_some(true));
        assert!(complaints.is_empty() && !text.contains("FAILED"), "{complaints:?}");
        let rows: Vec<&str> = text.lines().skip(2).take(SecureClient::ALL.len()).collect();
        for row in &rows {
            assert_eq!(row.matches("1.2").count(), Policy::ALL.len(), "{row}");
            assert_eq!(row.matches("1.3").count(), Policy::ALL.len(), "{row}");
        }
        let count = text.lines().filter(|line| line.starts_with("- ")).count();
        assert!(count > 0 && text.contains("The client resumes no session"), "{text}");
        for number in 1..=count {
            assert!(rows.iter().any(|row| row.contains(&superscript(number))), "{number}: {text}");
        }
    }

    #[test]
    fn what_failed_or_was_not_seen_is_a_complaint() {
        let way = cell_name(Policy::Implicit, Version::Tls12);
        for outcome in [Some(false), None] {
            let (text, complaints) =
                report(|client, _, seen| if client == "lftp" && seen == way { outcome } else { Some(true) });
            assert_eq!(complaints, ["lftp, implicit, TLS 1.2: FAILED, or not seen"]);
            assert!(text.contains("| 1.2 FAILED, 1.3 |"), "{text}");
        }
        let (_, complaints) = report(|_, _, _| None);
        assert_eq!(complaints.len(), SecureClient::ALL.len() * cells().count());
    }
}
