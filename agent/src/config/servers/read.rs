//! From text to [`Servers`].

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

use super::addresses::{self, Addresses};
use super::{Machine, Servers};
use crate::config::Secret;
use crate::config::complaints::Complaints;
use crate::config::error::{ConfigErrors, Problem};
use crate::config::field::{Field, Section};
use crate::config::parse::{JOIN, MAX_EXPECT, NAME, ROLE, name, read_join_items, read_with, role};
use crate::config::tree::Node;
use crate::model::{Name, Role};

pub(in crate::config) const KEYS: [&str; 9] = [
    "stack",
    "dc",
    "admin_network",
    "interface",
    "gateway",
    "nameservers",
    "ssh_authorized_keys",
    "join",
    "servers",
];
pub(in crate::config) const MACHINE_KEYS: [&str; 6] =
    ["name", "ip", "role", "memory", "cpus", "disk"];

/// The second: a hypervisor's first is its own way to the machine.
pub(super) const INTERFACE: &str = "eth1";
/// MiB: an agent, an engine, and a few containers.
pub(super) const MEMORY: u32 = 1024;
/// Less does not boot an engine.
pub(super) const MIN_MEMORY: u32 = 512;
pub(super) const MAX_MEMORY: u32 = 16 * 1024 * 1024;
pub(super) const CPUS: u32 = 2;
pub(super) const MAX_CPUS: u32 = 1024;
/// GiB; thin where the hypervisor can.
pub(super) const DISK: u32 = 20;
pub(super) const MAX_DISK: u32 = 64 * 1024;

const INTERFACE_NAME: &str = "an interface's name, like eth1";
const NAMESERVERS: &str = "a list of addresses";
const KEY_LIST: &str = "a list of public keys, each like \"ssh-ed25519 AAAA… name\"";
const MACHINES: &str = "a list of machines, each with name, ip and role";

impl Servers {
    /// Reads `text`. `file_name` is for the messages.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, ConfigErrors> {
        read_with(file_name, text, read_root)
    }
}

/// `None` only after a complaint.
fn read_root(root: &Node, complaints: &mut Complaints) -> Option<Servers> {
    let top = Section::root(root, &KEYS, complaints)?;
    let stack = top.require("stack", NAME, complaints, name);
    let dc = top.require("dc", NAME, complaints, name);
    let network = addresses::network(&top, complaints);
    let interface = top.get("interface", INTERFACE_NAME, complaints, interface);
    let join = join(&top, complaints);
    let addresses = Addresses::new(&top, network, !join.is_empty(), complaints);
    let nameservers = top.get("nameservers", NAMESERVERS, complaints, nameservers);
    let keys = top.get("ssh_authorized_keys", KEY_LIST, complaints, public_keys);
    let before = complaints.count();
    let machines = machines(&top, &addresses, complaints);
    if complaints.count() == before {
        check_voters(&top, &machines, complaints);
    }
    Some(Servers {
        stack: stack?,
        dc: dc?,
        network: network?,
        interface: interface.unwrap_or_else(|| INTERFACE.to_owned()),
        gateway: addresses.gateway(),
        nameservers: nameservers.unwrap_or_default(),
        ssh_authorized_keys: keys.unwrap_or_default(),
        join,
        machines,
    })
}

/// The entries as they are written: a machine's own file has the same.
fn join(top: &Section<'_>, complaints: &mut Complaints) -> Vec<Secret> {
    let Some(items) = top.get("join", JOIN, complaints, Field::items) else {
        return Vec::new();
    };
    read_join_items(&items, complaints);
    let texts = items.iter().filter_map(Field::text);
    texts.map(Secret::new).collect()
}

fn machines(top: &Section<'_>, addresses: &Addresses, complaints: &mut Complaints) -> Vec<Machine> {
    let Some(items) = top.require("servers", MACHINES, complaints, Field::items) else {
        return Vec::new();
    };
    let mut taken = Taken::default();
    let read = items.iter().filter_map(|item| {
        let section = Section::open(item, Some(&MACHINE_KEYS), complaints);
        machine(&section, addresses, &mut taken, complaints)
    });
    read.collect()
}

/// What the machines above have, and which one has it.
#[derive(Default)]
struct Taken {
    names: Vec<(Name, String)>,
    addresses: Vec<(Ipv4Addr, String)>,
}

/// Whose `value` is already; it is `path`'s from now on, if nobody's.
fn take<T: PartialEq>(taken: &mut Vec<(T, String)>, value: T, path: &str) -> Option<String> {
    let owner = taken.iter().find(|(known, _)| *known == value);
    if let Some((_, owner)) = owner {
        return Some(owner.clone());
    }
    taken.push((value, path.to_owned()));
    None
}

fn machine(
    section: &Section<'_>,
    addresses: &Addresses,
    taken: &mut Taken,
    complaints: &mut Complaints,
) -> Option<Machine> {
    let own_name = section.require("name", NAME, complaints, name);
    if let (Some(name), Some(field)) = (&own_name, section.field("name"))
        && let Some(owner) = take(&mut taken.names, name.clone(), &field.path)
    {
        complaints.wrong(field, format!("a name of its own: {owner} is the same"));
    }
    let address = addresses.read(section, complaints);
    if let (Some(address), Some(field)) = (address, section.field("ip"))
        && let Some(owner) = take(&mut taken.addresses, address, &field.path)
    {
        complaints.wrong(field, format!("an address of its own: {owner} is the same"));
    }
    let role = section.require("role", ROLE, complaints, role);
    let memory = number(
        section,
        "memory",
        "MiB",
        (MIN_MEMORY, MAX_MEMORY),
        complaints,
    );
    let cpus = number(section, "cpus", "processors", (1, MAX_CPUS), complaints);
    let disk = number(section, "disk", "GiB", (1, MAX_DISK), complaints);
    Some(Machine {
        name: own_name?,
        address,
        role: role?,
        memory: memory.unwrap_or(MEMORY),
        cpus: cpus.unwrap_or(CPUS),
        disk: disk.unwrap_or(DISK),
    })
}

fn number(
    section: &Section<'_>,
    key: &str,
    unit: &str,
    (from, to): (u32, u32),
    complaints: &mut Complaints,
) -> Option<u32> {
    let expected = format!("{from} to {to} {unit}, as a bare number");
    section.get(key, &expected, complaints, |field| {
        let number = field.whole::<u32>()?;
        (from..=to).contains(&number).then_some(number)
    })
}

/// Asked only of a list without other faults: a server whose role is misspelt is no missing one.
fn check_voters(top: &Section<'_>, machines: &[Machine], complaints: &mut Complaints) {
    let Some(field) = top.field("servers") else {
        return;
    };
    let voters = machines.iter().filter(|one| one.role == Role::Server);
    let voters = voters.count();
    let most = usize::try_from(MAX_EXPECT).unwrap_or(usize::MAX);
    let expected = match voters {
        0 => "at least one machine with role: server, best three".to_owned(),
        _ if voters > most => format!("at most {most}: more vote slower, and no safer"),
        _ if voters.is_multiple_of(2) => format!(
            "an odd number of them: {voters} survive no more losses than {}",
            voters - 1
        ),
        _ => return,
    };
    let found = match voters {
        0 => "no machine with role: server".to_owned(),
        _ => format!("{voters} machines with role: server"),
    };
    complaints.add(
        field.place(),
        &field.path,
        Problem::Wrong { found, expected },
    );
}

fn interface(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    let fine = (1..=15).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    fine.then(|| text.to_owned())
}

fn nameservers(field: &Field<'_>) -> Option<Vec<IpAddr>> {
    let items = field.items()?;
    let addresses = items.iter().map(|item| {
        let address: IpAddr = item.text()?.parse().ok()?;
        (!address.is_unspecified() && !address.is_multicast()).then_some(address)
    });
    addresses.collect()
}

/// One line each, as in `authorized_keys`, without quotes and such that would end the text.
fn public_keys(field: &Field<'_>) -> Option<Vec<String>> {
    let items = field.items()?;
    let keys = items.iter().map(|item| {
        let text = item.text()?.trim();
        let mut words = text.split(' ');
        let kind = words.next()?;
        let is_kind = ["ssh-", "ecdsa-", "sk-"]
            .iter()
            .any(|prefix| kind.starts_with(prefix));
        let has_key = words.next().is_some_and(|key| key.starts_with("AAAA"));
        (is_kind && has_key && !text.chars().any(char::is_control)).then(|| text.to_owned())
    });
    keys.collect()
}

/// For [`Addresses::read`].
pub(super) fn ipv4(field: &Field<'_>) -> Option<Ipv4Addr> {
    field.text()?.parse().ok()
}

/// For [`addresses::network`].
pub(super) fn ipv4_network(field: &Field<'_>) -> Option<Ipv4Net> {
    field.text()?.parse().ok()
}
