//! The switch that joins a lab's machines, and its links.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use super::Machine;
use super::machine::Holder;
use crate::process;
use crate::scratch::{self, Scratch};

/// What the switch is made of. The chain is refilled whenever a link is cut or healed.
const SWITCH: &str = "
set -e
mount -t tmpfs -o mode=755 run /run
ip link set lo up
ip link add br0 type bridge
ip addr add 10.77.0.1/24 dev br0
ip link set br0 up
nft add table bridge links
nft add chain bridge links forward '{ type filter hook forward priority 0; }'
";

/// A switch and the machines on it: 10.77.0.0/24, in namespaces of their own.
#[derive(Debug)]
pub struct Lab {
    machines: Mutex<Vec<Arc<Machine>>>,
    cuts: Mutex<BTreeSet<(String, String)>>,
    switch: Holder,
    name: String,
    folder: Scratch,
}

impl Lab {
    /// Makes an empty lab. Fails without root: ask [`crate::needs`] first.
    pub fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        remove_cgroups(scratch::is_abandoned);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            machines: Mutex::default(),
            cuts: Mutex::default(),
            switch: Holder::start("switch", SWITCH).context("make the switch")?,
            name: scratch::name(&format!("lab-{count}")),
            folder: Scratch::new("lab")?,
        })
    }

    /// Adds a machine, with a cable to the switch.
    pub fn machine(&self, name: &str) -> Result<Arc<Machine>> {
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(
            machines.iter().all(|known| known.name() != name),
            "there is a {name} already"
        );
        let number = u8::try_from(machines.len() + 1)?;
        let address = Ipv4Addr::new(10, 77, 0, 10 + number);
        let port = format!("p{number}");
        let slice = format!("{}-{name}", self.name);
        let machine = Machine::start(name, address, &port, &slice, &self.folder.path().join(name))?;
        self.plug(&machine)
            .with_context(|| format!("plug {name} into the switch"))?;
        let machine = Arc::new(machine);
        machines.push(machine.clone());
        Ok(machine)
    }

    fn plug(&self, machine: &Machine) -> Result<()> {
        let (port, pid) = (machine.port(), machine.pid().to_string());
        let cable = [
            "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", &pid,
        ];
        process::run(self.command("ip").args(cable))?;
        process::run(
            self.command("ip")
                .args(["link", "set", port, "master", "br0", "up"]),
        )?;
        machine.connect()
    }

    /// A command on the switch itself, 10.77.0.1: the world outside the cluster.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        self.switch.command(program)
    }

    /// Silently drops whatever `a` and `b` send each other, in both directions.
    pub fn cut(&self, a: &str, b: &str) -> Result<()> {
        self.change(|cuts| {
            cuts.insert(link(a, b));
        })
    }

    /// Mends the link between `a` and `b`.
    pub fn heal(&self, a: &str, b: &str) -> Result<()> {
        self.change(|cuts| {
            cuts.remove(&link(a, b));
        })
    }

    /// Cuts `name` off from all others.
    pub fn isolate(&self, name: &str) -> Result<()> {
        let others = self.names();
        self.change(|cuts| {
            let all = others.iter().filter(|other| *other != name);
            cuts.extend(all.map(|other| link(name, other)));
        })
    }

    /// Cuts every link between one side and the rest.
    pub fn split(&self, side: &[&str]) -> Result<()> {
        let others = self.names();
        self.change(|cuts| {
            for one in side {
                let rest = others
                    .iter()
                    .filter(|other| !side.contains(&other.as_str()));
                cuts.extend(rest.map(|other| link(one, other)));
            }
        })
    }

    /// Mends all links.
    pub fn heal_all(&self) -> Result<()> {
        self.change(BTreeSet::clear)
    }

    fn change(&self, change: impl FnOnce(&mut BTreeSet<(String, String)>)) -> Result<()> {
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut cuts);
        let mut rules = "flush chain bridge links forward\n".to_owned();
        for (a, b) in cuts.iter() {
            let (a, b) = (self.port_of(a)?, self.port_of(b)?);
            for (from, to) in [(&a, &b), (&b, &a)] {
                rules += &format!(
                    "add rule bridge links forward iifname \"{from}\" oifname \"{to}\" drop\n"
                );
            }
        }
        let mut nft = self.command("nft");
        let mut child = nft
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .context("start nft")?;
        let mut input = child.stdin.take().context("nft has no standard input")?;
        input.write_all(rules.as_bytes())?;
        drop(input);
        let status = child.wait()?;
        ensure!(status.success(), "nft: {status} for\n{rules}");
        Ok(())
    }

    fn port_of(&self, name: &str) -> Result<String> {
        let machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        let found = machines.iter().find(|machine| machine.name() == name);
        found
            .map(|machine| machine.port().to_owned())
            .with_context(|| format!("no machine {name}"))
    }

    fn names(&self) -> Vec<String> {
        let machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        machines
            .iter()
            .map(|machine| machine.name().to_owned())
            .collect()
    }
}

/// A link's name is the same from both ends.
fn link(a: &str, b: &str) -> (String, String) {
    let (a, b) = (a.to_owned(), b.to_owned());
    if a < b { (a, b) } else { (b, a) }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.machines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        remove_cgroups(|name| name.starts_with(&self.name));
    }
}

/// The engines' control groups are the only thing that namespaces do not take with them.
fn remove_cgroups(which: impl Fn(&str) -> bool) {
    let root = Path::new("/sys/fs/cgroup");
    let controllers = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = controllers.map(|entry| entry.path()).collect();
    places.push(root.to_owned());
    for place in places {
        for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
            if which(&entry.file_name().to_string_lossy()) {
                remove_cgroup(&entry.path());
            }
        }
    }
}

fn remove_cgroup(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_cgroup(&entry.path());
        }
    }
    // A group that is still busy is left behind, empty and harmless.
    let _ = std::fs::remove_dir(group);
}
