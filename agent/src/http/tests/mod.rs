//! Requests against an API whose leader applies commands at once, in memory.

mod agent;
mod blocking;
mod catalog;
mod entropy;
mod fuzz;
mod kv;
mod listeners;
mod rules;
mod session;
mod tls;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::*;
use crate::model::{
    BootId, CaRow, ClusterId, ClusterTime, Command, Genesis, KeyFingerprint, LeaseEvent, Member,
    MemberStatus, Name, NodeId, NodeRow, Op, Ports, Reply, Role,
};
use crate::state::State;
use crate::store::{
    Answer, Contact, HttpCall, HttpReply, Leader, LocalServices, Question, StatusReport, Store,
    StoreError,
};

pub(super) const NODE: NodeId = NodeId::from_u128(1);
pub(super) const WORKER: NodeId = NodeId::from_u128(2);
const BOOT: BootId = BootId(1);

/// Applies each command as the next index, as raft would.
pub(super) struct MemoryLeader {
    store: Weak<Store>,
    state: Mutex<State>,
    time: Mutex<ClusterTime>,
    pub(super) up: AtomicBool,
    pub(super) server: OnceLock<(Arc<Api>, NodeId)>,
}

impl MemoryLeader {
    fn alive(&self) -> Result<(), StoreError> {
        match self.up.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(StoreError::NoLeader),
        }
    }

    pub(super) fn apply(&self, op: Op) -> (Reply, u64) {
        let store = self.store.upgrade().unwrap();
        let mut state = self.state.lock().unwrap();
        let index = state.index() + 1;
        let command = Command {
            request: None,
            time: *self.time.lock().unwrap(),
            op,
        };
        let mut changed = Vec::new();
        let reply = state.apply(index, &command, &mut changed);
        store.publish(state.clone(), index, &changed);
        (reply, index)
    }

    /// Lets cluster time pass.
    pub(super) fn pass(&self, span: Duration) {
        let mut time = self.time.lock().unwrap();
        *time = time.after(span);
        drop(time);
        self.apply(Op::Tick);
    }
}

impl Leader for MemoryLeader {
    fn write(&self, op: Op) -> BoxFuture<'_, Result<(Reply, u64), StoreError>> {
        async move {
            self.alive()?;
            Ok(self.apply(op))
        }
        .boxed()
    }

    fn read_index(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move {
            self.alive()?;
            Ok(self.state.lock().unwrap().index())
        }
        .boxed()
    }

    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Answer, StoreError>> {
        async move {
            self.alive()?;
            Ok(match question {
                Question::RenewSession(id) => {
                    let state = self.state.lock().unwrap();
                    let session = state.sessions().get(&id);
                    Answer::Session(session.map(|session| (**session).clone()))
                }
                Question::SwarmJoin => Answer::SwarmJoin(None),
                Question::SwarmServices => Answer::SwarmServices(Vec::new()),
                Question::Status => Answer::Status(StatusReport {
                    leader: Some(NODE),
                    term: 3,
                    voters: vec![NODE],
                    ..StatusReport::default()
                }),
            })
        }
        .boxed()
    }

    fn http(&self, call: HttpCall) -> BoxFuture<'_, Result<HttpReply, StoreError>> {
        async move {
            self.alive()?;
            let (server, me) = self.server.get().ok_or(StoreError::NoLeader)?;
            Ok(server
                .serve_call(call, Caller::rpc(Role::Worker, *me))
                .await)
        }
        .boxed()
    }

    fn contact(&self) -> Contact {
        let up = self.up.load(Ordering::SeqCst);
        Contact {
            leader: up.then_some(NODE),
            age: Duration::from_millis(if up { 0 } else { 1500 }),
        }
    }
}

/// Says yes to everything that an operator may ask.
struct Yes;

impl Operations for Yes {
    fn tokens(&self, act: TokenAct) -> BoxFuture<'_, Result<TokenAnswer, OperationError>> {
        let view = TokenView {
            id: "0011223344556677".into(),
            role: Role::Worker,
            description: format!("{act:?}"),
            created: 5,
            revoked: false,
        };
        let answer = match act {
            TokenAct::List => TokenAnswer::All(vec![view]),
            TokenAct::Revoke(_) => TokenAnswer::Revoked(view),
            _ => TokenAnswer::Made {
                token: "top-secret".into(),
                view,
            },
        };
        async move { Ok(answer) }.boxed()
    }

    fn members(&self, _: MemberAct) -> BoxFuture<'_, Result<(), OperationError>> {
        async { Ok(()) }.boxed()
    }

    fn leave(&self) -> BoxFuture<'_, Result<(), OperationError>> {
        async { Ok(()) }.boxed()
    }

    fn log_level(&self, filter: Option<&str>) -> Result<String, OperationError> {
        Ok(filter.unwrap_or("info").to_owned())
    }

    fn save_snapshot(&self) -> BoxFuture<'_, Result<Snapshot, OperationError>> {
        let snapshot = Snapshot {
            archive: Bytes::from_static(b"archive"),
            index: 7,
        };
        async move { Ok(snapshot) }.boxed()
    }

    fn restore_snapshot(&self, _: Bytes) -> BoxFuture<'_, Result<(), OperationError>> {
        async { Ok(()) }.boxed()
    }
}

pub(super) fn member(id: NodeId, name: &str, role: Role) -> Member {
    Member {
        id,
        name: Name::new(name).unwrap(),
        role,
        address: format!("10.0.0.{}", id.0.as_u128()).parse().unwrap(),
        ports: PORTS,
        key: KeyFingerprint([id.0.as_bytes()[15]; 32]),
        boot: None,
        status: MemberStatus::Alive,
        since: ClusterTime(0),
        version: "0.1.0".into(),
    }
}

const PORTS: Ports = Ports {
    rpc: 8300,
    http: 8500,
    https: 8501,
    dns: 53,
    registry: 5000,
    docker: 0,
};

/// One node's API, and what stands behind it.
pub(super) struct Desk {
    pub(super) api: Arc<Api>,
    pub(super) store: Arc<Store>,
    pub(super) local: Arc<LocalServices>,
    pub(super) leader: Arc<MemoryLeader>,
}

/// What a client sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn index(&self) -> u64 {
        self.header("x-consul-index").parse().unwrap()
    }

    pub(super) fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.body.as_str()), (status, body));
    }
}

impl From<reply::Reply> for Seen {
    fn from(reply: reply::Reply) -> Self {
        Self {
            status: reply.status,
            headers: reply
                .headers
                .into_iter()
                .map(|(name, value)| (name.to_lowercase(), value))
                .collect(),
            body: String::from_utf8_lossy(&reply.body).into_owned(),
        }
    }
}

fn desk_of(id: NodeId, name: &str, role: Role, replica: bool) -> Desk {
    let store = Store::new(replica);
    let leader = Arc::new(MemoryLeader {
        store: Arc::downgrade(&store),
        state: Mutex::default(),
        time: Mutex::default(),
        up: AtomicBool::new(true),
        server: OnceLock::new(),
    });
    store.connect(Arc::clone(&leader) as Arc<dyn Leader>);
    let name = Name::new(name).unwrap();
    let node = NodeRow {
        id,
        name: name.to_string(),
        address: format!("10.0.0.{}", id.0.as_u128()),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::from([("zone".into(), "a".into())]),
        owner: Some(id),
        create_index: 0,
        modify_index: 0,
    };
    let local = LocalServices::open(node, None).unwrap();
    let api = Api::new(Parts {
        identity: Identity {
            id,
            name,
            role,
            address: "10.0.0.1".parse().unwrap(),
            ports: PORTS,
            stack: Name::new("vagrant").unwrap(),
            dc: Name::new("dev").unwrap(),
            version: "0.1.0".into(),
        },
        store: Arc::clone(&store),
        local: Arc::clone(&local),
        operations: Arc::new(Yes),
        waits: tokio::sync::watch::channel(String::new()).1,
        metrics: vec![Box::new(|page| page.push_str("other_room 1\n"))],
    });
    Desk {
        api,
        store,
        local,
        leader,
    }
}

fn genesis() -> Op {
    Op::InitCluster(Box::new(Genesis {
        cluster: ClusterId::from_u128(9),
        stack: Name::new("vagrant").unwrap(),
        dc: Name::new("dev").unwrap(),
        expect: 1,
        founders: vec![member(NODE, "n1", Role::Server)],
        ca: CaRow {
            cert_pem: String::new(),
            sealed_key: Vec::new(),
            sealed_join_key: Vec::new(),
        },
        tokens: Vec::new(),
        hidden: BTreeMap::new(),
    }))
}

impl Desk {
    /// A server `n1`, the only one, that holds its lease.
    pub(super) fn new() -> Self {
        let desk = desk_of(NODE, "n1", Role::Server, true);
        desk.leader.apply(genesis());
        let event = LeaseEvent::Held;
        desk.leader.apply(Op::Lease {
            node: NODE,
            boot: BOOT,
            event,
        });
        desk
    }

    /// A worker `w1` of that server's cluster, which holds the catalog and nothing else.
    pub(super) fn worker_of(server: &Self) -> Self {
        let join = Op::MemberJoin(Box::new(member(WORKER, "w1", Role::Worker)));
        server.leader.apply(join);
        let (node, boot, event) = (WORKER, BOOT, LeaseEvent::Held);
        server.leader.apply(Op::Lease { node, boot, event });
        let desk = desk_of(WORKER, "w1", Role::Worker, false);
        desk.leader
            .server
            .set((Arc::clone(&server.api), WORKER))
            .ok()
            .unwrap();
        desk.store.replace(
            (*server.store.state()).clone(),
            server.store.state().index(),
        );
        desk
    }

    pub(super) async fn ask_as(
        &self,
        caller: Caller,
        method: &str,
        uri: &str,
        body: impl AsRef<[u8]>,
    ) -> Seen {
        let body = Bytes::copy_from_slice(body.as_ref());
        let read = |limit: usize| {
            let fits = body.len() <= limit;
            std::future::ready(if fits {
                Ok(body)
            } else {
                Err(api::BodyError::TooLarge(body.len()))
            })
        };
        self.api
            .answer(method, uri, Vec::new(), caller, read)
            .await
            .into()
    }

    pub(super) async fn ask(&self, method: &str, uri: &str, body: impl AsRef<[u8]>) -> Seen {
        self.ask_as(Caller::plain(), method, uri, body).await
    }

    pub(super) async fn get(&self, uri: &str) -> Seen {
        self.ask("GET", uri, "").await
    }

    pub(super) async fn put(&self, uri: &str, body: impl AsRef<[u8]>) -> Seen {
        self.ask("PUT", uri, body).await
    }
}
