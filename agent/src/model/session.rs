//! Sessions, the holders of locks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::uuid_word;

uuid_word! {
    /// A session's identity, made by the agent that asked for it, before the command is logged.
    SessionId
}

/// What becomes of the keys that a session holds when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionBehavior {
    /// The lock is released, the key stays.
    #[default]
    Release,
    /// The key is deleted.
    Delete,
}

/// A session (<https://developer.hashicorp.com/consul/api-docs/session>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its identity.
    pub id: SessionId,
    /// A label for people, possibly empty.
    pub name: String,
    /// The catalog's name of the node that it is bound to.
    pub node: String,
    /// How long after its end no one may take the locks that it held (at most 60 s).
    pub lock_delay: Duration,
    /// What becomes of its keys.
    pub behavior: SessionBehavior,
    /// It ends between one and two of these after its last renewal; `None`: no limit.
    pub ttl: Option<Duration>,
    /// The TTL as the client wrote it (`"15s"`), since clients read it back.
    pub ttl_text: String,
    /// Check ids of the node; the session ends when one is critical. `serfHealth` stands for the
    /// node's own lease and ends the session after `session_grace`.
    pub node_checks: Vec<String>,
    /// Check ids of services on the node; the session ends when one is critical.
    pub service_checks: Vec<String>,
    /// Index of the command that made it.
    pub create_index: u64,
    /// Index of the last command that changed it.
    pub modify_index: u64,
}
