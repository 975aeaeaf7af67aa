//! What raft is told about our types.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use openraft::RaftTypeConfig;
use openraft::vote::RaftLeaderId;
use serde::{Deserialize, Serialize};

openraft::declare_raft_types!(
    /// Our commands, replies and identities as openraft's parameters.
    pub TypeConfig:
        D = crate::model::Command,
        R = crate::model::Reply,
        NodeId = crate::model::NodeId,
        Node = Peer,
);

/// One log entry.
pub type Entry = <TypeConfig as RaftTypeConfig>::Entry;
/// Term, leader and index of an entry.
pub type LogId =
    openraft::LogId<<<TypeConfig as RaftTypeConfig>::LeaderId as RaftLeaderId>::Committed>;
/// Whom this node voted for, and in which term.
pub type Vote = <TypeConfig as RaftTypeConfig>::Vote;

/// A server as raft's membership knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Where its RPC port is.
    pub rpc: SocketAddr,
    /// The node's name, for people.
    pub name: String,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            rpc: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            name: String::new(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.rpc)
    }
}
