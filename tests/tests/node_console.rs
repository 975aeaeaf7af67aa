//! What a node says of itself to its service manager and on its screen, from before its file is
//! there until it stops.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::story::Story;
use harness::{Cluster, Node, binary, wait};
use rustix::process::{Pid, Signal, kill_process};

const WITHIN: Duration = Duration::from_secs(20);

/// A service manager, as far as an agent knows one.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn at(path: &Path) -> Result<Self> {
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        let heard = Vec::new();
        Ok(Self { socket, heard })
    }

    fn hears(&mut self, text: &str) -> Result<()> {
        let mut buffer = [0; 2048];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
            self.heard.push(said);
        }
        let found = self.heard.iter().any(|said| said.contains(text));
        ensure!(found, "it heard {:?}", self.heard);
        Ok(())
    }

    fn waits_for(&mut self, text: &str) -> Result<()> {
        wait::for_fact(&format!("the manager hears {text:?}"), WITHIN, || {
            self.hears(text)
        })
    }
}

/// The agent as a service manager starts it, with a watchdog of a second.
fn start(node: &Node, socket: &Path) -> Result<Child> {
    let mut command = node.command(binary::swarmer()?.to_str().context("a path in UTF-8")?);
    command.arg("agent").arg("--config").arg(node.config_path());
    command.env("NOTIFY_SOCKET", socket);
    command.env("WATCHDOG_USEC", "1000000");
    command.stderr(std::fs::File::create(node.log_path())?);
    Ok(command.spawn()?)
}

fn console(node: &Node) -> Result<String> {
    let mut command = Command::new(binary::swarmer()?);
    command.args(["console", "--once", "--config"]);
    let output = command.arg(node.config_path()).output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn shows(node: &Node, text: &str) -> Result<()> {
    let fact = format!("the console shows {text:?}");
    wait::for_fact(&fact, WITHIN, || {
        let screen = console(node)?;
        ensure!(screen.contains(text), "it shows\n{screen}");
        Ok(())
    })
}

#[test]
fn a_node_says_how_far_it_has_come() -> Result<()> {
    let story = Story::of("a node says how far it has come, to systemd and on its screen");
    let cluster = Cluster::of(3).prepare()?;
    let node = cluster.node("s1");
    shows(node, "cloud-init has not written it")?;

    story.phase("a wrong file is shown with what is wrong");
    let good = node.settings().to_string();
    std::fs::write(node.config_path(), good.replace("expect", "exspect"))?;
    let check = Command::new(binary::swarmer()?)
        .args(["config", "check"])
        .arg(node.config_path())
        .output()?;
    let said = String::from_utf8(check.stderr)?;
    let said = said.trim_start_matches("swarmer: ").trim();
    ensure!(said.contains("did you mean \"expect\"?"), "{said}");
    shows(node, said)?;

    story.phase("the file is right, and nothing runs yet");
    std::fs::write(node.config_path(), &good)?;
    shows(node, "the agent does not run")?;

    story.phase(
        "one of three servers: it serves DNS and HTTP, is ready, and says for whom it waits",
    );
    let socket = node.folder().join("notify");
    let mut manager = Manager::at(&socket)?;
    let mut agent = start(node, &socket)?;
    manager.waits_for("READY=1")?;
    ensure!(node.http_get("/v1/agent/self")?.status == 200, "no HTTP");
    let dig = node.dig("s1.node.dev.test", "A")?;
    // It does not know who exists, and so denies nobody.
    ensure!(dig.status == "SERVFAIL", "{dig:?}");
    manager.waits_for("STATUS=waiting: ")?;
    manager.waits_for("1 of 3 servers are here")?;
    manager.waits_for("WATCHDOG=1")?;
    shows(node, "1 of 3 servers are here")?;

    story.phase("the others come");
    cluster.node("s2").start()?;
    cluster.node("s3").start()?;
    shows(node, "all well")?;
    manager.waits_for("test:dev")?;
    let screen = console(node)?;
    ensure!(
        screen.contains("node      s1, a server of test:dev"),
        "{screen}"
    );
    let wide = screen.lines().find(|line| line.chars().count() > 80);
    ensure!(wide.is_none(), "{wide:?}");

    story.phase("it stops, and says so first");
    let pid = Pid::from_child(&agent);
    kill_process(pid, Signal::TERM)?;
    manager.waits_for("STOPPING=1")?;
    ensure!(agent.wait()?.success(), "it failed");
    shows(node, "the agent does not run")
}
