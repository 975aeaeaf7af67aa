//! Locks that nobody may take for a while, since their holder's session ended.

use std::sync::Arc;
use std::time::Duration;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::model::ClusterTime;

/// No lock is kept from others for longer (Consul's `session.MaxLockDelay`).
const LONGEST: Duration = Duration::from_secs(60);

/// Kept in the state, in cluster time, so that they survive a change of leader.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LockDelays {
    until: OrdMap<Arc<str>, ClusterTime>,
    due: OrdSet<(ClusterTime, Arc<str>)>,
}

impl LockDelays {
    /// From `now` on, the lock on `key` is nobody's for `delay`.
    pub(super) fn begin(&mut self, key: Arc<str>, delay: Duration, now: ClusterTime) {
        if delay.is_zero() {
            return;
        }
        let until = now.after(delay.min(LONGEST));
        if let Some(before) = self.until.insert(Arc::clone(&key), until) {
            self.due.remove(&(before, Arc::clone(&key)));
        }
        self.due.insert((until, key));
    }

    /// Until when the lock on `key` is nobody's, if that is later than `now`.
    pub(super) fn until(&self, key: &str, now: ClusterTime) -> Option<ClusterTime> {
        self.until.get(key).copied().filter(|until| *until > now)
    }

    /// Forgets those that are over.
    pub(super) fn forget(&mut self, now: ClusterTime) {
        while let Some((until, key)) = self.due.get_min().cloned() {
            if until > now {
                break;
            }
            self.due.remove(&(until, Arc::clone(&key)));
            self.until.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_capped_and_then_forgotten() {
        let mut delays = LockDelays::default();
        let now = ClusterTime(1_000);
        delays.begin("long".into(), Duration::from_secs(600), now);
        delays.begin("none".into(), Duration::ZERO, now);
        assert_eq!(delays.until("long", now), Some(ClusterTime(61_000)));
        assert_eq!(delays.until("long", ClusterTime(61_000)), None);
        assert_eq!(delays.until("none", now), None);
        delays.forget(ClusterTime(61_000));
        assert!(delays == LockDelays::default(), "nothing is left behind");
    }

    #[test]
    fn a_later_delay_replaces_the_earlier() {
        let mut delays = LockDelays::default();
        delays.begin("k".into(), Duration::from_secs(5), ClusterTime(0));
        delays.begin("k".into(), Duration::from_secs(5), ClusterTime(2_000));
        delays.forget(ClusterTime(5_000));
        assert_eq!(
            delays.until("k", ClusterTime(5_000)),
            Some(ClusterTime(7_000))
        );
    }
}
