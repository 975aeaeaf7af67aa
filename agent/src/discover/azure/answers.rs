//! What the Resource Manager answers: the parts of it that are looked at.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

/// A network interface.
#[derive(Deserialize)]
pub(super) struct Interface {
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    properties: InterfaceProperties,
}

#[derive(Deserialize, Default)]
struct InterfaceProperties {
    #[serde(default)]
    primary: bool,
    #[serde(rename = "virtualMachine")]
    machine: Option<Reference>,
    #[serde(rename = "ipConfigurations", default)]
    configurations: Vec<Configuration>,
}

#[derive(Deserialize)]
struct Reference {
    id: String,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    properties: ConfigurationProperties,
}

#[derive(Deserialize, Default)]
struct ConfigurationProperties {
    #[serde(rename = "privateIPAddress")]
    address: Option<String>,
}

impl Interface {
    /// Names of tags are the same in any case; their values are not.
    pub(super) fn has_tag(&self, name: &str, value: &str) -> bool {
        let mut tags = self.tags.iter();
        tags.any(|(key, is)| key.eq_ignore_ascii_case(name) && is == value)
    }

    /// The resource's id of the machine that it is in. Azure writes it in several cases.
    pub(super) fn machine(&self) -> Option<String> {
        let machine = self.properties.machine.as_ref();
        machine.map(|machine| machine.id.to_ascii_lowercase())
    }

    pub(super) fn is_primary(&self) -> bool {
        self.properties.primary
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let all = self.properties.configurations.iter();
        all.filter_map(|one| one.properties.address.as_ref()?.parse().ok())
    }
}

/// A virtual machine, of a scale set or not.
#[derive(Deserialize)]
pub(super) struct Vm {
    /// The resource's id: a later machine of that name has the same.
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    properties: VmProperties,
}

#[derive(Deserialize, Default)]
struct VmProperties {
    #[serde(rename = "vmId")]
    unique_id: Option<String>,
    #[serde(rename = "provisioningState", default)]
    state: String,
    #[serde(rename = "instanceView")]
    view: Option<View>,
}

#[derive(Deserialize)]
struct View {
    #[serde(default)]
    statuses: Vec<Status>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: String,
}

impl Vm {
    /// Its `vmId`, which no later machine has.
    pub(super) fn unique_id(&self) -> Option<String> {
        let id = self.properties.unique_id.as_ref()?;
        Some(id.to_ascii_lowercase())
    }

    /// `Succeeded`, `Deleting`: what the Resource Manager last did with it.
    pub(super) fn state(&self) -> String {
        self.properties.state.clone()
    }

    /// `running`, `deallocated`: told of a scale set's machines only.
    pub(super) fn power(&self) -> Option<String> {
        let statuses = &self.properties.view.as_ref()?.statuses;
        let power = statuses.iter().find_map(|status| {
            let (kind, power) = status.code.split_once('/')?;
            kind.eq_ignore_ascii_case("PowerState").then_some(power)
        });
        power.map(str::to_ascii_lowercase)
    }
}
