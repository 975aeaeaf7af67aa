//! `swarmer dns`: a cluster's names on an operator's machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use ipnet::IpNet;
use serde_json::json;

use super::cluster_status;
use super::connect::Connect;
use super::dns_snippet;
use super::failure::Failure;
use super::operator_files::{ClusterFile, OperatorFiles};
use super::output;
use crate::dns::{Dns, DnsConfig, DnsError, Nodes};
use crate::model::Name;
use crate::task::{self, Shutdown};

/// How often the cluster is asked where its nodes are.
const REFRESH: Duration = Duration::from_secs(30);
const RESOLV: &str = "/etc/resolv.conf";
/// systemd-resolved's own address, and where it says whom it asks itself.
const STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
const BEHIND_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// A cluster's names on this machine.
#[derive(Subcommand)]
pub(super) enum DnsCommand {
    /// Answer DNS here: the cluster's names by its nodes, all else by this machine's resolvers.
    Serve(Serve),
    /// Print what a resolver of this machine needs to send the cluster's names to `swarmer dns serve`.
    Snippet(dns_snippet::Arguments),
}

/// What `swarmer dns serve` takes.
#[derive(Args)]
pub(super) struct Serve {
    /// A cluster that you are logged in to
    #[arg(value_name = "STACK:DC")]
    of: String,
    /// Where to answer, UDP and TCP
    #[arg(long, value_name = "ADDR:PORT", default_value_t = dns_snippet::LISTEN)]
    listen: SocketAddr,
    /// Whom to ask for other names, instead of those in /etc/resolv.conf (may be given again)
    #[arg(long, value_name = "ADDR[:PORT]")]
    resolver: Vec<String>,
}

pub(super) async fn run(command: &DnsCommand, connect: &Connect<'_>) -> Result<(), Failure> {
    match command {
        DnsCommand::Serve(arguments) => serve(arguments, connect).await,
        DnsCommand::Snippet(arguments) => dns_snippet::run(arguments, connect),
    }
}

/// The words of a cluster, as its file has them.
pub(super) fn words(cluster: &ClusterFile) -> Result<(Name, Name), Failure> {
    let name = |text: &str| {
        Name::new(text).map_err(|error| {
            Failure::not(
                format!("cluster.json: {error}"),
                "`swarmer login ADDRESS` writes it anew",
            )
        })
    };
    Ok((name(&cluster.stack)?, name(&cluster.dc)?))
}

async fn serve(arguments: &Serve, connect: &Connect<'_>) -> Result<(), Failure> {
    let files = OperatorFiles::find(&arguments.of)?;
    let cluster = files.cluster()?;
    let (stack, dc) = words(&cluster)?;
    let recursors = match arguments.resolver.as_slice() {
        [] => system_resolvers(),
        named => named
            .iter()
            .map(|text| resolver(text))
            .collect::<Result<_, _>>()?,
    };
    let nodes = Arc::new(Nodes::new(cluster.dns()));
    let config = DnsConfig {
        dc,
        stack,
        listen: vec![arguments.listen.ip()],
        listen_later: Vec::new(),
        port: arguments.listen.port(),
        recursors: recursors.clone(),
        recurse_for: own_networks(),
        recurse_for_later: Vec::new(),
        ttl: 0,
    };
    let dns = Dns::forwarder(config, Arc::clone(&nodes)).map_err(|error| taken(&error))?;
    let at = dns.addresses();
    announce(&arguments.of, &at, &cluster.dns(), &recursors, connect)?;
    // Its end is the end of this process.
    let serving = task::spawn("dns", dns.serve(Shutdown::new()));
    let refresh = refresh(&arguments.of, connect, &files, &nodes);
    tokio::select! {
        _ = serving.join() => Err(Failure::not("the DNS listener ended", "")),
        never = refresh => never,
    }
}

fn announce(
    of: &str,
    at: &[SocketAddr],
    nodes: &[SocketAddr],
    resolvers: &[SocketAddr],
    connect: &Connect<'_>,
) -> Result<(), Failure> {
    if connect.json() {
        return output::json(&json!({"listen": at, "nodes": nodes, "resolvers": resolvers}));
    }
    let list = |all: &[SocketAddr]| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        match all.is_empty() {
            true => "nobody".to_owned(),
            false => all.join(", "),
        }
    };
    output::line(&format!(
        "DNS on {}: names of {of} by {}, others by {}\n`swarmer dns snippet {of} --for systemd-resolved` (or dnsmasq, NetworkManager) points this machine at it",
        list(at),
        list(nodes),
        list(resolvers)
    ))
}

/// Nodes are replaced while this runs. Says once what fails, and once that it works again.
async fn refresh(
    of: &str,
    connect: &Connect<'_>,
    files: &OperatorFiles,
    nodes: &Nodes,
) -> Result<(), Failure> {
    let of = of.to_owned();
    let connect = connect.to(Some(&of));
    let mut failing = false;
    loop {
        match cluster_status::fetch(&connect).await {
            Ok(_) => {
                nodes.replace(files.cluster()?.dns());
                if std::mem::take(&mut failing) {
                    eprintln!("swarmer: {of} says again where its nodes are");
                }
            }
            Err(failure) => {
                if !std::mem::replace(&mut failing, true) {
                    eprintln!(
                        "swarmer: {failure}\n  the nodes that were known last go on being asked"
                    );
                }
            }
        }
        tokio::time::sleep(REFRESH).await;
    }
}

fn taken(error: &DnsError) -> Failure {
    let next = "choose another place with --listen ADDR:PORT";
    match error {
        DnsError::InUse { address, transport } => Failure::not(
            format!("another program listens on {address} ({transport})"),
            format!("`ss -lnp 'sport = :{}'` names it; {next}", address.port()),
        ),
        DnsError::NotAllowed { address, .. } => Failure::not(
            format!("this user may not listen on {address}: ports below 1024 are root's"),
            next,
        ),
        other => Failure::not(other.to_string(), next),
    }
}

fn resolver(text: &str) -> Result<SocketAddr, Failure> {
    let whole = text.parse();
    whole
        .or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53)))
        .map_err(|_| {
            Failure::usage(
                format!("--resolver: {text:?} is not an address"),
                "use ADDR or ADDR:PORT, as in 192.0.2.53",
            )
        })
}

/// Those of this machine. systemd-resolved asks us, so we ask those whom it asks.
fn system_resolvers() -> Vec<SocketAddr> {
    let read = |path: &str| {
        let text = std::fs::read_to_string(Path::new(path)).unwrap_or_default();
        nameservers(&text)
    };
    let named = read(RESOLV);
    let (stub, others): (Vec<IpAddr>, Vec<IpAddr>) =
        named.into_iter().partition(|address| *address == STUB);
    let behind = match stub.is_empty() {
        true => Vec::new(),
        false => read(BEHIND_STUB),
    };
    let all = others.into_iter().chain(behind);
    all.map(|address| SocketAddr::new(address, 53)).collect()
}

fn nameservers(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .collect()
}

/// Who may have other names resolved: this machine, its containers and its virtual machines.
fn own_networks() -> Vec<IpNet> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let own = interfaces.iter().filter_map(|interface| {
        let (ip, prefix) = match &interface.addr {
            if_addrs::IfAddr::V4(v4) => (IpAddr::V4(v4.ip), v4.prefixlen),
            if_addrs::IfAddr::V6(v6) => (IpAddr::V6(v6.ip), v6.prefixlen),
        };
        IpNet::new(ip, prefix).ok()
    });
    let loopback = [
        IpNet::new(Ipv4Addr::LOCALHOST.into(), 8),
        IpNet::new(std::net::Ipv6Addr::LOCALHOST.into(), 128),
    ];
    own.chain(loopback.into_iter().flatten())
        .map(|network| network.trunc())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_is_an_address_with_or_without_a_port() {
        let at = |text| resolver(text).map(|at| at.to_string()).ok();
        assert_eq!(at("192.0.2.1").as_deref(), Some("192.0.2.1:53"));
        assert_eq!(at("192.0.2.1:54").as_deref(), Some("192.0.2.1:54"));
        assert_eq!(at("::1").as_deref(), Some("[::1]:53"));
        assert_eq!(at("dns.example"), None);
    }

    #[test]
    fn resolv_conf_is_read_for_its_nameservers() {
        let text = "search x\nnameserver 127.0.0.53\n nameserver ::1 # y\nnameserver\n";
        assert_eq!(nameservers(text), [STUB, "::1".parse::<IpAddr>().unwrap()]);
    }
}
