//! R10, case by case, and scripts that carry the steps out.

use std::net::Ipv4Addr;

use super::*;
use crate::model::{ClusterTime, KeyFingerprint, Name, Ports};

fn id(number: u8) -> NodeId {
    NodeId::from_u128(u128::from(number))
}

fn ids(numbers: &[u8]) -> BTreeSet<NodeId> {
    numbers.iter().map(|number| id(*number)).collect()
}

fn member(number: u8, role: Role, status: MemberStatus) -> Member {
    Member {
        id: id(number),
        name: Name::new(&format!("n{number}")).unwrap(),
        role,
        address: Ipv4Addr::new(10, 0, 0, number).into(),
        ports: Ports {
            rpc: 0,
            http: 0,
            https: 0,
            dns: 0,
            registry: 0,
            docker: 0,
        },
        key: KeyFingerprint([number; 32]),
        boot: None,
        status,
        since: ClusterTime::default(),
        version: String::new(),
    }
}

/// A cluster as its leader sees it.
struct Cluster {
    leader: u8,
    expect: usize,
    voters: BTreeSet<NodeId>,
    learners: BTreeSet<NodeId>,
    members: BTreeMap<NodeId, Member>,
    behind: BTreeMap<NodeId, u64>,
    most: usize,
}

impl Cluster {
    fn of(expect: usize, voters: &[u8]) -> Self {
        let mut cluster = Self {
            leader: voters[0],
            expect,
            voters: ids(voters),
            learners: BTreeSet::new(),
            members: BTreeMap::new(),
            behind: BTreeMap::new(),
            most: 0,
        };
        voters
            .iter()
            .for_each(|number| cluster.is(*number, MemberStatus::Alive));
        cluster
    }

    fn is(&mut self, number: u8, status: MemberStatus) {
        self.members
            .insert(id(number), member(number, Role::Server, status));
        self.behind.entry(id(number)).or_insert(0);
    }

    fn is_gone(&mut self, number: u8) {
        self.members.remove(&id(number));
    }

    fn plan(&self) -> Option<Step> {
        plan(&View {
            leader: id(self.leader),
            expect: self.expect,
            voters: &self.voters,
            learners: &self.learners,
            members: &self.members,
            behind: &self.behind,
        })
    }

    /// Carries steps out until there are none, and looks at every state on the way.
    fn settle(&mut self) {
        for _ in 0..40 {
            let Some(step) = self.plan() else {
                return;
            };
            match step {
                Step::AddLearner(node) => assert!(self.learners.insert(node)),
                Step::DropLearner(node) => assert!(self.learners.remove(&node)),
                Step::HandOver(to) => {
                    assert!(self.voters.contains(&to));
                    self.leader = u8::try_from(to.0.as_u128()).unwrap();
                }
                Step::SetVoters(voters) => {
                    let alive = |node: &&NodeId| {
                        let member = self.members.get(node);
                        member.is_some_and(|member| member.status == MemberStatus::Alive)
                    };
                    let living = voters.iter().filter(alive).count();
                    assert!(living * 2 > voters.len(), "no living majority: {voters:?}");
                    assert!(
                        voters.len() <= self.expect || voters.len() < self.voters.len(),
                        "more voters than expected: {voters:?}"
                    );
                    let changed = voters.symmetric_difference(&self.voters).count();
                    assert!(changed <= 2, "more than one at a time: {voters:?}");
                    self.learners.retain(|node| !voters.contains(node));
                    self.voters = voters;
                }
            }
            self.most = self.most.max(self.voters.len());
        }
        panic!("it never settles");
    }
}

#[test]
fn r10_a_new_server_learns_first_and_votes_only_where_there_is_a_place() {
    let mut cluster = Cluster::of(3, &[1, 2, 3]);
    assert_eq!(cluster.plan(), None);
    cluster.is(4, MemberStatus::Alive);
    assert_eq!(cluster.plan(), Some(Step::AddLearner(id(4))));
    cluster.settle();
    assert_eq!(cluster.voters, ids(&[1, 2, 3]));
    assert_eq!(cluster.learners, ids(&[4]));
    cluster.is(3, MemberStatus::Lapsed);
    assert_eq!(cluster.plan(), None, "a lapse is no death");
    cluster.is(3, MemberStatus::Failed);
    cluster.behind.insert(id(4), CAUGHT_UP + 1);
    assert_eq!(cluster.plan(), None, "not caught up");
    cluster.behind.insert(id(4), CAUGHT_UP);
    assert_eq!(
        cluster.plan(),
        Some(Step::SetVoters(ids(&[1, 2, 4]))),
        "one joint change"
    );
    cluster.settle();
    assert_eq!(cluster.most, 3);
}

#[test]
fn r10_a_worker_never_votes() {
    let mut cluster = Cluster::of(3, &[1]);
    cluster
        .members
        .insert(id(9), member(9, Role::Worker, MemberStatus::Alive));
    assert_eq!(cluster.plan(), None);
}

#[test]
fn r10_a_failed_voter_without_a_replacement_keeps_its_place() {
    let mut cluster = Cluster::of(3, &[1, 2, 3]);
    cluster.is(3, MemberStatus::Failed);
    assert_eq!(cluster.plan(), None);
    cluster.is_gone(3);
    assert_eq!(
        cluster.plan(),
        Some(Step::SetVoters(ids(&[1, 2]))),
        "reaped"
    );
    cluster.is(2, MemberStatus::Failed);
    assert_eq!(
        cluster.plan(),
        None,
        "of 1 and 2, 1 alone would be no majority"
    );
}

#[test]
fn r10_it_grows_from_one_to_three_and_shrinks_back() {
    let mut cluster = Cluster::of(1, &[1]);
    for number in 2..=4 {
        cluster.is(number, MemberStatus::Alive);
    }
    cluster.settle();
    assert_eq!(cluster.voters, ids(&[1]), "expect still says 1");
    cluster.expect = 3;
    cluster.settle();
    assert_eq!(cluster.voters, ids(&[1, 2, 3]));
    cluster.expect = 1;
    assert_eq!(
        cluster.plan(),
        Some(Step::SetVoters(ids(&[1, 2]))),
        "one at a time"
    );
    cluster.leader = 2;
    cluster.settle();
    assert_eq!(cluster.voters, ids(&[2]), "never the leader");
}

#[test]
fn r10_the_dead_go_first_when_there_are_too_many() {
    let mut cluster = Cluster::of(5, &[1, 2, 3, 4, 5]);
    cluster.expect = 3;
    cluster.is(2, MemberStatus::Failed);
    assert_eq!(cluster.plan(), Some(Step::SetVoters(ids(&[1, 3, 4, 5]))));
    cluster.settle();
    assert_eq!(cluster.voters, ids(&[1, 3, 4]));
}

#[test]
fn r10_a_leaving_leader_hands_over_and_goes() {
    let mut cluster = Cluster::of(3, &[1, 2, 3]);
    cluster.is(1, MemberStatus::Leaving);
    cluster.behind.insert(id(2), 7);
    assert_eq!(
        cluster.plan(),
        Some(Step::HandOver(id(3))),
        "to the least behind"
    );
    cluster.settle();
    assert_eq!(cluster.voters, ids(&[2, 3]));
}

#[test]
fn r10_the_only_server_is_replaced_by_another() {
    let mut cluster = Cluster::of(1, &[1]);
    cluster.is(1, MemberStatus::Leaving);
    assert_eq!(cluster.plan(), None, "nobody is there to take over");
    cluster.is(2, MemberStatus::Alive);
    cluster.settle();
    assert_eq!(cluster.voters, ids(&[2]));
    assert_eq!(cluster.most, 1);
}

#[test]
fn r10_every_server_is_replaced_one_after_another() {
    let mut cluster = Cluster::of(3, &[1, 2, 3]);
    for old in 1..=3 {
        cluster.is(old + 3, MemberStatus::Alive);
        cluster.settle();
        cluster.is(old, MemberStatus::Leaving);
        cluster.settle();
        assert!(!cluster.voters.contains(&id(old)));
        cluster.is_gone(old);
        cluster.settle();
        assert_eq!(cluster.voters.len(), 3);
    }
    assert_eq!(cluster.voters, ids(&[4, 5, 6]));
    assert!(cluster.learners.is_empty());
}
