//! What a member does for Docker: its registry, its Swarm, and the files that the engine reads.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::AgentError;
use super::member::Joined;
use crate::cluster::me::Me;
use crate::cluster::papers::Papers;
use crate::config::{Config, SwarmMode};
use crate::decide::swarm::{JoinOffer, SwarmService};
use crate::docker::{Admit, Advertise, Containers, EngineFront, LocalEngine, trust};
use crate::loops::checks;
use crate::loops::registrator::{self, RegistratorLoop};
use crate::loops::registry::{self as registry_loop, RegistryLoop, Tenure};
use crate::loops::registry_front::{RouteLoop, StoreGate};
use crate::loops::swarm::{self, FromState, JoinInfo, JoinInfoError, SwarmLoop, SwarmStatus};
use crate::model::Role;
use crate::pki::{CertStore, PeerIdentity, Validity, tls};
use crate::registry::{Admission, Credential, Front, Settings, Storage};
use crate::store::report::Report;
use crate::store::{Answer, Question, Store, StoreError};
use crate::task::{Tasks, clock};

/// Docker's own port for Swarm management.
const SWARM_PORT: u16 = 2377;
/// The agent's hidden subcommand that a child process starts under.
pub(crate) const SUPERVISE: &str = "supervise";

/// Starts the registry's loops and its front.
pub(super) fn registry(
    joined: &Joined,
    listener: TcpListener,
    certificates: &Arc<CertStore>,
    tenure: Tenure,
    report: &Arc<Report>,
    tasks: &Tasks,
) -> Result<(), AgentError> {
    let (me, shutdown) = (&joined.me, tasks.shutdown());
    let parts = registry_loop::Parts {
        me: me.id,
        boot: me.boot,
        name: me.name.clone(),
        role: me.role,
        address: me.address,
        port: me.ports.registry,
        store: Arc::clone(&joined.store),
        settings: settings(&joined.config, me, &joined.disk.path("registry-run"))?,
        tenure: tenure.clone(),
        report: Arc::clone(report),
    };
    let (host, serving, _) = RegistryLoop::new(parts);
    tasks.critical("registry", host.run(shutdown));

    let store = || Arc::clone(&joined.store);
    let (route, routes) = RouteLoop::new(me.id, me.boot, store(), serving, tenure);
    tasks.critical("registry route", route.run(shutdown));
    let gate = StoreGate::new(me.id, me.boot, store(), authorizer(joined));
    let front = Front::new(
        tls::https_server_config(Arc::clone(certificates))?,
        tls::https_client_config(Arc::clone(certificates))?,
        gate,
        routes,
    );
    tasks.critical("registry front", front.run(listener, shutdown.clone()));
    Ok(())
}

fn settings(config: &Config, me: &Me, run_dir: &Path) -> Result<Option<Settings>, AgentError> {
    if me.role != Role::Server {
        return Ok(None);
    }
    let storage = Storage::from_config(&config.registry.storage, super::run::resolve)?;
    // Not by its name: the file may be replaced by a newer one while we run.
    let program = OsString::from("/proc/self/exe");
    Ok(Some(Settings {
        command: config.registry.command.clone(),
        storage,
        log_level: "warn".into(),
        run_dir: run_dir.to_owned(),
        launcher: vec![program, SUPERVISE.into()],
    }))
}

/// Members and operators by their certificate, people by a token.
fn authorizer(joined: &Joined) -> crate::loops::registry_front::Authorizer {
    let (store, acts) = (Arc::clone(&joined.store), Arc::clone(&joined.acts));
    let (cluster, role) = (joined.papers.cluster, joined.me.role);
    Arc::new(move |credential| match credential {
        Credential::Certificate(der) => {
            let Ok(identity) = PeerIdentity::from_der(&CertificateDer::from(der)) else {
                return Admission::Refused;
            };
            let state = store.state();
            let known = identity.role == Role::Operator
                || state
                    .member(identity.node)
                    .is_some_and(|member| member.key == identity.key);
            if identity.cluster == cluster && known {
                Admission::Granted(identity.role)
            } else {
                Admission::Refused
            }
        }
        Credential::Token(_) if role == Role::Worker => Admission::AskHost,
        Credential::Token(text) => acts
            .role_of_token(text)
            .map_or(Admission::Refused, Admission::Granted),
    })
}

/// Starts the Swarm's loop.
pub(super) fn swarm(
    joined: &Joined,
    report: &Arc<Report>,
    tasks: &Tasks,
) -> Option<watch::Receiver<SwarmStatus>> {
    let docker = &joined.config.docker;
    if !docker.enabled || docker.swarm == SwarmMode::Off {
        report.set("swarm", "off");
        return None;
    }
    let me = &joined.me;
    let (looper, status) = SwarmLoop::new(swarm::Parts {
        me: me.id,
        role: me.role,
        advertise: Advertise {
            address: me.address,
            port: SWARM_PORT,
        },
        store: Arc::clone(&joined.store),
        engine: Arc::new(LocalEngine::new(&docker.socket)),
        join_info: join_info(joined),
        memory: Arc::new(joined.disk.clone()),
        report: Arc::clone(report),
    });
    tasks.critical("swarm", looper.run(tasks.shutdown()));
    Some(status)
}

fn join_info(joined: &Joined) -> Arc<dyn JoinInfo> {
    let store = Arc::clone(&joined.store);
    match joined.me.role {
        Role::Server => Arc::new(FromState {
            store,
            me: joined.me.id,
        }),
        _ => Arc::new(FromServer { store }),
    }
}

/// Starts the registrator's loop and that of the checks, which may run in containers.
pub(super) fn containers(joined: &Joined, tasks: &Tasks) {
    let (docker, shutdown) = (&joined.config.docker, tasks.shutdown());
    let engine: Option<Arc<dyn Containers>> = if docker.enabled {
        Some(Arc::new(LocalEngine::new(&docker.socket)))
    } else {
        None
    };
    let checks = checks::run(Arc::clone(&joined.local), engine.clone(), shutdown.clone());
    tasks.critical("checks", checks);
    if let Some(engine) = engine.filter(|_| docker.registrator.enabled) {
        let looper = RegistratorLoop::new(registrator::Parts {
            config: docker.registrator.clone(),
            address: joined.me.address,
            local: Arc::clone(&joined.local),
            engine,
            swarm: join_info(joined),
        });
        tasks.critical("registrator", looper.run(shutdown));
    }
}

/// Starts the engine's front, for operators.
pub(super) fn engine(
    joined: &Joined,
    listener: TcpListener,
    certificates: &Arc<CertStore>,
    tasks: &Tasks,
) -> Result<(), AgentError> {
    let front = EngineFront::new(
        tls::https_server_config(Arc::clone(certificates))?,
        operators(joined),
        joined.config.docker.socket.clone(),
    );
    let serve = front.run(listener, tasks.shutdown().clone());
    tasks.critical("engine front", serve);
    Ok(())
}

/// Operators, while their certificates last. TLS has found the certificate to be of our CA.
fn operators(joined: &Joined) -> Admit {
    let (cluster, me) = (joined.papers.cluster, Arc::clone(&joined.me));
    Arc::new(move |shown| {
        let next = format!(
            "`swarmer login ADDRESS` makes you one, and `swarmer docker {}:{} -- ARGS` uses it",
            me.stack, me.dc
        );
        let Some(shown) = shown else {
            return Err(format!("this port wants an operator's certificate: {next}"));
        };
        let identity = PeerIdentity::from_der(shown).map_err(|error| error.to_string())?;
        if identity.cluster != cluster {
            return Err(format!("this is cluster {cluster}: {next}"));
        }
        if identity.role != Role::Operator {
            return Err(format!(
                "this port is for operators, and the certificate is a {}'s: {next}",
                identity.role
            ));
        }
        let left = identity.not_after.duration_since(clock::wall());
        Ok(clock::now() + left.unwrap_or_default())
    })
}

/// A worker asks a server.
struct FromServer {
    store: Arc<Store>,
}

impl JoinInfo for FromServer {
    fn offer(&self) -> BoxFuture<'_, Result<Option<JoinOffer>, JoinInfoError>> {
        async {
            match self.store.leader()?.ask(Question::SwarmJoin).await? {
                Answer::SwarmJoin(offer) => Ok(offer),
                _ => Err(StoreError::Unknown("an answer of another kind".into()).into()),
            }
        }
        .boxed()
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<SwarmService>, JoinInfoError>> {
        async {
            match self.store.leader()?.ask(Question::SwarmServices).await? {
                Answer::SwarmServices(services) => Ok(services),
                _ => Err(StoreError::Unknown("an answer of another kind".into()).into()),
            }
        }
        .boxed()
    }
}

/// What is done whenever a certificate comes into use: the engine's files, the report.
pub(super) fn on_certificate(
    joined: &Joined,
    report: &Arc<Report>,
) -> Box<dyn Fn(&Papers) + Send + Sync> {
    let (me, report) = (Arc::clone(&joined.me), Arc::clone(report));
    let docker = joined.config.docker.enabled;
    Box::new(move |papers| {
        if let Ok(validity) = Validity::of_pem(&papers.certificate) {
            let left = validity
                .not_after
                .duration_since(std::time::SystemTime::UNIX_EPOCH);
            report.set(
                "certificate_expires",
                left.unwrap_or_default().as_secs().to_string(),
            );
        }
        if !docker {
            return;
        }
        let port = me.ports.registry;
        let names = [
            format!("registry.service.{}.{}:{port}", me.dc, me.stack),
            format!("registry.service.{}:{port}", me.stack),
            format!("registry.service.{}:{port}", me.dc),
        ];
        let key = me.key.pem();
        let credentials = trust::Credentials {
            ca: &papers.ca,
            certificate: &papers.certificate,
            key: &key,
        };
        if let Err(error) = trust::write(Path::new(trust::CERTS), &names, &credentials) {
            tracing::warn!(%error, "Docker will not trust the cluster's registry");
        }
    })
}
