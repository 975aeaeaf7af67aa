//! A state under test, and short words for what is done to it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::model::{
    BootId, CaRow, CheckDefinition, CheckRow, CheckStatus, ClusterId, ClusterTime, Command,
    Genesis, KeyFingerprint, KvOp, LeaseEvent, Member, MemberStatus, Name, NodeId, NodeRow, Op,
    Ports, Registration, Reply, RequestId, Role, ServiceRow, Session, SessionBehavior, SessionId,
    Topic, Weights,
};
use crate::state::State;

/// A state, the index and time of its last command, and whom that one woke.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) state: State,
    pub(super) index: u64,
    pub(super) time: u64,
    pub(super) changed: Vec<Topic>,
}

impl World {
    /// A cluster of the servers 1 (`n1`), 2 and 3, all holding their leases in boot 1.
    pub(super) fn formed() -> Self {
        let mut world = Self::default();
        assert_eq!(world.does(init(1)), Reply::Done);
        for number in 1..=3 {
            world.lease(number, 1, LeaseEvent::Held);
        }
        world
    }

    pub(super) fn does(&mut self, op: Op) -> Reply {
        self.asks(None, op)
    }

    pub(super) fn asks(&mut self, request: Option<RequestId>, op: Op) -> Reply {
        self.index += 1;
        self.changed.clear();
        let command = Command {
            request,
            time: ClusterTime(self.time),
            op,
        };
        let reply = self.state.apply(self.index, &command, &mut self.changed);
        let mut once = self.changed.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), self.changed.len(), "a topic came twice");
        reply
    }

    pub(super) fn lease(&mut self, number: u128, boot: u64, event: LeaseEvent) -> Reply {
        self.does(lease(number, boot, event))
    }

    pub(super) fn status(&self, number: u128) -> MemberStatus {
        self.state.member(NodeId::from_u128(number)).unwrap().status
    }

    pub(super) fn serf_health(&self, node: &str) -> CheckStatus {
        let check = self.state.catalog().check(node, "serfHealth").unwrap();
        check.status
    }

    pub(super) fn has_session(&self, number: u128) -> bool {
        let id = SessionId::from_u128(number);
        self.state.sessions().get(&id).is_some()
    }

    /// What a blocking read would have to be woken for, by name: no wake-up, no news.
    pub(super) fn woke(&self, topic: &Topic) -> bool {
        self.changed.contains(topic)
    }
}

pub(super) fn member(number: u128, name: &str, key: u8) -> Member {
    Member {
        id: NodeId::from_u128(number),
        name: Name::new(name).unwrap(),
        role: Role::Server,
        address: std::net::IpAddr::from([10, 0, 0, u8::try_from(number % 250).unwrap()]),
        ports: Ports {
            rpc: 8300,
            http: 8500,
            https: 8501,
            dns: 53,
            registry: 5000,
            docker: 0,
        },
        key: KeyFingerprint([key; 32]),
        boot: None,
        status: MemberStatus::Alive,
        since: ClusterTime(0),
        version: "0.1.0".to_owned(),
    }
}

pub(super) fn join(member: Member) -> Op {
    Op::MemberJoin(Box::new(member))
}

pub(super) fn lease(number: u128, boot: u64, event: LeaseEvent) -> Op {
    Op::Lease {
        node: NodeId::from_u128(number),
        boot: BootId(boot),
        event,
    }
}

pub(super) fn init(cluster: u128) -> Op {
    Op::InitCluster(Box::new(Genesis {
        cluster: ClusterId::from_u128(cluster),
        stack: Name::new("vagrant").unwrap(),
        dc: Name::new("dev").unwrap(),
        expect: 3,
        founders: (1..=3)
            .map(|number| member(number, &format!("n{number}"), number.try_into().unwrap()))
            .collect(),
        ca: CaRow {
            cert_pem: "PEM".to_owned(),
            sealed_key: b"sealed-ca-key".to_vec(),
            sealed_join_key: b"sealed-join-key".to_vec(),
        },
        tokens: Vec::new(),
        hidden: BTreeMap::from([("registry/http".to_owned(), Bytes::from_static(b"hush"))]),
    }))
}

pub(super) fn put(key: &str, value: &str) -> Op {
    Op::Kv(KvOp::Put {
        key: key.to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
        flags: 0,
        cas: None,
    })
}

pub(super) fn put_if(key: &str, value: &str, cas: u64) -> Op {
    Op::Kv(KvOp::Put {
        key: key.to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
        flags: 0,
        cas: Some(cas),
    })
}

pub(super) fn acquire(key: &str, session: u128) -> Op {
    Op::Kv(KvOp::Acquire {
        key: key.to_owned(),
        value: Bytes::from_static(b"held"),
        flags: 7,
        session: SessionId::from_u128(session),
    })
}

pub(super) fn delete(key: &str) -> Op {
    Op::Kv(KvOp::Delete {
        key: key.to_owned(),
        cas: None,
    })
}

/// A session on `node` with these checks, 15 s of lock-delay and behaviour release.
pub(super) fn session(number: u128, node: &str, checks: &[&str]) -> Session {
    Session {
        id: SessionId::from_u128(number),
        name: String::new(),
        node: node.to_owned(),
        lock_delay: Duration::from_secs(15),
        behavior: SessionBehavior::Release,
        ttl: None,
        ttl_text: String::new(),
        node_checks: checks.iter().map(|&check| check.to_owned()).collect(),
        service_checks: Vec::new(),
        create_index: 0,
        modify_index: 0,
    }
}

pub(super) fn create(session: Session) -> Op {
    Op::SessionCreate(Box::new(session))
}

/// A node row from outside.
pub(super) fn node(name: &str, address: &str) -> NodeRow {
    NodeRow {
        id: NodeId::from_u128(
            name.to_lowercase()
                .bytes()
                .fold(1_000, |sum, byte| sum * 31 + u128::from(byte)),
        ),
        name: name.to_owned(),
        address: address.to_owned(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        owner: None,
        create_index: 0,
        modify_index: 0,
    }
}

/// The node row that member `number` writes of itself.
pub(super) fn own_node(number: u128, name: &str) -> NodeRow {
    NodeRow {
        id: NodeId::from_u128(number),
        owner: Some(NodeId::from_u128(number)),
        ..node(name, &format!("10.0.0.{number}"))
    }
}

pub(super) fn service(id: &str, name: &str, tags: &[&str]) -> ServiceRow {
    ServiceRow {
        node: String::new(),
        id: id.to_owned(),
        name: name.to_owned(),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        address: String::new(),
        port: 80,
        meta: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        tagged_addresses: BTreeMap::new(),
        kind: String::new(),
        create_index: 0,
        modify_index: 0,
    }
}

pub(super) fn check(id: &str, service: &str, status: CheckStatus) -> CheckRow {
    CheckRow {
        node: String::new(),
        check_id: id.to_owned(),
        name: id.to_owned(),
        status,
        notes: String::new(),
        output: String::new(),
        service_id: service.to_owned(),
        service_name: String::new(),
        service_tags: Vec::new(),
        kind: String::new(),
        definition: CheckDefinition::default(),
        create_index: 0,
        modify_index: 0,
    }
}

pub(super) fn register(node: NodeRow, services: Vec<ServiceRow>, checks: Vec<CheckRow>) -> Op {
    Op::Register(Box::new(Registration {
        node,
        skip_node_update: false,
        services,
        checks,
    }))
}

pub(super) fn deregister(node: &str, service: Option<&str>, check: Option<&str>) -> Op {
    Op::Deregister {
        node: node.to_owned(),
        service: service.map(str::to_owned),
        check: check.map(str::to_owned),
    }
}

pub(super) fn update(node: &str, check: &str, status: CheckStatus, output: &str) -> Op {
    Op::CheckUpdate {
        node: node.to_owned(),
        check: check.to_owned(),
        status,
        output: output.to_owned(),
    }
}
