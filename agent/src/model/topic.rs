//! What a watcher can wait for.

use serde::{Deserialize, Serialize};

/// A part of the state whose change wakes those who watch it. Names are folded to lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Topic {
    /// One key of the KV store.
    Key(String),
    /// All keys with this prefix.
    Prefix(String),
    /// Any session.
    Sessions,
    /// Any node row.
    Nodes,
    /// Any service instance, anywhere.
    Services,
    /// Any check.
    Checks,
    /// The instances of one service, their checks, and the nodes that they run on.
    Service(String),
    /// One node's row, services and checks.
    Node(String),
    /// Members, their status and addresses.
    Members,
    /// Join tokens and the CA.
    Trust,
    /// Who has which duty.
    Duties,
    /// The hidden entries (Swarm's secrets and the like).
    Hidden,
}
