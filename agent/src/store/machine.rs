//! Raft's state machine around [`State`]: applies what is committed, publishes the copy, makes
//! and installs snapshots.

use std::io;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::type_config::alias::{LogIdOf, SnapshotOf, StoredMembershipOf};
use openraft::{EntryPayload, OptionalSend};

use super::Store;
use super::raft_types::TypeConfig;
use super::snapshot::{SnapshotError, SnapshotMeta, Snapshots, decode, encode};
use crate::model::Reply;
use crate::state::State;

/// Replies that are held back until their changes are published; keeps a long replay from
/// holding everything in memory.
const PUBLISH_EVERY: usize = 512;

/// A snapshot on its way: the bytes of [`super::snapshot`].
pub type SnapshotBytes = Arc<Vec<u8>>;

/// The state machine of one server.
pub struct Machine {
    store: Arc<Store>,
    snapshots: Snapshots,
    state: State,
    applied: Option<LogIdOf<TypeConfig>>,
    membership: StoredMembershipOf<TypeConfig>,
}

impl Machine {
    /// Starts from the latest snapshot; raft replays the log after it.
    pub fn open(store: Arc<Store>, snapshots: Snapshots) -> Result<Self, SnapshotError> {
        let (meta, state) = match snapshots.read()? {
            Some(bytes) => decode(&bytes, &snapshots.name())?,
            None => (SnapshotMeta::default(), State::default()),
        };
        let applied = meta.last_log_id;
        store.replace(state.clone(), applied.as_ref().map_or(0, |id| id.index));
        Ok(Self {
            store,
            snapshots,
            state,
            applied,
            membership: meta.last_membership,
        })
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotBytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogIdOf<TypeConfig>>, StoredMembershipOf<TypeConfig>), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut changed = Vec::new();
        let mut replies = Vec::new();
        let mut more = true;
        while more {
            match entries.next().await.transpose()? {
                Some((entry, responder)) => {
                    let index = entry.log_id.index;
                    let reply = match &entry.payload {
                        EntryPayload::Blank => Reply::Done,
                        EntryPayload::Normal(command) => {
                            self.state.apply(index, command, &mut changed)
                        }
                        EntryPayload::Membership(membership) => {
                            let id = Some(entry.log_id);
                            self.membership =
                                StoredMembershipOf::<TypeConfig>::new(id, membership.clone());
                            Reply::Done
                        }
                    };
                    self.applied = Some(entry.log_id);
                    replies.extend(responder.map(|responder| (responder, reply)));
                }
                None => more = false,
            }
            if !more || replies.len() >= PUBLISH_EVERY || changed.len() >= PUBLISH_EVERY {
                // Published before anyone is told, so that a writer reads its own write.
                let index = self.applied.as_ref().map_or(0, |id| id.index);
                self.store.publish(self.state.clone(), index, &changed);
                changed.clear();
                replies
                    .drain(..)
                    .for_each(|(responder, reply)| responder.send(reply));
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            snapshots: self.snapshots.clone(),
            state: self.state.clone(),
            meta: SnapshotMeta {
                last_log_id: self.applied,
                last_membership: self.membership.clone(),
            },
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotBytes,
    ) -> Result<(), io::Error> {
        let (_, state) = decode(&snapshot, "the leader's snapshot")?;
        let snapshots = self.snapshots.clone();
        let index = reach(meta);
        blocking(move || snapshots.write(&snapshot, index)).await?;
        self.state = state;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.store.replace(
            self.state.clone(),
            self.applied.as_ref().map_or(0, |id| id.index),
        );
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<TypeConfig, SnapshotBytes>>, io::Error> {
        let snapshots = self.snapshots.clone();
        let found = blocking(move || {
            let Some(bytes) = snapshots.read()? else {
                return Ok(None);
            };
            let (meta, _) = decode(&bytes, &snapshots.name())?;
            Ok(Some((meta, bytes)))
        })
        .await?;
        Ok(
            found.map(|(meta, bytes)| SnapshotOf::<TypeConfig, SnapshotBytes> {
                meta,
                snapshot: Arc::new(bytes),
            }),
        )
    }
}

/// Makes a snapshot of the state as it was when the builder was asked for; writes go on meanwhile.
pub struct Builder {
    snapshots: Snapshots,
    state: State,
    meta: SnapshotMeta,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotBytes;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, SnapshotBytes>, io::Error> {
        let (snapshots, state, meta) = (
            self.snapshots.clone(),
            self.state.clone(),
            self.meta.clone(),
        );
        let bytes = blocking(move || {
            let bytes = encode(&meta, &state)?;
            snapshots.write(&bytes, reach(&meta))?;
            Ok(bytes)
        })
        .await?;
        tracing::info!(bytes = bytes.len(), "made a snapshot");
        Ok(SnapshotOf::<TypeConfig, SnapshotBytes> {
            meta: self.meta.clone(),
            snapshot: Arc::new(bytes),
        })
    }
}

fn reach(meta: &SnapshotMeta) -> u64 {
    meta.last_log_id.as_ref().map_or(0, |id| id.index)
}

async fn blocking<T, F>(work: F) -> Result<T, io::Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, SnapshotError> + Send + 'static,
{
    let done = tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?;
    Ok(done?)
}
