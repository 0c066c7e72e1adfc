//! Lines of LIST, NLST and MLSx, and patterns. Not inside: what must hold, which is in
//! `crates/longshore-proto/tests/properties/bodies/listing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| longshore_fuzz::run("listing", data));
