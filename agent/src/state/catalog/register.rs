//! Registrations: rows that come together, all or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Catalog;
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
        // Of rows with one id the last counts: one put over the other would be a change each time
        // that the same registration comes.
        let services = rows.services.iter().map(|row| (fold(&row.id), row));
        let services: BTreeMap<_, _> = services.collect();
        let checks = rows.checks.iter().map(|row| (fold(&row.check_id), row));
        let checks: BTreeMap<_, _> = checks.collect();
        for check in checks.values() {
            let id = fold(&check.service_id);
            let is_there = host.is_some_and(|host| host.services.contains_key(id.as_ref()));
            if !(id.is_empty() || is_there || services.contains_key(&id)) {
                return Err(Refusal::UnknownService(check.service_id.clone()));
            }
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
            self.ensure_node(node, changes);
        }
        for row in services.into_values() {
            self.ensure_service(&rows.node.name, row.clone(), changes);
        }
        for row in checks.into_values() {
            self.ensure_check(&rows.node.name, row.clone(), changes);
        }
        Ok(())
    }
}
