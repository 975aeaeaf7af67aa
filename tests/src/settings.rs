//! A node's `swarmer.yaml`, as cloud-init would write it.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write};
use std::net::IpAddr;
use std::path::PathBuf;

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Votes and stores.
    Server,
    /// Follows.
    Worker,
}

impl Role {
    /// As the file and the token say it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Worker => "worker",
        }
    }
}

/// The ports of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// mTLS between agents.
    pub rpc: u16,
    /// Plain HTTP.
    pub http: u16,
    /// HTTP over TLS.
    pub https: u16,
    /// DNS, UDP and TCP.
    pub dns: u16,
    /// The registry's TLS front.
    pub registry: u16,
}

impl Ports {
    /// The ports of a real node.
    pub const REAL: Self = Self {
        rpc: 8300,
        http: 8500,
        https: 8501,
        dns: 53,
        registry: 5000,
    };
    /// The same where no root is needed: on addresses of a cluster's own nothing else needs to differ.
    pub const UNPRIVILEGED: Self = Self {
        dns: 8600,
        ..Self::REAL
    };
}

/// All that a test sets in a node's file. A field that a test takes away is left to its default.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster's first name.
    pub stack: String,
    /// The cluster's last name.
    pub dc: String,
    /// The node's name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// How many servers meet before the first election.
    pub expect: usize,
    /// The node's address.
    pub address: IpAddr,
    /// Who is asked to be let in.
    pub join: Vec<String>,
    /// The join secret.
    pub token: String,
    /// Where it keeps what it must not forget.
    pub data_dir: PathBuf,
    /// Where it listens.
    pub ports: Ports,
    /// Who is asked for names that are not ours, as a YAML value; `None` for the default.
    pub recursors: Option<String>,
    /// The `docker` section, as a YAML map.
    pub docker: String,
    /// Where its registry stores, if it may have one, as a YAML map.
    pub registry: Option<String>,
    /// Lines for the end of the file.
    pub more: String,
    /// What the agent's environment has more than the test's; not in the file.
    pub environment: BTreeMap<String, String>,
}

impl Display for Settings {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Ports {
            rpc,
            http,
            https,
            dns,
            registry,
        } = self.ports;
        writeln!(
            f,
            "stack: {}\ndc: {}\nname: {}",
            self.stack, self.dc, self.name
        )?;
        writeln!(f, "role: {}", self.role.as_str())?;
        if self.role == Role::Server {
            writeln!(f, "expect: {}", self.expect)?;
        }
        writeln!(f, "admin_network: {}", self.address)?;
        if !self.join.is_empty() {
            writeln!(f, "join:")?;
            self.join
                .iter()
                .try_for_each(|hint| writeln!(f, "  - \"{hint}\""))?;
        }
        writeln!(f, "token: \"{}\"", self.token)?;
        writeln!(f, "data_dir: {}", self.data_dir.display())?;
        writeln!(
            f,
            "listen: {{ rpc: {rpc}, http: {http}, https: {https}, registry: {registry} }}"
        )?;
        match &self.recursors {
            Some(recursors) => writeln!(f, "dns: {{ port: {dns}, recursors: {recursors} }}")?,
            None => writeln!(f, "dns: {{ port: {dns} }}")?,
        }
        writeln!(f, "docker: {}", self.docker)?;
        match &self.registry {
            Some(storage) => {
                writeln!(f, "registry: {{ enabled: true, storage: {storage} }}")?;
            }
            None => writeln!(f, "registry: {{ enabled: false }}")?,
        }
        f.write_str(&self.more)?;
        if self.more.is_empty() {
            Ok(())
        } else {
            f.write_char('\n')
        }
    }
}
