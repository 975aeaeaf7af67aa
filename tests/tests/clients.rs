//! Existing Consul clients work unchanged. Here: py-consul, doing what programs do with it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use harness::story::Story;
use harness::{Cluster, binary, needs, process};

/// KV, locks, sessions, blocking reads and the catalog, as a program would use them. A line printed at
/// each step names the last one that worked.
const PROGRAM: &str = include_str!("clients/py_consul.py");

/// Where `tests/setup.sh` put py-consul.
fn python() -> Result<PathBuf> {
    Ok(binary::target_directory()?.join("py-consul/bin/python"))
}

#[test]
fn py_consul_does_kv_locks_and_catalog_reads() -> Result<()> {
    let python = python()?;
    let path = python.to_str().context("an odd path")?;
    let need = needs::Need::File(Box::leak(path.to_owned().into_boxed_str()));
    if !needs::met("py_consul_does_kv_locks_and_catalog_reads", &[need]) {
        return Ok(());
    }
    let story = Story::of("py-consul does KV, locks and catalog reads");
    let cluster = Cluster::of(3).workers(1).start()?;
    // A worker has nothing of its own: whatever it answers went through the cluster.
    for name in ["s1", "w1"] {
        story.phase(&format!("py-consul talks to {name}"));
        let node = cluster.node(name);
        let address = node.http_address();
        let mut command = node.command(path);
        command.args([
            "-c",
            PROGRAM,
            &address.ip().to_string(),
            &address.port().to_string(),
            name,
        ]);
        eprintln!("{}", process::run(&mut command)?);
    }
    Ok(())
}
