//! `swarmer demo`: what a newcomer sees, and what other programs build on.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::http::Connection;
use harness::place::Place;
use harness::process::{self, Process};
use harness::scratch::Scratch;
use harness::story::Story;
use harness::{binary, dns, wait};
use serde::Deserialize;

/// What killing a node and coming back may take, on two busy cores.
const HEALS_WITHIN: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
struct Demo {
    nodes: Vec<DemoNode>,
    ca: String,
    token: String,
    dir: String,
    dc: String,
    stack: String,
}

#[derive(Deserialize)]
struct DemoNode {
    name: String,
    role: String,
    address: IpAddr,
    pid: u32,
    http: SocketAddr,
    https: SocketAddr,
    dns: SocketAddr,
    rpc: SocketAddr,
}

impl Demo {
    fn name_of(&self, node: &DemoNode) -> String {
        format!("{}.node.{}.{}", node.name, self.dc, self.stack)
    }
}

impl DemoNode {
    fn put(&self, key: &str, value: &str) -> Result<()> {
        let patience = Duration::from_secs(10);
        let mut connection = Connection::open(&Place::Loopback, self.http, patience)?;
        connection
            .call("PUT", &format!("/v1/kv/{key}"), value.as_bytes())?
            .ok()?;
        Ok(())
    }

    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>> {
        dns::addresses(&Place::Loopback, self.dns, name)
    }

    /// Its command line, as `ps` shows it.
    fn command_line(&self) -> Result<Vec<String>> {
        let line = std::fs::read(format!("/proc/{}/cmdline", self.pid))?;
        let words = line
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty());
        Ok(words
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect())
    }
}

/// A demo that is stopped at the end, whatever the test found.
struct Running {
    folder: Scratch,
}

impl Running {
    fn command(&self) -> Result<Command> {
        let mut command = Command::new(binary::swarmer()?);
        command.arg("demo");
        Ok(command)
    }

    fn stop(&self) -> Result<Command> {
        let mut command = self.command()?;
        command
            .arg("stop")
            .arg("--dir")
            .arg(self.folder().join("demo"));
        Ok(command)
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(mut stop) = self.stop() {
            // It may have been stopped already.
            let _ = stop.output();
        }
    }
}

/// Every node takes writes and knows names as soon as the command returns.
fn serves(demo: &Demo) -> Result<()> {
    for node in &demo.nodes {
        node.put(&format!("demo/{}", node.name), "yes")?;
        let found = node.resolve(&demo.name_of(&demo.nodes[0]));
        ensure!(
            found.is_ok_and(|found| found.len() == 1),
            "the DNS of {}",
            node.name
        );
        ensure!(
            node.https.ip() == node.address && node.rpc.ip() == node.address,
            "its address"
        );
    }
    Ok(())
}

/// `kill -9` of the first node, which the others survive; then a start by hand.
fn a_node_dies_and_comes_back(demo: &Demo, story: &Story, log: &Path) -> Result<()> {
    let (victim, others) = demo.nodes.split_first().context("no node")?;
    let own = demo.name_of(victim);
    story.phase(&format!(
        "{} is killed: the others go on without it",
        victim.name
    ));
    let line = victim.command_line()?;
    process::run(Command::new("kill").args(["-9", &victim.pid.to_string()]))?;
    wait::for_fact("it is out of DNS, and writes go on", HEALS_WITHIN, || {
        others[0].put("demo/after", "the kill")?;
        let found = others[0].resolve(&own)?;
        ensure!(found.is_empty(), "{own} is {found:?}");
        Ok(())
    })?;

    story.phase("started again by hand, with its own command line, it is back");
    let mut by_hand = process::mortal(&line[0]);
    by_hand.args(&line[1..]);
    let mut again = Process::spawn("by hand", by_hand, log)?;
    wait::for_fact("it is in DNS and takes writes", HEALS_WITHIN, || {
        ensure!(!others[0].resolve(&own)?.is_empty(), "{own} is not there");
        victim.put("demo/again", "yes")
    })
    .with_context(|| process::tail(log, 10))?;
    again.kill()
}

#[test]
fn a_detached_demo_serves_heals_and_stops_without_a_trace() -> Result<()> {
    let story = Story::of("a detached demo serves, heals, and stops without a trace");
    let running = Running {
        folder: Scratch::new("demo")?,
    };
    let mut start = running.command()?;
    start
        .args(["--detach", "--json", "--dir"])
        .arg(running.folder().join("demo"));
    // Standard output has the JSON and nothing else, or this fails.
    let demo: Demo = serde_json::from_str(&process::run(&mut start)?)?;
    let servers = demo.nodes.iter().filter(|node| node.role == "server");
    ensure!(
        servers.count() == 3 && demo.nodes.len() == 4,
        "three servers and a worker"
    );
    ensure!(
        !demo.token.is_empty() && Path::new(&demo.dir).is_dir(),
        "token and folder"
    );
    ensure!(Path::new(&demo.ca).is_file(), "a CA: {}", demo.ca);

    story.phase("it serves as soon as the command returns");
    serves(&demo)?;
    a_node_dies_and_comes_back(&demo, &story, &running.folder().join("by-hand.log"))?;

    story.phase("`demo stop` leaves no process behind");
    process::run(&mut running.stop()?)?;
    wait::for_fact("no agent of it runs", HEALS_WITHIN, || {
        for node in &demo.nodes {
            ensure!(
                node.command_line().is_err(),
                "{} runs as {}",
                node.name,
                node.pid
            );
        }
        Ok(())
    })
}
