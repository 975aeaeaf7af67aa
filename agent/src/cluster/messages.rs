//! What agents say to each other on the RPC port, once both have certificates.
//!
//! Encoded with postcard; the ALPN name carries the version. Fields and variants are only added
//! at the end, and a new version gets a new ALPN name.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use crate::model::{BootId, ClusterId, NodeId, Op, Reply, RequestId, Role};
use crate::state::Row;
use crate::store::raft_types::{TypeConfig, Vote};
use crate::store::snapshot::SnapshotMeta;
use crate::store::{Answer, HttpCall, HttpReply, Question, StoreError};

/// Names the cluster and both ends of every raft message: one that was meant for another cluster
/// or for a node's former self is refused before raft sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The sender's cluster.
    pub cluster: ClusterId,
    /// The sender.
    pub from: NodeId,
    /// Whom it is for.
    pub to: NodeId,
}

/// A raft message that is a call.
#[derive(Clone, Serialize, Deserialize)]
pub enum RaftCall {
    /// AppendEntries, one by one (heartbeats).
    Append(AppendEntriesRequest<TypeConfig>),
    /// RequestVote.
    Vote(VoteRequest<TypeConfig>),
    /// PreVote.
    PreVote(VoteRequest<TypeConfig>),
    /// TimeoutNow.
    Transfer(TransferLeaderRequest<TypeConfig>),
}

/// The answer to a [`RaftCall`].
#[derive(Clone, Serialize, Deserialize)]
pub enum RaftReply {
    /// To `Append`.
    Append(AppendEntriesResponse<TypeConfig>),
    /// To `Vote` and `PreVote`.
    Vote(VoteResponse<TypeConfig>),
    /// To `Transfer`.
    Transfer(TransferLeaderResponse<TypeConfig>),
}

/// A call.
#[derive(Clone, Serialize, Deserialize)]
pub enum Call {
    /// Servers only.
    Raft(Envelope, RaftCall),
    /// Commit a command, through this server or the leader it knows.
    Write(RequestId, Op),
    /// An index for a linearizable read. Servers only.
    ReadIndex,
    /// Ask the leader's memory.
    Ask(Question),
    /// Answer an HTTP request. For workers, who hold no KV.
    Http(HttpCall),
    /// News of leases that a server holds the streams of. Servers only, to the leader.
    Lease(LeaseNews),
    /// A new certificate for the caller's key (PKCS#10, DER).
    Renew(Vec<u8>),
    /// Who leads, and where the servers are.
    Servers,
    /// To the leader of an earlier term: which nodes it had not heard. Servers only.
    Unheard(u64),
}

/// The answer to a [`Call`].
#[derive(Clone, Serialize, Deserialize)]
pub enum CallReply {
    /// To `Raft`.
    Raft(Box<RaftReply>),
    /// To `Write`: the reply and its index.
    Written(Reply, u64),
    /// To `ReadIndex`.
    ReadIndex(u64),
    /// To `Ask`.
    Answer(Box<Answer>),
    /// To `Http`.
    Http(HttpReply),
    /// To `Lease`.
    Lease(LeaseWord),
    /// To `Renew`: the certificate, PEM.
    Certificate(String),
    /// To `Servers`.
    Servers(ServerList),
    /// To `Unheard`: the nodes, and for how many milliseconds nobody had heard them.
    Unheard(Vec<(NodeId, u64)>),
}

/// Where the servers are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerList {
    /// Who leads.
    pub leader: Option<NodeId>,
    /// RPC addresses of the servers.
    pub servers: BTreeMap<NodeId, SocketAddr>,
}

/// Why a call was not answered.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum CallError {
    /// This server does not lead; nothing was done.
    #[error("not the leader")]
    NotLeader(Option<NodeId>),
    /// As the store says.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The caller's role may not do that.
    #[error("a {role} may not {act}")]
    Denied {
        /// Its role.
        role: Role,
        /// What it wanted.
        act: String,
    },
    /// A raft message for someone else.
    #[error("this is node {id} of cluster {cluster}; the message was for {meant}")]
    WrongRecipient {
        /// The receiver.
        id: NodeId,
        /// Its cluster.
        cluster: ClusterId,
        /// The one named in the message.
        meant: NodeId,
    },
    /// Not understood, or it failed here.
    #[error("{0}")]
    Failed(String),
}

/// What a lease call says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum LeaseNews {
    /// A node renews.
    Renew {
        /// The node.
        node: NodeId,
        /// Its process.
        boot: BootId,
        /// Its count of streams.
        number: u64,
        /// What it says of itself, if that changed.
        report: Option<BTreeMap<String, String>>,
    },
    /// Its stream closed.
    Closed {
        /// The node.
        node: NodeId,
        /// Its process.
        boot: BootId,
        /// Its count of streams.
        number: u64,
    },
    /// It restarts and asks to keep its lease for a moment.
    Restarting {
        /// The node.
        node: NodeId,
    },
}

/// What the leader says to a renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseWord {
    /// Renewed, and a quorum confirmed the leader meanwhile.
    Renewed,
    /// The end of the lease is being committed; ask again.
    Ending,
    /// A newer stream of the same process took over.
    Outdated,
    /// Another process with this key holds the lease.
    Twin(BootId),
    /// This server has no confirmed leader: try another.
    TryAnother,
}

/// The first word of a stream.
#[derive(Clone, Serialize, Deserialize)]
pub enum Open {
    /// AppendEntries, pipelined. Items: [`AppendEntriesRequest`] there, [`AppendAnswer`] back.
    Append(Envelope),
    /// A snapshot. Items: its bytes there, [`SnapshotAnswer`] back at the end.
    Snapshot(Envelope, Vote, Box<SnapshotMeta>, u64),
    /// A node's lease. Items: [`LeaseItem`] there, [`LeaseWord`] back.
    Lease(BootId, u64),
    /// The public part of the state. Items back: [`Followed`].
    Follow,
}

/// The answer to one pipelined append.
pub type AppendAnswer = Result<StreamAppendResult<TypeConfig>, String>;
/// The answer to a snapshot.
pub type SnapshotAnswer = Result<SnapshotResponse<TypeConfig>, String>;

/// What a node sends on its lease stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum LeaseItem {
    /// Renew, with what changed in what the node says of itself.
    Renew(Option<BTreeMap<String, String>>),
    /// The agent restarts.
    Restarting,
}

/// What a worker receives.
#[derive(Clone, Serialize, Deserialize)]
pub enum Followed {
    /// Everything, encoded: the public part of the state at this index. Comes in parts, the last
    /// of which says so.
    Snapshot {
        /// The index that it stands for.
        index: u64,
        /// A part of the encoded state.
        part: Vec<u8>,
        /// Whether it is the last.
        last: bool,
    },
    /// What changed since, if anything, and how fresh it is.
    News {
        /// The index reached.
        index: u64,
        /// The rows.
        rows: Vec<Row>,
        /// Who leads.
        leader: Option<NodeId>,
        /// Milliseconds since the server heard the leader.
        age: u64,
    },
}
