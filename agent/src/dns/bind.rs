//! Takes the port on every address, before anything is served.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Queries that wait while we are busy, in bytes; the kernel gives what it allows.
const RECEIVE_BUFFER: usize = 4 << 20;
/// UDP sockets an address: one for each core up to this, the kernel spreads clients over them.
const MOST_SOCKETS: usize = 4;

/// Why the DNS server could not start.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// Another process has the port.
    #[error(
        "DNS can't listen on {address} ({transport}): another process has that port. \
         `ss -lnp 'sport = :{}'` names it: stop it (systemd-resolved: DNSStubListener=no), or set dns.port",
        address.port()
    )]
    InUse {
        /// Where.
        address: SocketAddr,
        /// `udp` or `tcp`.
        transport: Protocols,
    },
    /// A port below 1024 is not for everyone.
    #[error(
        "DNS may not listen on {address} ({transport}): ports below 1024 need root or CAP_NET_BIND_SERVICE; \
         start the agent as root, or set dns.port to 1024 or more"
    )]
    NotAllowed {
        /// Where.
        address: SocketAddr,
        /// `udp` or `tcp`.
        transport: Protocols,
    },
    /// This host does not have the address.
    #[error("DNS can't listen on {address}: this host has no such address")]
    NoSuchAddress {
        /// Where.
        address: SocketAddr,
    },
    /// Anything else that the kernel said.
    #[error("DNS can't listen on {address} ({transport})")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// `udp` or `tcp`.
        transport: Protocols,
        /// What it said.
        source: io::Error,
    },
    /// There is nothing to listen on.
    #[error("DNS has no address to listen on")]
    NoAddress,
    /// The cluster's words make no zone.
    #[error("{dc:?} and {stack:?} make no DNS zone: together they are too long")]
    Zone {
        /// The data center.
        dc: String,
        /// The stack.
        stack: String,
    },
    /// A listener ended, which it should not.
    #[error("the DNS listener on {address} ended")]
    Ended {
        /// Where.
        address: SocketAddr,
    },
}

/// A transport's name in errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// The sockets of one address.
#[derive(Debug)]
pub(super) struct Door {
    /// Where it is, with the real port.
    pub(super) address: SocketAddr,
    /// For streams.
    pub(super) tcp: TcpListener,
    /// For packets.
    pub(super) udp: Vec<UdpSocket>,
}

impl Door {
    /// Takes `port` on `address`. `later`: the address may appear only after us (Docker's bridge).
    pub(super) fn open(address: IpAddr, port: u16, later: bool) -> Result<Self, DnsError> {
        let wanted = SocketAddr::new(address, port);
        // TCP first: UDP sockets share their port with any other process of this user that also
        // sets SO_REUSEPORT, a TCP listener does not.
        let tcp = listen(wanted, later).map_err(|error| explain(wanted, Protocols::Tcp, error))?;
        let address = tcp
            .local_addr()
            .map_err(|error| explain(wanted, Protocols::Tcp, error))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let udp = (0..cores.min(MOST_SOCKETS)).map(|_| packets(address, later));
        let udp: io::Result<Vec<UdpSocket>> = udp.collect();
        Ok(Self {
            address,
            tcp,
            udp: udp.map_err(|error| explain(address, Protocols::Udp, error))?,
        })
    }
}

fn listen(address: SocketAddr, later: bool) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP, later)?;
    // A restart must not wait for old connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn packets(address: SocketAddr, later: bool) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP, later)?;
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol, later: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    match address {
        SocketAddr::V4(_) if later => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            if later {
                socket.set_freebind_v6(true)?;
            }
        }
        SocketAddr::V4(_) => {}
    }
    Ok(socket)
}

fn explain(address: SocketAddr, transport: Protocols, source: io::Error) -> DnsError {
    match source.kind() {
        io::ErrorKind::AddrInUse => DnsError::InUse { address, transport },
        io::ErrorKind::PermissionDenied => DnsError::NotAllowed { address, transport },
        io::ErrorKind::AddrNotAvailable => DnsError::NoSuchAddress { address },
        _ => DnsError::Bind {
            address,
            transport,
            source,
        },
    }
}
