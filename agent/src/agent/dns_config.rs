//! What DNS answers, and for whom, on this host.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::{AgentError, address, resolv};
use crate::cluster::me::Me;
use crate::config::{Config, Recursors};
use crate::disk::DataDir;
use crate::dns::DnsConfig;

/// Where Docker takes its networks from (`default-address-pools`, first block). Most of them are made
/// after the agent has started: its containers' queries come from there, to the bridge's address.
const DOCKER_POOL: (IpAddr, u8) = (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12);

/// Where it listens, whom it asks, and whom it asks for.
pub(super) fn dns_config(
    config: &Config,
    me: &Me,
    disk: &DataDir,
) -> Result<DnsConfig, AgentError> {
    let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
    let mut listen = vec![me.address];
    if !me.address.is_loopback() {
        listen.push(loopback);
    }
    let bridges = address::docker_bridges();
    let docker = config.docker.enabled && !me.address.is_loopback();
    let later: Vec<IpAddr> = if docker {
        bridges.iter().map(|bridge| bridge.ip.into()).collect()
    } else {
        Vec::new()
    };
    let own: Vec<IpAddr> = listen.iter().chain(&later).copied().collect();
    let recursors = match &config.dns.recursors {
        Recursors::Auto => resolv::upstreams(disk, &own)?,
        Recursors::List(list) => list.clone(),
    };
    Ok(DnsConfig {
        dc: me.dc.clone(),
        stack: me.stack.clone(),
        listen,
        listen_later: later,
        port: me.ports.dns,
        recursors,
        recurse_for: recurse_for(me.address),
        recurse_for_later: containers(&bridges),
        ttl: 0,
    })
}

/// Whose queries are passed on: the admin network's and loopback's.
fn recurse_for(address: IpAddr) -> Vec<IpNet> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let admin = interfaces
        .iter()
        .filter_map(|interface| match &interface.addr {
            if_addrs::IfAddr::V4(v4) if IpAddr::V4(v4.ip) == address => {
                Some((v4.ip.into(), v4.prefixlen))
            }
            if_addrs::IfAddr::V6(v6) if IpAddr::V6(v6.ip) == address => {
                Some((v6.ip.into(), v6.prefixlen))
            }
            _ => None,
        });
    let loopback = [
        (IpAddr::V4(Ipv4Addr::LOCALHOST), 8),
        (IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 128),
    ];
    networks(admin.chain(loopback))
}

/// Whose queries are passed on at Docker's bridges.
fn containers(bridges: &[if_addrs::Ifv4Addr]) -> Vec<IpNet> {
    let bridges = bridges.iter();
    let bridges = bridges.map(|bridge| (IpAddr::V4(bridge.ip), bridge.prefixlen));
    networks(bridges.chain([DOCKER_POOL]))
}

fn networks(nets: impl Iterator<Item = (IpAddr, u8)>) -> Vec<IpNet> {
    nets.filter_map(|(ip, prefix)| IpNet::new(ip, prefix).ok())
        .map(|net| net.trunc())
        .collect()
}
