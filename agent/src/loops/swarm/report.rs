//! What the loop says of itself, without repeating itself.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::decide::swarm::{RecordError, Status};
use crate::disk::DiskError;
use crate::docker::EngineError;
use crate::store::StoreError;
use crate::store::report::Report as NodeReport;
use crate::task::{Chain, clock};

/// What goes on failing is said this often.
const REPEAT: Duration = Duration::from_secs(60);

/// How the node's engine stands towards the cluster's Swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SwarmStatus {
    /// Not looked yet.
    #[default]
    Unknown,
    /// As planned.
    Stands(Status),
    /// The last round failed, for this reason.
    Failed(String),
}

impl SwarmStatus {
    /// Whether the engine takes part in the cluster's Swarm.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Stands(status) if status.is_ready())
    }
}

impl fmt::Display for SwarmStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("not known yet"),
            Self::Stands(status) => fmt::Display::fmt(status, f),
            Self::Failed(reason) => write!(f, "error: {reason}"),
        }
    }
}

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The cluster.
    #[error("the cluster can't be asked about the Swarm")]
    Store(#[from] StoreError),
    /// What the cluster has written down.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The node's disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

pub(super) struct Report {
    status: watch::Sender<SwarmStatus>,
    node: Arc<NodeReport>,
    said: Option<(String, Instant)>,
}

impl Report {
    pub(super) fn new(node: Arc<NodeReport>) -> (Self, watch::Receiver<SwarmStatus>) {
        let (status, reader) = watch::channel(SwarmStatus::Unknown);
        let said = None;
        (Self { status, node, said }, reader)
    }

    pub(super) fn stands(&mut self, status: &Status) {
        let text = status.to_string();
        self.node.set("swarm", text.as_str());
        let blocked = matches!(status, Status::Blocked(_));
        let again = if blocked { REPEAT } else { Duration::MAX };
        if self.is_news(&text, again) {
            if blocked {
                tracing::warn!("Swarm: {text}");
            } else {
                tracing::info!("Swarm: {text}");
            }
        }
        self.status
            .send_replace(SwarmStatus::Stands(status.clone()));
    }

    pub(super) fn failed(&mut self, error: &WorkError) {
        let text = Chain(error).to_string();
        if self.is_news(&text, REPEAT) {
            tracing::warn!("Swarm: {text}");
        }
        self.node.set("swarm", format!("error: {text}"));
        self.status.send_replace(SwarmStatus::Failed(text));
    }

    fn is_news(&mut self, text: &str, again: Duration) -> bool {
        let now = clock::now();
        let said = self
            .said
            .as_ref()
            .is_some_and(|(said, at)| said == text && now.saturating_duration_since(*at) < again);
        if !said {
            self.said = Some((text.to_owned(), now));
        }
        !said
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::swarm::Waiting;

    #[test]
    fn the_same_is_not_said_twice_within_a_minute() {
        let (mut report, status) = Report::new(Arc::default());
        assert!(report.is_news("no socket", REPEAT));
        assert!(!report.is_news("no socket", REPEAT));
        assert!(
            report.is_news("no socket", Duration::ZERO),
            "after the minute it is"
        );
        assert!(report.is_news("refused", REPEAT));
        report.failed(&WorkError::Store(StoreError::NoLeader));
        let said = status.borrow().to_string();
        assert_eq!(
            said,
            "error: the cluster can't be asked about the Swarm: No cluster leader"
        );
        report.stands(&Status::Waiting(Waiting::Joining));
        assert!(!status.borrow().is_ready());
    }
}
