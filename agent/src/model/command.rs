//! Commands, the only way to change the replicated state, and their replies.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    BootId, CaRow, CheckStatus, ClusterId, ClusterTime, Duty, DutyHolder, Member, Name, NodeId,
    Registration, Session, SessionId, TokenId, TokenRow,
};

/// Names one request of one process, so that a retry is answered like the first try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// The node that the request came in at.
    pub node: NodeId,
    /// Its process.
    pub boot: BootId,
    /// Its number there, from 1.
    pub seq: u64,
    /// All numbers up to this one are settled there: never retried, their replies can be dropped.
    pub settled: u64,
}

/// What raft replicates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// `None` only for the leader's own commands, which are idempotent.
    pub request: Option<RequestId>,
    /// Set by the leader when it proposes.
    pub time: ClusterTime,
    /// What is to change.
    pub op: Op,
}

/// For raft's log lines: the kind of change, never its content.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.op {
            Op::InitCluster(_) => "init cluster",
            Op::Kv(_) => "kv",
            Op::SessionCreate(_) => "session create",
            Op::SessionDestroy(_) => "session destroy",
            Op::SessionsExpire(_) => "sessions expire",
            Op::Register(_) => "register",
            Op::Deregister { .. } => "deregister",
            Op::CheckUpdate { .. } => "check update",
            Op::MemberJoin(_) => "member join",
            Op::Lease { .. } => "lease",
            Op::MemberRemove(_) => "member remove",
            Op::TokenPut(_) => "token put",
            Op::TokenRevoke(_) => "token revoke",
            Op::HiddenPut { .. } => "hidden put",
            Op::DutyTake { .. } => "duty take",
            Op::DutyRelease { .. } => "duty release",
            Op::SetExpect(_) => "set expect",
            Op::Restore(_) => "restore",
            Op::Tick => "tick",
        })
    }
}

/// A change to the replicated state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Begins the cluster. Idempotent for the same cluster id.
    InitCluster(Box<Genesis>),
    /// A write to the KV store.
    Kv(KvOp),
    /// Creates a session.
    SessionCreate(Box<Session>),
    /// Ends a session at a client's wish; `true` even if there is none.
    SessionDestroy(SessionId),
    /// Ends sessions whose TTL is over.
    SessionsExpire(Vec<SessionId>),
    /// Puts rows into the catalog.
    Register(Box<Registration>),
    /// Removes a node with all its rows, or one service, or one check.
    Deregister {
        /// The node's name.
        node: String,
        /// A service id; wins over `check`.
        service: Option<String>,
        /// A check id.
        check: Option<String>,
    },
    /// A new result of a check that exists.
    CheckUpdate {
        /// The node's name.
        node: String,
        /// The check.
        check: String,
        /// Its status.
        status: CheckStatus,
        /// Its output.
        output: String,
    },
    /// Admits a member, or renews the row of one with the same key.
    MemberJoin(Box<Member>),
    /// What the leader saw of a member's lease.
    Lease {
        /// The member.
        node: NodeId,
        /// The process that it was about; an event about another process is ignored.
        boot: BootId,
        /// What happened.
        event: LeaseEvent,
    },
    /// The member goes: its rows, sessions and duties with it. Its id is never admitted again.
    MemberRemove(NodeId),
    /// Adds or replaces a token.
    TokenPut(Box<TokenRow>),
    /// Revokes a token.
    TokenRevoke(TokenId),
    /// Sets a hidden entry; with `expect`, only if its present value's index is that (0: absent).
    HiddenPut {
        /// The entry's name, such as `swarm/tokens`.
        key: String,
        /// Its value; `None` removes it.
        value: Option<Bytes>,
        /// The index that it must have.
        expect: Option<u64>,
    },
    /// Takes a duty if it is free and the taker's lease is held.
    DutyTake {
        /// Which.
        duty: Duty,
        /// Who.
        node: NodeId,
        /// In which process.
        boot: BootId,
    },
    /// Gives a duty back, if the giver has it.
    DutyRelease {
        /// Which.
        duty: Duty,
        /// Who.
        node: NodeId,
    },
    /// Changes nothing but the cluster's time.
    Tick,
    /// How many voters the cluster has from now on.
    SetExpect(u32),
    /// Puts a saved state in place of what clients wrote.
    Restore(Box<Saved>),
}

/// What a snapshot for people holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// All keys.
    pub entries: Vec<super::KvEntry>,
    /// Nodes without an agent, with their services and checks.
    pub registrations: Vec<Registration>,
}

/// What happens to a member's lease, in the order of its three speeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseEvent {
    /// It is held (again) by this process.
    Held,
    /// It lapsed, or the connection closed: out of DNS and health; `serfHealth` critical; duties fall.
    Lapsed,
    /// `session_grace` is over: sessions bound to `serfHealth` fall.
    Silent,
    /// `grace` is over: the member has failed.
    Failed,
    /// It said that it is leaving for good.
    Leaving,
}

/// A write to the KV store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvOp {
    /// Sets a value.
    Put {
        /// The key.
        key: String,
        /// Its value.
        value: Bytes,
        /// Its flags.
        flags: u64,
        /// Only if the key's modify index is this (0: absent).
        cas: Option<u64>,
    },
    /// Takes the lock on a key and sets its value.
    Acquire {
        /// The key.
        key: String,
        /// Its value.
        value: Bytes,
        /// Its flags.
        flags: u64,
        /// The holder to be.
        session: SessionId,
    },
    /// Gives the lock on a key back and sets its value.
    Release {
        /// The key.
        key: String,
        /// Its value.
        value: Bytes,
        /// Its flags.
        flags: u64,
        /// The holder.
        session: SessionId,
    },
    /// Deletes a key.
    Delete {
        /// The key.
        key: String,
        /// Only if its modify index is this; an absent key counts as deleted.
        cas: Option<u64>,
    },
    /// Deletes all keys with a prefix.
    DeletePrefix {
        /// The prefix; empty: every key.
        prefix: String,
    },
}

/// Everything that a cluster starts with. Made once by the proposer of the bootstrap and handed
/// to every founder, so that whoever is elected first proposes the very same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The cluster's identity.
    pub cluster: ClusterId,
    /// Its stack.
    pub stack: Name,
    /// Its data center.
    pub dc: Name,
    /// How many voters it has.
    pub expect: u32,
    /// The first servers.
    pub founders: Vec<Member>,
    /// The CA.
    pub ca: CaRow,
    /// The server token's row and those of the tokens derived from it.
    pub tokens: Vec<TokenRow>,
    /// First hidden entries, such as the registry's `http.secret`.
    pub hidden: BTreeMap<String, Bytes>,
}

/// What a command comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It is done, or was so already.
    Done,
    /// A KV write, an expectation: whether it took effect.
    Bool(bool),
    /// A duty's holder after the command.
    Duty(Option<DutyHolder>),
    /// It was refused and changed nothing.
    Refused(Refusal),
}

/// Why a command was refused. The texts that Consul's clients match on are theirs to the letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// A command came before the cluster began.
    #[error("the cluster has not been initialised yet")]
    NotInitialised,
    /// `InitCluster` with another id.
    #[error("this is cluster {ours}, not {theirs}")]
    OtherCluster {
        /// The state's cluster.
        ours: ClusterId,
        /// The command's.
        theirs: ClusterId,
    },
    /// A lock for a session that does not exist.
    #[error("invalid session \"{0}\"")]
    InvalidSession(SessionId),
    /// A session on a check that does not exist.
    #[error("Missing check '{0}' registration")]
    MissingCheck(String),
    /// A session on a check that is critical.
    #[error("Check '{0}' is in critical state")]
    CriticalCheck(String),
    /// A session or a row for a node that is not in the catalog.
    #[error("Missing node registration")]
    MissingNode,
    /// A check for a service that is not on the node.
    #[error("Unknown service ID '{0}'")]
    UnknownService(String),
    /// A check that is not there.
    #[error("Unknown check ID '{0}'")]
    UnknownCheck(String),
    /// A name that belongs to another key whose lease is held, or to another role.
    #[error(
        "the name {name} belongs to {role} {holder} at {address}; remove that member first, or choose another name"
    )]
    NameTaken {
        /// The name.
        name: Name,
        /// The holder's role.
        role: super::Role,
        /// The holder.
        holder: NodeId,
        /// Its address.
        address: std::net::IpAddr,
    },
    /// A node id that was removed.
    #[error(
        "node {0} was removed from the cluster and its id is not admitted again; wipe its data directory to let it join anew"
    )]
    Fenced(NodeId),
    /// Not a member.
    #[error("node {0} is not a member of the cluster")]
    NotAMember(NodeId),
    /// The id of a token that does not exist.
    #[error("there is no token {0}")]
    UnknownToken(TokenId),
    /// A request that its node had called settled before: a stray copy that nobody waits for.
    #[error("request {seq} of node {node} was settled before")]
    Settled {
        /// The node.
        node: NodeId,
        /// The request's number.
        seq: u64,
    },
}
