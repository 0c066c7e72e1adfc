//! MODE Z, of files, records and pages. Not inside: what must hold, which is in
//! `crates/longshore-proto/tests/properties/bodies/codecs.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| longshore_fuzz::run("deflate", data));
