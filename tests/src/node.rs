//! One node of a cluster: its file, its agent, and how a user talks to it.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::binary;
use crate::dns::{self, Dig};
use crate::http::{Connection, Response};
use crate::place::Place;
use crate::process::{self, Process};
use crate::settings::{Role, Settings};

/// How long an answer may take: a server without a leader holds a request for 7 s, then says 500.
const PATIENCE: Duration = Duration::from_secs(12);
/// How long an agent may take to stop when it is asked to.
const STOP_TAKES: Duration = Duration::from_secs(20);

/// A node, running or not.
#[derive(Debug)]
pub struct Node {
    settings: Mutex<Settings>,
    name: String,
    role: Role,
    address: IpAddr,
    place: Place,
    folder: PathBuf,
    agent: Mutex<Option<Process>>,
}

impl Node {
    /// A node whose agent was not started yet. `folder` holds its file, its log and its data.
    pub(crate) fn new(settings: Settings, place: Place, folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self {
            name: settings.name.clone(),
            role: settings.role,
            address: settings.address,
            settings: Mutex::new(settings),
            place,
            folder,
            agent: Mutex::new(None),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its address in the admin network.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Where it runs.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A copy of what its file says.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes what its file will say at its next start.
    pub fn reconfigure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Its file.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.folder.join("swarmer.yaml")
    }

    /// Its log, of all its starts.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("agent.log")
    }

    // --- its life

    /// Writes its file and starts its agent; does not wait.
    pub fn start(&self) -> Result<()> {
        self.start_with(&self.settings().to_string())
    }

    /// Starts its agent with this text for its file.
    pub fn start_with(&self, text: &str) -> Result<()> {
        fs::write(self.config_path(), text)?;
        let mut command = self.place.command(binary::swarmer()?);
        command.arg("agent").arg("--config").arg(self.config_path());
        command.envs(self.settings().environment);
        let agent = Process::spawn(&self.name, command, &self.log_path())?;
        *self.agent() = Some(agent);
        Ok(())
    }

    /// `kill -9` of the agent, and waits until it is gone.
    pub fn kill(&self) -> Result<()> {
        self.with_agent(Process::kill)
    }

    /// SIGTERM, as at a reboot; waits until the agent has gone, and says how.
    pub fn terminate(&self) -> Result<ExitStatus> {
        self.with_agent(|agent| {
            agent.signal(Signal::TERM)?;
            agent.exit(STOP_TAKES)
        })
    }

    /// SIGSTOP: the agent is silent, its connections stay open.
    pub fn stop(&self) -> Result<()> {
        self.with_agent(|agent| agent.signal(Signal::STOP))
    }

    /// SIGCONT.
    pub fn cont(&self) -> Result<()> {
        self.with_agent(|agent| agent.signal(Signal::CONT))
    }

    /// `kill -9` if it runs, then a start with the same data.
    pub fn restart(&self) -> Result<()> {
        if self.is_running() {
            self.kill()?;
        }
        self.start()
    }

    /// `kill -9` if it runs, and loses its disk: at its next start it is a new machine.
    pub fn wipe(&self) -> Result<()> {
        if self.is_running() {
            self.kill()?;
        }
        let data = self.settings().data_dir;
        for entry in fs::read_dir(&data).into_iter().flatten().flatten() {
            let path = entry.path();
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.with_context(|| format!("remove {}", path.display()))?;
        }
        Ok(())
    }

    /// Waits until the agent has exited by itself, and says how.
    pub fn exit(&self, within: Duration) -> Result<ExitStatus> {
        self.with_agent(|agent| agent.exit(within))
    }

    /// True while the agent's process exists (stopped or not).
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.agent().as_mut().is_some_and(Process::is_running)
    }

    /// The agent's process id.
    pub fn pid(&self) -> Result<u32> {
        self.with_agent(|agent| Ok(agent.pid()))
    }

    /// The resident memory of the agent, in bytes.
    pub fn resident_memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib.context("no VmRSS")?.trim().parse::<u64>()? * 1024)
    }

    /// All that the agent printed, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        process::tail(&self.log_path(), usize::MAX)
    }

    /// Fails if its log shows a panic, or its token.
    pub fn is_decent(&self) -> Result<()> {
        let (log, token) = (self.log(), self.settings().token);
        let secret = token.rsplit('-').next().unwrap_or(&token);
        let told = secret.len() >= 16 && log.contains(secret);
        ensure!(!told, "the log of {} has its token", self.name);
        ensure!(
            !log.contains("panicked at"),
            "{} panicked:\n{log}",
            self.name
        );
        Ok(())
    }

    // --- its users

    /// A request to its plain HTTP port, on a connection of its own.
    pub fn http(&self, method: &str, path: &str, body: &[u8]) -> Result<Response> {
        self.connect(PATIENCE)?.call(method, path, body)
    }

    /// `GET path`.
    pub fn http_get(&self, path: &str) -> Result<Response> {
        self.http("GET", path, b"")
    }

    /// `PUT path`.
    pub fn http_put(&self, path: &str, body: impl AsRef<[u8]>) -> Result<Response> {
        self.http("PUT", path, body.as_ref())
    }

    /// A connection to its plain HTTP port; an answer may take up to `patience`.
    pub fn connect(&self, patience: Duration) -> Result<Connection> {
        Connection::open(&self.place, self.http_address(), patience)
    }

    /// Stores a value; an error unless the node acknowledges it.
    pub fn kv_put(&self, key: &str, value: impl AsRef<[u8]>) -> Result<()> {
        let answer = self.http_put(&format!("/v1/kv/{key}"), value)?;
        ensure!(
            answer.ok()?.body == b"true",
            "{} says {}",
            self.name,
            answer.text()
        );
        Ok(())
    }

    /// The value of a key, if there is one.
    pub fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let answer = self.http_get(&format!("/v1/kv/{key}?raw"))?;
        match answer.status {
            404 => Ok(None),
            _ => Ok(Some(answer.ok()?.body.clone())),
        }
    }

    /// The RPC address of the leader as this node knows it.
    pub fn leader_address(&self) -> Result<String> {
        let leader: String = self.http_get("/v1/status/leader")?.json()?;
        ensure!(!leader.is_empty(), "{} knows no leader", self.name);
        Ok(leader)
    }

    /// What `dig` says when it asks this node.
    pub fn dig(&self, name: &str, kind: &str) -> Result<Dig> {
        self.dig_with(name, kind, &[])
    }

    /// [`Node::dig`] with more of dig's own options.
    pub fn dig_with(&self, name: &str, kind: &str, options: &[&str]) -> Result<Dig> {
        Dig::ask(&self.place, self.dns_address(), name, kind, options)
    }

    /// The addresses that this node's DNS gives for `name` just now, without the cost of `dig`.
    pub fn resolve(&self, name: &str) -> Result<Vec<IpAddr>> {
        dns::addresses(&self.place, self.dns_address(), name)
    }

    /// A command in the node's place.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        self.place.command(program)
    }

    /// Where its plain HTTP listens: on a loopback address, its own or the machine's.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        let address = match self.place {
            Place::Loopback => self.address,
            Place::Machine(_) => IpAddr::from([127, 0, 0, 1]),
        };
        SocketAddr::new(address, self.settings().ports.http)
    }

    /// Where its DNS listens.
    #[must_use]
    pub fn dns_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.settings().ports.dns)
    }

    /// Where its RPC listens.
    #[must_use]
    pub fn rpc_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.settings().ports.rpc)
    }

    /// Its folder: file, log, data.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn agent(&self) -> MutexGuard<'_, Option<Process>> {
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_agent<T>(&self, act: impl FnOnce(&mut Process) -> Result<T>) -> Result<T> {
        match self.agent().as_mut() {
            Some(agent) => act(agent).with_context(|| format!("the agent of {}", self.name)),
            None => bail!("{} was not started", self.name),
        }
    }
}
