//! Inputs out of seeds: each is one of them, changed in a few places. The same ones come in each run, and a longer run
//! begins with those of a shorter one.
//!
//! Not inside: what a fuzzer adds, which is to look where a change leads.

use std::path::PathBuf;

/// Changes of one seed.
const CHANGES: usize = 6;
/// No input grows beyond this, in bytes.
const LENGTH_LIMIT_BYTES: usize = 4096;
/// Bytes that mean something to one of the parsers.
const TELLING: &[u8] = b"\0\r\n\xFF\xF0\xF4\xFA\xFB  ,;|()-.*?[]09azAZ\"\\\x40\x80\xC0\x7F";

/// An input that is checked in.
pub struct Seed {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

/// An endless number of inputs.
pub struct Inputs {
    seeds: Vec<Seed>,
    state: u64,
}

impl Inputs {
    pub fn new(seeds: Vec<Seed>) -> Inputs {
        Inputs { seeds, state: 0 }
    }

    /// 0 to `end` - 1, by SplitMix64.
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        if self.below(2) == 0 { TELLING[self.below(TELLING.len())] } else { self.below(256) as u8 }
    }

    fn seed(&mut self) -> Vec<u8> {
        let which = self.below(self.seeds.len());
        self.seeds[which].bytes.clone()
    }

    /// Two places, the first not behind the second.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let longest = if self.below(4) == 0 { length } else { 8 };
        start..length.min(start + self.below(longest + 1))
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let range = self.range(bytes.len());
        match self.below(8) {
            0 if !bytes.is_empty() => {
                let place = self.below(bytes.len());
                bytes[place] ^= 1 << self.below(8);
            }
            0..=2 => {
                for place in range {
                    bytes[place] = self.byte();
                }
            }
            3 => drop(bytes.drain(range)),
            4 => {
                let again = bytes[range.clone()].repeat(1 + self.below(9));
                bytes.splice(range, again);
            }
            5 => {
                let other = self.seed();
                let part = self.range(other.len());
                bytes.splice(range, other[part].iter().copied());
            }
            _ => {
                let length = 1 + self.below(6);
                let new: Vec<u8> = (0..length).map(|_| self.byte()).collect();
                bytes.splice(range.start..range.start, new);
            }
        }
    }
}

impl Iterator for Inputs {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = self.seed();
        for _ in 0..=self.below(CHANGES) {
            self.change(&mut bytes);
        }
        bytes.truncate(LENGTH_LIMIT_BYTES);
        Some(bytes)
    }
}
