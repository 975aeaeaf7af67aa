//! The files of a demo: tokens, and each node's `swarmer.yaml`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::node::Node;
use super::{DemoError, folder};
use crate::model::Role;
use crate::pki::Token;

pub(super) const STACK: &str = "demo";
pub(super) const DC: &str = "dev";

/// Where the token of a role is.
pub(super) fn token_file(demo: &Path, role: Role) -> PathBuf {
    demo.join(format!("{role}.token"))
}

/// Where the cluster's CA is, once there is one.
pub(super) fn ca_file(demo: &Path) -> PathBuf {
    demo.join("ca.pem")
}

/// Makes the three tokens; returns the server's.
pub(super) fn write_tokens(demo: &Path) -> Result<Token, DemoError> {
    let server = Token::generate_server();
    for role in [Role::Server, Role::Worker, Role::Operator] {
        let token = match role {
            Role::Server => server.clone(),
            _ => server.derive(role)?,
        };
        let text = format!("{}\n", token.expose());
        folder::write(&token_file(demo, role), &text)?;
    }
    Ok(server)
}

/// Writes a node's `swarmer.yaml`, and makes its folders.
pub(super) fn write_node(
    demo: &Path,
    node: &Node,
    nodes: &[Node],
    registry: bool,
) -> Result<(), DemoError> {
    folder::make(node.folder())?;
    folder::write(&node.config(), &yaml(demo, node, nodes, registry))
}

fn yaml(demo: &Path, node: &Node, nodes: &[Node], registry: bool) -> String {
    let servers: Vec<&Node> = nodes.iter().filter(|n| n.role == Role::Server).collect();
    let join: Vec<String> = servers.iter().map(|n| n.rpc().to_string()).collect();
    let token = format!("file:{}", token_file(demo, node.role).display());
    let ports = node.ports;
    let mut text = String::new();
    let _ = writeln!(text, "# {} of a demo; start it with", node.name);
    let _ = writeln!(
        text,
        "#   swarmer agent --config {}",
        node.config().display()
    );
    let _ = writeln!(text, "stack: {STACK}\ndc: {DC}");
    let _ = writeln!(text, "name: {}\nrole: {}", node.name, node.role);
    if node.role == Role::Server {
        let _ = writeln!(text, "expect: {}", servers.len());
    }
    let _ = writeln!(text, "admin_network: {}", node.address);
    let _ = writeln!(text, "join: [{}]", join.join(", "));
    let _ = writeln!(text, "token: {}", string(&token));
    let _ = writeln!(text, "data_dir: {}", path(&node.data()));
    let _ = writeln!(text, "dns: {{ port: {}, recursors: auto }}", ports.dns);
    text.push_str("docker: { enabled: false }\n");
    if registry {
        let images = path(&node.images());
        let _ = writeln!(
            text,
            "registry: {{ enabled: true, storage: {{ filesystem: {images} }} }}"
        );
    } else {
        text.push_str("registry: { enabled: false }\n");
    }
    let _ = writeln!(
        text,
        "listen: {{ rpc: {}, http: {}, https: {}, registry: {} }}",
        ports.rpc, ports.http, ports.https, ports.registry
    );
    text.push_str("log: { format: text }\n");
    text
}

fn path(path: &Path) -> String {
    string(&path.display().to_string())
}

/// A quoted text of JSON is one of YAML.
fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::config::{Config, Storage};
    use crate::model::Ports;

    #[test]
    fn what_is_written_is_what_the_agent_reads() {
        let demo = Path::new("/tmp/a: b's \"demo\"");
        let ports = Ports {
            rpc: 1,
            http: 2,
            https: 3,
            dns: 4,
            registry: 5,
            docker: 0,
        };
        let node = |role, number: usize| {
            let address = Ipv4Addr::new(127, 77, 0, u8::try_from(number).unwrap());
            Node::new(demo, role, number, address, ports)
        };
        let nodes = [node(Role::Server, 1), node(Role::Worker, 2)];
        let server = Config::parse("s", &yaml(demo, &nodes[0], &nodes, true)).unwrap();
        assert_eq!((server.expect, server.role), (1, Role::Server));
        assert_eq!(server.data_dir, demo.join("server-1/data"));
        let images = demo.join("server-1/images");
        assert!(matches!(server.registry.storage, Storage::Filesystem(at) if at == images));
        let worker = Config::parse("w", &yaml(demo, &nodes[1], &nodes, false)).unwrap();
        assert!(!worker.registry.enabled && !worker.docker.enabled);
        assert_eq!(worker.join.len(), 1);
        assert!(worker.warnings.is_empty(), "{:?}", worker.warnings);
    }
}
