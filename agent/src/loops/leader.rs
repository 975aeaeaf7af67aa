//! What all the leader's loops share: who leads, and how a leader's own command is proposed.

use std::sync::Arc;

use crate::model::{Op, Refusal, Reply};
use crate::store::Store;
use crate::store::memory::LeaderMemory;
use crate::store::raft::{ProposeError, Raft};
use crate::task::Next;

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

/// Losing the leadership in mid-round is nothing to complain of: another leads now.
pub(super) fn unless_deposed(round: Result<Next, LeaderError>) -> Result<Next, LeaderError> {
    match round {
        Err(LeaderError::Propose(ProposeError::NotLeader(_))) => Ok(Next::OnTick),
        other => other,
    }
}

/// A leader's own command is given up after this long, and decided anew.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(3);

impl LeaderError {
    /// Whether the command is certain never to be applied.
    pub(super) fn is_known(&self) -> bool {
        match self {
            Self::Propose(error) => !matches!(error, ProposeError::Unknown(_)),
            Self::NoQuorum => false,
            Self::Refused(_) => true,
        }
    }
}

impl LeaderHands {
    /// Whether this server leads; then its memory is that of this term.
    pub(super) fn lead(&self) -> bool {
        let Some(term) = self.raft.leading() else {
            return false;
        };
        let state = self.store.state();
        let members = state.members().map(|member| &**member);
        self.memory.lead(term, members, self.raft.id());
        // The clock runs from the election on, not from the first command after it (R9).
        let _ = self.raft.cluster_time();
        true
    }

    /// Commits a command of the leader's own; it must be idempotent.
    pub async fn propose(&self, op: Op) -> Result<(), LeaderError> {
        let proposed = tokio::time::timeout(DEADLINE, self.raft.propose(None, op)).await;
        match proposed.map_err(|_| LeaderError::NoQuorum)?? {
            (Reply::Refused(refusal), _) => Err(LeaderError::Refused(refusal)),
            _ => Ok(()),
        }
    }
}
