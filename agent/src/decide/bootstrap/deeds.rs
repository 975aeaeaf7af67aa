//! What a simulated server does: promises, collects, founds, hands over, joins.

use super::*;

impl World {
    pub(super) fn promise(&mut self, at: usize, bid: &Bid) -> bool {
        let me = &self.servers[at].me;
        if me.standing == Standing::Promised(bid.clone()) {
            return !me.renounced.contains(&bid.cluster);
        }
        if me.standing != Standing::Blank || me.renounced.contains(&bid.cluster) {
            return false;
        }
        if me.node != bid.proposer && self.with_view(at, |view| may_promise(view, bid)).is_err() {
            return false;
        }
        self.servers[at].alive = self.now;
        self.servers[at].me.standing = Standing::Promised(bid.clone());
        self.say(at, "promises");
        true
    }

    pub(super) fn collect(&mut self, at: usize, bid: &Bid) -> Option<()> {
        for other in (0..self.servers.len()).filter(|other| *other != at) {
            let member = bid.members.contains(&self.servers[other].me.node);
            if member && self.arrives(at, other) {
                self.promise(other, bid);
            }
            if self.fails(30) {
                return None;
            }
        }
        Some(())
    }

    pub(super) fn found(&mut self, at: usize) -> Option<()> {
        let Standing::Promised(bid) = self.servers[at].me.standing.clone() else {
            return Some(());
        };
        let seen = self.servers[at].seen.values();
        let here: BTreeSet<NodeId> = seen
            .filter_map(|sight| match sight {
                Sight::Somebody(said) => Some(said.node),
                Sight::Nobody => None,
            })
            .chain([self.servers[at].me.node])
            .collect();
        if !bid.members.is_subset(&here) || self.fails(20) {
            return (!self.fails(5)).then_some(());
        }
        self.servers[at].me.standing = Standing::Founded(bid);
        self.say(at, "founds");
        if self.fails(4) {
            return None;
        }
        self.hand_over(at)
    }

    pub(super) fn hand_over(&mut self, at: usize) -> Option<()> {
        let papers = self.servers[at].me.standing.clone();
        for other in (0..self.servers.len()).filter(|other| *other != at) {
            if self.arrives(at, other) {
                self.accept(other, &papers);
                let (said, now) = (self.servers[at].me.clone(), self.now);
                self.servers[other].callers.insert(said.node, (said, now));
            }
            if self.fails(6) {
                return None;
            }
        }
        Some(())
    }

    /// Joining takes a quorum of the cluster's founders.
    pub(super) fn join(&mut self, at: usize, cluster: ClusterId, through: SocketAddr) {
        let bid = self.bids[&cluster].clone();
        let to = (0..self.servers.len())
            .find(|to| self.servers[*to].own == through)
            .unwrap();
        let there = self.servers[to].me.standing == Standing::Member(cluster);
        let reaches = |other: usize| {
            other == to || (!self.cut.contains(&(to, other)) && !self.cut.contains(&(other, to)))
        };
        let quorum = (0..self.servers.len())
            .filter(|other| {
                let server = &self.servers[*other];
                server.up
                    && reaches(*other)
                    && bid.members.contains(&server.me.node)
                    && server.me.standing == Standing::Member(cluster)
            })
            .count();
        if there && quorum * 2 > bid.members.len() && self.arrives(at, to) {
            self.servers[at].me.standing = Standing::Member(cluster);
            self.say(at, "joins");
        }
    }
}
