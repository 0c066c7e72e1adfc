//! The bodies of the properties for the fuzz targets: the very files that the tests of longshore-proto run on stable.
//!
//! Not inside: anything that decides. A target is a name, a body and a folder of seeds.

#![forbid(unsafe_code)]

#[path = "../../crates/longshore-proto/tests/properties/bodies/mod.rs"]
mod bodies;

/// Runs the body of this name over bytes.
///
/// # Panics
/// Where what the body asserts does not hold, and where there is no such body.
pub fn run(name: &str, data: &[u8]) {
    let (_, body) = bodies::BODIES.iter().find(|(known, _)| *known == name).expect("a target has a body");
    body(data);
}
