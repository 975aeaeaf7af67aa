//! What an agent takes while nothing happens, and on disk.

use std::time::Duration;

use anyhow::Result;

use crate::Bench;
use crate::cluster::Make;
use crate::figures::Better;
use crate::makes::{self, Shape};

const SECTION: &str = "Memory (VmRSS)";
const MIB: f64 = 1_048_576.0;

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let mut clusters = Vec::new();
    for make in bench.makes(&[Make::Swarmer, Make::Etcd, Make::Consul]) {
        let workers = usize::from(make != Make::Etcd);
        let cluster = makes::start(make, &bench.programs, Shape::with_workers(workers))?;
        crate::formation::first_write(&cluster)?;
        if make != Make::Etcd {
            cluster.wait_for_members()?;
        }
        clusters.push(cluster);
    }
    let idle = if bench.quick { 15 } else { 60 };
    std::thread::sleep(Duration::from_secs(idle));
    for cluster in &clusters {
        for (index, node) in cluster.nodes.iter().enumerate() {
            let role = if index < cluster.servers {
                "server"
            } else {
                "worker"
            };
            let name = format!("{role}, idle for {idle} s");
            let line = bench
                .figures
                .line(SECTION, &name, "MiB", Better::Less, Some(30.0));
            line.add(cluster.make, node.process.resident()? as f64 / MIB);
        }
    }
    let size = std::fs::metadata(&bench.programs.swarmer)?.len();
    let line = bench
        .figures
        .line("Binary", "size", "MiB", Better::Less, Some(30.0));
    line.add(Make::Swarmer, size as f64 / MIB);
    Ok(())
}
