//! Floor 4: the node's copy of the replicated state, and the doors to the leader.
//!
//! Owns: the published [`State`], who waits for which part of it, raft's log and state machine.
//! Does not own: sockets (the way to the leader is a [`Leader`] handed in from above), and what
//! the state means. On a server the copy is raft's own; on a worker it is what the follow stream
//! brought: cluster, members, duties and catalog, without KV, sessions, tokens and hidden entries.
//!
//! Always true: whoever subscribes before reading misses no change; `linearize` returns only when
//! the copy holds everything that was acknowledged before the call.

pub mod archive;
pub mod log;
pub mod machine;
pub mod memory;
pub mod raft;
pub mod raft_types;
pub mod report;
pub mod snapshot;

mod first_entry;
mod leader;
mod leader_clock;
mod local;
mod watch;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch as signal;

pub use leader::{
    Answer, Contact, HttpCall, HttpReply, Leader, LeaseView, Question, StatusReport, StoreError,
};
pub use local::{LocalServices, SyncError};
pub use watch::{Watch, Watches};

use crate::model::{Op, Reply, Topic};
use crate::state::State;

/// How long a read or a write holds on while there is no leader (Consul's `rpc_hold_timeout`).
pub const HOLD: Duration = Duration::from_secs(7);

/// The node's copy of the state, shared by all rooms above.
pub struct Store {
    published: RwLock<Arc<State>>,
    applied: signal::Sender<u64>,
    watches: Watches,
    leader: OnceLock<Arc<dyn Leader>>,
    replica: bool,
}

impl Store {
    /// An empty copy. `replica`: this node is a server and holds all of the state.
    #[must_use]
    pub fn new(replica: bool) -> Arc<Self> {
        Arc::new(Self {
            published: RwLock::default(),
            applied: signal::Sender::new(0),
            watches: Watches::default(),
            leader: OnceLock::new(),
            replica,
        })
    }

    /// The composition root's part: the way to the leader, once it is built.
    pub fn connect(&self, leader: Arc<dyn Leader>) {
        let _ = self.leader.set(leader);
    }

    /// Whether all of the state is here (a server), or only what workers follow.
    #[must_use]
    pub fn is_replica(&self) -> bool {
        self.replica
    }

    /// The copy as it is now. It does not change under the reader.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        Arc::clone(
            &self
                .published
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// The copy, and the raft index that it has reached.
    #[must_use]
    pub fn state_at(&self) -> (Arc<State>, u64) {
        let published = self
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&published), *self.applied.borrow())
    }

    /// Nothing that this node follows changed up to `index`.
    pub fn advance(&self, index: u64) {
        self.applied.send_if_modified(|now| {
            let later = index > *now;
            *now = index.max(*now);
            later
        });
    }

    /// Waits for changes of any of `topics`. Subscribe first, read afterwards.
    #[must_use]
    pub fn watch(&self, topics: Vec<Topic>) -> Watch {
        self.watches.subscribe(topics)
    }

    /// Puts a newer copy in place and wakes those who wait for what changed. `index` is the raft
    /// index that the copy has reached.
    pub fn publish(&self, state: State, index: u64, changed: &[Topic]) {
        *self
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        self.applied.send_replace(index);
        self.watches.wake(changed);
    }

    /// Puts a wholly different copy in place (a snapshot was installed): wakes everyone.
    pub fn replace(&self, state: State, index: u64) {
        *self
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        self.applied.send_replace(index);
        self.watches.wake_all();
    }

    /// Waits until the copy has reached `index`.
    pub async fn reached(&self, index: u64) {
        let mut applied = self.applied.subscribe();
        // The sender lives in self, so this can't fail while we hold a reference.
        let _ = applied.wait_for(|now| *now >= index).await;
    }

    /// Changes the state, through the leader. When it returns a reply, this node's copy holds the
    /// change (read your writes) and a quorum has it on disk.
    pub async fn write(&self, op: Op) -> Result<Reply, StoreError> {
        let copied_here = self.replica || !is_hidden_from_workers(&op);
        let (reply, index) = self.leader()?.write(op).await?;
        if !copied_here {
            return Ok(reply);
        }
        if tokio::time::timeout(HOLD, self.reached(index))
            .await
            .is_err()
        {
            tracing::warn!(index, "the write is done, but this node's copy is behind");
        }
        Ok(reply)
    }

    /// Returns once [`Self::state`] holds every write acknowledged before this call (ReadIndex:
    /// Raft dissertation section 6.4). Servers only; a worker sends the read itself on.
    pub async fn linearize(&self) -> Result<(), StoreError> {
        let index = self.leader()?.read_index().await?;
        tokio::time::timeout(HOLD, self.reached(index))
            .await
            .map_err(|_| StoreError::Behind {
                wanted: index,
                have: *self.applied.borrow(),
            })
    }

    /// The way to the leader.
    pub fn leader(&self) -> Result<&Arc<dyn Leader>, StoreError> {
        self.leader.get().ok_or(StoreError::NoLeader)
    }

    /// Who leads, and when that was last heard.
    #[must_use]
    pub fn contact(&self) -> Contact {
        self.leader
            .get()
            .map_or_else(Contact::default, |leader| leader.contact())
    }
}

/// Workers hold no KV and no sessions: there is no copy of these to wait for.
fn is_hidden_from_workers(op: &Op) -> bool {
    matches!(
        op,
        Op::Kv(_) | Op::SessionCreate(_) | Op::SessionDestroy(_) | Op::SessionsExpire(_)
    )
}
