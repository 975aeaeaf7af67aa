//! One emulated machine, over as many boots as its story has.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::seed::{Seed, USER};
use super::{BOOTS_WITHIN, DataDisk, PROCESSOR, STOPS_WITHIN};
use crate::lab::busybox_tree;
use crate::process::{self, Process, mortal};
use crate::scratch::Scratch;
use crate::wait;

/// How long one command in it may take to begin.
const CONNECT: &str = "ConnectTimeout=10";

/// What a machine boots from.
#[derive(Clone, Debug)]
pub enum Boot {
    /// The disk image; what it would write to its root's disk is forgotten.
    Image(PathBuf),
    /// The ISO, in a CD drive.
    Iso(PathBuf),
}

/// A machine, on or off.
#[derive(Debug)]
pub struct Vm {
    name: String,
    folder: Scratch,
    process: Option<Process>,
    key: PathBuf,
    ports: Ports,
    boots: u32,
}

/// Ports of the host's loopback that lead into the machine.
#[derive(Clone, Copy, Debug)]
struct Ports {
    ssh: u16,
    dns: u16,
    engine: u16,
}

impl Vm {
    /// A machine that is off.
    pub fn new(name: &str) -> Result<Self> {
        let folder = Scratch::new("vm")?;
        let key = folder.path().join("key");
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
        process::run(&mut make)?;
        Ok(Self {
            name: name.to_owned(),
            folder,
            process: None,
            key,
            ports: Ports {
                ssh: free_port()?,
                dns: free_port()?,
                engine: free_port()?,
            },
            boots: 0,
        })
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Switches it on.
    pub fn boot(
        &mut self,
        from: &Boot,
        seed: Option<&Seed>,
        data: Option<&DataDisk>,
    ) -> Result<()> {
        self.boots += 1;
        let mut command = mortal("qemu-system-x86_64");
        // One processor: two emulated ones have been seen to wait for each other for ever.
        command.args("-machine pc -accel tcg -smp 1 -m 1024 -display none".split(' '));
        command.args(["-cpu", PROCESSOR]);
        command.args(["-device", "virtio-rng-pci"]);
        match from {
            Boot::Image(image) => {
                let layer = self.folder().join("root.qcow2");
                let mut make = Command::new("qemu-img");
                make.args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
                    .arg(image)
                    .arg(&layer);
                process::run(&mut make)?;
                let drive = format!("file={},if=virtio,cache=unsafe", layer.display());
                command.args(["-drive", &drive]);
            }
            Boot::Iso(iso) => {
                command.args(["-boot", "d", "-cdrom"]).arg(iso);
            }
        }
        if let Some(seed) = seed {
            let public = fs::read_to_string(self.key.with_extension("pub"))?;
            let iso = seed.write(self.folder(), &public)?;
            let drive = format!("file={},media=cdrom,index=3", iso.display());
            command.args(["-drive", &drive]);
        }
        if let Some(disk) = data {
            let path = disk.path().display();
            let drive = format!("file={path},if=virtio,format=raw,cache=unsafe,discard=unmap");
            command.args(["-drive", &drive]);
        }
        let Ports { ssh, dns, engine } = self.ports;
        // restrict: nothing leads out of the machine, not even to this host. It also drops what UDP would
        // answer, so DNS is asked over TCP.
        let network = format!(
            "user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{ssh}-:22,hostfwd=tcp:127.0.0.1:{dns}-:53,\
             hostfwd=tcp:127.0.0.1:{engine}-:2376"
        );
        command.args(["-netdev", &network]);
        command.args(["-device", "virtio-net-pci,netdev=n0"]);
        let console = format!("file:{}", self.console_file().display());
        command.args(["-serial", &console]);
        let log = self.folder().join("qemu.log");
        self.process = Some(Process::spawn(&self.name, command, &log)?);
        Ok(())
    }

    /// Waits until somebody with the key can come in.
    pub fn wait_reachable(&mut self) -> Result<()> {
        self.wait("one can log in", BOOTS_WITHIN, |vm| {
            vm.run("true").map(drop)
        })
    }

    /// Waits for a fact of this machine; a machine that died ends the wait, and the console's end is in
    /// the error.
    pub fn wait<T>(
        &mut self,
        fact: &str,
        within: Duration,
        mut look: impl FnMut(&Self) -> Result<T>,
    ) -> Result<T> {
        let mut dead = false;
        let fact = format!("{}: {fact}", self.name);
        let found = wait::for_fact(&fact, within, || {
            if !self.process.as_mut().is_some_and(Process::is_running) {
                dead = true;
                return Ok(None);
            }
            wait::briefly(Duration::from_millis(100));
            look(self).map(Some)
        });
        let found = found.with_context(|| self.last_words())?;
        ensure!(!dead, "{fact}: the machine is off; {}", self.last_words());
        found.context("nothing was found")
    }

    /// Runs a shell command as root in it.
    pub fn run(&self, script: &str) -> Result<String> {
        process::run(self.ssh().arg(format!("sudo sh -c {}", quoted(script))))
    }

    /// Puts a file's bytes into it.
    pub fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.feed(&format!("cat >{path}"), bytes)
    }

    /// Runs a shell command as root in it, with this input.
    pub fn feed(&self, script: &str, input: &[u8]) -> Result<()> {
        let file = self.folder().join("input");
        fs::write(&file, input)?;
        let mut command = self.ssh();
        command.arg(format!("sudo sh -c {}", quoted(script)));
        let output = command.stdin(fs::File::open(&file)?).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{script}: {error}");
        Ok(())
    }

    /// Makes an image of busybox in its engine; nothing is pulled.
    pub fn import_busybox(&self, tag: &str) -> Result<()> {
        let tree = busybox_tree()?;
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(tree.path()).args(["-c", "."]);
        let packed = tar.stderr(Stdio::inherit()).output()?;
        ensure!(packed.status.success(), "tar: {}", packed.status);
        self.feed(
            &format!("docker import -c 'CMD [\"sh\"]' - {tag}"),
            &packed.stdout,
        )
    }

    /// Tells it to shut down, and waits until it is off.
    pub fn power_off(&mut self) -> Result<()> {
        // The connection may end before the command says so.
        let _ = self.run("systemctl poweroff");
        let words = self.last_words();
        match self.process.as_mut() {
            Some(process) => process.exit(STOPS_WITHIN).map(drop).context(words),
            None => Ok(()),
        }
    }

    /// Cuts its power.
    pub fn pull_the_plug(&mut self) -> Result<()> {
        self.process
            .take()
            .map_or(Ok(()), |mut process| process.kill_group())
    }

    /// All that this boot has put on the serial console, without the escapes of a terminal.
    #[must_use]
    pub fn console(&self) -> String {
        let bytes = fs::read(self.console_file()).unwrap_or_default();
        plain(&String::from_utf8_lossy(&bytes))
    }

    /// Where its DNS answers for this host, over TCP.
    #[must_use]
    pub fn dns(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.dns).into()
    }

    /// Where its engine's TLS front answers for this host.
    #[must_use]
    pub fn engine(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.engine).into()
    }

    fn console_file(&self) -> PathBuf {
        self.folder().join(format!("console-{}", self.boots))
    }

    fn last_words(&self) -> String {
        let console = self.console();
        let lines: Vec<&str> = console
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let end = lines[lines.len().saturating_sub(25)..].join("\n");
        format!("the console ends with:\n{end}")
    }

    fn ssh(&self) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-q", "-i"]).arg(&self.key);
        // One connection serves all commands: a handshake costs an emulated machine a second.
        let socket = format!("ControlPath={}/ssh-%C", self.folder().display());
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "BatchMode=yes",
            "ControlMaster=auto",
            "ControlPersist=30",
            "ServerAliveInterval=15",
            CONNECT,
            &socket,
        ] {
            command.args(["-o", option]);
        }
        command.args(["-p", &self.ports.ssh.to_string()]);
        command.arg(format!("{USER}@{}", Ipv4Addr::LOCALHOST));
        command
    }
}

/// A port that is free on the host's loopback now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn quoted(script: &str) -> String {
    format!("'{}'", script.replace('\'', "'\\''"))
}

/// Text as a person would read it off the terminal: without escape sequences.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().filter(|letter| *letter != '\r');
    while let Some(letter) = letters.next() {
        if letter != '\u{1b}' {
            plain.push(letter);
            continue;
        }
        // CSI: ESC [ parameters, up to a letter. Anything else that comes is two characters.
        if letters.next() == Some('[') {
            letters.find(|end| ('@'..='~').contains(end));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_s_escapes_are_not_text() {
        assert_eq!(
            plain("[\u{1b}[0;32m  OK  \u{1b}[0m] Up\r\n\u{1b}[H\u{1b}[Jnode"),
            "[  OK  ] Up\nnode"
        );
    }

    #[test]
    fn a_script_arrives_as_it_was_written() {
        let said = process::run(Command::new("sh").args([
            "-c",
            &format!("sh -c {}", quoted("echo 'a  b' \"$((1+1))\"")),
        ]));
        assert_eq!(said.unwrap(), "a  b 2\n");
    }
}
