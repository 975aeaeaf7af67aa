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
    heard_leader: Mutex<Option<Heard>>,
}

/// The last word from a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Who.
    pub leader: NodeId,
    /// In which term.
    pub term: u64,
    /// When.
    pub at: Instant,
}

#[derive(Default)]
struct Inner {
    /// The term that the rest is about.
    term: Option<u64>,
    /// Who led before, to be asked whom it had not heard.
    predecessor: Option<Heard>,
    table: Table,
    reports: HashMap<NodeId, BTreeMap<String, String>>,
    renewals: HashMap<SessionId, Duration>,
    /// Sessions whose end is proposed (R7): their renewals are refused.
    ending: BTreeSet<SessionId>,
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

    /// This server leads in `term`. Whoever is about to use the memory says so first; the first to
    /// say so in a term begins it afresh (L4), so that nothing of an earlier term is acted on.
    pub fn lead<'a>(&self, term: u64, members: impl Iterator<Item = &'a Member>, me: NodeId) {
        let now = self.now();
        let mut inner = self.lock();
        if inner.term == Some(term) {
            return;
        }
        // Taken: who led long ago is not the one deposed by the election after the next.
        let before = self.heard_leader().take();
        let before = before.filter(|heard| heard.leader != me);
        let deposed = before.map(|heard| {
            let at = heard.at.saturating_duration_since(self.origin);
            (heard.leader, at)
        });
        inner.table.restart(now, members, deposed);
        inner.term = Some(term);
        inner.predecessor = before;
        inner.renewals.clear();
        inner.ending.clear();
    }

    /// Whom to ask, once, which nodes it had not heard when it led (L4).
    pub fn take_predecessor(&self) -> Option<Heard> {
        self.lock().predecessor.take()
    }

    /// The nodes that this server, as the leader of `term`, has not heard since, and for how long
    /// nobody has.
    #[must_use]
    pub fn unheard(&self, term: u64) -> Vec<(NodeId, Duration)> {
        let now = self.now();
        let inner = self.lock();
        if inner.term != Some(term) {
            return Vec::new();
        }
        inner.table.unheard(now).collect()
    }

    /// The leader before, in whose place this one is in `term`, had not heard these for so long.
    pub fn inherit(&self, term: u64, unheard: impl Iterator<Item = (NodeId, Duration)>) {
        let now = self.now();
        let mut inner = self.lock();
        if inner.term == Some(term) {
            unheard.for_each(|(node, age)| inner.table.inherit(node, now.saturating_sub(age)));
        }
        self.bell.notify_one();
    }

    /// A raft message of the leader's came.
    pub fn heard_from(&self, leader: NodeId, term: u64) {
        *self.heard_leader() = Some(Heard {
            leader,
            term,
            at: clock::now(),
        });
    }

    /// Who was last heard leading, and when.
    #[must_use]
    pub fn heard(&self) -> Option<Heard> {
        *self.heard_leader()
    }

    fn heard_leader(&self) -> MutexGuard<'_, Option<Heard>> {
        self.heard_leader
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

    /// A session is renewed; `false`: its end is proposed, and what comes of it is not known yet.
    pub fn renew_session(&self, id: SessionId) -> bool {
        let now = self.now();
        let mut inner = self.lock();
        if inner.ending.contains(&id) {
            return false;
        }
        inner.renewals.insert(id, now);
        true
    }

    /// Lets `plan` say, by the last renewal of each of these sessions and by the time, which are
    /// over; from now on those are not renewed. A session that is new here counts from now; all
    /// others are forgotten.
    pub fn expire_sessions(
        &self,
        alive: &BTreeSet<SessionId>,
        plan: impl FnOnce(&BTreeMap<SessionId, Duration>, Duration) -> Vec<SessionId>,
    ) -> Vec<SessionId> {
        let now = self.now();
        let mut inner = self.lock();
        inner.renewals.retain(|id, _| alive.contains(id));
        let renewed = alive
            .iter()
            .map(|id| (*id, *inner.renewals.entry(*id).or_insert(now)))
            .collect();
        let over = plan(&renewed, now);
        inner.ending.retain(|id| alive.contains(id));
        inner.ending.extend(over.iter().copied());
        over
    }

    /// What `swarmer status` shows of the leases.
    #[must_use]
    pub fn lease_views(&self) -> Vec<LeaseView> {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let now = self.now();
        let inner = self.lock();
        inner
            .table
            .ages(now)
            .map(|(node, age, proving)| LeaseView {
                node,
                age: millis(age),
                proving: proving.map(millis),
                report: inner.reports.get(&node).cloned().unwrap_or_default(),
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
