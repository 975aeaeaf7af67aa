//! The API itself: one request in, one answer out, whatever door it came through.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::caller::{Caller, Via};
use super::host::Hosts;
use super::metrics::{Metrics, MetricsSource};
use super::operations::Operations;
use super::reply::{Outcome, Problem, Reply};
use super::request::Request;
use super::routes::{self, Relay, Route};
use crate::model::{Name, NodeId, Ports, Role};
use crate::state::State;
use crate::store::{HttpCall, HttpReply, LocalServices, Store};

/// Who this node is, as the API tells it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: Name,
    /// `Server` or `Worker`.
    pub role: Role,
    /// Its address in the admin network.
    pub address: IpAddr,
    /// Where its agent listens.
    pub ports: Ports,
    /// The cluster's stack.
    pub stack: Name,
    /// The cluster's data center.
    pub dc: Name,
    /// The agent's version.
    pub version: String,
}

/// What the API is built from.
pub struct Parts {
    /// Who this node is.
    pub identity: Identity,
    /// The node's copy of the state and the way to the leader.
    pub store: Arc<Store>,
    /// What is registered through this agent.
    pub local: Arc<LocalServices>,
    /// What operators do.
    pub operations: Arc<dyn Operations>,
    /// What the node waits for before it is a member; empty: nothing.
    pub waits: watch::Receiver<String>,
    /// What other rooms add to `/metrics`.
    pub metrics: Vec<MetricsSource>,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It has so many bytes, or more: what was announced or read.
    TooLarge(usize),
    /// It broke off, or did not arrive in time.
    Broken,
}

/// The HTTP API of one node.
pub struct Api {
    identity: Identity,
    store: Arc<Store>,
    local: Arc<LocalServices>,
    operations: Arc<dyn Operations>,
    waits: watch::Receiver<String>,
    metrics: Metrics,
    hosts: Hosts,
}

impl Api {
    /// Builds it. It does nothing until something is asked.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let who = &parts.identity;
        Arc::new(Self {
            hosts: Hosts::new(who.name.as_str(), who.stack.as_str(), who.dc.as_str()),
            identity: parts.identity,
            store: parts.store,
            local: parts.local,
            operations: parts.operations,
            waits: parts.waits,
            metrics: Metrics::new(parts.metrics),
        })
    }

    /// Answers a request that a worker handed on: with the same handlers, as that worker.
    pub async fn serve_call(&self, call: HttpCall, caller: Caller) -> HttpReply {
        let HttpCall {
            method,
            uri,
            headers,
            body,
        } = call;
        let whole = |limit: usize| {
            let fits = body.len() <= limit;
            std::future::ready(if fits {
                Ok(body)
            } else {
                Err(BodyError::TooLarge(body.len()))
            })
        };
        self.answer(&method, &uri, headers, caller, whole)
            .await
            .into()
    }

    /// Answers a request. `body` reads the request's body up to a limit.
    pub(super) async fn answer<F>(
        &self,
        method: &str,
        uri: &str,
        headers: Vec<(String, String)>,
        caller: Caller,
        body: impl FnOnce(usize) -> F,
    ) -> Reply
    where
        F: Future<Output = Result<Bytes, BodyError>>,
    {
        let reply = match self.outcome(method, uri, headers, caller, body).await {
            Ok(reply) => reply,
            Err(problem) => problem.reply(),
        };
        self.metrics.answered(reply.status);
        let mut reply = reply;
        for (name, value) in [
            ("Vary", "Accept-Encoding"),
            ("X-Consul-Default-Acl-Policy", "allow"),
        ] {
            if !reply
                .headers
                .iter()
                .any(|(have, _)| have.eq_ignore_ascii_case(name))
            {
                reply = reply.with(name, value);
            }
        }
        reply
    }

    async fn outcome<F>(
        &self,
        method: &str,
        uri: &str,
        headers: Vec<(String, String)>,
        caller: Caller,
        body: impl FnOnce(usize) -> F,
    ) -> Outcome
    where
        F: Future<Output = Result<Bytes, BodyError>>,
    {
        let host = headers.iter().find(|(name, _)| name == "host");
        if caller.via == Via::Plain
            && let Some((_, host)) = host
            && !self.hosts.allows(host)
        {
            return Err(Problem::Denied(format!(
                "this API does not answer to the host name {host:?}: use an address, localhost or the node's name"
            )));
        }
        let mut request = Request::new(method, uri, headers, caller)?;
        let route = routes::find(&request.path)?;
        if method == "OPTIONS" {
            return Ok(Reply::empty().with("Allow", format!("OPTIONS,{}", route.methods)));
        }
        if !route.methods.split(',').any(|allowed| allowed == method) {
            return Err(Problem::Method {
                method: method.to_owned(),
                allowed: route.methods,
            });
        }
        if !caller.may(route.access) {
            return Err(refusal(&caller));
        }
        request.tail_at = route.path.len().min(request.path.len());
        if method != "GET" {
            let read = body(route.limit).await;
            request.body = read.map_err(|error| routes::no_body(route, &error))?;
        }
        if self.relays(route, &request) {
            return self.relay(request).await;
        }
        (route.serve)(self, &request).await
    }

    /// Whether a server must answer instead: workers hold the catalog, but neither keys nor
    /// sessions, and only what is asked for as stale may come from their memory (R6).
    fn relays(&self, route: &Route, request: &Request) -> bool {
        let query = &request.query;
        let stale = query.has("stale") || query.has("cached");
        !self.store.is_replica()
            && match route.relay {
                Relay::Never => false,
                Relay::Always => true,
                Relay::UnlessStale => !stale,
            }
    }

    async fn relay(&self, request: Request) -> Outcome {
        let call = HttpCall {
            method: request.method,
            uri: request.uri,
            headers: request.headers,
            body: request.body,
        };
        Ok(self.store.leader()?.http(call).await?.into())
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn local(&self) -> &LocalServices {
        &self.local
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn operations(&self) -> &dyn Operations {
        self.operations.as_ref()
    }

    /// What the node waits for before it is a member.
    pub(super) fn waits(&self) -> String {
        self.waits.borrow().clone()
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The node on whose behalf a request comes: the worker that handed it on, else this one.
    pub(super) fn node_of(&self, caller: &Caller, state: &State) -> String {
        caller
            .node
            .filter(|_| caller.via == Via::Rpc)
            .and_then(|node| state.member(node).map(|member| member.name.to_string()))
            .unwrap_or_else(|| self.identity.name.to_string())
    }

    /// Refuses a data center that is not ours.
    pub(super) fn check_dc(&self, request: &Request) -> Result<(), Problem> {
        match request.query.some("dc") {
            Some(dc) if !dc.eq_ignore_ascii_case(self.identity.dc.as_str()) => {
                Err(Problem::Failed("No path to datacenter".into()))
            }
            _ => Ok(()),
        }
    }

    /// An address of this node's agent.
    pub(super) fn rpc_address(&self) -> SocketAddr {
        SocketAddr::new(self.identity.address, self.identity.ports.rpc)
    }
}

fn refusal(caller: &Caller) -> Problem {
    Problem::Denied(match (caller.via, caller.role) {
        (Via::Plain, _) => "Permission denied: this needs an operator's certificate or token on the TLS port, or root on a server (unix socket)".into(),
        (Via::Rpc, _) => "Permission denied: nodes don't forward this".into(),
        (_, None) => "Permission denied: this port needs a certificate of this cluster or a token".into(),
        (_, Some(role)) => format!("Permission denied: this needs an operator, not a {role}"),
    })
}
