use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::server::{Server, config};
use super::world::{World, query, shown};
use crate::task::spawn;

/// How a fake upstream behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Answers.
    Good,
    /// Sends forgeries first, then the answer.
    Forged,
    /// Says nothing.
    Silent,
    /// Has trouble of its own.
    ServFail,
    /// Knows no such name.
    NxDomain,
    /// Cuts what goes over UDP.
    Cut,
}

pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Upstream {
    pub(super) async fn start(manner: Manner) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        spawn("upstream-udp", async move {
            let mut packet = [0; 4096];
            loop {
                let (length, client) = udp.recv_from(&mut packet).await.unwrap();
                counter.fetch_add(1, Ordering::Relaxed);
                for answer in answers(manner, &packet[..length]) {
                    udp.send_to(&answer, client).await.unwrap();
                }
            }
        });
        spawn("upstream-tcp", async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let length = stream.read_u16().await.unwrap();
                let mut packet = vec![0; usize::from(length)];
                stream.read_exact(&mut packet).await.unwrap();
                let answer = answer(Manner::Good, &packet).to_vec().unwrap();
                stream
                    .write_u16(u16::try_from(answer.len()).unwrap())
                    .await
                    .unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
        Self { address, asked }
    }

    pub(super) fn times(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(manner: Manner, packet: &[u8]) -> Message {
    let mut message = Message::from_vec(packet).unwrap();
    message.metadata.message_type = MessageType::Response;
    message.metadata.recursion_available = true;
    match manner {
        Manner::ServFail => message.metadata.response_code = ResponseCode::ServFail,
        Manner::NxDomain => message.metadata.response_code = ResponseCode::NXDomain,
        Manner::Cut => message.metadata.truncation = true,
        _ => {
            let name = message.queries[0].name().clone();
            message.add_answer(Record::from_rdata(name, 60, RData::A(A::new(192, 0, 2, 1))));
        }
    }
    message
}

fn answers(manner: Manner, packet: &[u8]) -> Vec<Vec<u8>> {
    let honest = answer(manner, packet);
    let forged = |change: fn(&mut Message)| {
        let mut message = honest.clone();
        message.answers[0].data = RData::A(A::new(6, 6, 6, 6));
        change(&mut message);
        message.to_vec().unwrap()
    };
    let honest_bytes = honest.to_vec().unwrap();
    match manner {
        Manner::Silent => Vec::new(),
        Manner::Forged => vec![
            forged(|message| message.metadata.id = message.metadata.id.wrapping_add(1)),
            forged(|message| {
                message.queries[0].set_name("evil.example.".parse().unwrap());
            }),
            vec![0; 5],
            honest_bytes,
        ],
        _ => vec![honest_bytes],
    }
}

async fn server(manners: &[Manner]) -> (Server, Vec<Upstream>) {
    let mut upstreams = Vec::new();
    for manner in manners {
        upstreams.push(Upstream::start(*manner).await);
    }
    let addresses = upstreams.iter().map(|upstream| upstream.address).collect();
    (
        Server::start(&World::new(), config("127.0.0.1", addresses)),
        upstreams,
    )
}

const GOOD: &str = "NoError\ngo.dev. A 192.0.2.1";

#[tokio::test]
async fn what_is_not_ours_is_passed_on_and_ours_is_not() {
    let (server, upstreams) = server(&[Manner::Good]).await;
    let packet = query("go.dev.", RecordType::A, Some(1232));
    let answer = server.udp(&packet).await;
    assert_eq!(shown(&answer), GOOD);
    assert_eq!(
        packet[..2],
        answer.metadata.id.to_be_bytes(),
        "the client's id comes back"
    );
    assert!(answer.metadata.recursion_available && !answer.metadata.authoritative);
    for ours in [
        "nope.service.dev.",
        "nope.dev.vagrant.",
        "nope.node.consul.",
    ] {
        let answer = server.udp(&query(ours, RecordType::A, None)).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        assert!(answer.metadata.recursion_available, "RA with upstreams");
    }
    assert_eq!(upstreams[0].times(), 1);
    server
        .udp(&query("9.9.9.10.in-addr.arpa.", RecordType::PTR, None))
        .await;
    assert_eq!(
        upstreams[0].times(),
        2,
        "an unknown address is asked of the upstream"
    );
}

#[tokio::test]
async fn forged_answers_are_not_believed() {
    let (server, _upstreams) = server(&[Manner::Forged]).await;
    let answer = server.udp(&query("go.dev.", RecordType::A, None)).await;
    assert_eq!(shown(&answer), GOOD);
}

#[tokio::test]
async fn the_next_upstream_is_asked_when_one_is_silent_or_fails() {
    let (server, upstreams) = server(&[Manner::Silent, Manner::ServFail, Manner::Good]).await;
    let answer = server.udp(&query("go.dev.", RecordType::A, None)).await;
    assert_eq!(shown(&answer), GOOD);
    assert!(upstreams.iter().all(|upstream| upstream.times() == 1));
    assert_eq!(server.count("swarmer_dns_upstream_failures_total"), 2);
}

#[tokio::test]
async fn when_none_answers_it_is_servfail_and_our_own_names_go_on() {
    let (server, _upstreams) = server(&[Manner::ServFail]).await;
    let answer = server.udp(&query("go.dev.", RecordType::A, None)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(answer.metadata.recursion_available);
    let answer = server
        .udp(&query("s1.node.dev.vagrant.", RecordType::A, None))
        .await;
    assert_eq!(answer.answers.len(), 1);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_an_answer() {
    let (server, upstreams) = server(&[Manner::NxDomain, Manner::Good]).await;
    let answer = server
        .udp(&query("nope.example.", RecordType::A, None))
        .await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(upstreams[1].times(), 0);
}

#[tokio::test]
async fn a_cut_answer_is_handed_on_and_tcp_gets_all() {
    let (server, _upstreams) = server(&[Manner::Cut]).await;
    let packet = query("go.dev.", RecordType::A, None);
    assert!(server.udp(&packet).await.metadata.truncation);
    let ours = query("s1.node.dev.vagrant.", RecordType::A, None);
    let answers = server.tcp(&[packet.clone(), ours, packet]).await;
    let mut all: Vec<String> = answers.iter().map(shown).collect();
    all.sort_unstable();
    let ours = "NoError\ns1.node.dev.vagrant. A 10.0.0.1";
    assert_eq!(all, [GOOD, GOOD, ours]);
}

#[tokio::test]
async fn strangers_are_not_recursed_for() {
    let upstream = Upstream::start(Manner::Good).await;
    let mut config = config("127.0.0.1", vec![upstream.address]);
    config.recurse_for = vec!["10.0.0.0/8".parse().unwrap()];
    let server = Server::start(&World::new(), config);
    let answer = server.udp(&query("go.dev.", RecordType::A, None)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    assert!(!answer.metadata.recursion_available);
    let answer = server
        .udp(&query("s1.node.dev.vagrant.", RecordType::A, None))
        .await;
    assert_eq!(answer.answers.len(), 1, "our names are for everyone");
    assert_eq!(upstream.times(), 0);
}

#[tokio::test]
async fn containers_are_recursed_for_at_docker_s_bridge_and_nowhere_else() {
    let upstream = Upstream::start(Manner::Good).await;
    let mut config = config("127.0.0.1", vec![upstream.address]);
    config.recurse_for = vec!["10.0.0.0/8".parse().unwrap()];
    config.recurse_for_later = vec!["127.0.0.0/8".parse().unwrap()];
    let mut bridge = config.clone();
    bridge.listen_later = std::mem::take(&mut bridge.listen);
    let question = query("go.dev.", RecordType::A, None);
    let answer = Server::start(&World::new(), bridge).udp(&question).await;
    assert_eq!(shown(&answer), GOOD);
    let answer = Server::start(&World::new(), config).udp(&question).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
}

#[tokio::test]
async fn an_alias_to_a_foreign_name_is_followed_through_the_upstream() {
    let upstream = Upstream::start(Manner::Good).await;
    let mut world = World::new();
    world.outsider("mirror", "go.dev", &[]);
    let server = Server::start(&world, config("127.0.0.1", vec![upstream.address]));
    let answer = server
        .udp(&query("mirror.node.dev.vagrant.", RecordType::A, None))
        .await;
    let wanted = "NoError\ngo.dev. A 192.0.2.1\nmirror.node.dev.vagrant. CNAME go.dev.";
    assert_eq!(shown(&answer), wanted);
}

#[tokio::test]
async fn we_do_not_ask_ourselves() {
    // An address of its own, so that no other test takes the port meanwhile.
    let probe = UdpSocket::bind("127.0.0.7:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut config = config("127.0.0.7", vec![probe]);
    config.port = probe.port();
    let server = Server::start(&World::new(), config);
    let answer = server.udp(&query("go.dev.", RecordType::A, None)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    assert_eq!(server.count("swarmer_dns_forwarded_total"), 0);
}
