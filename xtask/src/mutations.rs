//! `cargo xtask mutations`: slips that are made on purpose in the protocol crate, each of which a test must notice.
//!
//! The lists are in `crates/longshore-proto/tests/mutations`; [`list`] reads them, [`workbench`] is the copy in which
//! they are made. Nothing of the working tree is changed.
//!
//! Not inside: the tests, and any way to make slips up. A list that somebody has thought about says what would go wrong
//! for a user; one that is generated says only that something is different.

mod list;
mod workbench;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use self::list::{Mutation, Test};
use self::workbench::{Outcome, Workbench};
use crate::Result;

/// The crate that is changed, as a folder below the root.
const CRATE_FOLDER: &str = "crates/longshore-proto";
/// Where its lists are.
const LISTS_FOLDER: &str = "crates/longshore-proto/tests/mutations";

/// Makes the mutations of these names, or all of them, one at a time, and says which test has noticed each.
///
/// # Errors
/// One of them is noticed by none of its tests, or does not apply, or does not compile.
pub(crate) fn run(root: &Path, names: &[&str]) -> Result<()> {
    let all = list::read(root)?;
    let unknown: Vec<&str> =
        names.iter().copied().filter(|name| !all.iter().any(|mutation| mutation.name == *name)).collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        return Err(format!(
            "{LISTS_FOLDER} has no mutation of the name {unknown}; `grep -h ^mutation` shows all"
        )
        .into());
    }
    let chosen: Vec<&Mutation> =
        all.iter().filter(|mutation| names.is_empty() || names.contains(&mutation.name.as_str())).collect();
    let workbench = Workbench::open(root)?;
    let tests: BTreeSet<&Test> = chosen.iter().flat_map(|mutation| &mutation.tests).collect();
    workbench.check_unchanged(&tests)?;
    println!("mutations: {} tests pass on the unchanged sources; now {} slips", tests.len(), chosen.len());
    let mut complaints = Vec::new();
    let begin = Instant::now();
    for mutation in &chosen {
        let start = Instant::now();
        let outcome = workbench.outcome(mutation);
        let taken = start.elapsed();
        let verdict = match &outcome {
            Ok(Outcome::Caught(test)) => format!("caught by {test}"),
            Ok(Outcome::Survived) => "SURVIVED".to_owned(),
            Err(_) => "NO VERDICT".to_owned(),
        };
        println!("{:<44} {:>6}  {verdict}\n    {}", mutation.name, seconds(taken), mutation.what);
        match outcome {
            Ok(Outcome::Caught(_)) => {}
            Ok(Outcome::Survived) => complaints.push(format!(
                "{} ({}): none of its tests has noticed it; write one that does",
                mutation.name, mutation.list
            )),
            Err(error) => complaints.push(format!("{} ({}): {error}", mutation.name, mutation.list)),
        }
    }
    println!("mutations: {} in {}", chosen.len(), seconds(begin.elapsed()));
    if complaints.is_empty() {
        return Ok(());
    }
    Err(format!("{} of {} mutations:\n  {}", complaints.len(), chosen.len(), complaints.join("\n  ")).into())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the long run finds out late is said early: each slip still has its place, and its tests exist.
    #[test]
    fn every_mutation_applies_and_has_its_tests() {
        let root = crate::workspace_root();
        let all = list::read(&root).expect("the lists are sound");
        assert!(all.len() >= 20, "{} mutations", all.len());
        for mutation in &all {
            let source = |file: &str| {
                let path = root.join(CRATE_FOLDER).join(file);
                std::fs::read_to_string(path).map_err(|error| error.to_string().into())
            };
            if let Err(error) = mutation.changed(source) {
                panic!("{}: {error}", mutation.name);
            }
            for test in &mutation.tests {
                let file = root.join(CRATE_FOLDER).join(test.file());
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                let function = format!("fn {}()", test.function());
                assert!(text.contains(&function), "{}: {} has no {function}", mutation.name, file.display());
            }
        }
    }
}
