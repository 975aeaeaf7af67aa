//! Raft as the rest of the agent uses it: propose, read, change who votes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::errors::{ClientWriteError, ForwardToLeader, LinearizableReadError, RaftError};
use openraft::network::RaftNetworkFactory;
use openraft::raft::ClientWriteResponse;
use openraft::{ChangeMembers, Config, ReadPolicy, SnapshotPolicy};
use tokio::sync::{mpsc, oneshot};

use super::leader_clock::LeaderClock;
use super::log::{LogError, LogStore};
use super::machine::{Machine, SnapshotBytes};
use super::raft_types::{Peer, TypeConfig};
use super::snapshot::{SnapshotError, Snapshots};
use super::{Store, first_entry};
use crate::model::{ClusterTime, Command, NodeId, Op, Reply, RequestId};
use crate::task::{self, clock};

/// Heartbeats. Three get lost before anyone asks for an election.
const HEARTBEAT: u64 = 60;
const ELECTION_MIN: u64 = 250;
const ELECTION_MAX: u64 = 400;
/// Bounds a whole snapshot, not a chunk of it.
const SNAPSHOT_DEADLINE: u64 = 120_000;
/// Entries between two snapshots, and entries kept behind one for followers that are a bit late.
const SNAPSHOT_EVERY: u64 = 20_000;
const KEEP_BEHIND_SNAPSHOT: u64 = 10_000;
/// A follower that is further behind than this gets a snapshot.
const LAG: u64 = 30_000;
/// How long one confirmation of leadership may take.
const CONFIRM: Duration = Duration::from_secs(2);

/// The largest command, encoded. What can't travel in one frame could be appended here and never
/// reach a follower, and neither could anything after it.
const LARGEST: usize = 48 * 1024 * 1024;

/// A leader that stops gives its word to the heir so long to arrive.
const HAND_OVER: Duration = Duration::from_millis(150);

type Inner = openraft::Raft<TypeConfig, Machine>;

/// Why raft did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log.
    #[error("cannot open the raft log: {0}")]
    Log(#[from] LogError),
    /// The snapshot.
    #[error("cannot open the raft snapshot: {0}")]
    Snapshot(#[from] SnapshotError),
    /// A new cluster's first entry.
    #[error("cannot write the first entry of the raft log: {0}")]
    FirstEntry(std::io::Error),
    /// Raft itself.
    #[error("cannot start raft: {0}")]
    Raft(String),
}

/// Why raft did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProposeError {
    /// Another leads, or nobody; nothing was appended.
    #[error("not the leader")]
    NotLeader(Option<NodeId>),
    /// The entry may or may not be committed.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// Nothing was appended.
    #[error("a change of {0} bytes; at most {LARGEST} are replicated at once")]
    TooLarge(usize),
}

/// One server's raft.
#[derive(Clone)]
pub struct Raft {
    inner: Inner,
    id: NodeId,
    store: Arc<Store>,
    log: LogStore,
    new: bool,
    reads: mpsc::Sender<oneshot::Sender<Result<u64, ProposeError>>>,
    leading: Arc<Mutex<Option<LeaderClock>>>,
}

/// What raft says of itself.
#[derive(Clone, Debug, Default)]
pub struct RaftView {
    /// Who leads, as far as known here.
    pub leader: Option<NodeId>,
    /// The term.
    pub term: u64,
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// Who learns.
    pub learners: BTreeSet<NodeId>,
    /// The last index in this log.
    pub last_log: u64,
    /// On the leader: the last index that each other node has.
    pub matched: BTreeMap<NodeId, u64>,
    /// Whether a membership change is under way.
    pub changing: bool,
}

impl Raft {
    /// Opens the log and the snapshot under `folder` and starts raft as `id`. Founders begin with the
    /// votes of all `founders`, the same on each; a log that has begun is left as it is, and so is one
    /// without founders.
    pub async fn start<N>(
        id: NodeId,
        folder: &Path,
        store: Arc<Store>,
        network: N,
        founders: BTreeMap<NodeId, Peer>,
    ) -> Result<Self, StartError>
    where
        N: RaftNetworkFactory<TypeConfig>,
        N::Network: openraft::network::NetSnapshot<TypeConfig, SnapshotData = SnapshotBytes>,
    {
        Self::start_as(id, folder, store, network, founders, config()).await
    }

    async fn start_as<N>(
        id: NodeId,
        folder: &Path,
        store: Arc<Store>,
        network: N,
        founders: BTreeMap<NodeId, Peer>,
        config: Config,
    ) -> Result<Self, StartError>
    where
        N: RaftNetworkFactory<TypeConfig>,
        N::Network: openraft::network::NetSnapshot<TypeConfig, SnapshotData = SnapshotBytes>,
    {
        let mut log = LogStore::open(&folder.join("log"))?;
        let new = first_entry::write(&mut log, founders)
            .await
            .map_err(StartError::FirstEntry)?;
        let snapshots = Snapshots::open(&folder.join("snapshot"))?;
        let machine = Machine::open(Arc::clone(&store), snapshots)?;
        let config = config
            .validate()
            .map_err(|error| StartError::Raft(error.to_string()))?;
        let inner = Inner::new(id, Arc::new(config), network, log.clone(), machine)
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        let (reads, waiting) = mpsc::channel(1024);
        let _ = task::spawn("read index", confirm_reads(inner.clone(), waiting));
        Ok(Self {
            inner,
            id,
            store,
            log,
            new,
            reads,
            leading: Arc::default(),
        })
    }

    /// The door for raft's own messages.
    #[must_use]
    pub fn protocol(&self) -> &Inner {
        &self.inner
    }

    /// The log's figures.
    #[must_use]
    pub fn log(&self) -> &LogStore {
        &self.log
    }

    /// Whether this server began its cluster with this start, together with the other founders.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// Whether this server leads, by its own last word.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.inner.is_leader()
    }

    /// The term in which this server leads, by its own last word.
    #[must_use]
    pub fn leading(&self) -> Option<u64> {
        use openraft::async_runtime::WatchReceiver as _;
        let metrics = self.inner.metrics();
        let metrics = metrics.borrow_watched();
        metrics.state.is_leader().then_some(metrics.current_term)
    }

    /// Commits `op`; only on the leader.
    pub async fn propose(
        &self,
        request: Option<RequestId>,
        op: Op,
    ) -> Result<(Reply, u64), ProposeError> {
        let command = Command {
            request,
            time: self.cluster_time(),
            op,
        };
        let size = postcard::experimental::serialized_size(&command).unwrap_or(usize::MAX);
        if size > LARGEST {
            return Err(ProposeError::TooLarge(size));
        }
        self.inner
            .client_write(command)
            .await
            .map(answered)
            .map_err(|error| write_error(&error))
    }

    /// An index that covers everything acknowledged before the call, confirmed by a quorum for a
    /// message sent after it (ReadIndex). Calls that come meanwhile share the next confirmation.
    pub async fn read_index(&self) -> Result<u64, ProposeError> {
        let (done, answer) = oneshot::channel();
        let stopped = || ProposeError::Unknown("raft has stopped".into());
        self.reads.send(done).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Who leads, as far as known here. Every read and every forwarded write asks, so it copies
    /// nothing else.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        use openraft::async_runtime::WatchReceiver as _;
        let metrics = self.inner.server_metrics();
        metrics.borrow_watched().current_leader
    }

    /// Whether it knows of any voters: a server without them has heard nothing yet.
    #[must_use]
    pub fn has_voters(&self) -> bool {
        use openraft::async_runtime::WatchReceiver as _;
        let metrics = self.inner.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics
            .membership_config
            .membership()
            .voter_ids()
            .next()
            .is_some()
    }

    /// What raft says of itself.
    #[must_use]
    pub fn view(&self) -> RaftView {
        use openraft::async_runtime::WatchReceiver as _;
        let metrics = self.inner.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let matched = metrics.replication.iter().flatten();
        RaftView {
            leader: metrics.current_leader,
            term: metrics.current_term,
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            last_log: metrics.last_log_index.unwrap_or(0),
            matched: matched
                .map(|(node, id)| (*node, id.as_ref().map_or(0, |id| id.index)))
                .collect(),
            changing: metrics.membership_config.log_id()
                != metrics.committed_membership_config.log_id(),
        }
    }

    /// On the leader: how long ago a quorum last answered it; zero while that is not known.
    #[must_use]
    pub fn quorum_age(&self) -> Duration {
        use openraft::Instant as _;
        use openraft::async_runtime::WatchReceiver as _;
        let metrics = self.inner.metrics();
        let metrics = metrics.borrow_watched();
        // Who votes alone is a quorum, and acknowledges to itself only what it writes.
        let mut voters = metrics.membership_config.membership().voter_ids();
        if voters.all(|voter| voter == self.id()) {
            return Duration::ZERO;
        }
        let acked = metrics.last_quorum_acked;
        acked.map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// Where raft's membership says that a node is.
    #[must_use]
    pub fn peer_address(&self, node: NodeId) -> Option<std::net::SocketAddr> {
        use openraft::async_runtime::WatchReceiver as _;
        let metrics = self.inner.metrics();
        let metrics = metrics.borrow_watched();
        metrics
            .membership_config
            .membership()
            .get_node(&node)
            .map(|peer| peer.rpc)
    }

    /// Returns when the leader, the term or the membership may have changed.
    pub async fn changed(&self, seen: &mut ViewWatch) {
        use openraft::async_runtime::WatchReceiver as _;
        if seen.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// For [`Self::changed`].
    #[must_use]
    pub fn watch(&self) -> ViewWatch {
        ViewWatch(self.inner.server_metrics())
    }

    /// Starts replicating to a server that does not vote (yet).
    pub async fn add_learner(&self, id: NodeId, peer: Peer) -> Result<(), ProposeError> {
        let added = self.inner.add_learner(id, peer, false).await;
        added.map(|_| ()).map_err(|error| write_error(&error))
    }

    /// Stops replicating to a learner.
    pub async fn drop_learner(&self, id: NodeId) -> Result<(), ProposeError> {
        let change = ChangeMembers::RemoveNodes(BTreeSet::from([id]));
        let dropped = self.inner.change_membership(change, false).await;
        dropped.map(|_| ()).map_err(|error| write_error(&error))
    }

    /// Makes these the voters, in one joint change.
    pub async fn set_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), ProposeError> {
        let change = ChangeMembers::ReplaceAllVoters(voters);
        let changed = self.inner.change_membership(change, false).await;
        changed.map(|_| ()).map_err(|error| write_error(&error))
    }

    /// Hands leadership to a voter.
    pub async fn hand_over(&self, to: NodeId) -> Result<(), ProposeError> {
        let handed = self.inner.trigger().transfer_leader(to).await;
        handed.map_err(|error| ProposeError::Unknown(error.to_string()))
    }

    /// Stands for election at once.
    pub async fn stand(&self) {
        let _ = self.inner.trigger().elect(true).await;
    }

    /// Whether its timer may make it stand; it may, unless told otherwise.
    pub fn may_stand(&self, may: bool) {
        self.inner.runtime_config().elect(may);
    }

    /// Makes a snapshot now.
    pub async fn snapshot_now(&self) {
        let _ = self.inner.trigger().snapshot().await;
    }

    /// Returns when raft has ended, and why: after an error of its log or its state machine it
    /// neither votes nor applies, and the process had better start again.
    pub async fn ended(&self) -> String {
        use openraft::async_runtime::WatchReceiver as _;
        let mut metrics = self.inner.metrics();
        loop {
            if let Err(error) = &metrics.borrow_watched().running_state {
                return error.to_string();
            }
            if metrics.changed().await.is_err() {
                return "it was stopped".into();
            }
        }
    }

    /// A leader hands over to the voter that is furthest, and waits a moment for it to lead: the
    /// others need not find out that this one is gone.
    pub async fn step_down(&self) {
        let view = self.view();
        let others = view.voters.iter().filter(|id| **id != self.id);
        let heir = others.max_by_key(|id| view.matched.get(*id).copied());
        if let Some(heir) = heir.filter(|_| self.is_leader())
            && self.hand_over(*heir).await.is_ok()
        {
            let mut watch = self.watch();
            let deposed = async {
                while self.is_leader() {
                    self.changed(&mut watch).await;
                }
            };
            if tokio::time::timeout(HAND_OVER, deposed).await.is_ok() {
                tracing::info!(to = %heir, "handed leadership over");
            }
        }
    }

    /// Stops; a leader steps down first.
    pub async fn stop(&self) {
        self.step_down().await;
        if let Err(error) = self.inner.shutdown().await {
            tracing::warn!(%error, "raft did not stop cleanly");
        }
    }

    /// Cluster time now, if this server leads; otherwise the last applied.
    #[must_use]
    pub fn cluster_time(&self) -> ClusterTime {
        let term = self.leading();
        let applied = self.store.state().time();
        let mut leading = self.leading.lock().unwrap_or_else(PoisonError::into_inner);
        let (clock, time) = LeaderClock::read(*leading, term, applied, clock::now());
        *leading = clock;
        time
    }

    /// The term.
    #[must_use]
    pub fn view_term(&self) -> u64 {
        use openraft::async_runtime::WatchReceiver as _;
        self.inner.metrics().borrow_watched().current_term
    }

    /// This server's raft id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }
}

/// See [`Raft::watch`].
pub struct ViewWatch(
    openraft::type_config::alias::WatchReceiverOf<
        TypeConfig,
        openraft::metrics::RaftServerMetrics<TypeConfig>,
    >,
);

fn config() -> Config {
    Config {
        cluster_name: "swarmer".into(),
        heartbeat_interval: HEARTBEAT,
        election_timeout_min: ELECTION_MIN,
        election_timeout_max: ELECTION_MAX,
        install_snapshot_timeout: SNAPSHOT_DEADLINE,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_EVERY),
        max_in_snapshot_log_to_keep: KEEP_BEHIND_SNAPSHOT,
        replication_lag_threshold: LAG,
        backoff: "20ms 40ms 80ms ..500ms".into(),
        enable_pre_vote: Some(true),
        // A restarted leader that goes on in its old term can acknowledge two different entries
        // at one index.
        enable_leader_restore: Some(false),
        allow_log_reversion: Some(false),
        ..Config::default()
    }
}

fn answered(response: ClientWriteResponse<TypeConfig>) -> (Reply, u64) {
    (response.data, response.log_id.index)
}

fn write_error(error: &RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> ProposeError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => not_leader(to),
        other => ProposeError::Unknown(other.to_string()),
    }
}

fn not_leader(to: &ForwardToLeader<TypeConfig>) -> ProposeError {
    ProposeError::NotLeader(to.leader_id)
}

async fn confirm_reads(
    raft: Inner,
    mut waiting: mpsc::Receiver<oneshot::Sender<Result<u64, ProposeError>>>,
) {
    while let Some(first) = waiting.recv().await {
        let mut batch = vec![first];
        while let Ok(next) = waiting.try_recv() {
            batch.push(next);
        }
        let confirmed = tokio::time::timeout(CONFIRM, raft.get_read_log_id(ReadPolicy::ReadIndex));
        let result = match confirmed.await {
            Ok(Ok((read, _))) => Ok(read.index()),
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to)))) => {
                Err(not_leader(&to))
            }
            Ok(Err(error)) => Err(ProposeError::Unknown(error.to_string())),
            Err(_) => Err(ProposeError::Unknown(
                "no quorum confirms this leader".into(),
            )),
        };
        for reader in batch {
            let _ = reader.send(result.clone());
        }
    }
}

#[cfg(test)]
#[path = "raft_tests.rs"]
pub(crate) mod tests;
