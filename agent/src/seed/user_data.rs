//! The user-data, and the node's one file in it.

use std::fmt::Write as _;

use crate::config::{Machine, Secret, Servers};
use crate::model::Role;

/// Where the agent looks.
const PATH: &str = "/etc/swarmer/swarmer.yaml";

/// The `#cloud-config` of a machine.
pub(super) fn render(servers: &Servers, machine: &Machine, token: &Secret) -> String {
    let name = &machine.name;
    let mut text = format!("#cloud-config\nhostname: {name}\nmanage_etc_hosts: true\n");
    if !servers.ssh_authorized_keys.is_empty() {
        text.push_str("ssh_authorized_keys:\n");
        for key in &servers.ssh_authorized_keys {
            let _ = writeln!(text, "  - {}", quoted(key));
        }
    }
    let _ = write!(
        text,
        "write_files:\n  - path: {PATH}\n    owner: root:root\n    permissions: \"0600\"\n    content: |\n"
    );
    for line in swarmer_yaml(servers, machine, token).lines() {
        let _ = writeln!(text, "      {line}");
    }
    text
}

/// The node's one file.
fn swarmer_yaml(servers: &Servers, machine: &Machine, token: &Secret) -> String {
    let mut text = format!("stack: {}\ndc: {}\n", servers.stack, servers.dc);
    let _ = writeln!(text, "name: {}\nrole: {}", machine.name, machine.role);
    if machine.role == Role::Server {
        let _ = writeln!(text, "expect: {}", servers.voters().count());
    }
    let _ = writeln!(text, "admin_network: {}", servers.network);
    text.push_str("join:\n");
    for source in &servers.join {
        let _ = writeln!(text, "  - {}", quoted(source.expose()));
    }
    if servers.join.is_empty() {
        for address in servers.voters().filter_map(|voter| voter.address) {
            let _ = writeln!(text, "  - {address}");
        }
    }
    let _ = writeln!(text, "token: {}", quoted(token.expose()));
    text
}

/// A quoted text of JSON is one of YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
