//! Floor 5: DNS, on every node, from the node's own copy of the catalog.
//!
//! Owns: the cluster's names and what they answer, UDP and TCP on the DNS port, and passing on
//! what is not ours. Does not own: who is healthy (the catalog says), where the upstreams come
//! from, and which addresses are ours; the composition root hands those in.
//!
//! A packet goes `udp`/`tcp` → `request` (read) → `names` (what is asked) → `view` and `answer`
//! (what the catalog says) → `packet` (written); only `recurse` ever waits. On an operator's machine,
//! where there is no catalog, `nodes` passes our own names on to the cluster.
//!
//! Always true: an answer for our own names comes from memory and waits for nobody; it never
//! names a node or an instance that the local catalog knows to be dead; nothing that arrives can
//! make it panic; strangers get answers for our names only; an answer that was cut says so.

mod answer;
mod bind;
mod dice;
mod health;
mod name;
mod names;
mod nodes;
mod packet;
mod record;
mod recurse;
mod request;
mod responder;
mod stats;
mod tcp;
mod udp;
mod view;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use ipnet::IpNet;

use crate::model::Name;
use crate::store::Store;
use crate::task::{Shutdown, TaskHandle, spawn};

pub use bind::{DnsError, Protocols};
pub use nodes::Nodes;
pub use stats::{Counter, DnsStats};

use bind::Door;
use names::Zones;
use recurse::Upstreams;
use responder::Responder;

/// What the DNS server needs to know.
#[derive(Clone, Debug)]
pub struct DnsConfig {
    /// The data center.
    pub dc: Name,
    /// The stack.
    pub stack: Name,
    /// Where to listen: addresses that this host has.
    pub listen: Vec<IpAddr>,
    /// Where to listen too, although the address may appear only later (Docker's bridge).
    pub listen_later: Vec<IpAddr>,
    /// The port, UDP and TCP.
    pub port: u16,
    /// Who is asked for names that are not ours, in this order. Our own addresses are left out.
    pub recursors: Vec<SocketAddr>,
    /// Whose queries are passed on, wherever they arrive: the admin network, loopback.
    pub recurse_for: Vec<IpNet>,
    /// Whose queries are passed on too where they arrive at an address of `listen_later`: containers.
    pub recurse_for_later: Vec<IpNet>,
    /// TTL of answers, in seconds; 0 keeps others from remembering the dead.
    pub ttl: u32,
}

/// A DNS server that has its ports.
pub struct Dns {
    doors: Vec<(Door, Arc<Responder>)>,
}

impl Dns {
    /// Takes the ports. From here on clients are kept waiting rather than refused.
    pub fn bind(
        config: DnsConfig,
        store: Arc<Store>,
        stats: Arc<DnsStats>,
    ) -> Result<Self, DnsError> {
        Self::open(config, store, None, stats)
    }

    /// Takes the ports of a forwarder: the cluster's names are asked of its nodes, all else of the
    /// recursors.
    pub fn forwarder(config: DnsConfig, nodes: Arc<Nodes>) -> Result<Self, DnsError> {
        Self::open(config, Store::new(false), Some(nodes), Arc::default())
    }

    fn open(
        config: DnsConfig,
        store: Arc<Store>,
        nodes: Option<Arc<Nodes>>,
        stats: Arc<DnsStats>,
    ) -> Result<Self, DnsError> {
        let zones = Zones::of(&config.dc, &config.stack).ok_or_else(|| DnsError::Zone {
            dc: config.dc.to_string(),
            stack: config.stack.to_string(),
        })?;
        let open = |addresses: &[IpAddr], later| {
            let doors = addresses.iter();
            let doors = doors.map(|address| Door::open(*address, config.port, later));
            doors.collect::<Result<Vec<Door>, DnsError>>()
        };
        let now = open(&config.listen, false)?;
        let later = open(&config.listen_later, true)?;
        if now.is_empty() && later.is_empty() {
            return Err(DnsError::NoAddress);
        }
        let upstreams = without_ourselves(config.recursors, now.iter().chain(&later));
        let responder = Responder {
            zones,
            store,
            nodes,
            upstreams: Arc::new(Upstreams::new(upstreams, Arc::clone(&stats))),
            near: config.recurse_for,
            ttl: config.ttl,
            stats,
        };
        let for_containers = Arc::new(responder.near_to(&config.recurse_for_later));
        let responder = Arc::new(responder);
        let now = now.into_iter().map(|door| (door, Arc::clone(&responder)));
        let later = later.into_iter();
        let later = later.map(|door| (door, Arc::clone(&for_containers)));
        Ok(Self {
            doors: now.chain(later).collect(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.iter().map(|(door, _)| door.address).collect()
    }

    /// Answers until `shutdown`.
    pub async fn serve(self, shutdown: Shutdown) -> Result<(), DnsError> {
        let places = tcp::Places::new();
        let mut tasks = FuturesUnordered::new();
        for (Door { address, tcp, udp }, responder) in self.doors {
            let listener = tcp::serve(
                tcp,
                Arc::clone(&responder),
                places.clone(),
                shutdown.clone(),
            );
            tasks.push(ended(spawn("dns-listener", listener), address));
            for socket in udp {
                let worker = udp::serve(socket, Arc::clone(&responder), shutdown.clone());
                tasks.push(ended(spawn("dns-udp", worker), address));
            }
        }
        while let Some(address) = tasks.next().await {
            if !shutdown.is_begun() {
                return Err(DnsError::Ended { address });
            }
        }
        Ok(())
    }
}

async fn ended(task: TaskHandle<()>, address: SocketAddr) -> SocketAddr {
    // Why it ended is in its own log line.
    let _ = task.join().await;
    address
}

/// Asking ourselves would go round in circles.
fn without_ourselves<'a>(
    recursors: Vec<SocketAddr>,
    doors: impl Iterator<Item = &'a Door>,
) -> Vec<SocketAddr> {
    let ours: Vec<SocketAddr> = doors.map(|door| door.address).collect();
    let ours = |server: &SocketAddr| ours.contains(server);
    let (own, others): (Vec<_>, Vec<_>) = recursors.into_iter().partition(ours);
    for server in own {
        tracing::warn!(%server, "this recursor is our own address: left out");
    }
    others
}
