//! What holds for every input of the protocol layer, over every seed that is checked in and over bytes made from them.
//!
//! `LONGSHORE_PROPERTY_INPUTS=n` makes n inputs for each body instead of the everyday number.
//! `LONGSHORE_PROPERTY_INPUT=path` runs one file instead of all, such as one that a fuzzer has found; the name of the test
//! says which body.
//!
//! Not inside: the bodies, and the fuzzer that runs them too (`fuzz/`).

#![allow(unreachable_pub, reason = "modules of one test")]
#![expect(clippy::disallowed_methods, reason = "seeds are files; what is tested has none")]

mod bodies;
mod inputs;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bodies::{BODIES, Body};
use inputs::{Inputs, Seed};

/// Inputs that are made for each body in an everyday run. A play of two sides takes as long as a dozen others.
const INPUTS: usize = 4000;
const SLOW: &[(&str, usize)] = &[("sequences", 12)];

/// Where seeds and fuzz targets lie.
const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz");

macro_rules! tests {
    ($($name:ident)*) => {
        const TESTS: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                run(stringify!($name));
            }
        )*
    };
}

tests! { address block command compressed deflate line listing reply sequences stream }

fn run(name: &str) {
    let body = body(name);
    if let Some(path) = std::env::var_os("LONGSHORE_PROPERTY_INPUT") {
        let bytes = fs::read(&path)
            .unwrap_or_else(|error| panic!("LONGSHORE_PROPERTY_INPUT={}: {error}", path.display()));
        return body(&bytes);
    }
    let seeds = seeds(name);
    for seed in &seeds {
        judge(name, body, &seed.bytes, &seed.path);
    }
    for (number, bytes) in Inputs::new(seeds).take(count(name)).enumerate() {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{number}"));
        judge(name, body, &bytes, &path);
    }
}

fn body(name: &str) -> Body {
    BODIES.iter().find(|(known, _)| *known == name).expect("each test has a body").1
}

fn count(name: &str) -> usize {
    let Some(text) = std::env::var_os("LONGSHORE_PROPERTY_INPUTS") else {
        let slowness = SLOW.iter().find(|(slow, _)| *slow == name).map_or(1, |(_, times)| *times);
        return INPUTS / slowness;
    };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("LONGSHORE_PROPERTY_INPUTS={}: a number is needed", text.display()))
}

/// Runs a body. Where it fails, the input is in a file, and the message says how to run it alone.
fn judge(name: &str, body: Body, bytes: &[u8], path: &Path) {
    if catch_unwind(AssertUnwindSafe(|| body(bytes))).is_err() {
        fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        panic!(
            "{name} fails for {}, above is why; to repeat it:\n  LONGSHORE_PROPERTY_INPUT={} \
             cargo test -p longshore-proto --test properties {name}",
            bytes.escape_ascii(),
            path.display()
        );
    }
}

/// The seeds of a body, sorted by name.
fn seeds(name: &str) -> Vec<Seed> {
    let mut seeds: Vec<Seed> = entries(&Path::new(FUZZ).join("seeds").join(name))
        .into_iter()
        .map(|path| Seed { bytes: fs::read(&path).expect("a seed is a file"), path })
        .collect();
    seeds.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!seeds.is_empty(), "fuzz/seeds/{name} has no seed");
    seeds
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a readable folder").path()).collect()
}

/// Names in a folder, without the endings.
fn names(folder: &str) -> Vec<String> {
    let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let mut names: Vec<String> = entries(&Path::new(FUZZ).join(folder)).into_iter().map(stem).collect();
    names.sort();
    names
}

/// A body without a test, a target or seeds would be run by nobody.
#[test]
fn each_body_has_a_test_a_target_and_seeds() {
    let bodies: Vec<&str> = BODIES.iter().map(|(name, _)| *name).collect();
    assert_eq!(TESTS, bodies);
    assert_eq!(names("targets"), bodies);
    assert_eq!(names("seeds"), bodies);
    let manifest =
        fs::read_to_string(Path::new(FUZZ).join("Cargo.toml")).expect("the package of the targets");
    for name in bodies {
        let target = format!("name = \"{name}\"\npath = \"targets/{name}.rs\"");
        assert!(manifest.contains(&target), "fuzz/Cargo.toml has no target {name}");
        let text = fs::read_to_string(Path::new(FUZZ).join("targets").join(name).with_extension("rs"));
        let runs = format!("longshore_fuzz::run(\"{name}\", data)");
        assert!(text.expect("a target").contains(&runs), "fuzz/targets/{name}.rs runs another body");
    }
}

/// Files that go beyond every buffer, window and block.
#[test]
fn long_files_come_back() {
    let text: Vec<u8> = (0..40_000_u32)
        .flat_map(|number| format!("{}\n", number.wrapping_mul(2_654_435_761)).into_bytes())
        .collect();
    let mixed = [&text[..], &vec![0; 300_000], &vec![0xFF; 70_000], b"\n\n\n"].concat();
    for name in ["stream", "block", "compressed", "deflate"] {
        for form in 0..9 {
            body(name)(&[&[form, 7 * form], &mixed[..]].concat());
        }
    }
}
