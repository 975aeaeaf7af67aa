//! One node of a demo.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::model::{Ports, Role};

/// One node of a demo: its name, its address, its folder.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) address: Ipv4Addr,
    pub(super) ports: Ports,
    folder: PathBuf,
}

impl Node {
    pub(super) fn new(
        demo: &Path,
        role: Role,
        number: usize,
        address: Ipv4Addr,
        ports: Ports,
    ) -> Self {
        let name = format!("{role}-{number}");
        Self {
            folder: demo.join(&name),
            name,
            role,
            address,
            ports,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("swarmer.yaml")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("agent.log")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn images(&self) -> PathBuf {
        self.folder.join("images")
    }

    pub(super) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address), port)
    }

    pub(super) fn http(&self) -> SocketAddr {
        self.at(self.ports.http)
    }

    pub(super) fn dns(&self) -> SocketAddr {
        self.at(self.ports.dns)
    }

    pub(super) fn rpc(&self) -> SocketAddr {
        self.at(self.ports.rpc)
    }
}
