//! An in-memory network between servers of one process, with links that can be cut.

use std::collections::HashSet;
use std::future::Future;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use openraft::OptionalSend;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::network::v2::RaftNetworkV2;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotOf, VoteOf};

use super::*;

type Failure = RPCError<TypeConfig>;

/// All servers that run, and the links that are cut.
#[derive(Clone, Default)]
pub(crate) struct Hub {
    nodes: Arc<Mutex<BTreeMap<NodeId, Inner>>>,
    cut: Arc<Mutex<HashSet<(NodeId, NodeId)>>>,
}

impl Hub {
    /// The network of one server.
    pub(crate) fn wires(&self, from: NodeId) -> Wires {
        Wires {
            hub: self.clone(),
            from,
        }
    }

    pub(crate) fn add(&self, raft: &Raft) {
        let inner = raft.protocol().clone();
        self.nodes.lock().unwrap().insert(raft.id(), inner);
    }

    pub(super) fn isolate(&self, node: NodeId) {
        let others: Vec<NodeId> = self.nodes.lock().unwrap().keys().copied().collect();
        let mut cut = self.cut.lock().unwrap();
        for other in others.into_iter().filter(|other| *other != node) {
            cut.insert((node, other));
            cut.insert((other, node));
        }
    }

    pub(super) fn heal(&self) {
        self.cut.lock().unwrap().clear();
    }
}

pub(crate) struct Wires {
    hub: Hub,
    from: NodeId,
}

impl RaftNetworkFactory<TypeConfig> for Wires {
    type Network = Wire;

    async fn new_client(&mut self, target: NodeId, _node: &Peer) -> Wire {
        Wire {
            hub: self.hub.clone(),
            from: self.from,
            to: target,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Wire {
    hub: Hub,
    from: NodeId,
    to: NodeId,
}

impl Wire {
    fn is_cut(&self) -> bool {
        let cut = self.hub.cut.lock().unwrap();
        cut.contains(&(self.from, self.to)) || cut.contains(&(self.to, self.from))
    }

    fn target(&self) -> Result<Inner, Failure> {
        let nodes = self.hub.nodes.lock().unwrap();
        let node = nodes.get(&self.to).filter(|_| !self.is_cut()).cloned();
        node.ok_or_else(|| RPCError::Unreachable(Unreachable::from_string("cut")))
    }

    async fn ask<T, E: std::fmt::Display>(
        &self,
        call: impl AsyncFnOnce(Inner) -> Result<T, E>,
    ) -> Result<T, Failure> {
        let answer = call(self.target()?).await.map_err(broken)?;
        self.target()?;
        Ok(answer)
    }
}

fn broken(why: impl ToString) -> Failure {
    RPCError::Network(NetworkError::from_string(why))
}

impl RaftNetworkV2<TypeConfig> for Wire {
    type SnapshotData = SnapshotBytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, Failure> {
        self.ask(async |node| node.append_entries(rpc).await).await
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
            let (there, back) = (self.clone(), self.clone());
            let node = self.target()?;
            let input = input.take_while(move |_| std::future::ready(!there.is_cut()));
            let answers = node.stream_append(input).map(move |answer| {
                back.target()?;
                answer.map_err(broken)
            });
            Ok(answers.boxed())
        }
        .boxed()
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Failure> {
        self.ask(async |node| node.vote(rpc).await).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Failure> {
        self.ask(async |node| node.pre_vote(rpc).await).await
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        snapshot: SnapshotOf<TypeConfig, SnapshotBytes>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let sent = self.ask(async |node| node.install_full_snapshot(vote, snapshot).await);
        Ok(sent.await?)
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, Failure> {
        self.ask(async |node| node.handle_transfer_leader(req).await)
            .await
    }
}
