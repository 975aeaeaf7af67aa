//! How it stands between the engine and the Swarm, in words for the operator.

use std::fmt;

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The engine manages the cluster's Swarm.
    Manager,
    /// The engine works in the cluster's Swarm.
    Worker,
    /// It will be better by itself.
    Waiting(Waiting),
    /// Someone has to act.
    Blocked(Blocked),
    /// The node is leaving the cluster and its engine has left the Swarm.
    Left,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The servers have not made the Swarm yet.
    Swarm,
    /// The named server is to make the Swarm.
    Maker(String),
    /// This node is making the Swarm.
    Making,
    /// The Swarm is made, its join token is not written down yet.
    Managers,
    /// The engine is joining.
    Joining,
    /// A server's engine works, and is to manage once that is safe.
    Promotion,
    /// The engine is busy with its Swarm; Docker's words, if any.
    Engine(String),
    /// Managers can't reach each other; Docker's words, if any.
    Quorum(String),
    /// A leaving node's containers are ending.
    Drain,
    /// A leaving manager is to be made a worker.
    Demotion,
    /// The engine is leaving its Swarm.
    Leaving,
}

/// What stands in the way until someone acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Swarm's autolock is on.
    Locked,
    /// No manager is left to join.
    NoManagers(String),
    /// The engine is in a Swarm that this agent neither made nor joined.
    Foreign(Option<String>),
    /// The engine is in a Swarm of ours that is not the cluster's and is not empty.
    ForeignInUse {
        /// Its id.
        cluster: String,
        /// How many nodes.
        nodes: usize,
        /// How many services.
        services: usize,
    },
    /// The engine can't take part in its Swarm; Docker's words, if any.
    Engine(String),
    /// This node is leaving, but its engine is the last manager of a Swarm that is in use or was
    /// not made here.
    LastManager {
        /// How many services.
        services: usize,
    },
}

impl Status {
    /// Whether the engine is where it should be.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Manager | Self::Worker)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manager => f.write_str("manager, ready"),
            Self::Worker => f.write_str("worker, ready"),
            Self::Waiting(why) => fmt::Display::fmt(why, f),
            Self::Blocked(why) => write!(f, "blocked: {why}"),
            Self::Left => f.write_str("left"),
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Swarm => f.write_str("waiting for a server to make the Swarm"),
            Self::Maker(name) => write!(
                f,
                "waiting for {name} to make the Swarm (another server may once {name} is no member any more)"
            ),
            Self::Making => f.write_str("making the Swarm"),
            Self::Managers => f.write_str("waiting for the Swarm's join token"),
            Self::Joining => f.write_str("joining the Swarm"),
            Self::Promotion => f.write_str("worker, waiting to be promoted to manager"),
            Self::Engine(words) => said(f, "waiting for the engine to reach its Swarm", words),
            Self::Quorum(words) => said(
                f,
                "waiting for the Swarm's managers to have a quorum",
                words,
            ),
            Self::Drain => f.write_str("leaving: waiting for containers to end"),
            Self::Demotion => f.write_str("leaving: waiting to be demoted"),
            Self::Leaving => f.write_str("leaving its Swarm"),
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LEAVE: &str = "if it is not needed, run `docker swarm leave --force` on this node";
        match self {
            Self::Locked => {
                f.write_str("the engine's Swarm is locked: run `docker swarm unlock` on this node")
            }
            Self::NoManagers(cluster) => write!(
                f,
                "the cluster's Swarm {cluster} has no manager left that this engine could join"
            ),
            Self::Foreign(Some(cluster)) => write!(
                f,
                "the engine is in Swarm {cluster}, which this agent neither made nor joined: {LEAVE}"
            ),
            Self::Foreign(None) => write!(
                f,
                "the engine is in a Swarm that this agent did not join: {LEAVE}"
            ),
            Self::ForeignInUse {
                cluster,
                nodes,
                services,
            } => write!(
                f,
                "the engine is in Swarm {cluster}, which is not the cluster's and has {nodes} nodes and {services} services: {LEAVE}"
            ),
            Self::Engine(words) => said(
                f,
                "the engine can't take part in its Swarm (if this lasts, replace the node)",
                words,
            ),
            Self::LastManager { services } => write!(
                f,
                "leaving, but this engine is the Swarm's last manager ({services} services): it stays in its Swarm"
            ),
        }
    }
}

fn said(f: &mut fmt::Formatter<'_>, what: &str, words: &str) -> fmt::Result {
    f.write_str(what)?;
    if words.is_empty() {
        Ok(())
    } else {
        write!(f, ": {words}")
    }
}
