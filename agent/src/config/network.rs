//! Which of the host's addresses is this node's.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// `admin_network`: picks the node's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminNetwork {
    /// The first address in this network.
    Cidr(IpNet),
    /// This address.
    Address(IpAddr),
    /// The first address of this interface, IPv4 first.
    Interface(String),
}

impl AdminNetwork {
    /// `None`: neither a network nor an address, and no interface can have that name.
    pub(super) fn read(text: &str) -> Option<Self> {
        if let Ok(network) = text.parse::<IpNet>() {
            return Some(Self::Cidr(network.trunc()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            let fine = !address.is_unspecified() && !address.is_multicast();
            return fine.then_some(Self::Address(address));
        }
        // A mistyped address is no interface's name.
        let fine = (1..=15).contains(&text.len())
            && text.bytes().any(|b| b.is_ascii_alphabetic())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
        fine.then(|| Self::Interface(text.to_owned()))
    }

    /// Picks from the host's addresses, each with its interface's name, in the system's order.
    #[must_use]
    pub fn pick(&self, host: &[(String, IpAddr)]) -> Option<IpAddr> {
        let mut fitting = host.iter().filter(|(interface, address)| match self {
            Self::Cidr(network) => network.contains(address),
            Self::Address(wanted) => address == wanted,
            Self::Interface(name) => interface == name && !is_link_local(address),
        });
        let first = fitting.next()?.1;
        if first.is_ipv4() {
            return Some(first);
        }
        let other = fitting.find(|(_, address)| address.is_ipv4());
        Some(other.map_or(first, |(_, address)| *address))
    }
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

impl fmt::Display for AdminNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(network) => write!(f, "the network {network}"),
            Self::Address(address) => write!(f, "the address {address}"),
            Self::Interface(name) => write!(f, "the interface {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Vec<(String, IpAddr)> {
        [
            ("lo", "127.0.0.1"),
            ("eth0", "10.0.2.15"),
            ("eth1", "fe80::1"),
            ("eth1", "fd00::5"),
            ("eth1", "192.168.101.7"),
            ("eth2", "fe80::2"),
            ("eth2", "fd00::6"),
        ]
        .map(|(name, address)| (name.to_owned(), address.parse().unwrap()))
        .to_vec()
    }

    #[test]
    fn each_form_picks_its_address() {
        let cases = [
            ("192.168.101.0/24", Some("192.168.101.7")),
            ("192.168.101.99/24", Some("192.168.101.7")),
            ("fd00::/8", Some("fd00::5")),
            ("172.16.0.0/12", None),
            ("10.0.2.15", Some("10.0.2.15")),
            ("10.0.2.16", None),
            ("eth1", Some("192.168.101.7")),
            ("eth2", Some("fd00::6")),
            ("wlan0", None),
        ];
        for (text, picked) in cases {
            let network = AdminNetwork::read(text).unwrap();
            let picked = picked.map(|address| address.parse().unwrap());
            assert_eq!(network.pick(&host()), picked, "{text}");
        }
    }

    #[test]
    fn a_mistyped_address_is_not_taken_for_an_interface() {
        for bad in [
            "",
            "300.1.1.1",
            "10.0.0.0/33",
            "10.0.0",
            "0.0.0.0",
            "::1::",
            "eth 0",
            "eth0/1",
        ] {
            assert_eq!(AdminNetwork::read(bad), None, "{bad:?}");
        }
    }
}
