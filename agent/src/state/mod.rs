//! Floor 1: the replicated state, one pure function of the commands that raft committed.
//!
//! Owns: what a command means for KV, sessions and locks, catalog, members, duties, tokens and
//! hidden entries; every index that a reader is shown; what changed, for those who watch; and the
//! public part of it all, which workers follow. Does not own: when a command is proposed (lease
//! and TTL timers are the leader's), how it is stored or sent, and who may send it.
//!
//! Always true: two replicas that applied the same commands are equal, bit for bit: no clock, no
//! randomness, no unordered map; time and random values arrive inside the commands. A command that
//! is refused, or that changes nothing, moves no index but the state's own. No index that a reader
//! is shown goes back or is 0. A clone is cheap and never changes: the maps share structure.

mod apply;
mod catalog;
mod changes;
mod duties;
mod fold;
mod follow;
mod genesis;
mod graves;
mod hidden;
mod kv;
mod leases;
mod lock_delays;
mod locks;
mod members;
mod membership;
mod registrations;
mod requests;
mod restore;
mod sessions;
mod trust;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use catalog::{Catalog, CatalogRow, Counters, Instance};
pub use follow::Row;
pub use genesis::ClusterInfo;
pub use kv::Kv;
pub use sessions::Sessions;

use crate::model::{
    CaRow, ClusterTime, Duty, DutyHolder, Member, NodeId, SessionId, TokenId, TokenRow,
};
use duties::Duties;
use hidden::Hidden;
use lock_delays::LockDelays;
use members::Members;
use requests::Requests;
use trust::Trust;

/// The replicated state, or the public part of it. Blank by default; cheap to clone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    index: u64,
    time: ClusterTime,
    cluster: Option<Arc<ClusterInfo>>,
    kv: Kv,
    sessions: Sessions,
    lock_delays: LockDelays,
    catalog: Catalog,
    members: Members,
    duties: Duties,
    trust: Trust,
    hidden: Hidden,
    requests: Requests,
}

impl State {
    /// The raft index of the last command applied; 0 before the first.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The cluster's time: that of the last command, and never an earlier one (safety.md R9).
    #[must_use]
    pub fn time(&self) -> ClusterTime {
        self.time
    }

    /// Which cluster this is; `None` before `InitCluster`.
    #[must_use]
    pub fn cluster(&self) -> Option<&ClusterInfo> {
        self.cluster.as_deref()
    }

    /// The key-value store.
    #[must_use]
    pub fn kv(&self) -> &Kv {
        &self.kv
    }

    /// The sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Until when nobody may take the lock on `key`; `None`: it is free to take.
    #[must_use]
    pub fn lock_delay(&self, key: &str) -> Option<ClusterTime> {
        self.lock_delays.until(key, self.time)
    }

    /// Nodes, services and checks.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The member with this id.
    #[must_use]
    pub fn member(&self, id: NodeId) -> Option<&Arc<Member>> {
        self.members.get(id)
    }

    /// All members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.iter()
    }

    /// The member with this name, whatever the case.
    #[must_use]
    pub fn member_named(&self, name: &str) -> Option<&Arc<Member>> {
        self.members.named(name)
    }

    /// Whether this id was removed from the cluster and is never admitted again.
    #[must_use]
    pub fn is_fenced(&self, id: NodeId) -> bool {
        self.members.is_fenced(id)
    }

    /// Index of the last change of a member; at least 1.
    #[must_use]
    pub fn members_index(&self) -> u64 {
        self.members.index()
    }

    /// The certificate authority.
    #[must_use]
    pub fn ca(&self) -> Option<&CaRow> {
        self.trust.ca()
    }

    /// A join token.
    #[must_use]
    pub fn token(&self, id: TokenId) -> Option<&Arc<TokenRow>> {
        self.trust.token(id)
    }

    /// All join tokens, revoked ones too, by id.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<TokenRow>> {
        self.trust.tokens()
    }

    /// A hidden entry: its value, and the index of the command that set it.
    #[must_use]
    pub fn hidden(&self, key: &str) -> Option<(&Bytes, u64)> {
        self.hidden.get(key)
    }

    /// All hidden entries whose names begin with `prefix`, sorted: name, value, index.
    pub fn hidden_under<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Bytes, u64)> {
        self.hidden.under(prefix)
    }

    /// Who has this duty.
    #[must_use]
    pub fn duty(&self, duty: Duty) -> Option<DutyHolder> {
        self.duties.holder(duty)
    }

    /// The keys whose locks a session holds, sorted.
    pub fn locks_of<'a>(&'a self, session: &SessionId) -> impl Iterator<Item = &'a str> + use<'a> {
        self.sessions.held_by(session)
    }
}

/// Counts and names only: values may be secrets.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("index", &self.index)
            .field("time", &self.time)
            .field("cluster", &self.cluster)
            .field("kv", &self.kv)
            .field("sessions", &self.sessions)
            .field("catalog", &self.catalog)
            .field("members", &self.members)
            .field("duties", &self.duties)
            .field("trust", &self.trust)
            .field("hidden", &self.hidden)
            .finish_non_exhaustive()
    }
}
