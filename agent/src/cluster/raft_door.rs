//! Raft's messages, received.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use openraft::raft::AppendEntriesRequest;
use openraft::type_config::alias::SnapshotOf;
use openraft::vote::RaftLeaderId as _;

use super::messages::{AppendAnswer, CallError, Envelope, RaftCall, RaftReply, SnapshotAnswer};
use crate::model::{ClusterId, NodeId};
use crate::rpc::{FrameStream, RpcError};
use crate::store::machine::SnapshotBytes;
use crate::store::memory::LeaderMemory;
use crate::store::raft::Raft;
use crate::store::raft_types::{TypeConfig, Vote};
use crate::store::snapshot::SnapshotMeta;

/// A leader that sends nothing for so long on a stream has another one. (One whose host is gone is
/// noticed by the socket; one that has nothing to replicate is silent for long, and well.)
const IDLE: Duration = Duration::from_secs(3600);
/// Between two parts of a snapshot.
const PART_DEADLINE: Duration = Duration::from_secs(30);
/// A snapshot is refused beyond this, rather than filling the memory.
const SNAPSHOT_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Where raft's messages arrive.
#[derive(Clone)]
pub struct RaftDoor {
    /// This server's cluster.
    pub cluster: ClusterId,
    /// Its raft.
    pub raft: Raft,
    /// Where the leader's last word is noted.
    pub memory: Arc<LeaderMemory>,
}

impl RaftDoor {
    /// Refuses what is meant for another cluster or another node, or comes in another's name.
    pub fn check(&self, envelope: &Envelope, caller: NodeId) -> Result<(), CallError> {
        if envelope.cluster != self.cluster
            || envelope.to != self.raft.id()
            || envelope.from != caller
        {
            return Err(CallError::WrongRecipient {
                id: self.raft.id(),
                cluster: self.cluster,
                meant: envelope.to,
            });
        }
        Ok(())
    }

    /// Answers one message.
    pub async fn call(&self, call: RaftCall) -> Result<RaftReply, CallError> {
        let failed = |error: String| CallError::Failed(error);
        let raft = self.raft.protocol();
        Ok(match call {
            RaftCall::Append(request) => {
                self.note(&request);
                let reply = raft.append_entries(request).await;
                RaftReply::Append(reply.map_err(|error| failed(error.to_string()))?)
            }
            RaftCall::Vote(request) => {
                let reply = raft.vote(request).await;
                RaftReply::Vote(reply.map_err(|error| failed(error.to_string()))?)
            }
            RaftCall::PreVote(request) => {
                let reply = raft.pre_vote(request).await;
                RaftReply::Vote(reply.map_err(|error| failed(error.to_string()))?)
            }
            RaftCall::Transfer(request) => {
                let reply = raft.handle_transfer_leader(request).await;
                RaftReply::Transfer(reply.map_err(|error| failed(error.to_string()))?)
            }
        })
    }

    /// Serves a stream of appends until it ends.
    pub async fn appends(&self, stream: FrameStream) -> Result<(), RpcError> {
        let FrameStream { source, mut sink } = stream;
        let door = self.clone();
        let requests = futures_util::stream::unfold((source, door), |(mut source, door)| async {
            let request = receive(&mut source).await?;
            door.note(&request);
            Some((request, (source, door)))
        });
        let mut answers = std::pin::pin!(self.raft.protocol().stream_append(requests));
        while let Some(answer) = answers.next().await {
            let over = !matches!(answer, Ok(Ok(_)));
            let answer: AppendAnswer = answer.map_err(|error| error.to_string());
            if let Ok(bytes) = postcard::to_stdvec(&answer) {
                sink.send(bytes).await?;
            }
            if over {
                break;
            }
        }
        Ok(())
    }

    /// Receives a snapshot and installs it.
    pub async fn snapshot(
        &self,
        vote: Vote,
        meta: SnapshotMeta,
        length: u64,
        mut stream: FrameStream,
    ) -> Result<(), RpcError> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length.min(SNAPSHOT_MAX) {
            let part = tokio::time::timeout(PART_DEADLINE, stream.source.next()).await;
            let Ok(part) = part else {
                tracing::warn!("a snapshot stopped in the middle");
                return Ok(());
            };
            bytes.extend_from_slice(&part?);
        }
        tracing::info!(bytes = bytes.len(), "received a snapshot");
        let whole = bytes.len() as u64 == length;
        let answer: SnapshotAnswer = if whole {
            let snapshot = SnapshotOf::<TypeConfig, SnapshotBytes> {
                meta,
                snapshot: Arc::new(bytes),
            };
            let installed = self
                .raft
                .protocol()
                .install_full_snapshot(vote, snapshot)
                .await;
            installed.map_err(|error| error.to_string())
        } else {
            Err(format!(
                "a snapshot of {} bytes, announced as {length}",
                bytes.len()
            ))
        };
        let bytes = postcard::to_stdvec(&answer).unwrap_or_default();
        stream.sink.send(bytes).await
    }

    /// Only of the present leader, or of one that will be: a deposed one that comes back with its
    /// old term is no leader.
    fn note(&self, request: &AppendEntriesRequest<TypeConfig>) {
        let term = request.vote.leader_id().term();
        if request.vote.is_committed() && term >= self.raft.view_term() {
            let leader = *request.vote.leader_id().node_id();
            self.memory.heard_from(leader, term);
        }
    }
}

async fn receive(source: &mut crate::rpc::FrameSource) -> Option<AppendEntriesRequest<TypeConfig>> {
    let bytes = tokio::time::timeout(IDLE, source.next()).await.ok()?.ok()?;
    postcard::from_bytes(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::raft::tests::Hub;

    #[tokio::test(flavor = "multi_thread")]
    async fn r2_a_message_for_another_cluster_or_node_or_in_anothers_name_is_refused() {
        let id = NodeId::from_u128;
        let folder = tempfile::tempdir().unwrap();
        let wires = Hub::default().wires(id(1));
        let nobody = std::collections::BTreeMap::new();
        let raft = Raft::start(id(1), folder.path(), Store::new(true), wires, nobody);
        let raft = raft.await.unwrap();
        let door = RaftDoor {
            cluster: ClusterId::from_u128(7),
            raft,
            memory: Arc::new(LeaderMemory::default()),
        };
        let fine = Envelope {
            cluster: door.cluster,
            from: id(2),
            to: id(1),
        };
        assert!(door.check(&fine, id(2)).is_ok());
        let cluster = ClusterId::from_u128(8);
        assert!(door.check(&Envelope { cluster, ..fine }, id(2)).is_err());
        let former = Envelope { to: id(9), ..fine };
        let error = door.check(&former, id(2)).unwrap_err();
        assert!(matches!(error, CallError::WrongRecipient { meant, .. } if meant == id(9)));
        assert!(door.check(&fine, id(3)).is_err(), "in another's name");
    }
}
