//! Hidden entries: secrets of the cluster's own, out of the KV API's reach.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::changes::Changes;
use crate::model::{Reply, Topic};

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hidden {
    entries: OrdMap<Arc<str>, (Bytes, u64)>,
}

impl Hidden {
    pub(super) fn get(&self, key: &str) -> Option<(&Bytes, u64)> {
        self.entries.get(key).map(|(value, index)| (value, *index))
    }

    pub(super) fn under<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Bytes, u64)> {
        self.entries
            .range::<_, str>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, (value, index))| (key.as_ref(), value, *index))
    }

    /// Sets or removes an entry; with `expect`, only if its index is that (0: absent).
    pub(super) fn put(
        &mut self,
        key: &str,
        value: Option<Bytes>,
        expect: Option<u64>,
        changes: &mut Changes,
    ) -> Reply {
        let before = self.entries.get(key);
        let index = before.map_or(0, |(_, index)| *index);
        if expect.is_some_and(|expect| expect != index) {
            return Reply::Bool(false);
        }
        if before.map(|(value, _)| value) != value.as_ref() {
            match value {
                Some(value) => self.entries.insert(key.into(), (value, changes.index)),
                None => self.entries.remove(key),
            };
            changes.touch(Topic::Hidden);
        }
        Reply::Bool(true)
    }
}

/// Names only.
impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}
