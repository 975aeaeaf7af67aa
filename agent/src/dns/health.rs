//! Who may be named. Pure.

use crate::model::{CheckStatus, NodeRow, SERF_HEALTH};
use crate::state::{Instance, State};

/// How an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A check of it or of its node is critical: it is not named.
    Hidden,
    /// A check warns.
    Warning,
    /// All is well.
    Passing,
}

/// How `instance` stands: any critical check on the node or on the instance itself hides it; a
/// lapsed lease (`serfHealth`) and maintenance are such checks too.
pub(super) fn standing(instance: &Instance) -> Standing {
    match instance.checks.iter().map(|check| check.status).max() {
        Some(CheckStatus::Critical) => Standing::Hidden,
        Some(CheckStatus::Warning) => Standing::Warning,
        _ => Standing::Passing,
    }
}

/// Whether the node itself may be named: it is not known to be dead. Its other checks don't
/// count; a full disk does not make it unreachable.
pub(super) fn alive(state: &State, node: &NodeRow) -> bool {
    let lease = state.catalog().check(&node.name, SERF_HEALTH);
    lease.is_none_or(|check| check.status != CheckStatus::Critical)
}
