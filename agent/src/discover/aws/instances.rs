//! What DescribeInstances answers.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>

use std::net::{IpAddr, Ipv6Addr};

use roxmltree::{Document, Node};

use super::xml;
use crate::config::AdminNetwork;
use crate::discover::{LeftOut, Machine};

/// Which of an instance's addresses is its agent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressType {
    PrivateV4,
    PublicV4,
    PrivateV6,
    PublicV6,
}

impl AddressType {
    const ALL: [(Self, &'static str); 4] = [
        (Self::PrivateV4, "private_v4"),
        (Self::PublicV4, "public_v4"),
        (Self::PrivateV6, "private_v6"),
        (Self::PublicV6, "public_v6"),
    ];
    pub(super) const EXPECTED: &'static str = "private_v4, public_v4, private_v6 or public_v6";

    pub(super) fn read(text: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(_, name)| *name == text).map(|(kind, _)| *kind)
    }

    fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }
}

/// One instance.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) state: String,
    name: String,
    private_v4: Vec<IpAddr>,
    public_v4: Vec<IpAddr>,
    v6: Vec<Ipv6Addr>,
}

/// One page of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) instances: Vec<Instance>,
    /// What the next page is asked for with.
    pub(super) next: Option<String>,
}

impl Page {
    /// From the answer's XML; the error says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let document = Document::parse(text).map_err(|error| format!("it is no XML: {error}"))?;
        let root = document.root_element();
        if root.tag_name().name() != "DescribeInstancesResponse" {
            return Err(format!("it is a {}", root.tag_name().name()));
        }
        let reservations = xml::list(root, "reservationSet");
        let instances = reservations.flat_map(|one| xml::list(one, "instancesSet"));
        Ok(Self {
            instances: instances.map(Instance::read).collect::<Result<_, _>>()?,
            next: xml::text(root, "nextToken").map(str::to_owned),
        })
    }
}

impl Instance {
    fn read(node: Node<'_, '_>) -> Result<Self, String> {
        let id = xml::text(node, "instanceId").ok_or("an instance has no instanceId")?;
        let state = xml::child(node, "instanceState").and_then(|state| xml::text(state, "name"));
        let state = state.ok_or_else(|| format!("instance {id} has no state"))?;
        let name = xml::list(node, "tagSet").find(|tag| xml::text(*tag, "key") == Some("Name"));
        let name = name.and_then(|tag| xml::text(tag, "value"));
        let mut instance = Self {
            id: id.to_owned(),
            state: state.to_owned(),
            name: name.unwrap_or_default().to_owned(),
            private_v4: Vec::new(),
            public_v4: Vec::new(),
            v6: Vec::new(),
        };
        // The primary ones come first.
        let private = xml::text(node, "privateIpAddress");
        let public = xml::text(node, "ipAddress");
        instance.private_v4.extend(private.and_then(address));
        instance.public_v4.extend(public.and_then(address));
        for interface in xml::list(node, "networkInterfaceSet") {
            instance.add(interface);
        }
        Ok(instance)
    }

    fn add(&mut self, interface: Node<'_, '_>) {
        for one in xml::list(interface, "privateIpAddressesSet") {
            let private = xml::text(one, "privateIpAddress");
            self.private_v4.extend(private.and_then(address));
            let public = xml::child(one, "association");
            let public = public.and_then(|association| xml::text(association, "publicIp"));
            self.public_v4.extend(public.and_then(address));
        }
        let v6 = xml::list(interface, "ipv6AddressesSet");
        let v6 = v6.filter_map(|one| xml::text(one, "ipv6Address")?.parse::<Ipv6Addr>().ok());
        self.v6.extend(v6);
    }

    /// As the door wants it: with the address of this type, or with the reason why not.
    pub(super) fn machine(self, kind: AddressType, network: &AdminNetwork) -> Machine {
        let address = match self.state.as_str() {
            "running" => self.address(kind, network),
            state => Err(LeftOut::State(state.to_owned())),
        };
        Machine {
            id: self.id,
            name: self.name,
            address,
        }
    }

    fn address(&self, kind: AddressType, network: &AdminNetwork) -> Result<IpAddr, LeftOut> {
        let candidates: Vec<IpAddr> = match kind {
            AddressType::PrivateV4 => self.private_v4.clone(),
            AddressType::PublicV4 => self.public_v4.clone(),
            // Behind a VPC's egress gateway, global addresses are the private ones too.
            AddressType::PrivateV6 => self.v6(true).chain(self.v6(false)).collect(),
            AddressType::PublicV6 => self.v6(false).collect(),
        };
        // A node may name its own subnet as its network; the peers in other zones are outside it.
        let near = candidates.iter().find(|address| match network {
            AdminNetwork::Cidr(network) => network.contains(*address),
            AdminNetwork::Address(_) | AdminNetwork::Interface(_) => false,
        });
        let address = near.or(candidates.first()).copied();
        address.ok_or_else(|| LeftOut::NoAddress(kind.name().to_owned()))
    }

    fn v6(&self, local: bool) -> impl Iterator<Item = IpAddr> {
        let fitting = self.v6.iter().copied();
        let fitting = fitting.filter(move |one| one.is_unique_local() == local);
        fitting.map(IpAddr::V6)
    }
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}
