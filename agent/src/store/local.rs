//! What is registered through this agent: its own services and checks. The door between those who
//! register (the HTTP API), those who run checks, and the catalog.
//!
//! It lives beside the store since rooms of the same floor meet here, and since it is the other
//! half of the catalog: the store says what the cluster believes of this node, this says what is
//! so. Definitions outlive the process; results come back from the catalog.

mod kept;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch as signal;

use super::{Store, StoreError};
use crate::decide::checks::expired_output;
use crate::decide::services::{LocalCheck, LocalRows, Seen, Step, plan};
use crate::disk::{DataDir, DiskError};
use crate::model::{CheckStatus, NodeRow, Op, Refusal, Reply, ServiceRow};
use crate::task::clock;

const FILE: &str = "services.json";
const VERSION: u32 = 1;

/// A new output without a new status reaches the catalog this much later: half of Consul's
/// `check_update_interval`, plus up to all of it at random.
const QUIET: Duration = Duration::from_secs(150);

/// Why the catalog does not say what this agent says.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The cluster could not take it.
    #[error("write own services to the catalog: {0}")]
    Store(#[from] StoreError),
    /// The state refused a row.
    #[error("write own services to the catalog: {0}")]
    Refused(Refusal),
}

/// The services and checks of this agent.
pub struct LocalServices {
    node: NodeRow,
    /// What the agent itself adds to the node's metadata.
    told: Mutex<BTreeMap<String, String>>,
    rows: Mutex<LocalRows>,
    changed: signal::Sender<u64>,
    syncing: tokio::sync::Mutex<()>,
    saving: tokio::sync::Mutex<()>,
    data: Option<DataDir>,
    origin: Instant,
}

impl LocalServices {
    /// Those that `data` holds from before; none, and nothing is kept, without it. `node` is this
    /// node's own row, with itself as the owner.
    pub fn open(node: NodeRow, data: Option<DataDir>) -> Result<Arc<Self>, DiskError> {
        let mut rows: LocalRows = match &data {
            Some(data) => data.read_versioned(FILE, VERSION)?.unwrap_or_default(),
            None => LocalRows::default(),
        };
        for check in rows.checks.values_mut() {
            check.restored = true;
            check.row.node.clone_from(&node.name);
        }
        for service in rows.services.values_mut() {
            service.node.clone_from(&node.name);
        }
        Ok(Arc::new(Self {
            node,
            told: Mutex::default(),
            rows: Mutex::new(rows),
            changed: signal::Sender::new(0),
            syncing: tokio::sync::Mutex::new(()),
            saving: tokio::sync::Mutex::new(()),
            data,
            origin: clock::now(),
        }))
    }

    /// This node's own row.
    #[must_use]
    pub fn node(&self) -> &NodeRow {
        &self.node
    }

    /// The agent has learnt something of the machine that the catalog is to say of this node.
    pub fn tell(&self, metadata: BTreeMap<String, String>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = metadata;
        self.changed.send_modify(|version| *version += 1);
    }

    fn wanted(&self) -> NodeRow {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut node = self.node.clone();
        node.meta.extend(told.clone());
        node
    }

    /// A copy of all rows.
    #[must_use]
    pub fn rows(&self) -> LocalRows {
        self.lock().clone()
    }

    /// Looks at the rows where they are. Keep it short: writers wait.
    pub fn look<T>(&self, at: impl FnOnce(&LocalRows) -> T) -> T {
        at(&self.lock())
    }

    /// The clock of [`LocalCheck::beat`]: time since this was opened.
    #[must_use]
    pub fn now(&self) -> Duration {
        clock::now().saturating_duration_since(self.origin)
    }

    /// Wakes when anything changed since the receiver last looked.
    #[must_use]
    pub fn changes(&self) -> signal::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Adds or replaces a service and its checks, together. Checks that were there before keep
    /// their results; with `replace`, its checks that are not among `checks` go.
    pub async fn register(
        &self,
        service: ServiceRow,
        checks: Vec<LocalCheck>,
        replace: bool,
    ) -> Result<(), DiskError> {
        let now = self.now();
        let keep: Vec<String> = checks
            .iter()
            .map(|c| c.row.check_id.to_lowercase())
            .collect();
        self.edit(|rows| {
            kept::hand_over(rows, &service.id);
            if replace {
                rows.checks
                    .retain(|id, check| !is_of(check, &service.id) || keep.contains(id));
            }
            for check in checks {
                put_check(rows, check, now);
            }
            rows.services.insert(service.id.to_lowercase(), service);
        });
        self.save().await
    }

    /// Removes a service with its checks; `false`: there is none with this id.
    pub async fn deregister(&self, service: &str) -> Result<bool, DiskError> {
        let there = self.edit(|rows| {
            rows.checks.retain(|_, check| !is_of(check, service));
            rows.kept.remove(&service.to_lowercase());
            rows.services.remove(&service.to_lowercase()).is_some()
        });
        if there {
            self.save().await?;
        }
        Ok(there)
    }

    /// Adds or replaces a check. One that was there before keeps its result.
    pub async fn add_check(&self, check: LocalCheck) -> Result<(), DiskError> {
        let now = self.now();
        self.edit(|rows| put_check(rows, check, now));
        self.save().await
    }

    /// Removes a check; `false`: there is none with this id.
    pub async fn remove_check(&self, check: &str) -> Result<bool, DiskError> {
        let there = self.edit(|rows| rows.checks.remove(&check.to_lowercase()).is_some());
        if there {
            self.save().await?;
        }
        Ok(there)
    }

    /// A result of a check, from its run or from its client: whether its status is another now;
    /// `None`: there is no such check. Nobody is woken for a new output alone.
    pub fn report(&self, check: &str, status: CheckStatus, output: String) -> Option<bool> {
        let now = self.now();
        let mut rows = self.lock();
        let check = rows.checks.get_mut(&check.to_lowercase())?;
        check.beat = now;
        let other = check.row.status != status;
        set_result(check, status, output, now);
        drop(rows);
        if other {
            self.changed.send_modify(|version| *version += 1);
        }
        Some(other)
    }

    /// A TTL check's client has been silent for too long.
    pub fn expire(&self, check: &str) {
        let now = self.now();
        self.edit(|rows| {
            if let Some(check) = rows.checks.get_mut(&check.to_lowercase()) {
                let output = expired_output(&check.row.output);
                set_result(check, CheckStatus::Critical, output, now);
            }
        });
    }

    /// Makes the catalog say what this agent says. Does nothing while this node is not in it.
    /// Returns how many commands it took.
    pub async fn sync(&self, store: &Store) -> Result<usize, SyncError> {
        let _one_at_a_time = self.syncing.lock().await;
        let state = store.state();
        if self.node.owner.is_none_or(|id| state.member(id).is_none()) {
            return Ok(0);
        }
        // The catalog first, then our rows: what the catalog has by now we had before.
        let catalog = state.catalog();
        let seen = Seen {
            node: catalog.node(&self.node.name).cloned(),
            services: catalog.services_of(&self.node.name).cloned().collect(),
            checks: catalog.checks_of(&self.node.name).cloned().collect(),
        };
        let steps = plan(&self.wanted(), &self.rows(), &seen, self.now());
        let mut written = 0;
        for step in steps {
            match step {
                Step::Write(op) => {
                    let told = match &op {
                        Op::CheckUpdate { check, .. } => Some(check.clone()),
                        _ => None,
                    };
                    write(store, op).await?;
                    written += 1;
                    let mut rows = self.lock();
                    if let Some(check) =
                        told.and_then(|check| rows.checks.get_mut(&check.to_lowercase()))
                    {
                        check.quiet_until = None;
                    }
                }
                Step::AdoptTags { service, tags } => self.edit(|rows| {
                    if let Some(service) = rows.services.get_mut(&service.to_lowercase()) {
                        service.tags = tags;
                    }
                }),
                Step::AdoptResult {
                    check,
                    status,
                    output,
                } => self.edit(|rows| {
                    if let Some(check) = rows
                        .checks
                        .get_mut(&check.to_lowercase())
                        .filter(|c| c.restored)
                    {
                        check.restored = false;
                        (check.row.status, check.row.output) = (status, output);
                    }
                }),
            }
        }
        Ok(written)
    }

    fn edit<T>(&self, change: impl FnOnce(&mut LocalRows) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_modify(|version| *version += 1);
        result
    }

    fn lock(&self) -> MutexGuard<'_, LocalRows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn save(&self) -> Result<(), DiskError> {
        let Some(data) = self.data.clone() else {
            return Ok(());
        };
        let _one_at_a_time = self.saving.lock().await;
        let rows = self.rows();
        let write = move || data.write_versioned(FILE, VERSION, &rows);
        match tokio::task::spawn_blocking(write).await {
            Ok(result) => result,
            // Only when the runtime goes down, and then nobody reads the answer.
            Err(_) => Ok(()),
        }
    }
}

async fn write(store: &Store, op: Op) -> Result<(), SyncError> {
    match store.write(op).await? {
        // It went meanwhile; the next round puts it back.
        Reply::Refused(Refusal::UnknownCheck(_)) => Ok(()),
        Reply::Refused(refusal) => Err(SyncError::Refused(refusal)),
        _ => Ok(()),
    }
}

fn is_of(check: &LocalCheck, service: &str) -> bool {
    check.row.service_id.to_lowercase() == service.to_lowercase()
}

fn put_check(rows: &mut LocalRows, mut check: LocalCheck, now: Duration) {
    check.beat = now;
    let id = check.row.check_id.to_lowercase();
    if let Some(before) = rows.checks.get(&id)
        && before.row.service_id == check.row.service_id
    {
        check.row.status = before.row.status;
        check.row.output.clone_from(&before.row.output);
        check.quiet_until = before.quiet_until;
        check.restored = before.restored;
    }
    rows.checks.insert(id, check);
}

fn set_result(check: &mut LocalCheck, status: CheckStatus, output: String, now: Duration) {
    check.restored = false;
    if status == check.row.status && output != check.row.output && check.quiet_until.is_none() {
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        let more = Duration::from_millis(random % 300_000);
        check.quiet_until = Some(now + QUIET + more);
    }
    check.row.status = status;
    check.row.output = output;
}

#[cfg(test)]
mod tests;
