//! Carries out `decide::swarm`: keeps the node's engine in the cluster's one Swarm.

mod join_info;
mod report;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

pub use join_info::{FromState, JoinInfo, JoinInfoError, offer_to, offers};
pub use report::{SwarmStatus, WorkError};

use crate::decide::swarm::{
    CLUSTER, EngineInfo, INTENT, Intent, JoinOffer, Local, Memory, NODES, OFFERS, Plan,
    RecordError, Records, Step, SwarmView, TOKENS, View, encode, plan,
};
use crate::disk::{DataDir, DiskError};
use crate::docker::{Advertise, Engine, NodeChange};
use crate::model::{Member, MemberStatus, NodeId, Op, Reply, Role, Topic};
use crate::store::report::Report as NodeReport;
use crate::store::{Store, Watch};
use crate::task::{Backoff, Looper, Next, Round, Shutdown, clock};

/// Where this node remembers how its engine came into its Swarm.
const MEMORY: &str = "swarm.json";
const MEMORY_VERSION: u32 = 1;
/// How often the engine is looked at: nothing of it comes by itself.
const UNSETTLED: Duration = Duration::from_secs(1);
const SETTLED: Duration = Duration::from_secs(5);
/// Beside the Swarm's leader, on whose look all newcomers wait.
const STEWARD: Duration = Duration::from_secs(2);

/// What this node remembers, on its disk or, in tests, nowhere.
pub trait MemoryFile: Send + Sync + 'static {
    /// What was written last.
    fn read(&self) -> Result<Option<Memory>, DiskError>;
    /// Durable when it returns; `None` forgets.
    fn write(&self, memory: Option<&Memory>) -> Result<(), DiskError>;
}

impl MemoryFile for DataDir {
    fn read(&self) -> Result<Option<Memory>, DiskError> {
        self.read_versioned(MEMORY, MEMORY_VERSION)
    }

    fn write(&self, memory: Option<&Memory>) -> Result<(), DiskError> {
        match memory {
            Some(memory) => self.write_versioned(MEMORY, MEMORY_VERSION, memory),
            None => self.remove(MEMORY),
        }
    }
}

/// What the loop is made of.
pub struct Parts {
    /// This node.
    pub me: NodeId,
    /// Its role.
    pub role: Role,
    /// Where other engines reach its engine.
    pub advertise: Advertise,
    /// The cluster.
    pub store: Arc<Store>,
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// How to join.
    pub join_info: Arc<dyn JoinInfo>,
    /// The node's own disk.
    pub memory: Arc<dyn MemoryFile>,
    /// What the node says of itself to the cluster.
    pub report: Arc<NodeReport>,
}

/// The loop.
pub struct SwarmLoop {
    parts: Parts,
    watch: Watch,
    report: report::Report,
    backoff: Backoff,
    /// The engine's state, and since when it is that.
    engine_since: Option<(Local, Instant)>,
    leaving_since: Option<Instant>,
    unlisted_since: Option<Instant>,
}

/// One look at everything.
struct Sight {
    engine: EngineInfo,
    swarm: Option<SwarmView>,
    memory: Option<Memory>,
    offer: Option<JoinOffer>,
}

impl SwarmLoop {
    /// The loop, and how it stands, now and later.
    #[must_use]
    pub fn new(parts: Parts) -> (Self, watch::Receiver<SwarmStatus>) {
        let (report, status) = report::Report::new(Arc::clone(&parts.report));
        let watch = parts.store.watch(vec![Topic::Hidden, Topic::Members]);
        let this = Self {
            parts,
            watch,
            report,
            backoff: Backoff::new(UNSETTLED, SETTLED),
            engine_since: None,
            leaving_since: None,
            unlisted_since: None,
        };
        (this, status)
    }

    /// Runs until the shutdown begins.
    pub fn run(self, shutdown: &Shutdown) -> BoxFuture<'static, ()> {
        let looper = Looper::new("swarm", SETTLED, shutdown);
        Box::pin(looper.run(self))
    }

    async fn work(&mut self) -> Result<Next, WorkError> {
        let sight = self.look().await?;
        let (mut next, mut records) = self.decide(&sight)?;
        if !next.steps.is_empty() && self.parts.role == Role::Server {
            // What follows may not be undone: not from a copy that is behind.
            self.parts.store.linearize().await?;
            (next, records) = self.decide(&sight)?;
        }
        let settled = next.steps.is_empty() && next.status.is_ready();
        let leads = |swarm: &SwarmView| {
            (swarm.nodes.iter()).any(|node| node.leader && node.id == sight.engine.node)
        };
        let calm = if sight.swarm.as_ref().is_some_and(leads) {
            STEWARD
        } else {
            SETTLED
        };
        self.report.stands(&next.status);
        for step in next.steps {
            if !self.perform(step, &records).await? {
                return Ok(Next::After(Duration::from_millis(50)));
            }
        }
        self.backoff.reset();
        Ok(Next::After(if settled { calm } else { UNSETTLED }))
    }

    async fn look(&mut self) -> Result<Sight, WorkError> {
        let engine = self.parts.engine.info().await?;
        let swarm = if engine.manager && engine.local == Local::Active {
            match self.parts.engine.swarm().await {
                Ok(swarm) => Some(swarm),
                Err(error) if error.is_absence() => return Err(error.into()),
                // Without a quorum managers answer nothing of this.
                Err(error) => {
                    tracing::debug!("{error}");
                    None
                }
            }
        } else {
            None
        };
        let now = clock::now();
        if self
            .engine_since
            .is_none_or(|(local, _)| local != engine.local)
        {
            self.engine_since = Some((engine.local, now));
        }
        let offer = self.parts.join_info.offer().await.unwrap_or_else(|error| {
            tracing::debug!("can't learn how to join the Swarm: {error}");
            None
        });
        let unlisted = offer
            .as_ref()
            .is_some_and(|offer| offer.node.as_deref() != Some(engine.node.as_str()));
        self.unlisted_since = unlisted.then(|| self.unlisted_since.unwrap_or(now));
        let store = &self.parts.store;
        let leaving = store
            .state()
            .member(self.parts.me)
            .map(|member| member.status)
            == Some(MemberStatus::Leaving);
        self.leaving_since = leaving.then(|| self.leaving_since.unwrap_or(now));
        Ok(Sight {
            engine,
            swarm,
            memory: self.parts.memory.read()?,
            offer,
        })
    }

    fn decide(&self, sight: &Sight) -> Result<(Plan, Records), RecordError> {
        let state = self.parts.store.state();
        let records = join_info::records(&state)?;
        let members: BTreeMap<NodeId, Member> = state
            .members()
            .map(|member| (member.id, Member::clone(member)))
            .collect();
        let now = clock::now();
        let since = |then: Instant| now.saturating_duration_since(then);
        let next = plan(&View {
            me: self.parts.me,
            role: self.parts.role,
            engine: &sight.engine,
            swarm: sight.swarm.as_ref(),
            memory: sight.memory.as_ref(),
            offer: sight.offer.as_ref(),
            records: &records,
            members: &members,
            steady: self
                .engine_since
                .map(|(_, then)| since(then))
                .unwrap_or_default(),
            unlisted: self.unlisted_since.map(since).unwrap_or_default(),
            leaving: self.leaving_since.map(since),
        });
        Ok((next, records))
    }

    /// Does one step; false: the world has changed meanwhile, look again.
    async fn perform(&self, step: Step, records: &Records) -> Result<bool, WorkError> {
        let engine = &self.parts.engine;
        tracing::debug!(?step, "swarm");
        match step {
            Step::CommitIntent { engine, expect } => {
                let node = self.parts.me;
                return self.write(INTENT, &Intent { node, engine }, expect).await;
            }
            Step::RecordCluster(cluster) => return self.write(CLUSTER, &cluster, 0).await,
            Step::RecordTokens(tokens) => {
                let index = records.tokens.as_ref().map_or(0, |at| at.index);
                return self.write(TOKENS, &tokens, index).await;
            }
            Step::RecordNodes(nodes) => {
                let index = records.nodes.as_ref().map_or(0, |at| at.index);
                return self.write(NODES, &nodes, index).await;
            }
            Step::RecordOffers(offers) => {
                let index = records.offers.as_ref().map_or(0, |at| at.index);
                return self.write(OFFERS, &offers, index).await;
            }
            Step::Remember(memory) => self.remember(Some(memory)).await?,
            Step::ForgetMemory => self.remember(None).await?,
            Step::Init(intent) => {
                if !self.may_init(&intent).await? {
                    return Ok(false);
                }
                engine.init(&self.parts.advertise).await?;
            }
            Step::Join(offer) => engine.join(&offer, &self.parts.advertise).await?,
            Step::Leave { force } => engine.leave(force).await?,
            Step::Promote(node) => engine.change(&node, NodeChange::Promote).await?,
            Step::Demote(node) => engine.change(&node, NodeChange::Demote).await?,
            Step::Drain(node) => engine.change(&node, NodeChange::Drain).await?,
            Step::Remove(node) => engine.change(&node, NodeChange::Remove).await?,
        }
        Ok(true)
    }

    async fn write<T: serde::Serialize>(
        &self,
        key: &'static str,
        body: &T,
        expect: u64,
    ) -> Result<bool, WorkError> {
        let value: Bytes = encode(key, body)?;
        let op = Op::HiddenPut {
            key: key.to_owned(),
            value: Some(value),
            expect: Some(expect),
        };
        Ok(self.parts.store.write(op).await? == Reply::Bool(true))
    }

    /// Whether the intent is still this one, and nothing came of another (rule S1). The engine's
    /// memory was written in between, so the look before it does not count.
    async fn may_init(&self, intent: &Intent) -> Result<bool, WorkError> {
        self.parts.store.linearize().await?;
        let state = self.parts.store.state();
        let records = join_info::records(&state)?;
        let same = records.intent.is_some_and(|at| at.value == *intent);
        Ok(same && records.cluster.is_none() && state.member(self.parts.me).is_some())
    }

    async fn remember(&self, memory: Option<Memory>) -> Result<(), WorkError> {
        let file = Arc::clone(&self.parts.memory);
        let written = tokio::task::spawn_blocking(move || file.write(memory.as_ref()));
        // It is not aborted, and a panic has ended the process.
        Ok(written.await.unwrap_or(Ok(()))?)
    }
}

impl Round for SwarmLoop {
    type Error = Infallible;

    async fn wake(&mut self) {
        self.watch.changed().await;
    }

    /// What fails here is said at most once a minute, and holds nobody else up.
    async fn round(&mut self) -> Result<Next, Infallible> {
        Ok(match self.work().await {
            Ok(next) => next,
            Err(error) => {
                self.report.failed(&error);
                Next::After(self.backoff.next_delay())
            }
        })
    }
}

#[cfg(test)]
#[path = "swarm_tests.rs"]
mod tests;
