//! Sequences of operations on a dialogue and a session that are joined in memory: the bytes are the script.
//!
//! The first byte says who speaks (ours alone, ours and a user who types commands, somebody in between too) and which seed
//! decides behind the script. One half of the rest says what is asked for and what goes wrong, the other in which order
//! things reach whom; so a change of the one leaves the other as it was.
//!
//! Not inside: the two sides and the judge, which are those of `tests/joined`.

use super::joined::chance::Chance;
use super::joined::judge::Seen;
use super::joined::play::Manners;
use super::joined::play_and_judge;

/// Plays the script to its end, and judges it.
pub fn sequences(data: &[u8]) {
    let Some((&first, script)) = data.split_first() else { return };
    let manners = [Manners::Good, Manners::Raw, Manners::Hostile][usize::from(first) % 3];
    let (choices, events) = script.split_at(script.len() / 2);
    let seed = u64::from(first);
    play_and_judge(
        "this script",
        Chance::new(choices.to_vec(), seed),
        Chance::new(events.to_vec(), !seed),
        manners,
        &mut Seen::default(),
    );
}
