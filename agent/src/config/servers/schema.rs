//! The JSON Schema (draft 2020-12) of `servers.yml`. As with the node's file: what the parser
//! accepts the schema accepts; that names differ and addresses fit the network only the parser sees.

use serde_json::{Value, json};

use super::read::{CPUS, DISK, INTERFACE, MAX_CPUS, MAX_DISK, MAX_MEMORY, MEMORY, MIN_MEMORY};
use crate::config::schema::{name, text, with_default};

/// The schema.
#[must_use]
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "servers.yml",
        "description": "The machines of one Swarmer cluster, for Vagrant and swarmer cloud-init.",
        "type": "object",
        "additionalProperties": false,
        "required": ["stack", "dc", "admin_network", "servers"],
        "properties": {
            "stack": name("With dc, which cluster this is."),
            "dc": name("With stack, which cluster this is."),
            "admin_network": {
                "description": "The IPv4 network that all machines are in, like 192.168.101.0/24.",
                "type": "string",
                "pattern": "^[0-9.]+/[0-9]+$"
            },
            "interface": with_default(
                text("Which of a machine's interfaces is in admin_network; the others ask DHCP."),
                json!(INTERFACE)
            ),
            "gateway": address("The router's address in admin_network; by default that network is no way out."),
            "nameservers": list("Who is asked for the names of the world, beside those that DHCP names.", &text("An address.")),
            "ssh_authorized_keys": list("Who may log in by ssh.", &text("A public key.")),
            "join": list("Where machines look for servers; without it, at the servers' addresses.", &text("ADDRESS[:PORT], dns:NAME[:PORT], or provider=KIND KEY=VALUE …")),
            "servers": {
                "description": "The machines. An odd number of them has role: server.",
                "type": "array",
                "minItems": 1,
                "items": machine()
            }
        }
    })
}

fn machine() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "role"],
        "properties": {
            "name": name("The node's name, and the host's."),
            "ip": address("Its address in admin_network. Needed unless join says how machines find each other."),
            "role": {
                "description": "server: votes and stores; worker: follows.",
                "enum": ["server", "worker"]
            },
            "memory": number("MiB.", MIN_MEMORY, MAX_MEMORY, MEMORY),
            "cpus": number("Processors.", 1, MAX_CPUS, CPUS),
            "disk": number("The data disk's size in GiB.", 1, MAX_DISK, DISK)
        }
    })
}

fn address(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": "^[0-9.]+$" })
}

fn number(description: &str, minimum: u32, maximum: u32, default: u32) -> Value {
    json!({
        "description": description,
        "type": "integer",
        "minimum": minimum,
        "maximum": maximum,
        "default": default
    })
}

fn list(description: &str, items: &Value) -> Value {
    json!({ "description": description, "type": "array", "items": items })
}
