//! Which ports of a container are offered to others, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::words::{Container, Port};

/// The network that Swarm routes published ports through: nobody talks to tasks there directly.
const INGRESS: &str = "ingress";
/// Names the network whose address counts, where a container has several.
const NETWORK: &str = "SERVICE_NETWORK";

/// One port, and where others reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) exposed: Port,
    /// `None`: the node's own address.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
}

/// The ports that are published, in order, each where it is published first. Containers without a
/// network of their own publish what they expose: nothing is mapped for them.
///
/// The address of a container in a network of its own is not used together with the host's port,
/// which registrator does, and where nobody listens.
pub(super) fn published(container: &Container, all: &BTreeMap<String, Container>) -> Vec<Offer> {
    let mapped = container.mapped.iter().filter_map(|(exposed, bindings)| {
        let first = bindings.first()?;
        Some(Offer {
            exposed: *exposed,
            address: first.address,
            port: first.port,
        })
    });
    let mut offers: Vec<Offer> = mapped.collect();
    let address = match shared_network(container, all) {
        Shared::Host => None,
        Shared::With(other) => match own_address(other) {
            Some(address) => Some(address),
            None => return offers,
        },
        Shared::None => return offers,
    };
    let others = container.exposed.iter();
    let others = others.filter(|port| !container.mapped.contains_key(port));
    offers.extend(others.map(|exposed| Offer {
        exposed: *exposed,
        address,
        port: exposed.number,
    }));
    offers.sort_by_key(|offer| offer.exposed);
    offers
}

/// All ports that are exposed, mapped or among `more`, at the container's own address.
pub(super) fn internal(
    container: &Container,
    all: &BTreeMap<String, Container>,
    more: &[Port],
) -> Vec<Offer> {
    let address = match shared_network(container, all) {
        Shared::Host => None,
        Shared::With(other) => own_address(other),
        Shared::None => own_address(container),
    };
    if address.is_none() && container.network_mode != "host" {
        return Vec::new();
    }
    let ports = container.exposed.iter().chain(container.mapped.keys());
    let ports: BTreeSet<Port> = ports.chain(more).copied().collect();
    let offer = |exposed: Port| Offer {
        exposed,
        address,
        port: exposed.number,
    };
    ports.into_iter().map(offer).collect()
}

enum Shared<'a> {
    None,
    Host,
    With(&'a Container),
}

fn shared_network<'a>(container: &Container, all: &'a BTreeMap<String, Container>) -> Shared<'a> {
    match container.network_mode.split_once(':') {
        None if container.network_mode == "host" => Shared::Host,
        Some(("container", id)) => all.get(id).map_or(Shared::None, Shared::With),
        _ => Shared::None,
    }
}

/// The address in the network that the container asks for, or in the default bridge, or in the
/// first by name that is not Swarm's ingress.
fn own_address(container: &Container) -> Option<IpAddr> {
    let networks = &container.networks;
    let asked = container.labels.get(NETWORK);
    let asked = asked.and_then(|name| networks.get(name));
    let first = networks.iter().find(|(name, _)| name.as_str() != INGRESS);
    let first = first.map(|(_, address)| address);
    asked.or_else(|| networks.get("bridge")).or(first).copied()
}
