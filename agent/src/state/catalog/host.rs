//! A node with everything on it. Keys are folded names and ids.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::lookup::Lookup;
use crate::model::{CheckRow, NodeRow, ServiceRow};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Host {
    pub(super) row: Arc<NodeRow>,
    /// Index of the last change of the node's row or of a service on it.
    pub(super) index: u64,
    pub(super) services: OrdMap<Arc<str>, Arc<ServiceRow>>,
    pub(super) checks: OrdMap<Arc<str>, Arc<CheckRow>>,
    /// From a service's id to its checks; the node's own are under the empty id.
    pub(super) attached: Lookup<Arc<str>>,
}

impl Host {
    pub(super) fn new(row: Arc<NodeRow>) -> Self {
        Self {
            row,
            index: 0,
            services: OrdMap::new(),
            checks: OrdMap::new(),
            attached: Lookup::default(),
        }
    }

    /// The checks of one service on the node, or the node's own (empty id), sorted by id.
    pub(super) fn checks_on(&self, service: &str) -> impl Iterator<Item = &Arc<CheckRow>> {
        self.attached
            .get(service)
            .filter_map(|check| self.checks.get(check))
    }
}
