//! The resolvers that resolv.conf named before this node's own DNS took its place.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::disk::{DataDir, DiskError};

const RESOLV: &str = "/etc/resolv.conf";
/// The servers that systemd-resolved knows, where resolv.conf names only its stub:
/// systemd-resolved.service(8).
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
const STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
const KEPT: &str = "recursors.json";
const VERSION: u32 = 1;

/// What resolv.conf names, without this node's own addresses; if only those are left, what it
/// named when that was last otherwise.
pub(super) fn upstreams(disk: &DataDir, own: &[IpAddr]) -> Result<Vec<SocketAddr>, DiskError> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let found = behind_stub(&read(RESOLV), || read(RESOLVED), own);
    if found.is_empty() {
        return Ok(disk.read_versioned(KEPT, VERSION)?.unwrap_or_default());
    }
    disk.write_versioned(KEPT, VERSION, &found)?;
    Ok(found)
}

/// What `text` names. The stub would send cluster names, and on hosts that send it everything by
/// way of this node all others too, back to this node: its own servers are asked instead of it.
fn behind_stub(text: &str, resolved: impl FnOnce() -> String, own: &[IpAddr]) -> Vec<SocketAddr> {
    let found = parse(text, own);
    if found.iter().all(|address| address.ip() != STUB) {
        return found;
    }
    match resolved() {
        text if text.is_empty() => found,
        text => parse(&text, own),
    }
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

    #[test]
    fn resolved_s_stub_is_replaced_by_the_servers_behind_it() {
        let own: IpAddr = "127.0.0.1".parse().unwrap();
        let stub = "nameserver 127.0.0.53\noptions edns0 trust-ad\n";
        let list = || "nameserver 127.0.0.1\nnameserver 10.0.2.3\n".to_owned();
        let behind: Vec<SocketAddr> = vec!["10.0.2.3:53".parse().unwrap()];
        assert_eq!(behind_stub(stub, list, &[own]), behind);
        let none = behind_stub(stub, || "nameserver 127.0.0.1".to_owned(), &[own]);
        assert!(none.is_empty(), "a loop: {none:?}");

        let plain = behind_stub("nameserver 9.9.9.9", || unreachable!("no stub"), &[own]);
        assert_eq!(plain, ["9.9.9.9:53".parse().unwrap()]);
        let stub_only = behind_stub(stub, String::new, &[own]);
        assert_eq!(stub_only, ["127.0.0.53:53".parse().unwrap()]);
    }
}
