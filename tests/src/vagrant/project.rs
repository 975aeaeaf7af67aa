//! A copy of `vagrant/`, and what its user does with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Libvirt;
use crate::binary;
use crate::lab::busybox_tree;
use crate::process::{self, Process, mortal};
use crate::scratch::Scratch;
use crate::vm::PROCESSOR;

/// The longest that Vagrant works at anything: three machines' boot on two emulated cores takes 150 s,
/// and many times that on cores that others use too.
const WORKS_WITHIN: Duration = Duration::from_secs(1800);

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    /// Whether it succeeded.
    pub success: bool,
    /// What it said, without lines about progress.
    pub said: String,
    /// How long it took.
    pub took: Duration,
}

/// The project's folder, with the homes of its user.
#[derive(Debug)]
pub struct Project {
    libvirt: Option<Libvirt>,
    folder: Scratch,
}

impl Project {
    /// A copy of the project that is only read.
    pub fn new() -> Result<Self> {
        let folder = Scratch::new("vagrant")?;
        // libvirt reads seeds here only if others may look in.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        for part in ["project", "home", "vagrant.d", "consoles"] {
            fs::create_dir(folder.path().join(part))?;
        }
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vagrant");
        for file in ["Vagrantfile", "servers.yml"] {
            let copy = folder.path().join("project").join(file);
            fs::copy(tree.join(file), copy).with_context(|| format!("copy vagrant/{file}"))?;
        }
        Ok(Self {
            libvirt: None,
            folder,
        })
    }

    /// A copy with a hypervisor for its machines.
    pub fn with_libvirt() -> Result<Self> {
        let mut project = Self::new()?;
        let folder = project.folder.path().join("libvirt");
        project.libvirt = Some(Libvirt::start(&folder)?);
        Ok(project)
    }

    /// Rewrites `servers.yml`.
    pub fn edit(&self, old: &str, new: &str) -> Result<()> {
        let path = self.folder.path().join("project/servers.yml");
        let text = fs::read_to_string(&path)?;
        ensure!(text.contains(old), "servers.yml has no {old:?}:\n{text}");
        fs::write(&path, text.replacen(old, new, 1))?;
        Ok(())
    }

    /// A file of the operator's: `ca.pem`, `token`, …
    #[must_use]
    pub fn operator_file(&self, name: &str) -> PathBuf {
        let home = self.folder.path().join("home");
        home.join(".swarmer/vagrant/dev").join(name)
    }

    /// What a machine has printed on its console last.
    #[must_use]
    pub fn console(&self, name: &str, lines: usize) -> String {
        let folder = self.folder.path().join("consoles");
        process::tail(&folder.join(format!("{name}.console")), lines)
    }

    /// A command in the project's folder, with the homes and the settings of its user.
    pub fn command(&self, program: &str) -> Result<Command> {
        let folder = self.folder.path();
        // Entering namespaces leaves the working folder behind.
        let mut command = match &self.libvirt {
            Some(libvirt) => libvirt.command("env"),
            None => mortal("env"),
        };
        command.arg("-C").arg(folder.join("project")).arg(program);
        command
            .env("HOME", folder.join("home"))
            .env("VAGRANT_HOME", folder.join("vagrant.d"))
            .env("VAGRANT_CHECKPOINT_DISABLE", "1")
            .env_remove("VAGRANT_DEFAULT_PROVIDER")
            .env("SWARMER", binary::swarmer()?)
            .env("SWARMER_VM_DRIVER", "qemu")
            .env("SWARMER_VM_CPU", PROCESSOR)
            .env("SWARMER_VM_CACHE", "unsafe")
            .env("SWARMER_VM_CONSOLES", folder.join("consoles"));
        Ok(command)
    }

    /// Runs Vagrant, with these further settings.
    pub fn vagrant(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Result<Ran> {
        let mut command = self.command("vagrant")?;
        command.args(["--no-color", "--no-tty"]).args(arguments);
        command.envs(settings.iter().copied());
        // Its words go to a file, to be read while it works.
        let log = self.folder.path().join("vagrant.log");
        let _ = fs::remove_file(&log);
        let begun = Instant::now();
        let status = Process::spawn("vagrant", command, &log)?.exit(WORKS_WITHIN);
        let all = process::tail(&log, usize::MAX);
        let lines = all.lines();
        let said: Vec<&str> = lines
            .filter(|line| !line.contains("Progress:") && !line.starts_with("--- "))
            .collect();
        let said = said.join("\n");
        let status = status.with_context(|| said.clone())?;
        Ok(Ran {
            success: status.success(),
            said,
            took: begun.elapsed(),
        })
    }

    /// Runs `swarmer`, as the cluster's operator.
    pub fn swarmer(&self, arguments: &[&str]) -> Result<String> {
        process::run(&mut self.operators(arguments)?)
    }

    /// Starts a `swarmer` that goes on until it is dropped.
    pub fn serve(&self, arguments: &[&str]) -> Result<Process> {
        let log = self.folder.path().join("serve.log");
        Process::spawn("swarmer", self.operators(arguments)?, &log)
    }

    fn operators(&self, arguments: &[&str]) -> Result<Command> {
        let program = binary::swarmer()?;
        let program = program.to_str().context("swarmer's path is no text")?;
        let mut command = self.command(program)?;
        command.args(arguments);
        Ok(command)
    }

    /// Runs a shell command as root in the machine at this address.
    pub fn run(&self, address: &str, script: &str) -> Result<String> {
        let mut ssh = self.ssh(address)?;
        let quoted = script.replace('\'', r"'\''");
        let output = process::output(ssh.arg(format!("sudo sh -c '{quoted}'")))?;
        ensure!(
            output.status.success(),
            "{address}: {script}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Makes an image of busybox in the machine's engine; nothing is pulled.
    pub fn import_busybox(&self, address: &str, tag: &str) -> Result<()> {
        let tree = busybox_tree()?;
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(tree.path()).args(["-c", "."]);
        let mut packed = tar.stdout(Stdio::piped()).spawn().context("start tar")?;
        let stream = packed.stdout.take().context("tar has no output")?;
        let mut ssh = self.ssh(address)?;
        ssh.arg(format!("sudo docker import - {tag}")).stdin(stream);
        let output = ssh.output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(packed.wait()?.success(), "tar");
        ensure!(output.status.success(), "docker import: {error}");
        Ok(())
    }

    fn ssh(&self, address: &str) -> Result<Command> {
        let folder = self.folder.path();
        let mut command = self.command("ssh")?;
        command.args(["-q", "-i"]);
        command.arg(folder.join("vagrant.d/insecure_private_key"));
        // One connection serves all commands: a handshake costs an emulated machine a second.
        let socket = format!("ControlPath={}/ssh-%C", folder.display());
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "BatchMode=yes",
            "ControlMaster=auto",
            "ControlPersist=20",
            "ServerAliveInterval=10",
            "ConnectTimeout=10",
            &socket,
        ] {
            command.args(["-o", option]);
        }
        command.arg(format!("vagrant@{address}"));
        Ok(command)
    }
}
