//! Catalog rows as clients read them. Lists are `[]` and maps `{}`, never null.

use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::model::{
    CheckDefinition, CheckRow, CheckStatus, NodeId, NodeRow, ServiceAddress, ServiceRow, Weights,
};

type Addresses<'a> = &'a BTreeMap<String, ServiceAddress>;

fn no_addresses(addresses: &Addresses<'_>) -> bool {
    addresses.is_empty()
}

/// A node.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NodeView<'a> {
    #[serde(rename = "ID")]
    id: NodeId,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: &'a BTreeMap<String, String>,
    meta: &'a BTreeMap<String, String>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> NodeView<'a> {
    pub(super) fn new(row: &'a NodeRow, dc: &'a str) -> Self {
        Self {
            id: row.id,
            node: &row.name,
            address: &row.address,
            datacenter: dc,
            tagged_addresses: &row.tagged_addresses,
            meta: &row.meta,
            create_index: row.create_index,
            modify_index: row.modify_index,
        }
    }
}

/// A service under its node.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ServiceView<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: &'a [String],
    address: &'a str,
    #[serde(skip_serializing_if = "no_addresses")]
    tagged_addresses: Addresses<'a>,
    meta: &'a BTreeMap<String, String>,
    port: u16,
    weights: Weights,
    enable_tag_override: bool,
    proxy: Value,
    connect: Value,
    peer_name: &'static str,
    create_index: u64,
    modify_index: u64,
}

/// What Consul shows of a proxy where there is none.
fn no_proxy() -> Value {
    json!({"Mode": "", "MeshGateway": {}, "Expose": {}})
}

impl<'a> From<&'a ServiceRow> for ServiceView<'a> {
    fn from(row: &'a ServiceRow) -> Self {
        Self {
            kind: &row.kind,
            id: &row.id,
            service: &row.name,
            tags: &row.tags,
            address: &row.address,
            tagged_addresses: &row.tagged_addresses,
            meta: &row.meta,
            port: row.port,
            weights: row.weights,
            enable_tag_override: row.enable_tag_override,
            proxy: no_proxy(),
            connect: json!({}),
            peer_name: "",
            create_index: row.create_index,
            modify_index: row.modify_index,
        }
    }
}

/// A service with its node, flat.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ServiceNodeView<'a> {
    #[serde(rename = "ID")]
    id: NodeId,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: &'a BTreeMap<String, String>,
    node_meta: &'a BTreeMap<String, String>,
    service_kind: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a [String],
    service_address: &'a str,
    #[serde(skip_serializing_if = "no_addresses")]
    service_tagged_addresses: Addresses<'a>,
    service_weights: Weights,
    service_meta: &'a BTreeMap<String, String>,
    service_port: u16,
    service_socket_path: &'static str,
    service_enable_tag_override: bool,
    service_proxy: Value,
    service_connect: Value,
    service_locality: Value,
    create_index: u64,
    modify_index: u64,
}

impl<'a> ServiceNodeView<'a> {
    pub(super) fn new(node: &'a NodeRow, service: &'a ServiceRow, dc: &'a str) -> Self {
        Self {
            id: node.id,
            node: &node.name,
            address: &node.address,
            datacenter: dc,
            tagged_addresses: &node.tagged_addresses,
            node_meta: &node.meta,
            service_kind: &service.kind,
            service_id: &service.id,
            service_name: &service.name,
            service_tags: &service.tags,
            service_address: &service.address,
            service_tagged_addresses: &service.tagged_addresses,
            service_weights: service.weights,
            service_meta: &service.meta,
            service_port: service.port,
            service_socket_path: "",
            service_enable_tag_override: service.enable_tag_override,
            service_proxy: no_proxy(),
            service_connect: json!({}),
            service_locality: Value::Null,
            create_index: service.create_index,
            modify_index: service.modify_index,
        }
    }
}

/// A check.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CheckView<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: &'a str,
    name: &'a str,
    status: CheckStatus,
    notes: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a [String],
    r#type: &'a str,
    interval: &'a str,
    timeout: &'a str,
    exposed_port: u16,
    definition: DefinitionView<'a>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> From<&'a CheckRow> for CheckView<'a> {
    fn from(row: &'a CheckRow) -> Self {
        Self {
            node: &row.node,
            check_id: &row.check_id,
            name: &row.name,
            status: row.status,
            notes: &row.notes,
            output: &row.output,
            service_id: &row.service_id,
            service_name: &row.service_name,
            service_tags: &row.service_tags,
            r#type: &row.kind,
            interval: &row.definition.interval,
            timeout: &row.definition.timeout,
            exposed_port: 0,
            definition: DefinitionView(&row.definition),
            create_index: row.create_index,
            modify_index: row.modify_index,
        }
    }
}

/// What a check does; what was not given is left out.
struct DefinitionView<'a>(&'a CheckDefinition);

impl Serialize for DefinitionView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let definition = self.0;
        let mut map = serializer.serialize_map(None)?;
        for (key, text) in [
            ("HTTP", &definition.http),
            ("Method", &definition.method),
            ("Body", &definition.body),
            ("TCP", &definition.tcp),
            ("TLSServerName", &definition.tls_server_name),
            ("Interval", &definition.interval),
            ("Timeout", &definition.timeout),
            ("TTL", &definition.ttl),
            (
                "DeregisterCriticalServiceAfter",
                &definition.deregister_critical_service_after,
            ),
        ] {
            if !text.is_empty() {
                map.serialize_entry(key, text)?;
            }
        }
        if !definition.header.is_empty() {
            map.serialize_entry("Header", &definition.header)?;
        }
        for (key, flag) in [
            ("TLSSkipVerify", definition.tls_skip_verify),
            ("DisableRedirects", definition.disable_redirects),
        ] {
            if flag {
                map.serialize_entry(key, &true)?;
            }
        }
        map.end()
    }
}

/// Consul's `AggregatedStatus` of some checks.
pub(super) fn aggregate<'a>(checks: impl Iterator<Item = &'a CheckRow>) -> &'static str {
    let mut worst = CheckStatus::Passing;
    for check in checks {
        if is_maintenance(&check.check_id) {
            return "maintenance";
        }
        worst = worst.max(check.status);
    }
    worst.as_str()
}

/// The id of the check that takes a whole node out.
pub(super) const NODE_MAINTENANCE: &str = "_node_maintenance";
/// Before a service's id: the check that takes that service out.
pub(super) const SERVICE_MAINTENANCE: &str = "_service_maintenance:";

fn is_maintenance(check: &str) -> bool {
    check == NODE_MAINTENANCE || check.starts_with(SERVICE_MAINTENANCE)
}
