//! What a node knows of itself before it knows anything of a cluster.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::sync::watch;

use crate::decide::lease::Timing;
use crate::model::{BootId, ClusterTime, Member, MemberStatus, Name, NodeId, Ports, Role};
use crate::pki::NodeKey;

/// This node, from its config and its data directory.
pub struct Me {
    /// Its identity, made once per data directory.
    pub id: NodeId,
    /// This process.
    pub boot: BootId,
    /// Its key, made once per data directory.
    pub key: NodeKey,
    /// Its name.
    pub name: Name,
    /// Its role.
    pub role: Role,
    /// Its stack.
    pub stack: Name,
    /// Its data center.
    pub dc: Name,
    /// How many servers found the cluster.
    pub expect: u32,
    /// Its address in the admin network.
    pub address: IpAddr,
    /// Where it listens.
    pub ports: Ports,
    /// The catalog's meta data of it.
    pub meta: BTreeMap<String, String>,
    /// The speeds of liveness.
    pub timing: Timing,
    /// How long certificates live.
    pub certificate: Duration,
    /// What it waits for before it is a member, for people; empty: nothing, or nothing known.
    pub waits: watch::Sender<String>,
}

impl Me {
    /// Where its RPC port is.
    #[must_use]
    pub fn rpc(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.ports.rpc)
    }

    /// The member that it is or wants to be.
    #[must_use]
    pub fn member(&self) -> Member {
        Member {
            id: self.id,
            name: self.name.clone(),
            role: self.role,
            address: self.address,
            ports: self.ports,
            key: self.key.fingerprint(),
            boot: Some(self.boot),
            status: MemberStatus::Lapsed,
            since: ClusterTime::default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
