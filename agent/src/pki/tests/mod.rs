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
use rustls::server::Acceptor;
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

    fn clock(&self) -> WallClock {
        let time = self.clone();
        WallClock::new(move || time.now())
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
    fn new(ca: &Ca, node: u128, role: Role, time: &Time) -> Self {
        let key = NodeKey::generate().unwrap();
        let made = Self {
            key,
            store: CertStore::empty(),
            time: time.clone(),
        };
        made.renew(ca, node, role);
        made
    }

    fn renew(&self, ca: &Ca, node: u128, role: Role) {
        let csr = Csr::new(&self.key).unwrap();
        let cert = ca.sign(&csr, &subject(ca, node, role), self.time.now());
        let credentials = Credentials::new(&self.key, &cert.unwrap(), ca.cert_pem());
        self.store.set(credentials.unwrap());
    }

    fn rpc(&self) -> RpcTls {
        RpcTls::new(self.store.clone(), &self.key, &self.time.clock()).unwrap()
    }

    fn calls(&self, expect: Expect) -> Arc<ClientConfig> {
        rpc_client(self.store.clone(), expect, &self.time)
    }

    fn trust(&self) -> Trust {
        self.store.get().unwrap().trust().clone()
    }
}

fn rpc_client(store: Arc<CertStore>, expect: Expect, time: &Time) -> Arc<ClientConfig> {
    tls::rpc_client_config(store, expect, &time.clock()).unwrap()
}

/// Who gave up a handshake, and why.
#[derive(Debug)]
enum Failed {
    Hello(TlsError),
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

fn connect(client: Arc<ClientConfig>, server: &RpcTls) -> Result<Ends, Failed> {
    let mut client = client_end(client);
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let mut acceptor = Acceptor::default();
    acceptor.read_tls(&mut hello.as_slice()).unwrap();
    let accepted = acceptor.accept().unwrap().unwrap();
    let (_, config) = server
        .config_for(&accepted.client_hello())
        .map_err(Failed::Hello)?;
    let server = accepted
        .into_connection(config)
        .map_err(|(error, _)| Failed::Server(error))?;
    shake(client, server)
}

fn connect_plain(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Result<Ends, Failed> {
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
