//! `servers.yml`: the machines of one cluster, for those who make them (Vagrant, `swarmer
//! cloud-init`).
//!
//! Owns: its shape, reading it, and saying what is wrong with it, in the words and with the care of
//! the node's own file. Does not own: what is made of it (`seed`).
//!
//! Always true: each machine has a name of its own, and an address of its own, in the network and not
//! another's by custom, unless the list says how they find each other without; the servers are an
//! odd number.

mod addresses;
mod read;
mod schema;

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

use super::Secret;
use crate::model::{Name, Role};

pub use schema::schema as servers_schema;

#[cfg(test)]
pub(super) use read::{KEYS, MACHINE_KEYS};

/// One cluster's machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// With `dc`, which cluster this is.
    pub stack: Name,
    /// With `stack`, which cluster this is.
    pub dc: Name,
    /// Where all the addresses are.
    pub network: Ipv4Net,
    /// Which of a machine's interfaces is in that network; the others ask DHCP.
    pub interface: String,
    /// The way out of that network, if it has one.
    pub gateway: Option<Ipv4Addr>,
    /// Who is asked for the names of the world, beside those that DHCP names.
    pub nameservers: Vec<IpAddr>,
    /// Who may log in by ssh as the image's user, one public key each.
    pub ssh_authorized_keys: Vec<String>,
    /// Where machines look for servers, one entry of a node's `join` each; may hold secrets. Empty: at
    /// the servers' addresses.
    pub join: Vec<Secret>,
    /// In the file's order.
    pub machines: Vec<Machine>,
}

/// One of `servers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The node's name, and the host's.
    pub name: Name,
    /// Its address in the network; `None`: DHCP's, which can be only where there is a `join`.
    pub address: Option<Ipv4Addr>,
    /// `Server` or `Worker`.
    pub role: Role,
    /// In MiB.
    pub memory: u32,
    /// How many.
    pub cpus: u32,
    /// Its data disk's size in GiB.
    pub disk: u32,
}

impl Servers {
    /// The machine of that name.
    #[must_use]
    pub fn machine(&self, name: &Name) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.name == *name)
    }

    /// Those that vote.
    pub fn voters(&self) -> impl Iterator<Item = &Machine> {
        let machines = self.machines.iter();
        machines.filter(|machine| machine.role == Role::Server)
    }
}
