//! One machine of a lab: namespaces for network, mounts, host name and shared memory, held by a
//! sleeping process.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::{self, Process, mortal};

/// What a process in a machine finds its programs by.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What makes a machine of a set of namespaces. `/etc` is a layer over this machine's; the names in
/// it are replaced, not written through, since some are links into `/run`.
const SETUP: &str = "
set -e
mount -t overlay etc -o lowerdir=/etc,upperdir=$folder/etc,workdir=$folder/etc.work /etc || {
    cp -a /etc/. $folder/etc/
    mount --bind $folder/etc /etc
}
for file in hosts resolv.conf hostname; do
    rm -f /etc/$file
    cp $folder/seed/$file /etc/$file
done
rm -rf /etc/docker /etc/swarmer
mkdir /etc/docker /etc/swarmer
mount --bind $folder/lib /var/lib
mount -t tmpfs -o mode=755 run /run
ip link set lo up
for key in iptables ip6tables; do
    file=/proc/sys/net/bridge/bridge-nf-call-$key
    if [ -e $file ]; then echo 0 > $file; fi
done
echo 1 > /proc/sys/net/ipv4/ip_forward
";
/// What holders print when their set-up is done.
const READY: &str = "ready";

/// The process that holds a set of namespaces; they go when it and all in them are gone.
#[derive(Debug)]
pub(crate) struct Holder {
    process: Process,
}

impl Holder {
    /// Makes the namespaces, runs `script` in them, and sleeps.
    pub(crate) fn start(name: &str, script: &str) -> Result<Self> {
        let mut command = mortal("unshare");
        command.args([
            "--net",
            "--mount",
            "--uts",
            "--ipc",
            "--propagation",
            "private",
            "--",
        ]);
        command.args([
            "sh",
            "-c",
            &format!("{script}\necho {READY}; exec sleep infinity"),
        ]);
        command.env("PATH", PATH);
        let mut process = Process::spawn_piped(name, command)?;
        let said = first_line(process.child())?;
        ensure!(said == READY, "{name} was not made (it printed {said:?})");
        Ok(Self { process })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = mortal("nsenter");
        command.args(["--target", &self.pid().to_string()]);
        command
            .args(["--net", "--mount", "--uts", "--ipc", "--"])
            .arg(program);
        command.env("PATH", PATH);
        command
    }
}

fn first_line(child: &mut Child) -> Result<String> {
    let output = child
        .stdout
        .take()
        .context("the holder has no standard output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// A machine on the lab's switch.
#[derive(Debug)]
pub struct Machine {
    name: String,
    address: Ipv4Addr,
    port: String,
    slice: String,
    folder: PathBuf,
    holder: Holder,
}

impl Machine {
    pub(super) fn start(
        name: &str,
        address: Ipv4Addr,
        port: &str,
        slice: &str,
        folder: &Path,
    ) -> Result<Self> {
        for part in [
            "lib/docker",
            "lib/swarmer",
            "home",
            "seed",
            "etc",
            "etc.work",
        ] {
            fs::create_dir_all(folder.join(part))?;
        }
        let seed = |file: &str, text: String| fs::write(folder.join("seed").join(file), text);
        seed("hosts", format!("127.0.0.1 localhost\n{address} {name}\n"))?;
        // As in the image: the node's own DNS serves the node.
        seed("resolv.conf", format!("nameserver {address}\n"))?;
        seed("hostname", format!("{name}\n"))?;
        let script = format!("folder={}\nhostname {name}\n{SETUP}", folder.display());
        Ok(Self {
            name: name.to_owned(),
            address,
            port: port.to_owned(),
            slice: slice.to_owned(),
            folder: folder.to_owned(),
            holder: Holder::start(name, &script)?,
        })
    }

    /// Gives the plugged-in cable its address.
    pub(super) fn connect(&self) -> Result<()> {
        let ip = |words: &str| process::run(self.command("ip").args(words.split(' '))).map(drop);
        ip(&format!("addr add {}/24 dev eth0", self.address))?;
        ip("link set eth0 up")?;
        ip("route add default via 10.77.0.1")?;
        process::run(self.command("iptables").args(["-P", "FORWARD", "ACCEPT"])).map(drop)
    }

    /// Its host name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the switch.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A path of the machine, as this process sees it.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.pid()))
    }

    /// The folder of the machine, for logs beside it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command that runs on the machine, as root, and dies with the test.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.holder.command(program);
        command.env("HOME", self.folder.join("home"));
        command
    }

    /// Runs `act` in the machine's network, on a thread that goes there for it.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let network = File::open(format!("/proc/{}/ns/net", self.pid()))?;
        thread::scope(|scope| {
            let there = scope.spawn(move || {
                let network = std::os::fd::AsFd::as_fd(&network);
                move_into_link_name_space(network, Some(LinkNameSpaceType::Network))?;
                act()
            });
            there
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a panic inside the machine")))
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.holder.pid()
    }

    pub(super) fn port(&self) -> &str {
        &self.port
    }

    pub(super) fn slice(&self) -> &str {
        &self.slice
    }
}
