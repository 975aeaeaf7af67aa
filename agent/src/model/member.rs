//! Members of the cluster, their roles and the duties that exactly one of them has.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{BootId, ClusterTime, KeyFingerprint, Name, NodeId};

/// What a certificate or a token entitles its holder to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Votes, stores the state, signs certificates.
    Server,
    /// Follows the catalog and runs containers.
    Worker,
    /// A person.
    Operator,
}

impl Role {
    /// `server`, `worker` or `operator`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Worker => "worker",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "server" => Ok(Self::Server),
            "worker" => Ok(Self::Worker),
            "operator" => Ok(Self::Operator),
            other => Err(format!(
                "{other:?} is not a role: use server, worker or operator"
            )),
        }
    }
}

/// The ports on which a node's agent listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// mTLS between agents.
    pub rpc: u16,
    /// Plain HTTP API on loopback.
    pub http: u16,
    /// HTTP API over TLS on the admin address.
    pub https: u16,
    /// DNS, UDP and TCP.
    pub dns: u16,
    /// The registry's TLS front.
    pub registry: u16,
    /// The Docker Engine's TLS front; 0 on a node without an engine.
    pub docker: u16,
}

/// How the cluster sees a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    /// It holds its lease.
    Alive,
    /// Its lease lapsed: out of DNS and health answers, nothing else.
    Lapsed,
    /// Silent for longer than `grace`: autopilot and the reaper may act.
    Failed,
    /// It is leaving: out of DNS, its duties pass on.
    Leaving,
}

/// A node that was admitted to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who it is.
    pub id: NodeId,
    /// Its name, which belongs to its key.
    pub name: Name,
    /// Its role: `Server` or `Worker`.
    pub role: Role,
    /// Its address in the admin network.
    pub address: IpAddr,
    /// Where its agent listens.
    pub ports: Ports,
    /// The fingerprint of its key.
    pub key: KeyFingerprint,
    /// The process that last held its lease.
    pub boot: Option<BootId>,
    /// How the cluster sees it.
    pub status: MemberStatus,
    /// Since when it has this status.
    pub since: ClusterTime,
    /// The agent's version.
    pub version: String,
}

impl Member {
    /// Where its RPC port is.
    #[must_use]
    pub fn rpc(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.ports.rpc)
    }
}

/// The certificate authority as the state holds it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaRow {
    /// The CA's certificate, PEM.
    pub cert_pem: String,
    /// Its private key (PKCS#8 DER), sealed under the servers' data key.
    pub sealed_key: Vec<u8>,
    /// The Ed25519 join key's seed, sealed likewise.
    pub sealed_join_key: Vec<u8>,
}

impl fmt::Debug for CaRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaRow").finish_non_exhaustive()
    }
}

/// A thing that exactly one member does at a time. Held by the state's internal sessions: no TTL,
/// no lock-delay, ends with the holder's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// Serve the registry.
    Registry,
    /// Make the Docker Swarm.
    SwarmInit,
}

/// Who has a duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DutyHolder {
    /// The member.
    pub node: NodeId,
    /// The process of it that took the duty.
    pub boot: BootId,
    /// Index of the command that gave it: differs for every term of every holder.
    pub sequencer: u64,
}
