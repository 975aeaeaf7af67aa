//! Who is trusted, for how long, and what becomes of those who are not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::story::Story;
use harness::{Cluster, Node, binary, process, wait};

/// The shortest that there is.
const SHORT: &str = "timing: { certificate: 10s }";
const ITS_LIFE: Duration = Duration::from_secs(11);

/// Logs an operator in, and says where the files are.
fn login(cluster: &Cluster) -> Result<PathBuf> {
    let swarmer = || -> Result<Command> {
        let mut command = Command::new(binary::swarmer()?);
        command.env("HOME", cluster.folder());
        Ok(command)
    };
    let derive = ["token", "derive", "operator"];
    let token = process::run(
        swarmer()?
            .args(derive)
            .env("SWARMER_TOKEN", cluster.token()),
    )?;
    let folder = cluster.folder().join("operator");
    let address = cluster.node("s1").rpc_address().to_string();
    process::run(
        swarmer()?
            .args(["login", &address, "--dir"])
            .arg(&folder)
            .env("SWARMER_TOKEN", token.trim()),
    )?;
    Ok(folder)
}

/// What curl says to this node's HTTPS, with these files: its exit code, all that it printed.
fn curl(node: &Node, ca: &Path, own: &Path) -> Result<(bool, String)> {
    let at = format!("https://{}:8501/v1/agent/self", node.address());
    let file = |folder: &Path, name: &str| folder.join(name).display().to_string();
    let answer = process::output(Command::new("curl").args([
        "-sS",
        "--cacert",
        &file(ca, "ca.pem"),
        "--cert",
        &file(own, "cert.pem"),
        "--key",
        &file(own, "key.pem"),
        &at,
    ]))?;
    let said = [&answer.stdout[..], &answer.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok((answer.status.success(), said))
}

#[test]
fn a_certificate_of_another_cluster_opens_nothing() -> Result<()> {
    let story = Story::of("a certificate of another cluster opens nothing");
    let ours = Cluster::of(1).start()?;
    let theirs = Cluster::of(1).start()?;
    let (own, foreign) = (login(&ours)?, login(&theirs)?);
    story.phase("an operator of ours is let in, one of theirs is not");
    let (let_in, said) = curl(ours.node("s1"), &own, &own)?;
    ensure!(let_in && said.contains("NodeID"), "ours: {said}");
    let (let_in, said) = curl(ours.node("s1"), &own, &foreign)?;
    ensure!(!let_in, "theirs: {said}");
    ensure!(said.contains("alert"), "theirs, without a reason: {said}");
    story.phase("nor does an operator of theirs take our server for one of theirs");
    let (let_in, said) = curl(ours.node("s1"), &foreign, &foreign)?;
    ensure!(!let_in && said.contains("certificate"), "{said}");
    ours.still_serves()
}

#[test]
fn an_expired_certificate_opens_nothing_and_says_so() -> Result<()> {
    let story = Story::of("an expired certificate opens nothing, and says so");
    let cluster = Cluster::of(1).with(SHORT).start()?;
    let files = login(&cluster)?;
    let (let_in, said) = curl(cluster.node("s1"), &files, &files)?;
    ensure!(let_in, "{said}");
    wait::a_while("the operator's certificate expires", ITS_LIFE);
    let (let_in, said) = curl(cluster.node("s1"), &files, &files)?;
    ensure!(!let_in && said.contains("expired"), "{said}");
    story.phase("the command says what to do");
    let mut status = Command::new(binary::swarmer()?);
    let status = process::output(status.arg("status").arg(files))?;
    let said = String::from_utf8_lossy(&status.stderr).into_owned();
    ensure!(!status.status.success(), "it did not fail: {said}");
    ensure!(
        said.contains("has expired") && said.contains("swarmer login"),
        "{said}"
    );
    Ok(())
}

#[test]
fn t5_a_cluster_that_was_off_for_longer_than_its_certificates_live_comes_back() -> Result<()> {
    let story =
        Story::of("a cluster that was off for longer than its certificates live comes back");
    let cluster = Cluster::of(3).workers(1).with(SHORT).start()?;
    cluster.node("w1").kv_put("kept", "through the winter")?;
    for node in cluster.nodes() {
        node.kill()?;
    }
    wait::a_while("all certificates expire", ITS_LIFE);
    story.phase("it is switched on again");
    cluster.start_all()?;
    cluster.wait_serving()?;
    let found = cluster.node("w1").kv_get("kept")?;
    ensure!(found.as_deref() == Some(b"through the winter"), "{found:?}");
    ensure!(
        cluster
            .nodes()
            .iter()
            .all(|node| node.log().contains("has expired")),
        "no certificate had expired: the story is too short"
    );
    Ok(())
}
