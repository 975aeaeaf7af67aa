//! Stories that need several parts of the room. Handshakes run in memory, on a clock that the
//! story owns.

mod doors;
mod join;
mod leaves;
mod rpc;
mod texts;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use super::*;
use crate::model::{ClusterId, Name, NodeId, Role};

const CLUSTER: ClusterId = ClusterId::from_u128(0xc1);
const OTHER_CLUSTER: ClusterId = ClusterId::from_u128(0xc2);
const BIRTH: SystemTime = SystemTime::UNIX_EPOCH;
/// Some day in 2027.
const START: u64 = 1_800_000_000;
const HOUR: u64 = 3600;

fn at(seconds: u64) -> SystemTime {
    BIRTH + Duration::from_secs(seconds)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A clock that only the story moves.
#[derive(Clone)]
struct Time(Arc<AtomicU64>);

impl Time {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(START)))
    }

    fn now(&self) -> SystemTime {
        at(self.0.load(Ordering::Relaxed))
    }

    fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn clock(&self) -> tls::WallClock {
        let time = self.clone();
        tls::WallClock::new(move || time.now())
    }
}

fn ca(cluster: ClusterId, now: SystemTime) -> Ca {
    Ca::generate(cluster, &name("vagrant"), &name("dev"), now).unwrap()
}

fn subject(ca: &Ca, node: u128, role: Role) -> Subject {
    Subject {
        cluster: ca.cluster(),
        node: NodeId::from_u128(node),
        role,
        name: name(&format!("{role}-{node}")),
        stack: name("vagrant"),
        dc: name("dev"),
        address: Some(IpAddr::V4(Ipv4Addr::new(192, 168, 101, 101))),
    }
}

/// A node that has joined, or an operator.
struct Node {
    key: NodeKey,
    store: Arc<CertStore>,
    time: Time,
}

impl Node {
    fn blank(time: &Time) -> Self {
        Self {
            key: NodeKey::generate().unwrap(),
            store: CertStore::with_clock(time.clock()),
            time: time.clone(),
        }
    }

    fn new(ca: &Ca, node: u128, role: Role, time: &Time) -> Self {
        let made = Self::blank(time);
        made.renew(ca, node, role);
        made
    }

    fn renew(&self, ca: &Ca, node: u128, role: Role) {
        let csr = Csr::new(&self.key, "web").unwrap();
        let cert = sign(ca, &csr, node, role, self.time.now());
        self.store.trust(ca.cert_pem()).unwrap();
        self.store.replace(&cert, &self.key).unwrap();
    }

    fn door(&self) -> Arc<ServerConfig> {
        tls::rpc_server_config(self.store.clone()).unwrap()
    }

    fn join_door(&self) -> Arc<ServerConfig> {
        tls::join_server_config(&self.key).unwrap()
    }

    fn calls(&self) -> Arc<ClientConfig> {
        tls::rpc_client_config(self.store.clone()).unwrap()
    }

    /// The same node where the clock is wrong.
    fn at_time(&self, ca: &Ca, cert_pem: &str, time: &Time) -> Self {
        let key = NodeKey::from_der(self.key.der()).unwrap();
        let store = CertStore::with_clock(time.clock());
        store.trust(ca.cert_pem()).unwrap();
        store.replace(cert_pem, &key).unwrap();
        let time = time.clone();
        Self { key, store, time }
    }
}

fn sign(ca: &Ca, csr: &Csr, node: u128, role: Role, now: SystemTime) -> String {
    let subject = subject(ca, node, role);
    ca.sign(csr, &subject, now, Lifetime::default()).unwrap()
}

/// Who gave up a handshake, and why.
#[derive(Debug)]
enum Failed {
    Client(rustls::Error),
    Server(rustls::Error),
}

impl Failed {
    fn refused_by_client(self) -> Refused {
        match self {
            Self::Client(error) => through_io(error),
            other => panic!("the client was to refuse, but: {other:?}"),
        }
    }

    fn refused_by_server(self) -> Refused {
        match self {
            Self::Server(error) => through_io(error),
            other => panic!("the server was to refuse, but: {other:?}"),
        }
    }
}

/// The way on which a caller gets it from a TLS stream.
fn through_io(error: rustls::Error) -> Refused {
    let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
    Refused::of(&error).unwrap_or_else(|| panic!("not about a certificate: {error}"))
}

type Ends = (ClientConnection, ServerConnection);

fn connect(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Result<Ends, Failed> {
    shake(client_end(client), ServerConnection::new(server).unwrap())
}

fn client_end(config: Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    ClientConnection::new(config, name).unwrap()
}

/// Carries bytes to and fro until both are silent, which is after tickets would have come.
fn shake(mut client: ClientConnection, mut server: ServerConnection) -> Result<Ends, Failed> {
    while client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            server.read_tls(&mut wire).unwrap();
            server.process_new_packets().map_err(Failed::Server)?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            client.read_tls(&mut wire).unwrap();
            client.process_new_packets().map_err(Failed::Client)?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}
