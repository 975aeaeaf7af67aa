//! Openraft's network: raft messages over our RPC.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use openraft::OptionalSend;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotOf, VoteOf};

use super::messages::{
    AppendAnswer, Call, CallReply, Envelope, Open, RaftCall, RaftReply, SnapshotAnswer,
};
use super::peers::{Peers, PeersError};
use crate::model::{ClusterId, NodeId};
use crate::rpc::FrameStream;
use crate::store::machine::SnapshotBytes;
use crate::store::raft_types::{Peer, TypeConfig};

/// A snapshot travels in parts of this size, so that others get a word in on the link.
const SNAPSHOT_PART: usize = 1024 * 1024;
/// Appends on their way to one follower: enough to keep a link busy, few enough to stop soon.
const PIPELINE: usize = 64;
/// An append or its answer that takes longer than this means that the link is dead.
const APPEND_DEADLINE: Duration = Duration::from_secs(2);

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
        }
    }
}

/// The way to one other server.
pub struct Link {
    envelope: Envelope,
    rpc: SocketAddr,
    peers: Arc<Peers>,
}

type Failure = RPCError<TypeConfig>;

fn unreachable(error: &PeersError) -> Failure {
    RPCError::Unreachable(Unreachable::from_string(error))
}

fn broken(why: impl ToString) -> Failure {
    RPCError::Network(NetworkError::from_string(why))
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
            let stream = self.open(&Open::Append(self.envelope)).await?;
            Ok(pipeline(stream, input))
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
                stream.sink.send(part.to_vec()).await.map_err(broken)?;
            }
            let answer = stream.source.next().await.map_err(broken)?;
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

/// Sends appends as they come and yields the answers in their order, without waiting for one
/// before the next goes out.
fn pipeline<'s, S>(
    stream: FrameStream,
    input: S,
) -> BoxStream<'s, Result<StreamAppendResult<TypeConfig>, Failure>>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
{
    struct Pipe<S> {
        stream: FrameStream,
        input: Option<S>,
        waiting: usize,
        over: bool,
    }
    let pipe = Pipe {
        stream,
        input: Some(input),
        waiting: 0,
        over: false,
    };
    futures_util::stream::unfold(pipe, |mut pipe| async move {
        loop {
            if pipe.over || (pipe.input.is_none() && pipe.waiting == 0) {
                return None;
            }
            let room = pipe.waiting < PIPELINE;
            let next = async {
                match &mut pipe.input {
                    Some(input) if room => input.next().await,
                    _ => std::future::pending().await,
                }
            };
            let answer = async {
                if pipe.waiting == 0 {
                    return std::future::pending().await;
                }
                tokio::time::timeout(APPEND_DEADLINE, pipe.stream.source.next()).await
            };
            let step = tokio::select! {
                biased;
                answer = answer => Err(answer),
                request = next => Ok(request),
            };
            match step {
                Ok(None) => pipe.input = None,
                Ok(Some(request)) => {
                    let sent = match postcard::to_stdvec(&request) {
                        Ok(bytes) => {
                            tokio::time::timeout(APPEND_DEADLINE, pipe.stream.sink.send(bytes))
                                .await
                                .map_err(broken)
                                .and_then(|sent| sent.map_err(broken))
                        }
                        Err(error) => Err(broken(error)),
                    };
                    match sent {
                        Ok(()) => pipe.waiting += 1,
                        Err(error) => {
                            pipe.over = true;
                            return Some((Err(error), pipe));
                        }
                    }
                }
                Err(answer) => {
                    pipe.waiting -= 1;
                    let item = answer.map_err(broken).and_then(|bytes| {
                        let bytes = bytes.map_err(broken)?;
                        let answer: AppendAnswer = postcard::from_bytes(&bytes).map_err(broken)?;
                        answer.map_err(broken)
                    });
                    pipe.over = !matches!(item, Ok(Ok(_)));
                    return Some((item, pipe));
                }
            }
        }
    })
    .boxed()
}
