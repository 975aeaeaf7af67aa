//! How long to wait before trying again.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// Doubles from `first` to `cap`. Each wait is drawn from the upper half of the current step, so
/// that nodes that failed together don't come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    step: Duration,
    random: u64,
}

impl Backoff {
    /// Starts at `first`, never waits longer than `cap`.
    #[must_use]
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self::seeded(first, cap, RandomState::new().build_hasher().finish())
    }

    /// The same, reproducible.
    #[must_use]
    pub fn seeded(first: Duration, cap: Duration, seed: u64) -> Self {
        let step = first.min(cap);
        Self {
            first: step,
            cap,
            step,
            random: seed | 1,
        }
    }

    /// How long to wait now; the next wait will be longer.
    pub fn next_delay(&mut self) -> Duration {
        let half = self.step / 2;
        let delay = half + half.mul_f64(self.fraction());
        self.step = self.step.saturating_mul(2).min(self.cap);
        delay
    }

    /// It worked: the next wait is short again.
    pub fn reset(&mut self) {
        self.step = self.first;
    }

    /// xorshift64* (Vigna 2014): jitter needs no better.
    fn fraction(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let top = self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40;
        f64::from(u32::try_from(top).unwrap_or(0)) / f64::from(1u32 << 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(2);

    #[test]
    fn waits_double_up_to_the_cap_and_start_over_after_a_success() {
        let mut backoff = Backoff::new(FIRST, CAP);
        for step in [100, 200, 400, 800, 1600, 2000, 2000] {
            let delay = backoff.next_delay();
            let step = Duration::from_millis(step);
            assert!(delay >= step / 2 && delay <= step, "{delay:?} of {step:?}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= FIRST);
    }

    #[test]
    fn two_that_failed_together_come_back_apart() {
        let mut one = Backoff::seeded(FIRST, CAP, 1);
        let mut other = Backoff::seeded(FIRST, CAP, 3);
        let apart = (0..5).filter(|_| one.next_delay() != other.next_delay());
        assert_eq!(apart.count(), 5);
    }

    #[test]
    fn no_span_makes_it_overflow() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::MAX);
        assert!(backoff.next_delay() >= Duration::MAX / 2);
        assert_eq!(
            Backoff::new(FIRST, Duration::ZERO).next_delay(),
            Duration::ZERO
        );
    }
}
