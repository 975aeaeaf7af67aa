//! Which address this node has in the admin network.

use std::net::IpAddr;
use std::time::Duration;

use super::AgentError;
use crate::config::AdminNetwork;
use crate::task::clock;

/// An address may come late: DHCP, cloud-init, a slow switch.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(500);

/// Waits for the address.
pub(super) async fn wait_for(network: &AdminNetwork) -> Result<IpAddr, AgentError> {
    let begun = clock::now();
    let mut said = false;
    loop {
        let host = host_addresses();
        // Any loopback address is there, although the system lists only one.
        if let AdminNetwork::Address(address) = network
            && address.is_loopback()
        {
            return Ok(*address);
        }
        if let Some(address) = network.pick(&host) {
            return Ok(address);
        }
        let found = host
            .iter()
            .map(|(interface, address)| format!("{address} on {interface}"))
            .collect::<Vec<_>>()
            .join(", ");
        if clock::now().saturating_duration_since(begun) >= PATIENCE {
            let (wanted, waited) = (network.to_string(), PATIENCE.as_secs());
            return Err(AgentError::NoAddress {
                wanted,
                waited,
                found,
            });
        }
        if !said {
            tracing::info!(%found, "waiting for an address in {network}");
            said = true;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn host_addresses() -> Vec<(String, IpAddr)> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces
        .into_iter()
        .map(|interface| (interface.name.clone(), interface.ip()))
        .collect()
}

/// The address of a bridge of Docker's, where containers reach this node.
pub(super) fn docker_bridges() -> Vec<if_addrs::Ifv4Addr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let bridges = interfaces
        .into_iter()
        .filter(|interface| ["docker0", "docker_gwbridge"].contains(&interface.name.as_str()));
    bridges
        .filter_map(|interface| match interface.addr {
            if_addrs::IfAddr::V4(address) => Some(address),
            if_addrs::IfAddr::V6(_) => None,
        })
        .collect()
}
