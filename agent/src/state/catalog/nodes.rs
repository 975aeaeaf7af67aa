//! Writes of node rows.

use std::sync::Arc;

use super::Catalog;
use super::tables::key_of;
use crate::model::{NodeRow, Topic};
use crate::state::changes::{Broken, Changes};
use crate::state::fold::fold;

impl Catalog {
    /// Puts a node's row in place, unless it says nothing new.
    pub(in crate::state) fn ensure_node(&mut self, mut row: NodeRow, changes: &mut Changes) {
        let key = key_of(&row.name);
        let before = self.hosts.get(&key).cloned();
        if let Some(before) = &before {
            row.name.clone_from(&before.row.name);
            row.create_index = before.row.create_index;
            row.modify_index = before.row.modify_index;
            if *before.row == row {
                return;
            }
        } else {
            row.create_index = changes.index;
        }
        row.modify_index = changes.index;
        self.free_id(&row, changes);
        self.put_node(Arc::new(row));
        self.counters.nodes = changes.index;
        changes.touch(Topic::Nodes);
        self.bump_node(&key, changes);
        if let Some(before) = before {
            self.bump_services_on(&before, changes);
        }
    }

    /// A node that comes with the id of another one is that node under a new name.
    fn free_id(&mut self, row: &NodeRow, changes: &mut Changes) {
        let former = self.node_by_id(row.id).map(|former| former.name.clone());
        if let Some(former) = former.filter(|former| fold(former) != fold(&row.name)) {
            self.remove_node(&former, changes);
        }
    }

    /// Removes a node with everything on it.
    pub(in crate::state) fn remove_node(&mut self, name: &str, changes: &mut Changes) {
        let Some(host) = self.drop_node(&fold(name)) else {
            return;
        };
        let key = key_of(name);
        self.counters.nodes = changes.index;
        self.counters.node_extinct = changes.index;
        changes.touch(Topic::Nodes);
        changes.touch(Topic::Node(key.to_string()));
        if !host.services.is_empty() {
            self.counters.services = changes.index;
            changes.touch(Topic::Services);
            self.bump_services_on(&host, changes);
        }
        if !host.checks.is_empty() {
            self.counters.checks = changes.index;
            changes.touch(Topic::Checks);
        }
        changes.broke(Broken::Node(key));
    }
}
