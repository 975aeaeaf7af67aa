//! The tables under the catalog: these put and drop rows and keep every look-up in step. They
//! move no index and wake nobody, so commands and followed rows go through the same doors.

use std::sync::Arc;

use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use super::Catalog;
use super::host::Host;
use crate::model::{CheckRow, NodeId, NodeRow, ServiceRow};
use crate::state::fold::{fold, fold_address};

/// A service: all instances of one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kind {
    /// The name as it was first registered.
    pub(super) name: Arc<str>,
    /// Index of the last change that a reader of this service can see.
    pub(super) index: u64,
    /// Node and id of each instance.
    pub(super) instances: OrdSet<(Arc<str>, Arc<str>)>,
}

/// `name`, folded, as a key.
pub(super) fn key_of(name: &str) -> Arc<str> {
    fold(name).as_ref().into()
}

impl Catalog {
    pub(super) fn put_node(&mut self, row: Arc<NodeRow>) {
        let key = key_of(&row.name);
        if let Some(host) = self.hosts.get(&key) {
            let before = Arc::clone(&host.row);
            self.unlink_node(&key, &before);
        }
        self.node_addresses
            .add(&fold_address(&row.address), Arc::clone(&key));
        if row.id != NodeId::default() {
            self.by_id.insert(row.id, Arc::clone(&key));
        }
        match self.hosts.get_mut(&key) {
            Some(host) => Arc::make_mut(host).row = row,
            None => {
                self.hosts.insert(key, Arc::new(Host::new(row)));
            }
        }
    }

    /// Drops a node with everything on it.
    pub(super) fn drop_node(&mut self, key: &str) -> Option<Arc<Host>> {
        let (key, host) = self.hosts.remove_with_key(key)?;
        self.unlink_node(&key, &host.row);
        for (id, row) in &host.services {
            self.unlink_service(&key, id, row);
        }
        Some(host)
    }

    /// Puts a service on a node that is there.
    pub(super) fn put_service(&mut self, row: Arc<ServiceRow>) {
        let (node, id) = (key_of(&row.node), key_of(&row.id));
        let Some(host) = self.hosts.get_mut(&node) else {
            return;
        };
        let before = Arc::make_mut(host)
            .services
            .insert(Arc::clone(&id), Arc::clone(&row));
        if let Some(before) = before {
            // Its name must not lose its last instance in between: a service keeps its index.
            if fold(&before.name) == fold(&row.name) {
                self.unlink_address(&node, &id, &before);
            } else {
                self.unlink_service(&node, &id, &before);
            }
        }
        if !row.address.is_empty() {
            self.service_addresses.add(
                &fold_address(&row.address),
                (Arc::clone(&node), Arc::clone(&id)),
            );
        }
        let kind = self.kinds.entry(key_of(&row.name)).or_insert_with(|| Kind {
            name: row.name.as_str().into(),
            index: 0,
            instances: OrdSet::new(),
        });
        kind.instances.insert((node, id));
    }

    pub(super) fn drop_service(&mut self, node: &str, id: &str) -> Option<Arc<ServiceRow>> {
        let host = Arc::make_mut(self.hosts.get_mut(node)?);
        let row = host.services.remove(id)?;
        self.unlink_service(&node.into(), &id.into(), &row);
        Some(row)
    }

    /// Puts a check on a node that is there.
    pub(super) fn put_check(&mut self, row: Arc<CheckRow>) {
        let (node, id) = (key_of(&row.node), key_of(&row.check_id));
        let Some(host) = self.hosts.get_mut(&node) else {
            return;
        };
        let host = Arc::make_mut(host);
        let service = fold(&row.service_id).into_owned();
        if let Some(before) = host.checks.insert(Arc::clone(&id), row) {
            host.attached.remove(&fold(&before.service_id), &id);
        }
        host.attached.add(&service, id);
    }

    pub(super) fn drop_check(&mut self, node: &str, id: &str) -> Option<Arc<CheckRow>> {
        let host = Arc::make_mut(self.hosts.get_mut(node)?);
        let (id, row) = host.checks.remove_with_key(id)?;
        host.attached.remove(&fold(&row.service_id), &id);
        Some(row)
    }

    fn unlink_node(&mut self, key: &Arc<str>, row: &NodeRow) {
        self.node_addresses.remove(&fold_address(&row.address), key);
        if self.by_id.get(&row.id) == Some(key) {
            self.by_id.remove(&row.id);
        }
    }

    fn unlink_service(&mut self, node: &Arc<str>, id: &Arc<str>, row: &ServiceRow) {
        self.unlink_address(node, id, row);
        let name = fold(&row.name);
        if let Some(kind) = self.kinds.get_mut(name.as_ref()) {
            kind.instances.remove(&(Arc::clone(node), Arc::clone(id)));
            if kind.instances.is_empty() {
                self.kinds.remove(name.as_ref());
            }
        }
    }

    fn unlink_address(&mut self, node: &Arc<str>, id: &Arc<str>, row: &ServiceRow) {
        let place = (Arc::clone(node), Arc::clone(id));
        self.service_addresses
            .remove(&fold_address(&row.address), &place);
    }
}
