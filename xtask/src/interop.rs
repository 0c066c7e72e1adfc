//! `cargo xtask interop`: the foreign clients against the server, and the table of what they could do.
//!
//! Not inside: the clients and what is asked of them; that is the package in `interop/`, which writes one line
//! per client, operation and way of connecting.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::process::{cargo, run as run_command};
use crate::suite::REQUIRE_PEERS;

/// Where the tests leave their results, and this command its table.
const FOLDER: &str = "target/interop";

/// Builds what the tests start, runs them, prints the table even when one failed.
pub(crate) fn run(root: &Path) -> Result<()> {
    run_command(cargo(root).args(["build", "--locked", "--package", "longshore"]))?;
    let results = root.join(FOLDER).join("results.tsv");
    if results.exists() {
        fs::remove_file(&results)?;
    }
    let mut tests = cargo(root);
    tests
        .args(["test", "--locked", "--package", "longshore-interop", "--no-fail-fast"])
        .env(REQUIRE_PEERS, "1");
    let outcome = run_command(&mut tests);
    let table = table(&fs::read_to_string(&results).unwrap_or_default())?;
    fs::write(root.join(FOLDER).join("table.md"), &table)?;
    println!("\n{table}");
    outcome
}

/// A Markdown table per client: operations down, ways of connecting across. A line of results is
/// `client<TAB>operation<TAB>way<TAB>ok|FAILED`; what was tried twice is good only where it was good twice.
fn table(results: &str) -> Result<String> {
    let mut clients: BTreeMap<&str, BTreeMap<&str, BTreeMap<&str, bool>>> = BTreeMap::new();
    let mut ways: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in results.lines() {
        let [client, operation, way, outcome] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("not a line of results: {line:?}").into());
        };
        let good =
            clients.entry(client).or_default().entry(operation).or_default().entry(way).or_insert(true);
        *good &= outcome == "ok";
        let ways = ways.entry(client).or_default();
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    let mut text = String::new();
    for (client, operations) in &clients {
        let mut ways = ways[client].clone();
        ways.sort_unstable();
        text += &format!("| {client} | {} |\n|---{}|\n", ways.join(" | "), "|---".repeat(ways.len()));
        for (operation, outcomes) in operations {
            let cells = ways.iter().map(|way| match outcomes.get(way) {
                Some(true) => "yes",
                Some(false) => "FAILED",
                None => "",
            });
            text += &format!("| {operation} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
        }
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_become_a_table() {
        let results = "curl\tupload\tipv4 EPSV\tok\ncurl\tupload\tipv6 EPSV\tok\ncurl\tdelete\tipv4 EPSV\tok\n\
            curl\tupload\tipv6 EPSV\tFAILED\nlftp\tmirror\tipv4 PASV\tok\n";
        let expected = "\
| curl | ipv4 EPSV | ipv6 EPSV |
|---|---|---|
| delete | yes |  |
| upload | yes | FAILED |

| lftp | ipv4 PASV |
|---|---|
| mirror | yes |

";
        assert_eq!(table(results).unwrap(), expected);
        assert!(table("one\ttwo\n").is_err());
        assert_eq!(table("").unwrap(), "");
    }
}
