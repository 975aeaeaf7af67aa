//! A leader without raft, for tests of loops: every write is applied at once, to all copies.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;

use crate::model::{
    BootId, CaRow, ClusterId, ClusterTime, Command, Genesis, KeyFingerprint, LeaseEvent, Member,
    MemberStatus, Name, NodeId, Op, Ports, Reply, Role,
};
use crate::state::State;
use crate::store::{Answer, Contact, HttpCall, HttpReply, Leader, Question, Store, StoreError};

pub(super) const BOOT: BootId = BootId(1);

/// The cluster: one state, and the stores that follow it.
#[derive(Default)]
pub(super) struct Cluster {
    inner: Mutex<(State, u64, Vec<Arc<Store>>)>,
    /// While set, nobody leads.
    pub(super) leaderless: AtomicBool,
    /// Who leads, as every node is told.
    pub(super) leader: Mutex<Option<NodeId>>,
}

struct Door(Arc<Cluster>);

impl Cluster {
    /// A cluster of these members, each alive in process [`BOOT`].
    pub(super) fn of(members: Vec<Member>) -> Arc<Self> {
        let this = Arc::new(Self::default());
        this.apply(Op::InitCluster(Box::new(Genesis {
            cluster: ClusterId::from_u128(1),
            stack: Name::new("vagrant").unwrap(),
            dc: Name::new("dev").unwrap(),
            expect: 3,
            founders: Vec::new(),
            ca: CaRow {
                cert_pem: String::new(),
                sealed_key: Vec::new(),
                sealed_join_key: Vec::new(),
            },
            tokens: Vec::new(),
            hidden: [("registry/http-secret".to_owned(), "secret".into())].into(),
        })));
        for member in members {
            let node = member.id;
            this.apply(Op::MemberJoin(Box::new(member)));
            this.lease(node, LeaseEvent::Held);
        }
        this
    }

    pub(super) fn lease(&self, node: NodeId, event: LeaseEvent) {
        let boot = BOOT;
        self.apply(Op::Lease { node, boot, event });
    }

    /// A node's store.
    pub(super) fn store(self: &Arc<Self>) -> Arc<Store> {
        let store = Store::new(true);
        store.connect(Arc::new(Door(Arc::clone(self))));
        let mut inner = self.inner.lock().unwrap();
        store.replace(inner.0.clone(), inner.1);
        inner.2.push(Arc::clone(&store));
        store
    }

    pub(super) fn state(&self) -> State {
        self.inner.lock().unwrap().0.clone()
    }

    pub(super) fn apply(&self, op: Op) -> (Reply, u64) {
        let mut inner = self.inner.lock().unwrap();
        let (state, index, stores) = &mut *inner;
        *index += 1;
        let command = Command {
            request: None,
            time: ClusterTime(*index),
            op,
        };
        let mut changed = Vec::new();
        let reply = state.apply(*index, &command, &mut changed);
        for store in stores {
            store.publish(state.clone(), *index, &changed);
        }
        (reply, *index)
    }
}

impl Leader for Door {
    fn write(&self, op: Op) -> BoxFuture<'_, Result<(Reply, u64), StoreError>> {
        Box::pin(async {
            if self.0.leaderless.load(Ordering::SeqCst) {
                return Err(StoreError::NoLeader);
            }
            Ok(self.0.apply(op))
        })
    }

    fn read_index(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async {
            if self.0.leaderless.load(Ordering::SeqCst) {
                return Err(StoreError::NoLeader);
            }
            Ok(self.0.inner.lock().unwrap().1)
        })
    }

    fn ask(&self, _: Question) -> BoxFuture<'_, Result<Answer, StoreError>> {
        Box::pin(async { Err(StoreError::NoLeader) })
    }

    fn http(&self, _: HttpCall) -> BoxFuture<'_, Result<HttpReply, StoreError>> {
        Box::pin(async { Err(StoreError::NoLeader) })
    }

    fn contact(&self) -> Contact {
        Contact {
            leader: *self.0.leader.lock().unwrap(),
            ..Contact::default()
        }
    }
}

/// A member at 10.0.0.`id`.
pub(super) fn member(id: u8, role: Role) -> Member {
    Member {
        id: NodeId::from_u128(id.into()),
        name: Name::new(&format!("n{id}")).unwrap(),
        role,
        address: [10, 0, 0, id].into(),
        ports: Ports {
            rpc: 8300,
            http: 8500,
            https: 8501,
            dns: 53,
            registry: 5000,
            docker: 0,
        },
        key: KeyFingerprint([id; 32]),
        boot: None,
        status: MemberStatus::Lapsed,
        since: ClusterTime(0),
        version: String::new(),
    }
}
