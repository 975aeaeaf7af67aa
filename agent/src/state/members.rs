//! The members' rows, and the ids that are never admitted again.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::fold::fold;
use crate::model::{Member, NodeId, Topic};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Members {
    rows: OrdMap<NodeId, Arc<Member>>,
    by_name: OrdMap<Arc<str>, NodeId>,
    fenced: OrdSet<NodeId>,
    table: u64,
}

impl Members {
    pub(super) fn get(&self, id: NodeId) -> Option<&Arc<Member>> {
        self.rows.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.rows.values()
    }

    pub(super) fn named(&self, name: &str) -> Option<&Arc<Member>> {
        self.rows.get(self.by_name.get(fold(name).as_ref())?)
    }

    pub(super) fn is_fenced(&self, id: NodeId) -> bool {
        self.fenced.contains(&id)
    }

    pub(super) fn index(&self) -> u64 {
        self.table.max(1)
    }

    /// The member whose node of the catalog has this name, and that is not `id`.
    pub(super) fn other_named(&self, name: &str, id: NodeId) -> Option<&Arc<Member>> {
        self.named(name).filter(|member| member.id != id)
    }

    /// Puts a row in place, unless it says nothing new.
    pub(super) fn set(&mut self, row: Member, changes: &mut Changes) {
        if self.rows.get(&row.id).is_none_or(|before| **before != row) {
            self.put(Arc::new(row));
            self.touched(changes);
        }
    }

    /// Takes a member out and fences its id.
    pub(super) fn fence(&mut self, id: NodeId, changes: &mut Changes) {
        self.drop_row(id);
        self.fenced.insert(id);
        self.touched(changes);
    }

    fn touched(&mut self, changes: &mut Changes) {
        self.table = changes.index;
        changes.touch(Topic::Members);
    }

    /// Puts a row in place and nothing else.
    pub(super) fn put(&mut self, row: Arc<Member>) {
        self.drop_row(row.id);
        self.by_name.insert(row.name.as_str().into(), row.id);
        self.rows.insert(row.id, row);
    }

    pub(super) fn drop_row(&mut self, id: NodeId) {
        let Some(row) = self.rows.remove(&id) else {
            return;
        };
        if self.by_name.get(row.name.as_str()) == Some(&id) {
            self.by_name.remove(row.name.as_str());
        }
    }

    pub(super) fn rows(&self) -> &OrdMap<NodeId, Arc<Member>> {
        &self.rows
    }

    pub(super) fn fenced(&self) -> &OrdSet<NodeId> {
        &self.fenced
    }

    pub(super) fn set_fenced(&mut self, id: NodeId, fenced: bool) {
        if fenced {
            self.fenced.insert(id);
        } else {
            self.fenced.remove(&id);
        }
    }

    /// The index as it is kept: 0 before the first member.
    pub(super) fn table(&self) -> u64 {
        self.table
    }

    pub(super) fn set_index(&mut self, index: u64) {
        self.table = index;
    }
}
