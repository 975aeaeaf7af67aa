//! Operators reach the engines over TLS, with Docker's own command line and with `swarmer docker`;
//! nobody else does.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::Cluster;
use harness::lab::{self, Lab};
use harness::needs::{self, Need};
use harness::node::Node;
use harness::story::Story;
use harness::{binary, process};

/// An engine that joins a Swarm on two busy cores.
const JOINS_WITHIN: Duration = Duration::from_secs(90);
/// Three files that show who one is.
#[derive(Clone, Debug)]
struct Papers {
    ca: PathBuf,
    /// Certificate and key.
    own: Option<(PathBuf, PathBuf)>,
}

/// `docker` on `from`, with these papers, for the engine on `to`.
fn docker(from: &Node, to: &Node, papers: &Papers, words: &[&str]) -> Command {
    let mut command = from.command("docker");
    command
        .arg("--tlsverify")
        .arg("--tlscacert")
        .arg(&papers.ca);
    if let Some((certificate, key)) = &papers.own {
        command.arg("--tlscert").arg(certificate);
        command.arg("--tlskey").arg(key);
    }
    command.args(["-H", &format!("tcp://{}:2376", to.address())]);
    command.args(words);
    command
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Runs a command that reads `input` to its end.
fn with_input(mut command: Command, input: &str) -> Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let mut pipe = child.stdin.take().context("no standard input")?;
    pipe.write_all(input.as_bytes())?;
    drop(pipe);
    Ok(child.wait_with_output()?)
}

/// What a node shows to the registry, as any program of root's could.
fn papers_of(node: &Node, folder: &Path) -> Result<Papers> {
    let certs = "/etc/docker/certs.d/registry.service.dev.test:5000";
    let copy = |name: &str| {
        let to = folder.join(format!("{}-{name}", node.name()));
        let text = process::run(node.command("cat").arg(format!("{certs}/{name}")))?;
        std::fs::write(&to, text)?;
        anyhow::Ok(to)
    };
    Ok(Papers {
        ca: copy("ca.crt")?,
        own: Some((copy("client.cert")?, copy("client.key")?)),
    })
}

/// Somebody who made a certificate with an operator's name at home.
fn forged(folder: &Path, ca: &Path) -> Result<Papers> {
    let (certificate, key) = (folder.join("forged.pem"), folder.join("forged.key"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]);
    openssl.args([
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-subj",
        "/CN=operator",
    ]);
    openssl
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key);
    process::run(&mut openssl)?;
    Ok(Papers {
        ca: ca.to_owned(),
        own: Some((certificate, key)),
    })
}

fn log_in(cluster: &Cluster, on: &Node) -> Result<Papers> {
    let mut login = on.command("sh");
    login.arg("-c").arg("\"$0\" login \"$1\" >&2 && cd && pwd");
    login.arg(binary::swarmer()?);
    login.arg(cluster.node("s1").address().to_string());
    let home = process::run(login.env("SWARMER_TOKEN", cluster.token()))?;
    let folder = Path::new(home.trim()).join(".swarmer/test/dev");
    Ok(Papers {
        ca: folder.join("ca.pem"),
        own: Some((folder.join("cert.pem"), folder.join("key.pem"))),
    })
}

fn swarmer_docker(on: &Node, words: &[&str]) -> Result<Command> {
    let mut command = on.command(binary::swarmer()?.to_str().context("a path in UTF-8")?);
    command.args(["docker", "test:dev"]).args(words);
    Ok(command)
}

fn others_are_refused(cluster: &Cluster, operator: &Papers) -> Result<()> {
    let (server, worker) = (cluster.node("s1"), cluster.node("w1"));
    let scratch = cluster.folder();
    let ca = operator.ca.clone();
    let forged = forged(scratch, &ca)?;
    for (papers, why) in [
        (papers_of(worker, scratch)?, "the certificate is a worker's"),
        (papers_of(server, scratch)?, "the certificate is a server's"),
        (
            Papers {
                ca: ca.clone(),
                own: None,
            },
            "wants an operator's certificate",
        ),
        // Docker shows no certificate of a CA that the server does not name.
        (forged.clone(), "wants an operator's certificate"),
    ] {
        let refused = docker(worker, server, &papers, &["version"]).output()?;
        let text = said(&refused);
        ensure!(!refused.status.success(), "{papers:?} was let in: {text}");
        ensure!(text.contains(why), "{papers:?}: {text}");
    }

    let (certificate, key) = forged.own.context("it has some")?;
    let mut openssl = worker.command("openssl");
    openssl.args([
        "s_client",
        "-quiet",
        "-connect",
        &format!("{}:2376", server.address()),
    ]);
    openssl.arg("-cert").arg(certificate).arg("-key").arg(key);
    let shown = with_input(openssl, "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let text = said(&shown);
    ensure!(
        !text.contains("HTTP/1.1") && text.contains("alert"),
        "{text}"
    );
    Ok(())
}

fn swarmer_docker_is_docker(cluster: &Cluster) -> Result<()> {
    let worker = cluster.node("w1");
    cluster.wait("the Swarm is there", JOINS_WITHIN, || {
        let listed =
            swarmer_docker(worker, &["node", "ls", "--format", "{{.Hostname}}"])?.output()?;
        let text = said(&listed);
        ensure!(text.lines().count() == 2, "{text}");
        Ok(())
    })?;
    let exit = ["--", "exec", "web", "sh", "-c", "exit 7"];
    let ran = swarmer_docker(worker, &exit)?.output()?;
    ensure!(ran.status.code() == Some(7), "{ran:?}");
    let echo = ["exec", "-i", "web", "echo", "--json", "--", "--node"];
    let ran = swarmer_docker(worker, &echo)?.output()?;
    ensure!(ran.stdout == b"--json -- --node\n", "{}", said(&ran));
    let there = ["--node", "w1", "info", "--format", "{{.Name}}"];
    let ran = swarmer_docker(worker, &there)?.output()?;
    ensure!(ran.stdout == b"w1\n", "{}", said(&ran));
    Ok(())
}

#[test]
fn operators_and_nobody_else_use_the_engines_over_tls() -> Result<()> {
    let needs = [lab::ENGINE_NEEDS, &[Need::Program("openssl")]].concat();
    if !needs::met("operators_and_nobody_else_use_the_engines_over_tls", &needs) {
        return Ok(());
    }
    let story = Story::of("operators use the engines over TLS, nobody else does");
    let lab = Arc::new(Lab::new()?);
    let cluster = Cluster::of(1).workers(1).in_lab(&lab).docker().start()?;
    let (server, worker) = (cluster.node("s1"), cluster.node("w1"));
    cluster.engine("s1").import_busybox("busybox:test")?;
    cluster.engine("s1").docker(&[
        "run",
        "-d",
        "--name",
        "web",
        "busybox:test",
        "sleep",
        "3600",
    ])?;

    story.phase("docker's own command line works with what `swarmer login` brought");
    let operator = log_in(&cluster, worker)?;
    let info = docker(
        worker,
        server,
        &operator,
        &["info", "--format", "{{.Name}}"],
    );
    let name = process::run(&mut { info })?;
    ensure!(name.trim() == "s1", "it is {name:?}");

    story.phase("a hijacked connection carries both directions, and the end of one of them");
    let cat = docker(worker, server, &operator, &["exec", "-i", "web", "cat"]);
    let echoed = with_input(cat, "typed by an operator\n")?;
    ensure!(
        echoed.stdout == b"typed by an operator\n",
        "{}",
        said(&echoed)
    );
    let run = ["run", "--rm", "-i", "busybox:test", "sh"];
    let attached = with_input(docker(worker, server, &operator, &run), "echo $((6 * 7))\n")?;
    ensure!(attached.stdout == b"42\n", "{}", said(&attached));

    story.phase("who is no operator is refused, and told why");
    others_are_refused(&cluster, &operator)?;

    story.phase("`swarmer docker` finds a manager, and docker's exit code is its own");
    swarmer_docker_is_docker(&cluster)?;

    story.phase("an engine that is down is named; another one is taken, unless it was asked for");
    cluster.engine("s1").kill()?;
    cluster.wait("the engine's silence is told", JOINS_WITHIN, || {
        let ran = swarmer_docker(worker, &["--node", "s1", "version"])?.output()?;
        let text = said(&ran);
        ensure!(text.contains("Docker Engine does not answer"), "{text}");
        ensure!(ran.status.code() == Some(1), "{ran:?}");
        Ok(())
    })?;
    let ran = swarmer_docker(worker, &["info", "--format", "{{.Name}}"])?.output()?;
    ensure!(ran.stdout == b"w1\n", "{}", said(&ran));
    cluster.still_serves()
}
