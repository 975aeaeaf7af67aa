//! The catalog's differences.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use serde::{Deserialize, Serialize};

use super::host::Host;
use super::tables::key_of;
use super::{Catalog, Counters};
use crate::model::{CheckRow, NodeRow, ServiceRow, Topic};

/// One difference between two catalogs. Names and ids of what went, and of what an index is
/// about, are folded to lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CatalogRow {
    /// A node went with everything on it.
    NodeGone(Arc<str>),
    /// A service went from a node.
    ServiceGone(Arc<str>, Arc<str>),
    /// A check went from a node.
    CheckGone(Arc<str>, Arc<str>),
    /// A node's row.
    Node(Arc<NodeRow>),
    /// A service instance.
    Service(Arc<ServiceRow>),
    /// A check.
    Check(Arc<CheckRow>),
    /// Index of a node's last change.
    NodeIndex(Arc<str>, u64),
    /// A service's name as it was first registered, and the index of its last change.
    ServiceIndex(Arc<str>, u64),
    /// Indexes of the tables.
    Counters(Counters),
}

type Push<'a> = dyn FnMut(CatalogRow) + 'a;

impl Catalog {
    /// What turns this catalog into `new`: what goes, then rows, then indexes.
    pub(in crate::state) fn delta(&self, new: &Self, push: &mut Push<'_>) {
        let hosts: Vec<_> = self.hosts.diff(&new.hosts).collect();
        for difference in &hosts {
            if let DiffItem::Remove(key, _) = difference {
                push(CatalogRow::NodeGone(Arc::clone(key)));
            }
        }
        for difference in &hosts {
            match difference {
                DiffItem::Add(key, host) => host_delta(key, None, host, push),
                DiffItem::Update {
                    old: (_, old),
                    new: (key, host),
                } => host_delta(key, Some(old), host, push),
                DiffItem::Remove(..) => {}
            }
        }
        for difference in self.kinds.diff(&new.kinds) {
            if let DiffItem::Add(_, kind) | DiffItem::Update { new: (_, kind), .. } = difference {
                push(CatalogRow::ServiceIndex(Arc::clone(&kind.name), kind.index));
            }
        }
        if self.counters != new.counters {
            push(CatalogRow::Counters(new.counters));
        }
    }

    /// Follows one difference.
    pub(in crate::state) fn follow(&mut self, row: CatalogRow, topics: &mut BTreeSet<Topic>) {
        match row {
            CatalogRow::NodeGone(key) => {
                if let Some(host) = self.drop_node(&key) {
                    let names = host.services.values().map(|row| &row.name);
                    topics.extend(names.map(|name| service_topic(name)));
                }
                topics.insert(Topic::Node(key.to_string()));
            }
            CatalogRow::ServiceGone(node, id) => {
                if let Some(row) = self.drop_service(&node, &id) {
                    topics.insert(service_topic(&row.name));
                }
                topics.insert(Topic::Node(node.to_string()));
            }
            CatalogRow::CheckGone(node, id) => {
                self.drop_check(&node, &id);
                topics.insert(Topic::Node(node.to_string()));
            }
            CatalogRow::Node(row) => {
                topics.insert(node_topic(&row.name));
                self.put_node(row);
            }
            CatalogRow::Service(row) => {
                topics.insert(node_topic(&row.node));
                let former = self.service(&row.node, &row.id);
                topics.extend(former.map(|former| service_topic(&former.name)));
                self.put_service(row);
            }
            CatalogRow::Check(row) => {
                topics.insert(node_topic(&row.node));
                self.put_check(row);
            }
            CatalogRow::NodeIndex(key, index) => {
                if let Some(host) = self.hosts.get_mut(&key) {
                    Arc::make_mut(host).index = index;
                }
                topics.insert(Topic::Node(key.to_string()));
            }
            CatalogRow::ServiceIndex(name, index) => {
                topics.insert(service_topic(&name));
                self.set_service_index(name, index);
            }
            CatalogRow::Counters(counters) => self.follow_counters(counters, topics),
        }
    }

    fn set_service_index(&mut self, name: Arc<str>, index: u64) {
        if let Some(kind) = self.kinds.get_mut(&key_of(&name)) {
            kind.name = name;
            kind.index = index;
        }
    }

    fn follow_counters(&mut self, counters: Counters, topics: &mut BTreeSet<Topic>) {
        let old = std::mem::replace(&mut self.counters, counters);
        if old.nodes != counters.nodes {
            topics.insert(Topic::Nodes);
        }
        if old.services != counters.services {
            topics.insert(Topic::Services);
        }
        if old.checks != counters.checks {
            topics.insert(Topic::Checks);
        }
    }
}

fn service_topic(name: &str) -> Topic {
    Topic::Service(super::fold(name).into_owned())
}

fn node_topic(name: &str) -> Topic {
    Topic::Node(super::fold(name).into_owned())
}

fn host_delta(key: &Arc<str>, old: Option<&Arc<Host>>, new: &Host, push: &mut Push<'_>) {
    let gone = |id: &Arc<str>| (Arc::clone(key), Arc::clone(id));
    if old.is_none_or(|old| old.row != new.row) {
        push(CatalogRow::Node(Arc::clone(&new.row)));
    }
    let (none_services, none_checks) = (OrdMap::new(), OrdMap::new());
    let services = old.map_or(&none_services, |old| &old.services);
    for difference in services.diff(&new.services) {
        push(match difference {
            DiffItem::Add(_, row) | DiffItem::Update { new: (_, row), .. } => {
                CatalogRow::Service(Arc::clone(row))
            }
            DiffItem::Remove(id, _) => {
                let (node, id) = gone(id);
                CatalogRow::ServiceGone(node, id)
            }
        });
    }
    let checks = old.map_or(&none_checks, |old| &old.checks);
    for difference in checks.diff(&new.checks) {
        push(match difference {
            DiffItem::Add(_, row) | DiffItem::Update { new: (_, row), .. } => {
                CatalogRow::Check(Arc::clone(row))
            }
            DiffItem::Remove(id, _) => {
                let (node, id) = gone(id);
                CatalogRow::CheckGone(node, id)
            }
        });
    }
    if old.is_none_or(|old| old.index != new.index) {
        push(CatalogRow::NodeIndex(Arc::clone(key), new.index));
    }
}
