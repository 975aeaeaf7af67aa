//! A cluster under measurement, of whichever make.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::dns::Resolver;
use crate::http;
use crate::process::Process;

/// The same for all makes: every node has an address of its own.
pub(crate) const RPC: u16 = 18300;
pub(crate) const HTTP: u16 = 18500;
pub(crate) const HTTPS: u16 = 18501;
pub(crate) const DNS: u16 = 18600;
pub(crate) const REGISTRY: u16 = 15000;
pub(crate) const ETCD: u16 = 12379;

/// Who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Make {
    Swarmer,
    Etcd,
    Consul,
}

impl Make {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Swarmer => "swarmer",
            Self::Etcd => "etcd",
            Self::Consul => "consul",
        }
    }
}

/// The programs that are there.
pub(crate) struct Programs {
    pub(crate) swarmer: PathBuf,
    pub(crate) etcd: Option<PathBuf>,
    pub(crate) consul: Option<PathBuf>,
    pub(crate) registry: bool,
}

/// One process with an address.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) process: Process,
}

impl Node {
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.address, port))
    }
}

/// Servers first, then workers.
pub(crate) struct Cluster {
    pub(crate) make: Make,
    pub(crate) servers: usize,
    pub(crate) nodes: Vec<Node>,
    /// Just before the first process was started.
    pub(crate) started: Instant,
    /// What names end with.
    pub(crate) domain: &'static str,
    /// What opens Swarmer's registry.
    pub(crate) token: String,
    pub(crate) dir: TempDir,
}

/// A fresh network for each cluster, and one of our own for each benchmark that runs.
pub(crate) fn network() -> [u8; 3] {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let own = 100 + (std::process::id() % 100) as u8;
    [127, own, NEXT.fetch_add(1, Ordering::Relaxed)]
}

impl Cluster {
    pub(crate) fn servers(&self) -> &[Node] {
        &self.nodes[..self.servers]
    }

    /// Where clients talk to the servers.
    pub(crate) fn doors(&self) -> Vec<SocketAddr> {
        let port = if self.make == Make::Etcd { ETCD } else { HTTP };
        self.servers().iter().map(|node| node.at(port)).collect()
    }

    /// The position of the leader among the nodes.
    pub(crate) fn leader(&self) -> Result<usize> {
        wait("a leader", Duration::from_secs(30), || {
            let (_, text) = http::request(
                self.nodes.last().context("no nodes")?.at(HTTP),
                "GET",
                "/v1/status/leader",
                "",
                Duration::from_secs(2),
            )?;
            let text: String = serde_json::from_str(&text)?;
            let address: SocketAddr = text.parse()?;
            let found = self
                .nodes
                .iter()
                .position(|node| node.address == address.ip());
            found.context("the leader is no node of ours")
        })
    }

    /// `web` runs at node `index`, and every node's DNS says so.
    pub(crate) fn register(&self, index: usize) -> Result<()> {
        let node = &self.nodes[index];
        let body = r#"{"Name":"web","Port":80}"#;
        wait("a registration", Duration::from_secs(30), || {
            http::ask(node.at(HTTP), "PUT", "/v1/agent/service/register", body)
        })?;
        for other in &self.nodes {
            let mut dns = Resolver::new(other.at(DNS), Duration::from_millis(200))?;
            let name = self.service("web");
            wait("web in DNS", Duration::from_secs(30), || {
                let found = dns.addresses(&name)?;
                found
                    .contains(&node.address)
                    .then_some(())
                    .context(name.clone())
            })?;
        }
        Ok(())
    }

    pub(crate) fn service(&self, name: &str) -> String {
        format!("{name}.service.{}", self.domain)
    }

    /// Every node is in the catalog, as every node sees it.
    pub(crate) fn wait_for_members(&self) -> Result<()> {
        for node in &self.nodes {
            wait("all nodes in the catalog", Duration::from_secs(60), || {
                let text = http::ask(node.at(HTTP), "GET", "/v1/catalog/nodes?stale", "")?;
                let rows: Vec<Value> = serde_json::from_str(&text)?;
                if rows.len() < self.nodes.len() {
                    bail!("{} of {} nodes", rows.len(), self.nodes.len());
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Tries until it succeeds, every 10 ms.
pub(crate) fn wait<T>(
    what: &str,
    most: Duration,
    mut once: impl FnMut() -> Result<T>,
) -> Result<T> {
    let end = Instant::now() + most;
    loop {
        match once() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > end => {
                return Err(error.context(format!("no {what} within {most:?}")));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
