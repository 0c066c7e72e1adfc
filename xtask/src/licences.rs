//! Every dependency's licence against the list that `deny.toml` allows.
//!
//! Not inside: advisories, duplicates and sources; those are `cargo deny`'s work, which reads the same file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::process::{cargo, output};

/// The package of the fuzz targets, a workspace of its own.
const FUZZ_MANIFEST: &str = "fuzz/Cargo.toml";
/// What the fuzz targets may have beside that: libFuzzer is LLVM's, under its permissive licence. They are never shipped.
const FUZZ_ALSO_ALLOWED: &str = "NCSA";

/// Checks what is linked, what builds it, what tests it and what fuzzes it.
pub(crate) fn check(root: &Path) -> Result<()> {
    let deny = fs::read_to_string(root.join("deny.toml"))?;
    let mut allowed = allowed(&deny)?;
    check_manifest(root, "Cargo.toml", &allowed)?;
    allowed.insert(FUZZ_ALSO_ALLOWED);
    check_manifest(root, FUZZ_MANIFEST, &allowed)
}

fn check_manifest(root: &Path, manifest: &str, allowed: &BTreeSet<&str>) -> Result<()> {
    let tree = output(cargo(root).args([
        "tree",
        "--locked",
        "--manifest-path",
        manifest,
        "--workspace",
        "--edges",
        "normal,build,dev",
        "--prefix",
        "none",
        "--format",
        "{p}\t{l}",
    ]))?;
    let packages: BTreeSet<(&str, &str)> = tree.lines().filter_map(package_and_licence).collect();
    if packages.is_empty() {
        return Err("cargo tree named no package; its output is not understood".into());
    }
    let refused: Vec<String> = packages
        .iter()
        .filter(|(_, licence)| !is_allowed(licence, allowed))
        .map(|(package, licence)| {
            format!("{package}: {}", if licence.is_empty() { "no licence" } else { licence })
        })
        .collect();
    println!("licences: {manifest}: {} packages, {} refused", packages.len(), refused.len());
    if refused.is_empty() {
        Ok(())
    } else {
        Err(format!("deny.toml does not allow:\n  {}", refused.join("\n  ")).into())
    }
}

/// `name v1.2.3 (somewhere)\tMIT (*)` is `name v1.2.3` and `MIT`.
fn package_and_licence(line: &str) -> Option<(&str, &str)> {
    let (package, licence) = line.split_once('\t')?;
    let package = package.split(" (").next()?.trim();
    Some((package, licence.trim_end_matches("(*)").trim()))
}

/// The `allow` list of `[licenses]`.
fn allowed(deny: &str) -> Result<BTreeSet<&str>> {
    let list =
        deny.split("[licenses]").nth(1).and_then(|rest| rest.split_once("allow = [")).map(|(_, rest)| rest);
    let list =
        list.and_then(|rest| rest.split_once(']')).ok_or("deny.toml has no [licenses] allow = [...]")?.0;
    let names: BTreeSet<&str> = list.split(',').map(|name| name.trim().trim_matches('"')).collect();
    Ok(names.into_iter().filter(|name| !name.is_empty()).collect())
}

/// Whether an SPDX expression can be met by allowed licences: one side of each OR, both sides of each AND.
/// The old spelling `MIT/Apache-2.0` is an OR. `X WITH exception` grants more than X, so X decides.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut position = 0;
    let met = any_of(&words, &mut position, allowed);
    met == Some(true) && position == words.len()
}

/// `None` is an expression that makes no sense.
fn any_of(words: &[&str], position: &mut usize, allowed: &BTreeSet<&str>) -> Option<bool> {
    let mut met = all_of(words, position, allowed)?;
    while words.get(*position) == Some(&"OR") {
        *position += 1;
        met |= all_of(words, position, allowed)?;
    }
    Some(met)
}

fn all_of(words: &[&str], position: &mut usize, allowed: &BTreeSet<&str>) -> Option<bool> {
    let mut met = one(words, position, allowed)?;
    while words.get(*position) == Some(&"AND") {
        *position += 1;
        met &= one(words, position, allowed)?;
    }
    Some(met)
}

fn one(words: &[&str], position: &mut usize, allowed: &BTreeSet<&str>) -> Option<bool> {
    let word = *words.get(*position)?;
    *position += 1;
    match word {
        "(" => {
            let met = any_of(words, position, allowed)?;
            (words.get(*position) == Some(&")")).then(|| *position += 1)?;
            Some(met)
        }
        ")" | "AND" | "OR" | "WITH" => None,
        licence => {
            if words.get(*position) == Some(&"WITH") {
                *position += 2;
            }
            Some(allowed.contains(licence))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: bool) {
        assert_eq!(
            is_allowed(expression, &["MIT", "Apache-2.0", "Unicode-3.0"].into()),
            expected,
            "{expression}"
        );
    }

    #[test]
    fn expressions_are_met_or_not() {
        check("MIT", true);
        check("GPL-3.0-only", false);
        check("", false);
        check("MIT OR GPL-3.0-only", true);
        check("GPL-3.0-only OR MIT", true);
        check("MIT AND GPL-3.0-only", false);
        check("MIT/Apache-2.0", true);
        check("(MIT OR Apache-2.0) AND Unicode-3.0", true);
        check("(MIT OR Apache-2.0) AND MPL-2.0", false);
        check("MPL-2.0 OR MIT AND Unicode-3.0", true);
        check("Apache-2.0 WITH LLVM-exception", true);
        check("GPL-2.0-only WITH Classpath-exception-2.0", false);
        check("MIT OR", false);
        check("(MIT", false);
        check("MIT Apache-2.0", false);
        check("MIT)", false);
    }

    #[test]
    fn the_list_is_read_from_its_section() {
        let deny = "[bans]\nallow = [\"x\"]\n[licenses]\n# why\nallow = [\n  \"MIT\",\n  \"Zlib\",\n]\n";
        assert_eq!(allowed(deny).unwrap(), ["MIT", "Zlib"].into());
        assert!(allowed("[bans]\n").is_err());
    }

    #[test]
    fn a_line_of_cargo_tree_is_a_package_and_its_licence() {
        assert_eq!(
            package_and_licence("memchr v2.8.3\tUnlicense OR MIT (*)"),
            Some(("memchr v2.8.3", "Unlicense OR MIT"))
        );
        assert_eq!(package_and_licence("path v0.1.0 (/somewhere)\tMIT"), Some(("path v0.1.0", "MIT")));
        assert_eq!(package_and_licence("serde v1.0.0 (proc-macro)\tMIT"), Some(("serde v1.0.0", "MIT")));
        assert_eq!(package_and_licence(""), None);
    }
}
