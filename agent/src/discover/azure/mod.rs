//! Azure: the virtual machines whose network interfaces carry a tag, or those of a scale set.
//!
//! Owns: what is asked of the Resource Manager and of the instance metadata service, and in whose
//! name. Does not own: how often it is asked. Always true: a token goes to the Resource Manager
//! alone and is kept while it is good, no secret or token is in an error, and a machine counts as
//! deleted only while its peers are seen.
//!
//! Written from the documents of the API (Network Interfaces, Virtual Machines, Virtual Machine
//! Scale Set VMs, managed identities, the Microsoft identity platform); no Azure was asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::ask::escaped;
use super::web::Web;
use super::{Fate, LeftOut, Machine, Provider, ProviderError};
use crate::config::AdminNetwork;

mod answers;
mod identity;
mod manager;
mod place;
#[cfg(test)]
mod tests;

use answers::{Interface, Vm};
use identity::Identity;
use manager::Manager;
use place::Place;

const KIND: &str = "azure";
const INTERFACES: &str = "listing Azure's network interfaces";
const MACHINES: &str = "listing Azure's virtual machines";
const FIRMWARE: &str = "/sys/class/dmi/id/chassis_asset_tag";
/// What Azure writes into the firmware of its machines.
const ASSET: &str = "7783-7084-3265-9085-8269-3286-77";

/// One tag in one subscription, or one scale set.
pub(super) struct Azure {
    manager: Manager,
    which: Which,
    subscription: String,
    network: AdminNetwork,
    firmware: PathBuf,
}

enum Which {
    Tagged { name: String, value: String },
    ScaleSet { group: String, name: String },
}

impl Azure {
    /// With these arguments, which `config` has let through.
    pub(super) fn new(
        args: &BTreeMap<String, String>,
        network: &AdminNetwork,
    ) -> Result<Self, ProviderError> {
        let place = Place::named(args.get("environment").map(String::as_str))?;
        Self::at(&place, args, network)
    }

    fn at(
        place: &Place,
        args: &BTreeMap<String, String>,
        network: &AdminNetwork,
    ) -> Result<Self, ProviderError> {
        let given = |key: &str| args.get(key).cloned();
        let pairs = (
            given("tag_name").zip(given("tag_value")),
            given("resource_group").zip(given("vm_scale_set")),
        );
        let halves = ["tag_name", "tag_value", "resource_group", "vm_scale_set"];
        let halves = halves.iter().filter(|key| args.contains_key(**key)).count();
        let which = match pairs {
            (Some((name, value)), None) if halves == 2 => Which::Tagged { name, value },
            (None, Some((group, name))) if halves == 2 => Which::ScaleSet { group, name },
            _ => {
                return Err(wrong(
                    "tag_name",
                    "given together with tag_value, or resource_group together with vm_scale_set, and nothing of the other pair",
                ));
            }
        };
        let subscription =
            given("subscription_id").ok_or_else(|| wrong("subscription_id", "given"))?;
        let web = Web::public();
        let identity = Identity::new(place, args, web.clone())?;
        Ok(Self {
            manager: Manager::new(&place.manager, identity, web),
            which,
            subscription,
            network: network.clone(),
            firmware: PathBuf::from(FIRMWARE),
        })
    }

    /// The interfaces that count, by the machine that each is in.
    async fn interfaces(&self) -> Result<BTreeMap<String, Vec<Interface>>, ProviderError> {
        let path = match &self.which {
            Which::Tagged { .. } => {
                "/providers/Microsoft.Network/networkInterfaces?api-version=2023-09-01".to_owned()
            }
            Which::ScaleSet { group, name } => format!(
                "{}/networkInterfaces?api-version=2018-10-01",
                scale_set(group, name)
            ),
        };
        let path = format!("{}{path}", self.root());
        let all: Vec<Interface> = self.manager.list(INTERFACES, path).await?;
        let mut by_machine: BTreeMap<String, Vec<Interface>> = BTreeMap::new();
        for interface in all {
            let counts = match &self.which {
                Which::Tagged { name, value } => interface.has_tag(name, value),
                Which::ScaleSet { .. } => true,
            };
            // One that is in no machine leads nowhere.
            if let Some(machine) = interface.machine().filter(|_| counts) {
                by_machine.entry(machine).or_default().push(interface);
            }
        }
        Ok(by_machine)
    }

    /// All machines among which those that count are, by their resource's id.
    async fn all_machines(&self) -> Result<BTreeMap<String, Vm>, ProviderError> {
        let path = match &self.which {
            Which::Tagged { .. } => {
                "/providers/Microsoft.Compute/virtualMachines?api-version=2023-09-01".to_owned()
            }
            Which::ScaleSet { group, name } => format!(
                "{}/virtualMachines?$expand=instanceView&api-version=2023-09-01",
                scale_set(group, name)
            ),
        };
        let path = format!("{}{path}", self.root());
        let all: Vec<Vm> = self.manager.list(MACHINES, path).await?;
        let by_id = all.into_iter().map(|vm| (vm.id.to_ascii_lowercase(), vm));
        Ok(by_id.collect())
    }

    fn root(&self) -> String {
        format!("/subscriptions/{}", escaped(&self.subscription))
    }

    async fn found(&self) -> Result<Vec<Machine>, ProviderError> {
        let interfaces = self.interfaces().await?;
        if interfaces.is_empty() {
            return Ok(Vec::new());
        }
        let machines = self.all_machines().await?;
        let found = interfaces.into_iter().map(|(resource, interfaces)| {
            let vm = machines.get(&resource);
            let last = resource.rsplit('/').next().unwrap_or_default();
            Machine {
                name: vm.map_or(last, |vm| &vm.name).to_owned(),
                address: self.place(vm, &interfaces),
                id: vm.and_then(Vm::unique_id).unwrap_or(resource),
            }
        });
        let mut found: Vec<Machine> = found.collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    fn place(&self, vm: Option<&Vm>, interfaces: &[Interface]) -> Result<IpAddr, LeftOut> {
        let Some(vm) = vm.filter(|vm| vm.unique_id().is_some()) else {
            let state = "in no list of virtual machines that this identity may read";
            return Err(LeftOut::State(state.to_owned()));
        };
        if let Some(power) = vm.power().filter(|power| power != "running") {
            return Err(LeftOut::State(power));
        }
        // A machine's first interface is the one with its default route.
        let primary = interfaces.iter().filter(|one| one.is_primary());
        let other = interfaces.iter().filter(|one| !one.is_primary());
        let addresses = primary.chain(other).flat_map(Interface::addresses);
        Machine::private_address(addresses, &self.network)
    }

    async fn fate_of(&self, id: &str) -> Result<Fate, ProviderError> {
        let machines = self.all_machines().await?;
        let id = id.to_ascii_lowercase();
        let is = |vm: &&Vm| vm.unique_id().is_some_and(|unique| unique == id);
        if let Some(vm) = machines.values().find(is) {
            return Ok(Fate::Exists(vm.power().unwrap_or_else(|| vm.state())));
        }
        // One whose machines may no longer be seen knows nothing of it either.
        let interfaces = self.interfaces().await?;
        let seen = |resource: &String| machines.contains_key(resource);
        let peers = interfaces.keys().any(seen);
        Ok(if peers && uuid::Uuid::parse_str(&id).is_ok() {
            Fate::Missing
        } else {
            Fate::Unknown
        })
    }
}

fn wrong(key: &'static str, expected: &str) -> ProviderError {
    ProviderError::argument(KIND, key, expected)
}

fn scale_set(group: &str, name: &str) -> String {
    format!(
        "/resourceGroups/{}/providers/Microsoft.Compute/virtualMachineScaleSets/{}",
        escaped(group),
        escaped(name)
    )
}

impl Provider for Azure {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn machines(&self) -> BoxFuture<'_, Result<Vec<Machine>, ProviderError>> {
        self.found().boxed()
    }

    fn fate<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Fate, ProviderError>> {
        self.fate_of(id).boxed()
    }

    fn this_machine(&self) -> BoxFuture<'_, Result<Option<String>, ProviderError>> {
        async {
            // Elsewhere nobody answers at the metadata service's address, or somebody else.
            let asset = std::fs::read_to_string(&self.firmware).unwrap_or_default();
            if asset.trim() != ASSET {
                return Ok(None);
            }
            self.manager.identity().machine_id().await.map(Some)
        }
        .boxed()
    }
}
