//! Tables for each rule, and a simulation in which everything goes wrong at once.

use std::net::Ipv4Addr;

use super::*;
use crate::model::{ClusterTime, KeyFingerprint, MemberStatus, Name, Ports};

#[path = "bootstrap/world.rs"]
mod world;

use world::World;

const CLUSTER: ClusterId = ClusterId::from_u128(77);

fn address(number: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, number), 8300))
}

fn id(number: u8) -> NodeId {
    NodeId::from_u128(u128::from(number))
}

fn member(node: NodeId, address: SocketAddr) -> Member {
    Member {
        id: node,
        name: Name::new("n").unwrap(),
        role: Role::Server,
        address: address.ip(),
        ports: Ports {
            rpc: address.port(),
            http: 0,
            https: 0,
            dns: 0,
            registry: 0,
            docker: 0,
        },
        key: KeyFingerprint([0; 32]),
        boot: None,
        status: MemberStatus::Lapsed,
        since: ClusterTime::default(),
        version: String::new(),
    }
}

fn server(number: u8, expect: u32) -> Announcement {
    Announcement {
        node: id(number),
        name: format!("n{number}"),
        role: Role::Server,
        expect,
        standing: Standing::Blank,
        renounced: BTreeSet::new(),
        former: BTreeSet::new(),
        known: BTreeSet::new(),
        member: member(id(number), address(number)),
        csr: Vec::new(),
    }
}

fn bid(proposer: u8, members: &[u8]) -> Bid {
    Bid {
        cluster: CLUSTER,
        proposer: id(proposer),
        members: members.iter().map(|number| id(*number)).collect(),
    }
}

fn with(mut said: Announcement, standing: Standing) -> Announcement {
    said.standing = standing;
    said
}

fn renouncing(mut said: Announcement) -> Announcement {
    said.renounced.insert(CLUSTER);
    said
}

/// What one server knows.
struct Table {
    me: Announcement,
    seen: BTreeMap<SocketAddr, Sight>,
    unresolved: usize,
    quiet: Duration,
}

impl Table {
    fn of(me: Announcement) -> Self {
        Self {
            me,
            seen: BTreeMap::new(),
            unresolved: 0,
            quiet: Duration::ZERO,
        }
    }

    fn sees(mut self, said: Announcement) -> Self {
        self.seen
            .insert(said.member.rpc(), Sight::Somebody(said.clone()));
        self
    }

    fn misses(mut self, number: u8) -> Self {
        self.seen.insert(address(number), Sight::Nobody);
        self
    }

    fn quiet(mut self) -> Self {
        self.quiet = PATIENCE;
        self
    }

    fn view(&self) -> View<'_> {
        View {
            me: &self.me,
            own: self.me.member.rpc(),
            seen: &self.seen,
            unresolved: self.unresolved,
            quiet: self.quiet,
        }
    }

    fn step(&self) -> Step {
        plan(&self.view())
    }

    fn waits(&self, word: &str) {
        match self.step() {
            Step::Wait(why) => assert!(why.contains(word), "{why:?} says nothing of {word:?}"),
            other => panic!("{other:?}, not a wait for {word:?}"),
        }
    }
}

fn ids(numbers: &[u8]) -> BTreeSet<NodeId> {
    numbers.iter().map(|number| id(*number)).collect()
}

#[test]
fn b1_a_silent_address_counts_as_a_server_and_a_worker_does_not() {
    let three = || {
        Table::of(server(1, 3))
            .sees(server(2, 3))
            .sees(server(3, 3))
    };
    assert_eq!(three().step(), Step::Propose(ids(&[1, 2, 3])));
    assert_eq!(
        three().misses(4).misses(5).step(),
        Step::Propose(ids(&[1, 2, 3]))
    );
    three()
        .misses(4)
        .misses(5)
        .misses(6)
        .waits("expect: 4 would do");
    let mut worker = server(6, 3);
    worker.role = Role::Worker;
    let table = three().misses(4).misses(5).sees(worker);
    assert_eq!(table.step(), Step::Propose(ids(&[1, 2, 3])));
    let mut unresolved = three().misses(4).misses(5);
    unresolved.unresolved = 1;
    unresolved.waits("6 servers");
}

#[test]
fn b1_what_others_know_of_counts() {
    let mut told = server(2, 3);
    told.known = [4, 5, 6].map(address).into();
    let table = Table::of(server(1, 3)).sees(told).sees(server(3, 3));
    table.waits("6 servers");
}

#[test]
fn b2_the_smallest_ids_form_and_the_smallest_of_them_proposes() {
    let see_all = |me: u8| {
        (1..=4)
            .filter(|number| *number != me)
            .fold(Table::of(server(me, 3)), |table, number| {
                table.sees(server(number, 3))
            })
    };
    assert_eq!(see_all(1).step(), Step::Propose(ids(&[1, 2, 3])));
    for other in [2, 3, 4] {
        see_all(other).waits("smallest id");
    }
    let two = Table::of(server(1, 3)).sees(server(2, 3));
    two.waits("2 of 3");
}

#[test]
fn b2_another_expect_is_an_error_that_names_both() {
    let table = Table::of(server(1, 3)).sees(server(2, 5));
    table.waits("n1 says expect: 3, n2 says expect: 5");
    let bid = bid(2, &[1, 2, 3, 4, 5]);
    let why = may_promise(&table.view(), &bid).unwrap_err();
    assert!(why.contains("must be equal"), "{why}");
}

#[test]
fn b2_who_is_asked_to_promise_looks_for_itself() {
    let bid = bid(1, &[1, 2, 3]);
    let small = Table::of(server(2, 3)).sees(server(1, 3)).misses(3);
    assert_eq!(may_promise(&small.view(), &bid), Ok(()));
    let wide = [3, 4, 5, 6].into_iter().fold(small, Table::misses);
    let why = may_promise(&wide.view(), &bid).unwrap_err();
    assert!(why.contains("not more than half"), "{why}");
}

#[test]
fn b3_all_promise_before_anything_is_founded() {
    let bid = bid(1, &[1, 2, 3]);
    let promised = |number| with(server(number, 3), Standing::Promised(bid.clone()));
    let all = Table::of(promised(1)).sees(promised(2)).sees(promised(3));
    assert_eq!(all.step(), Step::Found);
    let two = Table::of(promised(1)).sees(promised(2)).sees(server(3, 3));
    assert_eq!(two.step(), Step::Ask(ids(&[3])));
    assert_eq!(two.quiet().step(), Step::Renounce(CLUSTER));
}

#[test]
fn b3_a_promise_ends_by_the_proposers_abort_or_when_the_rest_are_no_majority() {
    let bid = bid(1, &[1, 2, 3]);
    let promised = |number| with(server(number, 3), Standing::Promised(bid.clone()));
    let alone = Table::of(promised(2)).misses(1).sees(promised(3));
    alone.waits("promised");
    assert_eq!(alone.quiet().step(), Step::Renounce(CLUSTER));
    let aborted = Table::of(promised(2)).sees(renouncing(promised(1)));
    assert_eq!(aborted.step(), Step::Release(CLUSTER));
    let gave_up = || Table::of(renouncing(promised(2))).misses(1);
    gave_up().sees(promised(3)).waits("not enough others");
    let both = gave_up().sees(renouncing(promised(3)));
    assert_eq!(both.step(), Step::Release(CLUSTER));
}

#[test]
fn b3_a_bid_whose_proposer_died_with_its_disk_is_given_up_by_those_it_never_asked() {
    let bid = bid(1, &[1, 2, 3]);
    let stuck = renouncing(with(server(2, 3), Standing::Promised(bid)));
    let never_asked = Table::of(server(3, 3)).sees(stuck).sees(server(4, 3));
    assert_eq!(never_asked.step(), Step::Renounce(CLUSTER));
    let gone_elsewhere = with(server(3, 3), Standing::Member(ClusterId::from_u128(78)));
    let Table { me, .. } = Table::of(renouncing(with(
        server(2, 3),
        Standing::Promised(self::bid(1, &[1, 2, 3])),
    )));
    assert_eq!(
        Table::of(me).sees(gone_elsewhere).step(),
        Step::Release(CLUSTER),
        "a member of another cluster never founds this one"
    );
}

#[test]
fn b4_a_founder_speaks_raft_only_once_a_majority_holds_its_papers() {
    let bid = bid(1, &[1, 2, 3]);
    let promised = |number| with(server(number, 3), Standing::Promised(bid.clone()));
    let founded = |number| with(server(number, 3), Standing::Founded(bid.clone()));
    let first = || Table::of(founded(1));
    assert_eq!(
        first().sees(promised(2)).misses(3).step(),
        Step::HandOver(ids(&[2, 3]))
    );
    assert_eq!(first().sees(founded(2)).misses(3).step(), Step::Begin);
    let lives = with(server(9, 3), Standing::Member(CLUSTER));
    assert_eq!(first().sees(lives).step(), Step::Begin);
    let dead = first()
        .sees(renouncing(promised(2)))
        .sees(renouncing(server(3, 3)));
    assert_eq!(
        dead.step(),
        Step::Reborn(CLUSTER),
        "it came back after the others had given it up"
    );
    let mut anew = server(7, 3);
    anew.former.insert(id(3));
    let dead = first().sees(renouncing(promised(2))).sees(anew);
    assert_eq!(dead.step(), Step::Reborn(CLUSTER));
    let waiting = Table::of(promised(2)).sees(founded(1)).quiet();
    waiting.waits("papers");
}

#[test]
fn b5_whoever_meets_a_cluster_only_joins() {
    let member = with(server(9, 3), Standing::Member(CLUSTER));
    let table = || {
        Table::of(server(1, 3))
            .sees(server(2, 3))
            .sees(server(3, 3))
    };
    let met = table().sees(member.clone());
    assert_eq!(met.step(), Step::Join(CLUSTER, address(9)));
    let other = Bid {
        cluster: ClusterId::from_u128(78),
        ..bid(2, &[1, 2, 3])
    };
    let why = may_promise(&met.view(), &other).unwrap_err();
    assert!(why.contains("joins it"), "{why}");
    let making = with(server(9, 3), Standing::Founded(bid(9, &[7, 8, 9])));
    table().sees(making).waits("being founded");
    let dead = Table::of(renouncing(server(1, 3)))
        .sees(member)
        .sees(server(2, 3))
        .sees(server(3, 3));
    assert_eq!(
        dead.step(),
        Step::Propose(ids(&[1, 2, 3])),
        "a dead cluster is not met"
    );
    let late = with(server(1, 3), Standing::Promised(bid(2, &[1, 2, 3])));
    let late = Table::of(renouncing(late)).sees(with(server(9, 3), Standing::Member(CLUSTER)));
    assert_eq!(late.step(), Step::Reborn(CLUSTER));
}

#[test]
fn b5_one_alone_forms_only_where_join_names_nobody_else() {
    assert_eq!(Table::of(server(1, 1)).step(), Step::Propose(ids(&[1])));
    let itself = Table::of(server(1, 1)).misses(1);
    assert_eq!(itself.step(), Step::Propose(ids(&[1])));
    Table::of(server(1, 1))
        .misses(2)
        .waits("not more than half");
    let mut named = Table::of(server(1, 1));
    named.unresolved = 1;
    named.waits("not more than half");
}

/// Any order, delay, partition, loss, crash and restart, at every step: never two clusters, and
/// once the faults end, one, with everyone in it.
#[test]
fn b_simulated_faults_never_make_two_clusters_and_end_in_one() {
    for seed in seeds(1_500) {
        let mut world = World::new(seed, false);
        world.rage();
        world.heal();
    }
}

/// As before, and a minority of the disks is lost, too. A bootstrap that was under way may then wait
/// for a founder that is no more, and say so: nobody can tell a lost disk from a long absence.
#[test]
fn b_simulated_loss_of_disks_never_makes_two_clusters() {
    let (mut stuck, mut all) = (0, 0);
    for seed in seeds(700) {
        let mut world = World::new(seed, true);
        world.rage();
        all += 1;
        stuck += u32::from(!world.heals());
    }
    assert!(
        stuck * 10 <= all,
        "{stuck} of {all} wait for a lost founder"
    );
}

/// One seed, if the environment names it (as a failure does), or so many.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let named = option_env!("SWARMER_SEED");
    match named.and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    }
}
