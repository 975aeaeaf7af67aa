//! A child process that does not outlive us, and whose last words are kept.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{
    Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal,
    set_parent_process_death_signal,
};
use tokio::sync::oneshot;

/// Longer lines of a child are cut in pieces.
const LINE: u64 = 8 * 1024;

/// A running child; dropping it kills it.
pub(super) struct Child {
    handle: OwnedFd,
    end: oneshot::Receiver<Exit>,
}

/// How a child ended.
#[derive(Debug)]
pub(super) struct Exit {
    /// Its status, for people.
    pub(super) status: String,
    /// The last line that it wrote.
    pub(super) words: String,
}

impl Child {
    /// Starts `command` from a thread of its own that lives as long as the child: the kernel's
    /// parent-death signal comes when the *thread* that started a child ends.
    pub(super) async fn spawn(command: Command) -> io::Result<Self> {
        let (started, start) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        std::thread::Builder::new()
            .name("registry-child".into())
            .spawn(move || attend(command, started, ended))?;
        let handle = start
            .await
            .map_err(|_| io::Error::other("the child's thread ended early"))??;
        Ok(Self { handle, end })
    }

    /// Returns when it has ended. Safe to cancel.
    pub(super) async fn ended(&mut self) -> Exit {
        (&mut self.end).await.unwrap_or_else(|_| Exit {
            status: "unknown".into(),
            words: String::new(),
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Already gone is fine. A file descriptor can't name another process by then, as a
        // process id could.
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
    }
}

fn attend(
    mut command: Command,
    started: oneshot::Sender<io::Result<OwnedFd>>,
    ended: oneshot::Sender<Exit>,
) {
    let start = || {
        let (reader, writer) = io::pipe()?;
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = command.spawn()?;
        // The command holds the writing ends, without which reading would never end.
        drop(command);
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let handle = id
            .ok_or_else(|| io::Error::other("the child has no process id"))
            .and_then(|id| Ok(pidfd_open(id, PidfdFlags::empty())?));
        match handle {
            Ok(handle) => Ok((reader, child, handle)),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    };
    let (reader, mut child, handle) = match start() {
        Ok(parts) => parts,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    if started.send(Ok(handle)).is_err() {
        let _ = child.kill();
    }
    let words = listen(reader);
    let status = child
        .wait()
        .map_or_else(|error| error.to_string(), describe);
    let _ = ended.send(Exit { status, words });
}

/// Passes on what the child writes, line by line; returns the last.
fn listen(pipe: io::PipeReader) -> String {
    let mut reader = BufReader::new(pipe);
    let mut last = String::new();
    loop {
        let mut line = Vec::new();
        let read = reader.by_ref().take(LINE).read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) {
            return last;
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !text.is_empty() {
            tracing::debug!(target: "swarmer::registry::process", "{text}");
            last = text;
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".into(),
    }
}

/// Becomes `program`, which the kernel kills when process `parent`, our parent, dies. For the
/// agent's hidden subcommand; returns only if it fails.
#[must_use]
pub fn supervise(parent: u32, program: &OsStr, arguments: &[OsString]) -> io::Error {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    let present = getppid().map(|parent| parent.as_raw_nonzero().get());
    if present.and_then(|present| u32::try_from(present).ok()) != Some(parent) {
        return io::Error::other("the parent is gone");
    }
    Command::new(program).args(arguments).exec()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn last_words_are_kept_and_a_dropped_child_is_killed() {
        let mut talker = Command::new("sh");
        talker.args(["-c", "echo one; echo disk is full >&2; exit 3"]);
        let end = Child::spawn(talker).await.unwrap().ended().await;
        assert_eq!(
            (end.status.as_str(), end.words.as_str()),
            ("exit status 3", "disk is full")
        );
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("pid");
        let mut sleeper = Command::new("sh");
        sleeper
            .arg("-c")
            .arg(format!("echo $$ > {}; exec sleep 600", fifo.display()));
        let child = Child::spawn(sleeper).await.unwrap();
        let id = until(|| {
            std::fs::read_to_string(&fifo)
                .ok()
                .filter(|id| id.ends_with('\n'))
        })
        .await;
        drop(child);
        let process = format!("/proc/{}", id.trim());
        until(|| (!std::path::Path::new(&process).exists()).then_some(())).await;
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_an_error() {
        assert!(
            Child::spawn(Command::new("/nowhere/registry"))
                .await
                .is_err()
        );
    }

    /// This test binary stands in for the agent: run again with one test and a variable set, it is
    /// the parent, and then the subcommand.
    #[tokio::test]
    async fn the_process_dies_with_its_agent() {
        const ME: &str = "registry::child::tests::the_process_dies_with_its_agent";
        let again = || {
            let mut command = Command::new("/proc/self/exe");
            command.args(["--exact", ME, "--nocapture"]);
            command
        };
        match std::env::var("SWARMER_TEST_PART").as_deref() {
            Ok("launcher") => {
                let parent = std::env::var("SWARMER_TEST_PARENT")
                    .unwrap()
                    .parse()
                    .unwrap();
                let error = supervise(parent, OsStr::new("sleep"), &["600".into()]);
                panic!("{error}");
            }
            Ok("agent") => {
                let mut launcher = again();
                launcher
                    .env("SWARMER_TEST_PART", "launcher")
                    .env("SWARMER_TEST_PARENT", std::process::id().to_string());
                let _child = Child::spawn(launcher).await.unwrap();
                std::future::pending::<()>().await;
            }
            _ => {
                let mut agent = again().env("SWARMER_TEST_PART", "agent").spawn().unwrap();
                let sleeps = |id: &str| {
                    let name = std::fs::read_to_string(format!("/proc/{id}/comm"));
                    name.is_ok_and(|name| name.trim() == "sleep")
                };
                let children = format!("/proc/{}/task", agent.id());
                let sleeper = until(|| {
                    let threads = std::fs::read_dir(&children).ok()?;
                    let lists = threads.flatten().filter_map(|thread| {
                        std::fs::read_to_string(thread.path().join("children")).ok()
                    });
                    let all = lists.collect::<String>();
                    all.split_whitespace()
                        .find(|id| sleeps(id))
                        .map(str::to_owned)
                })
                .await;
                agent.kill().unwrap();
                agent.wait().unwrap();
                until(|| (!sleeps(&sleeper)).then_some(())).await;
            }
        }
    }

    async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
        for _ in 0..1000 {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not come true within 10 s");
    }
}
