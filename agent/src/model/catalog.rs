//! Rows of the service catalog. On input the two indexes of a row are ignored: the state sets them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::NodeId;

/// The id of the check that stands for a member's lease.
pub const SERF_HEALTH: &str = "serfHealth";

/// How many pairs of metadata a node or a service may have.
pub const META_PAIRS: usize = 64;

/// What is wrong with a pair of metadata, in Consul's words; `None`: nothing.
#[must_use]
pub fn meta_problem(key: &str, value: &str) -> Option<&'static str> {
    const KEY: usize = 128;
    const VALUE: usize = 512;
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.is_empty() {
        Some("Key cannot be blank")
    } else if !key.chars().all(fine) {
        Some("Key contains invalid characters")
    } else if key.len() > KEY {
        Some("Key is too long (limit: 128 characters)")
    } else if key.starts_with("consul-") {
        Some("Key prefix 'consul-' is reserved for internal use")
    } else if value.len() > VALUE {
        Some("Value is too long (limit: 512 characters)")
    } else {
        None
    }
}

/// A node of the catalog: a member's own row, or one registered for a host without an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// The node's identity. For rows without an agent it is derived from the name by whoever
    /// registers it, so that every node has one.
    pub id: NodeId,
    /// The name; look-ups ignore case, the case is kept.
    pub name: String,
    /// An IP address, or a host name for rows without an agent.
    pub address: String,
    /// Consul's tagged addresses (`lan`, `wan`, …).
    pub tagged_addresses: BTreeMap<String, String>,
    /// At most 64 pairs.
    pub meta: BTreeMap<String, String>,
    /// The member whose lease this row lives under; `None`: registered from outside.
    pub owner: Option<NodeId>,
    /// Index of the command that made the row.
    pub create_index: u64,
    /// Index of the last command that changed the row.
    pub modify_index: u64,
}

/// Weights of a service instance in SRV answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Weights {
    /// While all checks pass: 1 to 65535.
    pub passing: u16,
    /// While one warns: 0 to 65535.
    pub warning: u16,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            passing: 1,
            warning: 1,
        }
    }
}

/// A tagged address of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceAddress {
    /// IP address or host name.
    pub address: String,
    /// Port.
    pub port: u16,
}

/// One instance of a service on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// Name of the node that it runs on.
    pub node: String,
    /// Unique on the node.
    pub id: String,
    /// The service's name; look-ups ignore case.
    pub name: String,
    /// Tags, in the order given.
    pub tags: Vec<String>,
    /// Empty: the node's address.
    pub address: String,
    /// 0: none.
    pub port: u16,
    /// At most 64 pairs.
    pub meta: BTreeMap<String, String>,
    /// Weights for SRV.
    pub weights: Weights,
    /// Consul's flag: tags of the catalog win over the agent's.
    pub enable_tag_override: bool,
    /// Tagged addresses.
    pub tagged_addresses: BTreeMap<String, ServiceAddress>,
    /// Consul's `Kind`, kept and given back.
    pub kind: String,
    /// Index of the command that made the row.
    pub create_index: u64,
    /// Index of the last command that changed the row.
    pub modify_index: u64,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// All is well.
    Passing,
    /// It answers, with a complaint.
    Warning,
    /// It is out of DNS and of `?passing`.
    Critical,
}

impl CheckStatus {
    /// Consul's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a check does, as far as the catalog shows it. Durations are Go syntax (`10s`); an empty
/// text or list means that the client did not give it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckDefinition {
    /// URL of an HTTP check.
    pub http: String,
    /// Its method, default GET.
    pub method: String,
    /// Its headers.
    pub header: BTreeMap<String, Vec<String>>,
    /// Its body.
    pub body: String,
    /// Do not follow redirects.
    pub disable_redirects: bool,
    /// `host:port` of a TCP check.
    pub tcp: String,
    /// Take any certificate.
    pub tls_skip_verify: bool,
    /// Server name for TLS.
    pub tls_server_name: String,
    /// How often.
    pub interval: String,
    /// How long one run may take.
    pub timeout: String,
    /// Deadline of a TTL check.
    pub ttl: String,
    /// The service goes when the check has been critical for this long.
    pub deregister_critical_service_after: String,
}

/// A check with its latest result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRow {
    /// Name of the node.
    pub node: String,
    /// Unique on the node.
    pub check_id: String,
    /// For people.
    pub name: String,
    /// The result.
    pub status: CheckStatus,
    /// For people.
    pub notes: String,
    /// What the last run said.
    pub output: String,
    /// The service instance that it belongs to; empty: the node.
    pub service_id: String,
    /// That service's name; set by the state.
    pub service_name: String,
    /// That service's tags; set by the state.
    pub service_tags: Vec<String>,
    /// `http`, `tcp`, `ttl`, `docker`, `maintenance`, or empty.
    pub kind: String,
    /// What it does.
    pub definition: CheckDefinition,
    /// Index of the command that made the row.
    pub create_index: u64,
    /// Index of the last command that changed the row.
    pub modify_index: u64,
}

/// Rows that come into the catalog together, atomically.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The node that they belong to.
    pub node: NodeRow,
    /// Leave an existing node row as it is.
    pub skip_node_update: bool,
    /// Instances on it.
    pub services: Vec<ServiceRow>,
    /// Checks on it or on its services.
    pub checks: Vec<CheckRow>,
}
