//! Questions over UDP, written and read by hand: nothing but the server's own time counts.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::Result;

/// Asks one server.
pub(crate) struct Resolver {
    socket: UdpSocket,
    server: SocketAddr,
    id: u16,
}

impl Resolver {
    /// For `server`; no answer within `timeout` is an error.
    pub(crate) fn new(server: SocketAddr, timeout: Duration) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(timeout))?;
        Ok(Self {
            socket,
            server,
            id: 0,
        })
    }

    /// The addresses of `name`; none for a name that does not exist.
    pub(crate) fn addresses(&mut self, name: &str) -> Result<Vec<Ipv4Addr>> {
        self.id = self.id.wrapping_add(1);
        self.socket.send_to(&question(self.id, name), self.server)?;
        let mut packet = [0; 4096];
        loop {
            let (length, from) = self.socket.recv_from(&mut packet)?;
            let packet = packet.get(..length).unwrap_or_default();
            if from == self.server && packet.starts_with(&self.id.to_be_bytes()) {
                return Ok(answers(packet).unwrap_or_default());
            }
        }
    }
}

fn question(id: u16, name: &str) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).unwrap_or(63));
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    packet
}

fn answers(packet: &[u8]) -> Option<Vec<Ipv4Addr>> {
    let number = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    let count = number(6)?;
    let mut at = past_name(packet, 12)? + 4;
    let mut found = Vec::new();
    for _ in 0..count {
        at = past_name(packet, at)?;
        let (kind, length) = (number(at)?, number(at + 8)?);
        at += 10;
        if (kind, length) == (1, 4) {
            let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
            found.push(bytes.into());
        }
        at += usize::from(length);
    }
    Some(found)
}

fn past_name(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *packet.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer >= 0xc0 => return Some(at + 2),
            label => at += usize::from(label) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_out_of_an_answer() {
        let mut packet = question(7, "web.service");
        packet[7] = 2;
        for last in [1, 2] {
            packet.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, last]);
        }
        let expected = vec![Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];
        assert_eq!(answers(&packet), Some(expected));
        assert_eq!(answers(&packet[..20]), None);
    }
}
