//! A real Docker Engine on a machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::Machine;
use crate::binary;
use crate::process::{self, Process};
use crate::wait;

/// How long an engine may take to answer, with others starting beside it on two cores.
const START_TAKES: Duration = Duration::from_secs(60);
/// What containers of tests use of busybox.
const APPLETS: &[&str] = &[
    "sh", "sleep", "httpd", "wget", "nc", "cat", "ls", "echo", "nslookup", "hostname", "rm",
];

/// `dockerd` on its default paths. It and its containers share a PID namespace, so that they all go
/// at once.
#[derive(Debug)]
pub struct Engine {
    machine: Arc<Machine>,
    process: Option<Process>,
}

impl Engine {
    /// Starts an engine on `machine` and waits until it answers.
    pub fn start(machine: &Arc<Machine>) -> Result<Self> {
        let mut engine = Self {
            machine: machine.clone(),
            process: None,
        };
        engine.resume()?;
        Ok(engine)
    }

    /// Starts it again after [`Engine::kill`].
    pub fn resume(&mut self) -> Result<()> {
        // What a killed engine leaves in /run makes the next one wait for a process that is not.
        let stale = ["/run/docker.pid", "/run/docker/containerd/containerd.pid"];
        process::run(self.machine.command("rm").arg("-f").args(stale))?;
        let mut command = self.machine.command("unshare");
        command.args([
            "--pid",
            "--fork",
            "--kill-child",
            "--mount",
            "--mount-proc",
            "--",
        ]);
        // A shell as the first process: it reaps the orphans that containerd's shims are.
        let script = format!(
            "dockerd --cgroup-parent /{} & wait $!",
            self.machine.slice()
        );
        command.args(["sh", "-c", &script]);
        let log = self.machine.folder().join("dockerd.log");
        let name = format!("dockerd on {}", self.machine.name());
        self.process = Some(Process::spawn(&name, command, &log)?);
        let ready = wait::for_fact(&format!("{name} answers"), START_TAKES, || {
            self.docker(&["info"]).map(drop)
        });
        ready.with_context(|| format!("{name} said:\n{}", process::tail(&log, 15)))
    }

    /// `kill -9` of the engine and all its containers at once.
    pub fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill_group(),
            None => Ok(()),
        }
    }

    /// Runs `docker` with these arguments on the machine.
    pub fn docker(&self, arguments: &[&str]) -> Result<String> {
        process::run(self.machine.command("docker").args(arguments))
    }

    /// Makes an image from this machine's static busybox; no network is needed.
    pub fn import_busybox(&self, tag: &str) -> Result<()> {
        let tree = busybox_tree()?;
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(tree.path()).args(["-c", "."]);
        let mut packed = tar.stdout(Stdio::piped()).spawn().context("start tar")?;
        let stream = packed.stdout.take().context("tar has no output")?;
        let mut import = self.machine.command("docker");
        import
            .args(["import", "--change", "CMD [\"sh\"]", "-", tag])
            .stdin(stream);
        let output = import.output().context("docker import")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(
            packed.wait()?.success() && output.status.success(),
            "docker import: {error}"
        );
        Ok(())
    }

    /// The machine that it runs on.
    #[must_use]
    pub fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }
}

/// The files of an image of this machine's static busybox.
pub(crate) fn busybox_tree() -> Result<TempDir> {
    let busybox = binary::on_path("busybox").context("no busybox on the PATH")?;
    let tree = TempDir::new()?;
    let bin = tree.path().join("bin");
    fs::create_dir(&bin)?;
    fs::create_dir(tree.path().join("tmp"))?;
    fs::copy(busybox, bin.join("busybox"))?;
    for applet in APPLETS {
        symlink("busybox", bin.join(applet))?;
    }
    Ok(tree)
}
