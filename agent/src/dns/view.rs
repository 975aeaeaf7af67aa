//! What the catalog says about a name. Pure: reads one snapshot, never waits.

use std::net::IpAddr;

use crate::model::{MemberStatus, NodeRow, Role, ServiceRow};
use crate::state::{Instance, State};

use super::health::{Standing, alive, standing};
use super::name::WireName;
use super::names::{Parts, Question, Subject, Zones};

/// The local catalog, seen through the cluster's names.
#[derive(Clone, Copy)]
pub(super) struct View<'s> {
    /// The cluster's names.
    pub(super) zones: &'s Zones,
    /// The local copy of the state.
    pub(super) state: &'s State,
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// At an address.
    Ip(IpAddr),
    /// Where this name points.
    Host(WireName),
}

impl Place {
    /// Reads an address or a host name; `None`: neither.
    pub(super) fn read(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(address) => Some(Self::Ip(address)),
            Err(_) => WireName::parse(text).map(Self::Host),
        }
    }
}

/// An instance as SRV tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Offer {
    /// The host.
    pub(super) target: WireName,
    /// The port.
    pub(super) port: u16,
    /// Its share of the load.
    pub(super) weight: u16,
    /// The host's addresses, as far as we know them.
    pub(super) addresses: Vec<IpAddr>,
}

impl View<'_> {
    /// Whether a catalog has arrived at all. Before that, "no such name" would be a lie.
    pub(super) fn is_loaded(&self) -> bool {
        self.state.cluster().is_some()
    }

    /// The SOA's serial: grows with every change that reached this node.
    pub(super) fn serial(&self) -> u32 {
        // Serials count in circles (RFC 1982), so the low bits are the whole of it.
        (self.state.index() & u64::from(u32::MAX)) as u32
    }

    /// Where `subject` is. `None`: there is no such name, or nothing healthy behind it.
    /// `asked` guards against a service whose address is its own name.
    pub(super) fn places(&self, subject: &Subject<'_>, asked: &[&[u8]]) -> Option<Vec<Place>> {
        match subject {
            Subject::Service { name, tag } => {
                let instances = self.healthy(name, tag.as_deref());
                (!instances.is_empty()).then(|| {
                    let places = instances.iter().map(|(instance, _)| place(instance, asked));
                    places.flatten().collect()
                })
            }
            Subject::Node(name) => {
                let node = self.node(name)?;
                Some(Place::read(&node.address).into_iter().collect())
            }
            Subject::Address(address) => Some(vec![Place::Ip(*address)]),
            Subject::NameServer => Some(self.servers().map(|(_, at)| Place::Ip(at)).collect()),
            Subject::Apex | Subject::Branch => Some(Vec::new()),
            Subject::Missing => None,
        }
    }

    /// The node with this name, unless it is known to be dead.
    pub(super) fn node(&self, name: &str) -> Option<&NodeRow> {
        let node = self.state.catalog().node(name)?;
        alive(self.state, node).then_some(node)
    }

    /// The instances of `service` that may be named, with their standing.
    fn healthy(&self, service: &str, tag: Option<&str>) -> Vec<(Instance, Standing)> {
        let instances = self.state.catalog().instances(service);
        let tagged = |instance: &Instance| {
            tag.is_none_or(|tag| {
                let mut tags = instance.service.tags.iter();
                tags.any(|one| one.eq_ignore_ascii_case(tag))
            })
        };
        instances
            .into_iter()
            .filter(tagged)
            .map(|instance| {
                let standing = standing(&instance);
                (instance, standing)
            })
            .filter(|(_, standing)| *standing != Standing::Hidden)
            .collect()
    }

    fn is_healthy(&self, row: &ServiceRow) -> bool {
        let healthy = self.healthy(&row.name, None);
        healthy
            .iter()
            .any(|(instance, _)| instance.service.node == row.node && instance.service.id == row.id)
    }

    /// The instances of `service` for SRV, each (target, port) once. `None`: nothing healthy.
    /// `asked` guards against a service whose address is its own name.
    pub(super) fn offers(
        &self,
        service: &str,
        tag: Option<&str>,
        parts: &Parts,
        asked: &[&[u8]],
    ) -> Option<Vec<Offer>> {
        let instances = self.healthy(service, tag);
        if instances.is_empty() {
            return None;
        }
        let mut offers: Vec<Offer> = instances
            .iter()
            .filter_map(|(instance, standing)| self.offer(instance, *standing, parts, asked))
            .collect();
        offers.sort_unstable();
        offers.dedup_by(|one, other| one.target == other.target && one.port == other.port);
        Some(offers)
    }

    fn offer(
        &self,
        instance: &Instance,
        standing: Standing,
        parts: &Parts,
        asked: &[&[u8]],
    ) -> Option<Offer> {
        let (node, service) = (&instance.node, &instance.service);
        let own = own_place(instance, asked);
        let on_node = own.is_none();
        let (target, addresses) = match own.or_else(|| Place::read(&node.address))? {
            Place::Ip(address) => {
                let by_node = on_node.then(|| WireName::under(&node.name, &parts.node));
                let by_address = || WireName::under(&spelled(address), &parts.addr);
                (by_node.flatten().or_else(by_address)?, vec![address])
            }
            Place::Host(host) => {
                let addresses = self.addresses_of(&host);
                (host, addresses)
            }
        };
        let weights = service.weights;
        Some(Offer {
            target,
            port: service.port,
            weight: match standing {
                Standing::Warning => weights.warning,
                Standing::Hidden | Standing::Passing => weights.passing,
            },
            addresses,
        })
    }

    /// The addresses of a name of ours; none for others.
    fn addresses_of(&self, host: &WireName) -> Vec<IpAddr> {
        let labels: Vec<&[u8]> = host.labels().collect();
        let Question::Ours(_, subject) = self.zones.read(&labels, false) else {
            return Vec::new();
        };
        let places = self.places(&subject, &labels).unwrap_or_default();
        let addresses = places.into_iter().filter_map(|place| match place {
            Place::Ip(address) => Some(address),
            Place::Host(_) => None,
        });
        addresses.collect()
    }

    /// The servers that hold their lease: name and address.
    pub(super) fn servers(&self) -> impl Iterator<Item = (String, IpAddr)> {
        let members = self
            .state
            .members()
            .filter(|member| member.role == Role::Server && member.status == MemberStatus::Alive);
        members.map(|member| (member.name.as_str().to_owned(), member.address))
    }

    /// The names behind `address`: of the node that has it, or else of the services.
    pub(super) fn names_of(&self, address: IpAddr) -> Vec<WireName> {
        let parts = self.zones.parts(super::names::Zone::Main);
        let text = address.to_string();
        let catalog = self.state.catalog();
        let nodes = catalog.nodes_by_address(&text);
        let mut names: Vec<WireName> = nodes
            .filter(|node| alive(self.state, node))
            .filter_map(|node| WireName::under(&node.name, &parts.node))
            .collect();
        if names.is_empty() {
            names = catalog
                .services_by_address(&text)
                .filter(|row| self.is_healthy(row))
                .filter_map(|row| WireName::under(&row.name, &parts.service))
                .collect();
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Where the instance says that it is, unless that is the name asked for.
fn own_place(instance: &Instance, asked: &[&[u8]]) -> Option<Place> {
    Place::read(&instance.service.address).filter(|own| match own {
        Place::Host(host) => !host.same(asked),
        Place::Ip(_) => true,
    })
}

fn place(instance: &Instance, asked: &[&[u8]]) -> Option<Place> {
    own_place(instance, asked).or_else(|| Place::read(&instance.node.address))
}

/// An address as a label.
fn spelled(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{:08x}", u32::from(address)),
        IpAddr::V6(address) => format!("{:032x}", u128::from(address)),
    }
}
