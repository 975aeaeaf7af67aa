//! The engine behind a local socket.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bollard::models::{
    NodeSpec, NodeSpecAvailabilityEnum, NodeSpecRoleEnum, SwarmInitRequest, SwarmJoinRequest,
};
use bollard::query_parameters::{
    DeleteNodeOptionsBuilder, LeaveSwarmOptionsBuilder, ListNodesOptions, ListServicesOptions,
    UpdateNodeOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::future::BoxFuture;

use super::{Advertise, Engine, EngineError, NodeChange, read};
use crate::decide::swarm::{EngineInfo, JoinOffer, SwarmView};

/// For calls that only look something up or change a line.
const CALL: Duration = Duration::from_secs(10);
/// For init, join and leave: Docker itself gives up a join after 20 s and goes on in the background.
const CHANGE: Duration = Duration::from_secs(30);

/// The engine behind a unix socket. Finds out the API version at the first call, and again after
/// the engine could not be reached (it may have been upgraded).
pub struct LocalEngine {
    socket: PathBuf,
    patience: Duration,
    client: Mutex<Option<Docker>>,
}

impl LocalEngine {
    /// The engine behind `socket`, usually `/var/run/docker.sock`. Nothing is opened yet.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            patience: CALL,
            client: Mutex::new(None),
        }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// How long a call that only looks may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) async fn client(&self) -> Result<Docker, EngineError> {
        let present = self.lock().clone();
        if let Some(client) = present {
            return Ok(client);
        }
        let act = "version";
        let fresh = Docker::connect_with_unix(
            &self.socket.to_string_lossy(),
            CHANGE.as_secs(),
            API_DEFAULT_VERSION,
        );
        let fresh = fresh.map_err(|cause| EngineError::of(act, &self.socket, cause))?;
        let client = bounded(act, self.patience, fresh.negotiate_version())
            .await?
            .map_err(|cause| EngineError::of(act, &self.socket, cause))?;
        *self.lock() = Some(client.clone());
        Ok(client)
    }

    pub(super) async fn call<T, F>(
        &self,
        act: &'static str,
        limit: Duration,
        ask: impl FnOnce(Docker) -> F,
    ) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, bollard::errors::Error>>,
    {
        let client = self.client().await?;
        let answer = bounded(act, limit, ask(client))
            .await
            .and_then(|answer| answer.map_err(|cause| EngineError::of(act, &self.socket, cause)));
        if answer.as_ref().is_err_and(EngineError::is_absence) {
            *self.lock() = None;
        }
        answer
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Docker>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn edit(&self, node: &str, edit: impl FnOnce(&mut NodeSpec)) -> Result<(), EngineError> {
        let found = self
            .call("node inspect", self.patience, async |docker| {
                docker.inspect_node(node).await
            })
            .await?;
        let version = found.version.and_then(|version| version.index);
        let version = version
            .and_then(|index| i64::try_from(index).ok())
            .unwrap_or(0);
        let mut spec = found.spec.unwrap_or_default();
        edit(&mut spec);
        let options = UpdateNodeOptionsBuilder::new().version(version).build();
        self.call("node update", self.patience, async |docker| {
            docker.update_node(node, spec, options).await
        })
        .await
    }
}

pub(super) async fn bounded<T>(
    act: &'static str,
    after: Duration,
    call: impl Future<Output = T>,
) -> Result<T, EngineError> {
    tokio::time::timeout(after, call)
        .await
        .map_err(|_| EngineError::Timeout { act, after })
}

impl Engine for LocalEngine {
    fn info(&self) -> BoxFuture<'_, Result<EngineInfo, EngineError>> {
        Box::pin(async {
            let answer = self
                .call("info", self.patience, async |docker| docker.info().await)
                .await?;
            Ok(read::info(answer))
        })
    }

    fn swarm(&self) -> BoxFuture<'_, Result<SwarmView, EngineError>> {
        Box::pin(async {
            let swarm = self
                .call("swarm inspect", self.patience, async |docker| {
                    docker.inspect_swarm().await
                })
                .await?;
            let nodes = self
                .call("node ls", self.patience, async |docker| {
                    docker.list_nodes(None::<ListNodesOptions>).await
                })
                .await?;
            let services = self
                .call("service ls", self.patience, async |docker| {
                    docker.list_services(None::<ListServicesOptions>).await
                })
                .await?;
            Ok(read::swarm(swarm, nodes, &services))
        })
    }

    fn init<'a>(&'a self, advertise: &'a Advertise) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            let request = SwarmInitRequest {
                listen_addr: Some(listen(advertise)),
                advertise_addr: Some(listen(advertise)),
                ..SwarmInitRequest::default()
            };
            self.call("swarm init", CHANGE, async |docker| {
                docker.init_swarm(request).await
            })
            .await
            .map(drop)
        })
    }

    fn join<'a>(
        &'a self,
        offer: &'a JoinOffer,
        advertise: &'a Advertise,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            let request = SwarmJoinRequest {
                listen_addr: Some(listen(advertise)),
                advertise_addr: Some(listen(advertise)),
                remote_addrs: Some(offer.remotes.clone()),
                join_token: Some(offer.token.clone()),
                ..SwarmJoinRequest::default()
            };
            self.call("swarm join", CHANGE, async |docker| {
                docker.join_swarm(request).await
            })
            .await
        })
    }

    fn leave(&self, force: bool) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            let options = LeaveSwarmOptionsBuilder::new().force(force).build();
            self.call("swarm leave", CHANGE, async |docker| {
                docker.leave_swarm(Some(options)).await
            })
            .await
        })
    }

    fn change<'a>(
        &'a self,
        node: &'a str,
        change: NodeChange,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            let role = |role| move |spec: &mut NodeSpec| spec.role = Some(role);
            match change {
                NodeChange::Promote => self.edit(node, role(NodeSpecRoleEnum::MANAGER)).await,
                NodeChange::Demote => self.edit(node, role(NodeSpecRoleEnum::WORKER)).await,
                NodeChange::Drain => {
                    let drain = |spec: &mut NodeSpec| {
                        spec.availability = Some(NodeSpecAvailabilityEnum::DRAIN);
                    };
                    self.edit(node, drain).await
                }
                NodeChange::Remove => {
                    let options = DeleteNodeOptionsBuilder::new().force(true).build();
                    self.call("node rm", self.patience, async |docker| {
                        docker.delete_node(node, Some(options)).await
                    })
                    .await
                }
            }
        })
    }
}

fn listen(advertise: &Advertise) -> String {
    std::net::SocketAddr::new(advertise.address, advertise.port).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_socket_and_a_dead_one_each_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let engine = LocalEngine::new(&socket);
        let missing = engine.info().await.unwrap_err();
        assert!(matches!(missing, EngineError::NoSocket(_)), "{missing}");
        assert!(missing.to_string().contains("systemctl start docker"));
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let dead = engine.info().await.unwrap_err();
        assert!(matches!(dead, EngineError::Refused(_)), "{dead:?}");
        assert!(dead.is_absence());
    }

    #[tokio::test]
    async fn an_engine_that_never_answers_does_not_hold_anyone_up() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let engine = LocalEngine {
            patience: Duration::from_millis(50),
            ..LocalEngine::new(&socket)
        };
        let error = engine.info().await.unwrap_err();
        assert!(matches!(error, EngineError::Timeout { .. }), "{error:?}");
    }
}
