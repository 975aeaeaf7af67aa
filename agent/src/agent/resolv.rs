//! The resolvers that resolv.conf named before this node's own DNS took its place.

use std::net::{IpAddr, SocketAddr};

use crate::disk::{DataDir, DiskError};

const RESOLV: &str = "/etc/resolv.conf";
const KEPT: &str = "recursors.json";
const VERSION: u32 = 1;

/// What resolv.conf names, without this node's own addresses; if only those are left, what it
/// named when that was last otherwise.
pub(super) fn upstreams(disk: &DataDir, own: &[IpAddr]) -> Result<Vec<SocketAddr>, DiskError> {
    let text = std::fs::read_to_string(RESOLV).unwrap_or_default();
    let found = parse(&text, own);
    if found.is_empty() {
        return Ok(disk.read_versioned(KEPT, VERSION)?.unwrap_or_default());
    }
    disk.write_versioned(KEPT, VERSION, &found)?;
    Ok(found)
}

fn parse(text: &str, own: &[IpAddr]) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .filter(|address: &IpAddr| !own.contains(address))
        .map(|address| SocketAddr::new(address, 53))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_addresses_are_no_upstreams_and_the_last_others_are_remembered() {
        let own: IpAddr = "10.0.0.1".parse().unwrap();
        let text = "search a\nnameserver 10.0.0.1\n nameserver 9.9.9.9 # x\nnameserver nonsense\n";
        assert_eq!(parse(text, &[own]), ["9.9.9.9:53".parse().unwrap()]);
        assert!(parse("nameserver 10.0.0.1", &[own]).is_empty());
    }
}
