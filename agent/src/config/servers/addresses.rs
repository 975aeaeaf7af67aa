//! Which addresses a machine can have.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::read::{ipv4, ipv4_network};
use crate::config::complaints::Complaints;
use crate::config::field::Section;

const NETWORK: &str = "an IPv4 network like 192.168.101.0/24";
const ADDRESS: &str = "an IPv4 address in admin_network";
/// The image's `docker0`: a network that contains it could not be reached.
const DOCKER: &str = "172.17.0.0/16";
/// Below this there is no room for a host and a machine.
const LONGEST_PREFIX: u8 = 30;

/// `admin_network`, with the network's own bits cleared.
pub(super) fn network(top: &Section<'_>, complaints: &mut Complaints) -> Option<Ipv4Net> {
    let network = top.require("admin_network", NETWORK, complaints, ipv4_network)?;
    let field = top.field("admin_network")?;
    let first = network.network();
    let expected = if network.prefix_len() > LONGEST_PREFIX {
        format!("a prefix of at most /{LONGEST_PREFIX}, to have room for machines")
    } else if network.prefix_len() == 0 || first.is_loopback() || first.is_multicast() {
        NETWORK.to_owned()
    } else if overlaps_docker(&network) {
        format!("another one: Docker's own containers are in {DOCKER} on every machine")
    } else {
        return Some(network.trunc());
    };
    complaints.wrong(field, expected);
    None
}

fn overlaps_docker(network: &Ipv4Net) -> bool {
    let docker = DOCKER.parse::<Ipv4Net>().ok();
    docker.is_some_and(|docker| docker.contains(network) || network.contains(&docker))
}

/// The network's addresses, and those that nobody can have.
pub(super) struct Addresses {
    /// `None`: it is wrong itself, which was said.
    network: Option<Ipv4Net>,
    gateway: Option<Ipv4Addr>,
    /// Whether a machine may be without.
    optional: bool,
}

impl Addresses {
    pub(super) fn new(
        top: &Section<'_>,
        network: Option<Ipv4Net>,
        optional: bool,
        complaints: &mut Complaints,
    ) -> Self {
        let inside = |address: Ipv4Addr| network.is_none_or(|network| network.contains(&address));
        let expected = "the router's address in admin_network";
        let gateway = top.get("gateway", expected, complaints, |field| {
            ipv4(field).filter(|address| inside(*address))
        });
        Self {
            network,
            gateway,
            optional,
        }
    }

    pub(super) fn gateway(&self) -> Option<Ipv4Addr> {
        self.gateway
    }

    /// A machine's `ip`.
    pub(super) fn read(
        &self,
        section: &Section<'_>,
        complaints: &mut Complaints,
    ) -> Option<Ipv4Addr> {
        if self.optional && section.field("ip").is_none() {
            return None;
        }
        let address = section.require("ip", ADDRESS, complaints, ipv4)?;
        let field = section.field("ip")?;
        match self.objection(address) {
            Some(expected) => complaints.wrong(field, expected),
            None => return Some(address),
        }
        None
    }

    /// What would be right instead.
    fn objection(&self, address: Ipv4Addr) -> Option<String> {
        let network = self.network?;
        let host = network.hosts().next();
        if !network.contains(&address) {
            Some(format!("an address in admin_network, {network}"))
        } else if address == network.network() || address == network.broadcast() {
            Some(format!(
                "an address of one machine: this is all of {network}"
            ))
        } else if self.gateway == Some(address) {
            Some("another address: this is the gateway's".to_owned())
        } else if self.gateway.is_none() && host == Some(address) {
            Some(
                "another address: the network's first belongs to the host that the machines run on"
                    .to_owned(),
            )
        } else {
            None
        }
    }
}
