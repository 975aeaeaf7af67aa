//! What is known of a running demo: `demo.json` in its folder, and what `--json` prints.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::node::Node;
use super::{DemoError, files, folder};
use crate::model::Role;

/// A demo.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Demo {
    pub(super) nodes: Vec<DemoNode>,
    /// The cluster's CA, PEM.
    pub(super) ca: PathBuf,
    /// The server token, from which `swarmer token derive` makes the others.
    pub(super) token: String,
    pub(super) dir: PathBuf,
    pub(super) dc: String,
    pub(super) stack: String,
    /// Whether its nodes run a registry.
    pub(super) registry: bool,
    /// Whether `--dir` named its folder: then its files stay until `demo stop`.
    pub(super) named: bool,
    /// Milliseconds from the start of the first process until the cluster served.
    pub(super) ready_after: u64,
    /// Who led as the cluster began to serve: news for people, soon old.
    #[serde(skip)]
    pub(super) leader: Option<String>,
}

/// A node of it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct DemoNode {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) address: IpAddr,
    pub(super) pid: u32,
    pub(super) http: SocketAddr,
    pub(super) https: SocketAddr,
    pub(super) dns: SocketAddr,
    pub(super) rpc: SocketAddr,
    pub(super) registry: SocketAddr,
    /// Starts it again.
    pub(super) command: Vec<String>,
    pub(super) log: PathBuf,
    /// On which its user is an operator.
    pub(super) socket: PathBuf,
}

impl DemoNode {
    pub(super) fn new(node: &Node, program: &Path, pid: u32) -> Self {
        let words = [
            program.display().to_string(),
            "agent".to_owned(),
            "--config".to_owned(),
            node.config().display().to_string(),
        ];
        Self {
            name: node.name.clone(),
            role: node.role,
            address: node.address.into(),
            pid,
            http: node.http(),
            https: node.at(node.ports.https),
            dns: node.dns(),
            rpc: node.rpc(),
            registry: node.at(node.ports.registry),
            command: words.into(),
            log: node.log(),
            socket: node.data().join("swarmer.sock"),
        }
    }
}

impl DemoNode {
    /// The program that it runs.
    pub(super) fn program(&self) -> &Path {
        Path::new(self.command.first().map_or("swarmer", String::as_str))
    }
}

/// Where a demo's record is.
pub(super) fn file(demo: &Path) -> PathBuf {
    demo.join("demo.json")
}

impl Demo {
    pub(super) fn save(&self) -> Result<(), DemoError> {
        folder::write(&file(&self.dir), &self.json()?)
    }

    pub(super) fn json(&self) -> Result<String, DemoError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| DemoError::io("write", "the demo as JSON", error.into()))?;
        Ok(format!("{text}\n"))
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = &DemoNode> {
        self.nodes.iter().filter(|node| node.role == Role::Server)
    }

    /// All that a demo puts into its folder.
    pub(super) fn remove_files(&self) -> Result<(), DemoError> {
        for node in &self.nodes {
            folder::remove(&self.dir.join(&node.name))?;
        }
        for role in [Role::Server, Role::Worker, Role::Operator] {
            folder::remove(&files::token_file(&self.dir, role))?;
        }
        folder::remove(&self.ca)?;
        // What `login` was told to put there, by the line that the demo prints.
        folder::remove(&self.dir.join(OPERATOR))?;
        folder::remove(&file(&self.dir))?;
        // Not if someone has put something else there.
        let _ = std::fs::remove_dir(&self.dir);
        Ok(())
    }
}

/// The operator's files in a demo's folder.
pub(super) const OPERATOR: &str = "operator";
