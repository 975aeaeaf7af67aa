//! `swarmer dns snippet`: what other resolvers need to know of a cluster.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::connect::Connect;
use super::dns::words;
use super::failure::Failure;
use super::operator_files::OperatorFiles;
use super::output;
use crate::model::Name;

/// Where `swarmer dns serve` answers.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5354);
/// The labels that a cluster answers for under a zone that is not its alone.
const KINDS: [&str; 3] = ["service", "node", "addr"];

/// What `swarmer dns snippet` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// A cluster that you are logged in to
    #[arg(value_name = "STACK:DC")]
    of: String,
    /// Which resolver
    #[arg(long = "for", value_name = "RESOLVER")]
    resolver: Resolver,
    /// Where `swarmer dns serve` answers
    #[arg(long, value_name = "ADDR:PORT", default_value_t = LISTEN)]
    listen: SocketAddr,
    /// Ask the nodes themselves, without `swarmer dns serve`
    #[arg(long, conflicts_with = "listen")]
    direct: bool,
}

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Resolver {
    SystemdResolved,
    Dnsmasq,
    #[value(name = "NetworkManager", alias = "networkmanager")]
    NetworkManager,
}

/// Files to write, and what to run afterwards.
struct Snippet {
    files: Vec<(String, String)>,
    then: &'static str,
}

pub(super) fn run(arguments: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    let cluster = OperatorFiles::find(&arguments.of)?.cluster()?;
    let (stack, dc) = words(&cluster)?;
    let servers = match arguments.direct {
        true => cluster.dns(),
        false => vec![arguments.listen],
    };
    let snippet = snippet(arguments.resolver, &stack, &dc, &servers);
    if connect.json() {
        let file = |(path, text): &(String, String)| json!({"path": path, "text": text});
        let files: Vec<_> = snippet.files.iter().map(file).collect();
        return output::json(&json!({"files": files, "then": snippet.then}));
    }
    let mut text = String::new();
    for (path, content) in &snippet.files {
        text.push_str(&format!("# {path}\n{content}\n"));
    }
    text.push_str(&format!("# then: {}", snippet.then));
    output::line(&text)
}

/// All names that are the cluster's, and no others: what is sent to us and is not ours goes to this
/// machine's resolvers, who would send it to us again.
fn domains(stack: &Name, dc: &Name) -> Vec<String> {
    let shared = [
        stack.to_string(),
        dc.to_string(),
        "consul".to_owned(),
        format!("{dc}.consul"),
    ];
    let below = shared
        .iter()
        .flat_map(|zone| KINDS.map(|kind| format!("{kind}.{zone}")));
    std::iter::once(format!("{dc}.{stack}"))
        .chain(below)
        .collect()
}

fn snippet(resolver: Resolver, stack: &Name, dc: &Name, servers: &[SocketAddr]) -> Snippet {
    let domains = domains(stack, dc);
    let name = format!("swarmer-{stack}-{dc}.conf");
    match resolver {
        Resolver::SystemdResolved => {
            let servers: Vec<String> = servers.iter().map(|at| place(*at, ':')).collect();
            let domains: Vec<String> = domains.iter().map(|zone| format!("~{zone}")).collect();
            let text = format!(
                "[Resolve]\nDNS={}\nDomains={}\n",
                servers.join(" "),
                domains.join(" ")
            );
            Snippet {
                files: vec![(format!("/etc/systemd/resolved.conf.d/{name}"), text)],
                then: "systemctl restart systemd-resolved",
            }
        }
        Resolver::Dnsmasq => Snippet {
            files: vec![(format!("/etc/dnsmasq.d/{name}"), dnsmasq(&domains, servers))],
            then: "systemctl restart dnsmasq",
        },
        Resolver::NetworkManager => Snippet {
            files: vec![
                (
                    "/etc/NetworkManager/conf.d/swarmer-dns.conf".to_owned(),
                    "[main]\ndns=dnsmasq\n".to_owned(),
                ),
                (
                    format!("/etc/NetworkManager/dnsmasq.d/{name}"),
                    dnsmasq(&domains, servers),
                ),
            ],
            then: "systemctl restart NetworkManager (it needs the program dnsmasq: Debian's dnsmasq-base)",
        },
    }
}

/// Answers with private addresses are right here, whatever `stop-dns-rebind` says.
fn dnsmasq(domains: &[String], servers: &[SocketAddr]) -> String {
    let domains = domains.join("/");
    let mut text = format!("rebind-domain-ok=/{domains}/\n");
    for at in servers {
        text.push_str(&format!("server=/{domains}/{}\n", place(*at, '#')));
    }
    text
}

/// The usual port is left out; an IPv6 address needs brackets only before a colon.
fn place(at: SocketAddr, mark: char) -> String {
    match (at.ip(), at.port()) {
        (ip, 53) => ip.to_string(),
        (ip, port) if mark == ':' => SocketAddr::new(ip, port).to_string(),
        (ip, port) => format!("{ip}{mark}{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(resolver: Resolver, servers: &[&str]) -> String {
        let servers: Vec<SocketAddr> = servers.iter().map(|at| at.parse().unwrap()).collect();
        let (stack, dc) = (Name::new("vagrant").unwrap(), Name::new("dev").unwrap());
        let snippet = snippet(resolver, &stack, &dc, &servers);
        snippet.files.last().unwrap().1.clone()
    }

    #[test]
    fn each_resolver_gets_its_own_form() {
        let resolved = text(
            Resolver::SystemdResolved,
            &["127.0.0.1:5354", "[fd00::1]:54"],
        );
        assert!(
            resolved.starts_with(
                "[Resolve]\nDNS=127.0.0.1:5354 [fd00::1]:54\nDomains=~dev.vagrant ~service.vagrant "
            ),
            "{resolved}"
        );
        let lines = text(Resolver::Dnsmasq, &["127.0.0.1:5354", "10.0.0.1:53"]);
        assert!(
            lines.contains("/addr.dev.consul/127.0.0.1#5354\n"),
            "{lines}"
        );
        assert!(lines.ends_with("/addr.dev.consul/10.0.0.1\n"), "{lines}");
        assert_eq!(
            lines,
            text(Resolver::NetworkManager, &["127.0.0.1:5354", "10.0.0.1:53"])
        );
    }

    #[test]
    fn public_zones_stay_public() {
        let domains = domains(&Name::new("vagrant").unwrap(), &Name::new("dev").unwrap());
        assert!(domains.contains(&"service.dev".to_owned()));
        assert!(
            !domains
                .iter()
                .any(|zone| ["dev", "vagrant", "consul"].contains(&zone.as_str()))
        );
        assert_eq!(domains.len(), 13);
    }
}
