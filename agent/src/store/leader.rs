//! The door to the leader: implemented over the wire, handed to the store by the composition root.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::decide::swarm::{JoinOffer, SwarmService};
use crate::model::{ClusterTime, NodeId, Op, Reply, Role, Session, SessionId};

/// Why the leader did not do what was asked.
#[derive(Debug, Clone, thiserror::Error, Serialize, Deserialize)]
pub enum StoreError {
    /// Nobody leads, or nobody that can be reached; nothing was changed.
    #[error("No cluster leader")]
    NoLeader,
    /// The deadline passed, or the connection broke, while the write was under way.
    #[error("outcome unknown: the write may or may not have happened ({0})")]
    Unknown(String),
    /// More than raft carries at once; nothing was changed.
    #[error("Request body too large: {0}")]
    TooLarge(String),
    /// This node's copy did not come up to the leader's in time.
    #[error("Not ready to serve consistent reads: this node has applied {have} of {wanted}")]
    Behind {
        /// The index wanted.
        wanted: u64,
        /// The index reached.
        have: u64,
    },
    /// The caller's role may not do that.
    #[error("Permission denied: a {role} may not {act}")]
    Denied {
        /// The caller's role.
        role: Role,
        /// What it wanted.
        act: String,
    },
}

/// What only the leader's memory knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Question {
    /// Renew a session's TTL.
    RenewSession(SessionId),
    /// Leases, replication, health: what `swarmer status` shows.
    Status,
    /// What the asking node needs to join the Docker Swarm. Answered by any server, for the node
    /// that its certificate names.
    SwarmJoin,
    /// What only the Swarm's managers know of its services. Answered by any server.
    SwarmServices,
}

/// The leader's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    /// The renewed session; `None`: there is none with that id.
    Session(Option<Session>),
    /// To [`Question::Status`].
    Status(StatusReport),
    /// To [`Question::SwarmJoin`]; `None`: there is no Swarm to join yet.
    SwarmJoin(Option<JoinOffer>),
    /// To [`Question::SwarmServices`].
    SwarmServices(Vec<SwarmService>),
}

/// The leader's view of the cluster. Times are milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Who answers.
    pub leader: Option<NodeId>,
    /// Its term.
    pub term: u64,
    /// Last applied raft index.
    pub applied: u64,
    /// Cluster time on the leader's clock: the state's own stands still between two commands.
    pub time: ClusterTime,
    /// Who votes.
    pub voters: Vec<NodeId>,
    /// Who learns.
    pub learners: Vec<NodeId>,
    /// One row a member that holds or held a lease.
    pub leases: Vec<LeaseView>,
}

/// One member's lease as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseView {
    /// The member.
    pub node: NodeId,
    /// Milliseconds since its last renewal.
    pub age: u64,
    /// Milliseconds that a node which was lost too often of late has yet to last before it counts.
    pub proving: Option<u64>,
    /// What the node last said of itself: Swarm state, registry, certificate, …
    pub report: std::collections::BTreeMap<String, String>,
}

/// An HTTP request that a worker hands to a server, which answers it like its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HttpCall {
    /// `GET`, `PUT`, `DELETE`, `POST`.
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// Headers that matter, lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// The answer to an [`HttpCall`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HttpReply {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// Who leads, as far as this node knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contact {
    /// The leader.
    pub leader: Option<NodeId>,
    /// Since the last word from it; zero on the leader itself.
    pub age: Duration,
}

/// The way to the leader. Holds on for [`super::HOLD`] while there is none.
pub trait Leader: Send + Sync + 'static {
    /// Commits `op` and returns its reply and its raft index. Retries, with one request id, only
    /// what is safe to retry.
    fn write(&self, op: Op) -> BoxFuture<'_, Result<(Reply, u64), StoreError>>;
    /// An index that covers every write acknowledged before the call.
    fn read_index(&self) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// Asks the leader's memory; answered only while a quorum confirms the leader.
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Answer, StoreError>>;
    /// Workers: lets a server answer an HTTP request.
    fn http(&self, call: HttpCall) -> BoxFuture<'_, Result<HttpReply, StoreError>>;
    /// Who leads; answered at once from memory.
    fn contact(&self) -> Contact;
}
