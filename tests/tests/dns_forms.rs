//! Every form of a name, asked of every node, with `dig`.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::dns::{self, Dig};
use harness::settings::Role;
use harness::story::Story;
use harness::{Cluster, Node};

/// Names travel to the nodes' own memory within this.
const TRAVEL: Duration = Duration::from_secs(5);

/// Two instances of `web` on w1 and s2, one with a tag, and their names known everywhere.
fn cluster_with_web() -> Result<Cluster> {
    let cluster = Cluster::of(3).workers(1).start()?;
    let web = r#"{"Name": "web", "Port": 80, "Tags": ["blue"]}"#;
    cluster
        .node("w1")
        .http_put("/v1/agent/service/register", web)?
        .ok()?;
    let web = r#"{"Name": "web", "Port": 8080}"#;
    cluster
        .node("s2")
        .http_put("/v1/agent/service/register", web)?
        .ok()?;
    cluster.wait("every DNS knows both instances", TRAVEL, || {
        for node in cluster.nodes() {
            let found = node.resolve("web.service.dev.test")?.len();
            ensure!(found == 2, "{} names {found}", node.name());
        }
        Ok(())
    })?;
    Ok(cluster)
}

fn addresses(nodes: &[&Node]) -> Vec<String> {
    let mut all: Vec<String> = nodes
        .iter()
        .map(|node| node.address().to_string())
        .collect();
    all.sort();
    all
}

fn expect_a(node: &Node, name: &str, wanted: &[&Node]) -> Result<Dig> {
    let dig = node.dig(name, "A")?;
    let wanted = addresses(wanted);
    ensure!(
        dig.data("A") == wanted,
        "{name} at {} must be {wanted:?}:\n{}",
        node.name(),
        dig.text
    );
    ensure!(
        dig.flags.contains(&"aa".to_owned()),
        "{name} is our own to answer:\n{}",
        dig.text
    );
    ensure!(
        dig.authority.is_empty(),
        "a positive answer has no authority section:\n{}",
        dig.text
    );
    Ok(dig)
}

#[test]
fn every_name_form_on_every_node() -> Result<()> {
    let story = Story::of("every form of a name, on every node");
    let cluster = cluster_with_web()?;
    let (w1, s2) = (cluster.node("w1"), cluster.node("s2"));
    for node in cluster.nodes() {
        story.phase(&format!("names asked of {}", node.name()));
        for name in [
            "web.service.dev.test",
            "web.service.test",
            "web.service.dev",
            "web.service.consul",
            "web.service.dev.consul",
            "WEB.Service.Dev.Test",
        ] {
            expect_a(node, name, &[w1, s2])?;
        }
        for name in [
            "blue.web.service.dev.test",
            "_web._blue.service.dev.test",
            "blue.web.service.consul",
        ] {
            expect_a(node, name, &[w1])?;
        }
        for other in cluster.nodes() {
            for domain in ["dev.test", "test", "dev", "consul", "dev.consul"] {
                expect_a(node, &format!("{}.node.{domain}", other.name()), &[other])?;
            }
        }
        let servers: Vec<&Node> = cluster
            .nodes()
            .iter()
            .filter(|n| n.role() == Role::Server)
            .collect();
        expect_a(node, "consul.service.consul", &servers)?;
    }
    Ok(())
}

#[test]
fn srv_and_ptr_on_every_node() -> Result<()> {
    let story = Story::of("SRV with its targets' addresses, and PTR, on every node");
    let cluster = cluster_with_web()?;
    let (w1, s2) = (cluster.node("w1"), cluster.node("s2"));
    for node in cluster.nodes() {
        story.phase(&format!("asked of {}", node.name()));
        for name in [
            "web.service.dev.test",
            "_web._tcp.service.dev.test",
            "_web._tcp.service.consul",
        ] {
            let dig = node.dig(name, "SRV")?;
            let srv = dig.data("SRV");
            ensure!(srv.len() == 2, "two instances:\n{}", dig.text);
            for (instance, port) in [(w1, "80"), (s2, "8080")] {
                let record = srv
                    .iter()
                    .find(|record| record.split(' ').nth(2) == Some(port));
                let target = record.and_then(|record| record.split(' ').nth(3));
                let target = target.with_context(|| format!("no port {port}:\n{}", dig.text))?;
                let glue = dig.additional.iter().find(|record| record.name == target);
                let address = instance.address().to_string();
                ensure!(
                    glue.is_some_and(|glue| glue.data == address),
                    "{target} needs its address {address} beside it:\n{}",
                    dig.text
                );
            }
        }
        let dig = node.dig(&w1.address().to_string(), "PTR")?;
        ensure!(
            dig.data("PTR") == ["w1.node.dev.test."],
            "the node's name:\n{}",
            dig.text
        );
    }
    Ok(())
}

#[test]
fn what_does_not_exist_says_so() -> Result<()> {
    let story = Story::of("what does not exist says so, with an SOA, and nothing waits");
    let cluster = cluster_with_web()?;
    for node in cluster.nodes() {
        story.phase(&format!("asked of {}", node.name()));
        for name in [
            "nosuch.service.dev.test",
            "nosuch.node.dev.test",
            "dev.web.dev.test",
        ] {
            let dig = node.dig(name, "A")?;
            ensure!(dig.status == "NXDOMAIN", "{name}:\n{}", dig.text);
            ensure!(
                dig.authority.iter().any(|record| record.kind == "SOA"),
                "{name}:\n{}",
                dig.text
            );
        }
        let dig = node.dig("web.service.dev.test", "AAAA")?;
        ensure!(
            dig.status == "NOERROR" && dig.answers.is_empty(),
            "no IPv6:\n{}",
            dig.text
        );
        ensure!(
            dig.authority.iter().any(|record| record.kind == "SOA"),
            "no data:\n{}",
            dig.text
        );
    }
    Ok(())
}

#[test]
fn long_answers_are_cut_for_udp_and_whole_over_tcp() -> Result<()> {
    let story =
        Story::of("a long answer is cut for a small UDP packet, with TC, and whole over TCP");
    let cluster = Cluster::of(1).start()?;
    let node = cluster.node("s1");
    for number in 1..=60 {
        let body = format!(
            r#"{{"Node": "ext{number}", "Address": "192.0.2.{number}",
                "Service": {{"Service": "many", "Port": 1000}}}}"#
        );
        node.http_put("/v1/catalog/register", body)?.ok()?;
    }
    cluster.wait("all sixty are answered over TCP", TRAVEL, || {
        let dig = node.dig_with("many.service.dev.test", "A", &["+tcp"])?;
        ensure!(dig.data("A").len() == 60, "{}", dig.data("A").len());
        Ok(())
    })?;
    story.phase("dig without EDNS, over UDP, does not ask again");
    let dig = node.dig_with("many.service.dev.test", "A", &["+noedns", "+ignore"])?;
    ensure!(
        dig.flags.contains(&"tc".to_owned()),
        "a cut answer carries TC:\n{}",
        dig.text
    );
    ensure!(!dig.answers.is_empty(), "what fits is there:\n{}", dig.text);
    story.phase("with 4096 bytes of room all of it fits");
    let dig = node.dig_with("many.service.dev.test", "A", &["+bufsize=4096", "+ignore"])?;
    ensure!(
        dig.data("A").len() == 60 && !dig.flags.contains(&"tc".to_owned()),
        "{}",
        dig.text
    );
    Ok(())
}

#[test]
fn names_that_are_not_ours_are_refused_without_recursors() -> Result<()> {
    let _story = Story::of("names that are not ours are refused without recursors");
    let cluster = Cluster::of(1).start()?;
    for name in ["example.org", "go.dev", "www.test"] {
        let dig = cluster.node("s1").dig(name, "A")?;
        ensure!(dig.status == "REFUSED", "{name}:\n{}", dig.text);
    }
    Ok(())
}

#[test]
fn names_that_are_not_ours_are_recursed() -> Result<()> {
    let story = Story::of("names that are not ours are recursed: `dev` is a public domain, too");
    let upstream = dns::upstream(Ipv4Addr::new(192, 0, 2, 9))?;
    let cluster = Cluster::of(1).prepare()?;
    let node = cluster.node("s1");
    node.reconfigure(|settings| settings.recursors = Some(format!("[\"{upstream}\"]")));
    node.start()?;
    cluster.wait_serving()?;
    for name in ["example.org", "go.dev", "www.test"] {
        let dig = node.dig(name, "A")?;
        ensure!(dig.data("A") == ["192.0.2.9"], "{name}:\n{}", dig.text);
    }
    story.phase("our own names never leave the node");
    let dig = node.dig("nosuch.service.dev.test", "A")?;
    ensure!(
        dig.status == "NXDOMAIN" && dig.answers.is_empty(),
        "{}",
        dig.text
    );
    Ok(())
}
