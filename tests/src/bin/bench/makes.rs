//! How a cluster of each make is started: all processes at once, on addresses of their own.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::json;
use tempfile::TempDir;

use crate::cluster::{
    Cluster, DNS, ETCD, HTTP, HTTPS, Make, Node, Programs, REGISTRY, RPC, network,
};
use crate::process::Process;

const ETCD_PEER: u16 = 12380;
const SERF: u16 = 18301;

/// What to start.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) servers: usize,
    pub(crate) workers: usize,
    pub(crate) registry: bool,
}

impl Shape {
    pub(crate) fn servers_only() -> Self {
        Self::with_workers(0)
    }

    pub(crate) fn with_workers(workers: usize) -> Self {
        Self {
            servers: 3,
            workers,
            registry: false,
        }
    }
}

/// A node that is not started yet.
struct Plan {
    name: String,
    address: Ipv4Addr,
    arguments: Vec<String>,
}

/// Starts a cluster and does not wait for it. An error if the program is not there.
pub(crate) fn start(make: Make, programs: &Programs, shape: Shape) -> Result<Cluster> {
    let dir = tempfile::Builder::new()
        .prefix("swarmer-bench-")
        .tempdir()?;
    let [a, b, c] = network();
    let addresses: Vec<Ipv4Addr> = (1..=shape.servers + shape.workers)
        .map(|host| Ipv4Addr::new(a, b, c, host as u8))
        .collect();
    let mut token = String::new();
    let (program, domain, plans) = match make {
        Make::Swarmer => {
            token = new_token(&programs.swarmer)?;
            let plans = swarmer(
                &dir,
                shape,
                &addresses,
                &token,
                &worker_token(&programs.swarmer, &token)?,
            )?;
            (Some(&programs.swarmer), "dev.bench", plans)
        }
        Make::Etcd => (programs.etcd.as_ref(), "", etcd(&dir, &addresses)),
        Make::Consul => (
            programs.consul.as_ref(),
            "consul",
            consul(&dir, shape, &addresses)?,
        ),
    };
    let program = program.with_context(|| format!("{} is not installed", make.name()))?;
    let started = Instant::now();
    let nodes = plans.into_iter().map(|plan| {
        let log = dir.path().join(format!("{}.log", plan.name));
        Ok(Node {
            process: Process::start(program, &plan.arguments, &log)?,
            name: plan.name,
            address: plan.address,
        })
    });
    let nodes = nodes.collect::<Result<_>>()?;
    Ok(Cluster {
        make,
        servers: shape.servers,
        nodes,
        started,
        domain,
        token,
        dir,
    })
}

fn output(program: &Path, arguments: &[&str], token: &str) -> Result<String> {
    let mut command = Command::new(program);
    let done = command.args(arguments).env("SWARMER_TOKEN", token).output();
    let done = done.with_context(|| format!("run {}", program.display()))?;
    anyhow::ensure!(
        done.status.success(),
        "{} {arguments:?}: {}",
        program.display(),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(String::from_utf8(done.stdout)?.trim().to_owned())
}

fn new_token(program: &Path) -> Result<String> {
    output(program, &["token", "new"], "")
}

fn worker_token(program: &Path, server: &str) -> Result<String> {
    output(program, &["token", "derive", "worker"], server)
}

fn swarmer(
    dir: &TempDir,
    shape: Shape,
    addresses: &[Ipv4Addr],
    server_token: &str,
    worker_token: &str,
) -> Result<Vec<Plan>> {
    let join: Vec<String> = addresses[..shape.servers]
        .iter()
        .map(|address| format!("{address}:{RPC}"))
        .collect();
    let mut plans = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        let name = format!("n{}", index + 1);
        let server = index < shape.servers;
        let (role, token) = if server {
            (format!("server\nexpect: {}", shape.servers), server_token)
        } else {
            ("worker".to_owned(), worker_token)
        };
        let data = dir.path().join(&name);
        let (data, registry) = (data.display(), dir.path().join(format!("{name}-registry")));
        let yaml = format!(
            "stack: bench\ndc: dev\nname: {name}\nrole: {role}\nadmin_network: {address}\n\
             join: [{}]\ntoken: {token}\ndata_dir: {data}\n\
             dns: {{ port: {DNS}, recursors: [] }}\ndocker: {{ enabled: false }}\n\
             registry: {{ enabled: {}, storage: {{ filesystem: {} }} }}\n\
             listen: {{ rpc: {RPC}, http: {HTTP}, https: {HTTPS}, registry: {REGISTRY} }}\n",
            join.join(", "),
            shape.registry,
            registry.display(),
        );
        let file = dir.path().join(format!("{name}.yaml"));
        fs::write(&file, yaml)?;
        let config = file.display().to_string();
        plans.push(Plan {
            name,
            address: *address,
            arguments: vec!["agent".into(), "--config".into(), config],
        });
    }
    Ok(plans)
}

fn etcd(dir: &TempDir, addresses: &[Ipv4Addr]) -> Vec<Plan> {
    let name = |index: usize| format!("e{}", index + 1);
    let all: Vec<String> = (addresses.iter().enumerate())
        .map(|(index, address)| format!("{}=http://{address}:{ETCD_PEER}", name(index)))
        .collect();
    let plan = |(index, address): (usize, &Ipv4Addr)| {
        let (peer, client) = (
            format!("http://{address}:{ETCD_PEER}"),
            format!("http://{address}:{ETCD}"),
        );
        let data = dir.path().join(name(index)).display().to_string();
        let arguments = [
            ("--name", name(index)),
            ("--data-dir", data),
            ("--listen-peer-urls", peer.clone()),
            ("--initial-advertise-peer-urls", peer),
            ("--listen-client-urls", client.clone()),
            ("--advertise-client-urls", client),
            ("--initial-cluster", all.join(",")),
            ("--initial-cluster-token", "bench".to_owned()),
            ("--initial-cluster-state", "new".to_owned()),
        ];
        Plan {
            name: name(index),
            address: *address,
            arguments: (arguments.into_iter())
                .flat_map(|(flag, value)| [flag.to_owned(), value])
                .collect(),
        }
    };
    addresses.iter().enumerate().map(plan).collect()
}

/// Consul with the timing that its documentation names for production.
fn consul(dir: &TempDir, shape: Shape, addresses: &[Ipv4Addr]) -> Result<Vec<Plan>> {
    let join: Vec<String> = addresses[..shape.servers]
        .iter()
        .map(|address| format!("{address}:{SERF}"))
        .collect();
    let mut plans = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        let name = format!("c{}", index + 1);
        let server = index < shape.servers;
        let mut config = json!({
            "node_name": name, "server": server, "data_dir": dir.path().join(&name),
            "bind_addr": address, "client_addr": address, "retry_join": join,
            "retry_interval": "250ms", "disable_update_check": true, "log_level": "WARN",
            "performance": { "raft_multiplier": 1 },
            "limits": { "http_max_conns_per_client": 4096 },
            "ports": {
                "http": HTTP, "dns": DNS, "server": RPC, "serf_lan": SERF, "serf_wan": -1, "grpc": -1,
            },
        });
        if server {
            config["bootstrap_expect"] = json!(shape.servers);
        }
        let file = dir.path().join(format!("{name}.json"));
        fs::write(&file, config.to_string())?;
        plans.push(Plan {
            name,
            address: *address,
            arguments: vec![
                "agent".into(),
                "-config-file".into(),
                file.display().to_string(),
            ],
        });
    }
    Ok(plans)
}
