//! The shape of the configuration, with its defaults.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{AdminNetwork, JoinSource, SecretSource, Template};
use crate::model::{Name, Role};

/// All that is ever configured on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// With `dc`, which cluster this is.
    pub stack: Name,
    /// With `stack`, which cluster this is.
    pub dc: Name,
    /// `Server` or `Worker`.
    pub role: Role,
    /// The node's name; `None`: the host's.
    pub name: Option<Name>,
    /// How many servers must meet before the first election. A worker's is of no use, and 0 if it
    /// is not given.
    pub expect: u32,
    /// Picks this node's address.
    pub admin_network: AdminNetwork,
    /// Where peers are looked for, all of them, again and again.
    pub join: Vec<JoinSource>,
    /// The join secret of the role.
    pub token: SecretSource,
    /// Where the node keeps what it keeps.
    pub data_dir: PathBuf,
    /// The DNS server.
    pub dns: Dns,
    /// The Docker Engine.
    pub docker: Docker,
    /// The image registry.
    pub registry: Registry,
    /// What is logged, and how.
    pub log: Log,
    /// The node's metadata in the catalog.
    pub meta: BTreeMap<String, String>,
    /// Where the agent listens.
    pub listen: Listen,
    /// How fast things are noticed.
    pub timing: Timing,
    /// What is allowed but unwise; for the log.
    pub warnings: Vec<String>,
}

/// `dns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// UDP and TCP.
    pub port: u16,
    /// Who is asked for names that are not ours.
    pub recursors: Recursors,
}

/// `dns.recursors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recursors {
    /// What resolv.conf said before the node's own DNS was put there.
    Auto,
    /// These; with an empty list nobody is.
    List(Vec<SocketAddr>),
}

/// `docker`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docker {
    /// Whether the agent looks after the Docker Engine at all.
    pub enabled: bool,
    /// Whether it also makes one Swarm of the cluster's engines.
    pub swarm: SwarmMode,
    /// The engine's socket.
    pub socket: PathBuf,
    /// Containers as services.
    pub registrator: Registrator,
}

/// `docker.registrator`, with the meaning of registrator's flags of these names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registrator {
    /// Whether containers with published ports become services.
    pub enabled: bool,
    /// Register containers' own addresses and ports, published or not.
    pub internal: bool,
    /// Only those that have a `SERVICE_NAME`.
    pub explicit: bool,
    /// Added to the tags of each service.
    pub tags: Vec<Template>,
}

impl Default for Registrator {
    fn default() -> Self {
        Self {
            enabled: true,
            internal: false,
            explicit: false,
            tags: Vec::new(),
        }
    }
}

/// `docker.swarm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwarmMode {
    /// Servers are managers, workers are workers.
    Auto,
    /// No Swarm.
    Off,
}

/// `registry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Whether this node may host the registry, and serves its front.
    pub enabled: bool,
    /// The program; `None`: `docker-registry` or `registry`, whichever is installed.
    pub command: Option<String>,
    /// Where images are kept.
    pub storage: Storage,
}

/// `registry.storage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// A folder of the host's.
    Filesystem(PathBuf),
    /// A bucket that all hosts share.
    S3(S3),
}

/// `registry.storage.s3`, under the names that Distribution gives its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// A service other than Amazon's, as a URL.
    pub regionendpoint: Option<String>,
    /// Where in the bucket.
    pub rootdirectory: Option<String>,
    /// With `secretkey`; `None`: the machine's own role.
    pub accesskey: Option<SecretSource>,
    /// With `accesskey`.
    pub secretkey: Option<SecretSource>,
    /// Whether objects are encrypted at rest.
    pub encrypt: bool,
    /// Whether the service's certificate is not checked.
    pub skipverify: bool,
    /// Whether the bucket stands in the URL's path, not in its host.
    pub forcepathstyle: bool,
    /// Whether clients are sent to the bucket for what they pull.
    pub redirect: bool,
    /// All else that was given, by Distribution's names.
    pub more: BTreeMap<&'static str, Setting>,
}

/// A setting that is only handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

/// `log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// What is logged at the start.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// `log.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// And what may become one.
    Warn,
    /// And what happened.
    Info,
    /// And why.
    Debug,
    /// And every step.
    Trace,
}

impl LogLevel {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// `log.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `listen`: ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// mTLS between agents, on the admin address.
    pub rpc: u16,
    /// The plain HTTP API, on loopback and Docker's bridge.
    pub http: u16,
    /// The HTTP API over TLS, on the admin address.
    pub https: u16,
    /// The registry's TLS front, on the admin address.
    pub registry: u16,
    /// The Docker Engine's TLS front, on the admin address.
    pub docker: u16,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            rpc: super::DEFAULT_RPC_PORT,
            http: 8500,
            https: 8501,
            registry: 5000,
            docker: 2376,
        }
    }
}

/// `timing` (safety.md L1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A node that is silent for so long is out of DNS and health answers.
    pub lease: Duration,
    /// For so long: sessions that are bound to its health end.
    pub session_grace: Duration,
    /// For so long: it counts as failed.
    pub grace: Duration,
    /// For so long: it is removed.
    pub reap: Duration,
    /// How long a node's certificate lives.
    pub certificate: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(2),
            session_grace: Duration::from_secs(8),
            grace: Duration::from_secs(30),
            reap: Duration::from_secs(600),
            certificate: Duration::from_secs(72 * 3600),
        }
    }
}
