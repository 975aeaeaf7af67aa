use std::collections::BTreeMap;

use super::*;
use crate::model::{KeyFingerprint, Member, MemberStatus, Name, NodeId, Ports};

/// The steward's part.
#[path = "steward_tests.rs"]
mod steward_tests;

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
    unlisted: Duration,
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
            unlisted: self.unlisted,
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
        (node.ready, node.reachable, node.down) = (false, false, true);
    }

    fn add(&mut self, node: SwarmNode) {
        self.swarm.as_mut().unwrap().nodes.push(node);
    }
}

fn memory(how: How, cluster: &str, node: &str) -> Memory {
    Memory::new(how, cluster, node)
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
            docker: 0,
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
        offers: Vec::new(),
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
        [],
        "it was never on their list: no evidence"
    );
    broken.memory.as_mut().unwrap().listed = true;
    assert_eq!(
        broken.steps(),
        [Step::Leave { force: false }, Step::ForgetMemory]
    );
}

#[test]
fn a_worker_that_was_struck_off_joins_again() {
    let mut sight = blank(W).recorded("S").active(None, "sw");
    sight = sight.remembers(How::Joined, "S", "sw");
    sight.unlisted = LONG;
    assert_eq!(sight.steps(), [], "it was not on the list yet");
    sight.offer.as_mut().unwrap().node = Some("sw".into());
    let listed = Memory {
        listed: true,
        ..memory(How::Joined, "S", "sw")
    };
    assert_eq!(sight.steps(), [Step::Remember(listed.clone())]);
    sight.memory = Some(listed);
    sight.unlisted = Duration::ZERO;
    assert_eq!(sight.steps(), []);
    sight.offer.as_mut().unwrap().node = None;
    assert_eq!(sight.steps(), [], "not at once");
    sight.unlisted = LONG;
    assert_eq!(
        sight.steps(),
        [Step::Leave { force: false }, Step::ForgetMemory]
    );
    sight.offer = None;
    assert_eq!(sight.steps(), [], "nobody could be asked");
}

#[test]
fn secrets_stay_out_of_debug_output() {
    let sight = steward(vec![]);
    let shown = format!("{:?} {:?}", sight.swarm, offer("S"));
    assert!(!shown.contains("SWMTKN"), "{shown}");
    assert!(!format!("{:?}", sight.records).contains("SWMTKN"));
}
