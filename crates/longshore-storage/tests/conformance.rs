//! The kit of promises on every back end of this crate.

mod common;

use common::Scratch;
use longshore_storage::conformance::{CASES, Subject, run};
use longshore_storage::local::{Local, LocalOptions, PartsPolicy, Resolver};
use longshore_storage::memory::Memory;

const RESERVED: &[&[u8]] = &[b".a.longshore-part", b".A.LongShore-PART", b"..longshore-part"];

#[test]
fn memory() {
    run(&Subject::new(&|| Box::new(Memory::new())));
}

#[track_caller]
fn check_local(options: LocalOptions) {
    let scratch = Scratch::new();
    let make = || {
        let root = scratch.fresh("root");
        Box::new(Local::open(root, options).expect("the root opens")) as Box<_>
    };
    run(&Subject { reserved_names: RESERVED, ..Subject::new(&make) });
}

#[test]
fn local_with_openat2() {
    check_local(LocalOptions { resolver: Resolver::Openat2, ..LocalOptions::default() });
}

#[test]
fn local_with_a_walk() {
    check_local(LocalOptions { resolver: Resolver::Walk, ..LocalOptions::default() });
}

#[test]
fn local_with_defaults() {
    check_local(LocalOptions::default());
    assert_eq!(LocalOptions::default().parts, PartsPolicy::Hidden);
}

#[test]
fn the_kit_names_its_cases() {
    let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES.len(), "two cases have one name");
}

#[test]
#[should_panic(expected = "there is no case reading::nothing")]
fn a_case_that_does_not_exist_cannot_be_left_out() {
    run(&Subject { without: &["reading::nothing"], ..Subject::new(&|| Box::new(Memory::new())) });
}
