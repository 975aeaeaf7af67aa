//! A cluster of real agents.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::address::Block;
use crate::binary;
use crate::diagnosis;
use crate::disk::LossyDisk;
use crate::lab::{Engine, Lab};
use crate::node::Node;
use crate::place::Place;
use crate::plan::Plan;
use crate::process;
use crate::scratch::Scratch;
use crate::settings::Role;
use crate::wait;

/// How long a cluster may take until it serves, on two busy cores. What it should take is measured
/// by the benchmarks, not here.
pub const SERVES_WITHIN: Duration = Duration::from_secs(30);

/// Nodes `s1`, `s2`, … and `w1`, `w2`, …, each a real agent.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) engines: BTreeMap<String, Mutex<Engine>>,
    pub(crate) disks: BTreeMap<String, LossyDisk>,
    pub(crate) token: String,
    pub(crate) lab: Option<Arc<Lab>>,
    // Dropped last: nodes run in the folder, on the block's addresses.
    pub(crate) folder: Scratch,
    pub(crate) block: Block,
}

impl Cluster {
    /// Plans a cluster with so many servers.
    #[must_use]
    pub fn of(servers: usize) -> Plan {
        Plan::of(servers)
    }
}

impl Cluster {
    pub(crate) fn add(&mut self, plan: &Plan, name: &str, role: Role) -> Result<()> {
        let number = u8::try_from(self.nodes.len() + 1)?;
        let (place, address) = match &plan.lab {
            Some(lab) => {
                let machine = lab.machine(name)?;
                let address = machine.address();
                (Place::Machine(machine), address)
            }
            None => (Place::Loopback, self.block.address(number)),
        };
        let mut settings = plan.settings(name, role, address.into(), self.folder());
        settings.token = match role {
            Role::Server => self.token.clone(),
            Role::Worker => derive_token(&self.token, role)?,
        };
        if plan.lossy {
            let disk = LossyDisk::mount(&self.folder().join(format!("{name}-disk")))?;
            settings.data_dir = disk.path().to_owned();
            self.disks.insert(name.to_owned(), disk);
        }
        self.nodes
            .push(Node::new(settings, place, self.folder().join(name))?);
        Ok(())
    }

    pub(crate) fn start_engines(&mut self) -> Result<()> {
        let machines = self.nodes.iter().filter_map(|node| match node.place() {
            Place::Machine(machine) => Some(machine.clone()),
            Place::Loopback => None,
        });
        let started: Vec<Result<Engine>> = thread::scope(|scope| {
            let starting: Vec<_> = machines
                .map(|machine| scope.spawn(move || Engine::start(&machine)))
                .collect();
            starting
                .into_iter()
                .map(|engine| engine.join().expect("no panic"))
                .collect()
        });
        for engine in started {
            let engine = engine?;
            self.engines
                .insert(engine.machine().name().to_owned(), Mutex::new(engine));
        }
        Ok(())
    }

    /// Starts all nodes at once; does not wait.
    pub fn start_all(&self) -> Result<()> {
        self.nodes.iter().try_for_each(Node::start)
    }

    /// All nodes, servers first.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The servers.
    pub fn servers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.role() == Role::Server)
    }

    /// The node of that name.
    ///
    /// # Panics
    /// If there is none: the test itself is wrong.
    #[must_use]
    pub fn node(&self, name: &str) -> &Node {
        let found = self.nodes.iter().find(|node| node.name() == name);
        found.unwrap_or_else(|| panic!("this cluster has no node {name}"))
    }

    /// The Docker Engine of the node of that name.
    ///
    /// # Panics
    /// If there is none: the test itself is wrong.
    pub fn engine(&self, name: &str) -> MutexGuard<'_, Engine> {
        let found = self.engines.get(name);
        let engine = found.unwrap_or_else(|| panic!("this cluster has no engine on {name}"));
        engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk of the node of that name, in a cluster on lossy disks.
    ///
    /// # Panics
    /// If there is none: the test itself is wrong.
    #[must_use]
    pub fn disk(&self, name: &str) -> &LossyDisk {
        let found = self.disks.get(name);
        found.unwrap_or_else(|| panic!("this cluster has no lossy disk for {name}"))
    }

    /// A power cut: the agent is killed, and its disk (if it is a lossy one) forgets.
    pub fn power_cut(&self, name: &str) -> Result<()> {
        self.node(name).kill()?;
        if let Some(disk) = self.disks.get(name) {
            disk.crash();
        }
        Ok(())
    }

    /// The links between the nodes, in a lab.
    ///
    /// # Panics
    /// If the cluster is not in a lab: the test itself is wrong.
    #[must_use]
    pub fn net(&self) -> &Lab {
        self.lab.as_deref().expect("a cluster in a lab")
    }

    /// The server token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where the cluster's files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `swarmer` with these words, talking to `node`.
    pub fn swarmer(&self, node: &str, words: &[&str]) -> Result<Command> {
        let node = self.node(node);
        let mut command = node.place().command(binary::swarmer()?);
        command
            .args(words)
            .env("SWARMER_HTTP", node.http_address().to_string());
        Ok(command)
    }

    /// Fails if a server does not take writes, has panicked, or told a secret: someone else's trouble
    /// must not touch it.
    pub fn still_serves(&self) -> Result<()> {
        for node in self.servers() {
            node.kv_put("harness/still", "serving")?;
            node.is_decent()?;
        }
        Ok(())
    }

    // --- facts

    /// The leader, as a majority of the servers names it just now.
    pub fn leader(&self) -> Result<&Node> {
        let mut votes: BTreeMap<String, usize> = BTreeMap::new();
        for node in self.servers().filter(|node| node.is_running()) {
            if let Ok(leader) = node.leader_address() {
                *votes.entry(leader).or_default() += 1;
            }
        }
        let winner = votes.iter().max_by_key(|(_, count)| **count);
        let (address, count) = winner.context("no server knows a leader")?;
        ensure!(
            count * 2 > self.servers().count(),
            "the servers name {votes:?}"
        );
        let found = self
            .nodes
            .iter()
            .find(|node| node.rpc_address().to_string() == *address);
        found.with_context(|| format!("{address} leads, which is no node of this cluster"))
    }

    /// A server that does not lead.
    pub fn follower(&self) -> Result<&Node> {
        let leader = self.leader()?.name().to_owned();
        let mut others = self
            .servers()
            .filter(|node| node.is_running() && node.name() != leader);
        others.next().context("no server but the leader runs")
    }

    /// [`wait::for_fact`] whose error shows the state of all nodes.
    pub fn wait<T>(
        &self,
        fact: &str,
        within: Duration,
        look: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        wait::for_fact(fact, within, look)
            .map_err(|error| anyhow::anyhow!("{error:#}\n{}", diagnosis::of(&self.nodes)))
    }

    /// Waits until every running node serves: writes through it are acknowledged, and its DNS knows
    /// every running node.
    pub fn wait_serving(&self) -> Result<()> {
        self.wait("every running node serves", SERVES_WITHIN, || {
            let running: Vec<&Node> = self.nodes.iter().filter(|node| node.is_running()).collect();
            ensure!(!running.is_empty(), "no node runs");
            for node in &running {
                node.kv_put(&format!("harness/serving/{}", node.name()), "yes")?;
                for other in &running {
                    let found = node.resolve(&format!("{}.node.dev.test", other.name()))?;
                    let (node, other) = (node.name(), other.name());
                    ensure!(!found.is_empty(), "the DNS of {node} does not know {other}");
                }
            }
            Ok(())
        })
    }

    /// Waits for a leader, and names it.
    pub fn wait_leader(&self, within: Duration) -> Result<&Node> {
        self.wait("the servers have a leader", within, || self.leader())
    }
}

impl Drop for Cluster {
    /// Whatever a story is about: no agent may panic in it.
    fn drop(&mut self) {
        let mut panicked = self
            .nodes
            .iter()
            .filter(|node| node.log().contains("panicked at"));
        if let Some(node) = panicked.next() {
            eprintln!("{} panicked:\n{}", node.name(), node.log());
            assert!(thread::panicking(), "{} panicked", node.name());
        }
    }
}

/// `swarmer token new`.
pub fn new_token() -> Result<String> {
    let token = process::run(Command::new(binary::swarmer()?).args(["token", "new"]))?;
    Ok(token.trim().to_owned())
}

/// `swarmer token derive ROLE`, with the server token in the environment.
pub fn derive_token(server_token: &str, role: Role) -> Result<String> {
    let mut command = Command::new(binary::swarmer()?);
    command
        .args(["token", "derive", role.as_str()])
        .env("SWARMER_TOKEN", server_token);
    Ok(process::run(&mut command)?.trim().to_owned())
}
