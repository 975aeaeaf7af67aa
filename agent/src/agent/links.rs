//! What ties a member to its cluster: raft on servers, following on workers, the way to the
//! leader, the lease, the certificate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;

use super::member::Joined;
use super::{AgentError, edges};
use crate::cluster::authority::Authority;
use crate::cluster::door::{Door, Services};
use crate::cluster::follow::Follower;
use crate::cluster::lease_client::LeaseClient;
use crate::cluster::leases::LeaseKeeper;
use crate::cluster::messages::ServerList;
use crate::cluster::network::Network;
use crate::cluster::papers::{self, ServerPapers};
use crate::cluster::path::Path;
use crate::cluster::peers::Peers;
use crate::cluster::raft_door::RaftDoor;
use crate::cluster::renewal::Renewal;
use crate::http::Caller;
use crate::loops;
use crate::loops::leader::LeaderHands;
use crate::loops::registry::Tenure;
use crate::model::{Member, NodeId, Role};
use crate::pki::{CertStore, tls};
use crate::store::memory::LeaderMemory;
use crate::store::raft::Raft;
use crate::store::raft_types::Peer;
use crate::store::report::Report;
use crate::store::{Answer, Leader, Question};
use crate::task::{self, Tasks};

/// How often the proposer of a new cluster stands before it leaves it to raft's timers, and the pause
/// after the first time; each is twice as long as the one before, since a handshake may take longer.
const FIRST_TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(30);
/// How long the other founders leave the first election to the proposer.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);

/// The ties.
pub(super) struct Links {
    /// A server's raft.
    pub(super) raft: Option<Raft>,
    memory: Arc<LeaderMemory>,
    peers: Arc<Peers>,
    path: Arc<Path>,
    keeper: Option<Arc<LeaseKeeper>>,
}

impl Links {
    /// Starts raft, if this is a server, and opens the way to the leader.
    pub(super) async fn make(
        joined: &Joined,
        certificates: &Arc<CertStore>,
    ) -> Result<Self, AgentError> {
        let (me, papers) = (&joined.me, &joined.papers);
        let client = tls::rpc_client_config(Arc::clone(certificates))?;
        let peers = Peers::new(papers.cluster, Arc::new(move || Arc::clone(&client)));
        let memory = Arc::new(LeaderMemory::default());
        let raft = match &papers.server {
            Some(server) => Some(start_raft(joined, server, &peers).await?),
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
        Ok(Self {
            raft,
            memory,
            peers,
            path,
            keeper,
        })
    }

    /// A server serves the others and leads when it is elected; a worker follows.
    pub(super) fn serve(&self, joined: &Joined, door: &Door, tasks: &Tasks) {
        let parts = (&self.raft, &self.keeper, &joined.papers.server);
        if let (Some(raft), Some(keeper), Some(server)) = parts {
            self.serve_others(joined, door, raft, keeper, server);
            self.lead(joined, raft, server, tasks);
            return;
        }
        let follower = Follower {
            store: Arc::clone(&joined.store),
            path: Arc::clone(&self.path),
            peers: Arc::clone(&self.peers),
        };
        tasks.critical("follow", follower.run(tasks.shutdown().clone()));
    }

    fn serve_others(
        &self,
        joined: &Joined,
        door: &Door,
        raft: &Raft,
        keeper: &Arc<LeaseKeeper>,
        server: &ServerPapers,
    ) {
        let cluster = joined.papers.cluster;
        let authority = Authority::new(
            Arc::clone(&joined.me),
            cluster,
            server.clone(),
            Arc::clone(&joined.store),
            raft.clone(),
        );
        joined.acts.empower(authority.clone());
        let (api, store) = (Arc::clone(&joined.api), Arc::clone(&joined.store));
        let services = Services {
            cluster,
            store: Arc::clone(&joined.store),
            raft: RaftDoor {
                cluster,
                raft: raft.clone(),
                memory: Arc::clone(&self.memory),
            },
            leases: Arc::clone(keeper),
            path: Arc::clone(&self.path),
            authority: authority.clone(),
            http: Arc::new(move |call, node| {
                let api = Arc::clone(&api);
                async move { api.serve_call(call, Caller::rpc(Role::Worker, node)).await }.boxed()
            }),
            swarm: Arc::new(move |node, question| {
                let state = store.state();
                match question {
                    Question::SwarmServices => {
                        Answer::SwarmServices(loops::swarm::offers(&state).unwrap_or_default())
                    }
                    _ => Answer::SwarmJoin(loops::swarm::offer_to(&state, node).ok().flatten()),
                }
            }),
        };
        door.set_services(Arc::new(services));
        door.set_host(Arc::new(authority));
    }

    /// The leader's loops run on every server, and act on the one that leads.
    fn lead(&self, joined: &Joined, raft: &Raft, server: &ServerPapers, tasks: &Tasks) {
        let shutdown = tasks.shutdown();
        let hands = LeaderHands {
            store: Arc::clone(&joined.store),
            raft: raft.clone(),
            memory: Arc::clone(&self.memory),
        };
        let leases = loops::lease::run(hands.clone(), joined.me.timing, shutdown.clone());
        let sessions = loops::session::run(hands.clone(), shutdown.clone());
        let genesis = server.genesis.clone();
        let (watched, stopping) = (raft.clone(), shutdown.clone());
        tasks.critical("raft", async move {
            tokio::select! {
                why = watched.ended() => Err(why),
                () = stopping.begun() => Ok(()),
            }
        });
        tasks.critical("leases", leases);
        tasks.critical("sessions", sessions);
        let witnesses = joined.sources.clouds();
        let witnesses: Vec<_> = witnesses
            .map(|cloud| Arc::clone(cloud.provider()))
            .collect();
        if !witnesses.is_empty() {
            let lease = joined.me.timing.lease;
            let witness = loops::witness::run(hands.clone(), lease, witnesses, shutdown.clone());
            tasks.critical("witness", witness);
        }
        tasks.critical(
            "autopilot",
            loops::autopilot::run(hands, genesis, shutdown.clone()),
        );
    }

    /// Keeps this node's lease; the answer says until when it is certainly held.
    pub(super) fn keep_lease(
        &self,
        joined: &Joined,
        report: &Arc<Report>,
        tasks: &Tasks,
    ) -> Tenure {
        let me = &joined.me;
        let held = watch::Sender::new(None);
        let tenure = Tenure::new(held.subscribe());
        let lease = LeaseClient {
            me: me.id,
            boot: me.boot,
            lease: me.timing.lease,
            path: Arc::clone(&self.path),
            peers: Arc::clone(&self.peers),
            keeper: self.keeper.clone(),
            report: Arc::clone(report),
            held,
        };
        tasks.critical("lease", lease.run(tasks.shutdown().clone()));
        tenure
    }

    /// Keeps this node's certificate fresh.
    pub(super) fn keep_certificate(
        &self,
        joined: &Joined,
        certificates: &Arc<CertStore>,
        report: &Arc<Report>,
        tasks: &Tasks,
    ) {
        let renewal = Renewal {
            me: Arc::clone(&joined.me),
            disk: joined.disk.clone(),
            papers: joined.papers.clone(),
            certificates: Arc::clone(certificates),
            path: Arc::clone(&self.path),
            peers: Arc::clone(&self.peers),
            token: joined.token.watch(),
            sources: joined.sources.clone(),
            in_use: edges::on_certificate(joined, report),
        };
        tasks.critical("certificate", renewal.run(tasks.shutdown().clone()));
    }
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
    let founders = match &server.genesis {
        Some(genesis) => genesis.founders.iter().map(voter).collect(),
        None => BTreeMap::new(),
    };
    let proposer = founders.keys().next() == Some(&me);
    let folder = papers::begin_raft(&joined.disk)?;
    let raft = Raft::start(me, &folder, Arc::clone(&joined.store), network, founders).await?;
    if raft.is_new() && proposer {
        let _ = task::spawn("first election", stand_at_once(raft.clone()));
    } else if raft.is_new() {
        let _ = task::spawn("first election", leave_it_to_the_proposer(raft.clone()));
    }
    Ok(raft)
}

fn voter(member: &Member) -> (NodeId, Peer) {
    let peer = Peer {
        rpc: member.rpc(),
        name: member.name.to_string(),
    };
    (member.id, peer)
}

/// The proposer has handed out the papers just now: it need not wait for its timer.
async fn stand_at_once(raft: Raft) {
    // The others start within milliseconds of each other; until they do, nobody can be elected.
    let mut pause = FIRST_PAUSE;
    for _ in 0..FIRST_TRIES {
        if raft.view().leader.is_some() {
            return;
        }
        raft.stand().await;
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// If all stood, each would shake hands with each before anyone has a vote.
async fn leave_it_to_the_proposer(raft: Raft) {
    raft.may_stand(false);
    tokio::time::sleep(FIRST_PATIENCE).await;
    raft.may_stand(true);
}
