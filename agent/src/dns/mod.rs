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
    /// Whose queries are passed on: the admin network, loopback, Docker's bridges.
    pub recurse_for: Vec<IpNet>,
    /// TTL of answers, in seconds; 0 keeps others from remembering the dead.
    pub ttl: u32,
}

/// A DNS server that has its ports.
pub struct Dns {
    doors: Vec<Door>,
    responder: Arc<Responder>,
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
        let now = config.listen.iter().map(|address| (*address, false));
        let later = config.listen_later.iter().map(|address| (*address, true));
        let doors = now
            .chain(later)
            .map(|(address, later)| Door::open(address, config.port, later))
            .collect::<Result<Vec<Door>, DnsError>>()?;
        if doors.is_empty() {
            return Err(DnsError::NoAddress);
        }
        let upstreams = without_ourselves(config.recursors, &doors);
        let responder = Responder {
            zones,
            store,
            nodes,
            upstreams: Upstreams::new(upstreams, Arc::clone(&stats)),
            near: config.recurse_for,
            ttl: config.ttl,
            stats,
        };
        Ok(Self {
            doors,
            responder: Arc::new(responder),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.iter().map(|door| door.address).collect()
    }

    /// Answers until `shutdown`.
    pub async fn serve(self, shutdown: Shutdown) -> Result<(), DnsError> {
        let places = tcp::Places::new();
        let mut tasks = FuturesUnordered::new();
        for Door { address, tcp, udp } in self.doors {
            let listener = tcp::serve(
                tcp,
                Arc::clone(&self.responder),
                places.clone(),
                shutdown.clone(),
            );
            tasks.push(ended(spawn("dns-listener", listener), address));
            for socket in udp {
                let worker = udp::serve(socket, Arc::clone(&self.responder), shutdown.clone());
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
fn without_ourselves(recursors: Vec<SocketAddr>, doors: &[Door]) -> Vec<SocketAddr> {
    let ours = |server: &SocketAddr| doors.iter().any(|door| door.address == *server);
    let (own, others): (Vec<_>, Vec<_>) = recursors.into_iter().partition(ours);
    for server in own {
        tracing::warn!(%server, "this recursor is our own address: left out");
    }
    others
}
