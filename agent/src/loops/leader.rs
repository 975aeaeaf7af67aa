//! What all the leader's loops share: who leads, and how a leader's own command is proposed.

use std::sync::Arc;

use crate::model::{Op, Refusal, Reply};
use crate::store::Store;
use crate::store::memory::LeaderMemory;
use crate::store::raft::{ProposeError, Raft};

/// A leader's proposal that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// Raft.
    #[error("cannot commit: {0}")]
    Propose(#[from] ProposeError),
    /// No answer in time: no quorum.
    #[error("no quorum answers")]
    NoQuorum,
    /// The state.
    #[error("refused: {0}")]
    Refused(Refusal),
}

/// A server's means to act as the leader.
#[derive(Clone)]
pub struct LeaderHands {
    /// Its copy of the state.
    pub store: Arc<Store>,
    /// Its raft.
    pub raft: Raft,
    /// What it knows as the leader.
    pub memory: Arc<LeaderMemory>,
}

/// A leader's own command is given up after this long, and decided anew.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(3);

impl LeaderHands {
    /// Commits a command of the leader's own; it must be idempotent.
    pub async fn propose(&self, op: Op) -> Result<(), LeaderError> {
        let proposed = tokio::time::timeout(DEADLINE, self.raft.propose(None, op)).await;
        match proposed.map_err(|_| LeaderError::NoQuorum)?? {
            (Reply::Refused(refusal), _) => Err(LeaderError::Refused(refusal)),
            _ => Ok(()),
        }
    }
}
