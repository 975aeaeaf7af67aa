//! Servers that bootstrap in a world of their own: its time, its links, its disks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::super::*;
use super::{address, member};

#[path = "deeds.rs"]
mod deeds;

/// While everything goes wrong.
const RAGE: Duration = Duration::from_secs(40);
/// Then everyone is a member within this.
const HEALED: Duration = Duration::from_secs(120);
const FRESH: Duration = Duration::from_secs(3);

struct Server {
    me: Announcement,
    expect: u32,
    own: SocketAddr,
    up: bool,
    rises: Duration,
    next: Duration,
    seen: BTreeMap<SocketAddr, Sight>,
    callers: BTreeMap<NodeId, (Announcement, Duration)>,
    asked: Duration,
    alive: Duration,
}

pub(super) struct World {
    seed: u64,
    dice: u64,
    now: Duration,
    calm: bool,
    servers: Vec<Server>,
    cut: BTreeSet<(usize, usize)>,
    bids: BTreeMap<ClusterId, Bid>,
    live: BTreeSet<ClusterId>,
    /// Disks that may still be lost.
    losses: u32,
    log: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64, losses: bool) -> Self {
        let mut world = Self {
            seed,
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            now: Duration::ZERO,
            calm: false,
            servers: Vec::new(),
            cut: BTreeSet::new(),
            bids: BTreeMap::new(),
            live: BTreeSet::new(),
            losses: 0,
            log: Vec::new(),
        };
        let expect = [1, 2, 3, 3, 3, 4, 5][world.roll(7)];
        if losses {
            world.losses = u32::try_from((expect - 1) / 2).unwrap();
        }
        // Fewer than twice as many as form a cluster are ever blank; a lost disk makes one more.
        let spare = expect - world.losses as usize;
        let count = if expect == 1 {
            1
        } else {
            expect + world.roll(spare)
        };
        for number in 0..count {
            let own = address(u8::try_from(number + 1).unwrap());
            let expect = u32::try_from(expect).unwrap();
            let rises = Duration::from_millis(world.roll(20_000) as u64);
            let server = Server {
                me: world.blank(own, expect),
                expect,
                own,
                up: false,
                rises,
                next: rises,
                seen: BTreeMap::new(),
                callers: BTreeMap::new(),
                asked: Duration::ZERO,
                alive: Duration::ZERO,
            };
            world.servers.push(server);
        }
        let all: BTreeSet<SocketAddr> = world.servers.iter().map(|server| server.own).collect();
        for server in &mut world.servers {
            server.me.known = all.iter().copied().filter(|at| *at != server.own).collect();
        }
        world
    }

    fn blank(&mut self, own: SocketAddr, expect: u32) -> Announcement {
        let node = NodeId::from_u128((u128::from(self.draw()) << 64) | u128::from(self.draw()));
        Announcement {
            node,
            name: own.to_string(),
            role: Role::Server,
            expect,
            standing: Standing::Blank,
            renounced: BTreeSet::new(),
            former: BTreeSet::new(),
            known: BTreeSet::new(),
            member: member(node, own),
            csr: Vec::new(),
        }
    }

    fn draw(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.draw() >> 33).unwrap() % sides
    }

    /// Things go wrong one time in `of`, while they do.
    fn fails(&mut self, of: usize) -> bool {
        !self.calm && self.roll(of) == 0
    }

    pub(super) fn rage(&mut self) {
        while self.now < RAGE {
            self.turn();
        }
    }

    pub(super) fn heal(&mut self) {
        if !self.heals() {
            self.fail("not everyone is a member long after all faults had ended");
        }
    }

    /// Whether everyone is a member in the end.
    pub(super) fn heals(&mut self) -> bool {
        self.calm = true;
        self.cut.clear();
        let begun = self.now;
        while !self.all_members() {
            if self.now > begun + HEALED {
                return false;
            }
            self.turn();
        }
        true
    }

    fn all_members(&self) -> bool {
        let standings: BTreeSet<_> = self
            .servers
            .iter()
            .map(|server| match server.me.standing {
                Standing::Member(cluster) => Some(cluster),
                _ => None,
            })
            .collect();
        standings.len() == 1 && !standings.contains(&None)
    }

    fn fail(&self, what: &str) -> ! {
        let standings: Vec<_> = self
            .servers
            .iter()
            .map(|server| {
                format!(
                    "{} {}: {:?}",
                    server.own, server.me.node, server.me.standing
                )
            })
            .collect();
        let log = self.log.join("\n");
        let standings = standings.join("\n");
        panic!(
            "{what}\n{log}\n{standings}\nagain with SWARMER_SEED={}",
            self.seed
        );
    }

    fn say(&mut self, at: usize, what: &str) {
        let line = format!("{:>8.3?} {} {what}", self.now, self.servers[at].own);
        self.log.push(line);
    }

    /// The next server's round, and now and then a fault.
    fn turn(&mut self) {
        let at = (0..self.servers.len())
            .min_by_key(|at| self.servers[*at].next)
            .unwrap();
        self.now = self.now.max(self.servers[at].next);
        if !self.servers[at].up {
            self.rise(at);
        }
        if self.fails(12) {
            let (one, other) = (self.roll(self.servers.len()), self.roll(self.servers.len()));
            if !self.cut.remove(&(one, other)) {
                self.cut.insert((one, other));
            }
        }
        if self.fails(40) {
            self.cut.clear();
        }
        if self.round(at).is_none() {
            self.crash(at);
        }
        let pause = Duration::from_millis(40 + self.roll(1_000) as u64);
        let server = &mut self.servers[at];
        server.next = self.now + pause;
        if !server.up {
            server.next = server.rises;
        }
        self.check();
    }

    fn rise(&mut self, at: usize) {
        let now = self.now;
        let server = &mut self.servers[at];
        server.up = true;
        server.alive = now;
        server.asked = now;
    }

    fn crash(&mut self, at: usize) {
        let away = Duration::from_millis(self.roll(25_000) as u64);
        let lost = self.losses > 0 && self.roll(3) == 0;
        self.say(
            at,
            if lost {
                "dies with its disk"
            } else {
                "crashes"
            },
        );
        if lost {
            self.losses -= 1;
            self.wiped(at);
        }
        let server = &mut self.servers[at];
        server.up = false;
        server.seen.clear();
        server.callers.clear();
        server.rises = self.now + away;
    }

    fn reborn(&mut self, at: usize) {
        let mut former = self.servers[at].me.former.clone();
        former.insert(self.servers[at].me.node);
        self.wiped(at);
        self.servers[at].me.former = former;
    }

    fn wiped(&mut self, at: usize) {
        let (own, expect) = (self.servers[at].own, self.servers[at].expect);
        let known = self.servers[at].me.known.clone();
        self.servers[at].me = self.blank(own, expect);
        self.servers[at].me.known = known;
        self.servers[at].seen.clear();
        self.servers[at].callers.clear();
    }

    /// Whether a message arrives.
    fn arrives(&mut self, from: usize, to: usize) -> bool {
        self.servers[to].up && !self.cut.contains(&(from, to)) && !self.fails(10)
    }

    /// `None`: it crashed in the middle.
    fn round(&mut self, at: usize) -> Option<()> {
        let mut seen = BTreeMap::new();
        for other in (0..self.servers.len()).filter(|other| *other != at) {
            let sight = self.announce(at, other);
            seen.insert(self.servers[other].own, sight);
            if self.fails(400) {
                return None;
            }
        }
        self.servers[at].seen = seen;
        self.servers[at].asked = self.now;
        let step = self.with_view(at, plan);
        self.act(at, step)
    }

    fn announce(&mut self, from: usize, to: usize) -> Sight {
        if !self.arrives(from, to) {
            return Sight::Nobody;
        }
        let said = self.servers[from].me.clone();
        self.note(to, &said);
        let now = self.now;
        let papers = self.servers[to].me.standing.clone();
        self.servers[to].callers.insert(said.node, (said, now));
        if !self.arrives(to, from) {
            return Sight::Nobody;
        }
        self.accept(from, &papers);
        let answer = self.servers[to].me.clone();
        self.note(from, &answer);
        Sight::Somebody(answer)
    }

    fn note(&mut self, at: usize, said: &Announcement) {
        let now = self.now;
        let server = &mut self.servers[at];
        let Standing::Promised(bid) = &server.me.standing else {
            return;
        };
        let alive = match &said.standing {
            Standing::Promised(theirs) => {
                said.node == bid.proposer && theirs == bid && bid.proposer != server.me.node
            }
            Standing::Founded(theirs) => theirs == bid,
            Standing::Member(cluster) => *cluster == bid.cluster,
            Standing::Blank => false,
        };
        if alive {
            server.alive = now;
        }
    }

    /// A founder gives papers to one that waits for them.
    fn accept(&mut self, at: usize, giver: &Standing) {
        let cluster = match giver {
            Standing::Founded(bid) => bid.cluster,
            Standing::Member(cluster) => *cluster,
            _ => return,
        };
        let me = &self.servers[at].me;
        let bid = self.bids[&cluster].clone();
        if me.standing == Standing::Promised(bid.clone()) && !me.renounced.contains(&cluster) {
            self.servers[at].me.standing = Standing::Founded(bid);
            self.say(at, "receives its papers");
        }
    }

    fn with_view<T>(&self, at: usize, decide: impl FnOnce(&View<'_>) -> T) -> T {
        let server = &self.servers[at];
        let mut seen = server.seen.clone();
        for (said, when) in server.callers.values() {
            if self.now.saturating_sub(*when) > FRESH {
                continue;
            }
            match seen.get(&said.member.rpc()) {
                Some(Sight::Somebody(old)) if old.node == said.node && *when > server.asked => {}
                None => {}
                Some(_) => continue,
            }
            seen.insert(said.member.rpc(), Sight::Somebody(said.clone()));
        }
        decide(&View {
            me: &server.me,
            own: server.own,
            seen: &seen,
            unresolved: 0,
            quiet: self.now.saturating_sub(server.alive),
        })
    }

    fn act(&mut self, at: usize, step: Step) -> Option<()> {
        match step {
            Step::Wait(_) => {}
            Step::Propose(members) => {
                let cluster = ClusterId::from_u128(u128::from(self.draw()));
                let proposer = self.servers[at].me.node;
                let bid = Bid {
                    cluster,
                    proposer,
                    members,
                };
                self.say(at, &format!("proposes {cluster}"));
                self.bids.insert(cluster, bid.clone());
                if self.promise(at, &bid) {
                    self.collect(at, &bid)?;
                }
            }
            Step::Ask(_) => {
                if let Standing::Promised(bid) = self.servers[at].me.standing.clone() {
                    self.collect(at, &bid)?;
                }
            }
            Step::Found => self.found(at)?,
            Step::HandOver(_) => self.hand_over(at)?,
            Step::Begin => {
                if let Standing::Founded(bid) = self.servers[at].me.standing.clone() {
                    self.servers[at].me.standing = Standing::Member(bid.cluster);
                    self.say(at, "is a member");
                }
            }
            Step::Renounce(cluster) => {
                self.servers[at].me.renounced.insert(cluster);
                self.say(at, &format!("gives {cluster} up"));
            }
            Step::Release(cluster) => {
                self.servers[at].me.renounced.insert(cluster);
                self.servers[at].me.standing = Standing::Blank;
                self.say(at, "is blank again");
            }
            Step::Reborn(_) => {
                self.say(at, "starts anew");
                self.reborn(at);
            }
            Step::Join(cluster, through) => self.join(at, cluster, through),
        }
        (!self.fails(100)).then_some(())
    }

    /// A cluster lives once a majority of its founders can speak raft. Never two do.
    fn check(&mut self) {
        for (cluster, bid) in &self.bids {
            let holders = self.servers.iter().filter(|server| {
                let holds = match &server.me.standing {
                    Standing::Founded(theirs) => theirs.cluster == *cluster,
                    Standing::Member(theirs) => theirs == cluster,
                    _ => false,
                };
                holds && bid.members.contains(&server.me.node)
            });
            if holders.count() * 2 > bid.members.len() {
                self.live.insert(*cluster);
            }
        }
        if self.live.len() > 1 {
            self.fail("two clusters live");
        }
        for server in &self.servers {
            if let Standing::Member(cluster) = &server.me.standing
                && !self.live.contains(cluster)
            {
                self.fail("a member of a cluster that does not live");
            }
        }
    }
}
