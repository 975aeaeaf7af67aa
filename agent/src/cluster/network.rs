//! Openraft's network: raft messages over our RPC.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, Stream};
use openraft::OptionalSend;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotOf, VoteOf};
use tokio::sync::oneshot;

use super::messages::{Call, CallReply, Envelope, Open, RaftCall, RaftReply, SnapshotAnswer};
use super::peers::{Peers, PeersError};
use super::pipeline::{Failure, Line, broken, pipeline};
use crate::model::{ClusterId, NodeId};
use crate::rpc::FrameStream;
use crate::store::machine::SnapshotBytes;
use crate::store::raft_types::{Peer, TypeConfig};
use crate::task;

/// A snapshot travels in parts of this size, so that others get a word in on the link.
const SNAPSHOT_PART: usize = 1024 * 1024;
/// A snapshot's part, or its answer, that takes longer than this means that the link is dead. The
/// answer comes when the snapshot is installed and durable.
const PART_DEADLINE: Duration = Duration::from_secs(10);
const INSTALL_DEADLINE: Duration = Duration::from_secs(120);

/// Between two tries to make a line.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LAST: Duration = Duration::from_millis(320);

/// Makes a [`Link`] to each other server.
#[derive(Clone)]
pub struct Network {
    /// This server's cluster.
    pub cluster: ClusterId,
    /// This server.
    pub me: NodeId,
    /// The way to others.
    pub peers: Arc<Peers>,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: NodeId, node: &Peer) -> Link {
        let envelope = Envelope {
            cluster: self.cluster,
            from: self.me,
            to: target,
        };
        Link {
            envelope,
            rpc: node.rpc,
            peers: Arc::clone(&self.peers),
            line: None,
            pause: Duration::ZERO,
            dialing: None,
        }
    }
}

/// The way to one other server.
pub struct Link {
    envelope: Envelope,
    rpc: SocketAddr,
    peers: Arc<Peers>,
    line: Option<Line>,
    /// Before the next line is made. Openraft's own back-off counts only once there is one; without
    /// this, every write would try a dead server again.
    pause: Duration,
    /// A line that is being made. Whoever asked for it may give up before it is there: a heartbeat
    /// has less time than a handshake may take on a busy machine.
    dialing: Option<oneshot::Receiver<Result<FrameStream, PeersError>>>,
}

fn unreachable(error: &PeersError) -> Failure {
    RPCError::Unreachable(Unreachable::from_string(error))
}

impl Link {
    async fn call(&self, call: RaftCall, option: &RPCOption) -> Result<RaftReply, Failure> {
        let deadline = option.hard_ttl().max(Duration::from_millis(50));
        let call = Call::Raft(self.envelope, call);
        let answer = self
            .peers
            .call_at(self.envelope.to, self.rpc, &call, deadline)
            .await
            .map_err(|error| unreachable(&error))?;
        match answer {
            CallReply::Raft(reply) => Ok(*reply),
            _ => Err(broken("an answer of another kind")),
        }
    }

    async fn open(&self, open: &Open) -> Result<FrameStream, Failure> {
        self.peers
            .stream_at(self.envelope.to, self.rpc, open)
            .await
            .map_err(|error| unreachable(&error))
    }

    /// Makes sure that there is a line. Cancel safe: what is begun goes on.
    async fn ensure_line(&mut self) -> Result<(), Failure> {
        if self.line.as_ref().is_some_and(Line::is_usable) {
            return Ok(());
        }
        self.line = None;
        let dialing = self.dialing.get_or_insert_with(|| {
            let (done, made) = oneshot::channel();
            let (peers, envelope, rpc) = (Arc::clone(&self.peers), self.envelope, self.rpc);
            let pause = self.pause;
            let _ = task::spawn("raft line", async move {
                tokio::time::sleep(pause).await;
                let open = Open::Append(envelope);
                let _ = done.send(peers.stream_at(envelope.to, rpc, &open).await);
            });
            made
        });
        let made = dialing.await;
        self.dialing = None;
        let made = made.map_err(broken)?;
        self.pause = match &made {
            Ok(_) => Duration::ZERO,
            Err(_) => (self.pause * 2).clamp(PAUSE_FIRST, PAUSE_LAST),
        };
        let stream = made.map_err(|error| unreachable(&error))?;
        self.line = Some(Line::new(stream));
        Ok(())
    }
}

impl RaftNetworkV2<TypeConfig> for Link {
    type SnapshotData = SnapshotBytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, Failure> {
        match self.call(RaftCall::Append(rpc), &option).await? {
            RaftReply::Append(reply) => Ok(reply),
            _ => Err(broken("an answer of another kind")),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<TypeConfig>, Failure>>, Failure>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        async move {
            self.ensure_line().await?;
            Ok(pipeline(&mut self.line, input))
        }
        .boxed()
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Failure> {
        match self.call(RaftCall::Vote(rpc), &option).await? {
            RaftReply::Vote(reply) => Ok(reply),
            _ => Err(broken("an answer of another kind")),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Failure> {
        match self.call(RaftCall::PreVote(rpc), &option).await? {
            RaftReply::Vote(reply) => Ok(reply),
            _ => Err(broken("an answer of another kind")),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        snapshot: SnapshotOf<TypeConfig, SnapshotBytes>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let send = async {
            let length = snapshot.snapshot.len() as u64;
            let open = Open::Snapshot(self.envelope, vote, Box::new(snapshot.meta), length);
            let mut stream = self.open(&open).await?;
            for part in snapshot.snapshot.chunks(SNAPSHOT_PART) {
                let sent = stream.sink.send(part.to_vec());
                let sent = tokio::time::timeout(PART_DEADLINE, sent).await;
                sent.map_err(broken)?.map_err(broken)?;
            }
            let answer = tokio::time::timeout(INSTALL_DEADLINE, stream.source.next()).await;
            let answer = answer.map_err(broken)?.map_err(broken)?;
            let answer: SnapshotAnswer = postcard::from_bytes(&answer).map_err(broken)?;
            tracing::info!(to = %self.envelope.to, bytes = length, "sent a snapshot");
            answer.map_err(broken)
        };
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send => Ok(sent?),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, Failure> {
        match self.call(RaftCall::Transfer(req), &option).await? {
            RaftReply::Transfer(reply) => Ok(reply),
            _ => Err(broken("an answer of another kind")),
        }
    }
}
