//! Entries of the key-value store.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::SessionId;

/// One key with its value, as Consul's KV knows it
/// (<https://developer.hashicorp.com/consul/api-docs/kv>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvEntry {
    /// The whole key, slashes included.
    pub key: String,
    /// The value, at most 512 KiB.
    pub value: Bytes,
    /// An opaque number of the client's.
    pub flags: u64,
    /// The session that holds the lock on this key.
    pub session: Option<SessionId>,
    /// How often the lock on this key was taken by another holder than before.
    pub lock_index: u64,
    /// Index of the command that made the key.
    pub create_index: u64,
    /// Index of the last command that changed the key.
    pub modify_index: u64,
}
