//! libvirt's daemon in namespaces of its own.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::lab::Holder;
use crate::process::{self, Process};
use crate::wait;

/// How long the daemon may take to answer: it asks QEMU first what that can do.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// No sandbox of libvirt's own: there is one around it.
const QEMU_CONF: &str = r#"namespaces = []
cgroup_controllers = []
security_driver = "none"
user = "root"
group = "root"
"#;
/// `/dev` without KVM: where the device is there and does not work, libvirt would ask QEMU again at
/// every call. libvirt's folders are the test's own, since machines and networks are kept there.
const SETUP: &str = "
set -eu
mkdir -p $folder/dev $folder/lib/images $folder/lib/boot $folder/lib/qemu $folder/cache $folder/log
mount -t tmpfs -o mode=755 dev $folder/dev
for node in null zero full random urandom tty net fuse; do
    if [ -e /dev/$node ]; then cp -a /dev/$node $folder/dev/; fi
done
mkdir $folder/dev/pts $folder/dev/shm
mount --bind /dev/pts $folder/dev/pts
mount --bind /dev/shm $folder/dev/shm
ln -s pts/ptmx $folder/dev/ptmx
ln -s /proc/self/fd $folder/dev/fd
mount --move $folder/dev /dev
mount -t tmpfs -o mode=755 run /run
cp -a /etc/libvirt/. $folder/etc/
rm -f $folder/etc/qemu/networks/autostart/* $folder/etc/qemu/autostart/*
cp $folder/qemu.conf $folder/etc/qemu.conf
mount --bind $folder/etc /etc/libvirt
mount --bind $folder/lib /var/lib/libvirt
mount --bind $folder/cache /var/cache/libvirt
mount --bind $folder/log /var/log/libvirt
ip link set lo up
";

/// A running daemon, and the network that its machines are in.
#[derive(Debug)]
pub struct Libvirt {
    // Before the namespaces: its machines go with it.
    _daemon: Process,
    holder: Holder,
}

impl Libvirt {
    /// Starts it, with all its files in `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder.join("etc"))?;
        std::fs::write(folder.join("qemu.conf"), QEMU_CONF)?;
        let script = format!("folder={}\n{SETUP}", folder.display());
        let holder = Holder::start("libvirt", &script)?;
        let mut command = holder.command("unshare");
        command.args("--pid --fork --kill-child --mount --mount-proc -- sh -c".split(' '));
        command.arg("virtlogd & libvirtd & wait");
        let log = folder.join("libvirtd.log");
        let daemon = Process::spawn("libvirtd", command, &log)?;
        let libvirt = Self {
            _daemon: daemon,
            holder,
        };
        let answers = wait::for_fact("libvirtd answers", STARTS_WITHIN, || {
            let mut list = libvirt.command("virsh");
            process::run(list.args(["-c", "qemu:///system", "list"])).map(drop)
        });
        answers.with_context(|| process::tail(&log, 15))?;
        Ok(libvirt)
    }

    /// A command where the machines can be reached, as on the host that they run on.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.holder.command(program)
    }
}
