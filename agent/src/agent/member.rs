//! The agent as a member: raft on servers, following on workers, leases, and the doors.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::operations::Acts;
use super::{AgentError, edges, leaving};
use crate::cluster::authority::Authority;
use crate::cluster::door::{Door, Services};
use crate::cluster::follow::Follower;
use crate::cluster::lease_client::LeaseClient;
use crate::cluster::leases::LeaseKeeper;
use crate::cluster::me::Me;
use crate::cluster::messages::ServerList;
use crate::cluster::network::Network;
use crate::cluster::papers::{self, Papers, ServerPapers};
use crate::cluster::path::Path;
use crate::cluster::peers::Peers;
use crate::cluster::raft_door::RaftDoor;
use crate::cluster::renewal::Renewal;
use crate::config::Config;
use crate::discover::Sources;
use crate::disk::DataDir;
use crate::http::{self, Api, Caller};
use crate::loops;
use crate::loops::leader::LeaderHands;
use crate::loops::registry::Tenure;
use crate::model::{Member, Role};
use crate::pki::{ALPN_JOIN, ALPN_RPC, CertStore, PeerIdentity, PkiError, Token, tls};
use crate::rpc::PickConfig;
use crate::store::memory::LeaderMemory;
use crate::store::raft::Raft;
use crate::store::raft_types::Peer;
use crate::store::report::Report;
use crate::store::{Leader, LocalServices, Store};
use crate::task::{self, Tasks};

/// How often the proposer of a new cluster stands before it leaves it to raft's timers.
const FIRST_TRIES: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(30);
/// Everything that runs gets this long to finish.
const DRAIN: Duration = Duration::from_secs(8);

/// What the node has become.
pub(super) struct Joined {
    pub(super) config: Config,
    pub(super) me: Arc<Me>,
    pub(super) disk: DataDir,
    pub(super) token: Token,
    pub(super) sources: Sources,
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
pub(super) async fn run(joined: Joined, doors: Doors, tasks: &Tasks) -> Result<(), AgentError> {
    let shutdown = tasks.shutdown().clone();
    let me = Arc::clone(&joined.me);
    let papers = joined.papers.clone();
    let certificates = Arc::clone(&doors.certificates);
    certificates.trust(&papers.ca)?;
    certificates.replace(&papers.certificate, &me.key)?;

    let client = tls::rpc_client_config(Arc::clone(&certificates))?;
    let peers = Peers::new(papers.cluster, Arc::new(move || Arc::clone(&client)));
    let memory = Arc::new(LeaderMemory::default());
    let raft = match &papers.server {
        Some(server) => Some(start_raft(&joined, server, &peers).await?),
        None => None,
    };
    let path = Path::new(
        (me.id, me.boot),
        Arc::clone(&joined.store),
        Arc::clone(&peers),
        raft.clone(),
        Arc::clone(&memory),
    );
    path.set_servers(ServerList {
        leader: None,
        servers: papers.servers.clone(),
    });
    joined.store.connect(Arc::clone(&path) as Arc<dyn Leader>);

    let keeper = raft.as_ref().map(|raft| {
        Arc::new(LeaseKeeper {
            me: me.id,
            store: Arc::clone(&joined.store),
            raft: raft.clone(),
            memory: Arc::clone(&memory),
            path: Arc::clone(&path),
            lease: me.timing.lease,
        })
    });
    if let (Some(raft), Some(server), Some(keeper)) = (&raft, &papers.server, &keeper) {
        let authority = Authority::new(
            Arc::clone(&me),
            papers.cluster,
            server.clone(),
            Arc::clone(&joined.store),
            raft.clone(),
        );
        serve_members(
            &joined,
            &doors.door,
            raft,
            keeper,
            &path,
            &memory,
            authority,
        );
        lead(&joined, raft, &memory, server, tasks);
    } else {
        let follower = Follower {
            store: Arc::clone(&joined.store),
            path: Arc::clone(&path),
            peers: Arc::clone(&peers),
        };
        tasks.critical("follow", follower.run(shutdown.clone()));
    }

    let report = Arc::new(Report::default());
    let held = watch::Sender::new(None);
    let lease = LeaseClient {
        me: me.id,
        boot: me.boot,
        lease: me.timing.lease,
        path: Arc::clone(&path),
        peers: Arc::clone(&peers),
        keeper,
        report: Arc::clone(&report),
        held: held.clone(),
    };
    tasks.critical("lease", lease.run(shutdown.clone()));
    let tenure = Tenure::new(held.subscribe());
    if let Some(listener) = doors.registry {
        edges::registry(&joined, listener, &certificates, tenure, &report, tasks)?;
    }
    let swarm = edges::swarm(&joined, &report, tasks);
    let renewal = Renewal {
        me: Arc::clone(&me),
        disk: joined.disk.clone(),
        papers: papers.clone(),
        certificates: Arc::clone(&certificates),
        path: Arc::clone(&path),
        peers: Arc::clone(&peers),
        token: Some(joined.token.clone()),
        sources: joined.sources.clone(),
        in_use: edges::on_certificate(&joined, &report),
    };
    tasks.critical("certificate", renewal.run(shutdown.clone()));
    serve_https(&joined, doors.https, &certificates, tasks)?;
    let services = loops::services::run(
        Arc::clone(&joined.store),
        Arc::clone(&joined.local),
        shutdown.clone(),
    );
    tasks.critical("services", services);
    tasks.critical(
        "checks",
        loops::checks::run(Arc::clone(&joined.local), shutdown.clone()),
    );
    tracing::info!(cluster = %papers.cluster, "a member");

    let result = tokio::select! {
        () = shutdown.begun() => Ok(()),
        failure = tasks.first_failure() => Err(failure.into()),
        () = joined.acts.told_to_leave() => leaving::leave(&joined, raft.as_ref(), swarm).await,
    };
    if let Some(raft) = &raft {
        leaving::hand_over(raft).await;
    }
    shutdown.begin();
    // Farewells (of the lease, of the registry's duty) still need raft.
    for late in tasks.drain(DRAIN).await {
        tracing::warn!(task = late, "did not stop in time");
    }
    if let Some(raft) = raft {
        raft.stop().await;
    }
    result
}

async fn start_raft(
    joined: &Joined,
    server: &ServerPapers,
    peers: &Arc<Peers>,
) -> Result<Raft, AgentError> {
    let me = joined.me.id;
    let network = Network {
        cluster: joined.papers.cluster,
        me,
        peers: Arc::clone(peers),
    };
    let folder = joined.disk.folder(&papers::raft_folder(me))?;
    let raft = Raft::start(me, &folder, Arc::clone(&joined.store), network).await?;
    if let Some(genesis) = &server.genesis {
        let peer = |member: &Member| Peer {
            rpc: member.rpc(),
            name: member.name.to_string(),
        };
        let founders = genesis
            .founders
            .iter()
            .map(|member| (member.id, peer(member)));
        raft.initialize(founders.collect()).await?;
        // The proposer has handed out the papers just now: it need not wait for its timer.
        if genesis.founders.iter().map(|member| member.id).min() == Some(me) {
            let _ = task::spawn("first election", stand_until_led(raft.clone()));
        }
    }
    Ok(raft)
}

/// The others start within milliseconds of each other; until they do, nobody can be elected.
async fn stand_until_led(raft: Raft) {
    for _ in 0..FIRST_TRIES {
        if raft.view().leader.is_some() {
            return;
        }
        raft.stand().await;
        tokio::time::sleep(FIRST_PAUSE).await;
    }
}

fn serve_members(
    joined: &Joined,
    door: &Door,
    raft: &Raft,
    keeper: &Arc<LeaseKeeper>,
    path: &Arc<Path>,
    memory: &Arc<LeaderMemory>,
    authority: Authority,
) {
    joined.acts.empower(authority.clone());
    let (api, store) = (Arc::clone(&joined.api), Arc::clone(&joined.store));
    let cluster = joined.papers.cluster;
    let services = Services {
        cluster,
        store: Arc::clone(&joined.store),
        raft: RaftDoor {
            cluster,
            raft: raft.clone(),
            memory: Arc::clone(memory),
        },
        leases: Arc::clone(keeper),
        path: Arc::clone(path),
        authority: authority.clone(),
        http: Arc::new(move |call, node| {
            let api = Arc::clone(&api);
            async move { api.serve_call(call, Caller::rpc(Role::Worker, node)).await }.boxed()
        }),
        swarm: Arc::new(move |node| loops::swarm::offer_to(&store.state(), node).ok().flatten()),
    };
    door.set_services(Arc::new(services));
    door.set_host(Arc::new(authority));
}

/// The leader's loops run on every server, and act on the one that leads.
fn lead(
    joined: &Joined,
    raft: &Raft,
    memory: &Arc<LeaderMemory>,
    server: &ServerPapers,
    tasks: &Tasks,
) {
    let shutdown = tasks.shutdown();
    let hands = LeaderHands {
        store: Arc::clone(&joined.store),
        raft: raft.clone(),
        memory: Arc::clone(memory),
    };
    let genesis = server.genesis.clone();
    tasks.critical(
        "leases",
        loops::lease::run(hands.clone(), joined.me.timing, shutdown.clone()),
    );
    tasks.critical(
        "sessions",
        loops::session::run(hands.clone(), shutdown.clone()),
    );
    tasks.critical(
        "autopilot",
        loops::autopilot::run(hands, genesis, shutdown.clone()),
    );
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
