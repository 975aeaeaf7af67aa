//! A child process that does not outlive the benchmark.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

/// A program under measurement. Dies with this value, and with the benchmark.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `program`; what it says goes to `log`.
    pub(crate) fn start(program: &Path, arguments: &[String], log: &Path) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        // setpriv becomes the program, so the process id stays, and the kernel ends it with us.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self { child })
    }

    /// `kill -9`; returns once the process is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The host falls silent: nothing is closed, nothing is answered.
    pub(crate) fn freeze(&self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a process id")?, Signal::STOP)?;
        Ok(())
    }

    /// Resident memory in bytes (`VmRSS`).
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = line
            .and_then(|rest| rest.split_whitespace().next())
            .context("VmRSS in /proc/PID/status")?
            .parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
