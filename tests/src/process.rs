//! Child processes that cannot outlive the test.
//!
//! Each child leads its own process group, gets SIGKILL when the test process dies however it dies
//! (`setpriv --pdeathsig`), and is killed with its whole group when its [`Process`] is dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait;

/// How long a process may take to go after SIGKILL.
const KILL_TAKES: Duration = Duration::from_secs(10);

/// A running (or dead, not yet forgotten) child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

type Job = (Command, Sender<io::Result<Child>>);

/// Starts children from one thread that lives as long as the test process: the death signal is
/// bound to the *thread* that started the child, and test threads come and go.
fn spawn_for_life(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, inbox) = channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // A caller that no longer waits leaves a child that its `Drop` reaps.
                drop(reply.send(command.spawn()));
            }
        });
        jobs
    });
    let gone = || io::Error::other("the spawning thread is gone");
    let (reply, answer) = channel();
    spawner.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// `program`, wrapped so that it dies with the test process.
#[must_use]
pub fn mortal(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

impl Process {
    /// Starts `command` (made with [`mortal`]); what it prints is appended to `log`.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let open = || -> Result<File> {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(log)
                .with_context(|| format!("open the log {}", log.display()))
        };
        writeln!(open()?, "--- {name} starts")?;
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?);
        let shown = format!("{command:?}");
        let child = spawn_for_life(command).with_context(|| format!("start {shown}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// Starts `command` with pipes on stdin and stdout, for a child that is talked with.
    pub fn spawn_piped(name: &str, mut command: Command) -> Result<Self> {
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let shown = format!("{command:?}");
        let child = spawn_for_life(command).with_context(|| format!("start {shown}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: PathBuf::new(),
        })
    }

    /// The process id; also that of its group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pipes of a child from [`Process::spawn_piped`].
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal to this process alone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.raw_pid()?, signal)
            .with_context(|| format!("send {signal:?} to {} (pid {})", self.name, self.pid()))
    }

    /// True until the process has exited.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the exit, at most `within`.
    pub fn exit(&mut self, within: Duration) -> Result<ExitStatus> {
        let (name, child) = (&self.name, &mut self.child);
        wait::for_fact(&format!("{name} has exited"), within, || {
            match child.try_wait()? {
                Some(status) => Ok(status),
                None => bail!("it runs (pid {})", child.id()),
            }
        })
    }

    /// `kill -9` of this process alone, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        if self.is_running() {
            self.signal(Signal::KILL)?;
            self.exit(KILL_TAKES)?;
        }
        Ok(())
    }

    /// `kill -9` of this process and all of its group at once, as a power cut would.
    pub fn kill_group(&mut self) -> Result<()> {
        // The group may be gone already, with nothing left to kill.
        let _ = kill_process_group(self.raw_pid()?, Signal::KILL);
        self.exit(KILL_TAKES).map(drop)
    }

    /// The last `lines` lines that it printed.
    #[must_use]
    pub fn last_words(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }

    fn raw_pid(&self) -> Result<Pid> {
        i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .with_context(|| format!("{} has no pid", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing can be done about a child that resists SIGKILL, and dropping must not panic.
        let _ = self.kill_group();
    }
}

/// Runs a command to its end; fails, with what it printed, unless it succeeds.
pub fn run(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command to its end, whatever that is.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {command:?}"))
}

/// The last `lines` lines of a file; says so if there is none.
#[must_use]
pub fn tail(file: &Path, lines: usize) -> String {
    match std::fs::read(file) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("(no {}: {error})", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(script: &str) -> Process {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = mortal("sh");
        command.args(["-c", script]);
        Process::spawn("sleeper", command, log.path()).unwrap()
    }

    #[test]
    fn a_dropped_process_takes_its_children_with_it() {
        let mark = format!("3600.{}", std::process::id());
        let process = sleeper(&format!("sleep {mark} & sleep {mark}; true"));
        let living = || {
            let found = Command::new("pgrep")
                .args(["-fx", &format!("sleep {mark}")])
                .output();
            String::from_utf8_lossy(&found.unwrap().stdout)
                .lines()
                .count()
        };
        wait::for_fact(
            "both sleepers run",
            Duration::from_secs(5),
            || match living() {
                2 => Ok(()),
                n => bail!("{n} run"),
            },
        )
        .unwrap();
        drop(process);
        wait::for_fact(
            "both sleepers are gone",
            Duration::from_secs(5),
            || match living() {
                0 => Ok(()),
                n => bail!("{n} run"),
            },
        )
        .unwrap();
    }

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let mut process = thread::spawn(|| sleeper("exec sleep 60")).join().unwrap();
        wait::that_it_stays("the child runs", Duration::from_millis(200), || {
            if process.is_running() {
                Ok(())
            } else {
                bail!("it died with the thread")
            }
        })
        .unwrap();
    }

    #[test]
    fn a_stopped_process_can_be_killed() {
        let mut process = sleeper("exec sleep 60");
        process.signal(Signal::STOP).unwrap();
        process.kill().unwrap();
        assert!(!process.is_running());
    }
}
