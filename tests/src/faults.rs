//! Faults drawn from a seed, so that a failing run can be had again.

use std::time::{SystemTime, UNIX_EPOCH};

/// The environment's word for the seed of a repeated run.
const SEED: &str = "SWARMER_SEED";

/// A small reproducible source of choices (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub struct Faults {
    state: u64,
}

impl Faults {
    /// From `SWARMER_SEED`, else from the clock; prints the seed either way.
    #[must_use]
    pub fn from_environment() -> Self {
        let given = std::env::var(SEED).ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(1, |since| since.subsec_nanos().into())
        });
        eprintln!("    seed {seed} (again with {SEED}={seed})");
        Self::seeded(seed)
    }

    /// From a seed of the test's own.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number().checked_rem(end).unwrap_or(0)
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `items`.
    ///
    /// # Panics
    /// If there are none.
    pub fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let index = self.below(items.len() as u64);
        &items[usize::try_from(index).expect("an index fits a usize")]
    }

    /// The items in another order.
    pub fn shuffled<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1);
            items.swap(last, usize::try_from(other).expect("an index fits a usize"));
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_course() {
        let course = |seed| {
            let mut faults = Faults::seeded(seed);
            (0..50).map(|_| faults.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(course(7), course(7));
        assert_ne!(course(7), course(8));
    }
}
