//! What holds for every input of the protocol layer: functions of bytes that panic where it does not.
//!
//! The same functions are run twice. `tests/properties` runs them on stable over every seed that is checked in and over
//! bytes that a generator makes; the package in `fuzz/` takes this folder by its path and lets a fuzzer look for more. They
//! live among the tests and not in the library behind a feature, because they need nothing but its public API: so nothing
//! of them is ever shipped, and what they hold is what a user of the library can rely on.
//!
//! Not inside: where inputs come from, and examples of what certain bytes come to, which are tests of their modules.

mod address;
mod codecs;
mod command;
mod cuts;
#[path = "../../joined/mod.rs"]
mod joined;
mod line;
mod listing;
#[path = "../../transmission/receiving.rs"]
mod receiving;
mod reply;
mod sequences;

/// What is run over bytes.
pub type Body = fn(&[u8]);

/// Every body by its name, which is that of its fuzz target and of the folder of its seeds.
pub const BODIES: &[(&str, Body)] = &[
    ("address", address::address),
    ("block", codecs::block),
    ("command", command::command),
    ("compressed", codecs::compressed),
    ("deflate", codecs::deflate),
    ("line", line::line),
    ("listing", listing::listing),
    ("reply", reply::reply),
    ("sequences", sequences::sequences),
    ("stream", codecs::stream),
];
