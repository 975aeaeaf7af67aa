//! The three speeds of failure (L1): out of DNS at once and reversibly, sessions later, membership last.
//! The bounds here are what no user may ever see exceeded, on two busy cores; `make bench` has the medians.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::story::Story;
use harness::{Cluster, Node, wait};

/// A dead process closes its connections: known at once.
const CLOSED: Duration = Duration::from_millis(1500);
/// A silent host is known when its lease (2 s) is over.
const SILENT: Duration = Duration::from_secs(5);
/// The same where the leader itself dies or is silent: an election comes before.
const LEADER: Duration = Duration::from_secs(10);
const NAME: &str = "web.service.dev.test";

/// Registers the service `web` on each of these nodes.
fn offer_web(nodes: &[&Node]) -> Result<()> {
    for node in nodes {
        let body = r#"{"Name": "web", "Port": 80}"#;
        node.http_put("/v1/agent/service/register", body)?.ok()?;
    }
    Ok(())
}

/// Waits until every running node's DNS names exactly `wanted` for the service.
fn wait_dns(cluster: &Cluster, within: Duration, silent: &[&str], wanted: &[&Node]) -> Result<()> {
    let mut wanted: Vec<IpAddr> = wanted.iter().map(|node| node.address()).collect();
    wanted.sort();
    cluster.wait(
        &format!("every node's DNS names {wanted:?}"),
        within,
        || {
            let awake = cluster.nodes().iter().filter(|node| node.is_running());
            for node in awake.filter(|node| !silent.contains(&node.name())) {
                let found = node.resolve(NAME)?;
                ensure!(
                    found == wanted,
                    "the DNS of {} names {found:?}",
                    node.name()
                );
            }
            Ok(())
        },
    )
}

#[test]
fn a_killed_worker_is_out_of_every_dns_at_once_and_back_when_it_starts() -> Result<()> {
    let story =
        Story::of("a killed worker is out of every node's DNS at once, and back when it starts");
    let cluster = Cluster::of(3).workers(2).start()?;
    let (w1, w2) = (cluster.node("w1"), cluster.node("w2"));
    offer_web(&[w1, w2])?;
    wait_dns(&cluster, LEADER, &[], &[w1, w2])?;
    story.phase("kill -9 of w1");
    w1.kill()?;
    let (took, gone) = wait::timed(|| wait_dns(&cluster, CLOSED, &[], &[w2]));
    gone?;
    story.phase(&format!(
        "gone after {} ms; w1 starts again with its data",
        took.as_millis()
    ));
    w1.start()?;
    wait_dns(&cluster, LEADER, &[], &[w1, w2])
}

#[test]
fn l1_a_paused_worker_loses_traffic_for_a_moment_and_nothing_else() -> Result<()> {
    let story = Story::of("a paused worker loses traffic for a moment, and nothing else");
    let cluster = Cluster::of(3).workers(2).start()?;
    let (w1, w2) = (cluster.node("w1"), cluster.node("w2"));
    offer_web(&[w1, w2])?;
    wait_dns(&cluster, LEADER, &[], &[w1, w2])?;
    let made: serde_json::Value = w1
        .http_put("/v1/session/create", r#"{"LockDelay": "0s"}"#)?
        .json()?;
    let session = made["ID"].as_str().unwrap_or_default().to_owned();
    w1.http_put(&format!("/v1/kv/lock?acquire={session}"), "w1")?
        .ok()?;

    story.phase("w1 is stopped, as by a migration: out of DNS when its lease is over");
    w1.stop()?;
    let (took, gone) = wait::timed(|| wait_dns(&cluster, SILENT, &["w1"], &[w2]));
    gone?;
    story.phase(&format!(
        "gone after {} ms; it goes on before its session's grace is over",
        took.as_millis()
    ));
    w1.cont()?;
    wait_dns(&cluster, SILENT, &[], &[w1, w2])?;
    let entry: serde_json::Value = w2.http_get("/v1/kv/lock")?.json()?;
    ensure!(
        entry[0]["Session"] == session.as_str(),
        "its lock must be its own still: {entry}"
    );

    story.phase(
        "stopped for longer than the session's grace, its session ends, and the lock with it",
    );
    w1.stop()?;
    cluster.wait("the lock is free", Duration::from_secs(20), || {
        let entry: serde_json::Value = w2.http_get("/v1/kv/lock")?.json()?;
        ensure!(entry[0].get("Session").is_none(), "{entry}");
        Ok(())
    })?;
    w1.cont()?;
    wait_dns(&cluster, LEADER, &[], &[w1, w2])
}

#[test]
fn a_killed_leader_is_replaced_and_out_of_dns() -> Result<()> {
    let story = Story::of("a killed leader is replaced, and its services are out of DNS");
    let cluster = Cluster::of(3).workers(1).start()?;
    let worker = cluster.node("w1");
    let leader = cluster.leader()?;
    offer_web(&[worker, leader])?;
    wait_dns(&cluster, LEADER, &[], &[worker, leader])?;
    story.phase(&format!("kill -9 of {}, which leads", leader.name()));
    leader.kill()?;
    let (took, writes) = wait::timed(|| {
        cluster.wait("a write succeeds again", LEADER, || {
            worker.kv_put("after", "the leader")
        })
    });
    writes?;
    story.phase(&format!("writes again after {} ms", took.as_millis()));
    wait_dns(&cluster, LEADER, &[], &[worker])
}

#[test]
fn a_silent_leader_is_replaced_and_does_not_return_as_one() -> Result<()> {
    let story = Story::of("a silent leader is replaced, and does not return as one");
    let cluster = Cluster::of(3).workers(1).start()?;
    let worker = cluster.node("w1");
    let leader = cluster.leader()?;
    offer_web(&[worker, leader])?;
    wait_dns(&cluster, LEADER, &[], &[worker, leader])?;
    leader.stop()?;
    cluster.wait("a write succeeds again", LEADER, || {
        worker.kv_put("after", "the silence")
    })?;
    wait_dns(&cluster, LEADER, &[leader.name()], &[worker])?;
    story.phase("it goes on, finds another leader, and is in DNS again");
    leader.cont()?;
    wait_dns(&cluster, LEADER, &[], &[worker, leader])?;
    cluster.wait("it reads what was written without it", LEADER, || {
        let found = leader.kv_get("after")?;
        ensure!(
            found.as_deref() == Some(b"the silence"),
            "it reads {found:?}"
        );
        Ok(())
    })
}

#[test]
fn l4_an_election_takes_no_living_node_out_of_dns() -> Result<()> {
    let story = Story::of("an election takes no living node out of DNS");
    let cluster = Cluster::of(3).workers(2).start()?;
    let (w1, w2) = (cluster.node("w1"), cluster.node("w2"));
    offer_web(&[w1, w2])?;
    wait_dns(&cluster, LEADER, &[], &[w1, w2])?;
    let leader = cluster.leader()?;
    story.phase(&format!(
        "{} dies; the workers behind it must stay in DNS all the while",
        leader.name()
    ));
    leader.kill()?;
    wait::that_it_stays(
        "both workers are in every DNS",
        Duration::from_secs(6),
        || {
            for node in cluster.nodes().iter().filter(|node| node.is_running()) {
                let found = node.resolve(NAME)?.len();
                ensure!(
                    found == 2,
                    "the DNS of {} names {found} of them",
                    node.name()
                );
            }
            Ok(())
        },
    )
}

#[test]
fn dns_answers_on_when_all_servers_are_gone() -> Result<()> {
    let story = Story::of("a worker's DNS goes on answering when all servers are gone");
    let cluster = Cluster::of(3).workers(1).start()?;
    let worker = cluster.node("w1");
    offer_web(&[worker])?;
    wait_dns(&cluster, LEADER, &[], &[worker])?;
    story.phase("all servers are killed");
    for server in cluster.servers() {
        server.kill()?;
    }
    wait::that_it_stays(
        "the worker's DNS names the service",
        Duration::from_secs(4),
        || {
            let found = worker.resolve(NAME)?;
            ensure!(found == [worker.address()], "it names {found:?}");
            Ok(())
        },
    )
}

#[test]
fn l2_an_agents_restart_is_not_an_outage() -> Result<()> {
    let story = Story::of("SIGTERM and a start within ten seconds are not an outage");
    let cluster = Cluster::of(3).workers(1).start()?;
    let worker = cluster.node("w1");
    offer_web(&[worker])?;
    wait_dns(&cluster, LEADER, &[], &[worker])?;
    story.phase("w1 is asked to stop, says that it will be back, and is");
    let status = worker.terminate()?;
    ensure!(status.success(), "it ended with {status}");
    let watcher = cluster.node("s1");
    wait::that_it_stays(
        "it stays in DNS while it restarts",
        Duration::from_secs(2),
        || {
            ensure!(watcher.resolve(NAME)? == [worker.address()], "it is out");
            Ok(())
        },
    )?;
    worker.start()?;
    wait::that_it_stays(
        "it stays in DNS after the start",
        Duration::from_secs(4),
        || {
            ensure!(watcher.resolve(NAME)? == [worker.address()], "it is out");
            Ok(())
        },
    )
}
