//! Addresses of data connections in all their forms. Not inside: what must hold, which is in
//! `crates/longshore-proto/tests/properties/bodies/address.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| longshore_fuzz::run("address", data));
