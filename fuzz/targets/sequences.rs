//! Operations on a dialogue and a session that are joined in memory. Not inside: what must hold, which is in
//! `crates/longshore-proto/tests/properties/bodies/sequences.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| longshore_fuzz::run("sequences", data));
