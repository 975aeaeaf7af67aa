//! The JSON Schema (draft 2020-12) of the configuration, for editors and for other tools' tests.
//! What a schema can't say (whether an address is one, that a lease is shorter than a grace) only
//! the parser knows: what it accepts the schema accepts, not the other way round.

use serde_json::{Value, json};

use super::parse::{DATA_DIR, MAX_EXPECT};
use super::s3::s3_schema;
use super::sections::{DNS_PORT, DOCKER_SOCKET, MAX_META, MAX_META_VALUE};
use super::timing::{CERTIFICATE, GRACE, LEASE, REAP, SESSION_GRACE};
use super::{Listen, Timing, duration};

/// The schema.
#[must_use]
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "swarmer.yaml",
        "description": "The one file that configures a Swarmer node.",
        "type": "object",
        "additionalProperties": false,
        "required": ["stack", "dc", "role", "admin_network", "token"],
        "if": { "properties": { "role": { "const": "worker" } } },
        "then": {
            "required": ["join"],
            "properties": { "join": { "type": "array", "minItems": 1 } }
        },
        "else": { "required": ["expect"] },
        "properties": {
            "stack": name("With dc, which cluster this is."),
            "dc": name("With stack, which cluster this is."),
            "role": {
                "description": "server: votes and stores; worker: follows.",
                "enum": ["server", "worker"]
            },
            "name": name("The node's name; by default the host's."),
            "expect": {
                "description": "How many servers must meet before the first election; best an odd number.",
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_EXPECT
            },
            "admin_network": text("Picks this node's address: a network (192.168.101.0/24), an address, or an interface's name."),
            "join": {
                "description": "Where peers are looked for, all of them, again and again.",
                "type": ["array", "null"],
                "default": [],
                "items": text("ADDRESS[:PORT], dns:NAME[:PORT], or provider=KIND KEY=VALUE …")
            },
            "token": text("The join secret of the role: itself, \"${NAME}\" of the environment, \"file:/path\", \"ssm:NAME\", \"secretsmanager:NAME\" or \"guestinfo:KEY\"."),
            "data_dir": with_default(path("Where the node keeps what it keeps."), json!(DATA_DIR)),
            "dns": dns(),
            "docker": docker(),
            "registry": registry(),
            "log": log(),
            "meta": meta(),
            "listen": listen(),
            "timing": timing()
        }
    })
}

fn dns() -> Value {
    let recursors = json!({
        "description": "Who is asked for names that are not ours. auto: what resolv.conf said before the node's own DNS was put there.",
        "default": "auto",
        "oneOf": [
            { "const": "auto" },
            { "type": "array", "items": text("ADDRESS[:PORT]") }
        ]
    });
    section(
        "The DNS server.",
        json!({ "port": port("UDP and TCP.", DNS_PORT), "recursors": recursors }),
    )
}

fn docker() -> Value {
    let socket = path("The engine's socket.");
    section(
        "The Docker Engine.",
        json!({
            "enabled": flag("Whether the agent looks after the Docker Engine at all.", true),
            "swarm": choice("auto: servers manage, workers work.", &["auto", "off"]),
            "socket": with_default(socket, json!(DOCKER_SOCKET)),
            "registrator": registrator()
        }),
    )
}

fn registrator() -> Value {
    let tags = json!({
        "description": "Added to the tags of each service; {{.Config.Hostname}} and the like are fields of docker inspect.",
        "type": "array",
        "default": [],
        "items": text("A tag.")
    });
    section(
        "Containers with published ports as services.",
        json!({
            "enabled": flag("Whether they are registered.", true),
            "internal": flag("Register containers' own addresses and ports, published or not.", false),
            "explicit": flag("Only those that have a SERVICE_NAME.", false),
            "tags": tags
        }),
    )
}

fn registry() -> Value {
    let storage = json!({
        "description": "Where images are kept; by default in the folder registry of data_dir.",
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
        "properties": { "filesystem": path("A folder of the host's."), "s3": s3_schema() }
    });
    section(
        "The image registry.",
        json!({
            "enabled": flag("Whether this node may host the registry, and serves its front.", true),
            "command": text("The program; by default docker-registry or registry, whichever is installed."),
            "storage": storage
        }),
    )
}

fn log() -> Value {
    let mut level = choice(
        "What is logged at the start.",
        &["info", "error", "warn", "debug", "trace"],
    );
    level["default"] = json!("info");
    section(
        "What is logged, and how.",
        json!({
            "level": level,
            "format": choice("auto: text on a terminal, JSON otherwise.", &["auto", "text", "json"])
        }),
    )
}

fn meta() -> Value {
    json!({
        "description": "The node's metadata in the catalog.",
        "type": ["object", "null"],
        "maxProperties": MAX_META,
        "propertyNames": { "pattern": "^[A-Za-z0-9_-]{1,128}$" },
        "additionalProperties": { "type": "string", "maxLength": MAX_META_VALUE }
    })
}

fn listen() -> Value {
    let default = Listen::default();
    section(
        "Ports.",
        json!({
            "rpc": port("mTLS between agents, on the admin address.", default.rpc),
            "http": port("The plain HTTP API, on loopback and Docker's bridge.", default.http),
            "https": port("The HTTP API over TLS, on the admin address.", default.https),
            "registry": port("The registry's TLS front, on the admin address.", default.registry),
            "docker": port("The Docker Engine's TLS front for operators, on the admin address.", default.docker)
        }),
    )
}

fn timing() -> Value {
    let default = Timing::default();
    let span = |what: &str, value, (from, to)| {
        let (low, high) = (duration::format(from), duration::format(to));
        json!({
            "description": format!("{what} From {low} to {high}."),
            "type": "string",
            "pattern": "^\\+?(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$",
            "default": duration::format(value)
        })
    };
    section(
        "How long a node may be silent; each longer than the one before.",
        json!({
            "lease": span("Then it is out of DNS and health answers.", default.lease, LEASE),
            "session_grace": span("Then sessions that are bound to its health end.", default.session_grace, SESSION_GRACE),
            "grace": span("Then it counts as failed.", default.grace, GRACE),
            "reap": span("Then it is removed.", default.reap, REAP),
            "certificate": span("How long a node's certificate lives.", default.certificate, CERTIFICATE)
        }),
    )
}

fn section(description: &str, properties: Value) -> Value {
    json!({
        "description": description,
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": properties
    })
}

pub(super) fn name(description: &str) -> Value {
    let pattern = "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$";
    json!({ "description": description, "type": "string", "pattern": pattern })
}

pub(super) fn text(description: &str) -> Value {
    json!({ "description": description, "type": "string", "minLength": 1 })
}

fn path(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": "^/" })
}

pub(super) fn flag(description: &str, default: bool) -> Value {
    json!({ "description": description, "type": "boolean", "default": default })
}

fn port(description: &str, default: u16) -> Value {
    json!({
        "description": description,
        "type": "integer",
        "minimum": 1,
        "maximum": 65535,
        "default": default
    })
}

/// The first is the default.
fn choice(description: &str, choices: &[&str]) -> Value {
    json!({ "description": description, "enum": choices, "default": choices.first() })
}

pub(super) fn with_default(mut property: Value, default: Value) -> Value {
    property["default"] = default;
    property
}
