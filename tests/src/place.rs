//! Where a node runs: on this machine's loopback, or on a machine of a lab.

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::lab::Machine;
use crate::process::mortal;

/// How long a connection may take: on a cut link it would take minutes.
const CONNECT: Duration = Duration::from_secs(2);

/// Where a node runs, and so where its clients stand.
#[derive(Clone, Debug)]
pub enum Place {
    /// This machine, on a loopback address of the node's own.
    Loopback,
    /// A lab's machine: its own network, `/etc`, `/run`, `/var/lib` and host name.
    Machine(Arc<Machine>),
}

impl Place {
    /// A command that runs there, and dies with the test.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Loopback => mortal(program),
            Self::Machine(machine) => machine.command(program),
        }
    }

    /// A TCP connection from there.
    pub fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        self.inside(|| TcpStream::connect_timeout(&to, CONNECT))
    }

    /// A UDP socket there, connected to `to`.
    pub fn udp(&self, to: SocketAddr) -> io::Result<UdpSocket> {
        self.inside(|| {
            let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            let socket = UdpSocket::bind((any, 0))?;
            socket.connect(to)?;
            Ok(socket)
        })
    }

    /// Runs `act` in that place's network. A socket made there stays there, whoever uses it.
    fn inside<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        match self {
            Self::Loopback => act(),
            Self::Machine(machine) => machine.inside(act),
        }
    }
}
