//! How blank servers become one cluster (rules B1 to B5 of `docs/architecture.md`).
//!
//! Every blank server asks every address it knows, again and again, and tells in the same breath
//! what it is itself. From what it hears it decides one step. Safety rests on durable promises: a
//! server promises itself to one bootstrap at a time, and a promise ends only when the proposer
//! gave the bootstrap up for ever, or when a majority of its members did.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{ClusterId, Member, NodeId, Role};

/// A promised member that has heard neither its proposer nor a founded member for this long
/// gives the bootstrap up; so does a proposer whose members do not all promise.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// One attempt to found a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bid {
    /// The cluster to be.
    pub cluster: ClusterId,
    /// Who proposes it.
    pub proposer: NodeId,
    /// Who would found it, the proposer among them.
    pub members: BTreeSet<NodeId>,
}

/// What a server has durably become.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Nothing yet.
    #[default]
    Blank,
    /// Promised to a bootstrap (the proposer is, to its own).
    Promised(Bid),
    /// A member of a cluster.
    Member(ClusterId),
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Who it is.
    pub node: NodeId,
    /// Its name, for messages.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its `expect`.
    pub expect: u32,
    /// What it has durably become.
    pub standing: Standing,
    /// Bootstraps that it has given up and refuses for ever.
    pub renounced: BTreeSet<ClusterId>,
    /// The other servers' addresses that it knows of.
    pub known: BTreeSet<SocketAddr>,
    /// The member that it would be.
    pub member: Member,
    /// Its certificate request (PKCS#10, DER).
    pub csr: Vec<u8>,
}

/// What came of asking one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// No answer: it counts as an unknown server.
    Nobody,
    /// An answer.
    Somebody(Announcement),
}

/// One step, or a reason to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Found a cluster with these.
    Propose(BTreeSet<NodeId>),
    /// The promise is kept by all: the cluster is founded.
    Found,
    /// Collect promises (again) from those who have not promised.
    Ask(BTreeSet<NodeId>),
    /// Give the bid up for ever.
    Renounce(ClusterId),
    /// The bid is dead: become blank again.
    Release(ClusterId),
    /// The bid lives without this node, which gave it up: become someone else and join.
    Reborn(ClusterId),
    /// Join the cluster that answers here.
    Join(ClusterId, SocketAddr),
    /// Wait; the reason is for the log.
    Wait(String),
}

/// All that the decision needs.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// What this node says of itself.
    pub me: &'a Announcement,
    /// This node's own address, which join lists may contain.
    pub own: SocketAddr,
    /// What came of asking each address.
    pub seen: &'a BTreeMap<SocketAddr, Sight>,
    /// How long the present bid has gone without a sign of life of its proposer or of a founded
    /// member; for the proposer: how long it has been waiting for promises.
    pub quiet: Duration,
    /// Whether this node accepted a raft message of its bid (then it never renounces).
    pub accepted: bool,
}

/// Decides.
#[must_use]
pub fn plan(view: &View<'_>) -> Step {
    match &view.me.standing {
        Standing::Member(_) => Step::Wait("a member already".into()),
        Standing::Promised(bid) => with_bid(view, bid),
        Standing::Blank => blank(view),
    }
}

impl View<'_> {
    fn others(&self) -> impl Iterator<Item = (SocketAddr, &Announcement)> {
        self.seen.iter().filter_map(|(address, sight)| match sight {
            Sight::Somebody(said) if said.node != self.me.node => Some((*address, said)),
            _ => None,
        })
    }

    fn founded(&self) -> Option<(ClusterId, SocketAddr)> {
        self.others()
            .find_map(|(address, said)| match said.standing {
                Standing::Member(cluster) => Some((cluster, address)),
                _ => None,
            })
    }

    fn announcement(&self, node: NodeId) -> Option<&Announcement> {
        if node == self.me.node {
            return Some(self.me);
        }
        self.others()
            .map(|(_, said)| said)
            .find(|said| said.node == node)
    }
}

fn blank(view: &View<'_>) -> Step {
    if let Some((cluster, address)) = view.founded() {
        return Step::Join(cluster, address);
    }
    let me = view.me;
    let servers: BTreeMap<NodeId, &Announcement> = view
        .others()
        .map(|(_, said)| said)
        .chain([me])
        .filter(|said| said.role == Role::Server)
        .map(|said| (said.node, said))
        .collect();
    if let Some(other) = servers.values().find(|said| said.expect != me.expect) {
        return Step::Wait(format!(
            "{} says expect: {}, {} says expect: {}; they must be equal",
            me.name, me.expect, other.name, other.expect
        ));
    }
    let expect = me.expect as usize;
    let blank: BTreeSet<NodeId> = servers
        .values()
        .filter(|said| said.standing == Standing::Blank)
        .map(|said| said.node)
        .collect();
    if blank.len() < expect {
        return Step::Wait(format!("{} of {expect} servers are here", blank.len()));
    }
    let chosen: BTreeSet<NodeId> = blank.into_iter().take(expect).collect();
    let unknown = unknown_addresses(view, &servers);
    let all = servers.len() + unknown.len();
    if chosen.len() * 2 <= all {
        return Step::Wait(format!(
            "expect: {expect} is not more than half of the {all} servers that are known of, so two \
             clusters could form; expect: {} would do",
            all / 2 + 1
        ));
    }
    if chosen.first() == Some(&me.node) {
        Step::Propose(chosen)
    } else {
        Step::Wait("the server with the smallest id proposes".into())
    }
}

/// Addresses that someone knows of and nobody answers at: each may be a server.
fn unknown_addresses(
    view: &View<'_>,
    servers: &BTreeMap<NodeId, &Announcement>,
) -> BTreeSet<SocketAddr> {
    let named = servers.values().flat_map(|said| said.known.iter().copied());
    let asked = view.seen.keys().copied();
    named
        .chain(asked)
        .filter(|address| *address != view.own)
        .filter(|address| !matches!(view.seen.get(address), Some(Sight::Somebody(_))))
        .collect()
}

fn with_bid(view: &View<'_>, bid: &Bid) -> Step {
    let me = view.me;
    let majority = bid.members.len() / 2 + 1;
    let gave_up = |node: &NodeId| {
        view.announcement(*node)
            .is_some_and(|said| said.renounced.contains(&bid.cluster))
    };
    let renounced = bid.members.iter().filter(|node| gave_up(node)).count();
    if gave_up(&bid.proposer) || renounced >= majority {
        return Step::Release(bid.cluster);
    }
    let founded = view
        .others()
        .any(|(_, said)| said.standing == Standing::Member(bid.cluster));
    if me.renounced.contains(&bid.cluster) {
        return if founded {
            Step::Reborn(bid.cluster)
        } else {
            Step::Wait(format!(
                "gave {} up; {renounced} of {majority} needed did",
                bid.cluster
            ))
        };
    }
    if founded || view.accepted {
        return Step::Wait(format!(
            "cluster {} is founded; waiting for its papers",
            bid.cluster
        ));
    }
    if bid.proposer == me.node {
        return as_proposer(view, bid);
    }
    if view.quiet >= PATIENCE {
        return Step::Renounce(bid.cluster);
    }
    Step::Wait(format!("promised to {} of {}", bid.cluster, bid.proposer))
}

fn as_proposer(view: &View<'_>, bid: &Bid) -> Step {
    let promised = |node: &NodeId| match view.announcement(*node).map(|said| &said.standing) {
        Some(Standing::Promised(theirs)) => theirs.cluster == bid.cluster,
        _ => false,
    };
    let missing: BTreeSet<NodeId> = bid
        .members
        .iter()
        .copied()
        .filter(|node| !promised(node))
        .collect();
    if missing.is_empty() {
        return Step::Found;
    }
    if view.quiet >= PATIENCE {
        return Step::Renounce(bid.cluster);
    }
    Step::Ask(missing)
}

#[cfg(test)]
#[path = "bootstrap_tests.rs"]
mod tests;
