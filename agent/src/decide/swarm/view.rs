//! What the plan is made from, and what it is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use super::records::Records;
use super::status::{Blocked, Status, Waiting};
use super::words::Offers;
use super::words::{
    EngineInfo, How, Intent, JoinOffer, Memory, Nodes, Recorded, SwarmView, Tokens,
};
use crate::model::{Member, NodeId, Role};

/// What this node sees.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// This node.
    pub me: NodeId,
    /// Its role: servers make the Swarm and manage it.
    pub role: Role,
    /// Its engine.
    pub engine: &'a EngineInfo,
    /// What the engine sees, if it manages.
    pub swarm: Option<&'a SwarmView>,
    /// What this node's disk remembers.
    pub memory: Option<&'a Memory>,
    /// What it takes to join; `None`: no Swarm is known.
    pub offer: Option<&'a JoinOffer>,
    /// What is written down; empty on workers, which can't read it.
    pub records: &'a Records,
    /// The members.
    pub members: &'a BTreeMap<NodeId, Member>,
    /// For how long the engine's state has been what it is.
    pub steady: Duration,
    /// For how long, at every look, the managers' list has not had the engine's node as this
    /// member's.
    pub unlisted: Duration,
    /// For how long this node has been leaving the cluster; `None`: it stays.
    pub leaving: Option<Duration>,
}

/// What is to be done, in this order; after the first that fails, look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write down that this node, with this engine, makes the Swarm, if the entry's index is
    /// `expect` (0: absent).
    CommitIntent {
        /// The engine's id.
        engine: String,
        /// The index.
        expect: u64,
    },
    /// Remember on disk; before the engine is changed.
    Remember(Memory),
    /// Forget it.
    ForgetMemory,
    /// Make the Swarm, after a linearizable look that the intent is still this one.
    Init(Intent),
    /// Write down which Swarm is the cluster's, if none is.
    RecordCluster(Recorded),
    /// Write down how to join it.
    RecordTokens(Tokens),
    /// Write down who is who.
    RecordNodes(Nodes),
    /// Write down what the Swarm's services say to the registrators.
    RecordOffers(Offers),
    /// Join as a worker.
    Join(JoinOffer),
    /// Take the engine out of its Swarm.
    Leave {
        /// Even though that ends the Swarm: only where it is empty and ours (rule S2).
        force: bool,
    },
    /// Make a worker a manager.
    Promote(String),
    /// Make a manager a worker.
    Demote(String),
    /// Move a node's tasks away.
    Drain(String),
    /// Strike a node off the Swarm's list.
    Remove(String),
}

/// What to do, and what to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// To be done in this order.
    pub steps: Vec<Step>,
    /// How it stands.
    pub status: Status,
}

impl Plan {
    pub(super) fn new(status: Status, steps: Vec<Step>) -> Self {
        Self { steps, status }
    }

    pub(super) fn waiting(why: Waiting) -> Self {
        Self::new(Status::Waiting(why), Vec::new())
    }

    pub(super) fn blocked(why: Blocked) -> Self {
        Self::new(Status::Blocked(why), Vec::new())
    }
}

impl<'a> View<'a> {
    /// The id of the cluster's Swarm.
    pub(super) fn recorded(&self) -> Option<&'a str> {
        let written = self
            .records
            .cluster
            .as_ref()
            .map(|at| at.value.cluster.as_str());
        written.or(self.offer.map(|offer| offer.cluster.as_str()))
    }

    /// Whether the engine's present node id is the one that the disk remembers.
    pub(super) fn remembers_node(&self) -> bool {
        self.memory
            .is_some_and(|memory| !memory.node.is_empty() && memory.node == self.engine.node)
    }

    /// Whether the managers have written the engine's node down as this member's.
    pub(super) fn is_listed(&self) -> bool {
        let listed = self.offer.and_then(|offer| offer.node.as_deref());
        listed == Some(self.engine.node.as_str())
    }

    /// Whether they had, and no longer do.
    pub(super) fn is_struck_off(&self) -> bool {
        let listed = self.memory.is_some_and(|memory| memory.listed);
        listed && self.remembers_node() && self.offer.is_some() && !self.is_listed()
    }

    pub(super) fn found(&self) -> bool {
        self.memory.is_some_and(|memory| memory.how == How::Found)
    }
}
