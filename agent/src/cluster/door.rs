//! The RPC port's door: who is it, may they, and what do they want.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::authority::Authority;
use super::follow;
use super::join_door::{self, Host};
use super::leases::{LeaseKeeper, Renewer};
use super::messages::{Call, CallError, CallReply, Open, ServerList};
use super::path::Path;
use super::raft_door::RaftDoor;
use super::rights;
use super::worker_door;
use crate::model::{ClusterId, MemberStatus, NodeId, Role};
use crate::pki::{ALPN_JOIN, PeerIdentity, Token};
use crate::rpc::{Handler, Incoming, MAX_PAYLOAD, Peer};
use crate::store::{Answer, HttpCall, HttpReply, Leader as _, Question, Store};
use crate::task::clock;

/// Answers HTTP requests that workers send on.
pub type HttpDoor = Arc<dyn Fn(HttpCall, NodeId) -> BoxFuture<'static, HttpReply> + Send + Sync>;

/// What a member needs to join the Docker Swarm.
pub type SwarmDoor = Arc<dyn Fn(NodeId, Question) -> Answer + Send + Sync>;

/// Everything a member server serves.
pub struct Services {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its copy of the state.
    pub store: Arc<Store>,
    /// Raft's messages.
    pub raft: RaftDoor,
    /// Leases.
    pub leases: Arc<LeaseKeeper>,
    /// Writes and questions.
    pub path: Arc<Path>,
    /// Certificates.
    pub authority: Authority,
    /// HTTP for workers.
    pub http: HttpDoor,
    /// What is written down of the Swarm, for the member that asks.
    pub swarm: SwarmDoor,
}

/// The door. What stands behind it changes when the node becomes a member.
#[derive(Default)]
pub struct Door {
    host: RwLock<Option<Arc<dyn Host>>>,
    worker: OnceLock<Token>,
    services: RwLock<Option<Arc<Services>>>,
}

/// A caller whose certificate was checked.
#[derive(Clone, Copy, Debug)]
struct Caller {
    node: NodeId,
    role: Role,
}

impl Door {
    /// Who answers those without a certificate.
    pub fn set_host(&self, host: Arc<dyn Host>) {
        *self.host.write().unwrap_or_else(PoisonError::into_inner) = Some(host);
    }

    /// This is a worker, and says so to those without a certificate.
    pub fn set_worker(&self, token: Token) {
        let _ = self.worker.set(token);
    }

    /// What members are served.
    pub fn set_services(&self, services: Arc<Services>) {
        *self
            .services
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(services);
    }

    fn services(&self) -> Option<Arc<Services>> {
        self.services
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Handler for Door {
    fn serve(self: Arc<Self>, peer: Peer, incoming: Incoming) -> BoxFuture<'static, ()> {
        async move {
            if peer.alpn == ALPN_JOIN {
                let host = self
                    .host
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                match (host, self.worker.get()) {
                    (Some(host), _) => join_door::serve(host, peer, incoming).await,
                    (None, Some(token)) => worker_door::serve(token.clone(), peer, incoming).await,
                    (None, None) => {}
                }
                return;
            }
            let Some(services) = self.services() else {
                return;
            };
            match services.identify(&peer) {
                Ok((caller, expires)) => {
                    let removed = services.clone().watch_member(caller);
                    let serve = services.serve(caller, incoming);
                    // Streams close when the member is removed or its certificate expires.
                    tokio::select! {
                        () = serve => {}
                        () = removed => {}
                        () = tokio::time::sleep(expires) => {}
                    }
                }
                Err(why) => tracing::warn!(peer = %peer.address, why, "refused a caller"),
            }
        }
        .boxed()
    }
}

impl Services {
    fn identify(&self, peer: &Peer) -> Result<(Caller, std::time::Duration), String> {
        let certificate = peer.certificates.first().ok_or("it shows no certificate")?;
        let identity = PeerIdentity::from_der(certificate).map_err(|error| error.to_string())?;
        if identity.cluster != self.cluster {
            return Err(format!(
                "it belongs to cluster {}, not {}",
                identity.cluster, self.cluster
            ));
        }
        let state = self.store.state();
        match state.member(identity.node) {
            Some(member) if member.key != identity.key || member.role != identity.role => {
                return Err(format!("node {} has another key or role", identity.node));
            }
            Some(_) => {}
            None if state.is_fenced(identity.node) => {
                return Err(format!(
                    "node {} was removed from the cluster",
                    identity.node
                ));
            }
            // A server that has not heard of a new member yet; raft will tell.
            None if identity.role == Role::Server => {}
            None => {
                return Err(format!(
                    "{} {} is not a member",
                    identity.role, identity.node
                ));
            }
        }
        let expires = identity
            .not_after
            .duration_since(clock::wall())
            .unwrap_or_default();
        Ok((
            Caller {
                node: identity.node,
                role: identity.role,
            },
            expires,
        ))
    }

    /// Returns when the caller is a member no more.
    async fn watch_member(self: Arc<Self>, caller: Caller) {
        let watch = self.store.watch(vec![crate::model::Topic::Members]);
        loop {
            if self.store.state().is_fenced(caller.node) {
                tracing::info!(node = %caller.node, "closing a removed member's connection");
                return;
            }
            watch.changed().await;
        }
    }

    async fn serve(self: Arc<Self>, caller: Caller, incoming: Incoming) {
        let Some(open) = incoming.opening() else {
            incoming
                .answer(move |request| Arc::clone(&self).answer(caller, request))
                .await;
            return;
        };
        let Ok(open) = postcard::from_bytes::<Open>(open) else {
            tracing::info!(node = %caller.node, "a stream of a kind that this version does not know");
            return;
        };
        if let Err(error) = rights::stream(caller.role, &open) {
            tracing::warn!(node = %caller.node, %error, "refused a stream");
            return;
        }
        let stream = incoming.into_stream();
        let served = match open {
            Open::Append(envelope) => match self.raft.check(&envelope, caller.node) {
                Ok(()) => self.raft.appends(stream).await,
                Err(error) => {
                    tracing::warn!(node = %caller.node, %error, "refused a raft stream");
                    return;
                }
            },
            Open::Snapshot(envelope, vote, meta, length) => {
                match self.raft.check(&envelope, caller.node) {
                    Ok(()) => self.raft.snapshot(vote, *meta, length, stream).await,
                    Err(error) => {
                        tracing::warn!(node = %caller.node, %error, "refused a snapshot");
                        return;
                    }
                }
            }
            Open::Lease(boot, number) => {
                self.leases
                    .serve(
                        Renewer {
                            node: caller.node,
                            boot,
                            number,
                        },
                        stream,
                    )
                    .await;
                return;
            }
            Open::Follow => follow::serve(&self.store, stream).await,
        };
        if let Err(error) = served {
            tracing::debug!(node = %caller.node, %error, "a stream ended");
        }
    }

    fn answer(
        self: Arc<Self>,
        caller: Caller,
        request: bytes::Bytes,
    ) -> BoxFuture<'static, Vec<u8>> {
        async move {
            let reply = match postcard::from_bytes::<Call>(&request) {
                Ok(call) => self.call(caller, call).await,
                Err(_) => Err(CallError::Failed(
                    "this version does not know that call".into(),
                )),
            };
            let bytes = postcard::to_stdvec(&reply).unwrap_or_default();
            if bytes.len() <= MAX_PAYLOAD {
                return bytes;
            }
            let why = format!("an answer of {} bytes is too large", bytes.len());
            let reply: Result<CallReply, CallError> = Err(CallError::Failed(why));
            postcard::to_stdvec(&reply).unwrap_or_default()
        }
        .boxed()
    }

    async fn call(&self, caller: Caller, call: Call) -> Result<CallReply, CallError> {
        rights::call(caller.role, caller.node, &call, &self.store.state())?;
        Ok(match call {
            Call::Raft(envelope, call) => {
                self.raft.check(&envelope, caller.node)?;
                CallReply::Raft(Box::new(self.raft.call(call).await?))
            }
            Call::Write(request, op) => {
                // Servers send to the leader and find another if it is not this one any more.
                if caller.role == Role::Server && !self.raft.raft.is_leader() {
                    return Err(CallError::NotLeader(self.raft.raft.leader()));
                }
                let (reply, index) = self.path.write_as(request, op).await?;
                CallReply::Written(reply, index)
            }
            Call::ReadIndex => {
                let read = self.raft.raft.read_index().await;
                CallReply::ReadIndex(read.map_err(|_| CallError::NotLeader(None))?)
            }
            Call::Ask(question @ (Question::SwarmJoin | Question::SwarmServices)) => {
                CallReply::Answer(Box::new((self.swarm)(caller.node, question)))
            }
            Call::Ask(question) => {
                if caller.role == Role::Server && !self.raft.raft.is_leader() {
                    return Err(CallError::NotLeader(self.raft.raft.leader()));
                }
                CallReply::Answer(Box::new(self.path.ask(question).await?))
            }
            Call::Http(call) => CallReply::Http((self.http)(call, caller.node).await),
            Call::Lease(news) => {
                if !self.raft.raft.is_leader() {
                    return Err(CallError::NotLeader(self.raft.raft.leader()));
                }
                let word = self.leases.take(caller.node, news).await;
                CallReply::Lease(word.ok_or(CallError::NotLeader(None))?)
            }
            Call::Renew(csr) => {
                let renewed = self.authority.renew(caller.node, &csr);
                CallReply::Certificate(
                    renewed.map_err(|error| CallError::Failed(error.to_string()))?,
                )
            }
            Call::Servers => CallReply::Servers(self.servers()),
            Call::Unheard(term) => CallReply::Unheard(self.leases.unheard(term)),
        })
    }

    fn servers(&self) -> ServerList {
        let state = self.store.state();
        let servers = state
            .members()
            .filter(|member| member.role == Role::Server && member.status != MemberStatus::Leaving);
        ServerList {
            leader: self.raft.raft.leader(),
            servers: servers.map(|member| (member.id, member.rpc())).collect(),
        }
    }
}
