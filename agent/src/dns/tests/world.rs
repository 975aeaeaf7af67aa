use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name as QName, RData, Record, RecordType};

use crate::dns::dice::Dice;
use crate::dns::names::Zones;
use crate::dns::recurse::Upstreams;
use crate::dns::responder::{Responder, Verdict};
use crate::dns::stats::{DnsStats, Transport};
use crate::model::{
    BootId, CaRow, CheckDefinition, CheckRow, CheckStatus, ClusterId, ClusterTime, Command,
    Genesis, KeyFingerprint, LeaseEvent, Member, MemberStatus, Name, NodeId, NodeRow, Op, Ports,
    Registration, Role, SERF_HEALTH, ServiceRow, Weights,
};
use crate::state::State;
use crate::store::Store;

pub(super) const DC: &str = "dev";
pub(super) const STACK: &str = "vagrant";

pub(super) fn word(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A cluster's state, made the way that raft makes it.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) state: State,
    index: u64,
}

impl World {
    /// A cluster with one server, `s1` at 10.0.0.1.
    pub(super) fn new() -> Self {
        let mut world = Self::default();
        world.apply(Op::InitCluster(Box::new(Genesis {
            cluster: ClusterId::from_u128(1),
            stack: word(STACK),
            dc: word(DC),
            expect: 1,
            founders: vec![member(1, "s1", "10.0.0.1", Role::Server)],
            ca: CaRow {
                cert_pem: String::new(),
                sealed_key: Vec::new(),
                sealed_join_key: Vec::new(),
            },
            tokens: Vec::new(),
            hidden: BTreeMap::new(),
        })));
        world.rows(1, "s1", "10.0.0.1");
        world
    }

    pub(super) fn apply(&mut self, op: Op) {
        self.index += 1;
        let command = Command {
            request: None,
            time: ClusterTime(self.index),
            op,
        };
        let reply = self.state.apply(self.index, &command, &mut Vec::new());
        assert!(
            !format!("{reply:?}").contains("Refused"),
            "{command:?}: {reply:?}"
        );
    }

    /// Admits a worker.
    pub(super) fn worker(&mut self, id: u128, name: &str, address: &str) {
        let joins = member(id, name, address, Role::Worker);
        self.apply(Op::MemberJoin(Box::new(joins)));
        self.rows(id, name, address);
    }

    fn rows(&mut self, id: u128, name: &str, address: &str) {
        self.lease(id, LeaseEvent::Held);
        let owner = Some(NodeId::from_u128(id));
        self.apply(Op::Register(Box::new(Registration {
            node: NodeRow {
                id: NodeId::from_u128(id),
                owner,
                ..node(name, address)
            },
            skip_node_update: false,
            services: Vec::new(),
            checks: vec![check(name, SERF_HEALTH, "", CheckStatus::Passing)],
        })));
    }

    pub(super) fn lease(&mut self, id: u128, event: LeaseEvent) {
        self.apply(Op::Lease {
            node: NodeId::from_u128(id),
            boot: BootId(1),
            event,
        });
    }

    /// A host without an agent.
    pub(super) fn outsider(&mut self, name: &str, address: &str, meta: &[(&str, &str)]) {
        let meta = meta.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        self.register(
            NodeRow {
                meta: meta.collect(),
                ..node(name, address)
            },
            Vec::new(),
            Vec::new(),
        );
    }

    fn register(&mut self, node: NodeRow, services: Vec<ServiceRow>, checks: Vec<CheckRow>) {
        self.apply(Op::Register(Box::new(Registration {
            skip_node_update: self.state.catalog().node(&node.name).is_some(),
            node,
            services,
            checks,
        })));
    }

    /// `address` may be empty. `tags` are separated by spaces.
    pub(super) fn service(&mut self, on: &str, name: &str, address: &str, port: u16, tags: &str) {
        let host = self.state.catalog().node(on).unwrap().as_ref().clone();
        let service = ServiceRow {
            node: on.to_owned(),
            id: format!("{name}-{port}"),
            name: name.to_owned(),
            tags: tags.split_whitespace().map(str::to_owned).collect(),
            address: address.to_owned(),
            port,
            meta: BTreeMap::new(),
            weights: Weights {
                passing: 10,
                warning: 1,
            },
            enable_tag_override: false,
            tagged_addresses: BTreeMap::new(),
            kind: String::new(),
            create_index: 0,
            modify_index: 0,
        };
        self.register(host, vec![service], Vec::new());
    }

    /// An empty `service`: a check of the node itself.
    pub(super) fn check(&mut self, on: &str, id: &str, service: &str, status: CheckStatus) {
        let host = self.state.catalog().node(on).unwrap().as_ref().clone();
        self.register(host, Vec::new(), vec![check(on, id, service, status)]);
    }

    pub(super) fn store(&self) -> Arc<Store> {
        let store = Store::new(true);
        store.publish(self.state.clone(), self.index, &[]);
        store
    }

    pub(super) fn responder(&self) -> Responder {
        let stats = Arc::new(DnsStats::default());
        Responder {
            zones: Zones::of(&word(DC), &word(STACK)).unwrap(),
            nodes: None,
            store: self.store(),
            upstreams: Arc::new(Upstreams::new(Vec::new(), Arc::clone(&stats))),
            near: vec!["127.0.0.0/8".parse().unwrap()],
            ttl: 0,
            stats,
        }
    }

    /// Asks from loopback, over TCP so that nothing is cut, and prints the answer: code, then
    /// each record as `section owner type data`, sorted.
    pub(super) fn ask(&self, name: &str, qtype: RecordType) -> String {
        let packet = query(name, qtype, Some(4096));
        let bytes = ask(&self.responder(), &packet, "127.0.0.1", Transport::Tcp).unwrap();
        shown(&Message::from_vec(&bytes).unwrap())
    }
}

pub(super) fn ask(
    responder: &Responder,
    packet: &[u8],
    client: &str,
    transport: Transport,
) -> Option<Vec<u8>> {
    let client: IpAddr = client.parse().unwrap();
    let mut out = Vec::new();
    match responder.respond(packet, client, transport, &mut Dice::seeded(1), &mut out) {
        Verdict::Answered => Some(out),
        Verdict::Silent => None,
        Verdict::Later(_) => panic!("an answer from memory was expected"),
    }
}

pub(super) fn query(name: &str, qtype: RecordType, size: Option<u16>) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(QName::from_ascii(name).unwrap(), qtype));
    if let Some(size) = size {
        let mut edns = Edns::new();
        edns.set_max_payload(size);
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

pub(super) fn shown(message: &Message) -> String {
    let sections = [
        ("", &message.answers),
        ("authority ", &message.authorities),
        ("additional ", &message.additionals),
    ];
    let mut lines = Vec::new();
    for (section, records) in sections {
        let mut shown: Vec<String> = records.iter().map(|record| line(section, record)).collect();
        shown.sort_unstable();
        lines.extend(shown);
    }
    let code = format!("{:?}", message.metadata.response_code);
    [vec![code], lines].concat().join("\n")
}

fn line(section: &str, record: &Record) -> String {
    let data = match &record.data {
        // The serial moves with every change.
        RData::SOA(soa) => format!("{} {}", soa.mname, soa.rname),
        RData::TXT(text) => format!("{text}"),
        other => other.to_string(),
    };
    format!("{section}{} {} {data}", record.name, record.record_type())
}

fn member(id: u128, name: &str, address: &str, role: Role) -> Member {
    Member {
        id: NodeId::from_u128(id),
        name: word(name),
        role,
        address: address.parse().unwrap(),
        ports: Ports {
            rpc: 8300,
            http: 8500,
            https: 8501,
            dns: 53,
            registry: 5000,
            docker: 0,
        },
        key: KeyFingerprint([u8::try_from(id).unwrap(); 32]),
        boot: Some(BootId(1)),
        status: MemberStatus::Alive,
        since: ClusterTime(0),
        version: "0".to_owned(),
    }
}

fn node(name: &str, address: &str) -> NodeRow {
    let id = name
        .bytes()
        .fold(1000, |id: u128, byte| id * 31 + u128::from(byte));
    NodeRow {
        id: NodeId::from_u128(id),
        name: name.to_owned(),
        address: address.to_owned(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        owner: None,
        create_index: 0,
        modify_index: 0,
    }
}

fn check(on: &str, id: &str, service: &str, status: CheckStatus) -> CheckRow {
    CheckRow {
        node: on.to_owned(),
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
