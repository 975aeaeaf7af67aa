//! Writes of check rows.

use std::sync::Arc;

use super::Catalog;
use super::tables::key_of;
use crate::model::{CheckRow, CheckStatus, SERF_HEALTH, Topic};
use crate::state::changes::{Broken, Changes};
use crate::state::fold::fold;

impl Catalog {
    /// Puts a check on a node that is there, unless it says nothing new. The name and the tags of
    /// its service are filled in.
    pub(in crate::state) fn ensure_check(
        &mut self,
        node: &str,
        mut row: CheckRow,
        changes: &mut Changes,
    ) {
        let (node, id) = (key_of(node), key_of(&row.check_id));
        let Some(host) = self.hosts.get(&node) else {
            return;
        };
        row.node.clone_from(&host.row.name);
        match host.services.get(&key_of(&row.service_id)) {
            Some(service) => {
                row.service_name.clone_from(&service.name);
                row.service_tags.clone_from(&service.tags);
            }
            None => {
                row.service_name.clear();
                row.service_tags.clear();
            }
        }
        let before = host.checks.get(&id).cloned();
        if let Some(before) = &before {
            row.create_index = before.create_index;
            row.modify_index = before.modify_index;
            if **before == row {
                return;
            }
        } else {
            row.create_index = changes.index;
        }
        row.modify_index = changes.index;
        // A member's lease ends its sessions later than its health (safety.md L1).
        let of_lease = host.row.owner.is_some() && *id == *fold(SERF_HEALTH);
        if row.status == CheckStatus::Critical && !of_lease {
            changes.broke(Broken::Check {
                node: Arc::clone(&node),
                check: id,
            });
        }
        let row = Arc::new(row);
        self.put_check(Arc::clone(&row));
        if let Some(before) = before.filter(|before| before.service_id != row.service_id) {
            self.bump_check(&node, &before, changes);
        }
        self.bump_check(&node, &row, changes);
    }

    /// Removes a check from a node.
    pub(in crate::state) fn remove_check(&mut self, node: &str, id: &str, changes: &mut Changes) {
        let (node, check) = (key_of(node), key_of(id));
        if let Some(row) = self.drop_check(&node, &check) {
            self.bump_check(&node, &row, changes);
            changes.broke(Broken::Check { node, check });
        }
    }

    /// Readers of what this check is about see a change.
    fn bump_check(&mut self, node: &str, row: &CheckRow, changes: &mut Changes) {
        self.counters.checks = changes.index;
        changes.touch(Topic::Checks);
        changes.touch(Topic::Node(node.to_owned()));
        if row.service_id.is_empty() {
            if let Some(host) = self.hosts.get(node).cloned() {
                self.bump_services_on(&host, changes);
            }
        } else if !row.service_name.is_empty() {
            self.bump_service(&row.service_name, changes);
        }
    }
}
