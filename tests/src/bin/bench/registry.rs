//! A client of the registry, as Docker would be one: by name, over TLS, with a token.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::cluster::{Cluster, REGISTRY};
use crate::dns::Resolver;

pub(crate) struct Client {
    ca: PathBuf,
    name: String,
    token: String,
}

impl Client {
    pub(crate) fn new(cluster: &Cluster) -> Result<Self> {
        let node = &cluster.nodes.first().context("no nodes")?.name;
        let papers = std::fs::read(cluster.dir.path().join(node).join("papers.json"))?;
        let papers: Value = serde_json::from_slice(&papers)?;
        let pem = find(&papers, "ca").context("no CA in the node's papers")?;
        let ca = cluster.dir.path().join("ca.pem");
        std::fs::write(&ca, pem)?;
        Ok(Self {
            ca,
            name: cluster.service("registry"),
            token: cluster.token.clone(),
        })
    }

    /// Whose registry answered `GET /v2/`, by the name as `dns` gives it; `not` does not count.
    pub(crate) fn serves(&self, dns: SocketAddr, not: Option<Ipv4Addr>) -> Result<Ipv4Addr> {
        let mut dns = Resolver::new(dns, Duration::from_millis(200))?;
        let found = dns.addresses(&self.name)?;
        let host = *found.first().context("no registry in DNS")?;
        ensure!(Some(host) != not, "DNS still names the dead host");
        let status = Command::new("curl")
            .args(["--silent", "--output", "/dev/null", "--max-time", "5"])
            .args(["--write-out", "%{http_code}"])
            .arg("--cacert")
            .arg(&self.ca)
            .args(["--user", &format!("bench:{}", self.token)])
            .args(["--resolve", &format!("{}:{REGISTRY}:{host}", self.name)])
            .arg(format!("https://{}:{REGISTRY}/v2/", self.name))
            .output()?;
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        ensure!(status == "200", "GET /v2/ at {host}: {status}");
        Ok(host)
    }
}

fn find<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    match value {
        Value::Object(map) => {
            let here = map.get(key).and_then(Value::as_str);
            here.or_else(|| map.values().find_map(|value| find(value, key)))
        }
        _ => None,
    }
}
