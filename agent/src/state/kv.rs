//! The key-value store: entries, deletions and their indexes. Who holds which lock is in
//! `sessions`; what a lock operation means is in `locks`.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::graves::Graves;
use crate::model::{KvEntry, Topic};

/// The entries, sorted by key.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kv {
    entries: OrdMap<Arc<str>, Arc<KvEntry>>,
    graves: Graves,
    table: u64,
}

impl Kv {
    /// The entry with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Arc<KvEntry>> {
        self.entries.get(key).cloned()
    }

    /// All entries whose keys begin with `prefix`, sorted by key.
    pub fn range<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<KvEntry>> {
        self.entries
            .range::<_, str>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(_, entry)| entry)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// `X-Consul-Index` of a read of one key: its modify index, or the whole store's while there
    /// is no such key. At least 1.
    #[must_use]
    pub fn key_index(&self, key: &str) -> u64 {
        let index = self.entries.get(key).map(|entry| entry.modify_index);
        index.unwrap_or(self.table).max(1)
    }

    /// `X-Consul-Index` of a read of all keys under `prefix`: the last change or deletion there,
    /// or the whole store's index if nothing is known of that prefix. At least 1.
    #[must_use]
    pub fn prefix_index(&self, prefix: &str) -> u64 {
        if prefix.is_empty() {
            return self.table.max(1);
        }
        let alive = self.range(prefix).map(|entry| entry.modify_index).max();
        let known = alive.unwrap_or(0).max(self.graves.under(prefix));
        if known == 0 {
            // Also where the graves were forgotten: whatever happened here, it was not later.
            self.table.max(1)
        } else {
            known.max(self.graves.floor())
        }
    }

    /// Puts `entry` in place.
    pub(super) fn set(&mut self, mut entry: KvEntry, changes: &mut Changes) {
        entry.modify_index = changes.index;
        self.table = changes.index;
        changes.touch(Topic::Key(entry.key.clone()));
        self.entries
            .insert(Arc::from(entry.key.as_str()), Arc::new(entry));
    }

    /// Deletes one key.
    pub(super) fn remove(&mut self, key: &str, changes: &mut Changes) -> Option<Arc<KvEntry>> {
        let (key, entry) = self.entries.remove_with_key(key)?;
        self.table = changes.index;
        changes.touch(Topic::Key(key.to_string()));
        self.graves.bury_key(key, changes.index);
        Some(entry)
    }

    /// Deletes all keys under `prefix` and says which they were.
    pub(super) fn remove_tree(&mut self, prefix: &str, changes: &mut Changes) -> Vec<Arc<KvEntry>> {
        let gone: Vec<_> = self.range(prefix).cloned().collect();
        if gone.is_empty() {
            return gone;
        }
        for entry in &gone {
            self.entries.remove(entry.key.as_str());
        }
        self.table = changes.index;
        self.graves.bury_tree(prefix, changes.index);
        changes.touch(Topic::Prefix(prefix.to_owned()));
        gone
    }
}

/// The number of entries only: values may be secrets.
impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kv")
            .field("entries", &self.entries.len())
            .field("index", &self.table)
            .finish_non_exhaustive()
    }
}
