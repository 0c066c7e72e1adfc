//! A dialogue and a session, joined, under thousands of seeds.
//!
//! Not inside: what is played and what must hold, which is in `mod.rs`.

#![allow(unreachable_pub, reason = "modules of one test")]

#[path = "mod.rs"]
mod joined;

use joined::chance::Chance;
use joined::judge::Seen;
use joined::play::Manners;

/// Seeds of the everyday run. `LONGSHORE_JOINED_SEEDS=from-to` at build time plays others.
fn seeds() -> std::ops::Range<u64> {
    let Some(text) = option_env!("LONGSHORE_JOINED_SEEDS") else { return 0..3000 };
    let (from, to) = text.split_once('-').expect("from-to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

fn play_seed(seed: u64, manners: Manners, seen: &mut Seen) {
    let choices = Chance::new(Vec::new(), seed.wrapping_mul(0x1234_5679));
    let events = Chance::new(Vec::new(), seed);
    joined::play_and_judge(&format!("seed {seed}, {manners:?}"), choices, events, manners, seen);
}

#[test]
fn whatever_happens() {
    let mut seen = Seen::default();
    for seed in seeds() {
        play_seed(seed, Manners::Good, &mut seen);
    }
    let Seen { whole, replied, cut, aborted, lost, asked_again, shared, no_connection } = seen;
    let rare = [whole, replied, cut, aborted, lost, asked_again, shared, no_connection].into_iter().min();
    assert!(rare > Some(20) || seeds() != (0..3000), "something was not seen often enough: {seen:?}");
}

/// Their commands may do nothing to the files of others, and what is set by them is set anew.
#[test]
fn whatever_users_type() {
    let mut seen = Seen::default();
    for seed in seeds().step_by(3) {
        play_seed(seed, Manners::Raw, &mut seen);
    }
    assert!(seen.whole > 20 || seeds() != (0..3000), "nothing comes through: {seen:?}");
}

#[test]
fn whatever_somebody_in_between_says() {
    for seed in seeds().step_by(3) {
        play_seed(seed, Manners::Hostile, &mut Seen::default());
    }
}
