//! Four hosts with real Docker Engines, from nothing but their files, in one Swarm.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::Cluster;
use harness::lab::{self, Lab};
use harness::needs;
use harness::story::Story;

/// Engines that start, join and elect on two busy cores.
const JOINS_WITHIN: Duration = Duration::from_secs(90);

/// `hostname status availability manager-status` of each node, as the manager on `through` lists them.
fn nodes(cluster: &Cluster, through: &str) -> Result<Vec<String>> {
    let format = "{{.Hostname}} {{.Status}} {{.ManagerStatus}}";
    let listed = cluster
        .engine(through)
        .docker(&["node", "ls", "--format", format])?;
    Ok(listed.lines().map(|line| line.trim().to_owned()).collect())
}

fn is_whole(listed: &[String]) -> Result<()> {
    let ready = listed.iter().filter(|line| line.contains(" Ready")).count();
    let managers = listed
        .iter()
        .filter(|l| l.contains("Leader") || l.contains("Reachable"))
        .count();
    ensure!((listed.len(), ready, managers) == (4, 4, 3), "{listed:?}");
    Ok(())
}

#[test]
fn four_engines_are_one_swarm() -> Result<()> {
    if !needs::met("four_engines_are_one_swarm", lab::ENGINE_NEEDS) {
        return Ok(());
    }
    let story = Story::of("four engines are one Swarm: three managers, one worker");
    let lab = Arc::new(Lab::new()?);
    let cluster = Cluster::of(3).workers(1).in_lab(&lab).docker().start()?;
    story.phase("the cluster serves; its agents bring the engines into one Swarm");
    // One that was promoted a moment ago may not manage yet.
    cluster.wait(
        "three managers and a worker are Ready, each manager says",
        JOINS_WITHIN,
        || {
            let managers = ["s1", "s2", "s3"];
            let mut said = managers.iter().map(|name| nodes(&cluster, name));
            said.try_for_each(|nodes| is_whole(&nodes?))
        },
    )?;

    story.phase("a service runs on all of them");
    for name in ["s1", "s2", "s3", "w1"] {
        cluster.engine(name).import_busybox("busybox:test")?;
    }
    let create = [
        "service", "create", "-d", "--name", "sleeper", "--mode", "global",
    ];
    let create = [
        &create[..],
        &["--no-resolve-image", "busybox:test", "sleep", "3600"],
    ]
    .concat();
    cluster.engine("s2").docker(&create)?;
    cluster.wait("every engine runs a task of it", JOINS_WITHIN, || {
        for name in ["s1", "s2", "s3", "w1"] {
            let running = cluster.engine(name).docker(&["ps", "-q"])?;
            ensure!(
                running.lines().count() == 1,
                "{name} runs {:?}",
                running.lines().count()
            );
        }
        Ok(())
    })?;

    story.phase("an agent that is killed and started again changes nothing of the Swarm");
    let before = nodes(&cluster, "s1")?;
    cluster.node("s2").restart()?;
    cluster.node("w1").restart()?;
    cluster.wait_serving()?;
    let after = nodes(&cluster, "s1")?;
    ensure!(
        before.len() == after.len(),
        "before: {before:?}, after: {after:?}"
    );
    is_whole(&after)
}

#[test]
fn s2_a_foreign_swarm_is_left_alone() -> Result<()> {
    if !needs::met("s2_a_foreign_swarm_is_left_alone", lab::ENGINE_NEEDS) {
        return Ok(());
    }
    let story =
        Story::of("an engine in a Swarm that the agent did not make is left alone, and reported");
    let lab = Arc::new(Lab::new()?);
    let cluster = Cluster::of(1).workers(1).in_lab(&lab).docker().prepare()?;
    let own = cluster.node("w1").address().to_string();
    cluster
        .engine("w1")
        .docker(&["swarm", "init", "--advertise-addr", &own])?;
    cluster.engine("w1").import_busybox("busybox:test")?;
    let create = [
        "service",
        "create",
        "-d",
        "--no-resolve-image",
        "--name",
        "theirs",
    ];
    cluster
        .engine("w1")
        .docker(&[&create[..], &["busybox:test", "sleep", "3600"]].concat())?;
    let id = ["info", "--format", "{{.Swarm.Cluster.ID}}"];
    let before = cluster.engine("w1").docker(&id)?;
    cluster.start_all()?;
    cluster.wait_serving()?;
    story.phase("the cluster serves; the foreign Swarm must stay, and the log must say why");
    cluster.wait(
        "the log of w1 says that it found a Swarm it did not make",
        JOINS_WITHIN,
        || {
            let log = cluster.node("w1").log().to_lowercase();
            ensure!(log.contains("neither made nor joined"), "it does not");
            Ok(())
        },
    )?;
    let after = cluster.engine("w1").docker(&id)?;
    ensure!(
        before == after,
        "the engine was in {before}, and is in {after}"
    );
    Ok(())
}
