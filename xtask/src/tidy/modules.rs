//! Dead files: a Rust file that no `mod` leads to is compiled by nobody and rots in silence.

use std::collections::{BTreeMap, BTreeSet};

use super::SourceFile;

/// The package of a Rust file that has to be reached from one of that package's roots.
fn package(name: &str) -> Option<&str> {
    let mut start = 0;
    for (depth, part) in name.split('/').enumerate() {
        // `examples` at the root holds packages; within a package it holds roots.
        if depth > 0 && matches!(part, "src" | "tests" | "benches" | "examples") {
            return Some(&name[..start - 1]);
        }
        start += part.len() + 1;
    }
    None
}

/// Names each file that is never compiled.
pub(super) fn check(files: &[SourceFile]) -> Vec<String> {
    let sources: BTreeMap<&str, &str> = files
        .iter()
        .filter(|file| file.is_rust() && package(&file.name).is_some())
        .map(|file| (file.name.as_str(), file.text.as_str()))
        .collect();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let mut waiting: Vec<String> =
        sources.keys().filter(|name| is_root(name)).map(|name| (*name).to_owned()).collect();
    while let Some(name) = waiting.pop() {
        if let Some(text) = sources.get(name.as_str()) {
            waiting.extend(modules(&name, text).into_iter().filter(|found| !reached.contains(found)));
        }
        reached.insert(name);
    }
    let dead = sources.keys().filter(|name| !reached.contains(**name));
    dead.map(|name| format!("{name}: no `mod` leads to this file, so nothing compiles it")).collect()
}

/// Whether cargo compiles the file by itself.
fn is_root(name: &str) -> bool {
    let inside = package(name).and_then(|package| name.strip_prefix(package)).unwrap_or_default();
    matches!(
        inside.split('/').collect::<Vec<_>>()[..],
        ["", "src", "lib.rs" | "main.rs"]
            | ["", "src", "bin", _]
            | ["", "src", "bin", _, "main.rs"]
            | ["", "tests" | "benches" | "examples", _]
            | ["", "tests" | "benches" | "examples", _, "main.rs"]
    )
}

/// The files that the `mod` lines of a file may mean; those that are not there are the compiler's complaint.
fn modules(name: &str, text: &str) -> Vec<String> {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let stem = file.trim_end_matches(".rs");
    let home = if is_root(name) || stem == "mod" { folder.to_owned() } else { format!("{folder}/{stem}") };
    let mut found = Vec::new();
    let mut path = None;
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[path = \"") {
            path = rest.split('"').next();
            continue;
        }
        if let Some(module) = declared(line) {
            match path.take() {
                Some(path) => found.push(without_dots(&format!("{folder}/{path}"))),
                None => found.extend([format!("{home}/{module}.rs"), format!("{home}/{module}/mod.rs")]),
            }
        } else if !line.starts_with("#[") {
            path = None;
        }
    }
    found
}

/// `a/b/../c` is `a/c`.
fn without_dots(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| *part != ".") {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// `pub(crate) mod name;` declares `name`.
fn declared(line: &str) -> Option<&str> {
    let rest = line.strip_suffix(';')?;
    let rest = match rest.strip_prefix("pub") {
        Some(public) if public.starts_with('(') => public.split_once(')')?.1.trim_start(),
        Some(public) => public.trim_start(),
        None => rest,
    };
    let module = rest.strip_prefix("mod ")?.trim();
    module.chars().all(|character| character.is_alphanumeric() || character == '_').then_some(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_dead(sources: &[(&str, &str)], expected: &[&str]) {
        let file =
            |(name, text): &(&str, &str)| SourceFile { name: (*name).to_owned(), text: (*text).to_owned() };
        let dead = check(&sources.iter().map(file).collect::<Vec<_>>());
        let dead: Vec<&str> = dead.iter().filter_map(|complaint| complaint.split(':').next()).collect();
        assert_eq!(dead, expected);
    }

    #[test]
    fn files_are_reached_through_mod() {
        check_dead(
            &[
                ("crates/a/src/lib.rs", "mod b;\npub mod c;"),
                ("crates/a/src/b.rs", ""),
                ("crates/a/src/c.rs", ""),
            ],
            &[],
        );
        check_dead(
            &[
                ("crates/a/src/lib.rs", "mod b;"),
                ("crates/a/src/b.rs", "pub(crate) mod c;"),
                ("crates/a/src/b/c.rs", ""),
            ],
            &[],
        );
        check_dead(
            &[
                ("crates/a/src/lib.rs", "mod b;"),
                ("crates/a/src/b/mod.rs", "mod c;"),
                ("crates/a/src/b/c.rs", ""),
            ],
            &[],
        );
        check_dead(&[("crates/a/tests/t.rs", "mod common;"), ("crates/a/tests/common/mod.rs", "")], &[]);
        check_dead(
            &[("crates/a/src/lib.rs", "#[path = \"odd.rs\"]\nmod b;"), ("crates/a/src/odd.rs", "")],
            &[],
        );
        check_dead(&[("examples/a/src/main.rs", ""), ("examples/a/tests/t.rs", "")], &[]);
        let outside = "#[path = \"../common/mod.rs\"]\nmod common;";
        check_dead(&[("crates/a/tests/t/main.rs", outside), ("crates/a/tests/common/mod.rs", "")], &[]);
        check_dead(&[("xtask/src/main.rs", "mod b;"), ("xtask/src/b.rs", "")], &[]);
    }

    #[test]
    fn files_that_nothing_declares_are_dead() {
        check_dead(
            &[("crates/a/src/lib.rs", "// mod b;"), ("crates/a/src/b.rs", "")],
            &["crates/a/src/b.rs"],
        );
        check_dead(
            &[("crates/a/src/lib.rs", "mod b { }"), ("crates/a/src/b.rs", "")],
            &["crates/a/src/b.rs"],
        );
        check_dead(
            &[("crates/a/src/lib.rs", ""), ("crates/a/src/b.rs", "mod c;"), ("crates/a/src/b/c.rs", "")],
            &["crates/a/src/b.rs", "crates/a/src/b/c.rs"],
        );
        check_dead(&[("examples/a/src/main.rs", ""), ("examples/a/src/b.rs", "")], &["examples/a/src/b.rs"]);
        check_dead(&[("interop/src/lib.rs", ""), ("interop/src/old.rs", "")], &["interop/src/old.rs"]);
    }
}
