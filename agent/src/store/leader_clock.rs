//! Cluster time (rule R9 of `docs/architecture.md`).

use std::time::Instant;

use crate::model::ClusterTime;

/// Cluster time while this server leads: what was applied last, and our own monotonic time since.
#[derive(Clone, Copy)]
pub(super) struct LeaderClock {
    term: u64,
    since: Instant,
    base: ClusterTime,
}

impl LeaderClock {
    /// The time in `term` (`None`: another leads), and the clock to go on with. A new leader may
    /// have applied less than was committed when it is first asked: then its clock starts again
    /// from what it applies, or time would stand still until the clock had caught up.
    pub(super) fn read(
        present: Option<Self>,
        term: Option<u64>,
        applied: ClusterTime,
        now: Instant,
    ) -> (Option<Self>, ClusterTime) {
        let Some(term) = term else {
            return (None, applied);
        };
        let fresh = Self {
            term,
            since: now,
            base: applied,
        };
        let clock = present.filter(|clock| clock.term == term).unwrap_or(fresh);
        let time = clock.base.after(now.saturating_duration_since(clock.since));
        if time < applied {
            return (Some(fresh), applied);
        }
        (Some(clock), time)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::task::clock;

    const fn at(seconds: u64) -> ClusterTime {
        ClusterTime(seconds * 1000)
    }

    #[test]
    fn r9_time_goes_on_from_what_was_applied_and_stands_while_another_leads() {
        let begun = clock::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let (clock, time) = LeaderClock::read(None, Some(3), at(100), begun);
        assert_eq!(time, at(100));
        let (clock, time) = LeaderClock::read(clock, Some(3), at(100), after(5));
        assert_eq!(time, at(105));
        let (clock, time) = LeaderClock::read(clock, None, at(105), after(60));
        assert_eq!(time, at(105), "no leader here, no time");
        let (clock, _) = LeaderClock::read(clock, Some(4), at(105), after(90));
        let (_, time) = LeaderClock::read(clock, Some(4), at(105), after(91));
        assert_eq!(time, at(106), "the time without a leader does not count");
    }

    #[test]
    fn r9_a_leader_that_was_behind_goes_on_from_what_it_applies() {
        let begun = clock::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let (clock, _) = LeaderClock::read(None, Some(3), at(100), begun);
        let (clock, time) = LeaderClock::read(clock, Some(3), at(130), after(1));
        assert_eq!(time, at(130), "never back");
        let (_, time) = LeaderClock::read(clock, Some(3), at(130), after(3));
        assert_eq!(
            time,
            at(132),
            "and it does not stand still until 30 s have passed"
        );
    }
}
