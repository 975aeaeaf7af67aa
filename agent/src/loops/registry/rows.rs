//! The registry's row in the catalog, and the commands that change it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::SERVICE;
use crate::decide::registry::Row;
use crate::model::{Duty, Name, NodeId, NodeRow, Op, Registration, ServiceRow, Weights};
use crate::state::State;

/// This node serves.
pub(super) fn register(state: &State, me: NodeId, name: &Name, row: Row) -> Op {
    let name = name.to_string();
    let node = state.catalog().node(&name).map(|node| NodeRow::clone(node));
    let node = node.unwrap_or_else(|| NodeRow {
        id: me,
        name: name.clone(),
        address: row.address.to_string(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        owner: Some(me),
        create_index: 0,
        modify_index: 0,
    });
    let service = ServiceRow {
        node: name,
        id: SERVICE.to_owned(),
        name: SERVICE.to_owned(),
        tags: Vec::new(),
        address: row.address.to_string(),
        port: row.port,
        meta: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        tagged_addresses: BTreeMap::new(),
        kind: String::new(),
        create_index: 0,
        modify_index: 0,
    };
    Op::Register(Box::new(Registration {
        node,
        skip_node_update: true,
        services: vec![service],
        checks: Vec::new(),
    }))
}

/// This node does not serve.
pub(super) fn deregister(name: &Name) -> Op {
    Op::Deregister {
        node: name.to_string(),
        service: Some(SERVICE.to_owned()),
        check: None,
    }
}

/// The duty is free.
pub(super) fn release(node: NodeId) -> Op {
    let duty = Duty::Registry;
    Op::DutyRelease { duty, node }
}

/// What the catalog says of this node.
pub(super) fn present(state: &State, name: &Name) -> Option<Row> {
    let row = state.catalog().service(name.as_str(), SERVICE)?;
    Some(Row {
        // A row that someone has bent is not as wanted, and is put right.
        address: row.address.parse().unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
        port: row.port,
    })
}
