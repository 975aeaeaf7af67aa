//! Loopback addresses of a cluster's own, so that clusters run side by side on the same ports.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// Where a claim is held: the last address of the block, on a port that no agent uses.
const CLAIM: (u8, u16) = (254, 64_999);
/// Blocks: 127.16.0.0/24 to 127.249.255.0/24. Below are the demo's and the machine's own.
const BLOCKS: u32 = 234 * 256;

/// A /24 of loopback that is this cluster's alone while it is held.
#[derive(Debug)]
pub struct Block {
    second: u8,
    third: u8,
    // Held for what its binding says to other test processes.
    _claim: UdpSocket,
}

impl Block {
    /// Claims a free block. Starts from the process id, so that claims rarely meet.
    pub fn claim() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..BLOCKS {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let number = std::process::id().wrapping_mul(16).wrapping_add(count) % BLOCKS;
            let (second, third) = (number / 256 + 16, number % 256);
            let (second, third) = (u8::try_from(second)?, u8::try_from(third)?);
            let address = Ipv4Addr::new(127, second, third, CLAIM.0);
            if let Ok(claim) = UdpSocket::bind((address, CLAIM.1)) {
                return Ok(Self {
                    second,
                    third,
                    _claim: claim,
                });
            }
        }
        None.context("claim a block of loopback addresses: all are taken")
    }

    /// The address number `host` (1 to 253) of the block.
    #[must_use]
    pub fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.second, self.third, host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clusters_never_share_an_address() {
        let (one, two) = (Block::claim().unwrap(), Block::claim().unwrap());
        assert_ne!(one.address(1), two.address(1));
    }
}
