//! The catalog: nodes, the service instances on them, the checks of both, and their indexes.
//!
//! Owns: rows, look-ups by name, id, service and address, and which index each write moves
//! (Consul's rules, `X-Consul-Index`). Does not own: who may write which row, sessions, leases.
//!
//! Always true: every look-up table says the same as the rows; a service is there exactly as long
//! as it has an instance; names differ in more than case.

mod checks;
mod follow;
mod host;
mod indexes;
mod lookup;
mod nodes;
mod register;
mod services;
mod tables;

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::fold::{fold, fold_address};
use crate::model::{CheckRow, NodeId, NodeRow, ServiceRow};
pub use follow::CatalogRow;
use host::Host;
pub use indexes::Counters;
use lookup::Lookup;
use tables::Kind;

/// Nodes, services and checks. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    hosts: OrdMap<Arc<str>, Arc<Host>>,
    kinds: OrdMap<Arc<str>, Kind>,
    by_id: OrdMap<NodeId, Arc<str>>,
    node_addresses: Lookup<Arc<str>>,
    service_addresses: Lookup<(Arc<str>, Arc<str>)>,
    counters: Counters,
}

/// One instance of a service, with all that decides whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The node that it runs on.
    pub node: Arc<NodeRow>,
    /// The instance.
    pub service: Arc<ServiceRow>,
    /// The node's own checks, then the instance's, each sorted by id.
    pub checks: Vec<Arc<CheckRow>>,
}

impl Catalog {
    /// The node with this name, whatever the case.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Arc<NodeRow>> {
        self.host(name).map(|host| &host.row)
    }

    /// The node with this id.
    #[must_use]
    pub fn node_by_id(&self, id: NodeId) -> Option<&Arc<NodeRow>> {
        let key = self.by_id.get(&id)?;
        self.hosts.get(key).map(|host| &host.row)
    }

    /// All nodes, sorted by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<NodeRow>> {
        self.hosts.values().map(|host| &host.row)
    }

    /// The nodes with this address.
    pub fn nodes_by_address<'a>(
        &'a self,
        address: &str,
    ) -> impl Iterator<Item = &'a Arc<NodeRow>> + use<'a> {
        self.node_addresses
            .get(&fold_address(address))
            .filter_map(|key| self.hosts.get(key).map(|host| &host.row))
    }

    /// The service instances on a node, sorted by id.
    pub fn services_of<'a>(
        &'a self,
        node: &str,
    ) -> impl Iterator<Item = &'a Arc<ServiceRow>> + use<'a> {
        self.host(node)
            .into_iter()
            .flat_map(|host| host.services.values())
    }

    /// One instance of a service, by node and id.
    #[must_use]
    pub fn service(&self, node: &str, id: &str) -> Option<&Arc<ServiceRow>> {
        self.host(node)?.services.get(fold(id).as_ref())
    }

    /// The instances that have this address as their own.
    pub fn services_by_address<'a>(
        &'a self,
        address: &str,
    ) -> impl Iterator<Item = &'a Arc<ServiceRow>> + use<'a> {
        self.service_addresses
            .get(&fold_address(address))
            .filter_map(|(node, id)| self.hosts.get(node)?.services.get(id))
    }

    /// All checks of a node, its services' too, sorted by id.
    pub fn checks_of<'a>(
        &'a self,
        node: &str,
    ) -> impl Iterator<Item = &'a Arc<CheckRow>> + use<'a> {
        self.host(node)
            .into_iter()
            .flat_map(|host| host.checks.values())
    }

    /// One check, by node and id.
    #[must_use]
    pub fn check(&self, node: &str, check_id: &str) -> Option<&Arc<CheckRow>> {
        self.host(node)?.checks.get(fold(check_id).as_ref())
    }

    /// All checks, sorted by node and id.
    pub fn all_checks(&self) -> impl Iterator<Item = &Arc<CheckRow>> {
        self.hosts.values().flat_map(|host| host.checks.values())
    }

    /// All services: the name as it was first registered, and the tags of all instances.
    pub fn service_names(&self) -> impl Iterator<Item = (&str, BTreeSet<&str>)> {
        self.kinds.values().map(|kind| {
            let rows = kind
                .instances
                .iter()
                .filter_map(|(node, id)| self.hosts.get(node)?.services.get(id));
            let tags = rows.flat_map(|row| row.tags.iter().map(String::as_str));
            (kind.name.as_ref(), tags.collect())
        })
    }

    /// The instances of a service, sorted by node and id. Ignores case.
    #[must_use]
    pub fn instances(&self, service_name: &str) -> Vec<Instance> {
        let Some(kind) = self.kinds.get(fold(service_name).as_ref()) else {
            return Vec::new();
        };
        kind.instances
            .iter()
            .filter_map(|(node, id)| {
                let host = self.hosts.get(node)?;
                let service = Arc::clone(host.services.get(id)?);
                Some(Instance {
                    node: Arc::clone(&host.row),
                    service,
                    checks: host
                        .checks_on("")
                        .chain(host.checks_on(id))
                        .cloned()
                        .collect(),
                })
            })
            .collect()
    }

    fn host(&self, name: &str) -> Option<&Arc<Host>> {
        self.hosts.get(fold(name).as_ref())
    }
}
