//! How blank servers become one cluster (rules B1 to B5 of `docs/architecture.md`).
//!
//! Every blank server asks every address it knows, again and again, and tells in the same breath
//! what it is itself. From what it hears it decides one step. Safety rests on durable promises: a
//! server promises itself to one bootstrap at a time, and a promise ends only when the proposer
//! gave the bootstrap up for ever, or when so many of its members did that the rest are no
//! majority. A founder speaks raft only once a majority of the founders hold their papers, durably:
//! until then the bootstrap may still turn out dead, and its founders start anew.

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
    /// A member of a cluster that lives: a majority of its founders have their papers.
    Member(ClusterId),
    /// A founder with its papers, of a cluster that may not live yet.
    Founded(Bid),
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
    /// Whom it was before, on the same disk: those take part in nothing any more.
    pub former: BTreeSet<NodeId>,
    /// The other servers' addresses that it knows of.
    pub known: BTreeSet<SocketAddr>,
    /// The member that it would be.
    pub member: Member,
    /// Its certificate request (PKCS#10, DER).
    pub csr: Vec<u8>,
}

/// What came of asking one address.
#[expect(
    clippy::large_enum_variant,
    reason = "a handful at a time, and most are somebody"
)]
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
    /// A founder: hand their papers to those of these that can be reached.
    HandOver(BTreeSet<NodeId>),
    /// A founder: the cluster lives; be a member of it.
    Begin,
    /// The bid lives without this node, which gave it up; or it is dead, and this node founded it.
    /// Either way: become someone else and join.
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
    /// Names in the config that did not resolve: behind each may be a server.
    pub unresolved: usize,
    /// How long the present bid has gone without a sign of life of its proposer or of a founder;
    /// for the proposer: how long it has been waiting for promises.
    pub quiet: Duration,
}

/// Decides.
#[must_use]
pub fn plan(view: &View<'_>) -> Step {
    if let Some(cluster) = stranded(view) {
        return Step::Renounce(cluster);
    }
    match &view.me.standing {
        Standing::Member(_) => Step::Wait("a member already".into()),
        Standing::Promised(bid) => with_bid(view, bid),
        Standing::Founded(bid) => as_founder(view, bid),
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
        // One that this server gave up and was released from is dead.
        let renounced = &self.me.renounced;
        self.others()
            .find_map(|(address, said)| match said.standing {
                Standing::Member(cluster) if !renounced.contains(&cluster) => {
                    Some((cluster, address))
                }
                _ => None,
            })
    }

    /// A cluster that someone has founded, and that may live soon.
    fn in_the_making(&self) -> Option<ClusterId> {
        self.others().find_map(|(_, said)| match &said.standing {
            Standing::Founded(bid) if !self.me.renounced.contains(&bid.cluster) => {
                Some(bid.cluster)
            }
            _ => None,
        })
    }

    fn lives(&self, cluster: ClusterId) -> bool {
        self.others()
            .any(|(_, said)| said.standing == Standing::Member(cluster))
    }

    fn has_papers(&self, node: NodeId, cluster: ClusterId) -> bool {
        let said = self.announcement(node);
        said.is_some_and(|said| match &said.standing {
            Standing::Member(theirs) => *theirs == cluster,
            Standing::Founded(bid) => bid.cluster == cluster,
            _ => false,
        })
    }

    /// Whether this member of a bid will certainly never take part in it.
    fn gave_up(&self, node: NodeId, bid: &Bid) -> bool {
        if self.others().any(|(_, said)| said.former.contains(&node)) {
            return true;
        }
        let said = self.announcement(node);
        said.is_some_and(|said| match &said.standing {
            Standing::Member(cluster) => *cluster != bid.cluster,
            Standing::Founded(_) => false,
            _ => said.renounced.contains(&bid.cluster),
        })
    }

    /// Whether so many gave the bid up that the rest can't be a majority.
    fn is_dead(&self, bid: &Bid) -> bool {
        let gave_up = bid.members.iter().filter(|node| self.gave_up(**node, bid));
        gave_up.count() * 2 >= bid.members.len()
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
    if let Some(cluster) = view.in_the_making() {
        return Step::Wait(format!("cluster {cluster} is being founded"));
    }
    let me = view.me;
    let servers = servers(view);
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
    let all = all_servers(view, &servers);
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

fn servers<'a>(view: &'a View<'_>) -> BTreeMap<NodeId, &'a Announcement> {
    view.others()
        .map(|(_, said)| said)
        .chain([view.me])
        .filter(|said| said.role == Role::Server)
        .map(|said| (said.node, said))
        .collect()
}

/// How many servers there may be, by all that anyone knows.
fn all_servers(view: &View<'_>, servers: &BTreeMap<NodeId, &Announcement>) -> usize {
    servers.len() + unknown_addresses(view, servers).len() + view.unresolved
}

/// A bootstrap that one of its members has given up, and that this one never promised itself to:
/// its proposer may have died, disk and all, before it asked here. It ends only when a majority
/// gives it up, so this one does, too.
fn stranded(view: &View<'_>) -> Option<ClusterId> {
    let own = match &view.me.standing {
        Standing::Promised(bid) => Some(bid.cluster),
        Standing::Member(_) | Standing::Founded(_) => return None,
        Standing::Blank => None,
    };
    view.others().find_map(|(_, said)| match &said.standing {
        Standing::Promised(bid)
            if Some(bid.cluster) != own
                && bid.members.contains(&view.me.node)
                && said.renounced.contains(&bid.cluster)
                && !view.me.renounced.contains(&bid.cluster) =>
        {
            Some(bid.cluster)
        }
        _ => None,
    })
}

/// Whether this server, by what it knows itself, may promise itself to `bid`: its proposer may
/// know less.
///
/// # Errors
///
/// Why it may not.
pub fn may_promise(view: &View<'_>, bid: &Bid) -> Result<(), String> {
    let me = view.me;
    let expect = me.expect as usize;
    if !bid.members.contains(&me.node) || !bid.members.contains(&bid.proposer) {
        return Err(format!("bid {} is not about this server", bid.cluster));
    }
    if bid.members.len() != expect {
        return Err(format!(
            "bid {} is for {} servers, {} says expect: {expect}; they must be equal",
            bid.cluster,
            bid.members.len(),
            me.name
        ));
    }
    if let Some((cluster, address)) = view.founded() {
        return Err(format!(
            "this server has met cluster {cluster} at {address}, and joins it"
        ));
    }
    let all = all_servers(view, &servers(view));
    if expect * 2 <= all {
        return Err(format!(
            "expect: {expect} is not more than half of the {all} servers that {} knows of",
            me.name
        ));
    }
    Ok(())
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
    if view.gave_up(bid.proposer, bid) || view.is_dead(bid) {
        return Step::Release(bid.cluster);
    }
    if me.renounced.contains(&bid.cluster) {
        return if view.lives(bid.cluster) {
            Step::Reborn(bid.cluster)
        } else {
            Step::Wait(format!(
                "gave bootstrap {} up; not enough others did",
                bid.cluster
            ))
        };
    }
    if bid
        .members
        .iter()
        .any(|node| view.has_papers(*node, bid.cluster))
    {
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

fn as_founder(view: &View<'_>, bid: &Bid) -> Step {
    let (have, lack): (BTreeSet<NodeId>, BTreeSet<NodeId>) = bid
        .members
        .iter()
        .partition(|node| view.has_papers(**node, bid.cluster));
    if have.len() * 2 > bid.members.len() || view.lives(bid.cluster) {
        return Step::Begin;
    }
    if view.is_dead(bid) {
        return Step::Reborn(bid.cluster);
    }
    Step::HandOver(lack)
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
