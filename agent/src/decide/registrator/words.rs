//! What the plan sees: containers, as Docker shows them on this node.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A container of this node's engine.
#[derive(Clone, Default, PartialEq)]
pub struct Container {
    /// Its whole id.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// The image that it was started from, as it was named.
    pub image: String,
    /// When it was started, in Docker's words: texts that sort by time.
    pub started: String,
    /// `SERVICE_*` of its environment, in its order. Nothing else of it: secrets live there.
    pub env: Vec<(String, String)>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `bridge`, `host`, `container:<id>`, or a network's name.
    pub network_mode: String,
    /// Its address in each of its networks.
    pub networks: BTreeMap<String, IpAddr>,
    /// Ports that it is said to listen on.
    pub exposed: Vec<Port>,
    /// Its mapped ports, each with where on the host; none: not published.
    pub mapped: BTreeMap<Port, Vec<Binding>>,
    /// What its own health check says, if it has one.
    pub health: Option<Health>,
    /// All that Docker says of it but the environment, for tags with fields in them.
    pub inspect: Value,
}

/// Nothing that a container was given as a value is shown.
impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("image", &self.image)
            .field("mapped", &self.mapped)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

impl Container {
    /// The Swarm service that it is a task of: id and name.
    #[must_use]
    pub fn task_of(&self) -> Option<(&str, &str)> {
        let label = |name| self.labels.get(name).map(String::as_str);
        let id = label("com.docker.swarm.service.id")?;
        let name = label("com.docker.swarm.service.name")?;
        (!id.is_empty() && !name.is_empty()).then_some((id, name))
    }

    /// The later started comes first, then the one of the smaller id.
    pub(super) fn by_age(one: &Self, other: &Self) -> Ordering {
        let newest = other.started.cmp(&one.started);
        newest.then_with(|| one.id.cmp(&other.id))
    }
}

/// A port of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// Its protocol.
    pub protocol: Protocol,
}

impl Port {
    /// Reads `80`, `80/tcp`, `53/udp`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let number = number.parse().ok().filter(|number| *number != 0)?;
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return None,
        };
        Some(Self { number, protocol })
    }
}

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// What stands at the end of an id and among the tags; TCP goes without saying.
    #[must_use]
    pub fn suffix(self) -> Option<&'static str> {
        match self {
            Self::Tcp => None,
            Self::Udp => Some("udp"),
            Self::Sctp => Some("sctp"),
        }
    }
}

/// Where on the host a port is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// On this address; `None`: on all.
    pub address: Option<IpAddr>,
    /// The port, never 0.
    pub port: u16,
}

/// What a container's own health check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// What the last run printed.
    pub output: String,
}

/// Docker's verdicts, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthStatus {
    /// It works.
    Healthy,
    /// Not known yet.
    Starting,
    /// It does not.
    Unhealthy,
}
