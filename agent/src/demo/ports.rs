//! Loopback addresses and ports that are free. Every node of a demo has the same ports, on an
//! address of its own, so that they read like a real cluster's.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use super::DemoError;
use crate::model::Ports;

/// The usual ports; DNS on Consul's, since 53 needs root.
const PORTS: Ports = Ports {
    rpc: 8300,
    http: 8500,
    https: 8501,
    dns: 8600,
    registry: 5000,
    docker: 0,
};
/// Whoever listens on 0.0.0.0 has a port on every address: then others are tried.
const SHIFTS: [u16; 3] = [0, 10_000, 20_000];
/// A demo's addresses are 127.77.x.y, with y from a multiple of this.
const BLOCK: usize = 16;
const LAST: usize = 250;

/// Free addresses, held until the nodes are about to take them.
pub(super) struct Reserved {
    pub(super) addresses: Vec<Ipv4Addr>,
    pub(super) ports: Ports,
    _held: Vec<(Vec<TcpListener>, UdpSocket)>,
}

/// Finds addresses for `count` nodes, beginning where `folder` says, so that a demo that is
/// started again in the same folder has the same addresses.
pub(super) fn reserve(folder: &Path, count: usize) -> Result<Reserved, DemoError> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for shift in SHIFTS {
        let ports = shifted(shift);
        for addresses in candidates(seed(folder), count) {
            match addresses.iter().map(|ip| hold(*ip, ports)).collect() {
                Ok(held) => {
                    return Ok(Reserved {
                        addresses,
                        ports,
                        _held: held,
                    });
                }
                Err(error) => last = error,
            }
        }
    }
    Err(DemoError::NoPorts { last })
}

fn shifted(shift: u16) -> Ports {
    Ports {
        rpc: PORTS.rpc + shift,
        http: PORTS.http + shift,
        https: PORTS.https + shift,
        dns: PORTS.dns + shift,
        registry: PORTS.registry + shift,
        docker: PORTS.docker,
    }
}

/// Blocks of `count` addresses, each block once.
fn candidates(seed: usize, count: usize) -> impl Iterator<Item = Vec<Ipv4Addr>> {
    let step = if count < BLOCK { BLOCK } else { LAST };
    let rows = LAST / step;
    let blocks = 256 * rows;
    (0..blocks).map(move |turn| {
        let block = (seed + turn) % blocks;
        let first = (block % rows) * step + 1;
        let octet = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
        let address = |at| Ipv4Addr::new(127, 77, octet(block / rows), octet(first + at));
        (0..count).map(address).collect()
    })
}

/// FNV-1a: the same for the same folder, on every run.
fn seed(folder: &Path) -> usize {
    let bytes = folder.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    usize::try_from(hash).unwrap_or_default()
}

fn hold(ip: Ipv4Addr, ports: Ports) -> io::Result<(Vec<TcpListener>, UdpSocket)> {
    let tcp = [
        ports.rpc,
        ports.http,
        ports.https,
        ports.dns,
        ports.registry,
    ];
    let tcp = tcp.map(|port| TcpListener::bind(SocketAddr::from((ip, port))));
    let tcp = tcp.into_iter().collect::<io::Result<_>>()?;
    let udp = UdpSocket::bind(SocketAddr::from((ip, ports.dns)))?;
    Ok((tcp, udp))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_blocks_share_an_address_and_none_is_a_network_s_own() {
        for count in [1, 4, 15, 16, 109] {
            let mut seen = BTreeSet::new();
            for block in candidates(12_345, count) {
                assert_eq!(block.len(), count);
                for address in block {
                    assert!(seen.insert(address), "{address} twice");
                    assert!((1..=250).contains(&address.octets()[3]), "{address}");
                }
            }
            assert!(seen.len() >= 256 * count);
        }
    }

    #[test]
    fn a_second_demo_in_the_same_place_gets_other_addresses() {
        let first = reserve(Path::new("/tmp/ports-test"), 3).unwrap();
        let second = reserve(Path::new("/tmp/ports-test"), 3).unwrap();
        assert!(
            first
                .addresses
                .iter()
                .all(|a| !second.addresses.contains(a))
        );
    }
}
