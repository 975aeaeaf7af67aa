//! Reads and writes per second, and what they take of memory.

use std::time::Duration;

use anyhow::Result;

use crate::Bench;
use crate::cluster::{Cluster, Make};
use crate::figures::Better;
use crate::load::{self, Work};
use crate::makes::{self, Shape};

const PUTS: &str = "KV puts (256 bytes, fsync, spread over the servers)";
const GETS: &str = "KV gets (256 bytes, spread over the servers)";
const MEMORY: &str = "Memory (VmRSS)";

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let mut clusters = Vec::new();
    for make in bench.makes(&[Make::Swarmer, Make::Etcd, Make::Consul]) {
        let cluster = makes::start(make, &bench.programs, Shape::servers_only())?;
        crate::formation::first_write(&cluster)?;
        clusters.push(cluster);
    }
    let (rounds, length) = if bench.quick {
        (bench.rounds.min(3), Duration::from_secs(2))
    } else {
        (bench.rounds.min(5), Duration::from_secs(4))
    };
    let mut leaders = Leaders::of(&clusters);
    for clients in [1, 16, 64, 256] {
        step(bench, &clusters, Work::Put, clients, rounds, length)?;
        leaders.look(&clusters);
    }
    for cluster in &clusters {
        load::fill(cluster.make, 64, &cluster.doors())?;
    }
    for work in [Work::Get, Work::StaleGet] {
        for clients in [1, 64] {
            step(bench, &clusters, work, clients, rounds, length)?;
        }
    }
    for cluster in &clusters {
        let line = bench
            .figures
            .line(MEMORY, "server, after the load", "MiB", Better::Less, None);
        for node in &cluster.nodes {
            line.add(cluster.make, node.process.resident()? as f64 / 1_048_576.0);
        }
    }
    for (cluster, changes) in clusters.iter().zip(leaders.changes) {
        if cluster.make != Make::Etcd {
            let name = "changes of the leader under the load";
            let line = bench.figures.line(PUTS, name, "", Better::Less, Some(0.0));
            line.add(cluster.make, changes);
        }
    }
    Ok(())
}

/// The makes take turns, so that what else the machine does hits all alike.
fn step(
    bench: &mut Bench,
    clusters: &[Cluster],
    work: Work,
    clients: usize,
    rounds: usize,
    length: Duration,
) -> Result<()> {
    let (section, what) = match work {
        Work::Put => (PUTS, "puts"),
        Work::Get => (GETS, "linearizable gets"),
        Work::StaleGet => (GETS, "stale gets"),
    };
    for _ in 0..rounds {
        for cluster in clusters {
            let doors = cluster.doors();
            let outcome = load::run(cluster.make, work, clients, &doors, length)?;
            if outcome.failed > 0 {
                eprintln!(
                    "{}: {} of {what} with {clients} clients failed",
                    cluster.make.name(),
                    outcome.failed
                );
            }
            let target = (work == Work::Put && clients == 64).then_some(1.0);
            let name = |figure: &str| format!("{what}, {clients} clients{figure}");
            let figures = &mut bench.figures;
            let mut add = |figure: &str, unit, better, value| {
                let line = figures.line(section, &name(figure), unit, better, None);
                line.add(cluster.make, value);
            };
            add("", "/s", Better::More, outcome.per_second);
            add(
                ": p50",
                "ms",
                Better::Less,
                outcome.p50.as_secs_f64() * 1000.0,
            );
            add(
                ": p99",
                "ms",
                Better::Less,
                outcome.p99.as_secs_f64() * 1000.0,
            );
            if let Some(target) = target {
                figures
                    .line(section, &name(""), "/s", Better::More, None)
                    .wanted_of_etcd = Some(target);
            }
        }
    }
    Ok(())
}

/// Who leads each cluster, and how often that changed: load alone must not depose a leader.
struct Leaders {
    last: Vec<Option<usize>>,
    changes: Vec<f64>,
}

impl Leaders {
    fn of(clusters: &[Cluster]) -> Self {
        Self {
            last: clusters.iter().map(leader).collect(),
            changes: vec![0.0; clusters.len()],
        }
    }

    fn look(&mut self, clusters: &[Cluster]) {
        let known = self.last.iter_mut().zip(&mut self.changes);
        for (cluster, (last, changes)) in clusters.iter().zip(known) {
            let now = leader(cluster);
            if now != *last {
                *changes += 1.0;
                *last = now;
            }
        }
    }
}

fn leader(cluster: &Cluster) -> Option<usize> {
    (cluster.make != Make::Etcd).then(|| cluster.leader().ok())?
}
