//! What the agent beside the Swarm's leader does for all: it writes down how to join and who is
//! who, strikes off the dead, drains and demotes those who leave, and promotes servers (rule S3).

use std::collections::BTreeMap;

use super::{NodeEntry, Nodes, Offers, Step, SwarmNode, SwarmView, Tokens, View, host};
use crate::model::{Member, MemberStatus, NodeId, Role};

/// Whether `node` is the Swarm's only node.
pub(super) fn alone(swarm: &SwarmView, node: &str) -> bool {
    !swarm.nodes.is_empty() && swarm.nodes.iter().all(|other| other.id == node)
}

/// The steps, if this node's engine leads the Swarm; otherwise none.
pub(super) fn steps(view: &View<'_>, swarm: &SwarmView) -> Vec<Step> {
    let leads = swarm
        .nodes
        .iter()
        .any(|node| node.leader && node.id == view.engine.node);
    let recorded = view
        .records
        .cluster
        .as_ref()
        .map(|at| at.value.cluster.as_str());
    if !leads || recorded != Some(swarm.cluster.as_str()) || !view.members.contains_key(&view.me) {
        return Vec::new();
    }
    let steward = Steward { view, swarm };
    let mut steps = Vec::new();
    let tokens = steward.tokens();
    if view.records.tokens.as_ref().map(|at| &at.value) != Some(&tokens) {
        steps.push(Step::RecordTokens(tokens));
    }
    let offers = view.records.offers.as_ref();
    if offers.map_or(&[][..], |at| &at.value.services) != swarm.offers {
        steps.push(Step::RecordOffers(Offers {
            services: swarm.offers.clone(),
        }));
    }
    let nodes = steward.nodes();
    if view.records.nodes.as_ref().map(|at| &at.value) != Some(&nodes) {
        // Who is struck off or promoted is decided by what is written down.
        steps.push(Step::RecordNodes(nodes));
        return steps;
    }
    steps.extend(steward.drains(&nodes));
    steps.extend(steward.change(&nodes));
    steps
}

/// Whether one more manager may be made (rule S3): while some are dead, the living ones must be a
/// quorum of the new number even with one less, so that the newcomer's death stops nothing.
pub(super) fn may_promote(managers: usize, living: usize) -> bool {
    living == managers || living >= quorum(managers + 1)
}

/// Whether a living manager may be made a worker.
fn may_demote(managers: usize, living: usize) -> bool {
    managers > 1 && living > quorum(managers - 1)
}

fn quorum(managers: usize) -> usize {
    managers / 2 + 1
}

struct Steward<'a> {
    view: &'a View<'a>,
    swarm: &'a SwarmView,
}

impl<'a> Steward<'a> {
    fn tokens(&self) -> Tokens {
        let reachable = self.swarm.nodes.iter().filter(|node| node.reachable);
        let mut managers: Vec<String> = reachable
            .filter_map(|node| node.manages_at.clone())
            .collect();
        managers.sort();
        Tokens {
            worker: self.swarm.worker_token.clone(),
            managers,
        }
    }

    fn node(&self, id: &str) -> Option<&'a SwarmNode> {
        self.swarm.nodes.iter().find(|node| node.id == id)
    }

    /// The member on whose host a Swarm node runs.
    fn host_of(&self, node: &SwarmNode) -> Option<NodeId> {
        if node.id == self.view.engine.node {
            return Some(self.view.me);
        }
        let here = |member: &&Member| member.address.to_string() == host_only(&node.address);
        let members: Vec<&Member> = self.view.members.values().filter(here).collect();
        match members.as_slice() {
            [only] => Some(only.id),
            several => {
                let mut alive = several
                    .iter()
                    .filter(|member| member.status == MemberStatus::Alive);
                alive
                    .next()
                    .filter(|_| alive.next().is_none())
                    .map(|member| member.id)
            }
        }
    }

    /// Who is who: a member keeps its node while that is ready; otherwise the one ready node on
    /// its host is taken for its own. The dead stay as long as the Swarm lists them.
    fn nodes(&self) -> Nodes {
        let before = self.view.records.nodes.as_ref();
        let empty = BTreeMap::new();
        let before = before.map_or(&empty, |at| &at.value.nodes);
        let mut nodes = BTreeMap::new();
        for member in self.view.members.values() {
            let ready: Vec<&str> = (self.swarm.nodes.iter())
                .filter(|node| node.ready && self.host_of(node) == Some(member.id))
                .map(|node| node.id.as_str())
                .collect();
            let present = before.get(&member.id).map(|entry| entry.swarm.as_str());
            let present = present.filter(|id| self.node(id).is_some());
            let chosen = match (present, ready.as_slice()) {
                (Some(present), several) if several.contains(&present) => Some(present),
                (_, [only]) => Some(*only),
                (present, _) => present,
            };
            if let Some(swarm) = chosen {
                let entry = NodeEntry {
                    swarm: swarm.to_owned(),
                    name: member.name.to_string(),
                };
                nodes.insert(member.id, entry);
            }
        }
        let taken = |id: &str| nodes.values().any(|entry| entry.swarm == id);
        let dead: Vec<_> = (before.iter())
            .filter(|(id, _)| !self.view.members.contains_key(id))
            .filter(|(_, entry)| !taken(&entry.swarm) && self.node(&entry.swarm).is_some())
            .map(|(id, entry)| (*id, entry.clone()))
            .collect();
        nodes.extend(dead);
        Nodes { nodes }
    }

    /// Tasks move away from members that leave.
    fn drains(&self, nodes: &Nodes) -> Vec<Step> {
        let leaving = nodes.nodes.iter().filter(|(id, _)| self.is_leaving(id));
        leaving
            .filter_map(|(_, entry)| self.node(&entry.swarm))
            .filter(|node| node.ready && !node.drained)
            .map(|node| Step::Drain(node.id.clone()))
            .collect()
    }

    /// One change of the Swarm's membership a round: the dead first, then who leaves, then who is
    /// to manage.
    fn change(&self, nodes: &Nodes) -> Option<Step> {
        let mut others = self
            .swarm
            .nodes
            .iter()
            .filter(|node| node.id != self.view.engine.node);
        if let Some(gone) = others.find(|node| self.is_gone(nodes, node)) {
            return Some(if gone.manager {
                Step::Demote(gone.id.clone())
            } else {
                Step::Remove(gone.id.clone())
            });
        }
        let managers = self.swarm.nodes.iter().filter(|node| node.manager).count();
        let lives = |node: &&SwarmNode| node.manager && node.reachable && node.ready;
        let living = self.swarm.nodes.iter().filter(lives).count();
        let leaver = nodes.nodes.iter().filter(|(id, _)| self.is_leaving(id));
        let leaver = leaver.filter_map(|(_, entry)| self.node(&entry.swarm));
        // The steward goes last: when it is demoted another takes its place.
        let mut leaver: Vec<_> = leaver.filter(|node| node.manager && node.ready).collect();
        leaver.sort_by_key(|node| node.leader);
        if let Some(node) = leaver.first() {
            return may_demote(managers, living).then(|| Step::Demote(node.id.clone()));
        }
        if !may_promote(managers, living) {
            return None;
        }
        let candidate = nodes
            .nodes
            .iter()
            .find(|(id, entry)| self.is_due(nodes, id, entry));
        candidate.map(|(_, entry)| Step::Promote(entry.swarm.clone()))
    }

    fn is_leaving(&self, id: &NodeId) -> bool {
        let member = self.view.members.get(id);
        member.is_some_and(|member| member.status == MemberStatus::Leaving)
    }

    /// Whether a node of ours is dead for good: its member was reaped, or has left, or has another
    /// node that is ready. A node that no member is known to have had is left alone.
    fn is_gone(&self, nodes: &Nodes, node: &SwarmNode) -> bool {
        let host = self.host_of(node);
        let mut owners = nodes
            .nodes
            .iter()
            .filter(|(_, entry)| entry.swarm == node.id);
        if let Some((owner, _)) = owners.next() {
            let reaped = !self.view.members.contains_key(owner) && (node.down || host.is_none());
            let left = self.is_leaving(owner) && node.down;
            return reaped || left;
        }
        if node.nameless {
            return node.down && self.nobody_joins(nodes);
        }
        let successor = host.and_then(|host| nodes.nodes.get(&host));
        let successor = successor.and_then(|entry| self.node(&entry.swarm));
        node.down && successor.is_some_and(|successor| successor.ready)
    }

    /// Whether every living member has its node, so that a nameless one can't become anybody's.
    fn nobody_joins(&self, nodes: &Nodes) -> bool {
        let mut members = self.view.members.values();
        members.all(|member| {
            let entry = nodes.nodes.get(&member.id);
            let node = entry.and_then(|entry| self.node(&entry.swarm));
            member.status != MemberStatus::Alive || node.is_some_and(|node| node.ready)
        })
    }

    /// Whether a server's engine should be promoted, as far as it alone is concerned: it lives,
    /// and its predecessor of the same name is no longer in the Swarm.
    fn is_due(&self, nodes: &Nodes, id: &NodeId, entry: &NodeEntry) -> bool {
        let fit = self.view.members.get(id).is_some_and(|member| {
            member.role == Role::Server && member.status == MemberStatus::Alive
        });
        let works = self
            .node(&entry.swarm)
            .is_some_and(|node| node.ready && !node.manager);
        let predecessor = |(other, old): (&NodeId, &NodeEntry)| {
            other != id && old.name == entry.name && self.node(&old.swarm).is_some()
        };
        fit && works && !nodes.nodes.iter().any(predecessor)
    }
}

/// Docker gives a node's address bare, or with a port where it manages.
fn host_only(address: &str) -> &str {
    if address.parse::<std::net::IpAddr>().is_ok() {
        address
    } else {
        host(address)
    }
}
