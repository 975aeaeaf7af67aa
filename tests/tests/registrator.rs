//! Containers that real engines run, found by name on other nodes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::Cluster;
use harness::lab::{self, Lab};
use harness::needs;
use harness::story::Story;
use harness::wait;

const IMAGE: &str = "busybox:test";
/// What happens to a container is in everyone's DNS within a second; a busy machine gets more.
const SOON: Duration = Duration::from_secs(20);
/// Engines that start and join on two busy cores.
const JOINS_WITHIN: Duration = Duration::from_secs(90);

/// `docker run -d` of busybox on `node` as a web server on port 80, called and named `name`, with
/// these options, and those of `more` that have spaces in them.
fn run(cluster: &Cluster, node: &str, name: &str, options: &str, more: &[&str]) -> Result<()> {
    let named = format!("SERVICE_NAME={name}");
    let start = ["run", "-d", "--name", name, "-e", &named];
    let options: Vec<&str> = options.split(' ').collect();
    let web = [IMAGE, "httpd", "-f", "-p", "80"];
    let words = [&start[..], &options, more, &web].concat();
    cluster.engine(node).docker(&words).map(drop)
}

/// Fails unless the DNS of `asked` names just `nodes` for a service.
fn names(cluster: &Cluster, asked: &str, service: &str, nodes: &[&str]) -> Result<()> {
    let found = cluster
        .node(asked)
        .resolve(&format!("{service}.service.dev.test"))?;
    let mut wanted: Vec<_> = nodes
        .iter()
        .map(|node| cluster.node(node).address())
        .collect();
    wanted.sort();
    ensure!(found == wanted, "{asked} answers {found:?}, not {wanted:?}");
    Ok(())
}

/// Waits until it does, and says how long that took.
fn soon(cluster: &Cluster, asked: &str, service: &str, nodes: &[&str]) -> Result<Duration> {
    let fact = format!("{service} is {nodes:?} on {asked}");
    let (took, named) =
        wait::timed(|| cluster.wait(&fact, SOON, || names(cluster, asked, service, nodes)));
    named?;
    eprintln!("    {fact} after {} ms", took.as_millis());
    Ok(took)
}

/// Where a service is, by its SRV record: someone answers there.
fn answers(cluster: &Cluster, asked: &str, service: &str) -> Result<()> {
    let found = cluster
        .node(asked)
        .dig(&format!("{service}.service.dev.test"), "SRV")?;
    let record = found
        .data("SRV")
        .into_iter()
        .next()
        .context("no SRV record")?;
    let port = record.split(' ').nth(2).context("no port")?.parse()?;
    let name = format!("{service}.service.dev.test");
    let address = cluster.node(asked).resolve(&name)?;
    let address = *address.first().context("no address")?;
    let to = SocketAddr::new(address, port);
    let connected = cluster.node(asked).place().connect(to);
    connected
        .map(drop)
        .with_context(|| format!("connect to {to}"))
}

#[test]
fn containers_are_found_by_name_as_long_as_they_run() -> Result<()> {
    if !needs::met(
        "containers_are_found_by_name_as_long_as_they_run",
        lab::ENGINE_NEEDS,
    ) {
        return Ok(());
    }
    let story = Story::of("containers are found by name on other nodes as long as they run");
    let lab = Arc::new(Lab::new()?);
    let cluster = Cluster::of(1).workers(1).in_lab(&lab).docker().start()?;
    for node in ["s1", "w1"] {
        cluster.engine(node).import_busybox(IMAGE)?;
    }

    story.phase("docker run -d -P -e SERVICE_NAME=web on the worker is web on the server");
    run(&cluster, "w1", "web", "-P --expose 80", &[])?;
    soon(&cluster, "s1", "web", &["w1"])?;
    answers(&cluster, "s1", "web")?;

    story.phase("the same on another node: two addresses; stopped: one again");
    run(&cluster, "s1", "web", "-P --expose 80", &[])?;
    soon(&cluster, "w1", "web", &["s1", "w1"])?;
    cluster.engine("s1").docker(&["stop", "-t", "0", "web"])?;
    soon(&cluster, "w1", "web", &["w1"])?;
    cluster.engine("s1").docker(&["start", "web"])?;
    soon(&cluster, "w1", "web", &["s1", "w1"])?;

    story.phase("Docker's health check decides whether it is in DNS");
    its_health_counts(&cluster)?;
    story.phase("a check that is a command runs in the container");
    its_command_counts(&cluster)?;
    story.phase("what stops while the agent is away is gone when it is back; the rest is not");
    the_agent_comes_back(&cluster)?;
    story.phase("the engine dies with its containers and starts again: all is read anew");
    the_engine_comes_back(&cluster)?;
    cluster.still_serves()
}

fn its_health_counts(cluster: &Cluster) -> Result<()> {
    let options = "-P --expose 80 --health-retries 1 --health-interval 1s";
    let check = ["--health-cmd", "[ ! -e /tmp/sick ]"];
    run(cluster, "w1", "frail", options, &check)?;
    soon(cluster, "s1", "frail", &["w1"])?;
    let inside = |line: &str| {
        let engine = cluster.engine("w1");
        engine.docker(&["exec", "frail", "sh", "-c", line])
    };
    inside("echo > /tmp/sick")?;
    soon(cluster, "s1", "frail", &[])?;
    inside("rm /tmp/sick")?;
    soon(cluster, "s1", "frail", &["w1"]).map(drop)
}

fn its_command_counts(cluster: &Cluster) -> Result<()> {
    let options = "-p 8081:80 -l SERVICE_CHECK_INTERVAL=1s";
    let check = ["-e", "SERVICE_CHECK_CMD=cat /tmp/fit || exit 2"];
    run(cluster, "w1", "checked", options, &check)?;
    cluster.wait("the check has failed in the container", SOON, || {
        let checks = cluster.node("w1").http_get("/v1/agent/checks")?;
        ensure!(checks.text().contains("No such file"), "{}", checks.text());
        Ok(())
    })?;
    names(cluster, "s1", "checked", &[])?;
    let fit = ["exec", "checked", "sh", "-c", "echo > /tmp/fit"];
    cluster.engine("w1").docker(&fit)?;
    soon(cluster, "s1", "checked", &["w1"]).map(drop)
}

fn the_agent_comes_back(cluster: &Cluster) -> Result<()> {
    let agent = cluster.node("w1");
    let body = r#"{"Name":"byhand","Port":7}"#;
    let put = agent.http_put("/v1/agent/service/register", body)?;
    put.ok()?;
    soon(cluster, "s1", "byhand", &["w1"])?;
    agent.kill()?;
    cluster.engine("w1").docker(&["rm", "-f", "frail"])?;
    agent.start()?;
    soon(cluster, "s1", "web", &["s1", "w1"])?;
    soon(cluster, "s1", "frail", &[])?;
    soon(cluster, "s1", "byhand", &["w1"])?;
    // Out of the catalog, not only out of DNS.
    cluster.wait("nothing is left of frail", SOON, || {
        let rows = cluster
            .node("s1")
            .http_get("/v1/catalog/service/frail")?
            .text();
        ensure!(rows == "[]", "{rows}");
        Ok(())
    })
}

fn the_engine_comes_back(cluster: &Cluster) -> Result<()> {
    run(cluster, "w1", "phoenix", "-p 8090:80 --restart always", &[])?;
    soon(cluster, "s1", "phoenix", &["w1"])?;
    let agent = cluster.node("w1").pid()?;
    cluster.engine("w1").kill()?;
    cluster.engine("w1").resume()?;
    soon(cluster, "s1", "web", &["s1"])?;
    soon(cluster, "s1", "phoenix", &["w1"])?;
    cluster.wait("phoenix answers", SOON, || {
        answers(cluster, "s1", "phoenix")
    })?;
    names(cluster, "s1", "byhand", &["w1"])?;
    ensure!(cluster.node("w1").pid()? == agent && cluster.node("w1").is_running());
    run(cluster, "w1", "after", "-p 8091:80", &[])?;
    soon(cluster, "s1", "after", &["w1"]).map(drop)
}

#[test]
fn a_swarm_service_is_where_its_tasks_are() -> Result<()> {
    if !needs::met("a_swarm_service_is_where_its_tasks_are", lab::ENGINE_NEEDS) {
        return Ok(());
    }
    let story = Story::of("a Swarm service with a port of the hosts' is where its tasks are");
    let lab = Arc::new(Lab::new()?);
    let cluster = Cluster::of(1).workers(1).in_lab(&lab).docker().start()?;
    for node in ["s1", "w1"] {
        cluster.engine(node).import_busybox(IMAGE)?;
    }
    cluster.wait("both engines are in one Swarm", JOINS_WITHIN, || {
        let listed = cluster.engine("s1").docker(&["node", "ls"])?;
        ensure!(listed.matches("Ready").count() == 2, "{listed}");
        Ok(())
    })?;

    story.phase("one task on each node, named by a label that only managers see");
    let port = ["--publish", "mode=host,target=80,published=8088"];
    let create = [
        "service",
        "create",
        "-d",
        "--no-resolve-image",
        "--mode",
        "global",
    ];
    let label = ["--name", "shop", "--label", "SERVICE_NAME=mall"];
    let create = [
        &create[..],
        &port,
        &label,
        &[IMAGE, "httpd", "-f", "-p", "80"],
    ]
    .concat();
    cluster.engine("s1").docker(&create)?;
    cluster.wait("mall is on both nodes", JOINS_WITHIN, || {
        names(&cluster, "w1", "mall", &["s1", "w1"])
    })?;
    answers(&cluster, "s1", "mall")?;
    names(&cluster, "s1", "shop", &[])?;

    story.phase("a drained node has no task, and no service");
    let drain = ["node", "update", "--availability", "drain", "w1"];
    cluster.engine("s1").docker(&drain)?;
    soon(&cluster, "w1", "mall", &["s1"])?;

    story.phase("the service goes, and so does its name");
    cluster.engine("s1").docker(&["service", "rm", "shop"])?;
    soon(&cluster, "w1", "mall", &[])?;
    cluster.still_serves()
}
