//! One virtual machine, as vCenter tells it.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::{LeftOut, Machine};
use crate::config::AdminNetwork;

/// Docker's own bridge has this unless it is told otherwise.
const DOCKER: &str = "172.17.0.0/16";

/// The properties that are asked for, read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Vm {
    /// The managed object id (`vm-42`): good for questions, but used again after a re-registration.
    pub(super) reference: String,
    pub(super) name: String,
    /// vCenter keeps it unique, and changes it where a copy would have the same.
    pub(super) instance_uuid: Option<String>,
    /// What the machine finds in its own firmware. Copies may share it.
    pub(super) bios_uuid: Option<String>,
    pub(super) template: bool,
    pub(super) power: String,
    pub(super) connection: String,
    pub(super) nics: Vec<Nic>,
    /// What VMware Tools take for the main address.
    pub(super) main: Option<IpAddr>,
    /// The folder's managed object id.
    pub(super) parent: Option<String>,
}

/// One of the guest's interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nic {
    /// False for what the guest made itself: bridges, tunnels, bonds.
    pub(super) hardware: bool,
    pub(super) addresses: Vec<IpAddr>,
}

impl Vm {
    /// For those who look for peers.
    pub(super) fn machine(self, network: &AdminNetwork) -> Machine {
        let address = self.place(network);
        Machine {
            id: self.instance_uuid.unwrap_or(self.reference),
            name: self.name,
            address,
        }
    }

    /// What it does: `poweredOn`, and how vCenter stands with it where that is unusual.
    pub(super) fn state(&self) -> String {
        match self.connection.as_str() {
            "" | "connected" => self.power.clone(),
            connection => format!("{}, {connection}", self.power),
        }
    }

    fn place(&self, network: &AdminNetwork) -> Result<IpAddr, LeftOut> {
        if self.template {
            return Err(LeftOut::State("a template".to_owned()));
        }
        if self.power != "poweredOn" {
            return Err(LeftOut::State(self.state()));
        }
        if self.instance_uuid.is_none() {
            let state = "without an instance UUID that this account can read";
            return Err(LeftOut::State(state.to_owned()));
        }
        match network {
            AdminNetwork::Cidr(within) => self
                .within(within)
                .ok_or_else(|| LeftOut::NoAddress(within.to_string())),
            AdminNetwork::Address(_) | AdminNetwork::Interface(_) => self
                .first()
                .ok_or_else(|| LeftOut::NoAddress("guest".to_owned())),
        }
    }

    /// Interfaces that are hardware come first; a bond's address is on none of them.
    fn within(&self, network: &IpNet) -> Option<IpAddr> {
        let hardware = self.nics.iter().filter(|nic| nic.hardware);
        let own = self.nics.iter().filter(|nic| !nic.hardware);
        let addresses = hardware.chain(own).flat_map(|nic| &nic.addresses);
        addresses
            .chain(&self.main)
            .find(|address| network.contains(*address))
            .copied()
    }

    fn first(&self) -> Option<IpAddr> {
        let hardware = self.nics.iter().filter(|nic| nic.hardware);
        let docker: Option<IpNet> = DOCKER.parse().ok();
        let main = self
            .main
            .iter()
            .filter(|main| !docker.is_some_and(|docker| docker.contains(*main)));
        hardware
            .flat_map(|nic| &nic.addresses)
            .chain(main)
            .find(|address| match address {
                IpAddr::V4(address) => !address.is_link_local() && !address.is_loopback(),
                IpAddr::V6(_) => false,
            })
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(nics: &[(bool, &[&str])], main: Option<&str>) -> Vm {
        let nic = |(hardware, addresses): &(bool, &[&str])| Nic {
            hardware: *hardware,
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        };
        Vm {
            reference: "vm-1".into(),
            name: "server-1".into(),
            instance_uuid: Some("uuid".into()),
            power: "poweredOn".into(),
            connection: "connected".into(),
            nics: nics.iter().map(nic).collect(),
            main: main.map(|main| main.parse().unwrap()),
            ..Vm::default()
        }
    }

    fn cidr(text: &str) -> AdminNetwork {
        AdminNetwork::Cidr(text.parse().unwrap())
    }

    #[test]
    fn the_address_is_the_one_in_the_nodes_network() {
        let many = vm(
            &[
                (false, &["10.0.0.7", "172.17.0.1"]),
                (true, &["fe80::1", "192.168.1.9", "10.0.0.8"]),
            ],
            Some("172.17.0.1"),
        );
        let at = |network: &AdminNetwork| many.clone().machine(network).address;
        let ip = |text: &str| Ok(text.parse().unwrap());
        assert_eq!(at(&cidr("10.0.0.0/8")), ip("10.0.0.8"));
        assert_eq!(at(&cidr("10.0.0.0/29")), ip("10.0.0.7"));
        let none = at(&cidr("10.9.0.0/24")).unwrap_err();
        assert_eq!(none.to_string(), "it has no 10.9.0.0/24 address");
    }

    #[test]
    fn without_a_network_it_is_the_first_that_others_can_reach() {
        let any = AdminNetwork::Interface("eth0".into());
        let first = |vm: Vm| vm.machine(&any).address.map(|a| a.to_string());
        let none = Err(LeftOut::NoAddress("guest".into()));
        let local: (bool, &[&str]) = (true, &["169.254.1.1", "127.0.0.1", "fd00::1"]);
        let bridge: (bool, &[&str]) = (false, &["172.18.0.1"]);
        assert_eq!(
            first(vm(&[bridge, local, (true, &["10.1.1.1"])], None)),
            Ok("10.1.1.1".into())
        );
        assert_eq!(first(vm(&[local, bridge], Some("172.17.0.1"))), none);
        assert_eq!(first(vm(&[], Some("10.1.1.2"))), Ok("10.1.1.2".into()));
        assert_eq!(first(vm(&[], None)), none);
    }

    #[test]
    fn what_does_not_run_is_left_out_with_its_state() {
        let told = |change: fn(&mut Vm)| {
            let mut vm = vm(&[(true, &["10.1.1.1"])], None);
            change(&mut vm);
            let machine = vm.machine(&cidr("10.0.0.0/8"));
            (machine.id, machine.address.unwrap_err().to_string())
        };
        let off = told(|vm| vm.power = "poweredOff".into());
        assert_eq!(off, ("uuid".into(), "it is poweredOff".into()));
        let lost = told(|vm| {
            vm.power = "suspended".into();
            vm.connection = "inaccessible".into();
        });
        assert_eq!(lost.1, "it is suspended, inaccessible");
        assert_eq!(told(|vm| vm.template = true).1, "it is a template");
        assert_eq!(told(|vm| vm.instance_uuid = None).0, "vm-1");
    }
}
