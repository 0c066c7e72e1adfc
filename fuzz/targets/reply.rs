//! Replies as a client reads them. Not inside: what must hold, which is in
//! `crates/longshore-proto/tests/properties/bodies/reply.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| longshore_fuzz::run("reply", data));
