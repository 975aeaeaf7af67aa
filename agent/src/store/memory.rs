//! What only a leader's memory knows, and what loops and doors share of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::LeaseView;
use crate::decide::lease::{Renewal, StreamId, Table};
use crate::model::{Member, NodeId, SessionId};
use crate::task::clock;

/// A leader's memory. Every server has one; only the leader's counts, and it starts afresh with
/// each election.
pub struct LeaderMemory {
    origin: Instant,
    inner: Mutex<Inner>,
    /// Rung when a lease closed or came back, so that the lease loop need not wait for its tick.
    pub bell: Notify,
    /// The last word from the present leader, by raft.
    heard_leader: Mutex<Option<(NodeId, Instant)>>,
}

#[derive(Default)]
struct Inner {
    table: Table,
    reports: HashMap<NodeId, BTreeMap<String, String>>,
    renewals: HashMap<SessionId, Duration>,
}

impl Default for LeaderMemory {
    fn default() -> Self {
        Self {
            origin: clock::now(),
            inner: Mutex::default(),
            bell: Notify::new(),
            heard_leader: Mutex::default(),
        }
    }
}

impl LeaderMemory {
    /// Monotonic time since this process began.
    #[must_use]
    pub fn now(&self) -> Duration {
        clock::now().saturating_duration_since(self.origin)
    }

    /// This server became the leader.
    pub fn restart<'a>(&self, members: impl Iterator<Item = &'a Member>, me: NodeId) {
        let deposed = self
            .heard()
            .filter(|(node, _)| *node != me)
            .map(|(node, at)| (node, at.saturating_duration_since(self.origin)));
        let now = self.now();
        let mut inner = self.lock();
        inner.table.restart(now, members, deposed);
        inner.renewals.clear();
    }

    /// A raft message of the leader's came.
    pub fn heard_from(&self, leader: NodeId) {
        *self
            .heard_leader
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((leader, clock::now()));
    }

    /// Who was last heard leading, and when.
    #[must_use]
    pub fn heard(&self) -> Option<(NodeId, Instant)> {
        *self
            .heard_leader
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A renewal came.
    pub fn renew(
        &self,
        node: NodeId,
        stream: StreamId,
        lease: Duration,
        report: Option<BTreeMap<String, String>>,
    ) -> Renewal {
        let now = self.now();
        let mut inner = self.lock();
        let renewal = inner.table.heard(node, stream, now, lease);
        if let Some(report) = report {
            inner.reports.insert(node, report);
        }
        renewal
    }

    /// A stream closed.
    pub fn closed(&self, node: NodeId, stream: StreamId) {
        self.lock().table.closed(node, stream);
        self.bell.notify_one();
    }

    /// A node restarts.
    pub fn restarting(&self, node: NodeId) {
        let now = self.now();
        self.lock().table.restarting(node, now);
    }

    /// Works on the table of leases.
    pub fn with_table<T>(&self, work: impl FnOnce(&mut Table, Duration) -> T) -> T {
        let now = self.now();
        work(&mut self.lock().table, now)
    }

    /// A session was renewed.
    pub fn renew_session(&self, id: SessionId) {
        let now = self.now();
        self.lock().renewals.insert(id, now);
    }

    /// When each of these sessions was last renewed; one that is new here counts from now. Forgets
    /// all others.
    pub fn renewals(&self, alive: &BTreeSet<SessionId>) -> BTreeMap<SessionId, Duration> {
        let now = self.now();
        let mut inner = self.lock();
        inner.renewals.retain(|id, _| alive.contains(id));
        alive
            .iter()
            .map(|id| (*id, *inner.renewals.entry(*id).or_insert(now)))
            .collect()
    }

    /// What `swarmer status` shows of the leases.
    #[must_use]
    pub fn lease_views(&self) -> Vec<LeaseView> {
        let now = self.now();
        let inner = self.lock();
        inner
            .table
            .ages(now)
            .map(|(node, age)| LeaseView {
                node,
                age: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
                report: inner.reports.get(&node).cloned().unwrap_or_default(),
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
