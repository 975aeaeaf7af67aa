//! The way to the leader: what the store calls when it can't answer by itself.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::messages::{Call, CallError, CallReply, ServerList};
use super::peers::{Peers, PeersError};
use super::requests::Requests;
use crate::model::{BootId, NodeId, Op, Reply, RequestId};
use crate::store::memory::LeaderMemory;
use crate::store::raft::{ProposeError, Raft};
use crate::store::{
    Answer, Contact, HOLD, HttpCall, HttpReply, Leader, Question, StatusReport, Store, StoreError,
};
use crate::task::clock;

/// Between two tries, when nothing tells that a new one would fare better.
const PAUSE: Duration = Duration::from_millis(40);
/// One try of a write; a longer silence is taken for a dead link or a leader without a quorum.
const TRY: Duration = Duration::from_secs(3);
/// A leader that no quorum has answered for so long says that there is none.
const LOST: Duration = Duration::from_secs(2);
/// The longest blocking query (Consul's 10 minutes and a sixteenth), and a margin.
const HTTP: Duration = Duration::from_secs(660);

/// The path of one node: through its own raft, through the leader, or through any server.
pub struct Path {
    store: Arc<Store>,
    peers: Arc<Peers>,
    raft: Option<Raft>,
    memory: Arc<LeaderMemory>,
    requests: Requests,
    servers: RwLock<Servers>,
}

/// What a node without raft knows of the servers.
#[derive(Default)]
struct Servers {
    list: ServerList,
    preferred: Option<NodeId>,
    heard: Option<Instant>,
}

/// Why a try failed.
enum Miss {
    /// Nothing was done; another try may fare better.
    Nothing(String),
    /// It may have been done; another try with the same request id is safe.
    Unknown(String),
    /// It is decided.
    Final(StoreError),
}

impl Path {
    /// A path for this node.
    #[must_use]
    pub fn new(
        me: (NodeId, BootId),
        store: Arc<Store>,
        peers: Arc<Peers>,
        raft: Option<Raft>,
        memory: Arc<LeaderMemory>,
    ) -> Arc<Self> {
        let requests = Requests::new(me.0, me.1);
        Arc::new(Self {
            store,
            peers,
            raft,
            memory,
            requests,
            servers: RwLock::default(),
        })
    }

    /// Workers: where the servers are.
    pub fn set_servers(&self, list: ServerList) {
        let mut servers = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        if !servers
            .preferred
            .is_some_and(|node| list.servers.contains_key(&node))
        {
            servers.preferred = None;
        }
        servers.list = list;
    }

    /// Workers: the servers as the state has them.
    pub fn learn(&self, servers: std::collections::BTreeMap<NodeId, SocketAddr>) {
        let leader = self.known_leader();
        self.set_servers(ServerList { leader, servers });
    }

    /// Workers: who led, by the last word.
    #[must_use]
    pub fn known_leader(&self) -> Option<NodeId> {
        self.servers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .list
            .leader
    }

    /// Workers: a word from a server that heard the leader `age` ago.
    pub fn heard_server(&self, from: NodeId, leader: Option<NodeId>, age: Duration) {
        let mut servers = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        servers.preferred = Some(from);
        servers.list.leader = leader;
        servers.heard = leader.and(clock::now().checked_sub(age));
    }

    /// The servers to try, the preferred first.
    #[must_use]
    pub fn candidates(&self) -> Vec<(NodeId, SocketAddr)> {
        let servers = self.servers.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = servers
            .list
            .servers
            .iter()
            .map(|(id, at)| (*id, *at))
            .collect();
        all.sort_by_key(|(id, _)| {
            (
                Some(*id) != servers.preferred,
                Some(*id) != servers.list.leader,
            )
        });
        all
    }

    /// Commits a request of this or (on a server) of another node.
    pub async fn write_as(&self, request: RequestId, op: Op) -> Result<(Reply, u64), StoreError> {
        let deadline = clock::now() + HOLD;
        let mut unknown = None;
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            let miss = match self.try_write(request, op.clone(), left.min(TRY)).await {
                Ok(done) => return Ok(done),
                Err(Miss::Final(error)) => return Err(error),
                Err(miss) => miss,
            };
            match miss {
                Miss::Unknown(why) => unknown = Some(why),
                Miss::Nothing(why) => tracing::debug!(why, "a write found no leader; trying on"),
                Miss::Final(_) => {}
            }
            if left <= PAUSE {
                return Err(unknown.map_or(StoreError::NoLeader, StoreError::Unknown));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_write(
        &self,
        request: RequestId,
        op: Op,
        deadline: Duration,
    ) -> Result<(Reply, u64), Miss> {
        if let Some(raft) = self.raft.as_ref().filter(|raft| raft.is_leader()) {
            let proposed = tokio::time::timeout(deadline, raft.propose(Some(request), op));
            return match proposed.await {
                Ok(Ok(done)) => Ok(done),
                Ok(Err(ProposeError::NotLeader(_))) => Err(Miss::Nothing("deposed".into())),
                Ok(Err(ProposeError::Unknown(why))) => Err(Miss::Unknown(why)),
                Ok(Err(error @ ProposeError::TooLarge(_))) => {
                    Err(Miss::Final(StoreError::TooLarge(error.to_string())))
                }
                Err(_) => Err(Miss::Unknown("the leader has no quorum".into())),
            };
        }
        match self.send(&Call::Write(request, op), deadline).await? {
            CallReply::Written(reply, index) => Ok((reply, index)),
            _ => Err(Miss::Unknown("an answer of another kind".into())),
        }
    }

    /// Sends a call to the leader (servers) or to any server (workers).
    async fn send(&self, call: &Call, deadline: Duration) -> Result<CallReply, Miss> {
        let (node, address) = self
            .next_hop()
            .ok_or_else(|| Miss::Nothing("no leader".into()))?;
        let answer = tokio::select! {
            answer = self.peers.call_at(node, address, call, deadline) => answer,
            () = self.another_leads(node) => {
                return Err(Miss::Unknown("the leader changed meanwhile".into()));
            }
        };
        answer.map_err(|error| {
            if !self.votes() {
                self.avoid(node);
            }
            miss(&error)
        })
    }

    /// Servers: returns when another than `node` leads. A leader whose host froze or was cut off
    /// leaves its callers without a word, and there is no need to wait for their deadlines.
    async fn another_leads(&self, node: NodeId) {
        let Some(raft) = self.raft.as_ref().filter(|_| self.votes()) else {
            return std::future::pending().await;
        };
        let mut view = raft.watch();
        while raft.leader().is_none_or(|leader| leader == node) {
            raft.changed(&mut view).await;
        }
    }

    /// One call to the leader, if it is another server and answers.
    pub async fn call_leader(&self, call: &Call, deadline: Duration) -> Option<CallReply> {
        self.send(call, deadline).await.ok()
    }

    /// Whether this node's own raft can tell who leads. A server that has just joined has heard of
    /// no membership yet and goes through others, like a worker.
    fn votes(&self) -> bool {
        self.raft.as_ref().is_some_and(Raft::has_voters)
    }

    /// One call to this server.
    pub async fn call_server(
        &self,
        node: NodeId,
        call: &Call,
        deadline: Duration,
    ) -> Option<CallReply> {
        let address = self.address_of(node)?;
        self.peers.call_at(node, address, call, deadline).await.ok()
    }

    fn address_of(&self, node: NodeId) -> Option<SocketAddr> {
        let member = self.store.state().member(node).map(|member| member.rpc());
        member.or_else(|| self.raft.as_ref()?.peer_address(node))
    }

    fn next_hop(&self) -> Option<(NodeId, SocketAddr)> {
        let Some(raft) = self.raft.as_ref().filter(|_| self.votes()) else {
            return self.candidates().first().copied();
        };
        let leader = raft.leader().filter(|leader| *leader != raft.id())?;
        Some((leader, self.address_of(leader)?))
    }

    /// Workers: prefer another server from now on.
    pub fn avoid(&self, node: NodeId) {
        let mut servers = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        if servers.preferred.is_none_or(|preferred| preferred == node) {
            let after = servers
                .list
                .servers
                .range(node..)
                .find(|(id, _)| **id != node);
            let next = after.or_else(|| servers.list.servers.iter().next());
            servers.preferred = next.map(|(id, _)| *id);
        }
    }

    /// An index for a linearizable read (servers).
    async fn read_index_once(&self, deadline: Duration) -> Result<u64, Miss> {
        if let Some(raft) = self.raft.as_ref().filter(|raft| raft.is_leader()) {
            return raft
                .read_index()
                .await
                .map_err(|error| Miss::Nothing(error.to_string()));
        }
        match self.send(&Call::ReadIndex, deadline).await? {
            CallReply::ReadIndex(index) => Ok(index),
            _ => Err(Miss::Nothing("an answer of another kind".into())),
        }
    }

    /// Answers from this leader's memory, once a quorum has confirmed it for a message sent
    /// after the question came (rule R7).
    async fn ask_once(&self, question: Question, deadline: Duration) -> Result<Answer, Miss> {
        let Some(raft) = self.raft.as_ref().filter(|raft| raft.is_leader()) else {
            return match self.send(&Call::Ask(question), deadline).await? {
                CallReply::Answer(answer) => Ok(*answer),
                _ => Err(Miss::Nothing("an answer of another kind".into())),
            };
        };
        let index = raft
            .read_index()
            .await
            .map_err(|error| Miss::Nothing(error.to_string()))?;
        self.store.reached(index).await;
        let answer = match question {
            Question::RenewSession(id) => {
                let session = self
                    .store
                    .state()
                    .sessions()
                    .get(&id)
                    .map(|s| (**s).clone());
                if session.is_some() && !self.memory.renew_session(id) {
                    return Err(Miss::Nothing("the session's end is being committed".into()));
                }
                Answer::Session(session)
            }
            Question::Status => Answer::Status(self.status(raft, index)),
            // A server reads its own copy; the door answers workers.
            Question::SwarmJoin => Answer::SwarmJoin(None),
            Question::SwarmServices => Answer::SwarmServices(Vec::new()),
        };
        Ok(answer)
    }

    fn status(&self, raft: &Raft, applied: u64) -> StatusReport {
        let view = raft.view();
        StatusReport {
            leader: Some(raft.id()),
            term: view.term,
            applied,
            time: raft.cluster_time(),
            voters: view.voters.into_iter().collect(),
            learners: view.learners.into_iter().collect(),
            leases: self.memory.lease_views(),
        }
    }

    /// Retries `once` until it answers or [`HOLD`] is over; for what changes nothing.
    async fn hold<'a, T>(
        &'a self,
        once: impl Fn(Duration) -> BoxFuture<'a, Result<T, Miss>> + Send,
    ) -> Result<T, StoreError> {
        let deadline = clock::now() + HOLD;
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            match tokio::time::timeout(left.max(PAUSE), once(left.clamp(PAUSE, TRY))).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Miss::Final(error))) => return Err(error),
                Ok(Err(Miss::Nothing(_) | Miss::Unknown(_))) | Err(_) => {}
            }
            if left <= PAUSE {
                return Err(StoreError::NoLeader);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn miss(error: &PeersError) -> Miss {
    match error {
        PeersError::Refused(CallError::Store(StoreError::NoLeader) | CallError::NotLeader(_)) => {
            Miss::Nothing(error.to_string())
        }
        PeersError::Refused(CallError::Store(StoreError::Unknown(why))) => {
            Miss::Unknown(why.clone())
        }
        PeersError::Refused(CallError::Store(error)) => Miss::Final(error.clone()),
        PeersError::Refused(CallError::Denied { role, act }) => Miss::Final(StoreError::Denied {
            role: *role,
            act: act.clone(),
        }),
        other if other.may_have_arrived() => Miss::Unknown(other.to_string()),
        other => Miss::Nothing(other.to_string()),
    }
}

impl Leader for Path {
    fn write(&self, op: Op) -> BoxFuture<'_, Result<(Reply, u64), StoreError>> {
        async move {
            let request = self.requests.begin();
            self.write_as(request.id, op).await
        }
        .boxed()
    }

    fn read_index(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.hold(|deadline| self.read_index_once(deadline).boxed())
            .boxed()
    }

    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Answer, StoreError>> {
        self.hold(move |deadline| self.ask_once(question.clone(), deadline).boxed())
            .boxed()
    }

    fn http(&self, call: HttpCall) -> BoxFuture<'_, Result<HttpReply, StoreError>> {
        async move {
            let reads = call.method.eq_ignore_ascii_case("GET");
            let call = Call::Http(call);
            let deadline = clock::now() + HOLD;
            loop {
                match self.send(&call, HTTP).await {
                    Ok(CallReply::Http(reply)) => return Ok(reply),
                    Ok(_) => return Err(StoreError::Unknown("an answer of another kind".into())),
                    Err(Miss::Final(error)) => return Err(error),
                    Err(Miss::Unknown(why)) if !reads => return Err(StoreError::Unknown(why)),
                    // A read that a server took with it into its grave is asked of the next.
                    Err(_) if clock::now() >= deadline => return Err(StoreError::NoLeader),
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        }
        .boxed()
    }

    fn contact(&self) -> Contact {
        let age = |heard: Option<Instant>| {
            heard.map_or(Duration::MAX, |at| {
                clock::now().saturating_duration_since(at)
            })
        };
        let Some(raft) = &self.raft else {
            let servers = self.servers.read().unwrap_or_else(PoisonError::into_inner);
            return Contact {
                leader: servers.list.leader,
                age: age(servers.heard),
            };
        };
        let leader = raft.leader();
        if leader == Some(raft.id()) {
            // A leader without a quorum does not step down; it is no leader to count on.
            let age = raft.quorum_age();
            let leader = leader.filter(|_| age < LOST);
            return Contact { leader, age };
        }
        Contact {
            leader,
            age: age(self.memory.heard().map(|heard| heard.at)),
        }
    }
}
