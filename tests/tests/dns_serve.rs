//! A cluster's names on an operator's machine, with `dig`, through `swarmer dns serve`.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use harness::address::Block;
use harness::dns::{self, Dig};
use harness::needs::{self, Need};
use harness::place::Place;
use harness::process::{self, Process, mortal};
use harness::story::Story;
use harness::{Cluster, binary};

/// A name travels to every node within this.
const TRAVEL: Duration = Duration::from_secs(5);
/// What the machine's resolver says of every name.
const WORLD: Ipv4Addr = Ipv4Addr::new(1, 2, 3, 4);
/// A dead node costs a query no more than this.
const PROMPT: Duration = Duration::from_secs(2);

fn swarmer(words: &[&str]) -> Result<Command> {
    let mut command = mortal(binary::swarmer()?);
    command.args(words);
    Ok(command)
}

/// Starts the forwarder, and says where it answers.
fn serve(files: &Path, resolver: SocketAddr) -> Result<(Process, SocketAddr)> {
    let cluster = files.display().to_string();
    let resolver = resolver.to_string();
    let mut command = swarmer(&["dns", "serve", &cluster, "--json"])?;
    command.args(["--listen", "127.0.0.1:0", "--resolver", &resolver]);
    command.stdout(Stdio::piped());
    let mut process = Process::spawn_piped("swarmer dns serve", command)?;
    let output = process.child().stdout.take().context("no output")?;
    let mut said = String::new();
    for line in BufReader::new(output).lines() {
        said.push_str(&line?);
        if let Ok(said) = serde_json::from_str::<serde_json::Value>(&said) {
            let at = said["listen"][0].as_str().context("no address")?;
            return Ok((process, at.parse()?));
        }
    }
    anyhow::bail!("it said {said:?}")
}

#[test]
fn a_cluster_s_names_are_answered_on_an_operator_s_machine() -> Result<()> {
    let story = Story::of("`swarmer dns serve` answers a cluster's names on an operator's machine");
    let cluster = Cluster::of(3).workers(1).start()?;
    let (w1, s1) = (cluster.node("w1"), cluster.node("s1"));
    let web = r#"{"Name": "web", "Port": 80, "Tags": ["blue"]}"#;
    w1.http_put("/v1/agent/service/register", web)?.ok()?;
    let files = log_in(&cluster)?;
    let (_serving, at) = serve(&files, dns::upstream(WORLD)?)?;
    let dig = |name: &str, kind: &str, options: &[&str]| {
        Dig::ask(&Place::Loopback, at, name, kind, options)
    };
    let own = w1.address().to_string();

    story.phase("every form of a name");
    cluster.wait("the service is known", TRAVEL, || {
        let found = dig("web.service.dev.test", "A", &[])?;
        ensure!(found.data("A") == [own.clone()], "{}", found.text);
        Ok(())
    })?;
    for name in [
        "web.service.test",
        "web.service.dev",
        "web.service.consul",
        "web.service.dev.consul",
        "blue.web.service.dev.test",
        "w1.node.dev.test",
        "w1.node.dev",
    ] {
        for options in [&[][..], &["+tcp"]] {
            let found = dig(name, "A", options)?;
            ensure!(found.data("A") == [own.clone()], "{name}:\n{}", found.text);
        }
    }
    let found = dig("_web._blue.service.dev.test", "SRV", &[])?;
    ensure!(found.data("SRV").len() == 1, "{}", found.text);
    let found = dig(&own, "PTR", &[])?;
    ensure!(found.data("PTR") == ["w1.node.dev.test."], "{}", found.text);
    let found = dig("nosuch.service.dev.test", "A", &[])?;
    ensure!(found.status == "NXDOMAIN", "{}", found.text);

    story.phase("all else is this machine's own resolver's");
    for name in ["example.org", "go.dev", "www.test"] {
        let found = dig(name, "A", &[])?;
        ensure!(found.data("A") == ["1.2.3.4"], "{name}:\n{}", found.text);
    }

    story.phase("nodes die and fall silent: the others answer, promptly");
    s1.kill()?;
    cluster.node("s2").stop()?;
    for _ in 0..3 {
        let begun = Instant::now();
        let found = dig("w1.node.dev.test", "A", &[])?;
        ensure!(found.data("A") == [own.clone()], "{}", found.text);
        ensure!(begun.elapsed() < PROMPT, "it took {:?}", begun.elapsed());
    }
    cluster.node("s2").cont()
}

/// Logs in, and keeps where the nodes are.
fn log_in(cluster: &Cluster) -> Result<PathBuf> {
    let files = cluster.folder().join("operator");
    let server = cluster.node("s1").rpc_address().to_string();
    let mut login = swarmer(&["login", &server, "--dir"])?;
    process::run(login.arg(&files).env("SWARMER_TOKEN", cluster.token()))?;
    // Asked once, the cluster says where its nodes' DNS is.
    process::run(&mut swarmer(&["status", &files.display().to_string()])?)?;
    Ok(files)
}

#[test]
fn dnsmasq_takes_the_snippet() -> Result<()> {
    if !needs::met("dnsmasq_takes_the_snippet", &[Need::Program("dnsmasq")]) {
        return Ok(());
    }
    let story = Story::of("dnsmasq with the snippet sends the cluster's names to the forwarder");
    let cluster = Cluster::of(1).start()?;
    let own = cluster.node("s1").address().to_string();
    let files = log_in(&cluster)?;
    let (_serving, at) = serve(&files, dns::upstream(WORLD)?)?;
    let mut snippet = swarmer(&["dns", "snippet", &files.display().to_string()])?;
    snippet.args(["--for", "dnsmasq", "--listen", &at.to_string()]);
    let config = cluster.folder().join("dnsmasq.conf");
    std::fs::write(&config, process::run(&mut snippet)?)?;

    story.phase("dnsmasq runs with it, and with a resolver of its own for all else");
    let other = dns::upstream(WORLD)?;
    // An address of its own: on a shared one, the port could be another's by then.
    let block = Block::claim()?;
    let through = SocketAddr::from((block.address(1), 5300));
    let mut dnsmasq = mortal(binary::on_path("dnsmasq").context("no dnsmasq")?);
    dnsmasq.args([
        "--keep-in-foreground",
        "--no-resolv",
        "--no-hosts",
        "--bind-interfaces",
    ]);
    dnsmasq.args(["--stop-dns-rebind", "--pid-file"]);
    dnsmasq.args([
        format!("--listen-address={}", through.ip()),
        format!("--port={}", through.port()),
        format!("--server=127.0.0.1#{}", other.port()),
    ]);
    dnsmasq.arg(format!("--conf-file={}", config.display()));
    let log = cluster.folder().join("dnsmasq.log");
    let _running = Process::spawn("dnsmasq", dnsmasq, &log)?;
    let dig = |name: &str| Dig::ask(&Place::Loopback, through, name, "A", &[]);
    cluster.wait("dnsmasq answers", TRAVEL, || dig("example.org").map(drop))?;
    for name in [
        "s1.node.dev.test",
        "s1.node.test",
        "s1.node.dev",
        "s1.node.consul",
    ] {
        let found = dig(name)?;
        ensure!(found.data("A") == [own.clone()], "{name}:\n{}", found.text);
    }
    for name in ["example.org", "go.dev", "www.test"] {
        let found = dig(name)?;
        ensure!(found.data("A") == ["1.2.3.4"], "{name}:\n{}", found.text);
    }
    Ok(())
}

#[test]
fn a_port_that_is_taken_is_named() -> Result<()> {
    let _story = Story::of("a port that is taken is named");
    let files = tempfile::tempdir()?;
    let cluster = r#"{"version":1,"stack":"test","dc":"dev","servers":["127.0.0.1:1"]}"#;
    std::fs::write(files.path().join("cluster.json"), cluster)?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let at = taken.local_addr()?.to_string();
    let folder = files.path().display().to_string();
    let said = swarmer(&["dns", "serve", &folder, "--listen", &at])?.output()?;
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(said.status.code() == Some(1), "{text}");
    ensure!(
        text.contains(&format!("another program listens on {at}")),
        "{text}"
    );
    ensure!(text.contains("--listen"), "{text}");
    Ok(())
}
