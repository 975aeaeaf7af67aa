//! Three servers' raft in one process: real logs in temporary folders, links that can be cut.

use super::*;
use crate::model::{CaRow, ClusterId, Genesis, KvOp, Name};

#[path = "raft_tests/wires.rs"]
mod wires;

pub(crate) use wires::Hub;

/// Long enough for an election on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// The servers 1 to 3.
struct Trio {
    hub: Hub,
    folders: Vec<tempfile::TempDir>,
    rafts: Vec<Raft>,
    config: fn() -> Config,
}

fn id(number: usize) -> NodeId {
    NodeId::from_u128(number as u128)
}

pub(crate) fn genesis() -> Op {
    Op::InitCluster(Box::new(Genesis {
        cluster: ClusterId::from_u128(1),
        stack: Name::new("s").unwrap(),
        dc: Name::new("d").unwrap(),
        expect: 3,
        founders: Vec::new(),
        ca: CaRow {
            cert_pem: String::new(),
            sealed_key: Vec::new(),
            sealed_join_key: Vec::new(),
        },
        tokens: Vec::new(),
        hidden: BTreeMap::new(),
    }))
}

fn put(key: &str) -> Op {
    Op::Kv(KvOp::Put {
        key: key.to_owned(),
        value: bytes::Bytes::from(key.to_owned()),
        flags: 0,
        cas: None,
    })
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let waited = tokio::time::timeout(SOON, async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

impl Trio {
    async fn formed() -> Self {
        Self::with(config).await
    }

    async fn with(config: fn() -> Config) -> Self {
        let trio = Self::begun(config).await;
        let leader = trio.leader().await;
        propose(&leader, genesis()).await;
        trio
    }

    /// Three founders before their first election.
    async fn begun(config: fn() -> Config) -> Self {
        let folders = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let mut trio = Self {
            hub: Hub::default(),
            folders,
            rafts: Vec::new(),
            config,
        };
        trio.start().await;
        trio
    }

    async fn start(&mut self) {
        for (number, folder) in (1..).zip(&self.folders) {
            let (id, wires) = (id(number), self.hub.wires(id(number)));
            let store = Store::new(true);
            let founders = (1..=3).map(|number| (self::id(number), Peer::default()));
            let founders = founders.collect();
            let raft = Raft::start_as(id, folder.path(), store, wires, founders, (self.config)());
            self.rafts.push(raft.await.unwrap());
        }
        self.rafts.iter().for_each(|raft| self.hub.add(raft));
    }

    async fn stop(&mut self) {
        for raft in self.rafts.drain(..) {
            raft.inner.shutdown().await.unwrap();
        }
    }

    /// A leader of which another knows, too.
    async fn leader(&self) -> Raft {
        self.leader_among(&self.rafts).await
    }

    async fn leader_among(&self, rafts: &[Raft]) -> Raft {
        until("a leader that others follow", || {
            let leads = |raft: &&Raft| {
                let followed = |other: &Raft| {
                    other.id() != raft.id() && other.view().leader == Some(raft.id())
                };
                raft.is_leader() && rafts.iter().any(followed)
            };
            rafts.iter().find(leads).cloned()
        })
        .await
    }

    fn others(&self, than: &Raft) -> Vec<Raft> {
        let others = self.rafts.iter().filter(|raft| raft.id() != than.id());
        others.cloned().collect()
    }
}

/// A new leader takes no writes before a quorum has heard it; then nothing was appended.
async fn propose(raft: &Raft, op: Op) -> (Reply, u64) {
    let begun = clock::now();
    loop {
        match raft.propose(None, op.clone()).await {
            Ok(done) => return done,
            Err(ProposeError::NotLeader(_)) if begun.elapsed() < SOON => {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn read(raft: &Raft) -> u64 {
    let begun = clock::now();
    loop {
        match raft.read_index().await {
            Ok(index) => return index,
            Err(error) => assert!(begun.elapsed() < SOON, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn write(raft: &Raft, key: &str) -> u64 {
    let (reply, index) = propose(raft, put(key)).await;
    assert_eq!(reply, Reply::Bool(true));
    index
}

#[test]
fn r1_r4_r5_the_switches_are_as_the_rules_say() {
    let config = config().validate().unwrap();
    assert_eq!(config.enable_leader_restore, Some(false));
    assert_eq!(config.allow_log_reversion, Some(false));
    assert_eq!(config.enable_pre_vote, Some(true));
    assert!(config.install_snapshot_timeout >= 60_000);
    assert!(config.heartbeat_interval * 3 <= config.election_timeout_min);
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_whichever_founder_stands_first_is_elected() {
    fn nobody_stands_by_itself() -> Config {
        Config {
            enable_elect: false,
            ..config()
        }
    }
    for number in 0..3 {
        let trio = Trio::begun(nobody_stands_by_itself).await;
        trio.rafts[number].stand().await;
        let leader = trio.leader().await;
        assert_eq!(leader.id(), id(number + 1));
        propose(&leader, genesis()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_leadership_is_handed_over_faster_than_an_election_could_begin() {
    let trio = Trio::formed().await;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let leader = trio.leader().await;
        let heir = trio.others(&leader).pop().unwrap();
        write(&leader, "before").await;
        let begun = clock::now();
        leader.hand_over(heir.id()).await.unwrap();
        until("the heir leads", || heir.is_leader().then_some(())).await;
        best = best.min(begun.elapsed());
    }
    assert!(best < Duration::from_millis(ELECTION_MIN), "{best:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_a_follower_that_was_cut_off_deposes_nobody_when_it_is_back() {
    let trio = Trio::formed().await;
    let leader = trio.leader().await;
    let term = leader.view_term();
    let lonely = trio.others(&leader).pop().unwrap();
    trio.hub.isolate(lonely.id());
    // Several elections' time.
    tokio::time::sleep(Duration::from_millis(ELECTION_MAX * 5)).await;
    assert_eq!(lonely.view_term(), term, "alone it can't raise the term");
    let index = write(&leader, "meanwhile").await;
    trio.hub.heal();
    tokio::time::timeout(SOON, lonely.store.reached(index))
        .await
        .unwrap();
    assert_eq!(leader.leading(), Some(term));
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_r7_a_leader_that_was_cut_off_confirms_nothing() {
    let trio = Trio::formed().await;
    let old = trio.leader().await;
    assert!(old.read_index().await.is_ok());
    trio.hub.isolate(old.id());
    let rest = trio.others(&old);
    let begun = clock::now();
    let asking = {
        let old = old.clone();
        async move {
            let mut refused = 0;
            while begun.elapsed() < Duration::from_secs(3) {
                assert!(old.read_index().await.is_err(), "a deposed leader answered");
                refused += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            refused
        }
    };
    let writing = async {
        let new = trio.leader_among(&rest).await;
        write(&new, "elsewhere").await
    };
    let (refused, index) = tokio::join!(asking, writing);
    assert!(refused > 0);
    trio.hub.heal();
    let new = trio.leader().await;
    assert!(read(&new).await >= index);
}

/// Right after an election the new leader has not committed anything of its own: a read must wait
/// for that, or it could miss what its predecessor acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn r6_a_read_right_after_an_election_sees_every_acknowledged_write() {
    let trio = Trio::formed().await;
    for round in 0..10 {
        let leader = trio.leader().await;
        let heir = trio.others(&leader).pop().unwrap();
        let key = format!("key {round}");
        write(&leader, &key).await;
        leader.hand_over(heir.id()).await.unwrap();
        let read = read(&heir).await;
        tokio::time::timeout(SOON, heir.store.reached(read))
            .await
            .unwrap();
        assert!(heir.store.state().kv().get(&key).is_some(), "{key}");
        trio.leader().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_time_never_goes_back_over_an_election() {
    let trio = Trio::formed().await;
    let mut last = ClusterTime::default();
    for _ in 0..4 {
        let leader = trio.leader().await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        propose(&leader, Op::Tick).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        propose(&leader, Op::Tick).await;
        let now = leader.store.state().time();
        assert!(now > last, "{now:?} after {last:?}");
        last = now;
        let heir = trio.others(&leader).pop().unwrap();
        leader.hand_over(heir.id()).await.unwrap();
        until("the heir leads", || heir.is_leader().then_some(())).await;
    }
    assert!(last < ClusterTime(60_000), "of this test's own seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_what_was_acknowledged_is_there_after_all_have_stopped() {
    let mut trio = Trio::formed().await;
    let leader = trio.leader().await;
    for number in 0..50 {
        write(&leader, &format!("key {number}")).await;
    }
    let term = leader.view_term();
    drop(leader);
    trio.stop().await;
    trio.start().await;
    let leader = trio.leader().await;
    assert!(
        leader.view_term() > term,
        "a restarted leader does not go on in its old term (R1)"
    );
    let read = read(&leader).await;
    leader.store.reached(read).await;
    for number in 0..50 {
        let key = format!("key {number}");
        assert!(
            leader.store.state().kv().get(&key).is_some(),
            "{key} is lost"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_late_server_gets_a_snapshot_while_writes_go_on() {
    let small = || Config {
        snapshot_policy: SnapshotPolicy::LogsSinceLast(50),
        max_in_snapshot_log_to_keep: 5,
        purge_batch_size: 1,
        replication_lag_threshold: 20,
        ..config()
    };
    let trio = Trio::with(small).await;
    let leader = trio.leader().await;
    let late = trio.others(&leader).pop().unwrap();
    trio.hub.isolate(late.id());
    for number in 0..300 {
        write(&leader, &format!("key {number}")).await;
    }
    trio.hub.heal();
    let mut number = 300;
    let begun = clock::now();
    let mut index = 0;
    while late.store.state().kv().get("key 299").is_none() {
        assert!(begun.elapsed() < SOON, "the late server does not catch up");
        index = write(&leader, &format!("key {number}")).await;
        number += 1;
    }
    tokio::time::timeout(SOON, late.store.reached(index))
        .await
        .unwrap();
    let state = late.store.state();
    for number in 0..number {
        assert!(state.kv().get(&format!("key {number}")).is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fits_no_frame_is_refused_before_it_is_appended() {
    let trio = Trio::formed().await;
    let leader = trio.leader().await;
    let before = leader.view().last_log;
    let huge = Op::Kv(KvOp::Put {
        key: "huge".into(),
        value: bytes::Bytes::from(vec![0; LARGEST + 1]),
        flags: 0,
        cas: None,
    });
    let refused = leader.propose(None, huge).await;
    assert!(
        matches!(refused, Err(ProposeError::TooLarge(_))),
        "{refused:?}"
    );
    write(&leader, "small").await;
    assert!(leader.view().last_log <= before + 2);
}
