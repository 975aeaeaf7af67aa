//! The network-config, version 2.
//! <https://cloudinit.readthedocs.io/en/latest/reference/network-config-format-v2.html>

use std::fmt::Write as _;

use crate::config::{Machine, Servers};

/// What the hypervisor itself gives a machine that has two.
const FIRST: &str = "eth0";

/// A machine's addresses.
pub(super) fn render(servers: &Servers, machine: &Machine) -> String {
    let mut text = "version: 2\nethernets:\n".to_owned();
    let interface = &servers.interface;
    // By other names the first is not known; the image's own default asks DHCP on it.
    if interface.starts_with("eth") && interface != FIRST {
        let _ = writeln!(text, "  {FIRST}:\n    dhcp4: true");
    }
    let Some(address) = machine.address else {
        let _ = writeln!(text, "  {interface}:\n    dhcp4: true");
        return text;
    };
    let prefix = servers.network.prefix_len();
    let _ = writeln!(
        text,
        "  {interface}:\n    dhcp4: false\n    addresses: [{address}/{prefix}]"
    );
    if let Some(gateway) = servers.gateway {
        let _ = writeln!(
            text,
            "    routes:\n      - to: 0.0.0.0/0\n        via: {gateway}"
        );
    }
    if !servers.nameservers.is_empty() {
        let addresses = servers.nameservers.iter().map(|one| format!("\"{one}\""));
        let addresses: Vec<String> = addresses.collect();
        let _ = writeln!(
            text,
            "    nameservers:\n      addresses: [{}]",
            addresses.join(", ")
        );
    }
    text
}
