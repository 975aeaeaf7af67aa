//! Sessions: the rows, and which locks each holds.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::fold::fold;
use crate::model::{Session, SessionId, Topic};

/// The sessions of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    rows: OrdMap<SessionId, Arc<Session>>,
    by_node: OrdMap<Arc<str>, OrdSet<SessionId>>,
    held: OrdMap<SessionId, OrdSet<Arc<str>>>,
    table: u64,
}

impl Sessions {
    /// The session with this id.
    #[must_use]
    pub fn get(&self, id: &SessionId) -> Option<&Arc<Session>> {
        self.rows.get(id)
    }

    /// All sessions, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.rows.values()
    }

    /// The sessions bound to a node, by id. Ignores case.
    pub fn of_node<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Arc<Session>> + use<'a> {
        let ids = self.by_node.get(fold(node).as_ref());
        ids.into_iter().flatten().filter_map(|id| self.rows.get(id))
    }

    /// Index of the last change of any session; at least 1.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.table.max(1)
    }

    pub(super) fn held_by<'a>(&'a self, id: &SessionId) -> impl Iterator<Item = &'a str> + use<'a> {
        self.held.get(id).into_iter().flatten().map(AsRef::as_ref)
    }

    pub(super) fn insert(&mut self, mut session: Session, changes: &mut Changes) {
        session.create_index = changes.index;
        session.modify_index = changes.index;
        self.by_node
            .entry(fold(&session.node).as_ref().into())
            .or_default()
            .insert(session.id);
        self.rows.insert(session.id, Arc::new(session));
        self.table = changes.index;
        changes.touch(Topic::Sessions);
    }

    /// Takes a session out, with the keys whose locks it held.
    pub(super) fn remove(
        &mut self,
        id: &SessionId,
        changes: &mut Changes,
    ) -> Option<(Arc<Session>, OrdSet<Arc<str>>)> {
        let session = self.rows.remove(id)?;
        let node = fold(&session.node);
        if let Some(ids) = self.by_node.get_mut(node.as_ref()) {
            ids.remove(id);
            if ids.is_empty() {
                self.by_node.remove(node.as_ref());
            }
        }
        self.table = changes.index;
        changes.touch(Topic::Sessions);
        let keys = self.held.remove(id).unwrap_or_default();
        drop(node);
        Some((session, keys))
    }

    pub(super) fn holds(&mut self, id: SessionId, key: &str) {
        self.held.entry(id).or_default().insert(key.into());
    }

    pub(super) fn lets_go(&mut self, id: SessionId, key: &str) {
        if let Some(keys) = self.held.get_mut(&id) {
            keys.remove(key);
            if keys.is_empty() {
                self.held.remove(&id);
            }
        }
    }
}
