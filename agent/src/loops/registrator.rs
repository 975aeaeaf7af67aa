//! Carries out `decide::registrator`: keeps this node's containers registered as services.
//!
//! What happens in the engine only says which containers to look at again; what is registered
//! comes from looking. All of them are looked at when the engine comes (back), and once a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};

use super::swarm::{JoinInfo, JoinInfoError};
use crate::config::Registrator;
use crate::decide::registrator::{Container, Desired, Step, View, desired, plan};
use crate::decide::swarm::SwarmService;
use crate::disk::DiskError;
use crate::docker::{Containers, EngineError, Event, Events};
use crate::store::LocalServices;
use crate::task::{Backoff, Chain, Looper, Next, Round, Shutdown, clock};

/// Against events that were missed.
const FULL_LOOK: Duration = Duration::from_secs(60);
/// An engine that is away for so long has no containers: Docker stops them with itself, unless told
/// to leave them alone while it is upgraded.
const AWAY: Duration = Duration::from_secs(30);
/// A Swarm's services are asked for so soon again, where nobody tells when they change.
const FEED: Duration = Duration::from_secs(5);
/// How long managers, or a server, may take to tell.
const TELL: Duration = Duration::from_secs(1);
const AGAIN_FIRST: Duration = Duration::from_millis(100);
const AGAIN_CAP: Duration = Duration::from_secs(2);
/// What goes on failing is said this often.
const REPEAT: Duration = Duration::from_secs(60);

/// What the loop is made of.
pub struct Parts {
    /// The config.
    pub config: Registrator,
    /// This node's address.
    pub address: IpAddr,
    /// Where services are registered.
    pub local: Arc<LocalServices>,
    /// The engine.
    pub engine: Arc<dyn Containers>,
    /// What the cluster knows of the Swarm's services.
    pub swarm: Arc<dyn JoinInfo>,
}

/// The loop.
pub struct RegistratorLoop {
    parts: Parts,
    events: Option<Events>,
    /// Containers to look at again.
    stale: BTreeSet<String>,
    known: BTreeMap<String, Container>,
    swarm: Vec<SwarmService>,
    /// When all containers were last looked at; `None`: not since the engine came.
    looked: Option<Instant>,
    /// When the Swarm's services were last asked for.
    asked: Option<Instant>,
    /// The engine has answered since this process started.
    met: bool,
    /// Since when no engine runs.
    away: Option<Instant>,
    /// How long it may be away.
    patience: Duration,
    /// A task has come whose service was not asked for yet.
    new_task: bool,
    backoff: Backoff,
    complaints: BTreeSet<String>,
    failure: Option<(String, Instant)>,
}

#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Cluster(#[from] JoinInfoError),
}

impl Parts {
    /// From the engine if it manages, else from the cluster.
    async fn services(&self) -> Result<Vec<SwarmService>, FeedError> {
        match self.engine.services().await? {
            Some(services) => Ok(services),
            None => Ok(self.swarm.services().await?),
        }
    }
}

impl RegistratorLoop {
    /// The loop. It acts on what an earlier run of the agent has registered, too.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            events: None,
            stale: BTreeSet::new(),
            known: BTreeMap::new(),
            swarm: Vec::new(),
            looked: None,
            asked: None,
            met: false,
            away: None,
            patience: AWAY,
            new_task: false,
            backoff: Backoff::new(AGAIN_FIRST, AGAIN_CAP),
            complaints: BTreeSet::new(),
            failure: None,
        }
    }

    /// Runs until the shutdown begins.
    pub fn run(self, shutdown: &Shutdown) -> BoxFuture<'static, ()> {
        let looper = Looper::new("registrator", FULL_LOOK, shutdown);
        Box::pin(looper.run(self))
    }

    async fn work(&mut self) -> Result<(), WorkError> {
        let seen = self.look().await;
        self.met |= seen.is_ok();
        let nobody = seen.as_ref().is_err_and(EngineError::is_nobody);
        self.away = nobody.then(|| self.away.unwrap_or_else(clock::now));
        if self.away.is_some_and(|since| age(since) >= self.patience) {
            self.known.clear();
        }
        // What an earlier run of the agent has registered is left alone until it is clear whether
        // there is an engine.
        if self.met || nobody {
            self.settle().await?;
        }
        Ok(seen?)
    }

    /// Brings `known` up to date.
    async fn look(&mut self) -> Result<(), EngineError> {
        self.drain();
        if self.events.is_none() {
            self.events = Some(self.parts.engine.events().await?);
            self.looked = None;
        }
        if self.looked.is_none_or(|at| age(at) >= FULL_LOOK) {
            let running = self.parts.engine.running().await?;
            self.known.retain(|id, _| running.contains(id));
            self.stale.extend(running);
            self.asked = None;
            self.looked = Some(clock::now());
        }
        while let Some(id) = self.stale.first().cloned() {
            match self.parts.engine.inspect(&id).await {
                Ok(Some(container)) => {
                    let task = container.task_of().is_some();
                    let before = self.known.insert(id.clone(), container);
                    self.new_task |= task && before.is_none();
                }
                Ok(None) => {
                    self.known.remove(&id);
                }
                // One container that is stuck in the engine holds the others up only once.
                Err(error @ (EngineError::Api { .. } | EngineError::Timeout { .. })) => {
                    tracing::warn!(container = id, "{}", Chain(&error));
                }
                Err(error) => return Err(error),
            }
            self.stale.remove(&id);
        }
        self.ask_swarm().await;
        Ok(())
    }

    /// Asks for what only managers know of the tasks' services, if there are any.
    /// A Swarm without a quorum of managers does not answer: then what was known goes on counting.
    async fn ask_swarm(&mut self) {
        if !self.has_tasks() {
            self.swarm.clear();
            return;
        }
        if !self.new_task && self.asked.is_some_and(|at| age(at) < FEED) {
            return;
        }
        match tokio::time::timeout(TELL, self.parts.services()).await {
            Ok(Ok(services)) => self.swarm = services,
            Ok(Err(error)) => tracing::debug!("the Swarm's services: {}", Chain(&error)),
            Err(_) => tracing::debug!("the Swarm's services: no answer"),
        }
        self.new_task = false;
        self.asked = Some(clock::now());
    }

    fn has_tasks(&self) -> bool {
        self.known.values().any(|one| one.task_of().is_some())
    }

    async fn settle(&mut self) -> Result<(), DiskError> {
        let local = &self.parts.local;
        let mut desired = desired(&View {
            config: &self.parts.config,
            node: &local.node().name,
            address: self.parts.address,
            containers: &self.known,
            swarm: &self.swarm,
        });
        let steps = local.look(|rows| plan(&mut desired, rows));
        self.complain(desired);
        if steps.is_empty() {
            return Ok(());
        }
        // Not the steps themselves: containers are told passwords in all kinds of ways.
        let services: Vec<&str> = steps.iter().map(Step::subject).collect();
        tracing::debug!(?services, "registrator: to be changed");
        self.parts.local.settle(steps).await
    }

    /// Each complaint once, as long as it lasts.
    fn complain(&mut self, desired: Desired) {
        let complaints: BTreeSet<String> = desired.complaints.into_iter().collect();
        for news in complaints.difference(&self.complaints) {
            tracing::warn!("registrator: {news}");
        }
        self.complaints = complaints;
    }

    /// Takes what has happened, without waiting for more.
    fn drain(&mut self) {
        while let Some(events) = &mut self.events {
            match events.next().now_or_never() {
                None => return,
                Some(event) => self.take(event),
            }
        }
    }

    fn take(&mut self, event: Option<Result<Event, EngineError>>) {
        match event {
            Some(Ok(Event::Container(id))) => drop(self.stale.insert(id)),
            Some(Ok(Event::Service)) => self.asked = None,
            Some(Err(error)) => {
                tracing::debug!("{}", Chain(&error));
                self.events = None;
            }
            None => self.events = None,
        }
    }

    fn failed(&mut self, error: &WorkError) {
        let text = Chain(error).to_string();
        let said = self.failure.as_ref();
        if said.is_none_or(|(said, at)| *said != text || age(*at) >= REPEAT) {
            tracing::warn!("registrator: {text}");
            self.failure = Some((text, clock::now()));
        }
    }
}

fn age(then: Instant) -> Duration {
    clock::now().saturating_duration_since(then)
}

impl Round for RegistratorLoop {
    type Error = Infallible;

    async fn wake(&mut self) {
        let event = match &mut self.events {
            Some(events) => events.next().await,
            None => std::future::pending().await,
        };
        self.take(event);
    }

    /// A missing engine holds nobody else up: it is asked again and again.
    async fn round(&mut self) -> Result<Next, Infallible> {
        if let Err(error) = self.work().await {
            self.failed(&error);
            self.events = None;
            return Ok(Next::After(self.backoff.next_delay()));
        }
        if self.failure.take().is_some() {
            tracing::info!("registrator: works again");
        }
        self.backoff.reset();
        let left = self
            .looked
            .map_or(FULL_LOOK, |at| FULL_LOOK.saturating_sub(age(at)));
        Ok(Next::After(if self.has_tasks() {
            FEED.min(left)
        } else {
            left
        }))
    }
}

#[cfg(test)]
#[path = "registrator_tests.rs"]
mod tests;
