//! Chance: cheap for shuffling, real where someone might guess.

use ring::rand::{SecureRandom as _, SystemRandom};

/// A generator for shuffling (xorshift64*); what it yields is not secret.
pub(super) struct Dice(u64);

impl Dice {
    /// One that starts anywhere.
    pub(super) fn new() -> Self {
        let mut seed = [0; 8];
        // Without the kernel's randomness shuffling is only less fair.
        let _ = SystemRandom::new().fill(&mut seed);
        Self::seeded(u64::from_le_bytes(seed))
    }

    /// One that starts here.
    pub(super) fn seeded(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(high % limit).unwrap_or(0)
    }

    /// Puts `items` in any order (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// A number that nobody can foresee: the id of a query to an upstream (RFC 5452 section 4.3).
/// `None`: the kernel has no randomness to give.
pub(super) fn unguessable() -> Option<u16> {
    let mut id = [0; 2];
    SystemRandom::new().fill(&mut id).ok()?;
    Some(u16::from_be_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_comes_first_about_equally_often() {
        let mut dice = Dice::seeded(7);
        let mut first = [0u32; 5];
        for _ in 0..5000 {
            let mut items = [0, 1, 2, 3, 4];
            dice.shuffle(&mut items);
            first[items[0]] += 1;
        }
        assert!(first.iter().all(|n| (850..1150).contains(n)), "{first:?}");
    }
}
