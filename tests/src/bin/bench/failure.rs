//! How long something dead is still named, or missed. Each round has a cluster of its own, so
//! that no round suffers from what the one before did.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::Bench;
use crate::cluster::{Cluster, DNS, HTTP, Make, wait};
use crate::dns::Resolver;
use crate::figures::Better;
use crate::http;
use crate::makes::{self, Shape};

const SECTION: &str = "Failure: until it shows nowhere, or works again";
const MOST: Duration = Duration::from_secs(60);
/// Between two questions to one DNS server.
const POLL: Duration = Duration::from_millis(5);
/// Streams and leases are up for a while before anything happens to them.
const SETTLE: Duration = Duration::from_millis(1500);

/// What happens, to whom.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blow {
    KillWorker,
    FreezeWorker,
    KillLeader,
    FreezeLeader,
}

impl Blow {
    fn name(self) -> &'static str {
        match self {
            Self::KillWorker => "kill -9 of a service's node, out of every DNS",
            Self::FreezeWorker => "silent host (SIGSTOP), out of every DNS",
            Self::KillLeader => "kill -9 where it is the leader, out of every DNS",
            Self::FreezeLeader => "silent host where it is the leader, out of every DNS",
        }
    }

    fn target(self) -> f64 {
        match self {
            Self::KillWorker => 300.0,
            Self::FreezeWorker => 3000.0,
            Self::KillLeader => 2500.0,
            Self::FreezeLeader => 6000.0,
        }
    }

    fn at_leader(self) -> bool {
        matches!(self, Self::KillLeader | Self::FreezeLeader)
    }
}

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    for _ in 0..bench.rounds {
        for make in bench.makes(&[Make::Swarmer, Make::Consul]) {
            for blow in [
                Blow::KillWorker,
                Blow::FreezeWorker,
                Blow::KillLeader,
                Blow::FreezeLeader,
            ] {
                let time = out_of_dns(bench, make, blow)?;
                let target = Some(blow.target());
                let line = bench
                    .figures
                    .line(SECTION, blow.name(), "ms", Better::Less, target);
                line.add(make, time.as_secs_f64() * 1000.0);
            }
            let time = writes_again(bench, make)?;
            let name = "kill -9 of the leader, a write succeeds";
            let line = bench
                .figures
                .line(SECTION, name, "ms", Better::Less, Some(1500.0));
            line.add(make, time.as_secs_f64() * 1000.0);
        }
    }
    Ok(())
}

fn settled(bench: &Bench, make: Make, shape: Shape) -> Result<Cluster> {
    let cluster = makes::start(make, &bench.programs, shape)?;
    crate::formation::first_write(&cluster)?;
    cluster.wait_for_members()?;
    Ok(cluster)
}

fn out_of_dns(bench: &Bench, make: Make, blow: Blow) -> Result<Duration> {
    let mut cluster = settled(bench, make, Shape::with_workers(1))?;
    let victim = if blow.at_leader() {
        cluster.leader()?
    } else {
        cluster.servers
    };
    cluster.register(victim)?;
    std::thread::sleep(SETTLE);
    if blow.at_leader() {
        ensure!(
            cluster.leader()? == victim,
            "the leader changed before anything happened"
        );
    }
    let address = cluster.nodes[victim].address;
    let name = cluster.service("web");
    let others = cluster.nodes.iter().filter(|node| node.address != address);
    let watchers: Vec<_> = others
        .map(|node| {
            let (door, name) = (node.at(DNS), name.clone());
            std::thread::spawn(move || gone(door, &name, address))
        })
        .collect();
    std::thread::sleep(POLL * 4);
    let start = Instant::now();
    match blow {
        Blow::KillWorker | Blow::KillLeader => cluster.nodes[victim].process.kill(),
        Blow::FreezeWorker | Blow::FreezeLeader => cluster.nodes[victim].process.freeze()?,
    }
    let mut last = start;
    for watcher in watchers {
        let seen = watcher
            .join()
            .map_err(|_| anyhow::anyhow!("a watcher died"))??;
        last = last.max(seen);
    }
    Ok(last.duration_since(start))
}

/// When `name` ceased to have `address` at this server.
fn gone(door: std::net::SocketAddr, name: &str, address: Ipv4Addr) -> Result<Instant> {
    let mut dns = Resolver::new(door, Duration::from_millis(500))?;
    ensure!(
        dns.addresses(name)?.contains(&address),
        "{name} is not there before it goes"
    );
    let end = Instant::now() + MOST;
    while Instant::now() < end {
        // A server that does not answer does not name it either, but that is not the question.
        if dns
            .addresses(name)
            .is_ok_and(|found| !found.contains(&address))
        {
            return Ok(Instant::now());
        }
        std::thread::sleep(POLL);
    }
    anyhow::bail!("{door} still names {address} after {MOST:?}")
}

fn writes_again(bench: &Bench, make: Make) -> Result<Duration> {
    let mut cluster = settled(bench, make, Shape::servers_only())?;
    std::thread::sleep(SETTLE);
    let leader = cluster.leader()?;
    let other = (leader + 1) % cluster.servers;
    cluster.nodes[leader].process.kill();
    let start = Instant::now();
    let door = cluster.nodes[other].at(HTTP);
    wait("write after the leader's death", MOST, || {
        http::ask(door, "PUT", "/v1/kv/again", "1").map(drop)
    })?;
    Ok(start.elapsed())
}

/// The registry's host dies; by the name that another node's DNS gives, the registry serves again.
pub(crate) fn registry(bench: &mut Bench) -> Result<()> {
    if !bench.programs.registry {
        eprintln!("docker-registry is not installed: no registry figures");
        return Ok(());
    }
    for freeze in [false, true] {
        for _ in 0..bench.rounds {
            let time = registry_again(bench, freeze)?;
            let (name, target) = if freeze {
                ("registry host silent (SIGSTOP), GET /v2/ by name", 8000.0)
            } else {
                ("registry host kill -9, GET /v2/ by name", 5000.0)
            };
            let line = bench
                .figures
                .line(SECTION, name, "ms", Better::Less, Some(target));
            line.add(Make::Swarmer, time.as_secs_f64() * 1000.0);
        }
    }
    Ok(())
}

fn registry_again(bench: &Bench, freeze: bool) -> Result<Duration> {
    let shape = Shape {
        registry: true,
        ..Shape::servers_only()
    };
    let mut cluster = settled(bench, Make::Swarmer, shape)?;
    let client = crate::registry::Client::new(&cluster)?;
    let any = cluster.nodes[0].at(DNS);
    let host = wait("the registry", MOST, || client.serves(any, None))?;
    std::thread::sleep(SETTLE);
    let victim = cluster.nodes.iter().position(|node| node.address == host);
    let victim = victim.context("the registry's host is no node of ours")?;
    let asked = cluster.nodes[(victim + 1) % cluster.servers].at(DNS);
    let start = Instant::now();
    if freeze {
        cluster.nodes[victim].process.freeze()?;
    } else {
        cluster.nodes[victim].process.kill();
    }
    wait("the registry elsewhere", MOST, || {
        client.serves(asked, Some(host))
    })?;
    Ok(start.elapsed())
}
