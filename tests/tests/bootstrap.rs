//! Exactly one cluster forms, whatever the order and the delay.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::faults::Faults;
use harness::story::Story;
use harness::wait;
use harness::{Cluster, Node};

/// Long enough for servers to do the wrong thing, if they would.
const PATIENCE: Duration = Duration::from_secs(3);

/// The ids of the servers' clusters and all that they hold must be one: a key written through one node
/// is read through every other.
fn is_one_cluster(cluster: &Cluster) -> Result<()> {
    for writer in cluster.nodes() {
        let key = format!("one-cluster/{}", writer.name());
        writer.kv_put(&key, writer.name())?;
        for reader in cluster.nodes() {
            let found = reader.kv_get(&key)?;
            let (writer, reader) = (writer.name(), reader.name());
            ensure!(
                found.is_some(),
                "{reader} does not know what {writer} wrote"
            );
        }
    }
    cluster.wait(
        "all nodes follow one leader",
        Duration::from_secs(5),
        || {
            let leaders = cluster.nodes().iter().map(Node::leader_address);
            let leaders = leaders.collect::<Result<BTreeSet<String>>>()?;
            ensure!(leaders.len() == 1, "the nodes follow {leaders:?}");
            Ok(())
        },
    )
}

/// Who the node says that it is.
fn id(node: &Node) -> Result<String> {
    let own: serde_json::Value = node.http_get("/v1/agent/self")?.json()?;
    Ok(own["Config"]["NodeID"].to_string())
}

#[test]
fn three_servers_and_a_worker_started_together_are_one_cluster() -> Result<()> {
    let story = Story::of("three servers and a worker started together are one cluster");
    let cluster = Cluster::of(3).workers(1).start()?;
    story.phase("the cluster serves");
    is_one_cluster(&cluster)
}

#[test]
fn servers_that_start_in_any_order_and_late_are_one_cluster() -> Result<()> {
    let story = Story::of("servers that start in any order and late are one cluster");
    let mut faults = Faults::from_environment();
    let cluster = Cluster::of(3).workers(1).prepare()?;
    for node in faults.shuffled(cluster.nodes().iter().collect()) {
        story.phase(&format!("{} starts", node.name()));
        node.start()?;
        wait::a_while(
            "the next one is late",
            Duration::from_millis(faults.below(1500)),
        );
    }
    cluster.wait_serving()?;
    is_one_cluster(&cluster)
}

#[test]
fn b1_workers_that_discovery_finds_too_do_not_count_as_servers() -> Result<()> {
    let story = Story::of("workers that discovery finds too do not count as servers");
    let cluster = Cluster::of(3).workers(4).prepare()?;
    let all: Vec<String> = cluster
        .nodes()
        .iter()
        .map(|node| node.address().to_string())
        .collect();
    for node in cluster.nodes() {
        node.reconfigure(|settings| settings.join.clone_from(&all));
    }
    story.phase("every node is told of all seven addresses");
    cluster.start_all()?;
    cluster.wait_serving()?;
    is_one_cluster(&cluster)
}

#[test]
fn nothing_forms_while_one_server_is_missing_and_all_once_it_comes() -> Result<()> {
    let story = Story::of("nothing forms while one server is missing, and all once it comes");
    let cluster = Cluster::of(3).prepare()?;
    story.phase("two of three start: fewer than `expect`, so they must wait");
    cluster.node("s1").start()?;
    cluster.node("s3").start()?;
    wait::that_it_stays("two of three servers form nothing", PATIENCE, || {
        for name in ["s1", "s3"] {
            let node = cluster.node(name);
            ensure!(node.is_running(), "{name} has exited:\n{}", node.log());
            ensure!(node.leader_address().is_err(), "{name} follows a leader");
        }
        Ok(())
    })?;
    story.phase("the third comes");
    cluster.node("s2").start()?;
    cluster.wait_serving()?;
    is_one_cluster(&cluster)
}

#[test]
fn a_single_server_is_a_cluster() -> Result<()> {
    let story = Story::of("a single server is a cluster");
    let cluster = Cluster::of(1).workers(1).start()?;
    is_one_cluster(&cluster)?;
    story.phase("it comes back by itself, with what it had");
    cluster.node("s1").kv_put("before", "the kill")?;
    cluster.node("s1").restart()?;
    cluster.wait("the key is there again", Duration::from_secs(10), || {
        let found = cluster.node("s1").kv_get("before")?;
        ensure!(found.as_deref() == Some(b"the kill"), "it has {found:?}");
        Ok(())
    })
}

#[test]
fn a_wiped_server_joins_and_never_forms_a_second_cluster() -> Result<()> {
    let story = Story::of("a wiped server joins and never forms a second cluster");
    let cluster = Cluster::of(3).start()?;
    cluster.node("s1").kv_put("kept", "by the others")?;
    story.phase("one server loses its disk and starts with the file it always had");
    cluster.node("s2").wipe()?;
    cluster.node("s2").start()?;
    cluster.wait(
        "the wiped server has what the others kept",
        Duration::from_secs(40),
        || {
            let found = cluster.node("s2").kv_get("kept")?;
            ensure!(
                found.as_deref() == Some(b"by the others"),
                "it has {found:?}"
            );
            Ok(())
        },
    )?;
    cluster.wait_serving()?;
    is_one_cluster(&cluster)
}

#[test]
fn r2_a_server_that_lost_its_raft_folder_alone_comes_back_as_another() -> Result<()> {
    let story = Story::of("a server that lost its raft folder alone comes back as another");
    let cluster = Cluster::of(3).start()?;
    let victim = cluster.node("s2");
    let before = id(victim)?;
    victim.kill()?;
    story.phase("its log and its votes are gone, its certificate and its key are not");
    std::fs::remove_dir_all(victim.settings().data_dir.join("raft"))?;
    victim.start()?;
    let status = victim.exit(Duration::from_secs(10))?;
    ensure!(status.code() == Some(1), "it ended with {status}");
    let log = victim.log();
    ensure!(log.contains("no longer knows what it voted for"), "{log}");
    story.phase("what starts it again finds a new server");
    victim.start()?;
    cluster.wait_serving()?;
    let after = id(victim)?;
    ensure!(before != after, "it is {after} again");
    is_one_cluster(&cluster)
}

#[test]
fn servers_killed_while_they_form_are_one_cluster_in_the_end() -> Result<()> {
    let story = Story::of("servers killed while they form are one cluster in the end");
    let mut faults = Faults::from_environment();
    let cluster = Cluster::of(3).prepare()?;
    cluster.start_all()?;
    // Twice each: who is lost three times within a minute has to prove itself first.
    let twice = cluster.nodes().iter().chain(cluster.nodes());
    for (round, victim) in faults.shuffled(twice.collect()).into_iter().enumerate() {
        wait::a_while(
            "the bootstrap goes on",
            Duration::from_millis(faults.below(250)),
        );
        story.phase(&format!(
            "kill {round}: {} dies in the middle of it",
            victim.name()
        ));
        victim.restart()?;
    }
    story.phase("no more faults: they must heal and serve");
    cluster.wait_serving()?;
    is_one_cluster(&cluster)
}

#[test]
fn r10_a_cluster_killed_at_once_comes_back_with_all_it_acknowledged() -> Result<()> {
    let story = Story::of("a cluster killed at once comes back with all it acknowledged");
    let cluster = Cluster::of(3).workers(1).start()?;
    for number in 0..50 {
        cluster
            .node("w1")
            .kv_put(&format!("all/{number}"), number.to_string())?;
    }
    story.phase("every node is killed, then started in another order");
    for node in cluster.nodes() {
        node.kill()?;
    }
    for name in ["w1", "s3", "s1", "s2"] {
        cluster.node(name).start()?;
    }
    cluster.wait_serving()?;
    for number in 0..50 {
        let found = cluster.node("s2").kv_get(&format!("all/{number}"))?;
        ensure!(
            found.as_deref() == Some(number.to_string().as_bytes()),
            "{number} is {found:?}"
        );
    }
    Ok(())
}
