//! Machines that find each other by a tag, on AWS: against moto, and against a stand-in whose
//! instances are this machine's loopback addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::amazon::{Ec2, Mood};
use harness::moto::Moto;
use harness::process::{self, mortal};
use harness::story::Story;
use harness::{Cluster, Node, binary, needs, wait};
use serde_json::Value;

const INSTANCES: &str = include_str!("discover_aws/instances.py");

/// A question to a DNS server that waits for nobody takes no longer than this.
const PROMPT: Duration = Duration::from_secs(1);
/// Until an agent's ports are bound, on a busy machine.
const BINDS_WITHIN: Duration = Duration::from_secs(15);

/// `swarmer discover`, on a machine that is no node of AWS's.
fn discover(words: &[&str]) -> Result<Output> {
    let mut command = mortal(binary::swarmer()?);
    command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
    process::output(command.arg("discover").args(words))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn source(moto: &Moto, more: &str) -> String {
    let url = moto.url();
    format!(
        "provider=aws tag_key=swarmer tag_value=vagrant-dev endpoint={url} access_key_id=any secret_access_key=any {more}"
    )
}

#[test]
fn moto_s_instances_are_listed_and_those_left_out_are_told() -> Result<()> {
    let name = "moto_s_instances_are_listed_and_those_left_out_are_told";
    if !needs::met(name, &[Moto::need()?]) {
        return Ok(());
    }
    let story = Story::of("moto's instances are listed, and those left out are told");
    let moto = Moto::start()?;
    let made: BTreeMap<String, Value> = serde_json::from_str(&moto.python(INSTANCES)?)?;
    story.phase("five machines have the tag, a sixth has another cluster's");

    let output = discover(&[&source(&moto, "region=eu-west-1")])?;
    let table = text(&output.stdout);
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split("  ").collect())
        .collect();
    ensure!(rows.len() == 6, "a heading and five machines: {table}");
    for (name, made) in &made {
        let id = made["id"].as_str().context("an id")?;
        let line = table.lines().find(|line| line.contains(id));
        let line = line.with_context(|| format!("{name} ({id}) is in {table}"))?;
        let told = match name.as_str() {
            "stopped" => "no: it is stopped".to_owned(),
            "gone" => "no: it is terminated".to_owned(),
            _ => format!("{}:8300", made["private"].as_str().context("an address")?),
        };
        ensure!(
            line.contains(name.as_str()) && line.contains(&told),
            "{told}: {line}"
        );
    }

    story.phase("programs read JSON, with the public addresses if they ask for them");
    let output = discover(&[
        "--json",
        &source(&moto, "region=eu-west-1 addr_type=public_v4"),
    ])?;
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let one = rows
        .iter()
        .find(|row| row["name"] == "node-1")
        .context("node-1")?;
    let public = made["node-1"]["public"]
        .as_str()
        .context("a public address")?;
    ensure!(one["address"] == format!("{public}:8300"), "{one}");

    story.phase("in a wrong region there is nothing, and that is said with what to compare");
    let output = discover(&[&source(&moto, "region=eu-west-2")])?;
    let said = text(&output.stderr);
    ensure!(output.status.code() == Some(1), "{:?}", output.status);
    ensure!(
        said.contains("nothing was found") && said.contains("region"),
        "{said}"
    );
    ensure!(output.stdout.is_empty(), "{}", text(&output.stdout));
    Ok(())
}

#[test]
fn a_node_s_file_is_shown_entry_by_entry_and_trouble_as_the_agent_tells_it() -> Result<()> {
    let story = Story::of("a node's file is shown entry by entry");
    let cloud = Ec2::start(Mood::Answers(vec!["127.0.0.7".parse()?]))?;
    let cluster = Cluster::of(1).prepare()?;
    let node = cluster.node("s1");
    node.reconfigure(|settings| {
        settings.join = vec![format!("{} port=8444", cloud.source()), "127.0.0.8".into()];
    });
    std::fs::write(node.config_path(), node.settings().to_string())?;
    let file = node.config_path().display().to_string();
    let table = text(&discover(&["--config", &file])?.stdout);
    for address in ["127.0.0.7:8444", "127.0.0.8:8300"] {
        ensure!(table.contains(address), "{table}");
    }

    story.phase("the cloud refuses: its words, what to do, and what the other entries give");
    cloud.is_now(Mood::Refuses(
        403,
        "UnauthorizedOperation",
        "You are not authorized.",
    ));
    let output = discover(&["--config", &file])?;
    ensure!(output.status.code() == Some(1), "{:?}", output.status);
    let (table, said) = (text(&output.stdout), text(&output.stderr));
    ensure!(table.contains("127.0.0.8:8300"), "{table}");
    let line = "discovery: DescribeInstances: UnauthorizedOperation: You are not authorized. (the role or user needs ec2:DescribeInstances";
    ensure!(said.contains(line), "{said}");
    ensure!(!said.contains(Ec2::SECRET), "{said}");

    story.phase("a wrong argument is a wrong command line");
    for words in [
        "provider=aws tag_key=a",
        "provider=aws tag_key=a tag_value=b addr_type=x",
        "nobody",
    ] {
        let output = discover(&[words])?;
        ensure!(
            output.status.code() == Some(2),
            "{words}: {:?}",
            output.status
        );
    }
    Ok(())
}

#[test]
fn three_agents_that_know_only_a_tag_form_one_cluster() -> Result<()> {
    let story = Story::of("three agents that know only a tag form one cluster");
    let cluster = Cluster::of(3).workers(1).prepare()?;
    let addresses: Vec<IpAddr> = cluster.nodes().iter().map(Node::address).collect();
    let cloud = Ec2::start(Mood::Answers(Vec::new()))?;
    for node in cluster.nodes() {
        node.reconfigure(|settings| settings.join = vec![cloud.source()]);
    }
    cluster.start_all()?;
    story.phase(
        "at first the cloud shows none of them, as before their tags are there, and they say so",
    );
    wait::for_fact("each has asked", Duration::from_secs(20), || {
        ensure!(
            cloud.asked().len() >= 4,
            "{} questions",
            cloud.asked().len()
        );
        Ok(())
    })?;
    wait::for_fact("it is said", Duration::from_secs(5), || {
        let log = cluster.node("s1").log();
        ensure!(log.contains("0 machines have the tags"), "{log}");
        Ok(())
    })?;
    cloud.is_now(Mood::Answers(addresses));
    cluster.wait_serving()?;
    story.phase("the cluster serves");
    let asked = cloud.asked();
    let wanted = "Filter.1.Name=tag%3Aswarmer&Filter.1.Value.1=test-dev";
    ensure!(asked.iter().all(|body| body.contains(wanted)), "{asked:?}");
    cluster.node("w1").kv_put("found", "by tag")?;
    for server in cluster.servers() {
        ensure!(server.kv_get("found")?.as_deref() == Some(&b"by tag"[..]));
    }
    no_secret(&cluster)
}

#[test]
fn a_cloud_that_hangs_or_refuses_delays_neither_dns_nor_a_formed_cluster() -> Result<()> {
    let story = Story::of("a cloud that hangs or refuses delays nothing");
    let cluster = Cluster::of(3).prepare()?;
    let addresses: Vec<String> = cluster
        .nodes()
        .iter()
        .map(|node| node.address().to_string())
        .collect();
    let cloud = Ec2::start(Mood::Hangs)?;
    for node in cluster.nodes() {
        node.reconfigure(|settings| {
            settings.join.clone_from(&addresses);
            settings.join.push(cloud.source());
        });
    }
    cluster.start_all()?;
    story.phase("the cloud hangs: DNS answers as soon as it is bound");
    dns_is_prompt(cluster.node("s1"))?;
    cluster.wait_serving()?;
    ensure!(!cloud.asked().is_empty(), "nobody asked the cloud");

    story.phase("the cloud refuses: a node that starts again is back as fast as ever");
    cloud.is_now(Mood::Refuses(
        403,
        "UnauthorizedOperation",
        "You are not authorized.",
    ));
    let follower = cluster.follower()?;
    follower.restart()?;
    cluster.wait("it serves again", Duration::from_secs(10), || {
        follower.kv_put("again", follower.name())
    })?;
    no_secret(&cluster)
}

#[test]
fn trouble_is_told_at_most_once_a_minute() -> Result<()> {
    let story = Story::of("trouble is told at most once a minute");
    let cloud = Ec2::start(Mood::Refuses(
        503,
        "RequestLimitExceeded",
        "Request limit exceeded.",
    ))?;
    let cluster = Cluster::of(3).prepare()?;
    let node = cluster.node("s1");
    node.reconfigure(|settings| settings.join = vec![cloud.source()]);
    node.start()?;
    story.phase("a lone server asks again and again, ever more seldom");
    wait::for_fact("it has asked three times", Duration::from_secs(40), || {
        ensure!(
            cloud.asked().len() >= 3,
            "{} questions",
            cloud.asked().len()
        );
        Ok(())
    })?;
    let log = node.log();
    let told = log.lines().filter(|line| line.contains("discovery:"));
    let told: Vec<&str> = told.collect();
    ensure!(told.len() == 1, "{told:?}");
    let words =
        "DescribeInstances: RequestLimitExceeded: Request limit exceeded.; asking again later";
    ensure!(told[0].contains(words), "{told:?}");
    story.phase("meanwhile DNS answers");
    dns_is_prompt(node)?;
    no_secret(&cluster)
}

/// On a busy machine not every answer is prompt; where each waited for the cloud, none would be.
fn dns_is_prompt(node: &Node) -> Result<()> {
    wait::for_fact("DNS answers at once", BINDS_WITHIN, || {
        let (took, answer) = wait::timed(|| node.resolve("nobody.service.dev.test"));
        // A node without a cluster says Server Failure.
        if let Err(error) = answer {
            ensure!(error.to_string().contains("says"), "{error:#}");
        }
        ensure!(took < PROMPT, "it took {took:?}");
        Ok(())
    })
}

fn no_secret(cluster: &Cluster) -> Result<()> {
    for node in cluster.nodes() {
        node.is_decent()?;
        let name = node.name();
        ensure!(
            !node.log().contains(Ec2::SECRET),
            "the log of {name} has the key"
        );
    }
    Ok(())
}
