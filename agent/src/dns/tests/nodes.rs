//! A forwarder on an operator's machine.

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::server::{Server, config};
use super::upstream::{Manner, Upstream};
use super::world::{World, query, shown};
use crate::dns::Nodes;
use crate::task::clock;

async fn ask(server: &Server, name: &str, kind: RecordType) -> String {
    shown(&server.udp(&query(name, kind, Some(1232))).await)
}

#[tokio::test]
async fn our_names_go_to_the_nodes_and_all_else_to_the_resolvers() {
    let node = Server::start(&World::new(), config("127.0.0.1", Vec::new()));
    let system = Upstream::start(Manner::Good).await;
    let nodes = Arc::new(Nodes::new(vec![node.address]));
    let forwarder = Server::forwarder(config("127.0.0.1", vec![system.address]), &nodes);
    for (name, kind) in [
        ("s1.node.dev.vagrant.", RecordType::A),
        ("s1.node.vagrant.", RecordType::A),
        ("s1.node.dev.", RecordType::A),
        ("s1.node.consul.", RecordType::A),
        ("nosuch.service.dev.vagrant.", RecordType::A),
        ("1.0.0.10.in-addr.arpa.", RecordType::PTR),
    ] {
        let direct = ask(&node, name, kind).await;
        assert_eq!(ask(&forwarder, name, kind).await, direct, "{name}");
    }
    assert_eq!(system.times(), 0, "our names stay with us");
    let good = "NoError\ngo.dev. A 192.0.2.1";
    assert_eq!(ask(&forwarder, "go.dev.", RecordType::A).await, good);
    // An address that no node knows.
    ask(&forwarder, "9.9.9.10.in-addr.arpa.", RecordType::PTR).await;
    assert_eq!(system.times(), 2);
    let packet = query("s1.node.dev.vagrant.", RecordType::A, None);
    let over_tcp = forwarder.tcp(&[packet]).await;
    assert_eq!(
        shown(&over_tcp[0]),
        "NoError\ns1.node.dev.vagrant. A 10.0.0.1"
    );
}

#[tokio::test]
async fn nodes_that_are_silent_or_know_nothing_cost_little_and_only_once() {
    let good = Server::start(&World::new(), config("127.0.0.1", Vec::new()));
    let silent = Upstream::start(Manner::Silent).await;
    let blank = Upstream::start(Manner::ServFail).await;
    let places = vec![silent.address, blank.address, good.address];
    let nodes = Arc::new(Nodes::new(places));
    let forwarder = Server::forwarder(config("127.0.0.1", Vec::new()), &nodes);
    let begun = clock::now();
    for _ in 0..5 {
        let said = ask(&forwarder, "s1.node.dev.vagrant.", RecordType::A).await;
        assert_eq!(said, "NoError\ns1.node.dev.vagrant. A 10.0.0.1");
    }
    assert!(
        begun.elapsed() < Duration::from_millis(1500),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        silent.times(),
        1,
        "who answered is asked first from then on"
    );

    nodes.replace(vec![blank.address]);
    let asked = query("s1.node.dev.vagrant.", RecordType::A, None);
    let answer = forwarder.udp(&asked).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
}
