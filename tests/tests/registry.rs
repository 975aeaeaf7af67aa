//! The registry, used by real engines by its name, over TLS, with no insecure-registry setting.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::Cluster;
use harness::lab::{self, Lab};
use harness::needs::{self, Need};
use harness::story::Story;
use harness::wait;

const NAME: &str = "registry.service.dev.test";
const IMAGE: &str = "registry.service.dev.test:5000/app";
/// Until a registry serves at first, on two busy cores with four engines.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// Until another host serves. The bound of the benchmarks is 5 s and 8 s.
const MOVES_WITHIN: Duration = Duration::from_secs(20);

fn can_run(test: &str) -> bool {
    needs::met(
        test,
        &[lab::ENGINE_NEEDS, &[Need::Program("docker-registry")]].concat(),
    )
}

/// The name of the node that DNS names as the registry's host.
fn host(cluster: &Cluster) -> Result<String> {
    let asked = cluster
        .nodes()
        .iter()
        .find(|node| node.is_running())
        .context("no node runs")?;
    let found = asked.resolve(NAME)?;
    ensure!(found.len() == 1, "{NAME} is {found:?}");
    let host = cluster
        .nodes()
        .iter()
        .find(|node| node.address() == found[0]);
    Ok(host.context("an address of no node")?.name().to_owned())
}

/// Makes an image on `node`'s engine and pushes it.
fn push(cluster: &Cluster, node: &str, tag: &str) -> Result<()> {
    let image = format!("{IMAGE}:{tag}");
    let engine = cluster.engine(node);
    engine.import_busybox(&image)?;
    engine.docker(&["push", &image]).map(drop)
}

fn pull(cluster: &Cluster, node: &str, tag: &str) -> Result<String> {
    let image = format!("{IMAGE}:{tag}");
    let engine = cluster.engine(node);
    // What the engine has already would prove nothing.
    let _ = engine.docker(&["rmi", "-f", &image]);
    engine.docker(&["pull", &image])
}

#[test]
fn images_are_pushed_and_pulled_by_name_and_the_registry_moves_when_its_host_dies() -> Result<()> {
    if !can_run("images_are_pushed_and_pulled_by_name_and_the_registry_moves_when_its_host_dies") {
        return Ok(());
    }
    let story = Story::of(
        "images are pushed and pulled by name, and the registry moves when its host dies",
    );
    let lab = Arc::new(Lab::new()?);
    let cluster = Cluster::of(3)
        .workers(1)
        .in_lab(&lab)
        .docker()
        .registry()
        .start()?;
    cluster.wait("DNS names one registry host", STARTS_WITHIN, || {
        host(&cluster)
    })?;
    story.phase("a worker's engine pushes, a server's engine pulls");
    cluster.wait("a push succeeds", STARTS_WITHIN, || {
        push(&cluster, "w1", "first")
    })?;
    pull(&cluster, "s2", "first")?;

    let old = host(&cluster)?;
    story.phase(&format!(
        "kill -9 of the agent on {old}, which serves the registry"
    ));
    cluster.node(&old).kill()?;
    let (took, moved) = wait::timed(|| {
        cluster.wait(
            "another host serves, and DNS names it",
            MOVES_WITHIN,
            || {
                let now = host(&cluster)?;
                ensure!(now != old, "DNS still names {now}");
                push(&cluster, "w1", "second")
            },
        )
    });
    moved?;
    story.phase(&format!("pushed again after {:.1} s", took.as_secs_f64()));
    let other = if old == "s2" { "s3" } else { "s2" };
    pull(&cluster, other, "second")?;

    story.phase(
        "what was pushed before is on the dead host's disk: a clean 404 until mirroring comes",
    );
    let gone = pull(&cluster, other, "first");
    let error = gone
        .err()
        .map(|error| error.to_string())
        .context("the image is there")?;
    ensure!(
        error.contains("not found") || error.contains("unknown"),
        "not a clean 404: {error}"
    );
    Ok(())
}

#[test]
fn with_shared_storage_nothing_is_lost_with_its_host() -> Result<()> {
    if !can_run("with_shared_storage_nothing_is_lost_with_its_host") {
        return Ok(());
    }
    let story = Story::of("with shared storage no image is lost with the host");
    let lab = Arc::new(Lab::new()?);
    let cluster = Cluster::of(3)
        .in_lab(&lab)
        .docker()
        .shared_registry()
        .start()?;
    cluster.wait("a push succeeds", STARTS_WITHIN, || {
        push(&cluster, "s1", "kept")
    })?;
    let old = host(&cluster)?;
    story.phase(&format!(
        "the link of {old}, which serves the registry, is cut"
    ));
    lab.isolate(&old)?;
    let other = ["s1", "s2", "s3"]
        .into_iter()
        .find(|name| *name != old)
        .context("three servers")?;
    let (took, pulled) = wait::timed(|| {
        // An engine that was given the old address would wait for it for a quarter of a minute.
        cluster.wait("DNS names another host", MOVES_WITHIN, || {
            let found = cluster.node(other).resolve(NAME)?;
            let dead = cluster.node(&old).address();
            ensure!(
                !found.is_empty() && !found.contains(&dead),
                "it names {found:?}"
            );
            Ok(())
        })?;
        cluster.wait(
            "the image is pulled from another host",
            MOVES_WITHIN,
            || pull(&cluster, other, "kept").map(drop),
        )
    });
    pulled?;
    story.phase(&format!(
        "pulled again after {:.1} s; the link heals",
        took.as_secs_f64()
    ));
    lab.heal_all()?;
    cluster.wait_serving()?;
    pull(&cluster, &old, "kept").map(drop)
}
