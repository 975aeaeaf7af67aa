use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::world::{DC, STACK, World, query, word};
use crate::dns::{Dns, DnsConfig, DnsError, DnsStats, Nodes};
use crate::store::Store;
use crate::task::{Shutdown, TaskHandle, spawn};

/// A server on loopback; it stops when this is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) store: Arc<Store>,
    pub(super) stats: Arc<DnsStats>,
    shutdown: Shutdown,
    running: Option<TaskHandle<Result<(), DnsError>>>,
}

pub(super) fn config(address: &str, recursors: Vec<SocketAddr>) -> DnsConfig {
    DnsConfig {
        dc: word(DC),
        stack: word(STACK),
        listen: vec![address.parse().unwrap()],
        listen_later: Vec::new(),
        port: 0,
        recursors,
        recurse_for: vec!["127.0.0.0/8".parse().unwrap()],
        recurse_for_later: Vec::new(),
        ttl: 0,
    }
}

impl Server {
    /// An operator's forwarder to these nodes.
    pub(super) fn forwarder(config: DnsConfig, nodes: &Arc<Nodes>) -> Self {
        let dns = Dns::forwarder(config, Arc::clone(nodes)).unwrap();
        let shutdown = Shutdown::new();
        Self {
            address: dns.addresses()[0],
            store: Store::new(false),
            stats: Arc::default(),
            running: Some(spawn("dns", dns.serve(shutdown.clone()))),
            shutdown,
        }
    }

    pub(super) fn start(world: &World, config: DnsConfig) -> Self {
        let (store, stats) = (world.store(), Arc::new(DnsStats::default()));
        let dns = Dns::bind(config, Arc::clone(&store), Arc::clone(&stats)).unwrap();
        let shutdown = Shutdown::new();
        Self {
            address: dns.addresses()[0],
            store,
            stats,
            running: Some(spawn("dns", dns.serve(shutdown.clone()))),
            shutdown,
        }
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        let counters = self.stats.counters().into_iter();
        counters
            .filter(|counter| counter.name == name)
            .map(|counter| counter.count)
            .sum()
    }

    pub(super) async fn udp(&self, packet: &[u8]) -> Message {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(packet, self.address).await.unwrap();
        let mut answer = vec![0; 65_535];
        let received = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut answer));
        let length = received.await.expect("an answer within 10 s").unwrap();
        Message::from_vec(&answer[..length]).unwrap()
    }

    /// Sends all of `packets` at once over one connection and reads as many answers.
    pub(super) async fn tcp(&self, packets: &[Vec<u8>]) -> Vec<Message> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let frames = packets.iter().map(|packet| framed(packet));
        stream
            .write_all(&frames.collect::<Vec<_>>().concat())
            .await
            .unwrap();
        let mut answers = Vec::new();
        for _ in packets {
            let length = stream.read_u16().await.unwrap();
            let mut answer = vec![0; usize::from(length)];
            stream.read_exact(&mut answer).await.unwrap();
            answers.push(Message::from_vec(&answer).unwrap());
        }
        answers
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

fn framed(packet: &[u8]) -> Vec<u8> {
    [&u16::try_from(packet.len()).unwrap().to_be_bytes(), packet].concat()
}

fn world() -> World {
    let mut world = World::new();
    for n in 1..=100 {
        world.service("s1", "web", &format!("10.9.0.{n}"), 1000 + n, "");
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dig_sees_what_we_say() {
    let server = Server::start(&world(), config("127.0.0.2", Vec::new()));
    let dig = |arguments: &[&str]| {
        let output = Command::new("dig")
            .args([
                &format!("@{}", server.address.ip()),
                "-p",
                &server.address.port().to_string(),
            ])
            .args(["+tries=1", "+time=5"])
            .args(arguments)
            .output()
            .expect("dig is installed (package dnsutils)");
        String::from_utf8(output.stdout).unwrap()
    };
    tokio::task::block_in_place(|| {
        let node = dig(&["+short", "s1.node.dev.vagrant"]);
        assert_eq!(node, "10.0.0.1\n");
        let all = dig(&["+short", "web.service.dev.vagrant"]);
        assert_eq!(all.lines().count(), 100, "dig comes back over TCP: {all}");
        let cut = dig(&["+ignore", "+noedns", "web.service.dev"]);
        assert!(cut.contains("flags: qr aa tc rd;"), "{cut}");
        assert!(!cut.contains("OPT PSEUDOSECTION"), "{cut}");
        let srv = dig(&["+tcp", "_web._tcp.service.consul", "SRV"]);
        assert!(srv.contains("ANSWER: 100,"), "{srv}");
        assert!(
            srv.contains("0a090064.addr.dev.consul. 0\tIN\tA\t10.9.0.100"),
            "{srv}"
        );
        let none = dig(&["nope.service.vagrant"]);
        assert!(
            none.contains("status: NXDOMAIN") && none.contains("IN\tSOA"),
            "{none}"
        );
        let odd = dig(&["+qr", "+opcode=NOTIFY", "dev.vagrant", "SOA"]);
        assert!(odd.contains("status: NOTIMP"), "{odd}");
        let pointer = dig(&["+short", "-x", "10.0.0.1"]);
        assert_eq!(pointer, "s1.node.dev.vagrant.\n");
        let foreign = dig(&["go.dev"]);
        assert!(foreign.contains("status: REFUSED"), "{foreign}");
    });
    assert!(server.count("swarmer_dns_queries_total") >= 9);
    assert!(server.count("swarmer_dns_answers_cut_total") >= 2);
}

#[tokio::test]
async fn a_change_of_the_catalog_is_in_the_next_answer() {
    let mut world = world();
    let server = Server::start(&world, config("127.0.0.1", Vec::new()));
    let packet = query("late.service.dev.vagrant.", RecordType::A, None);
    assert_eq!(server.udp(&packet).await.answers.len(), 0);
    world.service("s1", "late", "", 1, "");
    server.store.publish(world.state.clone(), 99, &[]);
    assert_eq!(server.udp(&packet).await.answers.len(), 1);
}

#[tokio::test]
async fn many_queries_share_a_tcp_connection() {
    let server = Server::start(&world(), config("127.0.0.1", Vec::new()));
    let packets: Vec<Vec<u8>> = (0..50)
        .map(|_| query("web.service.dev.vagrant.", RecordType::A, None))
        .collect();
    let answers = server.tcp(&packets).await;
    for (packet, answer) in packets.iter().zip(answers) {
        assert_eq!(packet[..2], answer.metadata.id.to_be_bytes());
        assert_eq!(answer.answers.len(), 100);
    }
}

#[tokio::test]
async fn garbage_on_tcp_ends_the_connection_and_only_that() {
    let server = Server::start(&world(), config("127.0.0.1", Vec::new()));
    for garbage in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        &[0xff; 100],
        &[0, 3, 1, 2, 3],
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        let ended = tokio::time::timeout(Duration::from_secs(5), ended).await;
        assert!(ended.is_ok(), "{garbage:?} did not end its connection");
    }
    let packet = query("s1.node.dev.vagrant.", RecordType::A, None);
    assert_eq!(server.tcp(&[packet]).await[0].answers.len(), 1);
}

#[tokio::test]
async fn strangers_who_hold_connections_keep_only_each_other_out() {
    let mut config = config("127.0.0.1", Vec::new());
    config.recurse_for = vec!["127.0.0.1/32".parse().unwrap()];
    let server = Server::start(&world(), config);
    let packet = framed(&query("s1.node.dev.vagrant.", RecordType::A, None));
    // A stranger is one who comes from 127.0.0.9.
    let stranger = || async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.9:0".parse().unwrap()).unwrap();
        let mut stream = socket.connect(server.address).await.unwrap();
        let sent = stream.write_all(&packet).await;
        let answered = sent.is_ok() && stream.read_u16().await.is_ok();
        (stream, answered)
    };
    let mut held = Vec::new();
    for _ in 0..64 {
        let (stream, answered) = stranger().await;
        assert!(answered);
        held.push(stream);
    }
    assert!(!stranger().await.1, "the 65th stranger is turned away");
    assert_eq!(server.count("swarmer_dns_crowded_total"), 1);
    let ours = query("s1.node.dev.vagrant.", RecordType::A, None);
    assert_eq!(
        server.tcp(&[ours]).await[0].answers.len(),
        1,
        "a neighbour is not"
    );
    held.clear();
    let mut tries = 0;
    while !stranger().await.1 {
        tries += 1;
        assert!(tries < 1000, "a place is free again once a connection ends");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let server = Server::start(&world(), config("127.0.0.1", Vec::new()));
    let mut second = config("127.0.0.1", Vec::new());
    second.port = server.address.port();
    let bound = Dns::bind(second, server.store.clone(), Arc::default());
    let error = bound.err().expect("the port is taken").to_string();
    assert!(error.contains(&server.address.to_string()), "{error}");
    assert!(error.contains("dns.port"), "{error}");
}

#[tokio::test]
async fn an_address_of_another_host_is_refused_unless_it_may_come_later() {
    let absent: IpAddr = "198.51.100.77".parse().unwrap();
    let store = World::new().store();
    let wrong = config("198.51.100.77", Vec::new());
    let error = Dns::bind(wrong, Arc::clone(&store), Arc::default())
        .err()
        .unwrap();
    assert!(matches!(error, DnsError::NoSuchAddress { .. }), "{error}");
    let mut later = config("127.0.0.1", Vec::new());
    later.listen_later = vec![absent];
    assert!(Dns::bind(later, store, Arc::default()).is_ok());
}

#[tokio::test]
async fn it_stops_when_told_and_frees_its_port() {
    let world = world();
    let mut server = Server::start(&world, config("127.0.0.1", Vec::new()));
    let running = server.running.take().unwrap();
    server.shutdown.begin();
    let ended = tokio::time::timeout(Duration::from_secs(5), running.join()).await;
    assert!(ended.unwrap().unwrap().is_ok());
    let mut again = config("127.0.0.1", Vec::new());
    again.port = server.address.port();
    assert!(Dns::bind(again, world.store(), Arc::default()).is_ok());
}
