//! A machine that believes a cluster's CA, and then no longer, with the system's own tools.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use harness::lab::{self, Lab};
use harness::needs::{self, Need};
use harness::process;
use harness::story::Story;
use harness::{Cluster, Node, binary};

const NEEDS: &[Need] = &[
    Need::Program("update-ca-certificates"),
    Need::Program("curl"),
];

/// The system's CAs on a machine, on memory of its own: nothing outside changes.
const OWN_CAS: &str = "
mount -t tmpfs local /usr/local/share && mkdir /usr/local/share/ca-certificates
";

fn swarmer(on: &Node, words: &[&str]) -> Result<Command> {
    let mut command = on.command(binary::swarmer()?.to_str().context("a path in UTF-8")?);
    command.args(words);
    Ok(command)
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Any program of this system's, which knows nothing of Swarmer.
fn believes(on: &Node, server: &Node) -> Result<bool> {
    let address = format!("https://{}:8501/v1/status/leader", server.address());
    let curl = on.command("curl").args(["-sS", &address]).output()?;
    let text = said(&curl);
    let refused = text.contains("certificate") && !curl.status.success();
    ensure!(refused || curl.status.success(), "{text}");
    Ok(!refused)
}

#[test]
fn a_machine_believes_the_cluster_and_then_no_longer() -> Result<()> {
    let needs = [lab::NEEDS, NEEDS].concat();
    if !needs::met("a_machine_believes_the_cluster_and_then_no_longer", &needs) {
        return Ok(());
    }
    let story =
        Story::of("`swarmer trust` installs the CA with the system's own tools, and undoes it");
    let lab = Arc::new(Lab::new()?);
    let cluster = Cluster::of(1).workers(1).in_lab(&lab).start()?;
    let (server, machine) = (cluster.node("s1"), cluster.node("w1"));
    process::run(machine.command("sh").args(["-c", OWN_CAS]))?;
    let mut login = swarmer(machine, &["login", &server.address().to_string()])?;
    process::run(login.env("SWARMER_TOKEN", cluster.token()))?;
    ensure!(!believes(machine, server)?, "it is believed already");

    story.phase("it says what it will do, and does nothing without a yes");
    let trust = ["trust", "test:dev"];
    let plan = said(&swarmer(machine, &[&trust[..], &["--dry-run"]].concat())?.output()?);
    let certs = "/etc/docker/certs.d/registry.service.dev.test:5000/ca.crt";
    for line in [
        "write    /usr/local/share/ca-certificates/swarmer-test-dev.crt",
        &format!("write    {certs}"),
        "run      update-ca-certificates",
    ] {
        ensure!(plan.contains(line), "{line:?} is not in\n{plan}");
    }
    let mut no = swarmer(machine, &trust)?;
    no.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut no = no.spawn()?;
    no.stdin.take().context("no input")?.write_all(b"no\n")?;
    let no = no.wait_with_output()?;
    ensure!(no.status.code() == Some(1), "{no:?}");
    ensure!(said(&no).contains("nothing was changed"), "{}", said(&no));
    ensure!(!believes(machine, server)?, "it was done all the same");

    story.phase("with a yes, programs of this system believe the cluster");
    process::run(&mut swarmer(machine, &[&trust[..], &["--yes"]].concat())?)?;
    ensure!(believes(machine, server)?, "curl does not believe it");
    process::run(
        machine
            .command("grep")
            .args(["-q", "BEGIN CERTIFICATE", certs]),
    )?;
    let again = said(&swarmer(machine, &[&trust[..], &["--yes"]].concat())?.output()?);
    ensure!(again.contains("nothing needs to be done"), "{again}");

    story.phase("and it can be undone");
    process::run(&mut swarmer(
        machine,
        &[&trust[..], &["--undo", "--yes"]].concat(),
    )?)?;
    ensure!(!believes(machine, server)?, "it is still believed");
    let left = machine.command("ls").arg("/etc/docker/certs.d").output()?;
    ensure!(said(&left).trim().is_empty(), "{}", said(&left));
    Ok(())
}

#[test]
fn who_is_not_root_is_told_what_to_type() -> Result<()> {
    let needs = [NEEDS, &[Need::Root, Need::Program("setpriv")]].concat();
    if !needs::met("who_is_not_root_is_told_what_to_type", &needs) {
        return Ok(());
    }
    let _story = Story::of("who is not root is told what to type");
    let cluster = Cluster::of(1).start()?;
    let files = Path::new("/tmp").join(format!("swarmer-trust-{}", std::process::id()));
    let mut login = Command::new(binary::swarmer()?);
    login.args([
        "login",
        &cluster.node("s1").rpc_address().to_string(),
        "--dir",
    ]);
    process::run(login.arg(&files).env("SWARMER_TOKEN", cluster.token()))?;
    process::run(Command::new("chmod").args(["-R", "a+rX"]).arg(&files))?;
    let program = std::fs::read(binary::swarmer()?)?;
    let own = files.join("swarmer");
    std::fs::write(&own, program)?;
    process::run(Command::new("chmod").arg("755").arg(&own))?;
    let mut trust = Command::new("setpriv");
    trust
        .args(["--reuid", "65534", "--clear-groups"])
        .arg(&own)
        .arg("trust")
        .arg(&files);
    let said = said(&trust.output()?);
    std::fs::remove_dir_all(&files)?;
    let next = format!("sudo swarmer trust {}", files.display());
    ensure!(said.contains("only root may change"), "{said}");
    ensure!(said.contains(&next), "{said}");
    Ok(())
}
