//! vSphere: the virtual machines that carry a tag.
//!
//! Owns: what is asked of a vCenter, in which session, and whom it is taken for. Does not own: how
//! often it is asked. Always true: a vCenter whose certificate is not known is told nothing, no
//! refused password is sent again and again, one session of each kind is kept, and a machine
//! counts as deleted only while its peers can be seen.
//!
//! A machine is known by its instance UUID, which vCenter keeps unique. Its firmware holds another
//! one, the BIOS UUID, which copies may share: by that one it finds itself among those with the
//! tag.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::said::said;
use super::{Fate, Machine, Provider, ProviderError};
use crate::config::{AdminNetwork, duration};

mod dmi;
mod inventory;
mod line;
mod login;
mod rest;
mod soap;
mod tags;
#[cfg(test)]
mod tests;
mod trust;
mod vm;

use line::Line;
use login::Login;
use rest::Rest;
use soap::Soap;
use tags::Tag;
use trust::Trust;
use vm::Vm;

const KIND: &str = "vsphere";
/// A page of 200 machines comes well within this.
const TIMEOUT: Duration = Duration::from_secs(15);
const FIRMWARE: &str = "/sys/class/dmi/id";

/// One tag at one vCenter.
pub(super) struct Vsphere {
    rest: Rest,
    soap: Soap,
    tag: Tag,
    folder: Option<String>,
    network: AdminNetwork,
    firmware: PathBuf,
    /// The managed object ids of the machines that were seen, by instance UUID.
    seen: Mutex<BTreeMap<String, String>>,
}

impl Vsphere {
    /// With these arguments, which `config` has let through.
    pub(super) fn new(
        args: &BTreeMap<String, String>,
        network: &AdminNetwork,
    ) -> Result<Self, ProviderError> {
        let wrong = |key, expected: &str| ProviderError::argument(KIND, key, expected);
        let given = |key: &str| args.get(key).map(String::as_str);
        let needed = |key: &'static str| given(key).ok_or_else(|| wrong(key, "given"));
        let timeout = match given("timeout").map(duration::parse) {
            None => TIMEOUT,
            Some(Ok(timeout)) if !timeout.is_zero() => timeout,
            Some(_) => return Err(wrong("timeout", "a time such as 15s")),
        };
        let host = needed("host")?;
        if !is_host(host) {
            return Err(wrong(
                "host",
                "vCenter's name or address, with or without a port, and nothing else",
            ));
        }
        let trust = Trust::new(given("thumbprint"), given("ca_file"))?;
        let line = Arc::new(Line::new(host, trust, timeout));
        let login = Arc::new(Login::new(args)?);
        Ok(Self {
            rest: Rest::new(Arc::clone(&line), Arc::clone(&login)),
            soap: Soap::new(line, login),
            tag: Tag::new(needed("category_name")?, needed("tag_name")?),
            folder: given("folder").map(|path| path.trim_matches('/').to_owned()),
            network: network.clone(),
            firmware: PathBuf::from(FIRMWARE),
            seen: Mutex::new(BTreeMap::new()),
        })
    }

    async fn tagged(&self) -> Result<Vec<Vm>, ProviderError> {
        let ids = self.tag.attached(&self.rest).await?;
        let mut machines = inventory::machines(&self.soap, &ids).await?;
        if let Some(path) = &self.folder {
            let folders = inventory::folders(&self.soap, path).await?;
            machines.retain(|vm| vm.parent.as_ref().is_some_and(|at| folders.contains(at)));
        }
        machines.sort_by(|one, other| one.name.cmp(&other.name));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for vm in &machines {
            if let Some(uuid) = &vm.instance_uuid {
                seen.insert(uuid.clone(), vm.reference.clone());
            }
        }
        Ok(machines)
    }

    async fn fate_of(&self, id: &str) -> Result<Fate, ProviderError> {
        let Ok(uuid) = Uuid::parse_str(id) else {
            return Ok(Fate::Unknown);
        };
        let uuid = uuid.to_string();
        if let Some(reference) = inventory::find(&self.soap, &uuid).await? {
            let found = inventory::machines(&self.soap, &[reference]).await?;
            return Ok(match found.first() {
                Some(vm) => Fate::Exists(vm.state()),
                None => Fate::Unknown,
            });
        }
        // An account that may no longer see it would be told the same as if it were deleted. So
        // somebody else with the tag must still be seen, and vCenter must know for sure that what
        // it was known by is gone.
        let others = self.tagged().await?;
        let mut others = others.iter().filter_map(|vm| vm.instance_uuid.as_deref());
        if others.next().is_none() {
            return Ok(Fate::Unknown);
        }
        let reference = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.get(&uuid).cloned()
        };
        match reference {
            Some(known) if inventory::is_gone(&self.soap, &known).await? => Ok(Fate::Missing),
            _ => Ok(Fate::Unknown),
        }
    }

    async fn own_id(&self) -> Result<Option<String>, ProviderError> {
        let own = dmi::bios_uuids(&self.firmware)?;
        if own.is_empty() {
            return Ok(None);
        }
        let tagged = self.tagged().await?;
        let running = tagged.iter().filter(|vm| vm.power == "poweredOn");
        let mut mine =
            running.filter(|vm| vm.bios_uuid.as_ref().is_some_and(|uuid| own.contains(uuid)));
        match (mine.next(), mine.next()) {
            (None, _) => Ok(None),
            (Some(vm), None) => Ok(vm.instance_uuid.clone()),
            (Some(one), Some(other)) => Err(ProviderError::Unreadable {
                call: "looking for this machine at vCenter",
                why: said(&format!(
                    "{} and {} have one BIOS UUID, this machine's: give one of them another (uuid.action = \"create\")",
                    one.name, other.name
                )),
            }),
        }
    }
}

impl Provider for Vsphere {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn machines(&self) -> BoxFuture<'_, Result<Vec<Machine>, ProviderError>> {
        async {
            let tagged = self.tagged().await?;
            let machines = tagged.into_iter().map(|vm| vm.machine(&self.network));
            Ok(machines.collect())
        }
        .boxed()
    }

    fn fate<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Fate, ProviderError>> {
        self.fate_of(id).boxed()
    }

    fn this_machine(&self) -> BoxFuture<'_, Result<Option<String>, ProviderError>> {
        self.own_id().boxed()
    }
}

/// A host with or without a port, as it stands in a URI (RFC 3986 section 3.2), and no user.
fn is_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<hyper::http::uri::Authority>() else {
        return false;
    };
    let host = authority.host();
    let port = text.strip_prefix(host).map(|rest| rest.strip_prefix(':'));
    let fine = match port {
        Some(Some(port)) => port.parse::<u16>().is_ok_and(|port| port != 0),
        Some(None) => text == host,
        None => false,
    };
    fine && !host.is_empty()
}
