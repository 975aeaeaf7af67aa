//! The engine's containers: what runs, what happens, and commands in them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::{
    EventsOptionsBuilder, InspectContainerOptions, ListContainersOptions, ListServicesOptions,
};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::local::{LocalEngine, bounded};
use super::{EngineError, read};
use crate::decide::registrator::Container;
use crate::decide::swarm::SwarmService;
use crate::task::clock;

/// Events are asked for from so long before the listing that follows: one may come twice, and none
/// is missed.
const OVERLAP: Duration = Duration::from_secs(2);
/// What may change a service. A check in a container would otherwise make an event of each run.
const KINDS: [&str; 6] = [
    "start",
    "die",
    "health_status",
    "rename",
    "update",
    "remove",
];

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// To the container with this id.
    Container(String),
    /// To one of the Swarm's services; only managers hear of it.
    Service,
}

/// What happens, from now on; it ends with the engine.
pub type Events = BoxStream<'static, Result<Event, EngineError>>;

/// How a command in a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code.
    pub code: i64,
    /// What it printed, cut to what was asked for.
    pub output: Vec<u8>,
}

/// A Docker Engine, as far as its containers are concerned.
pub trait Containers: Send + Sync + 'static {
    /// What happens from a little before this call on. Nothing is asked before it is polled.
    fn events(&self) -> BoxFuture<'_, Result<Events, EngineError>>;
    /// The ids of all that run.
    fn running(&self) -> BoxFuture<'_, Result<Vec<String>, EngineError>>;
    /// One of them; `None`: it runs no more, or is gone.
    fn inspect<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Container>, EngineError>>;
    /// What the Swarm's services offer; `None`: this engine does not manage one.
    fn services(&self) -> BoxFuture<'_, Result<Option<Vec<SwarmService>>, EngineError>>;
    /// Runs a line in a container's shell, and keeps at most `most` bytes of what it prints. After
    /// `limit` it is no longer waited for; Docker lets it run on.
    fn run<'a>(
        &'a self,
        container: &'a str,
        line: &'a str,
        most: usize,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Ended, EngineError>>;
}

impl Containers for LocalEngine {
    fn events(&self) -> BoxFuture<'_, Result<Events, EngineError>> {
        Box::pin(async {
            let act = "events";
            let docker = self.client().await?;
            let start = clock::wall().checked_sub(OVERLAP);
            let since = start.and_then(|start| start.duration_since(SystemTime::UNIX_EPOCH).ok());
            let since = since.unwrap_or_default().as_secs().to_string();
            let filters = HashMap::from([
                ("type", vec!["container", "service"]),
                ("event", KINDS.to_vec()),
            ]);
            let options = EventsOptionsBuilder::new().since(&since).filters(&filters);
            let socket = self.socket().to_owned();
            let stream = docker.events(Some(options.build()));
            let stream = stream.filter_map(move |event| {
                let event = match event {
                    Ok(event) => happened(event).map(Ok),
                    Err(cause) => Some(Err(EngineError::of(act, &socket, cause))),
                };
                std::future::ready(event)
            });
            Ok(stream.boxed())
        })
    }

    fn running(&self) -> BoxFuture<'_, Result<Vec<String>, EngineError>> {
        Box::pin(async {
            let listed = self
                .call("container ls", self.patience(), async |docker| {
                    docker.list_containers(None::<ListContainersOptions>).await
                })
                .await?;
            Ok(listed.into_iter().filter_map(|found| found.id).collect())
        })
    }

    fn inspect<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Container>, EngineError>> {
        Box::pin(async move {
            let found = self
                .call("container inspect", self.patience(), async |docker| {
                    docker
                        .inspect_container(id, None::<InspectContainerOptions>)
                        .await
                })
                .await;
            match found {
                Ok(found) => Ok(read::container(found)),
                Err(EngineError::Api { status: 404, .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn services(&self) -> BoxFuture<'_, Result<Option<Vec<SwarmService>>, EngineError>> {
        Box::pin(async {
            let listed = self
                .call("service ls", self.patience(), async |docker| {
                    docker.list_services(None::<ListServicesOptions>).await
                })
                .await;
            match listed {
                Ok(listed) => Ok(Some(read::offers(&listed))),
                Err(EngineError::Api { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn run<'a>(
        &'a self,
        container: &'a str,
        line: &'a str,
        most: usize,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Ended, EngineError>> {
        Box::pin(async move {
            let act = "exec";
            let made = self
                .call(act, limit, async |docker| {
                    let command = CreateExecOptions {
                        cmd: Some(vec!["/bin/sh", "-c", line]),
                        attach_stdout: Some(true),
                        attach_stderr: Some(true),
                        ..CreateExecOptions::default()
                    };
                    docker.create_exec(container, command).await
                })
                .await?;
            let started = self
                .call(act, limit, async |docker| {
                    docker.start_exec(&made.id, None::<StartExecOptions>).await
                })
                .await?;
            let output = bounded(act, limit, printed(started, most)).await?;
            let ended = self
                .call(act, limit, async |docker| {
                    docker.inspect_exec(&made.id).await
                })
                .await?;
            // Without an exit code it never ran.
            let code = ended.exit_code.unwrap_or(-1);
            Ok(Ended { code, output })
        })
    }
}

fn happened(event: EventMessage) -> Option<Event> {
    match event.typ? {
        EventMessageTypeEnum::CONTAINER => event.actor?.id.map(Event::Container),
        EventMessageTypeEnum::SERVICE => Some(Event::Service),
        _ => None,
    }
}

/// All that is printed is taken, or the command would wait for it.
async fn printed(started: StartExecResults, most: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    if let StartExecResults::Attached { mut output, .. } = started {
        while let Some(Ok(part)) = output.next().await {
            let room = most.saturating_sub(kept.len());
            kept.extend(part.into_bytes().iter().take(room));
        }
    }
    kept
}
