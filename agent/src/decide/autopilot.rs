//! Who votes (rule R10 of `docs/architecture.md`): a new server joins as a learner, votes when
//! it has caught up and there is a place for it; a dead voter's place is taken in one change, and
//! never so that the quorum is at risk; voters beyond `expect` go.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Member, MemberStatus, NodeId, Role};

/// A learner whose log is at most this many entries behind has caught up.
pub const CAUGHT_UP: u64 = 100;

/// What the leader sees.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The leader's own id.
    pub leader: NodeId,
    /// How many voters the cluster has by its founding.
    pub expect: usize,
    /// Present voters.
    pub voters: &'a BTreeSet<NodeId>,
    /// Present learners.
    pub learners: &'a BTreeSet<NodeId>,
    /// Members by id.
    pub members: &'a BTreeMap<NodeId, Member>,
    /// How far behind the leader's log each node is, where known.
    pub behind: &'a BTreeMap<NodeId, u64>,
}

/// One change at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start replicating to this member.
    AddLearner(NodeId),
    /// Stop replicating to a node that is no member (any more).
    DropLearner(NodeId),
    /// Make these the voters, in one joint change.
    SetVoters(BTreeSet<NodeId>),
    /// Hand leadership to this voter, since this node leaves.
    HandOver(NodeId),
}

/// Decides the next change, if any.
#[must_use]
pub fn plan(view: &View<'_>) -> Option<Step> {
    let status = |node: &NodeId| view.members.get(node).map(|member| member.status);
    let known = |node: &NodeId| view.voters.contains(node) || view.learners.contains(node);
    let newcomer = view.members.values().find(|member| {
        member.role == Role::Server && member.status == MemberStatus::Alive && !known(&member.id)
    });
    if let Some(member) = newcomer {
        return Some(Step::AddLearner(member.id));
    }
    let alive = |node: &NodeId| status(node) == Some(MemberStatus::Alive);
    let gone = |node: &NodeId| {
        matches!(
            status(node),
            None | Some(MemberStatus::Failed | MemberStatus::Leaving)
        )
    };
    let ready: Vec<NodeId> = view
        .learners
        .iter()
        .copied()
        .filter(|node| alive(node))
        .filter(|node| {
            view.behind
                .get(node)
                .is_some_and(|behind| *behind <= CAUGHT_UP)
        })
        .collect();
    let removable = view
        .voters
        .iter()
        .copied()
        .find(|node| gone(node) && *node != view.leader);
    if let (Some(old), Some(new)) = (removable, ready.first()) {
        let mut voters = view.voters.clone();
        voters.remove(&old);
        voters.insert(*new);
        return Some(Step::SetVoters(voters));
    }
    if let Some(new) = ready.first()
        && view.voters.len() < view.expect
    {
        let mut voters = view.voters.clone();
        voters.insert(*new);
        return Some(Step::SetVoters(voters));
    }
    let heir = ready.first().copied();
    if let Some(step) = last_voter_leaves(view, heir, &status) {
        return Some(step);
    }
    if let Some(step) = too_many(view, &alive) {
        return Some(step);
    }
    if let Some(leaving) = without_replacement(view, &status, &alive) {
        return Some(leaving);
    }
    view.learners
        .iter()
        .find(|node| status(node).is_none())
        .map(|node| Step::DropLearner(*node))
}

/// The only voter leaves: it can't hand over to a learner, so the learner takes its place in one
/// change, and raft lets the leader go when that is committed.
fn last_voter_leaves(
    view: &View<'_>,
    heir: Option<NodeId>,
    status: &impl Fn(&NodeId) -> Option<MemberStatus>,
) -> Option<Step> {
    let alone = view.voters.len() == 1 && view.voters.contains(&view.leader);
    let leaves = status(&view.leader) == Some(MemberStatus::Leaving);
    (alone && leaves).then(|| heir.map(|heir| Step::SetVoters([heir].into())))?
}

/// `expect` was lowered: voters beyond it go one at a time, the dead and then the youngest ids
/// first, never the leader, and only while those that stay are a living majority.
fn too_many(view: &View<'_>, alive: &impl Fn(&NodeId) -> bool) -> Option<Step> {
    if view.voters.len() <= view.expect.max(1) {
        return None;
    }
    let others = view.voters.iter().filter(|node| **node != view.leader);
    let goes = others.max_by_key(|node| (!alive(node), **node))?;
    let mut rest = view.voters.clone();
    rest.remove(goes);
    let living = rest.iter().filter(|node| alive(node)).count();
    (living * 2 > rest.len()).then_some(Step::SetVoters(rest))
}

/// A voter that leaves or was removed goes even without a replacement, if the rest keep a quorum
/// of living voters. A merely failed one keeps its place until someone takes it.
fn without_replacement(
    view: &View<'_>,
    status: &impl Fn(&NodeId) -> Option<MemberStatus>,
    alive: &impl Fn(&NodeId) -> bool,
) -> Option<Step> {
    let leaves = |node: &NodeId| matches!(status(node), None | Some(MemberStatus::Leaving));
    let old = view.voters.iter().copied().find(|node| leaves(node))?;
    let rest: BTreeSet<NodeId> = view
        .voters
        .iter()
        .copied()
        .filter(|node| *node != old)
        .collect();
    let living = rest.iter().filter(|node| alive(node)).count();
    if rest.is_empty() || living < rest.len() / 2 + 1 {
        return None;
    }
    if old == view.leader {
        let heir = rest
            .iter()
            .filter(|node| alive(node))
            .min_by_key(|node| view.behind.get(node).copied().unwrap_or(u64::MAX))?;
        return Some(Step::HandOver(*heir));
    }
    Some(Step::SetVoters(rest))
}

#[cfg(test)]
#[path = "autopilot_tests.rs"]
mod tests;
