//! The client's dialogue and the server's session talk to each other, in memory and under virtual time, while data
//! connections are cut, stores fail, and everything comes in whatever order. What must hold:
//!
//! - each request is answered once, and in order;
//! - a file that is reported whole is whole, and one of which nothing was stored is reported not to be;
//! - no byte of a file ever stands under another name, not even where the transfer was cut;
//! - uploads take effect in the order in which they were asked for.
//!
//! Where somebody in between says what neither of ours would, the first still holds, both sides come to an end, no upload
//! is committed that was cut, and the server tells of success only where it has committed.
//!
//! Not inside: where the choices come from. A seed makes them in `main.rs`, and bytes do in `tests/properties` and in
//! fuzzing, which both take this file by its path.

pub mod chance;
mod client_side;
pub mod judge;
mod network;
pub mod play;
mod server_side;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use chance::Chance;
use judge::Seen;
use play::{Manners, play};

/// Lines of what happened that a failure shows.
const SHOWN_LINES: usize = 150;

/// Plays what chance decides, and judges it. A failure names its `origin` and shows what had happened.
pub fn play_and_judge(origin: &str, choices: Chance, events: Chance, manners: Manners, seen: &mut Seen) {
    let mut world = None;
    let outcome = catch_unwind(AssertUnwindSafe(|| play(choices, events, manners, seen, &mut world)));
    if let Err(panic) = outcome {
        let lines = world.map(|world| world.log.lines).unwrap_or_default();
        let text = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
        let why = panic.downcast_ref::<String>().map(String::as_str);
        let why = why.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
        panic!("{origin}: {why}\n{text}");
    }
}
