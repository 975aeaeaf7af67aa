//! Who may be named. Pure.

use crate::model::{CheckStatus, MemberStatus, NodeRow, SERF_HEALTH};
use crate::state::{Instance, State};

/// How an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A check of it or of its node is critical, or its node is gone: it is not named.
    Hidden,
    /// A check warns.
    Warning,
    /// All is well.
    Passing,
}

/// How `instance` stands: any critical check on the node or on the instance itself hides it,
/// maintenance included (it is a critical check).
pub(super) fn standing(state: &State, instance: &Instance) -> Standing {
    if !reachable(state, &instance.node) {
        return Standing::Hidden;
    }
    match instance.checks.iter().map(|check| check.status).max() {
        Some(CheckStatus::Critical) => Standing::Hidden,
        Some(CheckStatus::Warning) => Standing::Warning,
        _ => Standing::Passing,
    }
}

/// Whether the node itself may be named: it is not known to be dead. Its other checks don't count.
pub(super) fn alive(state: &State, node: &NodeRow) -> bool {
    let lease = state.catalog().check(&node.name, SERF_HEALTH);
    reachable(state, node) && lease.is_none_or(|check| check.status != CheckStatus::Critical)
}

/// A row without a member behind it was put there from outside, and nobody's lease speaks for it.
fn reachable(state: &State, node: &NodeRow) -> bool {
    let member = node.owner.and_then(|owner| state.member(owner));
    member.is_none_or(|member| member.status == MemberStatus::Alive)
}
