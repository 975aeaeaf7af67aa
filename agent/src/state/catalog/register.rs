//! Registrations: rows that come together, all or none.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Catalog;
use super::tables::key_of;
use crate::model::{NodeId, Refusal, Registration};
use crate::state::changes::Changes;
use crate::state::fold::fold;

impl Catalog {
    /// Puts the rows in place. A node row that belongs to a member is changed by that member only.
    pub(in crate::state) fn register(
        &mut self,
        rows: &Registration,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let host = self.host(&rows.node.name);
        let mut ids: BTreeSet<Arc<str>> = rows.services.iter().map(|row| key_of(&row.id)).collect();
        ids.extend(
            host.into_iter()
                .flat_map(|host| host.services.keys().cloned()),
        );
        let on_node = |id: &str| id.is_empty() || ids.contains(fold(id).as_ref());
        if let Some(check) = rows.checks.iter().find(|row| !on_node(&row.service_id)) {
            return Err(Refusal::UnknownService(check.service_id.clone()));
        }
        let before = host.map(|host| Arc::clone(&host.row));
        if before.is_none() && rows.skip_node_update && rows.node.address.is_empty() {
            return Err(Refusal::MissingNode);
        }
        let foreign = before
            .as_ref()
            .is_some_and(|before| before.owner.is_some() && before.owner != rows.node.owner);
        if before.is_none() || !(rows.skip_node_update || foreign) {
            let mut node = rows.node.clone();
            if let Some(before) = before.filter(|_| node.id == NodeId::default()) {
                node.id = before.id;
            }
            self.free_id(&node.name, node.id, changes);
            self.ensure_node(node, changes);
        }
        for row in &rows.services {
            self.ensure_service(&rows.node.name, row.clone(), changes);
        }
        for row in &rows.checks {
            self.ensure_check(&rows.node.name, row.clone(), changes);
        }
        Ok(())
    }

    /// A node that comes with the id of another one is that node under a new name.
    fn free_id(&mut self, name: &str, id: NodeId, changes: &mut Changes) {
        if id == NodeId::default() {
            return;
        }
        let former = self.node_by_id(id).map(|row| row.name.clone());
        if let Some(former) = former.filter(|former| fold(former) != fold(name)) {
            self.remove_node(&former, changes);
        }
    }
}
