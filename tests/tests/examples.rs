//! The examples on a real cluster, with `swarmer docker`: the web app as it is, the others with a
//! stand-in for images that can't be pulled here.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::lab::{self, Lab};
use harness::needs::{self, Need};
use harness::story::Story;
use harness::{Cluster, Node, binary, process};

/// Engines and a registry that start, and images that travel, on two busy cores.
const WITHIN: Duration = Duration::from_secs(120);
const REGISTRY: &str = "registry.service.dev.test:5000";
/// Stands where Prometheus and the others would: it does nothing, whatever it is told to do.
const STAND_IN: &str = "FROM busybox:test\nENTRYPOINT [\"sh\", \"-c\", \"exec sleep 86400\"]\n";

/// A file of the examples. Machines have this machine's files, but a folder of their own to be in.
fn example(file: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    examples.join(file).display().to_string()
}

/// An operator on a node's machine.
struct Operator<'c> {
    cluster: &'c Cluster,
    machine: &'c Node,
}

impl Operator<'_> {
    fn swarmer(&self, words: &[&str]) -> Result<Command> {
        let program = binary::swarmer()?;
        let mut command = self.machine.command(program.to_str().context("no UTF-8")?);
        command.args(words);
        Ok(command)
    }

    fn docker(&self, words: &[&str]) -> Result<Command> {
        let mut command = self.swarmer(&["docker", "test:dev"])?;
        command.args(words);
        // The images are made of what is on the engine.
        command.env("DOCKER_BUILDKIT", "0");
        Ok(command)
    }

    fn run(&self, words: &[&str]) -> Result<String> {
        process::run(&mut self.docker(words)?)
    }

    /// A secret of the Swarm's, from a text.
    fn secret(&self, name: &str, text: &str) -> Result<()> {
        let mut command = self.docker(&["secret", "create", name, "-"])?;
        feed(command.stdin(Stdio::piped()), text)
    }

    /// Waits until each service of a stack has all of its tasks.
    fn runs(&self, stack: &str, services: usize) -> Result<()> {
        let format = "{{.Name}} {{.Replicas}}";
        let list = ["stack", "services", stack, "--format", format];
        self.cluster.wait(&format!("{stack} runs"), WITHIN, || {
            let listed = self.run(&list)?;
            let whole = listed.lines().filter(|line| {
                let replicas = line.split(' ').nth(1).and_then(|part| part.split_once('/'));
                replicas.is_some_and(|(running, wanted)| running == wanted && wanted != "0")
            });
            let failures = || {
                self.run(&["stack", "ps", stack, "--no-trunc"])
                    .unwrap_or_default()
            };
            ensure!(whole.count() == services, "{listed}\n{}", failures());
            Ok(())
        })
    }

    /// Runs a line of shell in the container of a service on the manager's engine.
    fn inside(&self, service: &str, line: &str) -> Result<String> {
        let filter = format!("name={service}");
        let id = self.run(&["ps", "-q", "--filter", &filter])?;
        let id = id
            .lines()
            .next()
            .with_context(|| format!("no container of {service}"))?;
        self.run(&["exec", id, "sh", "-c", line])
    }
}

fn feed(command: &mut Command, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    ensure!(child.wait()?.success(), "{command:?} failed");
    Ok(())
}

fn the_web_app(operator: &Operator<'_>) -> Result<()> {
    let image = format!("{REGISTRY}/hello:1");
    operator.run(&[
        "build",
        "--build-arg",
        "BASE=busybox:test",
        "-t",
        &image,
        &example("web"),
    ])?;
    let push = || operator.run(&["push", &image]).map(drop);
    operator
        .cluster
        .wait("the registry takes the image", WITHIN, push)?;
    let mut deploy =
        operator.docker(&["stack", "deploy", "-c", &example("web/stack.yml"), "web"])?;
    process::run(deploy.env("HELLO_IMAGE", &image))?;
    operator.runs("web", 1)?;
    operator
        .cluster
        .wait("DNS names both tasks, which are healthy", WITHIN, || {
            let found = operator.machine.resolve("web.hello.service.dev.test")?;
            ensure!(found.len() == 2, "{found:?}");
            Ok(())
        })?;
    for node in operator.cluster.nodes() {
        let url = "http://127.0.0.1:8080/cgi-bin/hello";
        let said = process::run(node.command("curl").args(["-sS", url]))?;
        ensure!(
            said.starts_with("hello from "),
            "{} says {said:?}",
            node.name()
        );
    }
    Ok(())
}

fn the_metrics(operator: &Operator<'_>, image: &str) -> Result<()> {
    let create = ["token", "create", "worker", "--cluster", "test:dev"];
    let token = process::run(&mut operator.swarmer(&create)?)?;
    operator.secret("swarmer_token", token.trim())?;
    operator.secret("grafana_password", "secret")?;
    let mut home = operator.machine.command("sh");
    let home = process::run(home.args(["-c", "cd && pwd"]))?;
    let ca = format!("{}/.swarmer/test/dev/ca.pem", home.trim());
    let mut deploy = operator.docker(&[
        "stack",
        "deploy",
        "-c",
        &example("metrics/stack.yml"),
        "metrics",
    ])?;
    for name in ["PROMETHEUS_IMAGE", "GRAFANA_IMAGE", "NODE_EXPORTER_IMAGE"] {
        deploy.env(name, image);
    }
    process::run(deploy.env("SWARMER_CA", &ca))?;
    operator.runs("metrics", 3)?;
    let line = "cat /etc/prometheus/prometheus.yml /etc/prometheus/ca.pem";
    let config = operator.inside("metrics_prometheus", line)?;
    ensure!(
        config.contains("consul_sd_configs") && config.contains("BEGIN CERT"),
        "{config}"
    );

    // What Prometheus would ask for, where its configuration says that it is.
    let ask = "wget -q -O - http://172.17.0.1:8500/v1/catalog/services";
    let services = operator.inside("metrics_prometheus", ask)?;
    ensure!(services.contains("\"consul\""), "{services}");
    let secret = operator.inside("metrics_prometheus", "cat /run/secrets/swarmer_token")?;
    let address = operator.cluster.node("s1").address();
    let mut curl = operator.machine.command("curl");
    curl.args(["-sS", "--cacert", &ca, "-H"]);
    curl.arg(format!("Authorization: Bearer {}", secret.trim()));
    let page = process::run(curl.arg(format!("https://{address}:8501/metrics")))?;
    ensure!(page.contains("swarmer_leader_known 1"), "{page}");
    operator.run(&["stack", "rm", "metrics"]).map(drop)
}

fn the_logs(operator: &Operator<'_>, image: &str) -> Result<()> {
    let mut deploy =
        operator.docker(&["stack", "deploy", "-c", &example("logs/stack.yml"), "logs"])?;
    for name in ["VECTOR_IMAGE", "LOKI_IMAGE", "GRAFANA_IMAGE"] {
        deploy.env(name, image);
    }
    process::run(&mut deploy)?;
    operator.runs("logs", 3)?;
    let node = operator.inside("logs_vector", "echo $NODE; ls /var/run/docker.sock")?;
    ensure!(node == "s1\n/var/run/docker.sock\n", "{node:?}");
    let config = operator.inside("logs_loki", "cat /etc/loki/loki.yaml")?;
    ensure!(config.contains("schema_config"), "{config}");
    operator.run(&["stack", "rm", "logs"]).map(drop)
}

#[test]
fn the_examples_run_on_a_cluster_as_it_is() -> Result<()> {
    let more = [Need::Program("docker-registry"), Need::Program("curl")];
    let needs = [lab::ENGINE_NEEDS, &more].concat();
    if !needs::met("the_examples_run_on_a_cluster_as_it_is", &needs) {
        return Ok(());
    }
    let story = Story::of("the examples run on a cluster as it is, from an operator's machine");
    let lab = Arc::new(Lab::new()?);
    let cluster = Cluster::of(1)
        .workers(1)
        .in_lab(&lab)
        .docker()
        .registry()
        .start()?;
    let machine = cluster.node("w1");
    let operator = Operator {
        cluster: &cluster,
        machine,
    };
    let server = cluster.node("s1").address().to_string();
    let mut login = operator.swarmer(&["login", &server])?;
    process::run(login.env("SWARMER_TOKEN", cluster.token()))?;
    cluster.engine("s1").import_busybox("busybox:test")?;
    cluster.wait("both engines are in the Swarm", WITHIN, || {
        let listed = operator.run(&["node", "ls", "-q"])?;
        ensure!(listed.lines().count() == 2, "{listed}");
        Ok(())
    })?;

    story.phase("the web app is built, pushed, and runs on both nodes");
    the_web_app(&operator)?;

    story.phase(
        "Prometheus and Grafana: configuration, secrets and addresses are where they must be",
    );
    let image = format!("{REGISTRY}/stand-in:1");
    let mut build = operator.docker(&["build", "-t", &image, "-"])?;
    feed(build.stdin(Stdio::piped()), STAND_IN)?;
    operator.run(&["push", &image])?;
    the_metrics(&operator, &image)?;

    story.phase("Vector, Loki and Grafana likewise");
    the_logs(&operator, &image)
}
