//! The cloud as witness: whoever is silent and has no machine any more goes at once; nobody else
//! goes any sooner for a cloud's word.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::amazon::Amazon;
use harness::story::Story;
use harness::{Cluster, Node, wait};

/// A lease, a question and a removal, on two busy cores. Without a witness it is ten minutes.
const SOON: Duration = Duration::from_secs(20);
/// In this time the cloud is asked about a silent node at least twice.
const ASKED_TWICE: Duration = Duration::from_secs(12);

fn cluster(workers: usize) -> Result<(Cluster, Amazon)> {
    let amazon = Amazon::start()?;
    let cluster = Cluster::of(3).workers(workers).prepare()?;
    for node in cluster.nodes() {
        amazon.adopt(node)?;
    }
    cluster.start_all()?;
    cluster.wait_serving()?;
    Ok((cluster, amazon))
}

/// The cluster's nodes, as `asked` says.
fn members(asked: &Node) -> Result<Vec<String>> {
    let rows: Vec<serde_json::Value> = asked.http_get("/v1/catalog/nodes")?.json()?;
    let names = rows.iter().filter_map(|row| row["Node"].as_str());
    Ok(names.map(str::to_owned).collect())
}

fn voters(asked: &Node) -> Result<usize> {
    let peers: Vec<String> = asked.http_get("/v1/status/peers")?.json()?;
    Ok(peers.len())
}

/// Every node's own row names its machine: without that there would be nothing to ask.
fn wait_machines(cluster: &Cluster) -> Result<()> {
    cluster.wait("each node says on which machine it runs", SOON, || {
        let rows: Vec<serde_json::Value> =
            cluster.node("s1").http_get("/v1/catalog/nodes")?.json()?;
        for row in &rows {
            let expected = format!("aws/i-{}", row["Node"].as_str().unwrap_or_default());
            ensure!(row["Meta"]["swarmer-machine"] == expected.as_str(), "{row}");
        }
        Ok(())
    })
}

#[test]
fn a_terminated_machine_is_no_member_within_seconds_and_any_other_word_changes_nothing()
-> Result<()> {
    let story = Story::of(
        "a terminated machine is no member within seconds; any other word changes nothing",
    );
    let (cluster, amazon) = cluster(3)?;
    let s1 = cluster.node("s1");
    wait_machines(&cluster)?;

    story.phase("w3 lives and renews, whatever the cloud says");
    amazon.change("w3", |instance| {
        "terminated".clone_into(&mut instance.state)
    });
    story.phase("w2 is killed, and its machine runs; w1 is killed, and its machine is terminated");
    cluster.node("w2").kill()?;
    amazon.change("w1", |instance| {
        "terminated".clone_into(&mut instance.state)
    });
    cluster.node("w1").kill()?;
    let (took, gone) = wait::timed(|| {
        cluster.wait("w1 is no member", SOON, || {
            let members = members(s1)?;
            ensure!(!members.contains(&"w1".to_owned()), "{members:?}");
            Ok(())
        })
    });
    gone?;
    story.phase(&format!("gone after {:.1} s", took.as_secs_f64()));
    cluster.wait("the cloud was asked about w2 more than once", SOON, || {
        let asked = amazon.count("DescribeInstances i-w2");
        ensure!(asked >= 2, "{asked} times");
        Ok(())
    })?;
    wait::that_it_stays("w2 and w3 are members", ASKED_TWICE, || {
        let members = members(s1)?;
        let both = ["w2", "w3"]
            .iter()
            .all(|name| members.contains(&(*name).to_owned()));
        ensure!(both, "{members:?}");
        Ok(())
    })?;
    let asked = amazon.count("DescribeInstances i-w3");
    ensure!(
        asked == 0,
        "w3 renews its lease, and was asked about {asked} times"
    );
    Ok(())
}

#[test]
fn a_terminated_leader_gives_its_vote_up_within_seconds() -> Result<()> {
    let story = Story::of("a leader whose machine is terminated gives its vote up within seconds");
    let (cluster, amazon) = cluster(0)?;
    wait_machines(&cluster)?;
    let leader = cluster.leader()?.name().to_owned();
    let other = cluster.follower()?.name().to_owned();
    let other = cluster.node(&other);
    story.phase(&format!(
        "the machine of {leader}, which leads, is terminated"
    ));
    amazon.change(&leader, |instance| {
        "shutting-down".clone_into(&mut instance.state)
    });
    cluster.node(&leader).kill()?;
    cluster.wait("two voters are left, and take writes", SOON, || {
        let (voters, members) = (voters(other)?, members(other)?);
        ensure!(
            voters == 2 && !members.contains(&leader),
            "{voters} voters, {members:?}"
        );
        other.kv_put("after", "the leader")
    })?;
    story.phase("a new machine takes the place, under the same name");
    let node = cluster.node(&leader);
    node.wipe()?;
    amazon.change(&leader, |instance| {
        "running".clone_into(&mut instance.state)
    });
    node.start()?;
    cluster.wait("three vote again", SOON, || {
        let voters = voters(other)?;
        ensure!(voters == 3, "{voters} voters");
        Ok(())
    })
}

#[test]
fn a_cloud_that_does_not_answer_leaves_a_silent_node_its_grace() -> Result<()> {
    let story = Story::of("a cloud that refuses to answer leaves a silent node its grace");
    let (cluster, amazon) = cluster(1)?;
    wait_machines(&cluster)?;
    story.phase("the leader has lost its credentials' rights, and w1 is killed");
    amazon.refuse(true);
    cluster.node("w1").kill()?;
    let s1 = cluster.node("s1");
    cluster.wait("the leader says so", SOON, || {
        let said = cluster
            .servers()
            .filter(|node| node.log().contains("a silent node keeps its grace"));
        ensure!(said.count() == 1, "nobody says so");
        Ok(())
    })?;
    ensure!(members(s1)?.contains(&"w1".to_owned()), "it is gone");
    amazon.refuse(false);
    amazon.change("w1", |instance| {
        "terminated".clone_into(&mut instance.state)
    });
    story.phase("it has them again");
    cluster.wait("w1 is no member", SOON, || {
        ensure!(!members(s1)?.contains(&"w1".to_owned()), "it is one");
        Ok(())
    })
}
