//! Writes of service rows.

use std::sync::Arc;

use super::Catalog;
use super::tables::key_of;
use crate::model::{CheckRow, ServiceRow, Topic};
use crate::state::changes::Changes;
use crate::state::fold::fold;

impl Catalog {
    /// Puts a service on a node that is there, unless it says nothing new.
    pub(in crate::state) fn ensure_service(
        &mut self,
        node: &str,
        mut row: ServiceRow,
        changes: &mut Changes,
    ) {
        let (node, id) = (key_of(node), key_of(&row.id));
        let Some(host) = self.hosts.get(&node) else {
            return;
        };
        row.node.clone_from(&host.row.name);
        let before = host.services.get(&id).cloned();
        let mut former_name = None;
        if let Some(before) = &before {
            row.create_index = before.create_index;
            row.modify_index = before.modify_index;
            if **before == row {
                return;
            }
            former_name = Some(before.name.clone()).filter(|name| fold(name) != fold(&row.name));
        } else {
            row.create_index = changes.index;
        }
        row.modify_index = changes.index;
        let checks: Vec<_> = host.checks_on(&id).cloned().collect();
        let name = row.name.clone();
        self.put_service(Arc::new(row));
        self.counters.services = changes.index;
        changes.touch(Topic::Services);
        self.bump_node(&node, changes);
        self.bump_service(&name, changes);
        if let Some(former) = former_name {
            self.bump_service(&former, changes);
        }
        for check in checks {
            self.ensure_check(&node, CheckRow::clone(&check), changes);
        }
    }

    /// Removes a service and its checks from a node.
    pub(in crate::state) fn remove_service(&mut self, node: &str, id: &str, changes: &mut Changes) {
        let (node, id) = (key_of(node), key_of(id));
        let Some(host) = self
            .hosts
            .get(&node)
            .filter(|host| host.services.contains_key(&id))
        else {
            return;
        };
        let checks: Vec<_> = host.checks_on(&id).cloned().collect();
        for check in checks {
            self.remove_check(&node, &check.check_id, changes);
        }
        let Some(row) = self.drop_service(&node, &id) else {
            return;
        };
        self.counters.services = changes.index;
        changes.touch(Topic::Services);
        self.bump_node(&node, changes);
        self.bump_service(&row.name, changes);
    }
}
