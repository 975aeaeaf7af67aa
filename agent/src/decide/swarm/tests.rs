use super::*;
use crate::model::{KeyFingerprint, MemberStatus, Name, Ports};

const A: NodeId = NodeId::from_u128(1);
const B: NodeId = NodeId::from_u128(2);
const C: NodeId = NodeId::from_u128(3);
const W: NodeId = NodeId::from_u128(9);
const LONG: Duration = Duration::from_secs(3600);

/// What a node sees; changed by each test to its case.
#[derive(Clone, Default)]
struct Sight {
    me: NodeId,
    worker: bool,
    engine: EngineInfo,
    swarm: Option<SwarmView>,
    memory: Option<Memory>,
    offer: Option<JoinOffer>,
    records: Records,
    members: BTreeMap<NodeId, Member>,
    steady: Duration,
    leaving: Option<Duration>,
}

impl Sight {
    fn plan(&self) -> Plan {
        plan(&View {
            me: self.me,
            role: if self.worker {
                Role::Worker
            } else {
                Role::Server
            },
            engine: &self.engine,
            swarm: self.swarm.as_ref(),
            memory: self.memory.as_ref(),
            offer: self.offer.as_ref(),
            records: &self.records,
            members: &self.members,
            steady: self.steady,
            leaving: self.leaving,
        })
    }

    fn steps(&self) -> Vec<Step> {
        self.plan().steps
    }

    fn intent(mut self, node: NodeId, engine: &str) -> Self {
        let value = Intent {
            node,
            engine: engine.into(),
        };
        self.records.intent = Some(At { value, index: 5 });
        self
    }

    fn recorded(mut self, cluster: &str) -> Self {
        let value = Recorded {
            cluster: cluster.into(),
        };
        self.records.cluster = Some(At { value, index: 6 });
        self.offer = Some(offer(cluster));
        self
    }

    fn active(mut self, cluster: Option<&str>, node: &str) -> Self {
        self.engine.local = Local::Active;
        self.engine.manager = cluster.is_some();
        self.engine.cluster = cluster.map(str::to_owned);
        self.engine.node = node.into();
        self
    }

    fn remembers(mut self, how: How, cluster: &str, node: &str) -> Self {
        self.memory = Some(memory(how, cluster, node));
        self
    }

    /// Writes down what the steward would, until nothing is left to write.
    fn settled(mut self) -> Self {
        for _ in 0..3 {
            for step in self.steps() {
                match step {
                    Step::RecordTokens(value) => {
                        self.records.tokens = Some(At { value, index: 8 });
                    }
                    Step::RecordNodes(value) => self.records.nodes = Some(At { value, index: 9 }),
                    _ => {}
                }
            }
        }
        self
    }

    fn node(&mut self, id: &str) -> &mut SwarmNode {
        let nodes = &mut self.swarm.as_mut().unwrap().nodes;
        nodes.iter_mut().find(|node| node.id == id).unwrap()
    }

    fn kill(&mut self, id: &str) {
        let node = self.node(id);
        (node.ready, node.reachable) = (false, false);
    }

    fn add(&mut self, node: SwarmNode) {
        self.swarm.as_mut().unwrap().nodes.push(node);
    }
}

fn memory(how: How, cluster: &str, node: &str) -> Memory {
    Memory {
        how,
        cluster: cluster.into(),
        node: node.into(),
    }
}

fn offer(cluster: &str) -> JoinOffer {
    JoinOffer {
        cluster: cluster.into(),
        remotes: vec!["10.0.0.1:2377".into()],
        token: "SWMTKN-1-secret".into(),
        node: None,
    }
}

fn member(id: NodeId, name: &str, last: u8) -> (NodeId, Member) {
    let member = Member {
        id,
        name: Name::new(name).unwrap(),
        role: if id == W { Role::Worker } else { Role::Server },
        address: [10, 0, 0, last].into(),
        ports: Ports {
            rpc: 8300,
            http: 8500,
            https: 8501,
            dns: 53,
            registry: 5000,
        },
        key: KeyFingerprint::default(),
        boot: None,
        status: MemberStatus::Alive,
        since: crate::model::ClusterTime(0),
        version: String::new(),
    };
    (id, member)
}

/// A server or worker whose engine is in no Swarm.
fn blank(me: NodeId) -> Sight {
    Sight {
        me,
        worker: me == W,
        engine: EngineInfo {
            id: format!("E{}", me.0.as_u128()),
            ..EngineInfo::default()
        },
        members: [
            member(A, "a", 1),
            member(B, "b", 2),
            member(C, "c", 3),
            member(W, "w", 9),
        ]
        .into(),
        ..Sight::default()
    }
}

fn worker(id: &str, last: u8) -> SwarmNode {
    SwarmNode {
        id: id.into(),
        address: format!("10.0.0.{last}"),
        ready: true,
        ..SwarmNode::default()
    }
}

fn manager(id: &str, last: u8) -> SwarmNode {
    SwarmNode {
        manager: true,
        reachable: true,
        manages_at: Some(format!("10.0.0.{last}:2377")),
        ..worker(id, last)
    }
}

/// A's engine leads Swarm S of these nodes, and all is written down.
fn steward(nodes: Vec<SwarmNode>) -> Sight {
    let mut sight = blank(A)
        .intent(A, "E1")
        .recorded("S")
        .active(Some("S"), "sa");
    sight = sight.remembers(How::Created, "S", "sa");
    let leader = SwarmNode {
        leader: true,
        ..manager("sa", 1)
    };
    sight.swarm = Some(SwarmView {
        cluster: "S".into(),
        worker_token: "SWMTKN-1-secret".into(),
        services: 0,
        nodes: [vec![leader], nodes].concat(),
    });
    sight.settled()
}

#[test]
fn s1_the_intent_is_written_down_before_the_swarm_is_made() {
    let commit = |expect| Step::CommitIntent {
        engine: "E1".into(),
        expect,
    };
    let made = Step::Init(Intent {
        node: A,
        engine: "E1".into(),
    });
    let making = Step::Remember(memory(How::Created, "", ""));
    let reaped = {
        let mut sight = blank(A).intent(B, "E2");
        sight.members.remove(&B);
        sight
    };
    let table: [(&str, Sight, Vec<Step>); 6] = [
        ("nobody has", blank(A), vec![commit(0)]),
        ("mine", blank(A).intent(A, "E1"), vec![making, made]),
        (
            "mine, but the engine was replaced",
            blank(A).intent(A, "E0"),
            vec![commit(5)],
        ),
        ("another's", blank(A).intent(B, "E2"), vec![]),
        ("another's, who was reaped", reaped, vec![commit(5)]),
        ("a worker never", blank(W), vec![]),
    ];
    for (case, sight, steps) in table {
        assert_eq!(sight.steps(), steps, "{case}");
    }
    let mut failed = blank(A).intent(B, "E2");
    failed.members.get_mut(&B).unwrap().status = MemberStatus::Failed;
    let says = failed.plan().status.to_string();
    assert!(
        says.contains("waiting for b to make the Swarm"),
        "failed is not reaped: {says}"
    );
}

#[test]
fn s1_only_the_maker_adopts_what_its_engine_already_has() {
    let mine = blank(A).intent(A, "E1").active(Some("S"), "sa");
    let record = Step::RecordCluster(Recorded {
        cluster: "S".into(),
    });
    let found = Step::Remember(memory(How::Found, "S", "sa"));
    let created = Step::Remember(memory(How::Created, "S", "sa"));
    assert_eq!(
        mine.steps(),
        [found, record.clone()],
        "there before: adopted, not ours to end"
    );
    let crashed = mine.remembers(How::Created, "", "");
    assert_eq!(
        crashed.steps(),
        [created, record],
        "made just before a crash"
    );
    let other = blank(B).intent(A, "E1").active(Some("X"), "sb");
    assert!(matches!(
        other.plan().status,
        Status::Blocked(Blocked::Foreign(_))
    ));
    assert_eq!(other.steps(), []);
}

#[test]
fn s2_a_swarm_that_is_not_ours_or_not_empty_is_never_left() {
    let mut empty = blank(A).recorded("S").active(Some("X"), "xa");
    let own = SwarmNode {
        leader: true,
        ..manager("xa", 1)
    };
    let cluster = "X".to_owned();
    empty.swarm = Some(SwarmView {
        cluster,
        nodes: vec![own],
        ..SwarmView::default()
    });
    let mut services = empty.clone();
    services.swarm.as_mut().unwrap().services = 1;
    let mut nodes = empty.clone();
    nodes.add(worker("xb", 2));
    let created = |sight: &Sight| sight.clone().remembers(How::Created, "X", "xa");
    let table = [
        ("not remembered", empty.clone(), None),
        (
            "found, not made",
            empty.clone().remembers(How::Found, "X", "xa"),
            None,
        ),
        (
            "another node id",
            empty.clone().remembers(How::Joined, "X", "xz"),
            None,
        ),
        ("with services", created(&services), None),
        ("with other nodes", created(&nodes), None),
        ("made here and empty", created(&empty), Some(true)),
        (
            "joined as a worker by this agent",
            blank(W)
                .recorded("S")
                .active(None, "xw")
                .remembers(How::Joined, "X", "xw"),
            Some(false),
        ),
        (
            "a worker of strangers",
            blank(W).recorded("S").active(None, "xw"),
            None,
        ),
    ];
    for (case, sight, leaves) in table {
        let plan = sight.plan();
        let left = plan.steps.iter().find_map(|step| match step {
            Step::Leave { force } => Some(*force),
            _ => None,
        });
        assert_eq!(left, leaves, "{case}");
        let blocked = matches!(plan.status, Status::Blocked(_));
        assert_eq!(blocked, leaves.is_none(), "{case}: it stops and reports");
    }
    let says = created(&services).plan().status.to_string();
    assert!(
        says.contains("1 services") && says.contains("docker swarm leave --force"),
        "{says}"
    );
}

#[test]
fn engines_join_as_workers_and_know_their_swarm_again() {
    let joining = Step::Remember(memory(How::Joined, "S", ""));
    let table = [
        (
            "in none",
            blank(W).recorded("S"),
            vec![joining.clone(), Step::Join(offer("S"))],
        ),
        (
            "a server likewise",
            blank(B).recorded("S"),
            vec![joining, Step::Join(offer("S"))],
        ),
        (
            "joined just before a crash",
            blank(W)
                .recorded("S")
                .active(None, "sw")
                .remembers(How::Joined, "S", ""),
            vec![Step::Remember(memory(How::Joined, "S", "sw"))],
        ),
        (
            "as remembered",
            blank(W)
                .recorded("S")
                .active(None, "sw")
                .remembers(How::Joined, "S", "sw"),
            vec![],
        ),
    ];
    for (case, sight, steps) in table {
        assert_eq!(sight.steps(), steps, "{case}");
    }
    let mut reinstalled = blank(W).recorded("S").active(None, "sw");
    reinstalled.engine.managers = vec!["10.0.0.1:2377".into()];
    assert_eq!(
        reinstalled.steps(),
        [Step::Remember(memory(How::Found, "S", "sw"))]
    );
    let own_only = blank(A).recorded("S").plan().status;
    assert_eq!(own_only, Status::Blocked(Blocked::NoManagers("S".into())));
}

#[test]
fn a_failed_join_is_undone_and_a_manager_in_trouble_is_not() {
    let mut stuck = blank(W).recorded("S").remembers(How::Joined, "S", "");
    stuck.engine.local = Local::Pending;
    assert_eq!(stuck.steps(), [], "it gets its time");
    stuck.steady = LONG;
    assert_eq!(
        stuck.steps(),
        [Step::Leave { force: false }, Step::ForgetMemory]
    );
    stuck.memory = Some(memory(How::Joined, "S", "sw"));
    assert_eq!(
        stuck.steps(),
        [],
        "once it had joined it waits for its managers"
    );
    let mut broken = blank(B).recorded("S").remembers(How::Joined, "S", "sb");
    (broken.engine.local, broken.engine.node, broken.steady) = (Local::Error, "sb".into(), LONG);
    broken.offer.as_mut().unwrap().node = Some("sb".into());
    assert_eq!(broken.steps(), [], "the managers still count on its data");
    broken.offer.as_mut().unwrap().node = None;
    assert_eq!(
        broken.steps(),
        [Step::Leave { force: false }, Step::ForgetMemory]
    );
}

#[test]
fn s3_servers_are_promoted_one_at_a_time_while_all_managers_live() {
    let mut sight = steward(vec![worker("sb", 2), worker("sc", 3), worker("sw", 9)]);
    assert_eq!(sight.steps(), [Step::Promote("sb".into())]);
    sight.node("sb").manager = true;
    assert_eq!(
        sight.steps(),
        [],
        "sb is not reachable yet: one of two living"
    );
    *sight.node("sb") = manager("sb", 2);
    let steps = sight.clone().settled().steps();
    assert_eq!(steps, [Step::Promote("sc".into())]);
    *sight.node("sc") = manager("sc", 3);
    assert_eq!(sight.settled().steps(), [], "a worker stays one");
}

#[test]
fn s3_a_replacement_manages_only_after_its_predecessor_is_demoted_and_removed() {
    let mut sight = steward(vec![manager("sb", 2), manager("sc", 3)]);
    sight.kill("sc");
    let sight = {
        // The same name on another host: the old id is fenced, its row gone.
        const D: NodeId = NodeId::from_u128(4);
        sight.members.remove(&C);
        sight.members.extend([member(D, "c", 4)]);
        sight.add(worker("sd", 4));
        sight.settled()
    };
    assert_eq!(sight.steps(), [Step::Demote("sc".into())]);
    let mut demoted = sight;
    (demoted.node("sc").manager, demoted.node("sc").manages_at) = (false, None);
    assert_eq!(demoted.steps(), [Step::Remove("sc".into())]);
    demoted
        .swarm
        .as_mut()
        .unwrap()
        .nodes
        .retain(|node| node.id != "sc");
    let promoted = demoted.settled().steps();
    assert_eq!(promoted, [Step::Promote("sd".into())]);
}

#[test]
fn s3_no_manager_is_made_while_its_death_could_stop_the_swarm() {
    let mut sight = steward(vec![manager("sb", 2), manager("sc", 3)]);
    sight.kill("sc");
    let mut failed = sight;
    failed.members.get_mut(&C).unwrap().status = MemberStatus::Failed;
    failed
        .members
        .extend([member(NodeId::from_u128(4), "d", 4)]);
    failed.add(worker("sd", 4));
    let failed = failed.settled();
    assert_eq!(
        failed.steps(),
        [],
        "c may come back: two of three living, d works and waits"
    );
    for (managers, living, may) in [
        (1, 1, true),
        (3, 3, true),
        (3, 2, false),
        (5, 4, true),
        (5, 3, false),
    ] {
        assert_eq!(
            steward::may_promote(managers, living),
            may,
            "{living} of {managers}"
        );
    }
}

#[test]
fn the_steward_leaves_strangers_and_the_living_alone() {
    let mut sight = steward(vec![worker("sw", 9), worker("stranger", 77)]);
    sight.members.remove(&B);
    sight.members.remove(&C);
    sight.kill("stranger");
    assert_eq!(sight.steps(), [], "a node that no member had is not ours");
    sight.members.remove(&W);
    assert_eq!(
        sight.steps(),
        [Step::Remove("sw".into())],
        "reaped, its engine may still run"
    );
    let mut follower = sight;
    follower.node("sa").leader = false;
    assert_eq!(follower.steps(), [], "only beside the Swarm's leader");
}

#[test]
fn a_wiped_engine_takes_the_place_of_its_dead_self() {
    let mut sight = steward(vec![manager("sb", 2), manager("sc", 3)]);
    sight.add(worker("sb2", 2));
    let sight = sight.settled();
    assert_eq!(
        sight.steps(),
        [],
        "two are said to be ready on one host: wait"
    );
    let mut sight = sight;
    sight.kill("sb");
    let mut sight = sight.settled();
    assert_eq!(sight.steps(), [Step::Demote("sb".into())]);
    sight
        .swarm
        .as_mut()
        .unwrap()
        .nodes
        .retain(|node| node.id != "sb");
    let last = sight.settled();
    assert_eq!(last.steps(), [Step::Promote("sb2".into())]);
}

#[test]
fn who_leaves_is_drained_demoted_and_goes() {
    let mut sight = steward(vec![manager("sb", 2), manager("sc", 3)]);
    sight.members.get_mut(&B).unwrap().status = MemberStatus::Leaving;
    assert_eq!(
        sight.steps(),
        [Step::Drain("sb".into()), Step::Demote("sb".into())]
    );
    let mut leaver = blank(B)
        .recorded("S")
        .active(None, "sb")
        .remembers(How::Joined, "S", "sb");
    (leaver.leaving, leaver.engine.running) = (Some(Duration::ZERO), 2);
    assert_eq!(leaver.plan().status, Status::Waiting(Waiting::Drain));
    leaver.engine.running = 0;
    assert_eq!(
        leaver.steps(),
        [Step::Leave { force: false }, Step::ForgetMemory]
    );
    let mut last = steward(vec![]);
    last.leaving = Some(LONG);
    assert_eq!(
        last.steps(),
        [Step::Leave { force: true }, Step::ForgetMemory]
    );
    last.swarm.as_mut().unwrap().services = 1;
    let status = last.plan().status;
    assert_eq!(
        status,
        Status::Blocked(Blocked::LastManager { services: 1 })
    );
}

#[test]
fn secrets_stay_out_of_debug_output() {
    let sight = steward(vec![]);
    let shown = format!("{:?} {:?}", sight.swarm, offer("S"));
    assert!(!shown.contains("SWMTKN"), "{shown}");
    assert!(!format!("{:?}", sight.records).contains("SWMTKN"));
}
