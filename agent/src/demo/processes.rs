//! The processes of a demo. They are known by their command lines, which name the demo's folder:
//! people start nodes again by hand, and then no list of ours has them.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::DemoError;
use super::node::Node;
use crate::task::clock;

/// How long nodes may take to stop by themselves.
const GRACE: Duration = Duration::from_secs(2);
/// How long the kernel may take to end them.
const KILLED: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);
/// How much of a log is shown, in lines.
const LAST_LINES: usize = 12;

/// Starts a node's agent in a process group of its own, so that a Ctrl-C in the terminal is the
/// demo's to handle.
pub(super) fn spawn(program: &Path, node: &Node) -> Result<Child, DemoError> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(node.log())
        .and_then(|log| Ok((log.try_clone()?, log)));
    let (out, err) = log.map_err(|error| DemoError::io("open", node.log().display(), error))?;
    Command::new(program)
        .arg("agent")
        .arg("--config")
        .arg(node.config())
        .env("NO_COLOR", "1")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .process_group(0)
        .spawn()
        .map_err(|error| DemoError::io("start", program.display(), error))
}

/// How a process ended, in words.
pub(super) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// The end of a node's log.
pub(super) fn last_words(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    let last = lines.get(from..).unwrap_or_default();
    let mut words = format!("  ({})\n", log.display());
    for line in last {
        words.push_str(&format!("  {line}\n"));
    }
    words.trim_end().to_owned()
}

/// Ends every node of the demo in `folder`, however it was started.
pub(super) async fn end_all(folder: &Path) -> Result<usize, DemoError> {
    let ended = running(folder).len();
    for (signal, patience) in [(Signal::TERM, GRACE), (Signal::KILL, KILLED)] {
        for pid in running(folder) {
            // It may have ended by itself.
            let _ = kill_process(pid, signal);
        }
        let begun = clock::now();
        while clock::now().saturating_duration_since(begun) < patience {
            if running(folder).is_empty() {
                return Ok(ended);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    let left: Vec<String> = running(folder)
        .into_iter()
        .map(|pid| pid.as_raw_nonzero().to_string())
        .collect();
    match left.is_empty() {
        true => Ok(ended),
        false => Err(DemoError::Stubborn(left.join(" "))),
    }
}

/// The processes whose command line is that of a node of this demo.
fn running(folder: &Path) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| {
        let number: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        is_node(&line, folder).then(|| Pid::from_raw(number))?
    });
    pids.collect()
}

/// `… agent --config FOLDER/NODE/swarmer.yaml`
fn is_node(line: &[u8], folder: &Path) -> bool {
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let mut pairs = words.windows(2);
    let config = pairs.find_map(|pair| match pair {
        [b"--config", file] => Some(*file),
        _ => None,
    });
    let Some(config) = config else {
        return false;
    };
    let config = Path::new(std::ffi::OsStr::from_bytes(config));
    let agent = words.get(1).is_some_and(|word| *word == b"agent");
    agent && config.ancestors().nth(2) == Some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_node_of_this_demo_is_one() {
        let folder = Path::new("/tmp/demo");
        let line = |words: &[&str]| words.join("\0").into_bytes();
        let node = [
            "/x/swarmer",
            "agent",
            "--config",
            "/tmp/demo/server-1/swarmer.yaml",
            "",
        ];
        assert!(is_node(&line(&node), folder));
        for other in [
            &[
                "/x/swarmer",
                "agent",
                "--config",
                "/tmp/demo2/server-1/swarmer.yaml",
            ][..],
            &["/x/swarmer", "agent", "--config", "/tmp/demo/swarmer.yaml"],
            &["vi", "/tmp/demo/server-1/swarmer.yaml"],
            &["vi", "x", "--config", "/tmp/demo/server-1/swarmer.yaml"],
            &["/x/swarmer", "agent", "--config"],
            &[""],
        ] {
            assert!(!is_node(&line(other), folder), "{other:?}");
        }
    }
}
