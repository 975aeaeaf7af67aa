//! What the plan sees: the engine, the Swarm, and what is written down about both.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::decide::registrator::Port;
use crate::model::NodeId;

/// The state of an engine towards its Swarm, as Docker names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Local {
    /// In no Swarm.
    #[default]
    Inactive,
    /// Joining, or looking for its managers.
    Pending,
    /// In a Swarm.
    Active,
    /// In a Swarm that it can't take part in.
    Error,
    /// Its Swarm's data is encrypted and waits for the unlock key.
    Locked,
}

/// What an engine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// The engine's id, which ends with its data.
    pub id: String,
    /// Its state towards a Swarm.
    pub local: Local,
    /// Its node id in the Swarm; empty if none.
    pub node: String,
    /// The Swarm's id; only managers in a quorum know it.
    pub cluster: Option<String>,
    /// Whether it manages.
    pub manager: bool,
    /// Docker's own words about what is wrong; empty: nothing.
    pub error: String,
    /// Running containers.
    pub running: u64,
    /// The managers that it knows, `address:port`.
    pub managers: Vec<String>,
}

/// One node, as the managers see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwarmNode {
    /// Its id in the Swarm.
    pub id: String,
    /// Its address, without a port.
    pub address: String,
    /// Its wanted role is manager.
    pub manager: bool,
    /// Where it manages, `address:port`; absent as long as it doesn't.
    pub manages_at: Option<String>,
    /// As a manager it can be reached.
    pub reachable: bool,
    /// It leads the Swarm.
    pub leader: bool,
    /// Its engine answers the managers.
    pub ready: bool,
    /// It has not for long. Right after a change of leader it is neither this nor ready.
    pub down: bool,
    /// It takes no tasks.
    pub drained: bool,
    /// It has never told its engine's name: a join that has not come to its end, or never will.
    pub nameless: bool,
}

/// A Swarm, as its managers see it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SwarmView {
    /// Its id.
    pub cluster: String,
    /// With this an engine joins as a worker. A secret.
    pub worker_token: String,
    /// How many services it has.
    pub services: usize,
    /// Those of them that say something to the registrators.
    pub offers: Vec<SwarmService>,
    /// Its nodes.
    pub nodes: Vec<SwarmNode>,
}

/// What only managers know of a Swarm service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwarmService {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its own `SERVICE_*` labels, which its containers don't carry.
    pub labels: BTreeMap<String, String>,
    /// The ports that the Swarm publishes for it on every node.
    pub ports: Vec<SwarmPort>,
}

/// What all services of the Swarm offer, as far as it is of interest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offers {
    /// By id.
    pub services: Vec<SwarmService>,
}

/// A port that the Swarm publishes on every node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SwarmPort {
    /// The tasks' port.
    pub target: Port,
    /// The nodes' port.
    pub published: u16,
}

impl fmt::Debug for SwarmView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwarmView")
            .field("cluster", &self.cluster)
            .field("services", &self.services)
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

/// Who may make the Swarm, and on which engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The server.
    pub node: NodeId,
    /// Its engine.
    pub engine: String,
}

/// The Swarm of this cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its id.
    pub cluster: String,
}

/// What it takes to join. Engines join as workers only, so no other token is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// The worker token. A secret.
    pub worker: String,
    /// Where the managers are, `address:port`, sorted.
    pub managers: Vec<String>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("managers", &self.managers)
            .finish_non_exhaustive()
    }
}

/// Which Swarm node a member is or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// The id in the Swarm.
    pub swarm: String,
    /// The member's name, which a successor may bear.
    pub name: String,
}

/// All members' Swarm nodes, also of members that were reaped but are still in the Swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    /// By member.
    pub nodes: BTreeMap<NodeId, NodeEntry>,
}

/// What this node remembers on its own disk of how its engine came into a Swarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// How.
    pub how: How,
    /// The Swarm's id; empty while it is being made.
    pub cluster: String,
    /// The engine's node id in it; empty while it is being made or joined.
    pub node: String,
    /// The managers have listed it as this node's. If they no longer do, it was struck off.
    #[serde(default)]
    pub listed: bool,
}

impl Memory {
    /// Not listed yet.
    #[must_use]
    pub fn new(how: How, cluster: &str, node: &str) -> Self {
        Self {
            how,
            cluster: cluster.to_owned(),
            node: node.to_owned(),
            listed: false,
        }
    }
}

/// How an engine came into a Swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// This agent made it, or is about to.
    Created,
    /// This agent joined it, or is about to.
    Joined,
    /// It was there before.
    Found,
}

/// What an engine needs to join; what a server answers a worker that asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinOffer {
    /// The Swarm's id.
    pub cluster: String,
    /// Where managers are, `address:port`.
    pub remotes: Vec<String>,
    /// The token. A secret.
    pub token: String,
    /// The caller's node id in the Swarm, if the managers know one.
    pub node: Option<String>,
}

impl fmt::Debug for JoinOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinOffer")
            .field("cluster", &self.cluster)
            .field("remotes", &self.remotes)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}
