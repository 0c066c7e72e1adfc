//! Where the network cuts: pieces of bytes, always the same for one seed.
//!
//! Not inside: what is cut.

/// Lengths of pieces, from nothing to 64 KiB, always the same for one seed.
pub struct Cuts(u32);

impl Cuts {
    pub fn new(seed: u8) -> Cuts {
        Cuts(u32::from(seed))
    }

    pub fn next(&mut self) -> u32 {
        // Numerical Recipes' generator; its low bits are poor, so they are left out.
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 16
    }

    /// Cuts the first piece off.
    pub fn split<'a>(&mut self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let length = match self.next() % 6 {
            0 => 0,
            1 => 1,
            2 | 3 => self.next() % 8,
            4 => self.next() % 700,
            _ => self.next(),
        };
        bytes.split_at(bytes.len().min(length as usize))
    }
}
