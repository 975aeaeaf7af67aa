//! The indexes that readers of the catalog are shown, and what moves them.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Catalog;
use super::host::Host;
use super::tables::key_of;
use crate::model::Topic;
use crate::state::changes::Changes;
use crate::state::fold::fold;

/// Indexes of whole tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Last change of a node.
    pub(super) nodes: u64,
    /// Last change of a service instance.
    pub(super) services: u64,
    /// Last change of a check.
    pub(super) checks: u64,
    /// When a node last went.
    pub(super) node_extinct: u64,
    /// When the last instance of a service last went.
    pub(super) service_extinct: u64,
}

impl Catalog {
    /// Index of the last change of a node; at least 1, as all of these.
    #[must_use]
    pub fn nodes_index(&self) -> u64 {
        self.counters.nodes.max(1)
    }

    /// Index of the last change of a service instance.
    #[must_use]
    pub fn services_index(&self) -> u64 {
        self.counters.services.max(1)
    }

    /// Index of the last change of a check, its output included.
    #[must_use]
    pub fn checks_index(&self) -> u64 {
        self.counters.checks.max(1)
    }

    /// Index of the last change of a service's instances, of their checks, or of their nodes.
    /// While there is no such service: when the last instance of any service last went, so that
    /// a watcher sees it go and sees it come.
    #[must_use]
    pub fn service_index(&self, name: &str) -> u64 {
        let counters = &self.counters;
        let index = match self.kinds.get(fold(name).as_ref()) {
            Some(kind) => kind.index,
            None if counters.service_extinct > 0 => counters.service_extinct,
            None => counters.nodes.max(counters.services).max(counters.checks),
        };
        index.max(1)
    }

    /// Index of the last change of a node's row or services; while there is no such node: when a
    /// node last went.
    #[must_use]
    pub fn node_index(&self, name: &str) -> u64 {
        let counters = &self.counters;
        let index = match self.host(name) {
            Some(host) => host.index,
            None if counters.node_extinct > 0 => counters.node_extinct,
            None => counters.nodes,
        };
        index.max(1)
    }

    /// A reader of this service sees a change.
    pub(super) fn bump_service(&mut self, name: &str, changes: &mut Changes) {
        if let Some(kind) = self.kinds.get_mut(fold(name).as_ref()) {
            kind.index = changes.index;
        } else {
            self.counters.service_extinct = changes.index;
        }
        changes.touch_service(name);
    }

    /// Readers of all services on this node see a change.
    pub(super) fn bump_services_on(&mut self, host: &Host, changes: &mut Changes) {
        let names: BTreeSet<Arc<str>> = host
            .services
            .values()
            .map(|row| key_of(&row.name))
            .collect();
        for name in names {
            self.bump_service(&name, changes);
        }
    }

    /// A service on this node changed, or its row did.
    pub(super) fn bump_node(&mut self, key: &str, changes: &mut Changes) {
        if let Some(host) = self.hosts.get_mut(key) {
            Arc::make_mut(host).index = changes.index;
        }
        changes.touch(Topic::Node(key.to_owned()));
    }
}
