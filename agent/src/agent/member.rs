//! The agent as a member: raft on servers, following on workers, leases, and the doors.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::join_token::JoinToken;
use super::leaving::{self, Gone, Manner};
use super::links::Links;
use super::operations::Acts;
use super::run::End;
use super::told::{self, Ear};
use super::{AgentError, edges, machine};
use crate::cluster::door::Door;
use crate::cluster::me::Me;
use crate::cluster::papers::Papers;
use crate::config::Config;
use crate::discover::Sources;
use crate::disk::DataDir;
use crate::http::{self, Api};
use crate::loops;
use crate::loops::swarm::SwarmStatus;
use crate::model::Role;
use crate::pki::{ALPN_JOIN, ALPN_RPC, CertStore, PeerIdentity, PkiError, tls};
use crate::rpc::PickConfig;
use crate::store::raft::Raft;
use crate::store::report::Report;
use crate::store::{LocalServices, Store};
use crate::task::Tasks;

/// Everything that runs gets this long to finish.
const DRAIN: Duration = Duration::from_secs(8);

/// What the node has become.
pub(super) struct Joined {
    pub(super) config: Config,
    pub(super) me: Arc<Me>,
    pub(super) disk: DataDir,
    pub(super) token: JoinToken,
    pub(super) sources: Sources,
    pub(super) ear: Ear,
    pub(super) papers: Papers,
    pub(super) store: Arc<Store>,
    pub(super) local: Arc<LocalServices>,
    pub(super) acts: Arc<Acts>,
    pub(super) api: Arc<Api>,
}

/// Its doors, bound and waiting.
pub(super) struct Doors {
    pub(super) door: Arc<Door>,
    pub(super) certificates: Arc<CertStore>,
    pub(super) https: TcpListener,
    pub(super) registry: Option<TcpListener>,
    pub(super) docker: Option<TcpListener>,
}

/// Chooses between members and those who join, as soon as there is something to be a member of.
pub(super) fn pick_config(me: &Me, certificates: &Arc<CertStore>) -> Result<PickConfig, PkiError> {
    let join = tls::join_server_config(&me.key)?;
    let certificates = Arc::clone(certificates);
    let member: OnceLock<Arc<ServerConfig>> = OnceLock::new();
    Ok(Arc::new(move |hello| {
        let offers = |name: &[u8]| {
            hello
                .alpn()
                .is_some_and(|mut offered| offered.any(|offer| offer == name))
        };
        if offers(ALPN_JOIN) {
            return Some(Arc::clone(&join));
        }
        if !offers(ALPN_RPC) {
            return None;
        }
        if member.get().is_none()
            && let Ok(config) = tls::rpc_server_config(Arc::clone(&certificates))
        {
            let _ = member.set(config);
        }
        member.get().cloned()
    }))
}

/// Runs the member until the shutdown, a failure, or its leave.
pub(super) async fn run(joined: Joined, doors: Doors, tasks: &Tasks) -> Result<End, AgentError> {
    let shutdown = tasks.shutdown().clone();
    let me = Arc::clone(&joined.me);
    let papers = &joined.papers;
    let certificates = Arc::clone(&doors.certificates);
    certificates.trust(&papers.ca)?;
    certificates.replace(&papers.certificate, &me.key)?;

    let links = Links::make(&joined, &certificates).await?;
    links.serve(&joined, &doors.door, tasks);
    let report = Arc::new(Report::default());
    let tenure = links.keep_lease(&joined, &report, tasks);
    links.keep_certificate(&joined, &certificates, &report, tasks);
    if let Some(listener) = doors.registry {
        edges::registry(&joined, listener, &certificates, tenure, &report, tasks)?;
    }
    let swarm = edges::swarm(&joined, &report, tasks);
    if let Some(listener) = doors.docker {
        edges::engine(&joined, listener, &certificates, tasks)?;
    }
    serve_https(&joined, doors.https, &certificates, tasks)?;
    let services = loops::services::run(
        Arc::clone(&joined.store),
        Arc::clone(&joined.local),
        shutdown.clone(),
    );
    tasks.critical("services", services);
    edges::containers(&joined, tasks);
    let (sources, local) = (joined.sources.clone(), Arc::clone(&joined.local));
    let learn = machine::learn(sources, local, me.boot, shutdown.clone());
    tasks.spawn("machine", learn);
    tracing::info!(cluster = %papers.cluster, "a member");

    let result = until_the_end(&joined, links.raft.as_ref(), swarm, tasks).await;
    if let Some(raft) = &links.raft {
        raft.step_down().await;
    }
    shutdown.begin();
    // Farewells (of the lease, of the registry's duty) still need raft.
    for late in tasks.drain(DRAIN).await {
        tracing::warn!(task = late, "did not stop in time");
    }
    if let Some(raft) = links.raft {
        raft.stop().await;
    }
    result
}

async fn until_the_end(
    joined: &Joined,
    raft: Option<&Raft>,
    swarm: Option<watch::Receiver<SwarmStatus>>,
    tasks: &Tasks,
) -> Result<End, AgentError> {
    tokio::select! {
        // Also while it leaves: what that takes stops with the rest.
        end = stopped(tasks) => end,
        left = left(joined, raft, swarm) => left.map(|()| End::Left),
    }
}

/// Returns when this member has left for good.
async fn left(
    joined: &Joined,
    raft: Option<&Raft>,
    swarm: Option<watch::Receiver<SwarmStatus>>,
) -> Result<(), AgentError> {
    tokio::select! {
        () = joined.acts.told_to_leave() => {}
        given = joined.ear.told() => {
            if told::go(joined, raft, swarm.clone(), &given).await? == Gone::Left {
                return Ok(());
            }
            // It votes on until the machine ends, or an operator wants it gone all the same.
            joined.acts.told_to_leave().await;
        }
    }
    leaving::leave(joined, raft, swarm, Manner::Asked)
        .await
        .map(drop)
}

async fn stopped(tasks: &Tasks) -> Result<End, AgentError> {
    tokio::select! {
        () = tasks.shutdown().begun() => Ok(End::Stopped),
        failure = tasks.first_failure() => Err(failure.into()),
    }
}

fn serve_https(
    joined: &Joined,
    listener: TcpListener,
    certificates: &Arc<CertStore>,
    tasks: &Tasks,
) -> Result<(), AgentError> {
    let config = tls::https_server_config(Arc::clone(certificates))?;
    let (store, cluster) = (Arc::clone(&joined.store), joined.papers.cluster);
    let certificate = Arc::new(move |chain: &[rustls::pki_types::CertificateDer<'_>]| {
        let identity = PeerIdentity::from_der(chain.first()?).ok()?;
        let state = store.state();
        let known = identity.role == Role::Operator
            || state
                .member(identity.node)
                .is_some_and(|member| member.key == identity.key);
        (identity.cluster == cluster && known).then_some((identity.role, identity.node))
    });
    let acts = Arc::clone(&joined.acts);
    let token = Arc::new(move |text: &str| acts.role_of_token(text));
    let tls = http::Tls {
        config,
        certificate,
        token,
    };
    let serve = http::serve_tls(
        listener,
        tls,
        Arc::clone(&joined.api),
        tasks.shutdown().clone(),
    );
    tasks.critical("https", serve);
    Ok(())
}
