//! The agent from start to end, in order.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::bind::bind;
use super::dns_config::dns_config;
use super::join_token::{self, JoinToken};
use super::member::{self, Doors, Joined};
use super::operations::Acts;
use super::systemd::{self, Manager};
use super::told::{self, Ear};
use super::{AgentError, address};
use crate::cluster::door::Door;
use crate::cluster::me::Me;
use crate::cluster::nursery::{Nursery, NurseryError};
use crate::cluster::papers::{self, Papers};
use crate::cluster::{authority, worker_join};
use crate::config::{Config, JoinSource, Secret, SecretError, SecretSource};
use crate::decide::lease::Timing;
use crate::discover::{self, Cloud, ProviderError, Source, Sources};
use crate::disk::DataDir;
use crate::dns::{Dns, DnsStats};
use crate::http::{self, Api, Identity, Operations, Parts};
use crate::model::{BootId, Name, NodeRow, Ports, Role};
use crate::pki::{CertStore, NodeKey, Validity, random};
use crate::rpc;
use crate::store::{LocalServices, Store};
use crate::task::{Shutdown, Tasks, clock};

/// The socket on which root is an operator.
const SOCKET: &str = "swarmer.sock";
const PRIVATE: u32 = 0o600;
/// Everything that runs gets this long to finish.
const DRAIN: Duration = Duration::from_secs(8);

/// How an agent ends well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to stop, and may be started again.
    Stopped,
    /// It left its cluster; if it is started again, it joins as a new node.
    Left,
}

/// Runs the agent until a signal, a leave, or the failure of a critical part.
pub async fn run(config: Config) -> Result<End, AgentError> {
    log_warnings(&config);
    raise_file_limit();
    let here = join_token::on_this_host(&config)?;
    let manager = Manager::of_environment();
    let network = &config.admin_network;
    manager.status(&format!("waiting for an address in {network}"));
    let address = address::wait_for(network).await?;
    let disk = DataDir::open(config.data_dir.clone())?;
    let me = Arc::new(me(&config, &disk, address)?);
    let sources = sources(&config)?;
    log_start(&me);

    // Every port before anything is announced.
    let bound = bind(&config, &me).await?;
    let shutdown = Shutdown::new();
    let tasks = Tasks::new(shutdown.clone());
    stop_on_signals(&tasks)?;
    let local = serve_host(&config, &me, &disk, bound.http, &tasks)?;

    // Who we are to others, from the first connection on.
    let door = Arc::new(Door::default());
    let token = JoinToken::find(here, &config, &disk, &me, &tasks)?;
    if me.role == Role::Worker {
        tasks.spawn("worker door", open_worker_door(&token, &door, &shutdown));
    }
    let certificates = CertStore::empty();
    serve_rpc(bound.rpc, &me, &certificates, &door, &tasks)?;
    // Whoever starts after us may count on DNS and HTTP, cluster or not.
    systemd::ready(&manager, &me, &local.store, &tasks);

    let mut end = End::Stopped;
    let ear = Ear::listen(&config, &tasks);
    let entered = tokio::select! {
        entered = enter(&me, &disk, &token, &sources, &door, &shutdown) => entered,
        failure = tasks.first_failure() => Err(failure.into()),
        given = ear.told() => {
            told::instead_of_joining(&given).await;
            end = End::Left;
            Ok(None)
        }
    };
    let result = match entered {
        Ok(Some(papers)) => {
            let doors = Doors {
                door,
                certificates,
                https: bound.https,
                registry: bound.registry,
                docker: bound.docker,
            };
            let joined = Joined {
                config,
                me,
                disk,
                token,
                sources,
                ear,
                papers,
                store: local.store,
                local: local.services,
                acts: local.acts,
                api: local.api,
            };
            member::run(joined, doors, &tasks).await
        }
        Ok(None) => Ok(end),
        Err(error) => Err(error),
    };
    shutdown.begin();
    for late in tasks.drain(DRAIN).await {
        tracing::warn!(task = late, "did not stop in time");
    }
    tracing::info!("stopped");
    result
}

fn log_warnings(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}

fn log_start(me: &Me) {
    let address = me.address;
    tracing::info!(
        node = %me.name, id = %me.id, role = %me.role, %address, stack = %me.stack, dc = %me.dc,
        version = env!("CARGO_PKG_VERSION"), "starting"
    );
}

/// Servers' connections, and those of who joins.
fn serve_rpc(
    listener: TcpListener,
    me: &Me,
    certificates: &Arc<CertStore>,
    door: &Arc<Door>,
    tasks: &Tasks,
) -> Result<(), AgentError> {
    let serving = rpc::serve(
        listener,
        member::pick_config(me, certificates)?,
        Arc::clone(door) as Arc<dyn rpc::Handler>,
        tasks.shutdown().clone(),
    );
    tasks.critical("rpc", serving);
    Ok(())
}

/// What serves this host, member or not.
struct Local {
    store: Arc<Store>,
    services: Arc<LocalServices>,
    acts: Arc<Acts>,
    api: Arc<Api>,
}

/// DNS, plain HTTP and root's socket: they answer before there is a cluster, and while it is gone.
fn serve_host(
    config: &Config,
    me: &Me,
    disk: &DataDir,
    plain: Vec<TcpListener>,
    tasks: &Tasks,
) -> Result<Local, AgentError> {
    let shutdown = tasks.shutdown();
    let store = Store::new(me.role == Role::Server);
    let stats = Arc::new(DnsStats::default());
    let dns = Dns::bind(
        dns_config(config, me, disk)?,
        Arc::clone(&store),
        Arc::clone(&stats),
    )?;
    tasks.critical("dns", dns.serve(shutdown.clone()));
    let services = LocalServices::open(node_row(me), Some(disk.clone()))?;
    let acts = Acts::new(Arc::clone(&store));
    let api = api(me, &store, &services, &acts, stats);
    for listener in plain {
        let serve = http::serve_plain(listener, Arc::clone(&api), shutdown.clone());
        tasks.critical("http", serve);
    }
    let path = disk.path(SOCKET);
    let failed = |source| AgentError::Socket {
        path: path.display().to_string(),
        source,
    };
    let socket = http::bind_unix(&path).map_err(failed)?;
    tasks.critical(
        "socket",
        http::serve_unix(socket, Arc::clone(&api), shutdown.clone()),
    );
    Ok(Local {
        store,
        services,
        acts,
        api,
    })
}

/// Already a member, or made one: by founding, joining, or signing its own expired certificate.
async fn enter(
    me: &Arc<Me>,
    disk: &DataDir,
    token: &JoinToken,
    sources: &Sources,
    door: &Door,
    shutdown: &Shutdown,
) -> Result<Option<Papers>, AgentError> {
    if let Some(mut papers) = papers::load(disk)? {
        if papers.place != (me.stack.clone(), me.dc.clone()) {
            return Err(AgentError::OtherCluster {
                folder: disk.root().display().to_string(),
                found: format!("{}.{}", papers.place.1, papers.place.0),
                wanted: format!("{}.{}", me.dc, me.stack),
            });
        }
        if papers.server.is_some() && papers::has_lost_raft(disk)? {
            let folder = disk.root().display().to_string();
            papers::forget(disk)?;
            return Err(AgentError::LostRaft {
                folder,
                node: me.id,
            });
        }
        let fine = Validity::of_pem(&papers.certificate)?.holds(clock::wall());
        if fine {
            return Ok(Some(papers));
        }
        tracing::warn!("this node's certificate has expired while it was off; getting a new one");
        papers.certificate = match &papers.server {
            Some(server) => authority::sign_own(me, papers.cluster, server, clock::wall())?,
            None => {
                let Some(token) = token.get(shutdown).await else {
                    return Ok(None);
                };
                match worker_join::join(me, &token, sources, shutdown).await? {
                    Some(anew) => anew.certificate,
                    None => return Ok(None),
                }
            }
        };
        papers::keep(disk, &papers)?;
        return Ok(Some(papers));
    }
    let Some(token) = token.get(shutdown).await else {
        return Ok(None);
    };
    if me.role == Role::Worker {
        let papers = worker_join::join(me, &token, sources, shutdown).await?;
        if let Some(papers) = &papers {
            papers::keep(disk, papers)?;
        }
        return Ok(papers);
    }
    let nursery = Nursery::open(Arc::clone(me), disk.clone(), token)?;
    door.set_host(Arc::clone(&nursery) as Arc<_>);
    match nursery.run(sources, shutdown).await {
        Ok(papers) => Ok(Some(papers)),
        Err(NurseryError::Stopped) => Ok(None),
        Err(NurseryError::Reborn(cluster)) => {
            papers::forget(disk)?;
            Err(NurseryError::Reborn(cluster).into())
        }
        Err(error) => Err(error.into()),
    }
}

fn node_row(me: &Me) -> NodeRow {
    NodeRow {
        id: me.id,
        name: me.name.to_string(),
        address: me.address.to_string(),
        tagged_addresses: BTreeMap::from([
            ("lan".to_owned(), me.address.to_string()),
            (
                if me.address.is_ipv4() {
                    "lan_ipv4"
                } else {
                    "lan_ipv6"
                }
                .to_owned(),
                me.address.to_string(),
            ),
        ]),
        meta: me.meta.clone(),
        owner: Some(me.id),
        create_index: 0,
        modify_index: 0,
    }
}

fn api(
    me: &Me,
    store: &Arc<Store>,
    local: &Arc<LocalServices>,
    acts: &Arc<Acts>,
    dns: Arc<DnsStats>,
) -> Arc<Api> {
    Api::new(Parts {
        identity: Identity {
            id: me.id,
            name: me.name.clone(),
            role: me.role,
            address: me.address,
            ports: me.ports,
            stack: me.stack.clone(),
            dc: me.dc.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        store: Arc::clone(store),
        local: Arc::clone(local),
        operations: Arc::clone(acts) as Arc<dyn Operations>,
        waits: me.waits.subscribe(),
        metrics: vec![Box::new(move |text| dns.append(text))],
    })
}

/// A worker says what it is, to those who know the same secret.
fn open_worker_door(
    token: &JoinToken,
    door: &Arc<Door>,
    shutdown: &Shutdown,
) -> impl Future<Output = ()> + use<> {
    let (token, door, shutdown) = (token.clone(), Arc::clone(door), shutdown.clone());
    async move {
        if let Some(token) = token.get(&shutdown).await {
            door.set_worker(token);
        }
    }
}

/// Blocking queries and upstream look-ups take a descriptor each; the soft limit is for programs
/// that still use select(2).
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// A secret from where the config says that it is.
pub(super) fn resolve(source: &SecretSource) -> Result<Secret, SecretError> {
    source.resolve(
        |name| std::env::var(name).ok(),
        |path| std::fs::read_to_string(path).map_err(|error| error.to_string()),
    )
}

fn me(config: &Config, disk: &DataDir, address: IpAddr) -> Result<Me, AgentError> {
    let key = match disk.read(papers::NODE_KEY)? {
        Some(der) => NodeKey::from_der(&der)?,
        None => {
            let key = NodeKey::generate()?;
            disk.write_atomic(papers::NODE_KEY, key.der(), PRIVATE)?;
            key
        }
    };
    let name = match &config.name {
        Some(name) => name.clone(),
        None => host_name()?,
    };
    let timing = config.timing;
    Ok(Me {
        id: disk.node_id(),
        boot: BootId(random::word()),
        key,
        name,
        role: config.role,
        stack: config.stack.clone(),
        dc: config.dc.clone(),
        expect: config.expect,
        address,
        ports: Ports {
            rpc: config.listen.rpc,
            http: config.listen.http,
            https: config.listen.https,
            dns: config.dns.port,
            registry: config.listen.registry,
            docker: if config.docker.enabled {
                config.listen.docker
            } else {
                0
            },
        },
        meta: config.meta.clone(),
        timing: Timing {
            lease: timing.lease,
            session_grace: timing.session_grace,
            grace: timing.grace,
            reap: timing.reap,
        },
        certificate: timing.certificate,
        waits: watch::Sender::default(),
    })
}

/// The host's name up to its first dot.
fn host_name() -> Result<Name, AgentError> {
    let uname = rustix::system::uname();
    let whole = uname.nodename().to_string_lossy().into_owned();
    let label = whole.split('.').next().unwrap_or_default();
    Ok(Name::new(label)?)
}

fn sources(config: &Config) -> Result<Sources, AgentError> {
    let list = config.join.iter().map(|source| match source {
        JoinSource::Address(address) => Ok(Source::Address(*address)),
        JoinSource::Dns { host, port } => Ok(Source::Dns {
            host: host.clone(),
            port: *port,
        }),
        JoinSource::Provider { kind, args, port } => {
            let provider = discover::open(kind, args, &config.admin_network)?;
            Ok(Source::Cloud(Cloud::new(provider, *port)))
        }
    });
    let list = list.collect::<Result<_, ProviderError>>()?;
    Ok(Sources::new(list))
}

fn stop_on_signals(tasks: &Tasks) -> Result<(), AgentError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(AgentError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AgentError::Signals)?;
    let shutdown = tasks.shutdown().clone();
    tasks.spawn("signals", async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("told to stop"),
            _ = interrupt.recv() => tracing::info!("interrupted"),
            () = shutdown.begun() => {}
        }
        shutdown.begin();
    });
    Ok(())
}
