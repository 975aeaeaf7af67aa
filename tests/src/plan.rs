//! What a cluster will be, and how it is made.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use crate::address::Block;
use crate::cluster::{Cluster, new_token};
use crate::lab::Lab;
use crate::scratch::Scratch;
use crate::settings::{Ports, Role, Settings};

/// What a cluster will be.
#[derive(Debug)]
pub struct Plan {
    servers: usize,
    workers: usize,
    pub(crate) lab: Option<Arc<Lab>>,
    docker: bool,
    registry: Option<Storage>,
    pub(crate) lossy: bool,
    more: String,
}

/// Where the registries of a cluster store.
#[derive(Debug)]
enum Storage {
    /// Each in its own folder.
    Own,
    /// All in one, which stands in for S3.
    Shared,
    /// All in a bucket: the section `s3` as a YAML map.
    Bucket(String),
}

impl Plan {
    pub(crate) fn of(servers: usize) -> Self {
        Self {
            servers,
            workers: 0,
            lab: None,
            docker: false,
            registry: None,
            lossy: false,
            more: String::new(),
        }
    }

    /// So many workers too.
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// On the machines of a lab, with real ports, instead of loopback.
    #[must_use]
    pub fn in_lab(self, lab: &Arc<Lab>) -> Self {
        Self {
            lab: Some(lab.clone()),
            ..self
        }
    }

    /// With a real Docker Engine on each machine (of a lab).
    #[must_use]
    pub fn docker(self) -> Self {
        Self {
            docker: true,
            ..self
        }
    }

    /// With registries, each with storage of its own.
    #[must_use]
    pub fn registry(self) -> Self {
        Self {
            registry: Some(Storage::Own),
            ..self
        }
    }

    /// With registries on one shared folder, which stands in for S3.
    #[must_use]
    pub fn shared_registry(self) -> Self {
        Self {
            registry: Some(Storage::Shared),
            ..self
        }
    }

    /// With registries on a bucket; `s3` is that section of the file, as a YAML map.
    #[must_use]
    pub fn registry_on(self, s3: &str) -> Self {
        Self {
            registry: Some(Storage::Bucket(s3.to_owned())),
            ..self
        }
    }

    /// Each node's data on a disk that forgets what was not synced. Needs root.
    #[must_use]
    pub fn on_lossy_disks(self) -> Self {
        Self {
            lossy: true,
            ..self
        }
    }

    /// With these lines at the end of each node's file.
    #[must_use]
    pub fn with(self, more: &str) -> Self {
        Self {
            more: more.to_owned(),
            ..self
        }
    }

    /// Starts all nodes at once and waits until the cluster serves.
    pub fn start(self) -> Result<Cluster> {
        let cluster = self.prepare()?;
        cluster.start_all()?;
        cluster.wait_serving()?;
        Ok(cluster)
    }

    /// Makes all that the nodes need, and starts none.
    pub fn prepare(self) -> Result<Cluster> {
        let token = new_token()?;
        let mut cluster = Cluster {
            nodes: Vec::new(),
            engines: BTreeMap::new(),
            disks: BTreeMap::new(),
            lab: self.lab.clone(),
            folder: Scratch::new("cluster")?,
            block: Block::claim()?,
            token,
        };
        let servers = (1..=self.servers).map(|number| (format!("s{number}"), Role::Server));
        let workers = (1..=self.workers).map(|number| (format!("w{number}"), Role::Worker));
        for (name, role) in servers.chain(workers) {
            cluster.add(&self, &name, role)?;
        }
        let join: Vec<String> = cluster
            .servers()
            .map(|node| node.address().to_string())
            .collect();
        for node in &cluster.nodes {
            node.reconfigure(|settings| settings.join.clone_from(&join));
        }
        if self.docker {
            cluster.start_engines()?;
        }
        Ok(cluster)
    }

    pub(crate) fn settings(
        &self,
        name: &str,
        role: Role,
        address: IpAddr,
        folder: &Path,
    ) -> Settings {
        let own = folder.join(name);
        let (ports, data_dir) = match self.lab {
            Some(_) => (Ports::REAL, PathBuf::from("/var/lib/swarmer")),
            None => (Ports::UNPRIVILEGED, own.join("data")),
        };
        Settings {
            stack: "test".to_owned(),
            dc: "dev".to_owned(),
            name: name.to_owned(),
            role,
            expect: self.servers,
            address,
            join: Vec::new(),
            token: String::new(),
            registry: self.registry.as_ref().map(|storage| match storage {
                Storage::Own => filesystem(&own),
                Storage::Shared => filesystem(folder),
                Storage::Bucket(s3) => format!("{{ s3: {s3} }}"),
            }),
            data_dir,
            ports,
            // Nothing that a test asks may leave the machine.
            recursors: Some("[]".to_owned()),
            docker: format!("{{ enabled: {} }}", self.docker),
            more: self.more.clone(),
            environment: BTreeMap::new(),
        }
    }
}

fn filesystem(folder: &Path) -> String {
    format!("{{ filesystem: {} }}", folder.join("registry").display())
}
