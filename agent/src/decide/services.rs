//! Anti-entropy: what must change in the catalog so that it says of this node what its agent says.
//!
//! The agent is the authority for its own node. Rows that other loops put there are theirs: their
//! ids are in a namespace of their own ([`is_loops`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checks::CheckSpec;
use crate::model::{CheckRow, CheckStatus, NodeRow, Op, Registration, SERF_HEALTH, ServiceRow};

/// Ids that begin like this belong to a loop of the agent: `swarmer:<loop>:<rest>`. Nobody can
/// register one through the API, and anti-entropy leaves them alone.
pub const LOOP_IDS: &str = "swarmer:";

/// Whether a service or check id is not the API's to give: the loops' own, the servers' `consul`,
/// the registry's, and the lease's check.
#[must_use]
pub fn is_loops(id: &str) -> bool {
    id == "consul" || id == "registry" || id == SERF_HEALTH || id.starts_with(LOOP_IDS)
}

/// What is registered through this agent. Ids differ in more than case, as in the catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalRows {
    /// By service id in lower case.
    pub services: BTreeMap<String, ServiceRow>,
    /// By check id in lower case.
    pub checks: BTreeMap<String, LocalCheck>,
    /// Which services are the registrator's, by id in lower case; all others are their clients'.
    #[serde(default)]
    pub kept: BTreeMap<String, Kept>,
}

/// What a service of the registrator's stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The container's id, or the Swarm service's.
    pub origin: String,
    /// Whether its check is the registrator's too.
    pub check: bool,
}

impl LocalRows {
    /// The service with this id.
    #[must_use]
    pub fn service(&self, id: &str) -> Option<&ServiceRow> {
        self.services.get(&id.to_lowercase())
    }

    /// The check with this id.
    #[must_use]
    pub fn check(&self, id: &str) -> Option<&LocalCheck> {
        self.checks.get(&id.to_lowercase())
    }
}

/// A check of this agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalCheck {
    /// As the catalog shows it, with its latest result.
    pub row: CheckRow,
    /// How it is run.
    pub spec: CheckSpec,
    /// When its client last spoke up, or when it was registered.
    #[serde(skip)]
    pub beat: Duration,
    /// It was read from disk: the catalog knows its result better.
    #[serde(skip)]
    pub restored: bool,
    /// Until then a new output alone does not go to the catalog.
    #[serde(skip)]
    pub quiet_until: Option<Duration>,
}

/// What the catalog says of this node.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its row.
    pub node: Option<Arc<NodeRow>>,
    /// Its services.
    pub services: Vec<Arc<ServiceRow>>,
    /// Its checks.
    pub checks: Vec<Arc<CheckRow>>,
}

/// A step towards agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The catalog must change.
    Write(Op),
    /// The service allows others to change its tags, and someone did.
    AdoptTags {
        /// The service's id.
        service: String,
        /// Its tags now.
        tags: Vec<String>,
    },
    /// A check that was read from disk goes on with the result that it last had.
    AdoptResult {
        /// The check's id.
        check: String,
        /// The status.
        status: CheckStatus,
        /// The output.
        output: String,
    },
}

/// What is to be done, in this order. `wanted` is the node's row as its agent knows it; `now` is
/// on the clock of [`LocalCheck::quiet_until`].
#[must_use]
pub fn plan(wanted: &NodeRow, local: &LocalRows, seen: &Seen, now: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut registration = Registration {
        node: wanted.clone(),
        skip_node_update: seen.node.as_ref().is_some_and(|row| same_node(row, wanted)),
        services: Vec::new(),
        checks: Vec::new(),
    };
    for service in local.services.values() {
        match seen
            .services
            .iter()
            .find(|row| same_id(&row.id, &service.id))
        {
            Some(row) if same_service(row, service) => {}
            Some(row) if row.enable_tag_override && service.enable_tag_override => {
                let tags = row.tags.clone();
                if tags != service.tags {
                    let service = service.id.clone();
                    steps.push(Step::AdoptTags {
                        service,
                        tags: tags.clone(),
                    });
                }
                let adopted = ServiceRow {
                    tags,
                    ..service.clone()
                };
                if !same_service(row, &adopted) {
                    registration.services.push(adopted);
                }
            }
            _ => registration.services.push(service.clone()),
        }
    }
    let mut updates = Vec::new();
    for check in local.checks.values() {
        let id = &check.row.check_id;
        match seen.checks.iter().find(|row| same_id(&row.check_id, id)) {
            Some(row) if same_definition(row, &check.row) => {
                if check.restored {
                    steps.push(Step::AdoptResult {
                        check: id.clone(),
                        status: row.status,
                        output: row.output.clone(),
                    });
                } else if worth_writing(row, check, now) {
                    updates.push(Step::Write(Op::CheckUpdate {
                        node: wanted.name.clone(),
                        check: id.clone(),
                        status: check.row.status,
                        output: check.row.output.clone(),
                    }));
                }
            }
            _ => registration.checks.push(check.row.clone()),
        }
    }
    let nothing_new = registration.services.is_empty() && registration.checks.is_empty();
    if !(registration.skip_node_update && nothing_new) {
        steps.push(Step::Write(Op::Register(Box::new(registration))));
    }
    steps.extend(updates);
    steps.extend(extras(&wanted.name, local, seen).map(Step::Write));
    steps
}

/// A new status goes to the catalog at once, a new output alone only now and then.
fn worth_writing(row: &CheckRow, check: &LocalCheck, now: Duration) -> bool {
    row.status != check.row.status
        || (row.output != check.row.output && check.quiet_until.is_none_or(|until| until <= now))
}

fn extras<'a>(
    node: &'a str,
    local: &'a LocalRows,
    seen: &'a Seen,
) -> impl Iterator<Item = Op> + 'a {
    let service_goes = |row: &ServiceRow| !is_loops(&row.id) && local.service(&row.id).is_none();
    let services = seen.services.iter().filter(move |row| service_goes(row));
    let checks = seen.checks.iter().filter(move |row| {
        let left_alone = is_loops(&row.check_id) || is_loops(&row.service_id);
        // With a service its checks go too.
        let goes_anyway = seen
            .services
            .iter()
            .any(|service| same_id(&service.id, &row.service_id) && service_goes(service));
        !left_alone && !goes_anyway && local.check(&row.check_id).is_none()
    });
    let services = services.map(move |row| Op::Deregister {
        node: node.to_owned(),
        service: Some(row.id.clone()),
        check: None,
    });
    services.chain(checks.map(move |row| Op::Deregister {
        node: node.to_owned(),
        service: None,
        check: Some(row.check_id.clone()),
    }))
}

fn same_id(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

fn same_node(row: &NodeRow, wanted: &NodeRow) -> bool {
    row.address == wanted.address
        && row.tagged_addresses == wanted.tagged_addresses
        && row.meta == wanted.meta
        && row.owner == wanted.owner
}

fn same_service(row: &ServiceRow, local: &ServiceRow) -> bool {
    let plain = |service: &ServiceRow| ServiceRow {
        node: String::new(),
        id: String::new(),
        create_index: 0,
        modify_index: 0,
        ..service.clone()
    };
    plain(row) == plain(local)
}

/// Equal but for the result, and for what the state fills in.
fn same_definition(row: &CheckRow, local: &CheckRow) -> bool {
    row.name == local.name
        && row.notes == local.notes
        && same_id(&row.service_id, &local.service_id)
        && row.kind == local.kind
        && row.definition == local.definition
}

#[cfg(test)]
mod tests;
