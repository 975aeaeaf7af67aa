//! A node's own lease: one stream to the leader, through any server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::leases::LeaseKeeper;
use super::messages::{LeaseItem, LeaseNews, LeaseWord, Open};
use super::path::Path;
use super::peers::Peers;
use crate::model::{BootId, NodeId};
use crate::rpc::FrameStream;
use crate::store::report::Report;
use crate::task::{Backoff, Shutdown, clock};

/// Renewals a lease.
const RENEWALS: u32 = 3;

/// Keeps this node's lease.
pub struct LeaseClient {
    /// This node.
    pub me: NodeId,
    /// This process.
    pub boot: BootId,
    /// How long a lease lasts.
    pub lease: Duration,
    /// The way to servers.
    pub path: Arc<Path>,
    /// Connections.
    pub peers: Arc<Peers>,
    /// On a server: its keeper, for when it leads itself.
    pub keeper: Option<Arc<LeaseKeeper>>,
    /// What the node says of itself.
    pub report: Arc<Report>,
    /// Until when the lease is certainly held.
    pub held: watch::Sender<Option<Instant>>,
}

/// Why a stream is over.
enum Over {
    Stop,
    Another,
    Twin(BootId),
}

/// What goes on from one stream to the next.
struct Course {
    number: u64,
    backoff: Backoff,
}

impl LeaseClient {
    /// Runs until `shutdown` begins; then says that the agent restarts, unless it left.
    pub async fn run(self, shutdown: Shutdown) {
        let backoff = Backoff::new(Duration::from_millis(20), self.lease / 2);
        let mut course = Course { number: 0, backoff };
        while !shutdown.is_begun() {
            course.number += 1;
            let over = match self.next_server(course.number) {
                Via::Myself(keeper) => self.local(&keeper, &mut course, &shutdown).await,
                Via::Server(node, address) => {
                    self.remote((node, address), &mut course, &shutdown).await
                }
                Via::Nobody => Over::Another,
            };
            match over {
                Over::Stop => return,
                Over::Another => {}
                Over::Twin(boot) => tracing::error!(
                    other = %boot,
                    "another process holds the lease with this node's key: is its data directory in \
                     use elsewhere? waiting for it to go"
                ),
            }
            tokio::select! {
                () = shutdown.begun() => {}
                () = tokio::time::sleep(course.backoff.next_delay()) => {}
            }
        }
    }

    fn next_server(&self, number: u64) -> Via {
        if let Some(keeper) = &self.keeper {
            let view = keeper.raft.view();
            // Among the founders of a cluster that has not begun there is no one to ask, and every
            // handshake delays the first election's.
            if view.voters.contains(&self.me) && keeper.store.state().cluster().is_none() {
                return Via::Nobody;
            }
            return match view.leader {
                Some(leader) if leader == self.me => Via::Myself(Arc::clone(keeper)),
                Some(leader) => self.through(leader, number),
                // Raft is silent until the leader adds this server, for which it must be alive.
                None => self.anyone(),
            };
        }
        self.anyone()
    }

    fn anyone(&self) -> Via {
        let servers = self.path.candidates();
        let other = servers.iter().find(|(node, _)| *node != self.me);
        other.map_or(Via::Nobody, |(node, at)| Via::Server(*node, *at))
    }

    /// A server goes to the leader itself; if that fails, every other time through another.
    fn through(&self, leader: NodeId, number: u64) -> Via {
        let Some(keeper) = &self.keeper else {
            return Via::Nobody;
        };
        let view = keeper.raft.view();
        let others: Vec<NodeId> = view
            .voters
            .iter()
            .copied()
            .filter(|id| *id != self.me && *id != leader)
            .collect();
        let detour = number.is_multiple_of(4) && !others.is_empty();
        let target = if detour {
            let at = usize::try_from(number / 4).unwrap_or(0) % others.len();
            others.get(at).copied().unwrap_or(leader)
        } else {
            leader
        };
        let address = self.address_of(keeper, target);
        address.map_or(Via::Nobody, |address| Via::Server(target, address))
    }

    async fn local(&self, keeper: &LeaseKeeper, course: &mut Course, shutdown: &Shutdown) -> Over {
        let (mut sent, number) = (0, course.number);
        while keeper.raft.is_leader() {
            let begun = clock::now();
            let (report, version) = self.report.since(sent);
            let (node, boot) = (self.me, self.boot);
            let word = keeper
                .take(
                    self.me,
                    LeaseNews::Renew {
                        node,
                        boot,
                        number,
                        report,
                    },
                )
                .await;
            match word {
                Some(LeaseWord::Renewed) => {
                    sent = version;
                    course.backoff.reset();
                    self.held.send_replace(Some(begun + self.lease));
                }
                Some(LeaseWord::Twin(boot)) => return Over::Twin(boot),
                Some(LeaseWord::Ending) => {}
                Some(LeaseWord::Outdated | LeaseWord::TryAnother) | None => return Over::Another,
            }
            tokio::select! {
                () = shutdown.begun() => {
                    self.tell_heir(keeper, number + 1).await;
                    return Over::Stop;
                }
                () = tokio::time::sleep(self.lease / RENEWALS) => {}
            }
        }
        Over::Another
    }

    async fn remote(
        &self,
        server: (NodeId, SocketAddr),
        course: &mut Course,
        shutdown: &Shutdown,
    ) -> Over {
        let open = Open::Lease(self.boot, course.number);
        let mut stream = match self.peers.stream_at(server.0, server.1, &open).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(server = %server.1, %error, "no lease stream");
                self.path.avoid(server.0);
                return Over::Another;
            }
        };
        let mut sent = 0;
        // A stream that works is never left, whoever leads: its server finds the leader, and to
        // leave would look like a node that went away.
        loop {
            let begun = clock::now();
            let (report, version) = self.report.since(sent);
            // With a leader that froze or was cut off, the wait is over when another leads.
            let renewed = async {
                tokio::select! {
                    word = renew(&mut stream, report) => word,
                    () = self.another_leads() => None,
                }
            };
            match tokio::time::timeout(self.lease, renewed).await {
                Ok(Some(LeaseWord::Renewed)) => {
                    sent = version;
                    course.backoff.reset();
                    self.held.send_replace(Some(begun + self.lease));
                }
                Ok(Some(LeaseWord::Ending)) => {}
                Ok(Some(LeaseWord::Twin(boot))) => return Over::Twin(boot),
                Ok(Some(LeaseWord::Outdated | LeaseWord::TryAnother) | None) | Err(_) => {
                    self.path.avoid(server.0);
                    return Over::Another;
                }
            }
            tokio::select! {
                () = shutdown.begun() => {
                    let _ = tokio::time::timeout(self.lease, say_restarting(&mut stream)).await;
                    return Over::Stop;
                }
                () = tokio::time::sleep(self.lease / RENEWALS) => {}
            }
        }
    }

    /// A leader that stops hands over, and hears no more who leads then: its own lease is the next
    /// one's to hold, whom any other server tells.
    async fn tell_heir(&self, keeper: &LeaseKeeper, number: u64) {
        let voters = keeper.raft.view().voters;
        for other in voters.into_iter().filter(|id| *id != self.me) {
            let Some(address) = self.address_of(keeper, other) else {
                continue;
            };
            let told = async {
                let open = Open::Lease(self.boot, number);
                let mut stream = self.peers.stream_at(other, address, &open).await.ok()?;
                say_restarting(&mut stream).await
            };
            if let Ok(Some(LeaseWord::Renewed)) = tokio::time::timeout(self.lease / 2, told).await {
                return;
            }
        }
    }

    fn address_of(&self, keeper: &LeaseKeeper, node: NodeId) -> Option<SocketAddr> {
        let member = keeper.store.state().member(node).map(|member| member.rpc());
        member.or_else(|| keeper.raft.peer_address(node))
    }

    /// Servers: returns when another leads than now, and a server that lives would have found it.
    async fn another_leads(&self) {
        let Some(keeper) = &self.keeper else {
            return std::future::pending().await;
        };
        let mut view = keeper.raft.watch();
        let leader = keeper.raft.leader();
        while keeper.raft.leader().is_none_or(|now| Some(now) == leader) {
            keeper.raft.changed(&mut view).await;
        }
        tokio::time::sleep(self.lease / 4).await;
    }
}

enum Via {
    Myself(Arc<LeaseKeeper>),
    Server(NodeId, SocketAddr),
    Nobody,
}

async fn renew(
    stream: &mut FrameStream,
    report: Option<BTreeMap<String, String>>,
) -> Option<LeaseWord> {
    let item = postcard::to_stdvec(&LeaseItem::Renew(report)).ok()?;
    stream.sink.send(item).await.ok()?;
    let word = stream.source.next().await.ok()?;
    postcard::from_bytes(&word).ok()
}

async fn say_restarting(stream: &mut FrameStream) -> Option<LeaseWord> {
    let item = postcard::to_stdvec(&LeaseItem::Restarting).ok()?;
    stream.sink.send(item).await.ok()?;
    let word = stream.source.next().await.ok()?;
    postcard::from_bytes(&word).ok()
}
