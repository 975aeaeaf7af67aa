//! The registry, used by real engines by its name, over TLS, with no insecure-registry setting.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::Cluster;
use harness::lab::{self, Lab};
use harness::needs::{self, Need};
use harness::process::Process;
use harness::story::Story;
use harness::{binary, wait};

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

/// A service that speaks S3, on the switch of the lab.
struct Bucket {
    service: Process,
}

impl Bucket {
    const AT: &str = "http://10.77.0.1:5583";

    fn start(lab: &Lab, folder: &std::path::Path) -> Result<Self> {
        let mut command = lab.command(moto()?.to_str().context("an odd path")?);
        command.args(["-H", "0.0.0.0", "-p", "5583"]);
        let service = Process::spawn("moto", command, &folder.join("moto.log"))?;
        let bucket = format!("{}/images", Self::AT);
        // It wants to see a signature, and checks none.
        let signature = "Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/\
                         aws4_request, SignedHeaders=host, Signature=x";
        wait::for_fact("there is a bucket", STARTS_WITHIN, || {
            let mut curl = lab.command("curl");
            curl.args(["-sf", "-X", "PUT", "-H", signature, &bucket]);
            harness::process::run(&mut curl).map(drop)
        })?;
        Ok(Self { service })
    }
}

/// Where `tests/setup.sh` put it.
fn moto() -> Result<std::path::PathBuf> {
    Ok(binary::target_directory()?.join("moto/bin/moto_server"))
}

#[test]
fn on_s3_what_one_host_took_the_next_one_gives() -> Result<()> {
    let test = "on_s3_what_one_host_took_the_next_one_gives";
    let moto = moto()?.to_string_lossy().into_owned();
    if !can_run(test) || !needs::met(test, &[Need::Program("curl"), Need::File(moto.leak())]) {
        return Ok(());
    }
    let story = Story::of("on S3, what one host took the next one gives");
    let lab = Arc::new(Lab::new()?);
    let folder = harness::scratch::Scratch::new("bucket")?;
    let mut bucket = Bucket::start(&lab, folder.path())?;
    let s3 = format!(
        "{{ bucket: images, region: us-east-1, regionendpoint: \"{}\", accesskey: a, \
         secretkey: b, secure: false, rootdirectory: /pictures, chunksize: 5242880, \
         storageclass: REDUCED_REDUNDANCY, redirect: false }}",
        Bucket::AT
    );
    let cluster = Cluster::of(3)
        .in_lab(&lab)
        .docker()
        .registry_on(&s3)
        .start()?;
    cluster.wait("a push succeeds", STARTS_WITHIN, || {
        push(&cluster, "s1", "kept")
    })?;
    let old = host(&cluster)?;
    story.phase(&format!("kill -9 of the agent on {old}, which took it"));
    cluster.node(&old).kill()?;
    let other = ["s1", "s2", "s3"].into_iter().find(|name| *name != old);
    let other = other.context("three servers")?;
    let (took, pulled) = wait::timed(|| {
        // An engine may first wait for the address that it was given before.
        cluster.wait("the next host gives it, by name", STARTS_WITHIN, || {
            let now = host(&cluster)?;
            ensure!(now != old, "DNS still names {now}");
            pull(&cluster, other, "kept").map(drop)
        })
    });
    pulled?;
    story.phase(&format!("pulled after {:.1} s", took.as_secs_f64()));
    ensure!(bucket.service.is_running(), "the bucket's service ended");
    Ok(())
}
