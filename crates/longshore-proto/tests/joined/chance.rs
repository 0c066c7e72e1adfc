//! What decides wherever more than one thing could happen: a seed, or bytes that somebody made.
//!
//! Not inside: what there is to decide.

/// A source of choices. It never ends: where bytes decide, a seed does behind the last of them.
pub struct Chance {
    bytes: Vec<u8>,
    at: usize,
    seed: u64,
}

impl Chance {
    /// What bytes choose, mostly one for each choice, and behind the last of them a seed.
    pub fn new(bytes: Vec<u8>, seed: u64) -> Chance {
        Chance { bytes, at: 0, seed }
    }

    /// SplitMix64: small, and the same on every machine.
    fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn byte(&mut self) -> Option<u64> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte.into())
    }

    /// 0 to `end` - 1. Of bytes, up to 256 choices take one, more take two.
    pub fn below(&mut self, end: usize) -> usize {
        let end = end.max(1) as u64;
        let number = match self.byte() {
            None => self.next(),
            Some(byte) if end <= 256 => byte,
            Some(byte) => byte << 8 | self.byte().unwrap_or_default(),
        };
        (number % end) as usize
    }

    /// True in so many of a thousand cases.
    pub fn per_mille(&mut self, cases: usize) -> bool {
        self.happens(cases, 1000)
    }

    /// True in so many of ten thousand cases.
    pub fn per_ten_thousand(&mut self, cases: usize) -> bool {
        self.happens(cases, 10_000)
    }

    /// Of bytes, one is taken where there is anything to decide; the low ones say yes, and 0 does to whatever is
    /// possible.
    fn happens(&mut self, cases: usize, of: usize) -> bool {
        if self.at < self.bytes.len() && cases == 0 {
            return false;
        }
        match self.byte() {
            None => self.below(of) < cases,
            Some(byte) => byte as usize * of / 256 < cases,
        }
    }

    /// Bytes that bytes choose; a few that nobody chose where there are none any more.
    pub fn text(&mut self) -> Vec<u8> {
        let length = self.below(24);
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}
