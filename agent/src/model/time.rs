//! Cluster time: the clock that the replicated state lives by.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds of cluster time since the cluster formed: the last applied time plus the leader's
/// monotonic time since its first own entry. Never goes back, stands still while there is no
/// leader, and has nothing to do with any wall clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ClusterTime(pub u64);

impl ClusterTime {
    /// This time and `span` later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// How long it is from `earlier` to this; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}
